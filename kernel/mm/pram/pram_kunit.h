/* SPDX-License-Identifier: GPL-2.0 */
/* What PRAM's KUnit tests share. */
#ifndef _MM_PRAM_KUNIT_H
#define _MM_PRAM_KUNIT_H

#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "internal.h"

#define NAME	"kunit"
#define OTHER	"kunit-other"

int pram_test_init(struct kunit *test);
void pram_test_exit(struct kunit *test);

static inline void open_save(struct kunit *test, struct pram_stream *ps,
			     const char *name, u32 type, u32 flags)
{
	KUNIT_ASSERT_EQ(test, 0, pram_prepare_save_flags(ps, name, type, flags,
							 GFP_KERNEL));
}

static inline void open_load(struct kunit *test, struct pram_stream *ps,
			     const char *name, u32 type, u32 flags)
{
	KUNIT_ASSERT_EQ(test, 0, pram_prepare_load_flags(ps, name, type, flags));
}

static inline void expect_bytes(struct kunit *test, const char *name,
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
static inline struct folio *make_folio(struct kunit *test, unsigned int order,
				       u32 pattern)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, order);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	for (long i = 0; i < folio_nr_pages(folio); i++)
		memset32(folio_address(folio) + i * PAGE_SIZE, pattern + i,
			 PAGE_SIZE / sizeof(u32));
	return folio;
}

static inline bool folio_holds(struct folio *folio, u32 pattern)
{
	for (long i = 0; i < folio_nr_pages(folio); i++) {
		u32 *page = folio_address(folio) + i * PAGE_SIZE;

		for (size_t j = 0; j < PAGE_SIZE / sizeof(*page); j++)
			if (page[j] != pattern + i)
				return false;
	}
	return true;
}

#endif /* _MM_PRAM_KUNIT_H */
