/* SPDX-License-Identifier: GPL-2.0-only */
/* Where in the machine this process runs. */
#ifndef PRAM_LIB_PLACE_H
#define PRAM_LIB_PLACE_H

#include <stdbool.h>

/*
 * Does a path mean here what it means to the machine's init: in its mount namespace, and
 * from its root? No if that can't be seen.
 */
bool pram_place_is_first_mount_namespace(void);

/* Has this process CAP_SYS_ADMIN in the initial user namespace? */
bool pram_place_is_privileged(void);

#endif /* PRAM_LIB_PLACE_H */
