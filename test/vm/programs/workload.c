// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program to be checkpointed. It makes a bit of everything that a service
 * has, and verifies all of it on demand, from the inside: every byte of its
 * memory, its threads, its child, and what was under way in pipes, sockets,
 * timers and signal queues.
 *
 *	workload [--memory MIB] [--shared MIB] [--high] [--little] [--tree [--steady]] READY RESULT
 *
 * It writes its pid to the file READY once everything is set up. On SIGUSR1 it
 * verifies everything and writes "PASS", or what is wrong, to the file RESULT,
 * which it replaces in one step; it can be asked again. SIGTERM ends it.
 * Without --tree it is one task with memory, of which --shared MIB are shared, and nothing else; with --high
 * some of it lies above 2^47, where only five levels of page tables reach. With --little there
 * is all of it, but not much. With --steady there is nothing that a criu which was
 * killed leaves locked, as it does TCP connections, and nothing that now one task
 * restores and now another, as it is with shared memory that both have mapped.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tell.h"

#include "verify.h"

#define NR_THREADS 3
#define MIB (1024UL * 1024)

/* --- memory --- */

struct area {
	const char *name;
	uint64_t *start;
	size_t bytes;
	uint64_t seed;
	/* Only each step-th page was touched; 1: all. */
	size_t step;
};

static struct area areas[16];
static size_t nr_areas;
static bool little;

static uint64_t mix(uint64_t x)
{
	/* splitmix64's finalizer: neighbouring words have nothing in common */
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static void area_fill(const struct area *area)
{
	size_t page = sysconf(_SC_PAGESIZE), words = page / sizeof(uint64_t);

	for (size_t at = 0; at < area->bytes; at += page * area->step) {
		uint64_t *word = area->start + at / sizeof(uint64_t);

		for (size_t i = 0; i < words; i++)
			word[i] = mix(area->seed + at + i);
	}
}

static void area_verify(const struct area *area)
{
	size_t page = sysconf(_SC_PAGESIZE), words = page / sizeof(uint64_t);

	for (size_t at = 0; at < area->bytes; at += page) {
		const uint64_t *word = area->start + at / sizeof(uint64_t);
		bool touched = at / page % area->step == 0;

		for (size_t i = 0; i < words; i++) {
			uint64_t want = touched ? mix(area->seed + at + i) : 0;

			if (word[i] != want) {
				fail("memory \"%s\" at offset %zu: %016llx, should be %016llx",
				     area->name, at + i * sizeof(*word),
				     (unsigned long long)word[i],
				     (unsigned long long)want);
				return;
			}
		}
	}
}

static struct area *area_add(const char *name, void *start, size_t bytes,
			     size_t step)
{
	struct area *area = &areas[nr_areas++];

	if (start == MAP_FAILED)
		err(1, "cannot map memory \"%s\"", name);
	*area = (struct area){
		.name = name,
		.start = start,
		.bytes = bytes,
		.seed = mix(nr_areas * 1000003),
		.step = step,
	};
	area_fill(area);
	return area;
}

static void *map(size_t bytes, int flags, int fd)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
}

static void memory_setup(size_t mib)
{
	const size_t sparse = little ? 8 * MIB : 64 * MIB, huge = little ? 2 * MIB : 8 * MIB;
	int anon = MAP_PRIVATE | MAP_ANONYMOUS;
	struct area *area;
	int fd;

	area_add("private", map(mib * MIB, anon, -1), mib * MIB, 1);
	area_add("sparse", map(sparse, anon | MAP_NORESERVE, -1), sparse, 509);

	area = area_add("read-only", map(MIB, anon, -1), MIB, 1);
	mprotect(area->start, area->bytes, PROT_READ);

	area = area_add("huge", map(huge, anon, -1), huge, 1);
	madvise(area->start, area->bytes, MADV_HUGEPAGE);

	/* This program's own file, some pages of which are written to. */
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	area_add("private file", map(16384, MAP_PRIVATE, fd), 16384, 1);
	close(fd);

	area_add("heap", aligned_alloc(4096, huge / 2), huge / 2, 1);
	area = area_add("locked", map(MIB, anon, -1), MIB, 1);
	mlock(area->start, area->bytes);
}

static void memory_verify(void)
{
	for (size_t i = 0; i < nr_areas; i++)
		area_verify(&areas[i]);
}

/* --- threads --- */

static pthread_mutex_t thread_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t thread_asked = PTHREAD_COND_INITIALIZER;
static pthread_cond_t thread_answered = PTHREAD_COND_INITIALIZER;
static unsigned int thread_round, thread_answers;
static __thread uint64_t thread_private;

