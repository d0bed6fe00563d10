// SPDX-License-Identifier: GPL-2.0
/*
 * The frames that nodes hold. KHO preserves a frame once and does not count,
 * but the same frame may come from several tasks: forked ones share their
 * memory, copy-on-write. So PRAM counts: a frame is preserved when the first
 * node takes it and given back when the last one lets go.
 *
 * Some bits for each frame, in pages for 32 MiB of memory each, and a count only
 * for the frames that more than one node has.
 */

#include <linux/bitops.h>
#include <linux/init.h>
#include <linux/gfp.h>
#include <linux/kexec_handover.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "internal.h"

#define PRAM_FRAME_HELD		0	/* a node has it */
#define PRAM_FRAME_PRESERVED	1	/* KHO has it */
#define PRAM_FRAME_OFF_LRU	2	/* mapped, and still on no LRU list */
#define PRAM_FRAME_BITS		4

#define PRAM_FRAMES_PER_PAGE	(PAGE_SIZE * BITS_PER_BYTE / PRAM_FRAME_BITS)

/*
 * Protects what is below, and that KHO agrees with it. Only the pages of bits may
 * be looked up without it, and PRAM_FRAME_OFF_LRU changed: they stay.
 */
static DEFINE_MUTEX(pram_frames_lock);

/* Pages of bits, by pfn / PRAM_FRAMES_PER_PAGE. Never freed, and never moved. */
static unsigned long **pram_frame_bits __ro_after_init;
static unsigned long pram_nr_frame_bits __ro_after_init;

/* Holders beside the first one, by pfn. */
static DEFINE_XARRAY(pram_frame_shares);

static unsigned long *pram_frame_page(unsigned long pfn, bool create)
{
	unsigned long index = pfn / PRAM_FRAMES_PER_PAGE;
	unsigned long *page;

	/* Beyond what memory can become, or PRAM is off. */
	if (index >= pram_nr_frame_bits)
		return NULL;
	page = READ_ONCE(pram_frame_bits[index]);
	if (page || !create)
		return page;
	lockdep_assert_held(&pram_frames_lock);
	page = (unsigned long *)get_zeroed_page(GFP_KERNEL);
	if (!page)
		return NULL;
	/* Whoever finds the page without the lock finds it zeroed. */
	smp_store_release(&pram_frame_bits[index], page);
	return page;
}

static unsigned int pram_frame_bit(unsigned long pfn, unsigned int bit)
{
	return pfn % PRAM_FRAMES_PER_PAGE * PRAM_FRAME_BITS + bit;
}

static bool pram_frame_test(const unsigned long *page, unsigned long pfn,
			    unsigned int bit)
{
	return page && test_bit(pram_frame_bit(pfn, bit), page);
}

static void pram_frame_assign(unsigned long *page, unsigned long pfn,
			      unsigned int bit, bool value)
{
	assign_bit(pram_frame_bit(pfn, bit), page, value);
}

static int pram_frame_share(unsigned long pfn, unsigned long more)
{
	unsigned long shares;

	shares = xa_to_value(xa_load(&pram_frame_shares, pfn) ?: xa_mk_value(0));
	return xa_err(xa_store(&pram_frame_shares, pfn,
			       xa_mk_value(shares + more), GFP_KERNEL));
}

static unsigned long pram_frame_shares_of(unsigned long pfn)
{
	void *shares;

	if (xa_empty(&pram_frame_shares))
		return 0;
	shares = xa_load(&pram_frame_shares, pfn);
	return shares ? xa_to_value(shares) : 0;
}

static int pram_frame_preserve_locked(unsigned long *page, struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio);
	int err;

	if (pram_frame_test(page, pfn, PRAM_FRAME_PRESERVED))
		return 0;
	err = kho_preserve_folio(folio);
	if (!err)
		pram_frame_assign(page, pfn, PRAM_FRAME_PRESERVED, true);
	return err;
}

static void pram_frame_unpreserve_locked(unsigned long *page,
					 struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio);

	if (!pram_frame_test(page, pfn, PRAM_FRAME_PRESERVED))
		return;
	kho_unpreserve_folio(folio);
	pram_frame_assign(page, pfn, PRAM_FRAME_PRESERVED, false);
}

/**
 * pram_frame_get - note that a node has a folio, and have it preserved
 * @folio: the folio.
 * @exempt: the node is exempt from the limit.
 *
 * Return: 0; 1 if another node has it, too; -ENOSPC beyond the limit, -ENOMEM or
 * what KHO says, and then nothing has happened.
 */
int pram_frame_get(struct folio *folio, bool exempt)
{
	unsigned long pfn = folio_pfn(folio);
	unsigned long *page;
	int err;

	guard(mutex)(&pram_frames_lock);
	page = pram_frame_page(pfn, true);
	if (!page)
		return -ENOMEM;
	if (pram_frame_test(page, pfn, PRAM_FRAME_HELD))
		return pram_frame_share(pfn, 1) ?: 1;
	err = pram_charge(folio_nr_pages(folio), exempt);
	if (err)
		return err;
	err = pram_frame_preserve_locked(page, folio);
	if (!err)
		pram_frame_assign(page, pfn, PRAM_FRAME_HELD, true);
	else
		pram_uncharge(folio_nr_pages(folio));
	return err;
}

