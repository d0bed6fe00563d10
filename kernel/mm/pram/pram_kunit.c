// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of PRAM: every call of <linux/pram.h> and each error that it
 * returns, within one kernel. What happens across a kexec cannot be tested
 * here.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/crc32.h>
#include <linux/file.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/memblock.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/swap.h>

#include "internal.h"

#define NAME	"kunit"
#define OTHER	"kunit-other"

struct pram_test {
	u64	data_pages;
	u64	meta_pages;
	u64	held_bytes;
	u64	max_bytes;
};

static int pram_test_init(struct kunit *test)
{
	struct pram_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct pram_stream ps;

	KUNIT_ASSERT_NOT_NULL(test, t);
	KUNIT_ASSERT_TRUE_MSG(test, pram_is_enabled(), "boot with kho=on");
	/* The first save brings a directory page, which stays. */
	KUNIT_ASSERT_EQ(test, 0, pram_prepare_save(&ps, NAME, PRAM_BYTE_STREAM,
						   GFP_KERNEL));
	pram_discard_save(&ps);
	t->data_pages = pram_counter_read(PRAM_DATA_PAGES);
	t->meta_pages = pram_counter_read(PRAM_META_PAGES);
	t->held_bytes = pram_held_bytes();
	t->max_bytes = pram_max_bytes();
	test->priv = t;
	return 0;
}

/* Every test must leave as much memory in nodes as it found. */
static void pram_test_exit(struct kunit *test)
{
	struct pram_test *t = test->priv;

	if (!t)
		return;
	pram_set_max(t->max_bytes == U64_MAX ? PRAM_NO_LIMIT :
					       t->max_bytes >> PAGE_SHIFT);
	pram_free(NAME);
	pram_free(OTHER);
	KUNIT_EXPECT_EQ(test, pram_counter_read(PRAM_DATA_PAGES), t->data_pages);
	KUNIT_EXPECT_EQ(test, pram_counter_read(PRAM_META_PAGES), t->meta_pages);
	KUNIT_EXPECT_EQ(test, pram_held_bytes(), t->held_bytes);
}

static void open_save(struct kunit *test, struct pram_stream *ps,
		      const char *name, u32 type, u32 flags)
{
	KUNIT_ASSERT_EQ(test, 0, pram_prepare_save_flags(ps, name, type, flags,
							 GFP_KERNEL));
}

static void open_load(struct kunit *test, struct pram_stream *ps,
		      const char *name, u32 type, u32 flags)
{
	KUNIT_ASSERT_EQ(test, 0, pram_prepare_load_flags(ps, name, type, flags));
}

static void save_bytes(struct kunit *test, const char *name, const char *bytes,
		       u32 flags)
{
	struct pram_stream ps;

	open_save(test, &ps, name, PRAM_BYTE_STREAM, flags);
	KUNIT_ASSERT_EQ(test, (ssize_t)strlen(bytes),
			pram_write(&ps, bytes, strlen(bytes)));
	KUNIT_ASSERT_EQ(test, 0, pram_finish_save(&ps));
}

static void expect_bytes(struct kunit *test, const char *name,
			 const char *bytes)
{
	struct pram_stream ps;
	char buf[64] = {};

	open_load(test, &ps, name, PRAM_BYTE_STREAM, PRAM_LOAD_PEEK);
	KUNIT_EXPECT_EQ(test, (ssize_t)strlen(bytes),
			pram_read(&ps, buf, sizeof(buf) - 1));
	KUNIT_EXPECT_STREQ(test, buf, bytes);
	pram_abort_load(&ps);
}

/* A folio whose pages all hold @pattern, different in each page. */
static struct folio *make_folio(struct kunit *test, unsigned int order,
				u32 pattern)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, order);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	for (long i = 0; i < folio_nr_pages(folio); i++)
		memset32(folio_address(folio) + i * PAGE_SIZE, pattern + i,
			 PAGE_SIZE / sizeof(u32));
	return folio;
}

static bool folio_holds(struct folio *folio, u32 pattern)
{
	for (long i = 0; i < folio_nr_pages(folio); i++) {
		u32 *page = folio_address(folio) + i * PAGE_SIZE;

		for (size_t j = 0; j < PAGE_SIZE / sizeof(*page); j++)
			if (page[j] != pattern + i)
				return false;
	}
	return true;
}

