// SPDX-License-Identifier: GPL-2.0-only
/* Shared memory of each sort, and nodes of it. */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include "shmem.h"

const char *const sort_names[NR_SORTS] = {
	"anonymous", "memfd", "SysV", "tmpfs", "huge memfd",
};

static int map_file(const void *mem, size_t nr)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)mem,
		 (unsigned long)mem + nr * PAGE);
	return open(path, O_RDONLY | O_CLOEXEC);
}

char *map_aligned(int fd, size_t nr, int prot, int flags)
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

struct object object_new(enum sort sort, size_t nr)
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

struct object any_object(enum sort sort, size_t nr, uint64_t seed)
{
	struct object obj = object_new(sort, nr);

	fill(obj.mem, nr, seed);
	if (sort == HUGE_MEMFD && smaps_field(0, obj.mem, "ShmemPmdMapped:") != (long)nr * 4)
		errx(1, "%s: no huge pages: %ld kB", probe_what,
		     smaps_field(0, obj.mem, "ShmemPmdMapped:"));
	return obj;
}

void object_end(struct object *obj)
{
	if (obj->sort == SYSV)
		shmdt(obj->mem);
	else
		munmap(obj->mem, obj->nr * PAGE);
	close(obj->fd);
}

char *object_view(const struct object *obj)
{
	int fd = obj->fd < 0 ? map_file(obj->mem, obj->nr) : obj->fd;
	char *view = map_aligned(fd, obj->nr, PROT_READ, MAP_PRIVATE);

	if (fd != obj->fd)
		close(fd);
	return view;
}

void object_frames(const struct object *obj, uint64_t *pfns)
{
	char *view = object_view(obj);

	for (size_t i = 0; i < obj->nr; i++)
		(void)*(volatile char *)(view + i * PAGE);
	frames(0, view, obj->nr, pfns);
	munmap(view, obj->nr * PAGE);
}

bool object_filled(const struct object *obj, uint64_t seed)
{
	char *view = object_view(obj);
	bool good = filled(view, obj->nr, seed);

	munmap(view, obj->nr * PAGE);
	return good;
}

struct object object(enum sort sort, size_t nr, uint64_t seed)
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

size_t object_same(const struct object *obj, const uint64_t *pfns)
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

void append_file(int stream, const struct object *obj, size_t first, size_t nr)
{
	struct pram_range range = { first * PAGE, nr * PAGE };
	uint64_t pages;

	expect(!adopt_file(stream, obj->fd, &range, 1, &pages));
	expect(pages == nr);
}

void save_object(const char *name, const struct object *obj)
{
	int stream = save_pages(name, 0);

	append_file(stream, obj, 0, obj->nr);
	commit(stream);
}

void expect_adopted(const struct counters *before, size_t nr)
{
	struct counters now = counters_now();

	expect(now.value[ADOPTED] - before->value[ADOPTED] == (int64_t)nr);
	expect(now.value[COPIED] == before->value[COPIED]);
}
