// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that the next kernel does not have when it boots: what was added to this one
 * since it booted, be it by ACPI, virtio-mem or a driver for memory of another kind. It
 * is not in the memory map that a kernel hands to the next one, which adds it again
 * later, when what was left there is gone. So nothing of a node may lie in it.
 */

#define pr_fmt(fmt) "pram: " fmt

#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/ioport.h>
#include <linux/list.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include "internal.h"

struct pram_boot_range {
	unsigned long	start;
	unsigned long	end;	/* the frame behind the last one */
};

static struct pram_boot_range *pram_boot_ranges __ro_after_init;
static unsigned int pram_nr_boot_ranges __ro_after_init;

bool pram_memory_was_added __read_mostly;

/**
 * pram_frame_at_boot - was a frame there when this kernel booted?
 * @pfn: the frame. If no memory was added since, all are.
 *
 * Return: true if so.
 */
bool pram_frame_at_boot(unsigned long pfn)
{
	for (unsigned int i = 0; i < pram_nr_boot_ranges; i++) {
		const struct pram_boot_range *range = &pram_boot_ranges[i];

		if (pfn >= range->start && pfn < range->end)
			return true;
	}
	return false;
}

/* How many folios in memory that was added are put aside to find another. */
#define PRAM_MAX_UNFIT	16

/**
 * pram_folio_alloc - allocate a folio that the next kernel has, too
 * @gfp: how; without %__GFP_MOVABLE and %__GFP_HIGHMEM.
 * @order: its order.
 *
 * Return: the folio or NULL.
 */
struct folio *pram_folio_alloc(gfp_t gfp, unsigned int order)
{
	struct folio *folio, *bad, *next;
	unsigned int tries = 0;
	LIST_HEAD(unfit);

	folio = folio_alloc(gfp, order);
	if (!READ_ONCE(pram_memory_was_added))
		return folio;
	while (folio && !pram_frame_at_boot(folio_pfn(folio))) {
		list_add(&folio->lru, &unfit);
		/* No memory is added below 4 GiB, as a rule. */
		if (tries++ == PRAM_MAX_UNFIT)
			gfp |= __GFP_DMA32;
		folio = tries <= PRAM_MAX_UNFIT + 1 ? folio_alloc(gfp, order) :
						      NULL;
	}
	list_for_each_entry_safe(bad, next, &unfit, lru) {
		list_del_init(&bad->lru);
		folio_put(bad);
	}
	return folio;
}

static int pram_memory_notify(struct notifier_block *nb, unsigned long action,
			      void *data)
{
	const struct memory_notify *mn = data;

	if (pram_frame_at_boot(mn->start_pfn))
		return NOTIFY_DONE;
	/* Before the first page of it can be allocated. */
	if (action == MEM_GOING_ONLINE)
		WRITE_ONCE(pram_memory_was_added, true);
	if (action == MEM_ONLINE &&
	    page_zonenum(pfn_to_page(mn->start_pfn)) != ZONE_MOVABLE)
		pr_warn_once("memory at %#llx was not there at boot, and the kernel may use it for itself: KHO's own data in it would be lost by a kexec; online such memory as movable\n",
			     PFN_PHYS(mn->start_pfn));
	return NOTIFY_DONE;
}

static struct notifier_block pram_memory_nb = {
	.notifier_call = pram_memory_notify,
};

static int __init pram_count_range(struct resource *res, void *arg)
{
	pram_nr_boot_ranges++;
	return 0;
}

static int __init pram_add_range(struct resource *res, void *arg)
{
	struct pram_boot_range **next = arg;

	(*next)->start = PFN_UP(res->start);
	(*next)->end = PFN_DOWN(res->end + 1);
	(*next)++;
	return 0;
}

/* ACPI adds memory in a subsys_initcall(), and this has to come before. */
static int __init pram_boot_memory_init(void)
{
	struct pram_boot_range *next;

	walk_system_ram_res(0, U64_MAX, NULL, pram_count_range);
	pram_boot_ranges = kcalloc(pram_nr_boot_ranges, sizeof(*next),
				   GFP_KERNEL | __GFP_NOFAIL);
	next = pram_boot_ranges;
	walk_system_ram_res(0, U64_MAX, &next, pram_add_range);
	return register_memory_notifier(&pram_memory_nb);
}
early_initcall(pram_boot_memory_init);
