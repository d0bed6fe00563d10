// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of hugetlb, seen from outside: it is taken over with PRAM_SAVE_FINAL, and copied
 * by whole huge pages without; what nobody has touched is a hole, and stays one; and the
 * pool has the pages that it should have.
 *
 *	hugetlb [CASE]...
 *	hugetlb hold READY RESULT
 *
 * "hold" is to be checkpointed: it has
 * memory of hugetlb of each sort, 4 huge pages, of which it leaves the second one alone, and
 * writes its pid to READY. On SIGUSR1 it looks at it, on SIGUSR2 it writes something else to
 * each byte; then "PASS" or what is wrong is in RESULT.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"
#include "tell.h"

#define NODE	"hugetlb"
#define POOL	"/proc/sys/vm/nr_hugepages"

/* --- the pool --- */

static long pool(const char *what)
{
	char name[32];

	snprintf(name, sizeof(name), "HugePages_%s:", what);
	return field("/proc/meminfo", name);
}

static void pool_set(long nr)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", nr);
	write_text(POOL, text);
	if (pool("Total") != nr)
		errx(1, "%s: %ld of %ld huge pages only", probe_what, pool("Total"), nr);
}

#define expect_pool(total, free, reserved)					\
	do {									\
		if (pool("Total") != (long)(total) || pool("Free") != (free) ||	\
		    pool("Rsvd") != (reserved) || pool("Surp")) {		\
			printf("%s: line %d: the pool has %ld, %ld free, %ld reserved, %ld surplus\n", \
			       probe_what, __LINE__, pool("Total"), pool("Free"), \
			       pool("Rsvd"), pool("Surp"));			\
			nr_failed++;						\
		}								\
	} while (0)

/*
 * What has been counted? Some of it may have lain in scratch areas, and was moved first: that
 * is another case's.
 */
#define counted_but_moved(before, ...)						\
	do {									\
		(before)->value[MIGRATED] = counters_now().value[MIGRATED];	\
		counted(before, __VA_ARGS__);					\
	} while (0)

/* --- memory --- */

enum sort {
	PRIVATE,
	ANON,		/* shared */
	MEMFD,
	SYSV,
	NR_SORTS,
};

/**
 * struct object - memory of hugetlb
 * @sort: which.
 * @nr: its length, in huge pages.
 * @fd: a file of it, open for reading; -1 if it has none.
 * @mem: where it is mapped.
 */
struct object {
	enum sort	sort;
	size_t		nr;
	int		fd;
	char		*mem;
};

static char *map(int fd, size_t nr, int prot, int flags)
{
	char *mem = mmap(NULL, nr * HUGE_SIZE, prot, flags, fd, 0);

	if (mem == MAP_FAILED)
		err(1, "%s: no huge pages", probe_what);
	return mem;
}

/* With nothing in it. */
static struct object object_new(enum sort sort, size_t nr)
{
	const int rw = PROT_READ | PROT_WRITE;
	struct object obj = { .sort = sort, .nr = nr, .fd = -1 };
	char path[80];
	int id;

	switch (sort) {
	case PRIVATE:
		obj.mem = map(-1, nr, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB);
		return obj;
	case ANON:
		obj.mem = map(-1, nr, rw, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB);
		break;
	case SYSV:
		id = shmget(IPC_PRIVATE, nr * HUGE_SIZE, SHM_HUGETLB | IPC_CREAT | 0600);
		obj.mem = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
		if (obj.mem == (void *)-1 || shmctl(id, IPC_RMID, NULL))
			err(1, "%s: no segment of huge pages", probe_what);
		break;
	default:
		obj.fd = memfd_create("hugetlb", MFD_CLOEXEC | MFD_HUGETLB);
		if (obj.fd < 0 || ftruncate(obj.fd, nr * HUGE_SIZE))
			err(1, "%s: memfd", probe_what);
		obj.mem = map(obj.fd, nr, rw, MAP_SHARED);
		return obj;
	}
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)obj.mem,
		 (unsigned long)obj.mem + nr * HUGE_SIZE);
	obj.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (obj.fd < 0)
		err(1, "%s: %s", probe_what, path);
	return obj;
}

