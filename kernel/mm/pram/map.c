// SPDX-License-Identifier: GPL-2.0
/*
 * Giving the pages of a node to a task.
 *
 * While a load is under way the node keeps its reference to a folio that it has
 * mapped, and the mapping is not exclusive: whoever writes gets a copy, and a
 * load that fails has changed nothing. When it is finished the node lets go of
 * the folio, and the mapping is made writable in place where it is the only one,
 * which spares the task a fault for each page.
 *
 * A folio that is mapped here goes on an LRU list when the node lets go of it:
 * nobody could reclaim it before.
 */

#include <kunit/static_stub.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/oom.h>
#include <linux/pagemap.h>
#include <linux/pgalloc.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/uio.h>
#include <linux/userfaultfd_k.h>

#include "../internal.h"
#include "internal.h"

/**
 * struct pram_mapping - a range of memory that folios of a node are mapped into
 * @link: in &pram_node.mappings.
 * @mm: the memory, held by mmgrab().
 * @addr: start of the range.
 * @page: the node's page that is mapped there.
 * @nr: length of the range in pages.
 */
struct pram_mapping {
	struct list_head	link;
	struct mm_struct	*mm;
	unsigned long		addr;
	u64			page;
	u64			nr;
};

/* Without a record a mapping is not made writable at the end: that is all. */
static void pram_mapping_add(struct pram_node *node, struct mm_struct *mm,
			     unsigned long addr, u64 page, u64 nr)
{
	struct pram_mapping *mapping;

	guard(mutex)(&node->mappings_lock);
	if (!list_empty(&node->mappings)) {
		mapping = list_last_entry(&node->mappings, struct pram_mapping,
					  link);
		if (mapping->mm == mm && mapping->page + mapping->nr == page &&
		    mapping->addr + (mapping->nr << PAGE_SHIFT) == addr) {
			mapping->nr += nr;
			return;
		}
	}
	mapping = kmalloc_obj(*mapping);
	if (!mapping)
		return;
	mmgrab(mm);
	mapping->mm = mm;
	mapping->addr = addr;
	mapping->page = page;
	mapping->nr = nr;
	list_add_tail(&mapping->link, &node->mappings);
}

/**
 * pram_map_drop - forget where folios of a node have been mapped
 * @node: the node; folios stay where they are.
 */
void pram_map_drop(struct pram_node *node)
{
	struct pram_mapping *mapping, *next;

	guard(mutex)(&node->mappings_lock);
	list_for_each_entry_safe(mapping, next, &node->mappings, link) {
		list_del(&mapping->link);
		mmdrop(mapping->mm);
		kfree(mapping);
	}
}

static bool pram_vma_mappable(struct vm_area_struct *vma)
{
	const vm_flags_t no = VM_SHARED | VM_HUGETLB | VM_SPECIAL |
			      VM_SHADOW_STACK | VM_DROPPABLE;

	if (vma->vm_flags & no || !(vma->vm_flags & VM_WRITE))
		return false;
	if (!vma_is_anonymous(vma) && (!vma->vm_file || vma_is_dax(vma)))
		return false;
	return !userfaultfd_armed(vma);
}

/**
 * pram_take_off_lru - take a folio off its LRU list
 * @folio: the folio. If somebody is trying to reclaim or to move it at the moment, it
 *	was taken off for that, and will be put back.
 */
void pram_take_off_lru(struct folio *folio)
{
	KUNIT_STATIC_STUB_REDIRECT(pram_take_off_lru, folio);
	if (!folio_isolate_lru(folio))
		return;
	/* They mean nothing on no list, and whoever freed it then would find a bad page. */
	folio_clear_active(folio);
	folio_clear_unevictable(folio);
	folio_put(folio);
}

/*
 * Take those folios off their LRU lists that the list of the first one has, or are on none,
 * and add them to @off. Return: how many have been looked at, at least 1.
 */
static unsigned int pram_take_off_lruvec(struct folio **folios, unsigned int nr,
					 struct folio_batch *off)
{
	struct lruvec *lruvec;
	enum lru_list lru = NR_LRU_LISTS, its_lru;
	enum zone_type zone = 0;
	unsigned long flags;
	unsigned int i;
	long pages = 0;

	lruvec = folio_lruvec_lock_irqsave(folios[0], &flags);
	for (i = 0; i < nr && folio_batch_space(off); i++) {
		struct folio *folio = folios[i];

		if (i && !folio_matches_lruvec(folio, lruvec))
			break;
		/* Others may have taken it off, to reclaim or to move it, and put it back. */
		if (!folio_test_clear_lru(folio))
			continue;
		folio_batch_add(off, folio);
		/* As lruvec_del_folio(), but for the size of the list. */
		its_lru = folio_lru_list(folio);
		if (lru_gen_del_folio(lruvec, folio, false))
			continue;
		if (lru != its_lru || zone != folio_zonenum(folio)) {
			if (pages)
				update_lru_size(lruvec, lru, zone, -pages);
			lru = its_lru;
			zone = folio_zonenum(folio);
			pages = 0;
		}
		if (lru != LRU_UNEVICTABLE)
			list_del(&folio->lru);
		pages += folio_nr_pages(folio);
	}
	if (pages)
		update_lru_size(lruvec, lru, zone, -pages);
	lruvec_unlock_irqrestore(lruvec, flags);
	return i;
}

/**
 * pram_retire_folios - have folios be a node's alone
 * @folios: locked folios that the node has, and that have been taken out of their file.
 * @nr: how many.
 *
 * They come off their LRU lists, are charged to nobody, and are as good as new, but for
 * those that somebody looks at: pram_folio_reset() is for these.
 */
void pram_retire_folios(struct folio **folios, unsigned int nr)
{
	const unsigned long used = BIT(PG_active) | BIT(PG_unevictable) |
				   BIT(PG_referenced) | BIT(PG_workingset) |
				   BIT(PG_swapbacked) | BIT(PG_dirty) | LRU_REFS_MASK;
	struct folio_batch off;
	unsigned int done = 0;

	while (done < nr) {
		folio_batch_init(&off);
		done += pram_take_off_lruvec(folios + done, nr - done, &off);
		mem_cgroup_uncharge_folios(&off);
		for (unsigned int i = 0; i < folio_batch_count(&off); i++)
			set_mask_bits(&off.folios[i]->flags.f, used, 0UL);
	}
}

/**
 * pram_folio_reset - make a folio as good as new
 * @folio: a folio of a node, locked and not mapped. It may have been a task's or a
 *	file's in this boot, or have been given to one by a load that failed.
 *
 * Return: false if somebody else is looking at it, or it is one of hugetlb.
 */
bool pram_folio_reset(struct folio *folio)
{
	unsigned long holders;
	bool on_lru;

	/* Nor can one be that the pool gets back. */
	if (folio_test_hugetlb(folio))
		return false;
	/* What was a file's and is charged to nobody is still marked as swap-backed. */
	if (!folio->mapping && !folio_test_lru(folio) &&
	    !folio_test_swapbacked(folio) && !folio_test_swapcache(folio) &&
	    !folio_memcg_charged(folio))
		return true;
	if (folio_test_ksm(folio) || folio_test_writeback(folio) ||
	    (folio->mapping && !folio_test_anon(folio)))
		return false;
	if (folio_test_swapcache(folio) && !folio_free_swap(folio))
		return false;
	pram_take_off_lru(folio);

	holders = pram_frame_holders(folio);
	if (!folio_ref_freeze(folio, holders))
		return false;
	/* Nobody else has a reference now, but may have had one, and put it back. */
	on_lru = folio_test_lru(folio);
	if (!on_lru)
		folio_unqueue_deferred_split(folio);
	folio_ref_unfreeze(folio, holders);
	if (on_lru)
		return false;
	mem_cgroup_uncharge(folio);

	if (folio_test_anon(folio)) {
		/* Left set, it would make shared memory writable. */
		for (long i = 0; i < folio_nr_pages(folio); i++)
			ClearPageAnonExclusive(folio_page(folio, i));
		mod_mthp_stat(folio_order(folio), MTHP_STAT_NR_ANON, -1);
		folio->mapping = NULL;
	}
	if (folio_test_clear_mlocked(folio))
		zone_stat_mod_folio(folio, NR_MLOCK, -folio_nr_pages(folio));
	folio_clear_active(folio);
	folio_clear_unevictable(folio);
	folio_clear_referenced(folio);
	folio_clear_workingset(folio);
	folio_clear_swapbacked(folio);
	folio_clear_dirty(folio);
	return true;
}

