// SPDX-License-Identifier: GPL-2.0-only
/*
 * A mapping of every kind and with every flag, a timer and a descriptor of many kinds, and
 * a task with all that can be set about it: whatever /proc and prctl() say of them is
 * the same afterwards. What CRIU does not keep is not set here; docs/limits.md has it.
 */
#include <sched.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>

#include "pram.h"

const char *test_doc = "All that /proc and prctl() say of a task is the same afterwards";
const char *test_author = "The PRAM authors";

static const char filename[] = "pram_state.test";

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif
#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#ifndef __NR_mseal
#define __NR_mseal 462
#endif
#ifndef PR_GET_MDWE
#define PR_GET_MDWE 66
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif

#define PAGES 8
#define LEN   (PAGES * PAGE_SIZE)
#define NONE  -1
#define RW    (PROT_READ | PROT_WRITE)

enum { ANON, FILE_RW, FILE_RO };
enum { NO_LOCK, LOCK, LOCK_ONFAULT };

/* Each is a mapping of its own, between two that may not be touched. */
static const struct {
	const char *name;
	int prot, flags, advice, of, lock, seal;
} kinds[] = {
	{"no rights", PROT_NONE, MAP_PRIVATE, NONE},
	{"readable", PROT_READ, MAP_PRIVATE, NONE},
	{"writable", RW, MAP_PRIVATE, NONE},
	{"executable", PROT_READ | PROT_EXEC, MAP_PRIVATE, NONE},
	{"only executable", PROT_EXEC, MAP_PRIVATE, NONE},
	{"all rights", RW | PROT_EXEC, MAP_PRIVATE, NONE},
	{"without reservation", RW, MAP_PRIVATE | MAP_NORESERVE, NONE},
	{"growing", RW, MAP_PRIVATE | MAP_GROWSDOWN, NONE},
	{"droppable", RW, MAP_DROPPABLE, NONE},
	{"MADV_SEQUENTIAL", RW, MAP_PRIVATE, MADV_SEQUENTIAL},
	{"MADV_RANDOM", RW, MAP_PRIVATE, MADV_RANDOM},
	{"MADV_DONTFORK", RW, MAP_PRIVATE, MADV_DONTFORK},
	{"MADV_WIPEONFORK", RW, MAP_PRIVATE, MADV_WIPEONFORK},
	{"MADV_DONTDUMP", RW, MAP_PRIVATE, MADV_DONTDUMP},
	{"MADV_MERGEABLE", RW, MAP_PRIVATE, MADV_MERGEABLE},
	{"MADV_HUGEPAGE", RW, MAP_PRIVATE, MADV_HUGEPAGE},
	{"MADV_NOHUGEPAGE", RW, MAP_PRIVATE, MADV_NOHUGEPAGE},
	{"MADV_GUARD_INSTALL", RW, MAP_PRIVATE, MADV_GUARD_INSTALL},
	{"locked", RW, MAP_PRIVATE, NONE, ANON, LOCK},
	{"locked if touched", RW, MAP_PRIVATE, NONE, ANON, LOCK_ONFAULT},
	{"locked, readable", PROT_READ, MAP_PRIVATE, NONE, ANON, LOCK},
	{"sealed", RW, MAP_PRIVATE, NONE, ANON, NO_LOCK, 1},
	{"sealed, readable", PROT_READ, MAP_PRIVATE, NONE, ANON, NO_LOCK, 1},
	{"shared", RW, MAP_SHARED, NONE},
	{"shared, readable", PROT_READ, MAP_SHARED, NONE},
	{"shared, MADV_DONTFORK", RW, MAP_SHARED, MADV_DONTFORK},
	{"shared, locked", RW, MAP_SHARED, NONE, ANON, LOCK},
	{"shared, locked if touched", RW, MAP_SHARED, NONE, ANON, LOCK_ONFAULT},
	{"shared, sealed", RW, MAP_SHARED, NONE, ANON, NO_LOCK, 1},
	{"of a file", RW, MAP_PRIVATE, NONE, FILE_RW},
	{"of a file, readable", PROT_READ, MAP_PRIVATE, NONE, FILE_RO},
	{"of a file, executable", PROT_READ | PROT_EXEC, MAP_PRIVATE, NONE, FILE_RO},
	{"of a file, locked", PROT_READ, MAP_PRIVATE, NONE, FILE_RO, LOCK},
	{"of a file, sealed", PROT_READ, MAP_PRIVATE, NONE, FILE_RO, NO_LOCK, 1},
	{"of a file, shared", RW, MAP_SHARED, NONE, FILE_RW},
	{"of a file, shared, readable", PROT_READ, MAP_SHARED, NONE, FILE_RO},
	{"of a file, shared, MADV_RANDOM", RW, MAP_SHARED, MADV_RANDOM, FILE_RW},
	{"of a file, shared, locked if touched", RW, MAP_SHARED, NONE, FILE_RW, LOCK_ONFAULT},
};
#define KINDS ARRAY_SIZE(kinds)

