// SPDX-License-Identifier: GPL-2.0-only
/*
 * Giving pages to a task, seen from outside: the same frames as before, copy on
 * write until the load is finished and writable in place afterwards; where they
 * cannot be mapped, and are copied; accounting; errors.
 *
 *	map [CASE]...
 *	map save FILE
 *	map verify FILE
 *	map sleep MIB FILE
 *
 * Runs these cases, or all but "swap", which needs swap space, each in a process
 * of its own. "save" leaves nodes to be loaded after a kexec, and what is to be
 * known of them in FILE; "verify" loads them. "sleep" frees a node of MIB while
 * somebody looks at it and somebody else sleeps in the middle of a read, writes
 * FILE, and sleeps, too.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

#define NODE	"map"
/* A length that every kind of folio divides. */
#define NR	(2 * HUGE_PAGES)

/* Most pages that a test here looks at. */
static uint64_t pfns[4 * HUGE_PAGES];

/*
 * Save @nr pages, made of folios of a kind, filled by seed 1, and unmap them.
 * Their frames are in pfns.
 */
static void make_node(const char *name, size_t nr, enum kind kind)
{
	char *mem = memory(nr, kind, 1);

	frames(0, mem, nr, pfns);
	save(name, BY_RANGE, mem, nr);
	munmap(mem, nr * PAGE);
}

/* Pages that were no task's in this boot: they are copied one by one. Filled by seed 1. */
static void make_fresh(const char *name, size_t nr)
{
	char *mem = memory(nr, SMALL, 1);
	int stream = save_pages(name, 0);

	for (size_t i = 0; i < nr; i++)
		expect(write(stream, mem + i * PAGE, PAGE) == (ssize_t)PAGE);
	commit(stream);
	munmap(mem, nr * PAGE);
}

static bool read_in(int stream, void *mem, size_t first, size_t nr)
{
	return pread(stream, mem, nr * PAGE, first * PAGE) == (ssize_t)(nr * PAGE);
}

static void *load_in(int stream, size_t nr, enum kind kind)
{
	char *mem = address_space(nr, kind);

	expect(read_in(stream, mem, 0, nr));
	return mem;
}

/* Write a bit of each page without a change. */
static void touch(void *mem, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		volatile char *byte = (char *)mem + i * PAGE + 17;

		*byte = *byte;
	}
}

/* Memory that was finished: it is the task's, and written to in place. */
static void expect_owned(void *mem, size_t nr, uint64_t seed)
{
	uint64_t *was = calloc(nr, sizeof(*was));

	expect(filled(mem, nr, seed));
	frames(0, mem, nr, was);
	touch(mem, nr);
	expect(same_frames(0, mem, nr, was) == nr);
	fill(mem, nr, seed + 100);
	expect(filled(mem, nr, seed + 100));
	expect(same_frames(0, mem, nr, was) == nr);
	free(was);
}

/* --- */

static void case_finished(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		struct counters before;
		char *mem;
		int stream;

		make_node(NODE, NR, kind);
		before = counters_now();
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		mem = load_in(stream, NR, kind);
		counted(&before, { "mapped", NR });
		expect(same_frames(0, mem, NR, pfns) == NR);
		expect(smaps_field(0, mem, "Rss:") == NR * 4);
		expect(smaps_field(0, mem, "Anonymous:") == NR * 4);
		if (kind == HUGE)
			expect(smaps_field(0, mem, "AnonHugePages:") == NR * 4);
		expect(filled(mem, NR, 1));

		before = counters_now();
		commit(stream);
		counted(&before, { "reused", NR });
		expect(counter("data_pages") == 0);
		expect(same_frames(0, mem, NR, pfns) == NR);
		expect_owned(mem, NR, 1);
		expect(same_frames(0, mem, NR, pfns) == NR);
		if (kind == HUGE)
			expect(smaps_field(0, mem, "AnonHugePages:") == NR * 4);
		munmap(mem, NR * PAGE);
	}
}

static bool all_on_lru_lists(const void *mem, size_t nr)
{
	bool all = true;

	frames(0, mem, nr, pfns);
	for (size_t i = 0; i < nr; i++)
		all &= page_flags(pfns[i]) >> KPF_LRU & 1;
	return all;
}

static void case_fresh(void)
{
	long anon = field("/proc/meminfo", "AnonPages:");
	struct counters before;
	char *mem;
	int stream;

	make_fresh(NODE, NR);
	before = counters_now();
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	mem = load_in(stream, NR, SMALL);
	counted(&before, { "mapped", NR });
	expect(filled(mem, NR, 1));
	expect(labs(field("/proc/meminfo", "AnonPages:") - anon - (long)NR * 4) <= 1024);
	before = counters_now();
	commit(stream);
	counted(&before, { "reused", NR });
	expect(counter("data_pages") == 0);
	expect(all_on_lru_lists(mem, NR));
	expect_owned(mem, NR, 1);
	munmap(mem, NR * PAGE);
	expect(labs(field("/proc/meminfo", "AnonPages:") - anon) <= 1024);
}

struct half {
	pthread_t	thread;
	int		stream;
	char		*mem;
};

static void *half_main(void *arg)
{
	struct half *half = arg;

	for (size_t i = 0; i < NR; i += NR / 16)
		if (!read_in(half->stream, half->mem + i * PAGE, i, NR / 16))
			return arg;
	return NULL;
}

/* Two want the same pages, at the same time and at different places: one gets copies. */
static void case_twice_at_once(void)
{
	long anon = field("/proc/meminfo", "AnonPages:");

	for (int round = 0; round < 20; round++) {
		struct half halves[2];
		int stream;

		make_fresh(NODE, NR);
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		for (int i = 0; i < 2; i++) {
			halves[i].stream = stream;
			halves[i].mem = address_space(NR, SMALL);
			if (pthread_create(&halves[i].thread, NULL, half_main, &halves[i]))
				errx(1, "pthread_create");
		}
		for (int i = 0; i < 2; i++) {
			void *failed;

			pthread_join(halves[i].thread, &failed);
			expect(!failed);
			expect(filled(halves[i].mem, NR, 1));
		}
		commit(stream);
		fill(halves[0].mem, NR, 2);
		expect(filled(halves[1].mem, NR, 1));
		for (int i = 0; i < 2; i++)
			munmap(halves[i].mem, NR * PAGE);
	}
	expect(labs(field("/proc/meminfo", "AnonPages:") - anon) <= 1024);
}

