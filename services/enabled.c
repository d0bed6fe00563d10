// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "podman.h"
#include "unit.h"
#include "util.h"

void enabled_for_each(const char *root, void (*call)(const char *unit, void *arg), void *arg)
{
	_cleanup_free_ char *dir = NULL;
	struct dirent **entries;
	int nr;

	if (asprintf(&dir, "%s" DROP_IN_DIR, root) < 0) {
		dir = NULL;
		return;
	}
	nr = scandir(dir, &entries, NULL, alphasort);
	for (int i = 0; i < nr; i++) {
		const size_t len = strlen(entries[i]->d_name);
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s/" DROP_IN_NAME, dir, entries[i]->d_name) < 0)
			path = NULL;
		if (path && len > 10 && !strcmp(entries[i]->d_name + len - 10, ".service.d") &&
		    !access(path, F_OK)) {
			entries[i]->d_name[len - 2] = 0;
			call(entries[i]->d_name, arg);
		}
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
}

bool enabled_is(const char *unit)
{
	static const char *const names[] = { DROP_IN_NAME, DROP_IN_CONTAINER_NAME };
	bool is = false;

	/* Containers have a way of their own to be started. */
	if (container_name(unit))
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !is; i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, DROP_IN_DIR "/%s.d/%s", unit, names[i]) < 0)
			path = NULL;
		is = path && !access(path, F_OK);
	}
	return is;
}
