// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls on /dev/pram and on streams, at random.
 *
 *	fuzz_pram [--own] SEED ROUNDS OPERATIONS [SECONDS]
 *
 * Each round has two processes of three threads that do OPERATIONS each, with arguments
 * that are right, nearly right or nonsense, on what they share: a few names, file
 * descriptors that any of them may close, and memory that any of them may unmap, lock,
 * merge or move. They fork, exec, trace, and in every other round they are killed in
 * the middle. Beside them, two keepers save nodes whose contents say what they are,
 * and verify those of each other, by reading or mapping them; the others may look at
 * such a node, load or free it, but if it is there it is whole.
 *
 * What succeeds must have been allowed to, and an ioctl fails with one of the errnos
 * that <linux/pram.h> names. In the end all nodes are freed, and PRAM holds as many
 * pages as before. Which kinds of operations have succeeded and failed is printed;
 * one that never did either is an error, unless there were few operations.
 *
 * What a thread does follows from SEED; in which order threads do it, does not. With
 * SECONDS rounds go on for so long, if that is longer. With --own only nodes with
 * names of this program are loaded and freed, so that it may run beside others.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pram.h"

#define PAGE		4096UL
#define NR_PROCESSES	2
#define NR_THREADS	3
#define NR_KEEPERS	2
#define NR_SLOTS	24
#define NR_NAMES	10
#define NR_GOOD		4
/* Most of what can be written to is in the first third, what can be read in the second. */
#define THIRD		(NR_SLOTS / 3)
enum third { TO_WRITE, TO_READ, ANYTHING };
/* Streams for saving are closed when they have become larger. */
#define MAX_STREAM	(8UL << 20)
/* Memory that threads fight about, where no bit that flips leads to anything else. */
#define ARENA		0x200000000000UL
#define ARENA_PAGES	2048UL
/* Behind it: a page that can only be read, then none. */
#define READ_ONLY	(ARENA + ARENA_PAGES * PAGE)

/* Not in the headers of every libc yet. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof(*(a)))

enum kind {
	SAVE, LOAD, COMMIT, STAT, LIST, FREE, FREE_ALL, INFO, ANY_IOCTL, SEAL, ADOPT, PRESENT, MAP,
	WRITE, READ, SPLICE_IN, SPLICE_OUT, SENDFILE, LSEEK, FCNTL, OTHER, MMAP, CLOSE,
	OPEN, MEMORY, PROC_MEM, FORK, UNPRIVILEGED, KEEP, VERIFY, VERIFY_MAPPED, NR_KINDS
};

static const char *const kind_names[NR_KINDS] = {
	"save", "load", "commit", "stat", "list", "free", "free-all", "info", "any-ioctl",
	"seal", "adopt", "present", "map", "write", "read", "splice-in", "splice-out", "sendfile",
	"lseek", "fcntl", "other", "mmap", "close", "open", "memory", "proc-mem", "fork",
	"unprivileged", "keep", "verify", "verify-mapped",
};

/* Kinds of which all have to fail, or none. */
static const bool never_succeeds[NR_KINDS] = { [MMAP] = true };
static const bool never_fails[NR_KINDS] = {
	[LIST] = true, [FREE_ALL] = true, [INFO] = true, [CLOSE] = true, [OPEN] = true,
	[FORK] = true, [UNPRIVILEGED] = true, [KEEP] = true, [VERIFY] = true,
	[VERIFY_MAPPED] = true, [FCNTL] = true,
};

/* What all processes share. */
static struct shared {
	atomic_int failed;
	atomic_long done[NR_KINDS][2];
} *shared;

/* What the threads of one process share. */
static _Atomic int slots[NR_SLOTS];
static int dev, self_pidfd, dead_pidfd, sleeper_pidfd, restless_pidfd;
static pid_t sleeper;

static bool own;
static const char *program;

struct thread {
	uint64_t state;
	char where[64];
	long moment;
	enum kind kind;
	/* One page, with nothing behind it. */
	unsigned char *page;
};

#define wrong(t, ...)                                                           \
	do {                                                                    \
		flockfile(stdout);                                              \
		printf("%s, operation %ld, %s, line %d: ", (t)->where,          \
		       (t)->moment, kind_names[(t)->kind], __LINE__);           \
		printf(__VA_ARGS__);                                            \
		putchar('\n');                                                  \
		fflush(stdout);                                                 \
		funlockfile(stdout);                                            \
		shared->failed = 1;                                             \
	} while (0)

