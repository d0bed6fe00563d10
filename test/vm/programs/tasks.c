// SPDX-License-Identifier: GPL-2.0-only
/*
 * Very many tasks that are as small as can be.
 *
 *	tasks COUNT READY RESULT
 *
 * A parent and COUNT children, each of which has memory that was its parent's and a page of
 * its own. The pid is written to READY when all are there. On SIGUSR1 the parent has each
 * child verify what it has, and who it is, and writes "PASS" or what is wrong to RESULT.
 */
#include <err.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tell.h"

#include "verify.h"

#define PAGE	4096UL
#define WORDS	(PAGE / sizeof(uint64_t))

/* What a child says: that it is well, or what is not. */
struct answer {
	uint32_t	number;
	bool		parent_is_right;
	bool		pid_is_right;
	bool		memory_is_right;
};

static uint64_t *inherited, *own;
static int answers[2];

static uint64_t word(uint32_t number, size_t i)
{
	return (number * WORDS + i) * 0x9e3779b97f4a7c15;
}

static uint64_t *new_page(uint32_t number)
{
	uint64_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		err(1, "no memory");
	for (size_t i = 0; i < WORDS; i++)
		page[i] = word(number, i);
	return page;
}

static bool page_is_right(const uint64_t *page, uint32_t number)
{
	for (size_t i = 0; i < WORDS; i++) {
		if (page[i] != word(number, i))
			return false;
	}
	return true;
}

static void child_main(uint32_t number, pid_t parent, const sigset_t *set)
{
	const pid_t pid = getpid();
	struct answer answer = { .number = number };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	own = new_page(number);
	for (;;) {
		answer.parent_is_right = getppid() == parent;
		answer.pid_is_right = getpid() == pid;
		answer.memory_is_right = page_is_right(inherited, 0) && page_is_right(own, number);
		if (write(answers[1], &answer, sizeof(answer)) != sizeof(answer))
			_exit(1);
		while (sigwaitinfo(set, NULL) != SIGUSR1)
			;
	}
}

/* All of them answer, each once. */
static void collect(uint32_t count)
{
	bool *seen = calloc(count + 1, sizeof(*seen));
	struct pollfd from = { .fd = answers[0], .events = POLLIN };
	struct answer answer;

	check(seen);
	for (uint32_t i = 0; i < count && !failure[0]; i++) {
		if (poll(&from, 1, 60000) != 1 ||
		    read(answers[0], &answer, sizeof(answer)) != sizeof(answer)) {
			fail("only %u of %u children answer", i, count);
			break;
		}
		check(answer.number > 0 && answer.number <= count && !seen[answer.number]);
		if (!failure[0])
			seen[answer.number] = true;
		if (!answer.parent_is_right || !answer.pid_is_right || !answer.memory_is_right)
			fail("child %u: parent %d, pid %d, memory %d", answer.number,
			     answer.parent_is_right, answer.pid_is_right, answer.memory_is_right);
	}
	free(seen);
}

int main(int argc, char **argv)
{
	const uint32_t count = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
	const pid_t self = getpid();
	pid_t *children = calloc(count + 1, sizeof(*children));
	sigset_t set;

	if (!count || !children)
		errx(2, "usage: tasks COUNT READY RESULT");
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (pipe(answers))
		err(1, "no pipe");
	inherited = new_page(0);
	for (uint32_t i = 1; i <= count; i++) {
		children[i] = fork();
		if (children[i] < 0)
			err(1, "no child %u", i);
		if (!children[i])
			child_main(i, self, &set);
	}
	collect(count);
	if (failure[0])
		errx(1, "%s", failure);
	tell_pid(argv[2]);

	for (;;) {
		if (sigwaitinfo(&set, NULL) != SIGUSR1)
			continue;
		failure[0] = '\0';
		check(getpid() == self);
		for (uint32_t i = 1; i <= count; i++)
			check(!kill(children[i], SIGUSR1));
		if (!failure[0])
			collect(count);
		tell(argv[3], failure[0] ? failure : "PASS");
	}
}