static void object_unmap(struct object *obj)
{
	if (obj->sort == SYSV)
		shmdt(obj->mem);
	else
		munmap(obj->mem, obj->nr * HUGE_SIZE);
}

static void object_end(struct object *obj)
{
	object_unmap(obj);
	if (obj->fd >= 0)
		close(obj->fd);
}

/* Fill it, page by page alike. */
static void fill_pages(char *mem, size_t nr, uint64_t seed)
{
	for (size_t i = 0; i < nr; i++)
		fill(mem + i * HUGE_SIZE, HUGE_PAGES, seed);
}

static bool pages_filled(const char *mem, size_t nr, uint64_t seed)
{
	for (size_t i = 0; i < nr; i++)
		if (!filled(mem + i * HUGE_SIZE, HUGE_PAGES, seed))
			return false;
	return true;
}

static sigjmp_buf on_bus;

static void bus_error(int sig)
{
	siglongjmp(on_bus, sig);
}

/* Does a write there end in SIGBUS? */
static bool write_fails(char *mem)
{
	bool failed = true;

	signal(SIGBUS, bus_error);
	if (!sigsetjmp(on_bus, 1)) {
		*(volatile char *)mem = 1;
		failed = false;
	}
	signal(SIGBUS, SIG_DFL);
	return failed;
}

/* --- nodes of it --- */

/* Holes, parts of huge pages, errors. */
static void case_ranges(void)
{
	const size_t nr = 2 * HUGE_PAGES + 100;
	struct pram_range ranges[] = {
		{ 0, HUGE_SIZE }, { 2 * HUGE_SIZE, HUGE_SIZE + 100 * PAGE },
	};
	struct pram_range hole = { HUGE_SIZE + 5 * PAGE, 3 * PAGE };
	struct pram_range behind = { 3 * HUGE_SIZE, HUGE_SIZE + PAGE };
	char *copy = malloc(nr * PAGE);
	struct pram_node_stat stat;
	struct counters before;
	struct object obj;
	uint64_t pages;
	int stream;

	pool_set(4);
	obj = object_new(MEMFD, 4);
	/* The second one is a hole. */
	fill(obj.mem, HUGE_PAGES, 1);
	fill(obj.mem + 2 * HUGE_SIZE, 2 * HUGE_PAGES, 2);
	expect(lseek(obj.fd, 0, SEEK_DATA) == 0 && lseek(obj.fd, 0, SEEK_HOLE) == (off_t)HUGE_SIZE);
	expect(lseek(obj.fd, HUGE_SIZE, SEEK_DATA) == (off_t)(2 * HUGE_SIZE));
	expect(lseek(obj.fd, 0, SEEK_CUR) == (off_t)(2 * HUGE_SIZE));
	expect(lseek(obj.fd, HUGE_SIZE + PAGE, SEEK_HOLE) == (off_t)(HUGE_SIZE + PAGE));
	expect(lseek(obj.fd, 2 * HUGE_SIZE, SEEK_HOLE) == (off_t)(4 * HUGE_SIZE));
	expect(lseek(obj.fd, 4 * HUGE_SIZE, SEEK_DATA) == -1 && errno == ENXIO);
	expect(lseek(obj.fd, -PAGE, SEEK_DATA) == -1 && errno == ENXIO);
	expect(lseek(obj.fd, -1, SEEK_END) == (off_t)(4 * HUGE_SIZE - 1));

	before = counters_now();
	stream = save_pages(NODE, 0);
	expect(adopt_file(stream, obj.fd, &behind, 1, &pages) == -EINVAL && !pages);
	expect(!adopt_file(stream, obj.fd, ranges, 2, &pages) && pages == nr);
	commit(stream);
	counted(&before, { "hugetlb", nr });
	/* The last hundred in pieces of 64, 32 and 4. */
	expect(!pram_stat(dev, NODE, &stat) && stat.nr_folios == 2 + 3);
	fill(obj.mem, HUGE_PAGES, 3);
	fill(obj.mem + 2 * HUGE_SIZE, 2 * HUGE_PAGES, 3);
	stream = load_pages(NODE, PRAM_LOAD_PEEK);
	expect(pread(stream, copy, nr * PAGE, 0) == (ssize_t)(nr * PAGE));
	expect(filled(copy, HUGE_PAGES, 1) && filled(copy + HUGE_SIZE, HUGE_PAGES + 100, 2));
	close(stream);
	node_free(NODE);

	before = counters_now();
	stream = save_pages(NODE, 0);
	expect(!adopt_file(stream, obj.fd, &hole, 1, &pages) && pages == 3);
	close(stream);
	counted(&before, { "special", 3 });
	expect_pool(4, 1, 1);

	/* Asked for a copy. */
	before = counters_now();
	stream = save_pages(NODE, PRAM_SAVE_COPY);
	expect(!adopt_file(stream, obj.fd, ranges, 1, &pages) && pages == HUGE_PAGES);
	commit(stream);
	fill(obj.mem, HUGE_PAGES, 4);
	expect(node_filled(NODE, HUGE_PAGES, 3));
	node_free(NODE);
	object_end(&obj);
	expect_pool(4, 4, 0);
	pool_set(0);
	free(copy);
}

