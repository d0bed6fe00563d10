// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking over pages, seen from outside: what is taken over and what is copied,
 * for each reason there is; that a node never changes, whoever writes to the
 * pages that it has taken over; errors.
 *
 *	adopt [CASE]...
 *
 * Runs these cases, or all but those that need swap space ("swapped", "reclaimed",
 * "pageout", "present_swapped"),
 * process_vm_writev(2) ("vm_writev"), memory that can only be movable ("movable"), or that leave little memory outside of the
 * scratch areas ("scratch"), each in a process of its own and, where that makes
 * a difference, by pipe and by ioctl.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

#define NODE	"adopt"

#define FROM_TASK(kind)	(kind_pages[kind] == 1 ? 32 : 2 * kind_pages[kind])

/* --- what is taken over, what is copied --- */

/* The node has what is in memory now. */
static void expect_node_is(const char *name, const void *mem, size_t nr)
{
	int stream = load_pages(name, PRAM_LOAD_PEEK);
	char *copy = malloc(nr * PAGE);

	expect(pread(stream, copy, nr * PAGE, 0) == (ssize_t)(nr * PAGE));
	expect(!memcmp(copy, mem, nr * PAGE));
	free(copy);
	close(stream);
}

/*
 * Save this memory and see what has been counted, and that it is all there, in
 * @folios folios if that is not 0.
 */
#define take(way, mem, nr, folios, ...)                                        \
	do {                                                                   \
		struct counters before_ = counters_now();                      \
		struct pram_node_stat stat_;                                   \
									       \
		save(NODE, way, mem, nr);                                      \
		counted(&before_, __VA_ARGS__);                                \
		expect(!pram_stat(dev, NODE, &stat_));                         \
		expect(stat_.bytes == (nr) * PAGE && stat_.data_pages == (nr)); \
		expect(!(folios) || stat_.nr_folios == (folios));              \
		expect((int64_t)stat_.adopted_pages ==                         \
		       counters_now().value[ADOPTED] - before_.value[ADOPTED]);            \
		expect_node_is(NODE, mem, nr);                                 \
		node_free(NODE);                                               \
	} while (0)

static void case_whole(enum way way)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		size_t nr = FROM_TASK(kind);
		char *mem = memory(nr, kind, 1);

		take(way, mem, nr, nr / kind_pages[kind], { "adopted", nr });
		expect(filled(mem, nr, 1));
		if (kind == HUGE)
			expect(smaps_field(0, mem, "AnonHugePages:") == (long)nr * 4);
	}
}

/* Some pages of a large folio, from a pipe: copied, for the pipe has a reference to it. */
static void partial_by_pipe(enum kind kind)
{
	size_t nr = kind_pages[kind];
	char *mem = memory(2 * nr, kind, 1);

	/* The beginning, the middle, the end, and one that is whole. */
	take(BY_PIPE, mem, nr - 1, 0, { "partial", nr - 1 });
	take(BY_PIPE, mem + PAGE, nr - 2, 0, { "partial", nr - 2 });
	take(BY_PIPE, mem + (nr - 1) * PAGE, 1 + nr, 0, { "partial", 1 },
	     { "adopted", nr });
	expect(filled(mem, 2 * nr, 1));

	/* Whole in memory once, but mapped no longer. */
	munmap(mem + PAGE, PAGE);
	take(BY_PIPE, mem + 2 * PAGE, nr - 2, 0, { "partial", nr - 2 });
}

/* From the task: split, or taken in part, and so not copied. */
static void partial_by_range(enum kind kind)
{
	size_t nr = kind_pages[kind];
	struct other child;
	char *mem;

	mem = memory(nr, kind, 1);
	take(BY_RANGE, mem, nr - 1, nr - 1, { "adopted", nr - 1 }, { "split", nr });
	take(BY_RANGE, mem, nr, nr, { "adopted", nr });
	expect(filled(mem, nr, 1));
	mem = memory(nr, kind, 2);
	take(BY_RANGE, mem + PAGE, nr - 2, nr - 2, { "adopted", nr - 2 }, { "split", nr });
	expect(filled(mem, nr, 2));
	mem = memory(2 * nr, kind, 3);
	take(BY_RANGE, mem + (nr - 1) * PAGE, 1 + nr, 2, { "adopted", 1 + nr }, { "split", nr });
	expect(filled(mem, 2 * nr, 3));

	/* No longer mapped as a whole, or not all with the same protection. */
	mem = memory(nr, kind, 4);
	munmap(mem + PAGE, PAGE);
	take(BY_RANGE, mem + 2 * PAGE, nr - 2, nr - 2, { "adopted", nr - 2 }, { "split", nr });
	mem = memory(4 * nr, kind, 5);
	mprotect(mem + (nr + 3) * PAGE, PAGE, PROT_READ);
	mprotect(mem + (3 * nr - 1) * PAGE, 2 * PAGE, PROT_READ);
	take(BY_RANGE, mem, 4 * nr, 1 + 3 * nr, { "adopted", 4 * nr }, { "split", 3 * nr });
	expect(filled(mem, 4 * nr, 5));

	/* It is another task's, too, for whom nothing changes: one folio, not all of it. */
	mem = memory(nr, kind, 6);
	child = other_start();
	take(BY_RANGE, mem, nr - 1, 1, { "adopted", nr - 1 });
	fill(mem, nr, 7);
	expect(other_do(&child, DO_CHECK, mem, nr, 6));
	other_end(&child);
	expect(filled(mem, nr, 7));

	/* A node has it whole already. */
	mem = memory(nr, kind, 8);
	save("whole", BY_RANGE, mem, nr);
	take(BY_RANGE, mem, nr - 1, 1, { "adopted", nr - 1 }, { "shared", nr - 1 });
	expect(node_filled("whole", nr, 8));
	node_free("whole");
	take(BY_RANGE, mem, nr - 1, nr - 1, { "adopted", nr - 1 }, { "split", nr });
}

static void case_partial(enum way way)
{
	for (enum kind kind = MID; kind < NR_KINDS; kind++) {
		if (way == BY_RANGE)
			partial_by_range(kind);
		else
			partial_by_pipe(kind);
	}
}

/* Pages of a large folio, with something else in between. */
static void case_interrupted(enum way way)
{
	char *mem = memory(2 * HUGE_PAGES, HUGE, 1);
	char *small = memory(1, SMALL, 2);
	struct counters before = counters_now();
	int stream = save_pages(NODE, 0);

	append(stream, way, mem, 100);
	append(stream, way, small, 1);
	append(stream, way, mem + 100 * PAGE, HUGE_PAGES - 100);
	append(stream, way, mem + HUGE_SIZE, HUGE_PAGES);
	commit(stream);
	if (way == BY_RANGE)
		counted(&before, { "adopted", 1 + 2 * HUGE_PAGES }, { "split", HUGE_PAGES });
	else
		counted(&before, { "adopted", 1 + HUGE_PAGES }, { "partial", HUGE_PAGES });
	node_free(NODE);

	/* Half of one waits for the rest, and the save is discarded or written to. */
	stream = save_pages(NODE, 0);
	append(stream, way, mem, 100);
	close(stream);
	before = counters_now();
	stream = save_pages(NODE, 0);
	append(stream, way, mem, 200);
	expect(lseek(stream, 0, SEEK_END) == 200 * (off_t)PAGE);
	expect(write(stream, mem + 200 * PAGE, PAGE) == (ssize_t)PAGE);
	commit(stream);
	if (way == BY_RANGE)
		counted(&before, { "adopted", 200 }, { "written", 1 });
	else
		counted(&before, { "partial", 200 }, { "written", 1 });
	expect_node_is(NODE, mem, 201);
	node_free(NODE);
	expect(filled(mem, 2 * HUGE_PAGES, 1));
}

/* A forked child has the same frames, but for those that it has written to. */
static void shared_with_child(enum way way, enum kind kind)
{
	size_t nr = 4 * kind_pages[kind], part = kind_pages[kind];
	char *mem = memory(nr, kind, 1);
	struct other child = other_start();
	struct pram_range range = { (uintptr_t)mem, nr * PAGE };
	int pidfd = syscall(SYS_pidfd_open, child.pid, 0);
	struct counters before;
	int stream;

	other_do(&child, DO_FILL, mem, part, 2);
	before = counters_now();
	save("parent", way, mem, nr);
	counted(&before, { "adopted", nr });

	/* In another node, and twice in the same one. */
	before = counters_now();
	stream = save_pages("child", 0);
	expect(adopt(stream, pidfd, &range, 1, NULL) == 0);
	commit(stream);
	counted(&before, { "adopted", nr }, { "shared", nr - part });
	before = counters_now();
	stream = save_pages("both", 0);
	append(stream, way, mem, nr);
	expect(adopt(stream, pidfd, &range, 1, NULL) == 0);
	commit(stream);
	counted(&before, { "adopted", 2 * nr }, { "shared", 2 * nr });

	expect(node_filled("parent", nr, 1));
	fill(mem, nr, 3);
	expect(other_do(&child, DO_CHECK, mem, part, 2));
	other_do(&child, DO_FILL, mem, nr, 4);
	other_end(&child);
	expect(node_filled("parent", nr, 1));
	expect(filled(mem, nr, 3));
	node_free("parent");

	/* What others have it goes on being there. */
	stream = load_pages("child", PRAM_LOAD_PEEK);
	fill(mem, nr, 1);
	for (size_t i = part; i < nr; i++) {
		char page[PAGE];

		expect(pread(stream, page, PAGE, i * PAGE) == (ssize_t)PAGE &&
		       !memcmp(page, mem + i * PAGE, PAGE));
	}
	expect(pread(stream, mem, part * PAGE, 0) == (ssize_t)(part * PAGE) &&
	       filled(mem, part, 2));
	close(stream);
	node_free("both");
	node_free("child");
	close(pidfd);
}

static void case_shared(enum way way)
{
	shared_with_child(way, SMALL);
	shared_with_child(way, MID);
}

/* A page that the child of part_of_child() writes to. */
static bool childs_own(size_t i)
{
	return i % 7 == 3;
}

