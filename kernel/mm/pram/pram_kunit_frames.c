// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of PRAM: frames, and what KHO is told of them.
 */

#include <kunit/test.h>
#include <linux/kexec_handover.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/pram_shmem.h>

#include "pram_kunit.h"

static void test_boot_memory(struct kunit *test)
{
	struct folio *folio = make_folio(test, 0, 1);

	KUNIT_EXPECT_TRUE(test, pram_frame_at_boot(folio_pfn(folio)));
	KUNIT_EXPECT_FALSE(test, pram_frame_at_boot(max_possible_pfn + (1UL << 32)));
	KUNIT_EXPECT_FALSE(test, pram_in_scratch(folio));
	folio_put(folio);
}

/* Nodes that come with a boot share in any order, but do not claim twice. */
static void test_frames_again(struct kunit *test)
{
	struct folio *folio = make_folio(test, 0, 1);
	u64 alone = pram_entry(folio, folio_page(folio, 0), 1, 0);
	u64 shared = alone | PRAM_ENTRY_SHARED;
	u64 both[] = { alone, alone };
	bool preserved = true;

	KUNIT_EXPECT_EQ(test, 0, pram_frames_get_again(&shared, 1, &preserved));
	KUNIT_EXPECT_EQ(test, 1, pram_frame_holders(folio));
	KUNIT_EXPECT_EQ(test, 0, pram_frames_get_again(&alone, 1, &preserved));
	KUNIT_EXPECT_EQ(test, 0, pram_frames_get_again(&shared, 1, &preserved));
	KUNIT_EXPECT_EQ(test, 3, pram_frame_holders(folio));
	for (int i = 0; i < 3; i++)
		pram_frames_put(&alone, 1);
	KUNIT_EXPECT_FALSE(test, pram_frame_known(folio_pfn(folio)));

	KUNIT_EXPECT_EQ(test, -EBADMSG, pram_frames_get_again(both, 2, &preserved));
	KUNIT_EXPECT_FALSE(test, pram_frame_known(folio_pfn(folio)));

	KUNIT_EXPECT_EQ(test, 0, pram_frames_get_again(&alone, 1, &preserved));
	KUNIT_EXPECT_EQ(test, -EBADMSG, pram_frames_get_again(&alone, 1, &preserved));
	KUNIT_EXPECT_EQ(test, 0, pram_frames_get_again(&shared, 1, &preserved));
	pram_frames_put(both, 2);
	KUNIT_EXPECT_FALSE(test, pram_frame_known(folio_pfn(folio)));
	KUNIT_EXPECT_TRUE(test, preserved);
	folio_put(folio);
}

/* Is of so many folios from @pfn on each preserved, and none beside them? */
static bool preserved_exactly(unsigned long pfn, unsigned long nr,
			      unsigned int order)
{
	if (kho_test_preserved(pfn - (1UL << order), order) ||
	    kho_test_preserved(pfn + (nr << order), order))
		return false;
	for (; nr; nr--, pfn += 1UL << order)
		if (!kho_test_preserved(pfn, order))
			return false;
	return true;
}

/* Room for the ranges of two leaves, and of some more. */
static struct kho_range test_ranges[2 * PAGE_SIZE / sizeof(long) + 4];

/* Append the ranges of adjacent folios to test_ranges. Return: how many there are. */
static unsigned int add_ranges(unsigned int n, unsigned long pfn, unsigned long nr,
			       unsigned int order)
{
	const unsigned long end = pfn + (nr << order);

	while (pfn < end) {
		struct kho_range *range = &test_ranges[n++];

		range->pfn = round_down(pfn, (unsigned long)BITS_PER_LONG << order);
		range->order = order;
		range->mask = 0;
		for (; pfn < end && pfn - range->pfn < (unsigned long)BITS_PER_LONG << order;
		     pfn += 1UL << order)
			range->mask |= BIT((pfn - range->pfn) >> order);
	}
	return n;
}

static int preserve(unsigned long pfn, unsigned long nr, unsigned int order)
{
	return kho_preserve_ranges(test_ranges, add_ranges(0, pfn, nr, order));
}

static void unpreserve(unsigned long pfn, unsigned long nr, unsigned int order)
{
	kho_unpreserve_ranges(test_ranges, add_ranges(0, pfn, nr, order));
}

