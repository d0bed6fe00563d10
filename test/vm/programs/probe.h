/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs that test /dev/pram from outside share: expectations, test
 * memory, page frames, PRAM's counters, and streams.
 *
 * Lengths are in pages of PAGE bytes unless told otherwise. Whatever cannot be
 * set up ends the process by errx(); what is not as expected is reported with
 * its line and counted in nr_failed.
 */
#ifndef PROBE_H
#define PROBE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "pram.h"

#define PAGE		4096UL
#define HUGE_PAGES	512UL
#define HUGE_SIZE	(HUGE_PAGES * PAGE)
/* Those of a folio of 64 KiB. */
#define MID_PAGES	16UL

extern unsigned int nr_failed;

#define expect(cond)                                                          \
	do {                                                                  \
		errno = 0;                                                    \
		if (!(cond)) {                                                \
			printf("%s: %s:%d: not true: %s (errno %d)\n",        \
			       probe_what, __FILE_NAME__, __LINE__, #cond, errno); \
			nr_failed++;                                          \
		}                                                             \
	} while (0)

/* What is being tested, for messages. */
extern char probe_what[128];

/* --- memory --- */

enum kind {
	SMALL,	/* pages by themselves */
	MID,	/* folios of 64 KiB */
	HUGE,	/* folios of 2 MiB, mapped as such */
	NR_KINDS,
};

extern const char *const kind_names[NR_KINDS];
/* Pages of one folio. */
extern const size_t kind_pages[NR_KINDS];

/**
 * address_space() - private anonymous addresses with nothing behind them
 * @nr: length
 * @kind: what a fault is to bring
 *
 * Return: the start, a multiple of the size of a huge page.
 */
void *address_space(size_t nr, enum kind kind);

/**
 * memory() - private anonymous memory made of folios of a kind
 * @nr: length, a multiple of kind_pages[@kind]
 * @kind: the kind
 * @seed: see fill()
 *
 * Return: the start, a multiple of the size of a huge page.
 */
void *memory(size_t nr, enum kind kind, uint64_t seed);

/*
 * Kilobytes that memory() keeps mapped in this process because they are in scratch areas.
 * Who compares the memory in use before and after subtracts them each time.
 */
extern long memory_kept_kb;

/* The same, wherever its frames are: memory()'s are not in scratch areas. */
void *any_memory(size_t nr, enum kind kind, uint64_t seed);

/*
 * Write to every byte what follows from @seed and the place in @mem: the words are @seed << 56 and
 * once, twice, … FILL_STEP. Emulated, all that this does counts: an addition for each word.
 */
#define FILL_STEP	0x9e3779b97f4a7c15
void fill(void *mem, size_t nr, uint64_t seed);

/* Is every byte as fill() has made it? */
bool filled(const void *mem, size_t nr, uint64_t seed);

/* --- frames --- */

#define PM_SOFT_DIRTY	(1ULL << 55)
#define PM_EXCLUSIVE	(1ULL << 56)
#define PM_SWAP		(1ULL << 62)
#define PM_PRESENT	(1ULL << 63)
#define PM_FRAME	((1ULL << 55) - 1)

#define KPF_LRU			5
#define KPF_COMPOUND_HEAD	15
#define KPF_COMPOUND_TAIL	16
#define KPF_KSM			21

/* The entries of /proc/PID/pagemap; 0 as @pid is this process. */
void pagemap(pid_t pid, const void *mem, size_t nr, uint64_t *entries);

/*
 * Have pages of this process swapped out, until @want of them are; what waits to be put on
 * an LRU list cannot be at first.
 */
void swap_out(void *mem, size_t nr, size_t want);

/* The same as pagemap(), and only the numbers of frames, 0 where there is none. */
void frames(pid_t pid, const void *mem, size_t nr, uint64_t *pfns);

/* How many of the pages at @mem have the frames in @pfns? */
size_t same_frames(pid_t pid, const void *mem, size_t nr, const uint64_t *pfns);

/* A line of /proc/kpageflags. */
uint64_t page_flags(uint64_t pfn);

/* Is a frame in KHO's scratch areas? */
bool in_scratch(uint64_t pfn);

/* Is a frame in memory that is only for what can be moved (ZONE_MOVABLE)? */
bool in_movable(uint64_t pfn);

/**
 * field() - the number behind a name in a file of /proc
 * @path: the file
 * @name: the name, with its colon
 *
 * Return: the number, -1 if there is none.
 */
long field(const char *path, const char *name);

/* As field(), of the mapping that begins at @mem, in kilobytes. */
long smaps_field(pid_t pid, const void *mem, const char *name);

long read_number(const char *path);
void write_text(const char *path, const char *text);

/* --- counters --- */

#define NR_COUNTERS	22
/* Where some are in a struct counters. */
#define ADOPTED		0
#define MIGRATED	2
#define MAPPED		3
#define COPIED_ON_LOAD	7
#define ON_TOUCH	8
#define COPIED		10

struct counters {
	int64_t value[NR_COUNTERS];
};

struct count {
	const char *name;
	int64_t n;
};

struct counters counters_now(void);

/**
 * counted() - what has been counted since?
 * @before: a struct counters
 * @...: each { "name", n }; names as in /sys/kernel/pram without "pages_" or
 *	 "pages_copied_". What is not named has to be 0; "copied" is worked out.
 */
#define counted(before, ...) \
	counted_at(__LINE__, before, (const struct count[]){ __VA_ARGS__, {} })
void counted_at(int line, const struct counters *before,
		const struct count *expected);

/* /sys/kernel/pram/NAME */
long counter(const char *name);

/* --- streams --- */

/* /dev/pram, open */
extern int dev;
void dev_open(void);

int save_pages(const char *name, uint32_t flags);
int load_pages(const char *name, uint32_t flags);
/* Ends streams by commit, and closes them. */
void commit(int stream);
void commit_all(const int *streams, size_t nr);

/* PRAM_IOCTL_ADOPT. Return: 0 or -errno; *@pages is set if not NULL. */
int adopt(int stream, int pidfd, const struct pram_range *ranges, size_t nr,
	  uint64_t *pages);
int adopt_range(int stream, int pidfd, const void *mem, size_t nr);

/* PRAM_IOCTL_ADOPT_FILE. Return: 0 or -errno; *@pages is set if not NULL. */
int adopt_file(int stream, int fd, const struct pram_range *ranges, size_t nr,
	       uint64_t *pages);

/* A pidfd of this process, made once. */
int self_pidfd(void);

/* Append memory of this process to a stream. */
void append(int stream, const void *mem, size_t nr);

/* Save and commit memory of this process. */
void save(const char *name, const void *mem, size_t nr);

/* PRAM_IOCTL_MAP. Return: 0 or -errno; *@same is set if not NULL. */
int map_range(int stream, void *mem, uint64_t first, size_t nr, uint64_t *same);

/* Is a node, looked at by copying, filled by @seed? */
bool node_filled(const char *name, size_t nr, uint64_t seed);

void node_free(const char *name);

/* --- other processes --- */

/**
 * struct other - a process that does what it is told
 * @pid: its pid
 * @to: a socket to it
 */
struct other {
	pid_t	pid;
	int	to;
};

enum order {
	DO_FILL,	/* fill() */
	DO_CHECK,	/* filled()? */
	DO_END,
};

/* Forks one: it has a copy of this process's memory. */
struct other other_start(void);
/* Return: what came out, true or false. */
bool other_do(const struct other *other, enum order order, void *mem, size_t nr,
	      uint64_t seed);
void other_end(struct other *other);

/* Run something in a forked process. Return: its wait status. */
int in_child(void (*fn)(void *arg), void *arg);

/* --- cases --- */

/**
 * struct probe_case - a part of what a program tests
 * @name: its name
 * @run: tests it, in a process of its own
 * @special: not run unless it is named
 */
struct probe_case {
	const char	*name;
	void		(*run)(void);
	bool		special;
};

/**
 * run_cases() - run the cases that are named, or all but special ones
 * @cases: the cases
 * @nr: their number
 * @names: the names, ended by NULL; none: all
 *
 * After each case PRAM must hold what it held before.
 */
void run_cases(const struct probe_case *cases, size_t nr, char *const *names);

/* The exit status of a program that has run its tests. */
int probe_result(void);

#endif /* PROBE_H */
