// SPDX-License-Identifier: GPL-2.0
/*
 * Taking folios of shared memory over, and out of files: see shmem.c.
 */

#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/memcontrol.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pram_shmem.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>

#include "../internal.h"
#include "internal.h"

/* Folios that are taken over together. */
#define PRAM_TAKE_BATCH		256

/* How often a call waits for others to drop a reference that they have for a moment. */
#define PRAM_TAKE_PATIENCE	10

/**
 * struct pram_taker - what takes over folios of a file
 * @ps: the stream.
 * @node: its node, locked.
 * @mapping: the file's.
 * @moved: up to this index folios were moved out of scratch, if they could be.
 * @split: up to this index folios were split of which only a part is to be taken, if
 *	they could be.
 * @patience: how often it may still wait.
 * @block: the block of pages in which a folio was found last that is not in scratch.
 * @nr_locked: used elements of @locked.
 * @nr: used elements of @entries.
 * @locked: folios to be taken over, locked: so the file has them as long as that.
 * @entries: the node's entries of these, with a reference for each.
 */
struct pram_taker {
	struct pram_stream	*ps;
	struct pram_node	*node;
	struct address_space	*mapping;
	pgoff_t			moved;
	pgoff_t			split;
	unsigned int		patience;
	unsigned long		block;
	unsigned int		nr_locked;
	unsigned int		nr;
	struct folio		*locked[PRAM_TAKE_BATCH];
	u64			entries[PRAM_TAKE_BATCH];
};

/* Give the node what is locked: nobody gets at a folio before it is held. */
static int pram_taker_flush(struct pram_taker *taker)
{
	int err = 0;

	if (taker->nr)
		err = pram_append_entries(taker->ps, taker->node,
					  taker->entries, taker->nr);
	for (unsigned int i = 0; i < taker->nr_locked; i++)
		folio_unlock(taker->locked[i]);
	taker->nr = 0;
	taker->nr_locked = 0;
	return err;
}

/* Move folios that lie in scratch, up to @end, to where a node may have them. */
static void pram_taker_move(struct pram_taker *taker, pgoff_t index, pgoff_t end)
{
	struct folio_batch fbatch;
	LIST_HEAD(isolated);

	folio_batch_init(&fbatch);
	while (index < end &&
	       filemap_get_folios(taker->mapping, &index, end - 1, &fbatch)) {
		for (unsigned int i = 0; i < folio_batch_count(&fbatch); i++)
			if (pram_in_scratch(fbatch.folios[i]))
				isolate_folio_to_list(fbatch.folios[i], &isolated);
		folio_batch_release(&fbatch);
	}
	pram_migrate_isolated(&isolated, PRAM_PAGES_MIGRATED);
}

/* Is every reference to a locked folio accounted for: the file's, nodes', ours? */
static bool pram_taker_alone(struct pram_taker *taker, struct folio *folio)
{
	for (unsigned int tries = 0; ; tries++) {
		if (folio_ref_count(folio) == folio_expected_ref_count(folio) +
					      pram_folio_holders(folio) + 1)
			return true;
		/* While it waits to be put on an LRU list it has one for that. */
		if (!tries) {
			lru_add_drain();
			continue;
		}
		if (!taker->patience)
			return false;
		if (taker->patience == PRAM_TAKE_PATIENCE)
			lru_add_drain_all();
		else
			schedule_timeout_uninterruptible(1);
		taker->patience--;
	}
}

/*
 * Make sure that nobody can write to a locked folio any more without asking shmem for it.
 *
 * Return: 0 (%PRAM_COPY_NOT), or why it has to be copied.
 */
static enum pram_copy_reason pram_taker_unmap(struct pram_taker *taker,
					      struct folio *folio)
{
	if (taker->ps->flags & PRAM_SAVE_COPY)
		return PRAM_COPY_ASKED;
	if (pram_in_scratch(folio))
		return PRAM_COPY_SCRATCH;
	if (folio_mapped(folio))
		unmap_mapping_folio(folio);
	/* Who has pinned it, or writes to it through /proc/PID/mem, has a reference. */
	if (folio_mapped(folio) || !pram_taker_alone(taker, folio))
		return PRAM_COPY_PINNED;
	return PRAM_COPY_NOT;
}

/*
 * Add pages of a locked folio to what will be taken over. It has room for them. The
 * caller's reference goes to the node.
 */
