// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of PRAM: frames, and what KHO is told of them.
 */

#include <kunit/test.h>
#include <linux/kexec_handover.h>
#include <linux/memblock.h>
#include <linux/mm.h>

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

static int preserve(unsigned long pfn, unsigned long nr, unsigned int order)
{
	struct kho_range range = { .pfn = pfn, .nr = nr, .order = order };

	return kho_preserve_ranges(&range, 1);
}

static void unpreserve(unsigned long pfn, unsigned long nr, unsigned int order)
{
	struct kho_range range = { .pfn = pfn, .nr = nr, .order = order };

	kho_unpreserve_ranges(&range, 1);
}

/* KHO's ranges, where its tables and leaves end. */
static void test_kho_ranges(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 2, 9 };
	const unsigned long leaf = PAGE_SIZE * BITS_PER_BYTE, table = leaf * 512;
	/* In no memory, so nobody else has preserved anything there. */
	const unsigned long none = round_up(max_possible_pfn, table << 9) + (table << 9);
	const struct kho_range many[] = {
		{ none + 3 * leaf - 2, 4, 0 }, { none + 5, 1, 0 }, { none + 7, 1, 0 },
		{ none + 512, 3, 9 }, { none + 2, 2, 0 }, { none + table - 1, 2, 0 },
	};

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
	KUNIT_EXPECT_EQ(test, 0, kho_preserve_ranges(many, ARRAY_SIZE(many)));
	KUNIT_EXPECT_EQ(test, 0, kho_preserve_ranges(many, ARRAY_SIZE(many)));
	for (int i = 0; i < ARRAY_SIZE(many); i++)
		KUNIT_EXPECT_TRUE(test, preserved_exactly(many[i].pfn, many[i].nr,
							  many[i].order));
	kho_unpreserve_ranges(many + 1, 2);
	for (int i = 0; i < ARRAY_SIZE(many); i++)
		KUNIT_EXPECT_EQ(test, i != 1 && i != 2,
				kho_test_preserved(many[i].pfn, many[i].order));
	kho_unpreserve_ranges(many, ARRAY_SIZE(many));
	for (int i = 0; i < ARRAY_SIZE(many); i++)
		KUNIT_EXPECT_FALSE(test, kho_test_preserved(many[i].pfn,
							    many[i].order));
}

/* Frames at both sides of a border of chunks that no node and not KHO has: the second half. */
static unsigned long free_border(unsigned int half)
{
	const unsigned long step = PAGE_SIZE * BITS_PER_BYTE;

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

/* Every second frame, rising and falling: more runs than KHO is told of at once. */
static void test_frames_scattered(struct kunit *test)
{
	const unsigned int nr = 100;
	u64 *entries = kunit_kcalloc(test, nr, sizeof(*entries), GFP_KERNEL);
	unsigned long border = free_border(nr);
	u64 held = pram_held_bytes();
	u64 shared;

	KUNIT_ASSERT_NOT_NULL(test, entries);
	KUNIT_ASSERT_NE(test, border, 0);
	for (int way = 0; way < 4; way++) {
		bool preserved = true;

		for (int i = 0; i < nr; i++)
			entries[way & 1 ? nr - 1 - i : i] =
				frame_entry(border - nr + 2 * i, 0);
		if (way & 2)
			KUNIT_EXPECT_EQ(test, 0, pram_frames_get_again(entries, nr,
								       &preserved));
		else
			KUNIT_EXPECT_EQ(test, 0, pram_frames_get(entries, nr, false));
		KUNIT_EXPECT_TRUE(test, preserved);
		KUNIT_EXPECT_EQ(test, held + nr * PAGE_SIZE, pram_held_bytes());
		for (int i = 0; i < nr; i++)
			KUNIT_EXPECT_TRUE(test, preserved_exactly(border - nr + 2 * i,
								  1, 0));
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
					kho_test_preserved(border - nr + 2 * i, 0));
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

static struct kunit_case pram_frames_cases[] = {
	KUNIT_CASE(test_boot_memory),
	KUNIT_CASE(test_frames_again),
	KUNIT_CASE(test_kho_ranges),
	KUNIT_CASE(test_frame_ranges),
	KUNIT_CASE(test_frames_scattered),
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
