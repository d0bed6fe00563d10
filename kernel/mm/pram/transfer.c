// SPDX-License-Identifier: GPL-2.0
/*
 * What the rest of the kernel puts into streams and takes out of them: folios,
 * pages and bytes.
 */

#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/log2.h>
#include <linux/mm.h>

#include "internal.h"

/**
 * pram_node_adopt - append folios, or parts of folios, to a page stream, without copies
 * @node: the stream's node, locked, whose last folio is full.
 * @entries: their entries, with %PRAM_ENTRY_ADOPTED; the folios not in scratch areas.
 *	For each the caller has a reference to the folio, which passes to the node, or
 *	is put on an error.
 * @nr: how many.
 * @gfp: how to allocate.
 *
 * Return: 0, -ENOMEM, -ENOSPC or -ESHUTDOWN. On an error some may have been appended.
 */
int pram_node_adopt(struct pram_node *node, const u64 *entries, unsigned int nr,
		    gfp_t gfp)
{
	u64 pages = node->nr_pages;
	unsigned int added;
	int err;

	err = pram_data_add(node, entries, nr, gfp, &added);
	for (; added < nr; added++)
		folio_put(pram_entry_folio(entries[added]));
	pages = node->nr_pages - pages;
	node->bytes += pages << PAGE_SHIFT;
	pram_count_adopted(pages);
	return err;
}

/* Copy pages of a folio. Return: 0; -EHWPOISON if one of them cannot be read. */
static int pram_copy_pages(struct folio *to, struct folio *from,
			   unsigned long first)
{
	for (long i = 0; i < folio_nr_pages(to); i++) {
		if (copy_mc_highpage(folio_page(to, i),
				     folio_page(from, first + i)))
			return -EHWPOISON;
		cond_resched();
	}
	return 0;
}

/*
 * Append a copy of the pages of a folio, @nr of them from @first on. It is made of
 * folios as large as they can be had: memory may be too fragmented for another one
 * of the same order. Each is aligned as what it is a copy of.
 *
 * @done: set to how many have been appended, also on an error.
 */
static int pram_node_copy(struct pram_node *node, struct folio *folio,
			  unsigned long first, unsigned long nr,
			  u64 entry_flags, gfp_t gfp, unsigned long *done)
{
	unsigned int max_order = MAX_PAGE_ORDER;

	*done = 0;
	while (*done < nr) {
		unsigned long at = first + *done;
		unsigned int order = min_t(unsigned int, max_order,
					   ilog2(nr - *done));
		struct folio *copy;
		int err;

		if (at)
			order = min_t(unsigned int, order, __ffs(at));
		copy = pram_data_alloc_upto(order, node->exempt, gfp);
		if (!copy)
			return -ENOMEM;
		/* There will be no larger ones for the rest, either. */
		if (folio_order(copy) < order)
			max_order = folio_order(copy);
		order = folio_order(copy);
		err = pram_copy_pages(copy, folio, at);
		if (!err)
			err = pram_data_add_folio(node, copy, entry_flags, gfp);
		if (err)
			folio_put(copy);
		/* All but the page that cannot be read can be copied. */
		if (err == -EHWPOISON && order) {
			max_order = 0;
			continue;
		}
		if (err)
			return err;
		*done += 1UL << order;
		node->bytes += PAGE_SIZE << order;
		pram_count(PRAM_BYTES_SAVED, PAGE_SIZE << order);
	}
	return 0;
}

/* Why a stream gets a copy of a folio, if it does. */
static enum pram_copy_reason pram_save_reason(struct pram_stream *ps,
					      struct folio *folio)
{
	if (ps->flags & PRAM_SAVE_COPY)
		return PRAM_COPY_ASKED;
	return pram_in_scratch(folio) ? PRAM_COPY_SCRATCH : PRAM_COPY_NOT;
}

/* How many folios are appended together. */
#define PRAM_SAVE_BATCH	32

/* Append folios, or copies of those that have to be copied. */
static int pram_node_add(struct pram_node *node, struct pram_stream *ps,
			 struct folio **folios, unsigned int nr, u64 entry_flags)
{
	u64 entries[PRAM_SAVE_BATCH];
	unsigned int i = 0;
	int err = 0;

	while (i < nr && !err) {
		enum pram_copy_reason reason = PRAM_COPY_NOT;
		unsigned int now = 0;
		unsigned long done;

		for (; i < nr && now < PRAM_SAVE_BATCH; i++, now++) {
			struct folio *folio = folios[i];

			reason = pram_save_reason(ps, folio);
			if (reason)
				break;
			folio_get(folio);
			entries[now] = pram_entry(folio, folio_page(folio, 0),
						  folio_nr_pages(folio),
						  entry_flags | PRAM_ENTRY_ADOPTED);
		}
		if (now)
			err = pram_node_adopt(node, entries, now, ps->gfp);
		if (err || !reason)
			continue;
		err = pram_node_copy(node, folios[i], 0, folio_nr_pages(folios[i]),
				     entry_flags, ps->gfp, &done);
		pram_count_copied(reason, done);
		i++;
	}
	return err;
}