#define expect(t, cond)                                                         \
	do {                                                                    \
		if (!(cond))                                                    \
			wrong(t, "not true: %s", #cond);                        \
	} while (0)

static void count(struct thread *t, bool good)
{
	shared->done[t->kind][good]++;
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static uint64_t draw(struct thread *t, uint64_t below)
{
	t->state ^= t->state << 13;
	t->state ^= t->state >> 7;
	t->state ^= t->state << 17;
	return (t->state >> 11) % below;
}

static bool one_in(struct thread *t, uint64_t n)
{
	return !draw(t, n);
}

/* --- arguments --- */

static uint64_t edge(struct thread *t)
{
	static const uint64_t all[] = {
		0, 1, 2, 7, 8, 255, 256, 4095, 4096, 8192, 65535, 65536, 1 << 20, 0x7fffffff,
		0x80000000, 0xffffffff, 1ULL << 32, 1ULL << 47, 1ULL << 51, INT64_MAX,
		1ULL << 63, UINT64_MAX, UINT64_MAX - 4094,
	};

	return all[draw(t, ARRAY_SIZE(all))] + draw(t, 3) - 1;
}

/* Where no access of ours may lead: for system calls only. */
static uint64_t any_address(struct thread *t)
{
	static const uint64_t bad[] = {
		0, 8, UINT64_MAX, UINT64_MAX - 4095, 0xffff888000000000, 0x7ffffffff000,
		0x800000000000, READ_ONLY, READ_ONLY + PAGE, READ_ONLY + 64 * PAGE,
		READ_ONLY - PAGE / 2,
	};
	uint64_t addr = ARENA + draw(t, ARENA_PAGES) * PAGE;

	switch (draw(t, 10)) {
	case 0:
		return bad[draw(t, ARRAY_SIZE(bad))];
	case 1:
		return addr + draw(t, PAGE);
	case 2:
		return ARENA + draw(t, ARENA_PAGES / 512) * 512 * PAGE;
	default:
		return addr;
	}
}

static size_t any_length(struct thread *t)
{
	switch (draw(t, 8)) {
	case 0:
		return edge(t);
	case 1:
		return draw(t, 3 * PAGE);
	case 2:
		return draw(t, 3) * 512 * PAGE;
	default:
		return draw(t, 40) * PAGE;
	}
}

static size_t slot_in(struct thread *t, enum third third)
{
	return third * THIRD + draw(t, THIRD);
}

static int any_fd(struct thread *t)
{
	static const int bad[] = { -1, -2, INT32_MIN, INT32_MAX, 9999, 254 };

	return one_in(t, 30) ? bad[draw(t, ARRAY_SIZE(bad))] : slots[draw(t, NR_SLOTS)];
}

/* Most often one of that third. */
static int fd_in(struct thread *t, enum third third)
{
	int fd = -1;

	if (one_in(t, 4))
		return any_fd(t);
	for (int i = 0; i < 4 && fd < 0; i++)
		fd = slots[slot_in(t, third)];
	return fd;
}

static void put_fd(struct thread *t, enum third third, int fd)
{
	int old = atomic_exchange(&slots[slot_in(t, third)], fd);

	if (old >= 0)
		close(old);
}

/* Close a descriptor, unless somebody else has done it. */
static void drop_fd(int fd)
{
	for (size_t i = 0; fd >= 0 && i < NR_SLOTS; i++) {
		int found = fd;

		if (atomic_compare_exchange_strong(&slots[i], &found, -1))
			close(fd);
	}
}

static void good_name(struct thread *t, char *name)
{
	snprintf(name, PRAM_NAME_MAX, "good-%d", (int)draw(t, NR_GOOD));
}

/* Return: the type that most nodes of that name have. */
static uint32_t any_name(struct thread *t, unsigned char *name, bool save)
{
	size_t nr = draw(t, NR_NAMES);

	memset(name, 0, PRAM_NAME_MAX);
	if (!save && one_in(t, 6)) {
		good_name(t, (char *)name);
		return 1 + draw(t, 2);
	}
	snprintf((char *)name, PRAM_NAME_MAX, "fuzz-%zu", nr);
	switch (draw(t, 24)) {
	case 0:
		memset(name + 5, 'x', PRAM_NAME_MAX - 5 - draw(t, 4));
		break;
	case 1:
		/* As long as can be. */
		memset(name + 5, 'a' + nr, PRAM_NAME_MAX - 6);
		break;
	case 2:
		for (size_t i = 5; i < 5 + draw(t, 40); i++)
			name[i] = draw(t, 256);
		break;
	case 3:
		memset(name, 0, PRAM_NAME_MAX);
		break;
	case 4:
		/* What is behind the nul is nobody's business. */
		memset(name + 10, 0xff, PRAM_NAME_MAX - 10);
		break;
	}
	return 1 + nr % 3 / 2;
}

static bool ours(const void *name)
{
	return !strncmp(name, "fuzz-", 5) || !strncmp(name, "good-", 5);
}

/* Change some of the @len bytes at @arg, which begin with a size, but not [@from, @to). */
static void mutate(struct thread *t, void *arg, size_t len, size_t from, size_t to)
{
	uint32_t *size = arg;
	uint64_t word;
	size_t at;

	switch (draw(t, 12)) {
	case 0:
		*size = one_in(t, 2) ? edge(t) : *size + draw(t, 17) - 8;
		return;
	case 1:
		at = draw(t, len / 4) * 4;
		word = edge(t);
		if (at + 4 <= from || at >= to)
			memcpy((char *)arg + at, &word, 4);
		return;
	case 2:
		at = draw(t, len);
		if (at < from || at >= to)
			((unsigned char *)arg)[at] ^= 1 << draw(t, 8);
		return;
	}
}

/*
 * An ioctl with the structure @arg, which may be put where it cannot be read or written,
 * or be longer than what the kernel knows.
 */
static int call(struct thread *t, int fd, unsigned long cmd, void *arg, size_t len, bool *whole)
{
	static const int known[] = {
		ENOTTY, E2BIG, EOPNOTSUPP, EINVAL, ENAMETOOLONG, ENOENT, EEXIST, EBUSY, EPERM,
		EBADMSG, ESTALE, ESHUTDOWN, ENOMEM, EFAULT, EBADF, ESRCH, EACCES, EINTR,
		EMFILE, ENFILE,
	};
	uint32_t *size = arg;
	void *at = t->page + PAGE - len;
	int ret;

	*whole = true;
	switch (draw(t, 40)) {
	case 0:
		at = (void *)any_address(t);
		*whole = false;
		break;
	case 1:
		/* The end is missing. */
		at = t->page + PAGE - 4 * draw(t, len / 4);
		memcpy(at, arg, t->page + PAGE - (unsigned char *)at);
		*whole = false;
		break;
	case 2:
		/* Longer, with zeros or not. */
		at = t->page;
		memset(t->page, 0, PAGE);
		memcpy(at, arg, len);
		*size = len + 8 * draw(t, 20);
		memcpy(at, size, 4);
		if (one_in(t, 2) && *size > len)
			((unsigned char *)at)[len + draw(t, *size - len)] = 1;
		else if (one_in(t, 4))
			*(uint32_t *)at = edge(t);
		break;
	default:
		memcpy(at, arg, len);
		break;
	}
	ret = ioctl(fd, cmd, at) ? -errno : 0;
	if (*whole)
		memcpy(arg, at, len);
	for (size_t i = 0; ret && i < ARRAY_SIZE(known); i++)
		if (ret == -known[i])
			return ret;
	if (ret)
		wrong(t, "ioctl %#lx: errno %d", cmd, -ret);
	return ret;
}

/* --- on the device --- */

static bool name_fits(const unsigned char *name)
{
	return name[0] && memchr(name, 0, PRAM_NAME_MAX);
}

static void op_save(struct thread *t)
{
	struct pram_ioctl_save arg = {
		.size = sizeof(arg),
		.flags = one_in(t, 20) ? draw(t, 64) : draw(t, 8),
	};
	bool whole;
	int ret;

	arg.type = any_name(t, arg.name, true);
	if (one_in(t, 10))
		arg.type = draw(t, 4);
	mutate(t, &arg, sizeof(arg), 16, 21);
	ret = call(t, dev, PRAM_IOCTL_SAVE, &arg, sizeof(arg), &whole);
	count(t, !ret);
	if (ret || !whole)
		return;
	expect(t, arg.size >= sizeof(arg) && name_fits(arg.name) && arg.fd >= 0);
	expect(t, arg.type == PRAM_PAGE_STREAM || arg.type == PRAM_BYTE_STREAM);
	expect(t, arg.flags < 8);
	put_fd(t, TO_WRITE, arg.fd);
}

static void op_load(struct thread *t)
{
	struct pram_ioctl_load arg = {
		.size = sizeof(arg),
		.flags = one_in(t, 20) ? draw(t, 64) : draw(t, 4),
	};
	bool whole;
	int ret;

	arg.type = any_name(t, arg.name, false);
	if (one_in(t, 10))
		arg.type = draw(t, 4);
	mutate(t, &arg, sizeof(arg), 16, 21);
	ret = call(t, dev, PRAM_IOCTL_LOAD, &arg, sizeof(arg), &whole);
	count(t, !ret);
	if (ret || !whole)
		return;
	expect(t, arg.size >= sizeof(arg) && name_fits(arg.name) && arg.fd >= 0);
	expect(t, arg.type == PRAM_PAGE_STREAM || arg.type == PRAM_BYTE_STREAM);
	expect(t, arg.flags < 4);
	put_fd(t, TO_READ, arg.fd);
}

static void op_commit(struct thread *t)
{
	int32_t fds[8];
	struct pram_ioctl_commit arg = {
		.size = sizeof(arg), .nr_fds = 1 + draw(t, one_in(t, 3) ? 8 : 1),
		.flags = one_in(t, 4) ? PRAM_COMMIT_TASKS_DIE : 0, .fds = (uintptr_t)fds,
	};
	bool whole;
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = one_in(t, 60) ? dev : fd_in(t, one_in(t, 3) ? TO_READ : TO_WRITE);
	if (one_in(t, 30))
		arg.fds = any_address(t);
	else
		mutate(t, &arg, sizeof(arg), 16, 24);
	if (one_in(t, 60))
		arg.nr_fds = edge(t);
	ret = call(t, dev, PRAM_IOCTL_COMMIT, &arg, sizeof(arg), &whole);
	count(t, !ret);
	if (ret || !whole)
		return;
	expect(t, arg.size >= sizeof(arg) && !(arg.flags & ~PRAM_COMMIT_TASKS_DIE) && !arg.reserved);
	expect(t, arg.nr_fds && arg.nr_fds <= PRAM_COMMIT_MAX);
	/* They have ended; some are kept, to be tried. */
	for (size_t i = 0; i < arg.nr_fds && i < ARRAY_SIZE(fds); i++)
		if (!one_in(t, 4))
			drop_fd(fds[i]);
}

static void check_node(struct thread *t, const struct pram_node_stat *node)
{
	expect(t, node->id);
	expect(t, node->state == PRAM_NODE_SAVING || node->state == PRAM_NODE_READY ||
		  node->state == PRAM_NODE_LOADING);
	expect(t, node->type == PRAM_PAGE_STREAM || node->type == PRAM_BYTE_STREAM);
	expect(t, !(node->flags & ~PRAM_NODE_CHECKSUM) && !node->reserved);
	expect(t, name_fits(node->name));
	if (node->state == PRAM_NODE_SAVING)
		return;
	expect(t, node->bytes <= node->data_pages * PAGE);
	expect(t, node->adopted_pages <= node->data_pages);
	expect(t, node->nr_folios <= node->data_pages);
	expect(t, node->type != PRAM_PAGE_STREAM || !(node->bytes % PAGE));
	expect(t, node->meta_pages && node->saved_at_ns);
}

static void op_stat(struct thread *t)
{
	struct pram_ioctl_stat arg = { .size = sizeof(arg) };
	unsigned char name[PRAM_NAME_MAX];
	bool whole;
	int ret;

	any_name(t, arg.node.name, false);
	mutate(t, &arg, sizeof(arg), 0, 0);
	memcpy(name, arg.node.name, sizeof(name));
	ret = call(t, dev, PRAM_IOCTL_STAT, &arg, sizeof(arg), &whole);
	count(t, !ret);
	if (ret || !whole)
		return;
	check_node(t, &arg.node);
	expect(t, !strncmp((char *)name, (char *)arg.node.name, sizeof(name)));
}

static void op_list(struct thread *t)
{
	struct pram_ioctl_stat arg = { .size = sizeof(arg) };
	uint64_t last = 0;
	bool whole;
	int ret;

	if (one_in(t, 4)) {
		arg.node.id = edge(t);
		mutate(t, &arg, sizeof(arg), 0, 0);
		call(t, dev, PRAM_IOCTL_LIST, &arg, sizeof(arg), &whole);
		return;
	}
	do {
		/* Every input but the id is ignored, and the reserved one is 0. */
		arg.size = sizeof(arg);
		arg.node.type = edge(t);
		arg.node.name[0] = 0xff;
		ret = ioctl(dev, PRAM_IOCTL_LIST, &arg) ? -errno : 0;
		if (ret)
			break;
		expect(t, arg.node.id > last);
		check_node(t, &arg.node);
		last = arg.node.id;
	} while (!shared->failed);
	expect(t, !ret || ret == -ENOENT);
	count(t, true);
}

static void op_free(struct thread *t)
{
	struct pram_ioctl_free arg = { .size = sizeof(arg) };
	struct pram_ioctl_stat stat = { .size = sizeof(stat) };
	bool whole;
	int ret;

	if (one_in(t, 2)) {
		any_name(t, arg.name, false);
	} else {
		/* Somebody may be before us: no matter. */
		for (size_t n = 1 + draw(t, 8); n; n--) {
			if (ioctl(dev, PRAM_IOCTL_LIST, &stat))
				break;
			if (!own || ours(stat.node.name))
				arg.id = stat.node.id;
		}
	}
	/* The id and FREE_ALL may mean nodes of others. */
	mutate(t, &arg, sizeof(arg), own ? 4 : 0, own ? 24 + 5 : 0);
	ret = call(t, dev, PRAM_IOCTL_FREE, &arg, sizeof(arg), &whole);
	count(t, !ret);
	if (ret || !whole)
		return;
	expect(t, arg.size >= sizeof(arg) && !(arg.flags & ~PRAM_FREE_ALL));
	expect(t, arg.flags || arg.nr_freed == 1);
}

static void op_free_all(struct thread *t)
{
	struct pram_ioctl_free arg = { .size = sizeof(arg), .flags = PRAM_FREE_ALL };

	if (!own && one_in(t, 20))
		expect(t, !ioctl(dev, PRAM_IOCTL_FREE, &arg));
	count(t, true);
}

static void op_info(struct thread *t)
{
	struct pram_ioctl_info arg = { .size = sizeof(arg) };

	expect(t, !ioctl(dev, PRAM_IOCTL_INFO, &arg));
	expect(t, arg.abi_version == PRAM_ABI_VERSION && !arg.nr_broken && !arg.lost_pages);
	count(t, true);
}

static const unsigned long cmds[] = {
	PRAM_IOCTL_INFO, PRAM_IOCTL_SAVE, PRAM_IOCTL_LOAD, PRAM_IOCTL_COMMIT,
	PRAM_IOCTL_STAT, PRAM_IOCTL_LIST, PRAM_IOCTL_SEAL, PRAM_IOCTL_ADOPT, PRAM_IOCTL_MAP,
	_IO(PRAM_IOCTL_TYPE, 0x07), _IO(PRAM_IOCTL_TYPE, 0x45), 0x1234, FIONREAD, FIOCLEX,
};

static void op_any_ioctl(struct thread *t)
{
	unsigned long cmd = cmds[draw(t, ARRAY_SIZE(cmds))];
	unsigned char arg[512];
	uint32_t size = one_in(t, 2) ? edge(t) : 8 * draw(t, 64);
	int fd = one_in(t, 2) ? dev : any_fd(t), new_fd, ret;

	for (size_t i = 0; i < sizeof(arg); i++)
		arg[i] = one_in(t, 8) ? draw(t, 256) : 0;
	memcpy(arg, &size, 4);
	/* A name, or what is taken for one, must not be that of a good node. */
	memcpy(arg + 16, "fuzz-", 5);
	memcpy(t->page, arg, sizeof(arg));
	ret = ioctl(fd, cmd, one_in(t, 10) ? (void *)any_address(t) : t->page);
	count(t, ret >= 0);
	if (!ret && (cmd == PRAM_IOCTL_SAVE || cmd == PRAM_IOCTL_LOAD)) {
		memcpy(&new_fd, t->page + 4, 4);
		put_fd(t, TO_READ, new_fd);
	}
}

/* --- on streams --- */

static void op_seal(struct thread *t)
{
	struct pram_ioctl_seal arg = {
		.size = sizeof(arg), .flags = one_in(t, 3) ? PRAM_SEAL_COPY : 0,
	};
	bool whole;
	int ret;

	mutate(t, &arg, sizeof(arg), 0, 0);
	ret = call(t, fd_in(t, TO_WRITE), PRAM_IOCTL_SEAL, &arg, sizeof(arg), &whole);
	count(t, !ret);
	if (!ret && whole)
		expect(t, arg.size >= sizeof(arg) && !(arg.flags & ~PRAM_SEAL_COPY));
}

/* What grew beyond what is good for the machine. */
static void close_if_large(int fd)
{
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && (size_t)st.st_size >= MAX_STREAM)
		drop_fd(fd);
}

static int any_task(struct thread *t)
{
	switch (draw(t, 12)) {
	case 0:
		return dead_pidfd;
	case 1:
		return any_fd(t);
	case 2:
		return dev;
	case 3:
	case 4:
		return sleeper_pidfd;
	case 5:
	case 6:
		return restless_pidfd;
	default:
		return self_pidfd;
	}
}

static void op_adopt(struct thread *t)
{
	struct pram_range ranges[16];
	struct pram_ioctl_adopt arg = {
		.size = sizeof(arg), .pidfd = any_task(t),
		.nr_ranges = draw(t, one_in(t, 4) ? 17 : 3), .ranges = (uintptr_t)ranges,
	};
	int fd = fd_in(t, TO_WRITE), ret;
	uint64_t all = 0;
	bool whole;

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		ranges[i] = (struct pram_range){ any_address(t), any_length(t) };
		/* Most of them within the arena. */
		if (!one_in(t, 12) && ranges[i].start >= ARENA && ranges[i].start < READ_ONLY) {
			ranges[i].start &= -PAGE;
			ranges[i].len = draw(t, 64) * PAGE;
			if (ranges[i].len > READ_ONLY - ranges[i].start)
				ranges[i].len = READ_ONLY - ranges[i].start;
		}
	}
	if (one_in(t, 40))
		arg.nr_ranges = edge(t);
	if (one_in(t, 40))
		arg.ranges = any_address(t);
	else
		mutate(t, &arg, sizeof(arg), 0, 0);
	ret = call(t, fd, PRAM_IOCTL_ADOPT, &arg, sizeof(arg), &whole);
	count(t, !ret);
	close_if_large(fd);
	if (ret || !whole)
		return;
	expect(t, arg.size >= sizeof(arg) && !arg.flags && arg.nr_ranges <= PRAM_ADOPT_MAX);
	if (arg.ranges != (uintptr_t)ranges || arg.nr_ranges > ARRAY_SIZE(ranges))
		return;
	for (size_t i = 0; i < arg.nr_ranges; i++) {
		expect(t, !(ranges[i].start % PAGE) && !(ranges[i].len % PAGE));
		all += ranges[i].len / PAGE;
	}
	expect(t, arg.pages == all);
}