/* As CRIU's restorer: some here, some there, in one call. */
static void case_vector(void)
{
	size_t half = HUGE_PAGES;
	struct counters before;
	char *one, *two, *three;
	struct iovec iov[4];
	int stream;

	make_node(NODE, NR, SMALL);
	one = address_space(half, SMALL);
	two = address_space(half, SMALL);
	three = address_space(half, SMALL);
	before = counters_now();
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	iov[0] = (struct iovec){ one, 100 * PAGE };
	iov[1] = (struct iovec){ two + 3 * PAGE, 0 };
	iov[2] = (struct iovec){ two + 3 * PAGE, 300 * PAGE };
	iov[3] = (struct iovec){ three, half * PAGE };
	expect(preadv(stream, iov, 4, 50 * PAGE) == 912 * (ssize_t)PAGE);
	counted(&before, { "mapped", 912 });
	expect(same_frames(0, one, 100, pfns + 50) == 100);
	expect(same_frames(0, two + 3 * PAGE, 300, pfns + 150) == 300);
	expect(same_frames(0, three, half, pfns + 450) == half);
	/* Up to the end and never further, nor 0 before it. */
	expect(pread(stream, one + 100 * PAGE, 100 * PAGE, (NR - 10) * PAGE) ==
	       10 * (ssize_t)PAGE);
	expect(pread(stream, one + 200 * PAGE, PAGE, NR * PAGE) == 0);
	expect(smaps_field(0, one, "Rss:") == 110 * 4);
	commit(stream);
	touch(one, 110);
	expect(same_frames(0, one, 100, pfns + 50) == 100);
	expect(same_frames(0, one + 100 * PAGE, 10, pfns + NR - 10) == 10);
}

/* Until it is finished nothing that the task does changes the node. */
static void case_aborted(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		struct counters before;
		char *mem, *again;
		int stream;

		make_node(NODE, NR, kind);
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		mem = load_in(stream, NR, kind);
		fill(mem, NR / 4, 2);
		expect(filled(mem, NR / 4, 2));
		expect(same_frames(0, mem, NR / 4, pfns) == 0);
		if (kind != HUGE)
			expect(same_frames(0, mem + NR / 4 * PAGE, NR / 4 * 3,
					   pfns + NR / 4) == NR / 4 * 3);
		expect(node_filled(NODE, NR, 1));

		/* It fails; what is there stays, and is the task's own. */
		close(stream);
		expect(node_filled(NODE, NR, 1));
		fill(mem + NR / 4 * PAGE, NR / 4, 3);
		expect(node_filled(NODE, NR, 1));
		expect(filled(mem, NR / 4, 2) && filled(mem + NR / 4 * PAGE, NR / 4, 3));

		/* Again, while the first is still there: by copying what is mapped. */
		before = counters_now();
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		again = load_in(stream, NR, kind);
		expect(counter("pages_mapped") - before.value[MAPPED] +
		       counter("pages_copied_on_load") - before.value[COPIED_ON_LOAD] == (long)NR);
		expect(filled(again, NR, 1));
		close(stream);
		munmap(mem, NR * PAGE);
		munmap(again, NR * PAGE);

		/* Again, when nobody has it: as the first time. */
		before = counters_now();
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		again = load_in(stream, NR, kind);
		counted(&before, { "mapped", NR });
		expect(same_frames(0, again, NR, pfns) == NR);
		commit(stream);
		expect_owned(again, NR, 1);
		munmap(again, NR * PAGE);
	}
}

static void child_loads(void *arg)
{
	int stream = load_pages(NODE, PRAM_LOAD_MAP);
	char *mem = load_in(stream, NR, *(enum kind *)arg);

	fill(mem, NR / 2, 2);
	fflush(stdout);
	kill(getpid(), SIGKILL);
}

static void case_killed(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		struct counters before;
		struct pram_node_stat stat;
		char *mem;
		int stream;

		make_node(NODE, NR, kind);
		expect(in_child(child_loads, &kind) == SIGKILL);
		expect(!pram_stat(dev, NODE, &stat) && stat.state == PRAM_NODE_READY);
		expect(node_filled(NODE, NR, 1));
		before = counters_now();
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		mem = load_in(stream, NR, kind);
		counted(&before, { "mapped", NR });
		commit(stream);
		expect_owned(mem, NR, 1);
		munmap(mem, NR * PAGE);
	}
}

static int inherited;

static void child_maps_and_exits(void *arg)
{
	(void)arg;
	expect(filled(load_in(inherited, NR, HUGE), NR, 1));
}

/* Gone before it is finished: all of it, a part, or moved elsewhere. */
static void case_unmapped(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		char *mem, *moved;
		size_t half = NR / 2;

		make_node(NODE, NR, kind);
		inherited = load_pages(NODE, PRAM_LOAD_MAP);
		expect(in_child(child_maps_and_exits, NULL) == 0);
		commit(inherited);
		expect(counter("data_pages") == 0);

		make_node(NODE, NR, kind);
		inherited = load_pages(NODE, PRAM_LOAD_MAP);
		mem = load_in(inherited, NR, kind);
		munmap(mem, NR * PAGE);
		expect(node_filled(NODE, NR, 1));
		commit(inherited);

		make_node(NODE, NR, kind);
		inherited = load_pages(NODE, PRAM_LOAD_MAP);
		mem = load_in(inherited, NR, kind);
		munmap(mem + 100 * PAGE, (half - 100) * PAGE);
		madvise(mem, 50 * PAGE, MADV_DONTNEED);
		moved = address_space(half, kind);
		if (mremap(mem + half * PAGE, half * PAGE, half * PAGE,
			   MREMAP_MAYMOVE | MREMAP_FIXED, moved) != moved)
			err(1, "mremap");
		expect(node_filled(NODE, NR, 1));
		commit(inherited);
		expect(counter("data_pages") == 0);
		fill(mem, 100, 1);
		expect(filled(mem, 100, 1));
		/* The second half is what it was. */
		fill(mem, 100, 3);
		{
			char *want = malloc(NR * PAGE);

			fill(want, NR, 1);
			expect(!memcmp(moved, want + half * PAGE, half * PAGE));
			free(want);
		}
		fill(moved, half, 5);
		expect(filled(moved, half, 5) && filled(mem, 100, 3));
		munmap(mem, 100 * PAGE);
		munmap(moved, half * PAGE);
	}
}

