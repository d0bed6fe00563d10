/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of the VFS and of mm/shmem.c as the loading of a tmpfs needs: a tree of dentries
 * in memory, page caches, and the accounts, kept as shmem keeps them. See kernel.h.
 */
#ifndef PRAM_FUZZ_SHIM_VFS_H
#define PRAM_FUZZ_SHIM_VFS_H

#include <fcntl.h>
#include <sys/stat.h>

#include "kernel.h"

typedef unsigned short umode_t;
typedef struct { u32 val; } kuid_t;
typedef struct { u32 val; } kgid_t;

struct user_namespace;
struct mempolicy;
struct mnt_idmap;

extern struct user_namespace init_user_ns;
extern struct mnt_idmap nop_mnt_idmap;

#define make_kuid(ns, id)	((void)(ns), (kuid_t){ id })
#define make_kgid(ns, id)	((void)(ns), (kgid_t){ id })
#define uid_valid(uid)		((uid).val != UINT_MAX)
#define gid_valid(gid)		((gid).val != UINT_MAX)

#ifndef F_SEAL_SEAL
#error "this C library does not have F_SEAL_SEAL"
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC		0x0020
#endif
#define S_IALLUGO		07777
#define S_NOATIME		1
#define S_APPEND		2
#define S_IMMUTABLE		4
#define FS_IMMUTABLE_FL		0x10
#define FS_APPEND_FL		0x20
#define FS_NOATIME_FL		0x80
#define FS_CASEFOLD_FL		0x40000000
#define SHMEM_FL_USER_VISIBLE	(0x0003DFFF | FS_CASEFOLD_FL)
#define NAME_MAX		255
#define NSEC_PER_SEC		1000000000L
#define BOGO_INODE_SIZE		1024
#define FOLIO_BATCH_SIZE	31
#define MAX_PAGECACHE_ORDER	9

#define XATTR_NAME_MAX		255
#define XATTR_SIZE_MAX		65536
#define XATTR_NAME_POSIX_ACL_ACCESS	"system.posix_acl_access"
#define XATTR_NAME_POSIX_ACL_DEFAULT	"system.posix_acl_default"
#define ACL_TYPE_ACCESS		0
#define ACL_TYPE_DEFAULT	1

struct timespec64 {
	s64	tv_sec;
	long	tv_nsec;
};

struct posix_acl {
	unsigned int	refs;
	unsigned int	nr;
	struct {
		u16	tag;
		u16	perm;
		u32	id;
	} entries[];
};

struct address_space {
	struct xarray	i_pages;
	long		nrpages;
};

struct inode;
struct dentry;

struct inode_operations {
	struct dentry *(*mkdir)(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
				umode_t mode);
	int (*symlink)(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
		       const char *target);
	int (*mknod)(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry,
		     umode_t mode, u32 dev);
	int (*link)(struct dentry *old, struct inode *dir, struct dentry *dentry);
};

struct inode {
	u64				i_ino;
	u32				i_generation;
	umode_t				i_mode;
	kuid_t				i_uid;
	kgid_t				i_gid;
	unsigned int			i_flags;
	unsigned int			nlink;
	loff_t				i_size;
	u64				iversion;
	struct timespec64		atime, mtime, ctime;
	const struct inode_operations	*i_op;
	struct address_space		*i_mapping;
	struct super_block		*i_sb;
	struct posix_acl		*acl[2];
	char				*target;
};

struct offset_ctx {
	unsigned long	next_offset;
};

struct shmem_inode_info {
	spinlock_t		lock;
	unsigned int		seals;
	unsigned int		fsflags;
	pgoff_t			fallocend;
	unsigned long		alloced;
	unsigned long		swapped;
	struct timespec64	i_crtime;
	struct list_head	shrinklist;
	struct list_head	swaplist;
	struct offset_ctx	dir_offsets;
	struct address_space	mapping;
	struct inode		vfs_inode;
};

#define SHMEM_I(inode)		container_of(inode, struct shmem_inode_info, vfs_inode)
#define shmem_fallocend(inode, eof)	max_t(pgoff_t, eof, SHMEM_I(inode)->fallocend)

struct qstr {
	const char	*name;
	u32		len;
	u32		hash;
};

#define QSTR_LEN(n, l)		((struct qstr){ .name = (n), .len = (l) })

struct dentry {
	struct dentry		*d_parent;
	struct inode		*d_inode;
	void			*d_fsdata;
	unsigned int		refs;
	char			name[NAME_MAX + 1];
	struct list_head	children;
	struct list_head	sibling;	/* empty unless it has an inode */
};

#define d_inode(dentry)		((dentry)->d_inode)
/* Of what it is computed does not matter, but it must be there. */
u32 full_name_hash(const struct dentry *dir, const char *name, size_t len);
bool name_is_dot_dotdot(const char *name, size_t len);
struct dentry *d_alloc(struct dentry *parent, const struct qstr *name);
struct dentry *d_lookup(struct dentry *parent, const struct qstr *name);
void dput(struct dentry *dentry);