static char *area[KINDS];

static void stop(const char *what)
{
	pr_perror("%s", what);
	exit(1);
}

/* --- what is set up --- */

static void map(int nr, int file, int file_ro)
{
	int fd = kinds[nr].of == FILE_RW ? file : kinds[nr].of == FILE_RO ? file_ro : -1;
	int flags = kinds[nr].flags | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0);
	char *hole;
	int err;

	hole = mmap(NULL, LEN + 2 * PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (hole == MAP_FAILED)
		stop(kinds[nr].name);
	/* What grows needs room below, and nothing that it could be merged with. */
	if (kinds[nr].flags & MAP_GROWSDOWN)
		munmap(hole, PAGE_SIZE);
	area[nr] = mmap(hole + PAGE_SIZE, LEN, kinds[nr].prot, flags, fd, 0);
	if (area[nr] == MAP_FAILED && kinds[nr].flags == MAP_DROPPABLE) {
		test_msg("The kernel has no droppable memory\n");
		area[nr] = NULL;
		return;
	}
	if (area[nr] == MAP_FAILED)
		stop(kinds[nr].name);
	if ((kinds[nr].prot & PROT_WRITE) && kinds[nr].advice != MADV_GUARD_INSTALL)
		area[nr][PAGE_SIZE] = 'x';
	err = kinds[nr].advice != NONE && madvise(area[nr], LEN, kinds[nr].advice);
	if (err && errno == EINVAL) {
		/* No KSM, no huge pages, no guards: nothing to keep. */
		test_msg("The kernel does not know %s\n", kinds[nr].name);
		err = 0;
	}
	if (kinds[nr].lock)
		err |= mlock2(area[nr], LEN, kinds[nr].lock == LOCK_ONFAULT ? MLOCK_ONFAULT : 0);
	if (kinds[nr].seal)
		err |= syscall(__NR_mseal, area[nr], LEN, 0);
	if (err)
		stop(kinds[nr].name);
}

static int timerfd(clockid_t clock, int flags, int value, int interval)
{
	struct itimerspec its = {.it_value.tv_sec = value, .it_interval.tv_sec = interval};
	int fd = timerfd_create(clock, flags);

	if (fd < 0 || timerfd_settime(fd, 0, &its, NULL))
		stop("timerfd");
	return fd;
}

