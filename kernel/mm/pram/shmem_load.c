// SPDX-License-Identifier: GPL-2.0
/*
 * Putting folios of nodes into files of shared memory: see shmem.c.
 */

#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pram_shmem.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/userfaultfd_k.h>

#include "../internal.h"
#include "internal.h"

/**
 * pram_vma_is_shmem - can folios be put into the file that a region maps?
 * @vma: the region.
 *
 * Return: true if it maps shared memory to be written to.
 */
bool pram_vma_is_shmem(struct vm_area_struct *vma)
{
	const vm_flags_t need = VM_SHARED | VM_WRITE;

	return (vma->vm_flags & need) == need && vma->vm_file &&
	       shmem_mapping(vma->vm_file->f_mapping) &&
	       !userfaultfd_armed(vma);
}

/**
 * pram_shmem_insert - put a folio that no file and no task has into a file
 * @inode: the file, on whose account its pages are.
 * @index: where, in pages.
 * @folio: the folio, locked.
 * @mm: to be charged; NULL for the caller's.
 * @written: it has contents; otherwise it was only allocated.
 *
 * Return: 0; -EEXIST if something is there; -ENOMEM.
 */
int pram_shmem_insert(struct inode *inode, pgoff_t index, struct folio *folio,
		      struct mm_struct *mm, bool written)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	int err;

	err = mem_cgroup_charge(folio, mm, gfp);
	if (err)
		return err;
	/* It goes on a list right here. */
	pram_frame_clear_off_lru(folio);
	__folio_set_swapbacked(folio);
	if (folio_test_large(folio))
		folio_set_large_rmappable(folio);
	if (written)
		__folio_mark_uptodate(folio);
	else
		folio_clear_uptodate(folio);
	err = shmem_add_to_page_cache(folio, inode->i_mapping, index, NULL,
				      GFP_KERNEL);
	if (err) {
		mem_cgroup_uncharge(folio);
		__folio_clear_swapbacked(folio);
		return err;
	}
	pram_shmem_placed(folio);
	return 0;
}

/* Pages that are put into a file together: mostly those of one node of its tree. */
#define PRAM_INSERT_BATCH	XA_CHUNK_SIZE

/* Of what was found the first pages that go together: fresh, of one NUMA node. */
static unsigned int pram_find_fresh_pages(const struct pram_found *found,
					  struct folio **folios, unsigned int max)
{
	const struct pram_map_ser *map = found->node->maps[found->map];
	const u64 *end = map->entries + map->nr_entries;
	unsigned int nr = 0;

	for (const u64 *at = found->where; at < end && nr < max; at++, nr++) {
		folios[nr] = pram_fresh_folio(found->node, true, *at);
		if (!folios[nr] || folio_nid(folios[nr]) != folio_nid(folios[0]))
			break;
	}
	return nr;
}

/* Charge some pages, or fewer if there is no room for all. Return: how many, or -ENOMEM. */
static int pram_charge_fresh(struct folio **folios, unsigned int nr,
			     struct mm_struct *mm)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;

	if (!mem_cgroup_charge_pages(folios, nr, mm, gfp))
		return nr;
	return mem_cgroup_charge(folios[0], mm, gfp) ?: 1;
}

/* What pram_shmem_insert() and the page cache do to each, before anybody can find it. */
static void pram_init_fresh(struct folio **folios, unsigned int nr,
			    struct address_space *mapping, pgoff_t index,
			    bool written)
{
	const unsigned long flags = BIT(PG_swapbacked) | BIT(PG_dirty) |
				    (written ? BIT(PG_uptodate) : 0);

	for (unsigned int i = 0; i < nr; i++) {
		struct folio *folio = folios[i];

		/* Not a plain store: a hardware error may mark it at any time. */
		set_mask_bits(&folio->flags.f, BIT(PG_uptodate), flags);
		/* It goes on a list at once. */
		pram_frame_clear_off_lru(folio);
		folio_get(folio);
		folio->mapping = mapping;
		folio->index = index + i;
	}
}

static void pram_uninit_fresh(struct folio **folios, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct folio *folio = folios[i];

		folio->mapping = NULL;
		mem_cgroup_uncharge(folio);
		set_mask_bits(&folio->flags.f, BIT(PG_swapbacked) | BIT(PG_dirty), 0);
		folio_put(folio);
	}
}

/* Return: how many are in the file now, from the first one on, or -EEXIST or -ENOMEM. */
static int pram_publish_fresh(struct folio **folios, unsigned int nr,
			      struct address_space *mapping, pgoff_t index)
{
	XA_STATE(xas, &mapping->i_pages, index);
	unsigned int done = 0, before;

