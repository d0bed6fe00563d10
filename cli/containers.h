/* SPDX-License-Identifier: GPL-2.0-only */
/* Containers of podman, among the verbs about services. */
#ifndef PRAM_CLI_CONTAINERS_H
#define PRAM_CLI_CONTAINERS_H

#include <stdbool.h>

#include <json-c/json.h>

#include "podman.h"
#include "pramctl.h"
#include "unit.h"

/* The drop-in by which a container that no unit runs is enabled, below @root: to be freed. */
char *containers_path(const char *root, const char *name);

/* Does this unit start a container by podman? Then it is the container that goes over a kexec. */
bool containers_runs(const char *root, const struct unit *unit);

/* Enables "container:NAME", or a unit that runs a container. */
enum pramctl_exit containers_enable(const struct pramctl_args *args, const char *key);
enum pramctl_exit containers_enable_unit(const struct pramctl_args *args, const struct unit *unit);

/*
 * Is this an enabled container, or a unit that has one? Then its state, and what is in its way, is
 * added to @service and to @obstacles.
 */
bool containers_describe(const char *root, const char *key, struct json_object *service,
			 struct json_object *obstacles);

#endif /* PRAM_CLI_CONTAINERS_H */
