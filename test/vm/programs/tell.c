// SPDX-License-Identifier: GPL-2.0-only
#include <err.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "tell.h"

void tell(const char *path, const char *line)
{
	char new[PATH_MAX];
	FILE *file;

	snprintf(new, sizeof(new), "%s.new", path);
	file = fopen(new, "we");
	if (!file || fprintf(file, "%s\n", line) < 0 || fclose(file) || rename(new, path))
		err(1, "cannot write %s", path);
}

void tell_pid(const char *path)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	tell(path, pid);
}