/* It says what it has taken: within the range, in order, and no more than there is room. */
static void op_present(struct thread *t)
{
	struct pram_range found[16];
	struct pram_ioctl_adopt_present arg = {
		.size = sizeof(arg), .pidfd = any_task(t),
		.nr_found = one_in(t, 20) ? edge(t) : draw(t, 17),
		.start = any_address(t), .found = (uintptr_t)found,
	};
	int fd = fd_in(t, TO_WRITE), ret;
	const uint32_t room = arg.nr_found;
	uint64_t start, all = 0;

	arg.end = arg.start + any_length(t);
	if (!one_in(t, 12) && arg.start >= ARENA && arg.start < READ_ONLY) {
		arg.start &= -PAGE;
		arg.end = arg.start + draw(t, 256) * PAGE;
		if (arg.end > READ_ONLY)
			arg.end = READ_ONLY;
	}
	/* No more than that fits, whatever is said. */
	if (room > ARRAY_SIZE(found) && arg.end - arg.start > 2 * ARRAY_SIZE(found) * PAGE)
		arg.end = arg.start + ARRAY_SIZE(found) * PAGE;
	if (one_in(t, 40))
		arg.flags = edge(t);
	if (one_in(t, 40))
		arg.found = 8;
	start = arg.start;
	ret = ioctl(fd, PRAM_IOCTL_ADOPT_PRESENT, &arg);
	count(t, !ret);
	close_if_large(fd);
	if (ret)
		return;
	expect(t, !arg.flags && room && arg.nr_found <= room);
	expect(t, arg.start >= start && arg.start <= arg.end);
	expect(t, arg.start == arg.end || arg.nr_found == room);
	for (size_t i = 0; i < arg.nr_found && arg.found == (uintptr_t)found; i++) {
		expect(t, found[i].start >= start && found[i].len &&
			  !((found[i].start | found[i].len) % PAGE));
		start = found[i].start + found[i].len;
		expect(t, start <= arg.start);
		all += found[i].len / PAGE;
	}
	expect(t, arg.found != (uintptr_t)found || arg.pages == all);
}

