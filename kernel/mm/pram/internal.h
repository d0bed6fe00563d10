/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of PRAM share. The interface for others is <linux/pram.h>. */
#ifndef _MM_PRAM_INTERNAL_H
#define _MM_PRAM_INTERNAL_H

#include <linux/bitfield.h>
#include <linux/kho/abi/pram.h>
#include <linux/init.h>
#include <linux/kexec_handover.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/pram.h>
#include <linux/rbtree.h>
#include <linux/uio.h>

struct address_space;
struct file;
struct inode;
struct mm_struct;
struct pram_dir;
struct pram_family;
struct vm_area_struct;

/**
 * struct pram_node - a node, in this boot
 * @link: in the list of nodes, which is sorted by @id. Under pram_lock.
 * @by_name: among the nodes of a hash of @name. Under pram_lock.
 * @by_id: in a tree of all nodes. Under pram_lock.
 * @ref: one for the list, one for each stream, one for each read under way.
 * @lock: protects the data below while the node is being saved. A committed
 *	node never changes, so nothing is locked to read it.
 * @id: see &struct pram_node_stat.
 * @type: PRAM_*_STREAM; 0 if the node is too damaged to tell.
 * @flags: PRAM_NODE_* properties.
 * @state: PRAM_NODE_SAVING and so on. Under pram_lock.
 * @ending: a transaction under way frees the node. Under pram_lock.
 * @preserved: KHO knows the node's folios. False while a node that came with
 *	this boot lacks the memory for it, once the node is off the list, and once
 *	the machine reboots.
 * @forgotten: KHO knows none of the node's pages, its metadata neither.
 * @exempt: the limit on what nodes hold does not concern it.
 * @dir: directory page that has a place for the node. Under pram_lock.
 * @slot: the place, an index in @dir.
 * @ser: the node page; NULL if it came damaged.
 * @maps: the map pages, in order.
 * @nr_maps: used elements of @maps.
 * @max_maps: elements that @maps has room for.
 * @bytes: length of the data in bytes.
 * @nr_pages: pages of the data folios.
 * @nr_folios: data folios.
 * @adopted_pages: of @nr_pages, those not copied.
 * @verified: a bit for each folio whose checksum has been verified; NULL if
 *	the data has no checksums or was not loaded yet.
 * @reported: the log has said that some of the data is damaged.
 * @mappings_lock: protects @mappings, and no two map a page at the same time.
 * @mappings: where a load has mapped folios; see map.c.
 * @holds_shmem: folios of the page cache are, or were, the node's; see shmem.c.
 * @holds_hugetlb: so are, or were, folios of hugetlb of this kernel; see hugetlb.c.
 * @files: those that it has them from, as long as they are kept.
 * @name: the node's name; empty if too damaged to tell.
 */
struct pram_node {
	struct list_head	link;
	struct hlist_node	by_name;
	struct rb_node		by_id;
	struct kref		ref;
	struct mutex		lock;
	u64			id;
	u32			type;
	u32			flags;
	u32			state;
	bool			ending;
	bool			preserved;
	bool			forgotten;
	bool			exempt;
	struct pram_dir		*dir;
	unsigned int		slot;
	struct pram_node_ser	*ser;
	struct pram_map_ser	**maps;
	u64			nr_maps;
	u64			max_maps;
	u64			bytes;
	u64			nr_pages;
	u64			nr_folios;
	u64			adopted_pages;
	unsigned long		*verified;
	bool			reported;
	struct mutex		mappings_lock;
	struct list_head	mappings;
	bool			holds_shmem;
	bool			holds_hugetlb;
	struct list_head	files;
	char			name[PRAM_NAME_MAX];
};

/* stats.c */

