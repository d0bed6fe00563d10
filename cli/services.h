/* SPDX-License-Identifier: GPL-2.0-only */
/* What verbs about services share. */
#ifndef PRAM_CLI_SERVICES_H
#define PRAM_CLI_SERVICES_H

#include <json-c/json.h>

#include "check.h"

/* pram-pids.service begins no lower; what early boot has is far below. */
#define SERVICES_LOW_PID	4096

/* The unit that an operand means, to be freed; or NULL after having said what is wrong. */
char *services_unit_name(const char *operand);

/* Says what is in the way, which is put. */
enum pramctl_exit services_refuse(const char *name, struct json_object *obstacles);

/* Writes a drop-in of a unit, and has systemd take it: nothing is left if it does not. */
enum pramctl_exit services_install(const char *unit, const char *path, const char *text);

/* Calls for each enabled unit, sorted; then for each enabled container, "container:NAME". */
void services_for_each(const char *root, void (*call)(const char *unit, void *arg), void *arg);

/* Lines about each enabled service; @status is that of one that something is in the way of. */
void services_check(struct check *check, enum check_status status);

#endif /* PRAM_CLI_SERVICES_H */
