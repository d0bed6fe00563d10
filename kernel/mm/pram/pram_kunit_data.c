// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of PRAM: what nodes hold.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/swap.h>

#include "pram_kunit.h"

/* Folios of several orders keep their frames, their contents and flags. */
static void test_folios(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 2, 0, PMD_ORDER, 1, 0 };
	u64 adopted = pram_counter_read(PRAM_PAGES_ADOPTED);
	struct folio *folios[ARRAY_SIZE(orders)];
	struct pram_stream ps;
	u64 pages = 0;
	u32 flags;

	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, PRAM_SAVE_CHECKSUM);
	for (int i = 0; i < ARRAY_SIZE(orders); i++) {
		folios[i] = make_folio(test, orders[i], i * 10000);
		KUNIT_ASSERT_EQ(test, 0,
				pram_save_folio(&ps, folios[i],
						i & 1 ? PRAM_PAGE_LRU : 0));
		pages += 1 << orders[i];
	}
	KUNIT_EXPECT_EQ(test, adopted + pages,
			pram_counter_read(PRAM_PAGES_ADOPTED));
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));

	open_load(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	for (int i = 0; i < ARRAY_SIZE(orders); i++) {
		struct folio *folio = pram_load_folio(&ps, &flags);

		KUNIT_ASSERT_PTR_EQ(test, folio, folios[i]);
		KUNIT_EXPECT_EQ(test, flags, i & 1 ? PRAM_PAGE_LRU : 0);
		KUNIT_EXPECT_TRUE(test, folio_holds(folio, i * 10000));
		/* Ours, the node's, and the one just given. */
		KUNIT_EXPECT_EQ(test, 3, folio_ref_count(folio));
		folio_put(folio);
	}
	KUNIT_EXPECT_NULL(test, pram_load_folio(&ps, &flags));
	KUNIT_EXPECT_EQ(test, 0, pram_finish_load(&ps));
	for (int i = 0; i < ARRAY_SIZE(orders); i++) {
		KUNIT_EXPECT_EQ(test, 1, folio_ref_count(folios[i]));
		folio_put(folios[i]);
	}
}

static void test_pages(struct kunit *test)
{
	struct folio *small = make_folio(test, 0, 1);
	struct folio *large = make_folio(test, 1, 2);
	struct pram_stream ps;
	struct folio *folio;
	struct page *page;
	u32 flags;

	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, 0, pram_save_page(&ps, folio_page(small, 0), 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			pram_save_page(&ps, folio_page(large, 0), 0));
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&ps, large, 0));
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));

	open_load(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	page = pram_load_page(&ps, &flags);
	KUNIT_ASSERT_PTR_EQ(test, page, folio_page(small, 0));
	put_page(page);
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR(pram_load_page(&ps, &flags)));
	folio = pram_load_folio(&ps, &flags);
	KUNIT_ASSERT_PTR_EQ(test, folio, large);
	folio_put(folio);
	KUNIT_EXPECT_NULL(test, pram_load_page(&ps, &flags));
	KUNIT_EXPECT_EQ(test, 0, pram_finish_load(&ps));
	folio_put(small);
	folio_put(large);
}