/* Does the node have these huge pages? */
static bool node_has(size_t nr, uint64_t seed)
{
	int stream = load_pages(NODE, PRAM_LOAD_PEEK);
	char *copy = malloc(nr * HUGE_SIZE);
	bool has = pread(stream, copy, nr * HUGE_SIZE, 0) == (ssize_t)(nr * HUGE_SIZE) &&
		   pages_filled(copy, nr, seed);

	close(stream);
	free(copy);
	return has;
}

/*
 * The node is loaded in this kernel, in vain, and then again. Before, its 4 pages are
 * missing in a pool of 6, and nobody has any other.
 */
static void load_again(uint64_t seed)
{
	char *plain = address_space(4 * HUGE_PAGES, HUGE);
	struct counters before;
	struct object obj;
	int stream;

	expect_pool(6, 2, 0);
	/* Who only looks takes no memory for it. */
	close(load_pages(NODE, PRAM_LOAD_PEEK));
	expect_pool(6, 2, 0);
	for (int i = 0; i < 2; i++) {
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		expect_pool(10, 6, 0);
		before = counters_now();
		obj = object_new(PRIVATE, 4);
		expect(pread(stream, obj.mem, 4 * HUGE_SIZE, 0) == (ssize_t)(4 * HUGE_SIZE));
		expect(pages_filled(obj.mem, 4, seed));
		/* Others cannot have hugetlb's. */
		expect(pread(stream, plain, 4 * HUGE_SIZE, 0) == (ssize_t)(4 * HUGE_SIZE));
		expect(!map_range(stream, plain, 0, 4 * HUGE_PAGES, NULL));
		expect(pages_filled(plain, 4, seed));
		counted(&before, { "copied_on_load", 12 * HUGE_PAGES });
		expect_pool(10, 2, 0);
		if (!i) {
			object_end(&obj);
			close(stream);
			expect_pool(10, 6, 0);
		}
	}
	commit(stream);
	expect_pool(6, 2, 0);
	expect(pages_filled(obj.mem, 4, seed));
	object_end(&obj);
	expect_pool(6, 6, 0);
	munmap(plain, 4 * HUGE_SIZE);
}

