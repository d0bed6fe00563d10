// SPDX-License-Identifier: GPL-2.0-only
/*
 * A family of four, parent, two children and a grandchild, whose members share some
 * pages, each other ones with others, and have written the rest: who shares a page
 * with whom is afterwards as it was before. Then everybody writes everything.
 */
#include "pram.h"
#include "lock.h"

const char *test_doc = "Who shares which pages in a family is kept";
const char *test_author = "The PRAM authors";

enum { PARENT, OLDER, YOUNGER, GRANDCHILD, FAMILY };
/* What became of a page after the forks. */
enum { UNTOUCHED, BY_PARENT, BY_OLDER, BY_ALL, BY_GRANDCHILD, NEVER, KINDS };

#define PAGES (KINDS * 40)
#define FIRST 100 /* the seed of what the parent wrote before the forks */

struct seen {
	long pss;
	uint64_t frame[PAGES]; /* 0 if it may not be known */
};

static struct {
	futex_t stage, done;
	int failed;
	struct seen before[FAMILY], after[FAMILY];
} * common;
static char *area;
static int me = PARENT;

static uint64_t seed_of(int who, int page)
{
	return (uint64_t)who << 32 | page;
}

/* Who wrote what this member of the family sees; -1 if nobody did. */
static int writer(int who, int page)
{
	switch (page % KINDS) {
	case UNTOUCHED:
		return FIRST;
	case BY_PARENT:
		return who == PARENT ? PARENT : FIRST;
	case BY_OLDER: /* before its child was born */
		return who == OLDER || who == GRANDCHILD ? OLDER : FIRST;
	case BY_ALL:
		return who;
	case BY_GRANDCHILD:
		return who == GRANDCHILD ? GRANDCHILD : FIRST;
	}
	return -1;
}

static void write_kind(int kind)
{
	int page;

	for (page = kind; page < PAGES; page += KINDS)
		pram_fill(area + page * PAGE_SIZE, PAGE_SIZE, seed_of(me, page));
}

static void look(struct seen *seen)
{
	int fd, page;

	seen->pss = pram_smaps(area, PAGES * PAGE_SIZE, "Pss:");
	fd = open("/proc/self/pagemap", O_RDONLY);
	if (fd < 0 ||
	    pread(fd, seen->frame, sizeof(seen->frame),
		  (uintptr_t)area / PAGE_SIZE * sizeof(uint64_t)) != sizeof(seen->frame)) {
		pr_perror("cannot read /proc/self/pagemap");
		exit(1);
	}
	close(fd);
	for (page = 0; page < PAGES; page++)
		seen->frame[page] &= (1UL << 55) - 1;
}