static void pram_taker_add(struct pram_taker *taker, struct folio *folio,
			   struct page *page, unsigned long nr)
{
	while (nr) {
		unsigned long now = nr;

		if (nr != folio_nr_pages(folio))
			now = min(nr, PRAM_PART_PAGES);
		if (now != nr)
			folio_get(folio);
		taker->entries[taker->nr++] = pram_entry(folio, page, now,
							 PRAM_ENTRY_LRU |
							 PRAM_ENTRY_ADOPTED);
		page += now;
		nr -= now;
	}
	taker->locked[taker->nr_locked++] = folio;
}

static bool pram_taker_has_room(const struct pram_taker *taker, unsigned long nr)
{
	return taker->nr + DIV_ROUND_UP(nr, PRAM_PART_PAGES) <= PRAM_TAKE_BATCH;
}

/*
 * Lock the folio at an index. What waits to be taken over is locked, too: whoever has
 * to be waited for may wait for that, so it is taken over first.
 *
 * Return: 0, and *@foliop is NULL for a hole, or what was allocated and never written.
 */
static int pram_taker_lock(struct pram_taker *taker, pgoff_t index,
			   struct folio **foliop)
{
	struct folio *folio = filemap_get_entry(taker->mapping, index);
	int err;

	if (folio && !xa_is_value(folio)) {
		if (folio_trylock(folio)) {
			if (folio->mapping == taker->mapping &&
			    folio_test_uptodate(folio)) {
				*foliop = folio;
				return 0;
			}
			folio_unlock(folio);
		}
		folio_put(folio);
	}
	err = pram_taker_flush(taker);
	if (err)
		return err;
	/* It may be swapped out. */
	err = shmem_get_folio(taker->mapping->host, index, 0, foliop, SGP_READ);
	/* The file has become shorter. */
	return err == -EINVAL ? -EFAULT : err;
}

/* Split a folio of which only a part is wanted, unless another node has it. */
static void pram_taker_split(struct pram_taker *taker, struct folio *folio)
{
	const long nr = folio_nr_pages(folio);

	if (pram_folio_holders(folio) || !pram_taker_alone(taker, folio))
		return;
	if (!split_folio(folio))
		pram_count(PRAM_PAGES_SPLIT, nr);
}

/*
 * Take pages from @index up to @end at most, of one folio.
 *
 * Return: 0 or an error; *@next is set to where it stopped.
 */
static int pram_taker_take(struct pram_taker *taker, pgoff_t index, pgoff_t end,
			   pgoff_t *next)
{
	enum pram_copy_reason reason;
	struct folio *folio;
	unsigned long nr;
	struct page *page;
	int err;

	*next = index;
	err = pram_taker_lock(taker, index, &folio);
	if (err)
		return err;
	if (!folio) {
		*next = index + 1;
		return pram_append_copy(taker->ps, taker->node, NULL, 1,
					PRAM_COPY_SPECIAL);
	}
	page = folio_file_page(folio, index);
	nr = min(end, folio_next_index(folio)) - index;
	if (folio_contain_hwpoisoned_page(folio)) {
		err = -EHWPOISON;
		goto unlock;
	}
	if (nr != folio_nr_pages(folio) && index >= taker->split &&
	    !(taker->ps->flags & PRAM_SAVE_COPY)) {
		taker->split = index + 1;
		pram_taker_split(taker, folio);
		goto unlock;
	}
	if (!pram_taker_has_room(taker, nr)) {
		err = pram_taker_flush(taker);
		if (err)
			goto unlock;
	}
	reason = pram_taker_unmap(taker, folio);
	if (reason == PRAM_COPY_SCRATCH && index >= taker->moved) {
		folio_unlock(folio);
		folio_put(folio);
		err = pram_taker_flush(taker);
		taker->moved = min(end, index + PTRS_PER_PTE);
		if (!err)
			pram_taker_move(taker, index, taker->moved);
		return err;
	}
	*next = index + nr;
	if (!reason) {
		pram_taker_add(taker, folio, page, nr);
		return 0;
	}
	folio_unlock(folio);
	err = pram_taker_flush(taker);
	if (!err)
		err = pram_append_copy(taker->ps, taker->node, page, nr, reason);
	folio_put(folio);
	return err;
unlock:
	folio_unlock(folio);
	folio_put(folio);
	return err;
}

