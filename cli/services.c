// SPDX-License-Identifier: GPL-2.0-only
/* Which services go over a kexec, how it went the last time, and what stands in the way now. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "containers.h"
#include "drop_in.h"
#include "output.h"
#include "paths.h"
#include "pramctl.h"
#include "record.h"
#include "service.h"
#include "services.h"
#include "sysfile.h"
#include "tasks.h"
#include "util.h"

#define LINKS_PAUSE_US	500000

struct listing {
	const char		*root;
	int			dev;
	struct json_object	*services;
};

static void add_obstacle(struct json_object *obstacles, const char *text)
{
	output_append(obstacles, json_object_new_string(text));
}

static bool is_among(pid_t pid, const struct pram_tasks *tasks)
{
	for (size_t i = 0; i < tasks->nr; i++) {
		if (tasks->pids[i] == pid)
			return true;
	}
	return false;
}

/* criu dumps one process and its descendants. */
static void look_at_families(const struct unit *unit, const struct pram_tasks *tasks,
			     struct json_object *obstacles)
{
	pid_t *all = cgroup_pids(unit->control_group ?: "");

	for (pid_t *pid = all; pid && *pid; pid++) {
		_cleanup_free_ char *text = NULL, *path = output_format("/proc/%d", *pid);

		/* It may have begun, or ended, since these were looked at. */
		if (is_among(*pid, tasks) || access(path, F_OK) || is_descendant(*pid, unit->main_pid))
			continue;
		text = output_format("process %d is not a descendant of the main process %" PRIu32 ": only one process family can be dumped",
				     *pid, unit->main_pid);
		add_obstacle(obstacles, text);
		break;
	}
	free(all);
}

/* The next start has new directories, which are empty. */
static void look_at_private_tmp(pid_t pid, struct json_object *obstacles)
{
	_cleanup_free_ char *dir = output_format("/proc/%d/fd", pid);
	struct dirent **entries;
	int nr = scandir(dir, &entries, NULL, NULL);

	for (int i = 0; i < nr; i++) {
		_cleanup_free_ char *link = output_format("%s/%s", dir, entries[i]->d_name), *text = NULL;
		char path[512];
		struct stat st;
		ssize_t len = readlink(link, path, sizeof(path) - 1);

		free(entries[i]);
		path[len > 0 ? len : 0] = 0;
		if ((strncmp(path, "/tmp/", 5) && strncmp(path, "/var/tmp/", 9)) || stat(link, &st) ||
		    !st.st_nlink || S_ISSOCK(st.st_mode))
			continue;
		text = output_format("process %d has %s open, which its next start will not have: set PrivateTmp=no, or put the file elsewhere",
				     pid, path);
		add_obstacle(obstacles, text);
	}
	if (nr >= 0)
		free(entries);
}

/* Descriptors 0 to 2 are systemd's, and have others in the next start. */
static void add_standard(pid_t pid, struct json_object *external)
{
	for (int fd = 0; fd < 3; fd++) {
		_cleanup_free_ char *path = output_format("/proc/%d/fd/%d", pid, fd);
		char link[64];
		ssize_t len = readlink(path, link, sizeof(link) - 1);
		struct json_object *entry;

		link[len > 0 ? len : 0] = 0;
		if (strncmp(link, "socket:", 7))
			continue;
		entry = output_new_object();
		output_add_string(entry, "key", link);
		output_append(external, entry);
	}
}

/*
 * What it asks another process is over in a moment, and waited for at the dump. If the same connection
 * is there again, it stays.
 */
static void look_at_links(const struct pram_tasks *tasks, struct json_object *obstacles)
{
	struct unit_tasks self = { .pids = calloc(tasks->nr + 1, sizeof(*self.pids)) };
	struct json_object *external = json_object_new_array();
	_cleanup_free_ char *found = NULL, *text = NULL;
	struct links first, again = { .own = false };

	for (size_t i = 0; self.pids && i < tasks->nr; i++) {
		self.pids[i] = tasks->pids[i];
		add_standard(tasks->pids[i], external);
	}
	links_look(&self, 1, 0, external, &first);
	if (first.own && first.peer) {
		usleep(LINKS_PAUSE_US);
		links_look(&self, 1, 0, external, &again);
	}
	if (again.own && again.pid == first.pid && again.peer == first.peer) {
		found = links_text(&first);
		text = output_format("%s: it can't be dumped while this connection is open", found ?: "");
		add_obstacle(obstacles, text);
	}
	json_object_put(external);
	free(self.pids);
}

/* What is known of its tasks. */
static void look_at_tasks(const struct unit *unit, struct json_object *service,
			  struct json_object *obstacles)
{
	_cleanup_free_ char *text = NULL;
	struct pram_tasks tasks;
	struct pram_room room;
	uint64_t least = 0;

