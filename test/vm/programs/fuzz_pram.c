// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls on /dev/pram and on streams, at random.
 *
 *	fuzz_pram [--own] SEED ROUNDS OPERATIONS [SECONDS]
 *
 * Each round has two processes of three threads that do OPERATIONS each, with arguments
 * that are right, nearly right or nonsense, on what they share: a few names, file
 * descriptors that any of them may close, and memory that any of them may unmap, lock,
 * merge or move. They fork, exec, trace, and in every other round they are killed in
 * the middle. Beside them, two keepers save nodes whose contents say what they are,
 * and verify those of each other, by reading or mapping them; the others may look at
 * such a node, load or free it, but if it is there it is whole.
 *
 * What succeeds must have been allowed to, and an ioctl fails with one of the errnos
 * that <linux/pram.h> names. In the end all nodes are freed, and PRAM holds as many
 * pages as before. Which kinds of operations have succeeded and failed is printed;
 * one that never did either is an error, unless there were few operations.
 *
 * What a thread does follows from SEED; in which order threads do it, does not. With
 * SECONDS rounds go on for so long, if that is longer. With --own only nodes with
 * names of this program are loaded and freed, so that it may run beside others.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz_pram.h"

const char *const kind_names[NR_KINDS] = {
	"save", "load", "commit", "stat", "list", "free", "free-all", "info", "any-ioctl",
	"seal", "adopt", "present", "map", "write", "read", "splice-in", "splice-out", "sendfile",
	"lseek", "fcntl", "other", "mmap", "close", "open", "memory", "proc-mem", "fork",
	"unprivileged", "keep", "verify", "verify-mapped",
};

/* Kinds of which all have to fail, or none. */
static const bool never_succeeds[NR_KINDS] = { [MMAP] = true };
static const bool never_fails[NR_KINDS] = {
	[LIST] = true, [FREE_ALL] = true, [INFO] = true, [CLOSE] = true, [OPEN] = true,
	[FORK] = true, [UNPRIVILEGED] = true, [KEEP] = true, [VERIFY] = true,
	[VERIFY_MAPPED] = true, [FCNTL] = true,
};

struct shared *shared;

_Atomic int slots[NR_SLOTS];
int dev, self_pidfd, dead_pidfd, sleeper_pidfd, restless_pidfd;
pid_t sleeper;

bool own;
const char *program;

static void (*const ops[NR_KINDS])(struct thread *t) = {
	[SAVE] = op_save, [LOAD] = op_load, [COMMIT] = op_commit, [STAT] = op_stat,
	[LIST] = op_list, [FREE] = op_free, [FREE_ALL] = op_free_all, [INFO] = op_info,
	[ANY_IOCTL] = op_any_ioctl, [SEAL] = op_seal, [ADOPT] = op_adopt, [PRESENT] = op_present,
	[MAP] = op_map,
	[WRITE] = op_write, [READ] = op_read, [SPLICE_IN] = op_splice_in,
	[SPLICE_OUT] = op_splice_out, [SENDFILE] = op_sendfile, [LSEEK] = op_lseek,
	[FCNTL] = op_fcntl, [OTHER] = op_other, [MMAP] = op_mmap, [CLOSE] = op_close,
	[OPEN] = op_open, [MEMORY] = op_memory, [PROC_MEM] = op_proc_mem, [FORK] = op_fork,
	[UNPRIVILEGED] = op_unprivileged, [KEEP] = op_keep, [VERIFY] = op_verify,
	[VERIFY_MAPPED] = op_verify_mapped,
};

/* How often, of all together; what keepers do is not for the others. */
static const unsigned char weights[NR_KINDS] = {
	[SAVE] = 10, [LOAD] = 10, [COMMIT] = 8, [STAT] = 2, [LIST] = 1, [FREE] = 4,
	[FREE_ALL] = 1, [INFO] = 1, [ANY_IOCTL] = 4, [SEAL] = 3, [ADOPT] = 12, [PRESENT] = 8,
	[MAP] = 8,
	[WRITE] = 6, [READ] = 10, [SPLICE_IN] = 8, [SPLICE_OUT] = 4, [SENDFILE] = 3,
	[LSEEK] = 3, [FCNTL] = 3, [OTHER] = 2, [MMAP] = 1, [CLOSE] = 2, [OPEN] = 4,
	[MEMORY] = 10, [PROC_MEM] = 2, [FORK] = 1, [UNPRIVILEGED] = 1,
};

