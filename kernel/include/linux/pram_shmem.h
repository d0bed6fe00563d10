/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the page cache of shared memory asks PRAM, and hugetlb: see mm/pram/shmem.c and
 * mm/pram/hugetlb.c.
 */
#ifndef _LINUX_PRAM_SHMEM_H
#define _LINUX_PRAM_SHMEM_H

#include <linux/errno.h>
#include <linux/jump_label.h>
#include <linux/types.h>

struct address_space;
struct folio;
struct mm_struct;

#if defined(CONFIG_PRAM) && defined(CONFIG_SHMEM)
DECLARE_STATIC_KEY_FALSE(pram_holds_shmem);

unsigned long pram_folio_holders(const struct folio *folio);
bool pram_folio_settle(struct folio *folio);
int pram_shmem_unshare(struct folio **foliop, pgoff_t index, gfp_t gfp,
		       struct mm_struct *mm);

/**
 * pram_folio_refs - how many references to a folio are those of nodes?
 * @folio: a folio in the page cache of shared memory, or one of hugetlb.
 *
 * Return: their number; 0 if no node has any shared memory or hugetlb.
 */
static inline unsigned long pram_folio_refs(const struct folio *folio)
{
	if (!static_branch_unlikely(&pram_holds_shmem))
		return 0;
	return pram_folio_holders(folio);
}

/**
 * pram_folio_pinnable - may somebody who has not locked a folio write to it?
 * @folio: a folio in the page cache of shared memory; the caller has a reference, by
 *	which whoever takes it over from now on sees that it must not.
 *
 * Return: false if a node has it.
 */
static inline bool pram_folio_pinnable(struct folio *folio)
{
	if (!static_branch_unlikely(&pram_holds_shmem))
		return true;
	return pram_folio_settle(folio);
}
#else
static inline unsigned long pram_folio_refs(const struct folio *folio)
{
	return 0;
}

static inline bool pram_folio_pinnable(struct folio *folio)
{
	return true;
}

static inline int pram_shmem_unshare(struct folio **foliop, pgoff_t index,
				     gfp_t gfp, struct mm_struct *mm)
{
	return -EOPNOTSUPP;
}
#endif

#if defined(CONFIG_PRAM) && defined(CONFIG_SHMEM) && defined(CONFIG_HUGETLB_PAGE)
int pram_hugetlb_unshare(struct folio **foliop);
struct folio *pram_hugetlb_read(struct address_space *mapping, pgoff_t index);

/* mm/hugetlb.c */
int hugetlb_refill_pool(struct folio *folio);
#else
static inline int pram_hugetlb_unshare(struct folio **foliop)
{
	return -EOPNOTSUPP;
}

static inline struct folio *pram_hugetlb_read(struct address_space *mapping,
					      pgoff_t index)
{
	return NULL;
}
#endif

/**
 * pram_folio_is_held - does a node have a folio, so that nobody may write to it?
 * @folio: a locked folio in the page cache, or one of hugetlb that is mapped by a page
 *	table, which is locked. The answer holds until it is unlocked, if it is no; a
 *	node may let go of it at any moment.
 */
static inline bool pram_folio_is_held(const struct folio *folio)
{
	return pram_folio_refs(folio);
}

#endif /* _LINUX_PRAM_SHMEM_H */
