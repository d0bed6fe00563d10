// SPDX-License-Identifier: GPL-2.0-only
/*
 * How it works. The table of nodes lies in shared memory. A node's data is a
 * memfd; an open file of it for reading, the keeper, waits in a socket's queue
 * from where every process can fetch a descriptor by its number (CRIU's fdstore
 * does so, too). A stream is another open file of the same memfd, which is how an
 * ioctl finds the node: by the inode's number.
 *
 * A stream holds a lock of its open file (F_OFD_SETLK) on one byte that says what
 * kind it is. The kernel drops the lock with the file's last close, wherever that
 * happens: looking for the lock tells whether the stream still exists.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "fake_pram.h"
#include "fake_pram_pages.h"
#include "pram.h"
#include "streams.h"

#define FAKE_NODES_MAX	512

/* The byte whose lock marks a stream. */
enum fake_stream {
	FAKE_SAVE,
	FAKE_LOAD,
	FAKE_PEEK,
};

struct fake_failure {
	int		error;
	unsigned int	skip;
};

static struct fake_state {
	atomic_flag		lock;
	int			open_error;
	uint32_t		abi_version;
	uint64_t		features;
	uint32_t		commit_flags;	/* of the last one */
	unsigned int		nr_evacuations;
	unsigned int		nr_final;
	uint64_t		now_ns;
	uint64_t		nr_kexecs;
	uint64_t		max_bytes;	/* 0: no limit */
	uint64_t		lost_pages;
	ino_t			dev_ino;
	int			nr_slots;
	size_t			nr_nodes;	/* ever; nothing is used again */
	struct fake_node	nodes[FAKE_NODES_MAX];
	struct fake_failure	failures[256];
} *fake;

/* Both ends of the socket with the keepers; slot 0 is the device's. */
static int keepers_in, keepers_out;

int __real_open(const char *path, int flags, ...);
int __real_open64(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

void fake_pram_die(const char *what)
{
	fprintf(stderr, "fake_pram: %s: %s\n", what, strerror(errno));
	abort();
}

static void fake_lock(void)
{
	if (!fake) {
		errno = ENODEV;
		fake_pram_die("used before fake_pram_setup()");
	}
	while (atomic_flag_test_and_set(&fake->lock))
		sched_yield();
}

static void fake_unlock(void)
{
	atomic_flag_clear(&fake->lock);
}

/* ---- keepers ----------------------------------------------------------- */

static int reopen(int fd, int flags)
{
	char path[64];
	int new;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	new = __real_open(path, flags | O_CLOEXEC);
	if (new < 0)
		fake_pram_die(path);
	return new;
}

union keeper_control {
	struct cmsghdr	header;
	char		space[CMSG_SPACE(sizeof(int))];
};

/* Queues @fd and closes it; returns its slot. */
static int keeper_put(int fd)
{
	if (pram_streams_send(keepers_in, &fd, 1))
		fake_pram_die("cannot queue a descriptor");
	close(fd);
	return fake->nr_slots++;
}

/* A descriptor of the slot's open file, to be closed. */
static int keeper_get(int slot)
{
	union keeper_control control = { .space = { 0 } };
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	int fd;

	/* Every message is one byte long, so its offset is its number. */
	if (setsockopt(keepers_out, SOL_SOCKET, SO_PEEK_OFF, &slot, sizeof(slot)) ||
	    recvmsg(keepers_out, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1 ||
	    (msg.msg_flags & MSG_CTRUNC))
		fake_pram_die("cannot fetch a descriptor");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* ---- streams ----------------------------------------------------------- */

static void stream_mark(int fd, enum fake_stream kind, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = kind, .l_len = 1 };

	if (fcntl(fd, F_OFD_SETLK, &lock))
		fake_pram_die("cannot lock a stream");
}

/* Does another open file than @fd's hold the mark? */
static bool stream_marked_elsewhere(int fd, enum fake_stream kind)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = kind, .l_len = 1,
	};

	if (fcntl(fd, F_OFD_GETLK, &lock))
		fake_pram_die("cannot query a lock");
	return lock.l_type != F_UNLCK;
}

static bool node_has_stream(const struct fake_node *node, enum fake_stream kind)
{
	int keeper = keeper_get(node->slot);
	bool has = stream_marked_elsewhere(keeper, kind);

	close(keeper);
	return has;
}