/* KHO's ranges, where its tables and leaves end. */
static void test_kho_ranges(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 2, 9 };
	const unsigned long leaf = PAGE_SIZE * BITS_PER_BYTE, table = leaf * 512;
	/* In no memory, so nobody else has preserved anything there. */
	const unsigned long none = round_up(max_possible_pfn, table << 9) + (table << 9);
	const struct { unsigned long pfn, nr; unsigned int order; } many[] = {
		{ none + 3 * leaf - 2, 4, 0 }, { none + 5, 1, 0 }, { none + 7, 1, 0 },
		{ none + 512, 3, 9 }, { none + 2, 2, 0 }, { none + table - 1, 2, 0 },
	};
	unsigned int all = 0;

	for (int i = 0; i < ARRAY_SIZE(orders); i++) {
		unsigned int order = orders[i];
		unsigned long borders[] = { none + leaf, none + (leaf << order),
					    none + (table << order) };

		for (int b = 0; b < ARRAY_SIZE(borders); b++) {
			unsigned long pfn = borders[b];
			unsigned long size = 1UL << order;

			/* Nothing is there to be given back. */
			unpreserve(pfn - 2 * size, 4, order);
			KUNIT_EXPECT_EQ(test, 0, preserve(pfn - 3 * size, 8, order));
			KUNIT_EXPECT_TRUE(test, preserved_exactly(pfn - 3 * size,
								  8, order));
			/* In part once more. */
			KUNIT_EXPECT_EQ(test, 0, preserve(pfn - size, 8, order));
			KUNIT_EXPECT_TRUE(test, preserved_exactly(pfn - 3 * size,
								  10, order));
			/* Two pieces, and together again. */
			unpreserve(pfn - size, 2, order);
			KUNIT_EXPECT_TRUE(test, preserved_exactly(pfn - 3 * size,
								  2, order));
			KUNIT_EXPECT_TRUE(test, preserved_exactly(pfn + size, 6,
								  order));
			KUNIT_EXPECT_EQ(test, 0, preserve(pfn - size, 2, order));
			KUNIT_EXPECT_TRUE(test, preserved_exactly(pfn - 3 * size,
								  10, order));
			unpreserve(pfn - 4 * size, 12, order);
			for (unsigned long n = 0; n < 12; n++)
				KUNIT_EXPECT_FALSE(test, kho_test_preserved(pfn + (n - 4) * size,
									    order));
		}
	}

	/* More than two leaves. */
	KUNIT_EXPECT_EQ(test, 0, preserve(none + leaf - 1, 2 * leaf + 2, 0));
	KUNIT_EXPECT_TRUE(test, preserved_exactly(none + leaf - 1, 2 * leaf + 2, 0));
	unpreserve(none + leaf, 2 * leaf, 0);
	KUNIT_EXPECT_TRUE(test, preserved_exactly(none + leaf - 1, 1, 0));
	KUNIT_EXPECT_TRUE(test, preserved_exactly(none + 3 * leaf, 1, 0));
	unpreserve(none + leaf - 1, 2 * leaf + 2, 0);
	KUNIT_EXPECT_FALSE(test, kho_test_preserved(none + leaf - 1, 0));
	KUNIT_EXPECT_FALSE(test, kho_test_preserved(none + 3 * leaf, 0));

	/* Several at once, in no order, of several leaves and sizes. */
	for (int i = 0; i < ARRAY_SIZE(many); i++)
		all = add_ranges(all, many[i].pfn, many[i].nr, many[i].order);
	KUNIT_EXPECT_EQ(test, 0, kho_preserve_ranges(test_ranges, all));
	KUNIT_EXPECT_EQ(test, 0, kho_preserve_ranges(test_ranges, all));
	for (int i = 0; i < ARRAY_SIZE(many); i++)
		KUNIT_EXPECT_TRUE(test, preserved_exactly(many[i].pfn, many[i].nr,
							  many[i].order));
	unpreserve(many[1].pfn, many[1].nr, many[1].order);
	unpreserve(many[2].pfn, many[2].nr, many[2].order);
	for (int i = 0; i < ARRAY_SIZE(many); i++)
		KUNIT_EXPECT_EQ(test, i != 1 && i != 2,
				kho_test_preserved(many[i].pfn, many[i].order));
	all = 0;
	for (int i = 0; i < ARRAY_SIZE(many); i++)
		all = add_ranges(all, many[i].pfn, many[i].nr, many[i].order);
	kho_unpreserve_ranges(test_ranges, all);
	for (int i = 0; i < ARRAY_SIZE(many); i++)
		KUNIT_EXPECT_FALSE(test, kho_test_preserved(many[i].pfn,
							    many[i].order));
}

