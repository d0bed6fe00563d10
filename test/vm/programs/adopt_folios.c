// SPDX-License-Identifier: GPL-2.0-only
/* adopt: whole folios, parts of them, folios that others have, too */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "adopt.h"

void case_whole(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		size_t nr = FROM_TASK(kind);
		char *mem = memory(nr, kind, 1);

		take(mem, nr, nr / kind_pages[kind], { "adopted", nr });
		expect(filled(mem, nr, 1));
		if (kind == HUGE)
			expect(smaps_field(0, mem, "AnonHugePages:") == (long)nr * 4);
	}
}

/* Some pages of a large folio: it is split, or taken in part, and so not copied. */
static void partial(enum kind kind)
{
	size_t nr = kind_pages[kind];
	struct other child;
	char *mem;

	mem = memory(nr, kind, 1);
	take(mem, nr - 1, nr - 1, { "adopted", nr - 1 }, { "split", nr });
	take(mem, nr, nr, { "adopted", nr });
	expect(filled(mem, nr, 1));
	mem = memory(nr, kind, 2);
	take(mem + PAGE, nr - 2, nr - 2, { "adopted", nr - 2 }, { "split", nr });
	expect(filled(mem, nr, 2));
	mem = memory(2 * nr, kind, 3);
	take(mem + (nr - 1) * PAGE, 1 + nr, 2, { "adopted", 1 + nr }, { "split", nr });
	expect(filled(mem, 2 * nr, 3));

	/* No longer mapped as a whole, or not all with the same protection. */
	mem = memory(nr, kind, 4);
	munmap(mem + PAGE, PAGE);
	take(mem + 2 * PAGE, nr - 2, nr - 2, { "adopted", nr - 2 }, { "split", nr });
	mem = memory(4 * nr, kind, 5);
	mprotect(mem + (nr + 3) * PAGE, PAGE, PROT_READ);
	mprotect(mem + (3 * nr - 1) * PAGE, 2 * PAGE, PROT_READ);
	take(mem, 4 * nr, 1 + 3 * nr, { "adopted", 4 * nr }, { "split", 3 * nr });
	expect(filled(mem, 4 * nr, 5));

	/* It is another task's, too, for whom nothing changes: one folio, not all of it. */
	mem = memory(nr, kind, 6);
	child = other_start();
	take(mem, nr - 1, 1, { "adopted", nr - 1 });
	fill(mem, nr, 7);
	expect(other_do(&child, DO_CHECK, mem, nr, 6));
	other_end(&child);
	expect(filled(mem, nr, 7));

	/* A node has it whole already. */
	mem = memory(nr, kind, 8);
	save("whole", mem, nr);
	take(mem, nr - 1, 1, { "adopted", nr - 1 }, { "shared", nr - 1 });
	expect(node_filled("whole", nr, 8));
	node_free("whole");
	take(mem, nr - 1, nr - 1, { "adopted", nr - 1 }, { "split", nr });
}

void case_partial(void)
{
	for (enum kind kind = MID; kind < NR_KINDS; kind++)
		partial(kind);
}

/* Pages of a large folio, with something else in between. */
void case_interrupted(void)
{
	char *mem = memory(2 * HUGE_PAGES, HUGE, 1);
	char *small = memory(1, SMALL, 2);
	struct counters before = counters_now();
	int stream = save_pages(NODE, 0);

	append(stream, mem, 100);
	append(stream, small, 1);
	append(stream, mem + 100 * PAGE, HUGE_PAGES - 100);
	append(stream, mem + HUGE_SIZE, HUGE_PAGES);
	commit(stream);
	counted(&before, { "adopted", 1 + 2 * HUGE_PAGES }, { "split", HUGE_PAGES });
	node_free(NODE);

	/* A part of one, and the save is discarded or written to. */
	stream = save_pages(NODE, 0);
	append(stream, mem, 100);
	close(stream);
	before = counters_now();
	stream = save_pages(NODE, 0);
	append(stream, mem, 200);
	expect(lseek(stream, 0, SEEK_END) == 200 * (off_t)PAGE);
	expect(write(stream, mem + 200 * PAGE, PAGE) == (ssize_t)PAGE);
	commit(stream);
	counted(&before, { "adopted", 200 }, { "written", 1 });
	expect_node_is(NODE, mem, 201);
	node_free(NODE);
	expect(filled(mem, 2 * HUGE_PAGES, 1));
}

/* A forked child has the same frames, but for those that it has written to. */
static void shared_with_child(enum kind kind)
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
	save("parent", mem, nr);
	counted(&before, { "adopted", nr });

	/* In another node, and twice in the same one. */
	before = counters_now();
	stream = save_pages("child", 0);
	expect(adopt(stream, pidfd, &range, 1, NULL) == 0);
	commit(stream);
	counted(&before, { "adopted", nr }, { "shared", nr - part });
	before = counters_now();
	stream = save_pages("both", 0);
	append(stream, mem, nr);
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

