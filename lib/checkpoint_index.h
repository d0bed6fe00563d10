/* SPDX-License-Identifier: GPL-2.0-only */
/* Packing and checking of header and index; the library's own. */
#ifndef PRAM_LIB_CHECKPOINT_INDEX_H
#define PRAM_LIB_CHECKPOINT_INDEX_H

#include <stdint.h>

#include "checkpoint_format.h"
#include "pram_image.pb-c.h"

/**
 * pram_index_write() - write header, index and what pads them
 * @fd: where to append them
 * @index: the index; offsets and sizes of its images must be set
 * @data_size: bytes of all images
 *
 * Return: 0, -EFBIG if the index is too long, -ENOMEM, an error of write(2).
 */
int pram_index_write(int fd, const PramCheckpoint *index, uint64_t data_size);

/**
 * pram_index_read() - read header and index and check every word of them
 * @fd: a metadata node's stream, or any file with its contents; its size counts,
 *	its position does not
 * @name: the checkpoint's name, which the index has to repeat
 * @index: where to store the index, to be freed by pram_checkpoint__free_unpacked()
 * @data_offset: where to store the images' begin, in bytes
 *
 * What it returns can be relied on: names are file names and unique, images lie
 * inside the file and do not overlap, page nodes' names and sizes are possible.
 *
 * Return: 0, -EBADMSG for anything that is not as it should be, -EPROTONOSUPPORT
 * for another version, -ENOMEM, an error of fstat(2) or pread(2).
 */
int pram_index_read(int fd, const char *name, PramCheckpoint **index, uint64_t *data_offset);

#endif /* PRAM_LIB_CHECKPOINT_INDEX_H */
