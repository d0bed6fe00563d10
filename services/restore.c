// SPDX-License-Identifier: GPL-2.0-only
/*
 * The start of an enabled service in the next kernel. "prepare", before it is started,
 * decides whether it is restored: once, and only from a checkpoint of the shutdown that ended
 * the last kernel. Then pram-exec waits in the service's sandbox, and "restore", which is a
 * unit of its own, has criu restore the tasks in there, tells systemd of its main process, and
 * ends pram-exec; or has it start the service as ever, if that fails.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "checkpoint.h"
#include "podman.h"
#include "pram-exec.h"
#include "record.h"
#include "service.h"
#include "streams.h"
#include "tasks.h"
#include "unit.h"
#include "util.h"

#define PAUSE_US		100000
/* Unit tests have another. */
#ifndef WAITER_SECONDS
#define WAITER_SECONDS		300U	/* until pram-exec waits: what the unit runs before it takes its time */
#endif
#define LATE_SECONDS		600U	/* until the unit does something else, when no restore is waited for any more */
#define ADDRESS_SECONDS		120U	/* until addresses are there */
#define ACCEPT_SECONDS		120U	/* until systemd knows the main process */
#define OTHERS_SECONDS		60U	/* until all other services are restored, too */
#define GONE_SECONDS		10U	/* until the tasks of a failed restore are gone */
#define ARGS_MAX		(2 * (EXTERNAL_MAX + LENT_MAX) + 8)

struct restore {
	const char		*unit;
	int			dev;
	pid_t			waiter;		/* pram-exec; 0 if there is none */
	int			waiter_fd;	/* a pidfd of it, or -1 */
	pid_t			pid;
	struct unit		loaded;
	struct json_object	*record;
	int			*streams;	/* of the checkpoint, until that is freed or put back */
	size_t			nr_streams;
	uint64_t		start;
	uint64_t		restored;	/* 0 if it is not */
};

static int set_why(char **why, int ret, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static int set_why(char **why, int ret, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vasprintf(why, format, args) < 0)
		*why = NULL;
	va_end(args);
	return ret;
}

static void write_history(const struct restore *r, const char *result, const char *reason)
{
	history_restored(r->unit, r->record, r->start, r->restored, result, reason);
}

/* ---- prepare ----------------------------------------------------------- */

/*
 * A record that has lived through no kexec is of this boot: the kexec was called off after
 * the dump. Nobody has started the service since, for that removes the record.
 */
bool is_due(int dev, const char *unit, uint64_t kexecs, const char **why)
{
	_cleanup_free_ char *tried = mark_read(TRIED_DIR, unit);

	*why = NULL;
	if (tried)
		return false;
	if (kexecs > 1)
		*why = "its checkpoint is of an earlier shutdown";
	else if (!record_has_checkpoint(dev, unit))
		*why = "its checkpoint is not in PRAM any more";
	return !*why;
}

/* Is any service still to be restored? */
static bool any_is_due(int dev)
{
	struct pram_node_stat node = { .id = 0 };

	while (record_next(dev, &node)) {
		if (node.kexec_count <= 1)
			return true;
	}
	return false;
}

/*
 * The service is started afresh. From then on its checkpoint is older than its files, and must
 * never be restored, whatever comes: it has no record any more. People can still have it.
 */
void service_forget(int dev, const char *unit)
{
	struct json_object *record = NULL;
	uint64_t kexecs;
	int ret;

	if (dev >= 0)
		record_load(dev, unit, &record, &kexecs);
	ret = dev < 0 ? 0 : record_remove(dev, unit);
	/* Requests to it are as welcome as ever; and those to others, if these have waited for it alone. */
	if (dev >= 0 && any_is_due(dev))
		hold_remove(json_object_object_get(record, "ports"));
	else
		hold_end();
	json_object_put(record);
	if (ret)
		say(LOG_ERR, unit, "its record in PRAM can't be removed: %s; run 'pramctl rm --id' with the number that 'pramctl list --nodes' shows for it, or an old state of it may be restored",
		    strerror(-ret));
	mark_remove(ENV_DIR, unit);
	lock_remove(unit);
}

