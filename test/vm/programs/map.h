/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the program map share. */
#ifndef MAP_H
#define MAP_H

#include "probe.h"

#define NODE	"map"
/* A length that every kind of folio divides. */
#define NR	(2 * HUGE_PAGES)

/* Frames; most that a test here looks at. */
extern uint64_t pfns[4 * HUGE_PAGES];

/*
 * Save @nr pages, made of folios of a kind, filled by seed 1, and unmap them.
 * Their frames are in pfns.
 */
void make_node(const char *name, size_t nr, enum kind kind);

/* Pages that were no task's in this boot: they are copied one by one. Filled by seed 1. */
void make_fresh(const char *name, size_t nr);

/* The kernel's AnonPages, in kilobytes, without what memory() keeps. */
long anon_kb(void);

bool read_in(int stream, void *mem, size_t first, size_t nr);
void *load_in(int stream, size_t nr, enum kind kind);

/* Write a bit of each page without a change. */
void touch(void *mem, size_t nr);

/* Memory that was finished: it is the task's, and written to in place. */
void expect_owned(void *mem, size_t nr, uint64_t seed);

/* All of NODE is mapped by a load, as fill(1) has made it, by these frames if not NULL, and is owned then. */
void expect_maps(enum kind kind, const uint64_t *from);

/* --- cases --- */

void case_places(void);
void case_misaligned(void);
void case_huge_places(void);
void case_locked(void);
void case_userfaultfd(void);
void case_soft_dirty(void);
void case_swap(void);
void case_memcg(void);
void case_rss(void);
void case_namespace(void);
void case_family(void);
void case_siblings(void);
void case_replaced(void);

#endif /* MAP_H */