static void case_private(void)
{
	uint64_t *pfns = malloc(4 * HUGE_PAGES * sizeof(*pfns));
	struct counters before;
	struct object obj;
	int stream;

	pool_set(6);
	obj = object_new(PRIVATE, 4);
	fill_pages(obj.mem, 4, 1);
	expect_pool(6, 2, 0);
	/* So that none of it has to be moved later. */
	stream = save_pages(NODE, PRAM_SAVE_FINAL);
	expect(!adopt_range(stream, self_pidfd(), obj.mem, 4 * HUGE_PAGES));
	close(stream);
	frames(0, obj.mem, 4 * HUGE_PAGES, pfns);

	/* Given up: nobody notices. */
	before = counters_now();
	stream = save_pages(NODE, PRAM_SAVE_FINAL);
	expect(!adopt_range(stream, self_pidfd(), obj.mem, 4 * HUGE_PAGES));
	counted_but_moved(&before, { "adopted", 4 * HUGE_PAGES });
	expect_pool(6, 2, 0);
	close(stream);
	fill_pages(obj.mem, 4, 2);
	expect(same_frames(0, obj.mem, 4 * HUGE_PAGES, pfns) == 4 * HUGE_PAGES);
	expect_pool(6, 2, 0);

	/* Parts of huge pages, and where somebody has asked for copies. */
	before = counters_now();
	stream = save_pages(NODE, PRAM_SAVE_FINAL);
	expect(!adopt_range(stream, self_pidfd(), obj.mem + PAGE, HUGE_PAGES));
	close(stream);
	counted(&before, { "hugetlb", HUGE_PAGES });
	before = counters_now();
	stream = save_pages(NODE, PRAM_SAVE_FINAL | PRAM_SAVE_COPY);
	expect(!adopt_range(stream, self_pidfd(), obj.mem, HUGE_PAGES));
	close(stream);
	counted(&before, { "asked", HUGE_PAGES });

	/* Who goes on nevertheless gets copies as long as there are any. */
	stream = save_pages(NODE, PRAM_SAVE_FINAL | PRAM_SAVE_CHECKSUM);
	expect(!adopt_range(stream, self_pidfd(), obj.mem, 4 * HUGE_PAGES));
	commit(stream);
	fill_pages(obj.mem, 2, 3);
	expect_pool(6, 0, 0);
	expect(same_frames(0, obj.mem, 4 * HUGE_PAGES, pfns) == 2 * HUGE_PAGES);
	expect(write_fails(obj.mem + 2 * HUGE_SIZE) && write_fails(obj.mem + 3 * HUGE_SIZE));
	expect(pages_filled(obj.mem, 2, 3) && pages_filled(obj.mem + 2 * HUGE_SIZE, 2, 2));
	expect(node_has(4, 2));

	/* What is given back is the node's, and not the pool's. */
	expect(!madvise(obj.mem + 2 * HUGE_SIZE, HUGE_SIZE, MADV_DONTNEED));
	expect_pool(6, 0, 0);
	object_end(&obj);
	load_again(2);
	pool_set(0);
	free(pfns);
}

/* Pages that are a relative's, too. */
static void case_relatives(void)
{
	struct counters before;
	struct other child;
	struct object obj;
	int stream;

	pool_set(4);
	obj = object_new(PRIVATE, 3);
	fill_pages(obj.mem, 3, 1);
	child = other_start();
	/* That has one of its own. */
	expect(other_do(&child, DO_FILL, obj.mem, HUGE_PAGES, 2));
	expect_pool(4, 0, 0);
	before = counters_now();
	stream = save_pages(NODE, PRAM_SAVE_FINAL);
	expect(!adopt_range(stream, self_pidfd(), obj.mem, 3 * HUGE_PAGES));
	counted_but_moved(&before, { "adopted", HUGE_PAGES }, { "hugetlb", 2 * HUGE_PAGES });
	commit(stream);
	other_end(&child);
	/* They are not the node's. */
	fill_pages(obj.mem, 3, 3);
	expect_pool(4, 0, 0);
	expect(node_has(3, 1));
	object_end(&obj);
	expect_pool(4, 3, 0);
	node_free(NODE);
	expect_pool(4, 4, 0);
	pool_set(0);
}

static void stop(const struct other *child)
{
	int status;

	if (ptrace(PTRACE_SEIZE, child->pid, 0, 0) ||
	    ptrace(PTRACE_INTERRUPT, child->pid, 0, 0) ||
	    waitpid(child->pid, &status, 0) != child->pid || !WIFSTOPPED(status))
		err(1, "%s: process %d cannot be stopped", probe_what, child->pid);
}

static void go_on(const struct other *child)
{
	if (ptrace(PTRACE_DETACH, child->pid, 0, 0))
		err(1, "%s: process %d cannot go on", probe_what, child->pid);
}

/* Return: the stream, not committed. */
static int adopt_object(const struct object *obj)
{
	const struct pram_range all = { 0, obj->nr * HUGE_SIZE };
	int stream = save_pages(NODE, PRAM_SAVE_FINAL);

	expect(!adopt_file(stream, obj->fd, &all, 1, NULL));
	return stream;
}

