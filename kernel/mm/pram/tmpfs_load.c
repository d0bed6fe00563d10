// SPDX-License-Identifier: GPL-2.0
/*
 * Loading the file tree of a tmpfs. See <linux/kho/abi/pram_tmpfs.h> for what is
 * read.
 *
 * The file system is not mounted yet: nobody else sees it, and nothing in it needs
 * a lock. It is made with the calls that user space would use, so that limits,
 * security modules and accounting work, and then PRAM sets everything that these
 * calls do not set. If anything fails the mount fails, and the node still has all
 * pages: none of them has been written to.
 */

#define pr_fmt(fmt) "tmpfs: " fmt

#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/iversion.h>
#include <linux/memcontrol.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/xattr.h>

#include "../internal.h"
#include "internal.h"
#include "tmpfs.h"

#define PRAM_TMPFS_SEALS						\
	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |	\
	 F_SEAL_FUTURE_WRITE | F_SEAL_EXEC)

/**
 * struct pram_tmpfs_loader - a load under way
 * @sb: the file system.
 * @streams: where it comes from.
 * @counts: what has been loaded.
 * @default_blocks: the limit is the default one.
 * @default_inodes: likewise.
 * @slack: what free_ispace has too much, meanwhile.
 * @links: dentry of an inode with several entries, by its id.
 * @last_id: the last id that came.
 * @dir: the directory that is being filled.
 * @last: the entry that details belong to; NULL: none, there has been a LINK or UP.
 * @nr_lost: pages that were lost before.
 * @last_index: where an extent of its file may start.
 * @nr_pages: pages that its file has to have so far.
 * @have: bytes in @buffer.
 * @used: of these, how many have been taken.
 * @buffer: metadata that has been read.
 * @type: of the record at hand.
 * @len: bytes of its payload.
 * @payload: the payload, with a nul behind it.
 * @found: what was found last in the page stream.
 */
struct pram_tmpfs_loader {
	struct super_block		*sb;
	struct pram_tmpfs_streams	*streams;
	struct pram_tmpfs_counts	*counts;
	bool				default_blocks;
	bool				default_inodes;
	unsigned long			slack;
	struct xarray			links;
	u64				last_id;
	struct dentry			*dir;
	struct dentry			*last;
	u64				nr_lost;
	u64				last_index;
	u64				nr_pages;
	size_t				have;
	size_t				used;
	char				*buffer;
	u32				type;
	u32				len;
	char				*payload;
	struct pram_found		found;
};

static int pram_tmpfs_read(struct pram_tmpfs_loader *loader, void *data,
			   size_t len)
{
	while (len) {
		size_t n = min(len, loader->have - loader->used);
		ssize_t got;

		if (n) {
			memcpy(data, loader->buffer + loader->used, n);
			loader->used += n;
			data += n;
			len -= n;
			continue;
		}
		got = pram_read(&loader->streams->meta, loader->buffer,
				PRAM_TMPFS_BUFFER);
		if (got <= 0)
			return got ?: -EBADMSG;
		loader->have = got;
		loader->used = 0;
	}
	return 0;
}

/* Get the next record. */
static int pram_tmpfs_next(struct pram_tmpfs_loader *loader)
{
	struct pram_tmpfs_rec rec;
	u64 pad = 0;
	int err;

	err = pram_tmpfs_read(loader, &rec, sizeof(rec));
	if (err)
		return err;
	if (rec.len > PRAM_TMPFS_REC_MAX)
		return -EBADMSG;
	loader->type = rec.type;
	loader->len = rec.len;
	err = pram_tmpfs_read(loader, loader->payload, rec.len);
	if (!err)
		err = pram_tmpfs_read(loader, &pad, round_up(rec.len, 8) - rec.len);
	loader->payload[rec.len] = '\0';
	return err ?: pad ? -EBADMSG : 0;
}

static int pram_tmpfs_expect(struct pram_tmpfs_loader *loader, u32 type,
			     size_t len)
{
	int err = pram_tmpfs_next(loader);

	if (!err && (loader->type != type || loader->len != len))
		err = -EBADMSG;
	return err;
}

static void pram_tmpfs_load_mpol(struct shmem_sb_info *sbinfo, char *text)
{
	/* Nodes that this machine lacks, or a kernel without NUMA. */
	if (mpol_parse_str(text, &sbinfo->mpol))
		pr_warn("mpol=%s of the saved file system is not possible here, and dropped\n",
			text);
}