static void *thread_main(void *arg)
{
	uint64_t own = mix((uintptr_t)arg);
	pid_t tid = gettid();
	char name[16], got[16];
	unsigned int round = 0;

	thread_private = own;
	snprintf(name, sizeof(name), "workload-%u", (unsigned int)(uintptr_t)arg);
	prctl(PR_SET_NAME, name);
	pthread_mutex_lock(&thread_lock);
	for (;;) {
		while (round == thread_round)
			pthread_cond_wait(&thread_asked, &thread_lock);
		round = thread_round;
		check(thread_private == own);
		check(gettid() == tid);
		check(!prctl(PR_GET_NAME, got) && !strcmp(got, name));
		thread_answers++;
		pthread_cond_signal(&thread_answered);
	}
	return NULL;
}

static void threads_setup(void)
{
	pthread_t thread;

	for (uintptr_t i = 1; i <= NR_THREADS; i++)
		if (pthread_create(&thread, NULL, thread_main, (void *)i))
			errx(1, "cannot create a thread");
}

static void threads_verify(void)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 100;
	pthread_mutex_lock(&thread_lock);
	thread_answers = 0;
	thread_round++;
	pthread_cond_broadcast(&thread_asked);
	while (thread_answers < NR_THREADS) {
		if (pthread_cond_timedwait(&thread_answered, &thread_lock, &end)) {
			fail("only %u of %u threads answer", thread_answers, NR_THREADS);
			break;
		}
	}
	pthread_mutex_unlock(&thread_lock);
}

/* --- what is under way between tasks --- */

static const char in_flight[] = "written before the checkpoint";
static int pipe_fds[2], unix_fds[2], tcp_fds[2], deleted_fd, memfd, event_fd;
static int timer_fd;
static timer_t posix_timer;
static pid_t child;
static int to_child[2], from_child[2];
static bool drained, steady;

static void tcp_setup(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	tcp_fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (void *)&addr, len) || listen(listener, 1) ||
	    getsockname(listener, (void *)&addr, &len) ||
	    connect(tcp_fds[0], (void *)&addr, len))
		err(1, "cannot connect on loopback");
	tcp_fds[1] = accept(listener, NULL, NULL);
	if (tcp_fds[1] < 0)
		err(1, "cannot accept on loopback");
}

static void put(int fd)
{
	if (write(fd, in_flight, sizeof(in_flight)) != sizeof(in_flight))
		err(1, "cannot write");
}

static void expect_at(const char *what, int fd)
{
	char buf[sizeof(in_flight)] = "";
	size_t done = 0;
	ssize_t n;

	while (done < sizeof(buf)) {
		n = read(fd, buf + done, sizeof(buf) - done);
		if (n <= 0)
			break;
		done += n;
	}
	if (done != sizeof(buf) || memcmp(buf, in_flight, sizeof(buf)))
		fail("%s: %zu bytes read, not what was written before", what, done);
}

/* There and back: the connection still connects the two ends. */
static void expect_echo(const char *what, int a, int b)
{
	put(a);
	expect_at(what, b);
	put(b);
	expect_at(what, a);
}

static void files_setup(void)
{
	char path[] = "/tmp/workload-XXXXXX";

	deleted_fd = mkstemp(path);
	memfd = memfd_create("workload", MFD_CLOEXEC);
	event_fd = eventfd(17, EFD_CLOEXEC);
	if (deleted_fd < 0 || memfd < 0 || event_fd < 0)
		err(1, "cannot create files");
	put(deleted_fd);
	put(deleted_fd);
	unlink(path);
	lseek(deleted_fd, sizeof(in_flight), SEEK_SET);

	if (ftruncate(memfd, 2 * MIB))
		err(1, "cannot size a memfd");
	area_add("memfd", map(2 * MIB, MAP_SHARED, memfd), 2 * MIB, 1);
	lseek(memfd, 4711, SEEK_SET);
}

static void files_verify(void)
{
	uint64_t count = 0;
	struct stat st;

	check(!fstat(deleted_fd, &st) && st.st_nlink == 0);
	check(lseek(deleted_fd, 0, SEEK_CUR) == sizeof(in_flight));
	expect_at("deleted file", deleted_fd);
	lseek(deleted_fd, sizeof(in_flight), SEEK_SET);
	check(lseek(memfd, 0, SEEK_CUR) == 4711);
	check(read(event_fd, &count, sizeof(count)) == sizeof(count) && count == 17);
	check(write(event_fd, &count, sizeof(count)) == sizeof(count));
}

static void timers_setup(void)
{
	struct itimerspec in_an_hour = { .it_value.tv_sec = 3600 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };

	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (timer_fd < 0 || timerfd_settime(timer_fd, 0, &in_an_hour, NULL) ||
	    timer_create(CLOCK_MONOTONIC, &event, &posix_timer) ||
	    timer_settime(posix_timer, 0, &in_an_hour, NULL))
		err(1, "cannot arm timers");
}

static void timers_verify(void)
{
	struct itimerspec left = {};

	check(!timerfd_gettime(timer_fd, &left));
	check(left.it_value.tv_sec > 1800 && left.it_value.tv_sec <= 3600);
	check(!timer_gettime(posix_timer, &left));
	check(left.it_value.tv_sec > 1800 && left.it_value.tv_sec <= 3600);
}

