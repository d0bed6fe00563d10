/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of the kernel as its parsers need to be compiled and run in a program: a
 * machine with some pages of memory, KHO, and what looks after both. Included before
 * everything else, see make-headers. kernel.c has the rest.
 *
 * It is stricter than the kernel: what would go unnoticed there ends the program.
 */
#ifndef PRAM_FUZZ_SHIM_KERNEL_H
#define PRAM_FUZZ_SHIM_KERNEL_H

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <linux/types.h>

/* ---- language ------------------------------------------------------------ */

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int32_t s32;
typedef __u64 u64;
typedef __s64 s64;
typedef u64 phys_addr_t;
typedef unsigned int gfp_t;
typedef unsigned long pgoff_t;

#define __init
#define __initdata
#define __user
#define __ro_after_init
#define EXPORT_SYMBOL_GPL(symbol)
#define THIS_MODULE			NULL
#define KUNIT_STATIC_STUB_REDIRECT(...)	do { } while (0)

#define BITS_PER_BYTE		8
#define BITS_PER_LONG		64
#define U64_MAX			(~0ULL)
#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define GENMASK(high, low)	((unsigned long)GENMASK_ULL(high, low))
#define GENMASK_ULL(high, low)	((~0ULL << (low)) & (~0ULL >> (63 - (high))))
#define FIELD_GET(mask, value)	(((value) & (mask)) >> __builtin_ctzll(mask))
#define FIELD_MAX(mask)		((mask) >> __builtin_ctzll(mask))
#define FIELD_PREP(mask, value)	(((u64)(value) << __builtin_ctzll(mask)) & (mask))
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define DIV_ROUND_UP_ULL(n, d)	DIV_ROUND_UP((unsigned long long)(n), d)
#define round_up(n, to)		((((n) - 1) | ((__typeof__(n))(to) - 1)) + 1)
#define round_down(n, to)	((n) & ~((__typeof__(n))(to) - 1))
#define IS_ALIGNED(n, to)	(((n) & ((__typeof__(n))(to) - 1)) == 0)
#define min(a, b)		({ __auto_type _a = (a); __auto_type _b = (b); _a < _b ? _a : _b; })
#define max(a, b)		({ __auto_type _a = (a); __auto_type _b = (b); _a > _b ? _a : _b; })
#define min3(a, b, c)		min(a, min(b, c))
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))
#define ilog2(n)		(63 - __builtin_clzll(n))
#define hweight_long(n)		((unsigned int)__builtin_popcountl(n))
#define order_base_2(n)		((n) > 1 ? ilog2((n) - 1) + 1 : 0)
#define READ_ONCE(x)		(x)
#define WRITE_ONCE(x, value)	((x) = (value))
#define smp_store_release(p, value) (*(p) = (value))
#define offsetofend(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define __stringify(x)		#x
#define swap(a, b)		({ __auto_type _a = (a); (a) = (b); (b) = _a; })
#define no_free_ptr(p)		({ __auto_type _p = (p); (p) = NULL; _p; })

#define CONFIG_TRANSPARENT_HUGEPAGE	1
#define IS_ENABLED(option)	SHIM_ENABLED(option)
#define SHIM_ENABLED(option)	SHIM_IS_ONE(SHIM_ONE_##option)
#define SHIM_IS_ONE(zero_comma)	SHIM_SECOND(zero_comma 1, 0)
#define SHIM_SECOND(ignored, value, ...) value
#define SHIM_ONE_1		0,

#define MAX_ERRNO		4095
#define ERR_PTR(err)		((void *)(long)(err))
#define PTR_ERR(p)		((long)(p))
#define ERR_CAST(p)		((void *)(p))

static inline bool IS_ERR(const void *p)
{
	return (unsigned long)p >= (unsigned long)-MAX_ERRNO;
}

static inline bool IS_ERR_OR_NULL(const void *p)
{
	return !p || IS_ERR(p);
}

static inline int PTR_ERR_OR_ZERO(const void *p)
{
	return IS_ERR(p) ? PTR_ERR(p) : 0;
}

#define S32_MAX			INT32_MAX
#define SZ_64K			0x10000

/* ---- what is not allowed, and what is said ------------------------------- */

#define SHIM_BUG(what)								\
	do {									\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, what);	\
		abort();							\
	} while (0)
