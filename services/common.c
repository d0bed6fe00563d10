// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "record.h"
#include "service.h"
#include "util.h"

#define CGROUP_ROOT	"/sys/fs/cgroup"

void say(int priority, const char *unit, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;
	int ret;

	va_start(args, format);
	ret = vasprintf(&text, format, args);
	va_end(args);
	if (ret < 0) {
		text = NULL;
		return;
	}
	ret = sd_journal_send("MESSAGE=%s%s%s", unit ?: "", unit ? ": " : "", text,
			      "PRIORITY=%d", priority, "SYSLOG_IDENTIFIER=pram-service",
			      /* As journalctl -u wants it. */
			      "OBJECT_SYSTEMD_UNIT=%s", unit ?: "", NULL);
	if (ret < 0 || access("/run/systemd/journal/socket", F_OK))
		fprintf(stderr, "pram-service: %s%s%s\n", unit ?: "", unit ? ": " : "", text);
}

void ask_for_time(const char *unit, pid_t pid, unsigned int seconds)
{
	const char *set = getenv("NOTIFY_SOCKET");
	_cleanup_free_ char *before = set ? strdup(set) : NULL;
	int ret;

	setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
	ret = sd_pid_notifyf(pid, 0, "EXTEND_TIMEOUT_USEC=%u000000", seconds);
	if (before)
		setenv("NOTIFY_SOCKET", before, 1);
	else
		unsetenv("NOTIFY_SOCKET");
	if (ret < 0)
		say(LOG_WARNING, unit, "systemd can't be asked for more time than the unit's limits: %s", strerror(-ret));
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

/* ---- how it went ------------------------------------------------------- */

void history_restored(const char *unit, struct json_object *record, uint64_t start, uint64_t restored,
		      const char *result, const char *reason)
{
	struct json_object *history = json_object_new_object();
	const uint64_t frozen = record_number(record, "frozen_ns");
	const uint64_t now = now_ns();
	struct timespec up;

	json_object_object_add(history, "result", json_object_new_string(result));
	if (reason)
		json_object_object_add(history, "reason", json_object_new_string(reason));
	json_object_object_add(history, "dumped_ns", json_object_new_uint64(frozen));
	json_object_object_add(history, "dump_ms", json_object_new_uint64(
		(record_number(record, "dumped_ns") - frozen) / 1000000));
	if (record_number(record, "down_ns"))
		json_object_object_add(history, "down_ns", json_object_new_uint64(
			record_number(record, "down_ns")));
	json_object_object_add(history, "from_kernel",
			       json_object_new_string(record_text(record, "kernel")));
	/* When this kernel began to keep time. */
	if (!clock_gettime(CLOCK_BOOTTIME, &up))
		json_object_object_add(history, "boot_ns", json_object_new_uint64(
			now - up.tv_sec * UINT64_C(1000000000) - up.tv_nsec));
	json_object_object_add(history, "ended_ns", json_object_new_uint64(now));
	json_object_object_add(history, "restore_ms", json_object_new_uint64(
		((restored ?: now) - start) / 1000000));
	if (restored)
		json_object_object_add(history, "others_ms", json_object_new_uint64((now - restored) / 1000000));
	if (!strcmp(result, "restored"))
		json_object_object_add(history, "blackout_ms", json_object_new_uint64(
			now > frozen ? (now - frozen) / 1000000 : 0));
	if (record_history_save(unit, history))
		say(LOG_WARNING, unit, RECORD_HISTORY_DIR "/%s.json can't be written: 'pramctl services' won't know of this",
		    unit);
	json_object_put(history);
}

/* The journal may be gone in the next boot. */
void history_not_dumped(const char *unit, const char *reason)
{
	struct json_object *history = json_object_new_object();

	json_object_object_add(history, "result", json_object_new_string("not dumped"));
	json_object_object_add(history, "reason", json_object_new_string(reason));
	json_object_object_add(history, "dumped_ns", json_object_new_uint64(now_ns()));
	record_history_save(unit, history);
	json_object_put(history);
}

/* ---- small files ------------------------------------------------------- */

static char *mark_path(const char *dir, const char *unit)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, unit) < 0 ? NULL : path;
}

int mark_write(const char *dir, const char *unit, const char *text)
{
	_cleanup_free_ char *path = mark_path(dir, unit);
	_cleanup_close_ int fd = -1;

	mkdir(RUN_DIR, 0755);
	mkdir(dir, 0755);
	fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	if (fd < 0)
		return path ? -errno : -ENOMEM;
	return pram_write_full(fd, text, strlen(text));
}

char *mark_read(const char *dir, const char *unit)
{
	_cleanup_free_ char *path = mark_path(dir, unit);
	FILE *file = path ? fopen(path, "re") : NULL;
	char *line = NULL;
	size_t size = 0;

	if (!file)
		return NULL;
	if (getline(&line, &size, file) < 0) {
		free(line);
		line = strdup("");
	}
	fclose(file);
	if (line)
		line[strcspn(line, "\n")] = 0;
	return line;
}

void mark_remove(const char *dir, const char *unit)
{
	_cleanup_free_ char *path = mark_path(dir, unit);

	if (path)
		unlink(path);
}

/* ---- processes --------------------------------------------------------- */

int leave_cgroup(void)
{
	_cleanup_close_ int fd = open(CGROUP_ROOT "/cgroup.procs", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return pram_write_full(fd, "0", 1);
}

bool process_has_name(pid_t pid, const char *comm)
{
	char path[64], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		*name = 0;
	fclose(file);
	name[strcspn(name, "\n")] = 0;
	return !strcmp(name, comm);
}

bool is_journal(int fd)
{
	struct sockaddr_un peer = { .sun_family = AF_UNSPEC };
	socklen_t len = sizeof(peer) - 1;

	return !getpeername(fd, (struct sockaddr *)&peer, &len) && peer.sun_family == AF_UNIX &&
	       !strcmp(peer.sun_path, JOURNAL_STDOUT);
}
