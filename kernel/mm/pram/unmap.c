// SPDX-License-Identifier: GPL-2.0
/*
 * Undoing the mappings of shared memory that is about to be taken over.
 *
 * unmap_mapping_pages() goes through reverse mapping, statistics and references for each
 * page by itself, as the page may be freed. Here the file keeps them. So the entries of
 * a page table are cleared in one go, the TLB is flushed once, and what the entries
 * stood for is given back together.
 */

#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pgtable.h>
#include <linux/rmap.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>
#include <linux/vmstat.h>

#include <asm/tlbflush.h>

#include "../internal.h"
#include "internal.h"

/*
 * May entries of its page tables just be cleared? Whoever locks them in memory, or has a
 * userfaultfd watch them, says so first, and then goes through the page tables.
 */
static bool pram_vma_is_plain(struct vm_area_struct *vma)
{
	const vm_flags_t special = VM_LOCKED | VM_IO | VM_PFNMAP | VM_MIXEDMAP |
				   VM_HUGETLB;

	return (READ_ONCE(vma->vm_flags) & (VM_SHARED | special)) == VM_SHARED &&
	       !userfaultfd_armed(vma);
}

/* Give back what the entries of a page table stood for; the TLB has them no more. */
static void pram_put_mapped(struct folio **folios, unsigned int nr)
{
	unsigned int same;

	rcu_read_lock();
	for (unsigned int i = 0; i < nr; i += same) {
		long unmapped = 0;

		same = pram_counted_alike(folios + i, nr - i);
		for (unsigned int j = i; j < i + same; j++)
			unmapped += atomic_add_negative(-1, &folios[j]->_mapcount);
		lruvec_stat_mod_folio(folios[i], NR_FILE_MAPPED, -unmapped);
	}
	rcu_read_unlock();
	for (unsigned int i = 0; i < nr; i++)
		folio_put(folios[i]);
}

/* Clear the entries of small folios in a page table. @folios has room for all of them. */
static void pram_unmap_table(struct vm_area_struct *vma, unsigned long addr,
			     unsigned long end, struct folio **folios)
{
	struct mm_struct *mm = vma->vm_mm;
	const unsigned long start = addr;
	pte_t *first = NULL, *ptep;
	unsigned int nr = 0;
	spinlock_t *ptl;
	pmd_t *pmdp;

	pmdp = mm_find_pmd(mm, addr);
	if (pmdp)
		first = pte_offset_map_lock(mm, pmdp, addr, &ptl);
	if (!first)
		return;
	if (!pram_vma_is_plain(vma))
		end = addr;
	for (ptep = first; addr < end; addr += PAGE_SIZE, ptep++) {
		pte_t pte = ptep_get(ptep);
		struct folio *folio;
		struct page *page;

		page = pte_present(pte) ? vm_normal_page(vma, addr, pte) : NULL;
		if (!page)
			continue;
		folio = page_folio(page);
		if (folio_test_large(folio) || folio_test_anon(folio))
			continue;
		pte = ptep_get_and_clear(mm, addr, ptep);
		if (pte_dirty(pte) && !folio_test_dirty(folio))
			folio_mark_dirty(folio);
		if (pte_young(pte) && !folio_test_referenced(folio))
			folio_set_referenced(folio);
		folios[nr++] = folio;
	}
	if (nr) {
		/* Before somebody can think that they are not mapped. */
		flush_tlb_range(vma, start, end);
		pram_put_mapped(folios, nr);
		add_mm_counter(mm, MM_SHMEMPAGES, -(long)nr);
	}
	pte_unmap_unlock(first, ptl);
}

static void pram_unmap_vma(struct vm_area_struct *vma, unsigned long addr,
			   unsigned long end, struct folio **folios)
{
	struct mmu_notifier_range range;
	unsigned long next;

	mmu_notifier_range_init(&range, MMU_NOTIFY_CLEAR, 0, vma->vm_mm, addr, end);
	update_hiwater_rss(vma->vm_mm);
	mmu_notifier_invalidate_range_start(&range);
	for (; addr < end; addr = next) {
		next = pmd_addr_end(addr, end);
		pram_unmap_table(vma, addr, next, folios);
		cond_resched();
	}
	mmu_notifier_invalidate_range_end(&range);
}

/**
 * pram_unmap_file - undo all mappings of pages of shared memory
 * @mapping: the file's, of shmem.
 * @start: the first page.
 * @nr: how many, at least 1.
 *
 * They may be mapped again at once: to rule that out takes the lock of the folio.
 */
void pram_unmap_file(struct address_space *mapping, pgoff_t start, pgoff_t nr)
{
	struct folio **folios = NULL;
	struct vm_area_struct *vma;

	if (mapping_mapped(mapping))
		folios = kmalloc_array(PTRS_PER_PTE, sizeof(*folios), GFP_KERNEL);
	if (folios) {
		i_mmap_lock_read(mapping);
		pram_for_each_vma(vma, mapping, start, start + nr - 1) {
			const pgoff_t first = max(start, vma->vm_pgoff);
			const pgoff_t end = min(start + nr, vma->vm_pgoff + vma_pages(vma));

			pram_unmap_vma(vma, vma->vm_start +
				       ((first - vma->vm_pgoff) << PAGE_SHIFT),
				       vma->vm_start +
				       ((end - vma->vm_pgoff) << PAGE_SHIFT), folios);
		}
		i_mmap_unlock_read(mapping);
		kfree(folios);
	}
	/* Large folios, what is locked in memory, and so on. */
	unmap_mapping_pages(mapping, start, nr, false);
}
