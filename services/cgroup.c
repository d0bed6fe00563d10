// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "util.h"

#define CGROUP_ROOT	"/sys/fs/cgroup"

static void add_pids(const char *dir, pid_t **pids, size_t *nr)
{
	_cleanup_free_ char *procs = NULL;
	struct dirent *entry;
	FILE *file;
	DIR *list;
	int pid;

	if (asprintf(&procs, "%s/cgroup.procs", dir) < 0) {
		procs = NULL;
		return;
	}
	file = fopen(procs, "re");
	while (file && fscanf(file, "%d", &pid) == 1) {
		pid_t *more = reallocarray(*pids, *nr + 2, sizeof(*more));

		if (!more)
			break;
		*pids = more;
		more[(*nr)++] = pid;
		more[*nr] = 0;
	}
	if (file)
		fclose(file);
	list = opendir(dir);
	while (list && (entry = readdir(list))) {
		_cleanup_free_ char *below = NULL;

		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		if (asprintf(&below, "%s/%s", dir, entry->d_name) < 0)
			below = NULL;
		else
			add_pids(below, pids, nr);
	}
	if (list)
		closedir(list);
}

pid_t *cgroup_pids(const char *control_group)
{
	pid_t *pids = calloc(1, sizeof(*pids));
	_cleanup_free_ char *dir = NULL;
	size_t nr = 0;

	/* A unit that has none must not be taken for the root. */
	if (!*control_group || !control_group[1])
		return pids;
	if (asprintf(&dir, CGROUP_ROOT "%s", control_group) < 0)
		dir = NULL;
	else if (pids)
		add_pids(dir, &pids, &nr);
	return pids;
}

bool is_descendant(pid_t pid, pid_t root)
{
	while (pid > 1 && pid != root) {
		char path[32], line[512], *end;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		file = fopen(path, "re");
		/* It has ended. */
		if (!file)
			return true;
		end = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
		fclose(file);
		/* Behind its name, which may have anything in it. */
		if (!end || sscanf(end, ") %*c %d", &pid) != 1)
			return true;
	}
	return pid == root;
}