#define SHIM_BUG_ON(condition)							\
	do {									\
		if (condition)							\
			SHIM_BUG(#condition);					\
	} while (0)

#define WARN_ON_ONCE(condition)	({ SHIM_BUG_ON(condition); false; })

/* Errors and warnings since shim_reset(). */
extern unsigned int shim_nr_errors;
void shim_print(bool error, const char *format, ...);
#define pr_err(...)			shim_print(true, __VA_ARGS__)
#define DEFINE_RATELIMIT_STATE(name, interval, burst) int name
#define __ratelimit(state)		((void)(state), true)
#define pr_warn(...)			shim_print(true, __VA_ARGS__)
#define pr_info(...)			shim_print(false, __VA_ARGS__)

#define xchg(ptr, value)	__atomic_exchange_n(ptr, value, __ATOMIC_SEQ_CST)

/* ---- bits ---------------------------------------------------------------- */

#define BITS_TO_LONGS(n)	DIV_ROUND_UP(n, BITS_PER_LONG)
#define DECLARE_BITMAP(name, bits) unsigned long name[BITS_TO_LONGS(bits)]

static inline bool test_bit(unsigned long n, const unsigned long *bits)
{
	return bits[n / BITS_PER_LONG] >> n % BITS_PER_LONG & 1;
}

static inline void assign_bit(unsigned long n, unsigned long *bits, bool value)
{
	bits[n / BITS_PER_LONG] &= ~(1UL << n % BITS_PER_LONG);
	bits[n / BITS_PER_LONG] |= (unsigned long)value << n % BITS_PER_LONG;
}

static inline bool test_and_clear_bit(unsigned long n, unsigned long *bits)
{
	bool old = test_bit(n, bits);

	assign_bit(n, bits, false);
	return old;
}

#define set_bit(n, bits)	assign_bit(n, bits, true)
#define __set_bit(n, bits)	assign_bit(n, bits, true)
#define __clear_bit(n, bits)	assign_bit(n, bits, false)

static inline unsigned long find_first_zero_bit(const unsigned long *bits, unsigned long nr)
{
	unsigned long n = 0;

	while (n < nr && test_bit(n, bits))
		n++;
	return n;
}

static inline bool bitmap_empty(const unsigned long *bits, unsigned int nr)
{
	for (unsigned int n = 0; n < nr; n++)
		if (test_bit(n, bits))
			return false;
	return true;
}

/* ---- lists, references, locks -------------------------------------------- */

struct list_head {
	struct list_head	*next, *prev;
};

#define LIST_HEAD_INIT(name)	{ &(name), &(name) }
#define LIST_HEAD(name)		struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list->prev = list;
}

static inline bool list_empty(const struct list_head *list)
{
	return list->next == list;
}

static inline void list_add(struct list_head *new, struct list_head *list)
{
	new->next = list->next;
	new->prev = list;
	list->next->prev = new;
	list->next = new;
}

static inline void list_add_tail(struct list_head *new, struct list_head *list)
{
	list_add(new, list->prev);
}

static inline void list_del(struct list_head *entry)
{
	entry->next->prev = entry->prev;
	entry->prev->next = entry->next;
	entry->next = entry->prev = NULL;
}

static inline void list_del_init(struct list_head *entry)
{
	list_del(entry);
	INIT_LIST_HEAD(entry);
}

#define list_entry(p, type, member) container_of(p, type, member)
#define list_for_each_entry(pos, list, member)					\
	for (pos = list_entry((list)->next, __typeof__(*pos), member);		\
	     &pos->member != (list);						\
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))
#define list_for_each_entry_safe(pos, n, list, member)				\
	for (pos = list_entry((list)->next, __typeof__(*pos), member),		\
	     n = list_entry(pos->member.next, __typeof__(*pos), member);	\
	     &pos->member != (list);						\
	     pos = n, n = list_entry(n->member.next, __typeof__(*n), member))

/* A hash table with one bucket does what one with many does. */
struct hlist_node {
	struct list_head	link;
};

#define DEFINE_HASHTABLE(name, bits)	struct list_head name = LIST_HEAD_INIT(name)
#define hash_add(table, node, key)					\
	((void)(key), list_add(&(node)->link, &(table)))
#define hash_for_each_possible(table, pos, member, key)			\
	(void)(key);							\
	list_for_each_entry(pos, &(table), member.link)

