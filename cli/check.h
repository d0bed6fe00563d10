/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of "pramctl check", and what others use of them. */
#ifndef PRAM_CLI_CHECK_H
#define PRAM_CLI_CHECK_H

#include "check_list.h"
#include "pramctl.h"

/* Where KHO says what it does. */
#define CHECK_KHO_DIR	"/sys/kernel/debug/kho/out"

/*
 * Lines about a kernel that may be the next: does it read what this one hands over, and has KHO room
 * for it and, if not %NULL, the initrd? @needed: there is something to be handed over.
 */
void check_add_images(struct check *check, const char *kernel, const char *initrd, bool needed);

/* What a kexec or a reboot would lose: check --kexec, check --reboot. */
enum pramctl_exit pramctl_check_loss(const struct pramctl_args *args);

/* Can this kernel take shared memory over, so that it is not copied? */
uint64_t check_features(void);

/* What is known of a task before it is dumped: check --task. */
enum pramctl_exit pramctl_check_task(const struct pramctl_args *args);

/* What stands in the way of services that are to go over a kexec: check --services. */
enum pramctl_exit pramctl_check_services(const struct pramctl_args *args);

#endif /* PRAM_CLI_CHECK_H */