static void check_before(void)
{
	char what[64];
	int page, from;

	for (page = 0; page < PAGES; page++) {
		from = writer(me, page);
		ssprintf(what, "page %d of member %d", page, me);
		if (from < 0)
			common->failed |= pram_check_zero(area + page * PAGE_SIZE, PAGE_SIZE, what);
		else
			common->failed |= pram_check(area + page * PAGE_SIZE, PAGE_SIZE,
						     seed_of(from, page), what);
	}
	/* Checking has read pages that were never there. */
	for (page = NEVER; page < PAGES; page += KINDS)
		madvise(area + page * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
}

static void write_all(void)
{
	int page;

	for (page = 0; page < PAGES; page++)
		pram_fill(area + page * PAGE_SIZE, PAGE_SIZE, seed_of(200 + me, page));
}

static void check_all(void)
{
	char what[64];
	int page;

	for (page = 0; page < PAGES; page++) {
		ssprintf(what, "page %d, written again by member %d", page, me);
		common->failed |= pram_check(area + page * PAGE_SIZE, PAGE_SIZE,
					     seed_of(200 + me, page), what);
	}
}

static void look_before(void)
{
	look(&common->before[me]);
}

static void look_after(void)
{
	look(&common->after[me]);
}

static void write_by_all(void)
{
	write_kind(BY_ALL);
	if (me == GRANDCHILD)
		write_kind(BY_GRANDCHILD);
}

/* Everybody does these in the same order, one at a time. */
static void (*const stages[])(void) = {
	write_by_all, look_before, look_after, check_before, write_all, check_all,
};
#define BEFORE_DUMP 2

static void stage(int nr)
{
	futex_set(&common->done, 0);
	futex_set_and_wake(&common->stage, nr + 1);
	stages[nr]();
	futex_wait_until(&common->done, FAMILY - 1);
}

static void __attribute__((noreturn)) child(int who, pid_t own_child)
{
	int nr;

	me = who;
	for (nr = 0; nr < ARRAY_SIZE(stages); nr++) {
		futex_wait_while_lt(&common->stage, nr + 1);
		stages[nr]();
		futex_inc_and_wake(&common->done);
	}
	test_waitsig();
	exit(own_child ? pram_reap(own_child) : 0);
}

static void born(pid_t pid)
{
	if (pid < 0) {
		pr_perror("fork");
		exit(1);
	}
}

/* How many KiB are a member's share, if all that can be shared is. */
static long theory(int who)
{
	double share = 0;
	int page, other, with;

	for (page = 0; page < PAGES; page++) {
		if (writer(who, page) < 0)
			continue;
		for (other = with = 0; other < FAMILY; other++)
			with += writer(other, page) == writer(who, page);
		share += 4.0 / with;
	}
	return share;
}

static int compare(void)
{
	int who, other, page, ret = 0, known = 0, now, was;

	for (who = 0; who < FAMILY; who++) {
		struct seen *before = &common->before[who], *after = &common->after[who];

		test_msg("member %d: Pss was %ld, is %ld\n", who, before->pss, after->pss);
		/* The kernel rounds each part of a page down. */
		if (labs(before->pss - after->pss) > 1)
			ret |= pram_fail("member %d: Pss was %ld, is %ld", who, before->pss,
					 after->pss);
		for (other = 0; other < who; other++) {
			for (page = 0; page < PAGES; page++) {
				if (!before->frame[page] || !after->frame[page])
					continue;
				known++;
				was = before->frame[page] == common->before[other].frame[page];
				now = after->frame[page] == common->after[other].frame[page];
				if (was != now) {
					ret |= pram_fail(
						"page %d of members %d and %d: shared was %d, is %d",
						page, who, other, was, now);
					break;
				}
			}
		}
	}
	test_msg("%d pairs of page frames compared\n", known);
	return ret;
}

int main(int argc, char **argv)
{
	pid_t older, younger, grandchild;
	int who, page;

	test_init(argc, argv);

	common = pram_shared(sizeof(*common));
	area = pram_area(PAGES * PAGE_SIZE, PAGE_SIZE, 0);
	if (madvise(area, PAGES * PAGE_SIZE, MADV_NOHUGEPAGE) && errno != EINVAL) {
		pr_perror("MADV_NOHUGEPAGE");
		return 1;
	}
	for (page = 0; page < PAGES; page++)
		if (page % KINDS != NEVER)
			pram_fill(area + page * PAGE_SIZE, PAGE_SIZE, seed_of(FIRST, page));

	older = test_fork();
	born(older);
	if (!older) {
		me = OLDER;
		write_kind(BY_OLDER);
		grandchild = test_fork();
		born(grandchild);
		if (!grandchild)
			child(GRANDCHILD, 0);
		futex_inc_and_wake(&common->done);
		child(OLDER, grandchild);
	}
	futex_wait_while_lt(&common->done, 1);
	younger = test_fork();
	born(younger);
	if (!younger)
		child(YOUNGER, 0);
	write_kind(BY_PARENT);
	for (page = 0; page < BEFORE_DUMP; page++)
		stage(page);
	for (who = 0; who < FAMILY; who++)
		if (labs(common->before[who].pss - theory(who)) > 1) {
			pr_err("member %d has a share of %ld KiB before the dump, not %ld\n", who,
			       common->before[who].pss, theory(who));
			return 1;
		}

	test_daemon();
	test_waitsig();

	for (page = BEFORE_DUMP; page < ARRAY_SIZE(stages); page++)
		stage(page);
	if (!pram_plain_images("pram_cow"))
		common->failed |= compare();
	common->failed |= pram_reap(older);
	common->failed |= pram_reap(younger);
	if (common->failed)
		return 1;
	pass();
	return 0;
}
