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
#define take(mem, nr, folios, ...)                                             \
	do {                                                                   \
		struct counters before_ = counters_now();                      \
		struct pram_node_stat stat_;                                   \
									       \
		save(NODE, mem, nr);                                           \
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

void case_whole(void);
void case_partial(void);
void case_interrupted(void);
void case_shared(void);
void case_parts(void);
void case_held_part(void);
void case_asked(void);
void case_unaligned(void);
void case_spliced(void);
void case_ranges(void);
void case_much(void);
void case_ksm(void);
void case_file(void);
void case_shmem(void);
void case_hugetlb(void);
void case_secret(void);
void case_poisoned(void);
void case_special(void);
void case_aio(void);
void case_pinned(void);
void case_scratch(void);
void case_evacuated(void);
void case_evacuated_short(void);
void case_movable(void);
void case_swapped(void);
void case_reclaimed(void);
void case_present(void);
void case_present_swapped(void);
void case_present_errors(void);
void case_self(void);
void case_forked_before(void);
void case_forked_after(void);
void case_fork_gone(void);
void case_proc_mem(void);
void case_vm_writev(void);
void case_poke(void);
void case_poke_forced(void);
void case_remapped(void);
void case_protected(void);
void case_soft_dirty(void);
void case_split(void);
void case_collapsed(void);
void case_populate(void);
void case_uring(void);
void case_piped(void);
void case_pageout(void);
void case_dying_twice(void);
void case_dying_forked(void);
void case_dying_swapped(void);
void case_race(void);
void case_race_pinned(void);
void case_discarded(void);
void case_dying(void);
void case_exitkill(void);
void case_errors(void);

#endif /* ADOPT_H */