/* Pages of a folio that are about to be mapped; the folio is locked. */
struct pram_ready {
	struct folio	*folio;
	unsigned int	first;		/* the first of them, in the folio */
	unsigned int	nr;
	bool		fresh;		/* the folio is mapped nowhere yet */
};

/* How often a read or ioctl waits for others to drop a reference that they have for a moment. */
#define PRAM_PATIENCE	10

/**
 * struct pram_mapper - what a mapping of pages needs to know
 * @node: whose pages.
 * @family: whom the node shares pages with; NULL if it shares none.
 * @mm: the caller's memory.
 * @replace: what is there already may be replaced.
 * @same: pages found to be there already.
 * @patience: how often it may still wait.
 * @found: what was found last.
 * @mapped: pages mapped, and not yet accounted for.
 * @nr_ready: used elements of @ready.
 * @ready: pages of one page table.
 * @fresh: instead, what pram_fresh_folio() has found.
 */
struct pram_mapper {
	struct pram_node	*node;
	struct pram_family	*family;
	struct mm_struct	*mm;
	bool			replace;
	u64			same;
	unsigned int		patience;
	struct pram_found	found;
	unsigned int		mapped;
	unsigned int		nr_ready;
	struct pram_ready	ready[PTRS_PER_PTE];
	struct folio		*fresh[PTRS_PER_PTE];
};

/* Where else a task may have pages of a folio. */
struct pram_other_place {
	struct vm_area_struct	*vma;		/* not here */
	pgoff_t			first, last;	/* the pages */
	bool			found;
};

/* The pages of what was found from the node's page @page on. */
static unsigned int pram_found_rest(const struct pram_found *found, u64 page)
{
	return found->first_page + found->nr - page;
}

static unsigned int pram_found_index(const struct pram_found *found, u64 page)
{
	return found->offset + (page - found->first_page);
}

static bool pram_is_other_place(struct folio *folio, struct vm_area_struct *vma,
				unsigned long addr, void *arg)
{
	struct pram_other_place *place = arg;
	pgoff_t start = linear_anon_page_index(vma, vma->vm_start);

	if (vma->vm_mm != place->vma->vm_mm || vma == place->vma ||
	    start > place->last || start + vma_pages(vma) <= place->first)
		return true;
	place->found = true;
	return false;
}

/*
 * Might the task have pages of a mapped folio elsewhere, too? The kernel would take them
 * for not shared, and let it write to them: nobody else maps a large folio twice.
 */
static bool pram_has_elsewhere(struct pram_ready *ready,
			       struct vm_area_struct *vma)
{
	struct pram_other_place place = {
		.vma = vma,
		.first = ready->folio->index + ready->first,
		.last = ready->folio->index + ready->first + ready->nr - 1,
	};
	struct rmap_walk_control rwc = {
		.arg = &place,
		.rmap_one = pram_is_other_place,
		.anon_lock = folio_lock_anon_vma_read,
	};

	rmap_walk(ready->folio, &rwc);
	return place.found;
}

/*
 * A folio that is mapped can be mapped here as well, by us as by a child, if
 * reverse mapping finds this mapping, too: through the root of all that the family
 * has, which each region was linked to, and by the same index.
 */
static bool pram_can_share(struct pram_ready *ready, struct vm_area_struct *vma,
			   unsigned long addr)
{
	struct folio *folio = ready->folio;

	if (!folio_test_anon(folio) || folio_test_ksm(folio) ||
	    folio_test_hugetlb(folio) ||
	    folio_anon_vma(folio) != vma->anon_vma->root ||
	    folio->index + ready->first != linear_anon_page_index(vma, addr))
		return false;
	for (unsigned int i = 0; i < ready->nr; i++)
		if (PageAnonExclusive(folio_page(folio, ready->first + i)))
			return false;
	return !folio_test_large(folio) || !pram_has_elsewhere(ready, vma);
}

/**
 * pram_folio_reset_patiently - make a folio as good as new, or wait until it can be
 * @folio: see pram_folio_reset().
 * @patience: how often it may still wait for those who look at the folio only in passing.
 *
 * Return: as pram_folio_reset().
 */
bool pram_folio_reset_patiently(struct folio *folio, unsigned int *patience)
{
	while (!pram_folio_reset(folio)) {
		if (!*patience || folio_test_hugetlb(folio))
			return false;
		/* What waits to be put on an LRU list has a reference for it. */
		if (*patience == PRAM_PATIENCE)
			lru_add_drain_all();
		else
			schedule_timeout_uninterruptible(1);
		(*patience)--;
	}
	return true;
}

static int pram_charge_folio(struct pram_mapper *mapper, struct folio *folio)
{
	if (mem_cgroup_charge(folio, mapper->mm, GFP_KERNEL))
		return -ENOMEM;
	/* Or the cgroup could not queue it to be split. */
	if (folio_order(folio) > 1 && folio_memcg_alloc_deferred(folio)) {
		mem_cgroup_uncharge(folio);
		return -ENOMEM;
	}
	return 0;
}

/*
 * Get pages of what was found ready to be mapped at @addr, up to @end: the folio
 * locked, and charged if it is fresh. @page is the node's page for @addr.
 *
 * Return: 1; 0 if they cannot be mapped there; -EAGAIN if those that are ready have
 * to be mapped first; -ENOMEM; -EINTR.
 */
static int pram_get_ready(struct pram_mapper *mapper, struct vm_area_struct *vma,
			  unsigned long addr, unsigned long end, u64 page)
{
	struct pram_ready *ready = &mapper->ready[mapper->nr_ready];
	struct pram_found *found = &mapper->found;
	struct folio *folio = found->folio;
	int err;

	*ready = (struct pram_ready){
		.folio = folio,
		.first = pram_found_index(found, page),
		.nr = min(pram_found_rest(found, page),
			  (end - addr) >> PAGE_SHIFT),
	};
	/*
	 * A relative may be mapping it. With another folio locked this must not wait:
	 * two tasks could lock them in different orders.
	 */
	if (!folio_trylock(folio)) {
		if (mapper->nr_ready)
			return -EAGAIN;
		if (folio_lock_killable(folio))
			return -EINTR;
	}
	if (folio_mapped(folio)) {
		if (!pram_can_share(ready, vma, addr))
			goto no;
	} else {
		/* Its first page would have no index. */
		if (linear_anon_page_index(vma, addr) < ready->first ||
		    !pram_folio_reset_patiently(folio, &mapper->patience))
			goto no;
		err = pram_charge_folio(mapper, folio);
		if (err) {
			folio_unlock(folio);
			return err;
		}
		ready->fresh = true;
	}
	mapper->nr_ready++;
	return 1;
no:
	folio_unlock(folio);
	return 0;
}

/* Let go of the folios from @first on, which were not mapped. */
static void pram_not_ready(struct pram_mapper *mapper, unsigned int first)
{
	for (unsigned int i = first; i < mapper->nr_ready; i++) {
		struct pram_ready *ready = &mapper->ready[i];

		if (ready->fresh)
			mem_cgroup_uncharge(ready->folio);
		folio_unlock(ready->folio);
	}
	mapper->nr_ready = first;
}

