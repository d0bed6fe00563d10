// SPDX-License-Identifier: GPL-2.0
/*
 * The frames that nodes hold. KHO preserves a frame once and does not count,
 * but the same frame may come from several tasks: forked ones share their
 * memory, copy-on-write. So PRAM counts: a frame is preserved when the first
 * node takes it and given back when the last one lets go.
 *
 * The count is a byte for each frame, of which that of a folio's first frame is used,
 * in chunks for 128 MiB of memory each. Frames come and go by the entries of map
 * pages: many at a time, and mostly one behind the other. So KHO is told of runs of
 * them, of many at once, and the limit is asked once for all.
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

#define PRAM_FRAMES_PER_CHUNK	(PAGE_SIZE * BITS_PER_BYTE)

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

/* How many runs KHO is told of at once. */
#define PRAM_RUNS	32

/**
 * struct pram_runs - folios that KHO is to be told of
 * @ranges: runs of folios of one order, one behind the other.
 * @nr: how many runs there are.
 * @last: the last one, which may grow at both ends.
 * @step: how many frames the next folio is away, if the run goes on as it does; too
 *	many if it cannot be told.
 * @next: the entry that goes on like this.
 * @holders: those of the folio that came last.
 * @pages: pages of the runs that KHO was told of.
 */
struct pram_runs {
	struct kho_range	ranges[PRAM_RUNS];
	unsigned int		nr;
	struct kho_range	*last;
	long			step;
	u64			next;
	u8			*holders;
	unsigned long		pages;
};

/* No entry goes on with the last run. */
static void pram_runs_break(struct pram_runs *runs)
{
	runs->next = 0;
	runs->step = PRAM_FRAMES_PER_CHUNK;
}

static void pram_runs_init(struct pram_runs *runs)
{
	runs->nr = 0;
	runs->last = NULL;
	runs->pages = 0;
	pram_runs_break(runs);
}

/*
 * The holders of a folio that goes on with the last run, in the same chunk, by an entry
 * like the last one: so it is for nearly all of them. Else NULL.
 */
static u8 *pram_runs_follower(const struct pram_runs *runs, u64 entry)
{
	if (entry != runs->next ||
	    (entry ^ (entry - runs->step)) >= PRAM_FRAMES_PER_CHUNK)
		return NULL;
	return runs->holders + runs->step;
}

/* To be called with what pram_runs_follower() has returned. */
static void pram_runs_follow(struct pram_runs *runs, u8 *holders)
{
	if (runs->step < 0)
		runs->last->pfn += runs->step;
	runs->last->nr++;
	runs->next += runs->step;
	runs->holders = holders;
}

/*
 * Add a folio: to the last run, if it comes behind it or just before it, as the allocator
 * gives out in falling order what was freed not long ago. Or it begins a new one.
 *
 * Return: false if there is no room for a new run.
 */
static bool pram_runs_add(struct pram_runs *runs, u64 entry, u8 *holders)
{
	unsigned int order = FIELD_GET(PRAM_ENTRY_ORDER, entry);
	unsigned long pfn = pram_entry_pfn(entry);
	struct kho_range *last = runs->last;
	long step = 1L << order;

	if (runs->nr && last->order == order &&
	    pfn == last->pfn + ((unsigned long)last->nr << order)) {
		last->nr++;
	} else if (runs->nr && last->order == order && pfn + step == last->pfn) {
		last->pfn = pfn;
		last->nr++;
		step = -step;
	} else {
		if (runs->nr == PRAM_RUNS)
			return false;
		last = &runs->ranges[runs->nr++];
		last->pfn = pfn;
		last->nr = 1;
		last->order = order;
		runs->last = last;
	}
	runs->step = step;
	runs->next = entry + step;
	runs->holders = holders;
	if (entry & PRAM_ENTRY_PART)
		pram_runs_break(runs);
	return true;
}

/* KHO was told of the runs. */
static void pram_runs_done(struct pram_runs *runs)
{
	for (unsigned int i = 0; i < runs->nr; i++)
		runs->pages += (unsigned long)runs->ranges[i].nr << runs->ranges[i].order;
	runs->nr = 0;
	pram_runs_break(runs);
}

static int pram_runs_preserve(struct pram_runs *runs)
{
	int err = runs->nr ? kho_preserve_ranges(runs->ranges, runs->nr) : 0;

	pram_runs_done(runs);
	return err;
}

static void pram_runs_unpreserve(struct pram_runs *runs)
{
	if (runs->nr)
		kho_unpreserve_ranges(runs->ranges, runs->nr);
	pram_runs_done(runs);
}