static void op_map(struct thread *t)
{
	struct pram_ioctl_map arg = {
		.size = sizeof(arg), .addr = any_address(t),
		.offset = one_in(t, 3) ? draw(t, 20) * PAGE : 0,
		.nr_pages = one_in(t, 8) ? edge(t) : draw(t, 6),
	};
	bool whole;
	int ret;

	if (one_in(t, 10))
		arg.offset = any_length(t);
	mutate(t, &arg, sizeof(arg), 0, 0);
	ret = call(t, fd_in(t, TO_READ), PRAM_IOCTL_MAP, &arg, sizeof(arg), &whole);
	count(t, !ret);
	if (ret || !whole)
		return;
	expect(t, arg.size >= sizeof(arg) && !arg.flags);
	expect(t, !(arg.addr % PAGE) && !(arg.offset % PAGE) && arg.same <= arg.nr_pages);
}

static size_t any_vector(struct thread *t, struct iovec *iov, size_t max)
{
	size_t nr = 1 + draw(t, max);

	for (size_t i = 0; i < nr; i++)
		iov[i] = (struct iovec){ (void *)any_address(t), any_length(t) };
	return nr;
}

static void op_write(struct thread *t)
{
	struct iovec iov[4];
	size_t nr = any_vector(t, iov, one_in(t, 2) ? 4 : 1);
	int fd = fd_in(t, TO_WRITE);
	ssize_t n;

	switch (draw(t, 6)) {
	case 0:
		n = writev(fd, iov, one_in(t, 40) ? (int)edge(t) : (int)nr);
		break;
	case 1:
		n = pwritev2(fd, iov, nr, one_in(t, 2) ? -1 : (off_t)edge(t), draw(t, 256));
		break;
	case 2:
		n = pwrite(fd, iov->iov_base, iov->iov_len, edge(t));
		break;
	default:
		n = write(fd, iov->iov_base, iov->iov_len);
		if (n > 0)
			expect(t, (size_t)n <= iov->iov_len);
		break;
	}
	count(t, n >= 0);
	close_if_large(fd);
}

static void op_read(struct thread *t)
{
	struct iovec iov[4];
	size_t nr = any_vector(t, iov, one_in(t, 2) ? 4 : 1);
	int fd = fd_in(t, TO_READ);
	off_t at = one_in(t, 4) ? (off_t)edge(t) : (off_t)(draw(t, 40) * PAGE);
	ssize_t n;

	switch (draw(t, 6)) {
	case 0:
		n = readv(fd, iov, one_in(t, 40) ? (int)edge(t) : (int)nr);
		break;
	case 1:
		n = preadv2(fd, iov, nr, one_in(t, 2) ? -1 : at, draw(t, 256));
		break;
	case 2:
	case 3:
		n = preadv(fd, iov, nr, at);
		break;
	case 4:
		n = pread(fd, iov->iov_base, iov->iov_len, at);
		break;
	default:
		n = read(fd, iov->iov_base, iov->iov_len);
		if (n > 0)
			expect(t, (size_t)n <= iov->iov_len);
		break;
	}
	count(t, n >= 0);
}

static unsigned int splice_flags(struct thread *t)
{
	return draw(t, 16);
}

static void op_splice_in(struct thread *t)
{
	struct iovec iov[4];
	size_t nr = any_vector(t, iov, 4);
	int fd = fd_in(t, TO_WRITE), other = any_fd(t), pipes[2] = { -1, -1 };
	off_t at = edge(t);
	ssize_t n = -1;

	switch (draw(t, 5)) {
	case 0:
		/* Whatever is in a pipe, if that is one, and be it nothing. */
		n = splice(other, NULL, fd, one_in(t, 8) ? &at : NULL, any_length(t),
			   splice_flags(t));
		break;
	case 1:
		n = tee(other, fd, any_length(t), splice_flags(t) | SPLICE_F_NONBLOCK);
		break;
	default:
		if (pipe2(pipes, O_CLOEXEC))
			break;
		if (one_in(t, 4))
			fcntl(pipes[1], F_SETPIPE_SZ, 1 << (12 + draw(t, 6)));
		vmsplice(pipes[1], iov, nr, splice_flags(t) | SPLICE_F_NONBLOCK);
		if (one_in(t, 4) && write(pipes[1], "x", 0))
			wrong(t, "an empty write was not empty");
		n = splice(pipes[0], NULL, fd, NULL, any_length(t), splice_flags(t));
		break;
	}
	count(t, n >= 0);
	for (int i = 0; i < 2; i++) {
		if (pipes[i] >= 0 && one_in(t, 8))
			put_fd(t, ANYTHING, pipes[i]);
		else if (pipes[i] >= 0)
			close(pipes[i]);
	}
	close_if_large(fd);
}

static void op_splice_out(struct thread *t)
{
	off_t at = one_in(t, 4) ? (off_t)edge(t) : (off_t)draw(t, 20 * PAGE);
	int pipes[2];
	ssize_t n;

	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK)) {
		count(t, false);
		return;
	}
	n = splice(fd_in(t, TO_READ), one_in(t, 2) ? &at : NULL, pipes[1], NULL, any_length(t),
		   splice_flags(t));
	count(t, n >= 0);
	/* From one stream to another. */
	if (n > 0)
		splice(pipes[0], NULL, any_fd(t), NULL, n, splice_flags(t));
	close(pipes[0]);
	close(pipes[1]);
}

