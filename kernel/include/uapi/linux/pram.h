/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Userspace interface of PRAM, memory that survives kexec: /dev/pram
 *
 * PRAM keeps named nodes in RAM. A node is a stream of pages or a stream of
 * bytes; it is saved by one program and loaded by another, in the same kernel
 * or in one that was kexec'd into.
 */
#ifndef _UAPI_LINUX_PRAM_H
#define _UAPI_LINUX_PRAM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: PRAM ioctl format
 *
 * Every ioctl takes a pointer to a structure whose first member, a __u32
 * @size, is the size of that structure as the caller knows it. A kernel that
 * knows a longer structure takes the missing part as zero; a kernel that knows
 * a shorter one requires the rest to be zero. Reserved members must be zero.
 *
 * Each errno has one meaning for all calls:
 *
 *  - ENOTTY: no such ioctl on this kind of file.
 *  - E2BIG: the structure has non-zero bytes that this kernel does not know.
 *  - EOPNOTSUPP: a flag or a type that this kernel does not know.
 *  - EINVAL: a known member has an impossible value, a reserved one is not 0.
 *  - ENAMETOOLONG: the name has no nul within %PRAM_NAME_MAX bytes.
 *  - ENOENT: no node of that name (or id), or none left to list.
 *  - EEXIST: the name is taken.
 *  - EBUSY: the node's save is not committed, or the node is being loaded.
 *  - EPERM: the node has another type than requested; or the caller lacks
 *    CAP_SYS_ADMIN in the initial user namespace.
 *  - EBADMSG: a checksum does not match: the saved data is damaged.
 *  - EHWPOISON: a page to be saved has a hardware memory error.
 *  - ESTALE: the stream has ended (committed, finished or failed).
 *  - ESHUTDOWN: the machine is rebooting; nothing can be saved any more.
 *  - ENOMEM: out of memory; the call is undone.
 *  - ENOSPC: nodes would exceed their limit (max_bytes in
 *    /sys/kernel/pram); the call is undone.
 */

/* The interface's version: changes when old programs would no longer work. */
#define PRAM_ABI_VERSION	1

/* Longest name in bytes, including the terminating nul. */
#define PRAM_NAME_MAX		256

/* See Documentation/userspace-api/ioctl/ioctl-number.rst */
#define PRAM_IOCTL_TYPE		0xBB

/* Types of nodes; part of the hand-over format, never renumbered. */
#define PRAM_PAGE_STREAM	1
#define PRAM_BYTE_STREAM	2

/* States of nodes, as reported. */
#define PRAM_NODE_SAVING	1	/* being written, not yet committed */
#define PRAM_NODE_READY		2	/* committed: can be loaded, survives kexec */
#define PRAM_NODE_LOADING	3	/* being loaded; survives kexec */
#define PRAM_NODE_BROKEN	4	/* metadata damaged: can only be freed */

/* Properties of nodes, as reported; part of the hand-over format. */
#define PRAM_NODE_CHECKSUM	(1U << 0)	/* data carries checksums */

/* PRAM_IOCTL_ADOPT exists. */
#define PRAM_FEATURE_ADOPT	(1U << 0)
/* PRAM_LOAD_MAP maps pages; PRAM_IOCTL_MAP exists. */
#define PRAM_FEATURE_MAP	(1U << 1)
/* Processes into which a page of several nodes is mapped share that page. */
#define PRAM_FEATURE_SHARE	(1U << 2)
/* PRAM_IOCTL_ADOPT_FILE exists; PRAM_LOAD_MAP puts pages into shared memory, too. */
#define PRAM_FEATURE_ADOPT_FILE	(1U << 3)
/* PRAM_IOCTL_ADOPT_PRESENT exists. */
#define PRAM_FEATURE_ADOPT_PRESENT	(1U << 4)
/* PRAM_COMMIT_TASKS_DIE exists. */
#define PRAM_FEATURE_TASKS_DIE	(1U << 5)
/* PRAM_SAVE_EVACUATE exists. */
#define PRAM_FEATURE_EVACUATE	(1U << 6)
/* PRAM_COMMIT_EXITKILL exists. */
#define PRAM_FEATURE_EXITKILL	(1U << 7)
/* PRAM_SAVE_FINAL exists. */
#define PRAM_FEATURE_FINAL	(1U << 8)

