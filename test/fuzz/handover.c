// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's take-over of nodes: mm/pram/handover.c, meta.c, frames.c, data.c and
 * node.c. An input is what the last kernel left in memory:
 *
 *	u8 number of the allocation that fails, 0 for none
 *	any number of
 *		u8 pfn, u8 PIECE_* and order, le16 offset, le16 length, bytes
 *
 * A piece puts bytes into a page. Pages with checksums have them computed when all
 * is in place, if a piece of them asks for it; so nothing has to be guessed.
 */
#include <linux/kho/abi/pram.h>

#include "fuzz.h"

static unsigned int full_name_hash(const void *salt, const char *name, unsigned int len)
{
	(void)salt;
	return len ? (unsigned char)name[len - 1] : 0;
}

#define PIECE_ORDER	0x07	/* of the folio, if preserved */
#define PIECE_PRESERVED	0x08	/* KHO has the folio that begins here */
#define PIECE_STAMP	0x10	/* address and CRC32C of a page of metadata */
#define PIECE_CRCS	0x20	/* data checksums of a map page */
#define PIECE_SUPER	0x40	/* the sub tree is here */
#define PIECE_SIZE	0x80	/* and has a wrong size */

#define PIECE_HEADER	6

/* Their statics have to be reset between two inputs, so they are all in this file. */
#include "../../kernel/mm/pram/handover.c"
#include "../../kernel/mm/pram/meta.c"
#include "../../kernel/mm/pram/frames.c"
#include "../../kernel/mm/pram/node.c"

static void harness_reset_frames(void);

/* ---- what is not built here ------------------------------------------------ */

static s64 counters[PRAM_NR_COUNTERS];

void pram_count(enum pram_counter counter, s64 n)
{
	counters[counter] += n;
}

u64 pram_counter_read(enum pram_counter counter)
{
	return counters[counter];
}

/* Frames and pages of metadata; nothing here is refused. */
static unsigned long held;

bool pram_memory_is_short(unsigned long nr)
{
	(void)nr;
	return false;
}

int pram_charge(unsigned long nr, bool exempt)
{
	(void)exempt;
	held += nr;
	return 0;
}

void pram_uncharge(unsigned long nr)
{
	SHIM_BUG_ON(nr > held);
	held -= nr;
}

void pram_limit_init(void)
{
}

/* No memory is added here. */
struct folio *pram_folio_alloc(gfp_t gfp, unsigned int order)
{
	return folio_alloc(gfp, order);
}

/* Nothing is saved, and no load is given up. */
bool pram_folio_reset(struct folio *folio)
{
	(void)folio;
	SHIM_BUG("a folio is reset");
}

void folio_unlock(struct folio *folio)
{
	(void)folio;
	SHIM_BUG("a folio is unlocked");
}

void copy_highpage(struct page *to, struct page *from)
{
	(void)to;
	(void)from;
	SHIM_BUG("a page is copied");
}

/* Nothing is mapped here. */
void pram_map_drop(struct pram_node *node)
{
	SHIM_BUG_ON(!list_empty(&node->mappings));
}

/* ---- what is handed over --------------------------------------------------- */

static u16 get_le16(const u8 *p)
{
	return p[0] | p[1] << 8;
}

static bool get_piece(const u8 *data, size_t size, size_t *len)
{
	if (size < PIECE_HEADER)
		return false;
	*len = get_le16(data + 4);
	return *len <= size - PIECE_HEADER && get_le16(data + 2) + *len <= PAGE_SIZE;
}

static u32 crc_of_range(u64 pfn, u64 nr)
{
	u32 crc = ~0;

	for (u64 i = 0; i < nr && pfn + i < SHIM_NR_PAGES; i++)
		crc = crc32c(crc, shim_memory(pfn + i), PAGE_SIZE);
	return crc;
}

static void fill_crcs(unsigned long pfn)
{
	struct pram_map_ser *map = (void *)shim_memory(pfn);
	u32 *crcs = (u32 *)&map->entries[PRAM_MAP_ENTRIES_CRC];

	for (u64 i = 0; i < map->nr_entries && i < PRAM_MAP_ENTRIES_CRC; i++) {
		u64 entry = map->entries[i];
		u64 nr = 1ULL << (FIELD_GET(PRAM_ENTRY_ORDER, entry) & 7);

		if (entry & PRAM_ENTRY_PART)
			nr = FIELD_GET(PRAM_ENTRY_PAGES, entry) + 1;
		crcs[i] = crc_of_range(FIELD_GET(PRAM_ENTRY_PFN, entry), nr);
	}
}

static void stamp(unsigned long pfn)
{
	struct pram_meta_hdr *hdr = (void *)shim_memory(pfn);
	const u64 magic = hdr->magic;
	const u32 version = hdr->version;

	pram_meta_stamp(hdr, magic);
	if (version != PRAM_FORMAT_VERSION) {
		hdr->version = version;
		hdr->crc32c = 0;
		hdr->crc32c = crc32c(~0, hdr, PAGE_SIZE);
	}
}

