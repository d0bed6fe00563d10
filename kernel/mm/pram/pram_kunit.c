// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of PRAM: every call of <linux/pram.h> and each error that it
 * returns, within one kernel. What happens across a kexec cannot be tested
 * here. Other parts of PRAM have files of their own, pram_kunit_*.c.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/crc32.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "pram_kunit.h"

struct pram_test {
	u64	data_pages;
	u64	meta_pages;
	u64	held_bytes;
	u64	max_bytes;
};

int pram_test_init(struct kunit *test)
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
void pram_test_exit(struct kunit *test)
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

static void save_bytes(struct kunit *test, const char *name, const char *bytes,
		       u32 flags)
{
	struct pram_stream ps;

	open_save(test, &ps, name, PRAM_BYTE_STREAM, flags);
	KUNIT_ASSERT_EQ(test, (ssize_t)strlen(bytes),
			pram_write(&ps, bytes, strlen(bytes)));
	KUNIT_ASSERT_EQ(test, 0, pram_finish_save(&ps));
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

static struct kunit_case pram_cases[] = {
	KUNIT_CASE(test_names),
	KUNIT_CASE(test_unknown_values),
	KUNIT_CASE(test_off),
	KUNIT_CASE(test_save_taken),
	KUNIT_CASE(test_load_refused),
	KUNIT_CASE(test_bytes),
	KUNIT_CASE(test_wrong_stream),
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
	KUNIT_CASE(test_padding),
	KUNIT_CASE(test_meta),
	{}
};

static struct kunit_suite pram_suite = {
	.name = "pram",
	.init = pram_test_init,
	.exit = pram_test_exit,
	.test_cases = pram_cases,
};

kunit_test_suite(pram_suite);