/* Why a page was copied when saved, rather than taken over. */
enum pram_copy_reason {
	PRAM_COPY_NOT,			/* it was not */
	PRAM_COPY_WRITTEN,		/* written: there was no page to take */
	PRAM_COPY_ASKED,		/* PRAM_SAVE_COPY */
	PRAM_COPY_SCRATCH,		/* where no node may have it: pram_in_scratch() */
	PRAM_COPY_PARTIAL,		/* of a large folio that is mapped and held whole */
	PRAM_COPY_FILE,			/* in the page cache of a file */
	PRAM_COPY_SHMEM,		/* in the page cache of shared memory */
	PRAM_COPY_HUGETLB,		/* hugetlb's, of tasks that may run on, say */
	PRAM_COPY_KSM,			/* merged by KSM */
	PRAM_COPY_PINNED,		/* pinned, so it may be written to by DMA */
	PRAM_COPY_SWAPPED,		/* swapped out again all the time */
	PRAM_COPY_SPECIAL,		/* the zero page, the vDSO, no user's page */
	PRAM_NR_COPY_REASONS,
};

enum pram_counter {
	PRAM_PAGES_ADOPTED,
	PRAM_PAGES_SHARED,		/* of these, in another node already */
	PRAM_PAGES_MIGRATED,		/* of these, first moved out of scratch */
	PRAM_PAGES_EVACUATED,		/* moved out of scratch before a save */
	PRAM_PAGES_SPLIT,		/* off large folios, to be adopted in part */
	PRAM_PAGES_COPIED,		/* for all reasons together */
	PRAM_PAGES_MAPPED,
	PRAM_PAGES_SAME,		/* of a family, mapped already */
	PRAM_PAGES_REUSED,		/* made writable in place when finished */
	PRAM_PAGES_INSERTED,		/* in a file of shmem, not copied */
	PRAM_PAGES_COPIED_ON_LOAD,
	PRAM_PAGES_COPIED_ON_TOUCH,	/* of files, by those who may write to them */
	PRAM_BYTES_SAVED,
	PRAM_BYTES_LOADED,
	PRAM_CHECKSUM_ERRORS,
	PRAM_DATA_PAGES,		/* held now */
	PRAM_META_PAGES,		/* held now */
	PRAM_COPIED_BY_REASON,		/* one for each enum pram_copy_reason */
	PRAM_NR_COUNTERS = PRAM_COPIED_BY_REASON + PRAM_NR_COPY_REASONS,
};

void pram_count(enum pram_counter counter, s64 n);
u64 pram_counter_read(enum pram_counter counter);
int pram_stats_init(void);

/* limit.c */

/* More pages than there can be, even if somebody adds some. */
#define PRAM_NO_LIMIT		((unsigned long)LONG_MAX >> PAGE_SHIFT)

int pram_charge(unsigned long nr, bool exempt);
void pram_uncharge(unsigned long nr);
u64 pram_held_bytes(void);
u64 pram_max_bytes(void);
bool pram_memory_is_short(unsigned long nr);
void pram_set_max(unsigned long max);
int pram_parse_max(const char *text, unsigned long *max);
void pram_log_full(const char *name);
void __init pram_limit_init(void);

/* Pages of folios that were appended with %PRAM_ENTRY_ADOPTED. */
static inline void pram_count_adopted(u64 pages)
{
	pram_count(PRAM_PAGES_ADOPTED, pages);
	pram_count(PRAM_DATA_PAGES, pages);
	pram_count(PRAM_BYTES_SAVED, pages << PAGE_SHIFT);
}

static inline void pram_count_copied(enum pram_copy_reason reason, s64 pages)
{
	pram_count(PRAM_PAGES_COPIED, pages);
	pram_count(PRAM_COPIED_BY_REASON + reason, pages);
}

/* node.c */
extern struct mutex pram_lock;
extern struct list_head pram_nodes;
extern bool pram_closed;

struct pram_node *pram_node_alloc(gfp_t gfp);
void pram_node_link(struct pram_node *node);
void pram_node_put(struct pram_node *node);
void pram_node_put_list(struct list_head *nodes);
void pram_node_unlink(struct pram_node *node);
void pram_node_forget(struct pram_node *node);
struct pram_node *pram_node_find(const char *name, bool committed);
int pram_stat_next(u64 after_id, struct pram_node_stat *stat);
int pram_free_id(u64 id);
void pram_count_nodes(u64 *nr_nodes, u64 *nr_broken);

/* stream.c */
int pram_begin_save(struct pram_stream *ps, const char *name, u32 type,
		    u32 flags, bool exempt, gfp_t gfp);
