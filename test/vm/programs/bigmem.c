// SPDX-License-Identifier: GPL-2.0-only
/*
 * A task that is little more than memory, alone or with forked children that
 * share most of it.
 *
 *	bigmem [--small MIB] [--huge MIB] [--children N] [--every M]
 *	       [--grow MIB] [--gone] READY RESULT
 *
 * It touches MIB of pages by themselves and of huge pages, with two words on
 * each page that follow from its place. Of both, each child writes to a part of
 * its own, 1/2N, in pieces of 2 MiB; with --every, to every Mth page. With --grow the mapping of small pages then grows
 * towards lower addresses in the parent, as heaps do. With --gone the one that had
 * the memory first and has forked the others is gone, and who is left as their parent
 * has no such memory. The pid is written to READY when all is there. On SIGUSR1
 * everybody verifies his memory, on SIGUSR2 writes to each page words of his own,
 * which verifying then expects, and on SIGHUP spoils it; then "PASS" or what is
 * wrong is written to RESULT.
 */
#include <err.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tell.h"

#define MIB		(1024UL * 1024)
#define PAGE		4096UL
#define WORDS		(PAGE / sizeof(uint64_t))
/* Pages that are written to together. */
#define PIECE		512UL
#define MAX_CHILDREN	64

struct area {
	const char	*name;
	volatile uint64_t *start;
	size_t		pages;
	bool		huge;
};

enum { SMALL, HUGE, GROWN, NR_AREAS };

static struct area areas[NR_AREAS] = {
	[SMALL] = { .name = "small" },
	[HUGE] = { .name = "huge", .huge = true },
	[GROWN] = { .name = "grown" },
};
static unsigned int nr_children, every;
/* How far the small pages grow later. */
static size_t grow_pages;
/* Each page has words of this process. */
static bool all_mine;
/* Who has made the memory is to go. */
static bool gone;
/* Which child this is, from 1; 0: the parent. */
static unsigned int self;
static char failure[256];

static uint64_t word_of(const struct area *area, size_t page, unsigned int writer)
{
	uint64_t x = (page << 8 | writer) + area->pages;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	return (x ^ (x >> 27)) | 1;
}

static bool written_by(size_t page, unsigned int child)
{
	if (every)
		return child && page % every == child - 1;
	return child && page / PIECE % (2 * nr_children) == child - 1;
}

/* Whose words are on a page? */
static unsigned int writer_of(size_t page)
{
	if (all_mine)
		return MAX_CHILDREN + 1 + self;
	return written_by(page, self) ? self : 0;
}

static void put_words(const struct area *area, size_t page, unsigned int writer)
{
	volatile uint64_t *words = area->start + page * WORDS;

	words[page % 16] = words[WORDS - 1] = word_of(area, page, writer);
}

