// SPDX-License-Identifier: GPL-2.0-only
/* 1 GiB, all of it checked: a half in small pages, a half in huge ones if there are any. */
#include "pram.h"

const char *test_doc = "1 GiB of memory keeps its contents";
const char *test_author = "The PRAM authors";

#define HALF (GiB / 2)

int main(int argc, char **argv)
{
	char *area;

	test_init(argc, argv);

	area = pram_area(2 * HALF, PRAM_HUGE, 0);
	if ((madvise(area, HALF, MADV_NOHUGEPAGE) || madvise(area + HALF, HALF, MADV_HUGEPAGE)) &&
	    errno != EINVAL) {
		pr_perror("madvise");
		return 1;
	}
	pram_fill(area, 2 * HALF, 1);

	test_daemon();
	test_waitsig();

	if (pram_check(area, 2 * HALF, 1, "1 GiB"))
		return 1;
	/* It is ours to write. */
	pram_fill(area + HALF / 2, HALF, 2);
	if (pram_check(area, HALF / 2, 1, "the first quarter") ||
	    pram_check(area + HALF / 2, HALF, 2, "what was written again") ||
	    pram_check(area + HALF / 2 * 3, HALF / 2, 1 + HALF / 2 * 3 / 8 * PRAM_STEP,
		       "the last quarter"))
		return 1;
	pass();
	return 0;
}