static void pram_folio_mapped(struct pram_mapper *mapper,
			      struct pram_ready *ready)
{
	if (ready->fresh)
		pram_frame_set_off_lru(ready->folio);
	mapper->mapped += ready->nr;
}

/* Account for what pram_folio_mapped() has counted; under the page table lock. */
static void pram_account_mapped(struct pram_mapper *mapper)
{
	if (!mapper->mapped)
		return;
	add_mm_counter(mapper->mm, MM_ANONPAGES, mapper->mapped);
	pram_count(PRAM_PAGES_MAPPED, mapper->mapped);
	pram_count(PRAM_BYTES_LOADED, (u64)mapper->mapped << PAGE_SHIFT);
	mapper->mapped = 0;
}

/* Before a fresh folio is mapped: what allocation and fault would have done. */
static void pram_folio_init(struct folio *folio)
{
	if (folio_test_large(folio))
		folio_set_large_rmappable(folio);
	__folio_mark_uptodate(folio);
}

/*
 * As folio_add_new_anon_rmap(), for pages of a large folio, mapped by PTEs: that
 * would take it for mapped whole, and a huge one by a PMD.
 */
static void pram_add_new_rmap_ptes(const struct pram_ready *ready,
				   struct vm_area_struct *vma, unsigned long addr)
{
	struct folio *folio = ready->folio;
	void *root = vma->anon_vma->root;

	folio_set_swapbacked(folio);
	WRITE_ONCE(folio->mapping, root + FOLIO_MAPPING_ANON);
	folio->index = linear_anon_page_index(vma, addr) - ready->first;
	folio_add_anon_rmap_ptes(folio, folio_page(folio, ready->first),
				 ready->nr, vma, addr, RMAP_NONE);
	mod_mthp_stat(folio_order(folio), MTHP_STAT_NR_ANON, 1);
}

static void pram_set_ptes(struct pram_mapper *mapper, struct pram_ready *ready,
			  struct vm_area_struct *vma, unsigned long addr,
			  pte_t *ptep)
{
	struct folio *folio = ready->folio;
	struct page *page = folio_page(folio, ready->first);
	pte_t pte;

	folio_ref_add(folio, ready->nr);
	if (!ready->fresh) {
		folio_add_anon_rmap_ptes(folio, page, ready->nr, vma, addr,
					 RMAP_NONE);
	} else {
		pram_folio_init(folio);
		if (folio_test_large(folio))
			pram_add_new_rmap_ptes(ready, vma, addr);
		else
			folio_add_new_anon_rmap(folio, vma, addr, RMAP_NONE);
	}
	pte = pte_mksoft_dirty(mk_pte(page, vma->vm_page_prot));
	set_ptes(vma->vm_mm, addr, ptep, pte, ready->nr);
	update_mmu_cache_range(NULL, vma, addr, ptep, ready->nr);
	pram_folio_mapped(mapper, ready);
}

/* Does the page table have these pages of a folio at @ptep? Not of a special mapping. */
static bool pram_ptes_map(pte_t *ptep, struct folio *folio, unsigned int first,
			  unsigned int nr)
{
	const unsigned long pfn = folio_pfn(folio) + first;

	for (unsigned int i = 0; i < nr; i++) {
		pte_t pte = ptep_get(ptep + i);

		if (!pte_present(pte) || pte_special(pte) ||
		    pte_pfn(pte) != pfn + i)
			return false;
	}
	return true;
}

/* How many are empty of @nr entries, from the first one on? */
static unsigned int pram_ptes_none(pte_t *ptep, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!pte_none(ptep_get(ptep + i)))
			break;
	return i;
}

/* How the mapping of a part came out, if it is not an error. */
enum pram_mapped {
	PRAM_MAPPED,		/* all that was asked for */
	PRAM_OCCUPIED,		/* there is something behind what was done */
	PRAM_UNMAPPABLE,	/* what follows has to be copied */
};

/**
 * pram_fresh_folio - get a folio that is as good as new
 * @node: the node, whose mappings_lock is held if something is to be done with it.
 * @shared: the node may have folios that other nodes have, too.
 * @entry: an entry of the node's.
 *
 * Return: its folio if that is a single page as KHO or the allocator have given it to the
 * node, and no other node has it. Then nobody else can map it, so it needs no lock but
 * that of the node, and nothing of it has to be reset. Otherwise NULL.
 */
struct folio *pram_fresh_folio(const struct pram_node *node, bool shared, u64 entry)
{
	const unsigned long used = (PAGE_FLAGS_CHECK_AT_PREP | __PG_HWPOISON) &
				   ~BIT(PG_uptodate);
	struct folio *folio;

	/* Checksums are verified one by one. */
	if (entry & (PRAM_ENTRY_ORDER | PRAM_ENTRY_SHARED) ||
	    node->verified)
		return NULL;
	folio = pfn_folio(FIELD_GET(PRAM_ENTRY_PFN, entry));
	/* It is not locked: those who walk all of memory, say, may look at it. */
	if (READ_ONCE(folio->mapping) || READ_ONCE(folio->flags.f) & used ||
	    folio_memcg_charged(folio) ||
	    (shared && pram_frame_is_shared(folio)))
		return NULL;
	return folio;
}

/*
 * Map pages by the page table @pmdp, from @addr up to @end, which are in one page
 * table and VMA. @page is the node's page for @addr.
 *
 * Return: enum pram_mapped or -ENOMEM, -EBADMSG, -EINTR; *@done is set to the number of
 * pages that are mapped.
 */
static int pram_map_table(struct pram_mapper *mapper, struct vm_area_struct *vma,
			  pmd_t *pmdp, unsigned long addr, unsigned long end,
			  u64 page, u64 *done)
{
	struct pram_found *found = &mapper->found;
	unsigned long start = addr, nr;
	pte_t *first, *ptep;
	bool occupied = false;
	unsigned int i;
	spinlock_t *ptl;
	int ret = PRAM_MAPPED;

	*done = 0;
	mapper->nr_ready = 0;
	while (addr < end) {
		ret = pram_data_find(mapper->node, page, found);
		if (ret < 0)
			break;
		if (ret && mapper->nr_ready &&
		    pram_fresh_folio(mapper->node, mapper->family, found->entry)) {
			/* That is for pram_map_fresh(). */
			ret = PRAM_MAPPED;
			break;
		}
		if (ret)
			ret = pram_get_ready(mapper, vma, addr, end, page);
		if (ret <= 0) {
			if (!ret)
				ret = PRAM_UNMAPPABLE;
			break;
		}
		nr = mapper->ready[mapper->nr_ready - 1].nr;
		ret = PRAM_MAPPED;
		addr += nr << PAGE_SHIFT;
		page += nr;
	}
	/* An error of a later folio is met again when it is its turn. */
	if (!mapper->nr_ready)
		return ret;

	addr = start;
	first = pte_offset_map_lock(mapper->mm, pmdp, addr, &ptl);
	ptep = first;
	for (i = 0; first && i < mapper->nr_ready && !occupied; i++) {
		struct pram_ready *ready = &mapper->ready[i];
		unsigned int none;

		if (mapper->replace &&
		    pram_ptes_map(ptep, ready->folio, ready->first,
				  ready->nr)) {
			mapper->same += ready->nr;
			pram_count(PRAM_PAGES_SAME, ready->nr);
			if (ready->fresh)
				break;
		} else {
			none = pram_ptes_none(ptep, ready->nr);
			if (!none)
				break;
			occupied = none < ready->nr;
			ready->nr = none;
			pram_set_ptes(mapper, ready, vma, addr, ptep);
		}
		folio_unlock(ready->folio);
		addr += (unsigned long)ready->nr << PAGE_SHIFT;
		ptep += ready->nr;
	}
	pram_account_mapped(mapper);
	if (first)
		pte_unmap_unlock(first, ptl);
	*done = (addr - start) >> PAGE_SHIFT;
	if (i < mapper->nr_ready || occupied) {
		ret = first ? PRAM_OCCUPIED : PRAM_UNMAPPABLE;
		pram_not_ready(mapper, i);
	}
	return ret < 0 ? PRAM_MAPPED : ret;
}

