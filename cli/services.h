/* SPDX-License-Identifier: GPL-2.0-only */
/* What verbs about services share. */
#ifndef PRAM_CLI_SERVICES_H
#define PRAM_CLI_SERVICES_H

#include "check.h"

/* pram-pids.service begins no lower; what early boot has is far below. */
#define SERVICES_LOW_PID	4096

/* The unit that an operand means, to be freed; or NULL after having said what is wrong. */
char *services_unit_name(const char *operand);

/* Calls for each enabled unit, sorted. */
void services_for_each(const char *root, void (*call)(const char *unit, void *arg), void *arg);

/* Lines about each enabled service; @status is that of one that something is in the way of. */
void services_check(struct check *check, enum check_status status);

#endif /* PRAM_CLI_SERVICES_H */
