/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the program adopt share. */
#ifndef ADOPT_H
#define ADOPT_H

#include <linux/io_uring.h>

#include "probe.h"

#define NODE	"adopt"

#define FROM_TASK(kind)	(kind_pages[kind] == 1 ? 32 : 2 * kind_pages[kind])

/* The node has what is in memory now. */
void expect_node_is(const char *name, const void *mem, size_t nr);

/*
 * Save this memory and see what has been counted, and that it is all there, in
 * @folios folios if that is not 0.
 */
#define take(way, mem, nr, folios, ...)                                        \
	do {                                                                   \
		struct counters before_ = counters_now();                      \
		struct pram_node_stat stat_;                                   \
									       \
		save(NODE, way, mem, nr);                                      \
		counted(&before_, __VA_ARGS__);                                \
		expect(!pram_stat(dev, NODE, &stat_));                         \
		expect(stat_.bytes == (nr) * PAGE && stat_.data_pages == (nr)); \
		expect(!(folios) || stat_.nr_folios == (folios));              \
		expect((int64_t)stat_.adopted_pages ==                         \
		       counters_now().value[ADOPTED] - before_.value[ADOPTED]);            \
		expect_node_is(NODE, mem, nr);                                 \
		node_free(NODE);                                               \
	} while (0)

/* A file in @dir of that many pages, made by fill(). */
int make_file(const char *dir, size_t nr, uint64_t seed);
char *map_file(int fd, size_t nr, int flags);

/* An io_uring that has @mem pinned as its buffer 0. */
struct uring {
	int			fd;
	struct io_uring_params	params;
	char			*rings;
	struct io_uring_sqe	*sqes;
};

struct uring uring_start(void *mem, size_t nr);

/* Have the kernel read a file into the buffer. Return: what came out. */
int uring_read(struct uring *uring, int file, void *mem, size_t nr);

/* A task that is not stopped. */
struct racer {
	volatile uint64_t	*words;
	size_t			nr;
	volatile bool		stop;
};

/* A handler of SIGBUS for who says that a page of his is damaged: he is told so, too. */
void on_bus_error(int sig);

/* --- cases --- */

void case_whole(enum way way);
void case_partial(enum way way);
void case_interrupted(enum way way);
void case_shared(enum way way);
void case_parts(enum way way);
void case_held_part(enum way way);
void case_asked(enum way way);
void case_unaligned(enum way way);
void case_unmapped(enum way way);
void case_ranges(enum way way);
void case_much(enum way way);
void case_ksm(enum way way);
void case_file(enum way way);
void case_shmem(enum way way);
void case_hugetlb(enum way way);
void case_secret(enum way way);
void case_poisoned(enum way way);
void case_special(enum way way);
void case_aio(enum way way);
void case_pinned(enum way way);
void case_scratch(enum way way);
void case_evacuated(enum way way);
void case_movable(enum way way);
void case_swapped(enum way way);
void case_reclaimed(enum way way);
void case_present(enum way way);
void case_present_swapped(enum way way);
void case_present_errors(enum way way);
void case_self(enum way way);
void case_forked_before(enum way way);
void case_forked_after(enum way way);
void case_fork_gone(enum way way);
void case_proc_mem(enum way way);
void case_vm_writev(enum way way);
void case_poke(enum way way);
void case_poke_forced(enum way way);
void case_remapped(enum way way);
void case_protected(enum way way);
void case_soft_dirty(enum way way);
void case_split(enum way way);
void case_collapsed(enum way way);
void case_populate(enum way way);
void case_uring(enum way way);
void case_piped(enum way way);
void case_pageout(enum way way);
void case_race(enum way way);
void case_race_pinned(enum way way);
void case_discarded(enum way way);
void case_dying(enum way way);
void case_errors(enum way way);

#endif /* ADOPT_H */
