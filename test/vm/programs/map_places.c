// SPDX-License-Identifier: GPL-2.0-only
/* Places that are mapped into, and places that are not: map's cases. */
#include <err.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "map.h"
#include "probe.h"

/* Load into @mem, see that so many are mapped and the rest copied; finish. */
static void into(int line, void *mem, size_t nr, enum kind kind, size_t mapped)
{
	struct counters before;
	int stream;

	before = counters_now();
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	expect(read_in(stream, mem, 0, nr));
	counted_at(line, &before, (const struct count[]){
		{ "mapped", mapped }, { "copied_on_load", nr - mapped }, {} });
	expect(filled(mem, nr, 1));
	if (mapped == nr)
		expect(same_frames(0, mem, nr, pfns) == nr);
	if (mapped < nr && kind == SMALL)
		expect(same_frames(0, mem, nr, pfns) == mapped);
	commit(stream);
	expect_owned(mem, nr, 1);
}

void case_places(void)
{
	const size_t nr = 64;
	struct counters before;
	int fd, stream;
	char *mem;

	/* Shared memory: put into its file, see shmem_load.c. */
	make_node(NODE, nr, SMALL);
	mem = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		   -1, 0);
	before = counters_now();
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	expect(read_in(stream, mem, 0, nr));
	commit(stream);
	counted(&before, { "inserted", nr });
	expect(filled(mem, nr, 1) && same_frames(0, mem, nr, pfns) == nr);

	/* A private mapping of a file, part of which is there: mapped but for that. */
	make_node(NODE, nr, SMALL);
	fd = memfd_create("file", MFD_CLOEXEC);
	if (ftruncate(fd, nr * PAGE))
		err(1, "ftruncate");
	mem = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	into(__LINE__, mem, nr, SMALL, nr);
	close(fd);
	make_node(NODE, nr, SMALL);
	fd = memfd_create("file", MFD_CLOEXEC);
	if (ftruncate(fd, nr * PAGE))
		err(1, "ftruncate");
	mem = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	fill(mem + 8 * PAGE, 4, 9);
	into(__LINE__, mem, nr, SMALL, nr - 4);
	expect(pread(fd, mem, PAGE, 0) == (ssize_t)PAGE && !mem[0] && !mem[PAGE - 1]);
	close(fd);

	/* Memory where there is something: copied where it is. */
	make_node(NODE, nr, SMALL);
	mem = address_space(nr, SMALL);
	fill(mem, 16, 9);
	fill(mem + 40 * PAGE, 4, 9);
	into(__LINE__, mem, nr, SMALL, nr - 20);

	/* Not to be inherited by a child. */
	make_node(NODE, nr, SMALL);
	mem = address_space(nr, SMALL);
	madvise(mem, nr * PAGE, MADV_DONTFORK);
	into(__LINE__, mem, nr, SMALL, nr);

	/* A stack, grown before. */
	make_node(NODE, nr, SMALL);
	mem = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_STACK, -1, 0);
	madvise(mem, nr * PAGE, MADV_NOHUGEPAGE);
	into(__LINE__, mem, nr, SMALL, nr);

	/* Two mappings, one behind the other. */
	make_node(NODE, nr, SMALL);
	mem = address_space(nr, SMALL);
	mprotect(mem + 10 * PAGE, 10 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	into(__LINE__, mem, nr, SMALL, nr);
}

