// SPDX-License-Identifier: GPL-2.0
/*
 * What a node holds: its data folios, and the map pages that list them. The
 * map pages are the same in memory as in the hand-over, so that committing is
 * cheap and cannot fail.
 */

#define pr_fmt(fmt) "pram: " fmt

#include <kunit/static_stub.h>
#include <linux/bitfield.h>
#include <linux/bitmap.h>
#include <linux/crc32.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "internal.h"

/**
 * pram_map_capacity - how many folios does a map page list?
 * @flags: the node's PRAM_NODE_* properties.
 *
 * Return: the number; all map pages of a node but the last are full.
 */
u64 pram_map_capacity(u32 flags)
{
	return flags & PRAM_NODE_CHECKSUM ? PRAM_MAP_ENTRIES_CRC
					  : PRAM_MAP_ENTRIES;
}

/* The checksums lie behind the entries, see &struct pram_map_ser. */
static u32 *pram_map_crcs(struct pram_map_ser *map)
{
	return (u32 *)&map->entries[PRAM_MAP_ENTRIES_CRC];
}

/**
 * pram_data_add_map - append a map page to a node
 * @node: the node.
 * @map: the page, the caller's until this succeeds.
 * @gfp: how to allocate.
 *
 * Return: 0 or -ENOMEM.
 */
int pram_data_add_map(struct pram_node *node, struct pram_map_ser *map,
		      gfp_t gfp)
{
	if (node->nr_maps == node->max_maps) {
		u64 max = max(node->max_maps * 2, 4ULL);
		struct pram_map_ser **maps;

		maps = kvrealloc(node->maps, array_size(max, sizeof(*maps)),
				 gfp);
		if (!maps)
			return -ENOMEM;
		node->maps = maps;
		node->max_maps = max;
	}
	node->maps[node->nr_maps++] = map;
	return 0;
}

static struct pram_map_ser *pram_data_room(struct pram_node *node, gfp_t gfp)
{
	struct pram_map_ser *map = NULL;

	if (node->nr_maps)
		map = node->maps[node->nr_maps - 1];
	if (map && map->nr_entries < pram_map_capacity(node->flags))
		return map;

	map = pram_meta_alloc(node->exempt, gfp);
	if (IS_ERR(map))
		return map;
	map->first_page = node->nr_pages;
	if (pram_data_add_map(node, map, gfp)) {
		pram_meta_forget(map);
		pram_meta_free(map);
		return ERR_PTR(-ENOMEM);
	}
	if (node->nr_maps > 1)
		node->maps[node->nr_maps - 2]->next = virt_to_phys(map);
	return map;
}

/* A map page that lists nothing would be taken for damaged by the next kernel. */
static void pram_data_drop_room(struct pram_node *node)
{
	struct pram_map_ser *map = node->maps[node->nr_maps - 1];

	if (map->nr_entries)
		return;
	node->nr_maps--;
	if (node->nr_maps)
		node->maps[node->nr_maps - 1]->next = 0;
	pram_meta_forget(map);
	pram_meta_free(map);
}

/**
 * pram_data_add - append folios, or parts of folios, to a node that is being saved
 * @node: the node, locked.
 * @entries: their entries, see pram_entry(); all of them with %PRAM_ENTRY_ADOPTED or none.
 * @nr: how many.
 * @gfp: how to allocate.
 * @added: set to how many were appended, the first ones, also on an error: for each
 *	of them a reference of the caller's to the folio has passed to the node.
 *
 * The folios are preserved, whole. They must be such that KHO can preserve: not in
 * scratch areas. Another node may have them, and the same node may have other parts of
 * them. The caller counts the pages as pages of data if it has adopted them.
 *
 * Return: 0, -ENOMEM, -ENOSPC beyond the limit, or -ESHUTDOWN once the machine
 * reboots.
 */
