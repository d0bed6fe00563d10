/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sessions of the kernel's live update orchestrator: files that it preserves.
 *
 * Functions return 0, a descriptor or -errno. Only luo_session_error() logs.
 */
#ifndef PRAM_PLUGIN_LUO_SESSION_H
#define PRAM_PLUGIN_LUO_SESSION_H

#include <stdint.h>

#include "../session.h"

/* The index and the small images; the pages images follow in the index's order. */
#define LUO_TOKEN_METADATA	UINT64_C(0)
#define LUO_TOKEN_PAGES(i)	(UINT64_C(1) + (i))

/**
 * luo_session_create() - begin a session
 * @session: gives it its name
 *
 * The session lives as long as the descriptor or a copy of it is open; the files
 * in it are no longer preserved when the last is closed before a kexec.
 *
 * Return: a descriptor, close-on-exec. -EEXIST: there is a session of that name.
 * -EBUSY: some other program has the device open, and did not close it for 5 s.
 * -ENAMETOOLONG. Errors of opening the device: -ENOENT if there is none.
 */
int luo_session_create(const struct pram_session *session);

/**
 * luo_session_retrieve() - take a session over from the kernel before
 * @session: gives its name
 *
 * This can be done once. When the descriptor and all copies of it are closed,
 * files that were not retrieved are freed.
 *
 * Return: as luo_session_create(), but -ENOENT also if there is no such session,
 * -EINVAL if it was retrieved before, -EIO if the kernel could not read what it was
 * handed over.
 */
int luo_session_retrieve(const struct pram_session *session);

/* Logs what one of the two above has returned, with the next step. */
void luo_session_error(const struct pram_session *session, int error);

/* Preserves a memfd, which can't be written to from then on. The caller's stays open. */
int luo_session_preserve_fd(int luo, int fd, uint64_t token);

/* The memfd, close-on-exec, that the caller closes; -ENOENT: no such token. */
int luo_session_retrieve_fd(int luo, uint64_t token);

/* Ends a session that was retrieved; what it preserved belongs to its users now. */
int luo_session_finish(int luo);

/**
 * luo_session_keep() - keep a session open until the kexec
 * @luo: the session; the caller's descriptor stays open
 *
 * Leaves a process behind that does nothing else: it is nobody's child and holds no
 * other file. If it is killed the session ends.
 *
 * Return: its pid or -errno.
 */
int luo_session_keep(int luo);

#endif /* PRAM_PLUGIN_LUO_SESSION_H */