/**
 * struct pram_ioctl_info - ioctl(PRAM_IOCTL_INFO) on /dev/pram
 * @size: Input; sizeof(struct pram_ioctl_info).
 * @abi_version: Output; %PRAM_ABI_VERSION of the kernel.
 * @features: Output; PRAM_FEATURE_* bits.
 * @nr_nodes: Output; nodes in every state.
 * @nr_broken: Output; of those, nodes that are %PRAM_NODE_BROKEN.
 * @data_pages: Output; pages of %PAGE_SIZE bytes that hold nodes' data.
 * @meta_pages: Output; pages that hold PRAM's own metadata.
 * @kexec_count: Output; kexecs since the last cold boot in which PRAM was
 *	handed over.
 * @lost_pages: Output; pages handed over in this boot whose nodes are too
 *	damaged to read; they stay reserved until the next kexec. A lower bound.
 * @held_bytes: Output; memory that nodes and PRAM's own metadata hold: a frame
 *	of several nodes counts once.
 * @max_bytes: Output; limit of @held_bytes, beyond which saving fails with
 *	ENOSPC; all ones if there is no limit.
 */
struct pram_ioctl_info {
	__u32		size;
	__u32		abi_version;
	__aligned_u64	features;
	__aligned_u64	nr_nodes;
	__aligned_u64	nr_broken;
	__aligned_u64	data_pages;
	__aligned_u64	meta_pages;
	__aligned_u64	kexec_count;
	__aligned_u64	lost_pages;
	__aligned_u64	held_bytes;
	__aligned_u64	max_bytes;
};

#define PRAM_IOCTL_INFO		_IO(PRAM_IOCTL_TYPE, 0x00)

/* The name may be that of a committed node, see PRAM_IOCTL_COMMIT. */
#define PRAM_SAVE_REPLACE	(1U << 0)
/* Keep checksums of the data, verified before it is used after a load. */
#define PRAM_SAVE_CHECKSUM	(1U << 1)
/* Never take over a page, always copy. */
#define PRAM_SAVE_COPY		(1U << 2)
/*
 * Before this returns, move memory of all tasks to where a node may have it, as far as
 * that is possible: so that less has to be moved when they are stopped. Not a property
 * of the node.
 */
#define PRAM_SAVE_EVACUATE	(1U << 3)
/*
 * The tasks whose memory it is do not run again once the node is committed. So their huge
 * pages of hugetlb may be taken over, too. If such a task does run, a write to one of
 * these needs a huge page for a copy; if there is none the task gets SIGBUS.
 */
#define PRAM_SAVE_FINAL		(1U << 4)

/**
 * struct pram_ioctl_save - ioctl(PRAM_IOCTL_SAVE) on /dev/pram
 * @size: Input; sizeof(struct pram_ioctl_save).
 * @fd: Output; the stream, open for writing, close-on-exec.
 * @type: Input; %PRAM_PAGE_STREAM or %PRAM_BYTE_STREAM.
 * @flags: Input; PRAM_SAVE_* bits.
 * @name: Input; 1 to %PRAM_NAME_MAX - 1 bytes and a nul.
 *
 * Creates a node and a stream to write it. The node is not loadable before it
 * is committed; the last close of an uncommitted stream discards it.
 *
 * write(2), splice(2) and sendfile(2) append copies; the PRAM_IOCTL_ADOPT ioctls append
 * pages to a page stream without a copy. A page stream takes whole pages only: EINVAL if
 * what is written, or is in the pipe, is no multiple of the page size. A byte stream takes
 * any number of bytes. Both append at the file position, which is always the end; lseek(2)
 * to elsewhere fails with EINVAL.
 *
 * Errors: EEXIST, also while another save of the same name is in progress.
 */
struct pram_ioctl_save {
	__u32		size;
	__s32		fd;
	__u32		type;
	__u32		flags;
	__u8		name[PRAM_NAME_MAX];
};

#define PRAM_IOCTL_SAVE		_IO(PRAM_IOCTL_TYPE, 0x01)

