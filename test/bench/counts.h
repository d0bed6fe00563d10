/* SPDX-License-Identifier: GPL-2.0-only */
/* The file of counts.c: how large it is, and pairs in it that are no address's. */
#ifndef BENCH_COUNTS_H
#define BENCH_COUNTS_H

#define COUNTS_BYTES	(16UL << 20)
/* 0, and all instructions that were executed. */
#define COUNTS_ALL	0
/* How often test/bench/profile-report has looked at the file, and what is in no other pair. */
#define COUNTS_LOOKS	1

#endif
