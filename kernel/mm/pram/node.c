// SPDX-License-Identifier: GPL-2.0
/*
 * Nodes and streams: the kernel's interface of PRAM. A node goes through the
 * states
 *
 *	(none) -> SAVING -> READY <-> LOADING -> (none)
 *
 * and only the committed ones, READY and LOADING, stand in the directory that
 * the next kernel reads.
 */

#define pr_fmt(fmt) "pram: " fmt

#include <linux/export.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "internal.h"

/* Protects the list of nodes, their states and the directory. */
DEFINE_MUTEX(pram_lock);

/* All nodes, by ascending id. */
LIST_HEAD(pram_nodes);

/* Set for good when the machine reboots: what is not committed is lost. */
bool pram_closed;

static u64 pram_last_id;

/**
 * pram_node_alloc - allocate a node
 * @gfp: how.
 *
 * Return: the node, in no list, with one reference; NULL if out of memory.
 */
struct pram_node *pram_node_alloc(gfp_t gfp)
{
	struct pram_node *node = kzalloc_obj(*node, gfp);

	if (!node)
		return NULL;
	INIT_LIST_HEAD(&node->link);
	kref_init(&node->ref);
	mutex_init(&node->lock);
	return node;
}

/**
 * pram_node_link - put a node on the list and give it its id
 * @node: the node; the list takes over the caller's reference.
 */
void pram_node_link(struct pram_node *node)
{
	lockdep_assert_held(&pram_lock);
	node->id = ++pram_last_id;
	list_add_tail(&node->link, &pram_nodes);
}

static void pram_node_release(struct kref *ref)
{
	struct pram_node *node = container_of(ref, struct pram_node, ref);

	pram_data_free(node);
	pram_meta_free(node->ser);
	kfree(node);
}

/**
 * pram_node_put - drop a reference to a node
 * @node: the node, freed with all that it holds if this was the last one.
 */
void pram_node_put(struct pram_node *node)
{
	kref_put(&node->ref, pram_node_release);
}

/* Take a node off the list and out of the directory; put it when unlocked. */
static void pram_node_unlink(struct pram_node *node)
{
	lockdep_assert_held(&pram_lock);
	list_del_init(&node->link);
	pram_slot_put(node);
}

/* Drop the list's reference to nodes that were unlinked. */
static void pram_put_list(struct list_head *nodes)
{
	struct pram_node *node, *next;

	list_for_each_entry_safe(node, next, nodes, link) {
		list_del_init(&node->link);
		pram_node_put(node);
	}
}

static bool pram_node_committed(const struct pram_node *node)
{
	return node->state != PRAM_NODE_SAVING;
}

/*
 * Find a node by name. A name can have one committed node and one that is
 * being saved to replace it: @committed says which of them is meant.
 */
static struct pram_node *pram_node_find(const char *name, bool committed)
{
	struct pram_node *node;

	lockdep_assert_held(&pram_lock);
	list_for_each_entry(node, &pram_nodes, link) {
		if (pram_node_committed(node) == committed &&
		    !strcmp(node->name, name))
			return node;
	}
	return NULL;
}

static int pram_check_name(const char *name)
{
	if (!*name)
		return -EINVAL;
	if (strnlen(name, PRAM_NAME_MAX) == PRAM_NAME_MAX)
		return -ENAMETOOLONG;
	return 0;
}

static int pram_check_type(u32 type)
{
	if (type != PRAM_PAGE_STREAM && type != PRAM_BYTE_STREAM)
		return -EOPNOTSUPP;
	return 0;
}

static void pram_stream_init(struct pram_stream *ps, gfp_t gfp, u32 flags)
{
	memset(ps, 0, sizeof(*ps));
	spin_lock_init(&ps->state_lock);
	ps->gfp = gfp;
	ps->flags = flags;
}

static enum pram_stream_state pram_stream_state(struct pram_stream *ps)
{
	guard(spinlock)(&ps->state_lock);
	return ps->state;
}

static void pram_stream_set_state(struct pram_stream *ps,
				  enum pram_stream_state state)
{
	guard(spinlock)(&ps->state_lock);
	ps->state = state;
}