void case_shared(void)
{
	shared_with_child(SMALL);
	shared_with_child(MID);
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
		save("parent", mem, nr);
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

		save("parent", mem, nr);
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

void case_parts(void)
{
	for (enum kind kind = MID; kind < NR_KINDS; kind++) {
		part_of_child(kind, false);
		part_of_child(kind, true);
	}
}

/*
 * The rear half of a folio that somebody else holds: it cannot be split, and the range
 * begins in the middle of what the task has mapped as one.
 */
void case_held_part(void)
{
	for (enum kind kind = MID; kind < NR_KINDS; kind++) {
		const size_t nr = kind_pages[kind], half = nr / 2;
		int file = make_file("/ramfs", nr, 2), fds[2];
		char *mem = memory(nr, kind, 1), *want = malloc(half * PAGE);
		struct uring uring = uring_start(mem, nr);
		struct counters before = counters_now();
		struct iovec iov = { .iov_len = PAGE };

		/* Pinned: what a device writes must not get into the node. */
		memcpy(want, mem + half * PAGE, half * PAGE);
		save(NODE, mem + half * PAGE, half);
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
		save(NODE, mem + half * PAGE, half);
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

void case_asked(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		size_t nr = FROM_TASK(kind);
		char *mem = memory(nr, kind, 1);
		struct counters before = counters_now();
		int stream = save_pages(NODE, PRAM_SAVE_COPY);
		long faults;

		append(stream, mem, nr);
		commit(stream);
		counted(&before, { "asked", nr });
		/* Nothing of it was protected. */
		faults = minor_faults();
		fill(mem, nr, 2);
		faults = minor_faults() - faults;
		expect(faults < (long)(nr / kind_pages[kind]));
		expect(node_filled(NODE, nr, 1));
		node_free(NODE);
	}
}

/* Behind bytes that do not fill a page nothing can be taken over. */
void case_unaligned(void)
{
	char *mem = memory(4, SMALL, 1), *half = memory(2, SMALL, 2) + PAGE / 2;
	struct counters before = counters_now();
	int stream = save_pages(NODE, 0);

	/* Of a page that is to be written only a half is there. */
	munmap(half + PAGE / 2, PAGE);
	expect(write(stream, half, PAGE) == (ssize_t)PAGE / 2);
	append(stream, mem, 4);
	expect(write(stream, half, PAGE) == (ssize_t)PAGE / 2);
	commit(stream);
	/* Each of the two halves counts as a page. */
	counted(&before, { "written", 2 + 4 });
	stream = load_pages(NODE, PRAM_LOAD_PEEK);
	fill(mem, 4, 3);
	expect(pread(stream, mem, 4 * PAGE, PAGE / 2) == 4 * (ssize_t)PAGE && filled(mem, 4, 1));
	close(stream);
	node_free(NODE);
}

/* What comes in a pipe is copied: whose it was may write to it. */
void case_spliced(void)
{
	const size_t nr = 32;

	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		char *mem = memory(FROM_TASK(kind), kind, 1);
		struct iovec iov = { mem, nr * PAGE };
		struct counters before = counters_now();
		int stream = save_pages(NODE, 0), fds[2];

		if (pipe2(fds, O_CLOEXEC) || fcntl(fds[1], F_SETPIPE_SZ, nr * PAGE) < 0 ||
		    vmsplice(fds[1], &iov, 1, SPLICE_F_GIFT) != (ssize_t)(nr * PAGE))
			err(1, "vmsplice");
		expect(splice(fds[0], NULL, stream, NULL, nr * PAGE, SPLICE_F_MOVE) ==
		       (ssize_t)(nr * PAGE));
		expect(lseek(stream, 0, SEEK_CUR) == (off_t)(nr * PAGE));
		close(fds[0]);
		close(fds[1]);
		fill(mem, nr, 2);
		commit(stream);
		counted(&before, { "written", nr });
		expect(node_filled(NODE, nr, 1));
		fill(mem, nr, 3);
		expect(node_filled(NODE, nr, 1));
		node_free(NODE);
	}
}

/* Whatever the protection of the mapping, and over its ends. */
void case_ranges(void)
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

/*
 * More than is taken at once, and not from the beginning of a huge page on: none but the
 * first is split. And the same in small pages, with holes.
 */
void case_much(void)
{
	size_t nr = 20 * HUGE_PAGES;
	char *mem = memory(nr, HUGE, 1);

	take(mem + PAGE, nr - 1, HUGE_PAGES - 1 + 19, { "adopted", nr - 1 },
	     { "split", HUGE_PAGES });
	expect(filled(mem, nr, 1));
	munmap(mem, nr * PAGE);

	mem = memory(nr, SMALL, 2);
	for (size_t i = 100; i < nr; i += 3000)
		if (madvise(mem + i * PAGE, PAGE, MADV_DONTNEED))
			err(1, "MADV_DONTNEED");
	take(mem, nr, 0, { "adopted", nr - (nr - 100 + 2999) / 3000 },
	     { "special", (nr - 100 + 2999) / 3000 });
}