	if (!unit->main_pid || pram_tasks_look_service(unit->main_pid, &tasks))
		return;
	if (tasks.unseen) {
		text = output_format("process %d can't be examined: run pramctl as root", tasks.unseen);
		add_obstacle(obstacles, text);
		pram_tasks_free(&tasks);
		return;
	}
	if (service) {
		output_add_number(service, "tasks", tasks.nr);
		output_add_number(service, "copied",
				  pram_tasks_copied(&tasks, false, check_features(), &least));
	}
	look_at_families(unit, &tasks, obstacles);
	look_at_links(&tasks, obstacles);
	for (size_t i = 0; i < tasks.nr_refused; i++) {
		_cleanup_free_ char *refused =
			output_format("process %d has %s", tasks.refused[i].pid, tasks.refused[i].what);

		add_obstacle(obstacles, refused);
	}
	for (size_t i = 0; i < tasks.nr && unit->private_tmp; i++)
		look_at_private_tmp(tasks.pids[i], obstacles);
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
		low = output_format("process %d has a pid that the next boot is likely to use: restart the service after pram-pids.service has started",
				    tasks.pids[i]);
		add_obstacle(obstacles, low);
		break;
	}
	pram_tasks_copied(&tasks, false, check_features(), &least);
	if (!pram_room_get(&room) && least > room.most) {
		text = output_format("%" PRIu64 " MiB of its memory must be copied, but there is room for only %" PRIu64 " MiB: free some",
				     least >> 20, room.most >> 20);
		add_obstacle(obstacles, text);
	}
	pram_tasks_free(&tasks);
}

static void look_at_unit(const struct unit *unit, const char *root, struct json_object *service,
			 struct json_object *obstacles)
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
	look_at_tasks(unit, service, obstacles);
}