/* Is there a checkpoint of the last shutdown, or of a kexec that was called off, of which nothing is known? */
static bool has_unrecorded(int dev, const char *unit)
{
	char name[PRAM_NAME_MAX], node_name[PRAM_NAME_MAX];
	struct pram_node_stat node;

	return !record_name(unit, name) && !pram_checkpoint_node_name(node_name, name, NULL) &&
	       !pram_stat(dev, node_name, &node) && node.state == PRAM_NODE_READY && node.kexec_count <= 1;
}

/* Whoever has dumped it was killed before its record was stored. That is said once in a boot. */
static void say_unrecorded(const char *unit)
{
	_cleanup_free_ char *tried = mark_read(TRIED_DIR, unit);

	if (tried)
		return;
	mark_write(TRIED_DIR, unit, "");
	say(LOG_ERR, unit, "it is started afresh, not restored: its checkpoint in PRAM has no record, as its dump was cut short; 'pramctl export service:%s DIR' has its memory, 'pramctl rm service:%s' frees it",
	    unit, unit);
}

int service_prepare(const char *unit)
{
	_cleanup_free_ char *helper = NULL;
	_cleanup_close_ int dev = -1;
	struct json_object *record = NULL;
	char error[UNIT_ERROR_MAX];
	const char *why;
	uint64_t kexecs;
	int ret;

	mark_remove(ENV_DIR, unit);
	if (leave_cgroup())
		return 0;
	/* A kernel without PRAM has nothing to restore. */
	dev = pram_open();
	if (dev < 0)
		return 0;
	ret = record_load(dev, unit, &record, &kexecs);
	json_object_put(record);
	if (ret == -ENOENT) {
		/* Its dump may have failed behind them, and the kexec have been called off. */
		lock_remove(unit);
		if (!any_is_due(dev))
			hold_end();
		if (has_unrecorded(dev, unit))
			say_unrecorded(unit);
		return 0;
	}
	if (ret) {
		say(LOG_ERR, unit, "it is started afresh: its record in PRAM can't be read: %s; 'pramctl list' shows what there is",
		    strerror(-ret));
		service_forget(dev, unit);
		return 0;
	}
	if (!is_due(dev, unit, kexecs, &why)) {
		if (why)
			say(LOG_WARNING, unit, "it is started afresh, not restored: %s", why);
		service_forget(dev, unit);
		return 0;
	}
	/* All other services go on, or have never been stopped. */
	if (!kexecs)
		hold_end();
	if (!kexecs)
		say(LOG_NOTICE, unit, "the kexec that it was dumped for did not happen: it is restored in the same kernel");
	/* Whatever comes of it, there is no second time. */
	ret = mark_write(TRIED_DIR, unit, "");
	if (!ret)
		ret = mark_write(ENV_DIR, unit, PRAM_EXEC_VARIABLE "=restore\n");
	if (ret) {
		say(LOG_ERR, unit, "it is started afresh: " RUN_DIR " can't be written: %s",
		    strerror(-ret));
		service_forget(dev, unit);
		return 0;
	}
	if (asprintf(&helper, "pram-restore@%s.service", unit) < 0)
		helper = NULL;
	ret = helper ? unit_start(helper, "replace", error) : -ENOMEM;
	if (ret) {
		say(LOG_ERR, unit, "it is started afresh: %s", helper ? error : "out of memory");
		service_forget(dev, unit);
	}
	return 0;
}

/* ---- restore ----------------------------------------------------------- */

/* pram-exec, when it waits; 0 if there is none. */
static pid_t find_waiter(const char *control_group)
{
	pid_t *pids = cgroup_pids(control_group), found = 0;

	for (pid_t *pid = pids; pid && *pid && !found; pid++) {
		if (process_has_name(*pid, PRAM_EXEC_WAITS))
			found = *pid;
	}
	free(pids);
	return found;
}