/*
 * A forked child has a part of each folio: all but the pages that it has written to.
 * Saved @child_first or after its parent, its pages are no copies.
 */
static void part_of_child(enum kind kind, bool child_first)
{
	const size_t nr = 2 * kind_pages[kind];
	char *mem = memory(nr, kind, 1), *want = malloc(nr * PAGE), *got = malloc(nr * PAGE);
	struct other child = other_start();
	struct pram_range range = { (uintptr_t)mem, nr * PAGE };
	int pidfd = syscall(SYS_pidfd_open, child.pid, 0);
	size_t shared = 0;
	int stream;

	fill(want, nr, 1);
	for (size_t i = 0; i < nr; i++) {
		bool first = true;

		if (childs_own(i)) {
			other_do(&child, DO_FILL, mem + i * PAGE, 1, 2);
			fill(want + i * PAGE, 1, 2);
			continue;
		}
		/* The first part of a folio is nobody else's, if the parent is not saved. */
		for (size_t j = i - i % kind_pages[kind]; j < i; j++)
			first &= !childs_own(j);
		shared += !child_first || !first;
	}
	if (!child_first)
		save("parent", BY_RANGE, mem, nr);
	for (int round = 0; round < 2; round++) {
		struct counters before = counters_now();

		stream = save_pages(NODE, PRAM_SAVE_CHECKSUM);
		expect(adopt(stream, pidfd, &range, 1, NULL) == 0);
		commit(stream);
		counted(&before, { "adopted", nr }, { "shared", shared });
		if (round)
			break;
		node_free(NODE);
	}
	if (child_first) {
		struct counters before = counters_now();

		save("parent", BY_RANGE, mem, nr);
		counted(&before, { "adopted", nr }, { "shared", nr });
	}

	/* Whatever both do to it. */
	fill(mem, nr, 3);
	expect(node_filled("parent", nr, 1));
	node_free("parent");
	other_do(&child, DO_FILL, mem, nr, 4);
	other_end(&child);
	stream = load_pages(NODE, PRAM_LOAD_PEEK);
	expect(pread(stream, got, nr * PAGE, 0) == (ssize_t)(nr * PAGE) &&
	       !memcmp(got, want, nr * PAGE));
	/* From the middle of a part, over its end, into the next one. */
	expect(pread(stream, got, 5 * PAGE, PAGE + 100) == 5 * (ssize_t)PAGE &&
	       !memcmp(got, want + PAGE + 100, 5 * PAGE));
	close(stream);
	node_free(NODE);
	expect(filled(mem, nr, 3));
	munmap(mem, nr * PAGE);
	free(want);
	free(got);
	close(pidfd);
}

static void case_parts(enum way way)
{
	(void)way;
	for (enum kind kind = MID; kind < NR_KINDS; kind++) {
		part_of_child(kind, false);
		part_of_child(kind, true);
	}
}

static bool all_merged(void *mem, size_t nr)
{
	uint64_t *pfns = calloc(nr, sizeof(*pfns));
	bool all = true;

	frames(0, mem, nr, pfns);
	for (size_t i = 0; i < nr; i++)
		all &= pfns[i] && page_flags(pfns[i]) >> KPF_KSM & 1;
	free(pfns);
	return all;
}

static void case_ksm(enum way way)
{
	const size_t nr = 16;
	char *mem = memory(2 * nr, SMALL, 1);
	bool merged;

	fill(mem + nr * PAGE, nr, 1);
	if (madvise(mem, 2 * nr * PAGE, MADV_MERGEABLE))
		err(1, "MADV_MERGEABLE");
	write_text("/sys/kernel/mm/ksm/pages_to_scan", "1000");
	write_text("/sys/kernel/mm/ksm/sleep_millisecs", "10");
	write_text("/sys/kernel/mm/ksm/run", "1");
	for (int i = 0; !(merged = all_merged(mem, 2 * nr)) && i < 2400; i++)
		usleep(50000);
	write_text("/sys/kernel/mm/ksm/run", "0");
	expect(merged);
	take(way, mem, 2 * nr, 0, { "ksm", 2 * nr });
	save(NODE, way, mem, nr);
	fill(mem, nr, 2);
	expect(node_filled(NODE, nr, 1) && filled(mem + nr * PAGE, nr, 1));
	node_free(NODE);
	write_text("/sys/kernel/mm/ksm/run", "2");
}

/* A file in @dir of that many pages, made by fill(). */
static int make_file(const char *dir, size_t nr, uint64_t seed)
{
	char path[64], *data = malloc(nr * PAGE);
	int fd;

	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	fill(data, nr, seed);
	if (fd < 0 || write(fd, data, nr * PAGE) != (ssize_t)(nr * PAGE))
		err(1, "cannot make %s", path);
	unlink(path);
	free(data);
	return fd;
}

static char *map_file(int fd, size_t nr, int flags)
{
	char *mem = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (mem == MAP_FAILED)
		err(1, "cannot map a file");
	return mem;
}

/* Of a file of a file system that is not tmpfs: /ramfs is the script's. */
static void case_file(enum way way)
{
	const size_t nr = 16;
	int fd = make_file("/ramfs", nr, 1);
	char *mem = map_file(fd, nr, MAP_PRIVATE);

	expect(filled(mem, nr, 1));
	take(way, mem, nr, 0, { "file", nr });
	/* What was written to is the task's own. */
	fill(mem, 4, 2);
	take(way, mem, nr, 0, { "adopted", 4 }, { "file", nr - 4 });
	mem = map_file(fd, nr, MAP_SHARED);
	take(way, mem, nr, 0, { "file", nr });

	save(NODE, way, mem, nr);
	fill(mem, nr, 3);
	expect(node_filled(NODE, nr, 1));
	node_free(NODE);
}

static void case_shmem(enum way way)
{
	const size_t nr = 16;
	int fd = memfd_create("shared", MFD_CLOEXEC);
	char *mem, *private;
	struct other other;

	if (ftruncate(fd, nr * PAGE))
		err(1, "ftruncate");
	mem = map_file(fd, nr, MAP_SHARED);
	fill(mem, nr, 1);
	take(way, mem, nr, 0, { "shmem", nr });
	private = map_file(fd, nr, MAP_PRIVATE);
	expect(filled(private, nr, 1));
	take(way, private, nr, 0, { "shmem", nr });
	fill(private, nr, 2);
	take(way, private, nr, nr, { "adopted", nr });

	/* Another process writes to it, by its mapping and by the file. */
	other = other_start();
	save(NODE, way, mem, nr);
	other_do(&other, DO_FILL, mem, nr, 3);
	expect(filled(mem, nr, 3));
	expect(node_filled(NODE, nr, 1));
	if (pwrite(fd, private, nr * PAGE, 0) != (ssize_t)(nr * PAGE))
		err(1, "pwrite");
	expect(node_filled(NODE, nr, 1));
	other_end(&other);
	node_free(NODE);

	mem = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fill(mem, nr, 4);
	take(way, mem, nr, 0, { "shmem", nr });
}

static void case_hugetlb(enum way way)
{
	char *mem;

	write_text("/proc/sys/vm/nr_hugepages", "1");
	mem = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (mem == MAP_FAILED)
		err(1, "no page of hugetlb");
	fill(mem, HUGE_PAGES, 1);
	/* Copied as what it is, one large page. */
	take(way, mem, HUGE_PAGES, way == BY_RANGE, { "hugetlb", HUGE_PAGES });
	take(BY_RANGE, mem + 100 * PAGE, 300UL, 0, { "hugetlb", 300 });
	save(NODE, way, mem, HUGE_PAGES);
	fill(mem, HUGE_PAGES, 2);
	expect(node_filled(NODE, HUGE_PAGES, 1));
	node_free(NODE);
	munmap(mem, HUGE_SIZE);
	write_text("/proc/sys/vm/nr_hugepages", "0");
}

/* Memory that not even the kernel has mapped. */
static void case_secret(enum way way)
{
	int fd = syscall(SYS_memfd_secret, O_CLOEXEC), stream;
	struct pram_range ranges[2];
	uint64_t pages;
	char *mem;

	(void)way;
	if (fd < 0 || ftruncate(fd, 4 * PAGE))
		err(1, "memfd_secret");
	mem = map_file(fd, 4, MAP_SHARED);
	fill(mem, 4, 1);
	stream = save_pages(NODE, 0);
	ranges[0] = (struct pram_range){ (uintptr_t)memory(4, SMALL, 2), 4 * PAGE };
	ranges[1] = (struct pram_range){ (uintptr_t)mem, 4 * PAGE };
	expect(adopt(stream, self_pidfd(), ranges, 2, &pages) == -EFAULT && pages == 4);
	commit(stream);
	expect(filled(mem, 4, 1));
	expect(node_filled(NODE, 4, 2));
	node_free(NODE);
	stream = save_pages(NODE, PRAM_SAVE_COPY);
	expect(adopt(stream, self_pidfd(), ranges + 1, 1, &pages) == -EFAULT && pages == 0);
	close(stream);
	close(fd);
}

/* Who says that a page of his is damaged is told so as one who has come across it. */
static void on_bus_error(int sig)
{
	(void)sig;
}

/* A page that the hardware has damaged: it is not even read. */
static void case_poisoned(enum way way)
{
	char *mem = memory(8, SMALL, 1);
	int stream;

	signal(SIGBUS, on_bus_error);
	if (madvise(mem + 5 * PAGE, PAGE, MADV_HWPOISON))
		err(1, "MADV_HWPOISON");
	stream = save_pages(NODE, 0);
	expect(adopt_range(stream, self_pidfd(), mem, 8) == -EHWPOISON);
	expect(lseek(stream, 0, SEEK_END) == 5 * (off_t)PAGE);
	commit(stream);
	expect(node_filled(NODE, 5, 1));
	node_free(NODE);

	/* Damaged when the node has it already: that is not committed. */
	mem = memory(8, SMALL, 1);
	stream = save_pages(NODE, 0);
	append(stream, way, mem, 8);
	if (madvise(mem + 5 * PAGE, PAGE, MADV_HWPOISON))
		err(1, "MADV_HWPOISON");
	expect(pram_commit(dev, &stream, 1) == -EHWPOISON);
	close(stream);
}

