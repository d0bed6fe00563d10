// SPDX-License-Identifier: GPL-2.0
/*
 * The frames that nodes hold. KHO preserves a frame once and does not count,
 * but the same frame may come from several tasks: forked ones share their
 * memory, copy-on-write. So PRAM counts: a frame is preserved when the first
 * node takes it and given back when the last one lets go.
 *
 * The count is a byte for each frame, of which that of a folio's first frame is used,
 * in chunks for 256 MiB of memory each. Frames come and go by the entries of map
 * pages: many at a time, and mostly near each other. So KHO is told of ranges of memory, of
 * many at once, with a bit for each folio; and the limit is asked once for all.
 */

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/init.h>
#include <linux/kexec_handover.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pram_shmem.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>

#include "internal.h"

/* No struct kho_range goes across a border of chunks. */
#define PRAM_FRAMES_PER_CHUNK	((unsigned long)BITS_PER_LONG << MAX_PAGE_ORDER)

/* How many nodes have a folio; this many or more: pram_frame_many has the number. */
#define PRAM_HOLDERS		GENMASK(6, 0)
#define PRAM_HOLDERS_MANY	PRAM_HOLDERS
/* Of a folio that came with this boot: an entry says that others may have it, too. */
#define PRAM_HOLDERS_SHARED	BIT(7)

/**
 * struct pram_frame_chunk - what is known of frames
 * @holders: PRAM_HOLDERS_*, of the first frame of a folio. Changed under
 *	pram_frames_lock, and read without it.
 * @off_lru: bits of folios that are mapped, and still on no LRU list.
 */
struct pram_frame_chunk {
	u8	holders[PRAM_FRAMES_PER_CHUNK];
	DECLARE_BITMAP(off_lru, PRAM_FRAMES_PER_CHUNK);
};

/* Protects the counts, and that KHO agrees with them. */
static DEFINE_MUTEX(pram_frames_lock);

/* By pfn / PRAM_FRAMES_PER_CHUNK. A chunk is never freed, and never moved. */
static struct pram_frame_chunk **pram_frame_chunks __ro_after_init;
static unsigned long pram_nr_frame_chunks __ro_after_init;

/* The numbers of holders that do not fit into a byte, by pfn. */
static DEFINE_XARRAY(pram_frame_many);

/* How many folios more than one node has. */
static unsigned long pram_nr_shared;

/* There was no memory to preserve some folio that came with this boot. */
static bool pram_frames_missed;

static struct pram_frame_chunk *pram_frame_chunk(unsigned long pfn)
{
	unsigned long index = pfn / PRAM_FRAMES_PER_CHUNK;

	/* Beyond what memory can become, or PRAM is off. */
	if (index >= pram_nr_frame_chunks)
		return NULL;
	return READ_ONCE(pram_frame_chunks[index]);
}

/* As pram_frame_chunk(); it is made if it does not exist. */
static struct pram_frame_chunk *pram_frame_make_chunk(unsigned long pfn)
{
	unsigned long index = pfn / PRAM_FRAMES_PER_CHUNK;
	struct pram_frame_chunk *chunk = pram_frame_chunk(pfn);

	lockdep_assert_held(&pram_frames_lock);
	if (chunk || index >= pram_nr_frame_chunks)
		return chunk;
	chunk = vzalloc(sizeof(*chunk));
	if (!chunk)
		return NULL;
	/* Whoever finds the chunk without the lock finds it zeroed. */
	smp_store_release(&pram_frame_chunks[index], chunk);
	return chunk;
}

static u8 *pram_chunk_holders(struct pram_frame_chunk *chunk, unsigned long pfn)
{
	return chunk ? &chunk->holders[pfn % PRAM_FRAMES_PER_CHUNK] : NULL;
}

