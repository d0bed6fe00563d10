// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared memory that nodes have, seen from outside: what is taken over and what is
 * copied; that a node never changes, whoever writes to the file, and that he finds
 * what he has written; what a load puts into files.
 *
 *	shmem [CASE]...
 *	shmem save FILE
 *	shmem load FILE [spoil]
 *	shmem hold MIB READY RESULT
 *
 * Runs these cases, or all but those that need swap space ("swapped") or that leave
 * little memory outside of the scratch areas ("scratch"), each in a process of its own.
 * "save" leaves nodes of all kinds of shared memory to be loaded after a kexec, and their
 * frames in FILE; "load" loads them, and expects the very same. With "spoil" it writes to all of it and dies before the end,
 * so that another one can try.
 *
 * "hold" is to be checkpointed: it has shared memory, a memfd of MIB and some more, and
 * writes its pid to READY. On SIGUSR1 it looks at all of it, on SIGUSR2 it writes
 * something else to each byte; then "PASS" or what is wrong is in RESULT, and in
 * RESULT.frames: the pages that have the same frames as in the beginning, all pages, and
 * those that were in the scratch areas then.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../../plugin/luo/luo_kernel.h"
#include "probe.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define NODE		"shmem"
#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* --- shared memory --- */

enum sort {
	ANON,		/* a shared anonymous mapping */
	MEMFD,
	SYSV,
	TMPFS,		/* a file */
	HUGE_MEMFD,	/* of huge folios */
	NR_SORTS,
};

static const char *const sort_names[NR_SORTS] = {
	"anonymous", "memfd", "SysV", "tmpfs", "huge memfd",
};

/**
 * struct object - shared memory
 * @sort: which.
 * @nr: its length.
 * @fd: a file of it, open for reading, and for writing but of ANON and SYSV; -1 if it
 *	is not open.
 * @mem: where it is mapped, to be written to.
 */
struct object {
	enum sort	sort;
	size_t		nr;
	int		fd;
	char		*mem;
};

static int map_file(const void *mem, size_t nr)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)mem,
		 (unsigned long)mem + nr * PAGE);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Addresses that begin at a multiple of the size of a huge page. */
static char *map_aligned(int fd, size_t nr, int prot, int flags)
{
	char *room = mmap(NULL, nr * PAGE + HUGE_SIZE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at = (char *)(((uintptr_t)room + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1));
	char *mem;

	if (room == MAP_FAILED)
		err(1, "%s: no addresses", probe_what);
	mem = mmap(at, nr * PAGE, prot, flags | MAP_FIXED, fd, 0);
	if (mem == MAP_FAILED)
		err(1, "%s: mmap of shared memory", probe_what);
	return mem;
}

static int new_file(size_t nr)
{
	char path[] = "/dev/shm/file-XXXXXX";
	int fd;

	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0 || unlink(path) || ftruncate(fd, nr * PAGE))
		err(1, "%s: a file in /dev/shm", probe_what);
	return fd;
}

static int new_memfd(size_t nr)
{
	int fd = memfd_create("shmem", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, nr * PAGE))
		err(1, "%s: memfd", probe_what);
	return fd;
}

/* Shared memory with nothing in it. */
static struct object object_new(enum sort sort, size_t nr)
{
	struct object obj = { .sort = sort, .nr = nr, .fd = -1 };
	int id;

