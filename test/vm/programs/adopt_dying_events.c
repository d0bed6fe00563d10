// SPDX-License-Identifier: GPL-2.0-only
/*
 * adopt: what happens to tasks between the commit that says that they die and the end of
 * the worker that takes their memory down
 */
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adopt.h"

#define NR	64UL

/* A task that has memory, by fill(mem, nr, 1), and the ends of pipes to it. */
struct task {
	char	*mem;
	size_t	nr;
	bool	shares;		/* its memory with the task that it makes */
	pid_t	pid;
	int	pidfd;
	int	orders[2];
	int	answers[2];
};

static int obey(void *arg);

/* Make a task that obeys in its place, and say so. */
static void make_other(struct task *task)
{
	static char stack[64 * 1024];
	const bool good = true;
	pid_t pid;

	pid = task->shares ? clone(obey, stack + sizeof(stack), CLONE_VM | SIGCHLD, task) : fork();
	if (pid < 0)
		err(1, "cannot make a task");
	if (!pid)
		return;
	if (write(task->answers[1], &good, 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static int obey(void *arg)
{
	struct task *task = arg;
	bool good = true;
	char order;

	while (read(task->orders[0], &order, 1) == 1) {
		if (order == 'm') {
			make_other(task);
			continue;
		}
		if (order == 'w')
			fill(task->mem, task->nr, 2);
		else
			good = filled(task->mem, task->nr, order - '0');
		fflush(stdout);
		if (write(task->answers[1], &good, 1) != 1)
			break;
	}
	_exit(0);
}

static void task_start(struct task *task)
{
	if (pipe2(task->orders, O_CLOEXEC) || pipe2(task->answers, O_CLOEXEC))
		err(1, "pipe");
	task->mem = memory(task->nr, SMALL, 1);
	fflush(stdout);
	task->pid = fork();
	if (task->pid < 0)
		err(1, "fork");
	if (!task->pid) {
		close(task->orders[1]);
		close(task->answers[0]);
		obey(task);
	}
	munmap(task->mem, task->nr * PAGE);
	close(task->orders[0]);
	close(task->answers[1]);
	task->pidfd = syscall(SYS_pidfd_open, task->pid, 0);
}

/* m: make a task that obeys from now on; w: fill(mem, nr, 2); 1, 2: is it filled so? */
static bool tell(const struct task *task, char order)
{
	bool good;

	if (write(task->orders[1], &order, 1) != 1 || read(task->answers[0], &good, 1) != 1)
		errx(1, "%s: the task is gone", probe_what);
	return good;
}

static void task_kill(const struct task *task)
{
	kill(task->pid, SIGKILL);
	if (waitpid(task->pid, NULL, 0) != task->pid)
		err(1, "waitpid");
}

/* Close what this process has of it; whoever obeys ends by that. */
static void task_end(struct task *task)
{
	char end;

	close(task->orders[1]);
	expect(read(task->answers[0], &end, 1) == 0);
	close(task->answers[0]);
	close(task->pidfd);
}

/* Save the first pages of a task of which the opener of a device says that it dies. */
static void save_dying(const char *name, int opener, const struct task *task, size_t nr)
{
	int stream = save_pages(name, 0);

	expect(!adopt_range(stream, task->pidfd, task->mem, nr));
	expect(!pram_commit_flags(opener, &stream, 1, PRAM_COMMIT_TASKS_DIE));
	close(stream);
}

/* The node is what it was, and the dead have no page of it any more: nothing is copied. */
static void expect_loadable(const char *name, size_t nr)
{
	int stream = load_pages(name, PRAM_LOAD_MAP);
	struct counters before = counters_now();
	char *mem = address_space(nr, SMALL);

	expect(!map_range(stream, mem, 0, nr, NULL));
	expect(counters_now().value[MAPPED] - before.value[MAPPED] == (int64_t)nr);
	expect(filled(mem, nr, 1));
	commit(stream);
	fill(mem, nr, 3);
	expect(filled(mem, nr, 3));
	munmap(mem, nr * PAGE);
}

/* Dumped by two before it is killed; one of them closes the device while it lives. */
void case_dying_twice(void)
{
	static const char *const names[] = { NODE, NODE "-again" };

	for (int first = 0; first < 2; first++) {
		struct task task = { .nr = NR };
		int openers[2];

		task_start(&task);
		for (int i = 0; i < 2; i++) {
			openers[i] = pram_open();
			save_dying(names[i], openers[i], &task, NR);
		}
		close(openers[first]);
		expect(tell(&task, '1'));
		task_kill(&task);
		expect(node_filled(names[0], NR, 1) && node_filled(names[1], NR, 1));
		close(openers[!first]);
		task_end(&task);
		expect_loadable(names[first], NR);
		expect(node_filled(names[!first], NR, 1));
		expect_loadable(names[!first], NR);
	}
}

/*
 * It makes a task before it is killed, by fork() or with the same memory: that one has what
 * it had, and may write to it, while the worker is at work and afterwards, and ends like any
 * other.
 */
void case_dying_forked(void)
{
	for (int shares = 0; shares < 2; shares++) {
		struct task task = { .nr = NR, .shares = shares };
		int opener;

		task_start(&task);
		/* Not before: the tasks would have it open, too. */
		opener = pram_open();
		save_dying(NODE, opener, &task, NR);
		tell(&task, 'm');
		task_kill(&task);
		expect(tell(&task, '1'));
		close(opener);
		expect(tell(&task, '1'));
		tell(&task, 'w');
		expect(node_filled(NODE, NR, 1));
		expect(tell(&task, '2'));
		task_end(&task);
		expect(node_filled(NODE, NR, 1));
		expect_loadable(NODE, NR);
	}
}

#define CGROUPS	"/sys/fs/cgroup"
#define CGROUP	CGROUPS "/dying"

/* What of the control group's memory is swapped out, in kB. */
static long swapped_kb(void)
{
	return read_number(CGROUP "/memory.swap.current") / 1024;
}

/* Have memory of a task swapped out, so much of it. */
static void page_out(const struct task *task, size_t nr, long want_kb)
{
	struct iovec range = { task->mem, nr * PAGE };

	for (int tries = 0; tries < 50 && swapped_kb() < want_kb; tries++) {
		if (tries)
			usleep(20000);
		if (syscall(SYS_process_madvise, task->pidfd, &range, 1, MADV_PAGEOUT, 0) < 0)
			err(1, "process_madvise");
	}
	expect(swapped_kb() >= want_kb);
}

/* The same when it is dead, as far as it goes. */
static void reclaim(const char *size)
{
	int fd = open(CGROUP "/memory.reclaim", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		err(1, "memory.reclaim");
	if (dprintf(fd, "%s", size) < 0)
		printf("not as much was reclaimed as was asked for\n");
	close(fd);
}

/*
 * Half of it is swapped out when it was dumped and is not dead yet, and more when it is dead:
 * the swap space comes back. /dev/ram0 is swap space.
 */
void case_dying_swapped(void)
{
	const size_t nr = 4096;
	struct task task = { .nr = nr };
	long swapped;
	int opener;

	write_text(CGROUPS "/cgroup.subtree_control", "+memory");
	if (mkdir(CGROUP, 0755))
		err(1, CGROUP);
	/* Memory is that of whoever has written to it first. */
	write_text(CGROUP "/cgroup.procs", "0");
	task_start(&task);
	write_text(CGROUPS "/cgroup.procs", "0");
	opener = pram_open();
	save_dying(NODE, opener, &task, NR);
	page_out(&task, nr / 2, (nr / 2 - NR) * 4);
	expect(node_filled(NODE, NR, 1));
	task_kill(&task);
	swapped = swapped_kb();
	reclaim("4M");
	expect(swapped_kb() > swapped);
	expect(node_filled(NODE, NR, 1));
	close(opener);
	task_end(&task);
	expect_loadable(NODE, NR);
	/* What this process has written to meanwhile may still be there. */
	expect(swapped_kb() < 1024);
	if (rmdir(CGROUP))
		err(1, CGROUP);
}
