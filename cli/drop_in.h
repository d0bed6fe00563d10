/* SPDX-License-Identifier: GPL-2.0-only */
/* The drop-in by which a service goes over a kexec. */
#ifndef PRAM_CLI_DROP_IN_H
#define PRAM_CLI_DROP_IN_H

#include <stdbool.h>

#include <json-c/json.h>

#include "unit.h"

/* In a drop-in about a container: its name, and its id if that stays the same. */
#define DROP_IN_CONTAINER_LINE	"# container: "

/* The path of a unit's drop-in below @root, to be freed. */
char *drop_in_path(const char *root, const char *unit);

/*
 * What keeps a service from going over a kexec: an array of text, empty if there is nothing.
 * @no_private_users: PrivateUsers= is to be switched off whatever the service can do then.
 */
struct json_object *drop_in_obstacles(const struct unit *unit, bool no_private_users);

/* Has it PrivateUsers=, and would have capabilities over the machine without that? */
bool drop_in_needs_private_users(const struct unit *unit);

/* The drop-in's text, to be freed. It switches PrivateUsers= off. */
char *drop_in_text(const struct unit *unit, const char *root);

/*
 * The same of a unit that runs a container, and its path. @id: NULL if it makes one at each start, by "podman run";
 * then by @runtime, if that is not %NULL.
 */
char *drop_in_container_path(const char *root, const char *unit);
char *drop_in_container_text(const struct unit *unit, const char *root, const char *name,
			     const char *id, const char *runtime);

/* Are the unit's files other than those that the drop-in with this text was made of? */
bool drop_in_is_stale(const struct unit *unit, const char *root, const char *text);

#endif /* PRAM_CLI_DROP_IN_H */
