// SPDX-License-Identifier: GPL-2.0-only
/* How long pram-service waits for criu: while that makes progress. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "podman.h"
#include "progress.h"
#include "stop.h"
#include "test_util.h"

#define LOG	"log"

static int dir = -1;

/* Waits for a child that does this, and ends it. */
static int wait_for(void (*work)(void), unsigned int still_ms, unsigned int most_ms)
{
	const pid_t pid = fork();
	int pidfd, ret;

	assert_true(pid >= 0);
	if (!pid) {
		work();
		_exit(0);
	}
	pidfd = pidfd_open(pid, 0);
	assert_true(pidfd >= 0);
	ret = progress_wait(pidfd, pid, stop_fd(), dir, LOG, still_ms, most_ms);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(pidfd);
	return ret;
}

static void sleep_for_ever(void)
{
	pause();
}

/* Two seconds in all, and longer than it may make no progress. */
static void log_slowly(void)
{
	int fd = openat(dir, LOG, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	for (int n = 0; n < 20; n++) {
		if (write(fd, "line\n", 5) != 5)
			_exit(1);
		usleep(100000);
	}
}

static void compute(void)
{
	for (volatile unsigned int n = 0;; n++)
		;
}

static void end_at_once(void)
{
}

static void test_progress(void **state)
{
	(void)state;
	assert_int_equal(wait_for(end_at_once, 1000, 60000), 0);
	assert_int_equal(wait_for(sleep_for_ever, 300, 60000), -ETIMEDOUT);
	assert_int_equal(wait_for(log_slowly, 1000, 60000), 0);
	assert_int_equal(wait_for(compute, 1000, 2500), -ETIME);
}

static void tell_parent(void)
{
	kill(getppid(), SIGTERM);
	pause();
}

/* The signal is taken away again. */
static void expect_told(void)
{
	sigset_t term;

	assert_true(stop_told());
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	assert_int_equal(sigwaitinfo(&term, NULL), SIGTERM);
	assert_false(stop_told());
}

/* systemd loses patience: who waits is not ended by that, and tells those that he waits for. */
static void test_told(void **state)
{
	const char *const tells[] = { "tells", NULL }, *const hangs[] = { "hangs", NULL };
	char error[CONTAINER_ERROR_MAX];

	(void)state;
	assert_int_equal(stop_fd(), -1);
	assert_false(stop_told());
	assert_int_equal(stop_catch(), 0);
	assert_false(stop_told());
	assert_int_equal(wait_for(end_at_once, 1000, 60000), 0);
	assert_int_equal(wait_for(tell_parent, 10000, 60000), -ECANCELED);
	expect_told();
	assert_int_equal(podman_run(tells, 60, NULL, error), -ECANCELED);
	assert_non_null(strstr(error, "TimeoutStopSec="));
	assert_int_equal(access("ended", F_OK), 0);
	expect_told();
	assert_int_equal(podman_run(hangs, 1, NULL, error), -ETIMEDOUT);
}

/* Notes that it was told to end, which the signals that we block must not be for it. */
static void put_podman(void)
{
	FILE *file = fopen("podman", "we");

	if (!file)
		abort();
	fputs("#!/bin/sh\n"
	      "sleep 60 &\n"
	      "trap \": >ended; kill $!; exit 1\" TERM\n"
	      "[ $3 != tells ] || kill -TERM $PPID\n"
	      "wait\n", file);
	fclose(file);
	chmod("podman", 0755);
	setenv("PATH", ".:/usr/bin:/bin", 1);
}

static int setup(void **state)
{
	if (test_enter_scratch(state))
		return -1;
	put_podman();
	dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_told),
	};

	return cmocka_run_group_tests(tests, setup, test_leave_scratch);
}
