// SPDX-License-Identifier: GPL-2.0-only
/* What is put into files, by one and all at once, and over a kexec: shmem's cases. */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shmem.h"

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

/* The same by a stream of its own, into a new object that takes all of its frames. */
static int load_new(enum sort sort, size_t nr, struct object *obj, struct counters *before)
{
	int stream = load_pages(NODE, PRAM_LOAD_MAP);

	*obj = object_new(sort, nr);
	*before = counters_now();
	load_object(stream, obj);
	counted(before, { "inserted", nr });
	return stream;
}

void case_load(void)
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
		stream = load_new(sort, nr, &obj, &before);
		expect(object_same(&obj, pfns) == nr && object_filled(&obj, 1));
		fill(obj.mem, nr, 2);
		counted(&before, { "inserted", nr }, { "copied_on_touch", nr });
		close(stream);
		expect(node_filled(NODE, nr, 1) && filled(obj.mem, nr, 2));
		object_end(&obj);

		/* Tried again, and given up while somebody still has the file. */
		stream = load_new(sort, nr, &obj, &before);
		close(stream);
		fill(obj.mem, nr, 3);
		expect(node_filled(NODE, nr, 1) && filled(obj.mem, nr, 3));
		object_end(&obj);

		/* And for good: the frames are the file's now. */
		stream = load_new(sort, nr, &obj, &before);
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
void case_occupied(void)
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
void case_race(void)
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

void save_all(const char *path)
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

void load_all(const char *path, bool spoil)
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
