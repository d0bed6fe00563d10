// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "pramctl.h"
#include "sysfile.h"
#include "util.h"

#define COUNTERS "/sys/kernel/pram"

/* What stands in place of a limit if there is none. */
#define NO_LIMIT "max"

static int is_visible(const struct dirent *entry)
{
	return *entry->d_name != '.';
}

static enum pramctl_exit read_counters(const char *dir, struct json_object *counters)
{
	struct dirent **entries;
	int nr = scandir(dir, &entries, is_visible, alphasort);

	if (nr < 0) {
		pramctl_error("%s: %s; 'pramctl check' shows what is missing", dir,
			      strerror(errno));
		return PRAMCTL_UNAVAILABLE;
	}
	for (int i = 0; i < nr; i++) {
		_cleanup_free_ char *path = output_format("%s/%s", dir, entries[i]->d_name);
		_cleanup_free_ char *text = sysfile_read("", path);
		char *end;
		uint64_t value;

		/* Each file is one number; whatever else there may be is no counter. */
		if (text && !strcmp(text, NO_LIMIT)) {
			output_add_null(counters, entries[i]->d_name);
		} else if (text && *text) {
			value = strtoull(text, &end, 10);
			if (end != text && !*end)
				output_add_number(counters, entries[i]->d_name, value);
		}
		free(entries[i]);
	}
	free(entries);
	return PRAMCTL_OK;
}

enum pramctl_exit pramctl_stats(const struct pramctl_args *args)
{
	_cleanup_free_ char *dir = output_format("%s%s", args->root, COUNTERS);
	struct json_object *counters = output_new_object();
	enum pramctl_exit status = read_counters(dir, counters);

	if (status) {
		json_object_put(counters);
		return status;
	}
	if (args->json) {
		output_json(counters);
		return PRAMCTL_OK;
	}
	json_object_object_foreach(counters, key, value)
		printf("%-22s %s\n", key, value ? json_object_get_string(value) : NO_LIMIT);
	json_object_put(counters);
	return PRAMCTL_OK;
}