/**
 * pram_save_folios - append folios to a page stream
 * @ps: a stream for saving pages, which nothing else is written to.
 * @folios: the folios; see pram_save_folio().
 * @nr: how many.
 *
 * Return: as pram_save_folio(). On an error some may have been appended.
 */
int pram_save_folios(struct pram_stream *ps, struct folio **folios,
		     unsigned int nr)
{
	struct pram_node *node;
	int err;

	node = pram_stream_write_begin(ps, false);
	if (IS_ERR(node))
		return PTR_ERR(node);
	err = pram_node_add(node, ps, folios, nr, PRAM_ENTRY_LRU);
	pram_stream_write_end(node);
	return err;
}

/**
 * pram_save_copy - append a copy of pages of a folio to a page stream
 * @ps: a stream for saving pages, which nothing else is written to.
 * @folio: the folio.
 * @first: the first page of it.
 * @nr: how many.
 * @reason: why they are not taken over.
 * @done: set to how many have been appended, also on an error.
 *
 * Return: as pram_save_folio(). -EHWPOISON: the page that comes next cannot be read.
 */
int pram_save_copy(struct pram_stream *ps, struct folio *folio,
		   unsigned long first, unsigned long nr,
		   enum pram_copy_reason reason, unsigned long *done)
{
	struct pram_node *node;
	int err;

	*done = 0;
	node = pram_stream_write_begin(ps, false);
	if (IS_ERR(node))
		return PTR_ERR(node);
	err = pram_node_copy(node, folio, first, nr, PRAM_ENTRY_LRU, ps->gfp,
			     done);
	pram_count_copied(reason, *done);
	pram_stream_write_end(node);
	return err;
}

/**
 * pram_save_folio - append a folio to a page stream
 * @ps: a stream for saving pages.
 * @folio: the folio, of any order; the caller keeps its own reference, and
 *	makes sure that nobody writes to the folio from here on.
 * @flags: %PRAM_PAGE_LRU or 0.
 *
 * The folio itself is kept, or a copy of it if that is impossible: in KHO's
 * scratch areas, or with %PRAM_SAVE_COPY. A copy may be made of several smaller
 * folios; on an error some of them may have been appended.
 *
 * Return: 0; -EINVAL for a stream of bytes, an unknown flag, or a stream that
 * was written by other means and has room left in its last folio; -ENOMEM;
 * -ENOSPC if nodes would hold more than they may; -EHWPOISON if the folio has to be
 * copied and cannot be read; -EPERM once sealed; -ESTALE once ended; -EBADF for a
 * stream for loading; -ESHUTDOWN.
 */
int pram_save_folio(struct pram_stream *ps, struct folio *folio, u32 flags)
{
	struct pram_node *node;
	int err;

	if (flags & ~PRAM_PAGE_LRU)
		return -EINVAL;
	node = pram_stream_write_begin(ps, false);
	if (IS_ERR(node))
		return PTR_ERR(node);
	if (node->type != PRAM_PAGE_STREAM ||
	    node->bytes != node->nr_pages << PAGE_SHIFT)
		err = -EINVAL;
	else
		err = pram_node_add(node, ps, &folio, 1,
				    flags & PRAM_PAGE_LRU ? PRAM_ENTRY_LRU : 0);
	pram_stream_write_end(node);
	return err;
}
EXPORT_SYMBOL_GPL(pram_save_folio);

/**
 * pram_save_page - append a page to a page stream
 * @ps: a stream for saving pages.
 * @page: a page of order 0.
 * @flags: %PRAM_PAGE_LRU or 0.
 *
 * Return: see pram_save_folio(); -EINVAL for a part of a large folio.
 */
int pram_save_page(struct pram_stream *ps, struct page *page, u32 flags)
{
	if (PageCompound(page))
		return -EINVAL;
	return pram_save_folio(ps, page_folio(page), flags);
}
EXPORT_SYMBOL_GPL(pram_save_page);

/**
 * pram_load_folio - get the next folio of a page stream
 * @ps: a stream for loading pages.
 * @flags: set to %PRAM_PAGE_LRU or 0.
 *
 * Return: the folio, with a reference for the caller beside the node's own; the
 * caller must not write to it before pram_finish_load(). Of a stream that was
 * written by way of /dev/pram the last folio may be larger than what is left of
 * the data; zeros are behind that. NULL at the end of the
 * stream; -EINVAL for a stream of bytes, or where the stream has only a part of a
 * folio, as it may have of a task's memory; -EBADMSG if the data is damaged,
 * -ESTALE or -EBADF as error pointer.
 */
struct folio *pram_load_folio(struct pram_stream *ps, u32 *flags)
{
	struct pram_node *node = pram_stream_read_begin(ps);
	struct pram_found found = {};
	int ret;

