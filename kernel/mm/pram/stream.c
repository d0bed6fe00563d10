// SPDX-License-Identifier: GPL-2.0
/*
 * Streams: how they are opened, sealed and ended. What goes through them is in
 * transfer.c.
 */

#include <linux/export.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "internal.h"

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
 * pram_begin_save - create a node, perhaps beyond the limit
 * @ps: see pram_prepare_save_flags(), as for the other arguments.
 * @name: its name.
 * @type: its type.
 * @flags: PRAM_SAVE_* flags.
 * @exempt: the limit on what nodes hold does not concern it: its pages count, but
 *	are never refused.
 * @gfp: how the stream may allocate.
 *
 * Return: see pram_prepare_save_flags().
 */
int pram_begin_save(struct pram_stream *ps, const char *name, u32 type,
		    u32 flags, bool exempt, gfp_t gfp)
{
	struct pram_node *node;
	int err;

	pram_stream_init(ps, gfp, flags);
	if (!pram_is_enabled())
		return -ENODEV;
	err = pram_check_name(name) ?: pram_check_type(type);
	if (err)
		return err;
	if (flags & ~(PRAM_SAVE_REPLACE | PRAM_SAVE_CHECKSUM | PRAM_SAVE_COPY |
		      PRAM_SAVE_FINAL))
		return -EOPNOTSUPP;

	node = pram_node_alloc(gfp);
	if (!node)
		return -ENOMEM;
	node->type = type;
	node->state = PRAM_NODE_SAVING;
	node->exempt = exempt;
	/* Folios are preserved one by one, as they come. */
	node->preserved = true;
	if (flags & PRAM_SAVE_CHECKSUM)
		node->flags |= PRAM_NODE_CHECKSUM;
	strscpy(node->name, name);
	node->ser = pram_meta_alloc(exempt, gfp);
	if (IS_ERR(node->ser)) {
		err = PTR_ERR(node->ser);
		node->ser = NULL;
		pram_node_put(node);
		return err;
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
 * unknown type or flag; -EEXIST if the name is taken; -ENOMEM; -ENOSPC if nodes
 * hold as much as they may; -ESHUTDOWN once the machine reboots; -ENODEV if PRAM
 * is off. Nothing is opened on an error.
 */
int pram_prepare_save_flags(struct pram_stream *ps, const char *name, u32 type,
			    u32 flags, gfp_t gfp)
{
	return pram_begin_save(ps, name, type, flags, false, gfp);
}
EXPORT_SYMBOL_GPL(pram_prepare_save_flags);

/**
 * pram_seal_save - end the writing of a node
 * @ps: a stream for saving.
 *
 * Does everything of pram_finish_save() that depends on the data or takes long, so
 * that committing afterwards is quick.
 *
 * Return: 0, also if it was sealed before; -ESTALE if the stream has ended;
 * -EBADF if it is for loading; -EINVAL if a page stream does not end with a whole
 * page; -EHWPOISON; -EINTR.
 */
int pram_seal_save(struct pram_stream *ps)
{
	struct pram_node *node;
	int err = 0;

	node = pram_stream_write_begin(ps, true);
	if (IS_ERR(node))
		return PTR_ERR(node);
	if (pram_stream_state(ps) != PRAM_STREAM_SEALED) {
		err = pram_data_seal(node);
		if (!err)
			pram_stream_set_state(ps, PRAM_STREAM_SEALED);
	}
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
 * pram_end_streams - end streams successfully, all of them or none
 * @streams: the streams, none of them twice.
 * @nr: their number.
 *
 * Saves are sealed and committed: their nodes are loadable from here on, and
 * everything written before is visible to their loads. Loads are
 * finished: their nodes are freed. A save with %PRAM_SAVE_REPLACE replaces a
 * node that is loaded by a stream of the same call.
 *
 * Return: 0; -ESTALE for a stream that has ended; -EINVAL for one that is listed
 * twice; -EPERM for one that peeks; -EEXIST if a node that is not freed has the
 * name; errors of pram_seal_save(); -ESHUTDOWN once the machine reboots.
 * On an error all streams stay open.
 */
int pram_end_streams(struct pram_stream **streams, unsigned int nr)
{
	struct pram_node *node;
	LIST_HEAD(freed);
	int err;

	for (unsigned int i = 0; i < nr; i++) {
		err = pram_seal_save(streams[i]);
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
			pram_shmem_committed(node);
		} else {
			pram_node_unlink(node);
			list_add_tail(&node->link, &freed);
		}
		/* The list's reference remains. */
		pram_node_put(node);
	}
	mutex_unlock(&pram_lock);

	/*
	 * All that takes time comes after the lock. First no node holds a frame
	 * any more, then those mapped can be made their owners'.
	 */
	list_for_each_entry(node, &freed, link)
		pram_node_forget(node);
	list_for_each_entry(node, &freed, link)
		pram_map_finish(node);
	pram_node_put_list(&freed);
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
 * @ps: a stream for saving; ended. Nothing is done if it has already ended. The
 *	caller makes sure that nothing else ends it at the same time.
 *
 * The node is freed with everything that it holds.
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
	pram_node_forget(node);
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
 * pram_finish_load() frees it or pram_abort_load() makes it loadable again,
 * unchanged. Every stream that this opens must be ended by one of the two.
 *
 * Return: 0; -ENAMETOOLONG; -EINVAL if the name is empty; -EOPNOTSUPP for an
 * unknown type or flag; -ENOENT; -EBUSY if the save is not finished or another
 * stream loads the node; -EPERM if it has another type; -EBADMSG if it is
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

	/* A folio that is still in one file could not be put into another. */
	pram_shmem_settle();
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
 * pram_abort_load - end a load and make the node READY again
 * @ps: a stream for loading; ended. Nothing is done if it has already ended.
 *	The caller makes sure that nothing else ends it at the same time.
 */
void pram_abort_load(struct pram_stream *ps)
{
	bool loading = pram_stream_state(ps) == PRAM_STREAM_LOADING;
	struct pram_node *node;

	if (pram_check_saving(pram_stream_state(ps), true) != -EBADF)
		return;
	/* Before others can load it. */
	if (loading && (!list_empty(&ps->node->mappings) || ps->node->holds_shmem)) {
		pram_map_drop(ps->node);
		pram_data_uncharge(ps->node);
	}
	mutex_lock(&pram_lock);
	node = pram_stream_end(ps);
	if (loading)
		node->state = PRAM_NODE_READY;
	mutex_unlock(&pram_lock);
	pram_node_put(node);
}
EXPORT_SYMBOL_GPL(pram_abort_load);
