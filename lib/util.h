/* SPDX-License-Identifier: GPL-2.0-only */
/* What the library's own files share; not for its users. */
#ifndef PRAM_LIB_UTIL_H
#define PRAM_LIB_UTIL_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static inline void pram_cleanup_close(const int *fd)
{
	if (*fd >= 0) {
		int saved_errno = errno;

		close(*fd);
		errno = saved_errno;
	}
}

static inline void pram_cleanup_free(void *p)
{
	free(*(void **)p);
}

/* Closes the descriptor, if there is one, when the variable goes out of scope. */
#define _cleanup_close_	__attribute__((cleanup(pram_cleanup_close)))
/* Frees the memory when the variable goes out of scope. */
#define _cleanup_free_	__attribute__((cleanup(pram_cleanup_free)))

/* Takes the descriptor out of a _cleanup_close_ variable. */
static inline int pram_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Reads exactly @size bytes at @offset: 0, -EBADMSG if the file ends before, -errno. */
int pram_pread_full(int fd, void *buf, size_t size, off_t offset);

/* Appends exactly @size bytes: 0 or -errno. */
int pram_write_full(int fd, const void *buf, size_t size);

/*
 * Appends @size bytes of @in from @offset on to @out, without moving @in's file
 * position and without ever holding more than a buffer of them: 0, -EBADMSG if
 * @in ends before, -errno.
 */
int pram_copy_range(int in, off_t offset, int out, uint64_t size);

#endif /* PRAM_LIB_UTIL_H */