/* Frames at both sides of a border of chunks that no node and not KHO has: the second half. */
static unsigned long free_border(unsigned int half)
{
	const unsigned long step = (unsigned long)BITS_PER_LONG << MAX_PAGE_ORDER;

	for (unsigned long border = step; border + half < max_pfn; border += step) {
		unsigned long pfn = border - half;

		for (; pfn < border + half; pfn++) {
			struct page *page = pfn_to_online_page(pfn);

			if (!page || is_migrate_cma_page(page) ||
			    pram_frame_known(pfn) || kho_test_preserved(pfn, 0))
				break;
		}
		if (pfn == border + half)
			return border;
	}
	return 0;
}

static u64 frame_entry(unsigned long pfn, unsigned int order)
{
	return FIELD_PREP(PRAM_ENTRY_PFN, pfn) | FIELD_PREP(PRAM_ENTRY_ORDER, order);
}

/* Frames that a node takes together: in pieces, at a border, shared in part. */
static void test_frame_ranges(struct kunit *test)
{
	/* One is missing, and one is a large folio. */
	static const struct { int at; unsigned int order; } list[] = {
		{ -8, 0 }, { -7, 0 }, { -5, 0 }, { -4, 2 }, { 0, 2 }, { 4, 0 }, { 5, 0 },
	};
	const unsigned int nr = ARRAY_SIZE(list), pages = 13;
	u64 entries[ARRAY_SIZE(list)], again[ARRAY_SIZE(list)], held, shared;
	unsigned long border = free_border(16);
	bool preserved = true;
	u64 middle;

	KUNIT_ASSERT_NE(test, border, 0);
	for (int i = 0; i < nr; i++)
		entries[i] = frame_entry(border + list[i].at, list[i].order);
	memcpy(again, entries, sizeof(again));
	held = pram_held_bytes();
	shared = pram_counter_read(PRAM_PAGES_SHARED);

	KUNIT_EXPECT_EQ(test, 0, pram_frames_get(entries, nr, false));
	KUNIT_EXPECT_MEMEQ(test, entries, again, sizeof(again));
	KUNIT_EXPECT_EQ(test, held + pages * PAGE_SIZE, pram_held_bytes());
	KUNIT_EXPECT_TRUE(test, preserved_exactly(border - 8, 2, 0));
	KUNIT_EXPECT_TRUE(test, preserved_exactly(border - 5, 1, 0));
	KUNIT_EXPECT_TRUE(test, preserved_exactly(border - 4, 2, 2));
	KUNIT_EXPECT_TRUE(test, preserved_exactly(border + 4, 2, 0));
	KUNIT_EXPECT_FALSE(test, pram_frame_known(border - 6));
	pram_frames_put(entries, nr);
	KUNIT_EXPECT_EQ(test, held, pram_held_bytes());
	for (int i = 0; i < nr; i++) {
		KUNIT_EXPECT_FALSE(test, kho_test_preserved(border + list[i].at,
							    list[i].order));
		KUNIT_EXPECT_FALSE(test, pram_frame_known(border + list[i].at));
	}

	/* In falling order they are the same runs. */
	for (int i = 0; i < nr; i++)
		entries[i] = again[nr - 1 - i];
	KUNIT_EXPECT_EQ(test, 0, pram_frames_get(entries, nr, false));
	KUNIT_EXPECT_EQ(test, held + pages * PAGE_SIZE, pram_held_bytes());
	KUNIT_EXPECT_TRUE(test, preserved_exactly(border - 8, 2, 0));
	KUNIT_EXPECT_TRUE(test, preserved_exactly(border - 5, 1, 0));
	KUNIT_EXPECT_TRUE(test, preserved_exactly(border - 4, 2, 2));
	KUNIT_EXPECT_TRUE(test, preserved_exactly(border + 4, 2, 0));
	pram_frames_put(entries, nr);
	KUNIT_EXPECT_EQ(test, held, pram_held_bytes());
	for (int i = 0; i < nr; i++) {
		KUNIT_EXPECT_FALSE(test, kho_test_preserved(border + list[i].at,
							    list[i].order));
		KUNIT_EXPECT_FALSE(test, pram_frame_known(border + list[i].at));
	}

	/* Another one has the one in the middle, and goes first, or last. */
	for (int last = 0; last < 2; last++) {
		middle = frame_entry(border, 2);
		KUNIT_EXPECT_EQ(test, 0, pram_frames_get(&middle, 1, false));
		memcpy(entries, again, sizeof(again));
		KUNIT_EXPECT_EQ(test, 0, pram_frames_get(entries, nr, false));
		for (int i = 0; i < nr; i++)
			KUNIT_EXPECT_EQ(test, entries[i], again[i] |
					(list[i].at ? 0 : PRAM_ENTRY_SHARED));
		KUNIT_EXPECT_EQ(test, held + pages * PAGE_SIZE, pram_held_bytes());
		shared += 4;
		KUNIT_EXPECT_EQ(test, shared, pram_counter_read(PRAM_PAGES_SHARED));
		KUNIT_EXPECT_TRUE(test, preserved_exactly(border - 4, 2, 2));
		if (last)
			pram_frames_put(entries, nr);
		else
			pram_frames_put(&middle, 1);
		KUNIT_EXPECT_EQ(test, held + (last ? 4 : pages) * PAGE_SIZE,
				pram_held_bytes());
		KUNIT_EXPECT_TRUE(test, kho_test_preserved(border, 2));
		KUNIT_EXPECT_EQ(test, !last, kho_test_preserved(border - 4, 2));
		if (last)
			pram_frames_put(&middle, 1);
		else
			pram_frames_put(entries, nr);
		KUNIT_EXPECT_EQ(test, held, pram_held_bytes());
		KUNIT_EXPECT_FALSE(test, kho_test_preserved(border, 2));
	}

	/* All or nothing, be it the first or the last of them that is too much. */
	middle = frame_entry(border, 2);
	KUNIT_EXPECT_EQ(test, 0, pram_frames_get(&middle, 1, false));
	for (unsigned int room = 0; room < pages - 4; room++) {
		pram_set_max((held >> PAGE_SHIFT) + 4 + room);
		memcpy(entries, again, sizeof(again));
		KUNIT_EXPECT_EQ(test, -ENOSPC, pram_frames_get(entries, nr, false));
		KUNIT_EXPECT_EQ(test, held + 4 * PAGE_SIZE, pram_held_bytes());
		KUNIT_EXPECT_TRUE(test, preserved_exactly(border, 1, 2));
		KUNIT_EXPECT_FALSE(test, kho_test_preserved(border - 8, 0));
		KUNIT_EXPECT_FALSE(test, kho_test_preserved(border + 5, 0));
		KUNIT_EXPECT_FALSE(test, pram_frame_known(border - 8));
		KUNIT_EXPECT_FALSE(test, pram_frame_known(border + 5));
	}
	KUNIT_EXPECT_EQ(test, 0, pram_frames_get(entries, nr, true));
	pram_frames_put(entries, nr);
	pram_frames_put(&middle, 1);
	KUNIT_EXPECT_FALSE(test, pram_frame_known(border));
	KUNIT_EXPECT_EQ(test, held, pram_held_bytes());

	/* As after a boot. */
	memcpy(entries, again, sizeof(again));
	KUNIT_EXPECT_EQ(test, 0, pram_frames_get_again(entries, nr, &preserved));
	KUNIT_EXPECT_EQ(test, held + pages * PAGE_SIZE, pram_held_bytes());
	KUNIT_EXPECT_TRUE(test, preserved);
	for (int i = 0; i < 3; i++) {
		KUNIT_EXPECT_TRUE(test, preserved_exactly(border - 8, 2, 0));
		KUNIT_EXPECT_TRUE(test, preserved_exactly(border - 4, 2, 2));
		if (!i)
			pram_frames_unpreserve(entries, nr);
		KUNIT_EXPECT_EQ(test, i > 0, kho_test_preserved(border - 8, 0));
		KUNIT_EXPECT_EQ(test, i > 0, kho_test_preserved(border, 2));
		KUNIT_EXPECT_EQ(test, 0, pram_frames_preserve(entries, nr));
	}
	/* What another one has stays. */
	KUNIT_EXPECT_EQ(test, 0, pram_frames_get(&middle, 1, false));
	pram_frames_unpreserve(entries, nr);
	KUNIT_EXPECT_TRUE(test, preserved_exactly(border, 1, 2));
	KUNIT_EXPECT_FALSE(test, kho_test_preserved(border - 8, 0));
	pram_frames_put(entries, nr);
	pram_frames_put(&middle, 1);
	KUNIT_EXPECT_FALSE(test, kho_test_preserved(border, 2));
	KUNIT_EXPECT_EQ(test, held, pram_held_bytes());
}

