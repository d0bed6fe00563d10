/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What mm/shmem.c calls for tmpfs mounts with pram=NAME; see
 * Documentation/filesystems/tmpfs.rst.
 */
#ifndef _LINUX_PRAM_TMPFS_H
#define _LINUX_PRAM_TMPFS_H

#include <linux/errno.h>
#include <linux/types.h>

struct fs_context;
struct seq_file;
struct super_block;

/* Longest NAME, in bytes without the nul. */
#define PRAM_TMPFS_NAME_MAX	127

/**
 * struct pram_tmpfs_given - options that a mount sets
 *
 * All others are as they were when the tree was saved.
 */
struct pram_tmpfs_given {
	bool	blocks;
	bool	inodes;
	bool	inums;
	bool	huge;
};

#ifdef CONFIG_PRAM_TMPFS

int pram_tmpfs_check_name(struct fs_context *fc, const char *name);
int pram_tmpfs_mount(struct fs_context *fc, struct super_block *sb,
		     const char *name, const struct pram_tmpfs_given *given);
int pram_tmpfs_reconfigure(struct fs_context *fc, const char *name, bool drop);
void pram_tmpfs_show(struct seq_file *seq, struct super_block *sb);
void pram_tmpfs_unmount(struct super_block *sb);
void pram_tmpfs_put(struct super_block *sb);

#else

static inline int pram_tmpfs_check_name(struct fs_context *fc, const char *name)
{
	return -EOPNOTSUPP;
}

static inline int pram_tmpfs_mount(struct fs_context *fc,
				   struct super_block *sb, const char *name,
				   const struct pram_tmpfs_given *given)
{
	return 0;
}

static inline int pram_tmpfs_reconfigure(struct fs_context *fc,
					 const char *name, bool drop)
{
	return 0;
}

static inline void pram_tmpfs_show(struct seq_file *seq, struct super_block *sb)
{
}

static inline void pram_tmpfs_unmount(struct super_block *sb)
{
}

static inline void pram_tmpfs_put(struct super_block *sb)
{
}

#endif /* CONFIG_PRAM_TMPFS */
#endif /* _LINUX_PRAM_TMPFS_H */
