// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "checkpoint.h"
#include "checkpoint_nodes.h"
#include "pram.h"

int pram_checkpoint_remove(int dev, const char *name, uint64_t *nr_freed)
{
	struct pram_fd_list streams = { 0 };
	struct pram_node_list list;
	uint64_t nr = 0;
	size_t i;
	int ret;

	ret = pram_node_list_get(dev, name, &list);
	if (ret)
		return ret;

	for (i = 0; i < list.nr; i++) {
		int stream = pram_node_load(dev, &list.nodes[i]);

		/* Damaged: to be freed by its id. Gone meanwhile: as we want it. */
		if (stream == -EBADMSG || stream == -ENOENT)
			continue;
		ret = stream < 0 ? stream : pram_fd_list_add(&streams, stream);
		if (ret)
			goto out;
	}
	if (streams.nr) {
		ret = pram_commit(dev, streams.fds, streams.nr);
		if (ret)
			goto out;
		nr += streams.nr;
	}
	for (i = 0; i < list.nr; i++) {
		if (list.nodes[i].state != PRAM_NODE_BROKEN)
			continue;
		ret = pram_free_id(dev, list.nodes[i].id);
		if (!ret)
			nr++;
		else if (ret != -ENOENT)
			goto out;
	}
	ret = nr ? 0 : -ENOENT;
out:
	pram_fd_list_close(&streams);
	pram_node_list_free(&list);
	if (nr_freed)
		*nr_freed = nr;
	return ret;
}
