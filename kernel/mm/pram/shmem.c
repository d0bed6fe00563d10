// SPDX-License-Identifier: GPL-2.0
/*
 * Shared memory: shared anonymous mappings, memfds, segments of SysV, files of a tmpfs.
 *
 * A node takes folios out of the page cache by holding them: they stay where they are,
 * and the file goes on with the very same ones. What must not happen is that somebody
 * writes to them. A folio in the page cache has no copy-on-write, so it is made here:
 * whoever asks shmem for a folio that a node holds, to write to it or to map it where
 * it can be written to, gets a copy that has taken its place in the file.
 *
 * The number of holders that frames.c keeps for each frame is what this goes by, and
 * the lock of the folio is what makes it safe. To be taken over a folio is locked,
 * unmapped, and must have no reference that is not accounted for; then it is held, and
 * only then unlocked. A folio is mapped under this lock. So a mapping is either made
 * before that, and is undone, or later, and then the folio is seen to be held. Nothing
 * else is noted down, so a dump that fails has nothing to undo.
 *
 * A restore goes the same way back: folios of the node are put into holes of the file,
 * and are held until it is committed. Whoever may write to them before gets copies.
 *
 * Here is what others call, and the copying; folios are taken over in shmem_save.c, and
 * put into files in shmem_load.c.
 */

#include <linux/fs.h>
#include <linux/jump_label.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/pram_shmem.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>

#include "../internal.h"
#include "internal.h"

/* Is there a node that may hold folios of the page cache? */
DEFINE_STATIC_KEY_FALSE(pram_holds_shmem);

/* Protects &pram_node.holds_shmem. */
static DEFINE_MUTEX(pram_shmem_lock);

/**
 * struct pram_kept_file - a file that is kept a while longer
 * @link: in &pram_node.files, and then in pram_kept_files.
 * @file: the file. Mostly nobody but the tasks that were dumped has it.
 */
struct pram_kept_file {
	struct list_head	link;
	struct file		*file;
};

/*
 * When a file is released for good its folios are taken out of the page cache one by
 * one, although a node has them and none is freed. The end of a dump would have to wait
 * for that. So it is put off, and need not be done if the kexec comes first.
 */
#define PRAM_KEPT_FOR	(5 * HZ)

static LIST_HEAD(pram_kept_files);
static DEFINE_SPINLOCK(pram_kept_files_lock);

static void pram_put_kept_files(struct work_struct *work)
{
	struct pram_kept_file *kept, *next;
	LIST_HEAD(files);

	scoped_guard(spinlock, &pram_kept_files_lock)
		list_splice_init(&pram_kept_files, &files);
	list_for_each_entry_safe(kept, next, &files, link) {
		/* Not by a later work: others wait for this one. */
		__fput_sync(kept->file);
		kfree(kept);
	}
}

static DECLARE_DELAYED_WORK(pram_kept_work, pram_put_kept_files);

/**
 * pram_shmem_keep - keep a file a while longer
 * @node: a node that takes folios of it over.
 * @file: the file. Nothing is done if it has a place in a file system, where somebody
 *	could see it.
 */
void pram_shmem_keep(struct pram_node *node, struct file *file)
{
	struct pram_kept_file *kept;

	if (!(file->f_path.mnt->mnt_flags & MNT_INTERNAL))
		return;
	/* Ranges of a file come in several calls. */
	if (!list_empty(&node->files) &&
	    list_last_entry(&node->files, struct pram_kept_file, link)->file == file)
		return;
	kept = kmalloc_obj(*kept);
	if (!kept)
		return;
	kept->file = get_file(file);
	list_add_tail(&kept->link, &node->files);
}

/**
 * pram_shmem_committed - let files go that a node has kept, but not at once
 * @node: the node, which was just committed.
 */
void pram_shmem_committed(struct pram_node *node)
{
	if (list_empty(&node->files))
		return;
	scoped_guard(spinlock, &pram_kept_files_lock)
		list_splice_tail_init(&node->files, &pram_kept_files);
	mod_delayed_work(system_dfl_long_wq, &pram_kept_work, PRAM_KEPT_FOR);
}

/**
 * pram_shmem_settle - wait until no file is kept any more
 */
