// SPDX-License-Identifier: GPL-2.0-only
/*
 * ExecStop= of an enabled service. If systemd goes down to kexec into a kernel that will be
 * handed the nodes, the service is dumped; otherwise, or if that fails, nothing is done, and
 * systemd stops it as ever.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "checkpoint.h"
#include "pram-exec.h"
#include "record.h"
#include "service.h"
#include "stop.h"
#include "tasks.h"
#include "unit.h"
#include "util.h"

/* Unit tests have another. */
#ifndef READY_PATH
#define READY_PATH	"/sys/kernel/pram/kexec_ready"
#endif
/* What is done beside criu's run takes less. */
#define BESIDE_SECONDS	120U
#define ARGS_MAX	(2 * EXTERNAL_MAX + 12)
#define FDS_MAX		4096U
/* Until services have finished what they ask each other. */
#define LINKS_MS	3000U
#define PAUSE_MS	50U

struct dump {
	const char		*unit;
	bool			tries;		/* it runs on, and nothing is kept */
	uint64_t		start;		/* of the blackout, in ns */
	pid_t			pid;
	int			dev;
	struct json_object	*record;
	struct json_object	*external;
	char			*args[ARGS_MAX];
	size_t			nr_args;
};

/* Will the next kernel be handed what is dumped? */
static bool kexec_is_ready(void)
{
	_cleanup_close_ int fd = open(READY_PATH, O_RDONLY | O_CLOEXEC);
	char ready = '0';

	return fd >= 0 && read(fd, &ready, 1) == 1 && ready == '1';
}

/* Is the machine going down for a kexec? */
bool is_kexec(const char *unit)
{
	char error[UNIT_ERROR_MAX];
	int ret = unit_has_job("kexec.target", "start", error);

	if (ret < 0) {
		say(LOG_ERR, unit, "it is stopped, not dumped: %s", error);
		return false;
	}
	if (ret && !kexec_is_ready()) {
		say(LOG_WARNING, unit, "it is stopped, not dumped: the loaded kernel will not get what is in PRAM; load it by 'pramctl kexec' or 'kexec -s -l'");
		return false;
	}
	return ret;
}

/* Says why it is stopped as ever. */
static void stopped(const struct dump *d, const char *text, ...)
	__attribute__((format(printf, 2, 3)));
static void stopped(const struct dump *d, const char *text, ...)
{
	_cleanup_free_ char *why = NULL;
	va_list args;

	va_start(args, text);
	if (vasprintf(&why, text, args) < 0)
		why = NULL;
	va_end(args);
	if (d->tries) {
		puts(why ?: "out of memory");
		return;
	}
	say(LOG_ERR, d->unit, "it is stopped, not dumped: %s", why ?: "out of memory");
	history_not_dumped(d->unit, why ?: "out of memory");
}

static void add_arg(struct dump *d, char *arg)
{
	if (arg && d->nr_args < ARGS_MAX - 1)
		d->args[d->nr_args++] = arg;
	else
		free(arg);
}

static char *format(const char *text, ...) __attribute__((format(printf, 1, 2)));
static char *format(const char *text, ...)
{
	va_list args;
	char *out;
	int ret;

	va_start(args, text);
	ret = vasprintf(&out, text, args);
	va_end(args);
	return ret < 0 ? NULL : out;
}

/* The mount that a descriptor of a task is on. */
static int mount_of(pid_t pid, int fd)
{
	char path[64], line[256];
	int mount = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file) && sscanf(line, "mnt_id: %d", &mount) != 1)
		;
	if (file)
		fclose(file);
	return mount;
}

static bool has_mount(pid_t pid, int mount)
{
	char path[64], *line = NULL;
	bool found = false;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	file = fopen(path, "re");
	while (file && !found && getline(&line, &size, file) > 0)
		found = atoi(line) == mount;
	free(line);
	if (file)
		fclose(file);
	return found;
}

/*
 * Descriptors 0 to 2 are systemd's: a connection to the journal, which has another end, and
 * /dev/null on a mount that the sandbox may not have. Those of the next start take their places.
 */
