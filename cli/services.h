/* SPDX-License-Identifier: GPL-2.0-only */
/* What verbs about services share. */
#ifndef PRAM_CLI_SERVICES_H
#define PRAM_CLI_SERVICES_H

#include <json-c/json.h>

/* pram-pids.service begins no lower; what early boot has is far below. */
#define SERVICES_LOW_PID	4096

/* The unit that an operand means, to be freed; or NULL after having said what is wrong. */
char *services_unit_name(const char *operand);

/* Calls for each enabled unit, sorted. */
void services_for_each(const char *root, void (*call)(const char *unit, void *arg), void *arg);

/* What stands in the way of the enabled services now: an array of text "UNIT: WHAT". */
struct json_object *services_obstacles(const char *root);

#endif /* PRAM_CLI_SERVICES_H */
