// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of PRAM's metadata: allocated so that KHO can keep them, stamped with
 * what they are and a CRC32C, and believed in the next kernel only after both
 * have been checked (invariant: nothing is misread).
 */

#define pr_fmt(fmt) "pram: " fmt

#include <kunit/static_stub.h>
#include <linux/crc32.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/memory_hotplug.h>
#include <linux/printk.h>
#include <linux/uaccess.h>

#include "internal.h"

/**
 * pram_meta_alloc - allocate a page of metadata
 * @exempt: it is for a node that is exempt from the limit.
 * @gfp: how; movable and highmem flags have no effect, since such pages may
 *	lie in KHO's scratch areas, which cannot be preserved.
 *
 * Return: the zeroed page, preserved; -ENOMEM or -ENOSPC as error pointer.
 */
void *pram_meta_alloc(bool exempt, gfp_t gfp)
{
	struct folio *folio;
	int err;

	KUNIT_STATIC_STUB_REDIRECT(pram_meta_alloc, exempt, gfp);
	err = pram_charge(1, exempt);
	if (err)
		return ERR_PTR(err);
	gfp &= ~(__GFP_MOVABLE | __GFP_HIGHMEM);
	folio = pram_folio_alloc(gfp | __GFP_ZERO, 0);
	if (!folio || kho_preserve_folio(folio)) {
		if (folio)
			folio_put(folio);
		pram_uncharge(1);
		return ERR_PTR(-ENOMEM);
	}
	pram_count(PRAM_META_PAGES, 1);
	return folio_address(folio);
}

/**
 * pram_meta_forget - have a page of metadata no longer preserved
 * @page: from pram_meta_alloc() or pram_meta_restore(); NULL is ignored.
 *
 * Must come before pram_meta_free(), once.
 */
void pram_meta_forget(void *page)
{
	if (page)
		kho_unpreserve_folio(virt_to_folio(page));
}

/**
 * pram_meta_free - free a page of metadata
 * @page: forgotten by pram_meta_forget(); NULL is ignored.
 */
void pram_meta_free(void *page)
{
	if (!page)
		return;
	folio_put(virt_to_folio(page));
	pram_count(PRAM_META_PAGES, -1);
	pram_uncharge(1);
}

static u32 pram_meta_crc(const void *page)
{
	const size_t crc_at = offsetof(struct pram_meta_hdr, crc32c);
	const size_t crc_end = offsetofend(struct pram_meta_hdr, crc32c);
	const u32 zero = 0;
	u32 crc;

	crc = crc32c(~0, page, crc_at);
	crc = crc32c(crc, &zero, sizeof(zero));
	return crc32c(crc, page + crc_end, PAGE_SIZE - crc_end);
}

/**
 * pram_meta_stamp - write the header of a page of metadata
 * @page: the page, all else filled in.
 * @magic: what it is, PRAM_MAGIC_*.
 */
void pram_meta_stamp(void *page, u64 magic)
{
	struct pram_meta_hdr *hdr = page;

	hdr->magic = magic;
	hdr->version = PRAM_FORMAT_VERSION;
	hdr->self = virt_to_phys(page);
	hdr->crc32c = pram_meta_crc(page);
}

/**
 * pram_meta_check - can a page of metadata be believed?
 * @page: the page.
 * @magic: what it should be, PRAM_MAGIC_*.
 *
 * Return: 0, -EPROTO if it is whole and has another version of the format, or
 * -EBADMSG if it is damaged or something else.
 */
int pram_meta_check(void *page, u64 magic)
{
	const struct pram_meta_hdr *hdr = page;

	if (hdr->magic != magic || hdr->self != virt_to_phys(page) ||
	    hdr->crc32c != pram_meta_crc(page))
		return -EBADMSG;
	return hdr->version == PRAM_FORMAT_VERSION ? 0 : -EPROTO;
}

/**
 * pram_meta_look - look for a page of metadata that another kernel left
 * @phys: its physical address.
 * @magic: what it should be, PRAM_MAGIC_*.
 * @page: set to the page, which is still KHO's, also if it is damaged; NULL if
 *	there is no memory at this address.
 *
 * Return: as pram_meta_check().
 */
int pram_meta_look(u64 phys, u64 magic, void **page)
{
	struct pram_meta_hdr first;

	*page = NULL;
	/* Not all that has a struct page can be read. */
	if (!PAGE_ALIGNED(phys) || !pfn_to_online_page(PHYS_PFN(phys)) ||
	    copy_from_kernel_nofault(&first, phys_to_virt(phys), sizeof(first)))
		return -EBADMSG;
	*page = phys_to_virt(phys);
	return pram_meta_check(*page, magic);
}

/**
 * pram_meta_find - find a page of metadata that another kernel left
 * @phys: see pram_meta_look(), as for the others.
 * @magic: what it should be.
 * @what: the same in words, for the log.
 * @page: set to the page.
 *
 * Return: 0 or, after a message in the log, a negative errno.
 */
int pram_meta_find(u64 phys, u64 magic, const char *what, void **page)
{
	int err = pram_meta_look(phys, magic, page);

	if (!*page)
		pr_err("%s at %#llx: not an address of memory\n", what, phys);
	else if (err == -EPROTO)
		pr_err("%s at %#llx: format version %u, this kernel reads only %u; what it leads to is lost\n",
		       what, phys, ((struct pram_meta_hdr *)*page)->version,
		       PRAM_FORMAT_VERSION);
	else if (err)
		pr_err("%s at %#llx: damaged (magic, address or CRC32C is wrong)\n",
		       what, phys);
	return err;
}

/**
 * pram_kho_take - take a folio over from KHO
 * @phys: its physical address.
 *
 * Asks KHO first, which warns if a caller restores what does not exist: the folio may
 * be lost, or @phys may be from a damaged page.
 *
 * Return: the folio, with one reference; NULL if KHO does not have it, or no longer
 * has it.
 */
struct folio *pram_kho_take(phys_addr_t phys)
{
	return kho_can_restore(phys) ? kho_restore_folio(phys) : NULL;
}

/**
 * pram_meta_take - take a page of metadata over, only to read it
 * @page: from pram_meta_find() or pram_meta_look().
 *
 * From here on nothing else that is found can be the same page.
 *
 * Return: the page's folio, for folio_put(); NULL if KHO does not have it.
 */
struct folio *pram_meta_take(void *page)
{
	struct folio *folio = pram_kho_take(virt_to_phys(page));

	/* With what lies behind a page something else might go, too. */
	if (folio && folio_order(folio)) {
		folio_put(folio);
		return NULL;
	}
	return folio;
}

/**
 * pram_meta_restore - take a page of metadata over from the last kernel
 * @page: from pram_meta_find().
 *
 * The page becomes one that pram_meta_free() frees, and is preserved for the
 * next kexec.
 *
 * Return: 0; -EBADMSG if KHO does not have the page; -ENOMEM if it cannot be
 * preserved again, and then it was freed.
 */
int pram_meta_restore(void *page)
{
	struct folio *folio = pram_meta_take(page);

	if (!folio)
		return -EBADMSG;
	if (kho_preserve_folio(folio)) {
		folio_put(folio);
		return -ENOMEM;
	}
	pram_count(PRAM_META_PAGES, 1);
	pram_charge(1, true);
	return 0;
}
