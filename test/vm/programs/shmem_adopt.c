// SPDX-License-Identifier: GPL-2.0-only
/* What is taken over, and what is copied: shmem's cases. */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shmem.h"

void case_sorts(void)
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
void case_twice(void)
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

void case_ranges(void)
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

void case_errors(void)
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
void case_asked(void)
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
void case_partial(void)
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
void case_pinned(void)
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

void case_swapped(void)
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

void case_scratch(void)
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
