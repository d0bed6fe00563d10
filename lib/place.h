/* SPDX-License-Identifier: GPL-2.0-only */
/* Where in the machine this process runs. */
#ifndef PRAM_LIB_PLACE_H
#define PRAM_LIB_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Does a path mean here what it means to the machine's init: in its mount namespace, and
 * from its root? No if that can't be seen.
 */
bool pram_place_is_first_mount_namespace(void);

/*
 * Does this absolute path lead the machine's init to the file that is open as @fd? Then it means
 * the same here, in whatever namespace this is. No if that can't be seen.
 */
bool pram_place_leads_init_to(const char *path, int fd);

/* The pid of the machine's init; 0 if it can't be seen. */
pid_t pram_place_init(void);

/**
 * struct pram_place_root - what paths begin at
 * @mount: the number of its mount, which no other one gets in this boot, in no namespace
 * @inode: and where in there it is
 */
struct pram_place_root {
	uint64_t	mount;
	uint64_t	inode;
};

/* Where paths of this process begin: 0 or -errno, -EOPNOTSUPP before Linux 6.8. */
int pram_place_root(struct pram_place_root *root);

/* A process whose paths begin there, this one if its do; 0 if there is none to be seen. */
pid_t pram_place_find(const struct pram_place_root *root);

/* Has this process CAP_SYS_ADMIN in the initial user namespace? */
bool pram_place_is_privileged(void);

/*
 * Moves this process, all its threads, into the root of the control groups (version 2), where
 * no device filter of a container or unit applies: 0 or -errno. The root of the cgroup
 * namespace is as far as it goes.
 */
int pram_place_enter_root_cgroup(void);

#endif /* PRAM_LIB_PLACE_H */
