// SPDX-License-Identifier: GPL-2.0-only
/*
 * Huge pages of hugetlb that nodes have, seen from outside: what is taken over and what
 * is copied; that a node never changes, whoever writes; what a load gives to tasks; and
 * that the pool has as many pages afterwards as before.
 *
 *	hugetlb [CASE]...
 *	hugetlb save FILE
 *	hugetlb load FILE [spoil]
 *	hugetlb hold READY RESULT
 *
 * Runs these cases, or all of them, each in a process of its own. "save" leaves nodes to be
 * loaded after a kexec, and their frames in FILE; "load" loads them, and expects the very
 * same. With "spoil" it writes to all of it and dies before the end, so that another one
 * can try.
 *
 * "hold" is to be checkpointed: it has memory of hugetlb of each sort, 4 huge pages, of
 * which it leaves the second one alone, and writes its pid to READY. On SIGUSR1 it looks at
 * it, on SIGUSR2 it writes something else to each byte; then "PASS" or what is wrong is in
 * RESULT, and in RESULT.frames how many huge pages are where they were in the beginning.
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
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

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

/* --- memory --- */

enum sort {
	PRIVATE,
	ANON,		/* shared */
	MEMFD,
	SYSV,
	NR_SORTS,
};

static const char *const sort_names[NR_SORTS] = { "private", "anonymous", "memfd", "SysV" };

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

static struct object object(enum sort sort, size_t nr, uint64_t seed)
{
	struct object obj = object_new(sort, nr);

	fill(obj.mem, nr * HUGE_PAGES, seed);
	return obj;
}

static void object_end(struct object *obj)
{
	if (obj->sort == SYSV)
		shmdt(obj->mem);
	else
		munmap(obj->mem, obj->nr * HUGE_SIZE);
	if (obj->fd >= 0)
		close(obj->fd);
}

