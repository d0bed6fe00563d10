// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test of Kexec HandOver with memory that is scattered: blocks of pages of which
 * no two adjoin, as many as there is memory for.
 *
 * In /sys/kernel/debug/kho_scatter:
 *
 * preserve	"RUNS ORDER" written to it allocates, fills and preserves RUNS
 *		blocks, of the orders 0 to ORDER by turns.
 * overlap	anything written to it preserves again a page in the midst of a
 *		block, which is what a bug in a user of KHO might do.
 * block	the physical address of one of the blocks, of order 0.
 * check	in the next kernel: looks for each block whether it is there, as it
 *		was, and nobody else's. See kho_scatter_check_show().
 */
#define pr_fmt(fmt) "kho_scatter: " fmt

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/vmalloc.h>

#define KHO_SCATTER_NAME	"kho_scatter"
#define KHO_SCATTER_MAX_ORDER	4

/* What kho_restore_page() looks for in page->private, in the upper half. */
#define KHO_SCATTER_MAGIC	0x4b484f50UL

/* An entry of the table of blocks: the address, with the order in the low bits. */
#define KHO_SCATTER_ORDER	(PAGE_SIZE - 1)

struct kho_scatter_record {
	u64 nr;
	struct kho_vmalloc table;
};

static DEFINE_MUTEX(kho_scatter_lock);
static struct kho_scatter_record *kho_scatter_out;
static u64 *kho_scatter_blocks;
/* In the next kernel: how many regions memblock had when it was done. */
static unsigned long kho_scatter_regions;
/* And from where on it left each node's memory to deferred initialization. */
static unsigned long kho_scatter_deferred[MAX_NUMNODES];

/* No two frames have the same contents, and none has that of free memory. */
static u64 kho_scatter_pattern(unsigned long pfn)
{
	return (pfn + 1) * 0x9e3779b97f4a7c15ULL;
}

static bool kho_scatter_is(const u64 *words, u64 pattern)
{
	for (unsigned long i = 0; i < PAGE_SIZE / sizeof(*words); i++)
		if (words[i] != pattern)
			return false;

	return true;
}

static void kho_scatter_free_list(struct list_head *list)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, list, lru) {
		list_del(&page->lru);
		__free_pages(page, compound_order(page));
	}
}

/*
 * Allocates blocks until @nr of them begin where only every second one of the
 * largest order can begin. So none adjoins another one.
 */
static int kho_scatter_alloc(u64 *blocks, unsigned long nr, unsigned int max_order)
{
	unsigned long stride = 2UL << max_order;
	unsigned long i = 0, tried = 0;
	LIST_HEAD(rest);

	while (i < nr) {
		unsigned int order = tried++ % (max_order + 1);
		struct page *page;

		page = alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_NOWARN | __GFP_NORETRY, order);
		if (!page || fatal_signal_pending(current)) {
			if (page)
				__free_pages(page, order);
			break;
		}
		if (page_to_pfn(page) % stride) {
			list_add(&page->lru, &rest);
			continue;
		}
		for (unsigned long j = 0; j < 1UL << order; j++)
			memset64(page_address(page + j),
				 kho_scatter_pattern(page_to_pfn(page + j)),
				 PAGE_SIZE / sizeof(u64));
		blocks[i++] = page_to_phys(page) | order;
		cond_resched();
	}

	kho_scatter_free_list(&rest);
	if (i == nr)
		return 0;

	pr_err("memory for %lu blocks of %lu only\n", i, nr);
	while (i--)
		__free_pages(phys_to_page(blocks[i]), blocks[i] & KHO_SCATTER_ORDER);

	return -ENOMEM;
}

static int kho_scatter_preserve(unsigned long nr, unsigned int max_order)
{
	struct kho_scatter_record *record;
	unsigned long i;
	u64 *blocks;
	int err;

	blocks = vmalloc_array(nr, sizeof(*blocks));
	if (!blocks)
		return -ENOMEM;
	record = kho_alloc_preserve(sizeof(*record));
	if (IS_ERR(record)) {
		err = PTR_ERR(record);
		goto err_blocks;
	}

	err = kho_scatter_alloc(blocks, nr, max_order);
	if (err)
		goto err_record;

	for (i = 0; i < nr; i++) {
		err = kho_preserve_folio(page_folio(phys_to_page(blocks[i])));
		if (err)
			goto err_pages;
	}
	record->nr = nr;
	err = kho_preserve_vmalloc(blocks, &record->table);
	if (err)
		goto err_pages;
	err = kho_add_subtree(KHO_SCATTER_NAME, record, sizeof(*record));
	if (err)
		goto err_table;

	kho_scatter_blocks = blocks;
	kho_scatter_out = record;
	return 0;

err_table:
	kho_unpreserve_vmalloc(&record->table);
err_pages:
	while (i--)
		kho_unpreserve_folio(page_folio(phys_to_page(blocks[i])));
	for (i = 0; i < nr; i++)
		__free_pages(phys_to_page(blocks[i]), blocks[i] & KHO_SCATTER_ORDER);
err_record:
	kho_unpreserve_free(record);
err_blocks:
	vfree(blocks);
	return err;
}