	do {
		xas_lock_irq(&xas);
		before = done;
		if (xas_load(&xas))
			xas_set_err(&xas, -EEXIST);
		while (!xas_error(&xas)) {
			xas_store(&xas, folios[done]);
			if (xas_error(&xas))
				break;
			if (++done == nr)
				break;
			if (xas_next(&xas))
				xas_set_err(&xas, -EEXIST);
		}
		if (done > before) {
			pram_shmem_account(folios[before], done - before);
			mapping->nrpages += done - before;
		}
		xas_unlock_irq(&xas);
	} while (xas_nomem(&xas, GFP_KERNEL));
	return done ?: xas_error(&xas);
}

/* As pram_shmem_placed(), for pages that many have been told of by now. */
static void pram_add_lru_fresh(struct folio **folios, unsigned int nr,
			       struct address_space *mapping)
{
	LIST_HEAD(list);

	for (unsigned int i = 0; i < nr; i++) {
		if (mapping_unevictable(mapping) || folio_test_mlocked(folios[i]))
			folio_add_lru(folios[i]);
		else
			list_add(&folios[i]->lru, &list);
	}
	pram_add_lru_list(&list);
}

/**
 * pram_shmem_insert_fresh - put pages of a node that nobody else knows into a file
 * @found: what was found in the node. Nobody can end it meanwhile.
 * @inode: the file; the pages are put on its account.
 * @index: where, in pages.
 * @max: how many at most, at least 1.
 * @mm: to be charged; NULL for the caller's.
 * @written: they have contents; otherwise they were only allocated.
 *
 * As pram_shmem_insert() for each; but they need not be locked, and are charged, counted
 * and put on a list all together. Who finds them in the page cache finds them ready.
 *
 * Return: how many are there, from the first one on; 0 if it has to be put there by
 * itself; -EEXIST if something is there; -ENOSPC; -ENOMEM.
 */
long pram_shmem_insert_fresh(const struct pram_found *found, struct inode *inode,
			     pgoff_t index, u64 max, struct mm_struct *mm,
			     bool written)
{
	struct address_space *mapping = inode->i_mapping;
	struct folio *folios[PRAM_INSERT_BATCH];
	int nr, charged, ret;

	max = min(max, PRAM_INSERT_BATCH - index % PRAM_INSERT_BATCH);
	/* So that nobody maps them meanwhile as fresh pages. */
	guard(mutex)(&found->node->mappings_lock);
	nr = pram_find_fresh_pages(found, folios, max);
	if (!nr)
		return 0;
	ret = shmem_inode_acct_blocks(inode, nr);
	if (ret)
		return ret;
	charged = pram_charge_fresh(folios, nr, mm);
	ret = charged;
	if (charged > 0) {
		int done;

		pram_init_fresh(folios, charged, mapping, index, written);
		ret = pram_publish_fresh(folios, charged, mapping, index);
		done = max(ret, 0);
		pram_uninit_fresh(folios + done, charged - done);
		pram_add_lru_fresh(folios, done, mapping);
		pram_count(PRAM_PAGES_INSERTED, done);
	}
	/* What did not get there is taken off the account by this, too. */
	shmem_recalc_inode(inode, nr, 0);
	return ret;
}

static bool pram_index_in_file(struct inode *inode, pgoff_t index, u64 nr)
{
	u64 pages = DIV_ROUND_UP_ULL(i_size_read(inode), PAGE_SIZE);

	return index < pages && nr <= pages - index;
}

/* Has the file got, at @index, the very folio, by an earlier attempt? */
static bool pram_folio_is_at(struct folio *folio, struct address_space *mapping,
			     pgoff_t index)
{
	return folio->mapping == mapping && folio->index == index;
}

/*
 * Put pages that nobody else knows into a file, as pram_shmem_insert_fresh() does.
 *
 * Return: how many, from the first one on; 0 if it has to be looked at by itself; -ENOMEM.
 */
static long pram_shmem_load_fresh(struct inode *inode, pgoff_t index,
				  const struct pram_found *found, u64 max,
				  struct mm_struct *mm)
{
	u64 pages = DIV_ROUND_UP_ULL(i_size_read(inode), PAGE_SIZE);
	long nr;