static int pram_tmpfs_load_super(struct pram_tmpfs_loader *loader,
				 const struct pram_tmpfs_given *given)
{
	struct shmem_sb_info *sbinfo = pram_tmpfs_sb(loader->sb);
	struct pram_tmpfs_super_ser *ser = (void *)loader->payload;
	kuid_t uid;
	kgid_t gid;
	int err;

	err = pram_tmpfs_next(loader);
	if (err)
		return err;
	if (loader->type != PRAM_TMPFS_SUPER || loader->len < sizeof(u64) + sizeof(u32) ||
	    ser->magic != PRAM_TMPFS_MAGIC)
		return -EBADMSG;
	if (ser->version != PRAM_TMPFS_VERSION) {
		pr_err("the saved file system has format %u, this kernel knows %u\n",
		       ser->version, PRAM_TMPFS_VERSION);
		return -EPROTO;
	}
	if (loader->len != sizeof(*ser))
		return -EBADMSG;
	uid = make_kuid(&init_user_ns, ser->uid);
	gid = make_kgid(&init_user_ns, ser->gid);
	if (ser->flags & ~PRAM_TMPFS_FLAGS ||
	    ser->huge > PRAM_TMPFS_HUGE_ADVISE || ser->mode & ~07777 ||
	    ser->max_blocks > LONG_MAX ||
	    ser->max_inodes > ULONG_MAX / BOGO_INODE_SIZE ||
	    (ser->flags & PRAM_TMPFS_DEFAULT_BLOCKS && !ser->max_blocks) ||
	    (ser->flags & PRAM_TMPFS_DEFAULT_INODES && !ser->max_inodes) ||
	    !uid_valid(uid) || !gid_valid(gid) ||
	    strnlen(ser->mpol, sizeof(ser->mpol)) == sizeof(ser->mpol))
		return -EBADMSG;

	if (!given->blocks)
		sbinfo->max_blocks = ser->max_blocks;
	if (!given->inodes) {
		/* The root directory is accounted for by now. */
		sbinfo->free_ispace = 0;
		if (ser->max_inodes)
			sbinfo->free_ispace = (ser->max_inodes - 1) *
					      BOGO_INODE_SIZE;
		sbinfo->max_inodes = ser->max_inodes;
	}
	loader->default_blocks = !given->blocks &&
				 ser->flags & PRAM_TMPFS_DEFAULT_BLOCKS;
	loader->default_inodes = !given->inodes &&
				 ser->flags & PRAM_TMPFS_DEFAULT_INODES;
	if (!given->inums)
		sbinfo->full_inums = ser->flags & PRAM_TMPFS_INODE64;
	if (!given->huge && IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
		sbinfo->huge = ser->huge;
	if (ser->flags & PRAM_TMPFS_NOSWAP)
		sbinfo->noswap = true;
	if (!sbinfo->mpol && ser->mpol[0])
		pram_tmpfs_load_mpol(sbinfo, ser->mpol);
	sbinfo->mode = ser->mode;
	sbinfo->uid = uid;
	sbinfo->gid = gid;
	sbinfo->next_ino = ser->next_ino;
	super_set_uuid(loader->sb, ser->uuid, sizeof(ser->uuid));
	return 0;
}

/*
 * A security module may give a new inode an attribute, and the one that was saved is
 * accounted for before that one is let go. So there is room for one more than the
 * limit allows, until all is loaded.
 */
#define PRAM_TMPFS_SLACK	PRAM_TMPFS_REC_MAX

static void pram_tmpfs_give_slack(struct pram_tmpfs_loader *loader)
{
	struct shmem_sb_info *sbinfo = pram_tmpfs_sb(loader->sb);

	if (!sbinfo->max_inodes)
		return;
	/* The limit may be the highest there is. */
	loader->slack = min_t(unsigned long, PRAM_TMPFS_SLACK,
			      ULONG_MAX - sbinfo->free_ispace);
	sbinfo->free_ispace += loader->slack;
}

static int pram_tmpfs_take_slack(struct pram_tmpfs_loader *loader)
{
	struct shmem_sb_info *sbinfo = pram_tmpfs_sb(loader->sb);

	if (sbinfo->free_ispace < loader->slack)
		return -ENOSPC;
	sbinfo->free_ispace -= loader->slack;
	return 0;
}

/*
 * Default limits are those of this machine. It may have some pages less than when
 * the tree was saved, but not so few that what was there does not fit any more.
 */
static void pram_tmpfs_set_defaults(struct pram_tmpfs_loader *loader)
{
	struct shmem_sb_info *sbinfo = pram_tmpfs_sb(loader->sb);
	unsigned long blocks = shmem_default_max_blocks();
	unsigned long inodes = shmem_default_max_inodes();
	unsigned long used = sbinfo->max_inodes * BOGO_INODE_SIZE -
			     sbinfo->free_ispace;

	if (loader->default_blocks &&
	    percpu_counter_compare(&sbinfo->used_blocks, blocks) <= 0)
		sbinfo->max_blocks = blocks;
	if (loader->default_inodes && used <= inodes * BOGO_INODE_SIZE) {
		sbinfo->max_inodes = inodes;
		sbinfo->free_ispace = inodes * BOGO_INODE_SIZE - used;
	}
}

/* What the making of entries and attributes changes, and must not. */
struct pram_tmpfs_stamps {
	struct timespec64	mtime;
	struct timespec64	ctime;
	u64			iversion;
};

static struct pram_tmpfs_stamps pram_tmpfs_get_stamps(struct inode *inode)
{
	return (struct pram_tmpfs_stamps){
		.mtime = inode_get_mtime(inode),
		.ctime = inode_get_ctime(inode),
		.iversion = inode_peek_iversion_raw(inode),
	};
}

static void pram_tmpfs_set_stamps(struct inode *inode,
				  const struct pram_tmpfs_stamps *stamps)
{
	inode_set_mtime_to_ts(inode, stamps->mtime);
	inode_set_ctime_to_ts(inode, stamps->ctime);
	inode_set_iversion_raw(inode, stamps->iversion);
}

static bool pram_tmpfs_time_valid(const struct pram_tmpfs_time *time)
{
	return time->nsec < NSEC_PER_SEC && !time->reserved;
}

static int pram_tmpfs_check_inode(struct super_block *sb,
				  const struct pram_tmpfs_inode_ser *ser)
{
	if (!uid_valid(make_kuid(&init_user_ns, ser->uid)) ||
	    !gid_valid(make_kgid(&init_user_ns, ser->gid)) ||
	    !pram_tmpfs_time_valid(&ser->atime) ||
	    !pram_tmpfs_time_valid(&ser->mtime) ||
	    !pram_tmpfs_time_valid(&ser->ctime) ||
	    !pram_tmpfs_time_valid(&ser->btime) ||
	    ser->size > sb->s_maxbytes || ser->mode & ~(S_IFMT | S_IALLUGO) ||
	    ser->fsflags & ~(SHMEM_FL_USER_VISIBLE & ~FS_CASEFOLD_FL) ||
	    ser->seals & ~PRAM_TMPFS_SEALS || !ser->ino || ser->reserved)
		return -EBADMSG;
	switch (ser->mode & S_IFMT) {
	case S_IFREG:
		return 0;
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return ser->size ? -EBADMSG : 0;
	default:
		return -EBADMSG;
	}
}

static struct timespec64 pram_tmpfs_ts(const struct pram_tmpfs_time *time)
{
	return (struct timespec64){ .tv_sec = time->sec, .tv_nsec = time->nsec };
}

static void pram_tmpfs_set_flags(struct inode *inode, unsigned int fsflags)
{
	unsigned int flags = 0;

	SHMEM_I(inode)->fsflags = fsflags;
	if (fsflags & FS_NOATIME_FL)
		flags |= S_NOATIME;
	if (fsflags & FS_APPEND_FL)
		flags |= S_APPEND;
	if (fsflags & FS_IMMUTABLE_FL)
		flags |= S_IMMUTABLE;
	inode_set_flags(inode, flags, S_NOATIME | S_APPEND | S_IMMUTABLE);
}

/* Set what was checked by pram_tmpfs_check_inode(). */
static void pram_tmpfs_set_inode(struct inode *inode,
				 const struct pram_tmpfs_inode_ser *ser)
{
	struct shmem_inode_info *info = SHMEM_I(inode);

	inode->i_ino = ser->ino;
	inode->i_generation = ser->generation;
	inode->i_mode = ser->mode;
	inode->i_uid = make_kuid(&init_user_ns, ser->uid);
	inode->i_gid = make_kgid(&init_user_ns, ser->gid);
	if (S_ISREG(inode->i_mode)) {
		i_size_write(inode, ser->size);
		info->fallocend = ser->fallocend;
	}
	info->seals = ser->seals;
	info->i_crtime = pram_tmpfs_ts(&ser->btime);
	pram_tmpfs_set_flags(inode, ser->fsflags);
	/* A default ACL of the directory may have been inherited. */
	if (IS_POSIXACL(inode)) {
		set_cached_acl(inode, ACL_TYPE_ACCESS, NULL);
		set_cached_acl(inode, ACL_TYPE_DEFAULT, NULL);
	}
	inode_set_atime_to_ts(inode, pram_tmpfs_ts(&ser->atime));
	inode_set_mtime_to_ts(inode, pram_tmpfs_ts(&ser->mtime));
	inode_set_ctime_to_ts(inode, pram_tmpfs_ts(&ser->ctime));
	inode_set_iversion_raw(inode, ser->iversion);
}

/* Make the next entry of the directory get @cookie, if no other one has it. */
static bool pram_tmpfs_set_cookie(struct dentry *dir, u64 cookie)
{
	/* This is where the search starts. S32_MAX stands for the end. */
	if (cookie > S32_MAX)
		return false;
	SHMEM_I(d_inode(dir))->dir_offsets.next_offset = cookie;
	return true;
}

static bool pram_tmpfs_has_cookie(struct dentry *dentry, u64 cookie)
{
	return (unsigned long)dentry->d_fsdata == cookie;
}

/* Get a new dentry in the directory that is being filled. */
static struct dentry *pram_tmpfs_dentry(struct pram_tmpfs_loader *loader,
					const char *name, size_t len)
{
	struct qstr qstr = QSTR_LEN(name, len);
	struct dentry *dentry;

	if (!len || len > NAME_MAX || memchr(name, '/', len) ||
	    memchr(name, '\0', len) || name_is_dot_dotdot(name, len))
		return ERR_PTR(-EBADMSG);
	qstr.hash = full_name_hash(loader->dir, name, len);
	dentry = d_lookup(loader->dir, &qstr);
	if (dentry) {
		dput(dentry);
		return ERR_PTR(-EBADMSG);
	}
	return d_alloc(loader->dir, &qstr) ?: ERR_PTR(-ENOMEM);
}

static int pram_tmpfs_make(struct inode *dir, struct dentry *dentry,
			   const struct pram_tmpfs_inode_ser *ser,
			   const char *target)
{
	struct dentry *other;

	switch (ser->mode & S_IFMT) {
	case S_IFDIR:
		other = dir->i_op->mkdir(&nop_mnt_idmap, dir, dentry,
					 ser->mode & S_IALLUGO);
		return PTR_ERR_OR_ZERO(other);
	case S_IFLNK:
		return dir->i_op->symlink(&nop_mnt_idmap, dir, dentry, target);
	default:
		return dir->i_op->mknod(&nop_mnt_idmap, dir, dentry, ser->mode,
					new_decode_dev(ser->rdev));
	}
}

static int pram_tmpfs_load_new(struct pram_tmpfs_loader *loader)
{
	struct pram_tmpfs_new_ser *ser = (void *)loader->payload;
	const char *name = loader->payload + sizeof(*ser);
	struct inode *dir = d_inode(loader->dir), *inode;
	struct pram_tmpfs_stamps stamps;
	struct dentry *dentry;
	int err;

	if (loader->len < sizeof(*ser) || ser->name_len > NAME_MAX ||
	    ser->target_len >= PAGE_SIZE ||
	    loader->len != sizeof(*ser) + ser->name_len + ser->target_len ||
	    S_ISLNK(ser->inode.mode) != !!ser->target_len ||
	    memchr(name + ser->name_len, '\0', ser->target_len))
		return -EBADMSG;
	err = pram_tmpfs_check_inode(loader->sb, &ser->inode);
	if (err)
		return err;
	/* A directory has one entry. */
	if (ser->id && (S_ISDIR(ser->inode.mode) ||
			ser->id != ++loader->last_id))
		return -EBADMSG;
	if (!pram_tmpfs_set_cookie(loader->dir, ser->cookie))
		return -EBADMSG;
	dentry = pram_tmpfs_dentry(loader, name, ser->name_len);
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);

	stamps = pram_tmpfs_get_stamps(dir);
	err = pram_tmpfs_make(dir, dentry, &ser->inode, name + ser->name_len);
	if (!err)
		pram_tmpfs_set_stamps(dir, &stamps);
	/* The directory keeps it, if it was made. */
	dput(dentry);
	if (err)
		return err;

	inode = d_inode(dentry);
	pram_tmpfs_set_inode(inode, &ser->inode);
	loader->counts->nr_inodes++;
	loader->last = dentry;
	loader->last_index = 0;
	loader->nr_pages = 0;
	if (S_ISDIR(inode->i_mode))
		loader->dir = dentry;
	if (!pram_tmpfs_has_cookie(dentry, ser->cookie))
		return -EBADMSG;
	if (ser->id)
		err = xa_err(xa_store(&loader->links, ser->id, dentry,
				      GFP_KERNEL));
	return err;
}

