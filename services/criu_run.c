// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs criu in the namespaces of a task, as systemd has made them for a service. CRIU takes
 * these for its own then, and neither dumps nor makes any: systemd does that anew.
 *
 * Nothing has to lie in there: criu is executed from a memfd, as the sandbox may have nothing
 * that can be executed (NoExecPaths=); directories are passed as descriptors, and so is
 * /dev/pram. Its libraries and its plugin it loads there: pramctl enable sees to that.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "progress.h"
#include "record.h"
#include "service.h"
#include "stop.h"
#include "streams.h"
#include "util.h"

#define PLUGIN_DIR	"/usr/lib/criu/pram_plugin"
#define STILL_MS	60000	/* it is told to give up if it makes no progress for so long */
#define GRACE_MS	20000	/* and is killed if it then makes none for so long */

static const char *const criu_paths[] = { "/usr/local/sbin/criu", "/usr/sbin/criu" };

/* A copy of the program in memory: a descriptor, or -errno. */
static int open_criu(void)
{
	_cleanup_close_ int copy = memfd_create("criu", MFD_CLOEXEC), fd = -1;
	struct stat st;

	for (size_t i = 0; fd < 0 && i < sizeof(criu_paths) / sizeof(*criu_paths); i++)
		fd = open(criu_paths[i], O_RDONLY | O_CLOEXEC);
	if (copy < 0 || fd < 0 || fstat(fd, &st))
		return -errno;
	for (off_t done = 0; done < st.st_size; ) {
		ssize_t len = sendfile(copy, fd, NULL, st.st_size - done);

		if (len <= 0)
			return len ? -errno : -EIO;
		done += len;
	}
	return pram_take_fd(&copy);
}

/* The unit's directory of logs: a descriptor, or -errno. */
static int open_logs(const char *unit)
{
	_cleanup_free_ char *path = NULL;
	int fd;

	if (asprintf(&path, LOG_DIR "/%s", unit) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	mkdir(LOG_DIR, 0755);
	mkdir(path, 0700);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * Enters a namespace of a task, if it is not ours: 0 or -errno. Only if it belongs to our user namespace,
 * that is, if root has made it: criu's own libraries are loaded in there, by root.
 */
static int enter_namespace(pid_t task, const char *name, int flag)
{
	_cleanup_close_ int theirs = -1, owner = -1;
	struct stat a, b;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", task, name);
	theirs = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (theirs < 0 || fstat(theirs, &a) || stat(path, &b))
		return -errno;
	if (a.st_ino == b.st_ino && a.st_dev == b.st_dev)
		return 0;
	owner = ioctl(theirs, NS_GET_USERNS);
	if (owner < 0 || fstat(owner, &a) || stat("/proc/self/ns/user", &b))
		return -errno;
	if (a.st_ino != b.st_ino || a.st_dev != b.st_dev)
		return -EPERM;
	return setns(theirs, flag) ? -errno : 0;
}

static int enter_namespaces(pid_t task)
{
	static const struct {
		const char	*name;
		int		flag;
	} kinds[] = {
		{ "net", CLONE_NEWNET }, { "ipc", CLONE_NEWIPC }, { "uts", CLONE_NEWUTS },
		/* The last, as /proc is gone then. */
		{ "cgroup", CLONE_NEWCGROUP }, { "mnt", CLONE_NEWNS },
	};
	int ret = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds) && !ret; i++)
		ret = enter_namespace(task, kinds[i].name, kinds[i].flag);
	return ret;
}

static int enter_cgroup(const char *control_group)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;

	if (asprintf(&path, "/sys/fs/cgroup%s/cgroup.procs", control_group) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : pram_write_full(fd, "0", 1);
}

static int keep_open(int fd)
{
	return fcntl(fd, F_SETFD, 0);
}

/* In the child; the step that failed is what it ends with. */
enum {
	STEP_PREPARE = 121,
	STEP_CGROUP,
	STEP_NAMESPACES,
	STEP_EXEC,
};

static void run_child(const struct criu_run *run, int program, int logs, int null, int streams)
{
	char *argv[96] = { "criu" }, directory[48], device[32], socket[32], name[PRAM_NAME_MAX];
	const char *const common[] = {
		"--libdir", PLUGIN_DIR, "-D", directory, "-o", run->log, "-v4",
		"--manage-cgroups=ignore", "--tcp-established", "--network-lock", "nftables",
		"--file-locks", "--ext-unix-sk",
		/* To stop all tasks: 10 s are few for a machine that is busy. */
		"--timeout", "30",
	};
	sigset_t none;
	size_t nr = 1;

	/* It gives up in good order if nobody waits for it any more. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	for (char **arg = run->args; *arg && nr < 72; arg++)
		argv[nr++] = *arg;
	for (size_t i = 0; i < sizeof(common) / sizeof(*common); i++)
		argv[nr++] = (char *)common[i];
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(directory, sizeof(directory), "/proc/self/fd/%d", logs);
	snprintf(device, sizeof(device), "%d", run->dev);
	if (record_name(run->unit, name) || setenv("CRIU_PRAM_FD", device, 1) ||
	    setenv("CRIU_PRAM_NAME", run->name ?: name, 1) || setenv("CRIU_PRAM_REPLACE", "yes", 1) ||
	    keep_open(run->dev) || keep_open(logs))
		_exit(STEP_PREPARE);
	snprintf(socket, sizeof(socket), "%d", streams);
	if (streams >= 0 && (keep_open(streams) || setenv("CRIU_PRAM_STREAMS", socket, 1)))
		_exit(STEP_PREPARE);
	/* Its own are the unit's, or the journal's: no business of the tasks'. */
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	for (size_t i = 0; i < run->nr_fds; i++) {
		if (keep_open(run->fds[i]))
			_exit(STEP_PREPARE);
	}
	unsetenv("NOTIFY_SOCKET");
	if (run->cgroup && enter_cgroup(run->cgroup))
		_exit(STEP_CGROUP);
	if (enter_namespaces(run->task))
		_exit(STEP_NAMESPACES);
	fexecve(program, argv, environ);
	_exit(STEP_EXEC);
}