void pram_shmem_settle(void)
{
	flush_delayed_work(&pram_kept_work);
}

/**
 * pram_shmem_hold - note that a node holds, or will hold, folios of the page cache
 * @node: the node. It counts until it is freed.
 */
void pram_shmem_hold(struct pram_node *node)
{
	guard(mutex)(&pram_shmem_lock);
	if (node->holds_shmem)
		return;
	static_branch_inc(&pram_holds_shmem);
	WRITE_ONCE(node->holds_shmem, true);
}

/**
 * pram_shmem_let_go - undo pram_shmem_hold()
 * @node: the node, which is being freed and holds nothing any more.
 */
void pram_shmem_let_go(struct pram_node *node)
{
	struct pram_kept_file *kept, *next;

	list_for_each_entry_safe(kept, next, &node->files, link) {
		list_del(&kept->link);
		fput(kept->file);
		kfree(kept);
	}
	if (node->holds_shmem)
		static_branch_dec(&pram_holds_shmem);
	node->holds_shmem = false;
}

/**
 * pram_folio_settle - wait until a folio is either taken over or left alone
 * @folio: the folio, with a reference of the caller's.
 *
 * Return: false if a node has it.
 */
bool pram_folio_settle(struct folio *folio)
{
	bool held;

	folio_lock(folio);
	held = pram_folio_holders(folio);
	folio_unlock(folio);
	return !held;
}

/**
 * pram_shmem_account - count pages as those of files, and of shared memory
 * @folio: a folio that is counted as they are.
 * @nr: pages of folios of its size, or less than 0 for those that go.
 */
void pram_shmem_account(struct folio *folio, long nr)
{
	if (folio_test_pmd_mappable(folio))
		lruvec_stat_mod_folio(folio, NR_SHMEM_THPS, nr);
	lruvec_stat_mod_folio(folio, NR_FILE_PAGES, nr);
	lruvec_stat_mod_folio(folio, NR_SHMEM, nr);
}

/* Make a copy of pages of a folio: locked, charged, in no file yet. */
static struct folio *pram_shmem_copy(struct folio *old, unsigned long first,
				     unsigned int order, gfp_t gfp,
				     struct mm_struct *mm)
{
	struct inode *inode = old->mapping->host;
	struct folio *new;
	int err;

	new = shmem_alloc_folio(gfp, order, SHMEM_I(inode), old->index + first);
	if (!new)
		return ERR_PTR(-ENOMEM);
	__folio_set_locked(new);
	__folio_set_swapbacked(new);
	err = mem_cgroup_charge(new, mm, gfp & GFP_RECLAIM_MASK);
	for (long i = 0; i < folio_nr_pages(new) && !err; i++) {
		if (copy_mc_highpage(folio_page(new, i),
				     folio_page(old, first + i)))
			err = -EHWPOISON;
		cond_resched();
	}
	if (err) {
		folio_unlock(new);
		folio_put(new);
		return ERR_PTR(err);
	}
	flush_dcache_folio(new);
	if (folio_test_uptodate(old))
		__folio_mark_uptodate(new);
	return new;
}

/* The references of the page cache, and where it finds the folio. */
static void pram_shmem_place(struct folio *new, struct folio *old,
			     unsigned long first)
{
	folio_ref_add(new, folio_nr_pages(new));
	new->mapping = old->mapping;
	new->index = old->index + first;
}

/**
 * pram_shmem_placed - have a folio reclaimed as one that was written to
 * @new: the folio, which was just put into a file.
 */
void pram_shmem_placed(struct folio *new)
{
	/* Reclaim has to write it to swap before it frees it. */
	folio_mark_dirty(new);
	folio_add_lru(new);
}

/* Put a copy of the same order into a folio's place. */
static struct folio *pram_shmem_replace(struct folio *old, gfp_t gfp,
					struct mm_struct *mm)
{
	XA_STATE(xas, &old->mapping->i_pages, old->index);
	const long nr = folio_nr_pages(old);
	struct folio *new;

