/* SPDX-License-Identifier: GPL-2.0-only */
/* A list of things that were looked at, and how each is: what pramctl check is made of. */
#ifndef PRAM_CLI_CHECK_H
#define PRAM_CLI_CHECK_H

#include <stdbool.h>

#include <json-c/json.h>

#include "pramctl.h"

/* Where KHO says what it does. */
#define CHECK_KHO_DIR	"/sys/kernel/debug/kho/out"

enum check_status {
	CHECK_OK,
	CHECK_MISSING,
	CHECK_UNKNOWN,	/* cannot be seen, which is not held against the system */
	CHECK_LOST,	/* would be */
};

struct check {
	const struct pramctl_args	*args;
	struct json_object		*items;
	char				*config;	/* the kernel's, or NULL */
	bool				failed;		/* one is missing or would be lost */
};

/* One line: what was looked at, what was found, and what to do if that is not well. */
void check_add(struct check *check, const char *item, enum check_status status,
	       const char *found, const char *remedy);

/*
 * Prints all of it, with the verdict in words or, in JSON, as the member @key, which is
 * true if nothing failed. Frees the items. Returns the exit status.
 */
enum pramctl_exit check_end(struct check *check, const char *key, const char *verdict);

/* A line that says if KHO has room for that kernel and, if not %NULL, initrd. */
void check_add_images(struct check *check, const char *kernel, const char *initrd);

/* What a kexec or a reboot would lose: check --kexec, check --reboot. */
enum pramctl_exit pramctl_check_loss(const struct pramctl_args *args);

/* What is known of a task before it is dumped: check --task. */
enum pramctl_exit pramctl_check_task(const struct pramctl_args *args);

/* What stands in the way of services that are to go over a kexec: check --services. */
enum pramctl_exit pramctl_check_services(const struct pramctl_args *args);

#endif /* PRAM_CLI_CHECK_H */
