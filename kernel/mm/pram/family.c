// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks that are restored together, and share memory as relatives do.
 *
 * Reverse mapping finds a shared anonymous page from its anon_vma, that of the
 * ancestor who had it first, to which each descendant's region is linked. Tasks that
 * are restored have no ancestor in common any more: each gets its pages by itself, in
 * regions of its own, in whatever order. So they get a stand-in for one that has exited:
 * an anon_vma that no task has, the parent of those of all their regions.
 *
 * There is one for anonymous memory and one for each file: pages are shared between
 * regions of one of these only, and 7.2 has pages of all files at the same indexes.
 */

#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rmap.h>
#include <linux/slab.h>

#include "../internal.h"
#include "internal.h"

/**
 * struct pram_family - the streams that one opener of /dev/pram loads
 * @ref: one for the opener, one for each stream.
 * @lock: protects what follows.
 * @nr_streams: how many are open.
 * @ancestors: of &struct pram_ancestor.
 */
struct pram_family {
	struct kref		ref;
	struct mutex		lock;
	unsigned int		nr_streams;
	struct list_head	ancestors;
};

/**
 * struct pram_ancestor - the parent of all regions of one kind
 * @link: in &pram_family.ancestors.
 * @inode: the file that is mapped, only to be compared; NULL for anonymous memory.
 * @root: the anon_vma, referenced.
 */
struct pram_ancestor {
	struct list_head	link;
	const struct inode	*inode;
	struct anon_vma		*root;
};

/**
 * pram_family_alloc - make a family
 *
 * Return: the family, to be put by pram_family_put(); NULL.
 */
struct pram_family *pram_family_alloc(void)
{
	struct pram_family *family = kzalloc_obj(*family);

	if (!family)
		return NULL;
	kref_init(&family->ref);
	mutex_init(&family->lock);
	INIT_LIST_HEAD(&family->ancestors);
	return family;
}

static void pram_family_free(struct kref *ref)
{
	kfree(container_of(ref, struct pram_family, ref));
}

/**
 * pram_family_put - let go of a family
 * @family: the family.
 */
void pram_family_put(struct pram_family *family)
{
	kref_put(&family->ref, pram_family_free);
}

/**
 * pram_family_join - note that a stream is one of a family
 * @family: the family.
 *
 * Return: the same, with a reference, for pram_family_leave().
 */
struct pram_family *pram_family_join(struct pram_family *family)
{
	kref_get(&family->ref);
	guard(mutex)(&family->lock);
	family->nr_streams++;
	return family;
}

/**
 * pram_family_leave - note that a stream of a family is closed
 * @family: the family, or NULL. What was mapped stays shared.
 *
 * With the last one the family ends: what the same opener loads next has nothing to do
 * with it, and need not be found from the same place.
 */
void pram_family_leave(struct pram_family *family)
{
	struct pram_ancestor *ancestor, *next;

	if (!family)
		return;
	scoped_guard(mutex, &family->lock) {
		if (--family->nr_streams)
			break;
		list_for_each_entry_safe(ancestor, next, &family->ancestors, link) {
			list_del(&ancestor->link);
			if (ancestor->root)
				put_anon_vma(ancestor->root);
			kfree(ancestor);
		}
	}
	pram_family_put(family);
}

static struct pram_ancestor *pram_find_ancestor(struct pram_family *family,
						const struct inode *inode)
{
	struct pram_ancestor *ancestor;

	list_for_each_entry(ancestor, &family->ancestors, link)
		if (ancestor->inode == inode)
			return ancestor;
	ancestor = kzalloc_obj(*ancestor);
	if (!ancestor)
		return NULL;
	ancestor->inode = inode;
	list_add(&ancestor->link, &family->ancestors);
	return ancestor;
}

/**
 * pram_family_prepare - make a region one of a family's
 * @family: the family.
 * @vma: the region, which has no anonymous pages yet; mmap_lock is held.
 *
 * Return: 0 or -ENOMEM.
 */
int pram_family_prepare(struct pram_family *family, struct vm_area_struct *vma)
{
	const struct inode *inode = vma->vm_file ? file_inode(vma->vm_file) : NULL;
	struct pram_ancestor *ancestor;
	int err;

	guard(mutex)(&family->lock);
	ancestor = pram_find_ancestor(family, inode);
	if (!ancestor)
		return -ENOMEM;
	if (ancestor->root) {
		err = anon_vma_prepare_child(vma, ancestor->root);
		if (err != -ESTALE)
			return err;
		/* All that it had are gone, of a restore that failed, say. */
		put_anon_vma(ancestor->root);
	}
	ancestor->root = anon_vma_alloc_root();
	if (!ancestor->root)
		return -ENOMEM;
	return anon_vma_prepare_child(vma, ancestor->root);
}
