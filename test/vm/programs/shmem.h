/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the program shmem share. */
#ifndef SHMEM_H
#define SHMEM_H

#include <sys/mman.h>

#include "probe.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define NODE	"shmem"

enum sort {
	ANON,		/* a shared anonymous mapping */
	MEMFD,
	SYSV,
	TMPFS,		/* a file */
	HUGE_MEMFD,	/* of huge folios */
	NR_SORTS,
};

extern const char *const sort_names[NR_SORTS];

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

/* Addresses that begin at a multiple of the size of a huge page. */
char *map_aligned(int fd, size_t nr, int prot, int flags);

/* Shared memory with nothing in it. */
struct object object_new(enum sort sort, size_t nr);

/* Wherever its frames are. */
struct object any_object(enum sort sort, size_t nr, uint64_t seed);

void object_end(struct object *obj);

/* A mapping by which nobody can write, so that nothing is copied for it. */
char *object_view(const struct object *obj);

/* Of its pages, which are touched for that. */
void object_frames(const struct object *obj, uint64_t *pfns);

/* As filled(), by an object_view(). */
bool object_filled(const struct object *obj, uint64_t seed);

/* Not in the scratch areas: see memory(). */
struct object object(enum sort sort, size_t nr, uint64_t seed);

/* How many of the object's pages have the frames in @pfns? */
size_t object_same(const struct object *obj, const uint64_t *pfns);

/* Pages of an object, appended to a stream. */
void append_file(int stream, const struct object *obj, size_t first, size_t nr);

/* Saves and commits all of it. */
void save_object(const char *name, const struct object *obj);

/* All @nr pages were taken over since, and nothing was copied. */
void expect_adopted(const struct counters *before, size_t nr);

void case_sorts(void);
void case_twice(void);
void case_ranges(void);
void case_errors(void);
void case_asked(void);
void case_partial(void);
void case_pinned(void);
void case_swapped(void);
void case_scratch(void);
void case_writers(void);
void case_edges(void);
void case_sealed(void);
void case_load(void);
void case_occupied(void);
void case_race(void);

/* Nodes of all sorts, and their frames in @path; with @spoil the load dies before its end. */
void save_all(const char *path);
void load_all(const char *path, bool spoil);

#endif /* SHMEM_H */
