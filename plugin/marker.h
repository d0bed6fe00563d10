/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file inventory.img in the images directory, for container runtimes that look for one
 * before they call criu. It is CRIU's inventory, with versions and ids but no memory, and
 * with this plugin among those that a restore needs.
 *
 * Functions return 0 or -errno. Only pram_marker_write() logs.
 */
#ifndef PRAM_PLUGIN_MARKER_H
#define PRAM_PLUGIN_MARKER_H

/* Does all that can fail, beside the file's place. @inventory: CRIU's own, of any position. */
int pram_marker_write(int dfd, int inventory);

/* Puts what was written in its place: the checkpoint is there. */
int pram_marker_show(int dfd);

/* The checkpoint will not be: takes back what was written. That of an earlier one stays. */
void pram_marker_discard(int dfd);

/* The checkpoint is gone: removes the marker, and nothing that is none. */
void pram_marker_remove(int dfd);

#endif /* PRAM_PLUGIN_MARKER_H */
