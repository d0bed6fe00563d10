/* SPDX-License-Identifier: GPL-2.0-only */
/* What a kernel's image says of itself before it is loaded: x86's bzImage. */
#ifndef PRAM_CLI_KERNEL_IMAGE_H
#define PRAM_CLI_KERNEL_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct kernel_image - a bzImage
 * @size: bytes of memory that it needs
 * @align: where that can begin
 * @release: as uname -r would have it; empty if it does not say
 * @tells: it is new enough to say whether it has PRAM
 * @format: PRAM's hand-over format that it reads; 0 if it has no PRAM
 * @kho: KHO's format that it reads, if it has PRAM
 */
struct kernel_image {
	uint64_t	size;
	uint64_t	align;
	char		release[64];
	bool		tells;
	uint32_t	format;
	char		kho[32];
};

/* 0, or -errno; -ENOEXEC if it is no bzImage. */
int kernel_image_read(const char *path, struct kernel_image *image);

#endif /* PRAM_CLI_KERNEL_IMAGE_H */