/* Only look: the node stays loadable by others and cannot be finished. */
#define PRAM_LOAD_PEEK		(1U << 0)
/*
 * preadv(2) may map the node's pages into the reader, copy-on-write, if the
 * destination is whole empty pages of a private mapping. If it is a writable
 * mapping of shared memory with a hole in the file there, preadv(2) may insert them
 * into the file: until the stream is finished, a write to such a page, or any access
 * through a writable mapping, replaces it by a copy. Page streams only; a kernel that
 * cannot map copies. With PRAM_LOAD_PEEK the node stays, and while it is mapped there
 * a later load has to copy.
 *
 * All processes that map a page of several nodes share it, like relatives, if one
 * descriptor of /dev/pram has opened all their streams before the first page is
 * mapped. A reader that already has the page at another address gets a copy.
 */
#define PRAM_LOAD_MAP		(1U << 1)

/**
 * struct pram_ioctl_load - ioctl(PRAM_IOCTL_LOAD) on /dev/pram
 * @size: Input; sizeof(struct pram_ioctl_load).
 * @fd: Output; the stream, open for reading, close-on-exec.
 * @type: Input; %PRAM_PAGE_STREAM or %PRAM_BYTE_STREAM.
 * @flags: Input; PRAM_LOAD_* bits.
 * @name: Input; the node.
 *
 * Opens a committed node for loading and reserves it for this stream. The node
 * is freed when the stream is finished by %PRAM_IOCTL_COMMIT; the last close of
 * a stream that was not finished makes it loadable again, unchanged.
 *
 * The stream reads like a regular file: st_size is exact, lseek(2), pread(2),
 * preadv(2), splice(2) and sendfile(2) work, and read(2) returns 0 only at the
 * end. If the data has checksums, they are verified before it is returned;
 * EBADMSG if they do not match.
 *
 * Errors: ENOENT, EBUSY, EPERM, EBADMSG if the node is broken.
 */
struct pram_ioctl_load {
	__u32		size;
	__s32		fd;
	__u32		type;
	__u32		flags;
	__u8		name[PRAM_NAME_MAX];
};

#define PRAM_IOCTL_LOAD		_IO(PRAM_IOCTL_TYPE, 0x02)

/* Maximum number of streams for one PRAM_IOCTL_COMMIT. */
#define PRAM_COMMIT_MAX		65536

/*
 * The tasks whose memory PRAM_IOCTL_ADOPT has taken over by these streams are about to be
 * killed: they need not take their page tables down when they die. That is done
 * later, by a worker of the kernel, or by nobody if a kexec comes before. It begins with
 * the last close of this descriptor of the device, which waits until files that were
 * mapped are so no more, and nothing keeps their file systems busy. Of tasks that are
 * still there by then nothing is changed.
 */
#define PRAM_COMMIT_TASKS_DIE	(1U << 0)
/*
 * With the commit, and not if it fails, all tasks that the calling thread traces get
 * PTRACE_O_EXITKILL: they die with it. By ptrace(2) alone this is before the commit, and a
 * caller that is killed in between takes tasks with it that are nowhere else; or behind
 * it, and then they run on beside their nodes.
 */
#define PRAM_COMMIT_EXITKILL	(1U << 1)

/**
 * struct pram_ioctl_commit - ioctl(PRAM_IOCTL_COMMIT) on /dev/pram
 * @size: Input; sizeof(struct pram_ioctl_commit).
 * @flags: Input; PRAM_COMMIT_* bits.
 * @nr_fds: Input; number of streams, 1 to %PRAM_COMMIT_MAX.
 * @reserved: Input; must be zero.
 * @fds: Input; address of an array of @nr_fds __s32 file descriptors, each a
 *	stream, none of them twice.
 *
 * Ends all these streams at once: streams for saving are sealed, if they are
 * not yet, and committed; streams for loading are finished and their nodes
 * freed. This is atomic: on an error nothing happens, and a killed process
 * cannot leave it half done. On an error streams stay as they were, but may
 * have been sealed.
 *
 * A save that was opened with %PRAM_SAVE_REPLACE replaces a node of the same
 * name if a stream of the same call is loading that node. So a checkpoint of
 * several nodes replaces an older one as a whole.
 *
 * Errors: EBADF or EINVAL for a wrong @fds, ESTALE for a stream that has ended,
 * EEXIST if a node that this call does not free has the name, EPERM for a
 * stream opened with %PRAM_LOAD_PEEK, errors of sealing.
 */