/* Is the unit not being started any more? */
static bool is_over(const struct unit *unit)
{
	const char *state = unit->active_state ?: "";

	return !strcmp(state, "inactive") || !strcmp(state, "failed");
}

/*
 * Does pram-exec wait? The cgroup is made when it is started, so the unit is asked over and over. 0 if it may still
 * come; -ECANCELED if not.
 */
static int look_for_waiter(struct restore *r, const char **why)
{
	static char error[UNIT_ERROR_MAX];

	unit_free(&r->loaded);
	if (unit_load(r->unit, &r->loaded, error)) {
		*why = error;
		return 0;
	}
	*why = "pram-exec does not run in its sandbox: has the drop-in of 'pramctl enable' been changed?";
	r->waiter = find_waiter(r->loaded.control_group ?: "");
	r->waiter_fd = r->waiter ? pidfd_open(r->waiter, 0) : -1;
	if (r->waiter_fd >= 0)
		return 1;
	r->waiter = 0;
	if (!is_over(&r->loaded))
		return 0;
	*why = "it was stopped, or failed, before pram-exec ran in its sandbox";
	return -ECANCELED;
}

static int wait_for_waiter(struct restore *r, const char **why)
{
	uint32_t asked = 0;

	for (unsigned int n = 0; n < WAITER_SECONDS * 1000000 / PAUSE_US; n++) {
		const int ret = look_for_waiter(r, why);
		uint32_t pid;

		if (ret < 0)
			return ret;
		/* A unit of Type=notify, forking or exec is given up if it is not ready in time. */
		if (ret) {
			ask_for_time(r->unit, r->waiter,
				     ADDRESS_SECONDS + CRIU_SECONDS + CRIU_GRACE_SECONDS + ACCEPT_SECONDS);
			return 0;
		}
		/* Or if its sandbox is not: that becomes pram-exec. */
		pid = r->loaded.main_pid ?: r->loaded.control_pid;
		if (pid && pid != asked)
			ask_for_time(r->unit, pid, WAITER_SECONDS);
		asked = pid;
		usleep(PAUSE_US);
	}
	return -ETIMEDOUT;
}

static int wait_for_addresses(struct restore *r, char **why)
{
	struct json_object *addresses = json_object_object_get(r->record, "addresses");
	const char *missing = NULL;

	for (unsigned int n = 0; n < ADDRESS_SECONDS * 1000000 / PAUSE_US; n++) {
		missing = sockets_missing_address(addresses);
		if (!missing)
			return 0;
		usleep(PAUSE_US);
	}
	return set_why(why, -EADDRNOTAVAIL, "no network interface has its address %s", missing);
}

/* A copy of pram-exec's connection to the journal, which is its stderr, or its stdout; or -1, with errno. */
static int take_journal(struct restore *r)
{
	for (int number = 2; number; number--) {
		int fd = pidfd_getfd(r->waiter_fd, number, 0);

		if (fd < 0 || is_journal(fd))
			return fd;
		close(fd);
	}
	errno = ENOTCONN;
	return -1;
}

/* A copy of pram-exec's descriptor of the socket that is bound so; or -1, with errno. */
static int take_socket(struct restore *r, const char *text)
{
	struct dirent *entry;
	int found = -1;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", r->waiter);
	dir = opendir(path);
	while (dir && found < 0 && (entry = readdir(dir))) {
		_cleanup_free_ char *other = NULL;
		int fd = *entry->d_name == '.' ? -1 : pidfd_getfd(r->waiter_fd, atoi(entry->d_name), 0);

		other = fd < 0 ? NULL : socket_text(fd);
		if (other && !strcmp(other, text))
			found = fd;
		else if (fd >= 0)
			close(fd);
	}
	if (dir)
		closedir(dir);
	errno = ENOTCONN;
	return found;
}