static void case_forked(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		struct other other;
		char *mem;
		int stream;

		/* Forked before it is finished. */
		make_node(NODE, NR, kind);
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		mem = load_in(stream, NR, kind);
		other = other_start();
		fill(mem, 64, 2);
		commit(stream);
		expect(other_do(&other, DO_CHECK, mem, NR, 1));
		fill(mem, NR, 3);
		expect(other_do(&other, DO_CHECK, mem, NR, 1));
		expect(other_do(&other, DO_FILL, mem, NR, 4));
		expect(filled(mem, NR, 3));
		expect(other_do(&other, DO_CHECK, mem, NR, 4));
		other_end(&other);
		munmap(mem, NR * PAGE);

		/* And afterwards. */
		make_node(NODE, NR, kind);
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		mem = load_in(stream, NR, kind);
		commit(stream);
		other = other_start();
		expect(other_do(&other, DO_FILL, mem, NR / 2, 2));
		expect(filled(mem, NR, 1));
		fill(mem, NR, 3);
		expect(other_do(&other, DO_CHECK, mem, NR / 2, 2));
		expect(filled(mem, NR, 3));
		other_end(&other);
		munmap(mem, NR * PAGE);
	}
}

/* Two at once look and map; one of them has to copy. */
static void case_peek_twice(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		struct counters before;
		int one, two;
		char *a, *b;

		make_node(NODE, NR, kind);
		before = counters_now();
		one = load_pages(NODE, PRAM_LOAD_PEEK | PRAM_LOAD_MAP);
		two = load_pages(NODE, PRAM_LOAD_PEEK | PRAM_LOAD_MAP);
		a = load_in(one, NR, kind);
		b = load_in(two, NR, kind);
		counted(&before, { "mapped", NR }, { "copied_on_load", NR });
		expect(filled(a, NR, 1) && filled(b, NR, 1));
		expect(same_frames(0, a, NR, pfns) == NR);
		expect(same_frames(0, b, NR, pfns) == 0);
		expect(pram_commit(dev, &one, 1) == -EPERM);
		fill(a, NR / 2, 2);
		fill(b, NR / 2, 3);
		close(one);
		close(two);
		expect(node_filled(NODE, NR, 1));
		fill(a, NR, 4);
		expect(node_filled(NODE, NR, 1));
		/* Freed while somebody has it mapped. */
		a = address_space(NR, kind);
		one = load_pages(NODE, PRAM_LOAD_PEEK | PRAM_LOAD_MAP);
		expect(read_in(one, a, 0, NR));
		node_free(NODE);
		expect(filled(a, NR, 1));
		fill(a, NR / 2, 5);
		close(one);
		fill(a + NR / 2 * PAGE, NR / 2, 6);
		expect(filled(a, NR / 2, 5) && filled(a + NR / 2 * PAGE, NR / 2, 6));
		munmap(a, NR * PAGE);
		munmap(b, NR * PAGE);
	}
}

/* Finished while somebody looks on: whoever looks sees what was there. */
static void case_peek_and_finish(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		int peek, stream;
		char *a, *b;

		make_node(NODE, NR, kind);
		peek = load_pages(NODE, PRAM_LOAD_PEEK);
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		a = load_in(stream, NR, kind);
		b = address_space(NR, kind);
		commit(stream);
		fill(a, NR / 2, 2);
		expect(!read_in(peek, b, 0, NR) || filled(b, NR, 1));
		close(peek);
		fill(a, NR, 3);
		expect(filled(a, NR, 3));
		munmap(a, NR * PAGE);
		munmap(b, NR * PAGE);
	}
}

/* Somebody else holds on to a page when it is loaded. */
static void case_held(void)
{
	const size_t nr = 64;
	char *mem = memory(nr, SMALL, 1), *again;
	struct iovec iov = { mem, 16 * PAGE };
	struct counters before;
	int stream, fds[2];

	if (pipe2(fds, O_CLOEXEC) || vmsplice(fds[1], &iov, 1, 0) <= 0)
		err(1, "vmsplice");
	save(NODE, BY_RANGE, mem, nr);
	/* The owner lives on and has it mapped. */
	before = counters_now();
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	again = load_in(stream, nr, SMALL);
	counted(&before, { "copied_on_load", nr });
	expect(filled(again, nr, 1));
	close(stream);
	munmap(again, nr * PAGE);
	munmap(mem, nr * PAGE);

	/* A pipe has some. */
	before = counters_now();
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	again = load_in(stream, nr, SMALL);
	counted(&before, { "copied_on_load", 16 }, { "mapped", nr - 16 });
	expect(filled(again, nr, 1));
	fill(again, nr, 2);
	expect(node_filled(NODE, nr, 1));
	commit(stream);
	expect(filled(again, nr, 2));
	close(fds[0]);
	close(fds[1]);
}

/* --- places that are mapped into, and places that are not --- */

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

static void case_places(void)
{
	const size_t nr = 64;
	struct counters before;
	int fd, stream;
	char *mem;

	/* Shared memory: put into its file, see shmem.c. */
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
static void case_misaligned(void)
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
static void case_huge_places(void)
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

static void case_locked(void)
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
static void case_userfaultfd(void)
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

static void case_soft_dirty(void)
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
static void case_swap(void)
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

/* --- accounting --- */

#define CGROUPS	"/sys/fs/cgroup"

static void cgroup_enter(const char *name)
{
	char path[64], pid[16];

	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.procs", name);
	snprintf(pid, sizeof(pid), "%d", getpid());
	write_text(path, pid);
}

/* In kilobytes. */
static long cgroup_anon(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), CGROUPS "/%s/memory.stat", name);
	return field(path, "anon ") / 1024;
}

static long cgroup_current(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), CGROUPS "/%s/memory.current", name);
	return read_number(path) / 1024;
}

static void child_charged(void *arg)
{
	enum kind kind = *(enum kind *)arg;
	long current, anon;
	char *mem;
	int stream;

	cgroup_enter("target");
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	current = cgroup_current("target");
	anon = cgroup_anon("target");
	mem = load_in(stream, NR, kind);
	expect(labs(cgroup_current("target") - current - (long)NR * 4) <= 1024);
	commit(stream);
	expect(labs(cgroup_current("target") - current - (long)NR * 4) <= 1024);
	expect(labs(cgroup_anon("target") - anon - (long)NR * 4) <= 512);
	munmap(mem, NR * PAGE);
	expect(labs(cgroup_current("target") - current) <= 1024);
}

static void child_source(void *arg)
{
	cgroup_enter("source");
	make_node(NODE, NR, *(enum kind *)arg);
}

static void child_fresh(void *arg)
{
	(void)arg;
	cgroup_enter("source");
	make_fresh(NODE, NR);
}

/* Killed, or gone, before the load was finished: also of that nothing stays. */
static void child_given_up(void *arg)
{
	int stream;

	cgroup_enter("target");
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	load_in(stream, NR, *(enum kind *)arg);
	expect(cgroup_current("target") >= (long)NR * 4);
	fflush(stdout);
	kill(getpid(), SIGKILL);
}

