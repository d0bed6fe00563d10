// SPDX-License-Identifier: GPL-2.0
/*
 * Taking over the pages of a task.
 *
 * A page that is taken over becomes shared between the task and the node, as it
 * would between the task and a child that it forks: its mapping is protected
 * against writing and no longer exclusive. Whoever writes to it later, be it
 * the task, another process by way of /proc/PID/mem, or a sibling, meets a page
 * that has another reference, and gets a copy. So a node does not change, no
 * matter whether the task dies. What cannot be shared in this way is copied at
 * once.
 *
 * The page stays on its LRU list. Reclaim may unmap it and give it a swap slot before
 * it sees that the page has another owner, and then cannot free it: the next fault
 * finds it in the swap cache, and a write gets a copy as always.
 */

#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/secretmem.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/leafops.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "../internal.h"
#include "internal.h"

/* Why a folio cannot be taken over, as far as that is seen without mappings. */
static enum pram_copy_reason pram_folio_copy_reason(struct folio *folio)
{
	if (folio_test_hugetlb(folio))
		return PRAM_COPY_HUGETLB;
	if (folio_test_ksm(folio))
		return PRAM_COPY_KSM;
	if (!folio_test_anon(folio)) {
		if (!folio->mapping || folio_test_reserved(folio))
			return PRAM_COPY_SPECIAL;
		return folio_test_swapbacked(folio) ? PRAM_COPY_SHMEM
						    : PRAM_COPY_FILE;
	}
	if (pram_in_scratch(folio))
		return PRAM_COPY_SCRATCH;
	return PRAM_COPY_NOT;
}

/**
 * struct pram_walk - a walk through page tables, one table at a time
 * @moved: up to here folios were moved out of scratch, if they could be.
 * @split: up to here folios were split of which only a part is to be taken, if they
 *	could be.
 * @drained: what waited to be put on the LRU lists was put there.
 * @stop: why the walk stopped at a page that is there: it is in scratch, or part of
 *	a folio to be split; or %PRAM_COPY_NOT.
 * @part_of: the folio to be split, referenced.
 * @copy: all is to be copied, so nothing has to be protected.
 * @ps: the stream.
 * @found: where to note what was taken, if only what is there is to be taken: see
 *	pram_adopt_present(). NULL if what is not there has to be brought.
 * @flush: a mapping was protected that was writable, and the TLB has to be flushed.
 * @block: the block of pages in which a folio was found last that is not in scratch:
 *	then others in it are not, either.
 * @faulted: a page that was not there, was faulted in and has to be found now;
 *	referenced.
 * @faults: how often this one was.
 * @nr: of @entries, what was found in the last table to be taken over.
 * @entries: that, as the node will have it; a reference to the folio of each.
 * @nr_copy: pages behind these that have to be copied, one behind the other in one
 *	folio.
 * @copy_page: the first of them, a reference to its folio; NULL for zero pages.
 * @copy_reason: why.
 */
struct pram_walk {
	unsigned long		moved;
	unsigned long		split;
	bool			drained;
	enum pram_copy_reason	stop;
	struct folio		*part_of;
	bool			copy;
	const struct pram_stream *ps;
	struct pram_present	*found;
	bool			flush;
	unsigned long		block;
	struct page		*faulted;
	unsigned int		faults;
	unsigned int		nr;
	u64			entries[PTRS_PER_PTE];
	unsigned int		nr_copy;
	struct page		*copy_page;
	enum pram_copy_reason	copy_reason;
};

static noinline enum pram_copy_reason pram_walk_ask(struct pram_walk *walk,
						    struct folio *folio)
{
	enum pram_copy_reason reason;

	if (walk->copy)
		return PRAM_COPY_ASKED;
	reason = pram_folio_copy_reason(folio);
	if (!reason)
		walk->block = folio_pfn(folio) >> pageblock_order;
	return reason;
}

/* As pram_folio_copy_reason(), which is not asked for each page where it is the usual. */
static __always_inline enum pram_copy_reason
pram_walk_copy_reason(struct pram_walk *walk, struct folio *folio)
{
	/* If all is to be copied, no block is known. */
	if (folio_pfn(folio) >> pageblock_order == walk->block &&
	    folio_test_anon(folio) && !folio_test_ksm(folio))
		return PRAM_COPY_NOT;
	return pram_walk_ask(walk, folio);
}

/*
 * Make mappings of anonymous pages non-exclusive and read-only, as fork() does: with
 * mmap_lock and the VMA locked for writing, so that nobody faults, and with
 * write_protect_seq raised, so that GUP-fast pins nothing. They can then stay writable
 * in the TLB until the walk ends.
 *
 * Return: false, and nothing has changed, if they may be pinned.
 */