int pram_data_add(struct pram_node *node, const u64 *entries, unsigned int nr,
		  gfp_t gfp, unsigned int *added)
{
	lockdep_assert_held(&node->lock);
	*added = 0;
	while (*added < nr) {
		struct pram_map_ser *map;
		unsigned int now;
		u64 *at, pages;
		int err;

		if (READ_ONCE(pram_closed))
			return -ESHUTDOWN;
		map = pram_data_room(node, gfp);
		if (IS_ERR(map))
			return PTR_ERR(map);
		now = min_t(u64, nr - *added,
			    pram_map_capacity(node->flags) - map->nr_entries);
		at = &map->entries[map->nr_entries];
		for (;; now /= 2) {
			memcpy(at, entries + *added, now * sizeof(*at));
			err = pram_frames_get(at, now, node->exempt);
			/* Up to the limit fewer may fit. */
			if (err != -ENOSPC || now == 1)
				break;
		}
		if (err) {
			pram_data_drop_room(node);
			return err;
		}
		pages = pram_entries_pages(at, now);
		map->nr_entries += now;
		node->nr_folios += now;
		node->nr_pages += pages;
		if (entries[0] & PRAM_ENTRY_ADOPTED)
			node->adopted_pages += pages;
		else
			pram_count(PRAM_DATA_PAGES, pages);
		*added += now;
	}
	return 0;
}

/**
 * pram_data_add_folio - append a folio to a node that is being saved
 * @node: see pram_data_add(), as for the other arguments.
 * @folio: the folio, appended whole; the caller's reference passes to the node on
 *	success.
 * @flags: PRAM_ENTRY_* flags.
 * @gfp: how to allocate.
 *
 * Return: see pram_data_add().
 */
int pram_data_add_folio(struct pram_node *node, struct folio *folio, u64 flags,
			gfp_t gfp)
{
	u64 entry = pram_entry(folio, folio_page(folio, 0), folio_nr_pages(folio),
			       flags);
	unsigned int added;

	return pram_data_add(node, &entry, 1, gfp, &added);
}

/**
 * pram_data_alloc - allocate a folio for data
 * @order: its order.
 * @exempt: it may be of the last memory that there is.
 * @gfp: how. Movable and highmem flags have no effect: a movable page may lie
 *	in KHO's scratch areas, which cannot be preserved.
 *
 * Return: the folio, not zeroed (sealing clears what was not written), or NULL.
 */
struct folio *pram_data_alloc(unsigned int order, bool exempt, gfp_t gfp)
{
	KUNIT_STATIC_STUB_REDIRECT(pram_data_alloc, order, exempt, gfp);
	if (!exempt && pram_memory_is_short(1UL << order))
		return NULL;
	return pram_folio_alloc(gfp & ~(__GFP_MOVABLE | __GFP_HIGHMEM), order);
}

/**
 * pram_data_alloc_upto - allocate the largest folio to be had without effort
 * @order: at most this order.
 * @exempt: see pram_data_alloc().
 * @gfp: likewise.
 *
 * Return: the folio, or NULL if there is not even a page.
 */
struct folio *pram_data_alloc_upto(unsigned int order, bool exempt, gfp_t gfp)
{
	struct folio *folio;

	for (; order; order--) {
		folio = pram_data_alloc(order, exempt,
					gfp | __GFP_NORETRY | __GFP_NOWARN);
		if (folio)
			return folio;
	}
	return pram_data_alloc(0, exempt, gfp);
}

/*
 * The order of the next folio of a node to which @bytes are to be appended. Most
 * data comes page by page, so it also grows with the node: few large folios
 * cost less to preserve than many small ones. What the last one leaves unused
 * is at most 1/32 of the node, and 2 MiB.
 *
 * Not so for pages that @may_adopt: a folio that is taken over can only follow
 * a full one.
 */