/* NR pages are 4 MiB. */
static void child_too_much(void *arg)
{
	char *mem;
	int stream;
	ssize_t n;

	cgroup_enter("small");
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	mem = address_space(NR, *(enum kind *)arg);
	n = pread(stream, mem, NR * PAGE, 0);
	/* It is killed, or gets no more than what it may have. */
	if (n == (ssize_t)(NR * PAGE))
		_exit(3);
	_exit(0);
}

static void case_memcg(void)
{
	static const char *const names[] = { "source", "target", "small" };
	char path[64];

	write_text(CGROUPS "/cgroup.subtree_control", "+memory");
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), CGROUPS "/%s", names[i]);
		if (mkdir(path, 0755))
			err(1, "mkdir %s", path);
	}
	write_text(CGROUPS "/small/memory.max", "3M");
	/* The last time with fresh pages. */
	for (int i = SMALL; i <= NR_KINDS; i++) {
		void (*const source)(void *arg) = i < NR_KINDS ? child_source : child_fresh;
		enum kind kind = i < NR_KINDS ? (enum kind)i : SMALL;
		struct counters before;
		char *mem;
		int stream, status;

		expect(in_child(source, &kind) == 0);
		expect(in_child(child_charged, &kind) == 0);
		/* What was the source's is no longer charged to it. */
		expect(cgroup_current("source") <= 1024);

		expect(in_child(source, &kind) == 0);
		expect(in_child(child_given_up, &kind) == SIGKILL);
		expect(cgroup_current("target") <= 1024);
		node_free(NODE);

		expect(in_child(source, &kind) == 0);
		status = in_child(child_too_much, &kind);
		expect(status == 0 || status == SIGKILL);
		expect(node_filled(NODE, NR, 1));
		before = counters_now();
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		mem = load_in(stream, NR, kind);
		counted(&before, { "mapped", NR });
		commit(stream);
		expect_owned(mem, NR, 1);
		munmap(mem, NR * PAGE);
	}
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), CGROUPS "/%s", names[i]);
		if (rmdir(path))
			err(1, "rmdir %s", path);
	}
}

/* These are counted on each processor, and added up now and then. */
#define ABOUT(kb, want)	(labs((kb) - (want)) <= 1024)

static void case_rss(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		long before = field("/proc/self/status", "RssAnon:");
		long anon = field("/proc/meminfo", "AnonPages:");
		long thp = field("/proc/meminfo", "AnonHugePages:");
		char *mem;
		int stream;

		make_node(NODE, NR, kind);
		expect(ABOUT(field("/proc/self/status", "RssAnon:"), before));
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		mem = load_in(stream, NR, kind);
		expect(ABOUT(field("/proc/self/status", "RssAnon:"), before + (long)NR * 4));
		commit(stream);
		expect(ABOUT(field("/proc/self/status", "RssAnon:"), before + (long)NR * 4));
		expect(ABOUT(field("/proc/meminfo", "AnonPages:"), anon + (long)NR * 4));
		if (kind == HUGE)
			expect(field("/proc/meminfo", "AnonHugePages:") >= thp + (long)NR * 4);
		fill(mem, NR, 2);
		expect(ABOUT(field("/proc/self/status", "RssAnon:"), before + (long)NR * 4));
		munmap(mem, NR * PAGE);
		expect(ABOUT(field("/proc/self/status", "RssAnon:"), before));
		expect(ABOUT(field("/proc/meminfo", "AnonPages:"), anon));
	}
}

/* In a user namespace, by a stream that was opened outside. */
static void child_namespace(void *arg)
{
	char *mem;

	(void)arg;
	if (unshare(CLONE_NEWUSER))
		err(1, "unshare");
	mem = load_in(inherited, NR, SMALL);
	expect(filled(mem, NR, 1));
	fill(mem, NR, 2);
	expect(filled(mem, NR, 2));
}

static void case_namespace(void)
{
	struct counters before;

	make_node(NODE, NR, SMALL);
	before = counters_now();
	inherited = load_pages(NODE, PRAM_LOAD_MAP);
	expect(in_child(child_namespace, NULL) == 0);
	counted(&before, { "mapped", NR });
	close(inherited);
	expect(node_filled(NODE, NR, 1));
	node_free(NODE);
}

static void case_checksums(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		int stream = save_pages(NODE, PRAM_SAVE_CHECKSUM);
		char *mem = memory(NR, kind, 1);
		struct counters before;

		frames(0, mem, NR, pfns);
		append(stream, BY_RANGE, mem, NR);
		commit(stream);
		munmap(mem, NR * PAGE);
		before = counters_now();
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		mem = load_in(stream, NR, kind);
		counted(&before, { "mapped", NR });
		expect(same_frames(0, mem, NR, pfns) == NR);
		commit(stream);
		expect_owned(mem, NR, 1);
		munmap(mem, NR * PAGE);
	}
}

/* What was copied into the node is mapped out of it as well. */
static void case_copied(void)
{
	struct counters before;
	char *mem;
	int stream;

	mem = memory(NR, SMALL, 1);
	stream = save_pages(NODE, PRAM_SAVE_COPY);
	append(stream, BY_PIPE, mem, NR / 2);
	expect(write(stream, mem + NR / 2 * PAGE, NR / 2 * PAGE) == NR / 2 * (ssize_t)PAGE);
	commit(stream);
	before = counters_now();
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	mem = load_in(stream, NR, SMALL);
	expect(counters_now().value[MAPPED] - before.value[MAPPED] == (int64_t)NR);
	expect(filled(mem, NR, 1));
	commit(stream);
	expect_owned(mem, NR, 1);
}

/* --- families --- */

struct family {
	char		*mem;
	int		stream;
	size_t		written;
	uint64_t	*frames;
	int		done, go;
};

static void child_joins(void *arg)
{
	struct family *family = arg;
	struct counters before = counters_now();
	size_t nr = NR, written = family->written;
	char *want = malloc(nr * PAGE);
	uint64_t same;
	char c = 0;

	expect(map_range(family->stream, family->mem, 0, nr, &same) == 0);
	expect(same == nr - written);
	counted(&before, { "same", nr - written }, { "mapped", written });
	expect(same_frames(0, family->mem, nr, family->frames) == nr);
	fill(want, nr, 1);
	expect(filled(family->mem, written, 2));
	expect(!memcmp(family->mem + written * PAGE, want + written * PAGE,
		       (nr - written) * PAGE));
	/* The parent finishes both. */
	if (write(family->done, &c, 1) != 1 || read(family->go, &c, 1) != 1)
		err(1, "pipe");
	expect(filled(family->mem, written, 2));
	expect(!memcmp(family->mem + written * PAGE, want + written * PAGE,
		       (nr - written) * PAGE));
	fill(family->mem, nr, 5);
	expect(filled(family->mem, nr, 5));
	free(want);
}