static void adopt_shared(enum sort sort)
{
	struct counters before;
	struct other child;
	struct object obj;
	int stream, pipes[2];
	char *mem;

	pool_set(6);
	obj = object_new(sort, 4);
	fill_pages(obj.mem, 4, 1);
	child = other_start();

	/* The child could write to it. */
	before = counters_now();
	close(adopt_object(&obj));
	counted(&before, { "hugetlb", 4 * HUGE_PAGES });

	/* Given up: nobody notices. criu, too, has it mapped for a while. */
	stop(&child);
	before = counters_now();
	stream = adopt_object(&obj);
	counted_but_moved(&before, { "adopted", 4 * HUGE_PAGES });
	expect_pool(6, 2, 0);
	close(stream);
	object_unmap(&obj);
	go_on(&child);
	before = counters_now();
	for (int i = 0; i < 4; i++) {
		expect(other_do(&child, DO_CHECK, obj.mem + i * HUGE_SIZE, HUGE_PAGES, 1));
		expect(other_do(&child, DO_FILL, obj.mem + i * HUGE_SIZE, HUGE_PAGES, 2));
	}
	counted(&before, {});
	expect_pool(6, 2, 0);

	/* Somebody has a reference to the last one. */
	mem = map(obj.fd, 4, PROT_READ, MAP_SHARED);
	if (pipe(pipes) || vmsplice(pipes[1], &(struct iovec){ mem + 3 * HUGE_SIZE, PAGE }, 1, 0) !=
			   (ssize_t)PAGE)
		err(1, "%s: vmsplice", probe_what);
	munmap(mem, 4 * HUGE_SIZE);
	stop(&child);
	before = counters_now();
	stream = adopt_object(&obj);
	counted_but_moved(&before, { "adopted", 3 * HUGE_PAGES }, { "pinned", HUGE_PAGES });
	close(stream);
	close(pipes[0]);
	close(pipes[1]);

	/* Who goes on gets copies, of the pool and then beside it. */
	stream = adopt_object(&obj);
	commit(stream);
	go_on(&child);
	before = counters_now();
	expect(other_do(&child, DO_CHECK, obj.mem, HUGE_PAGES, 2));
	expect_pool(6, 1, 0);
	for (int i = 0; i < 4; i++)
		expect(other_do(&child, DO_FILL, obj.mem + i * HUGE_SIZE, HUGE_PAGES, 3));
	counted(&before, { "copied_on_touch", 4 * HUGE_PAGES });
	expect_pool(8, 0, 0);
	expect(node_has(4, 2));
	node_free(NODE);
	expect_pool(6, 2, 0);
	for (int i = 0; i < 4; i++)
		expect(other_do(&child, DO_CHECK, obj.mem + i * HUGE_SIZE, HUGE_PAGES, 3));

	/* All of them die. */
	stop(&child);
	stream = adopt_object(&obj);
	commit(stream);
	kill(child.pid, SIGKILL);
	waitpid(child.pid, NULL, 0);
	close(child.to);
	close(obj.fd);
	load_again(3);
	pool_set(0);
}

static void case_anon(void)
{
	adopt_shared(ANON);
}

static void case_memfd(void)
{
	adopt_shared(MEMFD);
}

static void case_sysv(void)
{
	adopt_shared(SYSV);
}

/* Who gives memory back, or a part of it. */
static void case_punch(void)
{
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	static char page[PAGE], zeros[PAGE];
	struct counters before;
	struct object obj;

	pool_set(6);
	obj = object_new(MEMFD, 4);
	fill_pages(obj.mem, 4, 1);
	object_unmap(&obj);
	commit(adopt_object(&obj));
	before = counters_now();
	expect(!fallocate(obj.fd, punch, PAGE, PAGE));
	expect(!fallocate(obj.fd, punch, 2 * HUGE_SIZE - PAGE, HUGE_SIZE + PAGE));
	counted(&before, { "copied_on_touch", 2 * HUGE_PAGES });
	expect(pread(obj.fd, page, PAGE, PAGE) == (ssize_t)PAGE && !memcmp(page, zeros, PAGE));
	expect(pread(obj.fd, page, PAGE, 2 * HUGE_SIZE - PAGE) == (ssize_t)PAGE &&
	       !memcmp(page, zeros, PAGE));
	expect(pread(obj.fd, page, PAGE, 2 * HUGE_SIZE) == (ssize_t)PAGE &&
	       !memcmp(page, zeros, PAGE));
	expect(node_has(4, 1));
	/* One of the four that the file had is a hole, and the node's. */
	expect_pool(6, 0, 0);
	expect(!ftruncate(obj.fd, 0));
	expect_pool(6, 2, 0);
	close(obj.fd);
	load_again(1);
	pool_set(0);
}

