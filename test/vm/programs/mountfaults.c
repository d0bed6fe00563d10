// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mounts, remounts and unmounts of a tmpfs with pram= that fail, or are killed.
 *
 *	mountfaults nth mount|remount|umount NAME DIR STEP COMMAND
 *	mountfaults kill mount|remount|umount NAME DIR TIMES COMMAND
 *
 * "nth" lets the 1st allocation of memory fail, then the 2nd, ..., and after 64 of
 * them each STEPth, until the operation succeeds without a failure. "kill" kills
 * whoever does it, each time at another moment of it, until that came in time TIMES
 * times.
 *
 * Whatever happens the tree must be in one place, whole: in the nodes or in a file
 * system that can be written to, or both if it is mounted read-only. The exception
 * is a save that fails at the last unmount: that leaves nothing, and says so; here
 * COMMAND makes the tree anew. Else COMMAND checks a tree that was loaded or saved
 * while an allocation failed, now and then.
 *
 * It begins mounted, for mount not so, and ends so.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pram.h"

static int dev;
static const char *name, *dir, *command;
static char options[300], nodes[2][300];
static const char *what;
static long moment;

/* Fails this program, with what it was doing. */
#define wrong(...)                                                             \
	do {                                                                   \
		printf("%s, at %ld: ", what, moment);                          \
		printf(__VA_ARGS__);                                           \
		putchar('\n');                                                 \
		exit(1);                                                       \
	} while (0)

/* --- states --- */

static int nr_nodes(void)
{
	struct pram_node_stat stat;
	int nr = 0;

	for (int i = 0; i < 2; i++) {
		if (pram_stat(dev, nodes[i], &stat))
			continue;
		if (stat.state != PRAM_NODE_READY)
			wrong("node %s is in state %u", nodes[i], stat.state);
		nr++;
	}
	if (nr == 1)
		wrong("only one of two nodes is there");
	return nr;
}

static bool mounted(void)
{
	FILE *file = fopen("/proc/mounts", "re");
	char line[4096], at[256];
	bool found = false;

	if (!file)
		err(1, "/proc/mounts");
	while (fgets(line, sizeof(line), file))
		found |= sscanf(line, "%*s %255s", at) == 1 && !strcmp(at, dir);
	fclose(file);
	return found;
}

static bool read_only(void)
{
	struct statvfs st;

	if (statvfs(dir, &st))
		err(1, "%s", dir);
	return st.f_flag & ST_RDONLY;
}

static void run_command(void)
{
	int status = system(command);

	if (status)
		wrong("'%s' ended with status %#x", command, status);
}

/* --- operations --- */

static int do_mount(void)
{
	return mount("none", dir, "tmpfs", MS_NOATIME, options) ? -errno : 0;
}

static int do_remount(void)
{
	return mount("none", dir, "tmpfs", MS_REMOUNT | MS_RDONLY | MS_NOATIME, "") ?
		       -errno : 0;
}

static int do_writable(void)
{
	return mount("none", dir, "tmpfs", MS_REMOUNT | MS_NOATIME, "") ? -errno : 0;
}

static int do_umount(void)
{
	return umount2(dir, 0) ? -errno : 0;
}

/* --- what has to be true after them; and back to where it was --- */

static bool after_mount(int ret, bool check)
{
	int nr = nr_nodes();

	if (ret) {
		if (nr != 2)
			wrong("failed (%s), and the nodes are gone", strerror(-ret));
		if (mounted())
			wrong("failed (%s), and something is mounted", strerror(-ret));
		return false;
	}
	if (nr)
		wrong("succeeded, and the nodes are still there");
	if (check)
		run_command();
	ret = do_umount();
	if (ret)
		wrong("cannot be unmounted again: %s", strerror(-ret));
	if (nr_nodes() != 2)
		wrong("not saved again");
	return true;
}

