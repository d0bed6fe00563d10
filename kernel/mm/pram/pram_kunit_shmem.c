// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of PRAM: the page cache of shared memory.
 */

#include <kunit/test.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>

#include "pram_kunit.h"

static struct file *make_file(struct kunit *test)
{
	struct file *file = shmem_file_setup("kunit", SZ_2M,
					     mk_vma_flags(VMA_NORESERVE_BIT));

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	return file;
}

/* Save @nr pages, and a folio of four behind the first @before. */
static void save_pages(struct kunit *test, unsigned int nr, unsigned int before)
{
	struct pram_stream ps;

	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	for (unsigned int i = 0; i <= nr; i++) {
		struct folio *folio = make_folio(test, i == before ? 2 : 0,
						 i * 100);

		KUNIT_ASSERT_EQ(test, 0, pram_save_folio(&ps, folio, 0));
		folio_put(folio);
	}
	KUNIT_ASSERT_EQ(test, 0, pram_finish_save(&ps));
}

/* Is it as a page that somebody has written to the file, but for the node's reference? */
static void expect_inserted(struct kunit *test, struct address_space *mapping,
			    pgoff_t index, u32 pattern)
{
	struct folio *folio = filemap_get_folio(mapping, index);

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	KUNIT_EXPECT_TRUE(test, folio_holds(folio, pattern));
	KUNIT_EXPECT_TRUE(test, folio_test_uptodate(folio));
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));
	KUNIT_EXPECT_TRUE(test, folio_test_swapbacked(folio));
	KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
	KUNIT_EXPECT_TRUE(test, mem_cgroup_disabled() || folio_memcg_charged(folio));
	KUNIT_EXPECT_EQ(test, 3, folio_ref_count(folio));
	KUNIT_EXPECT_EQ(test, folio->index, index);
	folio_put(folio);
}