/* How many are looked at by themselves behind one that could not just be taken over. */
#define PRAM_NOT_PLAIN		32

/*
 * Can a locked folio be taken over just as it is, as most can: nobody has mapped it, and
 * nobody has a reference but the file, and the caller?
 */
static __always_inline bool pram_taker_plain(struct pram_taker *taker,
					     struct folio *folio)
{
	unsigned long block = folio_pfn(folio) >> pageblock_order;

	if (folio->mapping != taker->mapping || !folio_test_uptodate(folio) ||
	    folio_mapped(folio) ||
	    folio_ref_count(folio) != folio_nr_pages(folio) + 1 ||
	    folio_test_writeback(folio) || folio_contain_hwpoisoned_page(folio))
		return false;
	if (block == taker->block)
		return true;
	if (pram_in_scratch(folio))
		return false;
	taker->block = block;
	return true;
}

/*
 * Take folios from @index up to @end that pram_taker_plain() knows, some of them, if they
 * follow one another. What comes then may be locked by somebody, or not be there.
 *
 * Return: 0 or an error; *@next is set to where it stopped.
 */
static int pram_taker_take_plain(struct pram_taker *taker, pgoff_t index,
				 pgoff_t end, pgoff_t *next)
{
	XA_STATE(xas, &taker->mapping->i_pages, index);
	struct folio *folio;
	int err = 0;

	if (taker->nr == PRAM_TAKE_BATCH)
		err = pram_taker_flush(taker);
	if (err)
		return err;
	rcu_read_lock();
	xas_for_each(&xas, folio, end - 1) {
		if (xas_retry(&xas, folio))
			continue;
		if (xas.xa_index != index || xa_is_value(folio) ||
		    taker->nr == PRAM_TAKE_BATCH || !folio_try_get(folio))
			break;
		if (folio != xas_reload(&xas) || !folio_trylock(folio)) {
			folio_put(folio);
			break;
		}
		if (folio->index != index || folio_nr_pages(folio) > end - index ||
		    !pram_taker_plain(taker, folio)) {
			folio_unlock(folio);
			folio_put(folio);
			break;
		}
		taker->locked[taker->nr_locked++] = folio;
		taker->entries[taker->nr++] = pram_entry(folio, folio_page(folio, 0),
							 folio_nr_pages(folio),
							 PRAM_ENTRY_LRU |
							 PRAM_ENTRY_ADOPTED);
		index += folio_nr_pages(folio);
	}
	rcu_read_unlock();
	*next = index;
	return 0;
}

static int pram_taker_range(struct pram_taker *taker, pgoff_t index, pgoff_t end)
{
	const bool copy = taker->ps->flags & PRAM_SAVE_COPY;
	pgoff_t plain = copy ? end : index, next;
	int err = 0;

	taker->moved = 0;
	taker->split = 0;
	/* Nearly all of it: what is mapped again before its turn is unmapped then. */
	if (!copy)
		pram_unmap_file(taker->mapping, index, end - index);
	while (index < end && !err) {
		next = index;
		if (fatal_signal_pending(current)) {
			err = -EINTR;
		} else if (index >= plain) {
			err = pram_taker_take_plain(taker, index, end, &next);
			/* Those that follow are mostly of the same kind. */
			if (next == index && !err)
				plain = index + PRAM_NOT_PLAIN;
		}
		if (next == index && !err)
			err = pram_taker_take(taker, index, end, &next);
		index = next;
		cond_resched();
	}
	/* Whatever has happened, nothing stays locked. */
	return pram_taker_flush(taker) ?: err;
}

/* Is a range of a file's bytes within it, and made of whole pages? */
static bool pram_range_in_file(const struct pram_range *range, struct inode *inode)
{
	u64 size = round_up((u64)i_size_read(inode), PAGE_SIZE);

	return PAGE_ALIGNED(range->start | range->len) && range->start <= size &&
	       range->len <= size - range->start;
}

/**
 * pram_adopt_file - append pages of shared memory to a page stream
 * @stream: a stream for saving pages; its position and size follow.
 * @file: a file of shmem, or of hugetlb.
 * @ranges: multiples of the page size, within the file.
 * @nr: their number.
 * @pages: set to the number of pages appended, also on an error.
 *
 * Return: 0; -EINVAL for a range that is not aligned or not within the file; -EFAULT if
 * it has become shorter meanwhile; -EIO for what was lost in swap; otherwise as
 * pram_adopt_ranges().
 */
