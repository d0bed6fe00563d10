// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "pramctl.h"
#include "util.h"

/**
 * struct summary - a checkpoint, summed up over its nodes
 * @name: its name
 * @has_metadata: there is a metadata node, in whatever state
 * @states: a bit for each state that some node has
 * @nr_nodes: number of nodes
 * @bytes: data of all nodes
 * @saved_at_ns: when it was committed
 * @kexec_count: kexecs that it has lived through
 */
struct summary {
	char		name[PRAM_NAME_MAX];
	bool		has_metadata;
	uint32_t	states;
	uint64_t	nr_nodes;
	uint64_t	bytes;
	uint64_t	saved_at_ns;
	uint64_t	kexec_count;
};

struct summaries {
	struct summary	*all;
	size_t		nr;
};

static struct summary *summary_of(struct summaries *list, const char *name)
{
	struct summary *all;

	for (size_t i = 0; i < list->nr; i++) {
		if (!strcmp(list->all[i].name, name))
			return &list->all[i];
	}
	all = reallocarray(list->all, list->nr + 1, sizeof(*all));
	if (!all)
		return NULL;
	list->all = all;
	all += list->nr++;
	memset(all, 0, sizeof(*all));
	memcpy(all->name, name, strlen(name) + 1);
	return all;
}

static void summary_add(struct summary *summary, const struct pram_checkpoint_node *belongs,
			const struct pram_node_stat *node)
{
	summary->has_metadata |= !*belongs->image;
	summary->states |= 1U << node->state;
	summary->nr_nodes++;
	summary->bytes += node->bytes;
	if (node->saved_at_ns > summary->saved_at_ns)
		summary->saved_at_ns = node->saved_at_ns;
	if (node->kexec_count > summary->kexec_count)
		summary->kexec_count = node->kexec_count;
}

/* The one word that matters most to somebody who wants to restore it. */
static const char *summary_state(const struct summary *summary)
{
	static const uint32_t order[] = { PRAM_NODE_BROKEN, PRAM_NODE_SAVING, PRAM_NODE_LOADING };

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
		if (summary->states & (1U << order[i]))
			return pramctl_state_word(order[i]);
	}
	return summary->has_metadata ? "ready" : "orphaned";
}

/* By what its metadata says, if that can be read, without a word if it can't. */
static void add_owner(struct json_object *object, int dev, const struct summary *summary)
{
	_cleanup_free_ char *owner = NULL;
	struct pram_checkpoint_reader *r = NULL;
	const char *cgroup = NULL;

	if (summary->has_metadata && !pram_reader_open(dev, summary->name, PRAM_LOAD_PEEK, &r))
		cgroup = pram_reader_index(r)->cgroup;
	owner = pramctl_owner(summary->name, cgroup);
	if (owner)
		output_add_string(object, "owner", owner);
	if (r)
		pram_reader_close(r);
}

static struct json_object *summary_to_json(int dev, const struct summary *summary)
{
	struct json_object *object = output_new_object();

	output_add_string(object, "name", summary->name);
	output_add_string(object, "type", "checkpoint");
	output_add_string(object, "state", summary_state(summary));
	output_add_number(object, "nodes", summary->nr_nodes);
	output_add_number(object, "bytes", summary->bytes);
	output_add_number(object, "kexecs", summary->kexec_count);
	output_add_number(object, "saved_ns", summary->saved_at_ns);
	add_owner(object, dev, summary);
	return object;
}

static struct json_object *node_to_json(const struct pram_node_stat *node)
{
	struct json_object *object = output_new_object();

	output_add_string(object, "name", (const char *)node->name);
	pramctl_add_node(object, node);
	return object;
}

/* Nodes that have lost their name are known by their id, to people as well. */
static void name_the_nameless(struct json_object *rows)
{
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		_cleanup_free_ char *name = NULL;

		if (*json_object_get_string(json_object_object_get(row, "name")))
			continue;
		name = output_format("(id %s)",
				     json_object_get_string(json_object_object_get(row, "id")));
		output_add_string(row, "name", name);
	}
}

/*
 * Sorts all nodes: checkpoints are summed up, unless each node is asked for, and
 * @others gets the rest.
 */
static int collect(int dev, bool every_node, struct summaries *checkpoints,
		   struct json_object *others)
{
	struct pram_checkpoint_node belongs;
	struct pram_node_stat node = { .id = 0 };
	int ret;

	while ((ret = pram_list_next(dev, &node)) > 0) {
		struct summary *summary;

		if (every_node || !pram_checkpoint_node_parse(&node, &belongs)) {
			output_append(others, node_to_json(&node));
			continue;
		}
		summary = summary_of(checkpoints, belongs.name);
		if (!summary)
			return -ENOMEM;
		summary_add(summary, &belongs, &node);
	}
	return ret;
}