static void case_special(enum way way)
{
	char *vdso = (char *)getauxval(AT_SYSINFO_EHDR);
	char *mem = address_space(4, SMALL), sum = 0;
	char *huge = address_space(2 * HUGE_PAGES, HUGE);

	take(way, vdso, 1UL, 0, { "special", 1 });

	/* The zero page, small and huge, and pages that were never touched. */
	for (size_t i = 0; i < 4; i++)
		sum |= *(volatile char *)(mem + i * PAGE);
	sum |= *(volatile char *)huge;
	expect(!sum);
	take(way, mem, 4UL, 0, { "special", 4 });
	take(way, huge, HUGE_PAGES, 0, { "special", HUGE_PAGES });
	take(way, huge + 100 * PAGE, HUGE_PAGES - 100, 0,
	     { "special", HUGE_PAGES - 100 });
	mem = address_space(4, SMALL);
	take(way, mem, 4UL, 0, { "special", 4 });
	save(NODE, way, mem, 4);
	fill(mem, 4, 1);
	expect(filled(mem, 4, 1));
	memset(mem, 0, 4 * PAGE);
	expect_node_is(NODE, mem, 4);
	node_free(NODE);
}

static void case_aio(enum way way)
{
	aio_context_t ctx = 0;
	char *ring;

	if (syscall(SYS_io_setup, 8, &ctx))
		err(1, "io_setup");
	ring = (char *)ctx;
	take(way, ring, 1UL, 0, { "file", 1 });
}

/* An io_uring that has @mem pinned as its buffer 0. */
struct uring {
	int			fd;
	struct io_uring_params	params;
	char			*rings;
	struct io_uring_sqe	*sqes;
};

static struct uring uring_start(void *mem, size_t nr)
{
	struct iovec iov = { mem, nr * PAGE };
	struct uring uring = {};

	uring.fd = syscall(SYS_io_uring_setup, 4, &uring.params);
	if (uring.fd < 0 || syscall(SYS_io_uring_register, uring.fd,
				    IORING_REGISTER_BUFFERS, &iov, 1))
		err(1, "%s: io_uring", probe_what);
	uring.rings = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_POPULATE, uring.fd, IORING_OFF_SQ_RING);
	uring.sqes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, uring.fd, IORING_OFF_SQES);
	if (uring.rings == MAP_FAILED || uring.sqes == MAP_FAILED)
		err(1, "%s: mmap of io_uring", probe_what);
	return uring;
}

/* Have the kernel read a file into the buffer. Return: what came out. */
static int uring_read(struct uring *uring, int file, void *mem, size_t nr)
{
	uint32_t *tail = (uint32_t *)(uring->rings + uring->params.sq_off.tail);
	uint32_t *array = (uint32_t *)(uring->rings + uring->params.sq_off.array);
	uint32_t *head = (uint32_t *)(uring->rings + uring->params.cq_off.head);
	struct io_uring_cqe *cqes =
		(void *)(uring->rings + uring->params.cq_off.cqes);
	uint32_t at = *head & (uring->params.cq_entries - 1);

	array[0] = 0;
	uring->sqes[0] = (struct io_uring_sqe){
		.opcode = IORING_OP_READ_FIXED,
		.fd = file,
		.addr = (uintptr_t)mem,
		.len = nr * PAGE,
	};
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, uring->fd, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) != 1)
		err(1, "%s: io_uring_enter", probe_what);
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return cqes[at].res;
}

static void case_pinned(enum way way)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		size_t nr = FROM_TASK(kind);
		int file = make_file("/ramfs", nr, 2);
		char *mem = memory(nr, kind, 1);
		struct uring uring = uring_start(mem, nr);

		take(way, mem, nr, 0, { "pinned", nr });
		save(NODE, way, mem, nr);
		expect(uring_read(&uring, file, mem, nr) == (int)(nr * PAGE));
		expect(filled(mem, nr, 2));
		expect(node_filled(NODE, nr, 1));
		node_free(NODE);
		close(uring.fd);
		close(file);
	}
}

/*
 * The rear half of a folio that somebody else holds: it cannot be split, and the range
 * begins in the middle of what the task has mapped as one.
 */
static void case_held_part(enum way way)
{
	(void)way;
	for (enum kind kind = MID; kind < NR_KINDS; kind++) {
		const size_t nr = kind_pages[kind], half = nr / 2;
		int file = make_file("/ramfs", nr, 2), fds[2];
		char *mem = memory(nr, kind, 1), *want = malloc(half * PAGE);
		struct uring uring = uring_start(mem, nr);
		struct counters before = counters_now();
		struct iovec iov = { .iov_len = PAGE };

		/* Pinned: what a device writes must not get into the node. */
		memcpy(want, mem + half * PAGE, half * PAGE);
		save(NODE, BY_RANGE, mem + half * PAGE, half);
		counted(&before, { kind == HUGE ? "partial" : "pinned", half });
		expect(uring_read(&uring, file, mem, nr) == (int)(nr * PAGE));
		expect_node_is(NODE, want, half);
		node_free(NODE);
		close(uring.fd);
		close(file);
		munmap(mem, nr * PAGE);

		/* Only referenced: taken over if it can be protected, and who writes gets a copy. */
		mem = memory(nr, kind, 3);
		iov.iov_base = mem;
		if (pipe(fds) || vmsplice(fds[1], &iov, 1, 0) != (ssize_t)PAGE)
			err(1, "vmsplice");
		memcpy(want, mem + half * PAGE, half * PAGE);
		before = counters_now();
		save(NODE, BY_RANGE, mem + half * PAGE, half);
		counted(&before, { kind == HUGE ? "partial" : "adopted", half });
		fill(mem, nr, 4);
		expect_node_is(NODE, want, half);
		expect(filled(mem, nr, 4));
		node_free(NODE);
		close(fds[0]);
		close(fds[1]);
		munmap(mem, nr * PAGE);
		free(want);
	}
}

static long minor_faults(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage))
		err(1, "getrusage");
	return usage.ru_minflt;
}

static void case_asked(enum way way)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		size_t nr = FROM_TASK(kind);
		char *mem = memory(nr, kind, 1);
		struct counters before = counters_now();
		int stream = save_pages(NODE, PRAM_SAVE_COPY);
		long faults;

		append(stream, way, mem, nr);
		commit(stream);
		counted(&before, { "asked", nr });
		/* Nothing of it was protected. */
		faults = minor_faults();
		fill(mem, nr, 2);
		faults = minor_faults() - faults;
		expect(faults < (long)(nr / kind_pages[kind]));
		expect(node_filled(NODE, nr, 1));
		node_free(NODE);

		/* Later: when it is sealed. */
		before = counters_now();
		stream = save_pages(NODE, 0);
		append(stream, way, mem, nr);
		expect(!pram_seal(stream, PRAM_SEAL_COPY));
		fill(mem, nr, 3);
		commit(stream);
		counted(&before, { "adopted", nr }, { "asked", nr });
		expect(node_filled(NODE, nr, 2));
		node_free(NODE);
	}
}

/* Behind bytes that do not fill a page nothing can be taken over. */
static void case_unaligned(enum way way)
{
	char *mem = memory(8, SMALL, 1);
	struct counters before = counters_now();
	int stream = save_pages(NODE, 0);

	(void)way;
	pipe_bytes(stream, mem, 2 * PAGE);
	pipe_bytes(stream, mem + 2 * PAGE, PAGE / 2);
	pipe_bytes(stream, mem + 2 * PAGE + PAGE / 2, PAGE / 2);
	pipe_bytes(stream, mem + 3 * PAGE, 5 * PAGE);
	commit(stream);
	/* Each of the two halves counts as a page. */
	counted(&before, { "adopted", 7 }, { "unaligned", 2 });
	expect(node_filled(NODE, 8, 1));
	node_free(NODE);

	before = counters_now();
	stream = save_pages(NODE, 0);
	pipe_bytes(stream, mem, PAGE / 2);
	/* Whole pages, but not where pages begin. */
	expect(adopt_range(stream, self_pidfd(), mem, 4) == 0);
	pipe_bytes(stream, mem, PAGE / 2);
	commit(stream);
	counted(&before, { "unaligned", 2 }, { "written", 4 });
	node_free(NODE);
}

/*
 * With hardly anything free but the scratch areas, pages are taken from there.
 * Those have to be copied, or moved first.
 */
static void case_scratch(enum way way)
{
	const char *const pool = "/proc/sys/vm/nr_hugepages";
	const size_t nr = 2048;
	long spare, cma, reserved;
	struct counters before;
	uint64_t *pfns = calloc(nr, sizeof(*pfns));
	size_t inside = 0;
	char text[32], *mem = NULL;

	cma = field("/proc/meminfo", "CmaFree:");
	spare = field("/proc/meminfo", "MemFree:") - 2 * cma + 64 * 1024;
	/* Pages of hugetlb cost nothing to make. */
	snprintf(text, sizeof(text), "%ld", spare / 2048);
	write_text(pool, text);
	reserved = read_number(pool);
	if (reserved < spare / 2048 - 16)
		errx(1, "%ld pages of hugetlb only", reserved);

	for (int chunk = 0; chunk < 20 && inside < 16; chunk++) {
		mem = any_memory(nr, SMALL, 1);
		frames(0, mem, nr, pfns);
		inside = 0;
		for (size_t i = 0; i < nr; i++)
			inside += in_scratch(pfns[i]);
	}
	if (inside < 16)
		errx(1, "only %zu of %zu pages are in the scratch areas, %ld kB of %ld are free there",
		     inside, nr, field("/proc/meminfo", "CmaFree:"), cma);

	before = counters_now();
	save(NODE, way, mem, nr);
	if (way == BY_PIPE) {
		counted(&before, { "scratch", inside }, { "adopted", nr - inside });
		expect(same_frames(0, mem, nr, pfns) == nr);
	} else {
		counted(&before, { "adopted", nr }, { "migrated", inside });
		expect(same_frames(0, mem, nr, pfns) == nr - inside);
		frames(0, mem, nr, pfns);
		for (size_t i = 0; i < nr; i++)
			expect(pfns[i] && !in_scratch(pfns[i]));
	}
	expect(filled(mem, nr, 1));
	fill(mem, nr, 2);
	expect(node_filled(NODE, nr, 1));
	node_free(NODE);
	write_text(pool, "0");
	free(pfns);
}