/* The first error in criu's log that is one: of the tun device it says the same on success. */
char *criu_first_error(int logs, const char *name)
{
	int fd = openat(logs, name, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char *line = NULL, *found = NULL;
	size_t size = 0;

	if (!file && fd >= 0)
		close(fd);
	while (file && !found && getline(&line, &size, file) > 0) {
		char *error = strstr(line, "Error (");
		char *text = error ? strchr(error, ':') : NULL;

		/* Behind "(FILE:LINE)". */
		text = text ? strchr(text, ')') : NULL;
		if (!text || strstr(line, "tun.c:"))
			continue;
		text += strspn(text, "): ");
		text[strcspn(text, "\n")] = 0;
		found = strdup(text);
	}
	if (file)
		fclose(file);
	free(line);
	return found;
}

/* 0 when it has ended by itself, or -errno of progress_wait(); how it has ended is in @status in each case. */
static int wait_for(pid_t pid, int logs, const char *log, int *status)
{
	_cleanup_close_ int pidfd = pidfd_open(pid, 0);
	int ret = pidfd < 0 ? 0 : progress_wait(pidfd, pid, stop_fd(), logs, log, STILL_MS, CRIU_SECONDS * 1000);

	if (ret) {
		/* It gives up in good order: the tasks run on. */
		kill(pid, SIGTERM);
		if (progress_wait(pidfd, pid, -1, logs, log, GRACE_MS, CRIU_GRACE_SECONDS * 1000))
			kill(pid, SIGKILL);
	}
	return waitpid(pid, status, 0) < 0 ? -errno : ret;
}

/* One for each image with pages, so there may be many. */
static int take_streams(const struct criu_run *run, int socket)
{
	struct rlimit limit;
	int ret;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	ret = pram_streams_receive(socket, run->streams, run->nr_streams);
	return ret ?: *run->nr_streams ? 0 : -ENODATA;
}

/* Why it was told to give up: to be freed, or NULL if there is another reason. */
static char *why_given_up(int ret)
{
	char *why;
	int len;

	switch (ret) {
	case -ETIME:
		len = asprintf(&why, "criu was not ready after %u s", CRIU_SECONDS);
		break;
	case -ETIMEDOUT:
		len = asprintf(&why, "criu has made no progress for %u s", STILL_MS / 1000);
		break;
	case -ECANCELED:
		len = asprintf(&why, "pram-service was told to end before criu was ready, as systemd does when TimeoutStopSec= is over");
		break;
	default:
		return NULL;
	}
	return len < 0 ? NULL : why;
}

int criu_run(const struct criu_run *run, char **why)
{
	_cleanup_close_ int program = open_criu(), logs = open_logs(run->unit);
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int status = -1, ret = 0, ends[2] = { -1, -1 };
	pid_t pid;

	*why = NULL;
	if (program < 0 || logs < 0 || null < 0) {
		ret = program < 0 ? program : logs < 0 ? logs : -errno;
		if (asprintf(why, "%s: %s", program < 0 ? "criu can't be opened" :
			     logs < 0 ? LOG_DIR " can't be created" : "/dev/null", strerror(-ret)) < 0)
			*why = NULL;
		return ret;
	}
	unlinkat(logs, run->log, 0);
	if (run->streams && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	pid = fork();
	if (!pid)
		run_child(run, program, logs, null, ends[1]);
	if (pid > 0)
		ret = wait_for(pid, logs, run->log, &status);
	else
		ret = -errno;
	if (ends[1] >= 0)
		close(ends[1]);
	/* Even if it was told to give up: it may have been ready by then. */
	if (pid > 0 && WIFEXITED(status) && !WEXITSTATUS(status)) {
		ret = run->streams ? take_streams(run, ends[0]) : 0;
		if (ret && asprintf(why, "criu's streams can't be received: %s", strerror(-ret)) < 0)
			*why = NULL;
		if (ends[0] >= 0)
			close(ends[0]);
		return ret;
	}
	/* What was sent is closed, and so the checkpoint put back. */
	if (ends[0] >= 0)
		close(ends[0]);
	if (pid < 0)
		return ret;
	*why = why_given_up(ret) ?: criu_first_error(logs, run->log);
	if (!*why && WIFEXITED(status) && WEXITSTATUS(status) == STEP_NAMESPACES)
		*why = strdup("criu can't enter its namespaces; those that the service itself has made are not entered");
	if (!*why && asprintf(why, WIFSIGNALED(status) ? "criu was ended by signal %d" :
			      "criu has ended with status %d, before it has logged anything",
			      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)) < 0)
		*why = NULL;
	return ret ?: 1;
}