struct pram_node *pram_stream_read_begin(struct pram_stream *ps);
struct pram_node *pram_stream_write_begin(struct pram_stream *ps,
					  bool sealed_too);
void pram_stream_write_end(struct pram_node *node);

/* data.c */
struct folio *pram_data_alloc(unsigned int order, bool exempt, gfp_t gfp);
struct folio *pram_data_alloc_upto(unsigned int order, bool exempt, gfp_t gfp);
u64 pram_map_capacity(u32 flags);
int pram_data_add_map(struct pram_node *node, struct pram_map_ser *map,
		      gfp_t gfp);
int pram_data_add(struct pram_node *node, const u64 *entries, unsigned int nr,
		  gfp_t gfp, unsigned int *added);
int pram_data_add_folio(struct pram_node *node, struct folio *folio, u64 flags,
			gfp_t gfp);
ssize_t pram_data_append(struct pram_node *node, struct iov_iter *from,
			 bool may_adopt, gfp_t gfp);
ssize_t pram_data_read(struct pram_node *node, loff_t pos, struct iov_iter *to);
int pram_data_seal(struct pram_node *node);
int pram_data_prepare_verify(struct pram_node *node);
int pram_data_preserve(struct pram_node *node);
void pram_data_forget(struct pram_node *node);
void pram_data_uncharge(struct pram_node *node);
void pram_data_free(struct pram_node *node);

/*
 * In the entry of a node that is off the list: the node's reference to the folio
 * is gone. Never in what is handed over.
 */
#define PRAM_ENTRY_GONE		BIT_ULL(63)

/**
 * struct pram_found - a data folio of a node and where it was found
 * @node: the node; NULL if nothing was found yet.
 * @folio: the folio.
 * @entry: its entry, see PRAM_ENTRY_*, as it was then.
 * @where: where the entry is.
 * @map: in which map page that is.
 * @first_page: the first page, counted from the start of the node.
 * @index: the folio itself, counted likewise.
 * @offset: the first page of the node's in the folio.
 * @nr: pages that the node has of it.
 */
struct pram_found {
	struct pram_node	*node;
	struct folio		*folio;
	u64			entry;
	u64			*where;
	u64			map;
	u64			first_page;
	u64			index;
	unsigned int		offset;
	unsigned int		nr;
};

bool pram_data_is_shared(struct pram_node *node);
int pram_data_look(struct pram_node *node, u64 page, struct pram_found *found);
int pram_data_find(struct pram_node *node, u64 page, struct pram_found *found);

/* Has the node only a part of the folio here? */
static inline bool pram_found_part(const struct pram_found *found)
{
	return found->entry & PRAM_ENTRY_PART;
}

/* Go on to the last one of @nr entries for single pages, of which it is the first. */
static inline void pram_found_skip(struct pram_found *found, unsigned long nr)
{
	found->where += nr - 1;
	found->first_page += nr - 1;
	found->index += nr - 1;
}

static inline bool pram_found_gone(const struct pram_found *found)
{
	return found->entry & PRAM_ENTRY_GONE;
}

/* frames.c */
int pram_frames_get(u64 *entries, unsigned int nr, bool exempt);
int pram_frames_get_again(const u64 *entries, unsigned int nr, bool *preserved);
void pram_frames_put(const u64 *entries, unsigned int nr);
int pram_frames_preserve(const u64 *entries, unsigned int nr);
void pram_frames_unpreserve(const u64 *entries, unsigned int nr);
bool pram_frame_known(unsigned long pfn);
unsigned long pram_frame_holders(struct folio *folio);
bool pram_frame_is_shared(struct folio *folio);
bool pram_frames_are_shared(void);
void pram_frame_set_off_lru(struct folio *folio);
bool pram_frame_clear_off_lru(struct folio *folio);
int __init pram_frames_init(void);

/* transfer.c */
int pram_node_adopt(struct pram_node *node, const u64 *entries, unsigned int nr,
		    gfp_t gfp);
int pram_save_entries(struct pram_stream *ps, const u64 *entries, unsigned int nr);
int pram_save_copy(struct pram_stream *ps, struct folio *folio,
		   unsigned long first, unsigned long nr,
		   enum pram_copy_reason reason, unsigned long *done);