static int pram_tmpfs_load_link(struct pram_tmpfs_loader *loader)
{
	struct pram_tmpfs_link_ser *ser = (void *)loader->payload;
	struct pram_tmpfs_stamps stamps, inode_stamps;
	struct inode *dir = d_inode(loader->dir);
	struct dentry *dentry, *first;
	int err;

	if (loader->len < sizeof(*ser))
		return -EBADMSG;
	first = xa_load(&loader->links, ser->id);
	if (!first || !pram_tmpfs_set_cookie(loader->dir, ser->cookie))
		return -EBADMSG;
	dentry = pram_tmpfs_dentry(loader, loader->payload + sizeof(*ser),
				   loader->len - sizeof(*ser));
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);

	stamps = pram_tmpfs_get_stamps(dir);
	inode_stamps = pram_tmpfs_get_stamps(d_inode(first));
	err = dir->i_op->link(first, dir, dentry);
	if (!err) {
		pram_tmpfs_set_stamps(dir, &stamps);
		pram_tmpfs_set_stamps(d_inode(first), &inode_stamps);
		loader->counts->nr_links++;
		loader->last = NULL;
		if (!pram_tmpfs_has_cookie(dentry, ser->cookie))
			err = -EBADMSG;
	}
	dput(dentry);
	return err;
}