static ssize_t kho_scatter_preserve_write(struct file *file, const char __user *buf,
					  size_t count, loff_t *pos)
{
	unsigned int max_order;
	unsigned long nr;
	char text[64];
	ssize_t len;
	int err;

	len = simple_write_to_buffer(text, sizeof(text) - 1, pos, buf, count);
	if (len < 0)
		return len;
	text[len] = '\0';
	if (sscanf(text, "%lu %u", &nr, &max_order) != 2 || !nr ||
	    max_order > KHO_SCATTER_MAX_ORDER)
		return -EINVAL;

	guard(mutex)(&kho_scatter_lock);
	if (kho_scatter_out)
		return -EBUSY;
	err = kho_scatter_preserve(nr, max_order);

	return err ?: count;
}

static const struct file_operations kho_scatter_preserve_fops = {
	.owner = THIS_MODULE,
	.write = kho_scatter_preserve_write,
};

/* The first block of which the order is at least (or, if zero, is) @order. */
static struct page *kho_scatter_find(unsigned int order)
{
	for (u64 i = 0; kho_scatter_out && i < kho_scatter_out->nr; i++) {
		unsigned int this = kho_scatter_blocks[i] & KHO_SCATTER_ORDER;

		if (order ? this >= order : !this)
			return phys_to_page(kho_scatter_blocks[i]);
	}

	return NULL;
}

static ssize_t kho_scatter_overlap_write(struct file *file, const char __user *buf,
					 size_t count, loff_t *pos)
{
	struct page *page;
	int err;

	guard(mutex)(&kho_scatter_lock);
	page = kho_scatter_find(1);
	if (!page)
		return -ENOENT;
	err = kho_preserve_pages(page + 1, 1);

	return err ?: count;
}

static const struct file_operations kho_scatter_overlap_fops = {
	.owner = THIS_MODULE,
	.write = kho_scatter_overlap_write,
};