void some(struct thread *t, long nr)
{
	unsigned int all = 0, at;

	for (size_t i = 0; i < NR_KINDS; i++)
		all += weights[i];
	while (nr-- && !shared->failed) {
		at = draw(t, all);
		t->kind = 0;
		while (at >= weights[t->kind])
			at -= weights[t->kind++];
		/* Processes are dear to emulate. */
		if ((t->kind == FORK || t->kind == UNPRIVILEGED) && !one_in(t, 4))
			t->kind = MEMORY;
		ops[t->kind](t);
		t->moment++;
	}
}

static void thread_init(struct thread *t)
{
	t->page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t->page == MAP_FAILED || mprotect(t->page + PAGE, PAGE, PROT_NONE))
		err(1, "no memory");
}

static long operations;

static void nothing(int sig)
{
	(void)sig;
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM,
	};
	/* Whoever waits in a pipe is woken; and any call may be interrupted. */
	struct itimerspec often = {
		.it_interval.tv_nsec = 20000000, .it_value.tv_nsec = 20000000,
	};
	timer_t timer;

	thread_init(t);
	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &often, NULL))
		err(1, "no timer");
	some(t, operations);
	timer_delete(timer);
	return NULL;
}

static int pidfd_of(pid_t pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		err(1, "pidfd");
	return fd;
}

/* Others whose memory can be taken: one that sleeps, one that execs, one that is dead. */
static void others_start(void)
{
	pid_t pid;

	sleeper = fork();
	if (!sleeper) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned char *at = (void *)ARENA; at < (unsigned char *)ARENA + 512 * PAGE; at += PAGE)
			*at = 1;
		for (;;)
			pause();
	}
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(program, program, "--restless", NULL);
		_exit(1);
	}
	if (sleeper < 0 || pid < 0)
		err(1, "fork");
	sleeper_pidfd = pidfd_of(sleeper);
	restless_pidfd = pidfd_of(pid);
	pid = fork();
	if (!pid)
		_exit(0);
	dead_pidfd = pidfd_of(pid);
	waitpid(pid, NULL, 0);
	self_pidfd = pidfd_of(getpid());
}

/* Writes to its memory, forks, unmaps it, and becomes another: for ever. */
static int restless(void)
{
	arena_setup();
	for (int i = 0; i < 20; i++) {
		for (size_t page = 0; page < 600; page += 1 + i) {
			*(volatile unsigned char *)(ARENA + page * PAGE) = i;
		}
		if (i % 5 == 4) {
			pid_t pid = fork();

			if (!pid)
				_exit(*(volatile unsigned char *)ARENA);
			if (pid > 0)
				waitpid(pid, NULL, 0);
		}
		if (i % 7 == 6)
			arena_setup();
		usleep(2000);
	}
	execl(program, program, "--restless", NULL);
	return 1;
}

static void limit_files(void)
{
	/* So few that they are used up now and then. */
	struct rlimit files = { NR_SLOTS + 40, NR_SLOTS + 40 };
	/* A memfd of 4 GiB that fallocate() fills would call the OOM killer. */
	struct rlimit size = { MAX_STREAM, MAX_STREAM };

	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &size);
}

