// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages of hugetlb.
 *
 * They are taken over from tasks that will not run again (%PRAM_SAVE_FINAL): a node holds
 * the folio, which stays in use for the pool until it is freed. Nobody may write to it
 * from then on. In private memory it is protected as by fork(), and hugetlb_wp() does not
 * reuse it. In a file it is mapped nowhere, and whoever faults it in gets a copy that has
 * taken its place in the file. Such a copy comes out of the pool, or is a page beside it
 * if there is one in the rest of memory; if there is neither, it is SIGBUS, as always
 * with hugetlb. Therefore what others than these tasks use is copied at once. Nothing else
 * is noted down: a save that is given up has nothing to undo.
 *
 * The next kernel gets plain folios. In this one a load would find too few pages in the
 * pool as long as a node holds them. So fresh ones take their place there, if there is
 * memory, just as there would have to be for a copy.
 */

#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/memcontrol.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pram_shmem.h>
#include <linux/ptrace.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "../internal.h"
#include "internal.h"

/**
 * pram_hugetlb_hold - note that a node holds, or will hold, folios of hugetlb
 * @node: the node. It counts until it is freed.
 */
void pram_hugetlb_hold(struct pram_node *node)
{
	pram_shmem_hold(node);
	WRITE_ONCE(node->holds_hugetlb, true);
}

/**
 * pram_hugetlb_reason - why can a folio of hugetlb not be taken over as it is?
 * @ps: the stream.
 * @folio: the folio.
 *
 * Return: %PRAM_COPY_NOT if it can, as far as that is seen without its mappings.
 */
enum pram_copy_reason pram_hugetlb_reason(const struct pram_stream *ps,
					  struct folio *folio)
{
	if (ps->flags & PRAM_SAVE_COPY)
		return PRAM_COPY_ASKED;
	/*
	 * KHO gives it to the next kernel as a plain folio, which cannot be larger. And
	 * a file system that limits its pages may be gone before the last of them is.
	 */
	if (!(ps->flags & PRAM_SAVE_FINAL) || folio_order(folio) > MAX_PAGE_ORDER ||
	    hugetlb_folio_subpool(folio))
		return PRAM_COPY_HUGETLB;
	return pram_in_scratch(folio) ? PRAM_COPY_SCRATCH : PRAM_COPY_NOT;
}

/* Does the caller, or its parent, trace a task with this memory? Then it does not run. */
static bool pram_mm_is_traced(struct mm_struct *mm)
{
	bool traced = false;
#ifdef CONFIG_MEMCG
	struct task_struct *task, *tracer;

	rcu_read_lock();
	task = rcu_dereference(mm->owner);
	tracer = task ? ptrace_parent(task) : NULL;
	traced = tracer && (same_thread_group(tracer, current) ||
			    same_thread_group(tracer, rcu_dereference(current->real_parent)));
	rcu_read_unlock();
#endif
	return traced;
}

/* May pages of a file be taken over: does nobody map them but who is traced, and we? */
static bool pram_hugetlb_may_take(const struct pram_stream *ps, struct file *file,
				  pgoff_t first, pgoff_t end)
{
	struct address_space *mapping = file->f_mapping;
	struct vm_area_struct *vma;
	bool may = true;

	/* A file with a name is there when the tasks are gone, too. */
	if (!(ps->flags & PRAM_SAVE_FINAL) || ps->flags & PRAM_SAVE_COPY ||
	    !(file->f_path.mnt->mnt_flags & MNT_INTERNAL))
		return false;
	i_mmap_lock_read(mapping);
	pram_for_each_vma(vma, mapping, first, end - 1) {
		/* criu maps what it dumps, but does not write to it. */
		may = vma->vm_mm == current->mm || pram_mm_is_traced(vma->vm_mm);
		if (!may)
			break;
	}
	i_mmap_unlock_read(mapping);
	return may;
}

/*
 * Undo mappings of whole huge pages of a file. Not those of private mappings, which may
 * have pages of their own there. What stays mapped, or is mapped again, is copied.
 */