/* Unmapped while it is in a pipe: with the last mapping goes what leads back to it. */
static void case_unmapped(enum way way)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		size_t nr = kind_pages[kind] == 1 ? 256 : kind_pages[kind];
		size_t part = nr < 256 ? nr : 256, done = 0;
		struct counters before = counters_now();
		char *mem = memory(nr, kind, 1);
		struct iovec iov = { mem, part * PAGE };
		int fds[2], stream;

		(void)way;
		if (pipe2(fds, O_CLOEXEC) || fcntl(fds[1], F_SETPIPE_SZ, 1 << 20) < 0 ||
		    vmsplice(fds[1], &iov, 1, SPLICE_F_GIFT) != (ssize_t)(part * PAGE))
			err(1, "vmsplice");
		munmap(mem, nr * PAGE);
		/* What had that place is used for others. */
		for (int i = 0; i < 16; i++) {
			struct other other = other_start();

			other_end(&other);
		}
		stream = save_pages(NODE, 0);
		while (done < part * PAGE) {
			ssize_t n = splice(fds[0], NULL, stream, NULL, part * PAGE - done, 0);

			if (n <= 0)
				err(1, "splice");
			done += n;
		}
		close(fds[0]);
		close(fds[1]);
		commit(stream);
		counted(&before, { kind == HUGE ? "partial" : "adopted", part });
		expect(node_filled(NODE, part, 1));
		node_free(NODE);
	}
}

/*
 * In memory that the next kernel does not have at boot, or that has to be able to leave:
 * moved elsewhere, or copied.
 */
static void case_movable(enum way way)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		size_t nr = FROM_TASK(kind);
		uint64_t *pfns = calloc(nr, sizeof(*pfns));
		char *mem = any_memory(nr, kind, 1);
		struct counters before = counters_now();

		frames(0, mem, nr, pfns);
		for (size_t i = 0; i < nr; i++)
			expect(in_movable(pfns[i]));
		save(NODE, way, mem, nr);
		if (way == BY_PIPE)
			counted(&before, { "scratch", nr });
		else
			counted(&before, { "adopted", nr }, { "migrated", nr });
		expect(same_frames(0, mem, nr, pfns) == (way == BY_PIPE ? nr : 0));
		frames(0, mem, nr, pfns);
		for (size_t i = 0; i < nr && way == BY_RANGE; i++)
			expect(pfns[i] && !in_movable(pfns[i]) && !in_scratch(pfns[i]));
		fill(mem, nr, 2);
		expect(node_filled(NODE, nr, 1));
		node_free(NODE);
		munmap(mem, nr * PAGE);
		free(pfns);
	}
}

/* By ioctl: whatever the protection of the mapping, and over its ends. */
static void case_ranges(enum way way)
{
	char *mem = memory(64, SMALL, 1);
	struct pram_range ranges[] = {
		{ (uintptr_t)mem + 40 * PAGE, 24 * PAGE },
		{ (uintptr_t)mem, 0 },
		{ (uintptr_t)mem, 40 * PAGE },
		{ (uintptr_t)mem + 8 * PAGE, 8 * PAGE },
	};
	struct counters before = counters_now();
	int stream = save_pages(NODE, 0), pidfd = self_pidfd();
	char *copy = malloc(72 * PAGE);
	uint64_t pages;

	(void)way;
	mprotect(mem + 4 * PAGE, 8 * PAGE, PROT_NONE);
	mprotect(mem + 12 * PAGE, 8 * PAGE, PROT_READ);
	mprotect(mem + 36 * PAGE, 8 * PAGE, PROT_READ | PROT_EXEC);
	expect(adopt(stream, pidfd, ranges, 4, &pages) == 0 && pages == 72);
	expect(lseek(stream, 0, SEEK_CUR) == 72 * (off_t)PAGE);
	commit(stream);
	counted(&before, { "adopted", 72 }, { "shared", 8 });
	mprotect(mem, 64 * PAGE, PROT_READ | PROT_WRITE);
	stream = load_pages(NODE, PRAM_LOAD_PEEK);
	expect(pread(stream, copy, 72 * PAGE, 0) == 72 * (ssize_t)PAGE);
	close(stream);
	expect(!memcmp(copy, mem + 40 * PAGE, 24 * PAGE) &&
	       !memcmp(copy + 24 * PAGE, mem, 40 * PAGE) &&
	       !memcmp(copy + 64 * PAGE, mem + 8 * PAGE, 8 * PAGE));
	fill(mem, 64, 2);
	stream = load_pages(NODE, PRAM_LOAD_PEEK);
	expect(pread(stream, copy + 64 * PAGE, 8 * PAGE, 64 * PAGE) == 8 * (ssize_t)PAGE &&
	       !memcmp(copy + 64 * PAGE, copy + 32 * PAGE, 8 * PAGE));
	close(stream);
	node_free(NODE);

	/* Never touched and not to be touched: zeros. */
	mem = address_space(4, SMALL);
	mprotect(mem, 4 * PAGE, PROT_NONE);
	before = counters_now();
	stream = save_pages(NODE, 0);
	expect(adopt_range(stream, pidfd, mem, 4) == 0);
	commit(stream);
	counted(&before, { "special", 4 });
	node_free(NODE);
	free(copy);
	close(pidfd);
}

/* --- what is there --- */

/* linux/fs.h and mman.h may be older. */
struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t inverted, mask, anyof, returned;
};

#define SCAN		_IOWR('f', 16, struct scan_arg)
#define IS_FILE		(1U << 2)
#define IS_PRESENT	(1U << 3)
#define IS_SWAPPED	(1U << 4)
#define IS_ZERO		(1U << 5)
#define IS_GUARD	(1U << 8)
#define GUARD_INSTALL	102
#define REGIONS_MAX	8192U

static size_t add_range(struct pram_range *ranges, size_t nr, uint64_t start, uint64_t end)
{
	if (nr && ranges[nr - 1].start + ranges[nr - 1].len == start)
		ranges[nr - 1].len += end - start;
	else
		ranges[nr++] = (struct pram_range){ start, end - start };
	return nr;
}