	if (IS_ERR(node))
		return ERR_CAST(node);
	if (node->type != PRAM_PAGE_STREAM) {
		pram_node_put(node);
		return ERR_PTR(-EINVAL);
	}
	ret = pram_data_find(node, ps->next_page, &found);
	if (ret > 0 && pram_found_part(&found))
		ret = -EINVAL;
	if (ret > 0) {
		folio_get(found.folio);
		ps->next_page = found.first_page + folio_nr_pages(found.folio);
		*flags = found.entry & PRAM_ENTRY_LRU ? PRAM_PAGE_LRU : 0;
		pram_count(PRAM_BYTES_LOADED, folio_size(found.folio));
	}
	pram_node_put(node);
	return ret > 0 ? found.folio : ERR_PTR(ret);
}
EXPORT_SYMBOL_GPL(pram_load_folio);

/**
 * pram_load_folios - get the next folios of a page stream
 * @ps: a stream for loading pages.
 * @folios: filled in, without references: the stream has them until it is ended.
 * @nr: room in @folios, at least 1.
 *
 * Return: the number of folios, 0 at the end of the stream; -EBADMSG if the first
 * one is damaged; -EINVAL if the stream has only a part of it; -ESTALE, -EBADF.
 */
int pram_load_folios(struct pram_stream *ps, struct folio **folios,
		     unsigned int nr)
{
	struct pram_node *node = pram_stream_read_begin(ps);
	struct pram_found found = {};
	unsigned int i;
	u64 bytes = 0;
	int ret = 0;

	if (IS_ERR(node))
		return PTR_ERR(node);
	for (i = 0; i < nr; i++) {
		ret = pram_data_find(node, ps->next_page, &found);
		if (ret > 0 && pram_found_part(&found))
			ret = -EINVAL;
		if (ret <= 0)
			break;
		folios[i] = found.folio;
		bytes += folio_size(found.folio);
		ps->next_page = found.first_page + folio_nr_pages(found.folio);
	}
	pram_count(PRAM_BYTES_LOADED, bytes);
	pram_node_put(node);
	/* An error of a later folio is met again when it is its turn. */
	return i ?: ret;
}

/**
 * pram_load_page - get the next page of a page stream of single pages
 * @ps: a stream for loading pages.
 * @flags: set to %PRAM_PAGE_LRU or 0.
 *
 * Return: see pram_load_folio(); -EINVAL, and the stream stays where it is, if
 * a large folio comes next.
 */
struct page *pram_load_page(struct pram_stream *ps, u32 *flags)
{
	u64 page = ps->next_page;
	struct folio *folio = pram_load_folio(ps, flags);

	if (IS_ERR_OR_NULL(folio))
		return ERR_CAST(folio);
	if (folio_test_large(folio)) {
		ps->next_page = page;
		folio_put(folio);
		return ERR_PTR(-EINVAL);
	}
	return folio_page(folio, 0);
}
EXPORT_SYMBOL_GPL(pram_load_page);

/**
 * pram_write - append bytes to a byte stream
 * @ps: a stream for saving bytes.
 * @buf: the bytes.
 * @count: their number.
 *
 * Return: number of bytes written, which is fewer than @count if memory runs
 * out or the limit is reached; -EINVAL for a stream of pages; or as pram_save_folio().
 */
ssize_t pram_write(struct pram_stream *ps, const void *buf, size_t count)
{
	struct kvec kvec = { .iov_base = (void *)buf, .iov_len = count };
	struct pram_node *node;
	struct iov_iter from;
	ssize_t n;

	node = pram_stream_write_begin(ps, false);
	if (IS_ERR(node))
		return PTR_ERR(node);
	if (node->type == PRAM_BYTE_STREAM) {
		iov_iter_kvec(&from, ITER_SOURCE, &kvec, 1, count);
		n = pram_data_append(node, &from, false, ps->gfp);
	} else {
		n = -EINVAL;
	}
	pram_stream_write_end(node);
	return n;
}
EXPORT_SYMBOL_GPL(pram_write);

/**
 * pram_read - get the next bytes of a byte stream
 * @ps: a stream for loading bytes.
 * @buf: where they go.
 * @count: how many at most.
 *
 * Return: number of bytes read, fewer than @count only at the end, 0 behind it;
 * -EINVAL for a stream of pages; -EBADMSG, -ESTALE, -EBADF.
 */
ssize_t pram_read(struct pram_stream *ps, void *buf, size_t count)
{
	struct kvec kvec = { .iov_base = buf, .iov_len = count };
	struct pram_node *node = pram_stream_read_begin(ps);
	struct iov_iter to;
	ssize_t n;

	if (IS_ERR(node))
		return PTR_ERR(node);
	if (node->type != PRAM_BYTE_STREAM) {
		pram_node_put(node);
		return -EINVAL;
	}
	iov_iter_kvec(&to, ITER_DEST, &kvec, 1, count);
	n = pram_data_read(node, ps->next_byte, &to);
	if (n > 0)
		ps->next_byte += n;
	pram_node_put(node);
	return n;
}
EXPORT_SYMBOL_GPL(pram_read);
