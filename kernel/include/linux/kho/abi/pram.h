/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_KHO_ABI_PRAM_H
#define _LINUX_KHO_ABI_PRAM_H

#ifndef __ASSEMBLER__
#include <linux/bitfield.h>
#include <linux/build_bug.h>
#include <linux/mm.h>
#include <linux/types.h>
#include <uapi/linux/pram.h>
#endif

/**
 * DOC: PRAM hand-over format
 *
 * This is how one kernel's PRAM finds its nodes in the memory that another
 * kernel's PRAM left. It is a contract between kernels of different versions:
 * any change to it takes a new %PRAM_FORMAT_VERSION, and a kernel refuses and
 * reports what it does not know. Only a flag may be new without that, of an entry
 * of a map page or of a node: a kernel refuses a node with a flag that it does not
 * know, by name, and reads all others. %PRAM_ENTRY_PART is the only such flag up to
 * now. It is older than the first kernel image that says which version it reads.
 *
 * Everything is found from one page, the super page, whose physical address
 * Kexec HandOver (KHO) carries as the sub tree %PRAM_KHO_SUBTREE::
 *
 *	super page -> directory pages -> node page -> map pages -> data folios
 *
 * Each of these pages and each data folio is preserved with KHO on its own.
 * Pages of metadata have order 0 and start with &struct pram_meta_hdr: the type
 * of the page, its address and its CRC32C. The kernel verifies these before it
 * trusts anything else in the page. Pointers are
 * physical addresses. Integers are in the byte order of the machine, which
 * kexec cannot change.
 *
 * A directory is an array and not a chain, and each node is found from the
 * directory: a damaged node page costs one node. The kernel still tries the
 * pointers of a damaged super page or directory page, because it verifies each
 * target: pointers that do not lead to an undamaged page of the right type are
 * lost, and the others stay loadable.
 */

/* Name of PRAM's sub tree in KHO's root tree. */
#define PRAM_KHO_SUBTREE	"pram"

/* Stands in the kernel's image as well, for whoever is about to load that. */
#define PRAM_FORMAT_VERSION	1

#ifndef __ASSEMBLER__

/* Magics of the kinds of pages: ASCII, read as a little-endian number. */
#define PRAM_MAGIC_SUPER	0x5245505553415250ULL	/* "PRASUPER" */
#define PRAM_MAGIC_DIR		0x5249444d41525000ULL	/* "\0PRAMDIR" */
#define PRAM_MAGIC_NODE		0x45444f4e4d415250ULL	/* "PRAMNODE" */
#define PRAM_MAGIC_MAP		0x50414d4d41525000ULL	/* "\0PRAMMAP" */

/**
 * struct pram_meta_hdr - start of each page of metadata, in all versions
 * @magic: PRAM_MAGIC_*.
 * @version: %PRAM_FORMAT_VERSION of the kernel that wrote the page.
 * @crc32c: CRC32C (seed ~0) of the whole page, with this member taken as 0.
 * @self: physical address of this page.
 */
struct pram_meta_hdr {
	u64	magic;
	u32	version;
	u32	crc32c;
	u64	self;
};

/* Directory pages that a super page has room for. */
#define PRAM_SUPER_DIRS							\
	((PAGE_SIZE - sizeof(struct pram_meta_hdr) - 4 * sizeof(u64)) /	\
	 sizeof(u64))

/**
 * struct pram_super_ser - the super page
 * @hdr: see &struct pram_meta_hdr.
 * @page_shift: log2 of the page size in bytes; the loading kernel must agree.
 * @nr_dirs: used entries of @dirs.
 * @kexec_count: kexecs so far in which PRAM was handed over.
 * @reserved: zero.
 * @dirs: physical addresses of directory pages.
 */
struct pram_super_ser {
	struct pram_meta_hdr	hdr;
	u64			page_shift;
	u64			nr_dirs;
	u64			kexec_count;
	u64			reserved;
	u64			dirs[PRAM_SUPER_DIRS];
};

/* Nodes that a directory page has room for. */
#define PRAM_DIR_NODES							\
	((PAGE_SIZE - sizeof(struct pram_meta_hdr)) / sizeof(u64))

/**
 * struct pram_dir_ser - a directory page
 * @hdr: see &struct pram_meta_hdr.
 * @nodes: physical addresses of node pages of committed nodes; 0: none.
 */
struct pram_dir_ser {
	struct pram_meta_hdr	hdr;
	u64			nodes[PRAM_DIR_NODES];
};

