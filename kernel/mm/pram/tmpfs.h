/* SPDX-License-Identifier: GPL-2.0 */
/* What saving and loading of a tmpfs share. */
#ifndef _MM_PRAM_TMPFS_H
#define _MM_PRAM_TMPFS_H

#include <linux/kho/abi/pram_tmpfs.h>
#include <linux/pram.h>
#include <linux/pram_tmpfs.h>
#include <linux/shmem_fs.h>

/* Longest payload of a record: an attribute of the largest size, with its name. */
#define PRAM_TMPFS_REC_MAX						\
	(sizeof(struct pram_tmpfs_xattr_ser) + XATTR_NAME_MAX + XATTR_SIZE_MAX)

/* Bytes that go to or come from the metadata stream at once. */
#define PRAM_TMPFS_BUFFER	SZ_64K

/* It can be retried, so it must not invoke the OOM killer. */
#define PRAM_TMPFS_GFP	(GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/* The two streams of a tree. */
struct pram_tmpfs_streams {
	struct pram_stream	meta;
	struct pram_stream	pages;
};

/* What a save or a load amounted to. */
struct pram_tmpfs_counts {
	u64	nr_inodes;
	u64	nr_links;
	u64	nr_pages;
};

int pram_tmpfs_save_tree(struct super_block *sb, bool last,
			 struct pram_tmpfs_streams *streams,
			 struct pram_tmpfs_counts *counts);
int pram_tmpfs_load_tree(struct super_block *sb,
			 struct pram_tmpfs_streams *streams,
			 const struct pram_tmpfs_given *given,
			 struct pram_tmpfs_counts *counts);

/* For files, directories, symlinks and all the rest alike: it is tmpfs's. */
static inline struct shmem_sb_info *pram_tmpfs_sb(struct super_block *sb)
{
	return sb->s_fs_info;
}

#endif /* _MM_PRAM_TMPFS_H */
