// SPDX-License-Identifier: GPL-2.0
/*
 * Nodes: the list of them, and what concerns a node as a whole. A node goes
 * through the states
 *
 *	(none) -> SAVING -> READY <-> LOADING -> (none)
 *
 * and only the committed ones, READY and LOADING, are in the directory that
 * the next kernel reads.
 */

#include <linux/export.h>
#include <linux/hashtable.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/stringhash.h>

#include "internal.h"

/* Protects the list of nodes, their states and the directory. */
DEFINE_MUTEX(pram_lock);

/* All nodes, by ascending id; the same to find one by its name or its id. */
LIST_HEAD(pram_nodes);
static DEFINE_HASHTABLE(pram_names, 10);
static struct rb_root pram_ids = RB_ROOT;

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
	mutex_init(&node->mappings_lock);
	INIT_LIST_HEAD(&node->mappings);
	return node;
}

static unsigned int pram_name_hash(const char *name)
{
	return full_name_hash(NULL, name, strlen(name));
}

/**
 * pram_node_link - put a node on the list and give it its id
 * @node: the node, which has its name; the list takes over the caller's reference.
 */
void pram_node_link(struct pram_node *node)
{
	struct rb_node *last = rb_last(&pram_ids);

	lockdep_assert_held(&pram_lock);
	node->id = ++pram_last_id;
	list_add_tail(&node->link, &pram_nodes);
	hash_add(pram_names, &node->by_name, pram_name_hash(node->name));
	rb_link_node(&node->by_id, last, last ? &last->rb_right : &pram_ids.rb_node);
	rb_insert_color(&node->by_id, &pram_ids);
}

static void pram_node_release(struct kref *ref)
{
	struct pram_node *node = container_of(ref, struct pram_node, ref);

	pram_node_forget(node);
	pram_map_drop(node);
	pram_shmem_let_go(node);
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

/**
 * pram_node_unlink - take a node off the list and out of the directory
 * @node: the node; the caller drops the list's reference, when it has unlocked:
 *	freeing takes time.
 */
void pram_node_unlink(struct pram_node *node)
{
	lockdep_assert_held(&pram_lock);
	list_del_init(&node->link);
	hash_del(&node->by_name);
	rb_erase(&node->by_id, &pram_ids);
	pram_slot_put(node);
}

/**
 * pram_node_forget - have nothing of a node preserved any more
 * @node: the node, off the list or never on it; or the machine reboots.
 *
 * A stream that only looks at a node may hold it for long: a kexec meanwhile must
 * not leave its pages reserved in the next kernel, where they have no owner.
 */
void pram_node_forget(struct pram_node *node)
{
	if (node->forgotten)
		return;
	pram_data_forget(node);
	pram_meta_forget(node->ser);
}

/**
 * pram_node_put_list - drop the list's reference to nodes that were unlinked
 * @nodes: a list of them, empty afterwards.
 */
void pram_node_put_list(struct list_head *nodes)
{
	struct pram_node *node, *next;

	list_for_each_entry_safe(node, next, nodes, link) {
		list_del_init(&node->link);
		pram_node_forget(node);
		pram_node_put(node);
	}
}

static bool pram_node_committed(const struct pram_node *node)
{
	return node->state != PRAM_NODE_SAVING;
}

/**
 * pram_node_find - find a node by name
 * @name: the name.
 * @committed: which of two is meant: a name can have one committed node and one
 *	that is being saved to replace it.
 *
 * Return: the node, without a reference of its own, or NULL.
 */
struct pram_node *pram_node_find(const char *name, bool committed)
{
	struct pram_node *node;

	lockdep_assert_held(&pram_lock);
	hash_for_each_possible(pram_names, node, by_name, pram_name_hash(name)) {
		if (pram_node_committed(node) == committed &&
		    !strcmp(node->name, name))
			return node;
	}
	return NULL;
}

/* The node with the lowest id from @id on, or NULL. */
static struct pram_node *pram_node_from_id(u64 id)
{
	struct rb_node *at = pram_ids.rb_node;
	struct pram_node *found = NULL;

	lockdep_assert_held(&pram_lock);
	while (at) {
		struct pram_node *node = rb_entry(at, struct pram_node, by_id);

		if (node->id >= id) {
			found = node;
			at = at->rb_left;
		} else {
			at = at->rb_right;
		}
	}
	return found;
}

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
	if (!err) {
		pram_node_forget(node);
		pram_node_put(node);
	}
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
	struct pram_node *node;
	int err;

	mutex_lock(&pram_lock);
	node = pram_node_from_id(id);
	err = node && node->id == id ? pram_free_node(node) : -ENOENT;
	mutex_unlock(&pram_lock);
	if (!err) {
		pram_node_forget(node);
		pram_node_put(node);
	}
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

	pram_node_put_list(&freed);
	return nr;
}
EXPORT_SYMBOL_GPL(pram_free_all);

static void pram_node_fill_stat(struct pram_node *node,
				struct pram_node_stat *stat)
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
	node = after_id < U64_MAX ? pram_node_from_id(after_id + 1) : NULL;
	if (!node)
		return -ENOENT;
	pram_node_fill_stat(node, stat);
	return 0;
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