static void test_names(struct kunit *test)
{
	char *name = kunit_kzalloc(test, PRAM_NAME_MAX + 1, GFP_KERNEL);
	struct pram_stream ps;

	KUNIT_ASSERT_NOT_NULL(test, name);
	memset(name, 'n', PRAM_NAME_MAX);
	KUNIT_EXPECT_EQ(test, -ENAMETOOLONG,
			pram_prepare_save(&ps, name, PRAM_BYTE_STREAM, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, -ENAMETOOLONG,
			pram_prepare_load(&ps, name, PRAM_BYTE_STREAM));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			pram_prepare_save(&ps, "", PRAM_BYTE_STREAM, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, -EINVAL, pram_prepare_load(&ps, "", PRAM_BYTE_STREAM));

	name[PRAM_NAME_MAX - 1] = '\0';
	save_bytes(test, name, "longest", 0);
	expect_bytes(test, name, "longest");
	KUNIT_EXPECT_EQ(test, 0, pram_free(name));
}

static void test_unknown_values(struct kunit *test)
{
	struct pram_stream ps;

	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			pram_prepare_save(&ps, NAME, 0, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			pram_prepare_save(&ps, NAME, 3, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, pram_prepare_load(&ps, NAME, 3));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			pram_prepare_save_flags(&ps, NAME, PRAM_BYTE_STREAM,
						1U << 31, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			pram_prepare_load_flags(&ps, NAME, PRAM_BYTE_STREAM,
						1U << 31));
}

static bool pram_is_off(void)
{
	return false;
}

static void test_off(struct kunit *test)
{
	struct pram_stream ps;

	kunit_activate_static_stub(test, pram_is_enabled, pram_is_off);
	KUNIT_EXPECT_EQ(test, -ENODEV,
			pram_prepare_save(&ps, NAME, PRAM_BYTE_STREAM, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, -ENODEV,
			pram_prepare_load(&ps, NAME, PRAM_BYTE_STREAM));
	kunit_deactivate_static_stub(test, pram_is_enabled);
}

static void test_save_taken(struct kunit *test)
{
	struct pram_stream ps, second;

	open_save(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, -EEXIST,
			pram_prepare_save(&second, NAME, PRAM_BYTE_STREAM,
					  GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, -EEXIST,
			pram_prepare_save_flags(&second, NAME, PRAM_PAGE_STREAM,
						PRAM_SAVE_REPLACE, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));
	KUNIT_EXPECT_EQ(test, -EEXIST,
			pram_prepare_save(&second, NAME, PRAM_BYTE_STREAM,
					  GFP_KERNEL));
	open_save(test, &second, NAME, PRAM_PAGE_STREAM, PRAM_SAVE_REPLACE);
	pram_discard_save(&second);
	KUNIT_EXPECT_EQ(test, 0, pram_free(NAME));
}

static void test_load_refused(struct kunit *test)
{
	struct pram_stream save, load, second;

	KUNIT_EXPECT_EQ(test, -ENOENT,
			pram_prepare_load(&load, NAME, PRAM_BYTE_STREAM));
	open_save(test, &save, NAME, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			pram_prepare_load(&load, NAME, PRAM_BYTE_STREAM));
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&save));
	KUNIT_EXPECT_EQ(test, -EPERM,
			pram_prepare_load(&load, NAME, PRAM_PAGE_STREAM));
	open_load(test, &load, NAME, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			pram_prepare_load(&second, NAME, PRAM_BYTE_STREAM));
	pram_abort_load(&load);
}

static void test_bytes(struct kunit *test)
{
	const size_t total = 3 * PAGE_SIZE + 17;
	u8 *out = kunit_kzalloc(test, total, GFP_KERNEL);
	u8 *in = kunit_kzalloc(test, total + 1, GFP_KERNEL);
	struct pram_stream ps;
	size_t done = 0, n;

	KUNIT_ASSERT_NOT_NULL(test, out);
	KUNIT_ASSERT_NOT_NULL(test, in);
	for (size_t i = 0; i < total; i++)
		out[i] = i * 7 + i / 251;

	open_save(test, &ps, NAME, PRAM_BYTE_STREAM, PRAM_SAVE_CHECKSUM);
	KUNIT_EXPECT_EQ(test, 0, pram_write(&ps, out, 0));
	/* Pieces that end before, at and behind the ends of pages. */
	for (n = 1; done < total; n = n * 3 + 1) {
		n = min(n, total - done);
		KUNIT_ASSERT_EQ(test, (ssize_t)n, pram_write(&ps, out + done, n));
		done += n;
	}
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));

	open_load(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, (ssize_t)PAGE_SIZE - 1,
			pram_read(&ps, in, PAGE_SIZE - 1));
	KUNIT_EXPECT_EQ(test, (ssize_t)(total - PAGE_SIZE + 1),
			pram_read(&ps, in + PAGE_SIZE - 1, total));
	KUNIT_EXPECT_EQ(test, 0, pram_read(&ps, in, total));
	KUNIT_EXPECT_MEMEQ(test, in, out, total);
	KUNIT_EXPECT_EQ(test, 0, pram_finish_load(&ps));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			pram_prepare_load(&ps, NAME, PRAM_BYTE_STREAM));
}

