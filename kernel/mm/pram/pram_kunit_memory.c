// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of PRAM: what there is no memory for, or the limit does not allow.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "pram_kunit.h"

static void *no_meta(bool exempt, gfp_t gfp)
{
	return ERR_PTR(-ENOMEM);
}

static struct folio *no_folio(unsigned int order, bool exempt, gfp_t gfp)
{
	return NULL;
}

static bool memory_is_short(unsigned long nr)
{
	return true;
}

static struct folio *only_single_pages(unsigned int order, bool exempt,
				       gfp_t gfp)
{
	return order ? NULL : folio_alloc(gfp, 0);
}

static void test_no_memory(struct kunit *test)
{
	struct folio *folio = make_folio(test, 0, 9);
	struct pram_stream bytes, pages, copies, last;

	kunit_activate_static_stub(test, pram_meta_alloc, no_meta);
	KUNIT_EXPECT_EQ(test, -ENOMEM,
			pram_prepare_save(&bytes, NAME, PRAM_BYTE_STREAM,
					  GFP_KERNEL));
	kunit_deactivate_static_stub(test, pram_meta_alloc);

	open_save(test, &bytes, NAME, PRAM_BYTE_STREAM, 0);
	open_save(test, &pages, OTHER, PRAM_PAGE_STREAM, 0);
	open_save(test, &copies, OTHER "-copies", PRAM_PAGE_STREAM, PRAM_SAVE_COPY);

	/* No map page. */
	kunit_activate_static_stub(test, pram_meta_alloc, no_meta);
	KUNIT_EXPECT_EQ(test, -ENOMEM, pram_write(&bytes, "x", 1));
	KUNIT_EXPECT_EQ(test, -ENOMEM, pram_save_folio(&pages, folio, 0));
	KUNIT_EXPECT_EQ(test, 1, folio_ref_count(folio));
	kunit_deactivate_static_stub(test, pram_meta_alloc);

	/* No data page. */
	kunit_activate_static_stub(test, pram_data_alloc, no_folio);
	KUNIT_EXPECT_EQ(test, -ENOMEM, pram_write(&bytes, "x", 1));
	KUNIT_EXPECT_EQ(test, -ENOMEM, pram_save_folio(&copies, folio, 0));
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&pages, folio, 0));
	kunit_deactivate_static_stub(test, pram_data_alloc);

	/* There are pages, but they are the last ones. To take over and seal needs none. */
	kunit_activate_static_stub(test, pram_memory_is_short, memory_is_short);
	KUNIT_EXPECT_EQ(test, -ENOMEM, pram_write(&bytes, "x", 1));
	KUNIT_EXPECT_EQ(test, -ENOMEM, pram_save_folio(&copies, folio, 0));
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&pages, folio, 0));
	KUNIT_EXPECT_EQ(test, 0, pram_seal_save(&pages));
	KUNIT_ASSERT_EQ(test, 0, pram_begin_save(&last, OTHER "-last",
						 PRAM_BYTE_STREAM, 0, true,
						 GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, 1, pram_write(&last, "z", 1));
	pram_discard_save(&last);
	kunit_deactivate_static_stub(test, pram_memory_is_short);

	/* All of that failed cleanly: each can go on. */
	KUNIT_EXPECT_EQ(test, 1, pram_write(&bytes, "y", 1));
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&copies, folio, 0));
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&bytes));
	expect_bytes(test, NAME, "y");
	pram_discard_save(&pages);
	pram_discard_save(&copies);
	folio_put(folio);
}

static void test_no_large_folio(struct kunit *test)
{
	const size_t size = 64 * PAGE_SIZE;
	u8 *out = kvzalloc(size, GFP_KERNEL), *in = kvzalloc(size, GFP_KERNEL);
	struct pram_stream ps;

	KUNIT_ASSERT_NOT_NULL(test, out);
	KUNIT_ASSERT_NOT_NULL(test, in);
	for (size_t i = 0; i < size; i++)
		out[i] = i ^ (i >> 8);
	kunit_activate_static_stub(test, pram_data_alloc, only_single_pages);
	open_save(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, (ssize_t)size, pram_write(&ps, out, size));
	kunit_deactivate_static_stub(test, pram_data_alloc);
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));
	open_load(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, (ssize_t)size, pram_read(&ps, in, size));
	KUNIT_EXPECT_MEMEQ(test, in, out, size);
	KUNIT_EXPECT_EQ(test, 0, pram_finish_load(&ps));
	kvfree(in);
	kvfree(out);
}

static struct folio *only_small_folios(unsigned int order, bool exempt,
				       gfp_t gfp)
{
	return order > 2 ? NULL : folio_alloc(gfp, order);
}

/*
 * The folios of a page stream hold pages that make_folio() has filled, each of them
 * aligned as in the first folio that they come from.
 */
