// SPDX-License-Identifier: GPL-2.0-only
/*
 * Containers of podman that go over a kexec. podman itself checkpoints and restores them, with
 * runc and criu; this decides when, keeps the record beside the checkpoint, and the lock of the
 * network, and has a container stopped and started as ever if it can't be done. What a service's
 * unit is for a service, is for a container the unit that runs it, or "container:NAME".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "checkpoint.h"
#include "podman.h"
#include "podman_line.h"
#include "pram-exec.h"
#include "record.h"
#include "service.h"
#include "stop.h"
#include "tasks.h"
#include "util.h"

/* podman, runc and criu together. */
#define PODMAN_SECONDS	300U
#define ADDRESS_SECONDS	60U
/* podman is asked twice, and then checkpoints it, or stops it. */
#define CONTAINER_SECONDS (4 * PODMAN_SECONDS)

/**
 * struct carried - a container that goes over a kexec
 * @key: the unit that runs it, or "container:NAME"
 * @name: podman's name for it
 * @dev: /dev/pram
 * @container: what podman says of it
 * @record: what goes along
 */
struct carried {
	const char		*key;
	const char		*name;
	int			dev;
	struct container	container;
	struct json_object	*record;
};

static void carried_end(struct carried *c)
{
	container_free(&c->container);
	json_object_put(c->record);
	if (c->dev >= 0)
		close(c->dev);
}