static void test_wrong_stream(struct kunit *test)
{
	struct folio *folio = make_folio(test, 0, 1);
	struct pram_stream ps;
	u32 flags;
	char c = 0;

	/* A stream of bytes takes no pages, one of pages no bytes. */
	open_save(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, -EINVAL, pram_save_folio(&ps, folio, 0));
	KUNIT_EXPECT_EQ(test, -EBADF, pram_read(&ps, &c, 1));
	KUNIT_EXPECT_EQ(test, 0, pram_seal_save(&ps));
	KUNIT_EXPECT_EQ(test, 0, pram_seal_save(&ps));
	KUNIT_EXPECT_EQ(test, -EPERM, pram_write(&ps, &c, 1));
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));
	KUNIT_EXPECT_EQ(test, -ESTALE, pram_write(&ps, &c, 1));
	KUNIT_EXPECT_EQ(test, -ESTALE, pram_finish_save(&ps));
	KUNIT_EXPECT_EQ(test, -ESTALE, pram_seal_save(&ps));
	pram_discard_save(&ps);

	open_load(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, -EBADF, pram_write(&ps, &c, 1));
	KUNIT_EXPECT_EQ(test, -EBADF, pram_save_folio(&ps, folio, 0));
	KUNIT_EXPECT_EQ(test, -EBADF, pram_seal_save(&ps));
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR(pram_load_folio(&ps, &flags)));
	KUNIT_EXPECT_EQ(test, 0, pram_finish_load(&ps));
	KUNIT_EXPECT_EQ(test, -ESTALE, pram_read(&ps, &c, 1));
	KUNIT_EXPECT_EQ(test, -ESTALE, PTR_ERR(pram_load_folio(&ps, &flags)));
	KUNIT_EXPECT_EQ(test, -ESTALE, pram_finish_load(&ps));
	pram_abort_load(&ps);

	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, -EINVAL, pram_write(&ps, &c, 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, pram_save_folio(&ps, folio, 1U << 31));
	KUNIT_EXPECT_EQ(test, -EBADF, PTR_ERR(pram_load_folio(&ps, &flags)));
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));
	open_load(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, -EINVAL, pram_read(&ps, &c, 1));
	KUNIT_EXPECT_NULL(test, pram_load_folio(&ps, &flags));
	pram_abort_load(&ps);
	folio_put(folio);
}

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

#ifdef CONFIG_SHMEM
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
#endif

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

static void test_discard(struct kunit *test)
{
	struct pram_stream ps;

	open_save(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, 3, pram_write(&ps, "abc", 3));
	pram_discard_save(&ps);
	KUNIT_EXPECT_EQ(test, -ENOENT,
			pram_prepare_load(&ps, NAME, PRAM_BYTE_STREAM));
	/* The name is free again; sealed streams can be discarded, too. */
	open_save(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, 0, pram_seal_save(&ps));
	pram_discard_save(&ps);
}