struct pram_ioctl_commit {
	__u32		size;
	__u32		flags;
	__u32		nr_fds;
	__u32		reserved;
	__aligned_u64	fds;
};

#define PRAM_IOCTL_COMMIT	_IO(PRAM_IOCTL_TYPE, 0x03)

/**
 * struct pram_node_stat - what is known about a node
 * @id: a number that is unique in this boot.
 * @type: PRAM_*_STREAM; 0 if the node is too damaged to tell.
 * @state: PRAM_NODE_SAVING and so on.
 * @flags: PRAM_NODE_* properties.
 * @reserved: zero.
 * @bytes: length of the data in bytes.
 * @data_pages: pages of %PAGE_SIZE bytes that hold the data; somewhat more than
 *	@bytes needs if the last folio has room.
 * @meta_pages: pages that hold the node's metadata.
 * @nr_folios: folios that hold the data.
 * @adopted_pages: of @data_pages, taken over from their owner without a copy.
 * @saved_at_ns: time of the commit, CLOCK_REALTIME in nanoseconds.
 * @kexec_count: kexecs that the node has survived.
 * @name: the node's name; empty if too damaged to tell.
 */
struct pram_node_stat {
	__aligned_u64	id;
	__u32		type;
	__u32		state;
	__u32		flags;
	__u32		reserved;
	__aligned_u64	bytes;
	__aligned_u64	data_pages;
	__aligned_u64	meta_pages;
	__aligned_u64	nr_folios;
	__aligned_u64	adopted_pages;
	__aligned_u64	saved_at_ns;
	__aligned_u64	kexec_count;
	__u8		name[PRAM_NAME_MAX];
};

/**
 * struct pram_ioctl_stat - ioctl(PRAM_IOCTL_STAT) and ioctl(PRAM_IOCTL_LIST)
 * @size: Input; sizeof(struct pram_ioctl_stat).
 * @reserved: Input; must be zero.
 * @node: Input and output, see below.
 *
 * %PRAM_IOCTL_STAT describes the node named @node.name; of a committed node and
 * its replacement, the committed one.
 *
 * %PRAM_IOCTL_LIST describes the node that has the lowest id above @node.id:
 * start with 0, continue with the result, until ENOENT. The other members of
 * @node are ignored on input.
 */
struct pram_ioctl_stat {
	__u32			size;
	__u32			reserved;
	struct pram_node_stat	node;
};

#define PRAM_IOCTL_STAT		_IO(PRAM_IOCTL_TYPE, 0x04)
#define PRAM_IOCTL_LIST		_IO(PRAM_IOCTL_TYPE, 0x05)

/* Free every node that is ready or broken. */
#define PRAM_FREE_ALL		(1U << 0)

/**
 * struct pram_ioctl_free - ioctl(PRAM_IOCTL_FREE) on /dev/pram
 * @size: Input; sizeof(struct pram_ioctl_free).
 * @flags: Input; 0 or %PRAM_FREE_ALL.
 * @id: Input; the node's id if @name is empty and @flags is 0, otherwise 0.
 * @nr_freed: Output; number of nodes that were freed.
 * @name: Input; the node's name, or empty.
 *
 * Frees nodes and all that they hold. Nodes that are being saved or loaded are
 * never freed: EBUSY for a single one; %PRAM_FREE_ALL skips them.
 */
struct pram_ioctl_free {
	__u32		size;
	__u32		flags;
	__aligned_u64	id;
	__aligned_u64	nr_freed;
	__u8		name[PRAM_NAME_MAX];
};

#define PRAM_IOCTL_FREE		_IO(PRAM_IOCTL_TYPE, 0x06)

