// SPDX-License-Identifier: GPL-2.0-only
/*
 * No clock jumps back, and those that count while the machine runs do not jump ahead
 * either. Who sleeps, or waits for a timerfd, is not woken early. A task that looks at
 * the clocks all the time is dumped in the middle of it.
 */
#include <poll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>

#include "pram.h"

const char *test_doc = "Clocks do not jump back, and nobody is woken early";
const char *test_author = "The PRAM authors";

#define SEC	1000000000LL
#define AT_ONCE (SEC / 100) /* before the dump */
#define SOON	(8 * SEC)   /* more than starting and dumping takes, if all goes quickly */
#define FAR	(100000 * SEC)
#define SLACK	(3600 * SEC)
/*
 * CRIU sets a timerfd to what was left at the dump. It fires late by as long as the
 * restore took, or if its clock went on meanwhile, by as long as the task was not there.
 */
#define LATE (60 * SEC)

static const struct {
	clockid_t id;
	const char *name;
	int stands; /* while the task is not there */
} clocks[] = {
	{CLOCK_MONOTONIC, "CLOCK_MONOTONIC", 1},
	{CLOCK_MONOTONIC_COARSE, "CLOCK_MONOTONIC_COARSE", 1},
	{CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW", 1},
	{CLOCK_BOOTTIME, "CLOCK_BOOTTIME", 1},
	{CLOCK_REALTIME, "CLOCK_REALTIME", 0},
	{CLOCK_REALTIME_COARSE, "CLOCK_REALTIME_COARSE", 0},
	{CLOCK_TAI, "CLOCK_TAI", 0},
};
#define CLOCKS ARRAY_SIZE(clocks)

static const struct {
	clockid_t id;
	const char *name;
	int flags;
} sleepers[] = {
	{CLOCK_MONOTONIC, "until a time by CLOCK_MONOTONIC", TIMER_ABSTIME},
	{CLOCK_BOOTTIME, "until a time by CLOCK_BOOTTIME", TIMER_ABSTIME},
	{CLOCK_REALTIME, "until a time by CLOCK_REALTIME", TIMER_ABSTIME},
	{CLOCK_MONOTONIC, "for a time by CLOCK_MONOTONIC", 0},
	{CLOCK_BOOTTIME, "for a time by CLOCK_BOOTTIME", 0},
};
#define SLEEPERS ARRAY_SIZE(sleepers)

static const struct {
	clockid_t id;
	const char *name;
	long long in;
	int flags;
} timers[] = {
	{CLOCK_MONOTONIC, "a timer for a time by CLOCK_MONOTONIC", SOON, TFD_TIMER_ABSTIME},
	{CLOCK_BOOTTIME, "a timer for a time by CLOCK_BOOTTIME", SOON, TFD_TIMER_ABSTIME},
	{CLOCK_REALTIME, "a timer for a time by CLOCK_REALTIME", SOON, TFD_TIMER_ABSTIME},
	{CLOCK_MONOTONIC, "a timer by CLOCK_MONOTONIC", SOON, 0},
	{CLOCK_MONOTONIC, "an early timer for a time by CLOCK_MONOTONIC", AT_ONCE,
	 TFD_TIMER_ABSTIME},
	{CLOCK_BOOTTIME, "an early timer by CLOCK_BOOTTIME", AT_ONCE, 0},
	{CLOCK_MONOTONIC, "a late timer for a time by CLOCK_MONOTONIC", FAR, TFD_TIMER_ABSTIME},
	{CLOCK_BOOTTIME, "a late timer for a time by CLOCK_BOOTTIME", FAR, TFD_TIMER_ABSTIME},
	{CLOCK_REALTIME, "a late timer for a time by CLOCK_REALTIME", FAR, TFD_TIMER_ABSTIME},
	{CLOCK_BOOTTIME, "a late timer by CLOCK_BOOTTIME", FAR, 0},
};
#define TIMERS ARRAY_SIZE(timers)

static struct {
	int failed;
	long long rounds;
	long long slept_from[SLEEPERS], slept_to[SLEEPERS];
} * common;

static long long now(clockid_t id)
{
	struct timespec ts;

	/* Not by the vDSO, which has a test of its own. */
	if (syscall(SYS_clock_gettime, id, &ts)) {
		pr_perror("clock_gettime(%d)", id);
		exit(1);
	}
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static struct timespec spec(long long ns)
{
	struct timespec ts = {.tv_sec = ns / SEC, .tv_nsec = ns % SEC};

	return ts;
}

static void watch(void)
{
	long long last[CLOCKS], next;
	int i;

	for (i = 0; i < CLOCKS; i++)
		last[i] = now(clocks[i].id);
	while (test_go()) {
		for (i = 0; i < CLOCKS; i++) {
			next = now(clocks[i].id);
			if (next < last[i])
				common->failed |= pram_fail("%s jumped back by %lld ns",
							    clocks[i].name, last[i] - next);
			if (clocks[i].stands && next > last[i] + SLACK)
				common->failed |= pram_fail("%s jumped ahead by %lld ns",
							    clocks[i].name, next - last[i]);
			last[i] = next;
		}
		common->rounds++;
		usleep(1000);
	}
}

static void sleeper(int nr)
{
	clockid_t id = sleepers[nr].id;
	struct timespec wait;
	int err;

	common->slept_from[nr] = now(id);
	wait = spec(sleepers[nr].flags ? common->slept_from[nr] + SOON : SOON);
	/* CRIU interrupts who sleeps for a time; what is left of it is in wait. */
	do
		err = clock_nanosleep(id, sleepers[nr].flags, &wait, &wait);
	while (err == EINTR);
	if (err) {
		errno = err;
		common->failed |= fail("clock_nanosleep(%d)", id);
	}
	common->slept_to[nr] = now(id);
	exit(0);
}

static pid_t born(pid_t pid)
{
	if (pid < 0) {
		pr_perror("fork");
		exit(1);
	}
	return pid;
}

static int check_timer(int nr, int fd, long long armed)
{
	long long due = armed + timers[nr].in, before, left, after;
	struct itimerspec its;
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	uint64_t fired;

	if (timers[nr].in == FAR) {
		before = now(timers[nr].id);
		if (timerfd_gettime(fd, &its))
			return fail("%s: timerfd_gettime", timers[nr].name);
		after = now(timers[nr].id);
		left = its.it_value.tv_sec * SEC + its.it_value.tv_nsec;
		test_msg("%s: %lld ns left, by the clock %lld to %lld\n", timers[nr].name, left,
			 due - after, due - before);
		if (left < due - after - (timers[nr].flags ? 0 : SLACK) ||
		    left > due - before + (timers[nr].id == CLOCK_REALTIME ? SLACK : LATE))
			return pram_fail("%s: %lld ns are left, not %lld", timers[nr].name, left,
					 due - before);
		return 0;
	}
	if (poll(&pfd, 1, (SOON / SEC + 10) * 1000) != 1 ||
	    read(fd, &fired, sizeof(fired)) != sizeof(fired))
		return fail("%s does not fire", timers[nr].name);
	after = now(timers[nr].id);
	test_msg("%s: fires %lld ns late\n", timers[nr].name, after - due);
	if (after < due)
		return pram_fail("%s fires %lld ns early", timers[nr].name, due - after);
	if (fired != 1)
		return pram_fail("%s fired %ld times", timers[nr].name, (long)fired);
	return 0;
}

int main(int argc, char **argv)
{
	pid_t watcher, asleep[SLEEPERS];
	long long start[CLOCKS], armed[TIMERS], slept, rounds, end;
	int fd[TIMERS], i, ret = 0, status, used;
	struct itimerspec its = {};
	uint64_t fired;

	test_init(argc, argv);

	common = pram_shared(sizeof(*common));
	for (i = 0; i < CLOCKS; i++)
		start[i] = now(clocks[i].id);
	watcher = born(test_fork());
	if (!watcher) {
		watch();
		return 0;
	}
	for (i = 0; i < SLEEPERS; i++) {
		asleep[i] = born(test_fork());
		if (!asleep[i])
			sleeper(i);
	}
	for (i = 0; i < TIMERS; i++) {
		fd[i] = timerfd_create(timers[i].id, TFD_NONBLOCK);
		armed[i] = now(timers[i].id);
		its.it_value = spec(timers[i].flags ? armed[i] + timers[i].in : timers[i].in);
		if (fd[i] < 0 || timerfd_settime(fd[i], timers[i].flags, &its, NULL)) {
			pr_perror("%s", timers[i].name);
			return 1;
		}
	}

	used = timerfd_create(CLOCK_MONOTONIC, 0);
	its.it_value = spec(now(CLOCK_MONOTONIC) + AT_ONCE);
	if (used < 0 || timerfd_settime(used, TFD_TIMER_ABSTIME, &its, NULL) ||
	    read(used, &fired, sizeof(fired)) != sizeof(fired) ||
	    fcntl(used, F_SETFL, O_NONBLOCK)) {
		pr_perror("a timer that has fired");
		return 1;
	}
	usleep(AT_ONCE / 1000);

	test_daemon();
	test_waitsig();

	rounds = common->rounds;
	for (i = 0; i < CLOCKS; i++) {
		end = now(clocks[i].id);
		test_msg("%s: %lld ns since the start\n", clocks[i].name, end - start[i]);
		if (end < start[i])
			ret |= pram_fail("%s jumped back by %lld ns", clocks[i].name,
					 start[i] - end);
		if (clocks[i].stands && end > start[i] + SLACK)
			ret |= pram_fail("%s jumped ahead by %lld ns", clocks[i].name,
					 end - start[i]);
	}
	for (i = 0; i < TIMERS; i++)
		ret |= check_timer(i, fd[i], armed[i]);
	if (timerfd_gettime(used, &its) || its.it_value.tv_sec || its.it_value.tv_nsec ||
	    read(used, &fired, sizeof(fired)) != -1 || errno != EAGAIN)
		ret |= pram_fail("a timer that has fired fires again");
	for (i = 0; i < SLEEPERS; i++) {
		if (waitpid(asleep[i], &status, 0) != asleep[i] || status) {
			ret |= fail("who slept %s is gone", sleepers[i].name);
			continue;
		}
		slept = common->slept_to[i] - common->slept_from[i];
		test_msg("slept %s: %lld ns\n", sleepers[i].name, slept);
		if (slept < SOON)
			ret |= pram_fail("slept %s: %lld ns, not %lld", sleepers[i].name, slept,
					 SOON);
	}
	if (common->rounds == rounds)
		ret |= pram_fail("the task that looks at the clocks stands still");
	ret |= pram_reap(watcher);
	if (ret | common->failed)
		return 1;
	pass();
	return 0;
}