static void test_abort_load(struct kunit *test)
{
	struct pram_stream ps;
	char buf[2];

	save_bytes(test, NAME, "again", 0);
	for (int i = 0; i < 3; i++) {
		open_load(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
		KUNIT_EXPECT_EQ(test, 2, pram_read(&ps, buf, 2));
		KUNIT_EXPECT_MEMEQ(test, buf, "ag", 2);
		pram_abort_load(&ps);
	}
	expect_bytes(test, NAME, "again");
}

static void test_peek(struct kunit *test)
{
	struct pram_stream peek, load;
	char buf[4];

	save_bytes(test, NAME, "look", 0);
	open_load(test, &peek, NAME, PRAM_BYTE_STREAM, PRAM_LOAD_PEEK);
	KUNIT_EXPECT_EQ(test, -EPERM, pram_finish_load(&peek));
	open_load(test, &load, NAME, PRAM_BYTE_STREAM, 0);
	expect_bytes(test, NAME, "look");
	KUNIT_EXPECT_EQ(test, 0, pram_finish_load(&load));
	/* The node is gone, but not what is being looked at. */
	KUNIT_EXPECT_EQ(test, 4, pram_read(&peek, buf, 4));
	KUNIT_EXPECT_MEMEQ(test, buf, "look", 4);
	pram_abort_load(&peek);
}

static void test_free(struct kunit *test)
{
	struct pram_stream save, load;
	struct pram_node_stat stat;

	KUNIT_EXPECT_EQ(test, -ENOENT, pram_free(NAME));
	KUNIT_EXPECT_EQ(test, -ENOENT, pram_free(""));
	KUNIT_EXPECT_EQ(test, -ENOENT, pram_free_id(0));

	open_save(test, &save, NAME, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, -EBUSY, pram_free(NAME));
	KUNIT_ASSERT_EQ(test, 0, pram_stat(NAME, &stat));
	KUNIT_EXPECT_EQ(test, -EBUSY, pram_free_id(stat.id));
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&save));
	KUNIT_EXPECT_EQ(test, 0, pram_free_id(stat.id));
	KUNIT_EXPECT_EQ(test, -ENOENT, pram_free_id(stat.id));

	save_bytes(test, NAME, "x", 0);
	open_load(test, &load, NAME, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, -EBUSY, pram_free(NAME));
	pram_abort_load(&load);
	KUNIT_EXPECT_EQ(test, 0, pram_free(NAME));
}

static void test_free_all(struct kunit *test)
{
	struct pram_stream save, load;
	struct pram_node_stat stat;
	u64 nodes, broken;

	pram_count_nodes(&nodes, &broken);
	if (nodes)
		kunit_skip(test, "%llu nodes of somebody else would be freed", nodes);

	save_bytes(test, NAME, "a", 0);
	save_bytes(test, OTHER, "b", 0);
	save_bytes(test, "kunit-3", "c", 0);
	open_save(test, &save, "kunit-4", PRAM_PAGE_STREAM, 0);
	open_load(test, &load, OTHER, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, 2, pram_free_all());
	KUNIT_EXPECT_EQ(test, -ENOENT, pram_stat(NAME, &stat));
	KUNIT_EXPECT_EQ(test, 0, pram_stat(OTHER, &stat));
	pram_abort_load(&load);
	pram_discard_save(&save);
	KUNIT_EXPECT_EQ(test, 1, pram_free_all());
	KUNIT_EXPECT_EQ(test, 0, pram_free_all());
}