/* From what was found on, find at most @max in a row, of one NUMA node, and charge them. */
static int pram_find_fresh(struct pram_mapper *mapper, unsigned int max)
{
	const struct pram_found *found = &mapper->found;
	const struct pram_map_ser *map = mapper->node->maps[found->map];
	const u64 *end = map->entries + map->nr_entries;
	struct folio **fresh = mapper->fresh;
	unsigned int nr = 0;

	for (const u64 *at = found->where; at < end && nr < max; at++, nr++) {
		fresh[nr] = pram_fresh_folio(mapper->node, mapper->family, *at);
		if (!fresh[nr] || folio_nid(fresh[nr]) != folio_nid(fresh[0]))
			break;
	}
	if (!nr || !mem_cgroup_charge_pages(fresh, nr, mapper->mm, GFP_KERNEL))
		return nr;
	/* For one there may be room that is not there for all. */
	return pram_charge_folio(mapper, fresh[0]) ?: 1;
}

/* As pram_map_table(), for pages that pram_fresh_folio() knows. */
static int pram_map_fresh(struct pram_mapper *mapper, struct vm_area_struct *vma,
			  pmd_t *pmdp, unsigned long addr, unsigned long end,
			  u64 *done)
{
	struct folio **fresh = mapper->fresh;
	unsigned int i, mapped = 0;
	pte_t *first, *ptep;
	spinlock_t *ptl;
	int nr;

	nr = pram_find_fresh(mapper, (end - addr) >> PAGE_SHIFT);
	if (nr <= 0)
		return nr ?: PRAM_UNMAPPABLE;

	first = pte_offset_map_lock(mapper->mm, pmdp, addr, &ptl);
	ptep = first;
	if (first)
		mapped = pram_ptes_none(ptep, nr);
	for (i = 0; i < mapped; i++) {
		/* Not a plain store: a hardware error may mark it at any time. */
		set_mask_bits(&fresh[i]->flags.f, 0UL,
			      BIT(PG_uptodate) | BIT(PG_swapbacked));
		folio_get(fresh[i]);
		pram_frame_set_off_lru(fresh[i]);
	}
	if (mapped)
		folios_add_new_anon_rmap(fresh, mapped, vma, addr);
	/* Before anybody finds them in the page table, as in folio_mark_uptodate(). */
	smp_wmb();
	for (i = 0; i < mapped; i++, ptep++, addr += PAGE_SIZE)
		set_pte_at(mapper->mm, addr, ptep,
			   pte_mksoft_dirty(folio_mk_pte(fresh[i], vma->vm_page_prot)));
	mapper->mapped = mapped;
	pram_account_mapped(mapper);
	if (first)
		pte_unmap_unlock(first, ptl);

	*done = mapped;
	for (; i < nr; i++)
		mem_cgroup_uncharge(fresh[i]);
	if (!first)
		return PRAM_UNMAPPABLE;
	return mapped < nr ? PRAM_OCCUPIED : PRAM_MAPPED;
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* As pram_map_table(), for one huge page. */
static int pram_map_huge(struct pram_mapper *mapper, struct vm_area_struct *vma,
			 pmd_t *pmdp, unsigned long addr, u64 page)
{
	struct pram_ready *ready = &mapper->ready[0];
	struct folio *folio = mapper->found.folio;
	pgtable_t pgtable;
	spinlock_t *ptl;
	pmd_t pmd;
	int ret;

	mapper->nr_ready = 0;
	ret = pram_get_ready(mapper, vma, addr, addr + HPAGE_PMD_SIZE, page);
	if (ret <= 0)
		return ret ?: PRAM_UNMAPPABLE;
	pgtable = pte_alloc_one(mapper->mm);
	if (!pgtable) {
		pram_not_ready(mapper, 0);
		return -ENOMEM;
	}

	ptl = pmd_lock(mapper->mm, pmdp);
	if (!pmd_none(*pmdp)) {
		spin_unlock(ptl);
		pte_free(mapper->mm, pgtable);
		pram_not_ready(mapper, 0);
		return PRAM_OCCUPIED;
	}
	pgtable_trans_huge_deposit(mapper->mm, pmdp, pgtable);
	mm_inc_nr_ptes(mapper->mm);
	folio_get(folio);
	if (ready->fresh) {
		pram_folio_init(folio);
		folio_add_new_anon_rmap(folio, vma, addr, RMAP_NONE);
	} else {
		folio_add_anon_rmap_pmd(folio, folio_page(folio, 0), vma, addr,
					RMAP_NONE);
	}
	pmd = pmd_mksoft_dirty(folio_mk_pmd(folio, vma->vm_page_prot));
	set_pmd_at(mapper->mm, addr, pmdp, pmd);
	update_mmu_cache_pmd(vma, addr, pmdp);
	pram_folio_mapped(mapper, ready);
	pram_account_mapped(mapper);
	spin_unlock(ptl);
	folio_unlock(folio);
	return PRAM_MAPPED;
}
#else
static int pram_map_huge(struct pram_mapper *mapper, struct vm_area_struct *vma,
			 pmd_t *pmdp, unsigned long addr, u64 page)
{
	return PRAM_UNMAPPABLE;
}
#endif

/*
 * Clear what the page table has from @addr up to @end and what is not the node's
 * from @page on: what a child has inherited and its parent had changed, say.
 */
static void pram_clear_others(struct pram_mapper *mapper,
			      struct vm_area_struct *vma, pmd_t *pmdp,
			      unsigned long addr, unsigned long end, u64 page)
{
	const unsigned int nr = (end - addr) >> PAGE_SHIFT;
	DECLARE_BITMAP(others, PTRS_PER_PTE) = {};
	struct pram_found found = mapper->found;
	unsigned int first, last;
	pte_t *ptep;
	spinlock_t *ptl;

	/* Checksums take time: have them verified before the lock is taken. */
	for (unsigned int i = 0; i < nr; i++)
		if (pram_data_find(mapper->node, page + i, &found) <= 0)
			return;

	ptep = pte_offset_map_lock(mapper->mm, pmdp, addr, &ptl);
	if (!ptep)
		return;
	for (unsigned int i = 0; i < nr; i++) {
		pte_t pte = ptep_get(ptep + i);

		if (pte_none(pte))
			continue;
		if (pram_data_find(mapper->node, page + i, &found) <= 0)
			break;
		if (!pte_present(pte) ||
		    vm_normal_page(vma, addr + i * PAGE_SIZE, pte) !=
		    folio_page(found.folio, pram_found_index(&found, page + i)))
			__set_bit(i, others);
	}
	pte_unmap_unlock(ptep, ptl);

	for_each_set_bitrange(first, last, others, nr)
		zap_vma_range(vma, addr + first * PAGE_SIZE,
			      (last - first) * PAGE_SIZE);
}

static pmd_t *pram_alloc_pmd(struct mm_struct *mm, unsigned long addr)
{
	p4d_t *p4d;
	pud_t *pud;

	p4d = p4d_alloc(mm, pgd_offset(mm, addr), addr);
	pud = p4d ? pud_alloc(mm, p4d, addr) : NULL;
	return pud ? pmd_alloc(mm, pud, addr) : NULL;
}

static bool pram_fits_pmd(struct vm_area_struct *vma, unsigned long addr,
			  unsigned long end, u64 page,
			  const struct pram_found *found)
{
	return IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) &&
	       found->first_page == page && found->nr == HPAGE_PMD_NR &&
	       folio_order(found->folio) == HPAGE_PMD_ORDER &&
	       IS_ALIGNED(addr, HPAGE_PMD_SIZE) &&
	       end - addr >= HPAGE_PMD_SIZE && vma_is_anonymous(vma);
}