	switch (sort) {
	case ANON:
		obj.mem = map_aligned(-1, nr, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
		break;
	case SYSV:
		id = shmget(IPC_PRIVATE, nr * PAGE, IPC_CREAT | 0600);
		if (id < 0)
			err(1, "%s: shmget", probe_what);
		obj.mem = shmat(id, NULL, 0);
		if (obj.mem == (void *)-1 || shmctl(id, IPC_RMID, NULL))
			err(1, "%s: shmat", probe_what);
		break;
	case TMPFS:
		obj.fd = new_file(nr);
		break;
	default:
		obj.fd = new_memfd(nr);
	}
	if (!obj.mem)
		obj.mem = map_aligned(obj.fd, nr, PROT_READ | PROT_WRITE, MAP_SHARED);
	if (obj.fd < 0)
		obj.fd = map_file(obj.mem, nr);
	if (obj.fd < 0)
		err(1, "%s: the file of shared memory", probe_what);
	/* By no policy of the machine's but as is asked for. */
	madvise(obj.mem, nr * PAGE, sort == HUGE_MEMFD ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return obj;
}

/* Wherever its frames are. */
static struct object any_object(enum sort sort, size_t nr, uint64_t seed)
{
	struct object obj = object_new(sort, nr);

	fill(obj.mem, nr, seed);
	if (sort == HUGE_MEMFD && smaps_field(0, obj.mem, "ShmemPmdMapped:") != (long)nr * 4)
		errx(1, "%s: no huge pages: %ld kB", probe_what,
		     smaps_field(0, obj.mem, "ShmemPmdMapped:"));
	return obj;
}

static void object_end(struct object *obj)
{
	if (obj->sort == SYSV)
		shmdt(obj->mem);
	else
		munmap(obj->mem, obj->nr * PAGE);
	close(obj->fd);
}

/* A mapping by which nobody can write, so that nothing is copied for it. */
static char *object_view(const struct object *obj)
{
	int fd = obj->fd < 0 ? map_file(obj->mem, obj->nr) : obj->fd;
	char *view = map_aligned(fd, obj->nr, PROT_READ, MAP_PRIVATE);

	if (fd != obj->fd)
		close(fd);
	return view;
}

static void object_frames(const struct object *obj, uint64_t *pfns)
{
	char *view = object_view(obj);

	for (size_t i = 0; i < obj->nr; i++)
		(void)*(volatile char *)(view + i * PAGE);
	frames(0, view, obj->nr, pfns);
	munmap(view, obj->nr * PAGE);
}

static bool object_filled(const struct object *obj, uint64_t seed)
{
	char *view = object_view(obj);
	bool good = filled(view, obj->nr, seed);

	munmap(view, obj->nr * PAGE);
	return good;
}

/* Not in the scratch areas: see memory(). */
static struct object object(enum sort sort, size_t nr, uint64_t seed)
{
	uint64_t *pfns = calloc(nr, sizeof(*pfns));

	for (size_t more = 64, attempt = 0; attempt < 32; attempt++) {
		struct object obj = any_object(sort, nr, seed);
		size_t inside = 0;

		object_frames(&obj, pfns);
		for (size_t i = 0; i < nr; i++)
			inside += in_scratch(pfns[i]);
		if (!inside) {
			free(pfns);
			return obj;
		}
		any_memory(sort == HUGE_MEMFD ? HUGE_PAGES : more,
			   sort == HUGE_MEMFD ? HUGE : SMALL, seed);
		if (more < 4096)
			more *= 2;
	}
	errx(1, "%s: all memory is in the scratch areas", probe_what);
}

/* How many of the object's pages have the frames in @pfns? */
static size_t object_same(const struct object *obj, const uint64_t *pfns)
{
	uint64_t *now = calloc(obj->nr, sizeof(*now));
	size_t same = 0;

	object_frames(obj, now);
	for (size_t i = 0; i < obj->nr; i++)
		same += now[i] && now[i] == pfns[i];
	free(now);
	return same;
}

/* --- nodes of it --- */

static int adopt_file(int stream, int fd, const struct pram_range *ranges, size_t nr,
		      uint64_t *pages)
{
	struct pram_ioctl_adopt_file arg = {
		.size = sizeof(arg),
		.fd = fd,
		.nr_ranges = nr,
		.ranges = (uintptr_t)ranges,
		.pages = ~0ULL,
	};
	int ret = ioctl(stream, PRAM_IOCTL_ADOPT_FILE, &arg) ? -errno : 0;

	if (pages)
		*pages = arg.pages;
	return ret;
}

/* Pages of an object, appended to a stream. */
static void append_file(int stream, const struct object *obj, size_t first, size_t nr)
{
	struct pram_range range = { first * PAGE, nr * PAGE };
	uint64_t pages;

	expect(!adopt_file(stream, obj->fd, &range, 1, &pages));
	expect(pages == nr);
}

static void save_object(const char *name, const struct object *obj)
{
	int stream = save_pages(name, 0);

	append_file(stream, obj, 0, obj->nr);
	commit(stream);
}

/* All @nr pages were taken over since, and nothing was copied. */
static void expect_adopted(const struct counters *before, size_t nr)
{
	struct counters now = counters_now();

	expect(now.value[ADOPTED] - before->value[ADOPTED] == (int64_t)nr);
	expect(now.value[COPIED] == before->value[COPIED]);
}

static void case_sorts(void)
{
	for (enum sort sort = ANON; sort < NR_SORTS; sort++) {
		size_t nr = sort == HUGE_MEMFD ? 2 * HUGE_PAGES : 300;
		struct object obj = object(sort, nr, 1);
		uint64_t *pfns = calloc(nr, sizeof(*pfns));
		struct counters before;
		struct pram_node_stat stat;
		int stream;

		snprintf(probe_what, sizeof(probe_what), "sorts, %s", sort_names[sort]);
		before = counters_now();
		save_object(NODE, &obj);
		expect_adopted(&before, nr);
		expect(!pram_stat(dev, NODE, &stat));
		expect(stat.bytes == nr * PAGE && stat.adopted_pages == nr);
		expect(stat.nr_folios == (sort == HUGE_MEMFD ? 2 : nr));
		expect(node_filled(NODE, nr, 1));
		object_frames(&obj, pfns);
		/* To look at it has cost nothing. */
		expect(counters_now().value[ON_TOUCH] == before.value[ON_TOUCH]);

		/* What is written now are copies, and the node has the frames. */
		fill(obj.mem, nr, 2);
		expect(counters_now().value[ON_TOUCH] - before.value[ON_TOUCH] == (int64_t)nr);
		expect(!object_same(&obj, pfns));
		expect(node_filled(NODE, nr, 1) && filled(obj.mem, nr, 2) &&
		       object_filled(&obj, 2));
		if (sort == HUGE_MEMFD)
			expect(smaps_field(0, obj.mem, "ShmemPmdMapped:") == (long)nr * 4);
		node_free(NODE);

		/* A dump that is given up leaves the very same memory, but what it has moved. */
		before = counters_now();
		stream = save_pages(NODE, 0);
		append_file(stream, &obj, 0, nr);
		expect_adopted(&before, nr);
		object_frames(&obj, pfns);
		close(stream);
		fill(obj.mem, nr, 3);
		expect(object_same(&obj, pfns) == nr);
		expect(counters_now().value[ON_TOUCH] == before.value[ON_TOUCH]);

		/* The node outlives the object, and has it all. */
		save_object(NODE, &obj);
		object_end(&obj);
		expect(node_filled(NODE, nr, 3));
		node_free(NODE);
		free(pfns);
	}
}

/* Two nodes have the same pages, and each has what was there when it was made. */
static void case_twice(void)
{
	struct object obj = object(MEMFD, 100, 1);
	struct counters before = counters_now();

	save_object(NODE, &obj);
	save_object("twice", &obj);
	counted(&before, { "adopted", 200 }, { "shared", 100 });
	fill(obj.mem, 50, 2);
	counted(&before, { "adopted", 200 }, { "shared", 100 }, { "copied_on_touch", 50 });
	node_free(NODE);
	expect(node_filled("twice", 100, 1));
	fill(obj.mem, 100, 3);
	counted(&before, { "adopted", 200 }, { "shared", 100 }, { "copied_on_touch", 100 },
		{ "copied_on_load", 100 });
	expect(node_filled("twice", 100, 1) && filled(obj.mem, 100, 3));
	node_free("twice");
	object_end(&obj);
}

static void case_ranges(void)
{
	static const char zeros[PAGE];
	struct object obj = object_new(MEMFD, 64);
	struct pram_range ranges[] = {
		{ 60 * PAGE, 4 * PAGE }, { 0, 8 * PAGE }, { 4 * PAGE, 2 * PAGE },
	};
	struct counters before = counters_now();
	int stream = save_pages(NODE, 0);
	struct stat st;
	char *copy;
	uint64_t pages;

	/* Pages 0 to 3, 5 and 60 to 63; 7 is there, but was never written. */
	fill(obj.mem, 4, 1);
	fill(obj.mem + 5 * PAGE, 1, 2);
	fill(obj.mem + 60 * PAGE, 4, 3);
	expect(!fallocate(obj.fd, 0, 7 * PAGE, PAGE));
	expect(!adopt_file(stream, obj.fd, ranges, 3, &pages) && pages == 14);
	counted(&before, { "adopted", 10 }, { "shared", 1 }, { "special", 4 });
	/* Holes are holes. */
	expect(!fstat(obj.fd, &st) && st.st_blocks == 10 * 8);
	commit(stream);

	stream = load_pages(NODE, PRAM_LOAD_PEEK);
	copy = malloc(14 * PAGE);
	expect(read(stream, copy, 14 * PAGE) == 14 * (ssize_t)PAGE);
	expect(filled(copy, 4, 3) && filled(copy + 4 * PAGE, 4, 1));
	expect(!memcmp(copy + 8 * PAGE, zeros, PAGE) && filled(copy + 9 * PAGE, 1, 2));
	expect(!memcmp(copy + 10 * PAGE, zeros, PAGE) && !memcmp(copy + 11 * PAGE, zeros, PAGE));
	expect(!memcmp(copy + 12 * PAGE, zeros, PAGE) && filled(copy + 13 * PAGE, 1, 2));
	close(stream);
	node_free(NODE);
	free(copy);
	object_end(&obj);
}

static void case_errors(void)
{
	struct object obj = object(MEMFD, 8, 1);
	struct pram_range range = { 0, 8 * PAGE }, unaligned = { 1, PAGE }, odd = { 0, 1 };
	struct pram_range behind = { 8 * PAGE, PAGE }, wraps = { PAGE, -PAGE };
	struct pram_range empty = { 8 * PAGE, 0 };
	int stream = save_pages(NODE, 0), other, bytes;
	uint64_t pages;

	expect(adopt_file(stream, -1, &range, 1, &pages) == -EBADF && !pages);
	other = open("/proc/version", O_RDONLY | O_CLOEXEC);
	expect(adopt_file(stream, other, &range, 1, &pages) == -EINVAL && !pages);
	expect(adopt_file(stream, other, NULL, 0, NULL) == -EINVAL);
	expect(!adopt_file(stream, obj.fd, NULL, 0, &pages) && !pages);
	close(other);
	other = open("/dev/shm/shmem-errors", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	expect(other >= 0 && !ftruncate(other, 8 * PAGE));
	expect(adopt_file(stream, other, &range, 1, NULL) == -EBADF);
	unlink("/dev/shm/shmem-errors");
	close(other);
	expect(adopt_file(stream, obj.fd, &unaligned, 1, NULL) == -EINVAL);
	expect(adopt_file(stream, obj.fd, &odd, 1, NULL) == -EINVAL);
	expect(adopt_file(stream, obj.fd, &behind, 1, NULL) == -EINVAL);
	expect(adopt_file(stream, obj.fd, &wraps, 1, NULL) == -EINVAL);
	expect(!adopt_file(stream, obj.fd, &empty, 1, &pages) && !pages);
	expect(adopt_file(stream, obj.fd, NULL, 1, NULL) == -EFAULT);
	expect(adopt_file(stream, obj.fd, &range, PRAM_ADOPT_MAX + 1, NULL) == -EINVAL);
	bytes = pram_save(dev, "shmem-bytes", PRAM_BYTE_STREAM, 0);
	expect(adopt_file(bytes, obj.fd, &range, 1, NULL) == -EPERM);
	close(bytes);
	expect(!adopt_file(stream, obj.fd, &range, 1, &pages) && pages == 8);
	expect(!pram_seal(stream));
	expect(adopt_file(stream, obj.fd, &range, 1, &pages) == -EPERM && !pages);
	commit(stream);
	stream = load_pages(NODE, 0);
	expect(adopt_file(stream, obj.fd, &range, 1, NULL) == -EBADF);
	close(stream);
	node_free(NODE);
	object_end(&obj);
}

/* Copied where that was asked for; nothing is taken away from those who map it. */
static void case_asked(void)
{
	struct object obj = object(MEMFD, 20, 1);
	struct counters before = counters_now();
	int stream = save_pages(NODE, PRAM_SAVE_COPY);

	append_file(stream, &obj, 0, 20);
	commit(stream);
	fill(obj.mem, 20, 2);
	counted(&before, { "asked", 20 });
	expect(node_filled(NODE, 20, 1));
	node_free(NODE);
	object_end(&obj);
}

/* A part of a huge folio: that one is split, the others stay whole. */
static void case_partial(void)
{
	const size_t nr = 3 * HUGE_PAGES;
	struct object obj = object(HUGE_MEMFD, nr, 1);
	struct counters before = counters_now();
	struct pram_node_stat stat;
	int stream = save_pages(NODE, 0);

	append_file(stream, &obj, 1, nr - 1);
	commit(stream);
	counted(&before, { "adopted", nr - 1 }, { "split", HUGE_PAGES });
	expect(!pram_stat(dev, NODE, &stat) && stat.nr_folios == HUGE_PAGES - 1 + 2);
	expect(object_filled(&obj, 1));
	/* Another node has it whole: then this one has a part of it. */
	before = counters_now();
	stream = save_pages("part", 0);
	append_file(stream, &obj, HUGE_PAGES + 10, 100);
	commit(stream);
	counted(&before, { "adopted", 100 }, { "shared", 100 });
	fill(obj.mem, nr, 2);
	node_free(NODE);
	expect(!pram_stat(dev, "part", &stat) && stat.nr_folios == 1 && stat.data_pages == 100);
	node_free("part");
	object_end(&obj);
}

/* Somebody may write to these pages by DMA: they are copied at once. */
static void case_pinned(void)
{
	for (enum sort sort = MEMFD; sort < NR_SORTS; sort += HUGE_MEMFD - MEMFD) {
		size_t nr = sort == HUGE_MEMFD ? HUGE_PAGES : 20;
		struct object obj = object(sort, nr, 1);
		struct iovec iov = { obj.mem + 3 * PAGE, 2 * PAGE };
		struct counters before;
		int fds[2];

		if (pipe2(fds, O_CLOEXEC) || vmsplice(fds[1], &iov, 1, 0) != 2 * (ssize_t)PAGE)
			err(1, "vmsplice");
		before = counters_now();
		save_object(NODE, &obj);
		if (sort == HUGE_MEMFD)
			counted(&before, { "pinned", nr });
		else
			counted(&before, { "adopted", nr - 2 }, { "pinned", 2 });
		close(fds[0]);
		close(fds[1]);
		fill(obj.mem, nr, 2);
		expect(node_filled(NODE, nr, 1));
		node_free(NODE);
		object_end(&obj);
	}
}

static void case_swapped(void)
{
	for (enum sort sort = MEMFD; sort < NR_SORTS; sort += HUGE_MEMFD - MEMFD) {
		size_t nr = sort == HUGE_MEMFD ? 2 * HUGE_PAGES : 512, out = 0;
		struct object obj = object(sort, nr, 1);
		unsigned char *core = calloc(nr, 1);
		struct counters before;

		if (madvise(obj.mem, nr * PAGE, MADV_PAGEOUT) || mincore(obj.mem, nr * PAGE, core))
			err(1, "MADV_PAGEOUT");
		for (size_t i = 0; i < nr; i++)
			out += !(core[i] & 1);
		if (out < nr / 2)
			errx(1, "only %zu of %zu pages are swapped out", out, nr);
		before = counters_now();
		save_object(NODE, &obj);
		expect_adopted(&before, nr);
		fill(obj.mem, nr, 2);
		expect(node_filled(NODE, nr, 1) && filled(obj.mem, nr, 2));

		/* What a node has is not swapped out; what has taken its place may be. */
		madvise(obj.mem, nr * PAGE, MADV_PAGEOUT);
		expect(node_filled(NODE, nr, 1) && filled(obj.mem, nr, 2));
		node_free(NODE);
		free(core);
		object_end(&obj);
	}
}

static void case_scratch(void)
{
	const char *const pool = "/proc/sys/vm/nr_hugepages";
	const size_t nr = 2048;
	uint64_t *pfns = calloc(nr, sizeof(*pfns));
	long cma = field("/proc/meminfo", "CmaFree:");
	long spare = field("/proc/meminfo", "MemFree:") - 2 * cma + 64 * 1024;
	struct object objs[20];
	struct counters before;
	size_t inside = 0, n = 0;
	char text[32];

	/* Pages of hugetlb cost nothing to make. */
	snprintf(text, sizeof(text), "%ld", spare / 2048);
	write_text(pool, text);
	for (; n < 20 && inside < 16; n++) {
		objs[n] = any_object(MEMFD, nr, 1);
		object_frames(&objs[n], pfns);
		inside = 0;
		for (size_t i = 0; i < nr; i++)
			inside += in_scratch(pfns[i]);
	}
	if (inside < 16)
		errx(1, "only %zu of %zu pages are in the scratch areas", inside, nr);
	before = counters_now();
	save_object(NODE, &objs[n - 1]);
	counted(&before, { "adopted", nr }, { "migrated", inside });
	expect(object_same(&objs[n - 1], pfns) == nr - inside);
	object_frames(&objs[n - 1], pfns);
	for (size_t i = 0; i < nr; i++)
		expect(pfns[i] && !in_scratch(pfns[i]));
	fill(objs[n - 1].mem, nr, 2);
	expect(node_filled(NODE, nr, 1));
	node_free(NODE);
	write_text(pool, "0");
	free(pfns);
}

/* --- whoever writes while a node has it --- */

/* The page to be written to. */
#define AT	21UL

static const char text[] = "written while a node has it";

/* Each writes text to the beginning of page AT, by his own way. */

static void by_mapping(struct object *obj)
{
	memcpy(obj->mem + AT * PAGE, text, sizeof(text));
}

static void by_read_mapping(struct object *obj)
{
	(void)*(volatile char *)(obj->mem + AT * PAGE);
	memcpy(obj->mem + AT * PAGE, text, sizeof(text));
}

static void by_new_mapping(struct object *obj)
{
	char *mem = map_aligned(obj->fd, obj->nr, PROT_READ, MAP_SHARED);

	/* Read around it first: what is mapped may become writable. */
	(void)*(volatile char *)(mem + (AT - 1) * PAGE);
	(void)*(volatile char *)(mem + AT * PAGE);
	expect(!mprotect(mem, obj->nr * PAGE, PROT_READ | PROT_WRITE));
	memcpy(mem + AT * PAGE, text, sizeof(text));
	munmap(mem, obj->nr * PAGE);
}

static void by_populate(struct object *obj)
{
	char *mem = mmap(NULL, obj->nr * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE, obj->fd, 0);

	expect(mem != MAP_FAILED);
	memcpy(mem + AT * PAGE, text, sizeof(text));
	munmap(mem, obj->nr * PAGE);
}

static void by_lock(struct object *obj)
{
	expect(!mlock(obj->mem, obj->nr * PAGE));
	memcpy(obj->mem + AT * PAGE, text, sizeof(text));
	munlock(obj->mem, obj->nr * PAGE);
}

static void write_in_child(void *arg)
{
	struct object *obj = arg;

	by_mapping(obj);
}

static void by_child(struct object *obj)
{
	expect(!in_child(write_in_child, obj));
}

static void by_write(struct object *obj)
{
	expect(pwrite(obj->fd, text, sizeof(text), AT * PAGE) == sizeof(text));
}

static void by_splice(struct object *obj)
{
	off_t at = AT * PAGE;
	int fds[2];

	expect(!pipe2(fds, O_CLOEXEC) && write(fds[1], text, sizeof(text)) == sizeof(text));
	expect(splice(fds[0], NULL, obj->fd, &at, sizeof(text), SPLICE_F_MOVE) == sizeof(text));
	close(fds[0]);
	close(fds[1]);
}

static void by_sendfile(struct object *obj)
{
	int from = memfd_create("from", MFD_CLOEXEC);
	off_t start = 0;

	expect(write(from, text, sizeof(text)) == sizeof(text));
	expect(lseek(obj->fd, AT * PAGE, SEEK_SET) == AT * PAGE);
	expect(sendfile(obj->fd, from, &start, sizeof(text)) == sizeof(text));
	close(from);
}

static void by_proc_mem(struct object *obj)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	expect(pwrite(fd, text, sizeof(text), (uintptr_t)obj->mem + AT * PAGE) == sizeof(text));
	close(fd);
}

/* Into our memory, from that of the parent, which is ours, too. */
static void by_vm_writev(struct object *obj)
{
	struct iovec from = { (void *)text, sizeof(text) };
	struct iovec to = { obj->mem + AT * PAGE, sizeof(text) };

	expect(process_vm_writev(getpid(), &from, 1, &to, 1, 0) == sizeof(text));
}

static void by_read(struct object *obj)
{
	int fds[2];

	expect(!pipe2(fds, O_CLOEXEC) && write(fds[1], text, sizeof(text)) == sizeof(text));
	expect(read(fds[0], obj->mem + AT * PAGE, sizeof(text)) == sizeof(text));
	close(fds[0]);
	close(fds[1]);
}

/* Puts what the file has into the page table, without a fault. */
static void by_uffd(struct object *obj)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MINOR_SHMEM };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	char *mem = map_aligned(obj->fd, obj->nr, PROT_READ | PROT_WRITE, MAP_SHARED);
	struct uffdio_register reg = {
		.range = { (uintptr_t)mem, obj->nr * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MINOR,
	};
	struct uffdio_continue cont = {
		.range = { (uintptr_t)mem + AT * PAGE, PAGE },
	};