static unsigned long pram_holders_read(unsigned long pfn)
{
	u8 *holders = pram_chunk_holders(pram_frame_chunk(pfn), pfn);
	unsigned long nr = holders ? READ_ONCE(*holders) & PRAM_HOLDERS : 0;

	if (nr == PRAM_HOLDERS_MANY) {
		void *many = xa_load(&pram_frame_many, pfn);

		/* Without the lock the last one of many may just have gone. */
		nr = many ? xa_to_value(many) : PRAM_HOLDERS_MANY - 1;
	}
	return nr;
}

/* One more holder of a folio that has some. Return: 0 or -ENOMEM. */
static int pram_holders_inc(u8 *holders, unsigned long pfn)
{
	unsigned long nr = *holders & PRAM_HOLDERS;
	int err;

	if (nr == 1)
		WRITE_ONCE(pram_nr_shared, pram_nr_shared + 1);
	if (nr + 1 < PRAM_HOLDERS_MANY) {
		WRITE_ONCE(*holders, *holders + 1);
		return 0;
	}
	if (nr == PRAM_HOLDERS_MANY)
		nr = xa_to_value(xa_load(&pram_frame_many, pfn));
	err = xa_err(xa_store(&pram_frame_many, pfn, xa_mk_value(nr + 1),
			      GFP_KERNEL));
	if (!err)
		WRITE_ONCE(*holders, *holders | PRAM_HOLDERS_MANY);
	return err;
}

/* One holder less. Return: is there another one? */
static bool pram_holders_dec(u8 *holders, unsigned long pfn)
{
	unsigned long nr = *holders & PRAM_HOLDERS;

	if (WARN_ON_ONCE(!nr))
		return true;
	if (nr == 1) {
		WRITE_ONCE(*holders, 0);
		return false;
	}
	if (nr == 2)
		WRITE_ONCE(pram_nr_shared, pram_nr_shared - 1);
	if (nr < PRAM_HOLDERS_MANY) {
		WRITE_ONCE(*holders, *holders - 1);
		return true;
	}
	nr = xa_to_value(xa_load(&pram_frame_many, pfn)) - 1;
	/* Replaces what is there, so it needs no memory. */
	xa_store(&pram_frame_many, pfn, xa_mk_value(nr), GFP_KERNEL);
	if (nr < PRAM_HOLDERS_MANY) {
		WRITE_ONCE(*holders, *holders - 1);
		xa_erase(&pram_frame_many, pfn);
	}
	return true;
}

/* How many ranges KHO is told of at once. */
#define PRAM_RANGES	32

/**
 * struct pram_ranges - folios that KHO is to be told of
 * @ranges: ranges of memory with these folios.
 * @nr: how many ranges there are.
 * @pages: pages of the folios that KHO was told of.
 */
struct pram_ranges {
	struct kho_range	ranges[PRAM_RANGES];
	unsigned int		nr;
	unsigned long		pages;
};

static void pram_ranges_init(struct pram_ranges *ranges)
{
	ranges->nr = 0;
	ranges->pages = 0;
}

static bool pram_ranges_full(const struct pram_ranges *ranges)
{
	return ranges->nr == PRAM_RANGES;
}

/* KHO was told of the ranges. */
static void pram_ranges_done(struct pram_ranges *ranges)
{
	for (unsigned int i = 0; i < ranges->nr; i++)
		ranges->pages += hweight_long(ranges->ranges[i].mask) <<
				 ranges->ranges[i].order;
	ranges->nr = 0;
}

static int pram_ranges_preserve(struct pram_ranges *ranges)
{
	int err = ranges->nr ? kho_preserve_ranges(ranges->ranges, ranges->nr) : 0;

	pram_ranges_done(ranges);
	return err;
}

static void pram_ranges_unpreserve(struct pram_ranges *ranges)
{
	if (ranges->nr)
		kho_unpreserve_ranges(ranges->ranges, ranges->nr);
	pram_ranges_done(ranges);
}

