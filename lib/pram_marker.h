/* SPDX-License-Identifier: GPL-2.0-only */
/* How the file is known by which a checkpoint shows in its images directory. */
#ifndef PRAM_LIB_PRAM_MARKER_H
#define PRAM_LIB_PRAM_MARKER_H

#include <stdbool.h>

#define PRAM_MARKER_NAME	"inventory.img"
/* Its name among the plugins that a restore needs, 11 bytes. */
#define PRAM_MARKER_PLUGIN	"pram_plugin"

/* Is there such a file in the directory @dfd, and not an inventory of ordinary images? */
bool pram_marker_is(int dfd);

#endif /* PRAM_LIB_PRAM_MARKER_H */