/* The option by which criu takes a descriptor in the place of what it knows by @key. */
static int add_inherited(int fd, const char *key, char **args, size_t *nr, int *fds, size_t *nr_fds)
{
	fds[(*nr_fds)++] = fd;
	args[(*nr)++] = strdup("--inherit-fd");
	if (asprintf(&args[*nr], "fd[%d]:%s", fd, key) < 0)
		args[*nr] = NULL;
	return args[(*nr)++] ? 0 : -ENOMEM;
}

/* Sockets that systemd listens on for the service. */
static int take_sockets(struct restore *r, char **args, size_t *nr, int *fds, size_t *nr_fds)
{
	struct json_object *lent = json_object_object_get(r->record, "lent");

	for (size_t i = 0; lent && i < json_object_array_length(lent) && i < LENT_MAX; i++) {
		struct json_object *entry = json_object_array_get_idx(lent, i);
		int fd = take_socket(r, record_text(entry, "socket"));

		if (fd < 0)
			return -errno;
		if (add_inherited(fd, record_text(entry, "key"), args, nr, fds, nr_fds))
			return -ENOMEM;
	}
	return 0;
}

/* Descriptors of pram-exec's that take the places of those that were external. */
static int take_descriptors(struct restore *r, char **args, size_t *nr, int *fds, size_t *nr_fds)
{
	struct json_object *external = json_object_object_get(r->record, "external"), *number;

	for (size_t i = 0; external && i < json_object_array_length(external) && i < EXTERNAL_MAX; i++) {
		struct json_object *entry = json_object_array_get_idx(external, i);
		int fd = json_object_object_get_ex(entry, "fd", &number) ?
			 pidfd_getfd(r->waiter_fd, json_object_get_int(number), 0) : take_journal(r);

		if (fd < 0)
			return -errno;
		if (add_inherited(fd, record_text(entry, "key"), args, nr, fds, nr_fds))
			return -ENOMEM;
	}
	return 0;
}

static int run(struct restore *r, char **why)
{
	char *args[ARGS_MAX] = { strdup("restore"), strdup("-d") };
	int fds[EXTERNAL_MAX + LENT_MAX], ret;
	struct criu_run criu = {
		.unit = r->unit,
		.task = r->waiter,
		.cgroup = r->loaded.control_group,
		.dev = r->dev,
		.log = "restore.log",
		/* It is freed when systemd has the tasks. */
		.streams = &r->streams,
		.nr_streams = &r->nr_streams,
		.args = args,
		.fds = fds,
	};
	size_t nr = 2;

	ret = take_descriptors(r, args, &nr, fds, &criu.nr_fds);
	if (ret)
		set_why(why, ret, "its descriptors can't be taken from pram-exec: %s", strerror(-ret));
	if (!ret) {
		ret = take_sockets(r, args, &nr, fds, &criu.nr_fds);
		if (ret)
			set_why(why, ret, "systemd does not listen on the same sockets as before: has its socket unit changed?");
	}
	if (!ret)
		ret = criu_run(&criu, why);
	for (size_t i = 0; i < criu.nr_fds; i++)
		close(fds[i]);
	for (char **arg = args; *arg; arg++)
		free(*arg);
	return ret;
}

/* The directory may be the service's, which runs by now: what root writes to is a file that root has made. */
static int write_pid_file(const struct restore *r)
{
	FILE *file;
	int fd;

	unlink(r->loaded.pid_file);
	fd = open(r->loaded.pid_file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "w");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	fprintf(file, "%d\n", r->pid);
	return fclose(file) ? -errno : 0;
}

static bool has_ended(int pidfd, int timeout_ms)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	return poll(&end, 1, timeout_ms) > 0;
}

