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
 * @name: the checkpoint's name, borrowed from one of the above
 * @dev: /dev/pram, or -1
 */
struct pram_session {
	struct pram_settings	settings;
	char			*images_dir;
	const char		*name;
	int			dev;
};

/**
 * pram_session_begin() - read the settings and find the checkpoint's name
 * @session: filled; ended by pram_session_end(), also after an error
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
void pram_session_open_error(int error);

void pram_session_end(struct pram_session *session);

/* Is this descriptor CRIU's images directory, rather than a parent of it? */
bool pram_session_is_images_dir(int dfd);

/* Are there images in the images directory, by CRIU without this plugin? */
bool pram_session_has_ordinary_images(void);

#endif /* PRAM_PLUGIN_SESSION_H */
