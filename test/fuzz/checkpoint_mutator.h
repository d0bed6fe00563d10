/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PRAM_FUZZ_CHECKPOINT_MUTATOR_H
#define PRAM_FUZZ_CHECKPOINT_MUTATOR_H

#include <stddef.h>
#include <stdint.h>

/* The name that checkpoints have here: that of the golden one. */
#define FUZZ_CHECKPOINT	"/var/lib/criu/redis"

/*
 * Changes a metadata node: bytes of it, bytes of its index, or what the index says. In
 * most cases lengths and checksums are right again afterwards. The new size.
 */
size_t fuzz_mutate_checkpoint(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* The same for an input whose first byte says what to do with the node behind it. */
size_t fuzz_mutate_behind_byte(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

#endif /* PRAM_FUZZ_CHECKPOINT_MUTATOR_H */
