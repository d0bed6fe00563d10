/* SPDX-License-Identifier: GPL-2.0-only */
/* What pram-exec and those who know of it have agreed upon. */
#ifndef PRAM_SERVICES_PRAM_EXEC_H
#define PRAM_SERVICES_PRAM_EXEC_H

#include <signal.h>

/* In its environment: "restore", "dumped", or not there. */
#define PRAM_EXEC_VARIABLE	"PRAM_SERVICE"
/* Its name while it waits, as in /proc/PID/comm. */
#define PRAM_EXEC_WAITS		"pram-waits"
/*
 * What ends that: become the program; or end, as the service has been restored. No signals that anybody
 * else sends a service, to have it read its configuration or open its logs again.
 */
#define PRAM_EXEC_START		(SIGRTMIN + 5)
#define PRAM_EXEC_END		(SIGRTMIN + 6)

#endif /* PRAM_SERVICES_PRAM_EXEC_H */
