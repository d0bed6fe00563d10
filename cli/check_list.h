/* SPDX-License-Identifier: GPL-2.0-only */
/* A list of things that were looked at, and how each is: what "pramctl check" is made of. */
#ifndef PRAM_CLI_CHECK_LIST_H
#define PRAM_CLI_CHECK_LIST_H

#include <stdbool.h>

#include <json-c/json.h>

#include "pramctl.h"

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

#endif /* PRAM_CLI_CHECK_LIST_H */