/* Other ways to a page of a file than a fault of a shared mapping. */
static void case_ways(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MINOR_HUGETLBFS };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MINOR };
	struct uffdio_continue cont = {};
	struct counters before;
	struct other child;
	struct object obj;
	char *mem;
	int fd;

	pool_set(9);
	obj = object_new(MEMFD, 4);
	fill_pages(obj.mem, 4, 1);
	object_unmap(&obj);
	commit(adopt_object(&obj));
	before = counters_now();

	/* Puts what the file has into the page table, without a fault. */
	fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	obj.mem = map(obj.fd, 4, PROT_READ | PROT_WRITE, MAP_SHARED);
	reg.range = (struct uffdio_range){ (uintptr_t)obj.mem, 4 * HUGE_SIZE };
	cont.range = (struct uffdio_range){ (uintptr_t)obj.mem, HUGE_SIZE };
	expect(fd >= 0 && !ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &reg));
	expect(!ioctl(fd, UFFDIO_CONTINUE, &cont) && cont.mapped == (int64_t)HUGE_SIZE);
	expect(pages_filled(obj.mem, 1, 1));
	fill_pages(obj.mem, 1, 2);
	close(fd);
	object_unmap(&obj);
	counted(&before, { "copied_on_touch", HUGE_PAGES });

	/* For a private mapping there is a copy in the file, and what it writes to is its own. */
	obj.mem = map(obj.fd, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE);
	expect(pages_filled(obj.mem + HUGE_SIZE, 1, 1));
	fill_pages(obj.mem + HUGE_SIZE, 1, 3);
	counted(&before, { "copied_on_touch", 2 * HUGE_PAGES });
	object_unmap(&obj);

	/* And who only reads gets one. */
	obj.mem = map(obj.fd, 4, PROT_READ, MAP_SHARED);
	expect(pages_filled(obj.mem + 2 * HUGE_SIZE, 2, 1));
	object_unmap(&obj);
	expect(node_has(4, 1));
	node_free(NODE);
	expect_pool(9, 5, 0);

	/* What a private mapping has of its own stays when the file is taken over. */
	obj.mem = map(obj.fd, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE);
	child = other_start();
	expect(other_do(&child, DO_FILL, obj.mem + HUGE_SIZE, HUGE_PAGES, 3));
	mem = obj.mem;
	object_unmap(&obj);
	stop(&child);
	before = counters_now();
	close(adopt_object(&obj));
	counted_but_moved(&before, { "adopted", 4 * HUGE_PAGES });
	go_on(&child);
	expect(other_do(&child, DO_CHECK, mem + HUGE_SIZE, HUGE_PAGES, 3));
	other_end(&child);
	close(obj.fd);
	expect_pool(9, 9, 0);
	pool_set(0);
}

#define IN_SCRATCH	4UL

/*
 * Huge pages in scratch areas, where the pool has them from if there is hardly any other
 * memory, are moved first.
 */