static inline void hash_del(struct hlist_node *node)
{
	list_del(&node->link);
}

/* A tree that nobody balances. */
struct rb_node {
	struct rb_node	*rb_parent, *rb_left, *rb_right;
};

struct rb_root {
	struct rb_node	*rb_node;
};

#define RB_ROOT				((struct rb_root) { NULL })
#define rb_entry(p, type, member)	container_of(p, type, member)

static inline struct rb_node *rb_last(const struct rb_root *root)
{
	struct rb_node *node = root->rb_node;

	while (node && node->rb_right)
		node = node->rb_right;
	return node;
}

static inline void rb_link_node(struct rb_node *node, struct rb_node *parent,
				struct rb_node **link)
{
	*node = (struct rb_node){ .rb_parent = parent };
	*link = node;
}

static inline void rb_insert_color(struct rb_node *node, struct rb_root *root)
{
	(void)node;
	(void)root;
}

static inline void rb_replace(struct rb_node *node, struct rb_node *by,
			      struct rb_root *root)
{
	if (!node->rb_parent)
		root->rb_node = by;
	else if (node->rb_parent->rb_left == node)
		node->rb_parent->rb_left = by;
	else
		node->rb_parent->rb_right = by;
	if (by)
		by->rb_parent = node->rb_parent;
}

static inline void rb_erase(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *first = node->rb_right;

	if (!first) {
		rb_replace(node, node->rb_left, root);
		return;
	}
	/* What was on the left comes below the first of those on the right. */
	rb_replace(node, first, root);
	while (first->rb_left)
		first = first->rb_left;
	first->rb_left = node->rb_left;
	if (node->rb_left)
		node->rb_left->rb_parent = first;
}

struct kref {
	unsigned int	count;
};

static inline void kref_init(struct kref *ref)
{
	ref->count = 1;
}

static inline void kref_get(struct kref *ref)
{
	SHIM_BUG_ON(!ref->count);
	ref->count++;
}

static inline void kref_put(struct kref *ref, void (*release)(struct kref *ref))
{
	SHIM_BUG_ON(!ref->count);
	if (!--ref->count)
		release(ref);
}

struct mutex {
	bool	held;
};

typedef struct mutex spinlock_t;

#define DEFINE_MUTEX(name)	struct mutex name
#define mutex_init(mutex)	((mutex)->held = false)
#define spin_lock_init(lock)	((lock)->held = false)
#define lockdep_assert_held(mutex) SHIM_BUG_ON(!(mutex)->held)

static inline void mutex_lock(struct mutex *mutex)
{
	SHIM_BUG_ON(mutex->held);
	mutex->held = true;
}

static inline bool mutex_trylock(struct mutex *mutex)
{
	bool got = !mutex->held;

	mutex->held = true;
	return got;
}

static inline void mutex_unlock(struct mutex *mutex)
{
	SHIM_BUG_ON(!mutex->held);
	mutex->held = false;
}

static inline void shim_unguard(struct mutex *const *mutex)
{
	mutex_unlock(*mutex);
}

#define guard(kind)		SHIM_GUARD
#define SHIM_GUARD(p)								\
	__attribute__((cleanup(shim_unguard), unused))				\
	struct mutex *const SHIM_NAME(__LINE__) =				\
		({ struct mutex *_m = (p); mutex_lock(_m); _m; })
#define SHIM_NAME(line)		SHIM_PASTE(shim_guard_, line)
#define SHIM_PASTE(a, b)	a##b

struct shim_scope {
	struct mutex	*mutex;
	bool		more;
};

static inline void shim_end_scope(struct shim_scope *scope)
{
	mutex_unlock(scope->mutex);
}

#define scoped_guard(kind, p)							\
	for (struct shim_scope _s __attribute__((cleanup(shim_end_scope))) =	\
		     ({ struct mutex *_m = (p); mutex_lock(_m);			\
			(struct shim_scope){ _m, true }; });			\
	     _s.more; _s.more = false)

/* ---- memory of the kernel itself ----------------------------------------- */

#define GFP_KERNEL		1U
#define __GFP_ZERO		2U
#define __GFP_MOVABLE		4U
#define __GFP_HIGHMEM		8U
#define __GFP_NOFAIL		16U
#define __GFP_NORETRY		32U
#define __GFP_NOWARN		64U
#define __GFP_RETRY_MAYFAIL	128U
#define GFP_HIGHUSER_MOVABLE	(GFP_KERNEL | __GFP_HIGHMEM | __GFP_MOVABLE)

