/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of the fake device that has to do with memory: what its streams take over, and map. */
#ifndef PRAM_TEST_FAKE_PRAM_PAGES_H
#define PRAM_TEST_FAKE_PRAM_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/pram.h>

#define FAKE_PAGE_SIZE	4096U

struct fake_node {
	bool		exists;
	int		slot;		/* of the keeper */
	ino_t		ino;
	bool		replace;
	bool		sealed;
	uint64_t	adopted_pages;
	/* PRAM_NODE_LOADING is never stored: the lock tells. */
	struct pram_node_stat stat;
};

/* Ends the test: the fake device cannot go on. */
void fake_pram_die(const char *what);

/* The ioctls of a stream, by its descriptor: 0, or a positive errno. */
int fake_adopt(int fd, struct pram_ioctl_adopt *arg, struct fake_node *node);
int fake_adopt_present(int fd, struct pram_ioctl_adopt_present *arg, struct fake_node *node);
int fake_adopt_file(int fd, struct pram_ioctl_adopt_file *arg, struct fake_node *node);
int fake_map(int fd, struct pram_ioctl_map *arg);

#endif /* PRAM_TEST_FAKE_PRAM_PAGES_H */