/*
 * Every second frame, rising and falling; or each in a range of its own, of which there are
 * more than KHO is told of at once.
 */
static void test_frames_scattered(struct kunit *test)
{
	const unsigned int nr = 40;
	u64 *entries = kunit_kcalloc(test, nr, sizeof(*entries), GFP_KERNEL);
	unsigned long border = free_border(nr / 2 * 65 + 1);
	u64 held = pram_held_bytes();
	u64 shared;

	KUNIT_ASSERT_NOT_NULL(test, entries);
	KUNIT_ASSERT_NE(test, border, 0);
	for (int way = 0; way < 8; way++) {
		const unsigned int gap = way & 4 ? 65 : 2;
		const unsigned long first = border - nr / 2 * gap;
		bool preserved = true;

		for (int i = 0; i < nr; i++)
			entries[way & 1 ? nr - 1 - i : i] =
				frame_entry(first + i * gap, 0);
		if (way & 2)
			KUNIT_EXPECT_EQ(test, 0, pram_frames_get_again(entries, nr,
								       &preserved));
		else
			KUNIT_EXPECT_EQ(test, 0, pram_frames_get(entries, nr, false));
		KUNIT_EXPECT_TRUE(test, preserved);
		KUNIT_EXPECT_EQ(test, held + nr * PAGE_SIZE, pram_held_bytes());
		for (int i = 0; i < nr; i++)
			KUNIT_EXPECT_TRUE(test, preserved_exactly(first + i * gap, 1, 0));
		/* Of one of them another node takes hold. */
		shared = frame_entry(border, 0);
		KUNIT_EXPECT_FALSE(test, pram_frames_are_shared());
		KUNIT_EXPECT_EQ(test, 0, pram_frames_get(&shared, 1, false));
		KUNIT_EXPECT_TRUE(test, pram_frames_are_shared());
		pram_frames_put(entries, nr);
		KUNIT_EXPECT_FALSE(test, pram_frames_are_shared());
		KUNIT_EXPECT_EQ(test, held + PAGE_SIZE, pram_held_bytes());
		for (int i = 0; i < nr; i++)
			KUNIT_EXPECT_EQ(test, 2 * i == nr,
					kho_test_preserved(first + i * gap, 0));
		pram_frames_put(&shared, 1);
		KUNIT_EXPECT_FALSE(test, kho_test_preserved(border, 0));
		KUNIT_EXPECT_EQ(test, held, pram_held_bytes());
	}
}