/* Begin a range with an entry, for which there is room. */
static struct kho_range *pram_ranges_begin(struct pram_ranges *ranges,
					   struct pram_near *near, u64 entry)
{
	struct kho_range *range = &ranges->ranges[ranges->nr++];

	pram_near_begin(near, entry, range);
	return range;
}

/* Where the holders are of an entry, by those of the range that it is in. */
static u8 *pram_near_holders(const struct pram_near *near, u8 *first, u64 entry)
{
	return first + (entry & near->within);
}

static void pram_frames_put_locked(const u64 *entries, unsigned int nr)
{
	struct pram_near near = PRAM_NEAR_NONE;
	struct kho_range *range = NULL;
	struct pram_ranges ranges;
	u8 *first = NULL;

	lockdep_assert_held(&pram_frames_lock);
	pram_ranges_init(&ranges);
	for (unsigned int i = 0; i < nr; i++) {
		const u64 entry = entries[i];
		u8 *holders;

		if (!pram_is_near(&near, entry)) {
			if (pram_ranges_full(&ranges))
				pram_ranges_unpreserve(&ranges);
			range = pram_ranges_begin(&ranges, &near, entry);
			first = pram_chunk_holders(pram_frame_chunk(range->pfn), range->pfn);
		}
		holders = pram_near_holders(&near, first, entry);
		if (*holders == 1)
			WRITE_ONCE(*holders, 0);
		else if (pram_holders_dec(holders, pram_entry_pfn(entry)))
			continue;
		range->mask |= pram_near_bit(&near, entry);
	}
	pram_ranges_unpreserve(&ranges);
	pram_uncharge(ranges.pages);
}

/**
 * pram_frames_get - note that a node has folios, and have them preserved
 * @entries: the entries that are about to be the node's. Those of folios that another
 *	node has, or the same one by another entry, get %PRAM_ENTRY_SHARED.
 * @nr: their number.
 * @exempt: the node is exempt from the limit.
 *
 * Return: 0; -ENOSPC beyond the limit, -ENOMEM or what KHO says, and then nothing has
 * happened.
 */
int pram_frames_get(u64 *entries, unsigned int nr, bool exempt)
{
	struct pram_near near = PRAM_NEAR_NONE;
	struct kho_range *range = NULL;
	struct pram_ranges ranges;
	u8 *first = NULL;
	unsigned int i;
	u64 shared = 0;
	int err = 0;

	pram_ranges_init(&ranges);
	guard(mutex)(&pram_frames_lock);
	for (i = 0; i < nr; i++) {
		const u64 entry = entries[i];
		u8 *holders;

		if (!pram_is_near(&near, entry)) {
			if (pram_ranges_full(&ranges))
				err = pram_ranges_preserve(&ranges);
			if (err)
				break;
			range = pram_ranges_begin(&ranges, &near, entry);
			first = pram_chunk_holders(pram_frame_make_chunk(range->pfn),
						   range->pfn);
			if (!first) {
				err = -ENOMEM;
				break;
			}
		}
		holders = pram_near_holders(&near, first, entry);
		if (!*holders) {
			WRITE_ONCE(*holders, 1);
			range->mask |= pram_near_bit(&near, entry);
			continue;
		}
		err = pram_holders_inc(holders, pram_entry_pfn(entry));
		if (err)
			break;
		entries[i] = entry | PRAM_ENTRY_SHARED;
		shared += pram_entry_pages(entry);
	}
	if (!err)
		err = pram_ranges_preserve(&ranges);
	else
		pram_ranges_done(&ranges);
	if (!err && ranges.pages)
		err = pram_charge(ranges.pages, exempt);
	if (err) {
		/* What is undone has to count. */
		pram_charge(ranges.pages, true);
		pram_frames_put_locked(entries, i);
	} else if (shared) {
		pram_count(PRAM_PAGES_SHARED, shared);
	}
	return err;
}