/* Pages go into a file many at a time, up to what has to go there by itself. */
static void test_insert_fresh(struct kunit *test)
{
	const pgoff_t start = 2 * XA_CHUNK_SIZE - 7;
	const unsigned int nr = 150, before = 40;
	struct file *file = make_file(test);
	struct address_space *mapping = file->f_mapping;
	struct pram_found found = {};
	pgoff_t index = start;
	struct pram_stream ps;
	unsigned int runs = 0;
	long n;

	save_pages(test, nr, before);
	open_load(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	while (pram_load_look(&ps, &found) > 0) {
		n = pram_shmem_insert_fresh(&found, mapping->host, index, nr, NULL,
					    true);
		if (!n) {
			KUNIT_EXPECT_EQ(test, index, start + before);
			KUNIT_EXPECT_EQ(test, 2, folio_order(found.folio));
			pram_load_done(&ps, 4);
			index += 4;
			continue;
		}
		KUNIT_ASSERT_GT(test, n, 0);
		KUNIT_EXPECT_EQ(test, index / XA_CHUNK_SIZE,
				(index + n - 1) / XA_CHUNK_SIZE);
		for (long i = 0; i < n; i++) {
			unsigned int at = index + i - start;

			expect_inserted(test, mapping, index + i,
					(at > before ? at - 3 : at) * 100);
		}
		pram_found_skip(&found, n);
		pram_load_done(&ps, n);
		index += n;
		runs++;
	}
	/* 7 and 33 before the large one; 27, 64, 19 behind it. */
	KUNIT_EXPECT_EQ(test, 5, runs);
	KUNIT_EXPECT_EQ(test, index, start + nr + 4);
	KUNIT_EXPECT_EQ(test, (unsigned long)nr, mapping->nrpages);
	KUNIT_EXPECT_EQ(test, (unsigned long)nr, SHMEM_I(mapping->host)->alloced);

	/* None of them is fresh now. */
	ps.next_page = 0;
	KUNIT_EXPECT_EQ(test, 1, pram_load_look(&ps, &found));
	KUNIT_EXPECT_EQ(test, 0, pram_shmem_insert_fresh(&found, mapping->host, 0, nr,
							 NULL, true));
	KUNIT_EXPECT_EQ(test, (unsigned long)nr, SHMEM_I(mapping->host)->alloced);
	__fput_sync(file);
	pram_abort_load(&ps);
}

/* Where something is nothing is put, and what did not get there is as it was. */
static void test_insert_taken(struct kunit *test)
{
	struct file *file = make_file(test);
	struct address_space *mapping = file->f_mapping;
	struct folio *taken = shmem_read_folio(mapping, 10);
	struct inode *inode = mapping->host;
	struct pram_found found = {};
	struct pram_stream ps;

	KUNIT_ASSERT_FALSE(test, IS_ERR(taken));
	save_pages(test, 20, 20);
	open_load(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	KUNIT_ASSERT_EQ(test, 1, pram_load_look(&ps, &found));
	KUNIT_EXPECT_EQ(test, -EEXIST, pram_shmem_insert_fresh(&found, inode, 10, 20,
							       NULL, true));
	KUNIT_EXPECT_EQ(test, 1UL, SHMEM_I(inode)->alloced);
	KUNIT_EXPECT_EQ(test, 1, folio_ref_count(found.folio));
	KUNIT_EXPECT_EQ(test, 10, pram_shmem_insert_fresh(&found, inode, 0, 20, NULL,
							  false));
	KUNIT_EXPECT_EQ(test, 11UL, SHMEM_I(inode)->alloced);
	KUNIT_EXPECT_EQ(test, 11UL, mapping->nrpages);
	/* They were only allocated. */
	KUNIT_EXPECT_FALSE(test, folio_test_uptodate(found.folio));
	pram_found_skip(&found, 10);
	pram_load_done(&ps, 10);
	KUNIT_ASSERT_EQ(test, 1, pram_load_look(&ps, &found));
	KUNIT_EXPECT_EQ(test, 10, pram_shmem_insert_fresh(&found, inode, 11, 20, NULL,
							  true));
	expect_inserted(test, mapping, 11, 1000);
	folio_put(taken);
	__fput_sync(file);
	pram_abort_load(&ps);
}

/* Take pages of a file out, from @first on; @window: see pram_shmem_remove(). */
static void remove_pages(struct kunit *test, struct address_space *mapping,
			 pgoff_t first, unsigned int nr, bool window)
{
	unsigned long before = mapping->nrpages;
	struct folio *folios[XA_CHUNK_SIZE];

	for (unsigned int i = 0; i < nr; i++) {
		folios[i] = filemap_lock_folio(mapping, first + i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(folios[i]));
	}
	pram_shmem_remove(mapping, folios, nr, window);
	pram_retire_folios(folios, nr);
	for (unsigned int i = 0; i < nr; i++) {
		KUNIT_EXPECT_EQ(test, 1, folio_ref_count(folios[i]));
		KUNIT_EXPECT_NULL(test, folios[i]->mapping);
		KUNIT_EXPECT_FALSE(test, folio_test_lru(folios[i]));
		KUNIT_EXPECT_FALSE(test, folio_test_dirty(folios[i]));
		KUNIT_EXPECT_FALSE(test, folio_memcg_charged(folios[i]));
		folio_unlock(folios[i]);
		folio_put(folios[i]);
		KUNIT_EXPECT_NULL(test, xa_load(&mapping->i_pages, first + i));
	}
	KUNIT_EXPECT_EQ(test, before - nr, mapping->nrpages);
}

/* A node of a file's tree can be taken out as one; what is beside it stays. */
static void test_remove(struct kunit *test)
{
	struct file *file = make_file(test);
	struct address_space *mapping = file->f_mapping;

	for (pgoff_t i = 60; i < 200; i++) {
		struct folio *folio = shmem_read_folio(mapping, i);

		KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
		folio_put(folio);
	}
	lru_add_drain_all();
	remove_pages(test, mapping, XA_CHUNK_SIZE, XA_CHUNK_SIZE, true);
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&mapping->i_pages, XA_CHUNK_SIZE - 1));
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&mapping->i_pages, 2 * XA_CHUNK_SIZE));
	/* Of the next one not all. */
	remove_pages(test, mapping, 2 * XA_CHUNK_SIZE, 10, false);
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&mapping->i_pages, 2 * XA_CHUNK_SIZE + 10));
	remove_pages(test, mapping, 60, 4, true);
	remove_pages(test, mapping, 2 * XA_CHUNK_SIZE + 10, 54, true);
	KUNIT_EXPECT_EQ(test, 8UL, mapping->nrpages);
	remove_pages(test, mapping, 3 * XA_CHUNK_SIZE, 8, true);
	KUNIT_EXPECT_TRUE(test, xa_empty(&mapping->i_pages));
	/* One alone has no node. */
	folio_put(shmem_read_folio(mapping, 0));
	lru_add_drain_all();
	remove_pages(test, mapping, 0, 1, true);
	KUNIT_EXPECT_TRUE(test, xa_empty(&mapping->i_pages));
	__fput_sync(file);
}

