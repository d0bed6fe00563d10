// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages of hugetlb. They are copied, each in one piece: hugetlb reuses a page in place
 * whatever references there are, and one that a node held would be missing in the pool.
 */

#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "internal.h"

/**
 * pram_copy_hugetlb - append copies of pages of a file of hugetlb to a page stream
 * @ps: the stream.
 * @node: its node, locked.
 * @mapping: the file's.
 * @index: the first page.
 * @end: behind the last one.
 *
 * Return: as pram_adopt_file().
 */
int pram_copy_hugetlb(struct pram_stream *ps, struct pram_node *node,
		      struct address_space *mapping, pgoff_t index, pgoff_t end)
{
	struct hstate *h = hstate_inode(mapping->host);
	int err = 0;

	while (index < end && !err) {
		pgoff_t idx = index >> huge_page_order(h);
		pgoff_t next = min(end, (idx + 1) << huge_page_order(h));
		struct folio *folio;

		if (fatal_signal_pending(current))
			return -EINTR;
		folio = filemap_get_folio(mapping, idx << huge_page_order(h));
		if (IS_ERR(folio)) {
			err = pram_append_copy(ps, node, NULL, next - index,
					       PRAM_COPY_SPECIAL);
		} else {
			if (folio_contain_hwpoisoned_page(folio))
				err = -EHWPOISON;
			else
				err = pram_append_copy(ps, node,
						       folio_file_page(folio, index),
						       next - index, PRAM_COPY_HUGETLB);
			folio_put(folio);
		}
		index = next;
		cond_resched();
	}
	return err;
}