static int pram_tmpfs_load_acl(struct inode *inode, int type,
			       const void *value, size_t len)
{
	struct posix_acl *acl;

	if (!IS_POSIXACL(inode)) {
		pr_err("the saved file system has ACLs, this kernel lacks CONFIG_TMPFS_POSIX_ACL\n");
		return -EPROTO;
	}
	if (S_ISLNK(inode->i_mode) ||
	    (type == ACL_TYPE_DEFAULT && !S_ISDIR(inode->i_mode)))
		return -EBADMSG;
	acl = posix_acl_from_xattr(&init_user_ns, value, len);
	if (IS_ERR_OR_NULL(acl) || posix_acl_valid(&init_user_ns, acl)) {
		if (PTR_ERR_OR_ZERO(acl) == -ENOMEM)
			return -ENOMEM;
		if (!IS_ERR_OR_NULL(acl))
			posix_acl_release(acl);
		return -EBADMSG;
	}
	set_cached_acl(inode, type, acl);
	posix_acl_release(acl);
	return 0;
}

static int pram_tmpfs_load_xattr(struct pram_tmpfs_loader *loader)
{
	struct pram_tmpfs_xattr_ser *ser = (void *)loader->payload;
	const char *data = loader->payload + sizeof(*ser);
	struct pram_tmpfs_stamps stamps;
	char name[XATTR_NAME_MAX + 1];
	const void *value;
	struct inode *inode;
	int err;

	if (!loader->last || loader->len < sizeof(*ser) || !ser->name_len ||
	    ser->name_len > XATTR_NAME_MAX || ser->value_len > XATTR_SIZE_MAX ||
	    loader->len != sizeof(*ser) + ser->name_len + ser->value_len ||
	    memchr(data, '\0', ser->name_len))
		return -EBADMSG;
	memcpy(name, data, ser->name_len);
	name[ser->name_len] = '\0';
	value = data + ser->name_len;
	inode = d_inode(loader->last);

	if (!strcmp(name, XATTR_NAME_POSIX_ACL_ACCESS))
		return pram_tmpfs_load_acl(inode, ACL_TYPE_ACCESS, value,
					   ser->value_len);
	if (!strcmp(name, XATTR_NAME_POSIX_ACL_DEFAULT))
		return pram_tmpfs_load_acl(inode, ACL_TYPE_DEFAULT, value,
					   ser->value_len);
	stamps = pram_tmpfs_get_stamps(inode);
	err = __vfs_setxattr_noperm(&nop_mnt_idmap, loader->last, name, value,
				    ser->value_len, 0);
	pram_tmpfs_set_stamps(inode, &stamps);
	if (err == -EOPNOTSUPP) {
		pr_err("the saved file system has attributes \"%s\", which this kernel does not\n",
		       name);
		err = -EPROTO;
	}
	return err;
}