static void put_text(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

/* What podman says, and what criu has logged first of an error: to be freed, or NULL. */
static char *why_failed(const struct carried *c, const char *log, const char *error)
{
	_cleanup_close_ int logs = open(c->container.logs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *first = logs < 0 ? NULL : criu_first_error(logs, log);
	char *why;
	int ret;

	if (first)
		ret = asprintf(&why, "%s; see %s/%s", first, c->container.logs, log);
	else
		ret = asprintf(&why, "%s", error);
	return ret < 0 ? NULL : why;
}

/* ---- the dump ------------------------------------------------------------ */

/* It is stopped as ever; the next kernel knows by the record that it ran. */
static void stopped(struct carried *c, const char *why)
{
	say(LOG_ERR, c->key, "it is stopped, not dumped: %s", why);
	history_not_dumped(c->key, why);
	if (c->record && record_save(c->dev, c->key, c->record))
		say(LOG_WARNING, c->key, "its record can't be stored in PRAM: 'podman start %s' starts it in the next kernel",
		    c->name);
}

static void add_published(struct json_object *rules, const struct container *container)
{
	for (size_t i = 0; i < json_object_array_length(container->published); i++)
		json_object_array_add(rules, json_object_get(
			json_object_array_get_idx(container->published, i)));
}

/* The ports of a pod are published by its own container. */
static void add_published_by_pod(struct json_object *rules, const char *infra)
{
	char error[CONTAINER_ERROR_MAX];
	struct container container;

	if (!container_load(infra, &container, error))
		add_published(rules, &container);
	container_free(&container);
}

/* Rules for all that arrives for it: at its ports, and for its connections. */
static void look_at_network(struct carried *c, struct json_object *ports,
			    struct json_object *connections, struct json_object *addresses)
{
	const bool of_host = !strcmp(c->container.network, "host");
	struct json_object *listening = json_object_new_array();
	const char *infra = container_infra(&c->container);
	struct pram_tasks tasks;
	pid_t *pids;

	add_published(ports, &c->container);
	if (infra)
		add_published_by_pod(ports, infra);
	if (!strcmp(c->container.network, "none") || pram_tasks_look(c->container.pid, &tasks))
		goto out;
	pids = calloc(tasks.nr + 1, sizeof(*pids));
	if (pids) {
		memcpy(pids, tasks.pids, tasks.nr * sizeof(*pids));
		/* In a network of its own it has addresses that podman gives it. */
		sockets_look(pids, of_host ? addresses : NULL, of_host ? listening : NULL, connections);
	}
	free(pids);
	pram_tasks_free(&tasks);
	for (size_t i = 0; i < json_object_array_length(listening); i++) {
		char rule[64];

		snprintf(rule, sizeof(rule), "tcp dport %d",
			 json_object_get_int(json_object_array_get_idx(listening, i)));
		json_object_array_add(ports, json_object_new_string(rule));
	}
out:
	json_object_put(listening);
}

/* Has podman checkpoint it: 0, or not after having said why. */
static int run_checkpoint(struct carried *c)
{
	const char *const argv[] = {
		"container", "checkpoint", "--tcp-established", "--file-locks", c->name, NULL,
	};
	const uint64_t start = now_ns();
	char error[CONTAINER_ERROR_MAX];
	_cleanup_free_ char *why = NULL;
	int ret = podman_run(argv, PODMAN_SECONDS, NULL, error);

	if (ret) {
		why = why_failed(c, "dump.log", error);
		lock_remove(c->key);
		stopped(c, why ?: "out of memory");
		return ret;
	}
	put_text(c->record, "checkpoint", c->container.images);
	json_object_object_add(c->record, "frozen_ns", json_object_new_uint64(start));
	json_object_object_add(c->record, "dumped_ns", json_object_new_uint64(now_ns()));
	return 0;
}

static void save(struct carried *c)
{
	int ret = record_save(c->dev, c->key, c->record);

	if (ret) {
		say(LOG_ERR, c->key, "it is dumped, but its record can't be stored in PRAM: %s; 'podman container restore --tcp-established %s' restores it in the next kernel",
		    strerror(-ret), c->name);
		return;
	}
	if (!record_has_checkpoint(c->dev, c->key)) {
		json_object_object_del(c->record, "checkpoint");
		stopped(c, "podman has checkpointed it, but not into PRAM: see the file that its annotation org.criu.config names");
		return;
	}
	mark_remove(TRIED_DIR, c->key);
	/* What the unit has to remove it by then does nothing. */
	if (!container_name(c->key))
		mark_write(ENV_DIR, c->key, PRAM_EXEC_VARIABLE "=dumped\n");
	say(LOG_NOTICE, c->key, "container %s is dumped into PRAM in %" PRIu64 " ms", c->name,
	    (record_number(c->record, "dumped_ns") - record_number(c->record, "frozen_ns")) / 1000000);
}

static void dump(struct carried *c)
{
	const bool of_host = !strcmp(c->container.network, "host");
	struct json_object *addresses = json_object_new_array(), *ports = json_object_new_array();
	struct json_object *connections = json_object_new_array();
	int ret;

	json_object_object_add(c->record, "addresses", addresses);
	look_at_network(c, ports, connections, addresses);
	/* What has begun goes on until it is frozen, or clients would close what the container holds to be open. */
	ret = lock_new_by_rules(c->key, ports, c->container.pid, of_host);
	if (!run_checkpoint(c)) {
		for (size_t i = 0; i < json_object_array_length(ports); i++)
			json_object_array_add(connections, json_object_get(json_object_array_get_idx(ports, i)));
		ret = lock_arriving(c->key, connections, c->record) ?: ret;
		save(c);
	}
	if (ret)
		say(LOG_WARNING, c->key, "packets for it can't be held off: peers may be reset");
	json_object_put(connections);
	json_object_put(ports);
}

/* Has it been dumped? */
static bool dump_one(const char *key, const char *name)
{
	const char *const stop[] = { "stop", name, NULL };
	struct carried c = { .key = key, .name = name, .dev = -1 };
	struct json_object *obstacles = NULL;
	char error[CONTAINER_ERROR_MAX];
	struct utsname kernel;
	bool dumped = false;
	int ret;

	if (!is_kexec(key))
		return false;
	/* As service_dump() does; conmon is the unit's main process. */
	stop_catch();
	if (getenv("MAINPID"))
		ask_for_time(key, atoi(getenv("MAINPID")), CONTAINER_SECONDS);
	c.dev = pram_open();
	/* If this dump fails, none of earlier times must be restored in its place. */
	ret = c.dev < 0 ? c.dev : record_remove(c.dev, key);
	if (ret) {
		say(LOG_ERR, key, "it is stopped, not dumped: /dev/pram: %s; run 'pramctl check'",
		    strerror(-ret));
		goto out;
	}
	ret = container_load(name, &c.container, error);
	if (ret) {
		stopped(&c, error);
		goto out;
	}
	/* It has ended by itself, or nobody has started it. */
	if (!c.container.running)
		goto out;
	uname(&kernel);
	c.record = json_object_new_object();
	put_text(c.record, "unit", key);
	put_text(c.record, "container", name);
	put_text(c.record, "id", c.container.id);
	put_text(c.record, "kernel", kernel.release);
	if (container_infra(&c.container))
		put_text(c.record, "infra", container_infra(&c.container));
	obstacles = container_obstacles(&c.container, container_name(key) ? NULL : key);
	if (json_object_array_length(obstacles))
		stopped(&c, json_object_get_string(json_object_array_get_idx(obstacles, 0)));
	else
		dump(&c);
	dumped = *record_text(c.record, "checkpoint");
	/* systemd would only end its scope, which takes a minute and more if it does not heed that. */
	if (!dumped && container_name(key) && podman_run(stop, PODMAN_SECONDS, NULL, error))
		say(LOG_WARNING, key, "podman can't stop it: %s", error);
	json_object_put(obstacles);
out:
	carried_end(&c);
	return dumped;
}

/* What systemd does next is the same whatever comes out of it. */
static int container_dump(const char *key, const char *name)
{
	dump_one(key, name);
	return 0;
}

/*
 * A pod's own container only holds namespaces. It is checkpointed to ordinary images, of less than 1 MiB,
 * so that it gets its addresses again.
 */
static void dump_infra(const char *key, const char *infra)
{
	const char *const argv[] = { "container", "checkpoint", infra, NULL };
	char error[CONTAINER_ERROR_MAX];
	struct container container;

	if (!container_load(infra, &container, error) && container.running &&
	    podman_run(argv, PODMAN_SECONDS, NULL, error))
		say(LOG_WARNING, key, "its pod's own container can't be checkpointed, so the pod may get other addresses: %s",
		    error);
	container_free(&container);
}

/* Those of the pods whose containers have been dumped. */
static void dump_infras(void)
{
	struct pram_node_stat node = { .id = 0 };
	_cleanup_close_ int dev = pram_open();
	const char *key;

	while (dev >= 0 && (key = record_next(dev, &node))) {
		struct json_object *record;
		uint64_t kexecs;

		if (node.kexec_count || record_load(dev, key, &record, &kexecs))
			continue;
		if (*record_text(record, "infra") && *record_text(record, "checkpoint"))
			dump_infra(key, record_text(record, "infra"));
		json_object_put(record);
	}
}

/* All that no unit runs, at the same time. */
static int containers_dump(void)
{
	DIR *dir = opendir(CONTAINERS_DIR);
	struct dirent *entry;
	bool any = false;
	int status;

	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *key = NULL;
		const char *end = strstr(entry->d_name, CONTAINERS_SUFFIX);
		pid_t pid;

		/* People may have drop-ins of their own there. */
		if (!end || strcmp(end, CONTAINERS_SUFFIX))
			continue;
		if (asprintf(&key, CONTAINER_PREFIX "%.*s", (int)(end - entry->d_name),
			     entry->d_name) < 0) {
			key = NULL;
			continue;
		}
		pid = fork();
		if (!pid)
			_exit(dump_one(key, container_name(key)));
		if (pid < 0)
			say(LOG_ERR, key, "it is stopped, not dumped: %s", strerror(errno));
	}
	if (dir)
		closedir(dir);
	while (wait(&status) > 0)
		any |= WIFEXITED(status) && WEXITSTATUS(status);
	if (any)
		dump_infras();
	return 0;
}

/* For "pramctl check --services --try". */
static int container_try(const char *key, const char *name)
{
	const char *const argv[] = {
		"container", "checkpoint", "--leave-running", "--tcp-established", "--file-locks",
		name, NULL,
	};
	struct carried c = { .key = key, .name = name, .dev = pram_open() };
	_cleanup_free_ char *why = NULL, *marker = NULL;
	char error[CONTAINER_ERROR_MAX];
	int ret;

	ret = container_load(name, &c.container, error);
	if (!ret)
		ret = podman_run(argv, PODMAN_SECONDS, NULL, error);
	if (ret) {
		why = c.container.logs ? why_failed(&c, "dump.log", error) : NULL;
		puts(why ?: error);
	}
	/* Also if it has failed: nothing is to be left. */
	if (c.container.images) {
		pram_checkpoint_remove(c.dev, c.container.images, NULL);
		if (asprintf(&marker, "%s/inventory.img", c.container.images) < 0)
			marker = NULL;
		else
			unlink(marker);
	}
	carried_end(&c);
	return !!ret;
}

/* ---- the restore --------------------------------------------------------- */

/* Is it to be restored? If not, @why says so where it is worth saying. */
static bool is_to_be_restored(struct carried *c, uint64_t kexecs, const char **why)
{
	*why = NULL;
	if (!*record_text(c->record, "checkpoint"))
		*why = "it was not dumped";
	else if (strcmp(record_text(c->record, "id"), c->container.id))
		*why = "another container has this name by now";
	else if (c->container.running)
		*why = "it has been started already";
	return !*why && is_due(c->dev, c->key, kexecs, why);
}

static int wait_for_addresses(struct carried *c, char **why)
{
	struct json_object *addresses = json_object_object_get(c->record, "addresses");
	const char *missing = NULL;

	for (unsigned int n = 0; n < ADDRESS_SECONDS * 10; n++) {
		missing = sockets_missing_address(addresses);
		if (!missing)
			return 0;
		usleep(100000);
	}
	if (asprintf(why, "no network interface has its address %s", missing) < 0)
		*why = NULL;
	return -EADDRNOTAVAIL;
}

/* Has the pod's own container run: 0 or not. */
static int start_infra(const char *key, const char *infra, char error[CONTAINER_ERROR_MAX])
{
	const char *const restore[] = { "container", "restore", infra, NULL };
	const char *const start[] = { "start", infra, NULL };
	struct container container;
	int ret = container_load(infra, &container, error);

	if (!ret && !container.running) {
		ret = podman_run(restore, PODMAN_SECONDS, NULL, error);
		if (ret) {
			say(LOG_WARNING, key, "its pod's own container is started afresh, so the pod may have other addresses: %s",
			    error);
			ret = podman_run(start, PODMAN_SECONDS, NULL, error);
		}
	}
	container_free(&container);
	return ret;
}

/*
 * podman restores a container with the configuration of its last start, in which the pod's
 * namespaces are those of a process of the last kernel. So it is made to write that anew, and to
 * forget the container that it has made for that. 0 or not.
 */
static int join_pod(struct carried *c, const char *infra, char error[CONTAINER_ERROR_MAX])
{
	const char *const init[] = { "init", c->name, NULL };
	const char *const cleanup[] = { "container", "cleanup", c->name, NULL };
	_cleanup_close_ int lock = open(RUN_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret;

	/* Others of the pod wait until it is there. */
	if (lock < 0 || flock(lock, LOCK_EX)) {
		ret = -errno;
		snprintf(error, CONTAINER_ERROR_MAX, RUN_DIR " can't be locked: %s", strerror(-ret));
		return ret;
	}
	ret = start_infra(c->key, infra, error);
	flock(lock, LOCK_UN);
	ret = ret ?: podman_run(init, PODMAN_SECONDS, NULL, error);
	return ret ?: podman_run(cleanup, PODMAN_SECONDS, NULL, error);
}

/* Has podman restore it: 0, or not, with @why, to be freed. */
static int run_restore(struct carried *c, char **why)
{
	const char *const argv[] = {
		"container", "restore", "--tcp-established", "--file-locks", c->name, NULL,
	};
	const char *infra = record_text(c->record, "infra");
	char error[CONTAINER_ERROR_MAX];
	int ret = mark_write(TRIED_DIR, c->key, "");

	/* Whoever unlocks connections late leaves those alone that are restored at this moment. */
	ret = ret ?: mark_write(ENV_DIR, c->key, "");
	if (ret) {
		if (asprintf(why, RUN_DIR " can't be written: %s", strerror(-ret)) < 0)
			*why = NULL;
		return ret;
	}
	ret = wait_for_addresses(c, why);
	if (ret)
		return ret;
	if (*infra && join_pod(c, infra, error)) {
		if (asprintf(why, "its pod is not there: %s", error) < 0)
			*why = NULL;
		return -EIO;
	}
	ret = podman_run(argv, PODMAN_SECONDS, NULL, error);
	if (ret)
		*why = why_failed(c, "restore.log", error);
	return ret;
}

/* Was it restored? If not, it is to be started as ever if it ran, which is @ran. */
static bool restore(struct carried *c, bool *ran)
{
	_cleanup_free_ char *why = NULL;
	char error[CONTAINER_ERROR_MAX];
	const uint64_t start = now_ns();
	const char *reason;
	uint64_t kexecs;
	int ret;

	*ran = false;
	c->dev = pram_open();
	ret = c->dev < 0 ? -ENOENT : record_load(c->dev, c->key, &c->record, &kexecs);
	/* A kernel without PRAM has nothing to restore. */
	if (ret == -ENOENT)
		return false;
	*ran = true;
	if (ret) {
		say(LOG_ERR, c->key, "it is started afresh: its record in PRAM can't be read: %s; 'pramctl list' shows what there is",
		    strerror(-ret));
		service_forget(c->dev, c->key);
		return false;
	}
	/* If its unit makes it anew at each start, there may be none. */
	if (!container_name(c->key) && !*record_text(c->record, "checkpoint")) {
		say(LOG_WARNING, c->key, "it is started afresh, not restored: it was not dumped");
		service_forget(c->dev, c->key);
		return false;
	}
	ret = container_load(c->name, &c->container, error);
	if (ret) {
		say(LOG_ERR, c->key, "it is not restored: %s", error);
		/* It is started afresh, if it exists. From then on its checkpoint is older than its files. */
		*ran = ret != -ENOENT;
		service_forget(c->dev, c->key);
		return false;
	}
	if (!is_to_be_restored(c, kexecs, &reason)) {
		if (reason)
			say(LOG_WARNING, c->key, "it is started afresh, not restored: %s", reason);
		*ran = !strcmp(record_text(c->record, "id"), c->container.id);
		service_forget(c->dev, c->key);
		return false;
	}
	if (!kexecs)
		say(LOG_NOTICE, c->key, "the kexec that it was dumped for did not happen: it is restored in the same kernel");
	ret = run_restore(c, &why);
	if (ret) {
		history_restored(c->key, c->record, start, 0, "failed", why ?: "out of memory");
		say(LOG_ERR, c->key, "it is started afresh, as its restore has failed: %s%s%s%s",
		    why ?: "out of memory",
		    record_has_checkpoint(c->dev, c->key) ? "; 'pramctl rm " : "",
		    record_has_checkpoint(c->dev, c->key) ? c->container.images : "",
		    record_has_checkpoint(c->dev, c->key) ? "' frees its memory" : "");
		service_forget(c->dev, c->key);
		return false;
	}
	history_restored(c->key, c->record, start, 0, "restored", NULL);
	service_forget(c->dev, c->key);
	say(LOG_NOTICE, c->key, "container %s is restored from PRAM in %" PRIu64 " ms; it stood still for %" PRIu64 " ms",
	    c->name, (now_ns() - start) / 1000000,
	    (now_ns() - record_number(c->record, "frozen_ns")) / 1000000);
	return true;
}

/* By pram-container@.service: of a container that no unit runs. */
static int container_restore(const char *key, const char *name)
{
	const char *const argv[] = { "start", name, NULL };
	struct carried c = { .key = key, .name = name, .dev = -1 };
	char error[CONTAINER_ERROR_MAX];
	int ret = 0;
	bool ran;

	/* podman would leave conmon in the unit that it is called by, which ends soon. */
	unsetenv("INVOCATION_ID");
	if (!restore(&c, &ran) && ran) {
		ret = podman_run(argv, PODMAN_SECONDS, NULL, error);
		if (ret)
			say(LOG_ERR, key, "it can't be started: %s", error);
	}
	carried_end(&c);
	return !!ret;
}

static int write_id(const char *path, const char *id)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return -errno;
	fputs(id, file);
	return fclose(file) ? -errno : 0;
}

/* A restore tells the unit less than "podman run" does: 0 or not, after having said why. */
static int tell_unit(const char *key, const char *name, char **command)
{
	char error[CONTAINER_ERROR_MAX];
	struct container container;
	struct podman_line line;
	const char *path;
	int ret;

	podman_line_take(command, &line);
	path = podman_line_option(&line, "--cidfile");
	if (!path && !getenv("NOTIFY_SOCKET"))
		return 0;
	ret = container_load(name, &container, error);
	if (ret) {
		say(LOG_ERR, key, "it is restored, but what its unit has to know can't be found out: %s", error);
		container_free(&container);
		return ret;
	}
	ret = path ? write_id(path, container.id) : 0;
	if (ret)
		say(LOG_ERR, key, "it is restored, but %s can't be written: %s", path, strerror(-ret));
	else
		sd_notifyf(0, "MAINPID=%d\nREADY=1", container.conmon);
	container_free(&container);
	return ret;
}

/* ExecStart= of a unit that runs a container: restores it, or does what the unit did. */
static int container_start(const char *key, const char *name, char **command)
{
	struct carried c = { .key = key, .name = name, .dev = -1 };
	bool ran, restored;

	unsetenv(PRAM_EXEC_VARIABLE);
	restored = restore(&c, &ran);
	carried_end(&c);
	if (restored)
		return !!tell_unit(key, name, command);
	execv(*command, command);
	say(LOG_ERR, key, "%s can't be executed: %s", *command, strerror(errno));
	return 1;
}

int container_main(int argc, char **argv)
{
	static const struct {
		const char	*verb;
		int		(*run)(const char *key, const char *name);
	} verbs[] = {
		{ "container-dump", container_dump },
		{ "container-try", container_try },
		{ "container-restore", container_restore },
	};

	if (argc == 2 && !strcmp(argv[1], "containers-dump"))
		return containers_dump();
	if (argc > 5 && !strcmp(argv[1], "container-start") && !strcmp(argv[4], "--"))
		return container_start(argv[2], argv[3], argv + 5);
	for (size_t i = 0; argc == 4 && i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (!strcmp(argv[1], verbs[i].verb))
			return verbs[i].run(argv[2], argv[3]);
	}
	fputs("usage: pram-service containers-dump\n"
	      "       pram-service container-dump|container-try|container-restore UNIT CONTAINER\n"
	      "       pram-service container-start UNIT CONTAINER -- COMMAND...\n"
	      "UNIT is the one that runs the container, or container:CONTAINER.\n", stderr);
	return 2;
}
