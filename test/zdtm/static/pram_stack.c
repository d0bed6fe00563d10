// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stacks that have grown deep, of the task and of threads, are dumped with all that is
 * on them, and unwound afterwards; so are the threads' own variables and heaps. A child
 * of a deep stack goes on from there as well.
 */
#include <pthread.h>

#include "pram.h"
#include "lock.h"

const char *test_doc = "Deep stacks of tasks and threads, and what threads have of their own";
const char *test_author = "The PRAM authors";

#define FRAME	     (16 * 1024)
#define DEPTH	     384 /* 6 MiB, less than the limit of 8 MiB */
#define THREAD_DEPTH 96
#define THREADS	     8
#define HEAP	     (300 * 1024)

static futex_t go_on, deep;
static task_waiter_t ready;
static int thread_failed[THREADS];
static __thread uint64_t own[1024];

static int __attribute__((noinline)) descend(int depth, uint64_t seed, int (*at_the_bottom)(void))
{
	uint64_t frame[FRAME / 8];
	int ret;

	pram_fill(frame, sizeof(frame), seed + depth);
	ret = depth ? descend(depth - 1, seed, at_the_bottom) : at_the_bottom();
	return ret | pram_check(frame, sizeof(frame), seed + depth, "a frame of a stack");
}

static int wait_to_go_on(void)
{
	futex_inc_and_wake(&deep);
	futex_wait_while(&go_on, 0);
	return 0;
}

static void *thread(void *arg)
{
	int nr = (long)arg;
	char *heap = malloc(HEAP);

	if (!heap) {
		pr_perror("malloc");
		exit(1);
	}
	pram_fill(own, sizeof(own), 1000 + nr);
	pram_fill(heap, HEAP, 2000 + nr);
	thread_failed[nr] = descend(THREAD_DEPTH, 3000 * nr, wait_to_go_on);
	thread_failed[nr] |= pram_check(own, sizeof(own), 1000 + nr, "a variable of a thread");
	thread_failed[nr] |= pram_check(heap, HEAP, 2000 + nr, "memory that a thread allocated");
	free(heap);
	return NULL;
}

static int child_waits(void)
{
	task_waiter_complete(&ready, 1);
	test_waitsig();
	return 0;
}

static int bottom(void)
{
	pid_t child;
	int ret;

	task_waiter_init(&ready);
	child = test_fork();
	if (child < 0) {
		pr_perror("fork");
		exit(1);
	}
	if (!child)
		/* As deep again: its frames are its own, those above it are shared. */
		exit(descend(DEPTH / 8, 5000, child_waits));
	task_waiter_wait4(&ready, 1);

	test_daemon();
	test_waitsig();

	ret = pram_reap(child);
	futex_set_and_wake(&go_on, 1);
	return ret;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	pthread_attr_t attr;
	long nr;
	int ret;

	test_init(argc, argv);

	futex_init(&go_on);
	futex_init(&deep);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, (THREAD_DEPTH + 8) * (FRAME + 256));
	for (nr = 0; nr < THREADS; nr++) {
		ret = pthread_create(&threads[nr], &attr, thread, (void *)nr);
		if (ret) {
			errno = ret;
			pr_perror("pthread_create");
			return 1;
		}
	}
	futex_wait_until(&deep, THREADS);
	ret = descend(DEPTH, 0, bottom);
	for (nr = 0; nr < THREADS; nr++) {
		pthread_join(threads[nr], NULL);
		ret |= thread_failed[nr];
	}
	if (ret)
		return 1;
	pass();
	return 0;
}
