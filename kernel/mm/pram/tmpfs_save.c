// SPDX-License-Identifier: GPL-2.0
/*
 * Saving the file tree of a tmpfs. See <linux/kho/abi/pram_tmpfs.h> for what is
 * written.
 *
 * Nobody changes the tree meanwhile: it is either read-only, with s_umount held,
 * or has been unmounted for good. So entries and inodes need no lock. Pages do,
 * against reclaim, swapoff and migration, until PRAM has its reference.
 *
 * What a read-only mount still allows is to map holes, which fills them with pages
 * of zeros, and to look up names that do not exist. Neither matters.
 */

#define pr_fmt(fmt) "tmpfs: " fmt

#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/iversion.h>
#include <linux/memcontrol.h>
#include <linux/mempolicy.h>
#include <linux/migrate.h>
#include <linux/pagemap.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/xattr.h>

/* After <linux/swap.h>, which Linux 7.2 needs to be included by hand. */
#include <linux/leafops.h>

#include "../internal.h"
#include "internal.h"
#include "tmpfs.h"

/* Some pages of a file, referenced: all that were found, and those locked. */
struct pram_tmpfs_batch {
	struct folio_batch	found;
	pgoff_t			indices[FOLIO_BATCH_SIZE];
	struct folio_batch	locked;
	enum pram_copy_reason	reasons[FOLIO_BATCH_SIZE];
};

/**
 * struct pram_tmpfs_saver - a save under way
 * @sb: the file system.
 * @last: it has been unmounted for good.
 * @streams: where it goes.
 * @counts: what has been saved.
 * @links: for each inode with several entries, by its address, its id.
 * @last_id: the last id given.
 * @used: bytes in @buffer.
 * @buffer: metadata that has not been written yet.
 * @max_names: bytes that @names has room for.
 * @names: for lists of attributes.
 * @value: for their values.
 * @nr_extents: elements of @extents.
 * @extents: of the file at hand, not yet in @buffer.
 * @batch: pages of it.
 */
struct pram_tmpfs_saver {
	struct super_block		*sb;
	bool				last;
	struct pram_tmpfs_streams	*streams;
	struct pram_tmpfs_counts	*counts;
	struct xarray			links;
	u64				last_id;
	size_t				used;
	char				*buffer;
	size_t				max_names;
	char				*names;
	char				*value;
	unsigned int			nr_extents;
	struct pram_tmpfs_extent_ser	extents[128];
	struct pram_tmpfs_batch		batch;
};

static int pram_tmpfs_write(struct pram_tmpfs_saver *saver, const void *data,
			    size_t len)
{
	ssize_t n = pram_write(&saver->streams->meta, data, len);

	if (n < 0)
		return n;
	if (n != len)
		return fatal_signal_pending(current) ? -EINTR : -ENOMEM;
	return 0;
}

static int pram_tmpfs_flush(struct pram_tmpfs_saver *saver)
{
	size_t used = saver->used;

	saver->used = 0;
	return used ? pram_tmpfs_write(saver, saver->buffer, used) : 0;
}

static int pram_tmpfs_put_bytes(struct pram_tmpfs_saver *saver,
				const void *data, size_t len)
{
	int err;

	if (len > PRAM_TMPFS_BUFFER - saver->used) {
		err = pram_tmpfs_flush(saver);
		if (err)
			return err;
		if (len > PRAM_TMPFS_BUFFER)
			return pram_tmpfs_write(saver, data, len);
	}
	memcpy(saver->buffer + saver->used, data, len);
	saver->used += len;
	return 0;
}

/* A part of a record's payload. */
struct pram_tmpfs_part {
	const void	*data;
	size_t		len;
};

static int pram_tmpfs_put_rec(struct pram_tmpfs_saver *saver, u32 type,
			      const struct pram_tmpfs_part *parts,
			      unsigned int nr)
{
	static const u64 zeros;
	struct pram_tmpfs_rec rec = { .type = type };
	int err;

	for (unsigned int i = 0; i < nr; i++)
		rec.len += parts[i].len;
	err = pram_tmpfs_put_bytes(saver, &rec, sizeof(rec));
	for (unsigned int i = 0; i < nr && !err; i++)
		err = pram_tmpfs_put_bytes(saver, parts[i].data, parts[i].len);
	if (!err)
		err = pram_tmpfs_put_bytes(saver, &zeros,
					   round_up(rec.len, 8) - rec.len);
	return err;
}