/*
 * Put a mark at @index on which reading fails. It is counted as a page that is swapped
 * out, because that is how it is taken off the account when it is truncated; it has to
 * be on the account already.
 */
static int pram_tmpfs_mark_lost(struct inode *inode, pgoff_t index)
{
	struct shmem_inode_info *info = SHMEM_I(inode);
	void *entry = swp_to_radix_entry(make_poisoned_swp_entry());
	int err;

	err = xa_err(xa_store_irq(&inode->i_mapping->i_pages, index, entry,
				  GFP_KERNEL));
	if (err)
		return err;
	guard(spinlock)(&info->lock);
	info->swapped++;
	return 0;
}

static int pram_tmpfs_insert_page_copy(struct inode *inode, pgoff_t index,
				       struct page *page, bool written)
{
	struct folio *copy;
	int err;

	copy = folio_alloc(GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL |
			   __GFP_NOWARN, 0);
	if (!copy)
		return -ENOMEM;
	if (PageHWPoison(page) || copy_mc_highpage(folio_page(copy, 0), page)) {
		folio_put(copy);
		err = pram_tmpfs_mark_lost(inode, index);
		shmem_add_swapped(inode);
		return err;
	}
	folio_lock(copy);
	err = pram_shmem_insert(inode, index, copy, NULL, written);
	folio_unlock(copy);
	folio_put(copy);
	return err;
}