static void expect_seek(struct kunit *test, struct address_space *mapping, u64 at,
			int whence, u64 to)
{
	loff_t found = mapping_seek_hole_data(mapping, at, SZ_2M, whence);

	KUNIT_EXPECT_EQ_MSG(test, found, (loff_t)to, "%d from %llu", whence, at);
}

/* Where are holes? As a dump asks; what was only allocated is one, too. */
static void test_seek(struct kunit *test)
{
	static const pgoff_t data[] = { 1, 2, XA_CHUNK_SIZE - 1, XA_CHUNK_SIZE, 300 };
	struct file *file = make_file(test);
	struct address_space *mapping = file->f_mapping;
	const u64 page = PAGE_SIZE;

	expect_seek(test, mapping, 0, SEEK_DATA, -ENXIO);
	expect_seek(test, mapping, 5 * page + 7, SEEK_HOLE, 5 * page + 7);
	for (int i = 0; i < ARRAY_SIZE(data); i++) {
		struct folio *folio = shmem_read_folio(mapping, data[i]);

		KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
		folio_put(folio);
	}
	KUNIT_ASSERT_EQ(test, 0, vfs_fallocate(file, 0, 200 * page, 2 * page));
	expect_seek(test, mapping, 0, SEEK_HOLE, 0);
	expect_seek(test, mapping, 0, SEEK_DATA, page);
	expect_seek(test, mapping, page, SEEK_DATA, page);
	expect_seek(test, mapping, page + 9, SEEK_DATA, page + 9);
	expect_seek(test, mapping, page, SEEK_HOLE, 3 * page);
	expect_seek(test, mapping, 2 * page + 9, SEEK_HOLE, 3 * page);
	expect_seek(test, mapping, 3 * page, SEEK_DATA, (XA_CHUNK_SIZE - 1) * page);
	expect_seek(test, mapping, XA_CHUNK_SIZE * page - 1, SEEK_HOLE,
		    (XA_CHUNK_SIZE + 1) * page);
	expect_seek(test, mapping, 199 * page, SEEK_DATA, 300 * page);
	expect_seek(test, mapping, 201 * page + 1, SEEK_HOLE, 201 * page + 1);
	expect_seek(test, mapping, 300 * page, SEEK_HOLE, 301 * page);
	expect_seek(test, mapping, 301 * page, SEEK_DATA, -ENXIO);
	/* Up to the end, and not beyond. */
	folio_put(shmem_read_folio(mapping, SZ_2M / page - 1));
	expect_seek(test, mapping, SZ_2M - page, SEEK_HOLE, SZ_2M);
	expect_seek(test, mapping, SZ_2M - 1, SEEK_DATA, SZ_2M - 1);
	expect_seek(test, mapping, SZ_2M, SEEK_HOLE, -ENXIO);
	KUNIT_EXPECT_EQ(test, 300 * (loff_t)page + 17,
			mapping_seek_hole_data(mapping, 300 * page, 300 * page + 17,
					       SEEK_HOLE));
	__fput_sync(file);
}

static struct kunit_case pram_shmem_cases[] = {
	KUNIT_CASE(test_insert_fresh),
	KUNIT_CASE(test_insert_taken),
	KUNIT_CASE(test_remove),
	KUNIT_CASE(test_seek),
	{}
};

static struct kunit_suite pram_shmem_suite = {
	.name = "pram-shmem",
	.init = pram_test_init,
	.exit = pram_test_exit,
	.test_cases = pram_shmem_cases,
};

kunit_test_suite(pram_shmem_suite);