/*
 * A parent and its child, which has written to a part: put together again they
 * share what they shared.
 */
static void family(enum kind kind, size_t written)
{
	struct family family = { .written = written };
	char *mem = memory(NR, kind, 1);
	struct other other = other_start();
	int pidfd = syscall(SYS_pidfd_open, other.pid, 0);
	struct counters before;
	int streams[2], done[2], go[2], status;
	uint64_t same, *of_child;
	pid_t pid;
	char c;

	family.frames = calloc(NR, sizeof(*family.frames));
	of_child = family.frames;
	if (written)
		other_do(&other, DO_FILL, mem, written, 2);
	frames(0, mem, NR, pfns);
	frames(other.pid, mem, NR, of_child);
	before = counters_now();
	save("parent", BY_RANGE, mem, NR);
	streams[1] = save_pages("child", 0);
	expect(adopt_range(streams[1], pidfd, mem, NR) == 0);
	commit(streams[1]);
	counted(&before, { "adopted", 2 * NR }, { "shared", NR - written });
	other_end(&other);
	munmap(mem, NR * PAGE);

	if (pipe2(done, O_CLOEXEC) || pipe2(go, O_CLOEXEC))
		err(1, "pipe");
	family.done = done[1];
	family.go = go[0];
	streams[0] = load_pages("parent", PRAM_LOAD_MAP);
	streams[1] = load_pages("child", PRAM_LOAD_MAP);
	family.stream = streams[1];
	mem = address_space(NR, kind);
	family.mem = mem;
	before = counters_now();
	expect(map_range(streams[0], mem, 0, NR, &same) == 0 && same == 0);
	counted(&before, { "mapped", NR });
	expect(same_frames(0, mem, NR, pfns) == NR);
	/* Once more: it is there already. */
	before = counters_now();
	expect(map_range(streams[0], mem, 0, NR, &same) == 0 && same == NR);
	counted(&before, { "same", NR });

	fflush(stdout);
	pid = fork();
	if (!pid) {
		nr_failed = 0;
		child_joins(&family);
		fflush(stdout);
		_exit(nr_failed != 0);
	}
	close(done[1]);
	expect(read(done[0], &c, 1) == 1);
	commit_all(streams, 2);
	expect(counter("data_pages") == 0);
	expect(filled(mem, NR, 1));
	expect(same_frames(0, mem, NR, pfns) == NR);
	if (write(go[1], "g", 1) != 1)
		err(1, "pipe");
	fill(mem, NR / 2, 6);
	expect(waitpid(pid, &status, 0) == pid && status == 0);
	expect(filled(mem, NR / 2, 6));
	fill(mem, NR, 7);
	expect(filled(mem, NR, 7));
	munmap(mem, NR * PAGE);
	free(of_child);
	close(pidfd);
	close(done[0]);
	close(go[0]);
	close(go[1]);
}

static void case_family(void)
{
	family(SMALL, 0);
	family(SMALL, 100);
	family(SMALL, NR);
	family(MID, 0);
	family(MID, 4 * MID_PAGES);
	family(HUGE, 0);
}

/* --- siblings whose parent has gone --- */

#define NR_SIBLINGS	3
/* Pages in front of those that the siblings had from their parent. */
#define NR_OWN		64

static struct sibling {
	/* NR pages; in front of them are pages that only this one has. */
	char		*mem;
	size_t		nr_own;
	/* Here it has written, with a seed of its own. */
	size_t		first, nr;
	uint64_t	seed;
	uint64_t	frames[NR];
	int		stream;
	pid_t		pid;
	int		to;
} siblings[NR_SIBLINGS];

static bool sibling_is_right(const struct sibling *sibling)
{
	char *want = malloc(NR * PAGE);
	bool right;

	fill(want, NR, 1);
	fill(want + sibling->first * PAGE, sibling->nr, sibling->seed);
	right = !memcmp(want, sibling->mem, NR * PAGE);
	free(want);
	return right;
}

enum sibling_order {
	SIBLING_LOADS = 'l',
	SIBLING_CHECKS = 'c',
	SIBLING_PAGES_OUT = 'o',
	SIBLING_WRITES = 'w',
};

static void sibling_main(struct sibling *sibling, int from)
{
	size_t own = sibling->nr_own;
	char order;

	while (read(from, &order, 1) == 1) {
		switch (order) {
		case SIBLING_LOADS:
			expect(read_in(sibling->stream, sibling->mem - own * PAGE, 0,
				       own + NR));
			expect(same_frames(0, sibling->mem, NR, sibling->frames) == NR);
			break;
		case SIBLING_PAGES_OUT:
			madvise(sibling->mem, NR * PAGE, MADV_PAGEOUT);
			break;
		case SIBLING_WRITES:
			sibling->first = 0;
			sibling->nr = NR;
			sibling->seed += 20;
			fill(sibling->mem, NR, sibling->seed);
			break;
		}
		if (!sibling_is_right(sibling)) {
			printf("%s: a sibling is wrong after '%c'\n", probe_what, order);
			nr_failed++;
		}
		if (write(from, &order, 1) != 1)
			break;
	}
	fflush(stdout);
	_exit(nr_failed != 0);
}

static void sibling_start(struct sibling *sibling, enum kind kind, bool moved)
{
	int socks[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks))
		err(1, "socketpair");
	fflush(stdout);
	sibling->pid = fork();
	if (sibling->pid < 0)
		err(1, "fork");
	if (!sibling->pid) {
		for (size_t i = 0; i < NR_SIBLINGS; i++)
			if (siblings[i].to >= 0)
				close(siblings[i].to);
		close(socks[0]);
		nr_failed = 0;
		/* So the region of who has more begins elsewhere. */
		munmap(sibling->mem - NR_OWN * PAGE,
		       (NR_OWN - sibling->nr_own) * PAGE);
		if (moved)
			sibling->mem = address_space(NR, kind);
		sibling_main(sibling, socks[1]);
	}
	close(socks[1]);
	sibling->to = socks[0];
}

static void sibling_tell(const struct sibling *sibling, enum sibling_order order)
{
	char c = order;

	if (write(sibling->to, &c, 1) != 1)
		errx(1, "%s: a sibling is gone", probe_what);
}

