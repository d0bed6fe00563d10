/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known of services: a record goes with a service's checkpoint through the kexec, as
 * a node of PRAM beside it; what has become of it is in a file for people to look at.
 *
 * A record lives through kexecs and nothing else, and its node counts them. So one that has
 * lived through one was made in the shutdown that ended the last kernel, and no other.
 */
#ifndef PRAM_SERVICES_RECORD_H
#define PRAM_SERVICES_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "pram.h"

/* Of the record's node; the checkpoint of the same service is called so, too. */
#define RECORD_PREFIX		"service:"
/* Of the checkpoint of a dump that is only tried. */
#define RECORD_TRY_PREFIX	"try:"
#define RECORD_HISTORY_DIR	"/var/lib/pram/services"

/* The name of a unit's checkpoint, and of its record: 0 or -ENAMETOOLONG. */
int record_name(const char *unit, char name[PRAM_NAME_MAX]);

/**
 * record_save() - store a record
 * @dev: from pram_open()
 * @unit: the service
 * @record: what to store, instead of what was stored before
 *
 * Return: 0 or -errno.
 */
int record_save(int dev, const char *unit, struct json_object *record);

/**
 * record_load() - look at a record
 * @dev: from pram_open()
 * @unit: the service
 * @record: where to store it, to be put by json_object_put()
 * @kexecs: where to store how many kexecs it has lived through
 *
 * Return: 0; -ENOENT if there is none; -EBADMSG if it can't be read; -errno.
 */
int record_load(int dev, const char *unit, struct json_object **record, uint64_t *kexecs);

/* 0, also if there is none; or -errno. */
int record_remove(int dev, const char *unit);

/*
 * The next service that has a record, by its node's @node->id, 0 to begin with: its name, that
 * lies in @node, or NULL if there are no more.
 */
const char *record_next(int dev, struct pram_node_stat *node);

/* Is there a whole checkpoint of this service? */
bool record_has_checkpoint(int dev, const char *unit);

/* Members of a record; "", 0 if there is none. */
const char *record_text(struct json_object *record, const char *key);
uint64_t record_number(struct json_object *record, const char *key);

/* What was written last about a service below @root, or NULL. */
struct json_object *record_history_load(const char *root, const char *unit);
int record_history_save(const char *unit, struct json_object *history);

#endif /* PRAM_SERVICES_RECORD_H */