static void test_stat(struct kunit *test)
{
	struct pram_node_stat stat, next;
	struct pram_stream ps;
	u64 last;

	KUNIT_EXPECT_EQ(test, -ENOENT, pram_stat(NAME, &stat));
	save_bytes(test, NAME, "twelve bytes", PRAM_SAVE_CHECKSUM);
	KUNIT_ASSERT_EQ(test, 0, pram_stat(NAME, &stat));
	KUNIT_EXPECT_EQ(test, stat.type, PRAM_BYTE_STREAM);
	KUNIT_EXPECT_EQ(test, stat.state, PRAM_NODE_READY);
	KUNIT_EXPECT_EQ(test, stat.flags, PRAM_NODE_CHECKSUM);
	KUNIT_EXPECT_EQ(test, stat.bytes, 12);
	KUNIT_EXPECT_EQ(test, stat.data_pages, 1);
	KUNIT_EXPECT_EQ(test, stat.nr_folios, 1);
	KUNIT_EXPECT_EQ(test, stat.meta_pages, 2);
	KUNIT_EXPECT_EQ(test, stat.adopted_pages, 0);
	KUNIT_EXPECT_EQ(test, stat.kexec_count, 0);
	KUNIT_EXPECT_NE(test, stat.saved_at_ns, 0);
	KUNIT_EXPECT_STREQ(test, stat.name, NAME);

	open_load(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
	KUNIT_ASSERT_EQ(test, 0, pram_stat(NAME, &stat));
	KUNIT_EXPECT_EQ(test, stat.state, PRAM_NODE_LOADING);
	pram_abort_load(&ps);

	open_save(test, &ps, OTHER, PRAM_PAGE_STREAM, 0);
	KUNIT_ASSERT_EQ(test, 0, pram_stat_next(stat.id, &next));
	KUNIT_EXPECT_STREQ(test, next.name, OTHER);
	KUNIT_EXPECT_EQ(test, next.state, PRAM_NODE_SAVING);
	last = next.id;
	KUNIT_EXPECT_GT(test, last, stat.id);
	KUNIT_EXPECT_EQ(test, -ENOENT, pram_stat_next(last, &next));
	KUNIT_EXPECT_EQ(test, 0, pram_stat_next(0, &next));
	pram_discard_save(&ps);
}

static void test_damaged_bytes(struct kunit *test)
{
	u64 errors = pram_counter_read(PRAM_CHECKSUM_ERRORS);
	struct pram_stream ps;
	char buf[8];
	u8 *data;

	save_bytes(test, NAME, "precious", PRAM_SAVE_CHECKSUM);
	open_load(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
	data = folio_address(pram_entry_folio(ps.node->maps[0]->entries[0]));
	data[3] ^= 4;
	KUNIT_EXPECT_EQ(test, -EBADMSG, pram_read(&ps, buf, sizeof(buf)));
	KUNIT_EXPECT_EQ(test, errors + 1,
			pram_counter_read(PRAM_CHECKSUM_ERRORS));
	/* Also what is behind the end counts: it is checked with the rest. */
	data[3] ^= 4;
	data[PAGE_SIZE - 1] ^= 1;
	KUNIT_EXPECT_EQ(test, -EBADMSG, pram_read(&ps, buf, sizeof(buf)));
	data[PAGE_SIZE - 1] ^= 1;
	KUNIT_EXPECT_EQ(test, 8, pram_read(&ps, buf, sizeof(buf)));
	KUNIT_EXPECT_MEMEQ(test, buf, "precious", 8);
	pram_abort_load(&ps);
}

static void test_damaged_pages(struct kunit *test)
{
	struct folio *folios[2], *loaded;
	struct pram_stream ps;
	u32 flags;

	open_save(test, &ps, NAME, PRAM_PAGE_STREAM, PRAM_SAVE_CHECKSUM);
	for (int i = 0; i < 2; i++) {
		folios[i] = make_folio(test, i, i);
		KUNIT_ASSERT_EQ(test, 0, pram_save_folio(&ps, folios[i], 0));
	}
	KUNIT_EXPECT_EQ(test, 0, pram_finish_save(&ps));
	open_load(test, &ps, NAME, PRAM_PAGE_STREAM, 0);
	*(u8 *)(folio_address(folios[1]) + PAGE_SIZE) ^= 128;
	loaded = pram_load_folio(&ps, &flags);
	KUNIT_EXPECT_PTR_EQ(test, loaded, folios[0]);
	folio_put(loaded);
	KUNIT_EXPECT_EQ(test, -EBADMSG, PTR_ERR(pram_load_folio(&ps, &flags)));
	pram_abort_load(&ps);
	for (int i = 0; i < 2; i++)
		folio_put(folios[i]);
}

static void test_replace(struct kunit *test)
{
	struct pram_stream old, new, other, *streams[3] = { &old, &new, &other };

	save_bytes(test, NAME, "old", 0);
	open_save(test, &new, NAME, PRAM_BYTE_STREAM, PRAM_SAVE_REPLACE);
	KUNIT_EXPECT_EQ(test, 3, pram_write(&new, "new", 3));
	open_save(test, &other, OTHER, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, 5, pram_write(&other, "other", 5));

	/* The old node is not part of it: nothing happens. */
	KUNIT_EXPECT_EQ(test, -EEXIST, pram_end_streams(streams + 1, 2));
	expect_bytes(test, NAME, "old");
	KUNIT_EXPECT_EQ(test, -EBUSY,
			pram_prepare_load(&old, OTHER, PRAM_BYTE_STREAM));

	open_load(test, &old, NAME, PRAM_BYTE_STREAM, 0);
	KUNIT_EXPECT_EQ(test, 0, pram_end_streams(streams, 3));
	expect_bytes(test, NAME, "new");
	expect_bytes(test, OTHER, "other");
}

static void test_transaction_refused(struct kunit *test)
{
	struct pram_stream save, ended, peek, *streams[3];

	open_save(test, &save, NAME, PRAM_BYTE_STREAM, 0);
	streams[0] = &save;

	streams[1] = &save;
	KUNIT_EXPECT_EQ(test, -EINVAL, pram_end_streams(streams, 2));

	save_bytes(test, OTHER, "o", 0);
	open_load(test, &peek, OTHER, PRAM_BYTE_STREAM, PRAM_LOAD_PEEK);
	streams[1] = &peek;
	KUNIT_EXPECT_EQ(test, -EPERM, pram_end_streams(streams, 2));
	pram_abort_load(&peek);

	open_load(test, &ended, OTHER, PRAM_BYTE_STREAM, 0);
	pram_abort_load(&ended);
	streams[1] = &ended;
	KUNIT_EXPECT_EQ(test, -ESTALE, pram_end_streams(streams, 2));

	/* None of that ended the save, or marked it for good. */
	KUNIT_EXPECT_EQ(test, -EBUSY,
			pram_prepare_load(&ended, NAME, PRAM_BYTE_STREAM));
	KUNIT_EXPECT_EQ(test, 0, pram_end_streams(streams, 1));
	expect_bytes(test, NAME, "");
}

static void test_reboot(struct kunit *test)
{
	struct folio *folio = make_folio(test, 0, 3);
	struct pram_stream save, pages, load;

	save_bytes(test, OTHER, "o", 0);
	open_save(test, &save, NAME, PRAM_BYTE_STREAM, 0);
	open_save(test, &pages, "kunit-pages", PRAM_PAGE_STREAM, 0);
	open_load(test, &load, OTHER, PRAM_BYTE_STREAM, 0);

	WRITE_ONCE(pram_closed, true);
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN, pram_write(&save, "x", 1));
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN, pram_save_folio(&pages, folio, 0));
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN, pram_finish_save(&save));
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN, pram_finish_load(&load));
	pram_abort_load(&load);
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN, pram_free(OTHER));
	KUNIT_EXPECT_EQ(test, 0, pram_free_all());
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN,
			pram_prepare_save(&load, "kunit-3", PRAM_BYTE_STREAM,
					  GFP_KERNEL));
	WRITE_ONCE(pram_closed, false);

	pram_discard_save(&save);
	pram_discard_save(&pages);
	folio_put(folio);
}

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

