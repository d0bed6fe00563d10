/* SPDX-License-Identifier: GPL-2.0-only */
/* Restoring from PRAM. Functions return 0, a descriptor or -errno, and log errors. */
#ifndef PRAM_PLUGIN_RESTORE_H
#define PRAM_PLUGIN_RESTORE_H

#include <stdbool.h>

/* The first of CRIU's options in force that no checkpoint in memory can serve, or NULL. */
const char *pram_restore_refused_option(void);

/*
 * Opens an image to read; also in tasks that are being restored. The caller closes
 * it. -ENOENT: no such image, not logged. -ENOTSUP: restoring from ordinary files.
 *
 * The first call looks for the checkpoint. If PRAM does not have it but the images
 * directory has images, these are restored if that was asked for (files = yes).
 */
int pram_restore_open(const char *image, int flags);

/* Makes the checkpoint reachable for the tasks that are going to be restored. */
int pram_restore_share(void);

/* CR_PLUGIN_HOOK__SHARE_PAGES: does the kernel share what tasks read that had it in common? */
bool pram_restore_shares_pages(void);

/* Says what has become of the checkpoint, and of what is damaged in it where. */
void pram_restore_failed(void);

/* The tasks are about to run: frees the checkpoint, unless it is to be kept. */
int pram_restore_finish(void);

/* Puts the checkpoint back unless it was finished. May be called at any time. */
void pram_restore_end(void);

/* Is there a checkpoint that pram_restore_end() would put back? */
bool pram_restore_active(void);

#endif /* PRAM_PLUGIN_RESTORE_H */
