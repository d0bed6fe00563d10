// SPDX-License-Identifier: GPL-2.0-only
/* Tasks that share frames, with and without a common parent: map's cases. */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "map.h"
#include "probe.h"

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
	save("parent", mem, NR);
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

void case_family(void)
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

/* What is right is not put into memory first: that would be a thousand page faults each time. */
static bool sibling_is_right(const struct sibling *sibling)
{
	const size_t words = PAGE / sizeof(uint64_t);
	const size_t own = sibling->first * words, own_end = own + sibling->nr * words;
	const uint64_t *word = (const uint64_t *)sibling->mem;
	uint64_t common = UINT64_C(1) << 56, written = sibling->seed << 56;

	for (size_t i = 0; i < NR * words; i++) {
		uint64_t want = common += FILL_STEP;

		if (i >= own && i < own_end)
			want = written += FILL_STEP;
		if (word[i] != want)
			return false;
	}
	return true;
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
	const char *const split = "/sys/kernel/debug/split_huge_pages";

	write_text("/proc/sys/vm/compact_memory", "1");
	for (size_t i = 0; i < NR_SIBLINGS && !access(split, W_OK); i++) {
		char range[64];

		/* All of the memory would be searched for "1", which takes seconds. */
		snprintf(range, sizeof(range), "%d,%#lx,%#lx", siblings[i].pid,
			 (unsigned long)siblings[i].mem, (unsigned long)(siblings[i].mem + NR * PAGE));
		write_text(split, range);
	}
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

void case_siblings(void)
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
void case_replaced(void)
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