static uint32_t node_state(const struct fake_node *node)
{
	if (node->stat.state == PRAM_NODE_READY && node_has_stream(node, FAKE_LOAD))
		return PRAM_NODE_LOADING;
	return node->stat.state;
}

static struct fake_node *node_by_fd(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return NULL;
	for (size_t i = 0; i < fake->nr_nodes; i++) {
		if (fake->nodes[i].ino == st.st_ino)
			return &fake->nodes[i];
	}
	return NULL;
}

/* The node of that name; @saving chooses between a node and its replacement. */
static struct fake_node *node_by_name(const __u8 *name, bool saving)
{
	for (size_t i = 0; i < fake->nr_nodes; i++) {
		struct fake_node *node = &fake->nodes[i];

		if (node->exists && (node->stat.state == PRAM_NODE_SAVING) == saving &&
		    !strcmp((const char *)node->stat.name, (const char *)name))
			return node;
	}
	return NULL;
}

static uint64_t node_size(const struct fake_node *node)
{
	int keeper = keeper_get(node->slot);
	struct stat st;

	if (fstat(keeper, &st))
		fake_pram_die("cannot stat a node");
	close(keeper);
	return st.st_size;
}

static struct pram_node_stat node_stat(const struct fake_node *node)
{
	struct pram_node_stat stat = node->stat;

	stat.state = node_state(node);
	stat.bytes = node_size(node);
	stat.data_pages = (stat.bytes + FAKE_PAGE_SIZE - 1) / FAKE_PAGE_SIZE;
	stat.nr_folios = stat.data_pages;
	stat.adopted_pages = node->adopted_pages;
	stat.meta_pages = 1;
	return stat;
}

/* Saves whose last descriptor was closed since we last looked. */
static void discard_closed_saves(void)
{
	for (size_t i = 0; i < fake->nr_nodes; i++) {
		struct fake_node *node = &fake->nodes[i];

		if (node->exists && node->stat.state == PRAM_NODE_SAVING &&
		    !node_has_stream(node, FAKE_SAVE))
			node->exists = false;
	}
}

static struct fake_node *node_new(const char *name, uint32_t type, uint32_t flags, int *stream)
{
	struct fake_node *node = &fake->nodes[fake->nr_nodes];
	struct stat st;
	int memfd;

	if (fake->nr_nodes == FAKE_NODES_MAX) {
		errno = ENOSPC;
		fake_pram_die("too many nodes, raise FAKE_NODES_MAX");
	}
	memfd = memfd_create("fake_pram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memfd < 0 || fstat(memfd, &st))
		fake_pram_die("memfd_create");
	*stream = reopen(memfd, O_WRONLY);
	*node = (struct fake_node){
		.exists = true,
		.slot = keeper_put(reopen(memfd, O_RDONLY)),
		.ino = st.st_ino,
		.stat = {
			.id = ++fake->nr_nodes,
			.type = type,
			.state = PRAM_NODE_SAVING,
			.flags = flags,
		},
	};
	close(memfd);
	snprintf((char *)node->stat.name, PRAM_NAME_MAX, "%s", name);
	stream_mark(*stream, FAKE_SAVE, F_WRLCK);
	return node;
}

static int node_seal(struct fake_node *node, int stream)
{
	if (node->stat.type == PRAM_PAGE_STREAM && node_size(node) % FAKE_PAGE_SIZE)
		return EINVAL;
	if (!node->sealed && fcntl(stream, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK))
		fake_pram_die("cannot seal");
	node->sealed = true;
	return 0;
}

static void node_commit(struct fake_node *node, int stream)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	node->stat.state = PRAM_NODE_READY;
	node->stat.saved_at_ns = fake->now_ns ? fake->now_ns :
				 now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
	stream_mark(stream, FAKE_SAVE, F_UNLCK);
}

/* ---- ioctls; they return a positive errno or 0 ------------------------- */

static bool name_ends(const __u8 *name)
{
	return memchr(name, 0, PRAM_NAME_MAX);
}