static void op_sendfile(struct thread *t)
{
	off_t at = one_in(t, 4) ? (off_t)edge(t) : (off_t)draw(t, 20 * PAGE);
	int out = fd_in(t, TO_WRITE);
	size_t len = draw(t, 512 * PAGE);
	ssize_t n;

	if (one_in(t, 3))
		n = copy_file_range(any_fd(t), NULL, out, NULL, len, one_in(t, 20));
	else
		n = sendfile(out, fd_in(t, TO_READ), one_in(t, 2) ? &at : NULL, len);
	count(t, n >= 0);
	close_if_large(out);
}

static void op_lseek(struct thread *t)
{
	off_t to = one_in(t, 2) ? (off_t)edge(t) : (off_t)draw(t, 20 * PAGE);

	count(t, lseek(fd_in(t, TO_READ), to, draw(t, 7)) >= 0);
}

static void op_fcntl(struct thread *t)
{
	static const int flags[] = {
		0, O_NONBLOCK, O_APPEND, O_APPEND | O_NONBLOCK, O_DIRECT, O_NOATIME, O_ASYNC,
	};
	struct flock lock = {
		.l_type = one_in(t, 2) ? F_WRLCK : F_UNLCK, .l_len = draw(t, 3),
	};
	int fd = any_fd(t), ret = -1;

	switch (draw(t, 9)) {
	case 0:
		ret = fcntl(fd, F_SETFL, flags[draw(t, ARRAY_SIZE(flags))]);
		break;
	case 1:
		ret = fcntl(fd, F_GETFL);
		break;
	case 2:
		ret = fcntl(fd, F_SETFD, (int)draw(t, 2));
		break;
	case 3:
		ret = fcntl(fd, F_SETLK, &lock);
		break;
	case 4:
		ret = fcntl(fd, F_ADD_SEALS, (int)draw(t, 32));
		break;
	case 5:
		ret = fcntl(fd, F_SETOWN, getpid());
		break;
	case 6:
		ret = flock(fd, LOCK_SH | LOCK_NB);
		break;
	case 7:
		ret = fcntl(fd, F_SETLEASE, F_RDLCK);
		break;
	case 8:
		ret = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (ret >= 0)
			put_fd(t, ANYTHING, ret);
		break;
	}
	count(t, ret >= 0);
}

static void op_other(struct thread *t)
{
	struct pollfd poll_fd = { .fd = any_fd(t), .events = POLLIN | POLLOUT };
	int fd = any_fd(t), ret = -1;
	char path[64], text[64];
	struct stat st;

	switch (draw(t, 9)) {
	case 0:
		ret = fsync(fd);
		break;
	case 1:
		ret = ftruncate(fd, edge(t));
		break;
	case 2:
		ret = fallocate(fd, draw(t, 64), edge(t), edge(t));
		break;
	case 3:
		ret = posix_fadvise(fd, 0, edge(t), draw(t, 6));
		break;
	case 4:
		ret = readahead(fd, 0, edge(t));
		break;
	case 5:
		ret = poll(&poll_fd, 1, 0);
		break;
	case 6:
		ret = fstat(fd, &st);
		break;
	case 7:
		/* A stream cannot be opened anew; what it says of itself can be read. */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ret = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (ret >= 0)
			put_fd(t, ANYTHING, ret);
		break;
	case 8:
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			ret = read(fd, text, sizeof(text));
			close(fd);
		}
		break;
	}
	count(t, ret >= 0);
}

/* There is nothing of PRAM that could be mapped like a file. */
static void op_mmap(struct thread *t)
{
	bool device = one_in(t, 4);
	int fd = device ? dev : any_fd(t);
	struct stat st;
	void *mem;

	/* An anonymous inode has no type. Somebody may put another file there meanwhile. */
	if (!device && (fstat(fd, &st) || st.st_mode & S_IFMT))
		return;
	mem = mmap(NULL, PAGE, PROT_READ | (one_in(t, 2) ? PROT_WRITE : 0),
		   one_in(t, 2) ? MAP_SHARED : MAP_PRIVATE, fd, draw(t, 2) * PAGE);
	if (mem != MAP_FAILED) {
		if (device)
			wrong(t, "/dev/pram can be mapped");
		munmap(mem, PAGE);
	} else {
		count(t, false);
	}
}

static void op_close(struct thread *t)
{
	int old = atomic_exchange(&slots[draw(t, NR_SLOTS)], -1);

	if (old >= 0)
		close(old);
	count(t, true);
}

static void op_open(struct thread *t)
{
	int fds[2] = { -1, -1 };

	switch (draw(t, 5)) {
	case 0:
		if (!pipe2(fds, O_CLOEXEC | O_NONBLOCK)) {
			put_fd(t, ANYTHING, fds[0]);
			put_fd(t, ANYTHING, fds[1]);
		}
		break;
	case 1:
		fds[0] = memfd_create("fuzz", MFD_CLOEXEC);
		if (fds[0] >= 0 && !ftruncate(fds[0], draw(t, 64) * PAGE))
			put_fd(t, ANYTHING, fds[0]);
		break;
	case 2:
		if (!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds)) {
			put_fd(t, ANYTHING, fds[0]);
			put_fd(t, ANYTHING, fds[1]);
		}
		break;
	case 3:
		fds[0] = open("/dev/zero", O_RDWR | O_CLOEXEC);
		if (fds[0] >= 0)
			put_fd(t, ANYTHING, fds[0]);
		break;
	case 4:
		fds[0] = syscall(SYS_pidfd_open, getpid(), 0);
		if (fds[0] >= 0)
			put_fd(t, ANYTHING, fds[0]);
		break;
	}
	count(t, true);
}

/* --- memory and processes --- */

static void arena_setup(void)
{
	const int prot = PROT_READ | PROT_WRITE;
	char *at = (char *)ARENA;
	int fd;

	mmap(at, ARENA_PAGES * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	madvise(at + ARENA_PAGES / 2 * PAGE, ARENA_PAGES / 4 * PAGE, MADV_NOHUGEPAGE);
	/* The last quarter: shared memory, and a file's pages with some of them written to. */
	mmap(at + ARENA_PAGES / 4 * 3 * PAGE, ARENA_PAGES / 8 * PAGE, prot,
	     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	fd = memfd_create("arena", MFD_CLOEXEC);
	/* All descriptors may be in use. */
	if (fd < 0)
		return;
	if (ftruncate(fd, ARENA_PAGES / 8 * PAGE))
		err(1, "memfd");
	mmap(at + ARENA_PAGES / 8 * 7 * PAGE, ARENA_PAGES / 8 * PAGE, prot,
	     MAP_PRIVATE | MAP_FIXED, fd, 0);
	close(fd);
	mmap((void *)READ_ONLY, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* Not by the processor: another thread may have unmapped it. */
static void arena_write(unsigned char *from, uint64_t addr, size_t len)
{
	struct iovec local = { from, len }, remote = { (void *)addr, len };

	process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
}

static void op_memory(struct thread *t)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_MERGEABLE,
		MADV_UNMERGEABLE, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
		MADV_COLLAPSE, MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK, MADV_KEEPONFORK,
	};
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
	};
	const uint64_t page = draw(t, ARENA_PAGES);
	const uint64_t rest = ARENA_PAGES - page;
	size_t nr = 1 + draw(t, one_in(t, 4) ? 600 : 24);
	char *addr = (char *)ARENA + page * PAGE;
	long ret = 0;

	if (nr > rest)
		nr = rest;
	switch (draw(t, 10)) {
	case 0:
		ret = mprotect(addr, nr * PAGE, prots[draw(t, ARRAY_SIZE(prots))]);
		break;
	case 1:
		ret = munmap(addr, nr * PAGE);
		break;
	case 2:
	case 3:
		ret = mmap(addr, nr * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
			   MAP_FIXED | (one_in(t, 6) ? MAP_LOCKED : 0), -1, 0) == MAP_FAILED;
		break;
	case 4:
		ret = one_in(t, 2) ? mlock2(addr, nr * PAGE, one_in(t, 2) ? MLOCK_ONFAULT : 0) :
				     munlock(addr, nr * PAGE);
		break;
	case 5:
		/* To another place of the arena; what was there is gone. */
		ret = mremap(addr, nr * PAGE, nr * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     (char *)ARENA + draw(t, ARENA_PAGES - nr + 1) * PAGE) == MAP_FAILED;
		break;
	case 6:
		if (one_in(t, 40))
			arena_setup();
		break;
	default:
		ret = madvise(addr, nr * PAGE, advices[draw(t, ARRAY_SIZE(advices))]);
		break;
	}
	count(t, !ret);
	/* Equal pages, for KSM, and different ones. */
	memset(t->page, draw(t, 3), PAGE);
	for (size_t i = 0; i < nr && i < 8; i++)
		arena_write(t->page, (uintptr_t)addr + i * PAGE, PAGE);
}

/* Write to memory that may be shared with a node, from outside of the task. */
static void op_proc_mem(struct thread *t)
{
	pid_t pid = one_in(t, 2) ? getpid() : sleeper;
	uint64_t addr = any_address(t), word = draw(t, 1000);
	bool good = false;
	char path[64];
	int fd;

	if (pid == sleeper && one_in(t, 2)) {
		/* Only one of the threads can; it is stopped for a moment. */
		if (!ptrace(PTRACE_SEIZE, pid, NULL, NULL)) {
			ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
			while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
				;
			good = !ptrace(PTRACE_POKEDATA, pid, addr, word);
			ptrace(PTRACE_DETACH, pid, NULL, NULL);
		}
	} else {
		snprintf(path, sizeof(path), "/proc/%d/mem", pid);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0) {
			good = pwrite(fd, &word, sizeof(word), addr) == sizeof(word);
			close(fd);
		}
	}
	count(t, good);
}

