// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transparent huge pages stay huge, and keep what is in them: whole ones, ones that
 * a child shares, parts of them, and huge pages of zeros.
 */
#include "pram.h"

const char *test_doc = "Huge pages are kept, with their contents";
const char *test_author = "The PRAM authors";

static void make_huge(void *area, size_t len)
{
	if (madvise(area, len, MADV_HUGEPAGE)) {
		pr_perror("cannot ask for huge pages");
		exit(1);
	}
}

static void *huge_area(size_t len, uint64_t seed)
{
	char *area = pram_area(len, PRAM_HUGE, 0);
	long kib;

	make_huge(area, len);
	pram_fill(area, len, seed);
	/* Memory may be too fragmented for a huge page at the first touch. */
	if (pram_smaps(area, len, "AnonHugePages:") * 1024 < len)
		madvise(area, len, MADV_COLLAPSE);
	kib = pram_smaps(area, len, "AnonHugePages:");
	if (kib * 1024 < len) {
		pr_err("only %ld KiB of %zu are in huge pages: is there enough free memory?\n", kib,
		       len / 1024);
		exit(1);
	}
	return area;
}

#define WHOLE  (8 * PRAM_HUGE)
#define FAMILY (4 * PRAM_HUGE)
#define ZEROS  (2 * PRAM_HUGE)
#define EDGE   (PRAM_HUGE + 2 * PAGE_SIZE)

static int still_huge(const char *what, const void *area, size_t len)
{
	long kib = pram_smaps(area, len, "AnonHugePages:");

	test_msg("%s: %ld of %zu KiB are in huge pages\n", what, kib, len / 1024);
	if (kib * 1024 != len)
		return pram_fail("%s: %ld of %zu KiB are still in huge pages", what, kib,
				 len / 1024);
	return 0;
}

int main(int argc, char **argv)
{
	char *whole, *edge, *family, *holes, *protect, *zeros;
	long shared_before, shared;
	int ret = 0, plain;
	pid_t child;
	size_t i;

	test_init(argc, argv);

	whole = huge_area(WHOLE, 1);

	/* A huge page with a small one before and after it. */
	edge = pram_area(3 * PRAM_HUGE, PRAM_HUGE, 0);
	if (mprotect(edge, PRAM_HUGE - PAGE_SIZE, PROT_NONE) ||
	    mprotect(edge + 2 * PRAM_HUGE + PAGE_SIZE, PRAM_HUGE - PAGE_SIZE, PROT_NONE)) {
		pr_perror("mprotect");
		return 1;
	}
	edge += PRAM_HUGE - PAGE_SIZE;
	make_huge(edge, EDGE);
	pram_fill(edge, EDGE, 2);

	/* A few pages of a huge page are given back: the others are parts of a folio. */
	holes = huge_area(2 * PRAM_HUGE, 3);
	for (i = 0; i < PRAM_HUGE; i += 16 * PAGE_SIZE)
		if (madvise(holes + i, PAGE_SIZE, MADV_DONTNEED)) {
			pr_perror("MADV_DONTNEED");
			return 1;
		}

	/* Two mappings have a part each. */
	protect = huge_area(PRAM_HUGE, 4);
	if (mprotect(protect + PRAM_HUGE / 4, PRAM_HUGE / 2, PROT_READ)) {
		pr_perror("mprotect");
		return 1;
	}

	zeros = pram_area(ZEROS, PRAM_HUGE, 0);
	make_huge(zeros, ZEROS);
	for (i = 0; i < ZEROS; i += PAGE_SIZE)
		(void)*(volatile char *)(zeros + i);

	family = huge_area(FAMILY, 5);
	child = test_fork();
	if (child < 0) {
		pr_perror("fork");
		return 1;
	}
	if (!child) {
		test_waitsig();
		ret = pram_check(family, FAMILY, 5, "shared with the parent, in the child");
		if (!pram_plain_images("pram_thp"))
			ret |= still_huge("shared with the parent, in the child", family, FAMILY);
		pram_fill(family, FAMILY, 6);
		return ret | pram_check(family, FAMILY, 6, "written by the child");
	}
	shared_before = pram_smaps(family, FAMILY, "Pss:");
	if (shared_before * 1024 != FAMILY / 2) {
		pr_err("%ld KiB are mine of %lu that two share\n", shared_before, FAMILY / 1024);
		return 1;
	}

	test_daemon();
	test_waitsig();

	plain = pram_plain_images("pram_thp");
	if (!plain) {
		ret |= still_huge("an area", whole, WHOLE);
		ret |= still_huge("shared with a child", family, FAMILY);
		ret |= still_huge("the other half of one with holes", holes + PRAM_HUGE, PRAM_HUGE);
		shared = pram_smaps(family, FAMILY, "Pss:");
		if (shared != shared_before)
			ret |= pram_fail(
				"%ld KiB are mine of what I share with a child, %ld before", shared,
				shared_before);
	}
	ret |= pram_check(whole, WHOLE, 1, "an area");
	ret |= pram_check(edge, EDGE, 2, "an area that is not aligned");
	for (i = 0; i < 2 * PRAM_HUGE; i += PAGE_SIZE) {
		if (i < PRAM_HUGE && i % (16 * PAGE_SIZE) == 0)
			ret |= pram_check_zero(holes + i, PAGE_SIZE, "a page that was given back");
		else
			ret |= pram_check(holes + i, PAGE_SIZE, 3 + i / 8 * PRAM_STEP,
					  "a page beside one that was given back");
	}
	ret |= pram_check(protect, PRAM_HUGE, 4, "an area half of which is read-only");
	ret |= pram_check_zero(zeros, ZEROS, "an area that was only read");
	ret |= pram_check(family, FAMILY, 5, "shared with a child");

	/* All of it can be written, and the child writes what the parent does not see. */
	ret |= pram_reap(child);
	ret |= pram_check(family, FAMILY, 5, "shared with a child that wrote to it");
	pram_fill(whole, WHOLE, 7);
	ret |= pram_check(whole, WHOLE, 7, "an area, written again");
	pram_fill(zeros, ZEROS, 8);
	ret |= pram_check(zeros, ZEROS, 8, "an area of zeros, written");

	if (ret)
		return 1;
	pass();
	return 0;
}