/* Has systemd take the task for the unit's main process; then pram-exec is not needed any more. */
static int hand_over(struct restore *r, char **why)
{
	const bool forking = !strcmp(r->loaded.type, "forking");
	_cleanup_close_ int task = pidfd_open(r->pid, 0);
	char error[UNIT_ERROR_MAX];
	int ret;

	if (task < 0)
		return set_why(why, -errno, "process %d has ended as soon as it ran", r->pid);

	if (*r->loaded.pid_file) {
		ret = write_pid_file(r);
		if (ret && forking)
			return set_why(why, ret, "%s can't be written: %s", r->loaded.pid_file, strerror(-ret));
	}
	/* systemd reads that file when the process that it has started ends. */
	if (forking)
		pidfd_send_signal(r->waiter_fd, PRAM_EXEC_END, NULL, 0);
	for (unsigned int n = 0; n < ACCEPT_SECONDS * 1000000 / PAUSE_US; n++) {
		/* On behalf of pram-exec, which is the main process so far; once more, if it was lost. */
		if (!forking && n % 50 == 0)
			sd_pid_notifyf(r->waiter, 0, "READY=1\nMAINPID=%d\nSTATUS=Restored from PRAM",
				       r->pid);
		usleep(PAUSE_US);
		unit_free(&r->loaded);
		if (!unit_load(r->unit, &r->loaded, error) && r->loaded.main_pid == (uint32_t)r->pid) {
			pidfd_send_signal(r->waiter_fd, PRAM_EXEC_END, NULL, 0);
			/* Else "release" would take it for one that still waits. */
			if (!has_ended(r->waiter_fd, GONE_SECONDS * 1000))
				pidfd_send_signal(r->waiter_fd, SIGKILL, NULL, 0);
			return 0;
		}
		if (has_ended(task, 0))
			return set_why(why, -ESRCH, "process %d has ended as soon as it ran", r->pid);
		if (!forking && has_ended(r->waiter_fd, 0))
			return set_why(why, -ECANCELED, "it was stopped meanwhile");
	}
	return set_why(why, -ETIMEDOUT, "systemd does not accept process %d as the main process", r->pid);
}

static bool is_among(pid_t pid, const pid_t *pids, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (pids[i] == pid)
			return true;
	}
	return false;
}

/* Was this process restored, or is it of one that was? systemd may run commands of the unit, too. */
static bool is_restored(struct restore *r, pid_t pid)
{
	struct json_object *pids = json_object_object_get(r->record, "pids");
	struct pram_tasks tasks;
	bool is;

	/* Nobody knows any more. */
	if (!r->record)
		return true;
	for (size_t i = 0; pids && i < json_object_array_length(pids); i++) {
		if (json_object_get_int(json_object_array_get_idx(pids, i)) == pid)
			return true;
	}
	pram_tasks_look(r->pid, &tasks);
	is = is_among(pid, tasks.pids, tasks.nr);
	pram_tasks_free(&tasks);
	return is;
}

/* What is left of a restore that has failed would have its files, ports and addresses. */
static void clear_away(struct restore *r)
{
	for (unsigned int n = 0; n < GONE_SECONDS * 1000000 / PAUSE_US; n++) {
		pid_t *pids = cgroup_pids(r->loaded.control_group ?: "");
		bool any = false;

		for (pid_t *pid = pids; pid && *pid; pid++) {
			if (*pid == r->waiter || !is_restored(r, *pid))
				continue;
			kill(*pid, SIGKILL);
			any = true;
		}
		free(pids);
		if (!any)
			return;
		usleep(PAUSE_US);
	}
}

/* Has systemd given its start up, as TimeoutStartSec= was over; and has all ended by now that was started? */
static bool was_too_slow(const struct restore *r, bool *over)
{
	char error[UNIT_ERROR_MAX];
	struct unit loaded;
	bool was;

	was = !unit_load(r->unit, &loaded, error) && loaded.result && !strcmp(loaded.result, "timeout");
	*over = was && is_over(&loaded);
	unit_free(&loaded);
	return was;
}