static void moved_first(enum sort sort)
{
	const long spare_kb = 96 * 1024;
	size_t where[2 * IN_SCRATCH], nr_inside = 0, nr_outside = 0, nr;
	uint64_t pfn;
	struct counters before;
	struct object obj;
	char text[24];
	int stream;

	snprintf(text, sizeof(text), "%ld", (field("/proc/meminfo", "MemFree:") - spare_kb) / 2048);
	write_text(POOL, text);
	nr = pool("Total");
	obj = object_new(sort, nr);
	for (size_t i = 0; i < nr && (nr_inside < IN_SCRATCH || nr_outside < IN_SCRATCH); i++) {
		fill(obj.mem + i * HUGE_SIZE, 1, 1);
		frames(0, obj.mem + i * HUGE_SIZE, 1, &pfn);
		if (in_scratch(pfn) && nr_inside < IN_SCRATCH)
			where[nr_inside++] = i;
		else if (!in_scratch(pfn) && nr_outside < IN_SCRATCH)
			where[IN_SCRATCH + nr_outside++] = i;
	}
	if (nr_inside < IN_SCRATCH || nr_outside < IN_SCRATCH)
		errx(1, "%s: %zu of %zu huge pages found in scratch areas, %zu others", probe_what,
		     nr_inside, nr, nr_outside);
	for (size_t i = 0; i < 2 * IN_SCRATCH; i++)
		fill_pages(obj.mem + where[i] * HUGE_SIZE, 1, 1);
	if (sort != PRIVATE)
		object_unmap(&obj);

	before = counters_now();
	stream = save_pages(NODE, PRAM_SAVE_FINAL);
	for (size_t i = 0; i < 2 * IN_SCRATCH; i++) {
		const struct pram_range range = { where[i] * HUGE_SIZE, HUGE_SIZE };

		if (sort == PRIVATE)
			expect(!adopt_range(stream, self_pidfd(), obj.mem + range.start, HUGE_PAGES));
		else
			expect(!adopt_file(stream, obj.fd, &range, 1, NULL));
	}
	counted(&before, { "adopted", 2 * IN_SCRATCH * HUGE_PAGES },
		{ "migrated", IN_SCRATCH * HUGE_PAGES });
	commit(stream);
	expect(pool("Total") == (long)nr && !pool("Surp"));
	expect(node_has(2 * IN_SCRATCH, 1));
	if (sort == PRIVATE) {
		for (size_t i = 0; i < IN_SCRATCH; i++) {
			frames(0, obj.mem + where[i] * HUGE_SIZE, 1, &pfn);
			expect(pfn && !in_scratch(pfn));
		}
		object_end(&obj);
	} else {
		close(obj.fd);
	}
	expect_pool(nr, (long)(nr - 2 * IN_SCRATCH), 0);
	node_free(NODE);
	expect_pool(nr, (long)nr, 0);
	pool_set(0);
}

static void case_scratch(void)
{
	moved_first(PRIVATE);
	moved_first(MEMFD);
}

/* --- a process that is checkpointed --- */

static void hold(const char *ready, const char *result)
{
	struct object objs[NR_SORTS];
	uint64_t seed = 1;
	bool told = false;
	int sig = SIGUSR2;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (enum sort sort = PRIVATE; sort < NR_SORTS; sort++) {
		objs[sort] = object_new(sort, 4);
		/* What has no descriptor has none when it is dumped, either. */
		if (sort != MEMFD && objs[sort].fd >= 0)
			close(objs[sort].fd);
	}
	for (;;) {
		for (enum sort sort = PRIVATE; sort < NR_SORTS; sort++) {
			char *mem = objs[sort].mem;

			if (sig == SIGUSR2) {
				fill(mem, HUGE_PAGES, seed);
				fill(mem + 2 * HUGE_SIZE, 2 * HUGE_PAGES, seed + 1);
			}
			expect(filled(mem, HUGE_PAGES, seed));
			expect(filled(mem + 2 * HUGE_SIZE, 2 * HUGE_PAGES, seed + 1));
		}
		if (told)
			tell(result, nr_failed ? "FAIL" : "PASS");
		else
			tell_pid(ready);
		told = true;
		sigwait(&set, &sig);
		if (sig == SIGUSR2)
			seed += 2;
	}
}

int main(int argc, char **argv)
{
	static const struct probe_case cases[] = {
		{ "ranges", case_ranges, false },
		{ "private", case_private, false },
		{ "relatives", case_relatives, false },
		{ "anon", case_anon, false },
		{ "memfd", case_memfd, false },
		{ "sysv", case_sysv, false },
		{ "punch", case_punch, false },
		{ "ways", case_ways, false },
		{ "scratch", case_scratch, true },
	};

	if (argc == 4 && !strcmp(argv[1], "hold"))
		hold(argv[2], argv[3]);
	dev_open();
	run_cases(cases, sizeof(cases) / sizeof(*cases), argv + 1);
	return probe_result();
}