static void sibling_hear(const struct sibling *sibling)
{
	char c;

	if (read(sibling->to, &c, 1) != 1)
		errx(1, "%s: a sibling is gone", probe_what);
}

static void siblings_do(enum sibling_order order)
{
	for (size_t i = 0; i < NR_SIBLINGS; i++)
		sibling_tell(&siblings[i], order);
	for (size_t i = 0; i < NR_SIBLINGS; i++)
		sibling_hear(&siblings[i]);
}

static void siblings_end(void)
{
	for (size_t i = 0; i < NR_SIBLINGS; i++) {
		int status;

		close(siblings[i].to);
		siblings[i].to = -1;
		expect(waitpid(siblings[i].pid, &status, 0) == siblings[i].pid && !status);
	}
}

/* Have memory management move, split and reclaim what they share. */
static void trouble_siblings(void)
{
	write_text("/proc/sys/vm/compact_memory", "1");
	if (!access("/sys/kernel/debug/split_huge_pages", W_OK))
		write_text("/sys/kernel/debug/split_huge_pages", "1");
	siblings_do(SIBLING_PAGES_OUT);
	siblings_do(SIBLING_CHECKS);
}

/* Save what siblings have who were forked, each of which then writes to @nr pages. */
static void siblings_save(enum kind kind, size_t nr, size_t nr_own)
{
	char *room = memory(HUGE_PAGES + NR, kind, 1), *mem = room + HUGE_PAGES * PAGE;
	struct other others[NR_SIBLINGS];

	fill(mem, NR, 1);
	for (size_t i = 0; i < NR_SIBLINGS; i++) {
		siblings[i] = (struct sibling){
			.mem = mem,
			.nr_own = i ? 0 : nr_own,
			.first = i * nr % NR,
			.nr = nr,
			.seed = 2 + i,
			.to = -1,
		};
		others[i] = other_start();
	}
	munmap(room, (HUGE_PAGES + NR) * PAGE);

	for (size_t i = 0; i < NR_SIBLINGS; i++) {
		struct sibling *sibling = &siblings[i];
		int pidfd = syscall(SYS_pidfd_open, others[i].pid, 0);
		size_t own = sibling->nr_own;
		char name[16];
		int stream;

		other_do(&others[i], DO_FILL, mem + sibling->first * PAGE, nr,
			 sibling->seed);
		snprintf(name, sizeof(name), "sibling%zu", i);
		stream = save_pages(name, 0);
		expect(adopt_range(stream, pidfd, mem - own * PAGE, own + NR) == 0);
		frames(others[i].pid, mem, NR, sibling->frames);
		commit(stream);
		close(pidfd);
	}
	/* Each has the sockets of those that were forked before it. */
	for (size_t i = NR_SIBLINGS; i--; )
		other_end(&others[i]);
}

/*
 * Siblings are loaded by processes that have nothing to do with each other: they share
 * the frames again, whatever else is in the mapping of one of them, and though one has
 * @moved it. A load that fails first changes nothing.
 */
static void siblings_case(enum kind kind, size_t nr, size_t nr_own, bool moved)
{
	int streams[NR_SIBLINGS];

	siblings_save(kind, nr, nr_own);
	for (int finish = 0; finish < 2; finish++) {
		size_t own = siblings[0].nr_own;
		struct counters before = counters_now();
		char *at = siblings[0].mem - own * PAGE;

		/* Of these each process has one that it has not touched yet. */
		if (mmap(at, (own + NR) * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != at)
			err(1, "mmap");
		madvise(at, (own + NR) * PAGE, kind == SMALL ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
		for (size_t i = 0; i < NR_SIBLINGS; i++) {
			char name[16];

			snprintf(name, sizeof(name), "sibling%zu", i);
			siblings[i].stream = load_pages(name, PRAM_LOAD_MAP);
			streams[i] = siblings[i].stream;
		}
		for (size_t i = 0; i < NR_SIBLINGS; i++)
			sibling_start(&siblings[i], kind, moved && i == 1);
		munmap(at, (own + NR) * PAGE);

		if (moved) {
			/* Where it has what it shares is seen from those that have it. */
			for (size_t i = 0; i < NR_SIBLINGS; i++) {
				sibling_tell(&siblings[i], SIBLING_LOADS);
				sibling_hear(&siblings[i]);
			}
		} else {
			siblings_do(SIBLING_LOADS);
		}
		counted(&before, { "mapped", NR_SIBLINGS * NR + own });
		if (finish) {
			commit_all(streams, NR_SIBLINGS);
			expect(counter("data_pages") == 0);
			siblings_do(SIBLING_CHECKS);
			trouble_siblings();
		} else {
			for (size_t i = 0; i < NR_SIBLINGS; i++)
				close(streams[i]);
		}
		for (size_t i = 0; i < NR_SIBLINGS; i++) {
			sibling_tell(&siblings[i], SIBLING_WRITES);
			sibling_hear(&siblings[i]);
			if (i + 1 < NR_SIBLINGS) {
				sibling_tell(&siblings[i + 1], SIBLING_CHECKS);
				sibling_hear(&siblings[i + 1]);
			}
		}
		siblings_do(SIBLING_CHECKS);
		siblings_end();
	}
}

static void case_siblings(void)
{
	siblings_case(SMALL, 100, 0, false);
	siblings_case(SMALL, 100, NR_OWN, false);
	siblings_case(SMALL, 100, 0, true);
	siblings_case(MID, 4 * MID_PAGES, 0, false);
	siblings_case(MID, 4 * MID_PAGES, 0, true);
	siblings_case(HUGE, HUGE_PAGES, 0, false);
	siblings_case(HUGE, HUGE_PAGES, 0, true);
	/* Parts of large folios: each has the rest of those that it has written to. */
	siblings_case(MID, 3, 0, false);
	siblings_case(HUGE, 3, 0, false);
	siblings_case(HUGE, 3, 0, true);
}

/* Whatever was there is replaced. */
static void case_replaced(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		char *mem;
		int stream;

		make_node(NODE, NR, kind);
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		mem = address_space(NR, kind);
		fill(mem, NR, 9);
		expect(map_range(stream, mem, 0, NR, NULL) == 0);
		expect(filled(mem, NR, 1));
		fill(mem, NR / 2, 3);
		expect(node_filled(NODE, NR, 1));
		expect(map_range(stream, mem, 0, NR, NULL) == 0);
		expect(filled(mem, NR, 1));
		commit(stream);
		expect_owned(mem, NR, 1);
		munmap(mem, NR * PAGE);
	}
}

/* --- under load, again and again --- */

static void *race_main(void *arg)
{
	char sum = 0;

	for (size_t i = 0; i < NR; i++)
		sum += *(volatile char *)((char *)arg + i * 37 % NR * PAGE);
	return sum ? arg : NULL;
}

/* Another thread faults in the range that is being mapped. */
static void case_race(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		pthread_t thread;
		int stream;
		char *mem;

		make_node(NODE, NR, kind);
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		mem = address_space(NR, kind);
		if (pthread_create(&thread, NULL, race_main, mem))
			errx(1, "pthread_create");
		expect(read_in(stream, mem, 0, NR));
		expect(filled(mem, NR, 1));
		commit(stream);
		expect(filled(mem, NR, 1));
		pthread_join(thread, NULL);
		fill(mem, NR, 2);
		expect(filled(mem, NR, 2));
		munmap(mem, NR * PAGE);
	}
}