static unsigned int pram_data_order(struct pram_node *node, size_t bytes,
				    bool may_adopt)
{
	u64 pages = bytes >> PAGE_SHIFT;

	if (!may_adopt)
		pages = max(pages, node->nr_pages / 32);
	return pages ? min_t(unsigned int, ilog2(pages), PMD_ORDER) : 0;
}

/**
 * pram_data_append - append a copy of bytes to a node that is being saved
 * @node: the node, locked.
 * @from: the bytes; advanced over what was copied.
 * @may_adopt: the node is one of pages, and folios may be taken over later.
 * @gfp: how to allocate.
 *
 * Return: number of bytes copied, fewer than asked for if that is what could
 * be had, or a negative errno if none were.
 */
ssize_t pram_data_append(struct pram_node *node, struct iov_iter *from,
			 bool may_adopt, gfp_t gfp)
{
	unsigned int max_order = PMD_ORDER;
	ssize_t done = 0;
	int err = 0;

	lockdep_assert_held(&node->lock);
	while (iov_iter_count(from)) {
		size_t count = iov_iter_count(from);
		u64 room = (node->nr_pages << PAGE_SHIFT) - node->bytes;
		struct folio *folio;
		size_t n;

		if (READ_ONCE(pram_closed)) {
			err = -ESHUTDOWN;
			break;
		}
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
		if (count > (u64)MAX_LFS_FILESIZE - node->bytes) {
			err = -EFBIG;
			break;
		}
		if (room) {
			struct pram_map_ser *map = node->maps[node->nr_maps - 1];

			folio = pram_entry_folio(map->entries[map->nr_entries - 1]);
			n = copy_folio_from_iter(folio, folio_size(folio) - room,
						 min(room, count), from);
		} else {
			unsigned int order = pram_data_order(node, count, may_adopt);

			folio = pram_data_alloc_upto(min(order, max_order),
						     node->exempt, gfp);
			if (!folio) {
				err = -ENOMEM;
				break;
			}
			n = copy_folio_from_iter(folio, 0,
						 min(folio_size(folio), count),
						 from);
			if (n)
				err = pram_data_add_folio(node, folio, 0, gfp);
			if (!n || err) {
				order = folio_order(folio);
				folio_put(folio);
				if (n)
					iov_iter_revert(from, n);
				n = 0;
				/* Up to the limit a smaller one may fit. */
				if (err == -ENOSPC && order) {
					max_order = order - 1;
					err = 0;
					continue;
				}
			}
		}
		if (!n) {
			err = err ?: -EFAULT;
			break;
		}
		node->bytes += n;
		done += n;
		cond_resched();
	}
	pram_count(PRAM_BYTES_SAVED, done);
	return done ?: err;
}

/* What is behind the folio found last, if @page is. */
static bool pram_data_next(struct pram_node *node, u64 page,
			   struct pram_found *found)
{
	struct pram_map_ser *map;

	if (found->node != node || page != found->first_page + found->nr)
		return false;
	map = node->maps[found->map];
	if (++found->where == map->entries + map->nr_entries) {
		map = node->maps[++found->map];
		found->where = map->entries;
	}
	found->first_page = page;
	found->index++;
	return true;
}

static void pram_data_search(struct pram_node *node, u64 page,
			     struct pram_found *found)
{
	u64 lo = 0, hi = node->nr_maps, end, i;
	struct pram_map_ser *map;

	/* The last map page that starts at or before @page. */
	while (hi - lo > 1) {
		u64 mid = lo + (hi - lo) / 2;

		if (node->maps[mid]->first_page <= page)
			lo = mid;
		else
			hi = mid;
	}
	map = node->maps[lo];
	end = lo + 1 < node->nr_maps ? node->maps[lo + 1]->first_page
				     : node->nr_pages;

	if (end - map->first_page == map->nr_entries) {
		/* Single pages only, the usual case. */
		i = page - map->first_page;
		found->first_page = page;
	} else {
		u64 first = map->first_page, next;

		for (i = 0; ; i++, first = next) {
			next = first + pram_entry_pages(map->entries[i]);
			if (page < next)
				break;
		}
		found->first_page = first;
	}
	found->node = node;
	found->map = lo;
	found->where = &map->entries[i];
	found->index = lo * pram_map_capacity(node->flags) + i;
}

