/* SPDX-License-Identifier: GPL-2.0-only */
/* Dumping into PRAM. Functions return 0, a descriptor or -errno, and log errors. */
#ifndef PRAM_PLUGIN_DUMP_H
#define PRAM_PLUGIN_DUMP_H

#include <stdbool.h>
#include <sys/uio.h>

/* The first of CRIU's options in force that no checkpoint in memory can serve, or NULL. */
const char *pram_dump_refused_option(void);

/* Claims the checkpoint's name; no task has been touched yet. */
int pram_dump_begin(void);

/* Has pram_dump_begin() succeeded, and pram_dump_end() not been called since? */
bool pram_dump_active(void);

/* Creates an image; also in processes forked by CRIU. The caller closes it. */
int pram_dump_create(const char *image);

/* Drops an image, if there is one; also in processes forked by CRIU. */
int pram_dump_unlink(const char *image);

/*
 * CR_PLUGIN_HOOK__DUMP_PAGES: takes a stopped task's pages over into a pages image.
 * Without ranges, says whether it would: 0, or -ENOTSUP. With some, 0 or another
 * error, which is logged.
 */
int pram_dump_pages(int fd, int pid, const struct iovec *iovs, unsigned int nr_iovs);

/*
 * CR_PLUGIN_HOOK__DUMP_PRESENT_PAGES: finds and takes over what is the task's own in a
 * range. Without one, says whether it would. -ENOTSUP for a range leaves it to CRIU.
 */
int pram_dump_present_pages(int fd, int pid, struct iovec *range, struct iovec *taken,
			    unsigned int *nr_taken);

/* CR_PLUGIN_HOOK__DUMP_SHARED_PAGES: the same of shared memory, by a file of it. */
int pram_dump_shared_pages(int fd, int shared, const struct iovec *iovs, unsigned int nr_iovs);

/* Commits the checkpoint; after an error pram_dump_end() discards it. */
int pram_dump_commit(void);

/* Discards what was not committed. May be called at any time. */
void pram_dump_end(void);

#endif /* PRAM_PLUGIN_DUMP_H */