/* What CRIU would dump, by the same question to the kernel. */
static size_t criu_would(const char *mem, size_t nr, struct pram_range *ranges)
{
	static struct scan_region regions[REGIONS_MAX];
	struct scan_arg arg = {
		.size = sizeof(arg), .start = (uintptr_t)mem, .end = (uintptr_t)mem + nr * PAGE,
		.vec = (uintptr_t)regions, .vec_len = REGIONS_MAX,
		.inverted = IS_ZERO | IS_FILE, .mask = IS_ZERO | IS_FILE,
		.anyof = IS_PRESENT | IS_SWAPPED, .returned = IS_PRESENT | IS_SWAPPED | IS_GUARD,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	long n = ioctl(fd, SCAN, &arg);
	size_t found = 0;

	if (n < 0 || arg.walk_end != arg.end)
		err(1, "PAGEMAP_SCAN");
	close(fd);
	for (long i = 0; i < n; i++)
		if (!(regions[i].categories & IS_GUARD))
			found = add_range(ranges, found, regions[i].start, regions[i].end);
	return found;
}

static int adopt_present(int stream, const char *mem, size_t nr, struct pram_range *found,
			 uint32_t *nr_found, size_t *done)
{
	struct pram_range left = { (uintptr_t)mem, nr * PAGE };
	int pidfd = self_pidfd();
	int ret = pram_adopt_present(stream, pidfd, &left, found, nr_found);

	if (done)
		*done = nr - left.len / PAGE;
	close(pidfd);
	return ret;
}

/* What must not be read while it is looked for. */
static struct iovec hidden;

/* PRAM finds the same as CRIU does, with room for so many ranges in a call, and takes it. */
static void present_with(const char *mem, size_t nr, uint32_t room, uint32_t flags)
{
	static struct pram_range want[REGIONS_MAX], got[REGIONS_MAX], found[REGIONS_MAX];
	size_t nr_want, nr_got = 0, at = 0, pages = 0;
	char page[PAGE];
	bool same = true;
	int stream;

	mprotect(hidden.iov_base, hidden.iov_len, PROT_NONE);
	nr_want = criu_would(mem, nr, want);
	stream = save_pages(NODE, flags);
	while (at < nr) {
		uint32_t nr_found = room;
		size_t done;

		if (adopt_present(stream, mem + at * PAGE, nr - at, found, &nr_found, &done) ||
		    nr_found > room || !done) {
			expect(!"progress");
			break;
		}
		for (uint32_t i = 0; i < nr_found; i++) {
			nr_got = add_range(got, nr_got, found[i].start,
					   found[i].start + found[i].len);
			/* None is cut but for lack of room. */
			expect(!i || found[i].start != found[i - 1].start + found[i - 1].len);
		}
		at += done;
		expect(at == nr || nr_found == room);
	}
	expect(nr_got == nr_want);
	expect(!memcmp(got, want, nr_want * sizeof(*want)));
	expect(nr_want > 0);
	commit(stream);
	mprotect(hidden.iov_base, hidden.iov_len, PROT_READ | PROT_WRITE);
	stream = load_pages(NODE, PRAM_LOAD_PEEK);
	for (size_t i = 0; i < nr_want; i++)
		for (uint64_t off = 0; off < want[i].len; off += PAGE)
			same &= pread(stream, page, PAGE, pages++ * PAGE) == (ssize_t)PAGE &&
				!memcmp(page, (char *)(uintptr_t)want[i].start + off, PAGE);
	expect(same);
	expect(lseek(stream, 0, SEEK_END) == (off_t)(pages * PAGE));
	close(stream);
	node_free(NODE);
}

static void present_is_found(const char *mem, size_t nr)
{
	present_with(mem, nr, REGIONS_MAX, 0);
	present_with(mem, nr, 1, 0);
	present_with(mem, nr, 3, 0);
	present_with(mem, nr, REGIONS_MAX, PRAM_SAVE_COPY);
}

/* Written to, read, guarded, dropped, forbidden, and never touched, over three tables. */
static char *mixed_pages(size_t nr)
{
	char *mem = address_space(nr, SMALL);

	for (size_t i = 0; i < nr; i++) {
		volatile char *page = mem + i * PAGE;

		switch (i * 7 % 31 % 6) {
		case 0:
		case 1:
			fill((char *)page, 1, i);
			break;
		case 2:
			(void)*page;
			break;
		case 3:
			fill((char *)page, 1, i);
			madvise((char *)page, PAGE, MADV_DONTNEED);
			break;
		case 4:
			if (i % 3 && madvise((char *)page, PAGE, GUARD_INSTALL))
				err(1, "MADV_GUARD_INSTALL");
			break;
		}
	}
	hidden = (struct iovec){ mem + 100 * PAGE, 50 * PAGE };
	mprotect(mem + 500 * PAGE, 30 * PAGE, PROT_READ);
	return mem;
}

static void case_present(enum way way)
{
	const size_t nr = 3 * HUGE_PAGES;
	char *mem = mixed_pages(nr);
	struct pram_range found[4];
	uint32_t nr_found;
	int fd, stream;

	(void)way;
	present_is_found(mem, nr);
	present_is_found(mem + 7 * PAGE, nr - 100);
	hidden.iov_len = 0;

	/* Large folios, whole, with holes, in part; and one of zeros. */
	mem = memory(4 * HUGE_PAGES, HUGE, 1);
	madvise(mem + HUGE_SIZE + 10 * PAGE, 20 * PAGE, MADV_DONTNEED);
	present_is_found(mem, 4 * HUGE_PAGES);
	present_is_found(mem + 2 * HUGE_SIZE + 3 * PAGE, HUGE_PAGES + 9);
	mem = memory(8 * MID_PAGES, MID, 2);
	madvise(mem + 20 * PAGE, 3 * PAGE, MADV_DONTNEED);
	present_is_found(mem, 8 * MID_PAGES);
	mem = address_space(4 * HUGE_PAGES, HUGE);
	fill(mem, 1, 3);
	(void)*(volatile char *)(mem + 2 * HUGE_SIZE);
	fill(mem + 3 * HUGE_SIZE + 5 * PAGE, 1, 4);
	present_is_found(mem, 4 * HUGE_PAGES);

	/* Files: what was written to is the task's own. */
	fd = make_file("/ramfs", 64, 1);
	mem = map_file(fd, 64, MAP_PRIVATE);
	expect(filled(mem, 64, 1));
	nr_found = 4;
	stream = save_pages(NODE, 0);
	expect(!adopt_present(stream, mem, 64, found, &nr_found, NULL) && !nr_found);
	close(stream);
	fill(mem + 9 * PAGE, 20, 2);
	madvise(mem + 12 * PAGE, PAGE, MADV_DONTNEED);
	present_is_found(mem, 64);
	munmap(mem, 64 * PAGE);
	close(fd);
	fd = memfd_create("present", MFD_CLOEXEC);
	if (ftruncate(fd, 64 * PAGE))
		err(1, "ftruncate");
	mem = map_file(fd, 64, MAP_PRIVATE);
	(void)*(volatile char *)mem;
	fill(mem + 3 * PAGE, 5, 3);
	/* Behind the end of the file there is only what was there before. */
	if (ftruncate(fd, PAGE))
		err(1, "ftruncate");
	fill(mem, 1, 4);
	present_is_found(mem, 64);
	munmap(mem, 64 * PAGE);
	close(fd);

	/* Little in much: holes cost nothing. */
	mem = mmap(NULL, 1UL << 44, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		err(1, "no 16 TiB");
	fill(mem + (1UL << 43) + 5 * PAGE, 2, 5);
	fill(mem + (1UL << 44) - PAGE, 1, 6);
	present_is_found(mem, (1UL << 44) / PAGE);
	munmap(mem, 1UL << 44);
}

/* Those that are swapped out among others, and more than one fault away. */
static void case_present_swapped(enum way way)
{
	const size_t nr = 128;
	char *mem = memory(nr, SMALL, 1);

	(void)way;
	madvise(mem + 40 * PAGE, 8 * PAGE, MADV_DONTNEED);
	for (int round = 0; round < 2; round++) {
		uint64_t entries[128];
		size_t out = 0;

		if (madvise(mem, 90 * PAGE, MADV_PAGEOUT))
			err(1, "MADV_PAGEOUT");
		pagemap(0, mem, nr, entries);
		for (size_t i = 0; i < nr; i++)
			out += (entries[i] & PM_SWAP) != 0;
		expect(out == 82);
		present_with(mem, nr, round ? 1 : 100, 0);
	}
	expect(filled(mem, 40, 1));
}

static void case_present_errors(enum way way)
{
	char *mem = memory(8, SMALL, 1), *huge;
	struct pram_ioctl_adopt_present arg = { .size = sizeof(arg), .pidfd = self_pidfd() };
	struct pram_range found[8];
	int stream = save_pages(NODE, 0), bytes;
	uint32_t nr = 8;
	size_t done;

	(void)way;
	write_text("/proc/sys/vm/nr_hugepages", "1");
	huge = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	expect(huge != MAP_FAILED);
	fill(huge, 1, 1);
	expect(adopt_present(stream, huge, HUGE_PAGES, found, &nr, &done) == -EOPNOTSUPP);
	expect(!nr && !done);
	munmap(huge, HUGE_SIZE);
	write_text("/proc/sys/vm/nr_hugepages", "0");

	/* Room. */
	nr = 0;
	expect(adopt_present(stream, mem, 8, found, &nr, NULL) == -EINVAL);
	nr = PRAM_ADOPT_MAX + 1;
	expect(adopt_present(stream, mem, 8, found, &nr, NULL) == -EINVAL);
	nr = 8;
	expect(adopt_present(stream, mem, 8, (void *)8, &nr, NULL) == -EFAULT && !nr);
	close(stream);

	/* Ranges. */
	stream = save_pages(NODE, 0);
	munmap(mem + 5 * PAGE, 3 * PAGE);
	nr = 8;
	expect(adopt_present(stream, mem, 8, found, &nr, &done) == -EFAULT);
	expect(nr == 1 && done == 5 && found[0].start == (uintptr_t)mem && found[0].len == 5 * PAGE);
	expect(lseek(stream, 0, SEEK_END) == 5 * (off_t)PAGE);
	nr = 8;
	expect(adopt_present(stream, mem, 0, found, &nr, NULL) == 0 && !nr);
	arg.found = (uintptr_t)found;
	arg.nr_found = 8;
	arg.start = (uintptr_t)mem + 1;
	arg.end = (uintptr_t)mem + PAGE;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT_PRESENT, &arg) == -1 && errno == EINVAL);
	arg.nr_found = 8;
	arg.start = (uintptr_t)mem + PAGE;
	arg.end = (uintptr_t)mem;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT_PRESENT, &arg) == -1 && errno == EINVAL);
	arg.nr_found = 8;
	arg.start = (uintptr_t)mem;
	arg.end = -PAGE;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT_PRESENT, &arg) == -1 && errno == EINVAL);
	arg.nr_found = 8;
	arg.end = (uintptr_t)mem + PAGE;
	arg.flags = 1;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT_PRESENT, &arg) == -1 && errno == EOPNOTSUPP);
	close(stream);

	/* A page that the hardware has damaged. */
	mem = memory(8, SMALL, 1);
	signal(SIGBUS, on_bus_error);
	if (madvise(mem + 5 * PAGE, PAGE, MADV_HWPOISON))
		err(1, "MADV_HWPOISON");
	stream = save_pages(NODE, 0);
	nr = 8;
	expect(adopt_present(stream, mem, 8, found, &nr, &done) == -EHWPOISON && done == 5);
	close(stream);

	bytes = pram_save(dev, NODE, PRAM_BYTE_STREAM, 0);
	nr = 8;
	expect(adopt_present(bytes, mem, 4, found, &nr, NULL) == -EPERM && !nr);
	close(bytes);
	close(arg.pidfd);
}

/*
 * More than is taken at once, and not from the beginning of a huge page on: none but the
 * first is split. And the same in small pages, with holes.
 */
static void case_much(enum way way)
{
	size_t nr = 20 * HUGE_PAGES;
	char *mem = memory(nr, HUGE, 1);

	(void)way;
	take(BY_RANGE, mem + PAGE, nr - 1, HUGE_PAGES - 1 + 19, { "adopted", nr - 1 },
	     { "split", HUGE_PAGES });
	expect(filled(mem, nr, 1));
	munmap(mem, nr * PAGE);

	mem = memory(nr, SMALL, 2);
	for (size_t i = 100; i < nr; i += 3000)
		if (madvise(mem + i * PAGE, PAGE, MADV_DONTNEED))
			err(1, "MADV_DONTNEED");
	take(BY_RANGE, mem, nr, 0, { "adopted", nr - (nr - 100 + 2999) / 3000 },
	     { "special", (nr - 100 + 2999) / 3000 });
}