static void some(struct thread *t, long nr);

static void op_fork(struct thread *t)
{
	const struct itimerval half_a_second = { .it_value.tv_usec = 500000 };
	pid_t pid = fork();

	if (pid > 0) {
		if (one_in(t, 3))
			kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		count(t, true);
		return;
	}
	if (pid)
		return;
	/* In a child there is this thread only, and its timer is gone: it must not wait. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGALRM, SIG_DFL);
	setitimer(ITIMER_REAL, &half_a_second, NULL);
	t->state = mix(t->state);
	snprintf(t->where + strlen(t->where), 8, " child");
	switch (draw(t, 3)) {
	case 0:
		execl(program, program, "--nothing", NULL);
		break;
	case 1:
		some(t, 1 + draw(t, 20));
		break;
	}
	_exit(0);
}

/* Who has no right to it gets none, whatever he asks for. */
static void op_unprivileged(struct thread *t)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = {};
	pid_t pid = fork();

	if (pid > 0) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		count(t, true);
		return;
	}
	if (pid)
		return;
	if (syscall(SYS_capset, &header, none))
		_exit(1);
	memset(t->page, 0, PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
		*(uint32_t *)t->page = edge(t);
		if (ioctl(dev, cmds[i], t->page) != -1)
			expect(t, cmds[i] == FIOCLEX);
		else if (_IOC_TYPE(cmds[i]) == PRAM_IOCTL_TYPE)
			expect(t, errno == EPERM);
	}
	_exit(0);
}

/* --- nodes that say what they are --- */

/* The word at @at (in bytes) of a node. The first is the tag itself. */
static uint64_t good_word(uint64_t tag, uint64_t at)
{
	return tag + at / 8 * 0x9e3779b97f4a7c15;
}

static void good_fill(void *mem, size_t bytes, uint64_t tag)
{
	uint64_t *word = mem;

	for (size_t i = 0; i < bytes / 8; i++)
		word[i] = good_word(tag, i * 8);
}

/* Whether what was read from @at on is as it was saved. */
static bool good_filled(const unsigned char *mem, size_t bytes, uint64_t at, uint64_t tag)
{
	unsigned char word[8];
	size_t len;

	for (size_t i = 0; i < bytes; i += len) {
		const size_t from = (at + i) % 8;

		len = bytes - i < 8 - from ? bytes - i : 8 - from;
		memcpy(word, &(uint64_t){ good_word(tag, at + i) }, 8);
		if (memcmp(mem + i, word + from, len))
			return false;
	}
	return true;
}

/*
 * Append memory in one of three ways. What was spliced must not be written to before the
 * stream is sealed, the rest may.
 */
static bool keep_append(struct thread *t, int stream, unsigned char *mem, size_t bytes,
			bool *spliced)
{
	struct pram_range range = { (uintptr_t)mem, bytes };
	struct iovec iov = { mem, bytes };
	int pipes[2];
	uint64_t nr;
	ssize_t n;

	switch (draw(t, 3)) {
	case 0:
		if (bytes % PAGE)
			break;
		if (!pram_adopt(stream, self_pidfd, &range, 1, &nr)) {
			expect(t, nr == bytes / PAGE);
			return true;
		}
		if (nr)
			return false;
		break;
	case 1:
		*spliced = true;
		if (pipe2(pipes, O_CLOEXEC))
			return false;
		while (iov.iov_len) {
			n = vmsplice(pipes[1], &iov, 1, SPLICE_F_NONBLOCK);
			if (n <= 0)
				break;
			iov.iov_base = (char *)iov.iov_base + n;
			iov.iov_len -= n;
			while (n > 0) {
				ssize_t done = splice(pipes[0], NULL, stream, NULL, n, SPLICE_F_MOVE);

				if (done <= 0)
					goto out;
				n -= done;
			}
		}
out:
		close(pipes[0]);
		close(pipes[1]);
		return !iov.iov_len;
	}
	/* By bytes: what adopting does not take, too. */
	return write(stream, mem, bytes) == (ssize_t)bytes;
}

/* Save a good node in one of many ways. Only a keeper does: it has no other threads. */
static void op_keep(struct thread *t)
{
	bool pages = one_in(t, 2), huge = one_in(t, 3), in_two = one_in(t, 2), spliced = false, good;
	size_t bytes = (1 + draw(t, huge ? 1024 : 40)) * PAGE, first = bytes;
	char name[PRAM_NAME_MAX];
	uint64_t tag = mix(draw(t, UINT64_MAX));
	unsigned char *mem;
	int stream;

	good_name(t, name);
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		err(1, "no memory");
	if (!huge)
		madvise(mem, bytes, MADV_NOHUGEPAGE);
	if (one_in(t, 4))
		madvise(mem, bytes, MADV_MERGEABLE);
	good_fill(mem, bytes, tag);
	if (!pages)
		bytes -= draw(t, PAGE);
	if (in_two)
		first = bytes / 2 / PAGE * PAGE;

	stream = pram_save(dev, name, pages ? PRAM_PAGE_STREAM : PRAM_BYTE_STREAM, draw(t, 4) * 2);
	if (stream >= 0) {
		good = keep_append(t, stream, mem, first, &spliced);
		if (good && first < bytes) {
			if (!spliced && one_in(t, 2))
				memset(mem, 0xee, first);
			good = keep_append(t, stream, mem + first, bytes - first, &spliced);
		}
		if (good && one_in(t, 2)) {
			good = !pram_seal(stream, one_in(t, 2) ? PRAM_SEAL_COPY : 0);
			spliced = false;
		}
		if (!spliced)
			memset(mem, 0xdd, bytes);
		/* Somebody may do with it what he likes as soon as it is committed. */
		if (good && !one_in(t, 20) && !pram_commit(dev, &stream, 1))
			count(t, true);
		memset(mem, 0xcc, bytes);
		close(stream);
	} else {
		expect(t, stream == -EEXIST || stream == -ENOMEM);
	}
	munmap(mem, (bytes + PAGE - 1) & -PAGE);
}

