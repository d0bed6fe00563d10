/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fixed part of a checkpoint's metadata node. What follows it is described
 * in proto/pram_image.proto.
 */
#ifndef PRAM_LIB_CHECKPOINT_FORMAT_H
#define PRAM_LIB_CHECKPOINT_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* The first bytes of every version, without a nul. */
#define PRAM_CHECKPOINT_MAGIC		"PRAMCKPT"
#define PRAM_CHECKPOINT_MAGIC_SIZE	8

/* Raised when a reader of the version before would go wrong. */
#define PRAM_CHECKPOINT_VERSION		1

/*
 * Longest index that is written or read. An entry takes some 30 bytes and CRIU
 * writes about eight images per task, so this is enough for 60 000 tasks, while
 * a damaged length cannot make a reader allocate without bounds.
 */
#define PRAM_CHECKPOINT_INDEX_MAX	(16U << 20)

/* The images begin at a multiple of this. */
#define PRAM_CHECKPOINT_DATA_ALIGN	8U

/**
 * struct pram_checkpoint_header - the first bytes of a metadata node
 * @magic: %PRAM_CHECKPOINT_MAGIC
 * @version: %PRAM_CHECKPOINT_VERSION
 * @header_size: bytes of this structure; the index begins there
 * @index_size: bytes of the PramCheckpoint message, at most
 *	%PRAM_CHECKPOINT_INDEX_MAX
 * @data_offset: bytes from the node's begin to the images: the end of the index
 *	rounded up to %PRAM_CHECKPOINT_DATA_ALIGN; what lies between is zero
 * @data_size: bytes of all images; @data_offset + @data_size is the node's size
 * @index_crc32c: CRC32C of the index
 * @header_crc32c: CRC32C of this structure up to here
 *
 * All members are little-endian; every version begins with @magic and @version.
 */
struct pram_checkpoint_header {
	uint8_t		magic[PRAM_CHECKPOINT_MAGIC_SIZE];
	uint32_t	version;
	uint32_t	header_size;
	uint64_t	index_size;
	uint64_t	data_offset;
	uint64_t	data_size;
	uint32_t	index_crc32c;
	uint32_t	header_crc32c;
};

static_assert(sizeof(PRAM_CHECKPOINT_MAGIC) - 1 == PRAM_CHECKPOINT_MAGIC_SIZE,
	      "the magic fills its member");
static_assert(offsetof(struct pram_checkpoint_header, version) == 8, "format");
static_assert(offsetof(struct pram_checkpoint_header, header_size) == 12, "format");
static_assert(offsetof(struct pram_checkpoint_header, index_size) == 16, "format");
static_assert(offsetof(struct pram_checkpoint_header, data_offset) == 24, "format");
static_assert(offsetof(struct pram_checkpoint_header, data_size) == 32, "format");
static_assert(offsetof(struct pram_checkpoint_header, index_crc32c) == 40, "format");
static_assert(offsetof(struct pram_checkpoint_header, header_crc32c) == 44, "format");
static_assert(sizeof(struct pram_checkpoint_header) == 48, "format");

#endif /* PRAM_LIB_CHECKPOINT_FORMAT_H */
