// SPDX-License-Identifier: GPL-2.0
/*
 * The frames that nodes hold. KHO preserves a frame once and does not count,
 * but the same frame may come from several tasks: forked ones share their
 * memory, copy-on-write. So PRAM counts: a frame is preserved when the first
 * node takes it and given back when the last one lets go.
 *
 * The count is a byte for each frame, of which that of a folio's first frame is used,
 * in chunks for 128 MiB of memory each. Frames come and go by the entries of map
 * pages: many at a time, and mostly one behind the other, so that KHO and the limit
 * are asked once for a run of them.
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

/**
 * struct pram_run - folios of one order, one behind the other
 * @pfn: where they begin.
 * @nr: how many.
 * @order: their order.
 * @next: the entry that follows the last one's, if it is for a whole folio, and came in
 *	rising order; or 0.
 * @holders: the last one's.
 */
struct pram_run {
	unsigned long	pfn;
	unsigned long	nr;
	unsigned int	order;
	u64		next;
	u8		*holders;
};

/*
 * The holders of a folio that follows the run, in the same chunk, by an entry like the
 * last one: so it is for nearly all of them. Else NULL.
 */
static u8 *pram_run_follower(const struct pram_run *run, u64 entry)
{
	if (entry != run->next || !(entry % PRAM_FRAMES_PER_CHUNK))
		return NULL;
	return run->holders + (1UL << run->order);
}

/* To be called with what pram_run_follower() has returned. */
static void pram_run_follow(struct pram_run *run, u8 *holders)
{
	run->holders = holders;
	run->next += 1UL << run->order;
	run->nr++;
}

/*
 * Does the folio follow the run, or come just before it? If it does, it belongs to it now.
 * The allocator gives out in falling order what was freed not long ago.
 */
static bool pram_run_add(struct pram_run *run, u64 entry, u8 *holders)
{
	unsigned long pfn = pram_entry_pfn(entry);

	if (!run->nr || run->order != FIELD_GET(PRAM_ENTRY_ORDER, entry))
		return false;
	if (pfn + (1UL << run->order) == run->pfn) {
		run->pfn = pfn;
		run->nr++;
		run->next = 0;
		return true;
	}
	if (run->pfn + (run->nr << run->order) != pfn)
		return false;
	run->nr++;
	run->holders = holders;
	run->next = entry & PRAM_ENTRY_PART ? 0 : entry + (1UL << run->order);
	return true;
}

static void pram_run_begin(struct pram_run *run, u64 entry, u8 *holders)
{
	run->pfn = pram_entry_pfn(entry);
	run->nr = 1;
	run->order = FIELD_GET(PRAM_ENTRY_ORDER, entry);
	run->holders = holders;
	run->next = entry & PRAM_ENTRY_PART ? 0 : entry + (1UL << run->order);
}

static unsigned long pram_run_pages(const struct pram_run *run)
{
	return run->nr << run->order;
}

static int pram_run_preserve(const struct pram_run *run)
{
	return run->nr ? kho_preserve_range(run->pfn, run->nr, run->order) : 0;
}

static void pram_run_unpreserve(const struct pram_run *run)
{
	if (run->nr)
		kho_unpreserve_range(run->pfn, run->nr, run->order);
}

