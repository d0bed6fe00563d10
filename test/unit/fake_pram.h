/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A /dev/pram inside a test program, for machines whose kernel has none.
 *
 * open(2) of /dev/pram and the ioctls on what it returns are caught by the linker
 * (--wrap, see fake_pram_dep in meson.build); everything else a stream can do, it
 * can because it is a memfd. Nodes are shared with forked children, and a stream
 * ends with the last descriptor of it in whatever process: an uncommitted save is
 * discarded then and an unfinished load puts the node back, as in the kernel.
 *
 * What it does not do: verify checksums, refuse a write of half a page when it is
 * written (sealing fails instead). It copies what it should take over or map, and
 * goes by the content where the kernel goes by the frame.
 */
#ifndef PRAM_TEST_FAKE_PRAM_H
#define PRAM_TEST_FAKE_PRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/pram.h>

/* Begins with no nodes; a test that fails to is stopped. */
void fake_pram_setup(void);

/* Forgets everything. Descriptors that are still open are of no use any more. */
void fake_pram_teardown(void);

/* From now on open(2) of /dev/pram fails with @error; 0 for success. */
void fake_pram_fail_open(int error);

/* What PRAM_IOCTL_INFO and pram_open() see; %PRAM_ABI_VERSION after setup. */
void fake_pram_set_abi(uint32_t abi_version);

/* What PRAM_IOCTL_INFO says; without a bit its ioctl does not exist. All after setup. */
void fake_pram_set_features(uint64_t features);

/* What PRAM_IOCTL_INFO says as well: a limit, which nothing goes by, and what was lost. */
void fake_pram_set_totals(uint64_t max_bytes, uint64_t lost_pages);

/*
 * Lets one call of an ioctl fail with @error, after @skip calls that do not:
 * fake_pram_fail(PRAM_IOCTL_COMMIT, ENOMEM, 0).
 */
void fake_pram_fail(unsigned long request, int error, unsigned int skip);

/* Adds a committed node. */
void fake_pram_add(const char *name, uint32_t type, uint32_t flags, const void *data,
		   size_t size);

/* Makes a committed node broken, optionally so that its name and type are lost. */
void fake_pram_break(const char *name, bool anonymous);

/* As if the machine had been kexec'd. Streams for loading have to be closed before. */
void fake_pram_kexec(void);

/* The number of nodes in that state (PRAM_NODE_*), at this moment. */
size_t fake_pram_count(uint32_t state);

/* PRAM_COMMIT_* flags of the last PRAM_IOCTL_COMMIT. */
uint32_t fake_pram_commit_flags(void);

/* How often PRAM_SAVE_EVACUATE was asked for. */
unsigned int fake_pram_evacuations(void);

/* How often PRAM_SAVE_FINAL was asked for. */
unsigned int fake_pram_final(void);

/* The time that commits report, CLOCK_REALTIME in ns; without it the real one. */
void fake_pram_set_time(uint64_t now_ns);

#endif /* PRAM_TEST_FAKE_PRAM_H */
