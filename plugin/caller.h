/* SPDX-License-Identifier: GPL-2.0-only */
/* What is to become of a dump or of a checkpoint, by who has called criu. */
#ifndef PRAM_PLUGIN_CALLER_H
#define PRAM_PLUGIN_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Long enough for each reason. */
#define PRAM_CALLER_REASON_MAX	256

/**
 * pram_caller_packs() - will who has called a container runtime, which has called
 * criu, pack the images directory into an archive?
 * @reason: who, and what to do instead; set if so
 *
 * In an archive of a directory without images there would be no checkpoint, and who made it
 * would not know. Container runtimes do not tell criu: it has to be seen from who they are,
 * and from their arguments.
 */
bool pram_caller_packs(char reason[PRAM_CALLER_REASON_MAX]);

/*
 * Will the restore fail, whatever is dumped? podman has containers restored that have a user
 * namespace of their own, as @task may have, but criu can't do it, nor with ordinary images.
 */
bool pram_caller_will_fail(pid_t task);

/*
 * Is the checkpoint to be there for further restores? podman asks for that by "podman container restore --keep", of which
 * criu is not told.
 */
bool pram_caller_keeps(void);

/* Does a podman with these arguments restore the container @id with that option? Its name is @name, or NULL. */
bool pram_podman_keeps(const char *args, size_t size, const char *id, const char *name);

/*
 * As pram_caller_packs(), of one program: its name as in /proc/PID/comm, and its arguments as in
 * /proc/PID/cmdline, @size bytes and a nul behind them.
 */
bool pram_program_packs(const char *comm, const char *args, size_t size,
			char reason[PRAM_CALLER_REASON_MAX]);

#endif /* PRAM_PLUGIN_CALLER_H */
