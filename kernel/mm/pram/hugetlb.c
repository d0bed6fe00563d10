// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages of hugetlb, of the size that a page table has one entry less for (2 MiB).
 *
 * They are taken over as other memory is: a page in a private mapping is protected and no
 * longer exclusive, one in a file is unmapped and held. But hugetlb counts references in
 * its own way, and its pages are of a pool whose size the admin has chosen. So whoever
 * writes to what a node holds gets a copy that is not taken out of the pool, but takes the
 * place of the old page in it, as when pages are moved (see mm/hugetlb.c). And whoever
 * touches a held page of a file at all, to read it, too: nobody maps such a page.
 *
 * The next kernel finds plain folios, and a pool of its own. To be given to a task such a
 * folio becomes a huge page beyond the pool; the page that hugetlb has set aside for the
 * task is taken out of the pool, but kept. When the load is finished the folio takes that
 * one's place in the pool, and it is freed; when it is given up, the page goes back, and
 * nothing has happened.
 *
 * In the kernel in which they were taken over the pages that a node has are missing in the
 * pool, once the tasks are gone. When they are to be loaded there, the pool gets others.
 */

#define pr_fmt(fmt) "pram: " fmt

#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/pram_shmem.h>
#include <linux/printk.h>
#include <linux/rmap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>

#include "../internal.h"
#include "internal.h"

/**
 * struct pram_huge - a huge page of a node that was given to a task
 * @link: in &pram_node.huge.
 * @folio: it.
 * @pool: the page of the pool that it stands for.
 */
struct pram_huge {
	struct list_head	link;
	struct folio		*folio;
	struct folio		*pool;
};

/* Somebody got a copy, who has touched a huge page that a node holds. */
void pram_hugetlb_touched(void)
{
	pram_count(PRAM_PAGES_COPIED_ON_TOUCH, 1UL << PMD_ORDER);
}

/**
 * pram_hugetlb_fits - can huge pages of this size be taken over, and given to tasks?
 * @h: the size.
 *
 * Return: true if so. Larger ones can be no plain folios.
 */
bool pram_hugetlb_fits(struct hstate *h)
{
	return huge_page_order(h) == PMD_ORDER;
}

/*
 * Lock a huge page of a file, and see to it that nobody has it mapped. Return: it, with a
 * reference; an error pointer for a hole.
 */
static struct folio *pram_hugetlb_unmap(struct hstate *h, struct address_space *mapping,
					pgoff_t idx)
{
	u32 hash = hugetlb_fault_mutex_hash(mapping, idx);
	struct folio *folio;

	/* Or it is mapped again meanwhile. */
	guard(mutex)(&hugetlb_fault_mutex_table[hash]);
	folio = filemap_lock_hugetlb_folio(h, mapping, idx);
	if (!IS_ERR(folio) && folio_mapped(folio))
		hugetlb_unmap_file_folio(h, mapping, folio, idx);
	return folio;
}

/* Is every reference to a locked folio of a file accounted for: the file's, nodes', ours? */
static bool pram_hugetlb_alone(struct folio *folio)
{
	return !folio_mapped(folio) && !pram_in_scratch(folio) &&
	       folio_ref_count(folio) == folio_expected_ref_count(folio) +
					 pram_folio_holders(folio) + 1;
}

/**
 * pram_adopt_hugetlb - append pages of a file of hugetlb to a page stream
 * @ps: the stream.
 * @node: its node, locked, which pram_shmem_hold() knows.
 * @mapping: the file's.
 * @index: the first page.
 * @end: behind the last one.
 *
 * Return: as pram_adopt_file().
 */
int pram_adopt_hugetlb(struct pram_stream *ps, struct pram_node *node,
		       struct address_space *mapping, pgoff_t index, pgoff_t end)
{
	struct hstate *h = hstate_inode(mapping->host);
	const bool may_adopt = pram_hugetlb_fits(h) && !(ps->flags & PRAM_SAVE_COPY);
	int err = 0;

	while (index < end && !err) {
		pgoff_t idx = index >> huge_page_order(h);
		pgoff_t next = min(end, (idx + 1) << huge_page_order(h));
		struct folio *folio;
		bool adopt;

		if (fatal_signal_pending(current))
			return -EINTR;
		adopt = may_adopt && next - index == pages_per_huge_page(h);
		if (adopt)
			folio = pram_hugetlb_unmap(h, mapping, idx);
		else
			folio = filemap_lock_hugetlb_folio(h, mapping, idx);
		if (IS_ERR(folio)) {
			err = pram_append_copy(ps, node, NULL, next - index,
					       PRAM_COPY_SPECIAL);
		} else if (folio_contain_hwpoisoned_page(folio)) {
			err = -EHWPOISON;
			folio_unlock(folio);
			folio_put(folio);
		} else if (adopt && pram_hugetlb_alone(folio)) {
			u64 entry = pram_entry(folio, folio_page(folio, 0),
					       folio_nr_pages(folio),
					       PRAM_ENTRY_ADOPTED);

			/* Our reference goes to the node; the lock keeps the file's. */
			err = pram_append_entries(ps, node, &entry, 1);
			folio_unlock(folio);
		} else {
			folio_unlock(folio);
			err = pram_append_copy(ps, node, folio_file_page(folio, index),
					       next - index, PRAM_COPY_HUGETLB);
			folio_put(folio);
		}
		index = next;
		cond_resched();
	}
	return err;
}

