/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PRAM_SERVICES_STOP_H
#define PRAM_SERVICES_STOP_H

#include <stdbool.h>

/**
 * stop_catch() - from now on no signal ends this process, but those of a fault, SIGKILL and SIGSTOP
 *
 * systemd sends one when a command takes longer than the unit's limit: any that KillSignal= names. Programs that
 * this process runs must have their signals unblocked again.
 *
 * Return: 0 or -errno.
 */
int stop_catch(void);

/* To be polled: readable from when such a signal has come; -1 before stop_catch(). Nobody may read it. */
int stop_fd(void);

/* Has one come? */
bool stop_told(void);

#endif /* PRAM_SERVICES_STOP_H */