static int pram_tmpfs_put_one(struct pram_tmpfs_saver *saver, u32 type,
			      const void *data, size_t len)
{
	struct pram_tmpfs_part part = { data, len };

	return pram_tmpfs_put_rec(saver, type, &part, 1);
}

static int pram_tmpfs_save_super(struct pram_tmpfs_saver *saver)
{
	struct shmem_sb_info *sbinfo = pram_tmpfs_sb(saver->sb);
	struct pram_tmpfs_super_ser ser = {
		.magic = PRAM_TMPFS_MAGIC,
		.version = PRAM_TMPFS_VERSION,
		.max_blocks = sbinfo->max_blocks,
		.max_inodes = sbinfo->max_inodes,
		.next_ino = sbinfo->next_ino,
		.huge = sbinfo->huge,
		.mode = sbinfo->mode,
		.uid = from_kuid(&init_user_ns, sbinfo->uid),
		.gid = from_kgid(&init_user_ns, sbinfo->gid),
	};

	if (sbinfo->max_blocks == shmem_default_max_blocks())
		ser.flags |= PRAM_TMPFS_DEFAULT_BLOCKS;
	if (sbinfo->max_inodes == shmem_default_max_inodes())
		ser.flags |= PRAM_TMPFS_DEFAULT_INODES;
	if (sbinfo->full_inums)
		ser.flags |= PRAM_TMPFS_INODE64;
	if (sbinfo->noswap)
		ser.flags |= PRAM_TMPFS_NOSWAP;
	memcpy(ser.uuid, saver->sb->s_uuid.b, sizeof(ser.uuid));
	/* s_umount is held, so nobody replaces the policy. */
	if (sbinfo->mpol)
		mpol_to_str(ser.mpol, sizeof(ser.mpol), sbinfo->mpol);
	if (strlen(ser.mpol) == sizeof(ser.mpol) - 1) {
		pr_warn("mpol= is too long to be saved, and dropped\n");
		memset(ser.mpol, 0, sizeof(ser.mpol));
	}
	return pram_tmpfs_put_one(saver, PRAM_TMPFS_SUPER, &ser, sizeof(ser));
}

static struct pram_tmpfs_time pram_tmpfs_time(struct timespec64 ts)
{
	return (struct pram_tmpfs_time){ .sec = ts.tv_sec, .nsec = ts.tv_nsec };
}

static void pram_tmpfs_save_attrs(struct inode *inode,
				  struct pram_tmpfs_inode_ser *ser)
{
	struct shmem_inode_info *info = SHMEM_I(inode);

	*ser = (struct pram_tmpfs_inode_ser){
		.ino = inode->i_ino,
		.iversion = inode_peek_iversion_raw(inode),
		.rdev = new_encode_dev(inode->i_rdev),
		.mode = inode->i_mode,
		.uid = from_kuid(&init_user_ns, inode->i_uid),
		.gid = from_kgid(&init_user_ns, inode->i_gid),
		.generation = inode->i_generation,
		.fsflags = info->fsflags,
		.seals = info->seals,
		.atime = pram_tmpfs_time(inode_get_atime(inode)),
		.mtime = pram_tmpfs_time(inode_get_mtime(inode)),
		.ctime = pram_tmpfs_time(inode_get_ctime(inode)),
		.btime = pram_tmpfs_time(info->i_crtime),
	};
	if (S_ISREG(inode->i_mode)) {
		ser->size = i_size_read(inode);
		ser->fallocend = info->fallocend;
	}
}