static void make_files(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 0x1234567890};
	sigset_t mask;
	int fd, pipes[2];

	fd = eventfd(7, EFD_SEMAPHORE | EFD_NONBLOCK);
	event.data.fd = fd;
	if (fd < 0 || eventfd(3, EFD_CLOEXEC) < 0)
		stop("eventfd");
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGRTMIN + 3);
	if (signalfd(-1, &mask, SFD_NONBLOCK) < 0)
		stop("signalfd");
	timerfd(CLOCK_MONOTONIC, TFD_NONBLOCK, 100000, 0);
	timerfd(CLOCK_BOOTTIME, TFD_CLOEXEC, 100000, 77);
	timerfd(CLOCK_REALTIME, 0, 0, 0);
	/* Needed for epoll, which watches what is there already. */
	if (pipe2(pipes, O_NONBLOCK | O_CLOEXEC) || fcntl(pipes[1], F_SETPIPE_SZ, 16 * PAGE_SIZE) < 0 ||
	    fcntl(pipes[0], F_SETOWN, getpid()) || fcntl(pipes[0], F_SETSIG, SIGUSR2) ||
	    write(pipes[1], "some", 4) != 4)
		stop("pipe");
	event.data.fd = pipes[0];
	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, pipes[0], &event))
		stop("epoll");
	fd = inotify_init1(IN_NONBLOCK);
	if (fd < 0 || inotify_add_watch(fd, filename, IN_MOVE_SELF | IN_ATTRIB) < 0)
		stop("inotify");
	if (open(filename, O_WRONLY | O_APPEND | O_CLOEXEC) < 0 || open(filename, O_RDONLY | O_NOATIME) < 0)
		stop(filename);
	fd = open(filename, O_RDWR | O_SYNC);
	if (fd < 0 || lseek(fd, 12345, SEEK_SET) != 12345)
		stop(filename);
	if (memfd_create("state", MFD_ALLOW_SEALING) < 0)
		stop("memfd_create");
}

static void make_timers(void)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
					   CLOCK_PROCESS_CPUTIME_ID};
	struct itimerspec its = {.it_value.tv_sec = 100000, .it_interval.tv_sec = 9};
	struct itimerval itv = {.it_value.tv_sec = 100000, .it_interval.tv_sec = 8};
	struct sigevent sev = {};
	timer_t id;
	int i;

	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		sev.sigev_notify = i % 2 ? SIGEV_NONE : SIGEV_SIGNAL;
		sev.sigev_signo = SIGUSR1;
		sev.sigev_value.sival_int = 1000 + i;
		if (timer_create(clocks[i], &sev, &id) || timer_settime(id, 0, &its, NULL))
			stop("timer_create");
	}
	for (i = ITIMER_REAL; i <= ITIMER_PROF; i++)
		if (setitimer(i, &itv, NULL))
			stop("setitimer");
}

static void write_proc(const char *name, const char *value)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		stop(path);
	close(fd);
}

static void set_task(void)
{
	struct rlimit limit = {.rlim_cur = 200, .rlim_max = 400};
	struct sched_param param = {};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t mask;
	cpu_set_t cpus;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGWINCH);
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	umask(0135);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) || kill(getpid(), SIGUSR1) || raise(SIGWINCH) ||
	    sigaction(SIGHUP, &ignore, NULL) || sigaction(SIGVTALRM, &ignore, NULL))
		stop("signals");
	if (setrlimit(RLIMIT_NOFILE, &limit) || setrlimit(RLIMIT_CORE, &limit))
		stop("setrlimit");
	if (sched_setaffinity(0, sizeof(cpus), &cpus) || setpriority(PRIO_PROCESS, 0, 4) ||
	    sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &param) ||
	    syscall(__NR_ioprio_set, 1, 0, 2 << 13 | 6))
		stop("priorities");
	write_proc("oom_score_adj", "456");
	write_proc("coredump_filter", "0x11");
	write_proc("autogroup", "6");
	if (prctl(PR_SET_NAME, "a name") || prctl(PR_SET_PDEATHSIG, SIGHUP) || prctl(PR_SET_CHILD_SUBREAPER, 1) ||
	    prctl(PR_SET_TIMERSLACK, 54321) || prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		stop("prctl");
	/* They need capabilities, or a kernel that has it. */
	if (prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0))
		test_msg("No PR_SET_MEMORY_MERGE: %m\n");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		test_msg("No PR_SET_KEEPCAPS: %m\n");
	if (mlockall(MCL_FUTURE | MCL_ONFAULT))
		stop("mlockall");
}

/* --- what is said of it --- */

static struct text {
	size_t len;
	char text[96 << 10];
} before, after;

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	t->len += vsnprintf(t->text + t->len, sizeof(t->text) - t->len, fmt, args);
	va_end(args);
	if (t->len >= sizeof(t->text)) {
		pr_err("Too much text\n");
		exit(1);
	}
}