/* More nodes than a byte can count have a frame. */
static void test_many_holders(struct kunit *test)
{
	const unsigned int nr = 300;
	struct folio *folio = make_folio(test, 0, 1);
	u64 *entries = kunit_kcalloc(test, nr, sizeof(*entries), GFP_KERNEL);
	u64 held = pram_held_bytes();

	KUNIT_ASSERT_NOT_NULL(test, entries);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < nr; i++)
			entries[i] = pram_entry(folio, folio_page(folio, 0), 1, 0);
		KUNIT_EXPECT_EQ(test, 0, pram_frames_get(entries, nr, false));
		KUNIT_EXPECT_EQ(test, nr, pram_frame_holders(folio));
		KUNIT_EXPECT_EQ(test, held + PAGE_SIZE, pram_held_bytes());
		for (int i = nr; i > 1; i--) {
			pram_frames_put(entries, 1);
			KUNIT_EXPECT_EQ(test, i - 1, pram_frame_holders(folio));
			KUNIT_EXPECT_EQ(test, i > 2, pram_frame_is_shared(folio));
			KUNIT_EXPECT_TRUE(test, kho_test_preserved(folio_pfn(folio), 0));
		}
		pram_frames_put(entries, 1);
		KUNIT_EXPECT_FALSE(test, pram_frame_known(folio_pfn(folio)));
		KUNIT_EXPECT_FALSE(test, kho_test_preserved(folio_pfn(folio), 0));
		KUNIT_EXPECT_EQ(test, held, pram_held_bytes());
	}
	folio_put(folio);
}

/* How many nodes have the folio that would begin at a frame; there need not be one. */
static unsigned long holders(unsigned long pfn)
{
	return pram_folio_holders((struct folio *)pfn_to_page(pfn));
}