static void print_nodes(struct json_object *nodes)
{
	static const struct output_column columns[] = {
		{ "ID", "id", OUTPUT_NUMBER },		{ "NAME", "name", OUTPUT_TEXT },
		{ "TYPE", "type", OUTPUT_TEXT },	{ "STATE", "state", OUTPUT_TEXT },
		{ "CHECKSUM", "checksum", OUTPUT_YES_NO }, { "SIZE", "bytes", OUTPUT_BYTES },
		{ "PAGES", "data_pages", OUTPUT_NUMBER }, { "FOLIOS", "folios", OUTPUT_NUMBER },
		{ "ADOPTED", "adopted_pages", OUTPUT_NUMBER },
		{ "KEXECS", "kexecs", OUTPUT_NUMBER },	{ "SAVED", "saved_ns", OUTPUT_TIME },
	};

	name_the_nameless(nodes);
	output_table(nodes, OUTPUT_COLUMNS(columns));
}

static void print_checkpoints(struct json_object *checkpoints, struct json_object *others)
{
	static const struct output_column columns[] = {
		{ "NAME", "name", OUTPUT_TEXT },	{ "TYPE", "type", OUTPUT_TEXT },
		{ "STATE", "state", OUTPUT_TEXT },	{ "NODES", "nodes", OUTPUT_NUMBER },
		{ "SIZE", "bytes", OUTPUT_BYTES },	{ "KEXECS", "kexecs", OUTPUT_NUMBER },
		{ "SAVED", "saved_ns", OUTPUT_TIME },	{ "OWNER", "owner", OUTPUT_TEXT },
	};

	for (size_t i = 0; i < json_object_array_length(others); i++)
		output_append(checkpoints,
			      json_object_get(json_object_array_get_idx(others, i)));
	name_the_nameless(checkpoints);
	output_table(checkpoints, OUTPUT_COLUMNS(columns));
}

/* What all of PRAM holds, and may hold. */
static int add_totals(struct json_object *object, int dev, struct pram_ioctl_info *info)
{
	int ret = pram_info(dev, info);

	if (ret)
		return ret;
	output_add_number(object, "held_bytes", info->held_bytes);
	if (info->max_bytes == PRAM_MAX_BYTES_NONE)
		output_add_null(object, "max_bytes");
	else
		output_add_number(object, "max_bytes", info->max_bytes);
	output_add_number(object, "lost_pages", info->lost_pages);
	return 0;
}

/* Where there is no limit, and nothing was lost, there is nothing to say. */
static void print_totals(const struct pram_ioctl_info *info)
{
	_cleanup_free_ char *held = output_bytes(info->held_bytes);
	_cleanup_free_ char *max = output_bytes(info->max_bytes);

	if (info->max_bytes != PRAM_MAX_BYTES_NONE)
		printf("held: %s of the %s that " PRAM_MAX_BYTES_PATH " allows\n", held, max);
	if (info->lost_pages)
		printf("lost: at least %llu pages, which arrived damaged: see the kernel's log\n",
		       (unsigned long long)info->lost_pages);
}

enum pramctl_exit pramctl_list(const struct pramctl_args *args)
{
	struct json_object *checkpoints = output_new_array(), *others = output_new_array();
	struct json_object *object = output_new_object();
	struct summaries list = { 0 };
	_cleanup_close_ int dev = pramctl_open();
	struct pram_ioctl_info info;
	int ret;

	/* What is printed owns what it consists of. */
	output_add(object, "checkpoints", checkpoints);
	output_add(object, args->nodes ? "nodes" : "other_nodes", others);
	ret = dev < 0 ? 0 : collect(dev, args->nodes, &list, others);
	for (size_t i = 0; i < list.nr; i++)
		output_append(checkpoints, summary_to_json(dev, &list.all[i]));
	free(list.all);
	if (dev >= 0 && !ret)
		ret = add_totals(object, dev, &info);

	if (dev < 0 || ret) {
		if (ret)
			pramctl_error("the nodes can't be listed: %s; see the kernel's log",
				      strerror(-ret));
		json_object_put(object);
		return dev < 0 ? PRAMCTL_UNAVAILABLE : PRAMCTL_FAILED;
	}
	if (args->nodes)
		json_object_object_del(object, "checkpoints");
	if (args->json) {
		output_json(object);
		return PRAMCTL_OK;
	}
	if (args->nodes)
		print_nodes(others);
	else
		print_checkpoints(checkpoints, others);
	print_totals(&info);
	json_object_put(object);
	return PRAMCTL_OK;
}
