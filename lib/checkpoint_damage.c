// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_nodes.h"
#include "pram.h"
#include "util.h"

/* The first page of @stream that can't be read: 1 and its offset, 0 or -errno. */
static int find_in_stream(int stream, uint64_t *offset)
{
	const long page = sysconf(_SC_PAGESIZE);
	struct stat st;
	char byte;

	if (fstat(stream, &st))
		return -errno;
	for (*offset = 0; *offset < (uint64_t)st.st_size; *offset += page) {
		if (pread(stream, &byte, 1, *offset) >= 0)
			continue;
		return errno == EBADMSG ? 1 : -errno;
	}
	return 0;
}

static int find_in_node(int dev, const struct pram_node_stat *node, struct pram_damage *damage)
{
	_cleanup_close_ int stream = -1;

	damage->broken = node->state == PRAM_NODE_BROKEN;
	if (damage->broken)
		return 1;
	if (node->state == PRAM_NODE_SAVING || !(node->flags & PRAM_NODE_CHECKSUM))
		return 0;
	stream = pram_load(dev, (const char *)node->name, node->type, PRAM_LOAD_PEEK);
	return stream < 0 ? stream : find_in_stream(stream, &damage->offset);
}

int pram_checkpoint_find_damage(int dev, const char *name, struct pram_damage *damage)
{
	struct pram_node_list list;
	int ret;

	*damage = (struct pram_damage){ .offset = 0 };
	ret = pram_node_list_get(dev, name, &list);
	if (ret)
		return ret;
	for (size_t i = 0; i < list.nr && !ret; i++) {
		snprintf(damage->node, sizeof(damage->node), "%s", (char *)list.nodes[i].name);
		ret = find_in_node(dev, &list.nodes[i], damage);
	}
	pram_node_list_free(&list);
	return ret;
}