static u32 pram_entry_crc(u64 entry)
{
	unsigned long pfn = FIELD_GET(PRAM_ENTRY_PFN, entry);
	u32 crc = ~0;

	for (u64 i = 0; i < pram_entry_pages(entry); i++) {
		crc = crc32c(crc, page_address(pfn_to_page(pfn + i)), PAGE_SIZE);
		cond_resched();
	}
	return crc;
}

static DEFINE_RATELIMIT_STATE(pram_damage_limit, DEFAULT_RATELIMIT_INTERVAL,
			      DEFAULT_RATELIMIT_BURST);

static int pram_data_verify_found(struct pram_node *node,
				  const struct pram_found *found)
{
	struct pram_map_ser *map;

	if (!node->verified || test_bit(found->index, node->verified))
		return 0;
	map = node->maps[found->map];
	if (pram_entry_crc(found->entry) !=
	    pram_map_crcs(map)[found->where - map->entries]) {
		pram_count(PRAM_CHECKSUM_ERRORS, 1);
		/* Each node is named, whatever others have said. */
		if (!xchg(&node->reported, true) || __ratelimit(&pram_damage_limit))
			pr_err("node %s: data at offset %llu is damaged (CRC32C is wrong)\n",
			       node->name, found->first_page << PAGE_SHIFT);
		return -EBADMSG;
	}
	set_bit(found->index, node->verified);
	return 0;
}

/**
 * pram_data_look - find the folio that holds a page of a node, damaged or not
 * @node: the node.
 * @page: number of the page in the node.
 * @found: what was found the last time, or zeros; filled in. To find folios one
 *	after the other is cheap.
 *
 * Return: 1; 0 behind the end.
 */
int pram_data_look(struct pram_node *node, u64 page, struct pram_found *found)
{
	if (page >= node->nr_pages)
		return 0;
	if (!pram_data_next(node, page, found))
		pram_data_search(node, page, found);
	/* Read once: PRAM_ENTRY_GONE may be set meanwhile. */
	found->entry = READ_ONCE(*found->where);
	found->folio = pram_entry_folio(found->entry);
	found->offset = FIELD_GET(PRAM_ENTRY_PFN, found->entry) -
			folio_pfn(found->folio);
	found->nr = pram_entry_pages(found->entry);
	return 1;
}

/**
 * pram_data_find - find the folio that holds a page of a node
 * @node: the node.
 * @page: number of the page in the node.
 * @found: see pram_data_look().
 *
 * Return: 1, and the checksum is right; 0 behind the end; -EBADMSG.
 */
int pram_data_find(struct pram_node *node, u64 page, struct pram_found *found)
{
	if (!pram_data_look(node, page, found))
		return 0;
	return pram_data_verify_found(node, found) ?: 1;
}

/**
 * pram_data_is_shared - does a node have folios that other nodes have, too?
 * @node: the node, committed.
 *
 * Return: true if so.
 */
bool pram_data_is_shared(struct pram_node *node)
{
	bool any = pram_frames_are_shared();

	for (u64 m = 0; m < node->nr_maps; m++) {
		struct pram_map_ser *map = node->maps[m];

		for (u64 i = 0; i < map->nr_entries; i++) {
			u64 entry = map->entries[i];

			if (entry & PRAM_ENTRY_SHARED ||
			    (any && pram_frame_is_shared(pram_entry_folio(entry))))
				return true;
		}
		cond_resched();
	}
	return false;
}

/**
 * pram_data_read - copy bytes out of a node
 * @node: the node, committed.
 * @pos: where to start, in bytes.
 * @to: where to, and how many.
 *
 * Return: number of bytes copied; 0 at and behind the end; a negative errno if
 * none could be copied.
 */