/* Open a good node, whoever made it; *@tag is what it begins with. */
static int open_good(struct thread *t, uint32_t flags, uint64_t *tag, struct pram_node_stat *node)
{
	char name[PRAM_NAME_MAX];
	struct stat st;
	int stream;

	good_name(t, name);
	if (pram_stat(dev, name, node))
		return -1;
	stream = pram_load(dev, name, node->type, flags);
	if (stream < 0)
		return -1;
	if (fstat(stream, &st))
		err(1, "fstat");
	/* Since it was described it may have been replaced. */
	node->bytes = st.st_size;
	if (!st.st_size || pread(stream, tag, 8, 0) < 8) {
		close(stream);
		return -1;
	}
	return stream;
}

static void op_verify(struct thread *t)
{
	bool peek = one_in(t, 2);
	struct pram_node_stat node;
	unsigned char *mem;
	uint64_t tag, at;
	size_t len;
	int stream = open_good(t, peek ? PRAM_LOAD_PEEK : 0, &tag, &node);
	ssize_t n;

	if (stream < 0)
		return;
	mem = malloc(node.bytes);
	if (!mem)
		err(1, "no memory");
	n = pread(stream, mem, node.bytes, 0);
	expect(t, n == (ssize_t)node.bytes);
	if (!good_filled(mem, node.bytes, 0, tag))
		wrong(t, "'%s' is not what was saved", node.name);
	for (int i = 0; i < 3; i++) {
		at = draw(t, node.bytes + 1);
		len = draw(t, 5 * PAGE);
		if (len > node.bytes)
			len = node.bytes;
		n = pread(stream, mem, len, at);
		expect(t, n == (ssize_t)(len < node.bytes - at ? len : node.bytes - at));
		if (n > 0 && !good_filled(mem, n, at, tag))
			wrong(t, "'%s' is not what was saved, at %llu", node.name,
			      (unsigned long long)at);
	}
	expect(t, pread(stream, mem, 1, node.bytes) == 0);
	if (one_in(t, 3))
		expect(t, (pram_commit(dev, &stream, 1) == 0) == !peek);
	close(stream);
	free(mem);
	count(t, true);
}

/* Mapped, written to, and given up or finished: the node is as before, or memory is ours. */
static void op_verify_mapped(struct thread *t)
{
	struct pram_node_stat node;
	unsigned char *mem, *copy;
	uint64_t tag, nr;
	size_t len;
	int stream = open_good(t, PRAM_LOAD_MAP | (one_in(t, 4) ? PRAM_LOAD_PEEK : 0), &tag, &node);
	ssize_t n = 0;

	if (stream < 0)
		return;
	nr = node.bytes / PAGE;
	len = (nr + 513) * PAGE;
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	if (mem == MAP_FAILED)
		err(1, "no memory");
	copy = mem;
	if (one_in(t, 2))
		copy = (unsigned char *)(((uintptr_t)mem + 512 * PAGE - 1) & -(512 * PAGE));
	if (one_in(t, 4))
		mlock2(copy, nr * PAGE, 0);
	if (one_in(t, 2)) {
		while (n < (ssize_t)(nr * PAGE)) {
			ssize_t now = pread(stream, copy + n, nr * PAGE - n, n);

			if (now <= 0)
				break;
			n += now;
		}
		expect(t, n == (ssize_t)(nr * PAGE));
	} else if (node.type == PRAM_PAGE_STREAM) {
		expect(t, !pram_map(stream, copy, 0, nr, NULL));
	} else {
		expect(t, pram_map(stream, copy, 0, nr, NULL) == -EINVAL);
		nr = 0;
	}
	if (!good_filled(copy, nr * PAGE, 0, tag))
		wrong(t, "'%s', mapped, is not what was saved", node.name);
	/* Before it is finished: the node must not see that. */
	for (uint64_t i = 0; i < nr; i += 1 + draw(t, 8))
		memset(copy + i * PAGE, 0xcc, 100);
	if (nr) {
		/* A byte stream reads by copying, this one maps: into another place. */
		unsigned char again[100];

		expect(t, pread(stream, again, sizeof(again), (nr - 1) * PAGE) == 100);
		if (!good_filled(again, sizeof(again), (nr - 1) * PAGE, tag))
			wrong(t, "'%s' has changed with a mapping of it", node.name);
	}
	if (one_in(t, 3)) {
		if (!pram_commit(dev, &stream, 1)) {
			/* All is ours now. */
			for (uint64_t i = 0; i < nr; i++)
				memset(copy + i * PAGE, 0xbb, 8);
			for (uint64_t i = 0; i < nr; i++)
				expect(t, copy[i * PAGE] == 0xbb && copy[i * PAGE + 7] == 0xbb);
		}
	}
	close(stream);
	munmap(mem, len);
	count(t, true);
}

/* --- threads and processes --- */

static void (*const ops[NR_KINDS])(struct thread *t) = {
	[SAVE] = op_save, [LOAD] = op_load, [COMMIT] = op_commit, [STAT] = op_stat,
	[LIST] = op_list, [FREE] = op_free, [FREE_ALL] = op_free_all, [INFO] = op_info,
	[ANY_IOCTL] = op_any_ioctl, [SEAL] = op_seal, [ADOPT] = op_adopt, [PRESENT] = op_present,
	[MAP] = op_map,
	[WRITE] = op_write, [READ] = op_read, [SPLICE_IN] = op_splice_in,
	[SPLICE_OUT] = op_splice_out, [SENDFILE] = op_sendfile, [LSEEK] = op_lseek,
	[FCNTL] = op_fcntl, [OTHER] = op_other, [MMAP] = op_mmap, [CLOSE] = op_close,
	[OPEN] = op_open, [MEMORY] = op_memory, [PROC_MEM] = op_proc_mem, [FORK] = op_fork,
	[UNPRIVILEGED] = op_unprivileged, [KEEP] = op_keep, [VERIFY] = op_verify,
	[VERIFY_MAPPED] = op_verify_mapped,
};

/* How often, of all together; what keepers do is not for the others. */
static const unsigned char weights[NR_KINDS] = {
	[SAVE] = 10, [LOAD] = 10, [COMMIT] = 8, [STAT] = 2, [LIST] = 1, [FREE] = 4,
	[FREE_ALL] = 1, [INFO] = 1, [ANY_IOCTL] = 4, [SEAL] = 3, [ADOPT] = 12, [PRESENT] = 8,
	[MAP] = 8,
	[WRITE] = 6, [READ] = 10, [SPLICE_IN] = 8, [SPLICE_OUT] = 4, [SENDFILE] = 3,
	[LSEEK] = 3, [FCNTL] = 3, [OTHER] = 2, [MMAP] = 1, [CLOSE] = 2, [OPEN] = 4,
	[MEMORY] = 10, [PROC_MEM] = 2, [FORK] = 1, [UNPRIVILEGED] = 1,
};

static void some(struct thread *t, long nr)
{
	unsigned int all = 0, at;

	for (size_t i = 0; i < NR_KINDS; i++)
		all += weights[i];
	while (nr-- && !shared->failed) {
		at = draw(t, all);
		t->kind = 0;
		while (at >= weights[t->kind])
			at -= weights[t->kind++];
		/* Processes are dear to emulate. */
		if ((t->kind == FORK || t->kind == UNPRIVILEGED) && !one_in(t, 4))
			t->kind = MEMORY;
		ops[t->kind](t);
		t->moment++;
	}
}

static void thread_init(struct thread *t)
{
	t->page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t->page == MAP_FAILED || mprotect(t->page + PAGE, PAGE, PROT_NONE))
		err(1, "no memory");
}

static long operations;

static void nothing(int sig)
{
	(void)sig;
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM,
	};
	/* Whoever waits in a pipe is woken; and any call may be interrupted. */
	struct itimerspec often = {
		.it_interval.tv_nsec = 20000000, .it_value.tv_nsec = 20000000,
	};
	timer_t timer;

	thread_init(t);
	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &often, NULL))
		err(1, "no timer");
	some(t, operations);
	timer_delete(timer);
	return NULL;
}