/**
 * pram_frames_put - note that a node has folios no longer
 * @entries: the node's entries. Folios that no other node has are no longer preserved.
 * @nr: their number.
 */
void pram_frames_put(const u64 *entries, unsigned int nr)
{
	guard(mutex)(&pram_frames_lock);
	pram_frames_put_locked(entries, nr);
}

/**
 * pram_frame_known - does a node have a frame?
 * @pfn: the frame, the first one of a folio.
 *
 * Return: true if so.
 */
bool pram_frame_known(unsigned long pfn)
{
	u8 *holders = pram_chunk_holders(pram_frame_chunk(pfn), pfn);

	return holders && READ_ONCE(*holders);
}

/**
 * pram_frames_get_again - note that a node that came with this boot has folios
 * @entries: the node's entries.
 * @nr: their number.
 * @preserved: set to false if some may not be preserved for lack of memory, which is no
 *	error: pram_frames_preserve() tries again.
 *
 * Like pram_frames_get(), but of several nodes that share a folio at most one has an
 * entry that does not say so; in which order they come is not known.
 *
 * Return: 0; -ENOMEM; -EBADMSG if two entries claim a folio for themselves. After an
 * error nothing has happened.
 */
int pram_frames_get_again(const u64 *entries, unsigned int nr, bool *preserved)
{
	struct pram_near near = PRAM_NEAR_NONE;
	struct kho_range *range = NULL;
	struct pram_ranges ranges;
	u8 *first = NULL;
	unsigned int i;
	int err = 0;

	pram_ranges_init(&ranges);
	guard(mutex)(&pram_frames_lock);
	for (i = 0; i < nr; i++) {
		const u64 entry = entries[i];
		u8 shared = entry & PRAM_ENTRY_SHARED ? PRAM_HOLDERS_SHARED : 0;
		u8 *holders;

		if (!pram_is_near(&near, entry)) {
			if (pram_ranges_full(&ranges) && pram_ranges_preserve(&ranges))
				pram_frames_missed = true;
			range = pram_ranges_begin(&ranges, &near, entry);
			first = pram_chunk_holders(pram_frame_make_chunk(range->pfn),
						   range->pfn);
			if (!first) {
				err = -ENOMEM;
				break;
			}
		}
		holders = pram_near_holders(&near, first, entry);
		if (!*holders) {
			WRITE_ONCE(*holders, 1 | shared);
			range->mask |= pram_near_bit(&near, entry);
			continue;
		}
		if (shared || *holders & PRAM_HOLDERS_SHARED)
			err = pram_holders_inc(holders, pram_entry_pfn(entry));
		else
			err = -EBADMSG;
		if (err)
			break;
		WRITE_ONCE(*holders, *holders | shared);
	}
	if (pram_ranges_preserve(&ranges))
		pram_frames_missed = true;
	/* Once one is missed, a folio that came with another node may be it. */
	if (pram_frames_missed)
		*preserved = false;
	pram_charge(ranges.pages, true);
	if (err)
		pram_frames_put_locked(entries, i);
	return err;
}

/**
 * pram_frames_preserve - have KHO preserve folios that a node has
 * @entries: the node's entries; nothing is done for folios that are preserved.
 * @nr: their number.
 *
 * Return: 0 or a negative errno, and then some of them may be preserved.
 */
int pram_frames_preserve(const u64 *entries, unsigned int nr)
{
	struct pram_near near = PRAM_NEAR_NONE;
	struct kho_range *range = NULL;
	struct pram_ranges ranges;

	pram_ranges_init(&ranges);
	guard(mutex)(&pram_frames_lock);
	for (unsigned int i = 0; i < nr; i++) {
		if (!pram_is_near(&near, entries[i])) {
			int err = 0;

			if (pram_ranges_full(&ranges))
				err = pram_ranges_preserve(&ranges);
			if (err)
				return err;
			range = pram_ranges_begin(&ranges, &near, entries[i]);
		}
		range->mask |= pram_near_bit(&near, entries[i]);
	}
	return pram_ranges_preserve(&ranges);
}