static int pram_tmpfs_put_xattr(struct pram_tmpfs_saver *saver,
				const char *name, const void *value, size_t len)
{
	struct pram_tmpfs_xattr_ser ser = {
		.name_len = strlen(name),
		.value_len = len,
	};
	struct pram_tmpfs_part parts[] = {
		{ &ser, sizeof(ser) }, { name, ser.name_len }, { value, len },
	};

	return pram_tmpfs_put_rec(saver, PRAM_TMPFS_XATTR, parts,
				  ARRAY_SIZE(parts));
}

static int pram_tmpfs_save_acl(struct pram_tmpfs_saver *saver,
			       struct inode *inode, int type, const char *name)
{
	struct posix_acl *acl = get_inode_acl(inode, type);
	size_t len;
	void *value;
	int err;

	if (IS_ERR_OR_NULL(acl))
		return PTR_ERR_OR_ZERO(acl);
	value = posix_acl_to_xattr(&init_user_ns, acl, &len, GFP_KERNEL);
	posix_acl_release(acl);
	if (!value)
		return -ENOMEM;
	err = pram_tmpfs_put_xattr(saver, name, value, len);
	kfree(value);
	return err;
}

/* Get the names of an inode's attributes. Return: how many bytes, or an error. */
static ssize_t pram_tmpfs_list_xattrs(struct pram_tmpfs_saver *saver,
				      struct dentry *dentry,
				      struct inode *inode)
{
	ssize_t len;
	char *names;

	if (!inode->i_op->listxattr)
		return 0;
	for (;;) {
		len = inode->i_op->listxattr(dentry, saver->names,
					     saver->max_names);
		if (len != -ERANGE)
			return len;
		/* More than user space can list, but not more than it can set. */
		len = inode->i_op->listxattr(dentry, NULL, 0);
		if (len < 0)
			return len;
		names = kvrealloc(saver->names, len, GFP_KERNEL);
		if (!names)
			return -ENOMEM;
		saver->names = names;
		saver->max_names = len;
	}
}

static int pram_tmpfs_save_xattrs(struct pram_tmpfs_saver *saver,
				  struct dentry *dentry, struct inode *inode)
{
	ssize_t len, n;
	int err = 0;

	if (IS_POSIXACL(inode)) {
		err = pram_tmpfs_save_acl(saver, inode, ACL_TYPE_ACCESS,
					  XATTR_NAME_POSIX_ACL_ACCESS);
		if (!err)
			err = pram_tmpfs_save_acl(saver, inode, ACL_TYPE_DEFAULT,
						  XATTR_NAME_POSIX_ACL_DEFAULT);
	}
	if (err)
		return err;
	len = pram_tmpfs_list_xattrs(saver, dentry, inode);
	if (len < 0)
		return len;

	for (char *name = saver->names; name < saver->names + len && !err;
	     name += strlen(name) + 1) {
		/* ACLs, see above. */
		if (!strncmp(name, XATTR_SYSTEM_PREFIX, XATTR_SYSTEM_PREFIX_LEN))
			continue;
		n = __vfs_getxattr(dentry, inode, name, saver->value,
				   XATTR_SIZE_MAX);
		/* A security module lists its label though the inode has none. */
		if (n == -ENODATA)
			continue;
		err = n < 0 ? n : pram_tmpfs_put_xattr(saver, name, saver->value,
						       n);
	}
	return err;
}

static int pram_tmpfs_flush_extents(struct pram_tmpfs_saver *saver)
{
	unsigned int nr = saver->nr_extents;

	saver->nr_extents = 0;
	if (!nr)
		return 0;
	return pram_tmpfs_put_one(saver, PRAM_TMPFS_EXTENTS, saver->extents,
				  nr * sizeof(saver->extents[0]));
}

static int pram_tmpfs_add_extent(struct pram_tmpfs_saver *saver, pgoff_t index,
				 u64 nr, u64 flags)
{
	struct pram_tmpfs_extent_ser *last;
	int err;

	if (saver->nr_extents) {
		last = &saver->extents[saver->nr_extents - 1];
		if ((last->pages & ~PRAM_TMPFS_EXTENT_PAGES) == flags &&
		    last->index + (last->pages & PRAM_TMPFS_EXTENT_PAGES) == index) {
			last->pages += nr;
			return 0;
		}
	}
	if (saver->nr_extents == ARRAY_SIZE(saver->extents)) {
		err = pram_tmpfs_flush_extents(saver);
		if (err)
			return err;
	}
	last = &saver->extents[saver->nr_extents++];
	last->index = index;
	last->pages = nr | flags;
	return 0;
}