static int fake_info(struct pram_ioctl_info *arg)
{
	*arg = (struct pram_ioctl_info){
		.size = sizeof(*arg),
		.abi_version = fake->abi_version,
		.features = fake->features,
		.kexec_count = fake->nr_kexecs,
		.max_bytes = fake->max_bytes ? fake->max_bytes : UINT64_MAX,
		.lost_pages = fake->lost_pages,
	};
	for (size_t i = 0; i < fake->nr_nodes; i++) {
		struct pram_node_stat stat;

		if (!fake->nodes[i].exists)
			continue;
		stat = node_stat(&fake->nodes[i]);
		arg->nr_nodes++;
		arg->nr_broken += stat.state == PRAM_NODE_BROKEN;
		arg->data_pages += stat.data_pages;
		arg->meta_pages += stat.meta_pages;
	}
	arg->held_bytes = (arg->data_pages + arg->meta_pages) * FAKE_PAGE_SIZE;
	return 0;
}

static int check_name_type(const __u8 *name, uint32_t type)
{
	if (!name_ends(name))
		return ENAMETOOLONG;
	if (!*name)
		return EINVAL;
	return type == PRAM_PAGE_STREAM || type == PRAM_BYTE_STREAM ? 0 : EOPNOTSUPP;
}

static int fake_save(struct pram_ioctl_save *arg)
{
	int error = check_name_type(arg->name, arg->type);
	struct fake_node *node;

	if (error)
		return error;
	if (arg->flags & ~(PRAM_SAVE_REPLACE | PRAM_SAVE_CHECKSUM | PRAM_SAVE_COPY |
			   (fake->features & PRAM_FEATURE_EVACUATE ? PRAM_SAVE_EVACUATE : 0) |
			   (fake->features & PRAM_FEATURE_FINAL ? PRAM_SAVE_FINAL : 0)))
		return EOPNOTSUPP;
	if (node_by_name(arg->name, true))
		return EEXIST;
	if (node_by_name(arg->name, false) && !(arg->flags & PRAM_SAVE_REPLACE))
		return EEXIST;
	node = node_new((const char *)arg->name, arg->type,
			arg->flags & PRAM_SAVE_CHECKSUM ? PRAM_NODE_CHECKSUM : 0, &arg->fd);
	node->replace = arg->flags & PRAM_SAVE_REPLACE;
	fake->nr_evacuations += !!(arg->flags & PRAM_SAVE_EVACUATE);
	fake->nr_final += !!(arg->flags & PRAM_SAVE_FINAL);
	return 0;
}

static int fake_load(struct pram_ioctl_load *arg)
{
	int error = check_name_type(arg->name, arg->type);
	struct fake_node *node;
	int keeper;

	if (error)
		return error;
	if (arg->flags & ~(PRAM_LOAD_PEEK | PRAM_LOAD_MAP))
		return EOPNOTSUPP;
	if ((arg->flags & PRAM_LOAD_MAP) && arg->type != PRAM_PAGE_STREAM)
		return EINVAL;
	node = node_by_name(arg->name, false);
	if (!node)
		return node_by_name(arg->name, true) ? EBUSY : ENOENT;
	if (node->stat.state == PRAM_NODE_BROKEN)
		return EBADMSG;
	if (node->stat.type != arg->type)
		return EPERM;
	if (node_state(node) == PRAM_NODE_LOADING && !(arg->flags & PRAM_LOAD_PEEK))
		return EBUSY;
	keeper = keeper_get(node->slot);
	arg->fd = reopen(keeper, O_RDONLY);
	close(keeper);
	stream_mark(arg->fd, arg->flags & PRAM_LOAD_PEEK ? FAKE_PEEK : FAKE_LOAD, F_RDLCK);
	return 0;
}

/* What PRAM_IOCTL_COMMIT would say of this one stream; seals a save. */
static int commit_prepare(int fd, struct fake_node **nodep)
{
	struct fake_node *node;

	if (fcntl(fd, F_GETFD) < 0)
		return EBADF;
	node = node_by_fd(fd);
	if (!node)
		return EINVAL;
	*nodep = node;
	if (!node->exists)
		return ESTALE;
	if (node->stat.state == PRAM_NODE_SAVING)
		return node_seal(node, fd);
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
		return ESTALE;
	/* Marked, but by this stream: so it is the one that loads the node. */
	if (node_has_stream(node, FAKE_LOAD) && !stream_marked_elsewhere(fd, FAKE_LOAD))
		return 0;
	return EPERM;
}