/*
 * MemFree, and the free pages that processors keep for themselves: some huge ones may be
 * among them. Nothing is on its way to the LRU lists afterwards.
 */
static long unused_kb(void)
{
	long kept = 0, count;
	char line[256];
	FILE *file;

	write_text("/proc/sys/vm/compact_memory", "1");
	file = fopen("/proc/zoneinfo", "r");
	if (!file)
		err(1, "/proc/zoneinfo");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, " count: %ld", &count) == 1)
			kept += count;
	}
	fclose(file);
	return field("/proc/meminfo", "MemFree:") + kept * (PAGE / 1024);
}

static void round_trip(enum kind kind, int round)
{
	const size_t nr = HUGE_PAGES;
	char *mem = memory(nr, kind, 1);
	int stream;

	save(NODE, round % 2 ? BY_PIPE : BY_RANGE, mem, nr);
	if (round % 3 == 0)
		touch(mem, nr / 4);
	munmap(mem, nr * PAGE);
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	mem = load_in(stream, nr, kind);
	if (round % 5 == 0)
		touch(mem, nr / 4);
	if (round % 7 == 0) {
		close(stream);
		node_free(NODE);
	} else {
		commit(stream);
	}
	munmap(mem, nr * PAGE);
}

/* 50 rounds are 100 MiB; what is left of them is noise. */
static void case_rounds(void)
{
	long before, slab;

	for (int round = 0; round < 10; round++)
		round_trip(round % NR_KINDS, round);
	before = unused_kb();
	slab = field("/proc/meminfo", "Slab:");
	for (int round = 0; round < 50; round++)
		round_trip(round % NR_KINDS, round);
	expect(counter("data_pages") == 0);
	if (labs(before - unused_kb()) > 4096)
		printf("%ld kB were free, %ld are\n", before, unused_kb());
	expect(before - unused_kb() <= 4096);
	expect(field("/proc/meminfo", "Slab:") - slab <= 2048);
}

/* --- errors --- */

static void case_errors(void)
{
	const size_t nr = 16;
	struct {
		struct pram_ioctl_map arg;
		uint64_t more;
	} longer = { .arg = { .size = sizeof(longer) } };
	char *mem = address_space(nr, SMALL);
	int stream, bytes;
	uint64_t same;

	make_node(NODE, nr, SMALL);
	/* Neither a stream for saving, nor one of bytes, nor one that does not map. */
	stream = save_pages("other", 0);
	expect(map_range(stream, mem, 0, 1, &same) == -EBADF);
	close(stream);
	bytes = pram_save(dev, "bytes", PRAM_BYTE_STREAM, 0);
	expect(write(bytes, "bytes", 5) == 5);
	commit(bytes);
	expect(pram_load(dev, "bytes", PRAM_BYTE_STREAM, 1U << 30) == -EOPNOTSUPP);
	bytes = pram_load(dev, "bytes", PRAM_BYTE_STREAM, PRAM_LOAD_MAP);
	expect(bytes == -EINVAL || map_range(bytes, mem, 0, 0, &same) == -EINVAL);
	if (bytes >= 0)
		close(bytes);
	node_free("bytes");
	stream = load_pages(NODE, 0);
	expect(map_range(stream, mem, 0, 1, &same) == -EINVAL && same == 0);
	close(stream);

	stream = load_pages(NODE, PRAM_LOAD_MAP);
	expect(map_range(stream, mem + 1, 0, 1, &same) == -EINVAL);
	expect(map_range(stream, mem, nr, 0, &same) == 0 && same == 0);
	expect(map_range(stream, mem, nr, 1, &same) == -EINVAL);
	expect(map_range(stream, mem, 1, nr, &same) == -EINVAL);
	expect(map_range(stream, mem, 0, ~0ULL, &same) == -EINVAL);
	expect(map_range(stream, mem, ~0ULL / PAGE, 2, &same) == -EINVAL);
	expect(map_range(stream, (void *)-(2 * PAGE), 0, 1, &same) == -EFAULT);
	expect(map_range(stream, (void *)(1UL << 63), 0, nr, &same) == -EFAULT);

	/* Where nothing is mapped, or nothing may be written. */
	munmap(mem + 8 * PAGE, 8 * PAGE);
	expect(map_range(stream, mem, 0, nr, &same) == -EFAULT);
	expect(pread(stream, mem + 8 * PAGE, PAGE, 0) == -1 && errno == EFAULT);
	expect(pread(stream, mem, nr * PAGE, 0) == 8 * (ssize_t)PAGE);
	mem = address_space(nr, SMALL);
	mprotect(mem, nr * PAGE, PROT_READ);
	expect(map_range(stream, mem, 0, nr, &same) == -EFAULT);
	expect(pread(stream, mem, nr * PAGE, 0) == -1 && errno == EFAULT);
	mprotect(mem, nr * PAGE, PROT_NONE);
	expect(map_range(stream, mem, 0, nr, &same) == -EFAULT);
	expect(pread(stream, mem, nr * PAGE, 0) == -1 && errno == EFAULT);
	mprotect(mem, nr * PAGE, PROT_READ | PROT_WRITE);
	for (size_t i = 0; i < nr * PAGE; i += PAGE)
		expect(!mem[i]);

	longer.arg.addr = (uintptr_t)mem;
	longer.arg.nr_pages = nr;
	longer.more = 1;
	expect(ioctl(stream, PRAM_IOCTL_MAP, &longer) == -1 && errno == E2BIG);
	longer.more = 0;
	longer.arg.flags = 1U << 30;
	expect(ioctl(stream, PRAM_IOCTL_MAP, &longer) == -1 && errno == EOPNOTSUPP);
	longer.arg.flags = 0;
	longer.arg.size = sizeof(longer.arg) - 1;
	expect(ioctl(stream, PRAM_IOCTL_MAP, &longer) == -1 && errno == EINVAL);
	longer.arg.size = sizeof(longer);
	expect(ioctl(stream, PRAM_IOCTL_MAP, &longer) == 0);
	expect(ioctl(dev, PRAM_IOCTL_MAP, &longer) == -1 && errno == ENOTTY);
	expect(node_filled(NODE, nr, 1));
	expect(!pram_commit(dev, &stream, 1));
	expect(map_range(stream, mem, 0, nr, &same) == -ESTALE);
	close(stream);
	expect_owned(mem, nr, 1);
}