static void add_external(struct dump *d, int fd)
{
	struct json_object *entry;
	char path[64], link[64];
	char *key = NULL;
	struct stat st;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", d->pid, fd);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0 || stat(path, &st))
		return;
	link[len] = 0;
	if (S_ISSOCK(st.st_mode)) {
		key = strdup(link);
		add_arg(d, strdup("--external"));
		add_arg(d, format("unix[%lu]", (unsigned long)st.st_ino));
	} else if (!S_ISFIFO(st.st_mode)) {
		const int mount = mount_of(d->pid, fd);

		if (mount < 0 || has_mount(d->pid, mount))
			return;
		key = format("file[%x:%lx]", mount, (unsigned long)st.st_ino);
		add_arg(d, strdup("--external"));
		add_arg(d, key ? strdup(key) : NULL);
	}
	if (!key)
		return;
	entry = json_object_new_object();
	json_object_object_add(entry, "fd", json_object_new_int(fd));
	json_object_object_add(entry, "key", json_object_new_string(key));
	json_object_array_add(d->external, entry);
	free(key);
}

static bool has_key(const struct dump *d, const char *key)
{
	for (size_t i = 0; i < json_object_array_length(d->external); i++) {
		if (!strcmp(record_text(json_object_array_get_idx(d->external, i), "key"), key))
			return true;
	}
	return false;
}

/* A task may have its connection to the journal elsewhere as well, or only there. */
static void add_journal(struct dump *d, pid_t pid)
{
	_cleanup_close_ int pidfd = pidfd_open(pid, 0);
	DIR *dir = fds_open(pid);
	unsigned long inode;
	int number;

	while (fds_next_socket(dir, &number, &inode)) {
		_cleanup_free_ char *key = format("socket:[%lu]", inode);
		_cleanup_close_ int fd = -1;
		struct json_object *external;

		if (!key || has_key(d, key) ||
		    json_object_array_length(d->external) >= EXTERNAL_MAX)
			continue;
		fd = pidfd_getfd(pidfd, number, 0);
		if (fd < 0 || !is_journal(fd))
			continue;
		add_arg(d, strdup("--external"));
		add_arg(d, format("unix[%lu]", inode));
		/* Without a number: that of the next start, wherever it is. */
		external = json_object_new_object();
		json_object_object_add(external, "key", json_object_new_string(key));
		json_object_array_add(d->external, external);
	}
}

/* All sockets of systemd itself: their number. */
static size_t sockets_of_systemd(unsigned long *inodes)
{
	DIR *dir = fds_open(1);
	unsigned long inode;
	size_t nr = 0;
	int fd;

	while (fds_next_socket(dir, &fd, &inode)) {
		if (nr < FDS_MAX)
			inodes[nr++] = inode;
	}
	return nr;
}

static void add_lent_of(struct json_object *lent, pid_t pid, const unsigned long *inodes, size_t nr)
{
	_cleanup_close_ int pidfd = pidfd_open(pid, 0);
	DIR *dir = fds_open(pid);
	unsigned long inode;
	int number;

	while (fds_next_socket(dir, &number, &inode)) {
		_cleanup_free_ char *text = NULL, *key = format("socket:[%lu]", inode);
		_cleanup_close_ int fd = -1;
		struct json_object *object;
		bool known = !key || json_object_array_length(lent) >= LENT_MAX;
		size_t i = 0;

		while (i < nr && inodes[i] != inode)
			i++;
		for (size_t k = 0; k < json_object_array_length(lent) && !known; k++)
			known = !strcmp(record_text(json_object_array_get_idx(lent, k), "key"), key);
		if (known || i == nr)
			continue;
		fd = pidfd_getfd(pidfd, number, 0);
		text = fd < 0 ? NULL : socket_text(fd);
		if (!text)
			continue;
		object = json_object_new_object();
		json_object_object_add(object, "key", json_object_new_string(key));
		json_object_object_add(object, "socket", json_object_new_string(text));
		json_object_array_add(lent, object);
	}
}

/* What systemd listens on for it: it does so in the next boot, too, and lends that to the restored tasks. */
static void note_lent(struct dump *d)
{
	struct json_object *pids = json_object_object_get(d->record, "pids");
	struct json_object *lent = json_object_new_array();
	unsigned long *inodes = calloc(FDS_MAX, sizeof(*inodes));
	const size_t nr = inodes ? sockets_of_systemd(inodes) : 0;

	for (size_t i = 0; i < json_object_array_length(pids); i++)
		add_lent_of(lent, json_object_get_int(json_object_array_get_idx(pids, i)), inodes, nr);
	free(inodes);
	json_object_object_add(d->record, "lent", lent);
}

static bool is_among(pid_t pid, const struct pram_tasks *tasks)
{
	for (size_t i = 0; i < tasks->nr; i++) {
		if (tasks->pids[i] == pid)
			return true;
	}
	return false;
}