/**
 * struct pram_ioctl_seal - ioctl(PRAM_IOCTL_SEAL) on a stream for saving
 * @size: Input; sizeof(struct pram_ioctl_seal).
 * @flags: Input; must be zero.
 *
 * Ends the writing: from now on write(2) fails with EPERM, and everything in a
 * commit that could fail has been done. Sealing twice is no error.
 *
 * Errors: EINVAL for a page stream that does not end with a whole page, EHWPOISON, EINTR.
 */
struct pram_ioctl_seal {
	__u32		size;
	__u32		flags;
};

#define PRAM_IOCTL_SEAL		_IO(PRAM_IOCTL_TYPE, 0x40)

/**
 * struct pram_range - a range of a task's memory
 * @start: address of its first byte, a multiple of the page size.
 * @len: its length in bytes, a multiple of the page size.
 */
struct pram_range {
	__aligned_u64	start;
	__aligned_u64	len;
};

/* Maximum number of ranges for one PRAM_IOCTL_ADOPT. */
#define PRAM_ADOPT_MAX		1048576

/**
 * struct pram_ioctl_adopt - ioctl(PRAM_IOCTL_ADOPT) on a page stream for saving
 * @size: Input; sizeof(struct pram_ioctl_adopt).
 * @flags: Input; must be zero.
 * @pidfd: Input; the task whose memory it is, from pidfd_open(2).
 * @nr_ranges: Input; number of ranges, at most %PRAM_ADOPT_MAX.
 * @ranges: Input; address of an array of &struct pram_range.
 * @pages: Output; pages appended, also on an error.
 *
 * Appends the pages of these ranges, in this order, to the stream, large folios
 * whole. Pages that cannot be taken over are copied. Pages that were taken over are
 * shared copy-on-write, as if the node were a child that the task has forked: every
 * later write, also by the task, goes to a copy. The protection of a mapping does not
 * matter, a page that was never touched counts as zeros. Pages of hugetlb are taken over
 * with %PRAM_SAVE_FINAL only, and if no other task has them.
 *
 * Stop the task first, so that all pages are from the same moment.
 *
 * Errors: EBADF or EINVAL for a wrong @pidfd or @ranges, ESRCH if the task is
 * gone, EACCES if the caller may not ptrace it, EFAULT for a range that is not
 * mapped or cannot be read (including memory of memfd_secret(2)), EPERM for a byte
 * stream or a sealed one, EHWPOISON, ENOMEM, ENOSPC, EINTR. After an error the stream
 * holds the first @pages pages of the request.
 */
struct pram_ioctl_adopt {
	__u32		size;
	__u32		flags;
	__s32		pidfd;
	__u32		nr_ranges;
	__aligned_u64	ranges;
	__aligned_u64	pages;
};

#define PRAM_IOCTL_ADOPT	_IO(PRAM_IOCTL_TYPE, 0x41)

/**
 * struct pram_ioctl_map - ioctl(PRAM_IOCTL_MAP) on a %PRAM_LOAD_MAP stream
 * @size: Input; sizeof(struct pram_ioctl_map).
 * @flags: Input; must be zero.
 * @addr: Input; where in the caller's memory, a multiple of the page size.
 * @offset: Input; where in the stream in bytes, a multiple of the page size.
 * @nr_pages: Input; number of pages.
 * @same: Output; of these, pages that the caller already had: the same frame,
 *	inherited by fork(2) from a process into which it was mapped.
 *
 * Gives the memory at @addr the contents of the stream at @offset, like preadv(2)
 * on such a stream. But existing memory is compared, by frame and not by content,
 * and replaced where it differs: this restores a copy-on-write family. Pages that
 * cannot be mapped are copied.
 *
 * Errors: EINVAL for a byte stream, one opened without %PRAM_LOAD_MAP, or a
 * range that is not in the stream; EFAULT for memory that cannot be written;
 * ENOMEM; EBADMSG; EINTR. On an error some of the memory may have changed.
 */
struct pram_ioctl_map {
	__u32		size;
	__u32		flags;
	__aligned_u64	addr;
	__aligned_u64	offset;
	__aligned_u64	nr_pages;
	__aligned_u64	same;
};

#define PRAM_IOCTL_MAP		_IO(PRAM_IOCTL_TYPE, 0x42)