static void pram_frames_put_locked(const u64 *entries, unsigned int nr)
{
	struct pram_runs runs;

	lockdep_assert_held(&pram_frames_lock);
	pram_runs_init(&runs);
	for (unsigned int i = 0; i < nr; i++) {
		u8 *holders = pram_runs_follower(&runs, entries[i]);
		unsigned long pfn;

		if (holders && *holders == 1) {
			WRITE_ONCE(*holders, 0);
			pram_runs_follow(&runs, holders);
			continue;
		}
		pfn = pram_entry_pfn(entries[i]);
		holders = pram_chunk_holders(pram_frame_chunk(pfn), pfn);
		if (pram_holders_dec(holders, pfn))
			continue;
		if (!pram_runs_add(&runs, entries[i], holders)) {
			pram_runs_unpreserve(&runs);
			pram_runs_add(&runs, entries[i], holders);
		}
	}
	pram_runs_unpreserve(&runs);
	pram_uncharge(runs.pages);
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
	struct pram_runs runs;
	unsigned int i;
	u64 shared = 0;
	int err = 0;

	pram_runs_init(&runs);
	guard(mutex)(&pram_frames_lock);
	for (i = 0; i < nr; i++) {
		u8 *holders = pram_runs_follower(&runs, entries[i]);
		unsigned long pfn;

		if (holders && !*holders) {
			WRITE_ONCE(*holders, 1);
			pram_runs_follow(&runs, holders);
			continue;
		}
		pfn = pram_entry_pfn(entries[i]);
		holders = pram_chunk_holders(pram_frame_make_chunk(pfn), pfn);
		if (!holders) {
			err = -ENOMEM;
			break;
		}
		if (*holders) {
			err = pram_holders_inc(holders, pfn);
			if (err)
				break;
			entries[i] |= PRAM_ENTRY_SHARED;
			shared += pram_entry_pages(entries[i]);
			continue;
		}
		if (!pram_runs_add(&runs, entries[i], holders)) {
			err = pram_runs_preserve(&runs);
			if (err)
				break;
			pram_runs_add(&runs, entries[i], holders);
		}
		WRITE_ONCE(*holders, 1);
	}
	if (!err)
		err = pram_runs_preserve(&runs);
	else
		pram_runs_done(&runs);
	if (!err && runs.pages)
		err = pram_charge(runs.pages, exempt);
	if (err) {
		/* What is undone has to count. */
		pram_charge(runs.pages, true);
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
	struct pram_runs runs;
	unsigned int i;
	int err = 0;

	pram_runs_init(&runs);
	guard(mutex)(&pram_frames_lock);
	for (i = 0; i < nr; i++) {
		u8 shared = entries[i] & PRAM_ENTRY_SHARED ? PRAM_HOLDERS_SHARED : 0;
		u8 *holders = pram_runs_follower(&runs, entries[i]);
		unsigned long pfn;

		if (holders && !*holders) {
			WRITE_ONCE(*holders, 1 | shared);
			pram_runs_follow(&runs, holders);
			continue;
		}
		pfn = pram_entry_pfn(entries[i]);
		holders = pram_chunk_holders(pram_frame_make_chunk(pfn), pfn);
		if (!holders) {
			err = -ENOMEM;
		} else if (*holders) {
			if (!shared && !(*holders & PRAM_HOLDERS_SHARED))
				err = -EBADMSG;
			else
				err = pram_holders_inc(holders, pfn);
		} else if (!pram_runs_add(&runs, entries[i], holders)) {
			if (pram_runs_preserve(&runs))
				pram_frames_missed = true;
			pram_runs_add(&runs, entries[i], holders);
		}
		if (err)
			break;
		WRITE_ONCE(*holders, (*holders ?: 1) | shared);
	}
	if (pram_runs_preserve(&runs))
		pram_frames_missed = true;
	/* Once one is missed, a folio that came with another node may be it. */
	if (pram_frames_missed)
		*preserved = false;
	pram_charge(runs.pages, true);
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
	struct pram_runs runs;
	int err = 0;

	pram_runs_init(&runs);
	guard(mutex)(&pram_frames_lock);
	for (unsigned int i = 0; i < nr && !err; i++) {
		if (pram_runs_add(&runs, entries[i], NULL))
			continue;
		err = pram_runs_preserve(&runs);
		pram_runs_add(&runs, entries[i], NULL);
	}
	return err ?: pram_runs_preserve(&runs);
}

/**
 * pram_frames_unpreserve - undo pram_frames_preserve() for one node
 * @entries: the node's entries; nothing is done for folios that other nodes have, too,
 *	or that are not preserved.
 * @nr: their number.
 */
void pram_frames_unpreserve(const u64 *entries, unsigned int nr)
{
	struct pram_runs runs;

	pram_runs_init(&runs);
	guard(mutex)(&pram_frames_lock);
	for (unsigned int i = 0; i < nr; i++) {
		if (pram_holders_read(pram_entry_pfn(entries[i])) != 1 ||
		    pram_runs_add(&runs, entries[i], NULL))
			continue;
		pram_runs_unpreserve(&runs);
		pram_runs_add(&runs, entries[i], NULL);
	}
	pram_runs_unpreserve(&runs);
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