/*
 * Move the folios of a batch that lie in scratch, and let go of the batch.
 *
 * Return: false if there are none, and then nothing is done.
 */
static bool pram_tmpfs_migrate(struct pram_tmpfs_batch *batch)
{
	LIST_HEAD(isolated);
	bool any = false;

	for (unsigned int i = 0; i < folio_batch_count(&batch->found); i++) {
		struct folio *folio = batch->found.folios[i];

		if (xa_is_value(folio) || !pram_in_scratch(folio))
			continue;
		any = true;
		isolate_folio_to_list(folio, &isolated);
	}
	if (!any)
		return false;
	folio_batch_remove_exceptionals(&batch->found);
	/* A folio cannot be moved as long as somebody else has a reference. */
	folio_batch_release(&batch->found);
	pram_migrate_isolated(&isolated);
	return true;
}

/*
 * Get a folio that was found, or that is swapped out, and lock it.
 *
 * Return: the folio, referenced; NULL if it is not there any more, or lost
 * (-EIO); an error pointer.
 */
static struct folio *pram_tmpfs_lock(struct inode *inode, struct folio *folio,
				     pgoff_t index)
{
	int err;

	if (xa_is_value(folio)) {
		if (softleaf_is_poison_marker(radix_to_swp_entry(folio)))
			return ERR_PTR(-EIO);
		/* SGP_WRITE: behind the end of the file, too. */
		err = shmem_get_folio(inode, index, 0, &folio, SGP_WRITE);
		return err ? ERR_PTR(err) : folio;
	}
	folio_lock(folio);
	if (folio->mapping != inode->i_mapping ||
	    !folio_contains(folio, index)) {
		folio_unlock(folio);
		return NULL;
	}
	folio_get(folio);
	return folio;
}

static int pram_tmpfs_add_folio(struct pram_tmpfs_saver *saver,
				struct pram_tmpfs_batch *batch,
				struct folio *folio)
{
	unsigned long nr = folio_nr_pages(folio);
	pgoff_t index = folio->index;
	u64 flags = 0;

	if (folio_contain_hwpoisoned_page(folio)) {
		flags = PRAM_TMPFS_EXTENT_LOST;
		folio_unlock(folio);
		folio_put(folio);
	} else {
		/*
		 * fallocate() has reserved it, and nothing was written to it
		 * yet. What somebody else left there must not be seen in PRAM.
		 */
		if (!folio_test_uptodate(folio)) {
			folio_zero_range(folio, 0, folio_size(folio));
			flags = PRAM_TMPFS_EXTENT_UNWRITTEN;
		}
		/* Somebody's device may be writing to it even now. */
		batch->reasons[folio_batch_count(&batch->locked)] =
			folio_maybe_dma_pinned(folio) ? PRAM_COPY_PINNED :
							PRAM_COPY_NOT;
		folio_batch_add(&batch->locked, folio);
	}
	return pram_tmpfs_add_extent(saver, index, nr, flags);
}

/*
 * Take folios out of their file: nobody will look for them there, and all together
 * that is cheaper than one by one when the inode is evicted.
 *
 * If there is swap, they are no longer charged to anybody either: what is swapped in
 * later is charged to whom it was before, and these folios could not be reclaimed
 * to make room for it.
 */
static void pram_tmpfs_take_out(struct inode *inode, struct folio_batch *locked)
{
	delete_from_page_cache_batch(inode->i_mapping, locked);
	if (!total_swap_pages)
		return;
	/* What has just been swapped in waits to be put on a list. */
	lru_add_drain();
	for (unsigned int i = 0; i < folio_batch_count(locked); i++) {
		struct folio *folio = locked->folios[i];

		if (!folio_isolate_lru(folio))
			continue;
		mem_cgroup_uncharge(folio);
		folio_put(folio);
	}
}