/* More folios than a map page lists, found again from the last to the first. */
static void test_many(struct kunit *test)
{
	const u32 flag_sets[] = { 0, PRAM_SAVE_CHECKSUM };
	const u32 nr = 3 * PRAM_MAP_ENTRIES + 5;

	for (int f = 0; f < ARRAY_SIZE(flag_sets); f++) {
		struct pram_found found = {};
		struct pram_stream ps;

		open_save(test, &ps, NAME, PRAM_PAGE_STREAM, flag_sets[f]);
		for (u32 i = 0; i < nr; i++) {
			/* A large one now and then, so that finding is no sum. */
			struct folio *folio = make_folio(test, i % 100 == 99, i);

			KUNIT_ASSERT_EQ(test, 0, pram_save_folio(&ps, folio, 0));
			folio_put(folio);
		}
		KUNIT_ASSERT_EQ(test, 0, pram_finish_save(&ps));

		open_load(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
		for (u32 i = nr; i--; ) {
			u64 page = i + i / 100;

			KUNIT_ASSERT_EQ(test, 1, pram_data_find(ps.node, page,
								&found));
			KUNIT_ASSERT_EQ(test, found.first_page, page);
			KUNIT_ASSERT_EQ(test, found.index, i);
			KUNIT_ASSERT_TRUE(test, folio_holds(found.folio, i));
		}
		KUNIT_EXPECT_EQ(test, 0, pram_data_find(ps.node, nr + nr / 100,
							&found));
		KUNIT_EXPECT_EQ(test, 0, pram_finish_load(&ps));
	}
}

static void test_same_folio_twice(struct kunit *test)
{
	u64 shared = pram_counter_read(PRAM_PAGES_SHARED);
	u64 copied = pram_counter_read(PRAM_PAGES_COPIED);
	struct folio *folio = make_folio(test, 1, 5), *loaded;
	struct pram_stream ps, other;
	u32 flags;

	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	open_save(test, &other, OTHER, PRAM_PAGE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&ps, folio, 0));
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&ps, folio, 0));
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&other, folio, 0));
	KUNIT_EXPECT_EQ(test, shared + 4, pram_counter_read(PRAM_PAGES_SHARED));
	KUNIT_EXPECT_EQ(test, copied, pram_counter_read(PRAM_PAGES_COPIED));
	KUNIT_EXPECT_EQ(test, 3, pram_frame_holders(folio));
	KUNIT_EXPECT_EQ(test, 4, folio_ref_count(folio));

	/* The one that had it first goes first. */
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&other));
	pram_discard_save(&ps);
	KUNIT_EXPECT_EQ(test, 1, pram_frame_holders(folio));
	KUNIT_EXPECT_TRUE(test, pram_frame_known(folio_pfn(folio)));
	open_load(test, &other, OTHER, PRAM_PAGE_STREAM, 0);
	loaded = pram_load_folio(&other, &flags);
	KUNIT_ASSERT_PTR_EQ(test, loaded, folio);
	KUNIT_EXPECT_TRUE(test, folio_holds(loaded, 5));
	folio_put(loaded);
	KUNIT_EXPECT_EQ(test, 0, pram_finish_load(&other));
	KUNIT_EXPECT_FALSE(test, pram_frame_known(folio_pfn(folio)));
	KUNIT_EXPECT_EQ(test, 1, folio_ref_count(folio));

	/* Given up, so it can be taken again, and is nobody else's. */
	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&ps, folio, 0));
	KUNIT_EXPECT_EQ(test, shared + 4, pram_counter_read(PRAM_PAGES_SHARED));
	pram_discard_save(&ps);
	folio_put(folio);
}

/* Which pages of a folio of 16 a node has, in this order. */
static const struct {
	unsigned int	first;
	unsigned int	nr;
} part_list[] = { { 8, 8 }, { 0, 4 }, { 5, 1 }, { 0, 16 }, { 6, 2 }, { 0, 3 } };

static void save_parts(struct kunit *test, struct pram_stream *ps,
		       struct folio *folio)
{
	struct pram_node *node = pram_stream_write_begin(ps, false);
	u64 entries[ARRAY_SIZE(part_list)];

	KUNIT_ASSERT_FALSE(test, IS_ERR(node));
	for (int i = 0; i < ARRAY_SIZE(part_list); i++)
		entries[i] = pram_entry(folio, folio_page(folio, part_list[i].first),
					part_list[i].nr, PRAM_ENTRY_ADOPTED);
	folio_ref_add(folio, ARRAY_SIZE(part_list));
	KUNIT_EXPECT_EQ(test, 0, pram_node_adopt(node, entries,
						 ARRAY_SIZE(part_list), GFP_KERNEL));
	pram_stream_write_end(node);
}