/* As pram_map_table(), and makes the page table. */
static int pram_map_part(struct pram_mapper *mapper, struct vm_area_struct *vma,
			 unsigned long addr, unsigned long end, u64 page,
			 u64 *done)
{
	struct pram_found *found = &mapper->found;
	bool mapped_huge = false;
	spinlock_t *ptl;
	pmd_t *pmdp;
	int ret;

	*done = 0;
	ret = pram_data_find(mapper->node, page, found);
	if (ret <= 0)
		return ret ?: PRAM_UNMAPPABLE;
	pmdp = pram_alloc_pmd(mapper->mm, addr);
	if (!pmdp)
		return -ENOMEM;

	ptl = pmd_trans_huge_lock(pmdp, vma);
	if (ptl) {
		mapped_huge = pmd_present(*pmdp) &&
			      pram_fits_pmd(vma, addr, end, page, found) &&
			      pmd_page(*pmdp) == folio_page(found->folio, 0);
		spin_unlock(ptl);
		if (!mapped_huge || !mapper->replace)
			return PRAM_OCCUPIED;
		mapper->same += HPAGE_PMD_NR;
		pram_count(PRAM_PAGES_SAME, HPAGE_PMD_NR);
		*done = HPAGE_PMD_NR;
		return PRAM_MAPPED;
	}
	if (pmd_none(*pmdp) && pram_fits_pmd(vma, addr, end, page, found)) {
		ret = pram_map_huge(mapper, vma, pmdp, addr, page);
		if (ret == PRAM_MAPPED)
			*done = HPAGE_PMD_NR;
		return ret;
	}
	if (mapper->replace && !pmd_none(*pmdp))
		pram_clear_others(mapper, vma, pmdp, addr, end, page);
	if (pte_alloc(mapper->mm, pmdp))
		return -ENOMEM;
	if (pram_fresh_folio(mapper->node, mapper->family, found->entry))
		return pram_map_fresh(mapper, vma, pmdp, addr, end, done);
	return pram_map_table(mapper, vma, pmdp, addr, end, page, done);
}

/* Where does the folio end whose page @page is to be mapped at @addr? */
static unsigned long pram_folio_end(struct pram_mapper *mapper,
				    unsigned long addr, unsigned long end,
				    u64 page)
{
	struct pram_found *found = &mapper->found;
	u64 nr = 1;

	if (pram_data_find(mapper->node, page, found) > 0)
		nr = pram_found_rest(found, page);
	return min(end, addr + (nr << PAGE_SHIFT));
}

/*
 * Where do relatives have the pages from @page on, which are to be mapped at @addr up
 * to @end? Sets *@root, with a reference, and *@index to the index of @addr there.
 */
static void pram_find_relative(struct pram_mapper *mapper, unsigned long addr,
			       unsigned long end, u64 page,
			       struct anon_vma **root, pgoff_t *index)
{
	const u64 start = page, last = page + ((end - addr) >> PAGE_SHIFT);
	struct pram_found *found = &mapper->found;

	while (page < last && pram_data_look(mapper->node, page, found) > 0) {
		struct folio *folio = found->folio;
		struct anon_vma *anon_vma;
		pgoff_t at;

		if (folio_mapped(folio) && folio_test_anon(folio) &&
		    !folio_test_ksm(folio) && !folio_test_hugetlb(folio)) {
			folio_lock(folio);
			anon_vma = folio_get_anon_vma(folio);
			at = folio->index + pram_found_index(found, page);
			folio_unlock(folio);
			if (anon_vma && anon_vma->root == anon_vma &&
			    at >= page - start) {
				*root = anon_vma;
				*index = at - (page - start);
				return;
			}
			if (anon_vma)
				put_anon_vma(anon_vma);
		}
		page += pram_found_rest(found, page);
		if (fatal_signal_pending(current))
			return;
		cond_resched();
	}
}

/* Does a task have another region at these indexes, below this root? */
static bool pram_index_taken(struct vm_area_struct *vma, struct anon_vma *root,
			     pgoff_t index)
{
	VMA_ITERATOR(vmi, vma->vm_mm, 0);
	struct vm_area_struct *other;
	pgoff_t start;

	for_each_vma(vmi, other) {
		if (!other->anon_vma || other->anon_vma->root != root)
			continue;
		start = linear_anon_page_index(other, other->vm_start);
		if (start < index + vma_pages(vma) &&
		    index < start + vma_pages(other))
			return true;
	}
	return false;
}

/*
 * Have the region at @addr that is as good as new take @index there, as if it had been
 * moved: a relative has moved memory that it still shares. Whether that worked is seen
 * by the region's anon_vma. No lock is held.
 */
static void pram_move_vma(struct pram_mapper *mapper, unsigned long addr,
			  struct anon_vma *root, pgoff_t index)
{
	struct mm_struct *mm = mapper->mm;
	struct vm_area_struct *vma;
	pgoff_t within;

	if (mmap_write_lock_killable(mm))
		return;
	vma = vma_lookup(mm, addr);
	if (!vma || vma->anon_vma || !pram_vma_mappable(vma) ||
	    !vma_is_anonymous(vma) || vma->vm_file)
		goto out;
	within = (addr - vma->vm_start) >> PAGE_SHIFT;
	if (index < within || pram_index_taken(vma, root, index - within))
		goto out;
	vma_start_write(vma);
	/* Not by vma_set_pgoff(): without an anon_vma this is unusual. */
	vma_set_anon_pgoff(vma, index - within);
	vma->vm_pgoff = index - within;
	if (anon_vma_prepare_child(vma, root)) {
		vma_set_anon_pgoff(vma, vma->vm_start >> PAGE_SHIFT);
		vma->vm_pgoff = vma->vm_start >> PAGE_SHIFT;
	}
out:
	mmap_write_unlock(mm);
}

/*
 * Get a region ready for anonymous pages. A node that has none in common with others
 * needs no more than a fault does. Else the region is to be reached from where the
 * pages are mapped that it will share, now or later.
 *
 * Return: 0; -ENOMEM; -EAGAIN if the lock was released: look again.
 */
static int pram_prepare_vma(struct pram_mapper *mapper,
			    struct vm_area_struct *vma, unsigned long addr,
			    unsigned long end, u64 page, bool may_move)
{
	struct anon_vma *root = NULL;
	int err = -ESTALE;
	pgoff_t index;

	if (vma->anon_vma)
		return 0;
	if (!mapper->family)
		return anon_vma_prepare(vma);
	pram_find_relative(mapper, addr, end, page, &root, &index);
	if (root && index == linear_anon_page_index(vma, addr)) {
		err = anon_vma_prepare_child(vma, root);
	} else if (root && may_move) {
		mmap_read_unlock(mapper->mm);
		pram_move_vma(mapper, addr, root, index);
		err = -EAGAIN;
	}
	if (root)
		put_anon_vma(root);
	return err == -ESTALE ? pram_family_prepare(mapper->family, vma) : err;
}

/*
 * Map @nr pages from @page on at @addr in the caller's memory, as far as they
 * can be.
 *
 * Return: the number of pages done, beginning with the first; if it is less
 * than @nr, *@copy is the number of pages behind them that have to be copied,
 * at least 1. -ENOMEM, -EBADMSG, -EINTR if nothing was done.
 */