/* Neither the address nor the place in the stream is a multiple of a page. */
void case_misaligned(void)
{
	const size_t nr = 16;
	struct counters before;
	char *mem, *want = malloc(nr * PAGE);
	int stream;

	fill(want, nr, 1);
	make_node(NODE, nr, SMALL);
	before = counters_now();
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	mem = address_space(2 * nr, SMALL);
	expect(pread(stream, mem + 100, 3 * PAGE, 0) == 3 * (ssize_t)PAGE);
	expect(!memcmp(mem + 100, want, 3 * PAGE));
	expect(pread(stream, mem + 8 * PAGE, 3 * PAGE, 50) == 3 * (ssize_t)PAGE);
	expect(!memcmp(mem + 8 * PAGE, want + 50, 3 * PAGE));
	expect(counters_now().value[MAPPED] == before.value[MAPPED]);
	/* Whole pages first, and the rest of one. */
	expect(pread(stream, mem + 16 * PAGE, 2 * PAGE + 10, 0) == 2 * (ssize_t)PAGE + 10);
	expect(!memcmp(mem + 16 * PAGE, want, 2 * PAGE + 10));
	expect(!mem[18 * PAGE + 10]);
	expect(counters_now().value[MAPPED] == before.value[MAPPED] + 2);
	expect(same_frames(0, mem + 16 * PAGE, 3, pfns) == 2);
	/* Read by the file position, and by sendfile(2). */
	expect(lseek(stream, 4 * PAGE, SEEK_SET) == 4 * (off_t)PAGE);
	expect(read(stream, mem + 24 * PAGE, 2 * PAGE) == 2 * (ssize_t)PAGE);
	expect(lseek(stream, 0, SEEK_CUR) == 6 * (off_t)PAGE);
	expect(same_frames(0, mem + 24 * PAGE, 2, pfns + 4) == 2);
	commit(stream);
	expect(!memcmp(mem + 16 * PAGE, want, 2 * PAGE + 10) &&
	       !memcmp(mem + 24 * PAGE, want + 4 * PAGE, 2 * PAGE));
	touch(mem, 2 * nr);
	expect(same_frames(0, mem + 16 * PAGE, 3, pfns) == 2);
	free(want);
}

/* Huge pages where they do not fit, or not whole. */
void case_huge_places(void)
{
	struct counters before;
	char *mem, *want;
	int stream, fd;

	/* Anywhere: mapped by page table entries. */
	make_node(NODE, NR, HUGE);
	mem = address_space(NR + HUGE_PAGES, HUGE);
	before = counters_now();
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	expect(read_in(stream, mem + 16 * PAGE, 0, NR));
	counted(&before, { "mapped", NR });
	expect(same_frames(0, mem + 16 * PAGE, NR, pfns) == NR);
	expect(filled(mem + 16 * PAGE, NR, 1));
	fill(mem + 16 * PAGE, 8, 1);
	commit(stream);
	expect_owned(mem + 16 * PAGE, NR, 1);
	munmap(mem, (NR + HUGE_PAGES) * PAGE);

	/* Over the end of a mapping, and over that of the next one. */
	make_node(NODE, NR, HUGE);
	mem = address_space(NR, HUGE);
	mprotect(mem + 10 * PAGE, 10 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	into(__LINE__, mem, NR, HUGE, NR);
	munmap(mem, NR * PAGE);

	/* A part of it. */
	make_node(NODE, NR, HUGE);
	want = malloc(NR * PAGE);
	fill(want, NR, 1);
	mem = address_space(NR, HUGE);
	before = counters_now();
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	expect(read_in(stream, mem, 100, NR - 100));
	expect(!memcmp(mem, want + 100 * PAGE, (NR - 100) * PAGE));
	counted(&before, { "mapped", NR - 100 });
	fill(mem, NR - 100, 2);
	close(stream);
	expect(node_filled(NODE, NR, 1));
	munmap(mem, NR * PAGE);
	free(want);

	/* In a private mapping of a file there are no huge mappings. */
	fd = memfd_create("file", MFD_CLOEXEC);
	mem = address_space(NR, HUGE);
	if (ftruncate(fd, NR * PAGE) ||
	    mmap(mem, NR * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) != mem)
		err(1, "cannot map a file");
	into(__LINE__, mem, NR, HUGE, NR);
	expect(smaps_field(0, mem, "AnonHugePages:") == 0);
	munmap(mem, NR * PAGE);
	close(fd);

	/* 64 KiB where there is something in the middle. */
	make_node(NODE, 4 * MID_PAGES, MID);
	mem = address_space(4 * MID_PAGES, SMALL);
	touch(mem + (MID_PAGES + 3) * PAGE, 1);
	into(__LINE__, mem, 4 * MID_PAGES, MID, 4 * MID_PAGES - 1);
}

void case_locked(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		long locked = field("/proc/meminfo", "Mlocked:"), vmlck;
		struct counters before;
		char *mem;
		int stream;

		for (int onfault = 0; onfault < 2; onfault++) {
			make_node(NODE, NR, kind);
			before = counters_now();
			stream = load_pages(NODE, PRAM_LOAD_MAP);
			mem = address_space(NR, kind);
			vmlck = field("/proc/self/status", "VmLck:");
			/* Fills it with zeros, or only does what is asked when asked. */
			if (mlock2(mem, NR * PAGE, onfault ? MLOCK_ONFAULT : 0))
				err(1, "mlock2");
			expect(read_in(stream, mem, 0, NR));
			counted(&before, { "mapped", NR });
			expect(same_frames(0, mem, NR, pfns) == NR);
			commit(stream);
			expect(filled(mem, NR, 1));
			expect(field("/proc/self/status", "VmLck:") - vmlck == NR * 4);
			expect(smaps_field(0, mem, "Locked:") == NR * 4);
			expect(labs(field("/proc/meminfo", "Mlocked:") - locked -
				    (long)NR * 4) <= 256);
			expect_owned(mem, NR, 1);
			munmap(mem, NR * PAGE);
			expect(labs(field("/proc/meminfo", "Mlocked:") - locked) <= 256);
		}
	}
}