/* Does the node have what these parts had? */
static void expect_parts(struct kunit *test, struct pram_node *node, u32 pattern)
{
	u32 *page = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct pram_found found = {};
	u64 first = 0;

	KUNIT_ASSERT_NOT_NULL(test, page);
	for (int i = 0; i < ARRAY_SIZE(part_list); i++) {
		for (u32 j = 0; j < part_list[i].nr; j++) {
			struct kvec kvec = { page, PAGE_SIZE };
			struct iov_iter to;

			KUNIT_ASSERT_EQ(test, 1, pram_data_find(node, first + j,
								&found));
			KUNIT_EXPECT_EQ(test, found.first_page, first);
			KUNIT_EXPECT_EQ(test, found.nr, part_list[i].nr);
			iov_iter_kvec(&to, ITER_DEST, &kvec, 1, PAGE_SIZE);
			KUNIT_EXPECT_EQ(test, (ssize_t)PAGE_SIZE,
					pram_data_read(node, (first + j) << PAGE_SHIFT,
						       &to));
			KUNIT_EXPECT_EQ(test, page[0], pattern + part_list[i].first + j);
			KUNIT_EXPECT_EQ(test, page[PAGE_SIZE / 4 - 1],
					pattern + part_list[i].first + j);
		}
		first += part_list[i].nr;
	}
	KUNIT_EXPECT_EQ(test, 0, pram_data_find(node, first, &found));
}

/* Of a large folio a node may have only some pages, and these more than once. */
static void test_parts(struct kunit *test)
{
	struct folio *folio = make_folio(test, 4, 100);
	struct pram_stream ps;
	u32 flags;
	u64 held;

	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, PRAM_SAVE_CHECKSUM);
	held = pram_held_bytes();
	save_parts(test, &ps, folio);
	KUNIT_EXPECT_EQ(test, ARRAY_SIZE(part_list), pram_frame_holders(folio));
	KUNIT_EXPECT_EQ(test, 1 + (int)ARRAY_SIZE(part_list),
			folio_ref_count(folio));
	/* Its frames count once, all of them; and a map page. */
	KUNIT_EXPECT_EQ(test, held + 17 * PAGE_SIZE, pram_held_bytes());
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));

	open_load(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	expect_parts(test, ps.node, 100);
	/* Who wants whole folios cannot have them. */
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR(pram_load_folio(&ps, &flags)));
	{
		struct pram_found found = {};

		KUNIT_EXPECT_EQ(test, -EINVAL, pram_load_look(&ps, &found));
	}
	pram_abort_load(&ps);

	/* Damage in one page is damage of the parts that have it. */
	*(u32 *)(folio_address(folio) + 5 * PAGE_SIZE) ^= 1;
	open_load(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	ps.node->verified[0] = 0;
	{
		struct pram_found found = {};

		KUNIT_EXPECT_EQ(test, 1, pram_data_find(ps.node, 0, &found));
		KUNIT_EXPECT_EQ(test, -EBADMSG, pram_data_find(ps.node, 12, &found));
		KUNIT_EXPECT_EQ(test, -EBADMSG, pram_data_find(ps.node, 13, &found));
		KUNIT_EXPECT_EQ(test, 1, pram_data_find(ps.node, 29, &found));
	}
	*(u32 *)(folio_address(folio) + 5 * PAGE_SIZE) ^= 1;
	KUNIT_EXPECT_EQ(test, 0, pram_finish_load(&ps));
	KUNIT_EXPECT_EQ(test, 1, folio_ref_count(folio));
	KUNIT_EXPECT_FALSE(test, pram_frame_known(folio_pfn(folio)));
	folio_put(folio);
}

#ifdef CONFIG_MEMORY_FAILURE
/* What the hardware has damaged is not committed, nor is it read. */
static void test_poisoned(struct kunit *test)
{
	struct folio *folio = make_folio(test, 0, 1);
	struct pram_stream ps;

	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, PRAM_SAVE_CHECKSUM);
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&ps, folio, 0));
	folio_set_hwpoison(folio);
	atomic_long_inc(&num_poisoned_pages);
	KUNIT_EXPECT_EQ(test, -EHWPOISON, pram_finish_save(&ps));
	KUNIT_EXPECT_EQ(test, -EHWPOISON, pram_seal_save(&ps));
	folio_clear_hwpoison(folio);
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));
	atomic_long_dec(&num_poisoned_pages);
	folio_put(folio);
}
#endif

