/* SPDX-License-Identifier: GPL-2.0-only */
/* The drop-in by which a service goes over a kexec. */
#ifndef PRAM_CLI_DROP_IN_H
#define PRAM_CLI_DROP_IN_H

#include <stdbool.h>

#include <json-c/json.h>

#include "unit.h"

/* In a drop-in about a container: its name and its id. */
#define DROP_IN_CONTAINER_LINE	"# container: "

/* The path of a unit's drop-in below @root, to be freed. */
char *drop_in_path(const char *root, const char *unit);

/*
 * What keeps a service from going over a kexec: an array of text, empty if there is nothing.
 * @no_private_users: PrivateUsers= will be switched off.
 */
struct json_object *drop_in_obstacles(const struct unit *unit, bool no_private_users);

/* The drop-in's text, to be freed. */
char *drop_in_text(const struct unit *unit, const char *root, bool no_private_users);

/* The same of a unit that runs a container, and its path. */
char *drop_in_container_path(const char *root, const char *unit);
char *drop_in_container_text(const struct unit *unit, const char *root, const char *name,
			     const char *id);

/* Are the unit's files other than those that the drop-in with this text was made of? */
bool drop_in_is_stale(const struct unit *unit, const char *root, const char *text);

#endif /* PRAM_CLI_DROP_IN_H */