int pram_load_look(struct pram_stream *ps, struct pram_found *found);
void pram_load_done(struct pram_stream *ps, u64 pages);

/* hotplug.c */
extern bool pram_memory_was_added;

bool pram_frame_at_boot(unsigned long pfn);
struct folio *pram_folio_alloc(gfp_t gfp, unsigned int order);

/*
 * May a node not have a folio where it is? KHO's scratch areas are CMA; the next kernel
 * is loaded there. From other CMA and ZONE_MOVABLE memory must always be able to leave,
 * and a node keeps its folios for as long as it likes. Memory that was added since the
 * boot the next kernel does not have.
 */
static inline bool pram_in_scratch(struct folio *folio)
{
	return !folio_is_longterm_pinnable(folio) ||
	       (READ_ONCE(pram_memory_was_added) &&
		!pram_frame_at_boot(folio_pfn(folio)));
}

/* adopt.c */
void pram_migrate_isolated(struct list_head *isolated, enum pram_counter counter);
int pram_append_copy(struct pram_stream *ps, struct pram_node *node,
		     struct page *page, unsigned int nr,
		     enum pram_copy_reason reason);
int pram_append_entries(struct pram_stream *ps, struct pram_node *node,
			const u64 *entries, unsigned int nr);
struct pram_node *pram_adopt_begin(struct pram_stream *ps);
void pram_adopt_end(struct file *file, struct pram_node *node, int err);
int pram_adopt_ranges(struct file *file, struct mm_struct *mm,
		      const struct pram_range *ranges, unsigned int nr,
		      u64 *pages);

/**
 * struct pram_present - what was found in a range of a task's memory, and taken
 * @ranges: that, neighbours as one.
 * @nr: how many.
 * @max: how many there may be.
 * @last_end: the end of the last one.
 */
struct pram_present {
	struct pram_range	*ranges;
	unsigned int		nr;
	unsigned int		max;
	unsigned long		last_end;
};

int pram_adopt_present(struct file *file, struct mm_struct *mm, u64 *start, u64 end,
		       struct pram_present *found, u64 *pages);

/* evacuate.c */
void pram_evacuate_scratch(void);

/* exit.c */
void pram_exit_hold(const void *opener, struct mm_struct *mm);
void pram_exit_let_go(const void *opener);
void pram_exit_flush(void);
int __init pram_exit_init(void);

/* map.c */
void pram_take_off_lru(struct folio *folio);
void pram_retire_folios(struct folio **folios, unsigned int nr);
bool pram_folio_reset(struct folio *folio);
bool pram_folio_reset_patiently(struct folio *folio, unsigned int *patience);
struct folio *pram_fresh_folio(const struct pram_node *node, bool shared, u64 entry);
void pram_add_lru_list(struct list_head *list);
ssize_t pram_map_iter(struct pram_stream *ps, struct pram_node *node, loff_t pos,
		      struct iov_iter *to);
int pram_map_range(struct pram_stream *ps, struct pram_node *node,
		   struct pram_ioctl_map *map);
void pram_queue_split(struct folio *folio);
void pram_map_finish(struct pram_node *node);
void pram_map_drop(struct pram_node *node);

/* shmem.c */
void pram_shmem_keep(struct pram_node *node, struct file *file);
void pram_shmem_account(struct folio *folio, long nr);
void pram_shmem_placed(struct folio *new);

/* shmem_save.c */
unsigned int pram_counted_alike(struct folio **folios, unsigned int nr);
void pram_shmem_remove(struct address_space *mapping, struct folio **folios,
		       unsigned int nr, bool window);

/* unmap.c */

/* Each region that maps pages of a file; with its i_mmap_rwsem. */
#ifdef mapping_rmap_tree_foreach
#define pram_for_each_vma(vma, mapping, first, last)	\
	mapping_rmap_tree_foreach(vma, mapping, first, last)
#else
#define pram_for_each_vma(vma, mapping, first, last)	\
	vma_interval_tree_foreach(vma, &(mapping)->i_mmap, first, last)
#endif

void pram_unmap_file(struct address_space *mapping, pgoff_t start, pgoff_t nr);

/* shmem_load.c */
int pram_shmem_insert(struct inode *inode, pgoff_t index, struct folio *folio,
		      struct mm_struct *mm, bool written);