static unsigned int expect_pieces(struct kunit *test, u32 pattern,
				  unsigned long at, unsigned long end)
{
	unsigned int nr_folios = 0;
	struct pram_stream ps;

	open_load(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	while (at < end) {
		struct folio *folio;
		u32 flags;

		folio = pram_load_folio(&ps, &flags);
		KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(folio));
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(at, folio_nr_pages(folio)));
		KUNIT_EXPECT_TRUE(test, folio_holds(folio, pattern + at));
		at += folio_nr_pages(folio);
		nr_folios++;
		folio_put(folio);
	}
	KUNIT_EXPECT_EQ(test, end, at);
	KUNIT_EXPECT_EQ(test, 0, pram_finish_load(&ps));
	return nr_folios;
}

/* A large folio that has to be copied, and there is none as large to copy it to. */
static void test_copy_in_pieces(struct kunit *test)
{
	u64 copied = pram_counter_read(PRAM_PAGES_COPIED);
	struct folio *folio = make_folio(test, 6, 3000);
	unsigned long done;
	struct pram_stream ps;

	kunit_activate_static_stub(test, pram_data_alloc, only_small_folios);
	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, PRAM_SAVE_COPY);
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&ps, folio, 0));
	kunit_deactivate_static_stub(test, pram_data_alloc);
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));
	KUNIT_EXPECT_EQ(test, copied + 64, pram_counter_read(PRAM_PAGES_COPIED));
	KUNIT_EXPECT_EQ(test, 16U, expect_pieces(test, 3000, 0, 64));

	/* A part of one: pages 3; 4 to 7; 8 to 15; 16 and 17. */
	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, 0, pram_save_copy(&ps, folio, 3, 15,
						PRAM_COPY_PINNED, &done));
	KUNIT_EXPECT_EQ(test, 15UL, done);
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));
	KUNIT_EXPECT_EQ(test, 4U, expect_pieces(test, 3000, 3, 18));

	/* No memory at all: what has been copied by then is counted. */
	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	kunit_activate_static_stub(test, pram_data_alloc, no_folio);
	KUNIT_EXPECT_EQ(test, -ENOMEM, pram_save_copy(&ps, folio, 0, 64,
						      PRAM_COPY_PINNED, &done));
	kunit_deactivate_static_stub(test, pram_data_alloc);
	KUNIT_EXPECT_EQ(test, 0UL, done);
	pram_discard_save(&ps);
	KUNIT_EXPECT_EQ(test, 1, folio_ref_count(folio));
	folio_put(folio);
}

/* Another node keeps the directory page, which comes and goes with the first one. */
static void keep_directory(struct kunit *test, struct pram_stream *ps)
{
	open_save(test, ps, "kunit-directory", PRAM_BYTE_STREAM, 0);
}

/* Let nodes hold so many pages more than now. */
static void allow_more(u64 pages)
{
	pram_set_max((pram_held_bytes() >> PAGE_SHIFT) + pages);
}

static void test_limit_pages(struct kunit *test)
{
	struct folio *folio = make_folio(test, 0, 1), *large;
	struct pram_stream ps, other, directory;

	keep_directory(test, &directory);
	/* A node page, a map page, and data. */
	allow_more(2 + 5);
	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&ps, folio, 0));
	/* What nodes have already costs nothing, but for the entries. */
	for (int i = 0; i < 10; i++)
		KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&ps, folio, 0));
	KUNIT_EXPECT_EQ(test, pram_held_bytes() + 4 * PAGE_SIZE, pram_max_bytes());
	large = make_folio(test, 3, 2);
	KUNIT_EXPECT_EQ(test, -ENOSPC, pram_save_folio(&ps, large, 0));
	KUNIT_EXPECT_EQ(test, 1, folio_ref_count(large));
	folio_put(large);
	large = make_folio(test, 2, 3);
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&ps, large, 0));
	KUNIT_EXPECT_EQ(test, pram_held_bytes(), pram_max_bytes());

	/* Full: there can be no other node. */
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			pram_prepare_save(&other, OTHER, PRAM_BYTE_STREAM,
					  GFP_KERNEL));
	/* Below what is held: nothing more, and nothing less. */
	pram_set_max(1);
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));
	KUNIT_EXPECT_EQ(test, 0, pram_free(NAME));

	/* A node that is exempt counts, and so leaves no room. */
	KUNIT_ASSERT_EQ(test, 0, pram_begin_save(&ps, NAME, PRAM_PAGE_STREAM, 0,
						 true, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&ps, large, 0));
	allow_more(0);
	KUNIT_EXPECT_EQ(test, 0, pram_save_folio(&ps, folio, 0));
	KUNIT_EXPECT_GT(test, pram_held_bytes(), pram_max_bytes());
	pram_discard_save(&ps);
	pram_discard_save(&directory);
	folio_put(folio);
	folio_put(large);
}

