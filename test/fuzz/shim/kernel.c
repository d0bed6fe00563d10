// SPDX-License-Identifier: GPL-2.0-only
/* The machine of kernel.h. */
#include "kernel.h"

#if defined(__SANITIZE_ADDRESS__)
#define SHIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SHIM_ASAN 1
#endif
#endif
#ifdef SHIM_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, size)	((void)(p), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(p, size)	((void)(p), (void)(size))
#define __asan_region_is_poisoned(p, size)	((void)(p), (void)(size), NULL)
#endif

struct folio shim_folios[SHIM_NR_PAGES];
const unsigned long max_pfn = SHIM_NR_PAGES, max_possible_pfn = SHIM_NR_PAGES;
unsigned int shim_nr_errors, shim_nr_failures;

static uint8_t shim_bytes[SHIM_NR_PAGES][PAGE_SIZE] __attribute__((aligned(4096)));
/* Pages that may hold something but zeros. */
static bool touched[SHIM_NR_PAGES];
static unsigned int nr_until_failure;
static bool have_subtree;
static u64 subtree_phys;
static size_t subtree_size;
static struct folio *next_subtree;

/* ---- log ------------------------------------------------------------------ */

/* Takes the arguments as the kernel would: a name without an end is found so. */
void shim_print(bool error, const char *format, ...)
{
	va_list args;

	shim_nr_errors += error;
	va_start(args, format);
	for (const char *p = format; (p = strchr(p, '%')); p++) {
		unsigned int nr_long = 0;

		while (strchr("#-0123456789.*", *++p))
			if (*p == '*')
				(void)va_arg(args, int);
		for (; *p == 'l' || *p == 'z'; p++)
			nr_long++;
		switch (*p) {
		case '%':
			break;
		case 's':
			SHIM_BUG_ON(strlen(va_arg(args, const char *)) > 65536);
			break;
		case 'p':
			(void)va_arg(args, void *);
			break;
		default:
			SHIM_BUG_ON(!strchr("duxo", *p));
			if (nr_long)
				(void)va_arg(args, long);
			else
				(void)va_arg(args, int);
		}
	}
	va_end(args);
}

/* ---- memory of the kernel itself ------------------------------------------ */

void shim_fail_allocation(unsigned int number)
{
	nr_until_failure = number;
}

bool shim_fails(gfp_t gfp)
{
	if (gfp & __GFP_NOFAIL || !nr_until_failure || --nr_until_failure)
		return false;
	shim_nr_failures++;
	return true;
}

void *shim_alloc(size_t size, gfp_t gfp)
{
	/* Nothing of what is parsed here may make the kernel ask for that much. */
	SHIM_BUG_ON(size > 1U << 26);
	return shim_fails(gfp) ? NULL : calloc(1, size);
}

void *shim_realloc(void *p, size_t size, gfp_t gfp)
{
	SHIM_BUG_ON(size > 1U << 26);
	return shim_fails(gfp) ? NULL : realloc(p, size);
}

void kfree(const void *p)
{
	free((void *)p);
}

/* ---- xarrays --------------------------------------------------------------- */

static struct shim_entry *xa_find_entry(struct xarray *xa, unsigned long index)
{
	for (size_t i = 0; i < xa->nr; i++)
		if (xa->entries[i].index == index)
			return &xa->entries[i];
	return NULL;
}

void *xa_load(struct xarray *xa, unsigned long index)
{
	struct shim_entry *entry = xa_find_entry(xa, index);

	return entry ? entry->value : NULL;
}

void *xa_store(struct xarray *xa, unsigned long index, void *value, gfp_t gfp)
{
	struct shim_entry *entry = xa_find_entry(xa, index), *entries;
	void *old;

	if (entry) {
		old = entry->value;
		entry->value = value;
		return old;
	}
	if (shim_fails(gfp))
		return ERR_PTR(-ENOMEM);
	entries = realloc(xa->entries, (xa->nr + 1) * sizeof(*entries));
	SHIM_BUG_ON(!entries);
	xa->entries = entries;
	entries[xa->nr++] = (struct shim_entry){ index, value };
	return NULL;
}

