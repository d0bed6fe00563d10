// SPDX-License-Identifier: GPL-2.0-only
/* Which services go over a kexec, how it went the last time, and what stands in the way now. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drop_in.h"
#include "output.h"
#include "pramctl.h"
#include "record.h"
#include "services.h"
#include "sysfile.h"
#include "tasks.h"
#include "util.h"

struct listing {
	const char		*root;
	int			dev;
	struct json_object	*services;
};

static void add_obstacle(struct json_object *obstacles, const char *text)
{
	output_append(obstacles, json_object_new_string(text));
}

/* What is known of its tasks. */
static void look_at_tasks(const struct unit *unit, struct json_object *obstacles)
{
	_cleanup_free_ char *text = NULL;
	struct pram_tasks tasks;
	struct pram_room room;
	uint64_t least = 0;

	if (!unit->main_pid || pram_tasks_look_service(unit->main_pid, &tasks))
		return;
	for (size_t i = 0; i < tasks.nr_lost; i++) {
		_cleanup_free_ char *lost =
			output_format("process %d has %s open, which a kexec destroys: put it on a tmpfs with pram=, or on a disk",
				      tasks.lost[i].pid, tasks.lost[i].path);

		add_obstacle(obstacles, lost);
	}
	for (size_t i = 0; i < tasks.nr; i++) {
		_cleanup_free_ char *low = NULL;

		if (tasks.pids[i] >= SERVICES_LOW_PID)
			continue;
		low = output_format("process %d has a pid that the next boot is likely to use: restart it when pram-pids.service has been started",
				    tasks.pids[i]);
		add_obstacle(obstacles, low);
		break;
	}
	pram_tasks_copied(&tasks, false, &least);
	if (!pram_room_get(&room) && least > room.most) {
		text = output_format("%" PRIu64 " MiB of its memory have to be copied, and there is room for %" PRIu64 " MiB: free some",
				     least >> 20, room.most >> 20);
		add_obstacle(obstacles, text);
	}
	pram_tasks_free(&tasks);
}

static void look_at_unit(const struct unit *unit, const char *root, struct json_object *obstacles)
{
	_cleanup_free_ char *path = drop_in_path(root, unit->id);
	_cleanup_free_ char *text = sysfile_read("", path);
	struct json_object *more = drop_in_obstacles(unit, false);

	if (text && drop_in_is_stale(unit, root, text)) {
		_cleanup_free_ char *stale =
			output_format("its files have changed since it was enabled: run 'pramctl disable %s', then enable it again",
				      unit->id);

		add_obstacle(obstacles, stale);
	}
	for (size_t i = 0; i < json_object_array_length(more); i++)
		output_append(obstacles, json_object_get(json_object_array_get_idx(more, i)));
	json_object_put(more);
	look_at_tasks(unit, obstacles);
}

static void add_history(struct json_object *service, const char *root, const char *unit)
{
	static const char *const copied[] = {
		"result", "reason", "dumped_ns", "ended_ns", "dump_ms", "restore_ms",
		"blackout_ms", "from_kernel",
	};
	struct json_object *history = record_history_load(root, unit), *value;

	for (size_t i = 0; history && i < sizeof(copied) / sizeof(*copied); i++) {
		if (json_object_object_get_ex(history, copied[i], &value))
			output_add(service, copied[i], json_object_get(value));
	}
	json_object_put(history);
}

static void add_service(const char *name, void *arg)
{
	struct json_object *service = output_new_object(), *obstacles = output_new_array();
	struct listing *listing = arg;
	char error[UNIT_ERROR_MAX];
	struct unit unit;

	output_add_string(service, "unit", name);
	if (unit_load(name, &unit, error)) {
		output_add_string(service, "state", "unknown");
		add_obstacle(obstacles, error);
	} else if (strcmp(unit.load_state, "loaded")) {
		output_add_string(service, "state", unit.load_state);
		add_obstacle(obstacles, "systemd can't load it: 'systemctl status' says why; 'pramctl disable' forgets it");
	} else {
		output_add_string(service, "state", unit.active_state);
		if (unit.main_pid)
			output_add_number(service, "pid", unit.main_pid);
		look_at_unit(&unit, listing->root, obstacles);
	}
	unit_free(&unit);
	output_add_bool(service, "checkpoint",
			listing->dev >= 0 && record_has_checkpoint(listing->dev, name));
	add_history(service, listing->root, name);
	output_add(service, "obstacles", obstacles);
	output_append(listing->services, service);
}

static void add_unit_obstacles(const char *name, void *arg)
{
	struct listing *listing = arg;
	struct json_object *obstacles = output_new_array();
	char error[UNIT_ERROR_MAX];
	struct unit unit;

	if (unit_load(name, &unit, error))
		add_obstacle(obstacles, error);
	else if (!strcmp(unit.load_state, "loaded") && unit.main_pid)
		look_at_unit(&unit, listing->root, obstacles);
	unit_free(&unit);
	for (size_t i = 0; i < json_object_array_length(obstacles); i++) {
		_cleanup_free_ char *text =
			output_format("%s: %s", name,
				      json_object_get_string(json_object_array_get_idx(obstacles, i)));

		add_obstacle(listing->services, text);
	}
	json_object_put(obstacles);
}

struct json_object *services_obstacles(const char *root)
{
	struct listing listing = { .root = root, .dev = -1, .services = output_new_array() };

	services_for_each(root, add_unit_obstacles, &listing);
	return listing.services;
}

static void print(struct json_object *services)
{
	static const struct output_column columns[] = {
		{ "SERVICE", "unit", OUTPUT_TEXT },
		{ "STATE", "state", OUTPUT_TEXT },
		{ "PID", "pid", OUTPUT_NUMBER },
		{ "CHECKPOINT", "checkpoint", OUTPUT_YES_NO },
		{ "LAST DUMP", "dumped_ns", OUTPUT_TIME },
		{ "WENT", "result", OUTPUT_TEXT },
		{ "BLACKOUT MS", "blackout_ms", OUTPUT_NUMBER },
	};
	const size_t nr = json_object_array_length(services);

	if (!nr) {
		puts("No service is enabled; 'pramctl enable UNIT' does that.");
		return;
	}
	output_table(services, OUTPUT_COLUMNS(columns));
	for (size_t i = 0; i < nr; i++) {
		struct json_object *service = json_object_array_get_idx(services, i), *reason;
		struct json_object *obstacles = json_object_object_get(service, "obstacles");
		const char *unit = json_object_get_string(json_object_object_get(service, "unit"));

		if (json_object_object_get_ex(service, "reason", &reason)) {
			printf("%s: was started afresh the last time: ", unit);
			output_print(json_object_get_string(reason));
			putchar('\n');
		}
		for (size_t k = 0; k < json_object_array_length(obstacles); k++) {
			printf("%s: in the way: ", unit);
			output_print(json_object_get_string(json_object_array_get_idx(obstacles, k)));
			putchar('\n');
		}
	}
}

enum pramctl_exit pramctl_services(const struct pramctl_args *args)
{
	struct listing listing = { .root = args->root, .services = output_new_array() };
	_cleanup_close_ int dev = pram_open();
	struct json_object *object;

	/* Without PRAM nothing is in it; what is enabled can be told nevertheless. */
	listing.dev = dev;
	services_for_each(args->root, add_service, &listing);
	if (args->json) {
		object = output_new_object();
		output_add(object, "services", listing.services);
		output_json(object);
	} else {
		print(listing.services);
		json_object_put(listing.services);
	}
	return PRAMCTL_OK;
}