/**
 * pram_frame_known - does a node have a frame?
 * @pfn: the frame, the first one of a folio.
 *
 * Return: true if so.
 */
bool pram_frame_known(unsigned long pfn)
{
	return pram_frame_test(pram_frame_page(pfn, false), pfn,
			       PRAM_FRAME_HELD);
}

/**
 * pram_frame_get_again - note that a node that came with this boot has a folio
 * @folio: the folio.
 * @shared: the node's entry says that others may have it, too.
 *
 * Like pram_frame_get(), but does not preserve the folio. Of several nodes that
 * share a folio at most one has an entry that does not say so; in which order
 * they come is not known.
 *
 * Return: 0; -ENOMEM; -EBADMSG if two entries claim the folio for themselves.
 */
int pram_frame_get_again(struct folio *folio, bool shared)
{
	unsigned long pfn = folio_pfn(folio);
	unsigned long *page;
	int err = 0;

	guard(mutex)(&pram_frames_lock);
	page = pram_frame_page(pfn, true);
	if (!page)
		return -ENOMEM;
	if (!pram_frame_test(page, pfn, PRAM_FRAME_HELD)) {
		/* A count of 0 says that whoever comes next is not the second. */
		if (shared)
			err = pram_frame_share(pfn, 0);
		if (!err) {
			pram_frame_assign(page, pfn, PRAM_FRAME_HELD, true);
			pram_charge(folio_nr_pages(folio), true);
		}
		return err;
	}
	if (!shared && !xa_load(&pram_frame_shares, pfn))
		return -EBADMSG;
	return pram_frame_share(pfn, 1);
}

/**
 * pram_frame_put - note that a node has a folio no longer
 * @folio: the folio; no longer preserved if no other node has it.
 */
void pram_frame_put(struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio), shares, *page;

	guard(mutex)(&pram_frames_lock);
	shares = pram_frame_shares_of(pfn);
	if (shares) {
		/* Replaces what is there, so it needs no memory. */
		xa_store(&pram_frame_shares, pfn, xa_mk_value(shares - 1),
			 GFP_KERNEL);
		return;
	}
	if (!xa_empty(&pram_frame_shares))
		xa_erase(&pram_frame_shares, pfn);
	page = pram_frame_page(pfn, false);
	pram_frame_unpreserve_locked(page, folio);
	pram_frame_assign(page, pfn, PRAM_FRAME_HELD, false);
	pram_uncharge(folio_nr_pages(folio));
}

/**
 * pram_frame_preserve - have KHO preserve a folio that a node has
 * @folio: the folio; nothing is done if it is preserved.
 *
 * Return: 0 or a negative errno.
 */
int pram_frame_preserve(struct folio *folio)
{
	guard(mutex)(&pram_frames_lock);
	return pram_frame_preserve_locked(pram_frame_page(folio_pfn(folio),
							  false), folio);
}

/**
 * pram_frame_unpreserve - undo pram_frame_preserve() for one node
 * @folio: a folio that the node has; nothing is done if another one has it, too.
 */
void pram_frame_unpreserve(struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio);

	guard(mutex)(&pram_frames_lock);
	if (!pram_frame_shares_of(pfn))
		pram_frame_unpreserve_locked(pram_frame_page(pfn, false), folio);
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
	return 1 + pram_frame_shares_of(folio_pfn(folio));
}

/**
 * pram_frame_is_shared - does more than one node have a folio?
 * @folio: a folio that a node has.
 *
 * Return: true if so.
 */
bool pram_frame_is_shared(struct folio *folio)
{
	/* What is found is a value, and may be old in a moment in any case. */
	return pram_frame_shares_of(folio_pfn(folio));
}

/**
 * pram_frame_set_off_lru - note that a folio was mapped and is on no LRU list
 * @folio: a folio that a node has.
 */
void pram_frame_set_off_lru(struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio);

	pram_frame_assign(pram_frame_page(pfn, false), pfn, PRAM_FRAME_OFF_LRU,
			  true);
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
	unsigned long *page = pram_frame_page(pfn, false);

	return page && test_and_clear_bit(pram_frame_bit(pfn, PRAM_FRAME_OFF_LRU),
					  page);
}

/**
 * pram_frames_init - get ready to note which frames nodes hold
 *
 * Return: 0 or -ENOMEM.
 */
int __init pram_frames_init(void)
{
	unsigned long nr = DIV_ROUND_UP(max_t(unsigned long, max_pfn, max_possible_pfn),
					PRAM_FRAMES_PER_PAGE);

	pram_frame_bits = kvcalloc(nr, sizeof(*pram_frame_bits), GFP_KERNEL);
	if (!pram_frame_bits)
		return -ENOMEM;
	pram_nr_frame_bits = nr;
	return 0;
}