/* The frames of what is mapped; to look at them touches nothing. */
static void object_frames(const struct object *obj, uint64_t *pfns)
{
	for (size_t i = 0; i < obj->nr; i++)
		frames(0, obj->mem + i * HUGE_SIZE, 1, &pfns[i]);
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

static void append_object(int stream, const struct object *obj)
{
	struct pram_range range = { 0, obj->nr * HUGE_SIZE };
	uint64_t pages;

	if (obj->sort == PRIVATE) {
		append(stream, BY_RANGE, obj->mem, obj->nr * HUGE_PAGES);
		return;
	}
	expect(!adopt_file(stream, obj->fd, &range, 1, &pages));
	expect(pages == obj->nr * HUGE_PAGES);
}

static void save_object(const char *name, const struct object *obj)
{
	int stream = save_pages(name, 0);

	append_object(stream, obj);
	commit(stream);
}

static void case_sorts(void)
{
	const size_t nr = 2;

	for (enum sort sort = PRIVATE; sort < NR_SORTS; sort++) {
		struct pram_node_stat stat;
		struct counters before;
		struct object obj;
		uint64_t pfns[2], now[2];
		int stream;

		snprintf(probe_what, sizeof(probe_what), "sorts, %s", sort_names[sort]);
		pool_set(3);
		obj = object(sort, nr, 1);
		object_frames(&obj, pfns);
		before = counters_now();
		save_object(NODE, &obj);
		counted(&before, { "adopted", nr * HUGE_PAGES });
		expect(!pram_stat(dev, NODE, &stat));
		expect(stat.nr_folios == nr && stat.adopted_pages == nr * HUGE_PAGES);
		expect(node_filled(NODE, nr * HUGE_PAGES, 1));
		expect_pool(3, 1, 0);

		/* What is written now are copies. They are the pool's; the node's are beyond it. */
		before = counters_now();
		fill(obj.mem, nr * HUGE_PAGES, 2);
		counted(&before, { "copied_on_touch", nr * HUGE_PAGES });
		object_frames(&obj, now);
		expect(now[0] && now[0] != pfns[0] && now[1] && now[1] != pfns[1]);
		expect(node_filled(NODE, nr * HUGE_PAGES, 1) && filled(obj.mem, nr * HUGE_PAGES, 2));
		expect_pool(3 + nr, 1, 0);
		fill(obj.mem, nr * HUGE_PAGES, 3);
		counted(&before, { "copied_on_touch", nr * HUGE_PAGES },
			{ "copied_on_load", nr * HUGE_PAGES });
		node_free(NODE);
		expect_pool(3, 1, 0);

		/* A dump that is given up leaves the very same memory. */
		before = counters_now();
		stream = save_pages(NODE, 0);
		append_object(stream, &obj);
		close(stream);
		expect(filled(obj.mem, nr * HUGE_PAGES, 3));
		fill(obj.mem, nr * HUGE_PAGES, 4);
		counted(&before, { "adopted", nr * HUGE_PAGES });
		object_frames(&obj, pfns);
		expect(pfns[0] == now[0] && pfns[1] == now[1]);

		/* The node outlives the object; freed, it gives the pages back to the pool. */
		save_object(NODE, &obj);
		object_end(&obj);
		expect(node_filled(NODE, nr * HUGE_PAGES, 4));
		expect_pool(3, 1, 0);
		node_free(NODE);
		expect_pool(3, 3, 0);
	}
	pool_set(0);
}

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
	counted(&before, { "adopted", 2 * HUGE_PAGES }, { "hugetlb", 100 });
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

	/* Asked for a copy; pinned. */
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

static void case_pinned(void)
{
	for (enum sort sort = PRIVATE; sort < NR_SORTS; sort++) {
		struct counters before;
		struct object obj;
		struct iovec iov;
		int fds[2];

		snprintf(probe_what, sizeof(probe_what), "pinned, %s", sort_names[sort]);
		pool_set(1);
		obj = object(sort, 1, 1);
		iov = (struct iovec){ obj.mem + 3 * PAGE, PAGE };
		if (pipe2(fds, O_CLOEXEC) || vmsplice(fds[1], &iov, 1, 0) != (ssize_t)PAGE)
			err(1, "vmsplice");
		before = counters_now();
		save_object(NODE, &obj);
		/* Private memory goes by pins, of which that is none. */
		if (sort == PRIVATE)
			counted(&before, { "adopted", HUGE_PAGES });
		else
			counted(&before, { "hugetlb", HUGE_PAGES });
		close(fds[0]);
		close(fds[1]);
		fill(obj.mem, HUGE_PAGES, 2);
		expect(node_filled(NODE, HUGE_PAGES, 1));
		node_free(NODE);
		object_end(&obj);
		expect_pool(1, 1, 0);
	}
	pool_set(0);
}

/* A forked child has the same pages, and the node has them, too. */
static void case_family(void)
{
	struct counters before;
	struct other child;
	struct object obj;

	pool_set(2);
	obj = object(PRIVATE, 1, 1);
	child = other_start();
	before = counters_now();
	save_object(NODE, &obj);
	counted(&before, { "adopted", HUGE_PAGES });
	/* It takes a page of the pool, as ever; who is left alone then copies for the node. */
	expect(other_do(&child, DO_CHECK, obj.mem, HUGE_PAGES, 1));
	other_do(&child, DO_FILL, obj.mem, HUGE_PAGES, 2);
	counted(&before, { "adopted", HUGE_PAGES });
	fill(obj.mem, HUGE_PAGES, 3);
	counted(&before, { "adopted", HUGE_PAGES }, { "copied_on_touch", HUGE_PAGES });
	expect(other_do(&child, DO_CHECK, obj.mem, HUGE_PAGES, 2));
	expect(node_filled(NODE, HUGE_PAGES, 1) && filled(obj.mem, HUGE_PAGES, 3));
	node_free(NODE);
	other_end(&child);

	/* No page is left in the pool, and the other one has none to take. */
	child = other_start();
	save_object(NODE, &obj);
	pool_set(1);
	fill(obj.mem, HUGE_PAGES, 4);
	expect(node_filled(NODE, HUGE_PAGES, 3) && filled(obj.mem, HUGE_PAGES, 4));
	node_free(NODE);
	kill(child.pid, SIGKILL);
	waitpid(child.pid, NULL, 0);
	close(child.to);
	object_end(&obj);
	expect_pool(1, 1, 0);
	pool_set(0);
}

/* --- whoever writes while a node has it --- */

/* Where in it. */
#define AT	(21 * PAGE + 5)

static const char text[] = "written while a node has it";

static void by_mapping(struct object *obj)
{
	memcpy(obj->mem + AT, text, sizeof(text));
}

static void by_read_mapping(struct object *obj)
{
	(void)*(volatile char *)(obj->mem + AT);
	memcpy(obj->mem + AT, text, sizeof(text));
}

static void by_protected_mapping(struct object *obj)
{
	expect(!mprotect(obj->mem, HUGE_SIZE, PROT_READ));
	(void)*(volatile char *)(obj->mem + AT);
	expect(!mprotect(obj->mem, HUGE_SIZE, PROT_READ | PROT_WRITE));
	memcpy(obj->mem + AT, text, sizeof(text));
}

static void by_new_mapping(struct object *obj)
{
	char *mem = map(obj->fd, 1, PROT_READ, MAP_SHARED);

	(void)*(volatile char *)(mem + AT);
	expect(!mprotect(mem, HUGE_SIZE, PROT_READ | PROT_WRITE));
	memcpy(mem + AT, text, sizeof(text));
	munmap(mem, HUGE_SIZE);
}

static void by_populate(struct object *obj)
{
	char *mem = map(obj->fd, 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE);

	memcpy(mem + AT, text, sizeof(text));
	munmap(mem, HUGE_SIZE);
}

static void by_lock(struct object *obj)
{
	expect(!mlock(obj->mem, HUGE_SIZE));
	memcpy(obj->mem + AT, text, sizeof(text));
	munlock(obj->mem, HUGE_SIZE);
}

static void write_in_child(void *arg)
{
	by_mapping(arg);
}

static void by_child(struct object *obj)
{
	expect(!in_child(write_in_child, obj));
}

static void by_proc_mem(struct object *obj)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	expect(pwrite(fd, text, sizeof(text), (uintptr_t)obj->mem + AT) == sizeof(text));
	close(fd);
}

