/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/pram, one function per ioctl.
 *
 * Thin and exact: these calls add no policy and log nothing. What they return
 * on failure is the negative errno of the system call, with the meanings that
 * <linux/pram.h> gives.
 */
#ifndef PRAM_LIB_PRAM_H
#define PRAM_LIB_PRAM_H

#include <stddef.h>
#include <stdint.h>

#include <linux/pram.h>

#define PRAM_DEVICE_PATH	"/dev/pram"
#define PRAM_MAX_BYTES_PATH	"/sys/kernel/pram/max_bytes"

/* @max_bytes of struct pram_ioctl_info if nodes may hold as much as there is. */
#define PRAM_MAX_BYTES_NONE	UINT64_MAX

/**
 * pram_open() - open /dev/pram and check that we speak its language
 *
 * Return: a file descriptor, close-on-exec, that the caller closes. -ENOENT or
 * -ENODEV if this kernel has no PRAM or was booted without kho=on; -EACCES or
 * -EPERM if the caller is not root; -EPROTO if the kernel's ABI version is not
 * %PRAM_ABI_VERSION.
 */
int pram_open(void);

/**
 * pram_open_fd() - use a descriptor of /dev/pram that somebody else has opened
 * @fd: the descriptor, which stays the caller's
 *
 * For who may not open the device, or does not see it: in a container, or in the sandbox
 * of a service.
 *
 * Return: as pram_open(), a descriptor of its own; -EBADF if @fd is not open, -ENOTTY or
 * another error of ioctl(2) if it is not /dev/pram.
 */
int pram_open_fd(int fd);

/**
 * pram_info() - what PRAM holds altogether
 * @dev: from pram_open()
 * @info: filled on success
 *
 * Return: 0 or -errno.
 */
int pram_info(int dev, struct pram_ioctl_info *info);

/**
 * pram_save() - create a node and open it for writing
 * @dev: from pram_open()
 * @name: the node's name, shorter than %PRAM_NAME_MAX bytes
 * @type: %PRAM_PAGE_STREAM or %PRAM_BYTE_STREAM
 * @flags: PRAM_SAVE_* bits
 *
 * Return: the stream, close-on-exec, that the caller closes: that discards the
 * node unless it was committed. -ENAMETOOLONG, -EEXIST, -ENOSPC, ...
 */
int pram_save(int dev, const char *name, uint32_t type, uint32_t flags);

/**
 * pram_load() - open a committed node for reading
 * @dev: from pram_open()
 * @name: the node's name
 * @type: %PRAM_PAGE_STREAM or %PRAM_BYTE_STREAM
 * @flags: PRAM_LOAD_* bits
 *
 * Return: the stream, close-on-exec, that the caller closes: that puts the node
 * back unless it was finished. -ENOENT, -EBUSY, -EPERM, -EBADMSG, ...
 */
int pram_load(int dev, const char *name, uint32_t type, uint32_t flags);

/**
 * pram_seal() - end the writing of a stream that pram_save() returned
 * @stream: the stream
 *
 * Return: 0 or -errno; sealing twice is no error.
 */
int pram_seal(int stream);

/**
 * pram_adopt() - append ranges of a stopped task's memory to a page stream
 * @stream: from pram_save(), of %PRAM_PAGE_STREAM
 * @pidfd: the task, from pidfd_open(2)
 * @ranges: what to append, in this order; addresses and lengths in bytes,
 *	multiples of the page size
 * @nr_ranges: their number, at most %PRAM_ADOPT_MAX
 * @pages: where to store how many pages were appended, also after an error; or
 *	%NULL
 *
 * Only where pram_info() reports %PRAM_FEATURE_ADOPT.
 *
 * Return: 0 or -errno: -ENOTTY if this kernel cannot do that, -E2BIG for too many
 * ranges, -ESRCH, -EACCES, -EFAULT, -ENOMEM, -ENOSPC beyond the limit, -EINTR, ...
 */
int pram_adopt(int stream, int pidfd, const struct pram_range *ranges, size_t nr_ranges,
	       uint64_t *pages);

/**
 * pram_adopt_present() - append what is a stopped task's own in a range of its memory
 * @stream: from pram_save(), of %PRAM_PAGE_STREAM
 * @pidfd: the task, from pidfd_open(2)
 * @range: multiples of the page size; set to what was not looked at for lack of room,
 *	also after an error
 * @found: where to store what was appended, neighbours as one
 * @nr_found: how many there is room for, at most %PRAM_ADOPT_MAX; set to how many there
 *	are
 *
 * Only where pram_info() reports %PRAM_FEATURE_ADOPT_PRESENT.
 *
 * Return: 0 or -errno: -EOPNOTSUPP for memory of hugetlb or of a device, as pram_adopt().
 */
