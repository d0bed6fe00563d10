/* SPDX-License-Identifier: GPL-2.0-only */
/* The nodes that a checkpoint has by name; the library's own. */
#ifndef PRAM_LIB_CHECKPOINT_NODES_H
#define PRAM_LIB_CHECKPOINT_NODES_H

#include <stddef.h>
#include <stdint.h>

#include <linux/pram.h>

/**
 * struct pram_fd_list - descriptors that are owned together
 * @fds: the descriptors
 * @nr: their number
 */
struct pram_fd_list {
	int	*fds;
	size_t	nr;
};

/* Appends @fd, which the list then owns: 0, or -ENOMEM with @fd closed. */
int pram_fd_list_add(struct pram_fd_list *list, int fd);

/* Closes all descriptors and empties the list; keeps errno. */
void pram_fd_list_close(struct pram_fd_list *list);

/**
 * struct pram_node_list - nodes as they were at one moment
 * @nodes: the nodes, in the order of their ids
 * @nr: their number
 */
struct pram_node_list {
	struct pram_node_stat	*nodes;
	size_t			nr;
};

/*
 * All nodes of checkpoint @name, metadata and pages, in every state: 0, also if
 * there are none, or -errno.
 */
int pram_node_list_get(int dev, const char *name, struct pram_node_list *list);
void pram_node_list_free(struct pram_node_list *list);

/*
 * Opens one node of a list for loading: the stream, or -errno. -EBUSY also for a
 * node that is being saved, -EBADMSG for a broken one.
 */
int pram_node_load(int dev, const struct pram_node_stat *node);

#endif /* PRAM_LIB_CHECKPOINT_NODES_H */