/* Taken together are more folios than a map page lists. */
static void test_adopt_many(struct kunit *test)
{
	static const u32 flag_sets[] = { 0, PRAM_SAVE_CHECKSUM };
	const u32 nr = 1500;
	u64 *entries = kunit_kcalloc(test, nr, sizeof(*entries), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, entries);
	for (int f = 0; f < ARRAY_SIZE(flag_sets); f++) {
		struct pram_found found = {};
		struct pram_stream ps;
		struct pram_node *node;

		open_save(test, &ps, NAME, PRAM_PAGE_STREAM, flag_sets[f]);
		for (u32 i = 0; i < nr; i++) {
			struct folio *folio = make_folio(test, i % 100 == 99, i);

			entries[i] = pram_entry(folio, folio_page(folio, 0),
						folio_nr_pages(folio),
						PRAM_ENTRY_ADOPTED);
		}
		node = pram_stream_write_begin(&ps, false);
		KUNIT_ASSERT_FALSE(test, IS_ERR(node));
		KUNIT_EXPECT_EQ(test, 0, pram_node_adopt(node, entries, nr,
							 GFP_KERNEL));
		KUNIT_EXPECT_EQ(test, node->nr_pages, nr + nr / 100);
		KUNIT_EXPECT_EQ(test, node->adopted_pages, nr + nr / 100);
		pram_stream_write_end(node);
		KUNIT_ASSERT_EQ(test, 0, pram_finish_save(&ps));

		open_load(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
		for (u32 i = 0; i < nr; i++) {
			KUNIT_ASSERT_EQ(test, 1, pram_data_find(ps.node, i + i / 100,
								&found));
			KUNIT_ASSERT_EQ(test, found.index, i);
			KUNIT_ASSERT_TRUE(test, folio_holds(found.folio, i));
		}
		KUNIT_EXPECT_EQ(test, 0, pram_finish_load(&ps));
	}
}

/* A page of KHO's scratch areas, taken out of the page allocator. */
static struct page *take_cma_page(void)
{
	unsigned long pfn;
	struct zone *zone;

	for_each_populated_zone(zone) {
		for (pfn = ALIGN(zone->zone_start_pfn, pageblock_nr_pages);
		     pfn < zone_end_pfn(zone); pfn += pageblock_nr_pages) {
			struct page *page = pfn_to_online_page(pfn);

			if (page && is_migrate_cma_page(page) &&
			    !alloc_contig_range(pfn, pfn + 1, ACR_FLAGS_CMA,
						GFP_KERNEL))
				return page;
		}
	}
	return NULL;
}

static void test_scratch(struct kunit *test)
{
	u64 copied = pram_counter_read(PRAM_COPIED_BY_REASON +
				  PRAM_COPY_SCRATCH);
	struct page *page = take_cma_page();
	struct pram_stream ps;

	KUNIT_ASSERT_NOT_NULL(test, page);
	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, 0, pram_save_page(&ps, page, 0));
	KUNIT_EXPECT_EQ(test, copied + 1,
			pram_counter_read(PRAM_COPIED_BY_REASON +
				  PRAM_COPY_SCRATCH));
	pram_discard_save(&ps);
	free_contig_range(page_to_pfn(page), 1);
}

static void put_back_at_once(struct folio *folio)
{
}

/* What others put back on its LRU list is not mapped or given to a file. */
static void test_on_lru(struct kunit *test)
{
	struct folio *folio = make_folio(test, 0, 1);
	struct pram_stream ps;

	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	KUNIT_ASSERT_EQ(test, 0, pram_save_folio(&ps, folio, 0));
	folio_put(folio);
	KUNIT_ASSERT_EQ(test, 0, mem_cgroup_charge(folio, NULL, GFP_KERNEL));
	folio_add_lru(folio);
	lru_add_drain_all();
	KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));

	folio_lock(folio);
	kunit_activate_static_stub(test, pram_take_off_lru, put_back_at_once);
	KUNIT_EXPECT_FALSE(test, pram_folio_reset(folio));
	KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
	kunit_deactivate_static_stub(test, pram_take_off_lru);
	KUNIT_EXPECT_TRUE(test, pram_folio_reset(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_lru(folio));
	folio_unlock(folio);

	KUNIT_EXPECT_EQ(test, 1, folio_ref_count(folio));
	pram_discard_save(&ps);
}