static void by_vm_writev(struct object *obj)
{
	struct iovec from = { (void *)text, sizeof(text) };
	struct iovec to = { obj->mem + AT, sizeof(text) };

	expect(process_vm_writev(getpid(), &from, 1, &to, 1, 0) == sizeof(text));
}

static void by_read(struct object *obj)
{
	int fds[2];

	expect(!pipe2(fds, O_CLOEXEC) && write(fds[1], text, sizeof(text)) == sizeof(text));
	expect(read(fds[0], obj->mem + AT, sizeof(text)) == sizeof(text));
	close(fds[0]);
	close(fds[1]);
}

/* Puts what the file has into the page table, without a fault. */
static void by_uffd(struct object *obj)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MINOR_HUGETLBFS };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	char *mem = map(obj->fd, 1, PROT_READ | PROT_WRITE, MAP_SHARED);
	struct uffdio_register reg = {
		.range = { (uintptr_t)mem, HUGE_SIZE },
		.mode = UFFDIO_REGISTER_MODE_MINOR,
	};
	struct uffdio_continue cont = { .range = { (uintptr_t)mem, HUGE_SIZE } };

	expect(fd >= 0 && !ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &reg));
	expect(!ioctl(fd, UFFDIO_CONTINUE, &cont) && cont.mapped == (int64_t)HUGE_SIZE);
	memcpy(mem + AT, text, sizeof(text));
	close(fd);
	munmap(mem, HUGE_SIZE);
}