/* pram-exec waits for us even if it comes too late for a restore. */
static void start_late(struct restore *r)
{
	const char *why;

	for (unsigned int n = 0; n < LATE_SECONDS * 1000000 / PAUSE_US; n++) {
		const int ret = look_for_waiter(r, &why);

		if (ret > 0)
			pidfd_send_signal(r->waiter_fd, PRAM_EXEC_START, NULL, 0);
		if (ret)
			return;
		usleep(PAUSE_US);
	}
}

/* Unless Restart= has it do so, systemd does not try again what was too slow. */
static void start_again(const struct restore *r)
{
	char error[UNIT_ERROR_MAX];
	bool over;

	for (unsigned int n = 0; n < LATE_SECONDS * 1000000 / PAUSE_US && was_too_slow(r, &over); n++) {
		if (over) {
			if (unit_start(r->unit, "fail", error))
				say(LOG_ERR, r->unit, "it can't be started: %s", error);
			return;
		}
		usleep(PAUSE_US);
	}
}

static int give_up(struct restore *r, const char *reason)
{
	_cleanup_free_ char *why = NULL;
	bool over;

	if (asprintf(&why, "%s%s", reason ?: "out of memory",
		     was_too_slow(r, &over) ? ", as TimeoutStartSec= was over" : "") < 0)
		why = NULL;
	write_history(r, "failed", why);
	if (r->waiter)
		clear_away(r);
	/* Whole, as it was. */
	pram_streams_close(&r->streams, &r->nr_streams);
	if (r->dev >= 0 && record_has_checkpoint(r->dev, r->unit))
		say(LOG_ERR, r->unit, "it is started afresh, as its restore has failed: %s; see " LOG_DIR "/%s/restore.log; 'pramctl export service:%s DIR' has its memory, 'pramctl rm service:%s' frees it",
		    why ?: "out of memory", r->unit, r->unit, r->unit);
	else
		say(LOG_ERR, r->unit, "it is started afresh: %s; see " LOG_DIR "/%s/restore.log",
		    why ?: "out of memory", r->unit);
	service_forget(r->dev, r->unit);
	if (r->waiter)
		pidfd_send_signal(r->waiter_fd, PRAM_EXEC_START, NULL, 0);
	else
		start_late(r);
	start_again(r);
	return 0;
}

/*
 * A request may need another service, which would refuse it before it is restored, too. So it comes
 * in when all are, or when that has taken long enough.
 */
static void let_requests_in(const struct restore *r)
{
	for (unsigned int n = 0; n < OTHERS_SECONDS * 1000000 / PAUSE_US; n++) {
		if (!any_is_due(r->dev)) {
			hold_end();
			return;
		}
		/* Some other may have ended it; that is dear to ask. */
		if (n % 10 == 0 && hold_is_over())
			return;
		usleep(PAUSE_US);
	}
	hold_remove(json_object_object_get(r->record, "ports"));
}

/*
 * systemd has the tasks, and nothing can fail any more. What they have of the checkpoint becomes their
 * own memory, and the record goes in the same step.
 */
static void free_checkpoint(struct restore *r)
{
	int *streams = reallocarray(r->streams, r->nr_streams + 1, sizeof(*streams));
	char name[PRAM_NAME_MAX];
	int ret = streams ? record_name(r->unit, name) : -ENOMEM;

	if (streams)
		r->streams = streams;
	if (!ret) {
		ret = pram_load(r->dev, name, PRAM_BYTE_STREAM, 0);
		if (ret >= 0) {
			streams[r->nr_streams++] = ret;
			ret = pram_commit(r->dev, streams, r->nr_streams);
		}
	}
	pram_streams_close(&r->streams, &r->nr_streams);
	if (ret)
		say(LOG_WARNING, r->unit, "it runs, but its checkpoint can't be freed: %s; run 'pramctl rm service:%s'",
		    strerror(-ret), r->unit);
}

static void restore_end(struct restore *r)
{
	unit_free(&r->loaded);
	json_object_put(r->record);
	if (r->waiter_fd >= 0)
		close(r->waiter_fd);
	if (r->dev >= 0)
		close(r->dev);
}