static void add_history(struct json_object *service, const char *root, const char *unit)
{
	static const char *const copied[] = {
		"result", "reason", "dumped_ns", "ended_ns", "dump_ms", "restore_ms",
		"others_ms", "blackout_ms", "from_kernel", "down_ns", "boot_ns",
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
	if (containers_describe(listing->root, name, service, obstacles))
		goto known;
	if (unit_load(name, &unit, error)) {
		output_add_string(service, "state", "unknown");
		add_obstacle(obstacles, error);
	} else if (strcmp(unit.load_state, "loaded")) {
		output_add_string(service, "state", unit.load_state);
		add_obstacle(obstacles, "systemd can't load it: 'systemctl status' says why; 'pramctl disable' removes it");
	} else {
		output_add_string(service, "state", unit.active_state);
		if (unit.main_pid)
			output_add_number(service, "pid", unit.main_pid);
		look_at_unit(&unit, listing->root, service, obstacles);
	}
	unit_free(&unit);
known:
	output_add_bool(service, "checkpoint",
			listing->dev >= 0 && record_has_checkpoint(listing->dev, name));
	add_history(service, listing->root, name);
	output_add(service, "obstacles", obstacles);
	output_append(listing->services, service);
}

/* Each enabled service, with what is in its way. */
static struct json_object *list_services(const char *root)
{
	_cleanup_close_ int dev = pram_open();
	struct listing listing = { .root = root, .dev = dev, .services = output_new_array() };

	/* Without PRAM nothing is in it; what is enabled can be told nevertheless. */
	services_for_each(root, add_service, &listing);
	return listing.services;
}

/* Has criu try: what is in the way, to be freed; or NULL. */
static char *try_dump(const char *unit, struct json_object *container)
{
	char *argv[] = {
		SERVICE_PROGRAM, container ? "container-try" : "try", (char *)unit,
		container ? (char *)json_object_get_string(container) : NULL, NULL,
	};
	posix_spawn_file_actions_t actions;
	int out[2], status, ret;
	char text[1024] = "";
	ssize_t len;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC))
		return output_format("a pipe can't be created: %s", strerror(errno));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	ret = posix_spawn(&pid, SERVICE_PROGRAM, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	len = ret ? 0 : read(out[0], text, sizeof(text) - 1);
	close(out[0]);
	if (ret)
		return output_format(SERVICE_PROGRAM ": %s: install pram-services", strerror(ret));
	text[len > 0 ? len : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	if (waitpid(pid, &status, 0) == pid && !status)
		return NULL;
	return output_format("%s", *text ? text : SERVICE_PROGRAM " has failed");
}

/* A line for each obstacle: what it is, and behind the first colon what to do about it. */
static void check_service(struct check *check, struct json_object *service,
			  enum check_status status)
{
	struct json_object *obstacles = json_object_object_get(service, "obstacles"), *tasks;
	const char *unit = json_object_get_string(json_object_object_get(service, "unit"));
	const bool runs = json_object_object_get_ex(service, "tasks", &tasks);
	_cleanup_free_ char *found = NULL, *copied = NULL, *tried = NULL;
	size_t nr = json_object_array_length(obstacles);

	/* Only if nothing else is known that would keep it from being dumped. */
	if (!nr && runs && check->args->try_dump) {
		tried = try_dump(unit, json_object_object_get(service, "container"));
		if (tried)
			add_obstacle(obstacles, tried);
		nr = json_object_array_length(obstacles);
	}
	for (size_t i = 0; i < nr; i++) {
		_cleanup_free_ char *text = output_format("%s",
			json_object_get_string(json_object_array_get_idx(obstacles, i)));
		char *remedy = strstr(text, ": ");

		if (remedy)
			*remedy = 0;
		check_add(check, unit, status, text,
			  remedy ? remedy + 2 : "it would be started afresh");
	}
	if (nr)
		return;
	if (!runs) {
		check_add(check, unit, CHECK_OK, "does not run", "");
		return;
	}
	copied = output_bytes(json_object_get_uint64(json_object_object_get(service, "copied")));
	found = output_format("%" PRIu64 " process%s, up to %s of memory is copied%s",
			      json_object_get_uint64(tasks),
			      json_object_get_uint64(tasks) == 1 ? "" : "es", copied,
			      check->args->try_dump ? ", dumped as a trial" : "");
	check_add(check, unit, CHECK_OK, found, "");
}

void services_check(struct check *check, enum check_status status)
{
	struct json_object *services = list_services(check->args->root);

	for (size_t i = 0; i < json_object_array_length(services); i++)
		check_service(check, json_object_array_get_idx(services, i), status);
	json_object_put(services);
}

/* What is about all of them. */
static void check_machine(struct check *check)
{
	_cleanup_free_ char *pid_max = sysfile_read(check->args->root, "/proc/sys/kernel/pid_max");
	_cleanup_free_ char *loose =
		sysfile_read(check->args->root, "/proc/sys/net/netfilter/nf_conntrack_tcp_loose");

	check_add(check, "control groups",
		  sysfile_exists(check->args->root, "/sys/fs/cgroup/cgroup.controllers") ?
		  CHECK_OK : CHECK_MISSING,
		  sysfile_exists(check->args->root, "/sys/fs/cgroup/cgroup.controllers") ?
		  "version 2" : "not version 2, or not at /sys/fs/cgroup",
		  "boot with systemd.unified_cgroup_hierarchy=1");
	/* 32 windows of pids. */
	if (!pid_max)
		check_add(check, "pid_max", CHECK_UNKNOWN, "/proc/sys/kernel/pid_max can't be read",
			  "mount /proc");
	else
		check_add(check, "pid_max", strtoul(pid_max, NULL, 10) >= 32 * SERVICES_LOW_PID ?
			  CHECK_OK : CHECK_UNKNOWN, pid_max,
			  "with so few pids, one that a restore needs may be taken: set kernel.pid_max=4194304");
	/* What is restored has no entry in its table. */
	if (loose && !strcmp(loose, "0"))
		check_add(check, "connection tracking", CHECK_UNKNOWN,
			  "does not recognize kept connections",
			  "rules that accept only established connections drop them: set net.netfilter.nf_conntrack_tcp_loose=1");
}

enum pramctl_exit pramctl_check_services(const struct pramctl_args *args)
{
	struct check check = { .args = args, .items = output_new_array() };

	services_check(&check, CHECK_LOST);
	if (!json_object_array_length(check.items))
		check_add(&check, "services", CHECK_UNKNOWN, "none is enabled",
			  "use 'pramctl enable UNIT'");
	check_machine(&check);
	return check_end(&check, "able",
			 check.failed ? "Not all services can survive a kexec." :
					"Nothing is known that would keep services from surviving a kexec.");
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
		puts("No service is enabled; use 'pramctl enable UNIT'.");
		return;
	}
	output_table(services, OUTPUT_COLUMNS(columns));
	for (size_t i = 0; i < nr; i++) {
		struct json_object *service = json_object_array_get_idx(services, i), *reason;
		struct json_object *obstacles = json_object_object_get(service, "obstacles");
		const char *unit = json_object_get_string(json_object_object_get(service, "unit"));

		if (json_object_object_get_ex(service, "reason", &reason)) {
			printf("%s: was started afresh last time: ", unit);
			output_print(json_object_get_string(reason));
			putchar('\n');
		}
		for (size_t k = 0; k < json_object_array_length(obstacles); k++) {
			printf("%s: problem: ", unit);
			output_print(json_object_get_string(json_object_array_get_idx(obstacles, k)));
			putchar('\n');
		}
	}
}

enum pramctl_exit pramctl_services(const struct pramctl_args *args)
{
	struct json_object *services = list_services(args->root), *object;

	if (args->json) {
		object = output_new_object();
		output_add(object, "services", services);
		output_json(object);
	} else {
		print(services);
		json_object_put(services);
	}
	return PRAMCTL_OK;
}
