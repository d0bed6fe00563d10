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
#include <linux/highmem.h>
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
#include <linux/xarray.h>
#include <linux/xattr.h>

/* After <linux/swap.h>, which Linux 7.2 needs to be included by hand. */
#include <linux/leafops.h>

#include "../internal.h"
#include "internal.h"
#include "tmpfs.h"

/*
 * What a file has in one node of its tree, or one folio that is larger, as long as there is
 * nothing unusual about it: locked, and with the entries for the page stream.
 */
struct pram_tmpfs_window {
	unsigned int		nr;
	struct folio		*folios[XA_CHUNK_SIZE];
	u64			entries[XA_CHUNK_SIZE];
};

/* Some pages of a file, referenced: all that were found, and those locked. */
struct pram_tmpfs_batch {
	struct folio_batch	found;
	pgoff_t			indices[FOLIO_BATCH_SIZE];
	struct folio_batch	locked;
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
 * @nr_pages: pages of it that extents name.
 * @nr_lost: of these, lost ones.
 * @block: the block of pages in which a folio was found last that is not in scratch:
 *	then others in it are not, either.
 * @window: pages of the file at hand, in the usual case.
 * @batch: pages of it, if they need more care.
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
	u64				nr_pages;
	u64				nr_lost;
	unsigned long			block;
	struct pram_tmpfs_window	window;
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

#ifdef CONFIG_NUMA
/* s_umount is held, so nobody replaces the policy. */
static void pram_tmpfs_save_mpol(struct shmem_sb_info *sbinfo,
				 struct pram_tmpfs_super_ser *ser)
{
	if (sbinfo->mpol)
		mpol_to_str(ser->mpol, sizeof(ser->mpol), sbinfo->mpol);
	if (strlen(ser->mpol) == sizeof(ser->mpol) - 1) {
		pr_warn("mpol= is too long to be saved, and dropped\n");
		memset(ser->mpol, 0, sizeof(ser->mpol));
	}
}
#else
static void pram_tmpfs_save_mpol(struct shmem_sb_info *sbinfo,
				 struct pram_tmpfs_super_ser *ser)
{
}
#endif

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
	pram_tmpfs_save_mpol(sbinfo, &ser);
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