static void test_copy(struct kunit *test)
{
	u64 copied = pram_counter_read(PRAM_COPIED_BY_REASON +
				  PRAM_COPY_ASKED);
	struct folio *folio = make_folio(test, 1, 77), *loaded;
	struct pram_stream ps;
	u32 flags;

	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, PRAM_SAVE_COPY);
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&ps, folio, PRAM_PAGE_LRU));
	KUNIT_EXPECT_EQ(test, copied + 2,
			pram_counter_read(PRAM_COPIED_BY_REASON +
				  PRAM_COPY_ASKED));
	KUNIT_EXPECT_EQ(test, 1, folio_ref_count(folio));
	memset(folio_address(folio), 0, folio_size(folio));
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));
	open_load(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	loaded = pram_load_folio(&ps, &flags);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(loaded));
	KUNIT_EXPECT_TRUE(test, folio_holds(loaded, 77));
	KUNIT_EXPECT_EQ(test, flags, PRAM_PAGE_LRU);
	folio_put(loaded);
	KUNIT_EXPECT_EQ(test, 0, pram_finish_load(&ps));
	folio_put(folio);
}

/* Written page by page, a node nevertheless consists of few folios. */
static void test_growth(struct kunit *test)
{
	const u64 pages = 4000;
	u8 *page = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct pram_node_stat stat;
	struct pram_stream ps;

	KUNIT_ASSERT_NOT_NULL(test, page);
	open_save(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
	for (u64 i = 0; i < pages; i++) {
		memset(page, i, PAGE_SIZE);
		KUNIT_ASSERT_EQ(test, (ssize_t)PAGE_SIZE,
				pram_write(&ps, page, PAGE_SIZE));
	}
	KUNIT_ASSERT_EQ(test, 0, pram_finish_save(&ps));
	KUNIT_ASSERT_EQ(test, 0, pram_stat(NAME, &stat));
	KUNIT_EXPECT_EQ(test, stat.bytes, pages * PAGE_SIZE);
	KUNIT_EXPECT_GE(test, stat.data_pages, pages);
	KUNIT_EXPECT_LE(test, stat.data_pages, pages + pages / 32 + 1);
	/* 32 for each doubling would be 7 * 32; allow for fragmented memory. */
	KUNIT_EXPECT_LT(test, stat.nr_folios, pages / 4);

	open_load(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
	for (u64 i = 0; i < pages; i++) {
		KUNIT_ASSERT_EQ(test, (ssize_t)PAGE_SIZE,
				pram_read(&ps, page, PAGE_SIZE));
		KUNIT_ASSERT_NULL(test, memchr_inv(page, (u8)i, PAGE_SIZE));
	}
	KUNIT_EXPECT_EQ(test, 0, pram_read(&ps, page, 1));
	KUNIT_EXPECT_EQ(test, 0, pram_finish_load(&ps));
}

static struct kunit_case pram_data_cases[] = {
	KUNIT_CASE(test_folios),
	KUNIT_CASE(test_pages),
	KUNIT_CASE(test_many),
	KUNIT_CASE(test_same_folio_twice),
	KUNIT_CASE(test_parts),
#ifdef CONFIG_MEMORY_FAILURE
	KUNIT_CASE(test_poisoned),
#endif
	KUNIT_CASE(test_adopt_many),
	KUNIT_CASE(test_scratch),
	KUNIT_CASE(test_on_lru),
	KUNIT_CASE(test_copy),
	KUNIT_CASE(test_growth),
	{}
};

static struct kunit_suite pram_data_suite = {
	.name = "pram-data",
	.init = pram_test_init,
	.exit = pram_test_exit,
	.test_cases = pram_data_cases,
};

kunit_test_suite(pram_data_suite);