/*
 * Make a folio of a node a huge page that nobody has, beyond the pool.
 *
 * Return: false if it is anything else.
 */
static bool pram_hugetlb_accept(struct hstate *h, struct folio *folio)
{
	if (folio_mapped(folio) || folio_ref_count(folio) != pram_folio_holders(folio))
		return false;
	if (folio_test_hugetlb(folio)) {
		/* A load that was given up has made it one. */
		if (!folio_test_hugetlb_temporary(folio) ||
		    (folio->mapping && !folio_test_anon(folio)))
			return false;
		if (folio_test_anon(folio))
			ClearPageAnonExclusive(&folio->page);
		folio->mapping = NULL;
		folio_clear_dirty(folio);
		/* Whoever took it out of a file has cleared that. */
		__folio_mark_uptodate(folio);
		return true;
	}
	if (folio->mapping || folio_test_lru(folio) || folio_test_swapbacked(folio) ||
	    folio_test_large_rmappable(folio) || folio_memcg_charged(folio))
		return false;
	hugetlb_pram_accept(h, folio);
	__folio_mark_uptodate(folio);
	return true;
}

/* What is in a file; not to be used, only compared. */
static struct folio *pram_hugetlb_in_file(struct hstate *h, struct address_space *mapping,
					  pgoff_t idx)
{
	struct folio *folio = filemap_get_folio(mapping, idx << huge_page_order(h));

	if (IS_ERR(folio))
		return NULL;
	folio_put(folio);
	return folio;
}

/* What is mapped, likewise; an error pointer if it is no page, or could not be one. */
static struct folio *pram_hugetlb_mapped(struct hstate *h, struct vm_area_struct *vma,
					 unsigned long addr, pte_t *ptep)
{
	struct folio *folio = NULL;
	spinlock_t *ptl;
	pte_t pte;

	if (!ptep)
		return ERR_PTR(-ENOMEM);
	ptl = huge_pte_lock(h, vma->vm_mm, ptep);
	pte = huge_ptep_get(vma->vm_mm, addr, ptep);
	if (pte_present(pte))
		folio = page_folio(pte_page(pte));
	else if (!huge_pte_none(pte))
		folio = ERR_PTR(-EEXIST);
	spin_unlock(ptl);
	return folio;
}

static bool pram_hugetlb_map(struct vm_area_struct *vma, unsigned long addr, pte_t *ptep,
			     struct folio *folio)
{
	struct hstate *h = hstate_vma(vma);
	spinlock_t *ptl = huge_pte_lock(h, vma->vm_mm, ptep);
	bool none = huge_pte_none(huge_ptep_get(vma->vm_mm, addr, ptep));

	if (none) {
		pte_t pte = pte_wrprotect(folio_mk_pte(folio, vma->vm_page_prot));

		folio_get(folio);
		hugetlb_add_new_anon_rmap(folio, vma, addr);
		/* The node has it, too. */
		ClearPageAnonExclusive(&folio->page);
		pte = arch_make_huge_pte(pte_mkyoung(pte), huge_page_shift(h),
					 vma->vm_flags);
		set_huge_pte_at(vma->vm_mm, addr, ptep, pte, huge_page_size(h));
		hugetlb_count_add(pages_per_huge_page(h), vma->vm_mm);
	}
	spin_unlock(ptl);
	return none;
}

/*
 * Give a folio of a node to whoever has a region: to the file if that is shared. The node
 * goes on holding it.
 *
 * Return: false if it has to be copied.
 */
static bool pram_hugetlb_give(struct pram_node *node, struct folio *folio,
			      struct vm_area_struct *vma, unsigned long addr)
{
	struct address_space *mapping = vma->vm_file->f_mapping;
	struct hstate *h = hstate_vma(vma);
	pgoff_t idx = linear_page_index(vma, addr) >> huge_page_order(h);
	const bool shared = vma->vm_flags & VM_MAYSHARE;
	struct folio *pool, *there;
	struct pram_huge *huge;
	pte_t *ptep = NULL;
	bool given = false;

	if (!shared && anon_vma_prepare(vma))
		return false;
	huge = kmalloc_obj(*huge);
	if (!huge)
		return false;