static bool pram_protect_ptes(struct pram_walk *walk, struct vm_area_struct *vma,
			      unsigned long addr, pte_t *ptep, pte_t pte,
			      struct folio *folio, struct page *page,
			      unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (PageAnonExclusive(page + i))
			break;
	/* What is not exclusive is never writable. */
	if (i == nr)
		return true;
	if (folio_needs_cow_for_dma(vma, folio))
		return false;
	for (; i < nr; i++)
		if (PageAnonExclusive(page + i))
			ClearPageAnonExclusive(page + i);
	if (nr > 1 || pte_write(pte)) {
		wrprotect_ptes(vma->vm_mm, addr, ptep, nr);
		walk->flush = true;
	}
	return true;
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* As pram_protect_ptes(), for a huge page. */
static bool pram_protect_pmd(struct pram_walk *walk, struct vm_area_struct *vma,
			     unsigned long addr, pmd_t *pmdp, struct folio *folio)
{
	struct page *page = pmd_page(*pmdp);

	if (!PageAnonExclusive(page))
		return true;
	if (folio_needs_cow_for_dma(vma, folio))
		return false;
	ClearPageAnonExclusive(page);
	if (pmd_write(*pmdp)) {
		pmdp_set_wrprotect(vma->vm_mm, addr, pmdp);
		walk->flush = true;
	}
	return true;
}
#else
static bool pram_protect_pmd(struct pram_walk *walk, struct vm_area_struct *vma,
			     unsigned long addr, pmd_t *pmdp, struct folio *folio)
{
	return false;
}
#endif

#define PRAM_TAKEN	(PRAM_ENTRY_LRU | PRAM_ENTRY_ADOPTED)

/* Take pages of a large folio over. */
static void pram_take_large(struct pram_walk *walk, struct folio *folio,
			    struct page *page, unsigned int nr)
{
	while (nr) {
		unsigned int now = nr;

		if (nr != folio_nr_pages(folio))
			now = min(nr, PRAM_PART_PAGES);
		folio_get(folio);
		walk->entries[walk->nr++] = pram_entry(folio, page, now, PRAM_TAKEN);
		page += now;
		nr -= now;
	}
}

/* Take pages over. Most folios are small, and nothing has to be asked. */
static inline void pram_take(struct pram_walk *walk, struct folio *folio,
			     struct page *page, unsigned int nr)
{
	if (folio_test_large(folio)) {
		pram_take_large(walk, folio, page, nr);
		return;
	}
	folio_get(folio);
	walk->entries[walk->nr++] = FIELD_PREP(PRAM_ENTRY_PFN, page_to_pfn(page)) |
				    PRAM_TAKEN;
}

/*
 * Take pages to be copied; @page is NULL for zero pages.
 *
 * Return: false if they do not belong to those that are to be copied already: these have
 * to be copied first.
 */
static bool pram_take_copy(struct pram_walk *walk, struct page *page,
			   unsigned int nr, enum pram_copy_reason reason)
{
	if (!walk->nr_copy) {
		walk->copy_page = page;
		walk->copy_reason = reason;
		if (page)
			folio_get(page_folio(page));
	} else if (reason != walk->copy_reason || !page != !walk->copy_page) {
		return false;
	} else if (page && (page != walk->copy_page + walk->nr_copy ||
			    page_folio(page) != page_folio(walk->copy_page))) {
		return false;
	}
	walk->nr_copy += nr;
	return true;
}

/*
 * Should the pages of a large folio, of which only some are to be taken, become folios
 * of their own? Else the node would keep the rest of it, too. But if others have the
 * folio, as a family of processes has, what is one frame now has to be one afterwards:
 * then the node has a part of it. So it has, too, if it could not be split, unless it
 * is mapped as one.
 */
static bool pram_should_split(struct pram_walk *walk, unsigned long addr,
			      struct folio *folio)
{
	return addr >= walk->split && !folio_maybe_mapped_shared(folio) &&
	       !pram_frame_known(folio_pfn(folio));
}

/*
 * Whether to stop at pages: if they would have to be copied but may be moved out of
 * scratch, or if they are part of a folio that is to be split; and nobody has tried yet.
 */
static bool pram_stop_at(struct pram_walk *walk, unsigned long addr,
			 struct folio *folio, unsigned int nr,
			 enum pram_copy_reason reason)
{
	if (reason == PRAM_COPY_SCRATCH && addr >= walk->moved) {
		walk->stop = reason;
		return true;
	}
	if (!reason && nr != folio_nr_pages(folio) &&
	    pram_should_split(walk, addr, folio)) {
		walk->stop = PRAM_COPY_PARTIAL;
		folio_get(folio);
		walk->part_of = folio;
		return true;
	}
	return false;
}

/* May pages at @addr be noted as found? */
static inline bool pram_has_room(const struct pram_present *found,
				 unsigned long addr)
{
	return addr == found->last_end || found->nr < found->max;
}

/* Note that pages were taken, for which pram_has_room(). */
static inline void pram_note(struct pram_present *found, unsigned long addr,
			     unsigned long nr)
{
	if (addr != found->last_end)
		found->ranges[found->nr++] = (struct pram_range){ .start = addr };
	found->ranges[found->nr - 1].len += nr << PAGE_SHIFT;
	found->last_end = addr + (nr << PAGE_SHIFT);
}

/*
 * Is there nothing of a task's own behind an entry that is not present? Swapped pages
 * are, and so are those that are just being moved; markers of guard regions and pages of
 * a file are not.
 */
static bool pram_leaf_empty(softleaf_t entry)
{
	if (softleaf_is_none(entry) || softleaf_is_guard_marker(entry))
		return true;
	return softleaf_has_pfn(entry) &&
	       !folio_test_anon(softleaf_to_folio(entry));
}

/*
 * Take what the page table at @ptep has, from @addr up to @end. Stops at a page
 * that is not there, behind pages to be copied, and where pram_stop_at() says so.
 * If only what is there is to be taken, passes over what is not the task's own.
 *
 * Return: where it stopped; @walk->stop says why.
 */
static unsigned long pram_take_ptes(struct vm_area_struct *vma, pte_t *ptep,
				    unsigned long addr, unsigned long end,
				    struct pram_walk *walk)
{
	struct pram_present *found = walk->found;

	while (addr < end) {
		enum pram_copy_reason reason;
		pte_t pte = ptep_get(ptep);
		unsigned int nr = 1;
		struct folio *folio;
		struct page *page;

		if (!pte_present(pte)) {
			if (!found || !pram_leaf_empty(softleaf_from_pte(pte)))
				break;
			goto next;
		}
		page = vm_normal_page(vma, addr, pte);
		if (!page) {
			if (!is_zero_pfn(pte_pfn(pte)))
				break;
			if (!found &&
			    !pram_take_copy(walk, NULL, 1, PRAM_COPY_SPECIAL))
				break;
			goto next;
		}
		folio = page_folio(page);
		if (found) {
			if (!folio_test_anon(folio))
				goto next;
			if (!pram_has_room(found, addr))
				break;
		}
		/* Not even to be copied: that would be a machine check. */
		if (folio_contain_hwpoisoned_page(folio))
			break;
		reason = pram_walk_copy_reason(walk, folio);
		if (!reason && walk->nr_copy)
			break;
		if (!reason && folio_test_large(folio))
			nr = folio_pte_batch(folio, ptep, pte,
					     (end - addr) >> PAGE_SHIFT);
		if ((reason || folio_test_large(folio)) &&
		    pram_stop_at(walk, addr, folio, nr, reason))
			break;
		if (!reason && pram_protect_ptes(walk, vma, addr, ptep, pte,
						 folio, page, nr))
			pram_take(walk, folio, page, nr);
		else if (!pram_take_copy(walk, page, nr, reason ?: PRAM_COPY_PINNED))
			break;
		if (found)
			pram_note(found, addr, nr);
next:
		ptep += nr;
		addr += nr * PAGE_SIZE;
	}
	return addr;
}

/* As pram_take_ptes(), for a huge page; takes nothing if that does not fit. */
static unsigned long pram_take_pmd(struct vm_area_struct *vma, pmd_t *pmdp,
				   unsigned long addr, unsigned long end,
				   struct pram_walk *walk)
{
	struct pram_present *found = walk->found;
	enum pram_copy_reason reason;
	unsigned int nr = (end - addr) >> PAGE_SHIFT;
	struct folio *folio;
	struct page *page;
	pmd_t pmd = *pmdp;

	if (!pmd_present(pmd))
		return found && pram_leaf_empty(softleaf_from_pmd(pmd)) ? end : addr;
	if (is_huge_zero_pmd(pmd)) {
		if (!found)
			pram_take_copy(walk, NULL, nr, PRAM_COPY_SPECIAL);
		return end;
	}
	page = vm_normal_page_pmd(vma, addr, pmd);
	if (!page)
		return addr;
	page = pmd_page(pmd) + ((addr & ~HPAGE_PMD_MASK) >> PAGE_SHIFT);
	folio = page_folio(page);
	if (found && !folio_test_anon(folio))
		return end;
	if (found && !pram_has_room(found, addr))
		return addr;
	if (folio_contain_hwpoisoned_page(folio))
		return addr;
	reason = pram_walk_copy_reason(walk, folio);
	if (pram_stop_at(walk, addr, folio, nr, reason))
		return addr;
	/*
	 * Of what is mapped as one the first page has the mark of all, and it is
	 * protected as one: more than the range, which others have been told of. It
	 * could not be split, so somebody holds it.
	 */
	if (!reason && nr != HPAGE_PMD_NR && PageAnonExclusive(pmd_page(pmd)))
		reason = PRAM_COPY_PARTIAL;
	if (!reason && !pram_protect_pmd(walk, vma, addr, pmdp, folio))
		reason = PRAM_COPY_PINNED;
	if (!reason)
		pram_take(walk, folio, page, nr);
	else
		pram_take_copy(walk, page, nr, reason);
	if (found)
		pram_note(found, addr, nr);
	return end;
}

#ifdef CONFIG_HUGETLB_PAGE
/* The folio that a page table of private hugetlb memory has at @ptep, if it may be taken. */
static struct folio *pram_hugetlb_folio(struct vm_area_struct *vma,
					unsigned long addr, pte_t *ptep)
{
	pte_t pte = huge_ptep_get(vma->vm_mm, addr, ptep);
	struct folio *folio;

	if (!pte_present(pte))
		return NULL;
	folio = page_folio(pte_page(pte));
	/* What relatives have, too, they may have to write to. */
	if (!folio_test_anon(folio) || folio_mapcount(folio) != 1 ||
	    folio_contain_hwpoisoned_page(folio))
		return NULL;
	return folio;
}

/* As pram_take_pmd(), for one page of private hugetlb memory. */
static unsigned long pram_take_hugetlb(struct vm_area_struct *vma,
				       unsigned long addr, unsigned long end,
				       struct pram_walk *walk)
{
	struct hstate *h = hstate_vma(vma);
	enum pram_copy_reason reason;
	struct folio *folio = NULL;
	spinlock_t *ptl;
	pte_t *ptep;

	/* Before the first one is taken over, pram_hugetlb_hold() has to know. */
	if (vma->vm_flags & VM_MAYSHARE || end - addr != huge_page_size(h))
		return addr;
	ptep = hugetlb_walk(vma, addr, huge_page_size(h));
	if (!ptep)
		return addr;
	ptl = huge_pte_lock(h, vma->vm_mm, ptep);
	folio = pram_hugetlb_folio(vma, addr, ptep);
	if (!folio) {
		end = addr;
		goto unlock;
	}
	reason = pram_hugetlb_reason(walk->ps, folio);
	if (pram_stop_at(walk, addr, folio, folio_nr_pages(folio), reason)) {
		end = addr;
		goto unlock;
	}
	/* As in copy_hugetlb_page_range(). */
	if (!reason && PageAnonExclusive(&folio->page)) {
		if (folio_needs_cow_for_dma(vma, folio))
			reason = PRAM_COPY_PINNED;
		else
			ClearPageAnonExclusive(&folio->page);
	}
	if (reason) {
		pram_take_copy(walk, &folio->page, folio_nr_pages(folio), reason);
		goto unlock;
	}
	if (huge_pte_write(huge_ptep_get(vma->vm_mm, addr, ptep))) {
		huge_ptep_set_wrprotect(vma->vm_mm, addr, ptep);
		walk->flush = true;
	}
	pram_take(walk, folio, &folio->page, folio_nr_pages(folio));
unlock:
	spin_unlock(ptl);
	return end;
}

/* Take private hugetlb memory that lies in scratch off the pool's list. */
static void pram_isolate_hugetlb(struct vm_area_struct *vma, unsigned long addr,
				 struct list_head *isolated)
{
	struct hstate *h = hstate_vma(vma);
	struct folio *folio;
	spinlock_t *ptl;
	pte_t *ptep;

	if (vma->vm_flags & VM_MAYSHARE)
		return;
	ptep = hugetlb_walk(vma, addr & huge_page_mask(h), huge_page_size(h));
	if (!ptep)
		return;
	ptl = huge_pte_lock(h, vma->vm_mm, ptep);
	folio = pram_hugetlb_folio(vma, addr & huge_page_mask(h), ptep);
	if (folio && pram_in_scratch(folio))
		folio_isolate_hugetlb(folio, isolated);
	spin_unlock(ptl);
}
#else
static unsigned long pram_take_hugetlb(struct vm_area_struct *vma,
				       unsigned long addr, unsigned long end,
				       struct pram_walk *walk)
{
	return addr;
}

static void pram_isolate_hugetlb(struct vm_area_struct *vma, unsigned long addr,
				 struct list_head *isolated)
{
}
#endif

/* Take from one page table. Return: where that stopped. */
static unsigned long pram_take_table(struct vm_area_struct *vma,
				     unsigned long addr, unsigned long end,
				     struct pram_walk *walk)
{
	spinlock_t *ptl;
	pmd_t *pmdp;
	pte_t *ptep;

	/* hugetlb has page tables of its own kind. */
	if (is_vm_hugetlb_page(vma))
		return pram_take_hugetlb(vma, addr, end, walk);
	pmdp = mm_find_pmd(vma->vm_mm, addr);
	if (!pmdp)
		return walk->found ? end : addr;

	ptl = pmd_trans_huge_lock(pmdp, vma);
	if (ptl) {
		addr = pram_take_pmd(vma, pmdp, addr, end, walk);
		spin_unlock(ptl);
		return addr;
	}
	ptep = pte_offset_map_lock(vma->vm_mm, pmdp, addr, &ptl);
	/* As in copy_pte_range(): then there is none, or was one of file pages only. */
	if (!ptep)
		return walk->found ? end : addr;
	addr = pram_take_ptes(vma, ptep, addr, end, walk);
	pte_unmap_unlock(ptep, ptl);
	return addr;
}

/**
 * pram_append_copy - append copies of pages to a page stream
 * @ps: the stream.
 * @node: its node, locked.
 * @page: the first page, of one folio with the others; NULL for pages of zeros.
 * @nr: how many.
 * @reason: why they are not taken over.
 *
 * Return: 0 or as pram_data_append().
 */
int pram_append_copy(struct pram_stream *ps, struct pram_node *node,
		     struct page *page, unsigned int nr,
		     enum pram_copy_reason reason)
{
	while (nr) {
		unsigned int now = page ? nr : 1;
		struct iov_iter from;
		struct bio_vec bvec;
		ssize_t n;

		bvec_set_page(&bvec, page ?: ZERO_PAGE(0), now << PAGE_SHIFT, 0);
		iov_iter_bvec(&from, ITER_SOURCE, &bvec, 1, now << PAGE_SHIFT);
		n = pram_data_append(node, &from, true, ps->gfp);
		if (n < 0)
			return n;
		/* Folios of pages are copied whole or not at all. */
		pram_count_copied(reason, n >> PAGE_SHIFT);
		if (page)
			page += n >> PAGE_SHIFT;
		nr -= n >> PAGE_SHIFT;
	}
	return 0;
}

/* Is the node's last folio full? Only then can another one follow, or a copy has to. */
static bool pram_node_full(const struct pram_node *node)
{
	return node->bytes == node->nr_pages << PAGE_SHIFT;
}

/* Copy what was to be taken over by an entry into a node. */
static int pram_append_entry(struct pram_stream *ps, struct pram_node *node,
			     u64 entry)
{
	struct page *page = pfn_to_page(FIELD_GET(PRAM_ENTRY_PFN, entry));

	return pram_append_copy(ps, node, page, pram_entry_pages(entry),
				PRAM_COPY_WRITTEN);
}

/**
 * pram_append_entries - append folios to a page stream
 * @ps: the stream.
 * @node: its node, locked.
 * @entries: see pram_node_adopt(), as for the references.
 * @nr: how many.
 *
 * Return: as pram_node_adopt().
 */
int pram_append_entries(struct pram_stream *ps, struct pram_node *node,
			const u64 *entries, unsigned int nr)
{
	unsigned int i = 0;
	int err = 0;

	/* Bytes that were written do not fill their folio. */
	for (; i < nr && !pram_node_full(node); i++) {
		if (!err)
			err = pram_append_entry(ps, node, entries[i]);
		folio_put(pram_entry_folio(entries[i]));
	}
	if (i < nr)
		err = pram_node_adopt(node, entries + i, nr - i, ps->gfp);
	return err;
}

/*
 * Put what was taken into a node: what is taken over, and behind it what is copied. The
 * references to all of it have gone to the node afterwards, or were put.
 */
static int pram_append_taken(struct pram_stream *ps, struct pram_node *node,
			     struct pram_walk *walk)
{
	int err = pram_append_entries(ps, node, walk->entries, walk->nr);

	walk->nr = 0;
	if (walk->nr_copy && !err)
		err = pram_append_copy(ps, node, walk->copy_page, walk->nr_copy,
				       walk->copy ? PRAM_COPY_ASKED :
						    walk->copy_reason);
	if (walk->nr_copy && walk->copy_page)
		folio_put(page_folio(walk->copy_page));
	walk->nr_copy = 0;
	return err;
}

/* Take the folios of one page table that lie in scratch off their LRU lists. */
static void pram_isolate_scratch(struct vm_area_struct *vma, unsigned long addr,
				 unsigned long end, struct list_head *isolated)
{
	struct folio *last = NULL;
	pte_t *first, *ptep;
	spinlock_t *ptl;
	pmd_t *pmdp;

	if (is_vm_hugetlb_page(vma)) {
		pram_isolate_hugetlb(vma, addr, isolated);
		return;
	}
	pmdp = mm_find_pmd(vma->vm_mm, addr);
	if (!pmdp)
		return;
	ptl = pmd_trans_huge_lock(pmdp, vma);
	if (ptl) {
		struct page *page = NULL;

		if (pmd_present(*pmdp))
			page = vm_normal_page_pmd(vma, addr, *pmdp);
		if (page && pram_folio_copy_reason(page_folio(page)) ==
			    PRAM_COPY_SCRATCH)
			isolate_folio_to_list(page_folio(page), isolated);
		spin_unlock(ptl);
		return;
	}
	first = pte_offset_map_lock(vma->vm_mm, pmdp, addr, &ptl);
	if (!first)
		return;
	for (ptep = first; addr < end; addr += PAGE_SIZE, ptep++) {
		pte_t pte = ptep_get(ptep);
		struct page *page = NULL;

		if (pte_present(pte))
			page = vm_normal_page(vma, addr, pte);
		if (!page || page_folio(page) == last)
			continue;
		last = page_folio(page);
		if (pram_folio_copy_reason(last) == PRAM_COPY_SCRATCH)
			isolate_folio_to_list(last, isolated);
	}
	pte_unmap_unlock(first, ptl);
}

static struct folio *pram_migration_target(struct folio *src,
					   unsigned long private)
{
	struct folio *dst = alloc_migration_target(src, private);

	/* Also what is not movable may be in memory that was added. */
	if (dst && pram_in_scratch(dst)) {
		folio_put(dst);
		return NULL;
	}
	return dst;
}

/**
 * pram_migrate_isolated - move folios to where they can be preserved
 * @isolated: folios, taken off their LRU lists; empty afterwards. Those that cannot
 *	be moved stay where they are, on the LRU lists.
 * @counter: where the pages that were moved count.
 */
void pram_migrate_isolated(struct list_head *isolated, enum pram_counter counter)
{
	struct migration_target_control mtc = {
		.nid = NUMA_NO_NODE,
		.gfp_mask = GFP_USER | __GFP_RETRY_MAYFAIL | __GFP_NOWARN,
		.reason = MR_LONGTERM_PIN,
	};
	unsigned int moved = 0, flags;

	if (list_empty(isolated))
		return;
	/* As for a long-term pin: large folios would go to such areas again. */
	flags = memalloc_pin_save();
	if (migrate_pages(isolated, pram_migration_target, NULL,
			  (unsigned long)&mtc, MIGRATE_SYNC, MR_LONGTERM_PIN,
			  &moved))
		putback_movable_pages(isolated);
	memalloc_pin_restore(flags);
	pram_count(counter, moved);
}

/*
 * Move the folios of one page table that lie in scratch to where they can be
 * preserved, for all tasks that map them. Those that cannot be moved stay.
 */
static void pram_migrate_scratch(struct vm_area_struct *vma, unsigned long addr,
				 unsigned long end, bool drain)
{
	LIST_HEAD(isolated);

	/* What waits to be put on a list cannot be taken off it. */
	if (drain)
		lru_add_drain_all();
	pram_isolate_scratch(vma, addr, end, &isolated);
	pram_migrate_isolated(&isolated, PRAM_PAGES_MIGRATED);
}

/*
 * Make the pages of a large folio folios of their own, wherever they are mapped: the
 * rest of it is not to be taken, or lies behind another mapping's protection, say.
 * Puts the reference to it. If something else holds one, too, the folio stays whole.
 */
static void pram_split_folio(struct folio *folio, bool *drained)
{
	const unsigned int nr = folio_nr_pages(folio);
	int err;

	folio_lock(folio);
	err = split_folio(folio);
	if (err == -EAGAIN && !*drained) {
		/* It may wait to be put on an LRU list. */
		lru_add_drain_all();
		*drained = true;
		err = split_folio(folio);
	}
	folio_unlock(folio);
	folio_put(folio);
	if (!err)
		pram_count(PRAM_PAGES_SPLIT, nr);
}

/* Put the page that pram_fault_in() has brought, once it was looked for. */
static void pram_put_faulted(struct pram_walk *walk)
{
	if (walk->faulted)
		put_page(walk->faulted);
	walk->faulted = NULL;
}

/*
 * How often a page is faulted in that then is not found. It may have been reclaimed
 * again, or be about to be moved; but some pages the walk can never find.
 */
#define PRAM_MAX_FAULTS		10

/*
 * Bring a page at @addr that the page table walk does not find, be it swapped out.
 * What the walk never finds is taken to be copied, up to @end.
 */
static int pram_fault_in(struct mm_struct *mm, unsigned long addr,
			 unsigned long end, struct vm_area_struct *vma,
			 struct pram_walk *walk)
{
	struct folio *folio;
	struct page *page;
	long n;

	n = get_user_pages_remote(mm, addr, 1, FOLL_FORCE | FOLL_HWPOISON, &page,
				  NULL);
	if (n <= 0)
		return n ?: -EFAULT;
	folio = page_folio(page);
	if (folio_contain_hwpoisoned_page(folio)) {
		put_page(page);
		return -EHWPOISON;
	}
	walk->faulted = page;
	if (is_vm_hugetlb_page(vma)) {
		unsigned long behind = folio_nr_pages(folio) -
				       folio_page_idx(folio, page);

		pram_take_copy(walk, page,
			       min(behind, (end - addr) >> PAGE_SHIFT),
			       PRAM_COPY_HUGETLB);
	} else if (walk->faults++ == PRAM_MAX_FAULTS) {
		pram_take_copy(walk, page, 1, PRAM_COPY_SWAPPED);
	}
	if (walk->nr_copy)
		pram_put_faulted(walk);
	return 0;
}

/* Where from @addr on the next page table is, or @end. */
static unsigned long pram_next_table(struct mm_struct *mm, unsigned long addr,
				     unsigned long end)
{
	while (addr < end) {
		pgd_t *pgd = pgd_offset(mm, addr);
		p4d_t *p4d;
		pud_t *pud;

		if (!pgd_present(*pgd)) {
			addr = pgd_addr_end(addr, end);
			continue;
		}
		p4d = p4d_offset(pgd, addr);
		if (!p4d_present(*p4d)) {
			addr = p4d_addr_end(addr, end);
			continue;
		}
		pud = pud_offset(p4d, addr);
		if (!pud_present(*pud)) {
			addr = pud_addr_end(addr, end);
			continue;
		}
		if (!pmd_none(pmdp_get_lockless(pmd_offset(pud, addr))))
			break;
		addr = pmd_addr_end(addr, end);
	}
	return addr;
}

/*
 * Where from @addr on, up to @end within a mapping, there may be something of a task's
 * own. Pages of a file become that by a write fault, which needs an anon_vma.
 */
static unsigned long pram_next_present(struct vm_area_struct *vma,
				       unsigned long addr, unsigned long end)
{
	/* Where userfaultfd is possible there may be poison, too. */
	if (!vma->anon_vma && !vma_is_anonymous(vma) && !vma_is_shmem(vma))
		return end;
	return pram_next_table(vma->vm_mm, addr, end);
}

/* How much is taken without letting others at the memory that is taken. */
#define PRAM_CHUNK	SZ_32M

/*
 * Put pages from @addr up to @end into a node, table by table, as far as they are there.
 *
 * This is what fork() does, with the same locks: see pram_protect_ptes(). To write to the
 * memory of another task a page is looked up and written to with mmap_lock held for
 * reading: both happen before this, or both after it.
 *
 * Return: 0 or an error; *@next is set to where it stopped.
 */
static int pram_take_chunk(struct pram_stream *ps, struct pram_node *node,
			   struct vm_area_struct *vma, unsigned long addr,
			   unsigned long end, struct pram_walk *walk,
			   unsigned long *next)
{
	struct mm_struct *mm = vma->vm_mm;
	struct mmu_notifier_range range;
	const unsigned long start = addr;
	int err = 0;

	mmap_assert_write_locked(mm);
	vma_start_write(vma);
	mmu_notifier_range_init(&range, MMU_NOTIFY_PROTECTION_VMA, 0, mm, start, end);
	mmu_notifier_invalidate_range_start(&range);
	/* As in copy_page_range(): those who read it do not wait. */
	raw_write_seqcount_begin(&mm->write_protect_seq);
	walk->flush = false;
	walk->stop = PRAM_COPY_NOT;
	while (addr < end && !walk->stop && !err) {
		*next = pram_take_table(vma, addr, pmd_addr_end(addr, end), walk);
		if (*next == addr)
			break;
		err = pram_append_taken(ps, node, walk);
		if (fatal_signal_pending(current))
			err = -EINTR;
		addr = *next;
		cond_resched();
	}
	*next = addr;
	raw_write_seqcount_end(&mm->write_protect_seq);
	if (walk->flush)
		flush_tlb_range(vma, start, addr);
	mmu_notifier_invalidate_range_end(&range);
	return err;
}

/*
 * Put pages from @addr up to @end at most into a node, and see to what kept it from
 * going on.
 *
 * Return: 0 or an error; *@next is set to where it stopped.
 */
static int pram_adopt_some(struct pram_stream *ps, struct pram_node *node,
			   struct mm_struct *mm, unsigned long addr,
			   unsigned long end, struct pram_walk *walk,
			   unsigned long *next)
{
	struct vm_area_struct *vma;
	int err;

	*next = addr;
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	vma = vma_lookup(mm, addr);
	/* Which pages are the task's own cannot be told there. */
	if (walk->found && vma &&
	    (is_vm_hugetlb_page(vma) || vma->vm_flags & (VM_IO | VM_PFNMAP))) {
		mmap_write_unlock(mm);
		return -EOPNOTSUPP;
	}
	/* Memory that even the kernel itself has not mapped cannot be copied either. */
	if (!vma || vma->vm_flags & (VM_IO | VM_PFNMAP) || vma_is_secretmem(vma)) {
		mmap_write_unlock(mm);
		return -EFAULT;
	}
	if (IS_ENABLED(CONFIG_SHMEM) && is_vm_hugetlb_page(vma) &&
	    ps->flags & PRAM_SAVE_FINAL && !node->holds_hugetlb) {
		/* That takes the lock of CPU hotplug. */
		mmap_write_unlock(mm);
		pram_hugetlb_hold(node);
		return 0;
	}
	end = min(vma->vm_end, end);
	if (walk->found) {
		addr = pram_next_present(vma, addr, end);
		*next = addr;
		if (addr == end) {
			mmap_write_unlock(mm);
			return 0;
		}
	}
	/* Not in the midst of a huge page. */
	if (end - addr > PRAM_CHUNK)
		end = round_down(addr + PRAM_CHUNK, PMD_SIZE);
	err = pram_take_chunk(ps, node, vma, addr, end, walk, next);
	pram_put_faulted(walk);
	if (*next != addr)
		walk->faults = 0;
	addr = *next;
	mmap_write_downgrade(mm);
	if (walk->stop == PRAM_COPY_PARTIAL) {
		pram_split_folio(walk->part_of, &walk->drained);
		walk->split = addr + PAGE_SIZE;
	} else if (walk->stop && !err) {
		end = pmd_addr_end(addr, end);
		pram_migrate_scratch(vma, addr, end, !walk->drained);
		walk->drained = true;
		walk->moved = end;
	} else if (!err && addr < end &&
		   (!walk->found || pram_has_room(walk->found, addr))) {
		err = pram_fault_in(mm, addr, end, vma, walk);
		if (walk->found && walk->nr_copy)
			pram_note(walk->found, addr, walk->nr_copy);
	}
	mmap_read_unlock(mm);
	/* Of what was faulted in. */
	*next += (unsigned long)walk->nr_copy << PAGE_SHIFT;
	return err ?: pram_append_taken(ps, node, walk);
}

/*
 * Put pages from *@addr up to @end into a node. Return: 0 or an error; *@addr is where it
 * stopped, which is before @end without an error if there was no room to note what to
 * take.
 */
static int pram_adopt_range(struct pram_stream *ps, struct pram_node *node,
			    struct mm_struct *mm, unsigned long *addr,
			    unsigned long end, struct pram_walk *walk)
{
	int err = 0;

	/* No attempt is repeated; there is none if all is to be copied. */
	walk->moved = walk->copy ? end : 0;
	walk->split = walk->moved;
	walk->faults = 0;
	while (*addr < end && !err) {
		const unsigned long before = *addr;

		if (fatal_signal_pending(current))
			err = -EINTR;
		else
			err = pram_adopt_some(ps, node, mm, before, end, walk, addr);
		if (walk->found && *addr == before &&
		    !pram_has_room(walk->found, before))
			break;
		cond_resched();
	}
	pram_put_faulted(walk);
	return err;
}

/* Return: what pram_adopt_range() needs, to be freed by kvfree(). */
static struct pram_walk *pram_walk_alloc(struct pram_stream *ps,
					 struct pram_present *found)
{
	struct pram_walk *walk = kvmalloc_obj(*walk, ps->gfp);

	if (!walk)
		return NULL;
	walk->drained = false;
	walk->block = ULONG_MAX;
	walk->faulted = NULL;
	walk->nr = 0;
	walk->nr_copy = 0;
	walk->copy = ps->flags & PRAM_SAVE_COPY;
	walk->ps = ps;
	walk->found = found;
	return walk;
}

static bool pram_range_valid(u64 start, u64 len)
{
	return PAGE_ALIGNED(start | len) && len <= TASK_SIZE_MAX &&
	       start <= TASK_SIZE_MAX - len;
}

/**
 * pram_adopt_begin - get a stream's node to take pages over
 * @ps: the stream.
 *
 * Return: the node, locked, for pram_adopt_end() or pram_stream_write_end(); as error
 * pointer -EPERM for a stream of bytes or a sealed one, -ESTALE, -EBADF.
 */
struct pram_node *pram_adopt_begin(struct pram_stream *ps)
{
	struct pram_node *node = pram_stream_write_begin(ps, false);

	if (IS_ERR(node) || node->type == PRAM_PAGE_STREAM)
		return node;
	pram_stream_write_end(node);
	return ERR_PTR(-EPERM);
}

/**
 * pram_adopt_end - let go of a node to which pages were appended
 * @file: the stream; its position and size follow.
 * @node: from pram_adopt_begin().
 * @err: what stopped it, or 0.
 */
void pram_adopt_end(struct file *file, struct pram_node *node, int err)
{
	file->f_pos = node->bytes;
	i_size_write(file_inode(file), node->bytes);
	if (err == -ENOSPC)
		pram_log_full(node->name);
	pram_stream_write_end(node);
}

/**
 * pram_adopt_ranges - append the memory of a task to a page stream
 * @file: a stream for saving pages; its position and size follow.
 * @mm: the task's memory, with a reference by mmget().
 * @ranges: multiples of the page size, within the task's memory.
 * @nr: their number.
 * @pages: set to the number of pages appended, also on an error.
 *
 * Return: 0; -EFAULT for a range that is not mapped or cannot be read, as memory of
 * memfd_secret(2); -EHWPOISON for a page that the hardware has damaged; -EINVAL for
 * a range that is not aligned; -EPERM for a stream of bytes or a sealed one;
 * -ENOMEM, -ENOSPC, -EINTR, -ESTALE, -EBADF, -ESHUTDOWN.
 */
int pram_adopt_ranges(struct file *file, struct mm_struct *mm,
		      const struct pram_range *ranges, unsigned int nr,
		      u64 *pages)
{
	struct pram_stream *ps = file->private_data;
	struct pram_walk *walk;
	struct pram_node *node;
	int err = 0;
	u64 before;

	*pages = 0;
	node = pram_adopt_begin(ps);
	if (IS_ERR(node))
		return PTR_ERR(node);
	walk = pram_walk_alloc(ps, NULL);
	if (!walk) {
		pram_stream_write_end(node);
		return -ENOMEM;
	}

	before = node->bytes;
	for (unsigned int i = 0; i < nr && !err; i++) {
		unsigned long addr = ranges[i].start;

		if (!pram_range_valid(addr, ranges[i].len))
			err = -EINVAL;
		else
			err = pram_adopt_range(ps, node, mm, &addr,
					       addr + ranges[i].len, walk);
	}
	*pages = (node->bytes - before) >> PAGE_SHIFT;
	kvfree(walk);
	pram_adopt_end(file, node, err);
	return err;
}

/**
 * pram_adopt_present - append what is a task's own in a range to a page stream
 * @file: a stream for saving pages; its position and size follow.
 * @mm: the task's memory, with a reference by mmget().
 * @start: multiple of the page size; set to where it stopped, which is before @end if
 *	there was no room in @found.
 * @end: multiple of the page size; all is mapped up to here.
 * @found: where to note what was appended.
 * @pages: set to the number of pages appended, also on an error.
 *
 * Return: 0; -EOPNOTSUPP for hugetlb and devices; as pram_adopt_ranges().
 */
int pram_adopt_present(struct file *file, struct mm_struct *mm, u64 *start, u64 end,
		       struct pram_present *found, u64 *pages)
{
	struct pram_stream *ps = file->private_data;
	unsigned long addr = *start;
	struct pram_walk *walk;
	struct pram_node *node;
	u64 before;
	int err;

	*pages = 0;
	if (end < addr || !pram_range_valid(addr, end - addr))
		return -EINVAL;
	node = pram_adopt_begin(ps);
	if (IS_ERR(node))
		return PTR_ERR(node);
	walk = pram_walk_alloc(ps, found);
	if (!walk) {
		pram_stream_write_end(node);
		return -ENOMEM;
	}
	/* No address: nothing was found in front of the first one. */
	found->last_end = ULONG_MAX;
	before = node->bytes;
	err = pram_adopt_range(ps, node, mm, &addr, end, walk);
	*start = addr;
	*pages = (node->bytes - before) >> PAGE_SHIFT;
	kvfree(walk);
	pram_adopt_end(file, node, err);
	return err;
}