static bool after_remount(int ret, bool check)
{
	int nr = nr_nodes();

	if (ret) {
		if (nr)
			wrong("failed (%s), and there are nodes", strerror(-ret));
		if (read_only())
			wrong("failed (%s), and it is read-only", strerror(-ret));
		return false;
	}
	if (nr != 2 || !read_only())
		wrong("succeeded: %d nodes, read-only: %d", nr, read_only());
	if (check)
		run_command();
	ret = do_writable();
	if (ret)
		wrong("not writable again: %s", strerror(-ret));
	if (nr_nodes() || read_only())
		wrong("writable again: %d nodes, read-only: %d", nr_nodes(), read_only());
	return true;
}

static int log_fd;

/* Has the kernel said so since? */
static bool said(const char *text)
{
	char line[8192];
	bool found = false;
	ssize_t n;

	while ((n = read(log_fd, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n > 0) {
			line[n] = 0;
			found |= strstr(line, text) && strstr(line, name);
		}
	}
	return found;
}

/* Where it was unmounted: whether or not saved, mounted again with its tree. */
static bool after_umount(int ret, bool check)
{
	bool message = said("not saved when unmounted");
	int nr;

	if (ret)
		wrong("failed: %s", strerror(-ret));
	if (mounted())
		wrong("still mounted");
	nr = nr_nodes();
	if (message != !nr)
		wrong("%d nodes, and a message: %d", nr, message);
	ret = do_mount();
	if (ret)
		wrong("cannot be mounted again: %s", strerror(-ret));
	if (!nr || check)
		run_command();
	return nr != 0;
}

static const struct operation {
	const char *name;
	int (*run)(void);
	/* Return: whether it has done what it is for. */
	bool (*after)(int ret, bool check);
} operations[] = {
	{ "mount", do_mount, after_mount },
	{ "remount", do_remount, after_remount },
	{ "umount", do_umount, after_umount },
};

/* --- the n-th allocation --- */

static void write_nth(const char *path, long n)
{
	char text[32];
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	/* A worker may have ended. */
	if (fd < 0)
		return;
	if (write(fd, text, sprintf(text, "%ld", n)) < 0)
		err(1, "%s", path);
	close(fd);
}

static long read_nth(const char *path, long otherwise)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return otherwise;
	if (read(fd, text, sizeof(text) - 1) < 0)
		err(1, "%s", path);
	close(fd);
	return strtol(text, NULL, 10);
}

/*
 * The kernel's workers, one of which does what the last unmount has to do.
 * @n is set for each of them, or -1: return whether all still have something left.
 */