/* End a stream. Return: its node, whose reference passes to the caller. */
static struct pram_node *pram_stream_end(struct pram_stream *ps)
{
	struct pram_node *node;

	guard(spinlock)(&ps->state_lock);
	node = ps->node;
	ps->node = NULL;
	ps->state = PRAM_STREAM_ENDED;
	return node;
}

static int pram_check_saving(enum pram_stream_state state, bool sealed_too)
{
	switch (state) {
	case PRAM_STREAM_SAVING:
		return 0;
	case PRAM_STREAM_SEALED:
		return sealed_too ? 0 : -EPERM;
	case PRAM_STREAM_LOADING:
	case PRAM_STREAM_PEEKING:
		return -EBADF;
	default:
		return -ESTALE;
	}
}

/**
 * pram_stream_write_begin - get a stream's node to write to it
 * @ps: the stream.
 * @sealed_too: also if the stream is sealed.
 *
 * Return: the node, locked, for pram_stream_write_end(); as error pointer
 * -EPERM if the stream is sealed, -ESTALE if it has ended, -EBADF if it is a
 * stream for loading.
 */
struct pram_node *pram_stream_write_begin(struct pram_stream *ps,
					  bool sealed_too)
{
	struct pram_node *node;
	int err;

	scoped_guard(spinlock, &ps->state_lock) {
		err = pram_check_saving(ps->state, sealed_too);
		if (err)
			return ERR_PTR(err);
		node = ps->node;
		kref_get(&node->ref);
	}
	mutex_lock(&node->lock);
	/* Somebody may have sealed or ended the stream meanwhile. */
	err = pram_check_saving(pram_stream_state(ps), sealed_too);
	if (err) {
		pram_stream_write_end(node);
		return ERR_PTR(err);
	}
	return node;
}

/**
 * pram_stream_write_end - let go of a node after a write
 * @node: from pram_stream_write_begin().
 */
void pram_stream_write_end(struct pram_node *node)
{
	mutex_unlock(&node->lock);
	pram_node_put(node);
}

/**
 * pram_stream_read_begin - get a stream's node to read from it
 * @ps: the stream.
 *
 * The reference makes it safe against a concurrent end of the stream.
 *
 * Return: the node, to be put by the caller; -ESTALE or -EBADF as error
 * pointer.
 */
struct pram_node *pram_stream_read_begin(struct pram_stream *ps)
{
	guard(spinlock)(&ps->state_lock);
	switch (ps->state) {
	case PRAM_STREAM_LOADING:
	case PRAM_STREAM_PEEKING:
		kref_get(&ps->node->ref);
		return ps->node;
	case PRAM_STREAM_SAVING:
	case PRAM_STREAM_SEALED:
		return ERR_PTR(-EBADF);
	default:
		return ERR_PTR(-ESTALE);
	}
}

/**
 * pram_prepare_save_flags - create a node and open a stream to write it
 * @ps: the stream, in any state of bytes.
 * @name: 1 to %PRAM_NAME_MAX - 1 bytes.
 * @type: %PRAM_PAGE_STREAM or %PRAM_BYTE_STREAM.
 * @flags: PRAM_SAVE_* flags.
 * @gfp: how the stream may allocate.
 *
 * The node cannot be loaded, and does not survive a kexec, before
 * pram_finish_save(). Every stream that this opens must be ended by
 * pram_finish_save() or pram_discard_save().
 *
 * Return: 0; -ENAMETOOLONG; -EINVAL if the name is empty; -EOPNOTSUPP for an
 * unknown type or flag; -EEXIST if the name is taken; -ENOMEM; -ESHUTDOWN once
 * the machine reboots; -ENODEV if PRAM is off. Nothing is opened on an error.
 */