/* Their ids must be free in the next kernel, too. A thread that begins later is seldom in another window. */
static void add_threads(struct json_object *threads, pid_t pid)
{
	struct dirent *entry;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		const int tid = atoi(entry->d_name);

		if (tid > 0 && tid != pid)
			json_object_array_add(threads, json_object_new_int(tid));
	}
	if (dir)
		closedir(dir);
}

/* Notes the tasks, and their sockets: 0, or -errno after having said what is in the way. */
static int look_at_tasks(struct dump *d, const char *control_group)
{
	struct json_object *pids = json_object_new_array(), *addresses = json_object_new_array();
	struct json_object *ports = json_object_new_array(), *threads = json_object_new_array();
	pid_t *all = cgroup_pids(control_group);
	struct pram_tasks tasks;
	int ret = pram_tasks_look(d->pid, &tasks);

	json_object_object_add(d->record, "pids", pids);
	json_object_object_add(d->record, "addresses", addresses);
	json_object_object_add(d->record, "ports", ports);
	json_object_object_add(d->record, "threads", threads);
	for (size_t i = 0; i < tasks.nr; i++) {
		json_object_array_add(pids, json_object_new_int(tasks.pids[i]));
		add_threads(threads, tasks.pids[i]);
	}
	if (ret)
		stopped(d, "its main process %d: %s", d->pid, strerror(-ret));
	for (pid_t *pid = all; pid && *pid && !ret; pid++) {
		char path[32];

		snprintf(path, sizeof(path), "/proc/%d", *pid);
		/* It may have begun, or ended, since these were looked at. */
		if (is_among(*pid, &tasks) || access(path, F_OK) || is_descendant(*pid, d->pid))
			continue;
		stopped(d, "process %d is not a descendant of the main process %d", *pid,
			d->pid);
		ret = -EOPNOTSUPP;
	}
	if (!ret) {
		pid_t *family = calloc(tasks.nr + 1, sizeof(*family));

		if (family) {
			memcpy(family, tasks.pids, tasks.nr * sizeof(*family));
			sockets_look(family, addresses, ports, NULL);
		}
		free(family);
	}
	free(all);
	pram_tasks_free(&tasks);
	return ret;
}

/* Notes the table that criu has made: without it the dump is good, but peers may be reset. */
static void note_lock(struct dump *d)
{
	_cleanup_free_ char *table = NULL, *text = NULL, *list = NULL, *of_new = NULL, *all = NULL;
	char name[PRAM_NAME_MAX];

	record_name(d->unit, name);
	table = lock_table_of(d->dev, name);
	list = table ? format("list table %s", table) : NULL;
	if (!list || nft_run(list, &text)) {
		say(LOG_WARNING, d->unit, "the lock of its connections can't be read: peers may be reset");
		return;
	}
	of_new = lock_of_new(d->unit);
	all = format("%s%s", text, of_new ?: "");
	mark_write(LOCK_DIR, d->unit, table);
	json_object_object_add(d->record, "table", json_object_new_string(table));
	json_object_object_add(d->record, "lock", json_object_new_string(all ?: text));
}

static bool in_our_net(pid_t pid)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	return !stat("/proc/self/ns/net", &ours) && !stat(path, &theirs) &&
	       ours.st_ino == theirs.st_ino;
}

static void add_args(struct dump *d)
{
	struct json_object *pids = json_object_object_get(d->record, "pids");

	add_arg(d, strdup("dump"));
	if (d->tries)
		add_arg(d, strdup("--leave-running"));
	add_arg(d, strdup("-t"));
	add_arg(d, format("%d", d->pid));
	add_arg(d, strdup("--skip-in-flight"));
	for (int fd = 0; fd < 3; fd++)
		add_external(d, fd);
	for (size_t i = 0; i < json_object_array_length(pids); i++)
		add_journal(d, json_object_get_int(json_object_array_get_idx(pids, i)));
}

/* No request comes to any of the services any more; 0 or -errno. */
static int hold(const struct unit_tasks *units, size_t nr)
{
	struct json_object *ports = json_object_new_array();
	int ret;

	for (size_t i = 0; i < nr; i++) {
		if (units[i].pids && *units[i].pids && in_our_net(*units[i].pids))
			sockets_look(units[i].pids, NULL, ports, NULL);
	}
	ret = hold_add(ports);
	json_object_put(ports);
	return ret;
}

