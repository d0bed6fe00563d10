// SPDX-License-Identifier: GPL-2.0
/*
 * How much memory nodes hold, and how much they may: max_bytes in
 * /sys/kernel/pram, and pram.max= on the command line.
 *
 * A frame counts once, however many nodes have it: from when the first one takes
 * it until the last one lets go. A page of PRAM's metadata counts as long as it
 * exists. What came with this boot counts, too, and is never refused.
 *
 * Beside that limit, copies leave a bit of the machine's memory alone.
 *
 * A page counts before a node has it, so nodes never hold more than the limit that
 * was in force when the last page was added.
 */

#define pr_fmt(fmt) "pram: " fmt

#include <kunit/static_stub.h>
#include <linux/atomic.h>
#include <linux/ctype.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "internal.h"

static atomic_long_t pram_held;

static unsigned long pram_max = PRAM_NO_LIMIT;
static unsigned long pram_boot_max __initdata = PRAM_NO_LIMIT;

/**
 * pram_charge - ask whether nodes may hold more
 * @nr: pages that they are about to take.
 * @exempt: they may, in any case.
 *
 * Return: 0, and then the pages count until pram_uncharge(); -ENOSPC.
 */
int pram_charge(unsigned long nr, bool exempt)
{
	unsigned long max = exempt ? PRAM_NO_LIMIT : READ_ONCE(pram_max);
	long held = atomic_long_read(&pram_held);

	do {
		if (held >= max || nr > max - held)
			return -ENOSPC;
	} while (!atomic_long_try_cmpxchg(&pram_held, &held, held + nr));
	return 0;
}

/**
 * pram_uncharge - note that nodes hold less
 * @nr: pages that they have given back.
 */
void pram_uncharge(unsigned long nr)
{
	atomic_long_sub(nr, &pram_held);
}

/**
 * pram_held_bytes - how much do nodes hold?
 *
 * Return: the number of bytes.
 */
u64 pram_held_bytes(void)
{
	return (u64)atomic_long_read(&pram_held) << PAGE_SHIFT;
}

/**
 * pram_max_bytes - how much may nodes hold?
 *
 * Return: the number of bytes; %U64_MAX if there is no limit.
 */
u64 pram_max_bytes(void)
{
	unsigned long max = READ_ONCE(pram_max);

	return max == PRAM_NO_LIMIT ? U64_MAX : (u64)max << PAGE_SHIFT;
}

/**
 * pram_set_max - limit how much nodes may hold
 * @max: pages. What they hold beyond it already they keep.
 */
void pram_set_max(unsigned long max)
{
	WRITE_ONCE(pram_max, max);
}

/**
 * pram_parse_max - parse a limit
 * @text: a number of bytes, perhaps with one of the suffixes of memparse(); or "max".
 * @max: set to the limit in whole pages; %PRAM_NO_LIMIT for none.
 *
 * Return: 0 or -EINVAL.
 */
int pram_parse_max(const char *text, unsigned long *max)
{
	char *end;
	u64 bytes;

	if (sysfs_streq(text, "max")) {
		*max = PRAM_NO_LIMIT;
		return 0;
	}
	if (!isdigit(*text))
		return -EINVAL;
	bytes = memparse(text, &end);
	if (!sysfs_streq(end, ""))
		return -EINVAL;
	*max = min(bytes >> PAGE_SHIFT, PRAM_NO_LIMIT);
	return 0;
}

/* What copies leave alone: 1/64 of memory, but no more than this. */
#define PRAM_RESERVE_SHIFT	6
#define PRAM_RESERVE_MAX	(SZ_64M >> PAGE_SHIFT)

/**
 * pram_memory_is_short - would a copy take the last memory?
 * @nr: the pages that it needs.
 *
 * A save that took all that the page allocator gives without the OOM killer would
 * leave its caller to the OOM killer: CRIU needs memory to undo a dump that failed,
 * and whom the OOM killer would choose is the task that was to be saved.
 *
 * Free pages of CMA areas, as KHO's scratch memory is, cannot be used for copies,
 * nor for much else, and do not count. Swap does: memory can be had by it.
 *
 * Return: whether less than the reserve would be left.
 */
bool pram_memory_is_short(unsigned long nr)
{
	unsigned long reserve = min(totalram_pages() >> PRAM_RESERVE_SHIFT,
				    PRAM_RESERVE_MAX);
	unsigned long need = nr + reserve +
			     global_zone_page_state(NR_FREE_CMA_PAGES);

	KUNIT_STATIC_STUB_REDIRECT(pram_memory_is_short, nr);
	/* There is at least what is free. To ask for the rest takes longer. */
	if (global_zone_page_state(NR_FREE_PAGES) >= need + totalreserve_pages)
		return false;
	return si_mem_available() + get_nr_swap_pages() < (long)need;
}

/**
 * pram_log_full - say that a save was refused because of the limit
 * @name: the node.
 */
void pram_log_full(const char *name)
{
	pr_warn_ratelimited("node %s: nodes hold %llu of at most %llu bytes; raise /sys/kernel/pram/max_bytes or free some: pramctl list\n",
			    name, pram_held_bytes(), pram_max_bytes());
}

static int __init pram_max_setup(char *text)
{
	if (pram_parse_max(text, &pram_boot_max))
		pr_err("pram.max=%s is neither a number of bytes nor \"max\": nodes have no limit\n",
		       text);
	return 1;
}
__setup("pram.max=", pram_max_setup);

/**
 * pram_limit_init - have the limit of the command line in force
 *
 * What came with this boot has been taken over, whatever the limit is.
 */
void __init pram_limit_init(void)
{
	pram_set_max(pram_boot_max);
}