/* How a run of frames is taken, and which of its entries, if any, other nodes have, too. */
struct test_run {
	unsigned long	first;
	unsigned int	order;
	bool		falling;
	bool		again;		/* as after a boot */
	unsigned int	others[2];
};

#define TEST_RUN	40

static void expect_run(struct kunit *test, const struct test_run *run, const u64 *entries)
{
	for (unsigned int i = 0; i < TEST_RUN; i++) {
		const bool shared = i == run->others[0] || i == run->others[1];
		const unsigned long pfn = pram_entry_pfn(entries[i]);

		KUNIT_ASSERT_EQ(test, 1 + shared, holders(pfn));
		KUNIT_ASSERT_EQ(test, shared, !!(entries[i] & PRAM_ENTRY_SHARED));
	}
	KUNIT_ASSERT_TRUE(test, preserved_exactly(run->first, TEST_RUN, run->order));
}

static void try_run(struct kunit *test, const struct test_run *run, u64 *entries)
{
	const u64 held = pram_held_bytes();
	bool preserved = true;
	u64 other[2] = {};

	for (unsigned int i = 0; i < TEST_RUN; i++) {
		unsigned long at = run->falling ? TEST_RUN - 1 - i : i;

		entries[i] = frame_entry(run->first + (at << run->order), run->order);
	}
	for (int o = 0; o < 2; o++) {
		if (run->others[o] >= TEST_RUN)
			continue;
		other[o] = entries[run->others[o]];
		KUNIT_ASSERT_EQ(test, 0, pram_frames_get(&other[o], 1, false));
		if (run->again)
			entries[run->others[o]] |= PRAM_ENTRY_SHARED;
	}
	if (run->again)
		KUNIT_ASSERT_EQ(test, 0,
				pram_frames_get_again(entries, TEST_RUN, &preserved));
	else
		KUNIT_ASSERT_EQ(test, 0, pram_frames_get(entries, TEST_RUN, false));
	KUNIT_EXPECT_TRUE(test, preserved);
	KUNIT_EXPECT_EQ(test, held + (TEST_RUN * PAGE_SIZE << run->order), pram_held_bytes());
	expect_run(test, run, entries);

	/* Nothing has happened if another one claims the same. */
	if (run->again)
		KUNIT_EXPECT_EQ(test, -EBADMSG,
				pram_frames_get_again(entries, TEST_RUN, &preserved));
	expect_run(test, run, entries);

	pram_frames_put(entries, TEST_RUN);
	for (unsigned int i = 0; i < TEST_RUN; i++)
		KUNIT_ASSERT_EQ(test, i == run->others[0] || i == run->others[1],
				kho_test_preserved(pram_entry_pfn(entries[i]), run->order));
	for (int o = 0; o < 2; o++)
		if (run->others[o] < TEST_RUN)
			pram_frames_put(&other[o], 1);
	KUNIT_EXPECT_EQ(test, held, pram_held_bytes());
	for (unsigned int i = 0; i < TEST_RUN; i++)
		KUNIT_ASSERT_EQ(test, 0, holders(pram_entry_pfn(entries[i])));
}

/*
 * Runs across a border of chunks, rising and falling, of pages and of folios, that begin
 * anywhere in a range.
 */
static void test_frame_runs(struct kunit *test)
{
	static const unsigned int others[][2] = {
		{ 0, 39 }, { 1, 38 }, { 7, 8 }, { 15, 16 }, { 20, 31 }, { 19, 20 }, { 99, 99 },
	};
	u64 *entries = kunit_kcalloc(test, TEST_RUN, sizeof(*entries), GFP_KERNEL);
	const unsigned long border = free_border(5 * TEST_RUN);

	KUNIT_ASSERT_NOT_NULL(test, entries);
	KUNIT_ASSERT_NE(test, border, 0);
	for (unsigned int way = 0; way < 8 * 10; way++) {
		const unsigned int before = way / 8 * 5;
		struct test_run run = {
			.order = way & 2,
			.falling = way & 1,
			.again = way & 4,
		};

		run.first = border - ((unsigned long)before << run.order);
		for (int i = 0; i < ARRAY_SIZE(others); i++) {
			memcpy(run.others, others[i], sizeof(run.others));
			try_run(test, &run, entries);
		}
	}
}