/* The lines of a file that begin with one of the words, or none of them if not WANTED */
static void add_lines(struct text *t, const char *path, int wanted, const char *const *words)
{
	char line[1024];
	FILE *file;
	int i;

	file = fopen(path, "r");
	if (!file) {
		add(t, "%s: none\n", path);
		return;
	}
	while (fgets(line, sizeof(line), file)) {
		for (i = 0; words[i] && strncmp(line, words[i], strlen(words[i])); i++)
			;
		if (!words[i] == !wanted)
			add(t, "%s: %s", path, line);
	}
	fclose(file);
}

static int kind_at(unsigned long addr)
{
	int i;

	for (i = 0; i < KINDS; i++)
		if (addr == (unsigned long)area[i])
			return i;
	return -1;
}

static void add_smaps(struct text *t)
{
	unsigned long start, end;
	char line[1024], rights[8], *accounted;
	int nr = -1;
	FILE *smaps;

	smaps = fopen("/proc/self/smaps", "r");
	if (!smaps)
		stop("smaps");
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) == 3) {
			nr = kind_at(start);
			if (nr >= 0)
				add(t, "%s: %lu pages, %s\n", kinds[nr].name, (end - start) / PAGE_SIZE, rights);
		} else if (nr >= 0 && (!strncmp(line, "VmFlags:", 8) || !strncmp(line, "ProtectionKey:", 14) ||
				       !strncmp(line, "THPeligible:", 12))) {
			/* Accounted is what may be written to, in a restore for a moment. */
			accounted = strstr(line, " ac ");
			if (accounted)
				memmove(accounted, accounted + 3, strlen(accounted + 3) + 1);
			add(t, "%s: %s", kinds[nr].name, line);
		} else if (nr >= 0 && !strncmp(line, "Rss:", 4) && kinds[nr].lock == LOCK_ONFAULT &&
			   !(kinds[nr].flags & MAP_SHARED)) {
			add(t, "%s: %s", kinds[nr].name, line);
		}
	}
	fclose(smaps);
}

static void add_prctl(struct text *t, const char *name, int option)
{
	add(t, "%s: %d\n", name, prctl(option, 0, 0, 0, 0));
}