/* Swapped out, and so not to be found where it was. /dev/ram0 is swap space. */
static void case_swapped(enum way way)
{
	const size_t nr = 64;
	char *mem = memory(nr, SMALL, 1);
	uint64_t *entries = calloc(nr, sizeof(*entries));
	struct counters before;
	int fds[2], stream;
	size_t out = 0;

	/* Out while in a pipe: it cannot go before the pipe is read. */
	if (way == BY_PIPE) {
		struct iovec iov = { mem, nr * PAGE };

		if (pipe2(fds, O_CLOEXEC) || fcntl(fds[1], F_SETPIPE_SZ, 1 << 20) < 0 ||
		    vmsplice(fds[1], &iov, 1, SPLICE_F_GIFT) != (ssize_t)(nr * PAGE))
			err(1, "vmsplice");
	}
	if (madvise(mem, nr * PAGE, MADV_PAGEOUT))
		err(1, "MADV_PAGEOUT");
	pagemap(0, mem, nr, entries);
	for (size_t i = 0; i < nr; i++)
		out += (entries[i] & PM_SWAP) != 0;
	expect(out == nr);

	before = counters_now();
	stream = save_pages(NODE, 0);
	if (way == BY_PIPE) {
		ssize_t n, done = 0;

		while (done < (ssize_t)(nr * PAGE) &&
		       (n = splice(fds[0], NULL, stream, NULL, nr * PAGE - done, 0)) > 0)
			done += n;
		close(fds[0]);
		close(fds[1]);
	} else {
		expect(adopt_range(stream, self_pidfd(), mem, nr) == 0);
	}
	commit(stream);
	if (way == BY_PIPE)
		counted(&before, { "swapped", nr });
	else
		counted(&before, { "adopted", nr });
	expect(node_filled(NODE, nr, 1));
	expect(filled(mem, nr, 1));
	fill(mem, nr, 2);
	expect(node_filled(NODE, nr, 1));
	node_free(NODE);
	free(entries);
}

/* A task that is not stopped. */
struct racer {
	volatile uint64_t	*words;
	size_t			nr;
	volatile bool		stop;
};

/* Swapped out again all the time, and so perhaps before it is found. */
static void *reclaim_main(void *arg)
{
	struct racer *racer = arg;

	while (!racer->stop)
		madvise((void *)racer->words, racer->nr * PAGE, MADV_PAGEOUT);
	return NULL;
}

static void case_reclaimed(enum way way)
{
	const size_t nr = 256;
	struct racer racer = { .nr = nr };
	pthread_t thread;

	(void)way;
	racer.words = memory(nr, SMALL, 1);
	if (pthread_create(&thread, NULL, reclaim_main, &racer))
		errx(1, "pthread_create");
	for (int round = 0; round < 20; round++) {
		int stream = save_pages(NODE, 0);

		expect(adopt_range(stream, self_pidfd(), (void *)racer.words, nr) == 0);
		commit(stream);
		expect(node_filled(NODE, nr, 1));
		node_free(NODE);
	}
	racer.stop = true;
	pthread_join(thread, NULL);
}

/* --- a node never changes --- */

struct guarded {
	char	*mem;
	size_t	nr;
	/* A process that was forked before; it has the memory as it was. */
	struct other before;
};

/* Each writes what seed 2 gives; what was saved was that of seed 1. */

static void write_self(struct guarded *guarded)
{
	fill(guarded->mem, guarded->nr, 2);
}

static void write_forked_before(struct guarded *guarded)
{
	expect(other_do(&guarded->before, DO_FILL, guarded->mem, guarded->nr, 3));
	expect(filled(guarded->mem, guarded->nr, 1));
	expect(node_filled(NODE, guarded->nr, 1));
	write_self(guarded);
	expect(other_do(&guarded->before, DO_CHECK, guarded->mem, guarded->nr, 3));
}

static void write_forked_after(struct guarded *guarded)
{
	struct other other = other_start();

	expect(other_do(&other, DO_FILL, guarded->mem, guarded->nr, 3));
	expect(filled(guarded->mem, guarded->nr, 1));
	expect(node_filled(NODE, guarded->nr, 1));
	write_self(guarded);
	expect(other_do(&other, DO_CHECK, guarded->mem, guarded->nr, 3));
	other_end(&other);
}

static void write_fork_gone(struct guarded *guarded)
{
	struct other other = other_start();

	other_end(&other);
	other_end(&guarded->before);
	write_self(guarded);
	guarded->before = other_start();
}

/* For writers from outside: it is in private memory of theirs. */
static char *other_data(struct guarded *guarded)
{
	char *data = malloc(guarded->nr * PAGE);

	fill(data, guarded->nr, 2);
	return data;
}

static void child_proc_mem(void *arg)
{
	struct guarded *guarded = arg;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
	fd = open(path, O_RDWR | O_CLOEXEC);
	expect(pwrite(fd, other_data(guarded), guarded->nr * PAGE,
		      (uintptr_t)guarded->mem) == (ssize_t)(guarded->nr * PAGE));
}

static void write_proc_mem(struct guarded *guarded)
{
	expect(in_child(child_proc_mem, guarded) == 0);
}

static void child_vm_writev(void *arg)
{
	struct guarded *guarded = arg;
	struct iovec local = { other_data(guarded), guarded->nr * PAGE };
	struct iovec remote = { guarded->mem, guarded->nr * PAGE };

	expect(process_vm_writev(getppid(), &local, 1, &remote, 1, 0) ==
	       (ssize_t)(guarded->nr * PAGE));
}

static void write_vm_writev(struct guarded *guarded)
{
	expect(in_child(child_vm_writev, guarded) == 0);
}

static void child_poke(void *arg)
{
	struct guarded *guarded = arg;
	long *data = (long *)other_data(guarded);
	long *to = (long *)guarded->mem;
	pid_t pid = getppid();
	int status;

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) ||
	    waitpid(pid, &status, __WALL) != pid)
		err(1, "ptrace");
	for (size_t i = 0; i < guarded->nr * PAGE / sizeof(*to); i += 64)
		expect(!ptrace(PTRACE_POKEDATA, pid, to + i, data[i]));
	ptrace(PTRACE_DETACH, pid, 0, 0);
}

static void write_poke(struct guarded *guarded)
{
	char *was = malloc(guarded->nr * PAGE);
	long *then = (long *)was, *now = (long *)guarded->mem;
	long *data = (long *)other_data(guarded);

	memcpy(was, guarded->mem, guarded->nr * PAGE);
	expect(in_child(child_poke, guarded) == 0);
	for (size_t i = 0; i < guarded->nr * PAGE / sizeof(*now); i++) {
		if (now[i] != (i % 64 ? then[i] : data[i])) {
			expect(!"what was poked is there");
			break;
		}
	}
	free(was);
	free(data);
	expect(node_filled(NODE, guarded->nr, 1));
	write_self(guarded);
}

/* Even where the task itself may only read. */
static void write_poke_forced(struct guarded *guarded)
{
	mprotect(guarded->mem, guarded->nr * PAGE, PROT_READ);
	expect(in_child(child_poke, guarded) == 0);
	expect(node_filled(NODE, guarded->nr, 1));
	mprotect(guarded->mem, guarded->nr * PAGE, PROT_READ | PROT_WRITE);
	write_self(guarded);
}

static void write_remapped(struct guarded *guarded)
{
	char *to = address_space(guarded->nr, guarded->nr % HUGE_PAGES ? SMALL : HUGE);

	if (mremap(guarded->mem, guarded->nr * PAGE, guarded->nr * PAGE,
		   MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		err(1, "mremap");
	guarded->mem = to;
	write_self(guarded);
}

static void write_protected(struct guarded *guarded)
{
	mprotect(guarded->mem, guarded->nr * PAGE, PROT_NONE);
	mprotect(guarded->mem, guarded->nr * PAGE, PROT_READ);
	mprotect(guarded->mem, guarded->nr * PAGE, PROT_READ | PROT_WRITE);
	write_self(guarded);
}

static void write_soft_dirty(struct guarded *guarded)
{
	uint64_t *entries = calloc(guarded->nr, sizeof(*entries));

	write_text("/proc/self/clear_refs", "4");
	write_self(guarded);
	pagemap(0, guarded->mem, guarded->nr, entries);
	for (size_t i = 0; i < guarded->nr; i++)
		expect(entries[i] & PM_SOFT_DIRTY);
	free(entries);
}

/* A huge page that is no longer mapped as one. */
static void write_split(struct guarded *guarded)
{
	madvise(guarded->mem, PAGE, MADV_DONTNEED);
	write_self(guarded);
}

static void write_collapsed(struct guarded *guarded)
{
	char *start = guarded->mem;

	if (guarded->nr % HUGE_PAGES == 0) {
		mprotect(start + PAGE, PAGE, PROT_READ);
		mprotect(start + PAGE, PAGE, PROT_READ | PROT_WRITE);
		/* May fail, and must not do harm if it does not. */
		madvise(start, HUGE_SIZE, 25 /* MADV_COLLAPSE */);
	}
	write_self(guarded);
}

static void write_populate(struct guarded *guarded)
{
	expect(!madvise(guarded->mem, guarded->nr * PAGE, MADV_POPULATE_WRITE));
	expect(filled(guarded->mem, guarded->nr, 1));
	write_self(guarded);
}

static void write_uring(struct guarded *guarded)
{
	int file = make_file("/ramfs", guarded->nr, 2);
	struct uring uring = uring_start(guarded->mem, guarded->nr);

	expect(uring_read(&uring, file, guarded->mem, guarded->nr) ==
	       (int)(guarded->nr * PAGE));
	close(uring.fd);
	close(file);
}

/* A pipe has the pages, too. */
static void write_piped(struct guarded *guarded)
{
	size_t nr = guarded->nr < 256 ? guarded->nr : 256;
	struct iovec iov = { guarded->mem, nr * PAGE };
	char *got = malloc(nr * PAGE);
	size_t done = 0;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) || fcntl(fds[1], F_SETPIPE_SZ, 1 << 20) < 0 ||
	    vmsplice(fds[1], &iov, 1, SPLICE_F_GIFT) != (ssize_t)(nr * PAGE))
		err(1, "vmsplice");
	write_self(guarded);
	while (done < nr * PAGE) {
		ssize_t n = read(fds[0], got + done, nr * PAGE - done);

		if (n <= 0)
			err(1, "read of a pipe");
		done += n;
	}
	/* What was there when it was put there. */
	expect(filled(got, nr, 1));
	free(got);
	close(fds[0]);
	close(fds[1]);
}

static void write_pageout(struct guarded *guarded)
{
	if (madvise(guarded->mem, guarded->nr * PAGE, MADV_PAGEOUT))
		err(1, "MADV_PAGEOUT");
	expect(filled(guarded->mem, guarded->nr, 1));
	write_self(guarded);
}