long pram_shmem_insert_fresh(const struct pram_found *found, struct inode *inode,
			     pgoff_t index, u64 max, struct mm_struct *mm,
			     bool written);
#ifdef CONFIG_SHMEM
void pram_shmem_hold(struct pram_node *node);
void pram_shmem_let_go(struct pram_node *node);
void pram_shmem_committed(struct pram_node *node);
void pram_shmem_settle(void);
int pram_adopt_file(struct file *stream, struct file *file,
		    const struct pram_range *ranges, unsigned int nr, u64 *pages);
bool pram_vma_is_shmem(struct vm_area_struct *vma);
long pram_shmem_load(struct pram_node *node, struct pram_found *found,
		     struct vm_area_struct *vma, unsigned long addr,
		     unsigned long end, u64 page, unsigned int *patience,
		     u64 *copy);
#else
static inline void pram_shmem_hold(struct pram_node *node)
{
}

static inline void pram_shmem_let_go(struct pram_node *node)
{
}

static inline void pram_shmem_committed(struct pram_node *node)
{
}

static inline void pram_shmem_settle(void)
{
}

static inline int pram_adopt_file(struct file *stream, struct file *file,
				  const struct pram_range *ranges,
				  unsigned int nr, u64 *pages)
{
	return -EINVAL;
}

static inline bool pram_vma_is_shmem(struct vm_area_struct *vma)
{
	return false;
}

static inline long pram_shmem_load(struct pram_node *node,
				   struct pram_found *found,
				   struct vm_area_struct *vma,
				   unsigned long addr, unsigned long end,
				   u64 page, unsigned int *patience, u64 *copy)
{
	return 0;
}
#endif

/* hugetlb.c */
#if defined(CONFIG_HUGETLB_PAGE) && defined(CONFIG_SHMEM)
void pram_hugetlb_hold(struct pram_node *node);
enum pram_copy_reason pram_hugetlb_reason(const struct pram_stream *ps,
					  struct folio *folio);
int pram_adopt_hugetlb(struct pram_stream *ps, struct pram_node *node,
		       struct file *file, pgoff_t index, pgoff_t end);
void pram_hugetlb_refill(void);
#else
static inline void pram_hugetlb_hold(struct pram_node *node)
{
}

static inline enum pram_copy_reason
pram_hugetlb_reason(const struct pram_stream *ps, struct folio *folio)
{
	return PRAM_COPY_HUGETLB;
}

static inline int pram_adopt_hugetlb(struct pram_stream *ps, struct pram_node *node,
				     struct file *file, pgoff_t index, pgoff_t end)
{
	return -EINVAL;
}

static inline void pram_hugetlb_refill(void)
{
}
#endif

/* family.c */
struct pram_family *pram_family_alloc(void);
void pram_family_put(struct pram_family *family);
struct pram_family *pram_family_join(struct pram_family *family);
void pram_family_leave(struct pram_family *family);
int pram_family_prepare(struct pram_family *family, struct vm_area_struct *vma);

/* May pages of this stream be taken over? */
static inline bool pram_may_adopt(const struct pram_stream *ps,
				  const struct pram_node *node)
{
	return node->type == PRAM_PAGE_STREAM && !(ps->flags & PRAM_SAVE_COPY);
}

/* An entry for @nr pages of a folio, from @page on. */
static inline u64 pram_entry(struct folio *folio, struct page *page,
			     unsigned int nr, u64 flags)
{
	if (nr != folio_nr_pages(folio))
		flags |= PRAM_ENTRY_PART | FIELD_PREP(PRAM_ENTRY_PAGES, nr - 1);
	return FIELD_PREP(PRAM_ENTRY_PFN, page_to_pfn(page)) |
	       FIELD_PREP(PRAM_ENTRY_ORDER, folio_order(folio)) | flags;
}

/* The frame where the folio of an entry begins. */
static inline unsigned long pram_entry_pfn(u64 entry)
{
	return round_down(FIELD_GET(PRAM_ENTRY_PFN, entry),
			  1ULL << FIELD_GET(PRAM_ENTRY_ORDER, entry));
}

