// SPDX-License-Identifier: GPL-2.0
/*
 * tmpfs mounts with pram=NAME: when they are saved and loaded.
 *
 * A tree lives in one place at a time. It is loaded when it is mounted, and the
 * nodes are freed; it is saved when it is unmounted for the last time, or when it
 * is remounted read-only: then tree and nodes have the same pages, and nobody
 * writes to them, until a remount for writing frees the nodes.
 *
 * As long as a file system has a name no other can take it: a mount that comes
 * while it is still being saved must not find it empty.
 */

#define pr_fmt(fmt) "tmpfs: " fmt

#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/quotaops.h>
#include <linux/reboot.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/workqueue.h>

#include "internal.h"
#include "tmpfs.h"

/**
 * struct pram_tmpfs - a mounted tmpfs that has a name
 * @link: in pram_tmpfs_list.
 * @sb: the file system.
 * @complete: all of the tree is there: if it is unmounted it is to be saved. Set
 *	under pram_tmpfs_lock.
 * @saved: the nodes @ids have been given the tree, and it has not changed since.
 *	Set under pram_tmpfs_lock.
 * @ids: see &struct pram_node_stat. Set under pram_tmpfs_lock.
 * @name: its name.
 * @meta: that of the node of metadata.
 * @pages: that of the node of pages.
 */
struct pram_tmpfs {
	struct list_head	link;
	struct super_block	*sb;
	bool			complete;
	bool			saved;
	u64			ids[2];
	char			name[PRAM_TMPFS_NAME_MAX + 1];
	char			meta[PRAM_NAME_MAX];
	char			pages[PRAM_NAME_MAX];
};

/* Protects the list, and the names of all mounts. Not held for long. */
static DEFINE_MUTEX(pram_tmpfs_lock);
static LIST_HEAD(pram_tmpfs_list);

/**
 * pram_tmpfs_check_name - check the value of the mount option pram=
 * @fc: what is being mounted or remounted; told what is wrong.
 * @name: the value.
 *
 * Return: 0; -EPERM outside the initial user namespace, which must not access
 * nodes; -EINVAL for a bad name.
 */
int pram_tmpfs_check_name(struct fs_context *fc, const char *name)
{
	size_t len = strlen(name);

	if (fc->user_ns != &init_user_ns || !capable(CAP_SYS_ADMIN)) {
		errorfc(fc, "pram= needs CAP_SYS_ADMIN in the initial user namespace");
		return -EPERM;
	}
	if (!len)
		return invalfc(fc, "pram= needs a name");
	if (len > PRAM_TMPFS_NAME_MAX)
		return invalfc(fc, "pram=: a name of %zu bytes, at most %u are possible",
			       len, PRAM_TMPFS_NAME_MAX);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == '\x7f' || *c == ',')
			return invalfc(fc, "pram=: white space, comma or control character");
	return 0;
}

