// SPDX-License-Identifier: GPL-2.0-only
/* 64 GiB of address space with 4096 pages scattered over it, and nothing between them. */
#include "pram.h"

const char *test_doc = "A large sparse mapping keeps its pages and its holes";
const char *test_author = "The PRAM authors";

#define LEN   (64 * GiB)
#define PAGES 4096

/* The first and the last page of the area are among them, and pairs of neighbours. */
static size_t offset(unsigned int nr)
{
	size_t pages = LEN / PAGE_SIZE;

	if (nr == 0)
		return 0;
	if (nr == 1)
		return LEN - PAGE_SIZE;
	/* The stride is odd, so that all even numbers have pages of their own. */
	return (((nr & ~1u) * 0x9e3779b1UL) % pages + (nr & 1)) * PAGE_SIZE;
}

int main(int argc, char **argv)
{
	long rss, rss_before;
	unsigned int nr;
	char *area;
	char what[32];

	test_init(argc, argv);

	area = pram_area(LEN, PRAM_HUGE, MAP_NORESERVE);
	if (madvise(area, LEN, MADV_NOHUGEPAGE) && errno != EINVAL) {
		pr_perror("MADV_NOHUGEPAGE");
		return 1;
	}
	for (nr = 0; nr < PAGES; nr++)
		pram_fill(area + offset(nr), PAGE_SIZE, (uint64_t)nr << 32);
	rss_before = pram_smaps(area, LEN, "Rss:");
	if (rss_before != PAGES * 4) {
		pr_err("%ld KiB are there, not %d\n", rss_before, PAGES * 4);
		return 1;
	}

	test_daemon();
	test_waitsig();

	rss = pram_smaps(area, LEN, "Rss:");
	if (rss != rss_before) {
		pram_fail("%ld KiB were there, %ld are", rss_before, rss);
		return 1;
	}
	for (nr = 0; nr < PAGES; nr++) {
		ssprintf(what, "page %u", nr);
		if (pram_check(area + offset(nr), PAGE_SIZE, (uint64_t)nr << 32, what))
			return 1;
	}
	/* A hole can be filled. */
	for (nr = 4; nr < PAGES; nr += 2) {
		ssprintf(what, "the hole after page %u", nr);
		if (pram_check_zero(area + offset(nr) + 2 * PAGE_SIZE, PAGE_SIZE, what))
			return 1;
	}
	pass();
	return 0;
}