/*
 * What services have begun to ask each other by unix sockets, they finish: for none asks them anything new.
 * 0, or -EBUSY after having said which connection of this one stays.
 */
static int wait_for_links(struct dump *d)
{
	_cleanup_free_ char *text = NULL;
	struct unit_tasks *units;
	struct links links;
	size_t nr = enabled_look(&units), self = 0;

	while (self < nr && strcmp(units[self].unit, d->unit))
		self++;
	/* As a rule it is one of them; the drop-in may be there by other means. */
	if (self < nr && !d->tries && hold(units, nr))
		say(LOG_WARNING, d->unit, "requests can't be held off: a request between two services may still be open, and prevent the dump");
	/* From here on nobody elsewhere gets an answer. */
	d->start = now_ns();
	for (unsigned int n = 0; self < nr; n++) {
		links_look(units, nr, self, d->external, &links);
		if ((!links.own && !links.others) || n >= LINKS_MS / PAUSE_MS)
			break;
		usleep(PAUSE_MS * 1000);
	}
	enabled_free(units, nr);
	/* One that was not accepted may be to a process of its own. */
	if (self >= nr || !links.own || !links.peer)
		return 0;
	text = links_text(&links);
	stopped(d, "%s, and can't be kept", text ?: "out of memory");
	return -EBUSY;
}

/* Has criu dump it: 0, or not after having said why. */
static int run_criu(struct dump *d, const char *name)
{
	struct criu_run criu = {
		.unit = d->unit,
		.task = d->pid,
		.dev = d->dev,
		.log = d->tries ? "try.log" : "dump.log",
		.name = name,
		.args = d->args,
	};
	_cleanup_free_ char *why = NULL;
	int ret;

	ret = criu_run(&criu, &why);
	if (ret)
		stopped(d, "its dump has failed: %s; see " LOG_DIR "/%s/%s",
			why ?: strerror(ret < 0 ? -ret : EIO), d->unit, criu.log);
	return ret;
}

static int run(struct dump *d)
{
	const bool lock = in_our_net(d->pid);
	int ret = wait_for_links(d);

	if (ret)
		return ret;
	if (lock && lock_new(d->unit, json_object_object_get(d->record, "ports")))
		say(LOG_WARNING, d->unit, "new connections can't be held off: clients that connect meanwhile may be refused");
	ret = run_criu(d, NULL);
	if (ret) {
		lock_remove(d->unit);
		return ret;
	}
	json_object_object_add(d->record, "frozen_ns", json_object_new_uint64(d->start));
	json_object_object_add(d->record, "dumped_ns", json_object_new_uint64(now_ns()));
	if (lock)
		note_lock(d);
	ret = record_save(d->dev, d->unit, d->record);
	if (ret) {
		say(LOG_ERR, d->unit, "it is dumped, but will be started afresh: its record can't be stored in PRAM: %s; 'pramctl export service:%s DIR' has its memory",
		    strerror(-ret), d->unit);
		return ret;
	}
	if (stop_told())
		say(LOG_WARNING, d->unit, "systemd has told it to end while it was dumped: it may do so as soon as it is restored; see TimeoutStopSec=");
	/* That of this checkpoint is still to come, even in this boot, if the kexec is called off. */
	mark_remove(TRIED_DIR, d->unit);
	mark_write(ENV_DIR, d->unit, "PRAM_SERVICE=dumped\n");
	say(LOG_NOTICE, d->unit, "dumped into PRAM in %" PRIu64 " ms, process %d; systemd will report it as killed: that is this dump",
	    (now_ns() - d->start) / 1000000, d->pid);
	return 0;
}

/* Of a unit that is loaded, with its main process: what is to be known for a dump. */
static int begin(struct dump *d, const struct unit *loaded)
{
	struct utsname name;

	uname(&name);
	d->record = json_object_new_object();
	d->external = json_object_new_array();
	json_object_object_add(d->record, "unit", json_object_new_string(d->unit));
	json_object_object_add(d->record, "pid", json_object_new_int(d->pid));
	json_object_object_add(d->record, "kernel", json_object_new_string(name.release));
	json_object_object_add(d->record, "external", d->external);
	if (look_at_tasks(d, loaded->control_group))
		return -EOPNOTSUPP;
	add_args(d);
	if (loaded->sockets)
		note_lent(d);
	return 0;
}

static void end(struct dump *d)
{
	json_object_put(d->record);
	for (size_t i = 0; i < d->nr_args; i++)
		free(d->args[i]);
	if (d->dev >= 0)
		close(d->dev);
}

