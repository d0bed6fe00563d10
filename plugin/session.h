/* SPDX-License-Identifier: GPL-2.0-only */
/* What a dump and a restore have in common: settings, name and device. */
#ifndef PRAM_PLUGIN_SESSION_H
#define PRAM_PLUGIN_SESSION_H

#include <stdbool.h>

#include "settings.h"

/**
 * struct pram_session - one run of CRIU
 * @settings: as in force
 * @images_dir: the resolved path of CRIU's images directory
 * @own_name: the name if neither of the above can be it, or %NULL
 * @name: the checkpoint's name, borrowed from one of the above
 * @dev: /dev/pram, or -1
 * @outside: why it can't be opened outside of criu's control group either, see device.h
 */
struct pram_session {
	struct pram_settings	settings;
	char			*images_dir;
	char			*own_name;
	const char		*name;
	int			dev;
	int			outside;
};

/**
 * pram_session_begin() - read the settings and find the checkpoint's name
 * @session: filled; ended by pram_session_end(), also after an error
 *
 * A path means something in its mount namespace only. Where it leads to another directory
 * than it leads the machine's init to, the name has the mount that is criu's root and this boot in
 * it, unless it is set: so no container takes, or restores, what another has called by the
 * same path. A directory that has been opened in another namespace than criu's needs a name.
 *
 * Return: 0 or -errno. Errors are logged.
 */
int pram_session_begin(struct pram_session *session);

/* Is the backend set to LUO? No if the settings can't be read: PRAM's begin says why. */
bool pram_session_wants_luo(void);

/**
 * pram_session_open() - open /dev/pram
 * @session: after pram_session_begin()
 *
 * Return: 0 or -errno. Errors are not logged: see pram_session_open_error().
 */
int pram_session_open(struct pram_session *session);

/* Logs what pram_session_open() returned, with the next step. */
void pram_session_open_error(const struct pram_session *session, int error);

/**
 * pram_session_wait() - is it worth trying once more?
 * @error: what has failed with this
 * @waited_ms: how long this was waited for so far; 0 to begin with
 *
 * The tasks of a restore that has failed hold its checkpoint until they are dead, which
 * nobody waits for: so for a moment it is busy.
 *
 * Return: true if @error is -EBUSY and not for long, after a pause.
 */
bool pram_session_wait(int error, unsigned int *waited_ms);

void pram_session_end(struct pram_session *session);

/* Is this descriptor CRIU's images directory, rather than a parent of it? */
bool pram_session_is_images_dir(int dfd);

/*
 * Are there images in the images directory, by CRIU without this plugin? An inventory
 * alone is none: container runtimes look for one.
 */
bool pram_session_has_ordinary_images(void);

#endif /* PRAM_PLUGIN_SESSION_H */