void *xa_erase(struct xarray *xa, unsigned long index)
{
	struct shim_entry *entry = xa_find_entry(xa, index);
	void *old;

	if (!entry)
		return NULL;
	old = entry->value;
	*entry = xa->entries[--xa->nr];
	if (!xa->nr)
		xa_destroy(xa);
	return old;
}

void xa_destroy(struct xarray *xa)
{
	free(xa->entries);
	*xa = (struct xarray){ 0 };
}

/* ---- pages ------------------------------------------------------------------ */

static bool range_is_free(unsigned long pfn, unsigned int order)
{
	if (order > PMD_ORDER || !IS_ALIGNED(pfn, 1UL << order) ||
	    pfn + (1UL << order) > SHIM_NR_PAGES)
		return false;
	for (unsigned long i = 0; i < 1UL << order; i++)
		if (shim_folios[pfn + i].page.state != SHIM_FREE)
			return false;
	return true;
}

static void set_range(unsigned long pfn, unsigned int order, enum shim_frame state)
{
	for (unsigned long i = 0; i < 1UL << order; i++)
		shim_folios[pfn + i].page = (struct page){
			.state = state,
			.tail = i && state != SHIM_FREE,
		};
	if (state == SHIM_FREE) {
		ASAN_POISON_MEMORY_REGION(shim_bytes[pfn], PAGE_SIZE << order);
	} else {
		shim_folios[pfn].page.order = order;
		ASAN_UNPOISON_MEMORY_REGION(shim_bytes[pfn], PAGE_SIZE << order);
	}
}

uint8_t *shim_memory(unsigned long pfn)
{
	SHIM_BUG_ON(pfn >= SHIM_NR_PAGES);
	touched[pfn] = true;
	ASAN_UNPOISON_MEMORY_REGION(shim_bytes[pfn], PAGE_SIZE);
	return shim_bytes[pfn];
}

void *folio_address(struct folio *folio)
{
	return shim_bytes[folio_pfn(folio)];
}

struct folio *virt_to_folio(const void *p)
{
	return &shim_folios[PHYS_PFN(virt_to_phys(p))];
}

u64 virt_to_phys(const void *p)
{
	return (const uint8_t *)p - shim_bytes[0];
}

/*
 * Where what is handed over begins to be looked at: reading it is allowed, whatever it
 * is. Reading it when it has been freed since is not.
 */
void *phys_to_virt(u64 phys)
{
	return shim_memory(PHYS_PFN(phys)) + (phys & (PAGE_SIZE - 1));
}

int copy_from_kernel_nofault(void *to, const void *from, size_t size)
{
	memcpy(to, from, size);
	return 0;
}

struct page *pfn_to_online_page(unsigned long pfn)
{
	return pfn < SHIM_NR_PAGES ? &shim_folios[pfn].page : NULL;
}

struct folio *folio_alloc(gfp_t gfp, unsigned int order)
{
	if (shim_fails(gfp))
		return NULL;
	/* From the end, as what is handed over begins at 0. */
	for (unsigned long pfn = SHIM_NR_PAGES; pfn-- > 0;) {
		if (!range_is_free(pfn, order))
			continue;
		set_range(pfn, order, SHIM_USED);
		shim_folios[pfn].page.refs = 1;
		memset(touched + pfn, true, 1UL << order);
		memset(shim_bytes[pfn], gfp & __GFP_ZERO ? 0 : 0xa5, PAGE_SIZE << order);
		return &shim_folios[pfn];
	}
	shim_nr_failures++;
	return NULL;
}

void folio_get(struct folio *folio)
{
	SHIM_BUG_ON(folio->page.state != SHIM_USED || folio->page.tail || !folio->page.refs);
	folio->page.refs++;
}

