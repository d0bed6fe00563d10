// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared memory of hugetlb, seen from outside: it is copied by whole huge pages, and what
 * nobody has touched is a hole, and stays one.
 *
 *	hugetlb
 *	hugetlb hold READY RESULT
 *
 * Without arguments it tests PRAM_IOCTL_ADOPT_FILE. "hold" is to be checkpointed: it has
 * memory of hugetlb of each sort, 4 huge pages, of which it leaves the second one alone, and
 * writes its pid to READY. On SIGUSR1 it looks at it, on SIGUSR2 it writes something else to
 * each byte; then "PASS" or what is wrong is in RESULT.
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
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

static void object_end(struct object *obj)
{
	if (obj->sort == SYSV)
		shmdt(obj->mem);
	else
		munmap(obj->mem, obj->nr * HUGE_SIZE);
	if (obj->fd >= 0)
		close(obj->fd);
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
	uint64_t seed = 1;
	char line[32];
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
		for (enum sort sort = PRIVATE; sort < NR_SORTS; sort++) {
			char *mem = objs[sort].mem;

			if (sig == SIGUSR2) {
				fill(mem, HUGE_PAGES, seed);
				fill(mem + 2 * HUGE_SIZE, 2 * HUGE_PAGES, seed + 1);
			}
			expect(filled(mem, HUGE_PAGES, seed));
			expect(filled(mem + 2 * HUGE_SIZE, 2 * HUGE_PAGES, seed + 1));
		}
		tell(*line ? ready : result, *line ? line : nr_failed ? "FAIL\n" : "PASS\n");
		*line = 0;
		sigwait(&set, &sig);
		if (sig == SIGUSR2)
			seed += 2;
	}
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "hold"))
		hold(argv[2], argv[3]);
	dev_open();
	snprintf(probe_what, sizeof(probe_what), "ranges");
	case_ranges();
	return probe_result();
}