ssize_t pram_data_read(struct pram_node *node, loff_t pos, struct iov_iter *to)
{
	struct pram_found found = {};
	ssize_t done = 0;
	u64 pages = 0;
	int err = 0;

	while (iov_iter_count(to) && pos < node->bytes) {
		size_t off, n;
		int ret;

		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
		ret = pram_data_find(node, pos >> PAGE_SHIFT, &found);
		if (ret <= 0) {
			err = ret ?: -EBADMSG;
			break;
		}
		off = pos - (found.first_page << PAGE_SHIFT);
		n = min3(((size_t)found.nr << PAGE_SHIFT) - off,
			 (size_t)(node->bytes - pos), iov_iter_count(to));
		n = copy_folio_to_iter(found.folio,
				       ((size_t)found.offset << PAGE_SHIFT) + off,
				       n, to);
		if (!n) {
			err = -EFAULT;
			break;
		}
		pages += DIV_ROUND_UP(n, PAGE_SIZE);
		pos += n;
		done += n;
		cond_resched();
	}
	if (node->type == PRAM_PAGE_STREAM)
		pram_count(PRAM_PAGES_COPIED_ON_LOAD, pages);
	pram_count(PRAM_BYTES_LOADED, done);
	return done ?: err;
}

static bool pram_any_poisoned(void)
{
#ifdef CONFIG_MEMORY_FAILURE
	return atomic_long_read(&num_poisoned_pages);
#else
	return false;
#endif
}

/* Has the hardware damaged what a map page lists, since a node has it? */
static bool pram_map_poisoned(const struct pram_map_ser *map)
{
	for (u64 i = 0; i < map->nr_entries; i++)
		if (folio_contain_hwpoisoned_page(pram_entry_folio(map->entries[i])))
			return true;
	return false;
}

/**
 * pram_data_seal - make the data of a node final
 * @node: the node, locked.
 *
 * Clears what is behind the last byte, so that no other task's bytes survive
 * there, takes the checksums and stamps the map pages.
 *
 * Return: 0; -EINVAL if a page stream does not end with a whole page; -EINTR if
 * the caller is being killed; -EHWPOISON if the hardware has damaged some of it.
 */
int pram_data_seal(struct pram_node *node)
{
	u64 room = (node->nr_pages << PAGE_SHIFT) - node->bytes;

	lockdep_assert_held(&node->lock);
	if (node->type == PRAM_PAGE_STREAM && !PAGE_ALIGNED(node->bytes))
		return -EINVAL;
	if (room) {
		struct pram_map_ser *map = node->maps[node->nr_maps - 1];
		struct folio *folio =
			pram_entry_folio(map->entries[map->nr_entries - 1]);

		folio_zero_range(folio, folio_size(folio) - room, room);
	}

	for (u64 m = 0; m < node->nr_maps; m++) {
		struct pram_map_ser *map = node->maps[m];

		if (fatal_signal_pending(current))
			return -EINTR;
		if (pram_any_poisoned() && pram_map_poisoned(map)) {
			pr_err("node %s: a page of it is damaged (hardware memory error)\n",
			       node->name);
			return -EHWPOISON;
		}
		if (node->flags & PRAM_NODE_CHECKSUM) {
			u32 *crcs = pram_map_crcs(map);

			for (u64 i = 0; i < map->nr_entries; i++)
				crcs[i] = pram_entry_crc(map->entries[i]);
		}
		pram_meta_stamp(map, PRAM_MAGIC_MAP);
		cond_resched();
	}
	return 0;
}

/**
 * pram_data_prepare_verify - get ready to verify the data's checksums
 * @node: the node, committed and not yet loaded by others.
 *
 * Return: 0 or -ENOMEM.
 */
