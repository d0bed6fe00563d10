// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_nodes.h"
#include "pram.h"

int pram_fd_list_add(struct pram_fd_list *list, int fd)
{
	int *fds = reallocarray(list->fds, list->nr + 1, sizeof(*fds));

	if (!fds) {
		close(fd);
		return -ENOMEM;
	}
	list->fds = fds;
	list->fds[list->nr++] = fd;
	return 0;
}

void pram_fd_list_close(struct pram_fd_list *list)
{
	int saved_errno = errno;

	while (list->nr)
		close(list->fds[--list->nr]);
	free(list->fds);
	list->fds = NULL;
	errno = saved_errno;
}

int pram_node_list_get(int dev, const char *name, struct pram_node_list *list)
{
	struct pram_checkpoint_node belongs;
	struct pram_node_stat node = { .id = 0 };
	struct pram_node_stat *nodes;
	int ret;

	*list = (struct pram_node_list){ 0 };
	while ((ret = pram_list_next(dev, &node)) > 0) {
		if (!pram_checkpoint_node_parse(&node, &belongs) || strcmp(belongs.name, name))
			continue;
		nodes = reallocarray(list->nodes, list->nr + 1, sizeof(*nodes));
		if (!nodes) {
			ret = -ENOMEM;
			break;
		}
		list->nodes = nodes;
		list->nodes[list->nr++] = node;
	}
	if (ret)
		pram_node_list_free(list);
	return ret;
}

void pram_node_list_free(struct pram_node_list *list)
{
	free(list->nodes);
	*list = (struct pram_node_list){ 0 };
}

int pram_node_load(int dev, const struct pram_node_stat *node)
{
	if (node->state == PRAM_NODE_BROKEN)
		return -EBADMSG;
	return pram_load(dev, (const char *)node->name, node->type, 0);
}