/*
 * For "pramctl check --services --try": whether it can be dumped, which only criu knows. The service
 * stands still meanwhile. Prints what is in the way, and fails, if anything is.
 */
int service_try(const char *unit)
{
	struct dump d = { .unit = unit, .tries = true, .dev = pram_open() };
	_cleanup_free_ char *name = format(RECORD_TRY_PREFIX "%s", unit);
	char error[UNIT_ERROR_MAX];
	struct unit loaded;
	int ret = 1;

	if (d.dev < 0 || !name || strlen(name) >= PRAM_NAME_MAX) {
		stopped(&d, "/dev/pram: %s; run 'pramctl check'",
			strerror(d.dev < 0 ? -d.dev : ENAMETOOLONG));
		end(&d);
		return 1;
	}
	if (unit_load(unit, &loaded, error)) {
		stopped(&d, "%s", error);
	} else if (!loaded.main_pid) {
		stopped(&d, "it does not run");
	} else {
		d.pid = loaded.main_pid;
		ret = begin(&d, &loaded) || wait_for_links(&d) || run_criu(&d, name);
		/* Also if it has failed: nothing is to be left. */
		pram_checkpoint_remove(d.dev, name, NULL);
	}
	unit_free(&loaded);
	end(&d);
	return ret;
}

static void note_down(int dev, const char *unit)
{
	struct json_object *record;
	uint64_t kexecs;

	if (record_load(dev, unit, &record, &kexecs))
		return;
	json_object_object_add(record, "down_ns", json_object_new_uint64(now_ns()));
	/* If that fails, the one without it is still there. */
	record_save(dev, unit, record);
	json_object_put(record);
}

/* All services have been stopped: it is noted for those that were dumped. */
int service_down(void)
{
	struct json_object *units = json_object_new_array();
	struct pram_node_stat node = { .id = 0 };
	_cleanup_close_ int dev = pram_open();
	const char *unit;

	/* All first: a record that is stored anew is a new node, and would be found again. */
	while (dev >= 0 && (unit = record_next(dev, &node))) {
		if (!node.kexec_count)
			json_object_array_add(units, json_object_new_string(unit));
	}
	for (size_t i = 0; i < json_object_array_length(units); i++)
		note_down(dev, json_object_get_string(json_object_array_get_idx(units, i)));
	json_object_put(units);
	return 0;
}

/* What systemd does next is the same whatever comes out of it. */
int service_dump(const char *unit)
{
	const char *main_pid = getenv("MAINPID");
	struct dump d = { .unit = unit, .pid = main_pid ? atoi(main_pid) : 0, .dev = -1 };
	char error[UNIT_ERROR_MAX];
	struct unit loaded;
	int ret;

	/* It has ended by itself. */
	if (d.pid <= 0 || !is_kexec(unit))
		return 0;
	/* If systemd does not wait for long enough, this is not ended before criu is, nor without a word. */
	if (stop_catch())
		say(LOG_WARNING, unit, "signals can't be caught: if its dump takes longer than TimeoutStopSec=, nobody says so");
	ask_for_time(unit, d.pid, CRIU_SECONDS + CRIU_GRACE_SECONDS + BESIDE_SECONDS);
	ret = leave_cgroup();
	d.dev = ret ? ret : pram_open();
	if (d.dev < 0) {
		stopped(&d, "%s: %s; run 'pramctl check'",
			ret ? "the root control group can't be entered" : "/dev/pram", strerror(-d.dev));
		return 0;
	}
	/* What runs is not the service. Its checkpoint is the only copy of it, and older than the next shutdown. */
	if (process_has_name(d.pid, PRAM_EXEC_WAITS)) {
		stopped(&d, "it was still to be restored; 'pramctl export service:%s DIR' has its memory, 'pramctl rm service:%s' frees it",
			unit, unit);
		end(&d);
		return 0;
	}
	/* If this dump fails, none of earlier times must be restored in its place. */
	ret = record_remove(d.dev, unit);
	if (ret) {
		stopped(&d, "its old record in PRAM can't be removed: %s", strerror(-ret));
	} else if (unit_load(unit, &loaded, error)) {
		stopped(&d, "%s", error);
		unit_free(&loaded);
	} else {
		if (!begin(&d, &loaded))
			run(&d);
		unit_free(&loaded);
	}
	end(&d);
	return 0;
}