static int commit_check_names(struct fake_node **nodes, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		struct fake_node *old;
		bool freed = false;

		for (size_t j = 0; j < i; j++) {
			if (nodes[j] == nodes[i])
				return EINVAL;
		}
		if (nodes[i]->stat.state != PRAM_NODE_SAVING)
			continue;
		old = node_by_name(nodes[i]->stat.name, false);
		for (size_t j = 0; j < nr; j++)
			freed |= nodes[j] == old;
		if (old && !(freed && nodes[i]->replace))
			return EEXIST;
	}
	return 0;
}

static int fake_commit(const struct pram_ioctl_commit *arg)
{
	const __s32 *fds = (const __s32 *)(uintptr_t)arg->fds;
	struct fake_node **nodes;
	int error = 0;

	if (arg->flags & ~((fake->features & PRAM_FEATURE_TASKS_DIE ? PRAM_COMMIT_TASKS_DIE : 0) |
			   (fake->features & PRAM_FEATURE_EXITKILL ? PRAM_COMMIT_EXITKILL : 0)))
		return EOPNOTSUPP;
	if (arg->reserved || !arg->nr_fds || arg->nr_fds > PRAM_COMMIT_MAX)
		return EINVAL;
	fake->commit_flags = arg->flags;
	nodes = calloc(arg->nr_fds, sizeof(*nodes));
	if (!nodes)
		fake_pram_die("calloc");
	for (size_t i = 0; i < arg->nr_fds && !error; i++)
		error = commit_prepare(fds[i], &nodes[i]);
	if (!error)
		error = commit_check_names(nodes, arg->nr_fds);
	for (size_t i = 0; i < arg->nr_fds && !error; i++) {
		if (nodes[i]->stat.state == PRAM_NODE_SAVING)
			node_commit(nodes[i], fds[i]);
		else
			nodes[i]->exists = false;
	}
	free(nodes);
	return error;
}

static int fake_stat(struct pram_ioctl_stat *arg)
{
	struct fake_node *node;

	if (!name_ends(arg->node.name))
		return ENAMETOOLONG;
	node = node_by_name(arg->node.name, false);
	if (!node)
		node = node_by_name(arg->node.name, true);
	if (!node)
		return ENOENT;
	arg->node = node_stat(node);
	return 0;
}

static int fake_list(struct pram_ioctl_stat *arg)
{
	/* Ids are positions in the table, from 1. */
	for (size_t i = arg->node.id; i < fake->nr_nodes; i++) {
		if (fake->nodes[i].exists) {
			arg->node = node_stat(&fake->nodes[i]);
			return 0;
		}
	}
	return ENOENT;
}

static int node_free(struct fake_node *node, struct pram_ioctl_free *arg)
{
	uint32_t state = node_state(node);

	if (state != PRAM_NODE_READY && state != PRAM_NODE_BROKEN)
		return EBUSY;
	node->exists = false;
	arg->nr_freed++;
	return 0;
}

static int fake_free(struct pram_ioctl_free *arg)
{
	struct fake_node *node = NULL;

	if (!name_ends(arg->name))
		return ENAMETOOLONG;
	arg->nr_freed = 0;
	if (arg->flags == PRAM_FREE_ALL && !*arg->name && !arg->id) {
		for (size_t i = 0; i < fake->nr_nodes; i++) {
			if (fake->nodes[i].exists)
				node_free(&fake->nodes[i], arg);
		}
		return 0;
	}
	if (arg->flags || !*arg->name == !arg->id)
		return EINVAL;
	if (*arg->name) {
		node = node_by_name(arg->name, false);
		if (!node)
			node = node_by_name(arg->name, true);
	} else if (arg->id <= fake->nr_nodes && fake->nodes[arg->id - 1].exists) {
		node = &fake->nodes[arg->id - 1];
	}
	return node ? node_free(node, arg) : ENOENT;
}

static int fake_seal(int fd, const struct pram_ioctl_seal *arg, struct fake_node *node)
{
	if (arg->flags)
		return EOPNOTSUPP;
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY)
		return ENOTTY;
	if (!node->exists || node->stat.state != PRAM_NODE_SAVING)
		return ESTALE;
	return node_seal(node, fd);
}

static bool can(uint64_t feature)
{
	return fake->features & feature;
}