/**
 * struct pram_node_ser - a node page
 * @hdr: see &struct pram_meta_hdr.
 * @type: PRAM_PAGE_STREAM or PRAM_BYTE_STREAM.
 * @flags: PRAM_NODE_* properties; an unknown one makes the node unreadable.
 * @bytes: length of the data in bytes; for a page stream a multiple of the
 *	page size. The last folio may be larger than the rest of it.
 * @nr_pages: pages that the data folios have together.
 * @nr_folios: entries in all map pages together.
 * @nr_maps: map pages.
 * @first_map: physical address of the first map page; 0 if @nr_maps is 0.
 * @adopted_pages: of @nr_pages, taken over without a copy.
 * @saved_at_ns: when it was committed, CLOCK_REALTIME in nanoseconds.
 * @kexec_count: kexecs that the node has survived.
 * @name: nul-terminated, not empty.
 */
struct pram_node_ser {
	struct pram_meta_hdr	hdr;
	u32			type;
	u32			flags;
	u64			bytes;
	u64			nr_pages;
	u64			nr_folios;
	u64			nr_maps;
	u64			first_map;
	u64			adopted_pages;
	u64			saved_at_ns;
	u64			kexec_count;
	u8			name[PRAM_NAME_MAX];
};

/*
 * An entry of a map page describes one data folio: its pfn, its order, and
 * PRAM_ENTRY_* flags. Together the folios of a node hold its data, in order. All
 * but the last are full to their last byte; the last one is zero after the end of
 * the data.
 *
 * Several nodes may have the same folio, which KHO preserves once: all but at most
 * one of their entries say so (PRAM_ENTRY_SHARED).
 *
 * A node may have only some pages of a large folio, for example if its task has
 * written to the others since it was forked. Then the entry's pfn is that of the first
 * such page, and %PRAM_ENTRY_PAGES is their number less one. The order is that of the
 * folio, which is preserved whole, and which begins at a multiple of its size.
 */
#define PRAM_ENTRY_PFN_BITS	40
#define PRAM_ENTRY_PFN		GENMASK_ULL(PRAM_ENTRY_PFN_BITS - 1, 0)
#define PRAM_ENTRY_ORDER	GENMASK_ULL(45, 40)
#define PRAM_ENTRY_PAGES	GENMASK_ULL(55, 46)	/* of a part, less one */
#define PRAM_ENTRY_LRU		BIT_ULL(56)	/* goes back on the LRU */
#define PRAM_ENTRY_ADOPTED	BIT_ULL(57)	/* was not copied when saved */
#define PRAM_ENTRY_SHARED	BIT_ULL(58)	/* other nodes have it, too */
#define PRAM_ENTRY_PART		BIT_ULL(59)	/* is not all of the folio */
#define PRAM_ENTRY_KNOWN						\
	(PRAM_ENTRY_PFN | PRAM_ENTRY_ORDER | PRAM_ENTRY_LRU |		\
	 PRAM_ENTRY_ADOPTED | PRAM_ENTRY_SHARED)

/* Maximum pages of a part. */
#define PRAM_PART_PAGES		(FIELD_MAX(PRAM_ENTRY_PAGES) + 1)

/* An entry of a part has more known bits. */
#define PRAM_ENTRY_KNOWN_PART						\
	(PRAM_ENTRY_KNOWN | PRAM_ENTRY_PAGES | PRAM_ENTRY_PART)

/* Bytes that a map page has for entries and checksums. */
#define PRAM_MAP_ROOM							\
	(PAGE_SIZE - sizeof(struct pram_meta_hdr) - 3 * sizeof(u64))

/* Entries that fit in a map page, without and with data checksums. */
#define PRAM_MAP_ENTRIES	(PRAM_MAP_ROOM / sizeof(u64))
#define PRAM_MAP_ENTRIES_CRC	(PRAM_MAP_ROOM / (sizeof(u64) + sizeof(u32)))

/**
 * struct pram_map_ser - a map page
 * @hdr: see &struct pram_meta_hdr.
 * @next: physical address of the next map page; 0 at the end.
 * @first_page: number of pages that all earlier map pages describe.
 * @nr_entries: used elements of @entries.
 * @entries: the folios, see PRAM_ENTRY_*. In a node that is
 *	%PRAM_NODE_CHECKSUM only %PRAM_MAP_ENTRIES_CRC elements are entries,
 *	followed by one u32 for each: the CRC32C (seed ~0) of all bytes
 *	of the folio, or of the part that the entry describes.
 */
struct pram_map_ser {
	struct pram_meta_hdr	hdr;
	u64			next;
	u64			first_page;
	u64			nr_entries;
	u64			entries[PRAM_MAP_ENTRIES];
};

static_assert(sizeof(struct pram_super_ser) == PAGE_SIZE);
static_assert(sizeof(struct pram_dir_ser) == PAGE_SIZE);
static_assert(sizeof(struct pram_node_ser) <= PAGE_SIZE);
static_assert(sizeof(struct pram_map_ser) == PAGE_SIZE);

#endif /* __ASSEMBLER__ */

#endif /* _LINUX_KHO_ABI_PRAM_H */