	expect(fd >= 0 && !ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &reg));
	expect(!ioctl(fd, UFFDIO_CONTINUE, &cont) && cont.mapped == (int64_t)PAGE);
	memcpy(mem + AT * PAGE, text, sizeof(text));
	close(fd);
	munmap(mem, obj->nr * PAGE);
}

/* Has the page tables made anew, of what is in the page cache. */
static void by_collapse(struct object *obj)
{
	char *mem = map_aligned(obj->fd, obj->nr, PROT_READ | PROT_WRITE, MAP_SHARED);

	/* It may have been done or not. */
	(void)madvise(mem, obj->nr * PAGE, MADV_COLLAPSE);
	memcpy(mem + AT * PAGE, text, sizeof(text));
	munmap(mem, obj->nr * PAGE);
}

/* LUO pins what it preserves, by memfd_pin_folios(). */
static void by_pin(struct object *obj)
{
	struct luo_ioctl_session session = { .size = sizeof(session), .name = "shmem" };
	struct luo_ioctl_file file = { .size = sizeof(file), .fd = obj->fd, .token = 1 };
	int fd = open(LUO_DEVICE_PATH, O_RDWR | O_CLOEXEC);

	expect(fd >= 0 && !ioctl(fd, LUO_IOCTL_CREATE, &session));
	expect(!ioctl(session.fd, LUO_IOCTL_PRESERVE_FD, &file));
	/* What is pinned now is the file's and not the node's. */
	by_mapping(obj);
	close(session.fd);
	close(fd);
}