/* Clears a part of it in place, and so has to write there. */
static void by_punch(struct object *obj)
{
	expect(!fallocate(obj->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  5 * PAGE, 10 * PAGE));
	memcpy(obj->mem + AT, text, sizeof(text));
}

struct writer {
	const char	*name;
	void		(*write)(struct object *obj);
	bool		private;	/* also for what is private */
	bool		writes_fd;	/* only for what can be written to by a descriptor */
};

static const struct writer writers[] = {
	{ "mapping", by_mapping, true, false },
	{ "mapping that is read first", by_read_mapping, true, false },
	{ "mapping that was read-only", by_protected_mapping, true, false },
	{ "mapping made later", by_new_mapping, false, true },
	{ "populated mapping", by_populate, false, true },
	{ "locked mapping", by_lock, true, false },
	{ "another process", by_child, false, false },
	{ "/proc/self/mem", by_proc_mem, true, false },
	{ "process_vm_writev", by_vm_writev, true, false },
	{ "read into it", by_read, true, false },
	{ "UFFDIO_CONTINUE", by_uffd, false, true },
	{ "a punched hole", by_punch, false, true },
};

static void write_by(const struct writer *writer, enum sort sort)
{
	struct counters before;
	char *want = malloc(HUGE_SIZE);
	struct object obj;

	snprintf(probe_what, sizeof(probe_what), "writers, %s, %s", writer->name,
		 sort_names[sort]);
	/* There is no other one, and none is needed. */
	pool_set(1);
	obj = object(sort, 1, 1);
	save_object(NODE, &obj);
	before = counters_now();
	writer->write(&obj);
	counted(&before, { "copied_on_touch", HUGE_PAGES });
	fill(want, HUGE_PAGES, 1);
	if (writer->write == by_punch)
		memset(want + 5 * PAGE, 0, 10 * PAGE);
	memcpy(want + AT, text, sizeof(text));
	expect(!memcmp(obj.mem, want, HUGE_SIZE));
	expect(node_filled(NODE, HUGE_PAGES, 1));
	node_free(NODE);
	expect_pool(1, 0, 0);
	object_end(&obj);
	expect_pool(1, 1, 0);
	free(want);
}

static void case_writers(void)
{
	for (size_t i = 0; i < sizeof(writers) / sizeof(*writers); i++) {
		for (enum sort sort = PRIVATE; sort < NR_SORTS; sort++) {
			if (sort == PRIVATE ? !writers[i].private :
					      writers[i].writes_fd && sort != MEMFD)
				continue;
			write_by(&writers[i], sort);
		}
	}
	pool_set(0);
}

/* --- what is given to tasks --- */

/* Load a node into an object that has nothing yet. */
static void load_object(int stream, struct object *obj)
{
	const size_t bytes = obj->nr * HUGE_SIZE;
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = pread(stream, obj->mem + done, bytes - done, done);

		if (n <= 0)
			break;
		done += n;
	}
	expect(done == bytes);
}

/* Loads, all of them given up but the last one, into objects that are gone but the last. */
static void load_over_and_over(enum sort sort, size_t nr, uint64_t seed, const uint64_t *pfns)
{
	const char *given = sort == PRIVATE ? "mapped" : "inserted";
	const int64_t pages = nr * HUGE_PAGES;
	struct counters before;
	struct object obj;
	uint64_t now[8];
	int stream;

	/* What it writes to are copies, and it is given up. */
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	obj = object_new(sort, nr);
	before = counters_now();
	load_object(stream, &obj);
	counted(&before, { given, pages });
	fill(obj.mem, pages, 99);
	counted(&before, { given, pages }, { "copied_on_touch", pages });
	close(stream);
	expect(filled(obj.mem, pages, 99));
	object_end(&obj);
	expect(node_filled(NODE, pages, seed));

	/* It is given up, and only read meanwhile; and somebody still has it then. */
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	obj = object_new(sort, nr);
	before = counters_now();
	load_object(stream, &obj);
	/* What is read a second time is there. */
	load_object(stream, &obj);
	counted(&before, { given, pages });
	close(stream);
	expect(filled(obj.mem, pages, seed));
	object_end(&obj);
	expect(node_filled(NODE, pages, seed));

	/* And for good: the pages are the task's now. */
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	obj = object_new(sort, nr);
	before = counters_now();
	load_object(stream, &obj);
	commit(stream);
	expect(filled(obj.mem, pages, seed));
	fill(obj.mem, pages, seed + 1);
	counted(&before, { given, pages });
	object_frames(&obj, now);
	for (size_t i = 0; i < nr; i++)
		expect(now[i] && now[i] == pfns[i]);
	expect_pool(nr, 0, 0);
	object_end(&obj);
	expect_pool(nr, (long)nr, 0);
}