/**
 * pram_frames_unpreserve - undo pram_frames_preserve() for one node
 * @entries: the node's entries; nothing is done for folios that other nodes have, too,
 *	or that are not preserved.
 * @nr: their number.
 */
void pram_frames_unpreserve(const u64 *entries, unsigned int nr)
{
	struct pram_near near = PRAM_NEAR_NONE;
	struct kho_range *range = NULL;
	struct pram_ranges ranges;

	pram_ranges_init(&ranges);
	guard(mutex)(&pram_frames_lock);
	for (unsigned int i = 0; i < nr; i++) {
		if (!pram_is_near(&near, entries[i])) {
			if (pram_ranges_full(&ranges))
				pram_ranges_unpreserve(&ranges);
			range = pram_ranges_begin(&ranges, &near, entries[i]);
		}
		if (pram_holders_read(pram_entry_pfn(entries[i])) == 1)
			range->mask |= pram_near_bit(&near, entries[i]);
	}
	pram_ranges_unpreserve(&ranges);
}

/**
 * pram_frame_holders - how many nodes have a folio?
 * @folio: a folio that a node has.
 *
 * Return: the number, which is that of the references that PRAM has to it.
 */
unsigned long pram_frame_holders(struct folio *folio)
{
	guard(mutex)(&pram_frames_lock);
	return pram_holders_read(folio_pfn(folio));
}

/**
 * pram_folio_holders - how many nodes have a folio? Asked without a lock
 * @folio: any folio.
 *
 * Return: the number. A 0 stays right as long as no node can take the folio; anything else
 * may be out of date at once.
 */
unsigned long pram_folio_holders(const struct folio *folio)
{
	return pram_holders_read(folio_pfn(folio));
}

/**
 * pram_frame_is_shared - does more than one node have a folio?
 * @folio: a folio that a node has.
 *
 * Return: true if so. It may be out of date at once.
 */
bool pram_frame_is_shared(struct folio *folio)
{
	return pram_holders_read(folio_pfn(folio)) > 1;
}

/**
 * pram_frames_are_shared - does more than one node have any folio?
 *
 * Return: true if so. It may be out of date at once.
 */
bool pram_frames_are_shared(void)
{
	return READ_ONCE(pram_nr_shared);
}

/**
 * pram_frame_set_off_lru - note that a folio was mapped and is on no LRU list
 * @folio: a folio that a node has.
 */
void pram_frame_set_off_lru(struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio);

	set_bit(pfn % PRAM_FRAMES_PER_CHUNK, pram_frame_chunk(pfn)->off_lru);
}

/**
 * pram_frame_clear_off_lru - has a folio to be put on an LRU list?
 * @folio: a folio that a node has or had.
 *
 * Return: true for one caller after each pram_frame_set_off_lru().
 */
bool pram_frame_clear_off_lru(struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio);
	struct pram_frame_chunk *chunk = pram_frame_chunk(pfn);

	/* Of memory that was never mapped it is never set. */
	return chunk && test_bit(pfn % PRAM_FRAMES_PER_CHUNK, chunk->off_lru) &&
	       test_and_clear_bit(pfn % PRAM_FRAMES_PER_CHUNK, chunk->off_lru);
}

/**
 * pram_frames_init - get ready to note which frames nodes hold
 *
 * Return: 0 or -ENOMEM.
 */
int __init pram_frames_init(void)
{
	unsigned long nr = DIV_ROUND_UP(max_t(unsigned long, max_pfn, max_possible_pfn),
					PRAM_FRAMES_PER_CHUNK);

	pram_frame_chunks = kvcalloc(nr, sizeof(*pram_frame_chunks), GFP_KERNEL);
	if (!pram_frame_chunks)
		return -ENOMEM;
	pram_nr_frame_chunks = nr;
	return 0;
}