void folio_put(struct folio *folio)
{
	SHIM_BUG_ON(folio->page.state != SHIM_USED || folio->page.tail || !folio->page.refs);
	if (--folio->page.refs)
		return;
	/* The next kernel would take it for what it was. */
	SHIM_BUG_ON(folio->page.preserved);
	set_range(folio_pfn(folio), folio->page.order, SHIM_FREE);
}

void folio_zero_range(struct folio *folio, size_t start, size_t len)
{
	SHIM_BUG_ON(start > folio_size(folio) || len > folio_size(folio) - start);
	memset(folio_address(folio) + start, 0, len);
}

void folio_copy(struct folio *to, struct folio *from)
{
	SHIM_BUG_ON(folio_order(to) != folio_order(from));
	memcpy(folio_address(to), folio_address(from), folio_size(from));
}

size_t copy_folio_to_iter(struct folio *folio, size_t offset, size_t n, struct iov_iter *to)
{
	SHIM_BUG_ON(offset > folio_size(folio) || n > folio_size(folio) - offset ||
		    n > to->count);
	memcpy(to->buf, folio_address(folio) + offset, n);
	to->buf += n;
	to->count -= n;
	return n;
}

size_t copy_folio_from_iter(struct folio *folio, size_t offset, size_t n, struct iov_iter *from)
{
	SHIM_BUG_ON(offset > folio_size(folio) || n > folio_size(folio) - offset ||
		    n > from->count);
	memcpy(folio_address(folio) + offset, from->buf, n);
	from->buf += n;
	from->count -= n;
	return n;
}

void iov_iter_revert(struct iov_iter *iter, size_t n)
{
	iter->buf -= n;
	iter->count += n;
}