/* Which entries are in one range of memory, and where in it. */
static void test_near(struct kunit *test)
{
	static const struct {
		u64		first, entry;
		bool		near;
		unsigned int	bit;
	} pairs[] = {
		{ 64, 127, true, 63 }, { 127, 64, true, 0 }, { 64, 128, false }, { 64, 63, false },
		{ 64, 65 | PRAM_ENTRY_LRU | PRAM_ENTRY_SHARED | PRAM_ENTRY_ADOPTED, true, 1 },
		{ PRAM_ENTRY_PFN, PRAM_ENTRY_PFN - 63, true, 0 }, { PRAM_ENTRY_PFN, 63, false },
#define ORDER(n) FIELD_PREP_CONST(PRAM_ENTRY_ORDER, n)
		{ 64, 68 | ORDER(2), false }, { 256 | ORDER(2), 508 | ORDER(2), true, 63 },
		{ 256 | ORDER(2), 512 | ORDER(2), false },
		{ 256 | ORDER(2), 260 | ORDER(1), false },
		/* A part is where its folio is. */
		{ 256 | ORDER(2), 263 | ORDER(2) | PRAM_ENTRY_PART, true, 1 },
		{ ORDER(MAX_PAGE_ORDER), (63 << MAX_PAGE_ORDER) | ORDER(MAX_PAGE_ORDER), true, 63 },
#undef ORDER
	};

	for (int i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct pram_near near = PRAM_NEAR_NONE;
		struct kho_range range;

		KUNIT_EXPECT_FALSE(test, pram_is_near(&near, pairs[i].first));
		pram_near_begin(&near, pairs[i].first, &range);
		KUNIT_EXPECT_TRUE(test, pram_is_near(&near, pairs[i].first));
		KUNIT_EXPECT_EQ_MSG(test, pairs[i].near, pram_is_near(&near, pairs[i].entry),
				    "pair %d", i);
		if (!pairs[i].near)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, BIT(pairs[i].bit),
				    pram_near_bit(&near, pairs[i].entry), "pair %d", i);
		KUNIT_EXPECT_EQ(test, 0, range.mask);
		KUNIT_EXPECT_EQ_MSG(test, pram_entry_pfn(pairs[i].entry),
				    range.pfn + ((unsigned long)pairs[i].bit << range.order),
				    "pair %d", i);
	}
}

/* What KHO gives back: whole ranges, up to the first that is not all there. */
static void test_restore_ranges(struct kunit *test)
{
	const unsigned int order = 8;
	struct page *page = alloc_pages(GFP_KERNEL, order);
	const u64 bits = GENMASK_ULL(31, 0) & ~BIT_ULL(20);
	unsigned long pfn, managed;
	struct zone *zone;

	KUNIT_ASSERT_NOT_NULL(test, page);
	pfn = page_to_pfn(page);
	zone = page_zone(page);
	managed = zone_managed_pages(zone);
	split_page(page, order);
	/* Of the first 64 pages half but one, and eight folios of four. */
	for (int i = 0; i < 32; i++)
		if (bits & BIT_ULL(i))
			kho_test_hand_over(pfn + i, 0);
	for (int i = 32; i < 64; i += 4)
		kho_test_hand_over(pfn + i, 2);
	KUNIT_EXPECT_EQ(test, managed - 63, zone_managed_pages(zone));
	{
		const struct kho_range some[] = {
			{ pfn, 0x000000f8, 0 }, { pfn, 0x00000007, 0 },
			{ pfn, BIT(10) | BIT(12), 2 },
			/* 20 is missing. */
			{ pfn, 0x00ff0000, 0 }, { pfn, BIT(9), 0 },
		};
		const struct kho_range wrong[] = {
			/* Restored before; of another order; no begin; no memory. */
			{ pfn, 0x000001fc, 0 }, { pfn, BIT(4), 2 }, { pfn, BIT(32), 0 },
			{ pfn, BIT(33), 0 }, { PRAM_ENTRY_PFN & ~63, BIT(0), 0 },
		};
		const struct kho_range rest[] = {
			{ pfn, BIT(31), 0 }, { pfn, bits & 0x7fffff00, 0 },
			{ pfn, 0x300, 2 }, { pfn, 0xe800, 2 },
		};

		KUNIT_EXPECT_EQ(test, 3, kho_restore_ranges(some, ARRAY_SIZE(some)));
		KUNIT_EXPECT_EQ(test, managed - 63 + 16, zone_managed_pages(zone));
		/* Of what it stopped at nothing was restored. */
		KUNIT_EXPECT_TRUE(test, kho_can_restore(PFN_PHYS(pfn + 16)));
		KUNIT_EXPECT_TRUE(test, kho_can_restore(PFN_PHYS(pfn + 9)));
		KUNIT_EXPECT_FALSE(test, kho_can_restore(PFN_PHYS(pfn)));
		for (int i = 0; i < ARRAY_SIZE(wrong); i++)
			KUNIT_EXPECT_EQ_MSG(test, 0, kho_restore_ranges(&wrong[i], 1), "%d", i);
		KUNIT_EXPECT_EQ(test, 0, kho_restore_ranges(rest, 0));
		KUNIT_EXPECT_EQ(test, ARRAY_SIZE(rest),
				kho_restore_ranges(rest, ARRAY_SIZE(rest)));
	}
	KUNIT_EXPECT_EQ(test, managed, zone_managed_pages(zone));
	for (int i = 0; i < 1 << order; i += i < 32 || i >= 64 ? 1 : 4) {
		struct folio *folio = pfn_folio(pfn + i);

		KUNIT_EXPECT_EQ(test, i < 32 || i >= 64 ? 0 : 2, folio_order(folio));
		KUNIT_EXPECT_EQ(test, 1, folio_ref_count(folio));
		folio_put(folio);
	}
}