/**
 * struct pram_ioctl_adopt_file - ioctl(PRAM_IOCTL_ADOPT_FILE) on a page stream for saving
 * @size: Input; sizeof(struct pram_ioctl_adopt_file).
 * @flags: Input; must be zero.
 * @fd: Input; a file of shared memory, open for reading: a memfd, a file of a tmpfs
 *	or a hugetlbfs, or a shared anonymous mapping or SysV segment opened by /proc/PID/map_files.
 * @nr_ranges: Input; number of ranges, at most %PRAM_ADOPT_MAX.
 * @ranges: Input; address of an array of &struct pram_range, with offsets in the file
 *	in place of addresses.
 * @pages: Output; pages appended, also on an error.
 *
 * Appends the pages of these ranges, in this order, to the stream, as
 * %PRAM_IOCTL_ADOPT does for private memory. The file keeps the same pages, and
 * shares them with the stream as long as it or its node exists: before a write through
 * the file, or a writable mapping of the page, a copy replaces the page in the file.
 * Pinned pages are copied at once, as are pages that cannot be moved to where a node
 * may have them. Holes count as zeros.
 *
 * Pages of hugetlb are taken over with %PRAM_SAVE_FINAL only, and if the file has no name
 * in a file system, and nobody maps it but the caller, and tasks that it or its parent
 * traces by ptrace(2). Before the next access to such a page by a mapping, or before a part of it
 * is cleared, a copy replaces it.
 *
 * Stop all tasks that map the file first, so that all pages are from the same moment.
 *
 * Errors: EBADF for a wrong @fd or one not open for reading, EINVAL for a file that is
 * not shared memory or a range beyond its end, EFAULT if the file
 * becomes shorter meanwhile, EIO for pages lost in swap, EPERM for a byte stream or a
 * sealed one, EHWPOISON, ENOMEM, ENOSPC, EINTR. After an error the stream holds the
 * first @pages pages of the request.
 */
struct pram_ioctl_adopt_file {
	__u32		size;
	__u32		flags;
	__s32		fd;
	__u32		nr_ranges;
	__aligned_u64	ranges;
	__aligned_u64	pages;
};

#define PRAM_IOCTL_ADOPT_FILE	_IO(PRAM_IOCTL_TYPE, 0x43)

/**
 * struct pram_ioctl_adopt_present - ioctl(PRAM_IOCTL_ADOPT_PRESENT) on a page stream for saving
 * @size: Input; sizeof(struct pram_ioctl_adopt_present).
 * @flags: Input; must be zero.
 * @pidfd: Input; the task whose memory it is, from pidfd_open(2).
 * @nr_found: Input; how many there is room for in @found, 1 to %PRAM_ADOPT_MAX. Output;
 *	how many are there.
 * @start: Input; where to begin, a multiple of the page size. Output; where it stopped: at
 *	@end, or before it if there was no more room.
 * @end: Input; where to end, a multiple of the page size.
 * @found: Input; address of an array of &struct pram_range, for what was appended: in
 *	ascending order, neighbours as one.
 * @pages: Output; pages appended, also on an error.
 *
 * Appends the pages from @start up to @end that are the task's own, as
 * %PRAM_IOCTL_ADOPT does for pages that the caller has found, by PAGEMAP_SCAN say, and
 * says which these are: anonymous pages that are there, also if they are swapped out. What
 * a new mapping of the same kind would have as well is left out: pages that were never
 * touched or only read, pages of a file that were not written to, guard regions.
 *
 * The task should be stopped, so that the pages are of one moment.
 *
 * Errors: EOPNOTSUPP for memory of hugetlb or of a device, EINVAL for a wrong range or no
 * room, and as %PRAM_IOCTL_ADOPT. After an error the stream holds @pages of what was asked for.
 */
struct pram_ioctl_adopt_present {
	__u32		size;
	__u32		flags;
	__s32		pidfd;
	__u32		nr_found;
	__aligned_u64	start;
	__aligned_u64	end;
	__aligned_u64	found;
	__aligned_u64	pages;
};

#define PRAM_IOCTL_ADOPT_PRESENT	_IO(PRAM_IOCTL_TYPE, 0x44)

#endif /* _UAPI_LINUX_PRAM_H */
