// SPDX-License-Identifier: GPL-2.0
/*
 * Damage on demand, to test how the next kernel handles it: bits of the hand-over
 * are flipped at the last moment, when nothing rewrites them any more.
 *
 * Each line that is written to the file "flip" of debugfs is a bit:
 *
 *	KIND PAGE BYTE BIT [NAME]
 *
 * KIND is kho (the device tree by which KHO tells the next kernel where everything
 * is, once one is loaded), super or dir (of PRAM as a whole), node or map (metadata
 * of the node NAME) or data (of the node NAME). PAGE counts pages of this kind from
 * 0; BYTE is an offset in the page, BIT from 0 to 7.
 *
 * The number in the file "pass_over" is of pages of files of a tmpfs that are passed over
 * when it is saved or loaded next, to test that this is noticed.
 */

#define pr_fmt(fmt) "pram: " fmt

#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "internal.h"

enum pram_flip_kind {
	PRAM_FLIP_KHO,
	PRAM_FLIP_SUPER,
	PRAM_FLIP_DIR,
	PRAM_FLIP_NODE,
	PRAM_FLIP_MAP,
	PRAM_FLIP_DATA,
};

static const char *const pram_flip_kinds[] = {
	[PRAM_FLIP_KHO] = "kho",
	[PRAM_FLIP_SUPER] = "super",
	[PRAM_FLIP_DIR] = "dir",
	[PRAM_FLIP_NODE] = "node",
	[PRAM_FLIP_MAP] = "map",
	[PRAM_FLIP_DATA] = "data",
};

struct pram_flip {
	struct list_head	link;
	enum pram_flip_kind	kind;
	u64			page;
	unsigned int		byte;
	unsigned int		bit;
	char			name[PRAM_NAME_MAX];
};

/* What is to be flipped. Under pram_lock. */
static LIST_HEAD(pram_flips);

static void *pram_flip_node_page(const struct pram_flip *flip)
{
	struct pram_node *node = pram_node_find(flip->name, true);
	struct pram_found found = {};

	if (!node || node->state == PRAM_NODE_BROKEN)
		return NULL;
	switch (flip->kind) {
	case PRAM_FLIP_NODE:
		return flip->page ? NULL : node->ser;
	case PRAM_FLIP_MAP:
		return flip->page < node->nr_maps ? node->maps[flip->page] : NULL;
	default:
		/* It may be damaged already, by a flip. */
		if (!pram_data_find(node, flip->page, &found))
			return NULL;
		return folio_address(found.folio) +
		       ((flip->page - found.first_page) << PAGE_SHIFT);
	}
}

/* Only tests flip bits, and they do not load a kernel at the same time. */
static u8 *pram_flip_kho(void)
{
	struct kimage *image = READ_ONCE(kexec_image);

	return image && image->kho.fdt ? phys_to_virt(image->kho.fdt) : NULL;
}

/* The page that a bit is in, or NULL if there is none. */
static u8 *pram_flip_page(const struct pram_flip *flip)
{
	lockdep_assert_held(&pram_lock);
	switch (flip->kind) {
	case PRAM_FLIP_KHO:
		return flip->page ? NULL : pram_flip_kho();
	case PRAM_FLIP_SUPER:
		return flip->page ? NULL : (u8 *)pram_super;
	case PRAM_FLIP_DIR:
		return flip->page < pram_super->nr_dirs ?
		       phys_to_virt(pram_super->dirs[flip->page]) : NULL;
	default:
		return pram_flip_node_page(flip);
	}
}

/**
 * pram_corrupt_handover - flip the requested bits
 *
 * Called when nothing changes the hand-over any more.
 */
void pram_corrupt_handover(void)
{
	struct pram_flip *flip;

	lockdep_assert_held(&pram_lock);
	list_for_each_entry(flip, &pram_flips, link) {
		u8 *page = pram_flip_page(flip);

		if (page)
			page[flip->byte] ^= 1 << flip->bit;
		pr_info("%s bit %u of byte %u of %s page %llu %s\n",
			page ? "flipped" : "could not flip", flip->bit, flip->byte,
			pram_flip_kinds[flip->kind], flip->page, flip->name);
	}
}

static int pram_flip_parse(struct pram_flip *flip, char *text)
{
	char kind[8];
	int end, index;

	if (sscanf(text, "%7s %llu %u %u%n", kind, &flip->page, &flip->byte,
		   &flip->bit, &end) != 4)
		return -EINVAL;
	index = match_string(pram_flip_kinds, ARRAY_SIZE(pram_flip_kinds), kind);
	if (index < 0 || flip->byte >= PAGE_SIZE || flip->bit >= BITS_PER_BYTE)
		return -EINVAL;
	flip->kind = index;
	/* A name may have spaces, also at its end. */
	text += end;
	text[strcspn(text, "\n")] = '\0';
	if (*text == ' ')
		text++;
	if (!*text != (flip->kind <= PRAM_FLIP_DIR))
		return -EINVAL;
	return strscpy(flip->name, text) < 0 ? -ENAMETOOLONG : 0;
}

static ssize_t pram_flip_write(struct file *file, const char __user *user,
			       size_t count, loff_t *pos)
{
	char *text __free(kfree) = NULL;
	struct pram_flip *flip;
	int err;

	if (count > PRAM_NAME_MAX + 64)
		return -EINVAL;
	text = memdup_user_nul(user, count);
	if (IS_ERR(text))
		return PTR_ERR(text);
	flip = kzalloc_obj(*flip);
	if (!flip)
		return -ENOMEM;
	err = pram_flip_parse(flip, text);
	scoped_guard(mutex, &pram_lock) {
		if (!err && !pram_flip_page(flip))
			err = -ENOENT;
		if (!err)
			list_add_tail(&flip->link, &pram_flips);
	}
	if (err)
		kfree(flip);
	return err ?: count;
}

static int pram_flip_show(struct seq_file *seq, void *unused)
{
	struct pram_flip *flip;

	guard(mutex)(&pram_lock);
	list_for_each_entry(flip, &pram_flips, link)
		seq_printf(seq, "%s %llu %u %u %s\n", pram_flip_kinds[flip->kind],
			   flip->page, flip->byte, flip->bit, flip->name);
	return 0;
}

static int pram_flip_open(struct inode *inode, struct file *file)
{
	return single_open(file, pram_flip_show, NULL);
}

static const struct file_operations pram_flip_fops = {
	.owner		= THIS_MODULE,
	.open		= pram_flip_open,
	.read		= seq_read,
	.write		= pram_flip_write,
	.llseek		= seq_lseek,
	.release	= single_release,
};

static atomic_t pram_pass_over;

/**
 * pram_corrupt_pass_over - is a page of a tmpfs to be passed over?
 *
 * Return: whether it is, which makes one less for the next time.
 */
bool pram_corrupt_pass_over(void)
{
	return atomic_dec_if_positive(&pram_pass_over) >= 0;
}

static int __init pram_corrupt_init(void)
{
	struct dentry *dir;

	if (!pram_is_enabled())
		return 0;
	dir = debugfs_create_dir("pram", NULL);
	debugfs_create_file("flip", 0600, dir, NULL, &pram_flip_fops);
	debugfs_create_atomic_t("pass_over", 0600, dir, &pram_pass_over);
	return 0;
}
late_initcall(pram_corrupt_init);