static inline struct folio *pram_entry_folio(u64 entry)
{
	return pfn_folio(pram_entry_pfn(entry));
}

/* How many pages of its folio an entry is for. */
static inline u64 pram_entry_pages(u64 entry)
{
	if (entry & PRAM_ENTRY_PART)
		return FIELD_GET(PRAM_ENTRY_PAGES, entry) + 1;
	return 1ULL << FIELD_GET(PRAM_ENTRY_ORDER, entry);
}

/* The pages of @nr entries. Most are for single pages. */
static inline u64 pram_entries_pages(const u64 *entries, unsigned int nr)
{
	u64 pages = nr;

	for (unsigned int i = 0; i < nr; i++)
		if (entries[i] & (PRAM_ENTRY_ORDER | PRAM_ENTRY_PART))
			pages += pram_entry_pages(entries[i]) - 1;
	return pages;
}

/**
 * struct pram_near - entries of folios that are near each other: one struct kho_range
 *	can be for all of them
 * @first: the first of these entries.
 * @same: the bits that are the same in all of them.
 * @within: the bits that say which folio of the range it is.
 * @order: of the folios.
 */
struct pram_near {
	u64		first;
	u64		same;
	u64		within;
	unsigned int	order;
};

/* No entry is near. */
#define PRAM_NEAR_NONE	((struct pram_near){ .first = ~0ULL, .same = ~0ULL })

static inline bool pram_is_near(const struct pram_near *near, u64 entry)
{
	return !((entry ^ near->first) & near->same);
}

/* An entry for which pram_is_near() is not true: begin with it, and an empty range. */
static inline void pram_near_begin(struct pram_near *near, u64 entry,
				   struct kho_range *range)
{
	near->order = FIELD_GET(PRAM_ENTRY_ORDER, entry);
	near->first = entry;
	near->within = (BITS_PER_LONG - 1ULL) << near->order;
	near->same = PRAM_ENTRY_ORDER |
		     (PRAM_ENTRY_PFN & ~(((u64)BITS_PER_LONG << near->order) - 1));
	range->pfn = entry & near->same & PRAM_ENTRY_PFN;
	range->order = near->order;
	range->mask = 0;
}

/* The bit of an entry's folio in the mask of the range. */
static inline unsigned long pram_near_bit(const struct pram_near *near, u64 entry)
{
	return BIT((entry & near->within) >> near->order);
}

/* meta.c */
void *pram_meta_alloc(bool exempt, gfp_t gfp);
void pram_meta_free(void *page);
void pram_meta_forget(void *page);
void pram_meta_stamp(void *page, u64 magic);
int pram_meta_check(void *page, u64 magic);
int pram_meta_look(u64 phys, u64 magic, void **page);
int pram_meta_find(u64 phys, u64 magic, const char *what, void **page);
struct folio *pram_kho_take(phys_addr_t phys);
struct folio *pram_meta_take(void *page);
int pram_meta_restore(void *page);

/* handover.c */
extern struct pram_super_ser *pram_super;
extern u64 pram_kexec_count;
extern u64 pram_lost_pages;

int pram_slot_get(struct pram_node *node);
void pram_slot_put(struct pram_node *node);
void pram_slot_publish(struct pram_node *node);
int __init pram_handover_init(void);

/* reboot.c */
int pram_kexec_ready(void);
int __init pram_reboot_init(void);
void __init pram_tell_unclaimed(void);

/* file.c */
extern const struct file_operations pram_stream_fops;
int pram_stream_open_save(const char *name, u32 type, u32 flags,
			  struct file **file);
int pram_stream_open_load(const char *name, u32 type, u32 flags,
			  struct pram_family *family, struct file **file);
struct pram_stream *pram_stream_of_file(struct file *file);

/* tmpfs.c */
unsigned int pram_tmpfs_nr_writable(void);

/* corrupt.c */
#ifdef CONFIG_PRAM_CORRUPT
void pram_corrupt_handover(void);
bool pram_corrupt_pass_over(void);
#else
static inline void pram_corrupt_handover(void)
{
}

static inline bool pram_corrupt_pass_over(void)
{
	return false;
}
#endif

/* dev.c */
int __init pram_dev_init(void);

#endif /* _MM_PRAM_INTERNAL_H */