	if (index >= pages)
		return 0;
	nr = pram_shmem_insert_fresh(found, inode, index, min(max, pages - index),
				     mm, true);
	if (nr <= 0)
		return nr == -ENOMEM ? nr : 0;
	/* It may have been truncated since the look at its size. */
	while (nr && !pram_index_in_file(inode, index, nr)) {
		struct folio *folio = pram_entry_folio(found->where[--nr]);

		folio_lock(folio);
		if (pram_folio_is_at(folio, inode->i_mapping, index + nr))
			truncate_inode_folio(inode->i_mapping, folio);
		folio_unlock(folio);
		shmem_recalc_inode(inode, 0, 0);
		pram_count(PRAM_PAGES_INSERTED, -1);
	}
	pram_count(PRAM_BYTES_LOADED, (u64)nr << PAGE_SHIFT);
	return nr;
}

/*
 * Put what was found in a node into a file.
 *
 * Return: 1 if it is there; 0 if it has to be copied; -ENOMEM; -EINTR.
 */
static int pram_shmem_load_found(struct inode *inode, pgoff_t index,
				 const struct pram_found *found,
				 struct mm_struct *mm, unsigned int *patience)
{
	struct folio *folio = found->folio;
	const long nr = folio_nr_pages(folio);
	int err;

	if (pram_found_part(found) || !IS_ALIGNED(index, nr) ||
	    folio_order(folio) > mapping_max_folio_order(inode->i_mapping) ||
	    !pram_index_in_file(inode, index, nr))
		return 0;
	if (folio_lock_killable(folio))
		return -EINTR;
	err = 1;
	if (pram_folio_is_at(folio, inode->i_mapping, index))
		goto unlock;
	err = 0;
	if (folio_mapped(folio) || !pram_folio_reset_patiently(folio, patience))
		goto unlock;
	if (shmem_inode_acct_blocks(inode, nr))
		goto unlock;
	err = pram_shmem_insert(inode, index, folio, mm, true);
	/* It may have been truncated since the look at its size. */
	if (!err && !pram_index_in_file(inode, index, nr)) {
		filemap_remove_folio(folio);
		err = -EEXIST;
	}
	/* What did not get there is taken off the account by this, too. */
	shmem_recalc_inode(inode, nr, 0);
	if (!err) {
		pram_count(PRAM_PAGES_INSERTED, nr);
		pram_count(PRAM_BYTES_LOADED, (u64)nr << PAGE_SHIFT);
	}
	err = !err ? 1 : err == -EEXIST ? 0 : err;
unlock:
	folio_unlock(folio);
	return err;
}

/**
 * pram_shmem_load - put folios of a node into the file that a region maps
 * @node: the node, of which pram_shmem_hold() knows.
 * @found: what was found the last time, or zeros.
 * @vma: a region for which pram_vma_is_shmem() is true; mmap_lock is held.
 * @addr: where in it.
 * @end: up to where, at most.
 * @page: the node's page for @addr.
 * @patience: how often it may still wait for others.
 * @copy: set to how many pages have to be copied behind what was done.
 *
 * Return: how many pages are in the file, beginning with the first; -ENOMEM, -EINTR or
 * -EBADMSG if none are.
 */
long pram_shmem_load(struct pram_node *node, struct pram_found *found,
		     struct vm_area_struct *vma, unsigned long addr,
		     unsigned long end, u64 page, unsigned int *patience,
		     u64 *copy)
{
	struct inode *inode = vma->vm_file->f_mapping->host;
	pgoff_t index = linear_page_index(vma, addr);
	u64 nr = (end - addr) >> PAGE_SHIFT, done = 0;
	int ret = 1;

	while (done < nr) {
		long fresh;
		u64 rest;

		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		ret = pram_data_find(node, page + done, found);
		if (ret <= 0)
			break;
		rest = found->first_page + found->nr - (page + done);
		*copy = min(rest, nr - done);
		/* From its first page to its last one. */
		ret = 0;
		if (rest != folio_nr_pages(found->folio) || rest > nr - done)
			break;
		fresh = pram_shmem_load_fresh(inode, index + done, found,
					      nr - done, vma->vm_mm);
		if (fresh < 0) {
			ret = fresh;
			break;
		}
		if (fresh) {
			pram_found_skip(found, fresh);
			done += fresh;
			cond_resched();
			continue;
		}
		/* So that nobody maps it meanwhile as a fresh page. */
		if (mutex_lock_killable(&node->mappings_lock)) {
			ret = -EINTR;
			break;
		}
		ret = pram_shmem_load_found(inode, index + done, found,
					    vma->vm_mm, patience);
		mutex_unlock(&node->mappings_lock);
		if (ret <= 0)
			break;
		done += rest;
		cond_resched();
	}
	return ret < 0 && !done ? ret : done;
}