	saver->nr_pages += nr;
	if (flags & PRAM_TMPFS_EXTENT_LOST)
		saver->nr_lost += nr;
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

static u64 pram_tmpfs_entry(struct folio *folio)
{
	if (!folio_test_large(folio))
		return FIELD_PREP(PRAM_ENTRY_PFN, folio_pfn(folio)) |
		       PRAM_ENTRY_LRU | PRAM_ENTRY_ADOPTED;
	return pram_entry(folio, folio_page(folio, 0), folio_nr_pages(folio),
			  PRAM_ENTRY_LRU | PRAM_ENTRY_ADOPTED);
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
	pram_migrate_isolated(&isolated, PRAM_PAGES_MIGRATED);
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

/*
 * How many pages are lost with one that could not be read back? Behind a mark it is
 * as many as the mark stands for, and that may be more than one.
 */
static unsigned long pram_tmpfs_count_lost(struct inode *inode, pgoff_t index)
{
	struct xarray *pages = &inode->i_mapping->i_pages;
	unsigned long nr = 1;
	void *entry;

	/* Marks stay as they are until the file is truncated. */
	entry = xa_load(pages, index);
	if (xa_is_value(entry) &&
	    softleaf_is_poison_marker(radix_to_swp_entry(entry)))
		nr <<= xa_get_order(pages, index);
	return round_down(index, nr) + nr - index;
}

/* fallocate() has reserved it, and nothing was written to it yet. */
static void pram_tmpfs_clear(struct folio *folio)
{
	for (long i = 0; i < folio_nr_pages(folio); i++) {
		if (!PageHWPoison(folio_page(folio, i)))
			clear_highpage(folio_page(folio, i));
	}
}

/*
 * Take folios out of their file: nobody will look for them there, and all together
 * that is cheaper than one by one when the inode is evicted. They are not charged to
 * anybody either, and on no list: they cannot be reclaimed.
 */
static void pram_tmpfs_take_out(struct inode *inode, struct folio **folios,
				unsigned int nr, bool window)
{
	pram_shmem_remove(inode->i_mapping, folios, nr, window);
	pram_retire_folios(folios, nr);
}

/* Save the locked folios of a batch as they are, and let go of them. */
static int pram_tmpfs_save_locked(struct pram_tmpfs_saver *saver,
				  struct inode *inode)
{
	struct folio_batch *locked = &saver->batch.locked;
	unsigned int nr = folio_batch_count(locked);
	u64 entries[FOLIO_BATCH_SIZE];
	int err;

	if (!nr)
		return 0;
	for (unsigned int i = 0; i < nr; i++) {
		folio_get(locked->folios[i]);
		entries[i] = pram_tmpfs_entry(locked->folios[i]);
	}
	err = pram_save_entries(&saver->streams->pages, entries, nr);
	if (!err && saver->last) {
		/* What has just been swapped in waits to be put on a list. */
		lru_add_drain();
		pram_tmpfs_take_out(inode, locked->folios, nr, false);
	}
	for (unsigned int i = 0; i < nr; i++) {
		struct folio *folio = locked->folios[i];

		saver->counts->nr_pages += folio_nr_pages(folio);
		folio_unlock(folio);
		folio_put(folio);
	}
	folio_batch_init(locked);
	return err;
}

/*
 * Save copies of the pages of a locked folio, from @first on. Those that cannot be read
 * are lost, the others are not.
 */
static int pram_tmpfs_save_copies(struct pram_tmpfs_saver *saver,
				  struct folio *folio, unsigned long first,
				  enum pram_copy_reason reason, u64 flags)
{
	const unsigned long end = folio_nr_pages(folio);
	int err = 0;

	while (first < end && !err) {
		unsigned long nr = 0, done = 0;
		bool lost;

		while (first + nr < end &&
		       !PageHWPoison(folio_page(folio, first + nr)))
			nr++;
		if (nr)
			err = pram_save_copy(&saver->streams->pages, folio,
					     first, nr, reason, &done);
		lost = !nr || err == -EHWPOISON;
		if (err && !lost)
			break;
		err = 0;
		if (done)
			err = pram_tmpfs_add_extent(saver, folio->index + first,
						    done, flags);
		saver->counts->nr_pages += done;
		first += done;
		if (!err && lost)
			err = pram_tmpfs_add_extent(saver, folio->index + first++,
						    1, PRAM_TMPFS_EXTENT_LOST);
	}
	return err;
}

/*
 * Save what a locked folio has behind @next, what is before it having been saved, and
 * set @next to its end. Takes the caller's reference.
 */
static int pram_tmpfs_save_folio(struct pram_tmpfs_saver *saver,
				 struct inode *inode, struct folio *folio,
				 pgoff_t *next)
{
	struct folio_batch *locked = &saver->batch.locked;
	enum pram_copy_reason reason = PRAM_COPY_NOT;
	unsigned long first = 0;
	u64 flags = 0;
	int err;

	/* What somebody else left there must not be seen in PRAM. */
	if (!folio_test_uptodate(folio)) {
		pram_tmpfs_clear(folio);
		flags = PRAM_TMPFS_EXTENT_UNWRITTEN;
	}
	/* Made into one meanwhile, of pages of which some were copied. */
	if (folio->index < *next)
		first = *next - folio->index;
	if (first || folio_contain_hwpoisoned_page(folio))
		reason = PRAM_COPY_PARTIAL;
	/* Somebody's device may be writing to it even now. */
	else if (folio_maybe_dma_pinned(folio))
		reason = PRAM_COPY_PINNED;
	else if (pram_in_scratch(folio))
		reason = PRAM_COPY_SCRATCH;

	*next = folio_next_index(folio);
	if (!reason) {
		folio_batch_add(locked, folio);
		return pram_tmpfs_add_extent(saver, folio->index,
					     folio_nr_pages(folio), flags);
	}

	/* In the order of the extents. */
	err = pram_tmpfs_save_locked(saver, inode);
	if (!err)
		err = pram_tmpfs_save_copies(saver, folio, first, reason, flags);
	if (!err && saver->last)
		pram_tmpfs_take_out(inode, &folio, 1, false);
	folio_unlock(folio);
	folio_put(folio);
	return err;
}

/*
 * Is there anything between two pages of a file? What was found as one folio may have
 * been split since, and of what was swapped out as one a part may have been read back.
 */
static bool pram_tmpfs_any_between(struct inode *inode, pgoff_t next, pgoff_t at)
{
	unsigned long index = next;

	return next < at && xa_find(&inode->i_mapping->i_pages, &index, at - 1,
				    XA_PRESENT);
}

/*
 * Save what a batch has.
 *
 * Return: 0 or an error; *@index is set to where to go on: all before that has been
 * saved.
 */
static int pram_tmpfs_save_batch(struct pram_tmpfs_saver *saver,
				 struct inode *inode, pgoff_t *index)
{
	struct pram_tmpfs_batch *batch = &saver->batch;
	pgoff_t next = *index;
	int err = 0, err2;

	folio_batch_init(&batch->locked);
	for (unsigned int i = 0; i < folio_batch_count(&batch->found); i++) {
		struct folio *folio = batch->found.folios[i];
		pgoff_t at = batch->indices[i];

		/* A part of what is a larger folio now. */
		if (at < next)
			continue;
		if (pram_tmpfs_any_between(inode, next, at))
			break;
		next = at;
		folio = pram_tmpfs_lock(inode, folio, at);
		/* Swapped out, migrated or split: look again. */
		if (!folio)
			break;
		if (!IS_ERR(folio)) {
			err = pram_tmpfs_save_folio(saver, inode, folio, &next);
		} else if (PTR_ERR(folio) == -EIO) {
			unsigned long nr = pram_tmpfs_count_lost(inode, at);

			err = pram_tmpfs_add_extent(saver, at, nr,
						    PRAM_TMPFS_EXTENT_LOST);
			next = at + nr;
		} else {
			err = PTR_ERR(folio);
		}
		if (err)
			break;
	}
	err2 = pram_tmpfs_save_locked(saver, inode);
	*index = next;
	return err ?: err2;
}

/* The pages that a file has, in memory and in the swap. */
static u64 pram_tmpfs_blocks(struct inode *inode)
{
	struct shmem_inode_info *info = SHMEM_I(inode);

	/* Reclaim may have taken some that are behind the end of the file. */
	shmem_recalc_inode(inode, 0, 0);
	guard(spinlock)(&info->lock);
	return info->alloced;
}

/* The pages that are in a file after all that can be saved has been taken out. */
static u64 pram_tmpfs_left(struct inode *inode)
{
	struct xarray *pages = &inode->i_mapping->i_pages;
	unsigned long index;
	void *entry;
	u64 left = 0;

	xa_for_each(pages, index, entry)
		left += 1UL << xa_get_order(pages, index);
	return left;
}

/*
 * Has all of a file been saved? The pages were found by a search that others change
 * while it goes on, so count: it has to be as many as there are.
 *
 * As long as somebody may use the file a few can come, when holes are mapped, and go,
 * from behind its end. So it is no less than there were, or than there are.
 */
static int pram_tmpfs_check_whole(struct pram_tmpfs_saver *saver,
				  struct inode *inode, u64 before)
{
	u64 missed = 0, pages;

	if (saver->last) {
		pages = pram_tmpfs_left(inode);
		if (pages > saver->nr_lost)
			missed = pages - saver->nr_lost;
	} else {
		pages = min(before, pram_tmpfs_blocks(inode));
		if (pages > saver->nr_pages)
			missed = pages - saver->nr_pages;
	}
	if (!missed)
		return 0;
	pr_err("inode %llu: %llu of its %llu pages were not found\n",
	       (u64)inode->i_ino, missed, missed + saver->nr_pages);
	return -EIO;
}

/* Is there nothing about a locked folio that asks for more than to be taken over? */
static bool pram_tmpfs_is_usual(struct pram_tmpfs_saver *saver,
				struct folio *folio)
{
	unsigned long block = folio_pfn(folio) >> pageblock_order;

	if (!folio_test_uptodate(folio) || folio_contain_hwpoisoned_page(folio) ||
	    folio_maybe_dma_pinned(folio))
		return false;
	if (block == saver->block)
		return true;
	if (pram_in_scratch(folio))
		return false;
	saver->block = block;
	return true;
}

/*
 * Find the folios of a window: of the first one that the file has anything in, from
 * @index on. They get a reference for the node.
 *
 * Return: true if they are all that the window has; *@next is set to where it ends, or to
 * what does not belong to them.
 */
static bool pram_tmpfs_find_usual(struct pram_tmpfs_saver *saver,
				  struct inode *inode, pgoff_t index, pgoff_t *next)
{
	struct pram_tmpfs_window *window = &saver->window;
	XA_STATE(xas, &inode->i_mapping->i_pages, index);
	struct folio *folio;
	bool whole = true;
	pgoff_t last;

	window->nr = 0;
	*next = index;
	xas_lock_irq(&xas);
	folio = xas_find(&xas, ULONG_MAX);
	last = xas.xa_index | (XA_CHUNK_SIZE - 1);
	if (folio && !xa_is_value(folio) && folio_order(folio) > XA_CHUNK_SHIFT)
		last = folio_next_index(folio) - 1;
	for (; folio; folio = xas_next_entry(&xas, last)) {
		if (xa_is_value(folio) || folio->index < *next ||
		    !folio_trylock(folio)) {
			whole = false;
			break;
		}
		if (!pram_tmpfs_is_usual(saver, folio)) {
			folio_unlock(folio);
			whole = false;
			break;
		}
		folio_get(folio);
		window->folios[window->nr] = folio;
		window->entries[window->nr++] = pram_tmpfs_entry(folio);
		*next = folio_next_index(folio);
	}
	xas_unlock_irq(&xas);
	return whole;
}

/*
 * Save a window of a file.
 *
 * Return: 1 if that is done; 0 if something in it has to be looked at one by one; or an
 * error. *@index is set to where to go on; %ULONG_MAX is the end of the file.
 */
static int pram_tmpfs_save_window(struct pram_tmpfs_saver *saver,
				  struct inode *inode, pgoff_t *index)
{
	struct pram_tmpfs_window *window = &saver->window;
	const pgoff_t from = *index;
	pgoff_t start = 0;
	u64 pages = 0;
	bool whole;
	int err;

	whole = pram_tmpfs_find_usual(saver, inode, from, index);
	if (!window->nr) {
		if (whole)
			*index = ULONG_MAX;
		return whole;
	}
	err = pram_save_entries(&saver->streams->pages, window->entries, window->nr);
	for (unsigned int i = 0; i < window->nr && !err; i++) {
		struct folio *folio = window->folios[i];

		if (folio->index != start + pages) {
			if (pages)
				err = pram_tmpfs_add_extent(saver, start, pages, 0);
			start = folio->index;
			pages = 0;
		}
		pages += folio_nr_pages(folio);
		saver->counts->nr_pages += folio_nr_pages(folio);
	}
	if (!err)
		err = pram_tmpfs_add_extent(saver, start, pages, 0);
	if (!err && saver->last)
		pram_tmpfs_take_out(inode, window->folios, window->nr,
				    whole && from <= round_down(window->folios[0]->index,
								XA_CHUNK_SIZE));
	for (unsigned int i = 0; i < window->nr; i++)
		folio_unlock(window->folios[i]);
	return err ?: whole;
}

/*
 * Save some pages of a file, each for itself, as long as there is something behind *@index.
 * Up to *@tried folios were moved out of scratch, if they could be.
 *
 * Return: 1; 0 at the end of the file; or an error.
 */
static int pram_tmpfs_save_some(struct pram_tmpfs_saver *saver,
				struct inode *inode, pgoff_t *index,
				pgoff_t *tried)
{
	struct pram_tmpfs_batch *batch = &saver->batch;
	pgoff_t next = *index;
	bool all;
	int err;

	folio_batch_init(&batch->found);
	if (!find_get_entries(inode->i_mapping, &next, ULONG_MAX, &batch->found,
			      batch->indices))
		return 0;
	if (*index >= *tried && pram_tmpfs_migrate(batch)) {
		/* Those that are still there next time are copied. */
		*tried = next;
		return 1;
	}
	all = folio_batch_space(&batch->found);
	err = pram_tmpfs_save_batch(saver, inode, index);
	folio_batch_remove_exceptionals(&batch->found);
	folio_batch_release(&batch->found);
	if (err)
		return err;
	return !all || *index < next;
}

static int pram_tmpfs_save_pages(struct pram_tmpfs_saver *saver,
				 struct inode *inode)
{
	struct address_space *mapping = inode->i_mapping;
	gfp_t gfp = mapping_gfp_mask(mapping);
	pgoff_t index = 0, tried = 0;
	int ret = 1, err;
	u64 before = 0;

	if (mapping_empty(mapping))
		return 0;
	if (!saver->last)
		before = pram_tmpfs_blocks(inode);
	saver->nr_pages = 0;
	saver->nr_lost = 0;
	/*
	 * What is swapped in goes where it can be preserved. If there is not
	 * enough memory for it, the save is to fail, and nobody to be killed.
	 */
	mapping_set_gfp_mask(mapping, (gfp & ~__GFP_MOVABLE) |
				      __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	/* What has been unmounted is empty when all is saved. */
	while (ret > 0 && !mapping_empty(mapping)) {
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		if (pram_corrupt_pass_over())
			index++;
		ret = pram_tmpfs_save_window(saver, inode, &index);
		if (index == ULONG_MAX)
			break;
		if (!ret)
			ret = pram_tmpfs_save_some(saver, inode, &index, &tried);
		cond_resched();
	}
	mapping_set_gfp_mask(mapping, gfp);
	err = min(ret, 0);
	if (!err)
		err = pram_tmpfs_check_whole(saver, inode, before);
	if (!err)
		err = pram_tmpfs_flush_extents(saver);
	return err;
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
 * Return: 0; -ENOMEM; -EINTR if the caller is being killed; -EIO if pages of a file
 * were not found; -ESHUTDOWN.
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
	saver->block = ULONG_MAX;
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