struct writer {
	const char	*name;
	void		(*write)(struct object *obj);
	bool		all;		/* touches each page */
	bool		by_fd;		/* not for what has no descriptor to write to */
};

static const struct writer writers[] = {
	{ "mapping", by_mapping, false, false },
	{ "mapping that is read first", by_read_mapping, false, false },
	{ "mapping made later", by_new_mapping, false, true },
	{ "populated mapping", by_populate, true, true },
	{ "locked mapping", by_lock, true, false },
	{ "another process", by_child, false, false },
	{ "write", by_write, false, true },
	{ "splice", by_splice, false, true },
	{ "sendfile", by_sendfile, false, true },
	{ "/proc/self/mem", by_proc_mem, false, false },
	{ "process_vm_writev", by_vm_writev, false, false },
	{ "read into it", by_read, false, false },
	{ "UFFDIO_CONTINUE", by_uffd, false, true },
	{ "MADV_COLLAPSE", by_collapse, true, true },
	{ "memfd_pin_folios", by_pin, true, true },
};

static void expect_written(const struct object *obj)
{
	char *view = object_view(obj);

	expect(!memcmp(view + AT * PAGE, text, sizeof(text)));
	expect(!memcmp(obj->mem + AT * PAGE, text, sizeof(text)));
	munmap(view, obj->nr * PAGE);
}