/*
 * Save what a batch has.
 *
 * Return: 0 or an error; *@index is set to where to go on.
 */
static int pram_tmpfs_save_batch(struct pram_tmpfs_saver *saver,
				 struct inode *inode,
				 struct pram_tmpfs_batch *batch, pgoff_t *index)
{
	pgoff_t next = *index;
	int err = 0;

	folio_batch_init(&batch->locked);
	for (unsigned int i = 0; i < folio_batch_count(&batch->found); i++) {
		struct folio *folio = batch->found.folios[i];
		pgoff_t at = batch->indices[i];

		/* A part of what was found as one large folio before. */
		if (at < next)
			continue;
		folio = pram_tmpfs_lock(inode, folio, at);
		/* Swapped out, migrated or split: look again. */
		if (!folio) {
			next = at;
			break;
		}
		if (PTR_ERR_OR_ZERO(folio) == -EIO) {
			err = pram_tmpfs_add_extent(saver, at, 1,
						    PRAM_TMPFS_EXTENT_LOST);
			next = at + 1;
		} else if (IS_ERR(folio)) {
			err = PTR_ERR(folio);
		} else if (folio->index < next) {
			/* Collapsed, together with pages that were copied. */
			folio_unlock(folio);
			folio_put(folio);
			err = -EAGAIN;
		} else {
			next = folio_next_index(folio);
			err = pram_tmpfs_add_folio(saver, batch, folio);
		}
		if (err)
			break;
	}

	if (!err && folio_batch_count(&batch->locked))
		err = pram_save_folios(&saver->streams->pages,
				       batch->locked.folios, batch->reasons,
				       folio_batch_count(&batch->locked));
	if (!err && saver->last)
		pram_tmpfs_take_out(inode, &batch->locked);
	for (unsigned int i = 0; i < folio_batch_count(&batch->locked); i++) {
		struct folio *folio = batch->locked.folios[i];

		saver->counts->nr_pages += folio_nr_pages(folio);
		folio_unlock(folio);
		folio_put(folio);
	}
	*index = next;
	return err;
}

static int pram_tmpfs_save_pages(struct pram_tmpfs_saver *saver,
				 struct inode *inode)
{
	struct address_space *mapping = inode->i_mapping;
	gfp_t gfp = mapping_gfp_mask(mapping);
	struct pram_tmpfs_batch *batch = &saver->batch;
	pgoff_t index = 0, tried = 0;
	int err = 0;

	if (mapping_empty(mapping))
		return 0;
	/*
	 * What is swapped in goes where it can be preserved. If there is not
	 * enough memory for it, the save is to fail, and nobody to be killed.
	 */
	mapping_set_gfp_mask(mapping, (gfp & ~__GFP_MOVABLE) |
				      __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	while (!err) {
		pgoff_t next = index;
		bool all;

		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
		folio_batch_init(&batch->found);
		if (!find_get_entries(mapping, &next, ULONG_MAX, &batch->found,
				      batch->indices))
			break;
		if (index >= tried && pram_tmpfs_migrate(batch)) {
			/* Those that are still there next time are copied. */
			tried = next;
			continue;
		}
		all = folio_batch_space(&batch->found);
		err = pram_tmpfs_save_batch(saver, inode, batch, &index);
		folio_batch_remove_exceptionals(&batch->found);
		folio_batch_release(&batch->found);
		if (all && index >= next)
			break;
		cond_resched();
	}
	mapping_set_gfp_mask(mapping, gfp);
	return err ?: pram_tmpfs_flush_extents(saver);
}

static int pram_tmpfs_save_details(struct pram_tmpfs_saver *saver,
				   struct dentry *dentry, struct inode *inode)
{
	int err = pram_tmpfs_save_xattrs(saver, dentry, inode);