int pram_adopt_present(int stream, int pidfd, struct pram_range *range, struct pram_range *found,
		       uint32_t *nr_found);

/**
 * pram_adopt_file() - append ranges of shared memory to a page stream
 * @stream: from pram_save(), of %PRAM_PAGE_STREAM
 * @fd: a file of the shared memory, open for reading
 * @ranges: what to append, in this order; offsets and lengths in bytes, multiples of
 *	the page size
 * @nr_ranges: their number, at most %PRAM_ADOPT_MAX
 * @pages: where to store how many pages were appended, also after an error; or
 *	%NULL
 *
 * Only where pram_info() reports %PRAM_FEATURE_ADOPT_FILE.
 *
 * Return: 0 or -errno: -ENOTTY if this kernel cannot do that, -E2BIG for too many
 * ranges, -EINVAL for a file that is no shared memory, or a range that is not within it,
 * -ENOMEM, -ENOSPC beyond the limit, -EINTR, ...
 */
int pram_adopt_file(int stream, int fd, const struct pram_range *ranges, size_t nr_ranges,
		    uint64_t *pages);

/**
 * pram_map() - give memory the contents of a page stream
 * @stream: from pram_load() with %PRAM_LOAD_MAP
 * @addr: where in our memory, a multiple of the page size
 * @offset: where in the stream in bytes, a multiple of the page size
 * @nr_pages: number of pages
 * @same: where to store how many of them were there already; or %NULL
 *
 * Only where pram_info() reports %PRAM_FEATURE_MAP.
 *
 * Return: 0 or -errno: -ENOTTY if this kernel cannot do that, -EINVAL, -EFAULT,
 * -ENOMEM, -EBADMSG, -EINTR. After an error some of the memory may have changed.
 */
int pram_map(int stream, void *addr, uint64_t offset, uint64_t nr_pages, uint64_t *same);

/**
 * pram_commit() - commit saves and finish loads, all or none
 * @dev: from pram_open()
 * @fds: streams of pram_save() and pram_load(), none twice
 * @nr_fds: their number, 1 to %PRAM_COMMIT_MAX
 *
 * The streams stay open and have to be closed.
 *
 * Return: 0 or -errno; -E2BIG for too many.
 */
int pram_commit(int dev, const int *fds, size_t nr_fds);

/**
 * pram_commit_flags() - pram_commit(), and what becomes of the tasks
 * @dev: as pram_commit(), and as the other arguments
 * @fds: as pram_commit()
 * @nr_fds: as pram_commit()
 * @flags: %PRAM_COMMIT_TASKS_DIE: the tasks' memory is taken down by the kernel when all
 *	descriptors that came of the open of @dev are closed; %PRAM_COMMIT_EXITKILL: tasks
 *	that the calling thread traces die with it from now on; 0: neither
 *
 * Each flag only where pram_info() reports it.
 *
 * Return: as pram_commit().
 */
int pram_commit_flags(int dev, const int *fds, size_t nr_fds, uint32_t flags);

/**
 * pram_stat() - describe the node of that name
 * @dev: from pram_open()
 * @name: the node's name
 * @node: filled on success
 *
 * Return: 0 or -errno, -ENOENT if there is none.
 */
int pram_stat(int dev, const char *name, struct pram_node_stat *node);

/**
 * pram_list_next() - describe the node with the next higher id
 * @dev: from pram_open()
 * @node: in: only @node->id is used, 0 to begin; out: the node
 *
 * Return: 1 if @node was filled, 0 if there are no more, or -errno.
 */
int pram_list_next(int dev, struct pram_node_stat *node);

/**
 * pram_free() - free the node of that name
 * @dev: from pram_open()
 * @name: the node's name
 *
 * Return: 0 or -errno: -ENOENT, -EBUSY.
 */
int pram_free(int dev, const char *name);

/**
 * pram_free_id() - free a node by its number, whatever its name
 * @dev: from pram_open()
 * @id: as in struct pram_node_stat, not 0
 *
 * Return: 0 or -errno: -ENOENT, -EBUSY.
 */
int pram_free_id(int dev, uint64_t id);

/**
 * pram_free_all() - free every node that nobody is saving or loading
 * @dev: from pram_open()
 * @nr_freed: where to store their number, or %NULL
 *
 * Return: 0 or -errno.
 */
int pram_free_all(int dev, uint64_t *nr_freed);

#endif /* PRAM_LIB_PRAM_H */
