/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What something costs: ticks of the time stamp counter until it was done, the instructions
 * that were executed meanwhile, and those of the 0.3 s afterwards. Instructions are those
 * that counts.c counts, whose file is the memory of a device that test/bench/guest has
 * linked to /run/counts; 0 if there is none. In a guest of
 * test/vm/run --count-instructions a tick is an instruction, too, but there are also ticks
 * while there is nothing to execute.
 */
#ifndef BENCH_COST_H
#define BENCH_COST_H

#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include "counts.h"

struct cost {
	uint64_t ticks;
	uint64_t instructions;
};

static inline uint64_t cost_read(unsigned int pair, unsigned int which)
{
	static const volatile uint64_t *counts;
	int fd;

	if (!counts) {
		fd = open("/run/counts", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return 0;
		counts = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		if (counts == MAP_FAILED)
			err(1, "cannot map /run/counts");
		close(fd);
	}
	return counts[2 * pair + which];
}

static inline uint64_t cost_instructions(void)
{
	return cost_read(COUNTS_ALL, 1);
}

static inline void cost_begin(struct cost *cost)
{
	cost->instructions = cost_instructions();
	cost->ticks = __rdtsc();
}

static inline void cost_end(const struct cost *cost, FILE *out)
{
	const uint64_t ticks = __rdtsc(), instructions = cost_instructions();

	usleep(300 * 1000);
	fprintf(out, "%lu %lu %lu\n", (unsigned long)(ticks - cost->ticks),
		(unsigned long)(instructions - cost->instructions),
		(unsigned long)(cost_instructions() - instructions));
}

#endif
