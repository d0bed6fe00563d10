// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoint.h"
#include "checkpoint_index.h"
#include "checkpoint_name.h"
#include "crc32c.h"
#include "util.h"

#define HEADER_CRC_SIZE offsetof(struct pram_checkpoint_header, header_crc32c)

static uint64_t data_offset_of(uint64_t index_size)
{
	const uint64_t mask = PRAM_CHECKPOINT_DATA_ALIGN - 1;

	return (sizeof(struct pram_checkpoint_header) + index_size + mask) & ~mask;
}

int pram_index_write(int fd, const PramCheckpoint *index, uint64_t data_size)
{
	struct pram_checkpoint_header header = { .magic = { 0 } };
	const size_t index_size = pram_checkpoint__get_packed_size(index);
	_cleanup_free_ uint8_t *buf = NULL;
	size_t buf_size;

	if (index_size > PRAM_CHECKPOINT_INDEX_MAX)
		return -EFBIG;
	buf_size = data_offset_of(index_size);
	buf = calloc(1, buf_size);
	if (!buf)
		return -ENOMEM;
	pram_checkpoint__pack(index, buf + sizeof(header));

	memcpy(header.magic, PRAM_CHECKPOINT_MAGIC, PRAM_CHECKPOINT_MAGIC_SIZE);
	header.version = htole32(PRAM_CHECKPOINT_VERSION);
	header.header_size = htole32(sizeof(header));
	header.index_size = htole64(index_size);
	header.data_offset = htole64(buf_size);
	header.data_size = htole64(data_size);
	header.index_crc32c = htole32(pram_crc32c(buf + sizeof(header), index_size));
	header.header_crc32c = htole32(pram_crc32c(&header, HEADER_CRC_SIZE));
	memcpy(buf, &header, sizeof(header));

	return pram_write_full(fd, buf, buf_size);
}

/* Reads the header, in this machine's byte order, and checks all but the index. */
static int header_read(int fd, struct pram_checkpoint_header *header)
{
	uint32_t crc32c;
	uint64_t end;
	struct stat st;
	int ret;

	if (fstat(fd, &st))
		return -errno;
	ret = pram_pread_full(fd, header, sizeof(*header), 0);
	if (ret)
		return ret;
	if (memcmp(header->magic, PRAM_CHECKPOINT_MAGIC, PRAM_CHECKPOINT_MAGIC_SIZE))
		return -EBADMSG;
	/* Before the checksum: another version may have it elsewhere. */
	if (le32toh(header->version) != PRAM_CHECKPOINT_VERSION)
		return -EPROTONOSUPPORT;

	crc32c = pram_crc32c(header, HEADER_CRC_SIZE);
	header->version = le32toh(header->version);
	header->header_size = le32toh(header->header_size);
	header->index_size = le64toh(header->index_size);
	header->data_offset = le64toh(header->data_offset);
	header->data_size = le64toh(header->data_size);
	header->index_crc32c = le32toh(header->index_crc32c);
	header->header_crc32c = le32toh(header->header_crc32c);

	if (header->header_crc32c != crc32c || header->header_size != sizeof(*header))
		return -EBADMSG;
	if (header->index_size > PRAM_CHECKPOINT_INDEX_MAX ||
	    header->data_offset != data_offset_of(header->index_size))
		return -EBADMSG;
	if (__builtin_add_overflow(header->data_offset, header->data_size, &end) ||
	    end != (uint64_t)st.st_size)
		return -EBADMSG;
	return 0;
}

/* Tells a lack of memory from a message that does not parse: both return NULL. */
struct index_allocator {
	ProtobufCAllocator	allocator;
	bool			failed;
};

static void *index_alloc(void *data, size_t size)
{
	struct index_allocator *a = data;
	void *p = malloc(size);

	if (!p)
		a->failed = true;
	return p;
}

static void index_release(void *data, void *p)
{
	(void)data;
	free(p);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* No two images, small or pages, may have the same name. */
static int names_check_unique(const PramCheckpoint *index)
{
	const size_t nr = index->n_image + index->n_pages;
	_cleanup_free_ char **names = NULL;
	size_t i;

	if (!nr)
		return 0;
	names = calloc(nr, sizeof(*names));
	if (!names)
		return -ENOMEM;
	for (i = 0; i < index->n_image; i++)
		names[i] = index->image[i]->name;
	for (i = 0; i < index->n_pages; i++)
		names[index->n_image + i] = index->pages[i]->image;

	qsort(names, nr, sizeof(*names), compare_strings);
	for (i = 1; i < nr; i++) {
		if (!strcmp(names[i - 1], names[i]))
			return -EBADMSG;
	}
	return 0;
}

static int index_check(const PramCheckpoint *index, const char *name, uint64_t data_size)
{
	char node_name[PRAM_NAME_MAX];
	uint64_t end = 0;
	size_t i;

	if (strcmp(index->name, name) || !index->page_size)
		return -EBADMSG;

	for (i = 0; i < index->n_image; i++) {
		const PramImage *image = index->image[i];

		if (!pram_image_name_valid(image->name) || image->offset < end ||
		    __builtin_add_overflow(image->offset, image->size, &end) || end > data_size)
			return -EBADMSG;
	}
	for (i = 0; i < index->n_pages; i++) {
		const PramPages *pages = index->pages[i];

		if (pram_checkpoint_node_name(node_name, name, pages->image) ||
		    strcmp(node_name, pages->node) || pages->bytes % index->page_size)
			return -EBADMSG;
	}
	return names_check_unique(index);
}

int pram_index_read(int fd, const char *name, PramCheckpoint **index, uint64_t *data_offset)
{
	struct index_allocator a = {
		.allocator = { .alloc = index_alloc, .free = index_release, .allocator_data = &a },
	};
	struct pram_checkpoint_header header;
	_cleanup_free_ uint8_t *buf = NULL;
	PramCheckpoint *read;
	size_t size;
	int ret;

	ret = header_read(fd, &header);
	if (ret)
		return ret;

	/* With what pads it; one more, as malloc(0) may return NULL. */
	size = header.data_offset - sizeof(header);
	buf = malloc(size + 1);
	if (!buf)
		return -ENOMEM;
	ret = pram_pread_full(fd, buf, size, sizeof(header));
	if (ret)
		return ret;
	if (pram_crc32c(buf, header.index_size) != header.index_crc32c)
		return -EBADMSG;
	while (size > header.index_size) {
		if (buf[--size])
			return -EBADMSG;
	}

	read = pram_checkpoint__unpack(&a.allocator, header.index_size, buf);
	if (!read)
		return a.failed ? -ENOMEM : -EBADMSG;
	ret = index_check(read, name, header.data_size);
	if (ret) {
		pram_checkpoint__free_unpacked(read, NULL);
		return ret;
	}
	*index = read;
	*data_offset = header.data_offset;
	return 0;
}
