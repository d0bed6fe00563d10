// SPDX-License-Identifier: GPL-2.0-only
/*
 * What madvise() said still holds: children do not get memory that is not for them, or
 * get it empty. And memory that was given up (MADV_FREE) is dropped or kept page by page,
 * but never if it was written again; nor is any other when the kernel is asked to page it out.
 */
#include "pram.h"

const char *test_doc = "What madvise() said holds after the restore";
const char *test_author = "The PRAM authors";

#define LEN (1 * MiB)

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

enum { NOT_FORKED, WIPED, GIVEN_UP, WRITTEN_AGAIN, PLAIN, AREAS };
static const char *const names[AREAS] = {
	"memory that children do not get",
	"memory that children get empty",
	"memory that was given up",
	"memory that was given up and written again",
	"memory",
};
static const int advice[AREAS] = {MADV_DONTFORK, MADV_WIPEONFORK, MADV_FREE, MADV_FREE,
				  MADV_NORMAL};
static char *area[AREAS];

/* A page at a time it is there, or full of zeros. */
static int check_given_up(const char *when)
{
	size_t at, kept = 0;
	uint64_t seed = GIVEN_UP;

	for (at = 0; at < LEN; at += PAGE_SIZE, seed += PAGE_SIZE / 8 * PRAM_STEP) {
		if (*(uint64_t *)(area[GIVEN_UP] + at) == 0) {
			if (pram_check_zero(area[GIVEN_UP] + at, PAGE_SIZE, names[GIVEN_UP]))
				return 1;
			continue;
		}
		kept++;
		if (pram_check(area[GIVEN_UP] + at, PAGE_SIZE, seed, names[GIVEN_UP]))
			return 1;
	}
	test_msg("%s: %zu pages are left that were given up\n", when, kept);
	return 0;
}

static int check(const char *when)
{
	int ret;

	ret = pram_check(area[NOT_FORKED], LEN, NOT_FORKED, names[NOT_FORKED]);
	ret |= pram_check(area[WIPED], LEN, WIPED, names[WIPED]);
	ret |= pram_check(area[WRITTEN_AGAIN], LEN, 10 + WRITTEN_AGAIN, names[WRITTEN_AGAIN]);
	ret |= pram_check(area[PLAIN], LEN, PLAIN, names[PLAIN]);
	ret |= check_given_up(when);
	return ret;
}

static int check_child(void)
{
	unsigned char there;
	int ret;

	if (mincore(area[NOT_FORKED], PAGE_SIZE, &there) != -1 || errno != ENOMEM)
		return pram_fail("a child got %s", names[NOT_FORKED]);
	ret = pram_check_zero(area[WIPED], LEN, names[WIPED]);
	ret |= pram_check(area[PLAIN], LEN, PLAIN, names[PLAIN]);
	ret |= pram_check(area[WRITTEN_AGAIN], LEN, 10 + WRITTEN_AGAIN, names[WRITTEN_AGAIN]);
	return ret;
}

int main(int argc, char **argv)
{
	int i, ret = 0, status;
	pid_t child;

	test_init(argc, argv);

	for (i = 0; i < AREAS; i++) {
		area[i] = pram_area(LEN, PRAM_HUGE, 0);
		pram_fill(area[i], LEN, i);
		if (madvise(area[i], LEN, advice[i])) {
			pr_perror("madvise(%d)", advice[i]);
			return 1;
		}
	}
	pram_fill(area[WRITTEN_AGAIN], LEN, 10 + WRITTEN_AGAIN);

	test_daemon();
	test_waitsig();

	ret |= check("after the restore");
	/* There may be nowhere to page out to: then only what was given up may go. */
	for (i = 0; i < AREAS; i++)
		if (madvise(area[i], LEN, MADV_PAGEOUT) && errno != EINVAL)
			ret |= fail("madvise(MADV_PAGEOUT)");
	ret |= check("after MADV_PAGEOUT");
	child = test_fork();
	if (!child)
		exit(check_child());
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		ret |= fail("a child that was born after the restore");
	pram_fill(area[GIVEN_UP], LEN, 20);
	ret |= pram_check(area[GIVEN_UP], LEN, 20, "what was given up, written again");
	if (ret)
		return 1;
	pass();
	return 0;
}