static void pram_frames_put_locked(const u64 *entries, unsigned int nr)
{
	struct pram_run run = {};
	unsigned long pages = 0;

	lockdep_assert_held(&pram_frames_lock);
	for (unsigned int i = 0; i < nr; i++) {
		u8 *holders = pram_run_follower(&run, entries[i]);
		unsigned long pfn;

		if (holders && *holders == 1) {
			WRITE_ONCE(*holders, 0);
			pram_run_follow(&run, holders);
			continue;
		}
		pfn = pram_entry_pfn(entries[i]);
		holders = pram_chunk_holders(pram_frame_chunk(pfn), pfn);
		if (pram_holders_dec(holders, pfn))
			continue;
		if (!pram_run_add(&run, entries[i], holders)) {
			pram_run_unpreserve(&run);
			pages += pram_run_pages(&run);
			pram_run_begin(&run, entries[i], holders);
		}
	}
	pram_run_unpreserve(&run);
	pram_uncharge(pages + pram_run_pages(&run));
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
	struct pram_run run = {};
	unsigned long pages = 0;
	unsigned int i;
	u64 shared = 0;
	int err = 0;

	guard(mutex)(&pram_frames_lock);
	for (i = 0; i < nr; i++) {
		u8 *holders = pram_run_follower(&run, entries[i]);
		unsigned long pfn;

		if (holders && !*holders) {
			WRITE_ONCE(*holders, 1);
			pram_run_follow(&run, holders);
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
		if (!pram_run_add(&run, entries[i], holders)) {
			err = pram_run_preserve(&run);
			if (err)
				break;
			pages += pram_run_pages(&run);
			pram_run_begin(&run, entries[i], holders);
		}
		WRITE_ONCE(*holders, 1);
	}
	if (!err)
		err = pram_run_preserve(&run);
	pages += pram_run_pages(&run);
	if (!err && pages)
		err = pram_charge(pages, exempt);
	if (err) {
		/* What is undone has to count. */
		pram_charge(pages, true);
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
 *
 * Like pram_frames_get(), but does not preserve the folios. Of several nodes that
 * share a folio at most one has an entry that does not say so; in which order they
 * come is not known.
 *
 * Return: 0; -ENOMEM; -EBADMSG if two entries claim a folio for themselves. After an
 * error nothing has happened.
 */
int pram_frames_get_again(const u64 *entries, unsigned int nr)
{
	unsigned long pages = 0;
	struct pram_run run = {};
	unsigned int i;
	int err = 0;

	guard(mutex)(&pram_frames_lock);
	for (i = 0; i < nr; i++) {
		u8 shared = entries[i] & PRAM_ENTRY_SHARED ? PRAM_HOLDERS_SHARED : 0;
		u8 *holders = pram_run_follower(&run, entries[i]);
		unsigned long pfn;

		if (holders && !*holders) {
			WRITE_ONCE(*holders, 1 | shared);
			pram_run_follow(&run, holders);
			continue;
		}
		pfn = pram_entry_pfn(entries[i]);
		holders = pram_chunk_holders(pram_frame_make_chunk(pfn), pfn);
		if (!holders) {
			err = -ENOMEM;
		} else if (!*holders) {
			pages += pram_run_pages(&run);
			pram_run_begin(&run, entries[i], holders);
		} else if (!shared && !(*holders & PRAM_HOLDERS_SHARED)) {
			err = -EBADMSG;
		} else {
			err = pram_holders_inc(holders, pfn);
		}
		if (err)
			break;
		WRITE_ONCE(*holders, (*holders ?: 1) | shared);
	}
	pram_charge(pages + pram_run_pages(&run), true);
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
	struct pram_run run = {};
	int err = 0;

	guard(mutex)(&pram_frames_lock);
	for (unsigned int i = 0; i < nr && !err; i++) {
		if (entries[i] == run.next && run.next) {
			pram_run_follow(&run, NULL);
			continue;
		}
		if (pram_run_add(&run, entries[i], NULL))
			continue;
		err = pram_run_preserve(&run);
		pram_run_begin(&run, entries[i], NULL);
	}
	return err ?: pram_run_preserve(&run);
}

/**
 * pram_frames_unpreserve - undo pram_frames_preserve() for one node
 * @entries: the node's entries; nothing is done for folios that other nodes have, too,
 *	or that are not preserved.
 * @nr: their number.
 */
void pram_frames_unpreserve(const u64 *entries, unsigned int nr)
{
	guard(mutex)(&pram_frames_lock);
	for (unsigned int i = 0; i < nr; i++) {
		unsigned long pfn = pram_entry_pfn(entries[i]);

		if (pram_holders_read(pfn) == 1)
			kho_unpreserve_range(pfn, 1,
					     FIELD_GET(PRAM_ENTRY_ORDER, entries[i]));
	}
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
 * Return: the number. If nobody lets a node have it meanwhile, a 0 is right; otherwise it
 * may be old in a moment.
 */
unsigned long pram_folio_holders(const struct folio *folio)
{
	return pram_holders_read(folio_pfn(folio));
}

/**
 * pram_frame_is_shared - does more than one node have a folio?
 * @folio: a folio that a node has.
 *
 * Return: true if so. It may be old in a moment in any case.
 */
bool pram_frame_is_shared(struct folio *folio)
{
	return pram_holders_read(folio_pfn(folio)) > 1;
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