static long pram_map_some(struct pram_mapper *mapper, u64 page,
			  unsigned long addr, u64 nr, u64 *copy)
{
	struct mm_struct *mm = mapper->mm;
	struct vm_area_struct *vma;
	unsigned long start = addr, end, zapped = 0;
	int ret = PRAM_MAPPED;
	bool may_move = true;
	long all = 0;

	*copy = 1;
again:
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = vma_lookup(mm, addr);
	if (!vma)
		goto out;
	end = min(vma->vm_end, addr + (nr << PAGE_SHIFT));
	if (pram_vma_is_shmem(vma)) {
		if (!READ_ONCE(mapper->node->holds_shmem)) {
			/* That takes the lock of CPU hotplug. */
			mmap_read_unlock(mm);
			pram_shmem_hold(mapper->node);
			goto again;
		}
		all = pram_shmem_load(mapper->node, &mapper->found, vma, addr,
				      end, page, &mapper->patience, copy);
		mmap_read_unlock(mm);
		return all;
	}
	if (!pram_vma_mappable(vma)) {
		*copy = (end - addr) >> PAGE_SHIFT;
		goto out;
	}
	ret = pram_prepare_vma(mapper, vma, addr, end, page, may_move);
	if (ret == -EAGAIN) {
		ret = PRAM_MAPPED;
		may_move = false;
		goto again;
	}
	while (!ret && addr < end) {
		u64 done;

		if (fatal_signal_pending(current) ||
		    check_stable_address_space(mm)) {
			ret = -EINTR;
			break;
		}
		if (mutex_lock_killable(&mapper->node->mappings_lock)) {
			ret = -EINTR;
			break;
		}
		ret = pram_map_part(mapper, vma, addr, pmd_addr_end(addr, end),
				    page, &done);
		mutex_unlock(&mapper->node->mappings_lock);
		all += done;
		addr += done << PAGE_SHIFT;
		page += done;
		/*
		 * Memory that was locked when it was mapped is full of zeros. In
		 * a family it is full of what the parent has. Once is enough: if
		 * it fills again somebody is using it.
		 */
		if (ret == PRAM_OCCUPIED && addr >= zapped &&
		    (mapper->replace || vma->vm_flags & VM_LOCKED)) {
			zapped = end;
			if (mapper->replace)
				zapped = pram_folio_end(mapper, addr, end, page);
			zap_vma_range(vma, addr, zapped - addr);
			ret = PRAM_MAPPED;
		}
	}
out:
	mmap_read_unlock(mm);
	if (all)
		pram_mapping_add(mapper->node, mm, start, page - all, all);
	return ret < 0 && !all ? ret : all;
}

/*
 * Copy bytes of a node, of which @to may have room for more.
 */
static ssize_t pram_map_copy(struct pram_node *node, loff_t pos, size_t len,
			     struct iov_iter *to)
{
	const size_t room = iov_iter_count(to);
	ssize_t n;

	iov_iter_truncate(to, len);
	n = pram_data_read(node, pos, to);
	iov_iter_reexpand(to, room - max(n, 0));
	return n;
}

static struct pram_mapper *pram_mapper_alloc(struct pram_stream *ps,
					     struct pram_node *node,
					     bool replace)
{
	struct pram_mapper *mapper = kvzalloc_obj(*mapper);

	if (!mapper)
		return NULL;
	mapper->node = node;
	mapper->family = ps->family;
	mapper->mm = current->mm;
	mapper->replace = replace;
	mapper->patience = PRAM_PATIENCE;
	return mapper;
}

/**
 * pram_map_iter - map pages of a node where the reader wants them, or copy them
 * @ps: a stream of pages, opened with %PRAM_LOAD_MAP.
 * @node: its node.
 * @pos: where to start, in bytes.
 * @to: where to, and how many.
 *
 * Return: number of bytes read, as pram_data_read().
 */
ssize_t pram_map_iter(struct pram_stream *ps, struct pram_node *node, loff_t pos,
		      struct iov_iter *to)
{
	struct pram_mapper *mapper;
	ssize_t all = 0, n = 0;

	if (!user_backed_iter(to) || !current->mm)
		return pram_data_read(node, pos, to);
	mapper = pram_mapper_alloc(ps, node, false);
	if (!mapper)
		return -ENOMEM;

	while (iov_iter_count(to) && pos < node->bytes) {
		unsigned long addr = (unsigned long)iter_iov_addr(to);
		size_t len = min(iter_iov_len(to), iov_iter_count(to));
		u64 copy = 0;

		len = min_t(u64, len, node->bytes - pos);
		if (PAGE_ALIGNED(pos | addr) && len >= PAGE_SIZE) {
			n = pram_map_some(mapper, pos >> PAGE_SHIFT, addr,
					  len >> PAGE_SHIFT, &copy);
			if (n > 0) {
				n <<= PAGE_SHIFT;
				iov_iter_advance(to, n);
			} else if (!n) {
				n = pram_map_copy(node, pos, copy << PAGE_SHIFT,
						  to);
			}
		} else {
			/* An empty element of the vector has no address. */
			n = pram_map_copy(node, pos, len ?: PAGE_SIZE, to);
		}
		if (n <= 0)
			break;
		pos += n;
		all += n;
		cond_resched();
	}
	kvfree(mapper);
	return all ?: n;
}

/**
 * pram_map_range - PRAM_IOCTL_MAP
 * @ps: a stream of pages, opened with %PRAM_LOAD_MAP.
 * @node: its node.
 * @map: see &struct pram_ioctl_map; its output is filled in.
 *
 * Return: 0, -EINVAL, -EFAULT, -ENOMEM, -EBADMSG, -EINTR.
 */
int pram_map_range(struct pram_stream *ps, struct pram_node *node,
		   struct pram_ioctl_map *map)
{
	u64 page = map->offset >> PAGE_SHIFT, nr = map->nr_pages;
	unsigned long addr = map->addr;
	struct pram_mapper *mapper;
	ssize_t n = 0;

	if (!PAGE_ALIGNED(map->addr | map->offset) ||
	    page > node->bytes >> PAGE_SHIFT ||
	    nr > (node->bytes >> PAGE_SHIFT) - page)
		return -EINVAL;
	if (nr > TASK_SIZE_MAX >> PAGE_SHIFT ||
	    map->addr > TASK_SIZE_MAX - (nr << PAGE_SHIFT))
		return -EFAULT;
	mapper = pram_mapper_alloc(ps, node, true);
	if (!mapper)
		return -ENOMEM;

	while (nr && n >= 0) {
		struct iov_iter to;
		u64 copy;

		n = pram_map_some(mapper, page, addr, nr, &copy);
		if (!n) {
			size_t len = min(copy, nr) << PAGE_SHIFT;

			n = import_ubuf(ITER_DEST, (void __user *)addr, len,
					&to);
			if (!n)
				n = pram_data_read(node, page << PAGE_SHIFT, &to);
			/* After a part of a page the next round has the error. */
			if (n >= 0)
				n = n < PAGE_SIZE ? -EFAULT : n >> PAGE_SHIFT;
		}
		if (n > 0) {
			page += n;
			addr += n << PAGE_SHIFT;
			nr -= n;
		}
		cond_resched();
	}
	map->same = mapper->same;
	kvfree(mapper);
	return n < 0 ? n : 0;
}

/* The node lets go of a folio that is mapped. Return: is that its only mapping? */
static bool pram_release_mapped(u64 *entry, struct folio *folio,
				struct vm_area_struct *vma,
				unsigned long nr_ptes)
{
	*entry |= PRAM_ENTRY_GONE;
	/* Not the last reference: the mapping has another. */
	folio_put(folio);
	if (folio_ref_count(folio) != nr_ptes ||
	    folio_maybe_mapped_shared(folio) || folio_test_swapcache(folio))
		return false;
	/*
	 * These are all of its mappings, their page table is locked, and it is on
	 * no LRU list: nobody else can get at it.
	 */
	if (folio_anon_vma(folio) == vma->anon_vma)
		return true;
	if (!folio_trylock(folio))
		return false;
	folio_move_anon_rmap(folio, vma);
	folio_unlock(folio);
	return true;
}

/**
 * pram_queue_split - have a folio split when memory is short, if it is mapped in part
 * @folio: a folio that was put on an LRU list. Its pages that nobody has mapped are of no
 *	use to anybody.
 */