	if (!err && S_ISREG(inode->i_mode))
		err = pram_tmpfs_save_pages(saver, inode);
	if (err)
		pr_err("inode %llu (%pd) cannot be saved: %pe\n",
		       (u64)inode->i_ino, dentry, ERR_PTR(err));
	return err;
}

static int pram_tmpfs_put_new(struct pram_tmpfs_saver *saver,
			      struct dentry *dentry, struct inode *inode, u64 id)
{
	struct pram_tmpfs_new_ser ser = {
		.cookie = (unsigned long)dentry->d_fsdata,
		.id = id,
		.name_len = dentry->d_name.len,
	};
	DEFINE_DELAYED_CALL(done);
	struct pram_tmpfs_part parts[3] = {
		{ &ser, sizeof(ser) },
		{ dentry->d_name.name, dentry->d_name.len },
	};
	int err;

	pram_tmpfs_save_attrs(inode, &ser.inode);
	if (S_ISLNK(inode->i_mode)) {
		const char *target = inode->i_link;

		if (!target)
			target = inode->i_op->get_link(dentry, inode, &done);
		if (IS_ERR(target))
			return PTR_ERR(target);
		ser.target_len = strlen(target);
		parts[2] = (struct pram_tmpfs_part){ target, ser.target_len };
	}
	err = pram_tmpfs_put_rec(saver, PRAM_TMPFS_NEW, parts,
				 S_ISLNK(inode->i_mode) ? 3 : 2);
	do_delayed_call(&done);
	return err;
}

static int pram_tmpfs_put_link(struct pram_tmpfs_saver *saver,
			       struct dentry *dentry, u64 id)
{
	struct pram_tmpfs_link_ser ser = {
		.cookie = (unsigned long)dentry->d_fsdata,
		.id = id,
	};
	struct pram_tmpfs_part parts[] = {
		{ &ser, sizeof(ser) },
		{ dentry->d_name.name, dentry->d_name.len },
	};

	saver->counts->nr_links++;
	return pram_tmpfs_put_rec(saver, PRAM_TMPFS_LINK, parts,
				  ARRAY_SIZE(parts));
}

static int pram_tmpfs_save_entry(struct pram_tmpfs_saver *saver,
				 struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	u64 id = 0;
	int err;

	if (!S_ISDIR(inode->i_mode) && inode->i_nlink > 1) {
		unsigned long key = (unsigned long)inode / sizeof(*inode);
		void *known = xa_load(&saver->links, key);

		if (known)
			return pram_tmpfs_put_link(saver, dentry,
						   xa_to_value(known));
		id = ++saver->last_id;
		err = xa_err(xa_store(&saver->links, key, xa_mk_value(id),
				      GFP_KERNEL));
		if (err)
			return err;
	}
	saver->counts->nr_inodes++;
	return pram_tmpfs_put_new(saver, dentry, inode, id) ?:
	       pram_tmpfs_save_details(saver, dentry, inode);
}

static u64 pram_tmpfs_next_cookie(struct dentry *dir)
{
	return SHMEM_I(d_inode(dir))->dir_offsets.next_offset;
}

static int pram_tmpfs_put_up(struct pram_tmpfs_saver *saver, struct dentry *dir)
{
	struct pram_tmpfs_up_ser ser = {
		.next_cookie = pram_tmpfs_next_cookie(dir),
	};

	return pram_tmpfs_put_one(saver, PRAM_TMPFS_UP, &ser, sizeof(ser));
}

static struct hlist_node *pram_tmpfs_prev(struct dentry *dir,
					  struct hlist_node *node)
{
	if (node->pprev == &dir->d_children.first)
		return NULL;
	return container_of(node->pprev, struct hlist_node, next);
}

/*
 * Get the entry of a directory that was made after @dentry, or the oldest one if
 * that is NULL. The newest is the first in the list, and readdir() shows them in the
 * order of the list.
 *
 * Return: the entry, which stays for as long as nobody changes the tree, or NULL.
 */
static struct dentry *pram_tmpfs_newer(struct dentry *dir,
				       struct dentry *dentry)
{
	struct hlist_node *node;

