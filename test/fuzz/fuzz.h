/* SPDX-License-Identifier: GPL-2.0-only */
/* What each harness has, for libFuzzer and for replaying files alike; see README.md. */
#ifndef PRAM_FUZZ_H
#define PRAM_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Decodes one input. Whatever it is, nothing may be left behind: neither memory nor
 * descriptors nor files. 0 if it was accepted, else whatever says that it was not.
 */
int fuzz_one(const uint8_t *data, size_t size);

/* Something holds that must never hold: as bad as a crash, and found like one. */
#define FUZZ_ASSERT(condition)							\
	do {									\
		if (!(condition)) {						\
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__,	\
				__LINE__, #condition);				\
			abort();						\
		}								\
	} while (0)

/* ---- for custom mutators, in programs for libFuzzer only ----------------- */

#ifdef FUZZ_LIBFUZZER
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
#endif

/* A small generator, so that a seed always makes the same. @state is not 0. */
static inline uint32_t fuzz_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Numbers at which things change. */
static inline uint64_t fuzz_number(uint32_t *state)
{
	static const uint64_t numbers[] = {
		0, 1, 2, 7, 8, 255, 256, 4095, 4096, 65535, 65536, INT32_MAX, UINT32_MAX,
		UINT64_C(1) << 32, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX - 4095, UINT64_MAX,
	};
	const uint32_t r = fuzz_random(state);

	return r & 1 ? numbers[(r >> 8) % (sizeof(numbers) / sizeof(*numbers))] :
		       (uint64_t)((r >> 8) & 0xfff);
}

#endif /* PRAM_FUZZ_H */