static void run_process(uint64_t seed, long round, int process)
{
	static struct thread threads[NR_THREADS];
	struct sigaction action = { .sa_handler = nothing };
	pthread_t ids[NR_THREADS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	sigaction(SIGALRM, &action, NULL);
	arena_setup();
	others_start();
	limit_files();
	for (size_t i = 0; i < NR_SLOTS; i++)
		slots[i] = -1;
	for (int i = 0; i < NR_THREADS; i++) {
		struct thread *t = &threads[i];

		t->state = mix(seed ^ mix(round * 64 + process * 8 + i));
		snprintf(t->where, sizeof(t->where), "round %ld, process %d, thread %d", round,
			 process, i);
		if (pthread_create(&ids[i], NULL, run_thread, t))
			errx(1, "no thread");
	}
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(ids[i], NULL);
	_exit(shared->failed);
}

static void run_keeper(uint64_t seed, long round, int keeper)
{
	static const enum kind kinds[] = { KEEP, VERIFY, VERIFY_MAPPED };
	struct thread t = { .state = mix(seed ^ mix(round * 64 + 32 + keeper)) };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(t.where, sizeof(t.where), "round %ld, keeper %d", round, keeper);
	self_pidfd = pidfd_of(getpid());
	thread_init(&t);
	/* What a keeper does takes longer than what the others do. */
	for (; t.moment < operations / 4 && !shared->failed; t.moment++) {
		t.kind = kinds[draw(&t, ARRAY_SIZE(kinds))];
		ops[t.kind](&t);
	}
	_exit(shared->failed);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

static void run_round(uint64_t seed, long round)
{
	pid_t pids[NR_PROCESSES + NR_KEEPERS];
	uint64_t start = now_ms(), took;
	int status;

	fflush(stdout);
	for (int i = 0; i < NR_PROCESSES + NR_KEEPERS; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			err(1, "fork");
		if (!pids[i] && i < NR_PROCESSES)
			run_process(seed, round, i);
		else if (!pids[i])
			run_keeper(seed, round, i - NR_PROCESSES);
	}
	/* In every other round not all come to their end. */
	if (round % 2) {
		usleep(1000 * (50 + mix(seed + round) % 1000));
		kill(pids[mix(round) % NR_PROCESSES], SIGKILL);
		kill(pids[NR_PROCESSES + round / 2 % NR_KEEPERS], SIGKILL);
	}
	for (int i = 0; i < NR_PROCESSES + NR_KEEPERS; i++) {
		if (waitpid(pids[i], &status, 0) != pids[i])
			err(1, "waitpid");
		if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
			printf("round %ld: process %d: signal %d\n", round, i, WTERMSIG(status));
			shared->failed = 1;
		} else if (WIFEXITED(status) && WEXITSTATUS(status)) {
			shared->failed = 1;
		}
	}
	/* What they have forked holds streams, too. */
	while (wait(NULL) > 0 || errno == EINTR)
		;
	took = now_ms() - start;
	printf("round %ld: %llu ms%s\n", round, (unsigned long long)took,
	       round % 2 ? ", some killed" : "");
}

static void print_counts(bool many)
{
	for (size_t i = 0; i < NR_KINDS; i++) {
		long bad = shared->done[i][0], good = shared->done[i][1];

		printf("%s: %ld succeeded, %ld failed\n", kind_names[i], good, bad);
		if (!many)
			continue;
		if ((!good && !never_succeeds[i]) || (!bad && !never_fails[i])) {
			printf("%s: it should have done both\n", kind_names[i]);
			shared->failed = 1;
		}
	}
}

static void free_ours(void)
{
	struct pram_node_stat node = {};

	while (pram_list_next(dev, &node) == 1) {
		if (own && !ours(node.name))
			continue;
		if (pram_free_id(dev, node.id)) {
			printf("'%s' cannot be freed, state %u\n", node.name, node.state);
			shared->failed = 1;
		}
	}
}

int main(int argc, char **argv)
{
	struct pram_ioctl_info before, after;
	uint64_t seed, end;
	long rounds, round;

	program = "/proc/self/exe";
	if (argc == 2 && !strcmp(argv[1], "--nothing"))
		return 0;
	if (argc == 2 && !strcmp(argv[1], "--restless"))
		return restless();
	if (argc > 1 && !strcmp(argv[1], "--own")) {
		own = true;
		argc--;
		argv++;
	}
	if (argc != 4 && argc != 5)
		errx(2, "usage: fuzz_pram [--own] SEED ROUNDS OPERATIONS [SECONDS]");
	seed = strtoull(argv[1], NULL, 0);
	rounds = strtol(argv[2], NULL, 0);
	operations = strtol(argv[3], NULL, 0);
	end = now_ms() + (argc == 5 ? strtoull(argv[4], NULL, 0) * 1000 : 0);
	printf("seed %llu\n", (unsigned long long)seed);

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		err(1, "no memory");
	dev = pram_open();
	if (dev < 0)
		errx(1, "cannot open /dev/pram: %s", strerror(-dev));
	if (pram_info(dev, &before))
		errx(1, "no info");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (round = 0; (round < rounds || now_ms() < end) && !shared->failed; round++)
		run_round(seed, round);

	print_counts(round * operations >= 10000);
	free_ours();
	if (pram_info(dev, &after))
		errx(1, "no info");
	if (!own && (after.nr_nodes != before.nr_nodes || after.data_pages != before.data_pages ||
		     after.meta_pages != before.meta_pages)) {
		printf("%llu nodes, %llu pages and %llu of metadata, were %llu, %llu and %llu\n",
		       (unsigned long long)after.nr_nodes, (unsigned long long)after.data_pages,
		       (unsigned long long)after.meta_pages, (unsigned long long)before.nr_nodes,
		       (unsigned long long)before.data_pages, (unsigned long long)before.meta_pages);
		shared->failed = 1;
	}
	if (shared->failed)
		printf("to repeat: fuzz_pram %s%llu %ld %ld\n", own ? "--own " : "",
		       (unsigned long long)seed, round, operations);
	return shared->failed;
}