/* All but page AT is as it was: fill() goes by the place. */
static bool rest_filled(const struct object *obj, uint64_t seed)
{
	char *view = object_view(obj), *copy = malloc(obj->nr * PAGE);
	bool good;

	fill(copy, obj->nr, seed);
	good = !memcmp(copy, view, AT * PAGE) &&
	       !memcmp(copy + (AT + 1) * PAGE, view + (AT + 1) * PAGE,
		       (obj->nr - AT - 1) * PAGE) &&
	       !memcmp(copy + AT * PAGE + sizeof(text), view + AT * PAGE + sizeof(text),
		       PAGE - sizeof(text));
	free(copy);
	munmap(view, obj->nr * PAGE);
	return good;
}

static void write_by(const struct writer *writer, enum sort sort)
{
	const size_t nr = sort == HUGE_MEMFD ? HUGE_PAGES : 64;
	struct object obj = object(sort, nr, 1);
	const size_t least = sort == HUGE_MEMFD ? HUGE_PAGES : 1;
	struct counters before;
	int64_t copied;
	char *view;

	snprintf(probe_what, sizeof(probe_what), "writers, %s, %s", writer->name,
		 sort_names[sort]);
	save_object(NODE, &obj);
	/* Who reads it by a private mapping has to see what is written. */
	view = object_view(&obj);
	(void)*(volatile char *)(view + AT * PAGE);
	before = counters_now();
	writer->write(&obj);
	copied = counters_now().value[ON_TOUCH] - before.value[ON_TOUCH];
	expect(copied >= (int64_t)least && copied <= (int64_t)nr);
	if (writer->all && writer->write != by_collapse)
		expect(copied == (int64_t)nr);
	expect(!memcmp(view + AT * PAGE, text, sizeof(text)));
	munmap(view, nr * PAGE);
	expect_written(&obj);
	expect(rest_filled(&obj, 1));
	expect(node_filled(NODE, nr, 1));
	node_free(NODE);
	object_end(&obj);
}