/* The allocation with this number fails, counted from 1; 0: none does. */
void shim_fail_allocation(unsigned int number);
/* How many have failed since shim_reset(), for this reason or for lack of pages. */
extern unsigned int shim_nr_failures;
/* Is this allocation to fail? */
bool shim_fails(gfp_t gfp);

void *shim_alloc(size_t size, gfp_t gfp);
void *shim_realloc(void *p, size_t size, gfp_t gfp);
void kfree(const void *p);
#define kvfree(p)			kfree(p)
#define vzalloc(size)			shim_alloc(size, GFP_KERNEL)
#define kvmalloc(size, gfp)		shim_alloc(size, gfp)
#define kvcalloc(nr, size, gfp)		shim_alloc(array_size(nr, size), gfp)
#define kvrealloc(p, size, gfp)		shim_realloc(p, size, gfp)
#define kzalloc_obj(object, ...)	shim_alloc(sizeof(object), SHIM_GFP(__VA_ARGS__))
#define SHIM_GFP(...)			SHIM_SECOND(ignored, ##__VA_ARGS__, GFP_KERNEL)

static inline size_t array_size(size_t nr, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(nr, size, &bytes) ? SIZE_MAX : bytes;
}

/* ---- xarrays: few entries, so they are looked for one by one -------------- */

struct xarray {
	size_t	nr;
	struct shim_entry {
		unsigned long	index;
		void		*value;
	} *entries;
};

#define DEFINE_XARRAY(name)	struct xarray name
#define xa_init(xa)		(*(xa) = (struct xarray){ 0 })
#define xa_empty(xa)		(!(xa)->nr)
#define xa_err(p)		PTR_ERR_OR_ZERO(p)
#define xa_mk_value(n)		((void *)((unsigned long)(n) << 1 | 1))
#define xa_to_value(p)		((unsigned long)(p) >> 1)
void *xa_load(struct xarray *xa, unsigned long index);
void *xa_store(struct xarray *xa, unsigned long index, void *value, gfp_t gfp);
void *xa_erase(struct xarray *xa, unsigned long index);
void xa_destroy(struct xarray *xa);
#define xa_store_irq		xa_store

/* ---- pages ---------------------------------------------------------------- */

#define PAGE_SHIFT		12
#define PAGE_SIZE		4096UL
#define PAGE_ALIGNED(n)		IS_ALIGNED((u64)(n), PAGE_SIZE)
#define PHYS_PFN(phys)		((unsigned long)((phys) >> PAGE_SHIFT))
#define PFN_PHYS(pfn)		((u64)(pfn) << PAGE_SHIFT)
#define PMD_ORDER		9
#define MAX_PAGE_ORDER		10
#define MAX_LFS_FILESIZE	((loff_t)LLONG_MAX)

/* The machine's memory. */
#define SHIM_NR_PAGES		128

enum shim_frame {
	SHIM_FREE,
	SHIM_KHO,		/* came with this boot, nobody has taken it over */
	SHIM_USED,
};

struct page {
	enum shim_frame	state;
	unsigned int	order;		/* of a folio that begins here */
	unsigned int	refs;
	bool		tail;
	bool		preserved;	/* for the next boot */
};

struct folio {
	struct page	page;
	void		*mapping;
};

extern struct folio shim_folios[SHIM_NR_PAGES];
extern const unsigned long max_pfn, max_possible_pfn;

static inline struct folio *pfn_folio(unsigned long pfn)
{
	SHIM_BUG_ON(pfn >= SHIM_NR_PAGES);
	return &shim_folios[pfn];
}

static inline unsigned long folio_pfn(const struct folio *folio)
{
	return folio - shim_folios;
}

void *folio_address(struct folio *folio);
struct folio *virt_to_folio(const void *p);
u64 virt_to_phys(const void *p);
void *phys_to_virt(u64 phys);
struct page *pfn_to_online_page(unsigned long pfn);
int copy_from_kernel_nofault(void *to, const void *from, size_t size);
struct folio *folio_alloc(gfp_t gfp, unsigned int order);
void folio_get(struct folio *folio);
void folio_put(struct folio *folio);

