// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel_image.h"
#include "util.h"

/* Where members of the header lie, Documentation/arch/x86/boot.rst. */
#define SETUP_SECTS_OFFSET	0x1f1
#define MAGIC_OFFSET		0x202
#define PROTOCOL_OFFSET		0x206
#define RELEASE_OFFSET		0x20e	/* less 0x200 */
#define ALIGN_OFFSET		0x230
#define INIT_SIZE_OFFSET	0x260
#define INFO_OFFSET		0x268	/* from the end of the setup sectors */
#define HEADER_END		0x26c

/* Where kernel_info begins to be. */
#define PROTOCOL_INFO		0x020f
#define SECTOR			512U
/* If the header says 0. */
#define SETUP_SECTS		4U

/* kernel_info: a magic, the size of what is fixed and of all, and pieces with a magic and a size each. */
#define INFO_MAGIC		"LToP"
#define INFO_HEADER		12U
#define INFO_MAX		4096U
#define PIECE_HEADER		8U
#define PRAM_MAGIC		"PRAM"

static uint16_t get16(const unsigned char *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint32_t get32(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* Behind the version are the builder's name and more. */
static void read_release(int fd, const unsigned char *header, struct kernel_image *image)
{
	const uint16_t offset = get16(header + RELEASE_OFFSET);

	if (!offset || pram_pread_full(fd, image->release, sizeof(image->release) - 1, offset + 0x200))
		return;
	image->release[strcspn(image->release, " ")] = 0;
}

/* PRAM's piece: the format, and KHO's as text. */
static void read_pram(const unsigned char *piece, uint32_t size, struct kernel_image *image)
{
	size_t len;

	if (size < PIECE_HEADER + sizeof(image->format))
		return;
	image->format = get32(piece + PIECE_HEADER);
	piece += PIECE_HEADER + sizeof(image->format);
	len = size - PIECE_HEADER - sizeof(image->format);
	if (len >= sizeof(image->kho))
		len = sizeof(image->kho) - 1;
	memcpy(image->kho, piece, len);
}

static void read_info(int fd, const unsigned char *header, struct kernel_image *image)
{
	const uint64_t sectors = header[SETUP_SECTS_OFFSET] ?: SETUP_SECTS;
	const uint64_t offset = (sectors + 1) * SECTOR + get32(header + INFO_OFFSET);
	unsigned char info[INFO_MAX];
	uint32_t at, total, size;

	if (get16(header + PROTOCOL_OFFSET) < PROTOCOL_INFO ||
	    pram_pread_full(fd, info, INFO_HEADER, offset) || memcmp(info, INFO_MAGIC, 4))
		return;
	at = get32(info + 4);
	total = get32(info + 8);
	if (at < INFO_HEADER || at > total || total > INFO_MAX ||
	    pram_pread_full(fd, info, total, offset))
		return;
	image->tells = true;
	for (; total - at >= PIECE_HEADER; at += size) {
		size = get32(info + at + 4);
		if (size < PIECE_HEADER || size > total - at)
			return;
		if (!memcmp(info + at, PRAM_MAGIC, 4))
			read_pram(info + at, size, image);
	}
}

int kernel_image_read(const char *path, struct kernel_image *image)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char header[HEADER_END];
	int ret;

	*image = (struct kernel_image){ .format = 0 };
	if (fd < 0)
		return -errno;
	ret = pram_pread_full(fd, header, sizeof(header), 0);
	if (ret)
		return ret == -EBADMSG ? -ENOEXEC : ret;
	if (memcmp(header + MAGIC_OFFSET, "HdrS", 4))
		return -ENOEXEC;
	image->size = (get32(header + INIT_SIZE_OFFSET) + UINT64_C(4095)) & ~UINT64_C(4095);
	image->align = get32(header + ALIGN_OFFSET) ?: 2097152;
	read_release(fd, header, image);
	read_info(fd, header, image);
	return 0;
}