/* --- over a kexec --- */

/* Nodes that are there after a kexec, and their frames. */
struct kept {
	const char	*name;
	enum kind	kind;
	size_t		nr;
	/* The first load is finished, none fails before. */
	bool		once;
};

static const struct kept kept[] = {
	{ "kept-small", SMALL, 4 * HUGE_PAGES, false },
	{ "kept-once", SMALL, 4 * HUGE_PAGES, true },
	{ "kept-mid", MID, 2 * HUGE_PAGES, false },
	{ "kept-huge", HUGE, 4 * HUGE_PAGES, false },
};

#define NR_KEPT	(sizeof(kept) / sizeof(*kept))

static int do_save(const char *path)
{
	FILE *file = fopen(path, "we");
	char *mem;

	if (!file)
		err(1, "cannot write %s", path);
	for (size_t i = 0; i < NR_KEPT; i++) {
		size_t nr = kept[i].nr;

		mem = memory(nr, kept[i].kind, 1);
		frames(0, mem, nr, pfns);
		save(kept[i].name, i ? BY_RANGE : BY_PIPE, mem, nr);
		/* The owner goes on writing. */
		fill(mem, nr, 2);
		if (fwrite(pfns, sizeof(*pfns), nr, file) != nr)
			err(1, "cannot write %s", path);
	}
	if (fclose(file))
		err(1, "cannot write %s", path);
	return 0;
}

static int do_verify(const char *path)
{
	FILE *file = fopen(path, "re");

	if (!file)
		err(1, "cannot read %s", path);
	for (size_t i = 0; i < NR_KEPT; i++) {
		size_t nr = kept[i].nr;
		struct counters before;
		char *mem;
		int stream;

		snprintf(probe_what, sizeof(probe_what), "%s", kept[i].name);
		if (fread(pfns, sizeof(*pfns), nr, file) != nr)
			err(1, "cannot read %s", path);
		expect(node_filled(kept[i].name, nr, 1));
		/* One that fails, then one that is finished. */
		for (int finish = kept[i].once; finish < 2; finish++) {
			before = counters_now();
			stream = load_pages(kept[i].name, PRAM_LOAD_MAP);
			mem = load_in(stream, nr, kept[i].kind);
			counted(&before, { "mapped", nr });
			expect(same_frames(0, mem, nr, pfns) == nr);
			expect(filled(mem, nr, 1));
			if (kept[i].kind == HUGE)
				expect(smaps_field(0, mem, "AnonHugePages:") == (long)nr * 4);
			if (finish)
				break;
			fill(mem, nr / 2, 3);
			close(stream);
			munmap(mem, nr * PAGE);
			expect(node_filled(kept[i].name, nr, 1));
		}
		before = counters_now();
		commit(stream);
		counted(&before, { "reused", nr });
		expect_owned(mem, nr, 1);
		expect(same_frames(0, mem, nr, pfns) == nr);
		if (kept[i].once)
			expect(all_on_lru_lists(mem, nr));
		munmap(mem, nr * PAGE);
	}
	fclose(file);
	return probe_result();
}

static void *sleep_main(void *arg)
{
	/* Nobody answers. */
	read_in(inherited, arg, 0, NR);
	errx(1, "the reader has woken up");
}

static int do_sleep(const char *mib, const char *path)
{
	size_t nr = strtoul(mib, NULL, 10) * 256;
	long held = counter("data_pages");
	char *mem = memory(nr, HUGE, 1), *absent = address_space(NR, SMALL);
	struct uffdio_register reg = {
		.range = { (uintptr_t)absent, NR * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	struct pollfd fault = { .events = POLLIN };
	pthread_t thread;

	save(NODE, BY_PIPE, mem, nr);
	munmap(mem, nr * PAGE);
	load_pages(NODE, PRAM_LOAD_PEEK);
	inherited = load_pages(NODE, PRAM_LOAD_PEEK);
	fault.fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fault.fd < 0 || ioctl(fault.fd, UFFDIO_API, &api) ||
	    ioctl(fault.fd, UFFDIO_REGISTER, &reg))
		err(1, "userfaultfd");
	if (pthread_create(&thread, NULL, sleep_main, absent))
		errx(1, "pthread_create");
	/* Until it sleeps in its fault. */
	if (poll(&fault, 1, -1) != 1 || fault.revents != POLLIN)
		errx(1, "there is no fault, but %#x", fault.revents);
	node_free(NODE);
	if (counter("data_pages") != held + (long)nr)
		errx(1, "nobody holds on to the node");
	write_text(path, "asleep");
	pause();
	return 1;
}

/* --- */

struct test_case {
	const char	*name;
	void		(*run)(void);
	/* Not run unless named. */
	bool		special;
};

#define CASE(name)	{ #name, case_##name, false }

static const struct test_case cases[] = {
	CASE(finished), CASE(fresh), CASE(twice_at_once), CASE(vector), CASE(aborted), CASE(killed), CASE(unmapped),
	CASE(forked), CASE(peek_twice), CASE(peek_and_finish), CASE(held),
	CASE(places), CASE(misaligned), CASE(huge_places), CASE(locked),
	CASE(userfaultfd), CASE(soft_dirty), CASE(memcg), CASE(rss),
	CASE(namespace), CASE(checksums), CASE(copied), CASE(family),
	CASE(siblings), CASE(replaced), CASE(race), CASE(rounds), CASE(errors),
	{ "swap", case_swap, true },
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
		printf("%s: status %#x\n", probe_what, status);
		nr_failed++;
	}
	/* What a case that failed has left would make all others fail. */
	if (status)
		pram_free_all(dev, NULL);
	expect(counter("data_pages") == data);
	expect(counter("meta_pages") == meta);
}

int main(int argc, char **argv)
{
	dev_open();
	if (argc == 3 && !strcmp(argv[1], "save"))
		return do_save(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "verify"))
		return do_verify(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "sleep"))
		return do_sleep(argv[2], argv[3]);
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