static void area_fill(struct area *area)
{
	size_t bytes = area->pages * PAGE, align = PIECE * PAGE, room = grow_pages * PAGE;
	char *mem;

	if (!bytes)
		return;
	mem = mmap(NULL, room + bytes + align, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		err(1, "no memory");
	mem = (char *)(((uintptr_t)mem + room + align - 1) / align * align);
	madvise(mem, bytes, area->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	area->start = (volatile uint64_t *)mem;
	for (size_t page = 0; page < area->pages; page++)
		put_words(area, page, 0);
}

/* More small pages, in front of those that there are, and in one mapping with them. */
static void area_grow(void)
{
	struct area *area = &areas[GROWN];
	char *mem = (char *)areas[SMALL].start - grow_pages * PAGE;

	if (!grow_pages)
		return;
	if (mmap(mem, grow_pages * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != mem)
		err(1, "no memory");
	madvise(mem, grow_pages * PAGE, MADV_NOHUGEPAGE);
	area->start = (volatile uint64_t *)mem;
	area->pages = grow_pages;
	for (size_t page = 0; page < area->pages; page++)
		put_words(area, page, 0);
}

static void area_verify(const struct area *area)
{
	for (size_t page = 0; page < area->pages; page++) {
		volatile uint64_t *words = area->start + page * WORDS;
		uint64_t want = word_of(area, page, writer_of(page));

		if (words[page % 16] == want && words[WORDS - 1] == want &&
		    !words[page % 16 + 1])
			continue;
		snprintf(failure, sizeof(failure), "process %u: %s page %zu is wrong",
			 self, area->name, page);
		return;
	}
}

static void area_write(const struct area *area)
{
	for (size_t page = 0; page < area->pages; page++)
		put_words(area, page, writer_of(page));
}

static void area_spoil(const struct area *area)
{
	for (size_t page = 0; page < area->pages; page++)
		area->start[page * WORDS + page % 16 + 1] = 1;
}

static void obey(char order)
{
	failure[0] = '\0';
	all_mine |= order == 't';
	for (size_t i = 0; i < NR_AREAS; i++) {
		if (order == 'v')
			area_verify(&areas[i]);
		else if (order == 's')
			area_spoil(&areas[i]);
		else
			area_write(&areas[i]);
	}
}

static int to_child[MAX_CHILDREN + 1][2], from_child[2];

static void child_main(void)
{
	char order;

	if (!gone)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < NR_AREAS; i++)
		for (size_t page = 0; page < areas[i].pages; page++)
			if (written_by(page, self))
				put_words(&areas[i], page, self);
	do {
		if (write(from_child[1], failure, sizeof(failure)) != sizeof(failure))
			_exit(1);
		if (read(to_child[self][0], &order, 1) != 1)
			_exit(0);
		obey(order);
	} while (true);
}

static void hear_child(void)
{
	char answer[sizeof(failure)];

	if (read(from_child[0], answer, sizeof(answer)) != sizeof(answer))
		snprintf(failure, sizeof(failure), "a child is gone");
	else if (answer[0])
		memcpy(failure, answer, sizeof(failure));
}

static void make_memory(void)
{
	area_fill(&areas[SMALL]);
	area_fill(&areas[HUGE]);
	for (unsigned int i = 1; i <= nr_children; i++) {
		pid_t child = fork();

		if (child < 0)
			err(1, "fork");
		if (!child) {
			self = i;
			child_main();
		}
		hear_child();
	}
	area_grow();
}

/* Have somebody else make the memory and the children, who is gone then. */
static void inherit_children(void)
{
	int status;
	pid_t pid;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		make_memory();
		_exit(failure[0] != 0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		errx(1, "the parent has failed");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "small", required_argument, NULL, 's' },
		{ "huge", required_argument, NULL, 'h' },
		{ "children", required_argument, NULL, 'c' },
		{ "every", required_argument, NULL, 'e' },
		{ "grow", required_argument, NULL, 'g' },
		{ "gone", no_argument, NULL, 'p' },
		{}
	};
	sigset_t set;
	int opt, sig;

	while ((opt = getopt_long(argc, argv, "s:h:c:e:g:p", options, NULL)) != -1) {
		unsigned long n = optarg ? strtoul(optarg, NULL, 10) : 0;

		switch (opt) {
		case 's':
			areas[SMALL].pages = n * MIB / PAGE;
			break;
		case 'h':
			areas[HUGE].pages = n * MIB / PAGE;
			break;
		case 'c':
			nr_children = n;
			break;
		case 'e':
			every = n;
			break;
		case 'g':
			grow_pages = n * MIB / PAGE;
			break;
		case 'p':
			gone = true;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 2 || nr_children > MAX_CHILDREN)
		errx(2, "usage: bigmem [--small MIB] [--huge MIB] [--children N] [--every M] [--grow MIB] "
			"[--gone] READY RESULT");

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);

	if (pipe(from_child))
		err(1, "pipe");
	for (unsigned int i = 1; i <= nr_children; i++)
		if (pipe(to_child[i]))
			err(1, "pipe");
	if (gone) {
		inherit_children();
		memset(areas, 0, sizeof(areas));
	} else {
		make_memory();
	}
	tell_pid(argv[optind]);

	for (;;) {
		char order;

		sig = sigwaitinfo(&set, NULL);
		if (sig < 0)
			continue;
		order = sig == SIGUSR1 ? 'v' : sig == SIGHUP ? 's' : 't';
		obey(order);
		for (unsigned int i = 1; i <= nr_children; i++) {
			if (write(to_child[i][1], &order, 1) != 1)
				err(1, "write to a child");
			hear_child();
		}
		tell(argv[optind + 1], failure[0] ? failure : "PASS");
	}
}