int pram_adopt_file(struct file *stream, struct file *file,
		    const struct pram_range *ranges, unsigned int nr, u64 *pages)
{
	struct pram_stream *ps = stream->private_data;
	struct pram_taker *taker;
	struct pram_node *node;
	u64 before;
	int err = 0;

	*pages = 0;
	node = pram_adopt_begin(ps);
	if (IS_ERR(node))
		return PTR_ERR(node);
	taker = kvzalloc_obj(*taker, ps->gfp);
	if (!taker) {
		pram_stream_write_end(node);
		return -ENOMEM;
	}
	taker->ps = ps;
	taker->node = node;
	taker->mapping = file->f_mapping;
	taker->patience = PRAM_TAKE_PATIENCE;
	taker->block = ULONG_MAX;

	/* Before the first of them is held. Without ranges this is only a question. */
	if (nr && !is_file_hugepages(file)) {
		pram_shmem_hold(node);
		pram_shmem_keep(node, file);
		lru_add_drain_all();
	}
	before = node->bytes;
	for (unsigned int i = 0; i < nr && !err; i++) {
		const struct pram_range *range = &ranges[i];
		pgoff_t index = range->start >> PAGE_SHIFT;
		pgoff_t end = index + (range->len >> PAGE_SHIFT);

		if (!pram_range_in_file(range, taker->mapping->host))
			err = -EINVAL;
		else if (is_file_hugepages(file))
			err = pram_adopt_hugetlb(ps, node, file, index, end);
		else if (range->len)
			err = pram_taker_range(taker, index, end);
	}
	*pages = (node->bytes - before) >> PAGE_SHIFT;
	kvfree(taker);
	pram_adopt_end(stream, node, err);
	return err;
}

/**
 * pram_counted_alike - how many folios are counted as the first one is?
 * @folios: the folios, that stay as they are; rcu_read_lock() is held.
 * @nr: how many.
 *
 * Return: how many from the first one on.
 */
unsigned int pram_counted_alike(struct folio **folios, unsigned int nr)
{
	struct mem_cgroup *memcg = folio_memcg(folios[0]);
	const unsigned int order = folio_order(folios[0]);
	const int nid = folio_nid(folios[0]);
	unsigned int i;

	for (i = 1; i < nr; i++)
		if (folio_memcg(folios[i]) != memcg ||
		    folio_nid(folios[i]) != nid || folio_order(folios[i]) != order)
			break;
	return i;
}

/**
 * pram_shmem_remove - take folios out of a file for good
 * @mapping: the file's, which nobody uses any more.
 * @folios: locked folios that are in the file, in order; somebody has references to them.
 * @nr: how many, at least 1.
 * @window: they are all that the file has between multiples of %XA_CHUNK_SIZE, or one
 *	that is larger.
 */
void pram_shmem_remove(struct address_space *mapping, struct folio **folios,
		       unsigned int nr, bool window)
{
	XA_STATE(xas, &mapping->i_pages, 0);
	unsigned int same;

	/* Without large folios a tree is changed entry by entry. */
	if (!IS_ENABLED(CONFIG_XARRAY_MULTI))
		window = false;
	xas_lock_irq(&xas);
	rcu_read_lock();
	for (unsigned int i = 0; i < nr; i += same) {
		const long pages = folio_nr_pages(folios[i]);

		same = pram_counted_alike(folios + i, nr - i);
		pram_shmem_account(folios[i], -pages * same);
		mapping->nrpages -= pages * same;
	}
	rcu_read_unlock();
	/* A node of its tree goes with all that it has. */
	if (window) {
		xas_set_order(&xas, folios[0]->index,
			      max(folio_order(folios[0]), XA_CHUNK_SHIFT));
		xas_store(&xas, NULL);
	}
	for (unsigned int i = 0; i < nr; i++) {
		struct folio *folio = folios[i];

		if (!window) {
			xas_set_order(&xas, folio->index, folio_order(folio));
			xas_store(&xas, NULL);
		}
		folio->mapping = NULL;
	}
	xas_unlock_irq(&xas);
	/* These are not the last ones. */
	for (unsigned int i = 0; i < nr; i++)
		folio_ref_sub(folios[i], folio_nr_pages(folios[i]));
}