/* In the same kernel: the pool is as large as it has to be, and gets other pages. */
static void case_load(void)
{
	const size_t nr = 3;

	for (enum sort sort = PRIVATE; sort < NR_SORTS; sort++) {
		uint64_t pfns[3];
		struct object obj;

		snprintf(probe_what, sizeof(probe_what), "load, %s", sort_names[sort]);
		pool_set(nr);
		obj = object(sort, nr, 1);
		object_frames(&obj, pfns);
		save_object(NODE, &obj);
		object_end(&obj);
		expect_pool(nr, 0, 0);
		load_over_and_over(sort, nr, 1, pfns);
	}
	pool_set(0);
}

/* What is in the way, or does not fit, is copied; and what only looks takes nothing. */
static void case_occupied(void)
{
	for (enum sort sort = PRIVATE; sort < NR_SORTS; sort++) {
		const char *given = sort == PRIVATE ? "mapped" : "inserted";
		struct counters before;
		struct object obj;
		int stream;

		snprintf(probe_what, sizeof(probe_what), "occupied, %s", sort_names[sort]);
		pool_set(6);
		obj = object(sort, 3, 1);
		save_object(NODE, &obj);
		object_end(&obj);

		stream = load_pages(NODE, PRAM_LOAD_MAP | PRAM_LOAD_PEEK);
		obj = object_new(sort, 3);
		before = counters_now();
		load_object(stream, &obj);
		counted(&before, { "copied_on_load", 3 * HUGE_PAGES });
		expect(filled(obj.mem, 3 * HUGE_PAGES, 1));
		object_end(&obj);
		close(stream);

		stream = load_pages(NODE, PRAM_LOAD_MAP);
		obj = object_new(sort, 3);
		fill(obj.mem + HUGE_SIZE, HUGE_PAGES, 9);
		before = counters_now();
		load_object(stream, &obj);
		counted(&before, { given, 2 * HUGE_PAGES }, { "copied_on_load", HUGE_PAGES });
		commit(stream);
		expect(filled(obj.mem, 3 * HUGE_PAGES, 1));
		fill(obj.mem, 3 * HUGE_PAGES, 2);
		expect_pool(6, 3, 0);

		/* Not at the borders of huge pages. */
		save_object(NODE, &obj);
		object_end(&obj);
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		obj = object_new(sort, 2);
		before = counters_now();
		expect(pread(stream, obj.mem + 16 * PAGE, HUGE_SIZE, 0) == (ssize_t)HUGE_SIZE);
		counted(&before, { "copied_on_load", HUGE_PAGES });
		expect(filled(obj.mem + 16 * PAGE, HUGE_PAGES, 2));
		commit(stream);
		object_end(&obj);
		expect_pool(6, 6, 0);
	}
	pool_set(0);
}

/* --- all at once --- */

static volatile bool stop;

static void *hammer(void *arg)
{
	struct object *obj = arg;

	for (size_t i = 0; !stop; i++) {
		*(volatile size_t *)(obj->mem + i % (obj->nr * HUGE_PAGES) * PAGE + 64) = i;
		if (obj->fd >= 0 && i % 1024 == 0)
			(void)fallocate(obj->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					i % HUGE_PAGES * PAGE + 256, 64);
	}
	return NULL;
}