/* By the processor, for speed; what is not to be read is looked for before. */
__attribute__((target("sse4.2"), no_sanitize("address")))
static u32 crc32c_unchecked(u32 crc, const uint8_t *p, size_t size)
{
	for (; size >= 8; p += 8, size -= 8) {
		u64 value;

		__builtin_memcpy(&value, p, 8);
		crc = __builtin_ia32_crc32di(crc, value);
	}
	while (size--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}

u32 crc32c(u32 crc, const void *data, size_t size)
{
	SHIM_BUG_ON(__asan_region_is_poisoned((void *)data, size));
	return crc32c_unchecked(crc, data, size);
}

/* ---- KHO --------------------------------------------------------------------- */

bool kho_is_enabled(void)
{
	return true;
}

int kho_retrieve_subtree(const char *name, phys_addr_t *phys, size_t *size)
{
	SHIM_BUG_ON(strcmp(name, "pram"));
	if (!have_subtree)
		return -ENOENT;
	*phys = subtree_phys;
	*size = subtree_size;
	return 0;
}

int kho_add_subtree(const char *name, void *page, size_t size)
{
	SHIM_BUG_ON(strcmp(name, "pram") || size != PAGE_SIZE);
	next_subtree = virt_to_folio(page);
	SHIM_BUG_ON(!next_subtree->page.preserved);
	return 0;
}

bool kho_can_restore(phys_addr_t phys)
{
	const unsigned long pfn = PHYS_PFN(phys);

	return pfn_to_online_page(pfn) && shim_folios[pfn].page.state == SHIM_KHO &&
	       !shim_folios[pfn].page.tail;
}

struct folio *kho_restore_folio(phys_addr_t phys)
{
	const unsigned long pfn = PHYS_PFN(phys);

	/* The kernel warns. */
	SHIM_BUG_ON(!kho_can_restore(phys));
	set_range(pfn, shim_folios[pfn].page.order, SHIM_USED);
	shim_folios[pfn].page.refs = 1;
	return &shim_folios[pfn];
}

/* The folios of a range: @pfn of each. */
#define for_each_in_range(range, i, pfn)							\
	for (i = 0; i < BITS_PER_LONG; i++)							\
		if ((range)->mask & BIT(i) && ((pfn) = (range)->pfn + (i << (range)->order), true))

static bool range_restorable(const struct kho_range *range)
{
	unsigned long i, pfn;

	SHIM_BUG_ON(range->pfn & (((unsigned long)BITS_PER_LONG << range->order) - 1));
	for_each_in_range(range, i, pfn)
		if (!kho_can_restore(PFN_PHYS(pfn)) || shim_folios[pfn].page.order != range->order)
			return false;
	return true;
}

unsigned int kho_restore_ranges(const struct kho_range *ranges, unsigned int nr)
{
	unsigned long i, pfn;
	unsigned int n;

	for (n = 0; n < nr && range_restorable(&ranges[n]); n++) {
		SHIM_BUG_ON(!ranges[n].mask);
		for_each_in_range(&ranges[n], i, pfn)
			kho_restore_folio(PFN_PHYS(pfn));
	}
	return n;
}

int kho_preserve_folio(struct folio *folio)
{
	SHIM_BUG_ON(folio->page.state != SHIM_USED || folio->page.tail);
	SHIM_BUG_ON(folio->page.preserved);
	if (shim_fails(GFP_KERNEL))
		return -ENOMEM;
	folio->page.preserved = true;
	return 0;
}

void kho_unpreserve_folio(struct folio *folio)
{
	SHIM_BUG_ON(folio->page.state != SHIM_USED || !folio->page.preserved);
	folio->page.preserved = false;
}

static void set_preserved(const struct kho_range *range, bool preserved)
{
	unsigned long i, pfn;

	for_each_in_range(range, i, pfn) {
		struct folio *folio = pfn_folio(pfn);

		SHIM_BUG_ON(folio_order(folio) != range->order);
		folio->page.preserved = preserved;
	}
}

int kho_preserve_ranges(const struct kho_range *ranges, unsigned int nr)
{
	if (shim_fails(GFP_KERNEL))
		return -ENOMEM;
	for (unsigned int i = 0; i < nr; i++)
		set_preserved(&ranges[i], true);
	return 0;
}

void kho_unpreserve_ranges(const struct kho_range *ranges, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		set_preserved(&ranges[i], false);
}

/* ---- the machine --------------------------------------------------------------- */

void shim_reset(void)
{
	for (unsigned long pfn = 0; pfn < SHIM_NR_PAGES; pfn++) {
		shim_folios[pfn].page = (struct page){ .state = SHIM_FREE };
		if (touched[pfn])
			memset(shim_memory(pfn), 0, PAGE_SIZE);
		touched[pfn] = false;
	}
	ASAN_POISON_MEMORY_REGION(shim_bytes, sizeof(shim_bytes));
	shim_nr_errors = 0;
	shim_nr_failures = 0;
	nr_until_failure = 0;
	have_subtree = false;
	next_subtree = NULL;
}

bool shim_hand_over(unsigned long pfn, unsigned int order)
{
	if (!range_is_free(pfn, order))
		return false;
	set_range(pfn, order, SHIM_KHO);
	return true;
}

void shim_hand_over_subtree(u64 phys, size_t size)
{
	have_subtree = true;
	subtree_phys = phys;
	subtree_size = size;
}

void shim_kexec(void)
{
	unsigned long pfn = 0;

	have_subtree = false;
	if (next_subtree)
		shim_hand_over_subtree(PFN_PHYS(folio_pfn(next_subtree)), PAGE_SIZE);
	next_subtree = NULL;
	while (pfn < SHIM_NR_PAGES) {
		const struct page page = shim_folios[pfn].page;

		set_range(pfn, page.order, page.preserved ? SHIM_KHO : SHIM_FREE);
		pfn += 1UL << page.order;
	}
	nr_until_failure = 0;
}

unsigned int shim_nr_used(void)
{
	unsigned int nr = 0;

	for (unsigned long pfn = 0; pfn < SHIM_NR_PAGES; pfn++)
		nr += shim_folios[pfn].page.state == SHIM_USED;
	return nr;
}

unsigned int shim_nr_preserved(void)
{
	unsigned int nr = 0;

	for (unsigned long pfn = 0; pfn < SHIM_NR_PAGES; pfn++)
		if (shim_folios[pfn].page.preserved)
			nr += 1U << shim_folios[pfn].page.order;
	return nr;
}
