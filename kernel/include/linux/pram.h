/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PRAM: named nodes of pages or bytes that survive kexec. Interface for the
 * rest of the kernel; see Documentation/mm/pram.rst.
 */
#ifndef _LINUX_PRAM_H
#define _LINUX_PRAM_H

#include <linux/gfp_types.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <uapi/linux/pram.h>

struct folio;
struct page;
struct pram_family;
struct pram_node;

/* Flags of a page in a page stream. */
#define PRAM_PAGE_LRU		(1U << 0)	/* goes back on the LRU */

enum pram_stream_state {
	PRAM_STREAM_CLOSED,	/* not prepared */
	PRAM_STREAM_SAVING,	/* can be written */
	PRAM_STREAM_SEALED,	/* written, not yet committed */
	PRAM_STREAM_LOADING,	/* can be read */
	PRAM_STREAM_PEEKING,	/* can be read, not finished */
	PRAM_STREAM_ENDED,	/* committed, finished or discarded */
};

/**
 * struct pram_stream - an open stream; its members are PRAM's own
 * @node: the node, referenced.
 * @state_lock: protects @state.
 * @state: what can be done with the stream.
 * @gfp: how memory for this stream is allocated.
 * @flags: PRAM_SAVE_* or PRAM_LOAD_* flags.
 * @next_page: where pram_load_folio() continues, in pages.
 * @next_byte: where pram_read() continues, in bytes.
 * @ending: the stream is listed in the transaction under way.
 * @family: the family that shares mapped pages; NULL if the node shares none.
 * @mm: the task whose pages were taken last, with a reference by mmgrab(); NULL. Under
 *	@state_lock.
 */
struct pram_stream {
	struct pram_node	*node;
	spinlock_t		state_lock;
	enum pram_stream_state	state;
	gfp_t			gfp;
	u32			flags;
	u64			next_page;
	loff_t			next_byte;
	bool			ending;
	struct pram_family	*family;
	struct mm_struct	*mm;
};

bool pram_is_enabled(void);

int pram_prepare_save_flags(struct pram_stream *ps, const char *name, u32 type,
			    u32 flags, gfp_t gfp);
int pram_seal_save(struct pram_stream *ps);
int pram_finish_save(struct pram_stream *ps);
void pram_discard_save(struct pram_stream *ps);

int pram_prepare_load_flags(struct pram_stream *ps, const char *name, u32 type,
			    u32 flags);
int pram_finish_load(struct pram_stream *ps);
void pram_abort_load(struct pram_stream *ps);

int pram_end_streams(struct pram_stream **streams, unsigned int nr);

int pram_save_folio(struct pram_stream *ps, struct folio *folio, u32 flags);
struct folio *pram_load_folio(struct pram_stream *ps, u32 *flags);
int pram_save_page(struct pram_stream *ps, struct page *page, u32 flags);
struct page *pram_load_page(struct pram_stream *ps, u32 *flags);
ssize_t pram_write(struct pram_stream *ps, const void *buf, size_t count);
ssize_t pram_read(struct pram_stream *ps, void *buf, size_t count);

int pram_free(const char *name);
u64 pram_free_all(void);
int pram_stat(const char *name, struct pram_node_stat *stat);

/**
 * pram_prepare_save - create a node and open a stream to write it
 * @ps: the stream, in any state of bytes.
 * @name: 1 to %PRAM_NAME_MAX - 1 bytes.
 * @type: %PRAM_PAGE_STREAM or %PRAM_BYTE_STREAM.
 * @gfp: how the stream may allocate; %GFP_KERNEL, perhaps without reclaim.
 *
 * Return: see pram_prepare_save_flags().
 */
static inline int pram_prepare_save(struct pram_stream *ps, const char *name,
				    u32 type, gfp_t gfp)
{
	return pram_prepare_save_flags(ps, name, type, 0, gfp);
}

/**
 * pram_prepare_load - open a stream to read a node
 * @ps: the stream, in any state of bytes.
 * @name: the node.
 * @type: %PRAM_PAGE_STREAM or %PRAM_BYTE_STREAM.
 *
 * Return: see pram_prepare_load_flags().
 */
static inline int pram_prepare_load(struct pram_stream *ps, const char *name,
				    u32 type)
{
	return pram_prepare_load_flags(ps, name, type, 0);
}

#endif /* _LINUX_PRAM_H */
