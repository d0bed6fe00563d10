/* SPDX-License-Identifier: GPL-2.0-only */
/* Where programs and files of services are, for pram-service and pramctl. */
#ifndef PRAM_SERVICES_PATHS_H
#define PRAM_SERVICES_PATHS_H

#define SERVICE_PROGRAM	"/usr/lib/pram/pram-service"
#define EXEC_PROGRAM	"/usr/lib/pram/pram-exec"

/* Unit tests have another. */
#ifndef RUN_DIR
#define RUN_DIR		"/run/pram"
#endif
#define LOG_DIR		"/var/log/pram"
#define ENV_DIR		RUN_DIR "/env"		/* PRAM_SERVICE= for the unit's commands */
#define TRIED_DIR	RUN_DIR "/tried"	/* no second restore of the same checkpoint */
#define LOCK_DIR	RUN_DIR "/lock"		/* tables that are up in this boot */

#endif /* PRAM_SERVICES_PATHS_H */
