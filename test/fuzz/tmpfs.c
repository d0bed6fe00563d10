// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's loading of a tmpfs: mm/pram/tmpfs_load.c. An input is
 *
 *	u8 number of the allocation that fails, 0 for none
 *	u8 GIVEN_*: options of the mount
 *	u8 orders of the folios in the page stream: how many, then 4 of 2 bits in a byte
 *	the stream of metadata
 */
#include "shim/vfs.h"

#include <linux/kho/abi/pram_tmpfs.h>

#include "fuzz.h"
#include "../../kernel/mm/pram/tmpfs_load.c"

#define GIVEN_BLOCKS	0x01
#define GIVEN_INODES	0x02
#define GIVEN_INUMS	0x04
#define GIVEN_HUGE	0x08
#define GIVEN_FEW	0x10	/* and the limits are low */
#define MAPPED		0x20	/* others have the folios: they are copied */
#define SMALL_FOLIOS	0x40	/* files cannot have large ones */

#define MAX_FOLIOS	40

/* ---- the two streams, and what else is not built here ---------------------- */

static const uint8_t *metadata;
static size_t metadata_size, metadata_pos;
static struct folio *folios[MAX_FOLIOS];
static unsigned int nr_folios, folios_pos;
static bool can_reset;

ssize_t pram_read(struct pram_stream *ps, void *buf, size_t count)
{
	const size_t n = min(count, metadata_size - metadata_pos);

	memcpy(buf, metadata + metadata_pos, n);
	metadata_pos += n;
	return n;
}

int pram_load_look(struct pram_stream *ps, struct pram_found *found)
{
	if (folios_pos == nr_folios)
		return 0;
	found->node = ps->node;
	found->folio = folios[folios_pos];
	return 1;
}

void pram_load_done(struct pram_stream *ps, u64 pages)
{
	SHIM_BUG_ON(folio_nr_pages(folios[folios_pos]) != pages);
	folios_pos++;
}

/* Each is put there by itself: it is the kernel's business how many go together. */
long pram_shmem_insert_fresh(const struct pram_found *found, struct inode *inode,
			     pgoff_t index, u64 max, struct mm_struct *mm,
			     bool written)
{
	return 0;
}

bool pram_folio_reset(struct folio *folio)
{
	return can_reset;
}

unsigned long pram_frame_holders(struct folio *folio)
{
	return 1;
}

int pram_shmem_insert(struct inode *inode, pgoff_t index, struct folio *folio,
		      struct mm_struct *mm, bool written)
{
	return mem_cgroup_charge(folio, mm, GFP_KERNEL) ?:
	       shmem_add_to_page_cache(folio, inode->i_mapping, index, NULL, GFP_KERNEL);
}

void pram_count(enum pram_counter counter, s64 n)
{
}

/* ---- one load ---------------------------------------------------------------- */

/* The folios, and what comes behind their description. */
static const uint8_t *make_folios(const uint8_t *data, const uint8_t *end)
{
	unsigned int nr = *data++;

	nr_folios = 0;
	for (unsigned int i = 0; i < nr && i < MAX_FOLIOS; i++) {
		struct folio *folio;

		if (data + i / 4 >= end)
			return end;
		folio = folio_alloc(GFP_KERNEL, data[i / 4] >> i % 4 * 2 & 3);
		if (!folio)
			break;
		folios[nr_folios++] = folio;
	}
	return data + (nr < MAX_FOLIOS ? nr + 3 : MAX_FOLIOS + 3) / 4;
}

/* What a load that has succeeded must have made. */
static void check_tree(struct super_block *sb, const struct pram_tmpfs_counts *counts)
{
	struct dentry *dentry = sb->s_root;
	u64 nr = 1;

	FUZZ_ASSERT(folios_pos == nr_folios && metadata_pos == metadata_size);
	/* Every entry but the root is one of NEW or LINK. */
	for (;;) {
		if (!list_empty(&dentry->children)) {
			dentry = list_entry(dentry->children.next, struct dentry, sibling);
			nr++;
			continue;
		}
		while (dentry != sb->s_root &&
		       dentry->sibling.next == &dentry->d_parent->children)
			dentry = dentry->d_parent;
		if (dentry == sb->s_root)
			break;
		dentry = list_entry(dentry->sibling.next, struct dentry, sibling);
		nr++;
	}
	FUZZ_ASSERT(nr == counts->nr_inodes + counts->nr_links);
	for (unsigned int i = 0; i < nr_folios; i++)
		FUZZ_ASSERT(folios[i]->page.refs == (can_reset ? 2 : 1) ||
			    folio_order(folios[i]) > shim_max_folio_order);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	struct pram_node node = { 0 };
	struct pram_tmpfs_streams streams = { .pages.node = &node };
	struct pram_tmpfs_counts counts;
	struct pram_tmpfs_given given;
	struct super_block sb;
	const uint8_t *end = data + size;
	int err;

	if (size < 3)
		return -1;
	shim_reset();
	given = (struct pram_tmpfs_given){
		.blocks = data[1] & GIVEN_BLOCKS,
		.inodes = data[1] & GIVEN_INODES,
		.inums = data[1] & GIVEN_INUMS,
		.huge = data[1] & GIVEN_HUGE,
	};
	can_reset = !(data[1] & MAPPED);
	shim_max_folio_order = data[1] & SMALL_FOLIOS ? 0 : 9;
	metadata = make_folios(data + 2, end);
	metadata = metadata < end ? metadata : end;
	metadata_size = end - metadata;
	metadata_pos = folios_pos = 0;

	shim_mount(&sb, data[1] & GIVEN_FEW ? 80 : 1000, data[1] & GIVEN_FEW ? 4 : 0);
	shim_fail_allocation(data[0]);
	err = pram_tmpfs_load_tree(&sb, &streams, &given, &counts);
	shim_fail_allocation(0);
	if (!err)
		check_tree(&sb, &counts);
	shim_unmount(&sb);
	for (unsigned int i = 0; i < nr_folios; i++)
		folio_put(folios[i]);
	FUZZ_ASSERT(!shim_nr_used());
	return err;
}