void pram_queue_split(struct folio *folio)
{
	int mapped;

	if (!folio_test_large(folio) || folio_entire_mapcount(folio))
		return;
	mapped = folio_nr_pages_mapped(folio);
	if (mapped > 0 && mapped < folio_nr_pages(folio))
		deferred_split_folio(folio, true);
}

/*
 * After pram_release_mapped(), which looks at the number of references. Most single
 * pages only go to @list, for pram_add_lru_list().
 */
static void pram_add_lru(struct folio *folio, struct vm_area_struct *vma,
			 struct list_head *list)
{
	const unsigned long unusual = BIT(PG_head) | BIT(PG_active) |
				      BIT(PG_unevictable) | BIT(PG_mlocked);

	if (!pram_frame_clear_off_lru(folio))
		return;
	if (list && !(vma->vm_flags & VM_LOCKED) &&
	    (READ_ONCE(folio->flags.f) & (unusual | BIT(PG_swapbacked))) ==
	    BIT(PG_swapbacked)) {
		list_add(&folio->lru, list);
		return;
	}
	/* That would count it as locked a second time. */
	if (folio_test_mlocked(folio))
		folio_add_lru(folio);
	else
		folio_add_lru_vma(folio, vma);
	pram_queue_split(folio);
}

/**
 * pram_add_lru_list - put folios on the LRU list of new anonymous pages
 * @list: single pages, on no list. Others may know them, but cannot free them: the page
 *	table that maps them is locked, or they are. Empty afterwards.
 *
 * As folio_add_lru() would do it in small batches.
 */
void pram_add_lru_list(struct list_head *list)
{
	while (!list_empty(list)) {
		struct folio *first = list_first_entry(list, struct folio, lru);
		struct lruvec *lruvec;
		struct folio *folio;
		unsigned long flags;
		LIST_HEAD(same);
		long nr = 0;

		lruvec = folio_lruvec_lock_irqsave(first, &flags);
		list_for_each_entry(folio, list, lru) {
			if (folio != first &&
			    (!folio_matches_lruvec(folio, lruvec) ||
			     folio_zonenum(folio) != folio_zonenum(first)))
				break;
			/* Nobody takes it off again before the lock is released. */
			folio_set_lru(folio);
			nr++;
		}
		list_cut_before(&same, list, &folio->lru);
		lruvec_add_new_anon(lruvec, &same, nr);
		lruvec_unlock_irqrestore(lruvec, flags);
	}
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static void pram_make_pmd_writable(struct vm_area_struct *vma,
				   unsigned long addr, pmd_t *pmdp)
{
	pmd_t pmd = *pmdp;

	if (!(vma->vm_flags & VM_WRITE) || pmd_write(pmd) ||
	    pmd_needs_soft_dirty_wp(vma, pmd) || userfaultfd_armed(vma))
		return;
	pmd = pmd_mkwrite(pmd_mkdirty(pmd_mkyoung(pmd)), vma);
	if (pmdp_set_access_flags(vma, addr, pmdp, pmd, 1))
		update_mmu_cache_pmd(vma, addr, pmdp);
}

static u64 pram_finish_pmd(struct pram_node *node, struct vm_area_struct *vma,
			   pmd_t *pmdp, unsigned long addr, u64 page,
			   struct pram_found *found)
{
	struct folio *folio;
	pmd_t pmd = *pmdp;

	if (!pmd_present(pmd) || pram_data_look(node, page, found) <= 0)
		return 0;
	folio = found->folio;
	if (pram_found_gone(found) || found->first_page != page ||
	    found->nr != HPAGE_PMD_NR || pmd_page(pmd) != folio_page(folio, 0))
		return 0;
	pram_count(PRAM_DATA_PAGES, -folio_nr_pages(folio));
	if (!pram_release_mapped(found->where, folio, vma, 1))
		goto lru;
	SetPageAnonExclusive(folio_page(folio, 0));
	pram_count(PRAM_PAGES_REUSED, folio_nr_pages(folio));
	pram_make_pmd_writable(vma, addr, pmdp);
lru:
	pram_add_lru(folio, vma, NULL);
	deferred_split_folio(folio, false);
	return HPAGE_PMD_NR;
}
#else
static void pram_make_pmd_writable(struct vm_area_struct *vma,
				   unsigned long addr, pmd_t *pmdp)
{
}

static u64 pram_finish_pmd(struct pram_node *node, struct vm_area_struct *vma,
			   pmd_t *pmdp, unsigned long addr, u64 page,
			   struct pram_found *found)
{
	return 0;
}
#endif

/* Of a page that is anonymous and exclusive: can_change_pte_writable() would look. */
static void pram_make_writable(struct vm_area_struct *vma, unsigned long addr,
			       pte_t *ptep)
{
	pte_t pte = ptep_get(ptep);

	/* Code and constants that were relocated: the mapping is read-only by now. */
	if (!(vma->vm_flags & VM_WRITE) || pte_write(pte) || pte_protnone(pte) ||
	    pte_needs_soft_dirty_wp(vma, pte) || userfaultfd_pte_wp(vma, pte))
		return;
	pte = pte_mkwrite(pte_mkdirty(pte_mkyoung(pte)), vma);
	if (ptep_set_access_flags(vma, addr, ptep, pte, 1))
		update_mmu_cache(vma, addr, ptep);
}

/* What has become of the pages of a page table. */
struct pram_finished {
	u64			released;
	u64			reused;
	struct list_head	lru;
};

/* A region in which writes are not tracked. */
static bool pram_write_is_plain(struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_WRITE && !userfaultfd_wp(vma) &&
	       !vma_soft_dirty_enabled(vma);
}

/* Let go of pages of a folio if the page table has them at @ptep. */
static void pram_finish_folio(u64 *entry, struct folio *folio, unsigned int first,
			      unsigned int nr, struct vm_area_struct *vma,
			      unsigned long addr, pte_t *ptep,
			      struct pram_finished *done)
{
	if (*entry & PRAM_ENTRY_GONE || !pram_ptes_map(ptep, folio, first, nr))
		return;
	done->released += nr;
	if (pram_release_mapped(entry, folio, vma, nr)) {
		done->reused += nr;
		for (unsigned int i = 0; i < nr; i++) {
			SetPageAnonExclusive(folio_page(folio, first + i));
			pram_make_writable(vma, addr + i * PAGE_SIZE, ptep + i);
		}
	}
	pram_add_lru(folio, vma, &done->lru);
}

/*
 * As pram_finish_folio() for a single page, in the usual case: it is where it was mapped,
 * in a region that has its own anon_vma and pram_write_is_plain(). Return: was that so?
 */
static bool pram_finish_single(u64 *entry, struct vm_area_struct *vma,
			       unsigned long addr, pte_t *ptep,
			       struct pram_finished *done)
{
	const unsigned long flags = BIT(PG_swapcache) | BIT(PG_mlocked) |
				    BIT(PG_active) | BIT(PG_unevictable) |
				    BIT(PG_swapbacked);
	const unsigned long pfn = FIELD_GET(PRAM_ENTRY_PFN, *entry);
	struct folio *folio = pfn_folio(pfn);
	pte_t pte = ptep_get(ptep);

	if (*entry & PRAM_ENTRY_GONE || !pte_present(pte) || pte_special(pte) ||
	    pte_protnone(pte) || pte_pfn(pte) != pfn ||
	    READ_ONCE(folio->mapping) != (void *)vma->anon_vma + FOLIO_MAPPING_ANON ||
	    (READ_ONCE(folio->flags.f) & flags) != BIT(PG_swapbacked) ||
	    folio_mapcount(folio) != 1 || folio_ref_count(folio) != 2)
		return false;
	*entry |= PRAM_ENTRY_GONE;
	done->released++;
	/* Others who know it have a reference: pram_release_mapped() looks for that. */
	if (folio_ref_dec_return(folio) == 1) {
		done->reused++;
		SetPageAnonExclusive(folio_page(folio, 0));
		pte = pte_mkwrite(pte_mkdirty(pte_mkyoung(pte)), vma);
		if (ptep_set_access_flags(vma, addr, ptep, pte, 1))
			update_mmu_cache(vma, addr, ptep);
	}
	if (pram_frame_clear_off_lru(folio))
		list_add(&folio->lru, &done->lru);
	return true;
}

/*
 * Let go of the folios that the page table maps from @addr up to @end. Return: of how many
 * pages.
 */
static u64 pram_finish_ptes(struct pram_node *node, struct vm_area_struct *vma,
			    pte_t *ptep, unsigned long addr, unsigned long end,
			    u64 page, struct pram_found *found)
{
	struct pram_finished done = { .lru = LIST_HEAD_INIT(done.lru) };
	const bool plain = pram_write_is_plain(vma) &&
			   !(vma->vm_flags & VM_LOCKED);

	while (addr < end && pram_data_look(node, page, found) > 0) {
		const struct pram_map_ser *map = node->maps[found->map];
		const u64 *last = map->entries + map->nr_entries;
		unsigned int nr = 0;

		/* Single pages one after the other, without a look for each. */
		for (u64 *at = found->where; at < last && addr < end &&
		     !(*at & PRAM_ENTRY_ORDER); at++, nr++) {
			if (!plain || !pram_finish_single(at, vma, addr, ptep, &done))
				pram_finish_folio(at, pram_entry_folio(*at), 0, 1,
						  vma, addr, ptep, &done);
			addr += PAGE_SIZE;
			ptep++;
		}
		page += nr;
		if (nr)
			continue;
		nr = pram_found_rest(found, page);
		if (found->first_page == page && nr <= (end - addr) >> PAGE_SHIFT)
			pram_finish_folio(found->where, found->folio, found->offset,
					  nr, vma, addr, ptep, &done);
		ptep += nr;
		page += nr;
		addr += nr * PAGE_SIZE;
	}
	pram_add_lru_list(&done.lru);
	pram_count(PRAM_PAGES_REUSED, done.reused);
	pram_count(PRAM_DATA_PAGES, -done.released);
	return done.released;
}

/* Return: of how many pages the node has let go. */
static u64 pram_finish_mapping(struct pram_node *node,
			       const struct pram_mapping *mapping)
{
	struct mm_struct *mm = mapping->mm;
	unsigned long addr = mapping->addr;
	unsigned long end = addr + (mapping->nr << PAGE_SHIFT);
	struct pram_found found = {};
	u64 page = mapping->page, released = 0;

	while (addr < end) {
		struct vm_area_struct *vma;
		unsigned long next = pmd_addr_end(addr, end);
		pmd_t *pmdp = NULL;
		spinlock_t *ptl;
		pte_t *ptep;

		mmap_read_lock(mm);
		vma = vma_lookup(mm, addr);
		if (vma) {
			next = min(next, vma->vm_end);
			if (vma->anon_vma && !(vma->vm_flags & (VM_SHARED | VM_SPECIAL)))
				pmdp = mm_find_pmd(mm, addr);
		} else {
			next = addr + PAGE_SIZE;
		}
		if (pmdp) {
			ptl = pmd_trans_huge_lock(pmdp, vma);
			if (ptl) {
				if (IS_ALIGNED(addr, HPAGE_PMD_SIZE))
					released += pram_finish_pmd(node, vma, pmdp,
								    addr, page,
								    &found);
				spin_unlock(ptl);
			} else {
				ptep = pte_offset_map_lock(mm, pmdp, addr, &ptl);
				if (ptep) {
					released += pram_finish_ptes(node, vma, ptep,
								     addr, next, page,
								     &found);
					pte_unmap_unlock(ptep, ptl);
				}
			}
		}
		mmap_read_unlock(mm);
		page += (next - addr) >> PAGE_SHIFT;
		addr = next;
		cond_resched();
	}
	return released;
}

/* One reference is the node's, the others those of mappings by one task. */
static bool pram_folio_sole(struct folio *folio)
{
	return folio_test_anon(folio) && folio_mapped(folio) &&
	       !folio_maybe_mapped_shared(folio) &&
	       folio_ref_count(folio) == 1 + folio_mapcount(folio);
}

static bool pram_within_vma(struct folio *folio, struct vm_area_struct *vma)
{
	pgoff_t start = linear_anon_page_index(vma, vma->vm_start);

	return folio->index >= start &&
	       folio->index + folio_nr_pages(folio) <= start + vma_pages(vma);
}

/* Make the only mapping of a folio its owner's; the folio is locked. */
static bool pram_finish_one(struct folio *folio, struct vm_area_struct *vma,
			    unsigned long addr, void *arg)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, vma, addr, 0);
	bool moved = false;

	if (vma->vm_flags & (VM_SHARED | VM_SPECIAL))
		return true;
	while (page_vma_mapped_walk(&pvmw)) {
		/* Now that it is locked, fork() does not copy this mapping. */
		if (!pram_folio_sole(folio))
			continue;
		if (pvmw.pte && !pte_present(ptep_get(pvmw.pte)))
			continue;
		if (!pvmw.pte && !pmd_present(*pvmw.pmd))
			continue;
		if (!moved && pram_within_vma(folio, vma))
			folio_move_anon_rmap(folio, vma);
		moved = true;
		if (pvmw.pte) {
			SetPageAnonExclusive(pfn_to_page(pte_pfn(ptep_get(pvmw.pte))));
			pram_make_writable(vma, pvmw.address, pvmw.pte);
			pram_count(PRAM_PAGES_REUSED, 1);
		} else {
			SetPageAnonExclusive(pmd_page(*pvmw.pmd));
			pram_make_pmd_writable(vma, pvmw.address, pvmw.pmd);
			pram_count(PRAM_PAGES_REUSED, folio_nr_pages(folio));
		}
	}
	/* It may go on in the next region. */
	return !moved || !pram_within_vma(folio, vma);
}