static int fake_stream_ioctl(int fd, unsigned long request, void *arg, struct fake_node *node)
{
	switch (request) {
	case PRAM_IOCTL_SEAL:
		return fake_seal(fd, arg, node);
	case PRAM_IOCTL_ADOPT:
		return can(PRAM_FEATURE_ADOPT) ? fake_adopt(fd, arg, node) : ENOTTY;
	case PRAM_IOCTL_ADOPT_PRESENT:
		return can(PRAM_FEATURE_ADOPT_PRESENT) ? fake_adopt_present(fd, arg, node) : ENOTTY;
	case PRAM_IOCTL_ADOPT_FILE:
		return can(PRAM_FEATURE_ADOPT_FILE) ? fake_adopt_file(fd, arg, node) : ENOTTY;
	case PRAM_IOCTL_MAP:
		return can(PRAM_FEATURE_MAP) ? fake_map(fd, arg) : ENOTTY;
	}
	return ENOTTY;
}

/* The test's own wish. */
static int injected_failure(unsigned long request)
{
	struct fake_failure *failure = &fake->failures[_IOC_NR(request)];
	int error = failure->error;

	if (!error)
		return 0;
	if (failure->skip) {
		failure->skip--;
		return 0;
	}
	failure->error = 0;
	return error;
}

static int fake_device_ioctl(unsigned long request, void *arg)
{
	static const struct {
		unsigned long	request;
		uint32_t	size;
	} known[] = {
		{ PRAM_IOCTL_INFO, sizeof(struct pram_ioctl_info) },
		{ PRAM_IOCTL_SAVE, sizeof(struct pram_ioctl_save) },
		{ PRAM_IOCTL_LOAD, sizeof(struct pram_ioctl_load) },
		{ PRAM_IOCTL_COMMIT, sizeof(struct pram_ioctl_commit) },
		{ PRAM_IOCTL_STAT, sizeof(struct pram_ioctl_stat) },
		{ PRAM_IOCTL_LIST, sizeof(struct pram_ioctl_stat) },
		{ PRAM_IOCTL_FREE, sizeof(struct pram_ioctl_free) },
	};

	/* Only our own library calls, so only our own size is known here. */
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (known[i].request == request && *(__u32 *)arg != known[i].size)
			return EINVAL;
	}
	switch (request) {
	case PRAM_IOCTL_INFO:
		return fake_info(arg);
	case PRAM_IOCTL_SAVE:
		return fake_save(arg);
	case PRAM_IOCTL_LOAD:
		return fake_load(arg);
	case PRAM_IOCTL_COMMIT:
		return fake_commit(arg);
	case PRAM_IOCTL_STAT:
		return fake_stat(arg);
	case PRAM_IOCTL_LIST:
		return fake_list(arg);
	case PRAM_IOCTL_FREE:
		return fake_free(arg);
	}
	return ENOTTY;
}

/* -1 if it is no file of ours. */
static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	struct fake_node *node;
	struct stat st;
	int error;

	if (fstat(fd, &st))
		return -1;
	node = node_by_fd(fd);
	if (!node && st.st_ino != fake->dev_ino)
		return -1;

	discard_closed_saves();
	error = injected_failure(request);
	if (error)
		return error;
	if (!node)
		return fake_device_ioctl(request, arg);
	return fake_stream_ioctl(fd, request, arg, node);
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	int error = -1;
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);

	if (fake && _IOC_TYPE(request) == PRAM_IOCTL_TYPE) {
		fake_lock();
		error = fake_ioctl(fd, request, arg);
		fake_unlock();
	}
	if (error < 0)
		return __real_ioctl(fd, request, arg);
	errno = error;
	return error ? -1 : 0;
}

static int fake_open(int flags)
{
	int keeper, fd;

	if (fake->open_error) {
		errno = fake->open_error;
		return -1;
	}
	fake_lock();
	keeper = keeper_get(0);
	fd = reopen(keeper, flags & O_ACCMODE);
	close(keeper);
	fake_unlock();
	return fd;
}

/* Of glibc's two names for it, either may be what a caller was compiled to. */
#define DEFINE_WRAP_OPEN(name)							\
	int __wrap_##name(const char *path, int flags, ...)			\
	{									\
		mode_t mode = 0;						\
		va_list ap;							\
										\
		if (fake && !strcmp(path, PRAM_DEVICE_PATH))			\
			return fake_open(flags);				\
		if (flags & (O_CREAT | __O_TMPFILE)) {				\
			va_start(ap, flags);					\
			mode = va_arg(ap, mode_t);				\
			va_end(ap);						\
		}								\
		return __real_##name(path, flags, mode);			\
	}

