/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_KHO_ABI_PRAM_TMPFS_H
#define _LINUX_KHO_ABI_PRAM_TMPFS_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/types.h>

/**
 * DOC: A tmpfs in PRAM
 *
 * A tmpfs that is mounted with pram=NAME is saved to two PRAM nodes:
 * "shmem-2-NAME", a page stream of all folios of all files, one after the other,
 * and "shmem-1-NAME", a byte stream with checksums for everything else. This is
 * the format of the latter, a contract between kernels of different versions: any
 * change to it takes a new %PRAM_TMPFS_VERSION, and a kernel refuses and reports
 * what it does not know.
 *
 * The stream is a sequence of records. Each begins with &struct pram_tmpfs_rec and
 * is padded with zeros to a multiple of 8 bytes::
 *
 *	SUPER ROOT detail* entry* END
 *	entry  = LINK | NEW detail*			(not a directory)
 *	       | NEW detail* entry* UP			(a directory)
 *	detail = XATTR | EXTENTS			(EXTENTS: regular files)
 *
 * Directories are walked depth first, each from its oldest entry to its newest: the
 * order in which entries have to be made. The folios in the page stream are in the
 * order of the extents. Integers are in the byte order of the machine, user and
 * group ids are those of the initial user namespace, times are in CLOCK_REALTIME
 * since 1970.
 */

#define PRAM_TMPFS_NODE_META	"shmem-1-"
#define PRAM_TMPFS_NODE_PAGES	"shmem-2-"

#define PRAM_TMPFS_MAGIC	0x53464d544d415250ULL	/* "PRAMTMFS" */
#define PRAM_TMPFS_VERSION	1

enum pram_tmpfs_rec_type {
	PRAM_TMPFS_SUPER = 1,
	PRAM_TMPFS_ROOT,
	PRAM_TMPFS_NEW,
	PRAM_TMPFS_LINK,
	PRAM_TMPFS_XATTR,
	PRAM_TMPFS_EXTENTS,
	PRAM_TMPFS_UP,
	PRAM_TMPFS_END,
};

/**
 * struct pram_tmpfs_rec - start of each record
 * @type: PRAM_TMPFS_SUPER and so on.
 * @len: bytes that follow, without the padding.
 */
struct pram_tmpfs_rec {
	u32	type;
	u32	len;
};

/* Bits of &struct pram_tmpfs_super_ser.flags. */
#define PRAM_TMPFS_DEFAULT_BLOCKS	(1U << 0)	/* no size= was given */
#define PRAM_TMPFS_DEFAULT_INODES	(1U << 1)	/* no nr_inodes= was given */
#define PRAM_TMPFS_INODE64		(1U << 2)
#define PRAM_TMPFS_NOSWAP		(1U << 3)
#define PRAM_TMPFS_FLAGS						\
	(PRAM_TMPFS_DEFAULT_BLOCKS | PRAM_TMPFS_DEFAULT_INODES |	\
	 PRAM_TMPFS_INODE64 | PRAM_TMPFS_NOSWAP)

/* Values of &struct pram_tmpfs_super_ser.huge: as the mount option's. */
#define PRAM_TMPFS_HUGE_NEVER		0
#define PRAM_TMPFS_HUGE_ALWAYS		1
#define PRAM_TMPFS_HUGE_WITHIN_SIZE	2
#define PRAM_TMPFS_HUGE_ADVISE		3

/**
 * struct pram_tmpfs_super_ser - the file system; record SUPER
 * @magic: %PRAM_TMPFS_MAGIC.
 * @version: %PRAM_TMPFS_VERSION.
 * @flags: PRAM_TMPFS_* flags.
 * @max_blocks: limit of pages; 0: none.
 * @max_inodes: limit of inodes; 0: none.
 * @next_ino: the next inode number to use.
 * @huge: PRAM_TMPFS_HUGE_*.
 * @mode: of the root directory, as the mount option gave it.
 * @uid: likewise.
 * @gid: likewise.
 * @uuid: of the file system.
 * @mpol: memory policy as the mount option has it, nul-terminated; empty: none.
 */
struct pram_tmpfs_super_ser {
	u64	magic;
	u32	version;
	u32	flags;
	u64	max_blocks;
	u64	max_inodes;
	u64	next_ino;
	u32	huge;
	u32	mode;
	u32	uid;
	u32	gid;
	u8	uuid[16];
	char	mpol[64];
};

struct pram_tmpfs_time {
	s64	sec;
	u32	nsec;
	u32	reserved;		/* zero */
};