static void guard(enum way way, enum kind kind, void (*writer)(struct guarded *))
{
	size_t nr = FROM_TASK(kind);
	struct guarded guarded = { .nr = nr };

	guarded.mem = memory(nr, kind, 1);
	if (writer == write_forked_before || writer == write_fork_gone)
		guarded.before = other_start();
	save(NODE, way, guarded.mem, nr);
	expect(filled(guarded.mem, nr, 1));
	writer(&guarded);
	expect(filled(guarded.mem, nr, 2));
	expect(node_filled(NODE, nr, 1));
	/* Nor does what is freed change the task. */
	node_free(NODE);
	expect(filled(guarded.mem, nr, 2));
	fill(guarded.mem, nr, 4);
	expect(filled(guarded.mem, nr, 4));
	if (guarded.before.pid)
		other_end(&guarded.before);
}

#define GUARD(name)							\
	static void case_##name(enum way way)				\
	{								\
		for (enum kind kind = SMALL; kind < NR_KINDS; kind++)	\
			guard(way, kind, write_##name);			\
	}

GUARD(self)
GUARD(forked_before)
GUARD(forked_after)
GUARD(fork_gone)
GUARD(proc_mem)
GUARD(vm_writev)
GUARD(poke)
GUARD(poke_forced)
GUARD(remapped)
GUARD(protected)
GUARD(soft_dirty)
GUARD(split)
GUARD(collapsed)
GUARD(populate)
GUARD(uring)
GUARD(piped)
GUARD(pageout)

/* A task that is not stopped: what it writes while its pages are taken. */
static void *race_main(void *arg)
{
	struct racer *racer = arg;

	while (!racer->stop)
		for (size_t i = 0; i < racer->nr; i++)
			racer->words[i * PAGE / sizeof(uint64_t)]++;
	return NULL;
}

/* And what devices write, to pages that are pinned while their like are taken. */
static void *race_pinned_main(void *arg)
{
	struct racer *racer = arg;
	int files[] = { make_file("/ramfs", racer->nr, 2), make_file("/ramfs", racer->nr, 3) };

	while (!racer->stop) {
		struct uring uring = uring_start((void *)racer->words, racer->nr);

		for (int i = 0; i < 6; i++)
			expect(uring_read(&uring, files[i % 2], (void *)racer->words, racer->nr) ==
			       (int)(racer->nr * PAGE));
		munmap(uring.rings, 2 * PAGE);
		munmap(uring.sqes, PAGE);
		close(uring.fd);
	}
	close(files[0]);
	close(files[1]);
	return NULL;
}

static void race(enum way way, enum kind kind, void *(*main)(void *))
{
	size_t nr = FROM_TASK(kind);
	struct racer racer = { .nr = nr };
	char *one = malloc(nr * PAGE), *two = malloc(nr * PAGE);
	pthread_t thread;
	int stream;

	racer.words = memory(nr, kind, 1);
	if (pthread_create(&thread, NULL, main, &racer))
		errx(1, "pthread_create");
	for (int round = 0; round < (main == race_main ? 4 : 12); round++) {
		save(NODE, way, (void *)racer.words, nr);
		stream = load_pages(NODE, PRAM_LOAD_PEEK);
		expect(pread(stream, one, nr * PAGE, 0) == (ssize_t)(nr * PAGE));
		usleep(10000);
		expect(pread(stream, two, nr * PAGE, 0) == (ssize_t)(nr * PAGE));
		expect(!memcmp(one, two, nr * PAGE));
		close(stream);
		node_free(NODE);
	}
	racer.stop = true;
	pthread_join(thread, NULL);
	free(one);
	free(two);
}

static void case_race(enum way way)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++)
		race(way, kind, race_main);
}

static void case_race_pinned(enum way way)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++)
		race(way, kind, race_pinned_main);
}

/* --- a save that is discarded --- */

static void child_killed(void *arg)
{
	struct guarded *guarded = arg;
	int stream = save_pages(NODE, 0);
	int pidfd = syscall(SYS_pidfd_open, getppid(), 0);

	expect(adopt_range(stream, pidfd, guarded->mem, guarded->nr) == 0);
	fflush(stdout);
	kill(getpid(), SIGKILL);
}

static void case_discarded(enum way way)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		size_t nr = FROM_TASK(kind);
		struct guarded guarded = { .nr = nr };
		uint64_t *pfns = calloc(nr, sizeof(*pfns));
		long held = counter("data_pages");
		int stream = save_pages(NODE, 0);
		char *mem = memory(nr, kind, 1);

		guarded.mem = mem;
		frames(0, mem, nr, pfns);
		append(stream, way, mem, nr);
		expect(counter("data_pages") == held + (long)nr);
		close(stream);
		expect(counter("data_pages") == held);
		expect(in_child(child_killed, &guarded) == SIGKILL);
		expect(counter("data_pages") == held);

		expect(same_frames(0, mem, nr, pfns) == nr);
		expect(filled(mem, nr, 1));
		fill(mem, nr, 2);
		expect(filled(mem, nr, 2));
		if (kind == HUGE)
			expect(smaps_field(0, mem, "AnonHugePages:") == (long)nr * 4);
		free(pfns);
	}
}

/* --- errors --- */

static void child_without_right(void *arg)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = {};
	struct pram_range range = { (uintptr_t)arg, PAGE };
	int stream = save_pages(NODE, 0), pidfd;
	int done[2];
	uint64_t pages;
	pid_t pid;
	char c;

	if (pipe(done))
		err(1, "pipe");
	pid = fork();
	if (!pid) {
		if (setresuid(65534, 65534, 65534) || write(done[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(done[1]);
	if (read(done[0], &c, 1) != 1)
		errx(1, "no child of another user");
	close(done[0]);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	/* All that /dev/pram asks for, but not to look into others. */
	caps[0].effective = caps[0].permitted = 1U << CAP_SYS_ADMIN | 1U << CAP_KILL;
	if (syscall(SYS_capset, &header, caps))
		err(1, "capset");
	expect(adopt(stream, pidfd, &range, 1, &pages) == -EACCES && pages == 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void case_errors(enum way way)
{
	char *mem = memory(8, SMALL, 1);
	struct pram_range good = { (uintptr_t)mem, 2 * PAGE };
	struct pram_range ranges[2] = { good, good };
	struct {
		struct pram_ioctl_adopt arg;
		uint64_t more;
	} longer = { .arg = { .size = sizeof(longer) } };
	int stream = save_pages(NODE, 0), bytes, load, pidfd = self_pidfd(), fd;
	uint64_t pages;
	pid_t pid;

	(void)way;
	/* Who. */
	expect(adopt(stream, -1, &good, 1, &pages) == -EBADF && pages == 0);
	expect(adopt(stream, dev, &good, 1, &pages) == -EBADF && pages == 0);
	pid = fork();
	if (!pid)
		_exit(0);
	fd = syscall(SYS_pidfd_open, pid, 0);
	waitid(P_PID, pid, NULL, WEXITED | WNOWAIT);
	expect(adopt(stream, fd, &good, 1, &pages) == -ESRCH && pages == 0);
	waitpid(pid, NULL, 0);
	expect(adopt(stream, fd, &good, 1, &pages) == -ESRCH && pages == 0);
	close(fd);

	/* What. */
	ranges[1].start++;
	expect(adopt(stream, pidfd, ranges, 2, &pages) == -EINVAL);
	ranges[1] = good;
	ranges[1].len--;
	expect(adopt(stream, pidfd, ranges, 2, &pages) == -EINVAL);
	ranges[1].start = -PAGE;
	ranges[1].len = PAGE;
	expect(adopt(stream, pidfd, ranges, 2, NULL) == -EINVAL);
	ranges[1].start = PAGE;
	ranges[1].len = -PAGE;
	expect(adopt(stream, pidfd, ranges, 2, NULL) == -EINVAL);
	close(stream);
	stream = save_pages(NODE, 0);
	munmap(mem + 6 * PAGE, 2 * PAGE);
	ranges[1] = (struct pram_range){ (uintptr_t)mem + 4 * PAGE, 4 * PAGE };
	expect(adopt(stream, pidfd, ranges, 2, &pages) == -EFAULT && pages == 4);
	expect(lseek(stream, 0, SEEK_END) == 4 * (off_t)PAGE);
	/* It goes on from there, and nowhere else. */
	expect(lseek(stream, 0, SEEK_SET) == -1 && errno == EINVAL);
	expect(lseek(stream, PAGE, SEEK_CUR) == -1 && errno == EINVAL);
	expect(lseek(stream, 4 * PAGE, SEEK_SET) == 4 * (off_t)PAGE);
	expect(adopt(stream, pidfd, &good, 1, &pages) == 0 && pages == 2);
	expect(adopt(stream, pidfd, NULL, 0, &pages) == 0 && pages == 0);
	expect(adopt(stream, pidfd, (void *)8, 1, &pages) == -EFAULT);
	expect(adopt(stream, pidfd, &good, PRAM_ADOPT_MAX + 1, NULL) == -EINVAL);

	/* The structure. */
	longer.arg.pidfd = pidfd;
	longer.more = 1;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT, &longer) == -1 && errno == E2BIG);
	longer.more = 0;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT, &longer) == 0);
	longer.arg.flags = 1U << 30;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT, &longer) == -1 && errno == EOPNOTSUPP);
	longer.arg.flags = 0;
	longer.arg.size = sizeof(longer.arg) - 1;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT, &longer) == -1 && errno == EINVAL);
	expect(ioctl(stream, PRAM_IOCTL_ADOPT, NULL) == -1 && errno == EFAULT);
	expect(ioctl(dev, PRAM_IOCTL_ADOPT, &longer) == -1 && errno == ENOTTY);

	/* The stream. */
	expect(!pram_seal(stream, 0));
	expect(adopt(stream, pidfd, &good, 1, &pages) == -EPERM && pages == 0);
	expect(!pram_commit(dev, &stream, 1));
	expect(adopt(stream, pidfd, &good, 1, &pages) == -ESTALE);
	close(stream);
	load = load_pages(NODE, 0);
	expect(adopt(load, pidfd, &good, 1, &pages) == -EBADF);
	close(load);
	node_free(NODE);
	bytes = pram_save(dev, NODE, PRAM_BYTE_STREAM, 0);
	expect(adopt(bytes, pidfd, &good, 1, &pages) == -EPERM && pages == 0);
	/* Nor are pages taken over that come to it in a pipe. */
	{
		struct counters before = counters_now();

		pipe_bytes(bytes, mem, 2 * PAGE);
		counted(&before, {});
	}
	close(bytes);

	expect(in_child(child_without_right, mem) == 0);
	close(pidfd);
}