static void hand_over(const u8 *data, size_t size)
{
	u8 flags[SHIM_NR_PAGES] = { 0 };
	size_t len;

	for (; get_piece(data, size, &len);
	     data += PIECE_HEADER + len, size -= PIECE_HEADER + len) {
		const unsigned long pfn = data[0] % SHIM_NR_PAGES;

		memcpy(shim_memory(pfn) + get_le16(data + 2), data + PIECE_HEADER, len);
		flags[pfn] |= data[1];
		if (data[1] & PIECE_PRESERVED)
			shim_hand_over(pfn, data[1] & PIECE_ORDER);
		if (data[1] & PIECE_SUPER)
			shim_hand_over_subtree(PFN_PHYS(pfn),
					       data[1] & PIECE_SIZE ? PAGE_SIZE - 1 : PAGE_SIZE);
	}
	for (unsigned long pfn = 0; pfn < SHIM_NR_PAGES; pfn++)
		if (flags[pfn] & PIECE_CRCS)
			fill_crcs(pfn);
	for (unsigned long pfn = 0; pfn < SHIM_NR_PAGES; pfn++)
		if (flags[pfn] & PIECE_STAMP)
			stamp(pfn);
}

/* ---- a boot ------------------------------------------------------------------ */

static void forget_boot(void)
{
	struct pram_dir *dir, *next;

	list_for_each_entry_safe(dir, next, &pram_dirs, link)
		kfree(dir);
	INIT_LIST_HEAD(&pram_dirs);
	INIT_LIST_HEAD(&pram_nodes);
	INIT_LIST_HEAD(&pram_names);
	pram_ids = RB_ROOT;
	pram_super = NULL;
	pram_enabled = false;
	pram_closed = false;
	pram_kexec_count = 0;
	pram_lost_pages = 0;
	pram_last_id = 0;
	memset(counters, 0, sizeof(counters));
	held = 0;
	harness_reset_frames();
	SHIM_BUG_ON(pram_lock.held || pram_frames_lock.held);
}

static void harness_reset_frames(void)
{
	for (unsigned long i = 0; i < pram_nr_frame_chunks; i++)
		kfree(pram_frame_chunks[i]);
	kfree(pram_frame_chunks);
	pram_frame_chunks = NULL;
	pram_nr_frame_chunks = 0;
	xa_destroy(&pram_frame_many);
	pram_nr_shared = 0;
	pram_frames_missed = false;
}

/* The machine goes down, and what the kernel had beside the machine's pages is gone. */
static void reboot(void)
{
	struct pram_node *node, *next;

	pram_reboot(NULL, 0, NULL);
	list_for_each_entry_safe(node, next, &pram_nodes, link) {
		kfree(node->maps);
		kfree(node->verified);
		kfree(node);
	}
	forget_boot();
	shim_kexec();
	shim_nr_errors = 0;
}

#define MAX_SEEN	32

/* What of a node has to be the same after another kexec. */
struct seen {
	char	name[PRAM_NAME_MAX];
	u32	type, flags, crc;
	u64	bytes, kexecs;
};

/* Enough of a node: a few pages can list the same large folio many thousand times. */
#define MAX_READ	(1 << 20)

/* Reads a node, in pieces that are not pages. False if it can't be. */
static bool read_node(struct pram_node *node, struct seen *seen)
{
	char buf[5000];
	loff_t pos = 0;
	int err = 0;

	scoped_guard(mutex, &pram_lock)
		err = pram_data_prepare_verify(node);
	if (err)
		return false;
	memcpy(seen->name, node->name, sizeof(seen->name));
	seen->type = node->type;
	seen->flags = node->flags;
	seen->bytes = node->bytes;
	seen->kexecs = node->ser->kexec_count;
	seen->crc = ~0;
	while (pos < MAX_READ) {
		struct iov_iter to = { .buf = buf, .count = sizeof(buf) };
		ssize_t n = pram_data_read(node, pos, &to);

		if (n < 0) {
			/* What was taken over as whole is, but for its contents. */
			FUZZ_ASSERT(node->flags & PRAM_NODE_CHECKSUM);
			*seen = (struct seen){ .bytes = 0 };
			return false;
		}
		if (!n)
			break;
		seen->crc = crc32c(seen->crc, buf, n);
		pos += n;
	}
	FUZZ_ASSERT((u64)pos == node->bytes || (pos >= MAX_READ && (u64)pos < node->bytes));
	return true;
}

/*
 * Boots, reads all nodes. Return: how many could be, listed in @seen. What this kernel
 * has handed over itself it takes over @again without a complaint.
 */
static unsigned int boot(struct seen *seen, bool again, bool *all_well)
{
	struct pram_node_stat stat = { .id = 0 };
	struct pram_node *node;
	unsigned int nr = 0;

	*all_well = !pram_handover_init() && !shim_nr_errors;
	FUZZ_ASSERT(*all_well || !again);
	if (!pram_enabled)
		return 0;
	while (!pram_stat_next(stat.id, &stat))
		FUZZ_ASSERT(strnlen((char *)stat.name, PRAM_NAME_MAX) < PRAM_NAME_MAX);
	list_for_each_entry(node, &pram_nodes, link) {
		if (node->state != PRAM_NODE_READY || nr == MAX_SEEN) {
			*all_well = false;
			continue;
		}
		if (read_node(node, &seen[nr]))
			nr++;
		else
			*all_well = false;
	}
	return nr;
}