	/* Smaller ones will do. */
	if (nr > 1)
		gfp = (gfp & ~__GFP_NOFAIL) | __GFP_COMP | __GFP_NORETRY |
		      __GFP_NOWARN;
	new = pram_shmem_copy(old, 0, folio_order(old), gfp, mm);
	if (IS_ERR(new))
		return new;
	pram_shmem_place(new, old, 0);
	xas_lock_irq(&xas);
	xas_store(&xas, new);
	pram_shmem_account(old, -nr);
	pram_shmem_account(new, nr);
	old->mapping = NULL;
	xas_unlock_irq(&xas);
	pram_shmem_placed(new);
	return new;
}

static void pram_shmem_drop_copies(struct list_head *copies)
{
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, copies, lru) {
		list_del(&folio->lru);
		folio_unlock(folio);
		folio_put(folio);
	}
}

/* Put copies of order 0 into a large folio's place. Return: the one at @index. */
static struct folio *pram_shmem_replace_split(struct folio *old, pgoff_t index,
					      gfp_t gfp, struct mm_struct *mm)
{
	struct address_space *mapping = old->mapping;
	XA_STATE(xas, &mapping->i_pages, old->index);
	const long nr = folio_nr_pages(old);
	struct folio *new, *next, *found = NULL;
	LIST_HEAD(copies);

	for (long i = 0; i < nr; i++) {
		new = pram_shmem_copy(old, i, 0, gfp, mm);
		if (IS_ERR(new)) {
			pram_shmem_drop_copies(&copies);
			return new;
		}
		new->index = old->index + i;
		list_add_tail(&new->lru, &copies);
	}
	xas_split_alloc(&xas, old, folio_order(old), gfp & GFP_RECLAIM_MASK);
	if (xas_error(&xas)) {
		pram_shmem_drop_copies(&copies);
		return ERR_PTR(xas_error(&xas));
	}

	xas_lock_irq(&xas);
	xas_reset(&xas);
	xas_split(&xas, old, folio_order(old));
	pram_shmem_account(old, -nr);
	list_for_each_entry(new, &copies, lru) {
		pram_shmem_place(new, old, new->index - old->index);
		/* There is a slot for it, so this needs no memory. */
		__xa_store(&mapping->i_pages, new->index, new, 0);
		pram_shmem_account(new, 1);
	}
	old->mapping = NULL;
	xas_unlock_irq(&xas);
	xas_destroy(&xas);

	list_for_each_entry_safe(new, next, &copies, lru) {
		list_del(&new->lru);
		pram_shmem_placed(new);
		if (new->index == index) {
			found = new;
			continue;
		}
		folio_unlock(new);
		folio_put(new);
	}
	return found;
}

/**
 * pram_shmem_unshare - put a copy into the place of a folio that a node holds
 * @foliop: the folio, locked, in the page cache of shared memory, with a reference of
 *	the caller's. Replaced by the copy of the page at @index: another locked folio
 *	with a reference.
 * @index: a page of the folio.
 * @gfp: how to allocate.
 * @mm: to be charged; NULL for the caller's.
 *
 * Return: 0; -ENOMEM or -EHWPOISON, and then nothing has changed.
 */
int pram_shmem_unshare(struct folio **foliop, pgoff_t index, gfp_t gfp,
		       struct mm_struct *mm)
{
	struct folio *old = *foliop, *new;
	const long nr = folio_nr_pages(old);

	VM_WARN_ON_ONCE_FOLIO(!folio_test_locked(old), old);
	if (folio_contain_hwpoisoned_page(old))
		return -EHWPOISON;
	/* Readers have to see what is written from now on. */
	if (folio_mapped(old))
		unmap_mapping_folio(old);
	new = pram_shmem_replace(old, gfp, mm);
	if (new == ERR_PTR(-ENOMEM) && nr > 1)
		new = pram_shmem_replace_split(old, index, gfp, mm);
	if (IS_ERR(new))
		return PTR_ERR(new);
	pram_count(PRAM_PAGES_COPIED_ON_TOUCH, nr);
	folio_unlock(old);
	/* It is the node's alone now: nothing to be reclaimed. */
	pram_take_off_lru(old);
	/* The page cache's references, and the caller's. */
	folio_put_refs(old, nr + 1);
	*foliop = new;
	return 0;
}