/* --- tasks that are killed when they were dumped --- */

#define DYING		"/run/dying"
#define DYING_FILE	DYING "/file"
#ifndef __NR_mseal
#define __NR_mseal	462
#endif

enum mapping {
	PLAIN,		/* shared, and written to */
	PRIVATE,	/* written to in part, so there are pages of both kinds */
	SEALED,		/* may not be unmapped */
	WATCHED,	/* another one wants to know when it is, and does not look */
	NR_MAPPINGS,
};

/* A task whose memory is @mem, and that maps a file of a file system at @file. */
struct dying {
	char		*mem;
	char		*file;
	enum mapping	mapping;
	int		ready[2];
	int		watch;		/* its userfaultfd, or -1 */
};

/* Have a userfaultfd that is told of unmapping. */
static int dying_watch(void *mem, size_t nr)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_EVENT_UNMAP };
	struct uffdio_register range = {
		.range = { (uintptr_t)mem, nr * PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range))
		err(1, "userfaultfd");
	return fd;
}

static void dying_main(void *arg)
{
	struct dying *dying = arg;
	int flags = MAP_FIXED | (dying->mapping == PRIVATE ? MAP_PRIVATE : MAP_SHARED);
	int fd = open(DYING_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600), watch = -1;

	if (fd < 0 || ftruncate(fd, 8 * PAGE) ||
	    mmap(dying->file, 8 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0) != dying->file)
		err(1, "cannot map " DYING_FILE);
	close(fd);
	fill(dying->file + PAGE, 3, 7);
	if (dying->mapping == SEALED && syscall(__NR_mseal, dying->file, 8 * PAGE, 0))
		err(1, "mseal");
	if (dying->mapping == WATCHED)
		watch = dying_watch(dying->file, 8);
	if (write(dying->ready[1], &watch, sizeof(watch)) != sizeof(watch))
		err(1, "pipe");
	for (;;)
		pause();
}

static pid_t dying_start(struct dying *dying)
{
	int watch;
	pid_t pid;

	if (pipe2(dying->ready, O_CLOEXEC))
		err(1, "pipe");
	pid = fork();
	if (!pid)
		dying_main(dying);
	if (read(dying->ready[0], &watch, sizeof(watch)) != sizeof(watch))
		errx(1, "the task has not started");
	dying->watch = watch;
	close(dying->ready[0]);
	close(dying->ready[1]);
	return pid;
}

static bool reads_as(pid_t pid, void *mem, size_t nr, uint64_t seed)
{
	char *copy = malloc(nr * PAGE);
	struct iovec local = { copy, nr * PAGE }, remote = { mem, nr * PAGE };
	bool same = process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)(nr * PAGE) &&
		    filled(copy, nr, seed);

	free(copy);
	return same;
}

static bool unmounted(void)
{
	return !umount(DYING);
}

static bool is_busy(void)
{
	return umount(DYING) && errno == EBUSY;
}

static void dying_with(enum mapping mapping)
{
	struct dying dying = {
		.mem = memory(64, SMALL, 1), .file = address_space(8, SMALL), .mapping = mapping,
	};
	int opener = pram_open(), watch = -1, stream, pidfd;
	pid_t pid;

	if (mount("none", DYING, "tmpfs", 0, NULL))
		err(1, "cannot mount a tmpfs");
	pid = dying_start(&dying);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (dying.watch >= 0)
		watch = syscall(SYS_pidfd_getfd, pidfd, dying.watch, 0);
	expect(mapping != WATCHED || watch >= 0);
	stream = save_pages(NODE, 0);
	expect(!adopt_range(stream, pidfd, dying.mem, 64));
	if (mapping == PRIVATE)
		expect(!adopt_range(stream, pidfd, dying.file + PAGE, 3));
	expect(!pram_commit_dying(opener, &stream, 1));
	close(stream);
	expect(reads_as(pid, dying.mem, 64, 1) && reads_as(pid, dying.file + PAGE, 3, 7));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* What it had is there until it is let go of, and then at once is not. */
	expect(is_busy());
	close(opener);
	expect(unmounted());
	if (mapping != PRIVATE)
		expect(node_filled(NODE, 64, 1));
	node_free(NODE);
	close(pidfd);
	if (watch >= 0)
		close(watch);
}

/* The device is closed too early, or by whoever was killed: then nothing happens to the task. */
static void dying_not(void)
{
	struct dying dying = { .mem = memory(64, SMALL, 1), .file = address_space(8, SMALL) };
	int opener = pram_open(), stream, pidfd;
	pid_t pid;

	if (mount("none", DYING, "tmpfs", 0, NULL))
		err(1, "cannot mount a tmpfs");
	pid = dying_start(&dying);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	stream = save_pages(NODE, 0);
	expect(!adopt_range(stream, pidfd, dying.mem, 64));
	expect(!pram_commit_dying(opener, &stream, 1));
	close(stream);
	close(opener);
	expect(reads_as(pid, dying.mem, 64, 1) && reads_as(pid, dying.file + PAGE, 3, 7));
	expect(is_busy());
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	expect(unmounted());
	expect(node_filled(NODE, 64, 1));
	node_free(NODE);
	close(pidfd);
}

/* Mapped by nobody who lives: a load of it in the same kernel need not copy. */
static void dying_is_loaded(void)
{
	struct dying dying = { .mem = any_memory(512, SMALL, 1), .file = address_space(8, SMALL) };
	int opener = pram_open(), stream, pidfd;
	char *mem = address_space(512, SMALL);
	struct counters before;
	pid_t pid;

	if (mount("none", DYING, "tmpfs", 0, NULL))
		err(1, "cannot mount a tmpfs");
	pid = dying_start(&dying);
	munmap(dying.mem, 512 * PAGE);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	stream = save_pages(NODE, 0);
	expect(!adopt_range(stream, pidfd, dying.mem, 512));
	expect(!pram_commit_dying(opener, &stream, 1));
	close(stream);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	before = counters_now();
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	expect(!map_range(stream, mem, 0, 512, NULL));
	expect(counters_now().value[MAPPED] - before.value[MAPPED] == 512);
	expect(filled(mem, 512, 1));
	commit(stream);
	close(opener);
	expect(unmounted());
	close(pidfd);
}

static void case_dying(enum way way)
{
	(void)way;
	mkdir(DYING, 0700);
	for (enum mapping mapping = PLAIN; mapping < NR_MAPPINGS; mapping++)
		dying_with(mapping);
	dying_not();
	dying_is_loaded();
	rmdir(DYING);
}

/* --- */

struct test_case {
	const char	*name;
	void		(*run)(enum way way);
	/* There is only one way, or it makes no difference. */
	bool		once;
	/* Not run unless named. */
	bool		special;
};

#define CASE(name)	{ #name, case_##name, false, false }

static const struct test_case cases[] = {
	CASE(whole), CASE(partial), CASE(interrupted), CASE(shared), CASE(ksm),
	CASE(file), CASE(shmem), CASE(hugetlb), CASE(special), CASE(aio),
	CASE(pinned), CASE(asked), CASE(discarded),
	{ "unaligned", case_unaligned, true, false },
	{ "parts", case_parts, true, false },
	{ "held_part", case_held_part, true, false },
	{ "unmapped", case_unmapped, true, false },
	{ "secret", case_secret, true, false },
	{ "poisoned", case_poisoned, false, false },
	{ "ranges", case_ranges, true, false },
	{ "much", case_much, true, false },
	{ "present", case_present, true, false },
	{ "present_errors", case_present_errors, true, false },
	{ "dying", case_dying, true, false },
	{ "errors", case_errors, true, false },
	CASE(self), CASE(forked_before), CASE(forked_after), CASE(fork_gone),
	CASE(proc_mem), CASE(poke), CASE(poke_forced), CASE(remapped),
	CASE(protected), CASE(soft_dirty), CASE(split), CASE(collapsed),
	CASE(populate), CASE(uring), CASE(piped), CASE(race), CASE(race_pinned),
	{ "scratch", case_scratch, false, true },
	{ "movable", case_movable, false, true },
	{ "swapped", case_swapped, false, true },
	{ "present_swapped", case_present_swapped, true, true },
	{ "reclaimed", case_reclaimed, true, true },
	{ "pageout", case_pageout, false, true },
	{ "vm_writev", case_vm_writev, false, true },
};

#define NR_CASES	(sizeof(cases) / sizeof(*cases))

struct job {
	const struct test_case	*test;
	enum way		way;
};

static void run_job(void *arg)
{
	struct job *job = arg;

	job->test->run(job->way);
}

static void run(const struct test_case *test)
{
	for (enum way way = BY_PIPE; way < NR_WAYS; way++) {
		struct job job = { test, way };
		long data = counter("data_pages"), meta = counter("meta_pages");
		int status;

		snprintf(probe_what, sizeof(probe_what), "%s%s%s", test->name,
			 test->once ? "" : ", by ", test->once ? "" : way_names[way]);
		status = in_child(run_job, &job);
		if (status) {
			printf("%s: status %#x\n", probe_what, status);
			nr_failed++;
		}
		expect(counter("data_pages") == data);
		expect(counter("meta_pages") == meta);
		if (test->once)
			break;
	}
}

int main(int argc, char **argv)
{
	dev_open();
	/* PRAM's directory stays once there was a node. */
	close(save_pages(NODE, 0));
	for (size_t i = 0; i < NR_CASES && argc == 1; i++)
		if (!cases[i].special)
			run(&cases[i]);
	for (int arg = 1; arg < argc; arg++) {
		size_t i;

		for (i = 0; i < NR_CASES && strcmp(argv[arg], cases[i].name); i++)
			;
		if (i == NR_CASES)
			errx(2, "there is no case '%s'", argv[arg]);
		run(&cases[i]);
	}
	return probe_result();
}