int service_restore(const char *unit)
{
	struct restore r = { .unit = unit, .waiter_fd = -1, .start = now_ns() };
	_cleanup_free_ char *why = NULL;
	const char *reason = NULL;
	uint64_t kexecs;
	int ret;

	setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
	r.dev = pram_open();
	ret = r.dev < 0 ? r.dev : record_load(r.dev, unit, &r.record, &kexecs);
	if (wait_for_waiter(&r, &reason)) {
		give_up(&r, reason);
		goto out;
	}
	if (ret) {
		give_up(&r, strerror(-ret));
		goto out;
	}
	r.pid = record_number(r.record, "pid");
	ret = wait_for_addresses(&r, &why);
	if (!ret)
		ret = run(&r, &why);
	if (ret) {
		give_up(&r, why);
		goto out;
	}
	/* It runs from here on, and must not be started beside. */
	lock_remove(unit);
	mark_remove(ENV_DIR, unit);
	ret = hand_over(&r, &why);
	if (ret) {
		give_up(&r, why);
		goto out;
	}
	free_checkpoint(&r);
	r.restored = now_ns();
	let_requests_in(&r);
	write_history(&r, "restored", NULL);
	say(LOG_NOTICE, unit, "restored from PRAM, process %d, in %" PRIu64 " ms; it stood still for %" PRIu64 " ms",
	    r.pid, (r.restored - r.start) / 1000000,
	    (now_ns() - record_number(r.record, "frozen_ns")) / 1000000);
out:
	restore_end(&r);
	return 0;
}

/* If "restore" itself was killed, or never ran: pram-exec must not wait for ever. */
int service_release(const char *unit)
{
	struct restore r = { .unit = unit, .waiter_fd = -1, .start = now_ns() };
	const char *code = getenv("EXIT_CODE"), *why;
	uint64_t kexecs;

	/* systemd tells what is run behind it how it has ended: by itself, it left nothing to do. */
	if (code && !strcmp(code, "exited"))
		return 0;
	r.dev = pram_open();
	if (r.dev >= 0)
		record_load(r.dev, unit, &r.record, &kexecs);
	look_for_waiter(&r, &why);
	/* With a record and without pram-exec: either that is still to come, or systemd has the tasks already. */
	if (r.waiter || (r.record && r.loaded.main_pid != record_number(r.record, "pid")))
		give_up(&r, "pram-service was ended meanwhile");
	restore_end(&r);
	return 0;
}

/* ---- at boot ----------------------------------------------------------- */

/* Those that ran and that nothing starts at boot. */
int service_start_all(void)
{
	_cleanup_close_ int dev = pram_open();
	struct pram_node_stat node = { .id = 0 };
	const char *unit;

	while (dev >= 0 && (unit = record_next(dev, &node))) {
		_cleanup_free_ char *tried = mark_read(TRIED_DIR, unit);
		_cleanup_free_ char *starter = container_starter(unit);
		char error[UNIT_ERROR_MAX];
		struct unit loaded;

		if (tried || node.kexec_count != 1 || !starter)
			continue;
		/* It was started, or will be, without anybody to ask for its checkpoint. */
		if (!enabled_is(unit)) {
			say(LOG_WARNING, unit, "it is not restored, as it is not enabled any more; 'pramctl export service:%s DIR' has its memory, 'pramctl rm service:%s' frees it",
			    unit, unit);
			service_forget(dev, unit);
			continue;
		}
		if (unit_load(starter, &loaded, error) || strcmp(loaded.load_state, "loaded")) {
			say(LOG_ERR, unit, "it is not restored: systemd does not know it any more");
			service_forget(dev, unit);
		} else if (!strcmp(loaded.active_state, "inactive") && unit_start(starter, "fail", error))
			say(LOG_ERR, unit, "it can't be started for the restore: %s", error);
		unit_free(&loaded);
	}
	return 0;
}
