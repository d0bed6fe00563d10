// SPDX-License-Identifier: GPL-2.0-only
/*
 * A task is restored under the pid that it had, so that has to be free. Each boot hands out its
 * pids from another of 32 windows, one that has no pid of any task that waits in PRAM. It
 * is chosen before services are started; so those never have the low pids of early boot.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "record.h"
#include "service.h"
#include "util.h"

#define WINDOWS		32U
#define PID_MAX_PATH	"/proc/sys/kernel/pid_max"
#define LAST_PID_PATH	"/proc/sys/kernel/ns_last_pid"

/* Windows smaller than this are soon left. */
#define WINDOW_MIN	4096U

static uint64_t read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	uint64_t number = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%" SCNu64, &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

struct windows {
	uint64_t	size;
	bool		used[WINDOWS];
	unsigned int	last;
};

static void use(struct windows *windows, uint64_t pid)
{
	const uint64_t window = pid / windows->size;

	if (window >= WINDOWS)
		return;
	windows->used[window] = true;
	if (window > windows->last)
		windows->last = window;
}

static void use_all(struct windows *windows, struct json_object *ids)
{
	for (size_t i = 0; ids && i < json_object_array_length(ids); i++)
		use(windows, json_object_get_uint64(json_object_array_get_idx(ids, i)));
}

static void look_at_records(struct windows *windows, int dev)
{
	struct pram_node_stat node = { .id = 0 };
	const char *unit;

	while ((unit = record_next(dev, &node))) {
		struct json_object *record;
		uint64_t kexecs;

		if (record_load(dev, unit, &record, &kexecs))
			continue;
		use_all(windows, json_object_object_get(record, "pids"));
		use_all(windows, json_object_object_get(record, "threads"));
		json_object_put(record);
	}
}

/* What was dumped by hand: of these the root's pid is known. */
static void look_at_checkpoints(struct windows *windows, int dev)
{
	struct pram_node_stat node = { .id = 0 };
	struct pram_checkpoint_node parsed;

	while (pram_list_next(dev, &node) > 0) {
		struct pram_checkpoint_reader *r;

		if (!pram_checkpoint_node_parse(&node, &parsed) || *parsed.image ||
		    pram_reader_open(dev, parsed.name, PRAM_LOAD_PEEK, &r))
			continue;
		if (pram_reader_index(r)->has_root_pid)
			use(windows, pram_reader_index(r)->root_pid);
		pram_reader_close(r);
	}
}

int service_pids(void)
{
	struct windows windows = { .size = read_number(PID_MAX_PATH) / WINDOWS };
	_cleanup_close_ int dev = pram_open();
	unsigned int window;
	FILE *file;
	int ret = -EIO;

	if (!windows.size) {
		say(LOG_ERR, NULL, PID_MAX_PATH " can't be read: mount /proc");
		return 1;
	}
	if (windows.size < WINDOW_MIN)
		say(LOG_WARNING, NULL, "a pid that a restore needs may be taken, because " PID_MAX_PATH " is only %" PRIu64 ": raise it to 4194304",
		    windows.size * WINDOWS);
	if (dev >= 0) {
		look_at_records(&windows, dev);
		look_at_checkpoints(&windows, dev);
	}
	/* The one behind, for kexecs in a row; never the first, which early boot has. */
	window = windows.last;
	for (unsigned int n = 0; n < WINDOWS; n++) {
		window = window % (WINDOWS - 1) + 1;
		if (!windows.used[window])
			break;
	}
	file = fopen(LAST_PID_PATH, "we");
	if (file) {
		fprintf(file, "%" PRIu64, window * windows.size);
		ret = fclose(file) ? -errno : 0;
	} else {
		ret = -errno;
	}
	if (ret)
		say(LOG_ERR, NULL, LAST_PID_PATH " can't be written: %s; pids that are to be restored may be taken",
		    strerror(-ret));
	else
		say(LOG_INFO, NULL, "pids of this boot begin at %" PRIu64, window * windows.size);
	return !!ret;
}