/*
 * The folio has another owner, such as a task that mapped it through /dev/pram, or
 * another node; or it is larger than this kernel can handle in a file.
 */
static int pram_tmpfs_insert_copy(struct inode *inode, pgoff_t index,
				  struct folio *folio, bool written)
{
	for (long i = 0; i < folio_nr_pages(folio); i++) {
		int err = pram_tmpfs_insert_page_copy(inode, index + i,
						      folio_page(folio, i),
						      written);

		if (err)
			return err;
	}
	pram_count(PRAM_PAGES_COPIED_ON_LOAD, folio_nr_pages(folio));
	return 0;
}

static int pram_tmpfs_load_folio(struct pram_node *node, struct inode *inode,
				 pgoff_t index, struct folio *folio, bool written)
{
	int err = -EBUSY;

	/* So that nobody maps it meanwhile as a fresh page. */
	scoped_guard(mutex, &node->mappings_lock) {
		folio_lock(folio);
		/* Writing to the file must not change what another node has. */
		if (folio_order(folio) <= mapping_max_folio_order(inode->i_mapping) &&
		    !folio_mapped(folio) && pram_frame_holders(folio) == 1 &&
		    pram_folio_reset(folio)) {
			err = pram_shmem_insert(inode, index, folio, NULL, written);
			if (!err)
				pram_count(PRAM_PAGES_INSERTED, folio_nr_pages(folio));
		}
		folio_unlock(folio);
	}
	if (err == -EBUSY)
		err = pram_tmpfs_insert_copy(inode, index, folio, written);
	return err;
}

/*
 * Put some of @nr pages, which start at @index of a file, there.
 *
 * Return: their number, at least 1, or an error.
 */
static long pram_tmpfs_load_some(struct pram_tmpfs_loader *loader,
				 struct inode *inode, pgoff_t index, u64 nr,
				 bool written)
{
	struct pram_stream *ps = &loader->streams->pages;
	struct pram_found *found = &loader->found;
	struct folio *folio;
	long pages;
	int err;

	err = pram_load_look(ps, found);
	if (err <= 0)
		return err ?: -EBADMSG;
	pages = pram_shmem_insert_fresh(found, inode, index, nr, NULL, written);
	if (pages < 0)
		return pages;
	if (pages) {
		pram_found_skip(found, pages);
		pram_load_done(ps, pages);
		return pages;
	}

	folio = found->folio;
	pages = folio_nr_pages(folio);
	if (pages > nr || folio_order(folio) > MAX_PAGECACHE_ORDER ||
	    !IS_ALIGNED(index, pages))
		return -EBADMSG;
	err = shmem_inode_acct_blocks(inode, pages);
	if (err)
		return err;
	err = pram_tmpfs_load_folio(found->node, inode, index, folio, written);
	/* What did not get there is taken off the account by this, too. */
	shmem_recalc_inode(inode, pages, 0);
	if (err)
		return err;
	pram_load_done(ps, pages);
	return pages;
}

static int pram_tmpfs_load_lost(struct pram_tmpfs_loader *loader,
				struct inode *inode, pgoff_t index, u64 nr)
{
	struct shmem_inode_info *info = SHMEM_I(inode);
	int err;

	/* Some orders more than can have been swapped out and lost. */
	loader->nr_lost += nr;
	if (loader->nr_lost > 16 * totalram_pages())
		return -EBADMSG;
	err = shmem_inode_acct_blocks(inode, nr);
	if (err)
		return err;
	scoped_guard(spinlock, &info->lock)
		info->alloced += nr;
	for (u64 done = 0; done < nr && !err; done++) {
		err = fatal_signal_pending(current) ? -EINTR :
			pram_tmpfs_mark_lost(inode, index + done);
		cond_resched();
	}
	shmem_add_swapped(inode);
	return err;
}

/* Those behind the end of the file may go at any moment, to save memory. */
static void pram_tmpfs_expect_pages(struct pram_tmpfs_loader *loader,
				    struct inode *inode, u64 index, u64 nr)
{
	u64 end = shmem_fallocend(inode, DIV_ROUND_UP_ULL(i_size_read(inode),
							  PAGE_SIZE));

	if (index < end)
		loader->nr_pages += min(nr, end - index);
}

