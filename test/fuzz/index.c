// SPDX-License-Identifier: GPL-2.0-only
/*
 * lib/checkpoint_index.c, with the protobuf messages in it. An input is a metadata node
 * of the checkpoint FUZZ_CHECKPOINT.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_index.h"
#include "checkpoint_mutator.h"
#include "fuzz.h"

static void check_name(const char *name)
{
	FUZZ_ASSERT(*name && strlen(name) < 256 && !strchr(name, '/'));
	FUZZ_ASSERT(strcmp(name, ".") && strcmp(name, ".."));
}

/* What lib/checkpoint_index.h promises. */
static void check(const PramCheckpoint *index, uint64_t data_offset, size_t size)
{
	const uint64_t data_size = size - data_offset;
	uint64_t end = 0;

	FUZZ_ASSERT(data_offset <= size && data_offset % PRAM_CHECKPOINT_DATA_ALIGN == 0);
	FUZZ_ASSERT(!strcmp(index->name, FUZZ_CHECKPOINT) && index->page_size);
	for (size_t i = 0; i < index->n_image; i++) {
		check_name(index->image[i]->name);
		FUZZ_ASSERT(index->image[i]->offset >= end);
		FUZZ_ASSERT(index->image[i]->offset <= data_size);
		FUZZ_ASSERT(index->image[i]->size <= data_size - index->image[i]->offset);
		end = index->image[i]->offset + index->image[i]->size;
	}
	for (size_t i = 0; i < index->n_pages; i++) {
		check_name(index->pages[i]->image);
		FUZZ_ASSERT(index->pages[i]->bytes % index->page_size == 0);
		FUZZ_ASSERT(strlen(index->pages[i]->node) < PRAM_NAME_MAX);
	}
}

/*
 * It is written as it was read. Not so what this version does not know: protobuf-c takes
 * fields of number 0 that it would not take again.
 */
static void check_written(int fd, const PramCheckpoint *index, uint64_t data_size)
{
	PramCheckpoint *again;
	uint64_t offset;

	if (index->base.n_unknown_fields)
		return;
	FUZZ_ASSERT(!ftruncate(fd, 0) && !lseek(fd, 0, SEEK_SET));
	FUZZ_ASSERT(!pram_index_write(fd, index, data_size));
	FUZZ_ASSERT(!ftruncate(fd, lseek(fd, 0, SEEK_CUR) + data_size));
	FUZZ_ASSERT(!pram_index_read(fd, FUZZ_CHECKPOINT, &again, &offset));
	FUZZ_ASSERT(again->n_image == index->n_image && again->n_pages == index->n_pages);
	pram_checkpoint__free_unpacked(again, NULL);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static int fd = -1;
	PramCheckpoint *index;
	uint64_t offset;
	int ret;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	FUZZ_ASSERT(fd >= 0 && !ftruncate(fd, 0));
	FUZZ_ASSERT(pwrite(fd, data, size, 0) == (ssize_t)size);
	ret = pram_index_read(fd, FUZZ_CHECKPOINT, &index, &offset);
	if (ret)
		return ret;
	check(index, offset, size);
	check_written(fd, index, size - offset);
	pram_checkpoint__free_unpacked(index, NULL);
	return 0;
}

#ifdef FUZZ_LIBFUZZER
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return fuzz_mutate_checkpoint(data, size, max_size, seed);
}
#endif