/* Frees all nodes: then nothing may be held but the directory, and what was lost. */
static void shut_down(void)
{
	struct pram_dir *dir;
	unsigned int nr = !!pram_super;

	if (!pram_enabled)
		return;
	pram_free_all();
	FUZZ_ASSERT(list_empty(&pram_nodes));
	FUZZ_ASSERT(!counters[PRAM_DATA_PAGES]);
	list_for_each_entry(dir, &pram_dirs, link) {
		nr++;
		for (unsigned int i = 0; i < PRAM_DIR_NODES; i++)
			FUZZ_ASSERT(!dir->ser->nodes[i]);
	}
	FUZZ_ASSERT(counters[PRAM_META_PAGES] == nr);
	FUZZ_ASSERT(held == nr);
	FUZZ_ASSERT(shim_nr_used() == nr);
	FUZZ_ASSERT(shim_nr_preserved() == nr);
	FUZZ_ASSERT(xa_empty(&pram_frame_many));
	FUZZ_ASSERT(!pram_nr_shared);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static struct seen first[MAX_SEEN], again[MAX_SEEN];
	unsigned int nr, nr_again;
	bool all_well, ignored;

	if (!size)
		return -1;
	shim_reset();
	memset(first, 0, sizeof(first));
	memset(again, 0, sizeof(again));
	hand_over(data + 1, size - 1);
	shim_fail_allocation(data[0]);
	nr = boot(first, false, &all_well);
	shim_fail_allocation(0);

	/* Whatever came with it: what could be read can be read after the next kexec. */
	if (pram_enabled && !shim_nr_failures) {
		reboot();
		nr_again = boot(again, true, &ignored);
		FUZZ_ASSERT(nr_again == nr);
		for (unsigned int i = 0; i < nr; i++) {
			FUZZ_ASSERT(again[i].kexecs == first[i].kexecs + 1);
			again[i].kexecs = first[i].kexecs;
		}
		FUZZ_ASSERT(!memcmp(first, again, sizeof(first)));
	}
	shut_down();
	forget_boot();
	return all_well && nr ? 0 : -1;
}

#ifdef FUZZ_LIBFUZZER
/* ---- mutation ------------------------------------------------------------------ */

/* Puts a number that may mean something where one of 64 bits is. */
static void mutate_number(u8 *data, size_t len, u32 *state)
{
	const size_t at = (fuzz_random(state) % (len / 8)) * 8;
	u64 value;

	memcpy(&value, data + at, 8);
	switch (fuzz_random(state) % 8) {
	case 0:
		value = PFN_PHYS(fuzz_random(state) % 32);
		break;
	case 1:
		value = FIELD_PREP(PRAM_ENTRY_PFN, fuzz_random(state) % 32) |
			FIELD_PREP(PRAM_ENTRY_ORDER, fuzz_random(state) % 4) |
			(fuzz_random(state) & 1 ? PRAM_ENTRY_SHARED : 0);
		break;
	case 2:
		value ^= 1ULL << fuzz_random(state) % 64;
		break;
	case 3:
		value += fuzz_random(state) & 1 ? 1 : -1;
		break;
	default:
		value = fuzz_number(state);
	}
	memcpy(data + at, &value, 8);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size_t at[64], nr = 0, len, pos = 1, which, other;
	u32 state = seed | 1;
	u8 copy[PIECE_HEADER + PAGE_SIZE];

	if (fuzz_random(&state) % 4 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	while (nr < ARRAY_SIZE(at) && pos < size && get_piece(data + pos, size - pos, &len)) {
		at[nr++] = pos;
		pos += PIECE_HEADER + len;
	}
	if (!nr)
		return LLVMFuzzerMutate(data, size, max_size);
	which = at[fuzz_random(&state) % nr];
	get_piece(data + which, size - which, &len);
	switch (fuzz_random(&state) % 8) {
	case 0:
		/* Put it elsewhere. */
		data[which] = fuzz_random(&state) % 32;
		break;
	case 1:
		data[which + 1] ^= 1 << fuzz_random(&state) % 8;
		break;
	case 2:
		/* Once more, for another page. */
		if (size + PIECE_HEADER + len > max_size)
			break;
		memcpy(copy, data + which, PIECE_HEADER + len);
		copy[0] = fuzz_random(&state) % 32;
		memcpy(data + size, copy, PIECE_HEADER + len);
		size += PIECE_HEADER + len;
		break;
	case 3:
		memmove(data + which, data + which + PIECE_HEADER + len,
			size - which - PIECE_HEADER - len);
		size -= PIECE_HEADER + len;
		break;
	case 4:
		other = at[fuzz_random(&state) % nr];
		data[which] = data[other];
		break;
	default:
		if (len >= 8)
			mutate_number(data + which + PIECE_HEADER, len, &state);
	}
	return size;
}
#endif