int pram_data_prepare_verify(struct pram_node *node)
{
	unsigned long *verified;

	lockdep_assert_held(&pram_lock);
	if (!(node->flags & PRAM_NODE_CHECKSUM) || node->verified)
		return 0;
	verified = kvcalloc(BITS_TO_LONGS(node->nr_folios) ?: 1,
			    sizeof(*verified), GFP_KERNEL);
	if (!verified)
		return -ENOMEM;
	node->verified = verified;
	return 0;
}

/**
 * pram_data_preserve - have KHO preserve a node's data
 * @node: the node; nothing is done if it is preserved.
 *
 * Return: 0, or a negative errno and then nothing is preserved.
 */
int pram_data_preserve(struct pram_node *node)
{
	int err = 0;

	if (node->preserved)
		return 0;
	for (u64 m = 0; m < node->nr_maps && !err; m++) {
		err = pram_frames_preserve(node->maps[m]->entries,
					   node->maps[m]->nr_entries);
		cond_resched();
	}
	if (!err) {
		node->preserved = true;
		return 0;
	}
	for (u64 m = 0; m < node->nr_maps; m++) {
		pram_frames_unpreserve(node->maps[m]->entries,
				       node->maps[m]->nr_entries);
		cond_resched();
	}
	return err;
}

/**
 * pram_data_forget - let go of the frames of a node, which keeps its references
 * @node: the node; nothing is done if that has been done.
 */
void pram_data_forget(struct pram_node *node)
{
	if (node->forgotten)
		return;
	for (u64 m = 0; m < node->nr_maps; m++) {
		struct pram_map_ser *map = node->maps[m];

		pram_frames_put(map->entries, map->nr_entries);
		pram_meta_forget(map);
		cond_resched();
	}
	node->preserved = false;
	node->forgotten = true;
}

/**
 * pram_data_uncharge - charge a node's folios to nobody
 * @node: the node, whose load has been given up. What is still mapped stays charged as it
 *	is; a task that is killed gives its memory up before it closes the stream.
 */
void pram_data_uncharge(struct pram_node *node)
{
	for (u64 m = 0; m < node->nr_maps; m++) {
		struct pram_map_ser *map = node->maps[m];

		for (u64 i = 0; i < map->nr_entries; i++) {
			struct folio *folio = pram_entry_folio(map->entries[i]);

			if (folio_mapped(folio) || !folio_trylock(folio))
				continue;
			/*
			 * It was a task's, or a file's that is gone. If somebody
			 * looks at it the next load tries again.
			 */
			if (!folio_mapped(folio) &&
			    (folio_test_anon(folio) || !folio->mapping))
				pram_folio_reset(folio);
			folio_unlock(folio);
		}
		cond_resched();
	}
}

/**
 * pram_data_free - free all that a node holds
 * @node: the node, forgotten; its map pages and data folios are gone afterwards.
 */
void pram_data_free(struct pram_node *node)
{
	for (u64 m = 0; m < node->nr_maps; m++) {
		struct pram_map_ser *map = node->maps[m];
		u64 pages = 0;

		for (u64 i = 0; i < map->nr_entries; i++) {
			struct folio *folio;

			if (map->entries[i] & PRAM_ENTRY_GONE)
				continue;
			folio = pram_entry_folio(map->entries[i]);
			pages += pram_entry_pages(map->entries[i]);
			/* Mapped, and no list has it: now reclaim may see it. */
			if (pram_frame_clear_off_lru(folio) &&
			    folio_mapped(folio) && !folio_test_lru(folio)) {
				folio_add_lru(folio);
				pram_queue_split(folio);
			}
			folio_put(folio);
		}
		pram_count(PRAM_DATA_PAGES, -pages);
		pram_meta_free(map);
		cond_resched();
	}
	kvfree(node->maps);
	kvfree(node->verified);
	node->maps = NULL;
	node->verified = NULL;
	node->nr_maps = 0;
	node->max_maps = 0;
	node->nr_pages = 0;
	node->nr_folios = 0;
	node->adopted_pages = 0;
	node->bytes = 0;
}