/* Does the file that has just been loaded have all its pages? */
static int pram_tmpfs_check_pages(struct pram_tmpfs_loader *loader)
{
	struct inode *inode;
	u64 pages = 0;

	if (!loader->nr_pages)
		return 0;
	inode = d_inode(loader->last);
	shmem_recalc_inode(inode, 0, 0);
	scoped_guard(spinlock, &SHMEM_I(inode)->lock)
		pages = SHMEM_I(inode)->alloced;
	if (pages >= loader->nr_pages) {
		loader->nr_pages = 0;
		return 0;
	}
	pr_err("inode %llu: it has %llu pages, and should have %llu\n",
	       (u64)inode->i_ino, pages, loader->nr_pages);
	return -EIO;
}

static int pram_tmpfs_load_extent(struct pram_tmpfs_loader *loader,
				  struct inode *inode,
				  const struct pram_tmpfs_extent_ser *ser)
{
	u64 nr = ser->pages & PRAM_TMPFS_EXTENT_PAGES, done = 0;
	bool written = !(ser->pages & PRAM_TMPFS_EXTENT_UNWRITTEN);
	const u64 max = MAX_LFS_FILESIZE >> PAGE_SHIFT;

	if (ser->pages & ~PRAM_TMPFS_EXTENT_KNOWN || !nr ||
	    ser->index < loader->last_index || ser->index > max ||
	    nr > max - ser->index)
		return -EBADMSG;
	loader->last_index = ser->index + nr;
	pram_tmpfs_expect_pages(loader, inode, ser->index, nr);
	if (ser->pages & PRAM_TMPFS_EXTENT_LOST)
		return pram_tmpfs_load_lost(loader, inode, ser->index, nr);

	while (done < nr) {
		long n = pram_tmpfs_load_some(loader, inode, ser->index + done,
					      nr - done, written);

		if (n < 0)
			return n;
		if (pram_corrupt_pass_over())
			shmem_truncate_range(inode, (loff_t)(ser->index + done) << PAGE_SHIFT,
					     ((loff_t)(ser->index + done + 1) << PAGE_SHIFT) - 1);
		done += n;
		loader->counts->nr_pages += n;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* Large folios that reach behind the end of the file can be split to save memory. */
static void pram_tmpfs_note_shrinkable(struct inode *inode)
{
	struct shmem_sb_info *sbinfo = pram_tmpfs_sb(inode->i_sb);
	struct shmem_inode_info *info = SHMEM_I(inode);
	pgoff_t end = DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE);
	struct folio *folio;

	if (!end || !list_empty(&info->shrinklist))
		return;
	folio = filemap_get_folio(inode->i_mapping, end - 1);
	if (IS_ERR(folio))
		return;
	if (folio_next_index(folio) > end) {
		guard(spinlock)(&sbinfo->shrinklist_lock);
		list_add_tail(&info->shrinklist, &sbinfo->shrinklist);
		sbinfo->shrinklist_len++;
	}
	folio_put(folio);
}

static int pram_tmpfs_load_extents(struct pram_tmpfs_loader *loader)
{
	struct pram_tmpfs_extent_ser *sers = (void *)loader->payload;
	struct inode *inode;
	int err = 0;

	if (!loader->last || loader->len % sizeof(*sers))
		return -EBADMSG;
	inode = d_inode(loader->last);
	if (!S_ISREG(inode->i_mode))
		return -EBADMSG;
	for (u32 i = 0; i < loader->len / sizeof(*sers) && !err; i++)
		err = pram_tmpfs_load_extent(loader, inode, &sers[i]);
	if (!err)
		pram_tmpfs_note_shrinkable(inode);
	return err;
}

static int pram_tmpfs_load_up(struct pram_tmpfs_loader *loader)
{
	struct pram_tmpfs_up_ser *ser = (void *)loader->payload;

	if (loader->len != sizeof(*ser) || loader->dir == loader->sb->s_root ||
	    !pram_tmpfs_set_cookie(loader->dir, ser->next_cookie))
		return -EBADMSG;
	loader->dir = loader->dir->d_parent;
	loader->last = NULL;
	return 0;
}

static int pram_tmpfs_load_end(struct pram_tmpfs_loader *loader)
{
	struct pram_tmpfs_end_ser *ser = (void *)loader->payload;
	struct pram_tmpfs_counts *counts = loader->counts;
	char byte;
	int more;

	if (loader->len != sizeof(*ser) || loader->dir != loader->sb->s_root ||
	    !pram_tmpfs_set_cookie(loader->dir, ser->next_cookie) ||
	    ser->nr_inodes != counts->nr_inodes ||
	    ser->nr_links != counts->nr_links ||
	    ser->nr_pages != counts->nr_pages)
		return -EBADMSG;
	/* And nothing behind it, in either stream. */
	if (loader->used != loader->have ||
	    pram_read(&loader->streams->meta, &byte, 1))
		return -EBADMSG;
	more = pram_load_look(&loader->streams->pages, &loader->found);
	return more > 0 ? -EBADMSG : more;
}

static int pram_tmpfs_load_root(struct pram_tmpfs_loader *loader)
{
	struct pram_tmpfs_inode_ser *ser = (void *)loader->payload;
	struct dentry *root = loader->sb->s_root;
	int err;

	err = pram_tmpfs_expect(loader, PRAM_TMPFS_ROOT, sizeof(*ser));
	if (!err)
		err = pram_tmpfs_check_inode(loader->sb, ser);
	if (err)
		return err;
	if (!S_ISDIR(ser->mode))
		return -EBADMSG;
	pram_tmpfs_set_inode(d_inode(root), ser);
	loader->counts->nr_inodes++;
	loader->dir = root;
	loader->last = root;
	return 0;
}

static int pram_tmpfs_load_rec(struct pram_tmpfs_loader *loader)
{
	int err = 0;

	if (loader->type != PRAM_TMPFS_EXTENTS)
		err = pram_tmpfs_check_pages(loader);
	if (err)
		return err;
	switch (loader->type) {
	case PRAM_TMPFS_NEW:
		return pram_tmpfs_load_new(loader);
	case PRAM_TMPFS_LINK:
		return pram_tmpfs_load_link(loader);
	case PRAM_TMPFS_XATTR:
		return pram_tmpfs_load_xattr(loader);
	case PRAM_TMPFS_EXTENTS:
		return pram_tmpfs_load_extents(loader);
	case PRAM_TMPFS_UP:
		return pram_tmpfs_load_up(loader);
	case PRAM_TMPFS_END:
		return pram_tmpfs_load_end(loader);
	default:
		return -EBADMSG;
	}
}

static int pram_tmpfs_load_all(struct pram_tmpfs_loader *loader,
			       const struct pram_tmpfs_given *given)
{
	u64 next_ino;
	int err;

	err = pram_tmpfs_load_super(loader, given);
	if (err)
		return err;
	next_ino = pram_tmpfs_sb(loader->sb)->next_ino;
	pram_tmpfs_give_slack(loader);
	err = pram_tmpfs_load_root(loader);
	while (!err) {
		cond_resched();
		err = fatal_signal_pending(current) ? -EINTR :
						      pram_tmpfs_next(loader);
		if (!err)
			err = pram_tmpfs_load_rec(loader);
		if (err || loader->type == PRAM_TMPFS_END)
			break;
	}
	if (!err)
		err = pram_tmpfs_take_slack(loader);
	if (err == -ENOSPC)
		pr_err("the saved file system does not fit: size=, nr_inodes= or memory is too small\n");
	else if (err)
		pr_err("the saved file system cannot be loaded (%pe) at inode %llu or what follows it\n",
		       ERR_PTR(err),
		       loader->last ? (u64)d_inode(loader->last)->i_ino : 0);
	else
		pram_tmpfs_set_defaults(loader);
	/* The making of inodes has used up numbers. */
	pram_tmpfs_sb(loader->sb)->next_ino = next_ino;
	return err;
}

/**
 * pram_tmpfs_load_tree - make the tree of a tmpfs from two streams
 * @sb: the file system, not mounted yet, with an empty root directory.
 * @streams: streams for loading; the caller ends them.
 * @given: options that are not to be taken from there.
 * @counts: what has been loaded.
 *
 * Files and streams have the same folios until the caller finishes the load:
 * nothing may be written to them before.
 *
 * Return: 0; -EBADMSG for what makes no sense; -EPROTO for an unknown format;
 * -ENOSPC if the limits given are too low; -ENOMEM; -EINTR if the caller is being
 * killed; -EIO if a file has not got all its pages. On an error a part of the tree may be there.
 */
int pram_tmpfs_load_tree(struct super_block *sb,
			 struct pram_tmpfs_streams *streams,
			 const struct pram_tmpfs_given *given,
			 struct pram_tmpfs_counts *counts)
{
	struct pram_tmpfs_loader *loader;
	int err = -ENOMEM;

	*counts = (struct pram_tmpfs_counts){};
	loader = kzalloc_obj(*loader);
	if (!loader)
		return -ENOMEM;
	loader->sb = sb;
	loader->streams = streams;
	loader->counts = counts;
	xa_init(&loader->links);
	loader->buffer = kvmalloc(PRAM_TMPFS_BUFFER, GFP_KERNEL);
	loader->payload = kvmalloc(PRAM_TMPFS_REC_MAX + 1, GFP_KERNEL);
	if (loader->buffer && loader->payload) {
		/* Pages that were in files not long ago wait to be put on a list. */
		lru_add_drain_all();
		err = pram_tmpfs_load_all(loader, given);
	}
	kvfree(loader->buffer);
	kvfree(loader->payload);
	xa_destroy(&loader->links);
	kfree(loader);
	return err;
}