static int pidfd_of(pid_t pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		err(1, "pidfd");
	return fd;
}

/* Others whose memory can be taken: one that sleeps, one that execs, one that is dead. */
static void others_start(void)
{
	pid_t pid;

	sleeper = fork();
	if (!sleeper) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned char *at = (void *)ARENA; at < (unsigned char *)ARENA + 512 * PAGE; at += PAGE)
			*at = 1;
		for (;;)
			pause();
	}
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(program, program, "--restless", NULL);
		_exit(1);
	}
	if (sleeper < 0 || pid < 0)
		err(1, "fork");
	sleeper_pidfd = pidfd_of(sleeper);
	restless_pidfd = pidfd_of(pid);
	pid = fork();
	if (!pid)
		_exit(0);
	dead_pidfd = pidfd_of(pid);
	waitpid(pid, NULL, 0);
	self_pidfd = pidfd_of(getpid());
}

/* Writes to its memory, forks, unmaps it, and becomes another: for ever. */
static int restless(void)
{
	arena_setup();
	for (int i = 0; i < 20; i++) {
		for (size_t page = 0; page < 600; page += 1 + i) {
			*(volatile unsigned char *)(ARENA + page * PAGE) = i;
		}
		if (i % 5 == 4) {
			pid_t pid = fork();

			if (!pid)
				_exit(*(volatile unsigned char *)ARENA);
			if (pid > 0)
				waitpid(pid, NULL, 0);
		}
		if (i % 7 == 6)
			arena_setup();
		usleep(2000);
	}
	execl(program, program, "--restless", NULL);
	return 1;
}

static void limit_files(void)
{
	/* So few that they are used up now and then. */
	struct rlimit files = { NR_SLOTS + 40, NR_SLOTS + 40 };
	/* A memfd of 4 GiB that fallocate() fills would call the OOM killer. */
	struct rlimit size = { MAX_STREAM, MAX_STREAM };

	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &size);
}

static void run_process(uint64_t seed, long round, int process)
{
	static struct thread threads[NR_THREADS];
	struct sigaction action = { .sa_handler = nothing };
	pthread_t ids[NR_THREADS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	sigaction(SIGALRM, &action, NULL);
	arena_setup();
	others_start();
	limit_files();
	for (size_t i = 0; i < NR_SLOTS; i++)
		slots[i] = -1;
	for (int i = 0; i < NR_THREADS; i++) {
		struct thread *t = &threads[i];

		t->state = mix(seed ^ mix(round * 64 + process * 8 + i));
		snprintf(t->where, sizeof(t->where), "round %ld, process %d, thread %d", round,
			 process, i);
		if (pthread_create(&ids[i], NULL, run_thread, t))
			errx(1, "no thread");
	}
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(ids[i], NULL);
	_exit(shared->failed);
}

static void run_keeper(uint64_t seed, long round, int keeper)
{
	static const enum kind kinds[] = { KEEP, VERIFY, VERIFY_MAPPED };
	struct thread t = { .state = mix(seed ^ mix(round * 64 + 32 + keeper)) };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(t.where, sizeof(t.where), "round %ld, keeper %d", round, keeper);
	self_pidfd = pidfd_of(getpid());
	thread_init(&t);
	/* What a keeper does takes longer than what the others do. */
	for (; t.moment < operations / 4 && !shared->failed; t.moment++) {
		t.kind = kinds[draw(&t, ARRAY_SIZE(kinds))];
		ops[t.kind](&t);
	}
	_exit(shared->failed);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

static void run_round(uint64_t seed, long round)
{
	pid_t pids[NR_PROCESSES + NR_KEEPERS];
	uint64_t start = now_ms(), took;
	int status;

	fflush(stdout);
	for (int i = 0; i < NR_PROCESSES + NR_KEEPERS; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			err(1, "fork");
		if (!pids[i] && i < NR_PROCESSES)
			run_process(seed, round, i);
		else if (!pids[i])
			run_keeper(seed, round, i - NR_PROCESSES);
	}
	/* In every other round not all come to their end. */
	if (round % 2) {
		usleep(1000 * (50 + mix(seed + round) % 1000));
		kill(pids[mix(round) % NR_PROCESSES], SIGKILL);
		kill(pids[NR_PROCESSES + round / 2 % NR_KEEPERS], SIGKILL);
	}
	for (int i = 0; i < NR_PROCESSES + NR_KEEPERS; i++) {
		if (waitpid(pids[i], &status, 0) != pids[i])
			err(1, "waitpid");
		if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
			printf("round %ld: process %d: signal %d\n", round, i, WTERMSIG(status));
			shared->failed = 1;
		} else if (WIFEXITED(status) && WEXITSTATUS(status)) {
			shared->failed = 1;
		}
	}
	/* What they have forked holds streams, too. */
	while (wait(NULL) > 0 || errno == EINTR)
		;
	took = now_ms() - start;
	printf("round %ld: %llu ms%s\n", round, (unsigned long long)took,
	       round % 2 ? ", some killed" : "");
}

static void print_counts(bool many)
{
	for (size_t i = 0; i < NR_KINDS; i++) {
		long bad = shared->done[i][0], good = shared->done[i][1];

		printf("%s: %ld succeeded, %ld failed\n", kind_names[i], good, bad);
		if (!many)
			continue;
		if ((!good && !never_succeeds[i]) || (!bad && !never_fails[i])) {
			printf("%s: it should have done both\n", kind_names[i]);
			shared->failed = 1;
		}
	}
}

static void free_ours(void)
{
	struct pram_node_stat node = {};

	while (pram_list_next(dev, &node) == 1) {
		if (own && !ours(node.name))
			continue;
		if (pram_free_id(dev, node.id)) {
			printf("'%s' cannot be freed, state %u\n", node.name, node.state);
			shared->failed = 1;
		}
	}
}

int main(int argc, char **argv)
{
	struct pram_ioctl_info before, after;
	uint64_t seed, end;
	long rounds, round;

	program = "/proc/self/exe";
	if (argc == 2 && !strcmp(argv[1], "--nothing"))
		return 0;
	if (argc == 2 && !strcmp(argv[1], "--restless"))
		return restless();
	if (argc > 1 && !strcmp(argv[1], "--own")) {
		own = true;
		argc--;
		argv++;
	}
	if (argc != 4 && argc != 5)
		errx(2, "usage: fuzz_pram [--own] SEED ROUNDS OPERATIONS [SECONDS]");
	seed = strtoull(argv[1], NULL, 0);
	rounds = strtol(argv[2], NULL, 0);
	operations = strtol(argv[3], NULL, 0);
	end = now_ms() + (argc == 5 ? strtoull(argv[4], NULL, 0) * 1000 : 0);
	printf("seed %llu\n", (unsigned long long)seed);

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		err(1, "no memory");
	dev = pram_open();
	if (dev < 0)
		errx(1, "cannot open /dev/pram: %s", strerror(-dev));
	if (pram_info(dev, &before))
		errx(1, "no info");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (round = 0; (round < rounds || now_ms() < end) && !shared->failed; round++)
		run_round(seed, round);

	print_counts(round * operations >= 10000);
	free_ours();
	if (pram_info(dev, &after))
		errx(1, "no info");
	if (!own && (after.nr_nodes != before.nr_nodes || after.data_pages != before.data_pages ||
		     after.meta_pages != before.meta_pages)) {
		printf("%llu nodes, %llu pages and %llu of metadata, were %llu, %llu and %llu\n",
		       (unsigned long long)after.nr_nodes, (unsigned long long)after.data_pages,
		       (unsigned long long)after.meta_pages, (unsigned long long)before.nr_nodes,
		       (unsigned long long)before.data_pages, (unsigned long long)before.meta_pages);
		shared->failed = 1;
	}
	if (shared->failed)
		printf("to repeat: fuzz_pram %s%llu %ld %ld\n", own ? "--own " : "",
		       (unsigned long long)seed, round, operations);
	return shared->failed;
}