/* Can this file system be saved at all? */
static int pram_tmpfs_check_sb(struct fs_context *fc, struct super_block *sb)
{
	if (sb_any_quota_loaded(sb))
		return invalfc(fc, "pram= cannot be combined with quotas: not kept");
#if IS_ENABLED(CONFIG_UNICODE)
	if (sb->s_encoding)
		return invalfc(fc, "pram= cannot be combined with casefold: not kept");
#endif
	if (!pram_is_enabled()) {
		errorfc(fc, "pram= needs PRAM, which is off: see the kernel's log");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Take a name for a file system. Return: an error pointer if that is not possible. */
static struct pram_tmpfs *pram_tmpfs_register(struct fs_context *fc,
					      struct super_block *sb,
					      const char *name)
{
	struct pram_tmpfs *pt, *other;
	int err;

	err = pram_tmpfs_check_sb(fc, sb);
	if (err)
		return ERR_PTR(err);
	pt = kzalloc_obj(*pt);
	if (!pt)
		return ERR_PTR(-ENOMEM);
	pt->sb = sb;
	strscpy(pt->name, name);
	snprintf(pt->meta, sizeof(pt->meta), PRAM_TMPFS_NODE_META "%s", name);
	snprintf(pt->pages, sizeof(pt->pages), PRAM_TMPFS_NODE_PAGES "%s", name);

	guard(mutex)(&pram_tmpfs_lock);
	list_for_each_entry(other, &pram_tmpfs_list, link) {
		if (strcmp(other->name, name))
			continue;
		errorfc(fc, "pram=%s is in use by another mount", name);
		kfree(pt);
		return ERR_PTR(-EBUSY);
	}
	list_add_tail(&pt->link, &pram_tmpfs_list);
	return pt;
}

static void pram_tmpfs_unregister(struct pram_tmpfs *pt)
{
	if (!pt)
		return;
	scoped_guard(mutex, &pram_tmpfs_lock)
		list_del(&pt->link);
	kfree(pt);
}

/*
 * Open the nodes of a tree for saving. The limit on what nodes hold does not concern
 * them: an unmount would lose the files that it refuses, and to save them takes hardly
 * any memory that they did not have before. Their own limit is size=.
 */
static int pram_tmpfs_open_save(const struct pram_tmpfs *pt,
				struct pram_tmpfs_streams *save, gfp_t gfp)
{
	int err;

	err = pram_begin_save(&save->meta, pt->meta, PRAM_BYTE_STREAM,
			      PRAM_SAVE_CHECKSUM | PRAM_SAVE_REPLACE, true, gfp);
	if (err)
		return err;
	err = pram_begin_save(&save->pages, pt->pages, PRAM_PAGE_STREAM,
			      PRAM_SAVE_REPLACE, true, gfp);
	if (err)
		pram_discard_save(&save->meta);
	return err;
}

static int pram_tmpfs_open_load(const struct pram_tmpfs *pt,
				struct pram_tmpfs_streams *load)
{
	int err;

	err = pram_prepare_load(&load->meta, pt->meta, PRAM_BYTE_STREAM);
	if (err)
		return err;
	err = pram_prepare_load(&load->pages, pt->pages, PRAM_PAGE_STREAM);
	if (err)
		pram_abort_load(&load->meta);
	return err;
}

static void pram_tmpfs_abort_load(struct pram_tmpfs_streams *load)
{
	pram_abort_load(&load->meta);
	pram_abort_load(&load->pages);
}

static int pram_tmpfs_finish_load(struct pram_tmpfs_streams *load)
{
	struct pram_stream *all[] = { &load->meta, &load->pages };

	return pram_end_streams(all, ARRAY_SIZE(all));
}

/*
 * Save a file system that does not change any more.
 *
 * @load: the streams that it has been loaded from, to be finished by the same
 *	step; NULL if there are none.
 * @last: it has been unmounted for good.
 *
 * Return: 0 or an error, and then there are no new nodes.
 */
static int pram_tmpfs_save(struct pram_tmpfs *pt,
			   struct pram_tmpfs_streams *load, bool last)
{
	struct pram_tmpfs_streams *save __free(kfree) = kzalloc_obj(*save);
	struct pram_tmpfs_counts counts;
	struct pram_stream *all[4];
	u64 ids[2];
	int err;

	if (!save)
		return -ENOMEM;
	err = pram_tmpfs_open_save(pt, save, last ? GFP_KERNEL : PRAM_TMPFS_GFP);
	if (err)
		return err;
	all[0] = &save->meta;
	all[1] = &save->pages;
	if (load) {
		all[2] = &load->meta;
		all[3] = &load->pages;
	}
	ids[0] = save->meta.node->id;
	ids[1] = save->pages.node->id;
	err = pram_tmpfs_save_tree(pt->sb, last, save, &counts);
	if (!err)
		err = pram_end_streams(all, load ? 4 : 2);
	if (err) {
		pram_discard_save(&save->meta);
		pram_discard_save(&save->pages);
		return err;
	}
	scoped_guard(mutex, &pram_tmpfs_lock) {
		pt->ids[0] = ids[0];
		pt->ids[1] = ids[1];
		pt->saved = true;
	}
	pr_info("pram=%s: saved %llu inodes, %llu pages\n", pt->name,
		counts.nr_inodes, counts.nr_pages);
	return 0;
}

static bool pram_tmpfs_has_node(const char *node, u64 id)
{
	struct pram_node_stat stat;

	return !pram_stat(node, &stat) && (!id || stat.id == id);
}

/* Are there nodes with the names that this file system is saved to? */
static bool pram_tmpfs_has_nodes(const struct pram_tmpfs *pt)
{
	return pram_tmpfs_has_node(pt->meta, 0) ||
	       pram_tmpfs_has_node(pt->pages, 0);
}

/* Do nodes hold the tree as it is? They may have been freed by hand. */
static bool pram_tmpfs_is_saved(const struct pram_tmpfs *pt)
{
	return pt->saved && pram_tmpfs_has_node(pt->meta, pt->ids[0]) &&
	       pram_tmpfs_has_node(pt->pages, pt->ids[1]);
}

static void pram_tmpfs_set_complete(struct pram_tmpfs *pt)
{
	guard(mutex)(&pram_tmpfs_lock);
	pt->complete = true;
}

static void pram_tmpfs_set_unsaved(struct pram_tmpfs *pt)
{
	guard(mutex)(&pram_tmpfs_lock);
	pt->saved = false;
}

/*
 * Free what the nodes of a name have, both or none: the tree itself is newer.
 *
 * Return: 0, also if there is nothing; -EBUSY if somebody reads them; -ENOMEM;
 * -ESHUTDOWN.
 */
static int pram_tmpfs_free_nodes(const struct pram_tmpfs *pt)
{
	struct pram_tmpfs_streams *load __free(kfree) = kzalloc_obj(*load);
	int err;

	if (!load)
		return -ENOMEM;
	err = pram_tmpfs_open_load(pt, load);
	if (!err) {
		err = pram_tmpfs_finish_load(load);
		if (err)
			pram_tmpfs_abort_load(load);
		return err;
	}
	if (err == -EBUSY || err == -ENOMEM)
		return err;
	/* One of them is not there, or damaged: so they are not a tree. */
	err = pram_free(pt->meta);
	if (!err || err == -ENOENT)
		err = pram_free(pt->pages);
	return err == -ENOENT ? 0 : err;
}

static int pram_tmpfs_load(struct super_block *sb, struct pram_tmpfs *pt,
			   const struct pram_tmpfs_given *given)
{
	struct pram_tmpfs_streams *load __free(kfree) = kzalloc_obj(*load);
	struct pram_tmpfs_counts counts;
	int err;

	if (!load)
		return -ENOMEM;
	err = pram_tmpfs_open_load(pt, load);
	if (err == -ENOENT && pram_tmpfs_has_nodes(pt)) {
		pr_err("pram=%s: of the nodes %s and %s there is only one; free it with: pramctl rm\n",
		       pt->name, pt->meta, pt->pages);
		return -EBADMSG;
	}
	/* Nothing was saved, and the file system is empty. */
	if (err == -ENOENT && pram_lost_pages)
		pr_warn("pram=%s: nothing was saved, unless it is what the last kexec lost (%llu pages or more)\n",
			pt->name, pram_lost_pages);
	if (err == -ENOENT)
		return sb_rdonly(sb) ? pram_tmpfs_save(pt, NULL, false) : 0;
	if (err)
		return err;

	err = pram_tmpfs_load_tree(sb, load, given, &counts);
	if (!err)
		err = sb_rdonly(sb) ? pram_tmpfs_save(pt, load, false) :
				      pram_tmpfs_finish_load(load);
	if (err) {
		/*
		 * What still waits to be put on an LRU list would look, when
		 * it is out of its file, as if it had never been in one.
		 */
		lru_add_drain_all();
		pram_tmpfs_abort_load(load);
		return err;
	}
	pr_info("pram=%s: loaded %llu inodes, %llu pages\n", pt->name,
		counts.nr_inodes, counts.nr_pages);
	return 0;
}

/**
 * pram_tmpfs_mount - load a file system that is about to be mounted
 * @fc: the mount; told what is wrong.
 * @sb: the file system, with an empty root directory.
 * @name: the value of pram=; NULL: none was given, and nothing is done.
 * @given: what options the mount names.
 *
 * Return: 0, also if nothing was saved under the name; -EBUSY if it is another
 * mount's; -EINVAL or -EOPNOTSUPP if this file system cannot be saved; errors of
 * pram_prepare_load_flags() and pram_tmpfs_load_tree(). On an error the caller
 * destroys @sb; what was saved stays as it is.
 */
int pram_tmpfs_mount(struct fs_context *fc, struct super_block *sb,
		     const char *name, const struct pram_tmpfs_given *given)
{
	struct pram_tmpfs *pt;
	int err;

	if (!name)
		return 0;
	pt = pram_tmpfs_register(fc, sb, name);
	if (IS_ERR(pt))
		return PTR_ERR(pt);
	/* Now it is pram_tmpfs_put() that lets go of the name. */
	pram_tmpfs_sb(sb)->pram = pt;
	err = pram_tmpfs_load(sb, pt, given);
	if (err)
		errorfc(fc, "pram=%s: cannot be loaded (error %d), and stays saved",
			name, err);
	else
		pram_tmpfs_set_complete(pt);
	return err;
}

/* Take a name for a file system that is not to be loaded. */
static struct pram_tmpfs *pram_tmpfs_take_name(struct fs_context *fc,
					       struct super_block *sb,
					       const char *name)
{
	struct pram_tmpfs *pt = pram_tmpfs_register(fc, sb, name);

	/* Another tree, that a save under this name would replace. */
	if (!IS_ERR(pt) && pram_tmpfs_has_nodes(pt)) {
		errorfc(fc, "pram=%s: a saved tree has this name; mount it, or see pramctl rm",
			name);
		pram_tmpfs_unregister(pt);
		return ERR_PTR(-EEXIST);
	}
	return pt;
}

static void pram_tmpfs_replace(struct super_block *sb, struct pram_tmpfs *pt)
{
	guard(mutex)(&pram_tmpfs_lock);
	pram_tmpfs_sb(sb)->pram = pt;
}

/**
 * pram_tmpfs_reconfigure - do what a remount asks for
 * @fc: the remount; told what is wrong.
 * @name: the new name; NULL: as it was.
 * @drop: give up the name.
 *
 * Called with s_umount held, when all else is done that can fail.
 *
 * Return: 0; see pram_tmpfs_mount() and pram_tmpfs_save_tree(); -EBUSY if somebody
 * reads the nodes that have to go. On an error nothing has happened.
 */
int pram_tmpfs_reconfigure(struct fs_context *fc, const char *name, bool drop)
{
	struct super_block *sb = fc->root->d_sb;
	struct pram_tmpfs *old = pram_tmpfs_sb(sb)->pram, *pt = old;
	unsigned long flags = (sb->s_flags & ~fc->sb_flags_mask) |
			      (fc->sb_flags & fc->sb_flags_mask);
	bool rdonly = flags & SB_RDONLY;
	int err = 0;

	if (drop) {
		pt = NULL;
	} else if (name && (!old || strcmp(old->name, name))) {
		pt = pram_tmpfs_take_name(fc, sb, name);
		if (IS_ERR(pt))
			return PTR_ERR(pt);
	}
	if (pt && rdonly && !pram_tmpfs_is_saved(pt)) {
		/* What is left of an earlier save is not a tree any more. */
		if (pt->saved)
			err = pram_tmpfs_free_nodes(pt);
		if (!err)
			err = pram_tmpfs_save(pt, NULL, false);
		if (err)
			errorfc(fc, "pram=%s: cannot be saved (error %d)",
				pt->name, err);
	}
	if (!err && old && old->saved && (old != pt || !rdonly)) {
		err = pram_tmpfs_free_nodes(old);
		if (!err)
			pram_tmpfs_set_unsaved(old);
		else
			errorfc(fc, "pram=%s: the saved tree cannot be freed (error %d)",
				old->name, err);
	}
	if (err) {
		if (pt && pt != old) {
			if (pt->saved)
				pram_tmpfs_free_nodes(pt);
			pram_tmpfs_unregister(pt);
		}
		return err;
	}
	if (pt != old) {
		if (pt)
			pram_tmpfs_set_complete(pt);
		pram_tmpfs_replace(sb, pt);
		pram_tmpfs_unregister(old);
	}
	return 0;
}

/**
 * pram_tmpfs_show - print the mount option
 * @seq: where to.
 * @sb: the file system.
 */
void pram_tmpfs_show(struct seq_file *seq, struct super_block *sb)
{
	guard(mutex)(&pram_tmpfs_lock);
	if (pram_tmpfs_sb(sb)->pram)
		seq_show_option(seq, "pram", pram_tmpfs_sb(sb)->pram->name);
}

struct pram_tmpfs_work {
	struct work_struct	work;
	struct completion	done;
	struct pram_tmpfs	*pt;
};

static void pram_tmpfs_save_last(struct work_struct *work)
{
	struct pram_tmpfs_work *last = container_of(work, struct pram_tmpfs_work,
						    work);
	struct pram_tmpfs *pt = last->pt;
	int err;

	/* Whatever has this name is older. */
	err = pram_tmpfs_free_nodes(pt);
	if (!err)
		err = pram_tmpfs_save(pt, NULL, true);
	if (err)
		pr_err("pram=%s: not saved when unmounted (%pe), its files are lost; remount it read-only before, and see that this succeeds\n",
		       pt->name, ERR_PTR(err));
	complete(&last->done);
}

/**
 * pram_tmpfs_unmount - save a file system that is unmounted for good
 * @sb: the file system, which has no other user any more.
 */
void pram_tmpfs_unmount(struct super_block *sb)
{
	struct shmem_sb_info *sbinfo = pram_tmpfs_sb(sb);
	struct pram_tmpfs_work last;

	if (!sbinfo || !sbinfo->pram || !sbinfo->pram->complete ||
	    pram_tmpfs_is_saved(sbinfo->pram))
		return;
	/*
	 * The task that dropped the last reference may be being killed, and there
	 * is no second chance: nothing must interrupt this.
	 */
	last.pt = sbinfo->pram;
	init_completion(&last.done);
	INIT_WORK_ONSTACK(&last.work, pram_tmpfs_save_last);
	queue_work(system_dfl_long_wq, &last.work);
	/* Much that is swapped out takes its time, but does not hang. */
	while (!wait_for_completion_timeout(&last.done, 10 * HZ))
		;
	flush_work(&last.work);
	destroy_work_on_stack(&last.work);
}

/**
 * pram_tmpfs_put - let go of a file system's name
 * @sb: the file system, whose inodes are gone.
 */
void pram_tmpfs_put(struct super_block *sb)
{
	pram_tmpfs_unregister(pram_tmpfs_sb(sb)->pram);
	pram_tmpfs_sb(sb)->pram = NULL;
}

/* Would a kexec lose what the file system holds? */
static bool pram_tmpfs_is_unsaved(const struct pram_tmpfs *pt)
{
	lockdep_assert_held(&pram_tmpfs_lock);
	return pt->complete && !pram_tmpfs_is_saved(pt);
}

/**
 * pram_tmpfs_nr_writable - count the file systems that a kexec would lose
 *
 * They are mounted read-write, in some mount namespace or for a process that has a
 * file open; or are being saved; or are read-only and their nodes have been freed.
 *
 * Return: the number.
 */
unsigned int pram_tmpfs_nr_writable(void)
{
	struct pram_tmpfs *pt;
	unsigned int nr = 0;

	guard(mutex)(&pram_tmpfs_lock);
	list_for_each_entry(pt, &pram_tmpfs_list, link)
		nr += pram_tmpfs_is_unsaved(pt);
	return nr;
}

static int pram_tmpfs_reboot(struct notifier_block *nb, unsigned long action,
			     void *data)
{
	struct pram_tmpfs *pt;

	guard(mutex)(&pram_tmpfs_lock);
	list_for_each_entry(pt, &pram_tmpfs_list, link)
		if (pram_tmpfs_is_unsaved(pt))
			pr_err("pram=%s: still mounted read-write; what it holds is lost with this reboot\n",
			       pt->name);
	return NOTIFY_DONE;
}

static struct notifier_block pram_tmpfs_reboot_nb = {
	.notifier_call = pram_tmpfs_reboot,
};

static int __init pram_tmpfs_init(void)
{
	return register_reboot_notifier(&pram_tmpfs_reboot_nb);
}
late_initcall(pram_tmpfs_init);