static void pram_hugetlb_unmap(struct address_space *mapping, pgoff_t first,
			       pgoff_t end)
{
	struct vm_area_struct *vma;

	i_mmap_lock_write(mapping);
	pram_for_each_vma(vma, mapping, first, end - 1) {
		const pgoff_t from = max(first, vma->vm_pgoff);
		const pgoff_t to = min(end, vma->vm_pgoff + vma_pages(vma));

		if (!(vma->vm_flags & VM_MAYSHARE) || !hugetlb_vma_trylock_write(vma))
			continue;
		unmap_hugepage_range(vma, vma->vm_start +
				     ((from - vma->vm_pgoff) << PAGE_SHIFT),
				     vma->vm_start +
				     ((to - vma->vm_pgoff) << PAGE_SHIFT), NULL, 0);
		hugetlb_vma_unlock_write(vma);
	}
	i_mmap_unlock_write(mapping);
}

/* Move pages of a file that lie in scratch to where a node may have them. */
static void pram_hugetlb_move(struct address_space *mapping, pgoff_t index,
			      pgoff_t end)
{
	struct folio_batch fbatch;
	LIST_HEAD(isolated);

	folio_batch_init(&fbatch);
	while (index < end && filemap_get_folios(mapping, &index, end - 1, &fbatch)) {
		for (unsigned int i = 0; i < folio_batch_count(&fbatch); i++)
			if (pram_in_scratch(fbatch.folios[i]))
				folio_isolate_hugetlb(fbatch.folios[i], &isolated);
		folio_batch_release(&fbatch);
		cond_resched();
	}
	pram_migrate_isolated(&isolated, PRAM_PAGES_MIGRATED);
}

/* Take over a locked folio of a file, with a reference of the caller's, or say why not. */
static int pram_hugetlb_take(struct pram_stream *ps, struct pram_node *node,
			     struct folio *folio, enum pram_copy_reason *reason)
{
	u64 entry;

	*reason = pram_hugetlb_reason(ps, folio);
	if (*reason)
		return 0;
	/* Who has pinned it, or writes to it through /proc/PID/mem, has a reference. */
	if (folio_mapped(folio) ||
	    folio_ref_count(folio) != folio_expected_ref_count(folio) +
				      pram_folio_holders(folio) + 1) {
		*reason = PRAM_COPY_PINNED;
		return 0;
	}
	folio_get(folio);
	entry = pram_entry(folio, folio_page(folio, 0), folio_nr_pages(folio),
			   PRAM_ENTRY_LRU | PRAM_ENTRY_ADOPTED);
	return pram_append_entries(ps, node, &entry, 1);
}

/* Append pages from @index up to @end, which are in one huge page, or are a hole. */
static int pram_adopt_hugetlb_page(struct pram_stream *ps, struct pram_node *node,
				   struct address_space *mapping, pgoff_t index,
				   pgoff_t end, bool take)
{
	enum pram_copy_reason reason = PRAM_COPY_HUGETLB;
	struct folio *folio;
	int err = 0;

	folio = filemap_lock_folio(mapping, index);
	if (IS_ERR(folio))
		return pram_append_copy(ps, node, NULL, end - index,
					PRAM_COPY_SPECIAL);
	if (folio_contain_hwpoisoned_page(folio))
		err = -EHWPOISON;
	else if (take && end - index == folio_nr_pages(folio))
		err = pram_hugetlb_take(ps, node, folio, &reason);
	folio_unlock(folio);
	if (!err && reason)
		err = pram_append_copy(ps, node, folio_file_page(folio, index),
				       end - index, reason);
	folio_put(folio);
	return err;
}

/**
 * pram_adopt_hugetlb - append pages of a file of hugetlb to a page stream
 * @ps: the stream.
 * @node: its node, locked.
 * @file: the file.
 * @index: the first page.
 * @end: behind the last one.
 *
 * Return: as pram_adopt_file().
 */
int pram_adopt_hugetlb(struct pram_stream *ps, struct pram_node *node,
		       struct file *file, pgoff_t index, pgoff_t end)
{
	struct address_space *mapping = file->f_mapping;
	const unsigned long nr = pages_per_huge_page(hstate_inode(mapping->host));
	const pgoff_t first = round_up(index, nr), last = round_down(end, nr);
	bool take = first < last && pram_hugetlb_may_take(ps, file, first, last);
	int err = 0;

	if (take) {
		pram_hugetlb_hold(node);
		pram_hugetlb_unmap(mapping, first, last);
		pram_hugetlb_move(mapping, first, last);
	}
	while (index < end && !err) {
		pgoff_t next = min(end, round_down(index, nr) + nr);

		if (fatal_signal_pending(current))
			return -EINTR;
		err = pram_adopt_hugetlb_page(ps, node, mapping, index, next, take);
		index = next;
		cond_resched();
	}
	return err;
}