/**
 * struct pram_tmpfs_inode_ser - an inode; record ROOT, and in record NEW
 * @ino: its number.
 * @size: of a regular file, in bytes; 0 for others.
 * @fallocend: index behind the last page that fallocate() has reserved.
 * @iversion: i_version as it is in memory.
 * @rdev: of a device node: new_encode_dev().
 * @mode: type and permissions.
 * @uid: owner.
 * @gid: group.
 * @generation: with @ino, identifies it in file handles.
 * @fsflags: FS_*_FL.
 * @seals: F_SEAL_*.
 * @atime: last access.
 * @mtime: last change of the contents.
 * @ctime: last change.
 * @btime: creation.
 * @reserved: zero.
 */
struct pram_tmpfs_inode_ser {
	u64			ino;
	u64			size;
	u64			fallocend;
	u64			iversion;
	u32			rdev;
	u32			mode;
	u32			uid;
	u32			gid;
	u32			generation;
	u32			fsflags;
	u32			seals;
	u32			reserved;
	struct pram_tmpfs_time	atime;
	struct pram_tmpfs_time	mtime;
	struct pram_tmpfs_time	ctime;
	struct pram_tmpfs_time	btime;
};

/**
 * struct pram_tmpfs_new_ser - an entry with an inode of its own; record NEW
 * @cookie: position in the directory, for seekdir().
 * @id: the inode's number in LINK records, from 1; 0 if it has no other entry.
 * @name_len: bytes of the name, which follows.
 * @target_len: bytes of a symlink's target, which follows that.
 * @inode: the inode.
 */
struct pram_tmpfs_new_ser {
	u64				cookie;
	u64				id;
	u32				name_len;
	u32				target_len;
	struct pram_tmpfs_inode_ser	inode;
};

/**
 * struct pram_tmpfs_link_ser - another entry of an inode; record LINK
 * @cookie: position in the directory.
 * @id: the inode, from an earlier NEW record. Only the name follows.
 */
struct pram_tmpfs_link_ser {
	u64	cookie;
	u64	id;
};

/**
 * struct pram_tmpfs_xattr_ser - an extended attribute or ACL; record XATTR
 * @name_len: bytes of the name, which follows, without a nul.
 * @value_len: bytes of the value, which follows that. ACLs have the format of
 *	the system call.
 */
struct pram_tmpfs_xattr_ser {
	u32	name_len;
	u32	value_len;
};

/**
 * struct pram_tmpfs_extent_ser - consecutive pages; record EXTENTS has some
 * @index: the first page in the file.
 * @pages: their number, not 0, and PRAM_TMPFS_EXTENT_*. They are made up of
 *	whole folios.
 */
struct pram_tmpfs_extent_ser {
	u64	index;
	u64	pages;
};

#define PRAM_TMPFS_EXTENT_PAGES	GENMASK_ULL(55, 0)
/*
 * The contents were lost, to an error of the swap device or of memory. Reading
 * them has to fail. The page stream has no folios for them.
 */
#define PRAM_TMPFS_EXTENT_LOST	BIT_ULL(63)
/* Reserved by fallocate(), and nothing was written to them: a hole to a reader. */
#define PRAM_TMPFS_EXTENT_UNWRITTEN	BIT_ULL(62)
#define PRAM_TMPFS_EXTENT_KNOWN						\
	(PRAM_TMPFS_EXTENT_PAGES | PRAM_TMPFS_EXTENT_LOST |		\
	 PRAM_TMPFS_EXTENT_UNWRITTEN)

/**
 * struct pram_tmpfs_up_ser - the end of a directory; record UP
 * @next_cookie: where the search for the cookie of a new entry starts.
 */
struct pram_tmpfs_up_ser {
	u64	next_cookie;
};

/**
 * struct pram_tmpfs_end_ser - totals to be checked; record END
 * @nr_inodes: ROOT and NEW records.
 * @nr_links: LINK records.
 * @nr_pages: pages of the page stream.
 * @next_cookie: of the root directory, see &struct pram_tmpfs_up_ser.
 */
struct pram_tmpfs_end_ser {
	u64	nr_inodes;
	u64	nr_links;
	u64	nr_pages;
	u64	next_cookie;
};

static_assert(sizeof(struct pram_tmpfs_super_ser) == 136);
static_assert(sizeof(struct pram_tmpfs_inode_ser) == 128);
static_assert(sizeof(struct pram_tmpfs_new_ser) == 152);
static_assert(sizeof(struct pram_tmpfs_extent_ser) == 16);

#endif /* _LINUX_KHO_ABI_PRAM_TMPFS_H */