/* Each zone gets back what is its own, in whatever order they come. */
static void test_restore_zones(struct kunit *test)
{
	const unsigned int order = ilog2(BITS_PER_LONG);
	struct page *low = alloc_pages(GFP_KERNEL | __GFP_DMA32, order);
	struct page *high = alloc_pages(GFP_KERNEL, order);
	unsigned long low_managed, high_managed;

	KUNIT_ASSERT_NOT_NULL(test, low);
	KUNIT_ASSERT_NOT_NULL(test, high);
	if (page_zone(low) == page_zone(high)) {
		__free_pages(low, order);
		__free_pages(high, order);
		kunit_skip(test, "all memory is below 4 GiB");
	}
	low_managed = zone_managed_pages(page_zone(low));
	high_managed = zone_managed_pages(page_zone(high));
	split_page(low, order);
	split_page(high, order);
	for (int i = 0; i < 8; i++) {
		kho_test_hand_over(page_to_pfn(low) + i, 0);
		kho_test_hand_over(page_to_pfn(high) + i, 0);
	}
	{
		const struct kho_range ranges[] = {
			{ page_to_pfn(low), 0x07, 0 }, { page_to_pfn(high), 0x01, 0 },
			{ page_to_pfn(high), 0xf0, 0 }, { page_to_pfn(low), 0x80, 0 },
			/* The last one was restored before. */
			{ page_to_pfn(high), 0x0e, 0 }, { page_to_pfn(low), 0x78, 0 },
			{ page_to_pfn(high), 0x0e, 0 },
		};

		KUNIT_EXPECT_EQ(test, 4, kho_restore_ranges(ranges, 4));
		KUNIT_EXPECT_EQ(test, low_managed - 4, zone_managed_pages(page_zone(low)));
		KUNIT_EXPECT_EQ(test, high_managed - 3, zone_managed_pages(page_zone(high)));
		KUNIT_EXPECT_EQ(test, 2, kho_restore_ranges(ranges + 4, 3));
	}
	KUNIT_EXPECT_EQ(test, low_managed, zone_managed_pages(page_zone(low)));
	KUNIT_EXPECT_EQ(test, high_managed, zone_managed_pages(page_zone(high)));
	for (int i = 0; i < 1 << order; i++) {
		__free_page(low + i);
		__free_page(high + i);
	}
}

static struct kunit_case pram_frames_cases[] = {
	KUNIT_CASE(test_boot_memory),
	KUNIT_CASE(test_frames_again),
	KUNIT_CASE(test_kho_ranges),
	KUNIT_CASE(test_frame_ranges),
	KUNIT_CASE(test_frames_scattered),
	KUNIT_CASE(test_frame_runs),
	KUNIT_CASE(test_near),
	KUNIT_CASE(test_restore_ranges),
	KUNIT_CASE(test_restore_zones),
	KUNIT_CASE(test_many_holders),
	{}
};

static struct kunit_suite pram_frames_suite = {
	.name = "pram-frames",
	.init = pram_test_init,
	.exit = pram_test_exit,
	.test_cases = pram_frames_cases,
};

kunit_test_suite(pram_frames_suite);