static int kho_scatter_block_show(struct seq_file *m, void *unused)
{
	struct page *page;

	guard(mutex)(&kho_scatter_lock);
	page = kho_scatter_find(0);
	if (!page)
		return -ENOENT;
	seq_printf(m, "%#llx\n", (u64)page_to_phys(page));

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(kho_scatter_block);

/* What the rest of the system may need while all other memory is taken. */
#define KHO_SCATTER_MARGIN	SZ_16M

/* Takes all the memory that can be had without waiting, and overwrites it. */
static void kho_scatter_fill(struct list_head *filled)
{
	struct page *page, *next;
	unsigned long margin = 0;

	for (int order = MAX_PAGE_ORDER; order >= 0; order--) {
		for (;;) {
			page = alloc_pages(__GFP_MOVABLE | __GFP_COMP | __GFP_NOWARN, order);
			if (!page)
				break;
			memset(page_address(page), 0xee, PAGE_SIZE << order);
			list_add(&page->lru, filled);
			cond_resched();
		}
	}

	list_for_each_entry_safe(page, next, filled, lru) {
		if (margin >= KHO_SCATTER_MARGIN)
			break;
		margin += page_size(page);
		list_del(&page->lru);
		__free_pages(page, compound_order(page));
	}
}

/*
 * One line each, a name and a number:
 *
 * blocks	that the previous kernel has preserved
 * early	of these, in memory that memblock has handed over by itself
 * pages	in them
 * free		pages of them that the page allocator has among its free ones
 * absent	blocks that KHO does not know of
 * restored	blocks that it gave back, in their order and with one reference
 * changed	pages in these whose contents are not what they were, after all
 *		free memory was overwritten
 *		(the last two only if none is free)
 * regions	in memblock.reserved, when memblock had done its work
 * managed	pages in all zones, and
 * total	pages of memory, counted separately
 * listed	pages on the free lists of all zones, and
 * counted	pages that are free, counted separately
 */
static int kho_scatter_check_show(struct seq_file *m, void *unused)
{
	unsigned long pages = 0, nr_free = 0, absent = 0, restored = 0, changed = 0;
	unsigned long managed = 0, early = 0, listed = 0, counted = 0;
	struct kho_scatter_record *record;
	struct zone *zone;
	LIST_HEAD(filler);
	LIST_HEAD(blocks);
	phys_addr_t phys;
	u64 *table;
	int err;

	guard(mutex)(&kho_scatter_lock);
	err = kho_retrieve_subtree(KHO_SCATTER_NAME, &phys, NULL);
	if (err)
		return err;
	record = phys_to_virt(phys);
	table = kho_restore_vmalloc(&record->table);
	if (!table)
		return -EIO;

	for (u64 i = 0; i < record->nr; i++) {
		unsigned int order = table[i] & KHO_SCATTER_ORDER;

		for (unsigned long j = 0; j < 1UL << order; j++)
			nr_free += is_free_buddy_page(phys_to_page(table[i]) + j);
		pages += 1UL << order;
		early += PHYS_PFN(table[i]) <
			 kho_scatter_deferred[page_to_nid(phys_to_page(table[i]))];
	}

	/* What is free as well must not be given back: it has an owner already. */
	if (nr_free)
		goto out;

	kho_scatter_fill(&filler);

	for (u64 i = 0; i < record->nr; i++) {
		unsigned int order = table[i] & KHO_SCATTER_ORDER;
		struct page *page = phys_to_page(table[i]);
		struct folio *folio;

		/* kho_restore_folio() would complain of it. */
		if (page_private(page) >> 32 != KHO_SCATTER_MAGIC) {
			absent++;
			continue;
		}
		folio = kho_restore_folio(table[i] & PAGE_MASK);
		if (!folio || folio_order(folio) != order || folio_ref_count(folio) != 1)
			continue;
		restored++;
		for (unsigned long j = 0; j < 1UL << order; j++)
			changed += !kho_scatter_is(page_address(page + j),
						   kho_scatter_pattern(page_to_pfn(page + j)));
		list_add(&folio->lru, &blocks);
	}

	kho_scatter_free_list(&filler);
	kho_scatter_free_list(&blocks);
out:
	for_each_populated_zone(zone) {
		managed += zone_managed_pages(zone);

		guard(spinlock_irqsave)(&zone->lock);
		for (int order = 0; order < NR_PAGE_ORDERS; order++)
			listed += zone->free_area[order].nr_free << order;
		counted += zone_page_state_snapshot(zone, NR_FREE_PAGES);
	}

	seq_printf(m, "blocks %llu\nearly %lu\npages %lu\nfree %lu\nabsent %lu\nrestored %lu\nchanged %lu\n",
		   record->nr, early, pages, nr_free, absent, restored, changed);
	seq_printf(m, "regions %lu\nmanaged %lu\ntotal %lu\nlisted %lu\ncounted %lu\n",
		   kho_scatter_regions, managed, totalram_pages(), listed, counted);
	vfree(table);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(kho_scatter_check);

/* Before page_alloc_init_late(), which discards what memblock knows. */
static int __init kho_scatter_early_init(void)
{
	int nid;

	kho_scatter_regions = memblock.reserved.cnt;
	for_each_online_node(nid) {
#ifdef CONFIG_DEFERRED_STRUCT_PAGE_INIT
		kho_scatter_deferred[nid] = NODE_DATA(nid)->first_deferred_pfn;
#else
		kho_scatter_deferred[nid] = ULONG_MAX;
#endif
	}

	return 0;
}
early_initcall(kho_scatter_early_init);

static int __init kho_scatter_init(void)
{
	struct dentry *dir;

	if (!kho_is_enabled())
		return 0;

	dir = debugfs_create_dir("kho_scatter", NULL);
	debugfs_create_file("preserve", 0200, dir, NULL, &kho_scatter_preserve_fops);
	debugfs_create_file("overlap", 0200, dir, NULL, &kho_scatter_overlap_fops);
	debugfs_create_file("block", 0400, dir, NULL, &kho_scatter_block_fops);
	debugfs_create_file("check", 0400, dir, NULL, &kho_scatter_check_fops);

	return 0;
}
late_initcall(kho_scatter_init);