#ifdef FUZZ_LIBFUZZER
/* ---- mutation ------------------------------------------------------------------ */

#define MAX_RECORDS	256

static size_t record_size(const uint8_t *p, size_t size)
{
	struct pram_tmpfs_rec rec;

	if (size < sizeof(rec))
		return 0;
	memcpy(&rec, p, sizeof(rec));
	if (rec.len > PRAM_TMPFS_REC_MAX || sizeof(rec) + round_up(rec.len, 8) > size)
		return 0;
	return sizeof(rec) + round_up(rec.len, 8);
}

/* END says what has come before. */
static void fix_end(uint8_t *p, size_t size)
{
	struct pram_tmpfs_end_ser end = { .next_cookie = 100 };
	struct pram_tmpfs_extent_ser extent;
	struct pram_tmpfs_rec rec;
	size_t n;

	for (; (n = record_size(p, size)); p += n, size -= n) {
		memcpy(&rec, p, sizeof(rec));
		if (rec.type == PRAM_TMPFS_ROOT || rec.type == PRAM_TMPFS_NEW)
			end.nr_inodes++;
		if (rec.type == PRAM_TMPFS_LINK)
			end.nr_links++;
		for (u32 i = 0; rec.type == PRAM_TMPFS_EXTENTS && i < rec.len / sizeof(extent); i++) {
			memcpy(&extent, p + sizeof(rec) + i * sizeof(extent), sizeof(extent));
			if (!(extent.pages & PRAM_TMPFS_EXTENT_LOST))
				end.nr_pages += extent.pages & PRAM_TMPFS_EXTENT_PAGES;
		}
		if (rec.type == PRAM_TMPFS_END && rec.len == sizeof(end))
			memcpy(p + sizeof(rec), &end, sizeof(end));
	}
}

/* Changes the payload of a record, and its length with it. */
static size_t mutate_payload(uint8_t *data, size_t size, size_t max_size, size_t at, size_t n,
			     u32 *state)
{
	struct pram_tmpfs_rec rec;
	size_t room = max_size - size + n - sizeof(rec), len, padded;
	static uint8_t buf[1 << 17];
	u64 value = fuzz_number(state);

	memcpy(&rec, data + at, sizeof(rec));
	if (fuzz_random(state) & 1 && rec.len >= 8) {
		const unsigned int width = fuzz_random(state) & 1 ? 8 : 4;

		memcpy(data + at + sizeof(rec) + fuzz_random(state) % (rec.len / width) * width,
		       &value, width);
		return size;
	}
	room = min(room, sizeof(buf) - 8) & ~7UL;
	if (rec.len > room)
		return size;
	memcpy(buf, data + at + sizeof(rec), rec.len);
	len = LLVMFuzzerMutate(buf, rec.len, room);
	padded = round_up(len, 8);
	memset(buf + len, 0, padded - len);
	memmove(data + at + sizeof(rec) + padded, data + at + n, size - at - n);
	memcpy(data + at + sizeof(rec), buf, padded);
	rec.len = len;
	memcpy(data + at, &rec, sizeof(rec));
	return size - n + sizeof(rec) + padded;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size_t at[MAX_RECORDS], nr = 0, begin, pos, n, which, m;
	static uint8_t copy[1 << 17];
	u32 state = seed | 1;

	if (size < 4 || fuzz_random(&state) % 8 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	begin = 3 + (min((size_t)data[2], (size_t)MAX_FOLIOS) + 3) / 4;
	for (pos = begin; nr < MAX_RECORDS && pos < size && (n = record_size(data + pos, size - pos));
	     pos += n)
		at[nr++] = pos;
	if (!nr)
		return LLVMFuzzerMutate(data, size, max_size);
	which = at[fuzz_random(&state) % nr];
	n = record_size(data + which, size - which);
	switch (fuzz_random(&state) % 8) {
	case 0:
		memmove(data + which, data + which + n, size - which - n);
		size -= n;
		break;
	case 1:
		/* Once more, somewhere else. */
		if (size + n > max_size)
			break;
		m = at[fuzz_random(&state) % nr];
		memcpy(copy, data + which, n);
		memmove(data + m + n, data + m, size - m);
		memcpy(data + m, copy, n);
		size += n;
		break;
	case 2:
		data[which] = 1 + fuzz_random(&state) % 9;
		break;
	case 3:
		data[fuzz_random(&state) % begin] = fuzz_random(&state);
		break;
	default:
		size = mutate_payload(data, size, max_size, which, n, &state);
	}
	if (fuzz_random(&state) % 4 && size > begin)
		fix_end(data + begin, size - begin);
	return size;
}
#endif