/* With checksums: what has changed since the commit is not read. */
static void case_race(void)
{
	for (enum sort sort = PRIVATE; sort <= MEMFD; sort++) {
		long errors = counter("checksum_errors");
		char *first = malloc(2 * HUGE_SIZE), *second = malloc(2 * HUGE_SIZE);
		pthread_t threads[2];
		struct object obj;

		snprintf(probe_what, sizeof(probe_what), "race, %s", sort_names[sort]);
		pool_set(2);
		obj = object(sort, 2, 1);
		stop = false;
		if (pthread_create(&threads[0], NULL, hammer, &obj) ||
		    pthread_create(&threads[1], NULL, hammer, &obj))
			errx(1, "no threads");
		for (int i = 0; i < 10; i++) {
			int stream = save_pages(NODE, PRAM_SAVE_CHECKSUM);

			append_object(stream, &obj);
			expect(!pram_seal(stream, 0));
			usleep(20000);
			commit(stream);
			stream = load_pages(NODE, PRAM_LOAD_PEEK);
			expect(pread(stream, first, 2 * HUGE_SIZE, 0) == (ssize_t)(2 * HUGE_SIZE));
			usleep(20000);
			expect(pread(stream, second, 2 * HUGE_SIZE, 0) == (ssize_t)(2 * HUGE_SIZE));
			expect(!memcmp(first, second, 2 * HUGE_SIZE));
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
		expect_pool(2, 2, 0);
	}
	pool_set(0);
}

/* --- over a kexec --- */

#define KEXEC_NR	8

static const char *node_of(enum sort sort)
{
	static char name[32];

	snprintf(name, sizeof(name), "hugetlb-%u", sort);
	return name;
}

static void save_all(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		err(1, "%s", path);
	pool_set(KEXEC_NR * NR_SORTS);
	for (enum sort sort = PRIVATE; sort < NR_SORTS; sort++) {
		struct object obj = object(sort, KEXEC_NR, 10 + sort);
		struct counters before = counters_now();
		uint64_t pfns[KEXEC_NR];

		object_frames(&obj, pfns);
		save_object(node_of(sort), &obj);
		counted(&before, { "adopted", KEXEC_NR * HUGE_PAGES });
		if (fwrite(pfns, sizeof(*pfns), KEXEC_NR, file) != KEXEC_NR)
			err(1, "%s", path);
		object_end(&obj);
	}
	if (fclose(file))
		err(1, "%s", path);
}

static void load_all(const char *path, bool spoil)
{
	const long total = KEXEC_NR * NR_SORTS;
	uint64_t pfns[NR_SORTS][KEXEC_NR], now[KEXEC_NR];
	FILE *file = fopen(path, "re");
	struct object objs[NR_SORTS];
	int streams[NR_SORTS];

	if (!file || fread(pfns, sizeof(pfns), 1, file) != 1)
		err(1, "%s", path);
	fclose(file);
	if (spoil)
		pool_set(total);
	for (enum sort sort = PRIVATE; sort < NR_SORTS; sort++) {
		struct counters before = counters_now();
		struct object *obj = &objs[sort];

		snprintf(probe_what, sizeof(probe_what), "load, %s", sort_names[sort]);
		streams[sort] = load_pages(node_of(sort), PRAM_LOAD_MAP);
		*obj = object_new(sort, KEXEC_NR);
		load_object(streams[sort], obj);
		counted(&before, { sort == PRIVATE ? "mapped" : "inserted", KEXEC_NR * HUGE_PAGES });
		if (spoil)
			fill(obj->mem, KEXEC_NR * HUGE_PAGES, 99);
	}
	if (spoil) {
		fflush(stdout);
		if (!nr_failed)
			kill(getpid(), SIGKILL);
		return;
	}
	commit_all(streams, NR_SORTS);
	expect_pool(total, 0, 0);
	for (enum sort sort = PRIVATE; sort < NR_SORTS; sort++) {
		struct object *obj = &objs[sort];
		struct counters before = counters_now();

		snprintf(probe_what, sizeof(probe_what), "loaded, %s", sort_names[sort]);
		expect(filled(obj->mem, KEXEC_NR * HUGE_PAGES, 10 + sort));
		fill(obj->mem, KEXEC_NR * HUGE_PAGES, 50 + sort);
		counted(&before, {});
		object_frames(obj, now);
		expect(!memcmp(now, pfns[sort], sizeof(now)));
		object_end(obj);
	}
	expect_pool(total, total, 0);
}

/* --- a process that is checkpointed --- */

/* Write to a file what there is to say, in one go. */
static void tell(const char *path, const char *what)
{
	char tmp[256];
	FILE *file;

	snprintf(tmp, sizeof(tmp), "%s.new", path);
	file = fopen(tmp, "we");
	if (!file || fputs(what, file) < 0 || fclose(file) || rename(tmp, path))
		err(1, "%s", path);
}

static void hold(const char *ready, const char *result)
{
	struct object objs[NR_SORTS];
	uint64_t pfns[NR_SORTS][4], now[4], seed = 1;
	char path[256], line[32];
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
	snprintf(line, sizeof(line), "%d\n", getpid());
	for (;;) {
		size_t same = 0;

		for (enum sort sort = PRIVATE; sort < NR_SORTS; sort++) {
			char *mem = objs[sort].mem;

			if (sig == SIGUSR2) {
				fill(mem, HUGE_PAGES, seed);
				fill(mem + 2 * HUGE_SIZE, 2 * HUGE_PAGES, seed + 1);
			}
			expect(filled(mem, HUGE_PAGES, seed));
			expect(filled(mem + 2 * HUGE_SIZE, 2 * HUGE_PAGES, seed + 1));
			object_frames(&objs[sort], *line ? pfns[sort] : now);
			for (int i = 0; i < 4 && !*line; i++)
				same += now[i] && now[i] == pfns[sort][i];
		}
		if (!*line) {
			char number[32];

			snprintf(number, sizeof(number), "%zu\n", same);
			snprintf(path, sizeof(path), "%s.frames", result);
			tell(path, number);
		}
		tell(*line ? ready : result, *line ? line : nr_failed ? "FAIL\n" : "PASS\n");
		*line = 0;
		sigwait(&set, &sig);
		if (sig == SIGUSR2)
			seed += 2;
	}
}

static const struct test_case {
	const char	*name;
	void		(*run)(void);
} cases[] = {
	{ "sorts", case_sorts },
	{ "ranges", case_ranges },
	{ "pinned", case_pinned },
	{ "family", case_family },
	{ "writers", case_writers },
	{ "load", case_load },
	{ "occupied", case_occupied },
	{ "race", case_race },
};

#define NR_CASES	(sizeof(cases) / sizeof(*cases))

static void run_case(void *arg)
{
	const struct test_case *test = arg;

	test->run();
}

static void run(const struct test_case *test)
{
	long data = counter("data_pages"), meta = counter("meta_pages");
	int status;

	snprintf(probe_what, sizeof(probe_what), "%s", test->name);
	status = in_child(run_case, (void *)test);
	if (status) {
		printf("%s: status %#x\n", test->name, status);
		nr_failed++;
	}
	expect(counter("data_pages") == data);
	expect(counter("meta_pages") == meta);
	expect_pool(0, 0, 0);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "hold"))
		hold(argv[2], argv[3]);
	dev_open();
	/* PRAM's directory stays once there was a node. */
	close(save_pages(NODE, 0));
	if (argc == 3 && !strcmp(argv[1], "save")) {
		save_all(argv[2]);
		return probe_result();
	}
	if (argc >= 3 && !strcmp(argv[1], "load")) {
		load_all(argv[2], argc == 4);
		return probe_result();
	}
	for (size_t i = 0; i < NR_CASES && argc == 1; i++)
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