/**
 * pram_hugetlb_unshare - put a copy into the place of a folio that a node holds
 * @foliop: the folio, locked, in the page cache of hugetlb and mapped nowhere, with a
 *	reference of the caller's. Replaced by the copy: another locked folio with a
 *	reference.
 *
 * Return: 0; -ENOMEM or -EHWPOISON, and then nothing has changed.
 */
int pram_hugetlb_unshare(struct folio **foliop)
{
	struct folio *old = *foliop, *new;
	struct address_space *mapping = old->mapping;
	XA_STATE(xas, &mapping->i_pages, old->index);
	struct hstate *h = folio_hstate(old);
	const long nr = folio_nr_pages(old);

	/* Of the pool, or a page beside it: that is exchanged for one of the pool below. */
	new = alloc_hugetlb_folio_nodemask(h, folio_nid(old), NULL,
					   htlb_alloc_mask(h), true);
	if (!new)
		return -ENOMEM;
	if (folio_mc_copy(new, old)) {
		folio_put(new);
		return -EHWPOISON;
	}
	__folio_set_locked(new);
	__folio_mark_uptodate(new);
	folio_ref_add(new, nr);
	new->mapping = mapping;
	new->index = old->index;
	xas_lock_irq(&xas);
	xas_store(&xas, new);
	old->mapping = NULL;
	xas_unlock_irq(&xas);
	/* As the page cache of hugetlb has it. */
	folio_mark_dirty(new);
	mem_cgroup_migrate(old, new);
	move_hugetlb_state(old, new, MR_LONGTERM_PIN);
	pram_count(PRAM_PAGES_COPIED_ON_TOUCH, nr);
	folio_unlock(old);
	/* The page cache's references, and the caller's. */
	folio_put_refs(old, nr + 1);
	*foliop = new;
	return 0;
}

/**
 * pram_hugetlb_read - get a folio of a file of hugetlb that no node holds
 * @mapping: the file's.
 * @index: a page of it.
 *
 * Return: the folio, with a reference, with a copy put into its place if need be; -ENOENT,
 * -ENOMEM or -EHWPOISON as error pointer.
 */
struct folio *pram_hugetlb_read(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_lock_folio(mapping, index);
	int err = 0;

	if (IS_ERR(folio))
		return folio;
	if (pram_folio_is_held(folio))
		err = pram_hugetlb_unshare(&folio);
	folio_unlock(folio);
	if (!err)
		return folio;
	folio_put(folio);
	return ERR_PTR(err);
}

/* Have fresh folios take the place in the pool of those that a node has, and it alone. */
static int pram_hugetlb_refill_node(struct pram_node *node)
{
	for (u64 m = 0; m < node->nr_maps; m++) {
		struct pram_map_ser *map = node->maps[m];

		for (u64 i = 0; i < map->nr_entries; i++) {
			struct folio *folio = pram_entry_folio(map->entries[i]);
			unsigned long holders = pram_folio_holders(folio);
			int err = 0;

			/* If nobody holds it the node is about to be freed. */
			if (!holders || !folio_test_hugetlb(folio))
				continue;
			folio_lock(folio);
			if (folio_ref_count(folio) == holders)
				err = hugetlb_refill_pool(folio);
			folio_unlock(folio);
			if (err || fatal_signal_pending(current))
				return err ?: -EINTR;
			cond_resched();
		}
	}
	return 0;
}

/* The first node behind @id that holds folios of hugetlb, with a reference, or NULL. */
static struct pram_node *pram_hugetlb_next_node(u64 id)
{
	struct pram_node *node;

	guard(mutex)(&pram_lock);
	list_for_each_entry(node, &pram_nodes, link) {
		if (node->id <= id || !node->holds_hugetlb ||
		    node->state == PRAM_NODE_SAVING)
			continue;
		kref_get(&node->ref);
		return node;
	}
	return NULL;
}

/**
 * pram_hugetlb_refill - have pools be as large as if nodes held nothing of them
 *
 * As far as there is memory, that is. What nodes hold of a pool is beside it then, and is
 * freed with them.
 */
void pram_hugetlb_refill(void)
{
	struct pram_node *node;
	u64 id = 0;
	int err = 0;

	while (!err) {
		node = pram_hugetlb_next_node(id);
		if (!node)
			break;
		/* Tasks that are gone may still have it mapped. */
		if (!id)
			pram_exit_flush();
		id = node->id;
		err = pram_hugetlb_refill_node(node);
		pram_node_put(node);
	}
}