static bool workers(long n)
{
	DIR *proc = opendir("/proc");
	bool all = true;
	struct dirent *d;
	char path[300], comm[64];
	FILE *file;

	while (proc && (d = readdir(proc))) {
		if (d->d_name[0] < '0' || d->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (!fgets(comm, sizeof(comm), file))
			comm[0] = 0;
		fclose(file);
		if (strncmp(comm, "kworker/u", 9))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fail-nth", d->d_name);
		if (n >= 0)
			write_nth(path, n);
		else
			all &= read_nth(path, 1) != 0;
	}
	if (proc)
		closedir(proc);
	return all;
}

static int nth(const struct operation *op, long step)
{
	static const char self[] = "/proc/thread-self/fail-nth";
	bool in_worker = op->run == do_umount;
	long failures = 0, tolerated = 0, quiet = 0;
	int by_errno[200] = {};

	for (moment = 1; quiet < (in_worker ? 4 : 1); moment += quiet ? 0 : moment < 64 ? 1 : step) {
		bool injected;
		int ret;

		if (in_worker)
			workers(moment);
		else
			write_nth(self, moment);
		ret = op->run();
		if (in_worker) {
			injected = !workers(-1);
			workers(0);
		} else {
			injected = !read_nth(self, 0);
			write_nth(self, 0);
		}
		if (ret < 0 && -ret < 200)
			by_errno[-ret]++;
		if (ret < 0 && !injected)
			wrong("failed, but no allocation has: %s", strerror(-ret));
		failures += injected;
		tolerated += op->after(ret, injected && tolerated % 4 == 0) && injected;
		/* A worker that was not there before has no failures to come. */
		quiet = injected ? 0 : quiet + 1;
	}
	printf("%s: %ld allocations, %ld of them failed, %ld times it succeeded all the same;",
	       what, moment - 1, failures, tolerated);
	for (int i = 0; i < 200; i++)
		if (by_errno[i])
			printf(" %s %d times", strerrorname_np(i), by_errno[i]);
	putchar('\n');
	if (failures < 20)
		wrong("only %ld allocations failed: is fault injection on?", failures);
	return 0;
}

/* --- killed --- */

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* What the victim says of itself. */
static struct {
	_Atomic long long begun, ended;
} *victim;

/*
 * As fast as caches are warm, and slow while the machine is busy: what one that was
 * killed too late has taken is the measure for the next.
 */
static int kill_it(const struct operation *op, long times)
{
	long long start = now_us(), took;
	long killed = 0, late = 0, undone = 0;
	uint64_t seed = 12345;
	int ret, status;

	victim = mmap(NULL, sizeof(*victim), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (victim == MAP_FAILED)
		err(1, "mmap");
	ret = op->run();
	took = now_us() - start;
	op->after(ret, true);

	for (moment = 1; killed < times && moment <= 20 + 10 * times; moment++) {
		long long delay;
		pid_t pid;

		victim->begun = victim->ended = 0;
		pid = fork();
		if (pid < 0)
			err(1, "fork");
		if (!pid) {
			victim->begun = now_us();
			ret = op->run();
			victim->ended = now_us();
			_exit(-ret);
		}
		/* One after the other in each part of the time, sooner if it was too late. */
		seed = seed * 6364136223846793005 + 1442695040888963407;
		delay = took * (killed * 1000 + (seed >> 33) % 1000) / (times * 1000);
		delay = delay * 3 / (3 + late);
		while (!victim->begun || now_us() < victim->begun + delay)
			usleep(delay / 16);
		kill(pid, SIGKILL);
		if (waitpid(pid, &status, 0) != pid)
			err(1, "waitpid");
		if (WIFEXITED(status) && WEXITSTATUS(status))
			wrong("failed before it was killed: %s", strerror(WEXITSTATUS(status)));
		if (op->run == do_mount)
			ret = mounted() ? 0 : -EINTR;
		else if (op->run == do_remount)
			ret = read_only() ? 0 : -EINTR;
		else
			ret = mounted() ? -EINTR : 0;
		if (ret && op->run == do_umount) {
			/* It never began. */
			if (nr_nodes())
				wrong("mounted, and there are nodes");
			continue;
		}
		if (WIFSIGNALED(status) && !victim->ended) {
			killed++;
			undone += ret != 0;
			late = 0;
		} else {
			took = victim->ended - victim->begun;
			late++;
		}
		op->after(ret, true);
	}
	printf("%s: %lld ms; of %ld that were killed %ld were not done; %ld were not killed in time\n",
	       what, took / 1000, killed, undone, moment - 1 - killed);
	if (killed < times)
		wrong("only %ld were killed in time", killed);
	return 0;
}

int main(int argc, char **argv)
{
	const struct operation *op = NULL;

	for (int i = 0; argc == 7 && i < 3; i++)
		if (!strcmp(argv[2], operations[i].name))
			op = &operations[i];
	if (!op)
		errx(2, "usage: mountfaults nth|kill mount|remount|umount NAME DIR NUMBER COMMAND");
	what = argv[2];
	name = argv[3];
	dir = argv[4];
	command = argv[6];
	snprintf(options, sizeof(options), "pram=%s", name);
	snprintf(nodes[0], sizeof(nodes[0]), "shmem-1-%s", name);
	snprintf(nodes[1], sizeof(nodes[1]), "shmem-2-%s", name);
	setvbuf(stdout, NULL, _IOLBF, 0);
	dev = pram_open();
	if (dev < 0)
		errx(1, "cannot open /dev/pram: %s", strerror(-dev));
	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log_fd < 0 || lseek(log_fd, 0, SEEK_END) < 0)
		err(1, "/dev/kmsg");
	if (!strcmp(argv[1], "nth"))
		return nth(op, strtol(argv[5], NULL, 0));
	return kill_it(op, strtol(argv[5], NULL, 0));
}