static void look(struct text *t)
{
	static const char *const status[] = {
		"Name:", "Umask:", "Tgid:", "Pid:", "Uid:", "Gid:", "Groups:", "NSpid:", "Kthread:", "VmLck:",
		"VmPin:", "THP_enabled:", "untag_mask:", "Threads:", "SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:",
		"SigCgt:", "Cap", "NoNewPrivs:", "Seccomp:", "Seccomp_filters:", "Speculation", "Cpus_allowed:",
		"Mems_allowed:", "x86_Thread", NULL};
	static const char *const sched[] = {"policy", "prio", "uclamp.m", "ext.enabled", NULL};
	static const char *const differ[] = {"mnt_id:", "ino:", "it_value:", "tfd:", "inotify", "eventfd-id:", NULL};
	/* fd 0 to 2 are the test's own. */
	static const char *const none[] = {NULL};
	static const char *const nice[] = {"/autogroup", NULL};
	struct itimerval itv;
	int i, size, sub = -1, sig = -1;
	char path[64], line[128];
	unsigned long autogroup;
	FILE *file;

	add_smaps(t);
	add_lines(t, "/proc/self/status", 1, status);
	add_lines(t, "/proc/self/sched", 1, sched);
	add_lines(t, "/proc/self/limits", 0, none);
	add_lines(t, "/proc/self/timers", 0, none);
	add_lines(t, "/proc/self/timerslack_ns", 0, none);
	add_lines(t, "/proc/self/coredump_filter", 0, none);
	add_lines(t, "/proc/self/oom_score_adj", 0, none);
	add_lines(t, "/proc/self/personality", 0, none);
	add_lines(t, "/proc/self/loginuid", 0, none);
	add_lines(t, "/proc/self/comm", 0, none);
	add_lines(t, "/proc/self/autogroup", 0, nice);
	/* Its number is a new one. */
	file = fopen("/proc/self/autogroup", "r");
	if (file) {
		if (fgets(line, sizeof(line), file) && sscanf(line, "/autogroup-%lu nice %d", &autogroup, &i) == 2)
			add(t, "autogroup: nice %d\n", i);
		fclose(file);
	}
	for (i = 3; i < 64; i++) {
		if (fcntl(i, F_GETFD) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", i);
		add_lines(t, path, 0, differ);
		size = fcntl(i, F_GETPIPE_SZ);
		add(t, "fd %d: flags %#x, owner %d, signal %d, seals %#x, pipe %d\n", i, fcntl(i, F_GETFD),
		    fcntl(i, F_GETOWN), fcntl(i, F_GETSIG), fcntl(i, F_GET_SEALS), size);
	}
	for (i = ITIMER_REAL; i <= ITIMER_PROF; i++) {
		if (getitimer(i, &itv))
			stop("getitimer");
		add(t, "itimer %d: %s, each %ld s\n", i, itv.it_value.tv_sec ? "armed" : "not armed",
		    (long)itv.it_interval.tv_sec);
	}
	add(t, "ioprio %#lx, nice %d, policy %#x\n", syscall(__NR_ioprio_get, 1, 0), getpriority(PRIO_PROCESS, 0),
	    sched_getscheduler(0));
	if (prctl(PR_GET_CHILD_SUBREAPER, &sub) || prctl(PR_GET_PDEATHSIG, &sig))
		stop("prctl");
	add(t, "subreaper %d, signal at the parent's death %d\n", sub, sig);
	add_prctl(t, "PR_GET_DUMPABLE", PR_GET_DUMPABLE);
	add_prctl(t, "PR_GET_KEEPCAPS", PR_GET_KEEPCAPS);
	add_prctl(t, "PR_GET_SECUREBITS", PR_GET_SECUREBITS);
	add_prctl(t, "PR_GET_TIMERSLACK", PR_GET_TIMERSLACK);
	add_prctl(t, "PR_GET_NO_NEW_PRIVS", PR_GET_NO_NEW_PRIVS);
	add_prctl(t, "PR_GET_THP_DISABLE", PR_GET_THP_DISABLE);
	add_prctl(t, "PR_MCE_KILL_GET", PR_MCE_KILL_GET);
	add_prctl(t, "PR_GET_MDWE", PR_GET_MDWE);
	add_prctl(t, "PR_GET_MEMORY_MERGE", PR_GET_MEMORY_MERGE);
	for (i = 0; i < 3; i++)
		add(t, "PR_GET_SPECULATION_CTRL %d: %d\n", i, prctl(PR_GET_SPECULATION_CTRL, i, 0, 0, 0));
}

static char *next_line(char **at)
{
	char *line = *at, *end = strchr(line, '\n');

	if (!*line)
		return "nothing";
	if (end)
		*end++ = '\0';
	*at = end ? end : line + strlen(line);
	return line;
}

int main(int argc, char **argv)
{
	char *old = before.text, *new = after.text, *was, *is;
	int file, file_ro, i, ret = 0;

	test_init(argc, argv);

	file = open(filename, O_RDWR | O_CREAT | O_EXCL, 0755);
	if (file < 0 || ftruncate(file, LEN))
		stop(filename);
	file_ro = open(filename, O_RDONLY);
	if (file_ro < 0)
		stop(filename);
	for (i = 0; i < KINDS; i++)
		map(i, file, file_ro);
	make_files();
	make_timers();
	set_task();
	/* The first look makes what the others find: buffers of stdio, a heap. */
	look(&before);
	memset(&before, 0, sizeof(before));
	look(&before);

	test_daemon();
	test_waitsig();

	look(&after);
	while (*old || *new) {
		was = next_line(&old);
		is = next_line(&new);
		if (!strcmp(was, is)) {
			test_msg("%s\n", is);
			continue;
		}
		ret |= pram_fail("was: %s", was);
		ret |= pram_fail("is:  %s", is);
	}
	unlink(filename);
	if (ret)
		return 1;
	pass();
	return 0;
}