/*
 * Let go of folios that are mapped but were moved since: mremap() takes memory
 * to another address, and the reverse mapping knows which.
 */
static void pram_finish_moved(struct pram_node *node)
{
	/* The task may be killed, and its anon_vma be freed, meanwhile. */
	struct rmap_walk_control rwc = {
		.rmap_one = pram_finish_one,
		.anon_lock = folio_lock_anon_vma_read,
	};

	for (u64 m = 0; m < node->nr_maps; m++) {
		const struct pram_map_ser *map = node->maps[m];

		for (u64 i = 0; i < map->nr_entries; i++) {
			struct folio *folio;

			if (map->entries[i] & PRAM_ENTRY_GONE)
				continue;
			folio = pram_entry_folio(map->entries[i]);
			if (!pram_folio_sole(folio))
				continue;
			folio_lock(folio);
			if (pram_folio_sole(folio))
				rmap_walk(folio, &rwc);
			folio_unlock(folio);
		}
		cond_resched();
	}
}

/**
 * pram_map_finish - make mapped folios of a node those of the tasks
 * @node: the node, off the list and forgotten. Somebody may still look at it.
 *
 * The node has no reference any more to what this finds mapped.
 */
void pram_map_finish(struct pram_node *node)
{
	struct pram_mapping *mapping;
	u64 mapped = 0, released = 0;

	/* With another reader the folios have another reference. */
	if (kref_read(&node->ref) == 1) {
		list_for_each_entry(mapping, &node->mappings, link) {
			mapped += mapping->nr;
			if (!mmget_not_zero(mapping->mm))
				continue;
			released += pram_finish_mapping(node, mapping);
			mmput(mapping->mm);
		}
		if (released < mapped)
			pram_finish_moved(node);
	}
	pram_map_drop(node);
}