static void case_writers(void)
{
	for (size_t i = 0; i < sizeof(writers) / sizeof(*writers); i++) {
		for (enum sort sort = ANON; sort < NR_SORTS; sort++) {
			bool by_fd = sort == ANON || sort == SYSV;

			if (writers[i].by_fd && by_fd)
				continue;
			/* LUO takes memfds. */
			if (writers[i].write == by_pin && sort == TMPFS)
				continue;
			write_by(&writers[i], sort);
		}
	}
}

/* Those who clear a part of a page in place. */
static void case_edges(void)
{
	static const char zeros[PAGE];

	for (enum sort sort = MEMFD; sort < NR_SORTS; sort++) {
		size_t nr = sort == HUGE_MEMFD ? HUGE_PAGES : 64;
		struct object obj;
		char *view;

		if (sort == SYSV)
			continue;
		snprintf(probe_what, sizeof(probe_what), "edges, %s", sort_names[sort]);
		obj = object(sort, nr, 1);
		save_object(NODE, &obj);
		expect(!fallocate(obj.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  10 * PAGE + 100, 3 * PAGE));
		view = object_view(&obj);
		expect(!memcmp(view + 10 * PAGE + 100, zeros, PAGE));
		expect(!memcmp(view + 12 * PAGE + 100, zeros, PAGE));
		expect(memcmp(view + 10 * PAGE + 99, zeros, 1) ||
		       memcmp(view + 10 * PAGE + 92, zeros, 8));
		expect(memcmp(view + 13 * PAGE + 100, zeros, 8));
		expect(node_filled(NODE, nr, 1));

		/* Within a page, and the end of the file. */
		expect(!fallocate(obj.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  20 * PAGE + 8, 16));
		expect(!memcmp(view + 20 * PAGE + 8, zeros, 16));
		expect(!ftruncate(obj.fd, 40 * PAGE + 8));
		expect(!ftruncate(obj.fd, nr * PAGE));
		expect(memcmp(view + 40 * PAGE, zeros, 8));
		expect(!memcmp(view + 40 * PAGE + 8, zeros, PAGE));
		expect(node_filled(NODE, nr, 1));

		/* Whole pages go, and come as zeros. */
		expect(!madvise(obj.mem, nr * PAGE, MADV_REMOVE));
		expect(!memcmp(view + 3 * PAGE, zeros, PAGE));
		fill(obj.mem, nr, 2);
		expect(!ftruncate(obj.fd, 0));
		expect(node_filled(NODE, nr, 1));
		munmap(view, nr * PAGE);
		node_free(NODE);
		object_end(&obj);
	}
}