int pram_prepare_save_flags(struct pram_stream *ps, const char *name, u32 type,
			    u32 flags, gfp_t gfp)
{
	struct pram_node *node;
	int err;

	pram_stream_init(ps, gfp, flags);
	if (!pram_is_enabled())
		return -ENODEV;
	err = pram_check_name(name) ?: pram_check_type(type);
	if (err)
		return err;
	if (flags & ~(PRAM_SAVE_REPLACE | PRAM_SAVE_CHECKSUM | PRAM_SAVE_COPY))
		return -EOPNOTSUPP;

	node = pram_node_alloc(gfp);
	if (!node)
		return -ENOMEM;
	node->type = type;
	node->state = PRAM_NODE_SAVING;
	/* Folios are preserved one by one, as they come. */
	node->preserved = true;
	if (flags & PRAM_SAVE_CHECKSUM)
		node->flags |= PRAM_NODE_CHECKSUM;
	strscpy(node->name, name);
	node->ser = pram_meta_alloc(gfp);
	if (!node->ser) {
		pram_node_put(node);
		return -ENOMEM;
	}

	mutex_lock(&pram_lock);
	if (pram_closed)
		err = -ESHUTDOWN;
	else if (pram_node_find(name, false))
		err = -EEXIST;
	else if (!(flags & PRAM_SAVE_REPLACE) && pram_node_find(name, true))
		err = -EEXIST;
	else
		err = pram_slot_get(node);
	if (!err) {
		ps->node = node;
		ps->state = PRAM_STREAM_SAVING;
		kref_get(&node->ref);
		pram_node_link(node);
	}
	mutex_unlock(&pram_lock);

	if (err)
		pram_node_put(node);
	return err;
}
EXPORT_SYMBOL_GPL(pram_prepare_save_flags);

/**
 * pram_seal_save - end the writing of a node
 * @ps: a stream for saving.
 * @flags: PRAM_SEAL_* flags.
 *
 * Does everything of pram_finish_save() that can fail for lack of memory or
 * takes long, so that committing afterwards is quick.
 *
 * Return: 0, also if it was sealed before; -ESTALE if the stream has ended;
 * -EBADF if it is for loading; -EOPNOTSUPP for an unknown flag; -EINVAL if a
 * page stream does not end with a whole page; -EPERM if %PRAM_SEAL_COPY comes
 * after an earlier sealing without it; -ENOMEM; -EINTR.
 */
int pram_seal_save(struct pram_stream *ps, u32 flags)
{
	struct pram_node *node;
	int err = 0;

	if (flags & ~PRAM_SEAL_COPY)
		return -EOPNOTSUPP;
	node = pram_stream_write_begin(ps, true);
	if (IS_ERR(node))
		return PTR_ERR(node);
	if (pram_stream_state(ps) == PRAM_STREAM_SEALED) {
		if (flags & PRAM_SEAL_COPY && node->adopted_pages)
			err = -EPERM;
		goto out;
	}
	if (flags & PRAM_SEAL_COPY)
		err = pram_data_unshare(node, ps->gfp);
	if (!err)
		err = pram_data_seal(node);
	if (!err)
		pram_stream_set_state(ps, PRAM_STREAM_SEALED);
out:
	pram_stream_write_end(node);
	return err;
}
EXPORT_SYMBOL_GPL(pram_seal_save);

static void pram_node_stamp(struct pram_node *node)
{
	struct pram_node_ser *ser = node->ser;

	ser->type = node->type;
	ser->flags = node->flags;
	ser->bytes = node->bytes;
	ser->nr_pages = node->nr_pages;
	ser->nr_folios = node->nr_folios;
	ser->nr_maps = node->nr_maps;
	ser->first_map = node->nr_maps ? virt_to_phys(node->maps[0]) : 0;
	ser->adopted_pages = node->adopted_pages;
	ser->saved_at_ns = ktime_get_real_ns();
	ser->kexec_count = 0;
	memcpy(ser->name, node->name, sizeof(ser->name));
	pram_meta_stamp(ser, PRAM_MAGIC_NODE);
}

