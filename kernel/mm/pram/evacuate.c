// SPDX-License-Identifier: GPL-2.0
/*
 * Moving memory out of scratch areas before it is to be taken over. To move a page takes
 * ten times as long as to take it over, and then the task waits for it: it is stopped.
 */

#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>

#include "internal.h"

/* Pages that are moved together. */
#define PRAM_EVACUATE_BATCH	512

/* Get the folio that begins at a page, if a save may want it. */
static struct folio *pram_evacuee_get(struct page *page)
{
	struct folio *folio = page_folio(page);

	if (!folio_test_lru(folio) || !folio_try_get(folio))
		return NULL;
	/* Before that, it may have become another one. */
	if (page == folio_page(folio, 0) && page_folio(page) == folio &&
	    folio_test_lru(folio) && folio_test_swapbacked(folio))
		return folio;
	folio_put(folio);
	return NULL;
}

/* Move what was isolated. Return: may there be room for more? */
static bool pram_evacuate_isolated(struct list_head *isolated)
{
	if (pram_memory_is_short(PRAM_EVACUATE_BATCH)) {
		putback_movable_pages(isolated);
		return false;
	}
	pram_migrate_isolated(isolated, PRAM_PAGES_EVACUATED);
	return !fatal_signal_pending(current);
}

static bool pram_evacuate_block(struct page *page, struct list_head *isolated,
				unsigned long *nr)
{
	for (struct page *end = page + pageblock_nr_pages; page < end; page++) {
		struct folio *folio = pram_evacuee_get(page);

		if (!folio)
			continue;
		if (isolate_folio_to_list(folio, isolated))
			*nr += folio_nr_pages(folio);
		folio_put(folio);
		if (*nr < PRAM_EVACUATE_BATCH)
			continue;
		*nr = 0;
		if (!pram_evacuate_isolated(isolated))
			return false;
	}
	cond_resched();
	return true;
}

/**
 * pram_evacuate_scratch - move memory of tasks and of tmpfs out of scratch areas
 *
 * What cannot be moved stays, and all does when memory is short: a save has to do
 * without this, too.
 */
void pram_evacuate_scratch(void)
{
	LIST_HEAD(isolated);
	unsigned long nr = 0;
	struct zone *zone;

	/* What waits to be put on a list cannot be taken off it. */
	lru_add_drain_all();
	for_each_populated_zone(zone) {
		/* Nobody has set the type of a block that is not whole. */
		unsigned long pfn = pageblock_align(zone->zone_start_pfn);

		for (; pfn + pageblock_nr_pages <= zone_end_pfn(zone);
		     pfn += pageblock_nr_pages) {
			struct page *page = pfn_to_online_page(pfn);

			if (!page || page_zone(page) != zone || !is_migrate_cma_page(page))
				continue;
			if (!pram_evacuate_block(page, &isolated, &nr))
				return;
		}
	}
	pram_evacuate_isolated(&isolated);
}