/* Of what is taken over together as much is taken as the limit allows. */
static void test_limit_entries(struct kunit *test)
{
	const unsigned int nr = 100;
	u64 *entries = kunit_kcalloc(test, nr, sizeof(*entries), GFP_KERNEL);
	struct folio *last = NULL;
	struct pram_stream ps, directory;
	struct pram_node_stat stat;

	KUNIT_ASSERT_NOT_NULL(test, entries);
	keep_directory(test, &directory);
	for (unsigned int room = 0; room <= nr; room += 33) {
		for (unsigned int i = 0; i < nr; i++) {
			last = make_folio(test, 0, i);
			entries[i] = pram_entry(last, folio_page(last, 0), 1,
						PRAM_ENTRY_ADOPTED);
		}
		folio_get(last);
		/* A node page, a map page, and data. */
		allow_more(2 + room);
		open_save(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
		KUNIT_EXPECT_EQ(test, -ENOSPC, pram_save_entries(&ps, entries, nr));
		KUNIT_EXPECT_EQ(test, 1, folio_ref_count(last));
		KUNIT_EXPECT_FALSE(test, pram_frame_known(folio_pfn(last)));
		folio_put(last);
		KUNIT_ASSERT_EQ(test, 0, pram_stat(NAME, &stat));
		KUNIT_EXPECT_EQ(test, stat.bytes, room * PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, stat.adopted_pages, room);
		/* There is no map page if there is nothing that it could list. */
		KUNIT_EXPECT_EQ(test, stat.meta_pages, 1 + !!room);
		if (room)
			KUNIT_EXPECT_EQ(test, pram_held_bytes(), pram_max_bytes());
		KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));
		KUNIT_EXPECT_EQ(test, 0, pram_free(NAME));
	}
	pram_discard_save(&directory);
}

static void test_limit_bytes(struct kunit *test)
{
	const size_t size = 100 * PAGE_SIZE;
	u8 *out = kvzalloc(size, GFP_KERNEL);
	struct pram_stream ps, directory;
	struct pram_node_stat stat;

	KUNIT_ASSERT_NOT_NULL(test, out);
	keep_directory(test, &directory);
	/* Whatever folios would be best, all of it is used, and no more. */
	for (u64 pages = 0; pages < 40; pages += 13) {
		allow_more(2 + pages);
		open_save(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
		KUNIT_EXPECT_EQ(test, pages ? (ssize_t)(pages * PAGE_SIZE) : -ENOSPC,
				pram_write(&ps, out, size));
		KUNIT_EXPECT_EQ(test, -ENOSPC, pram_write(&ps, out, 1));
		/* There is no map page if there is nothing that it could list. */
		KUNIT_ASSERT_EQ(test, 0, pram_stat(NAME, &stat));
		KUNIT_EXPECT_EQ(test, stat.data_pages, pages);
		KUNIT_EXPECT_EQ(test, stat.meta_pages, 1 + !!pages);
		if (pages)
			KUNIT_EXPECT_EQ(test, pram_held_bytes(), pram_max_bytes());
		allow_more(2);
		KUNIT_EXPECT_EQ(test, 1, pram_write(&ps, out, 1));
		KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));
		KUNIT_EXPECT_EQ(test, 0, pram_free(NAME));
	}
	pram_discard_save(&directory);
	kvfree(out);
}

static void test_limit_parse(struct kunit *test)
{
	static const struct {
		const char	*text;
		unsigned long	max;
	} good[] = {
		{ "max", PRAM_NO_LIMIT }, { "max\n", PRAM_NO_LIMIT },
		{ "0", 0 }, { "4095", 0 }, { "8192\n", 2 }, { "1M", SZ_1M / PAGE_SIZE },
		{ "2g\n", SZ_2G / PAGE_SIZE }, { "0x2000", 2 },
		{ "18446744073709551615", PRAM_NO_LIMIT },
	};
	static const char *const bad[] = {
		"", "\n", "-1", " 1", "1 ", "K", "1.5G", "1Gi", "none", "max 1", "1\n\n",
	};
	unsigned long max;

	for (int i = 0; i < ARRAY_SIZE(good); i++) {
		KUNIT_EXPECT_EQ_MSG(test, 0, pram_parse_max(good[i].text, &max),
				    "%s", good[i].text);
		KUNIT_EXPECT_EQ_MSG(test, max, good[i].max, "%s", good[i].text);
	}
	for (int i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL, pram_parse_max(bad[i], &max),
				    "%s", bad[i]);
}

static struct kunit_case pram_memory_cases[] = {
	KUNIT_CASE(test_no_memory),
	KUNIT_CASE(test_no_large_folio),
	KUNIT_CASE(test_copy_in_pieces),
	KUNIT_CASE(test_limit_pages),
	KUNIT_CASE(test_limit_entries),
	KUNIT_CASE(test_limit_bytes),
	KUNIT_CASE(test_limit_parse),
	{}
};

static struct kunit_suite pram_memory_suite = {
	.name = "pram-memory",
	.init = pram_test_init,
	.exit = pram_test_exit,
	.test_cases = pram_memory_cases,
};

kunit_test_suite(pram_memory_suite);