/* May all streams of a transaction end now? Marks what they free. */
static int pram_check_streams(struct pram_stream **streams, unsigned int nr)
{
	lockdep_assert_held(&pram_lock);
	if (pram_closed)
		return -ESHUTDOWN;

	for (unsigned int i = 0; i < nr; i++) {
		struct pram_stream *ps = streams[i];

		if (ps->ending)
			return -EINVAL;
		ps->ending = true;
		switch (pram_stream_state(ps)) {
		case PRAM_STREAM_SEALED:
			break;
		case PRAM_STREAM_LOADING:
			ps->node->ending = true;
			break;
		case PRAM_STREAM_PEEKING:
			return -EPERM;
		default:
			return -ESTALE;
		}
	}

	for (unsigned int i = 0; i < nr; i++) {
		struct pram_node *old;

		if (!(streams[i]->flags & PRAM_SAVE_REPLACE) ||
		    pram_stream_state(streams[i]) != PRAM_STREAM_SEALED)
			continue;
		old = pram_node_find(streams[i]->node->name, true);
		if (old && !old->ending)
			return -EEXIST;
	}
	return 0;
}

/**
 * pram_end_streams - end streams well, all of them or none
 * @streams: the streams, none of them twice.
 * @nr: their number.
 *
 * Saves are sealed and committed: their nodes are loadable from here on, and
 * everything written before is visible to whoever loads them. Loads are
 * finished: their nodes are freed. A save with %PRAM_SAVE_REPLACE replaces a
 * node that is loaded by a stream of the same call.
 *
 * Return: 0; -ESTALE for a stream that has ended; -EINVAL for one that is there
 * twice; -EPERM for one that peeks; -EEXIST for a name that a node has which is
 * not freed; errors of pram_seal_save(); -ESHUTDOWN once the machine reboots.
 * On an error all streams stay open.
 */
int pram_end_streams(struct pram_stream **streams, unsigned int nr)
{
	struct pram_node *node;
	LIST_HEAD(freed);
	int err;

	for (unsigned int i = 0; i < nr; i++) {
		err = pram_seal_save(streams[i], 0);
		/* Streams for loading have nothing to seal. */
		if (err && err != -EBADF)
			return err;
	}

	mutex_lock(&pram_lock);
	err = pram_check_streams(streams, nr);
	for (unsigned int i = 0; i < nr; i++) {
		struct pram_stream *ps = streams[i];
		bool save = pram_stream_state(ps) == PRAM_STREAM_SEALED;

		ps->ending = false;
		if (ps->node)
			ps->node->ending = false;
		if (err)
			continue;
		node = pram_stream_end(ps);
		if (save) {
			pram_node_stamp(node);
			pram_slot_publish(node);
			node->state = PRAM_NODE_READY;
		} else {
			pram_node_unlink(node);
			list_add_tail(&node->link, &freed);
		}
		/* The list's reference remains. */
		pram_node_put(node);
	}
	mutex_unlock(&pram_lock);

	/* Freeing takes time, so not under the lock. */
	pram_put_list(&freed);
	return err;
}
EXPORT_SYMBOL_GPL(pram_end_streams);

/**
 * pram_finish_save - commit a node
 * @ps: a stream for saving; ended on success.
 *
 * Return: see pram_end_streams(). After pram_seal_save() only -ESHUTDOWN
 * remains, and -EEXIST for a stream with %PRAM_SAVE_REPLACE.
 */
int pram_finish_save(struct pram_stream *ps)
{
	return pram_end_streams(&ps, 1);
}
EXPORT_SYMBOL_GPL(pram_finish_save);

/**
 * pram_discard_save - give up saving a node
 * @ps: a stream for saving; ended. Nothing is done if it has ended before. The
 *	caller sees to it that nobody ends it at the same time.
 *
 * The node is gone with all that it holds.
 */
void pram_discard_save(struct pram_stream *ps)
{
	struct pram_node *node;

	if (pram_check_saving(pram_stream_state(ps), true))
		return;
	mutex_lock(&pram_lock);
	node = pram_stream_end(ps);
	pram_node_unlink(node);
	mutex_unlock(&pram_lock);
	/* One reference is the list's, one the stream's. */
	pram_node_put(node);
	pram_node_put(node);
}
EXPORT_SYMBOL_GPL(pram_discard_save);