DEFINE_WRAP_OPEN(open)
DEFINE_WRAP_OPEN(open64)

/* ---- for tests --------------------------------------------------------- */

void fake_pram_setup(void)
{
	const int size = 64 << 20;
	struct stat st;
	int fds[2], dev;

	fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fake == MAP_FAILED)
		fake_pram_die("mmap");
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds))
		fake_pram_die("socketpair");
	keepers_in = fds[0];
	keepers_out = fds[1];
	if (setsockopt(keepers_in, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(keepers_in, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));

	dev = memfd_create("fake_pram_device", MFD_CLOEXEC);
	if (dev < 0 || fstat(dev, &st))
		fake_pram_die("memfd_create");
	fake->dev_ino = st.st_ino;
	fake->abi_version = PRAM_ABI_VERSION;
	fake->features = PRAM_FEATURE_ADOPT | PRAM_FEATURE_MAP | PRAM_FEATURE_SHARE;
	keeper_put(dev);
}

void fake_pram_teardown(void)
{
	close(keepers_in);
	close(keepers_out);
	munmap(fake, sizeof(*fake));
	fake = NULL;
}

void fake_pram_fail_open(int error)
{
	fake->open_error = error;
}

void fake_pram_set_abi(uint32_t abi_version)
{
	fake->abi_version = abi_version;
}

uint32_t fake_pram_commit_flags(void)
{
	return fake->commit_flags;
}

unsigned int fake_pram_evacuations(void)
{
	return fake->nr_evacuations;
}

unsigned int fake_pram_final(void)
{
	return fake->nr_final;
}

void fake_pram_set_features(uint64_t features)
{
	fake->features = features;
}

void fake_pram_set_totals(uint64_t max_bytes, uint64_t lost_pages)
{
	fake->max_bytes = max_bytes;
	fake->lost_pages = lost_pages;
}

void fake_pram_set_time(uint64_t now_ns)
{
	fake->now_ns = now_ns;
}

void fake_pram_fail(unsigned long request, int error, unsigned int skip)
{
	fake->failures[_IOC_NR(request)] = (struct fake_failure){ .error = error, .skip = skip };
}

void fake_pram_add(const char *name, uint32_t type, uint32_t flags, const void *data, size_t size)
{
	struct fake_node *node;
	int stream;

	fake_lock();
	node = node_new(name, type, flags, &stream);
	if (size && write(stream, data, size) != (ssize_t)size)
		fake_pram_die("cannot fill a node");
	if (node_seal(node, stream)) {
		errno = EINVAL;
		fake_pram_die("not whole pages");
	}
	node_commit(node, stream);
	close(stream);
	fake_unlock();
}

void fake_pram_break(const char *name, bool anonymous)
{
	struct fake_node *node;

	fake_lock();
	node = node_by_name((const __u8 *)name, false);
	if (!node) {
		errno = ENOENT;
		fake_pram_die(name);
	}
	node->stat.state = PRAM_NODE_BROKEN;
	if (anonymous) {
		node->stat.type = 0;
		memset(node->stat.name, 0, sizeof(node->stat.name));
	}
	fake_unlock();
}

void fake_pram_kexec(void)
{
	fake_lock();
	for (size_t i = 0; i < fake->nr_nodes; i++) {
		struct fake_node *node = &fake->nodes[i];

		if (node->stat.state == PRAM_NODE_SAVING)
			node->exists = false;
		if (node->exists && node_has_stream(node, FAKE_LOAD)) {
			errno = EBUSY;
			fake_pram_die("close the streams before the kexec");
		}
		node->stat.kexec_count++;
	}
	fake->nr_kexecs++;
	fake_unlock();
}

size_t fake_pram_count(uint32_t state)
{
	size_t nr = 0;

	fake_lock();
	discard_closed_saves();
	for (size_t i = 0; i < fake->nr_nodes; i++)
		nr += fake->nodes[i].exists && node_state(&fake->nodes[i]) == state;
	fake_unlock();
	return nr;
}