static inline unsigned int folio_order(const struct folio *folio)
{
	SHIM_BUG_ON(folio->page.state != SHIM_USED || folio->page.tail);
	return folio->page.order;
}

#define folio_nr_pages(folio)	(1L << folio_order(folio))
#define folio_size(folio)	(PAGE_SIZE << folio_order(folio))
#define folio_test_large(folio)	(folio_order(folio) > 0)
#define folio_page(folio, n)	(&shim_folios[folio_pfn(folio) + (n)].page)
#define folio_mapped(folio)	((void)(folio), false)
#define folio_test_lru(folio)	((void)(folio), false)
#define folio_add_lru(folio)	((void)(folio))
#define folio_test_anon(folio)	((void)(folio), false)
#define folio_trylock(folio)	((void)(folio), true)
void folio_unlock(struct folio *folio);
#define folio_contain_hwpoisoned_page(folio) ((void)(folio), false)
#define folio_is_longterm_pinnable(folio) ((void)(folio), true)

static inline struct page *pfn_to_page(unsigned long pfn)
{
	return &pfn_folio(pfn)->page;
}

static inline unsigned long page_to_pfn(const struct page *page)
{
	return (const struct folio *)page - shim_folios;
}

static inline struct folio *page_folio(struct page *page)
{
	struct folio *folio = (struct folio *)page;

	while (folio->page.tail)
		folio--;
	return folio;
}

#define page_address(page)	folio_address((struct folio *)(page))
void copy_highpage(struct page *to, struct page *from);
#define copy_mc_highpage(to, from) (copy_highpage(to, from), 0)
#define PageHWPoison(page)	((void)(page), false)

void folio_zero_range(struct folio *folio, size_t start, size_t len);
void folio_copy(struct folio *to, struct folio *from);

struct iov_iter {
	char	*buf;
	size_t	count;
};

struct kvec {
	void	*iov_base;
	size_t	iov_len;
};

#define iov_iter_count(iter)	((iter)->count)
size_t copy_folio_to_iter(struct folio *folio, size_t offset, size_t n, struct iov_iter *to);
size_t copy_folio_from_iter(struct folio *folio, size_t offset, size_t n,
			    struct iov_iter *from);
void iov_iter_revert(struct iov_iter *iter, size_t n);

u32 crc32c(u32 crc, const void *data, size_t size);

/* ---- KHO ------------------------------------------------------------------ */

struct kho_range {
	unsigned long pfn;
	unsigned long mask;
	unsigned int order;
};

bool kho_is_enabled(void);
int kho_retrieve_subtree(const char *name, phys_addr_t *phys, size_t *size);
int kho_add_subtree(const char *name, void *page, size_t size);
bool kho_can_restore(phys_addr_t phys);
struct folio *kho_restore_folio(phys_addr_t phys);
unsigned int kho_restore_ranges(const struct kho_range *ranges, unsigned int nr);
int kho_preserve_folio(struct folio *folio);
void kho_unpreserve_folio(struct folio *folio);

int kho_preserve_ranges(const struct kho_range *ranges, unsigned int nr);
void kho_unpreserve_ranges(const struct kho_range *ranges, unsigned int nr);

/* A machine without memory in use and without anything handed over. */
void shim_reset(void);
/* The last kernel has preserved a folio. False if it does not lie in free memory. */
bool shim_hand_over(unsigned long pfn, unsigned int order);
/* And says that the sub tree is here. */
void shim_hand_over_subtree(u64 phys, size_t size);
/* As a kexec does it: what is preserved is handed over, all else is free. */
void shim_kexec(void);
/* Pages that are neither free nor still KHO's. */
unsigned int shim_nr_used(void);
/* Pages that the next boot would get. */
unsigned int shim_nr_preserved(void);
/* Memory of a page, whatever its state. */
uint8_t *shim_memory(unsigned long pfn);

/* ---- what never happens here ---------------------------------------------- */

struct notifier_block {
	int (*notifier_call)(struct notifier_block *nb, unsigned long action, void *data);
};

#define NOTIFY_DONE			0
#define register_reboot_notifier(nb)	((void)(nb), 0)
#define unregister_reboot_notifier(nb)	((void)(nb))
#define msleep(ms)			((void)(ms))
#define cond_resched()			((void)0)
#define fatal_signal_pending(task)	false

#endif /* PRAM_FUZZ_SHIM_KERNEL_H */