static void pending_setup(void)
{
	union sigval value = { .sival_int = 4242 };

	if (sigqueue(getpid(), SIGRTMIN + 1, value))
		err(1, "cannot queue a signal");
}

static void pending_verify(void)
{
	struct timespec now = {};
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	check(sigtimedwait(&set, &info, &now) == SIGRTMIN + 1 &&
	      info.si_value.sival_int == 4242);
	pending_setup();
}

/* The child shares the parent's memory copy-on-write and has written to some. */
static void child_main(void)
{
	struct area *own = &areas[0];
	char c;

	own->seed = mix(own->seed);
	own->bytes /= 2;
	area_fill(own);
	for (size_t i = 0; i < nr_areas && steady; i++) {
		if (strcmp(areas[i].name, "memfd") && strcmp(areas[i].name, "shared"))
			continue;
		munmap(areas[i].start, areas[i].bytes);
		areas[i].bytes = 0;
	}
	if (steady)
		close(memfd);
	put(from_child[1]);
	while (read(to_child[0], &c, 1) == 1) {
		failure[0] = '\0';
		for (size_t i = 0; i < nr_areas; i++)
			area_verify(&areas[i]);
		if (write(from_child[1], failure, sizeof(failure)) < 0)
			_exit(1);
	}
	_exit(0);
}

static void tree_setup(void)
{
	const size_t shared = little ? MIB : 4 * MIB;

	area_add("shared", map(shared, MAP_SHARED | MAP_ANONYMOUS, -1), shared, 1);
	files_setup();
	if (pipe2(pipe_fds, O_CLOEXEC) || pipe2(to_child, O_CLOEXEC) ||
	    pipe2(from_child, O_CLOEXEC) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, unix_fds))
		err(1, "cannot create pipes");
	child = fork();
	if (child < 0)
		err(1, "cannot fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		child_main();
	}
	expect_at("child", from_child[0]);

	threads_setup();
	if (!steady)
		tcp_setup();
	timers_setup();
	pending_setup();
	put(pipe_fds[1]);
	put(unix_fds[0]);
	if (!steady)
		put(tcp_fds[0]);
}

static void tree_verify(void)
{
	char answer[sizeof(failure)] = "no answer";
	char c = '?';

	threads_verify();
	files_verify();
	timers_verify();
	pending_verify();
	check(write(to_child[1], &c, 1) == 1);
	check(read(from_child[0], answer, sizeof(answer)) == sizeof(answer));
	if (answer[0])
		fail("child: %s", answer);
	/* There is something in it the next time, too. */
	expect_at("pipe", pipe_fds[0]);
	put(pipe_fds[1]);
	if (!drained) {
		expect_at("unix socket", unix_fds[1]);
		if (!steady)
			expect_at("tcp socket", tcp_fds[1]);
		drained = true;
	}
	expect_echo("unix socket", unix_fds[0], unix_fds[1]);
	if (!steady)
		expect_echo("tcp socket", tcp_fds[1], tcp_fds[0]);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "memory", required_argument, NULL, 'm' },
		{ "tree", no_argument, NULL, 't' },
		{ "shared", required_argument, NULL, 'S' },
		{ "high", no_argument, NULL, 'h' },
		{ "little", no_argument, NULL, 'l' },
		{ "steady", no_argument, NULL, 's' },
		{}
	};
	size_t memory = 64, shared = 0;
	bool tree = false, high = false;
	sigset_t set;
	int opt;

	while ((opt = getopt_long(argc, argv, "m:S:hlts", options, NULL)) != -1) {
		switch (opt) {
		case 'm':
			memory = strtoul(optarg, NULL, 10);
			break;
		case 'S':
			shared = strtoul(optarg, NULL, 10) * MIB;
			break;
		case 't':
			tree = true;
			break;
		case 'h':
			high = true;
			break;
		case 'l':
			little = true;
			break;
		case 's':
			steady = true;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 2 || !memory)
		errx(2, "usage: workload [--memory MIB] [--shared MIB] [--high] [--little] [--tree [--steady]] READY RESULT");

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGRTMIN);
	sigdelset(&set, SIGRTMIN + 1);

	memory_setup(memory);
	if (shared)
		area_add("much shared", map(shared, MAP_SHARED | MAP_ANONYMOUS, -1), shared, 1);
	if (high)
		area_add("high", mmap((void *)(3UL << 47), MIB, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), MIB, 1);
	if (tree)
		tree_setup();
	tell_pid(argv[optind]);

	for (;;) {
		int sig = sigwaitinfo(&set, NULL);

		if (sig == SIGTERM)
			return 0;
		if (sig != SIGUSR1)
			continue;
		failure[0] = '\0';
		memory_verify();
		if (tree)
			tree_verify();
		tell(argv[optind + 1], failure[0] ? failure : "PASS");
	}
}