	guard(spinlock)(&dir->d_lock);
	if (dentry) {
		node = pram_tmpfs_prev(dir, &dentry->d_sib);
	} else {
		node = dir->d_children.first;
		while (node && node->next)
			node = node->next;
	}
	for (; node; node = pram_tmpfs_prev(dir, node)) {
		dentry = hlist_entry(node, struct dentry, d_sib);
		/* Others are there while somebody looks up what does not exist. */
		if (simple_positive(dentry))
			return dentry;
	}
	return NULL;
}

/* Depth first, without a stack: an entry knows its directory and its place there. */
static int pram_tmpfs_save_entries(struct pram_tmpfs_saver *saver)
{
	struct dentry *dir = saver->sb->s_root, *last = NULL;
	int err = 0;

	while (!err) {
		struct dentry *dentry;

		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		dentry = pram_tmpfs_newer(dir, last);
		if (dentry) {
			err = pram_tmpfs_save_entry(saver, dentry);
			last = dentry;
			if (S_ISDIR(d_inode(dentry)->i_mode)) {
				dir = dentry;
				last = NULL;
			}
			continue;
		}
		if (dir == saver->sb->s_root)
			break;
		err = pram_tmpfs_put_up(saver, dir);
		last = dir;
		dir = dir->d_parent;
	}
	return err;
}

static int pram_tmpfs_save_all(struct pram_tmpfs_saver *saver)
{
	struct dentry *root = saver->sb->s_root;
	struct pram_tmpfs_inode_ser inode;
	struct pram_tmpfs_end_ser end;
	int err;

	pram_tmpfs_save_attrs(d_inode(root), &inode);
	saver->counts->nr_inodes++;
	err = pram_tmpfs_save_super(saver) ?:
	      pram_tmpfs_put_one(saver, PRAM_TMPFS_ROOT, &inode, sizeof(inode)) ?:
	      pram_tmpfs_save_details(saver, root, d_inode(root)) ?:
	      pram_tmpfs_save_entries(saver);
	if (err)
		return err;
	end = (struct pram_tmpfs_end_ser){
		.nr_inodes = saver->counts->nr_inodes,
		.nr_links = saver->counts->nr_links,
		.nr_pages = saver->counts->nr_pages,
		.next_cookie = pram_tmpfs_next_cookie(root),
	};
	return pram_tmpfs_put_one(saver, PRAM_TMPFS_END, &end, sizeof(end)) ?:
	       pram_tmpfs_flush(saver);
}

/**
 * pram_tmpfs_save_tree - write the tree of a tmpfs to two streams
 * @sb: the file system, which nobody changes; s_umount is held.
 * @last: it has been unmounted for good, and its files may lose their folios.
 * @streams: streams for saving; the caller ends them.
 * @counts: what has been saved.
 *
 * Folios go into the page stream as they are, and stay in their files as well
 * unless @last is set.
 *
 * Return: 0; -ENOMEM; -EINTR if the caller is being killed; -EAGAIN if a page was
 * made a part of a larger one meanwhile; -ESHUTDOWN.
 */
int pram_tmpfs_save_tree(struct super_block *sb, bool last,
			 struct pram_tmpfs_streams *streams,
			 struct pram_tmpfs_counts *counts)
{
	struct pram_tmpfs_saver *saver;
	int err = -ENOMEM;

	*counts = (struct pram_tmpfs_counts){};
	saver = kzalloc_obj(*saver);
	if (!saver)
		return -ENOMEM;
	saver->sb = sb;
	saver->last = last;
	saver->streams = streams;
	saver->counts = counts;
	xa_init(&saver->links);
	saver->buffer = kvmalloc(PRAM_TMPFS_BUFFER, GFP_KERNEL);
	saver->max_names = SZ_4K;
	saver->names = kvmalloc(saver->max_names, GFP_KERNEL);
	saver->value = kvmalloc(XATTR_SIZE_MAX, GFP_KERNEL);
	if (saver->buffer && saver->names && saver->value) {
		/* What waits to be put on a list cannot be taken off it to move. */
		lru_add_drain_all();
		err = pram_tmpfs_save_all(saver);
	}
	kvfree(saver->buffer);
	kvfree(saver->names);
	kvfree(saver->value);
	xa_destroy(&saver->links);
	kfree(saver);
	return err;
}