static void test_padding(struct kunit *test)
{
	struct pram_stream ps;
	u8 *data;

	save_bytes(test, NAME, "pad", 0);
	open_load(test, &ps, NAME, PRAM_BYTE_STREAM, 0);
	data = folio_address(pram_entry_folio(ps.node->maps[0]->entries[0]));
	KUNIT_EXPECT_NULL(test, memchr_inv(data + 3, 0, PAGE_SIZE - 3));
	pram_abort_load(&ps);
}

static void test_meta(struct kunit *test)
{
	struct pram_super_ser *page = pram_meta_alloc(false, GFP_KERNEL);
	u8 *bytes = (u8 *)page;
	void *found;

	KUNIT_ASSERT_FALSE(test, IS_ERR(page));
	page->nr_dirs = 7;
	pram_meta_stamp(page, PRAM_MAGIC_SUPER);
	KUNIT_EXPECT_EQ(test, 0, pram_meta_check(page, PRAM_MAGIC_SUPER));
	KUNIT_EXPECT_EQ(test, -EBADMSG, pram_meta_check(page, PRAM_MAGIC_NODE));
	/* No flipped bit is taken for another version. */
	for (size_t i = 0; i < PAGE_SIZE; i++) {
		bytes[i] ^= 1 << (i % 8);
		KUNIT_EXPECT_EQ(test, -EBADMSG,
				pram_meta_check(page, PRAM_MAGIC_SUPER));
		bytes[i] ^= 1 << (i % 8);
	}
	KUNIT_EXPECT_EQ(test, 0, pram_meta_find(virt_to_phys(page),
						PRAM_MAGIC_SUPER, "test page",
						&found));
	KUNIT_EXPECT_PTR_EQ(test, found, (void *)page);
	page->hdr.version++;
	page->hdr.crc32c = 0;
	page->hdr.crc32c = crc32c(~0, page, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, -EPROTO, pram_meta_check(page, PRAM_MAGIC_SUPER));
	KUNIT_EXPECT_EQ(test, -EPROTO, pram_meta_find(virt_to_phys(page),
						      PRAM_MAGIC_SUPER,
						      "test page", &found));
	KUNIT_EXPECT_EQ(test, -EBADMSG,
			pram_meta_find(virt_to_phys(page) + 1, PRAM_MAGIC_SUPER,
				       "test page", &found));
	KUNIT_EXPECT_EQ(test, -EBADMSG,
			pram_meta_find(1ULL << 51, PRAM_MAGIC_SUPER,
				       "test page", &found));
	pram_meta_forget(page);
	pram_meta_free(page);
	pram_meta_forget(NULL);
	pram_meta_free(NULL);
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

static struct kunit_case pram_cases[] = {
	KUNIT_CASE(test_names),
	KUNIT_CASE(test_unknown_values),
	KUNIT_CASE(test_off),
	KUNIT_CASE(test_save_taken),
	KUNIT_CASE(test_load_refused),
	KUNIT_CASE(test_bytes),
	KUNIT_CASE(test_wrong_stream),
	KUNIT_CASE(test_folios),
	KUNIT_CASE(test_pages),
	KUNIT_CASE(test_many),
	KUNIT_CASE(test_same_folio_twice),
	KUNIT_CASE(test_parts),
#ifdef CONFIG_MEMORY_FAILURE
	KUNIT_CASE(test_poisoned),
#endif
	KUNIT_CASE(test_boot_memory),
	KUNIT_CASE(test_frames_again),
	KUNIT_CASE(test_kho_ranges),
	KUNIT_CASE(test_frame_ranges),
	KUNIT_CASE(test_frames_scattered),
	KUNIT_CASE(test_many_holders),
	KUNIT_CASE(test_adopt_many),
	KUNIT_CASE(test_scratch),
	KUNIT_CASE(test_on_lru),
#ifdef CONFIG_SHMEM
	KUNIT_CASE(test_insert_fresh),
	KUNIT_CASE(test_insert_taken),
	KUNIT_CASE(test_remove),
#endif
	KUNIT_CASE(test_copy),
	KUNIT_CASE(test_discard),
	KUNIT_CASE(test_abort_load),
	KUNIT_CASE(test_peek),
	KUNIT_CASE(test_free),
	KUNIT_CASE(test_free_all),
	KUNIT_CASE(test_stat),
	KUNIT_CASE(test_damaged_bytes),
	KUNIT_CASE(test_damaged_pages),
	KUNIT_CASE(test_replace),
	KUNIT_CASE(test_transaction_refused),
	KUNIT_CASE(test_reboot),
	KUNIT_CASE(test_no_memory),
	KUNIT_CASE(test_no_large_folio),
	KUNIT_CASE(test_copy_in_pieces),
	KUNIT_CASE(test_growth),
	KUNIT_CASE(test_padding),
	KUNIT_CASE(test_meta),
	KUNIT_CASE(test_limit_pages),
	KUNIT_CASE(test_limit_entries),
	KUNIT_CASE(test_limit_bytes),
	KUNIT_CASE(test_limit_parse),
	{}
};

static struct kunit_suite pram_suite = {
	.name = "pram",
	.init = pram_test_init,
	.exit = pram_test_exit,
	.test_cases = pram_cases,
};

kunit_test_suite(pram_suite);