/* Seals forbid writing, which a node does not do. */
static void case_sealed(void)
{
	const size_t nr = 50;
	struct object obj = object(MEMFD, nr, 1);
	struct counters before;
	char *mem;

	save_object(NODE, &obj);
	munmap(obj.mem, nr * PAGE);
	expect(!fcntl(obj.fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
	/* No mapping can write, so none has anything copied. */
	before = counters_now();
	mem = map_aligned(obj.fd, nr, PROT_READ, MAP_SHARED);
	expect(filled(mem, nr, 1));
	counted(&before, {});
	expect(pwrite(obj.fd, "x", 1, 0) == -1 && errno == EPERM);
	node_free(NODE);

	/* A sealed one is taken over as any. */
	save_object(NODE, &obj);
	expect(filled(mem, nr, 1));
	counted(&before, { "adopted", nr });
	expect(node_filled(NODE, nr, 1));
	node_free(NODE);
	munmap(mem, nr * PAGE);
	close(obj.fd);
}

/* --- what is put into files --- */

/* Load a node into an object that has nothing yet. */
static void load_object(int stream, struct object *obj)
{
	size_t done = 0;

	while (done < obj->nr * PAGE) {
		ssize_t n = pread(stream, obj->mem + done, obj->nr * PAGE - done, done);

		if (n <= 0)
			break;
		done += n;
	}
	expect(done == obj->nr * PAGE);
}

static void case_load(void)
{
	for (enum sort sort = ANON; sort < NR_SORTS; sort++) {
		size_t nr = sort == HUGE_MEMFD ? 2 * HUGE_PAGES : 300;
		struct object obj = object(sort, nr, 1);
		uint64_t *pfns = calloc(nr, sizeof(*pfns));
		struct counters before;
		int stream;

		snprintf(probe_what, sizeof(probe_what), "load, %s", sort_names[sort]);
		save_object(NODE, &obj);
		object_frames(&obj, pfns);
		object_end(&obj);

		/* Given up: whatever was written, the node is whole. */
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		obj = object_new(sort, nr);
		before = counters_now();
		load_object(stream, &obj);
		counted(&before, { "inserted", nr });
		expect(object_same(&obj, pfns) == nr && object_filled(&obj, 1));
		fill(obj.mem, nr, 2);
		counted(&before, { "inserted", nr }, { "copied_on_touch", nr });
		close(stream);
		expect(node_filled(NODE, nr, 1) && filled(obj.mem, nr, 2));
		object_end(&obj);

		/* Tried again, and given up while somebody still has the file. */
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		obj = object_new(sort, nr);
		before = counters_now();
		load_object(stream, &obj);
		counted(&before, { "inserted", nr });
		close(stream);
		fill(obj.mem, nr, 3);
		expect(node_filled(NODE, nr, 1) && filled(obj.mem, nr, 3));
		object_end(&obj);

		/* And for good: the frames are the file's now. */
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		obj = object_new(sort, nr);
		before = counters_now();
		load_object(stream, &obj);
		/* What is read a second time is there. */
		load_object(stream, &obj);
		counted(&before, { "inserted", nr });
		commit(stream);
		expect(filled(obj.mem, nr, 1));
		fill(obj.mem, nr, 4);
		counted(&before, { "inserted", nr });
		expect(object_same(&obj, pfns) == nr && object_filled(&obj, 4));
		if (sort == HUGE_MEMFD)
			expect(smaps_field(0, obj.mem, "ShmemPmdMapped:") == (long)nr * 4);
		object_end(&obj);
		free(pfns);
	}
}

/* Into what has something already, or is in the way of a huge folio; or is none. */
static void case_occupied(void)
{
	struct object obj = object(MEMFD, 16, 1), huge = object(HUGE_MEMFD, HUGE_PAGES, 2);
	struct object to = object_new(MEMFD, 16);
	struct counters before;
	char *mem;
	int stream;

	save_object(NODE, &obj);
	object_end(&obj);
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	fill(to.mem + 5 * PAGE, 1, 9);
	before = counters_now();
	load_object(stream, &to);
	counted(&before, { "inserted", 15 }, { "copied_on_load", 1 });
	expect(object_filled(&to, 1));
	object_end(&to);

	/* In part, and not where it was. */
	before = counters_now();
	to = object_new(MEMFD, 16);
	expect(pread(stream, to.mem + 8 * PAGE, 4 * PAGE, 0) == 4 * (ssize_t)PAGE);
	counted(&before, { "inserted", 4 });
	expect(filled(to.mem + 8 * PAGE, 4, 1));
	counted(&before, { "inserted", 4 }, { "copied_on_touch", 4 });
	object_end(&to);
	close(stream);

	/* By a mapping that nobody can write to. */
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	to = object_new(MEMFD, 16);
	mem = map_aligned(to.fd, 16, PROT_READ, MAP_SHARED);
	expect(pread(stream, mem, 16 * PAGE, 0) == -1 && errno == EFAULT);
	before = counters_now();
	load_object(stream, &to);
	counted(&before, { "inserted", 16 });
	commit(stream);
	munmap(mem, 16 * PAGE);
	object_end(&to);

	save_object(NODE, &huge);
	object_end(&huge);
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	to = object_new(HUGE_MEMFD, HUGE_PAGES + 16);
	before = counters_now();
	expect(pread(stream, to.mem + 16 * PAGE, HUGE_SIZE, 0) == (ssize_t)HUGE_SIZE);
	counted(&before, { "copied_on_load", HUGE_PAGES });
	expect(filled(to.mem + 16 * PAGE, HUGE_PAGES, 2));
	object_end(&to);
	/* The file ends within it. */
	to = object_new(MEMFD, HUGE_PAGES - 1);
	before = counters_now();
	load_object(stream, &to);
	counted(&before, { "copied_on_load", HUGE_PAGES - 1 });
	object_end(&to);
	commit(stream);
}

/* --- all at once --- */

static volatile bool stop;

static void *hammer_mapping(void *arg)
{
	struct object *obj = arg;

	for (size_t i = 0; !stop; i++) {
		*(volatile size_t *)(obj->mem + i % obj->nr * PAGE + 64) = i;
		(void)*(volatile char *)(obj->mem + (i * 7) % obj->nr * PAGE);
	}
	return NULL;
}

static void *hammer_file(void *arg)
{
	struct object *obj = arg;

	for (size_t i = 0; !stop; i++) {
		expect(pwrite(obj->fd, &i, sizeof(i), (i * 13) % obj->nr * PAGE + 128) == sizeof(i));
		if (i % 64 == 0)
			expect(!fallocate(obj->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					  (i / 64) % obj->nr * PAGE + 256, 64));
		if (i % 512 == 0)
			(void)madvise(obj->mem, obj->nr * PAGE, MADV_COLLAPSE);
	}
	return NULL;
}

/* With checksums: what has changed since the commit is not read. */
static void case_race(void)
{
	for (enum sort sort = MEMFD; sort < NR_SORTS; sort += HUGE_MEMFD - MEMFD) {
		const size_t nr = 2 * HUGE_PAGES;
		struct object obj = object(sort, nr, 1);
		long errors = counter("checksum_errors");
		char *first = malloc(nr * PAGE), *second = malloc(nr * PAGE);
		pthread_t threads[2];

		snprintf(probe_what, sizeof(probe_what), "race, %s", sort_names[sort]);
		stop = false;
		if (pthread_create(&threads[0], NULL, hammer_mapping, &obj) ||
		    pthread_create(&threads[1], NULL, hammer_file, &obj))
			errx(1, "no threads");
		for (int i = 0; i < 10; i++) {
			int stream = save_pages(NODE, PRAM_SAVE_CHECKSUM);

			append_file(stream, &obj, 0, nr);
			expect(!pram_seal(stream));
			usleep(20000);
			commit(stream);
			stream = load_pages(NODE, PRAM_LOAD_PEEK);
			expect(pread(stream, first, nr * PAGE, 0) == (ssize_t)(nr * PAGE));
			usleep(20000);
			expect(pread(stream, second, nr * PAGE, 0) == (ssize_t)(nr * PAGE));
			expect(!memcmp(first, second, nr * PAGE));
			close(stream);
			node_free(NODE);
		}
		stop = true;
		pthread_join(threads[0], NULL);
		pthread_join(threads[1], NULL);
		expect(counter("checksum_errors") == errors);
		free(first);
		free(second);
		object_end(&obj);
	}
}

/* --- over a kexec --- */

#define KEXEC_NR(sort)	((sort) == HUGE_MEMFD ? 16 * HUGE_PAGES : 8192UL)

static const char *node_of(enum sort sort)
{
	static char name[32];

	snprintf(name, sizeof(name), "shmem-%u", sort);
	return name;
}

static void save_all(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		err(1, "%s", path);
	for (enum sort sort = ANON; sort < NR_SORTS; sort++) {
		size_t nr = KEXEC_NR(sort);
		struct object obj = any_object(sort, nr, 10 + sort);
		uint64_t *pfns = calloc(nr, sizeof(*pfns));
		struct counters before = counters_now();

		save_object(node_of(sort), &obj);
		expect_adopted(&before, nr);
		object_frames(&obj, pfns);
		if (fwrite(pfns, sizeof(*pfns), nr, file) != nr)
			err(1, "%s", path);
		free(pfns);
		object_end(&obj);
	}
	if (fclose(file))
		err(1, "%s", path);
}

static void load_all(const char *path, bool spoil)
{
	FILE *file = fopen(path, "re");
	int streams[NR_SORTS];
	struct object objs[NR_SORTS];

	if (!file)
		err(1, "%s", path);
	for (enum sort sort = ANON; sort < NR_SORTS; sort++) {
		size_t nr = KEXEC_NR(sort);
		uint64_t *pfns = calloc(nr, sizeof(*pfns));
		struct counters before = counters_now();
		struct object *obj = &objs[sort];

		snprintf(probe_what, sizeof(probe_what), "load, %s", sort_names[sort]);
		if (fread(pfns, sizeof(*pfns), nr, file) != nr)
			err(1, "%s", path);
		streams[sort] = load_pages(node_of(sort), PRAM_LOAD_MAP);
		*obj = object_new(sort, nr);
		load_object(streams[sort], obj);
		counted(&before, { "inserted", nr });
		expect(object_same(obj, pfns) == nr);
		expect(object_filled(obj, 10 + sort));
		if (spoil)
			fill(obj->mem, nr, 99);
		free(pfns);
	}
	fclose(file);
	if (spoil) {
		fflush(stdout);
		if (!nr_failed)
			kill(getpid(), SIGKILL);
		return;
	}
	commit_all(streams, NR_SORTS);
	for (enum sort sort = ANON; sort < NR_SORTS; sort++) {
		struct object *obj = &objs[sort];
		struct counters before = counters_now();

		snprintf(probe_what, sizeof(probe_what), "loaded, %s", sort_names[sort]);
		expect(filled(obj->mem, obj->nr, 10 + sort));
		fill(obj->mem, obj->nr, 50 + sort);
		counted(&before, {});
		if (sort == HUGE_MEMFD)
			expect(smaps_field(0, obj->mem, "ShmemPmdMapped:") == (long)obj->nr * 4);
		expect(object_filled(obj, 50 + sort));
		object_end(obj);
	}
}

/* --- a process that is checkpointed --- */

static void hold(size_t mib, const char *ready, const char *result)
{
	static const enum sort sorts[] = { ANON, MEMFD, SYSV, HUGE_MEMFD };
	struct object objs[4];
	uint64_t *pfns[4], seed = 1;
	size_t scratch = 0, all = 0;
	char path[256], line[32];
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (size_t i = 0; i < 4; i++) {
		size_t nr = sorts[i] == MEMFD ? mib * 256 : 4096;

		objs[i] = any_object(sorts[i], nr, seed);
		pfns[i] = calloc(nr, sizeof(**pfns));
		object_frames(&objs[i], pfns[i]);
		/* What has no descriptor has none when it is dumped, either. */
		if (sorts[i] == ANON || sorts[i] == SYSV) {
			close(objs[i].fd);
			objs[i].fd = -1;
		}
		all += nr;
		for (size_t page = 0; page < nr; page++)
			scratch += in_scratch(pfns[i][page]);
	}
	snprintf(line, sizeof(line), "%d\n", getpid());
	for (;;) {
		size_t same = 0;
		FILE *file;

		/* The first time it says that it is ready. */
		file = fopen(*line ? ready : result, "we");
		fputs(*line ? line : nr_failed ? "FAIL\n" : "PASS\n", file);
		fclose(file);
		*line = 0;
		sigwait(&set, &sig);
		if (sig == SIGUSR2)
			seed++;
		for (size_t i = 0; i < 4; i++) {
			struct object *obj = &objs[i];

			if (sig == SIGUSR2)
				fill(obj->mem, obj->nr, seed);
			expect(object_filled(obj, seed));
			same += object_same(obj, pfns[i]);
			/* And by the mapping that it writes by. */
			expect(filled(obj->mem, obj->nr, seed));
		}
		snprintf(path, sizeof(path), "%s.frames", result);
		file = fopen(path, "we");
		fprintf(file, "%zu %zu %zu\n", same, all, scratch);
		fclose(file);
	}
}

static const struct probe_case cases[] = {
	{ "sorts", case_sorts, false },
	{ "twice", case_twice, false },
	{ "ranges", case_ranges, false },
	{ "errors", case_errors, false },
	{ "asked", case_asked, false },
	{ "partial", case_partial, false },
	{ "pinned", case_pinned, false },
	{ "writers", case_writers, false },
	{ "edges", case_edges, false },
	{ "sealed", case_sealed, false },
	{ "load", case_load, false },
	{ "occupied", case_occupied, false },
	{ "race", case_race, false },
	{ "swapped", case_swapped, true },
	{ "scratch", case_scratch, true },
};

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "hold")) {
		write_text(SHMEM_ENABLED, "advise");
		hold(strtoul(argv[2], NULL, 0), argv[3], argv[4]);
	}
	dev_open();
	/* For memfds, where madvise() says so. */
	write_text(SHMEM_ENABLED, "advise");
	if (argc == 3 && !strcmp(argv[1], "save")) {
		save_all(argv[2]);
		return probe_result();
	}
	if (argc >= 3 && !strcmp(argv[1], "load")) {
		load_all(argv[2], argc == 4);
		return probe_result();
	}
	run_cases(cases, sizeof(cases) / sizeof(*cases), argv + 1);
	return probe_result();
}