struct super_block {
	void		*s_fs_info;
	struct dentry	*s_root;
	loff_t		s_maxbytes;
	u8		uuid[16];
};

struct percpu_counter {
	s64	count;
};

struct shmem_sb_info {
	unsigned long		max_blocks;
	struct percpu_counter	used_blocks;
	unsigned long		max_inodes;
	unsigned long		free_ispace;
	umode_t			mode;
	unsigned char		huge;
	kuid_t			uid;
	kgid_t			gid;
	bool			full_inums;
	bool			noswap;
	ino_t			next_ino;
	struct mempolicy	*mpol;
	spinlock_t		shrinklist_lock;
	struct list_head	shrinklist;
	unsigned long		shrinklist_len;
};

#define percpu_counter_compare(counter, n) \
	((counter)->count < (s64)(n) ? -1 : (counter)->count > (s64)(n))

static inline void super_set_uuid(struct super_block *sb, const u8 *uuid, unsigned int len)
{
	SHIM_BUG_ON(len != sizeof(sb->uuid));
	memcpy(sb->uuid, uuid, len);
}

int mpol_parse_str(char *text, struct mempolicy **mpol);
#define shmem_default_max_blocks()	64UL
#define shmem_default_max_inodes()	64UL
#define totalram_pages()		((unsigned long)SHIM_NR_PAGES)
int shmem_inode_acct_blocks(struct inode *inode, long pages);
bool shmem_recalc_inode(struct inode *inode, long alloced, long swapped);
void shmem_add_swapped(struct inode *inode);
int shmem_add_to_page_cache(struct folio *folio, struct address_space *mapping, pgoff_t index,
			    void *expected, gfp_t gfp);
/* Only what corrupts things on purpose calls it, and that is not here. */
#define shmem_truncate_range(inode, start, end)	SHIM_BUG("shmem_truncate_range")

#define inode_get_mtime(inode)			((inode)->mtime)
#define inode_get_ctime(inode)			((inode)->ctime)
#define inode_set_atime_to_ts(inode, ts)	((inode)->atime = (ts))
#define inode_set_mtime_to_ts(inode, ts)	((inode)->mtime = (ts))
#define inode_set_ctime_to_ts(inode, ts)	((inode)->ctime = (ts))
#define inode_peek_iversion_raw(inode)		((inode)->iversion)
#define inode_set_iversion_raw(inode, v)	((inode)->iversion = (v))
#define inode_set_flags(inode, flags, mask) \
	((inode)->i_flags = ((inode)->i_flags & ~(mask)) | (flags))
#define i_size_write(inode, n)			((inode)->i_size = (n))
#define i_size_read(inode)			((inode)->i_size)
#define new_decode_dev(dev)			(dev)
#define IS_POSIXACL(inode)			((void)(inode), true)
int __vfs_setxattr_noperm(struct mnt_idmap *idmap, struct dentry *dentry, const char *name,
			  const void *value, size_t size, int flags);
struct posix_acl *posix_acl_from_xattr(struct user_namespace *ns, const void *value, size_t size);
int posix_acl_valid(struct user_namespace *ns, const struct posix_acl *acl);
void posix_acl_release(struct posix_acl *acl);
void set_cached_acl(struct inode *inode, int type, struct posix_acl *acl);

#define mem_cgroup_charge(folio, mm, gfp)	((void)(folio), shim_fails(gfp) ? -ENOMEM : 0)
#define mem_cgroup_uncharge(folio)		((void)(folio))
#define __folio_set_swapbacked(folio)		((void)(folio))
#define __folio_clear_swapbacked(folio)		((void)(folio))
#define folio_set_large_rmappable(folio)	((void)(folio))
#define __folio_mark_uptodate(folio)		((void)(folio))
#define folio_clear_uptodate(folio)		((void)(folio))
#define folio_mark_dirty(folio)			((void)(folio))
#define lru_add_drain_all()			((void)0)
extern unsigned int shim_max_folio_order;
#define mapping_max_folio_order(mapping)	((void)(mapping), shim_max_folio_order)
void folio_lock(struct folio *folio);
struct folio *filemap_get_folio(struct address_space *mapping, pgoff_t index);
pgoff_t folio_next_index(struct folio *folio);

/* Marks of pages that are not there. */
#define make_poisoned_swp_entry()		1UL
#define swp_to_radix_entry(entry)		xa_mk_value(entry)

/* An empty file system, that holds @inodes and @blocks at most (0: any number). */
void shim_mount(struct super_block *sb, unsigned long inodes, unsigned long blocks);
/* Everything goes; the accounts must be even afterwards. */
void shim_unmount(struct super_block *sb);

#endif /* PRAM_FUZZ_SHIM_VFS_H */
