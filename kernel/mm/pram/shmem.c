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
 * only then unlocked. Whoever maps it does so under this lock. So he is either before
 * that, and his mapping goes, or after, and sees that the folio is held. Nothing else
 * is noted down, so a dump that fails has nothing to undo.
 *
 * A restore goes the same way back: folios of the node are put into holes of the file,
 * and are held until it is committed. Whatever touches them before gets copies.
 */

#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/jump_label.h>
#include <linux/memcontrol.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/pram_shmem.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/userfaultfd_k.h>

#include "../internal.h"
#include "internal.h"

/* Is there a node that may hold folios of the page cache? */
DEFINE_STATIC_KEY_FALSE(pram_holds_shmem);

/* Protects &pram_node.holds_shmem. */
static DEFINE_MUTEX(pram_shmem_lock);

/**
 * struct pram_kept_file - a file that is kept a while longer
 * @link: in &pram_node.files, and then in pram_kept_files.
 * @file: the file, which the tasks that have it mapped are the last to have, mostly.
 */
struct pram_kept_file {
	struct list_head	link;
	struct file		*file;
};

/*
 * A file that nobody has any more has its folios taken out of the page cache one by one,
 * though they are not even freed, as a node has them. The end of a dump would have to
 * wait for that. So it is put off; and if a kexec is first, nobody has to do it.
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
		/* Not later: whoever waits for this work waits for its end. */
		__fput_sync(kept->file);
		kfree(kept);
	}
}

static DECLARE_DELAYED_WORK(pram_kept_work, pram_put_kept_files);

/* Keep a file of memory that has no place in a file system: nobody can see that. */
static void pram_keep_file(struct pram_node *node, struct file *file)
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

static void pram_shmem_account(struct folio *folio, long nr)
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

/* Reclaim has to write it to swap before it frees it. */
static void pram_shmem_placed(struct folio *new)
{
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
	/* Those who only read it have to see what is written now. */
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

/* Folios that are taken over together. */
#define PRAM_TAKE_BATCH		64

/* Waits for others to take their eyes off folios, for each call. */
#define PRAM_TAKE_PATIENCE	10

/**
 * struct pram_taker - what takes over folios of a file
 * @ps: the stream.
 * @node: its node, locked.
 * @mapping: the file's.
 * @moved: up to this index folios were moved out of scratch, if they could be.
 * @split: up to this index folios were split of which only a part is to be taken, if
 *	they could be.
 * @patience: how often to wait yet.
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

/* Give the node what is locked. Nobody can have come by it before it is held. */
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
		/* What waits to be put on an LRU list has one for it, as if just read in. */
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
 * See to it that nobody can write to a locked folio any more, but by asking shmem for it.
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
	/* Pins, and those who look at another task's memory to write to it. */
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
	/* Be it swapped out. */
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

/*
 * Can a locked folio be taken over just as it is, as most can: nobody has mapped it, and
 * nobody has a reference but the file, and the caller?
 */
static bool pram_taker_plain(struct pram_taker *taker, struct folio *folio)
{
	unsigned long block = folio_pfn(folio) >> pageblock_order;

	if (!folio_test_uptodate(folio) || folio_mapped(folio) ||
	    folio_ref_count(folio) != folio_nr_pages(folio) + 1 ||
	    folio_contain_hwpoisoned_page(folio))
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
 * follow one another.
 *
 * Return: 0 or an error; *@next is set to where it stopped.
 */
static int pram_taker_take_plain(struct pram_taker *taker, pgoff_t index,
				 pgoff_t end, pgoff_t *next)
{
	pgoff_t indices[FOLIO_BATCH_SIZE], at = index;
	struct folio_batch fbatch;
	unsigned int i, nr;
	int err = 0;

	*next = index;
	if (taker->nr + FOLIO_BATCH_SIZE > PRAM_TAKE_BATCH)
		err = pram_taker_flush(taker);
	if (err)
		return err;
	folio_batch_init(&fbatch);
	nr = find_lock_entries(taker->mapping, &at, end - 1, &fbatch, indices);
	for (i = 0; i < nr; i++) {
		struct folio *folio = fbatch.folios[i];

		if (indices[i] != *next || xa_is_value(folio) ||
		    !pram_taker_plain(taker, folio))
			break;
		pram_taker_add(taker, folio, folio_page(folio, 0),
			       folio_nr_pages(folio));
		*next += folio_nr_pages(folio);
	}
	for (; i < nr; i++) {
		if (xa_is_value(fbatch.folios[i]))
			continue;
		folio_unlock(fbatch.folios[i]);
		folio_put(fbatch.folios[i]);
	}
	return 0;
}

static int pram_taker_range(struct pram_taker *taker, pgoff_t index, pgoff_t end)
{
	const bool copy = taker->ps->flags & PRAM_SAVE_COPY;
	pgoff_t plain = copy ? end : index, next;
	int err = 0;

	taker->moved = 0;
	taker->split = 0;
	/* At once for all, mostly: what is mapped again until it is its turn goes then. */
	if (!copy)
		unmap_mapping_pages(taker->mapping, index, end - index, false);
	while (index < end && !err) {
		next = index;
		if (fatal_signal_pending(current)) {
			err = -EINTR;
		} else if (index >= plain) {
			err = pram_taker_take_plain(taker, index, end, &next);
			/* It is not asked for each of those that follow. */
			if (next == index)
				plain = index + FOLIO_BATCH_SIZE;
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

	/* Before the first of them is held; who names none only asks if it could be. */
	if (nr && !is_file_hugepages(file)) {
		pram_shmem_hold(node);
		pram_keep_file(node, file);
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
			err = pram_copy_hugetlb(ps, node, taker->mapping, index, end);
		else if (range->len)
			err = pram_taker_range(taker, index, end);
	}
	*pages = (node->bytes - before) >> PAGE_SHIFT;
	kvfree(taker);
	pram_adopt_end(stream, node, err);
	return err;
}

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

/* Folios from the first one on that are counted alike. */
static unsigned int pram_counted_alike(struct folio **folios, unsigned int nr)
{
	unsigned int i;

	for (i = 1; i < nr; i++)
		if (folio_memcg(folios[i]) != folio_memcg(folios[0]) ||
		    folio_nid(folios[i]) != folio_nid(folios[0]) ||
		    folio_order(folios[i]) != folio_order(folios[0]))
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
	/* Nor does anybody map them meanwhile who knows them to be fresh. */
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
 * @patience: how often to wait for others yet.
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
		/* Nor does anybody map it meanwhile who knows it to be fresh. */
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
