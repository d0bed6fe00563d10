// SPDX-License-Identifier: GPL-2.0-only
/*
 * Giving pages to a task, seen from outside: the same frames as before, copy on
 * write until the load is finished and writable in place afterwards; where they
 * cannot be mapped, and are copied; accounting; errors. Cases of one subject are in
 * map_places.c, map_charge.c and map_family.c.
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
 * FILE, and sleeps, too. TWICE_ROUNDS (3) is how often two of them want the same pages at once.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "map.h"
#include "probe.h"

uint64_t pfns[4 * HUGE_PAGES];

void make_node(const char *name, size_t nr, enum kind kind)
{
	char *mem = memory(nr, kind, 1);

	frames(0, mem, nr, pfns);
	save(name, mem, nr);
	munmap(mem, nr * PAGE);
}

void make_fresh(const char *name, size_t nr)
{
	char *mem = memory(nr, SMALL, 1);
	int stream = save_pages(name, 0);

	for (size_t i = 0; i < nr; i++)
		expect(write(stream, mem + i * PAGE, PAGE) == (ssize_t)PAGE);
	commit(stream);
	munmap(mem, nr * PAGE);
}

long anon_kb(void)
{
	return field("/proc/meminfo", "AnonPages:") - memory_kept_kb;
}

bool read_in(int stream, void *mem, size_t first, size_t nr)
{
	return pread(stream, mem, nr * PAGE, first * PAGE) == (ssize_t)(nr * PAGE);
}

void *load_in(int stream, size_t nr, enum kind kind)
{
	char *mem = address_space(nr, kind);

	expect(read_in(stream, mem, 0, nr));
	return mem;
}

void touch(void *mem, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		volatile char *byte = (char *)mem + i * PAGE + 17;

		*byte = *byte;
	}
}

void expect_owned(void *mem, size_t nr, uint64_t seed)
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

void expect_maps(enum kind kind, const uint64_t *from)
{
	struct counters before = counters_now();
	int stream = load_pages(NODE, PRAM_LOAD_MAP);
	char *mem = load_in(stream, NR, kind);

	counted(&before, { "mapped", NR });
	expect(!from || same_frames(0, mem, NR, from) == NR);
	commit(stream);
	expect_owned(mem, NR, 1);
	munmap(mem, NR * PAGE);
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
	long anon = anon_kb();
	struct counters before;
	char *mem;
	int stream;

	make_fresh(NODE, NR);
	before = counters_now();
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	mem = load_in(stream, NR, SMALL);
	counted(&before, { "mapped", NR });
	expect(filled(mem, NR, 1));
	expect(labs(anon_kb() - anon - (long)NR * 4) <= 1024);
	before = counters_now();
	commit(stream);
	counted(&before, { "reused", NR });
	expect(counter("data_pages") == 0);
	expect(all_on_lru_lists(mem, NR));
	expect_owned(mem, NR, 1);
	munmap(mem, NR * PAGE);
	expect(labs(anon_kb() - anon) <= 1024);
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
	const char *rounds = getenv("TWICE_ROUNDS");
	long anon = anon_kb();

	for (int round = 0; round < (rounds ? atoi(rounds) : 3); round++) {
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
	expect(labs(anon_kb() - anon) <= 1024);
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
		expect_maps(kind, pfns);
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
		struct pram_node_stat stat;

		make_node(NODE, NR, kind);
		expect(in_child(child_loads, &kind) == SIGKILL);
		expect(!pram_stat(dev, NODE, &stat) && stat.state == PRAM_NODE_READY);
		expect(node_filled(NODE, NR, 1));
		expect_maps(kind, pfns);
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

/* Saved again, before the load has ended and right afterwards, whether finished or given up. */
static void case_saved_again(void)
{
	for (int round = 0; round < 2 * NR_KINDS; round++) {
		enum kind kind = round / 2;
		bool finish = round % 2;
		char *mem;
		int stream;

		make_node(NODE, NR, kind);
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		mem = load_in(stream, NR, kind);
		save("before", mem, NR);
		fill(mem, NR / 4, 2);
		if (finish)
			commit(stream);
		else
			close(stream);
		fill(mem, NR, 2);
		save("after", mem, NR);
		fill(mem, NR, 3);
		expect(node_filled("before", NR, 1));
		expect(node_filled("after", NR, 2));
		expect(filled(mem, NR, 3));
		munmap(mem, NR * PAGE);
		if (!finish) {
			expect(node_filled(NODE, NR, 1));
			node_free(NODE);
		}

		/* Each can be loaded on its own. */
		stream = load_pages("before", PRAM_LOAD_MAP);
		mem = load_in(stream, NR, kind);
		commit(stream);
		expect_owned(mem, NR, 1);
		expect(node_filled("after", NR, 2));
		node_free("after");
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
	save(NODE, mem, nr);
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

/* --- contents --- */

static void case_checksums(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		int stream = save_pages(NODE, PRAM_SAVE_CHECKSUM);
		char *mem = memory(NR, kind, 1);

		frames(0, mem, NR, pfns);
		append(stream, mem, NR);
		commit(stream);
		munmap(mem, NR * PAGE);
		expect_maps(kind, pfns);
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
	append(stream, mem, NR / 2);
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
	return field("/proc/meminfo", "MemFree:") + kept * (PAGE / 1024) + memory_kept_kb;
}

static void round_trip(enum kind kind, int round)
{
	const size_t nr = HUGE_PAGES;
	char *mem = memory(nr, kind, 1);
	int stream;

	save(NODE, mem, nr);
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
		save(kept[i].name, mem, nr);
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

	save(NODE, mem, nr);
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

#define CASE(name)	{ #name, case_##name, false }

static const struct probe_case cases[] = {
	CASE(finished), CASE(fresh), CASE(twice_at_once), CASE(vector), CASE(aborted), CASE(killed), CASE(unmapped),
	CASE(forked), CASE(saved_again), CASE(peek_twice), CASE(peek_and_finish), CASE(held),
	CASE(places), CASE(misaligned), CASE(huge_places), CASE(locked),
	CASE(userfaultfd), CASE(soft_dirty), CASE(memcg), CASE(rss),
	CASE(namespace), CASE(checksums), CASE(copied), CASE(family),
	CASE(replaced), CASE(race), CASE(rounds), CASE(errors),
	/* With swap space they are tried harder; without it nothing else is. */
	{ "siblings", case_siblings, true }, { "swap", case_swap, true },
};

int main(int argc, char **argv)
{
	dev_open();
	if (argc == 3 && !strcmp(argv[1], "save"))
		return do_save(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "verify"))
		return do_verify(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "sleep"))
		return do_sleep(argv[2], argv[3]);
	run_cases(cases, sizeof(cases) / sizeof(*cases), argv + 1);
	return probe_result();
}