/**
 * pram_prepare_load_flags - open a stream to read a node
 * @ps: the stream, in any state of bytes.
 * @name: the node.
 * @type: %PRAM_PAGE_STREAM or %PRAM_BYTE_STREAM.
 * @flags: PRAM_LOAD_* flags.
 *
 * The node is reserved for this stream (unless %PRAM_LOAD_PEEK is set) until
 * pram_finish_load() frees it or pram_abort_load() puts it back, whole and
 * loadable. Every stream that this opens must be ended by one of the two.
 *
 * Return: 0; -ENAMETOOLONG; -EINVAL if the name is empty; -EOPNOTSUPP for an
 * unknown type or flag; -ENOENT; -EBUSY if the save is not finished or somebody
 * else loads the node; -EPERM if it has another type; -EBADMSG if it is
 * damaged; -ENOMEM; -ENODEV if PRAM is off. Nothing is opened on an error.
 */
int pram_prepare_load_flags(struct pram_stream *ps, const char *name, u32 type,
			    u32 flags)
{
	struct pram_node *node;
	int err;

	pram_stream_init(ps, GFP_KERNEL, flags);
	if (!pram_is_enabled())
		return -ENODEV;
	err = pram_check_name(name) ?: pram_check_type(type);
	if (err)
		return err;
	if (flags & ~(PRAM_LOAD_PEEK | PRAM_LOAD_MAP))
		return -EOPNOTSUPP;

	guard(mutex)(&pram_lock);
	node = pram_node_find(name, true);
	if (!node)
		return pram_node_find(name, false) ? -EBUSY : -ENOENT;
	if (node->state == PRAM_NODE_BROKEN)
		return -EBADMSG;
	if (node->type != type)
		return -EPERM;
	if (node->state == PRAM_NODE_LOADING && !(flags & PRAM_LOAD_PEEK))
		return -EBUSY;
	err = pram_data_prepare_verify(node);
	if (err)
		return err;

	kref_get(&node->ref);
	ps->node = node;
	if (flags & PRAM_LOAD_PEEK) {
		ps->state = PRAM_STREAM_PEEKING;
	} else {
		ps->state = PRAM_STREAM_LOADING;
		node->state = PRAM_NODE_LOADING;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(pram_prepare_load_flags);

/**
 * pram_finish_load - end a load and free the node
 * @ps: a stream for loading; ended on success.
 *
 * Return: see pram_end_streams().
 */
int pram_finish_load(struct pram_stream *ps)
{
	return pram_end_streams(&ps, 1);
}
EXPORT_SYMBOL_GPL(pram_finish_load);

/**
 * pram_abort_load - end a load and put the node back
 * @ps: a stream for loading; ended. Nothing is done if it has ended before.
 *	The caller sees to it that nobody ends it at the same time.
 */
void pram_abort_load(struct pram_stream *ps)
{
	bool loading = pram_stream_state(ps) == PRAM_STREAM_LOADING;
	struct pram_node *node;

	if (pram_check_saving(pram_stream_state(ps), true) != -EBADF)
		return;
	mutex_lock(&pram_lock);
	node = pram_stream_end(ps);
	if (loading)
		node->state = PRAM_NODE_READY;
	mutex_unlock(&pram_lock);
	pram_node_put(node);
}
EXPORT_SYMBOL_GPL(pram_abort_load);

/* Why must a folio be copied rather than taken over? Or 0. */
static enum pram_counter pram_folio_copy_reason(struct pram_stream *ps,
						struct folio *folio)
{
	if (ps->flags & PRAM_SAVE_COPY)
		return PRAM_PAGES_COPIED_ASKED;
	/* KHO's scratch areas are CMA; the next kernel is loaded there. */
	if (is_migrate_cma_page(folio_page(folio, 0)))
		return PRAM_PAGES_COPIED_SCRATCH;
	return 0;
}

static int pram_node_adopt(struct pram_node *node, struct pram_stream *ps,
			   struct folio *folio, u64 entry_flags)
{
	int err = pram_claim_folio(folio);

	if (err)
		return err;
	err = pram_data_add_folio(node, folio, entry_flags | PRAM_ENTRY_ADOPTED,
				  ps->gfp);
	if (err) {
		pram_unclaim_folio(folio);
		return err;
	}
	folio_get(folio);
	pram_count(PRAM_PAGES_ADOPTED, folio_nr_pages(folio));
	return 0;
}

static int pram_node_copy(struct pram_node *node, struct pram_stream *ps,
			  struct folio *folio, u64 entry_flags)
{
	struct folio *copy;
	int err;

	copy = pram_data_alloc(folio_order(folio), ps->gfp);
	if (!copy)
		return -ENOMEM;
	folio_copy(copy, folio);
	err = pram_data_add_folio(node, copy, entry_flags, ps->gfp);
	if (err)
		folio_put(copy);
	return err;
}

static int pram_node_add(struct pram_node *node, struct pram_stream *ps,
			 struct folio *folio, u64 entry_flags)
{
	enum pram_counter reason = pram_folio_copy_reason(ps, folio);
	int err;

	if (!reason) {
		err = pram_node_adopt(node, ps, folio, entry_flags);
		if (err == -EBUSY)
			reason = PRAM_PAGES_COPIED_SHARED;
	}
	if (reason) {
		err = pram_node_copy(node, ps, folio, entry_flags);
		if (!err)
			pram_count_copied(reason, folio_nr_pages(folio));
	}
	if (!err) {
		node->bytes += folio_size(folio);
		pram_count(PRAM_BYTES_SAVED, folio_size(folio));
	}
	return err;
}

/**
 * pram_save_folio - append a folio to a page stream
 * @ps: a stream for saving pages.
 * @folio: the folio, of any order; the caller keeps its own reference, and
 *	sees to it that nobody writes to the folio from here on.
 * @flags: %PRAM_PAGE_LRU or 0.
 *
 * The folio itself is kept, or a copy of it where that cannot be: in KHO's
 * scratch areas, in a node already, or with %PRAM_SAVE_COPY.
 *
 * Return: 0; -EINVAL for a stream of bytes, an unknown flag, or a stream that
 * was written by other means and has room left in its last folio; -ENOMEM;
 * -EPERM once sealed; -ESTALE once ended; -EBADF for a stream for loading;
 * -ESHUTDOWN.
 */
int pram_save_folio(struct pram_stream *ps, struct folio *folio, u32 flags)
{
	struct pram_node *node;
	int err;

	if (flags & ~PRAM_PAGE_LRU)
		return -EINVAL;
	node = pram_stream_write_begin(ps, false);
	if (IS_ERR(node))
		return PTR_ERR(node);
	if (node->type != PRAM_PAGE_STREAM ||
	    node->bytes != node->nr_pages << PAGE_SHIFT)
		err = -EINVAL;
	else
		err = pram_node_add(node, ps, folio,
				    flags & PRAM_PAGE_LRU ? PRAM_ENTRY_LRU : 0);
	pram_stream_write_end(node);
	return err;
}
EXPORT_SYMBOL_GPL(pram_save_folio);

/**
 * pram_save_page - append a page to a page stream
 * @ps: a stream for saving pages.
 * @page: a page of order 0.
 * @flags: %PRAM_PAGE_LRU or 0.
 *
 * Return: see pram_save_folio(); -EINVAL for a part of a large folio.
 */
int pram_save_page(struct pram_stream *ps, struct page *page, u32 flags)
{
	if (PageCompound(page))
		return -EINVAL;
	return pram_save_folio(ps, page_folio(page), flags);
}
EXPORT_SYMBOL_GPL(pram_save_page);

/**
 * pram_load_folio - get the next folio of a page stream
 * @ps: a stream for loading pages.
 * @flags: set to %PRAM_PAGE_LRU or 0.
 *
 * Return: the folio, with a reference for the caller beside the node's own; the
 * caller must not write to it before pram_finish_load(). Of a stream that was
 * written by way of /dev/pram the last folio may be larger than what is left of
 * the data; zeros are behind that. NULL at the end of the
 * stream; -EINVAL for a stream of bytes, -EBADMSG if the data is damaged,
 * -ESTALE or -EBADF as error pointer.
 */
struct folio *pram_load_folio(struct pram_stream *ps, u32 *flags)
{
	struct pram_node *node = pram_stream_read_begin(ps);
	struct folio *folio;
	u64 first, entry;

	if (IS_ERR(node))
		return ERR_CAST(node);
	if (node->type != PRAM_PAGE_STREAM) {
		pram_node_put(node);
		return ERR_PTR(-EINVAL);
	}
	folio = pram_data_folio(node, ps->next_page, &first, &entry);
	if (!IS_ERR_OR_NULL(folio)) {
		folio_get(folio);
		ps->next_page = first + folio_nr_pages(folio);
		*flags = entry & PRAM_ENTRY_LRU ? PRAM_PAGE_LRU : 0;
		pram_count(PRAM_BYTES_LOADED, folio_size(folio));
	}
	pram_node_put(node);
	return folio;
}
EXPORT_SYMBOL_GPL(pram_load_folio);

/**
 * pram_load_page - get the next page of a page stream of single pages
 * @ps: a stream for loading pages.
 * @flags: set to %PRAM_PAGE_LRU or 0.
 *
 * Return: see pram_load_folio(); -EINVAL, and the stream stays where it is, if
 * a large folio comes next.
 */
struct page *pram_load_page(struct pram_stream *ps, u32 *flags)
{
	u64 page = ps->next_page;
	struct folio *folio = pram_load_folio(ps, flags);

	if (IS_ERR_OR_NULL(folio))
		return ERR_CAST(folio);
	if (folio_test_large(folio)) {
		ps->next_page = page;
		folio_put(folio);
		return ERR_PTR(-EINVAL);
	}
	return folio_page(folio, 0);
}
EXPORT_SYMBOL_GPL(pram_load_page);

/**
 * pram_write - append bytes to a byte stream
 * @ps: a stream for saving bytes.
 * @buf: the bytes.
 * @count: their number.
 *
 * Return: number of bytes written, which is fewer than @count if memory runs
 * out; -EINVAL for a stream of pages; or as pram_save_folio().
 */
ssize_t pram_write(struct pram_stream *ps, const void *buf, size_t count)
{
	struct kvec kvec = { .iov_base = (void *)buf, .iov_len = count };
	struct pram_node *node;
	struct iov_iter from;
	ssize_t n;

	node = pram_stream_write_begin(ps, false);
	if (IS_ERR(node))
		return PTR_ERR(node);
	if (node->type == PRAM_BYTE_STREAM) {
		iov_iter_kvec(&from, ITER_SOURCE, &kvec, 1, count);
		n = pram_data_append(node, &from, ps->gfp);
	} else {
		n = -EINVAL;
	}
	pram_stream_write_end(node);
	return n;
}
EXPORT_SYMBOL_GPL(pram_write);

/**
 * pram_read - get the next bytes of a byte stream
 * @ps: a stream for loading bytes.
 * @buf: where they go.
 * @count: how many at most.
 *
 * Return: number of bytes read, fewer than @count only at the end, 0 behind it;
 * -EINVAL for a stream of pages; -EBADMSG, -ESTALE, -EBADF.
 */
ssize_t pram_read(struct pram_stream *ps, void *buf, size_t count)
{
	struct kvec kvec = { .iov_base = buf, .iov_len = count };
	struct pram_node *node = pram_stream_read_begin(ps);
	struct iov_iter to;
	ssize_t n;

	if (IS_ERR(node))
		return PTR_ERR(node);
	if (node->type != PRAM_BYTE_STREAM) {
		pram_node_put(node);
		return -EINVAL;
	}
	iov_iter_kvec(&to, ITER_DEST, &kvec, 1, count);
	n = pram_data_read(node, ps->next_byte, &to);
	if (n > 0)
		ps->next_byte += n;
	pram_node_put(node);
	return n;
}
EXPORT_SYMBOL_GPL(pram_read);

static int pram_free_node(struct pram_node *node)
{
	lockdep_assert_held(&pram_lock);
	if (pram_closed)
		return -ESHUTDOWN;
	if (node->state == PRAM_NODE_SAVING || node->state == PRAM_NODE_LOADING)
		return -EBUSY;
	pram_node_unlink(node);
	return 0;
}

/**
 * pram_free - free a node
 * @name: its name.
 *
 * Return: 0; -ENOENT; -EBUSY if it is being saved or loaded; -ESHUTDOWN.
 */
int pram_free(const char *name)
{
	struct pram_node *node;
	int err;

	mutex_lock(&pram_lock);
	node = pram_node_find(name, true) ?: pram_node_find(name, false);
	err = node && *name ? pram_free_node(node) : -ENOENT;
	mutex_unlock(&pram_lock);
	if (!err)
		pram_node_put(node);
	return err;
}
EXPORT_SYMBOL_GPL(pram_free);

/**
 * pram_free_id - free a node by its id
 * @id: the id; the only way to name a node whose name is damaged.
 *
 * Return: see pram_free().
 */
int pram_free_id(u64 id)
{
	struct pram_node *node, *found = NULL;
	int err;

	mutex_lock(&pram_lock);
	list_for_each_entry(node, &pram_nodes, link) {
		if (node->id == id) {
			found = node;
			break;
		}
	}
	err = found ? pram_free_node(found) : -ENOENT;
	mutex_unlock(&pram_lock);
	if (!err)
		pram_node_put(found);
	return err;
}

/**
 * pram_free_all - free all nodes that are not being saved or loaded
 *
 * Return: the number of nodes freed.
 */
u64 pram_free_all(void)
{
	struct pram_node *node, *next;
	LIST_HEAD(freed);
	u64 nr = 0;

	mutex_lock(&pram_lock);
	list_for_each_entry_safe(node, next, &pram_nodes, link) {
		if (!pram_free_node(node)) {
			list_add_tail(&node->link, &freed);
			nr++;
		}
	}
	mutex_unlock(&pram_lock);

	pram_put_list(&freed);
	return nr;
}
EXPORT_SYMBOL_GPL(pram_free_all);

/**
 * pram_node_fill_stat - describe a node
 * @node: the node.
 * @stat: filled in.
 */
void pram_node_fill_stat(struct pram_node *node, struct pram_node_stat *stat)
{
	lockdep_assert_held(&pram_lock);
	memset(stat, 0, sizeof(*stat));
	stat->id = node->id;
	stat->type = node->type;
	stat->state = node->state;
	stat->flags = node->flags;
	stat->bytes = READ_ONCE(node->bytes);
	stat->data_pages = READ_ONCE(node->nr_pages);
	stat->meta_pages = READ_ONCE(node->nr_maps) + !!node->ser;
	stat->nr_folios = READ_ONCE(node->nr_folios);
	stat->adopted_pages = READ_ONCE(node->adopted_pages);
	if (node->ser && node->state != PRAM_NODE_SAVING) {
		stat->saved_at_ns = node->ser->saved_at_ns;
		stat->kexec_count = node->ser->kexec_count;
	}
	memcpy(stat->name, node->name, sizeof(stat->name));
}

/**
 * pram_stat - describe a node
 * @name: its name.
 * @stat: filled in.
 *
 * Return: 0 or -ENOENT.
 */
int pram_stat(const char *name, struct pram_node_stat *stat)
{
	struct pram_node *node;

	guard(mutex)(&pram_lock);
	node = pram_node_find(name, true) ?: pram_node_find(name, false);
	if (!node || !*name)
		return -ENOENT;
	pram_node_fill_stat(node, stat);
	return 0;
}
EXPORT_SYMBOL_GPL(pram_stat);

/**
 * pram_stat_next - describe the node with the next higher id
 * @after_id: the id to go on from; 0 for the first node.
 * @stat: filled in.
 *
 * Return: 0, or -ENOENT behind the last one.
 */
int pram_stat_next(u64 after_id, struct pram_node_stat *stat)
{
	struct pram_node *node;

	guard(mutex)(&pram_lock);
	list_for_each_entry(node, &pram_nodes, link) {
		if (node->id > after_id) {
			pram_node_fill_stat(node, stat);
			return 0;
		}
	}
	return -ENOENT;
}

/**
 * pram_count_nodes - count nodes
 * @nr_nodes: set to the number of all nodes.
 * @nr_broken: set to the number of those that are damaged.
 */
void pram_count_nodes(u64 *nr_nodes, u64 *nr_broken)
{
	struct pram_node *node;

	*nr_nodes = 0;
	*nr_broken = 0;
	guard(mutex)(&pram_lock);
	list_for_each_entry(node, &pram_nodes, link) {
		*nr_nodes += 1;
		if (node->state == PRAM_NODE_BROKEN)
			*nr_broken += 1;
	}
}
