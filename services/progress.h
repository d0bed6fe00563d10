/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PRAM_SERVICES_PROGRESS_H
#define PRAM_SERVICES_PROGRESS_H

#include <sys/types.h>

/**
 * progress_wait() - wait for the end of a process, while it makes progress
 * @pidfd: of the process
 * @pid: the process
 * @stop: when this can be read, it is not waited for any more; or -1
 * @dir: the directory of its log
 * @log: the log's name, which need not be there
 * @still_ms: so long it may make no progress
 * @most_ms: so long it may take
 *
 * Return: 0 if it has ended; -ETIMEDOUT if it makes no progress; -ETIME if it takes too long; -ECANCELED for @stop.
 */
int progress_wait(int pidfd, pid_t pid, int stop, int dir, const char *log, unsigned int still_ms,
		  unsigned int most_ms);

#endif /* PRAM_SERVICES_PROGRESS_H */