	guard(mutex)(&hugetlb_fault_mutex_table[hugetlb_fault_mutex_hash(mapping, idx)]);
	hugetlb_vma_lock_read(vma);
	if (!shared)
		ptep = huge_pte_alloc(vma->vm_mm, vma, addr, huge_page_size(h));
	there = shared ? pram_hugetlb_in_file(h, mapping, idx) :
			 pram_hugetlb_mapped(h, vma, addr, ptep);
	if (there || !pram_hugetlb_accept(h, folio))
		goto out;
	/* Accounted for as the page of a fault is. */
	pool = alloc_hugetlb_folio(vma, addr, false);
	if (IS_ERR(pool))
		goto out;
	if (shared)
		given = !hugetlb_add_to_page_cache(folio, mapping, idx);
	else
		given = pram_hugetlb_map(vma, addr, ptep, folio);
	if (!given) {
		restore_reserve_on_error(h, vma, addr, pool);
		folio_put(pool);
		goto out;
	}
	if (shared)
		folio_unlock(folio);
	/* What was set aside for it is used. */
	folio_clear_hugetlb_restore_reserve(pool);
	huge->folio = folio;
	huge->pool = pool;
	list_add_tail(&huge->link, &node->huge);
	pram_count(shared ? PRAM_PAGES_INSERTED : PRAM_PAGES_MAPPED,
		   folio_nr_pages(folio));
	pram_count(PRAM_BYTES_LOADED, folio_size(folio));
out:
	hugetlb_vma_unlock_read(vma);
	if (!given)
		kfree(huge);
	/* It may have been read a second time. */
	return given || there == folio;
}

/**
 * pram_hugetlb_load - give huge pages of a node to whoever has a region of hugetlb
 * @node: the node, which pram_shmem_hold() knows.
 * @found: what was found the last time, or zeros.
 * @vma: the region; mmap_lock is held.
 * @addr: where in it.
 * @end: up to where, at most.
 * @page: the node's page for @addr.
 * @copy: set to how many pages have to be copied behind what was done.
 *
 * Return: how many pages are there, beginning with the first; -EINTR or -EBADMSG if none
 * are.
 */
long pram_hugetlb_load(struct pram_node *node, struct pram_found *found,
		       struct vm_area_struct *vma, unsigned long addr,
		       unsigned long end, u64 page, u64 *copy)
{
	const u64 huge = 1UL << PMD_ORDER, nr = (end - addr) >> PAGE_SHIFT;
	u64 done = 0;
	int ret = 1;

	/* Who only looks at a node does not end it, and could not give anything back. */
	if (!pram_hugetlb_fits(hstate_vma(vma)) || userfaultfd_armed(vma) ||
	    READ_ONCE(node->state) != PRAM_NODE_LOADING) {
		*copy = nr;
		return 0;
	}
	while (done < nr) {
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
		if (rest != huge || *copy != huge || pram_found_part(found) ||
		    folio_order(found->folio) != PMD_ORDER ||
		    !IS_ALIGNED(addr + (done << PAGE_SHIFT), PMD_SIZE))
			break;
		if (mutex_lock_killable(&node->mappings_lock)) {
			ret = -EINTR;
			break;
		}
		ret = pram_hugetlb_give(node, found->folio, vma,
					addr + (done << PAGE_SHIFT));
		mutex_unlock(&node->mappings_lock);
		if (!ret)
			break;
		done += huge;
		cond_resched();
	}
	return ret < 0 && !done ? ret : done;
}

/**
 * pram_hugetlb_finish - settle with the pool what was given out
 * @node: the node.
 * @finished: the load is; otherwise it was given up, or the node is gone.
 */
void pram_hugetlb_finish(struct pram_node *node, bool finished)
{
	struct pram_huge *huge, *next;

	guard(mutex)(&node->mappings_lock);
	list_for_each_entry_safe(huge, next, &node->huge, link) {
		list_del(&huge->link);
		if (finished)
			hugetlb_pram_replace(huge->pool, huge->folio);
		folio_put(huge->pool);
		kfree(huge);
	}
}

/**
 * pram_hugetlb_refill - have the pool get other pages for those that a node has of it
 * @node: the node, whose pages were taken over in this boot; about to be loaded.
 *
 * What somebody still uses is his. If memory is short the pool stays smaller, and it may
 * have too few pages for the load.
 */
void pram_hugetlb_refill(struct pram_node *node)
{
	unsigned long missing = 0;

	for (u64 m = 0; m < node->nr_maps; m++) {
		const struct pram_map_ser *map = node->maps[m];

		for (u64 i = 0; i < map->nr_entries; i++) {
			struct folio *folio = pram_entry_folio(map->entries[i]), *new;

			if (FIELD_GET(PRAM_ENTRY_ORDER, map->entries[i]) != PMD_ORDER ||
			    !folio_test_hugetlb(folio) ||
			    folio_test_hugetlb_temporary(folio) || folio_mapped(folio) ||
			    (folio->mapping && !folio_test_anon(folio)) ||
			    folio_ref_count(folio) != pram_folio_holders(folio))
				continue;
			new = missing ? NULL : hugetlb_pram_alloc(folio);
			if (!new) {
				missing++;
				continue;
			}
			hugetlb_pram_replace(folio, new);
			folio_put(new);
		}
		cond_resched();
	}
	if (missing)
		pr_warn("node %s: %lu huge pages are missing in the pool, as there is no memory for others\n",
			node->name, missing);
}