/* Somebody watches the range: nothing may appear there behind his back. */
void case_userfaultfd(void)
{
	const size_t nr = 64;
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_api api = { .api = UFFD_API };
	char *mem;
	int uffd;

	make_node(NODE, nr, SMALL);
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	mem = address_space(nr, SMALL);
	reg.range.start = (uintptr_t)mem + 16 * PAGE;
	reg.range.len = 8 * PAGE;
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) ||
	    ioctl(uffd, UFFDIO_REGISTER, &reg))
		err(1, "userfaultfd");
	into(__LINE__, mem, nr, SMALL, nr - 8);
}

void case_soft_dirty(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		uint64_t *entries = calloc(NR, sizeof(*entries));
		char *mem;
		int stream;

		for (int early = 0; early < 2; early++) {
			make_node(NODE, NR, kind);
			stream = load_pages(NODE, PRAM_LOAD_MAP);
			mem = load_in(stream, NR, kind);
			pagemap(0, mem, NR, entries);
			for (size_t i = 0; i < NR; i++)
				expect(entries[i] & PM_SOFT_DIRTY);
			if (early)
				write_text("/proc/self/clear_refs", "4");
			commit(stream);
			if (!early)
				write_text("/proc/self/clear_refs", "4");
			pagemap(0, mem, NR, entries);
			for (size_t i = 0; i < NR; i++)
				expect(!(entries[i] & PM_SOFT_DIRTY));
			touch(mem, 1);
			touch(mem + 700 * PAGE, 1);
			pagemap(0, mem, NR, entries);
			expect(entries[0] & PM_SOFT_DIRTY);
			expect(entries[700] & PM_SOFT_DIRTY);
			if (kind == SMALL)
				expect(!(entries[1] & PM_SOFT_DIRTY));
			expect(filled(mem, NR, 1));
			expect(same_frames(0, mem, NR, pfns) == NR);
			munmap(mem, NR * PAGE);
		}
		free(entries);
	}
}

/* /dev/ram0 is swap space. */
void case_swap(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		struct other other;
		char *mem;
		int stream;

		make_node(NODE, NR, kind);
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		mem = load_in(stream, NR, kind);
		/* Before it is finished nothing may go. */
		madvise(mem, NR * PAGE, MADV_PAGEOUT);
		expect(filled(mem, NR, 1));
		expect(node_filled(NODE, NR, 1));
		touch(mem, NR / 4);
		commit(stream);
		expect(filled(mem, NR, 1));
		for (int round = 0; round < 2; round++) {
			if (madvise(mem, NR * PAGE, MADV_PAGEOUT))
				err(1, "MADV_PAGEOUT");
			expect(smaps_field(0, mem, "Rss:") <= (long)NR * 4 / 50);
			expect(smaps_field(0, mem, "Swap:") >= (long)NR * 4 / 50 * 49);
			expect(filled(mem, NR, 1 + round));
			fill(mem, NR, 2 + round);
			expect(filled(mem, NR, 2 + round));
		}
		other = other_start();
		expect(other_do(&other, DO_CHECK, mem, NR, 3));
		other_end(&other);
		munmap(mem, NR * PAGE);
	}
}
