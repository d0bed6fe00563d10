// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <string.h>

#include "checkpoint_format.h"
#include "checkpoint_mutator.h"
#include "crc32c.h"
#include "fuzz.h"
#include "pram_image.pb-c.h"

#define HEADER_SIZE	sizeof(struct pram_checkpoint_header)

static size_t align_data(size_t n)
{
	return (n + PRAM_CHECKPOINT_DATA_ALIGN - 1) / PRAM_CHECKPOINT_DATA_ALIGN *
	       PRAM_CHECKPOINT_DATA_ALIGN;
}

/* Where the index is, as far as the header can be believed. */
static size_t index_size(const uint8_t *data, size_t size)
{
	struct pram_checkpoint_header header;

	memcpy(&header, data, HEADER_SIZE);
	return le64toh(header.index_size) < size - HEADER_SIZE ? le64toh(header.index_size) :
								  size - HEADER_SIZE;
}

static void fix_header(uint8_t *data, size_t size, size_t index)
{
	struct pram_checkpoint_header header = {
		.version = htole32(PRAM_CHECKPOINT_VERSION),
		.header_size = htole32(HEADER_SIZE),
		.index_size = htole64(index),
		.data_offset = htole64(align_data(HEADER_SIZE + index)),
		.data_size = htole64(size - align_data(HEADER_SIZE + index)),
		.index_crc32c = htole32(pram_crc32c(data + HEADER_SIZE, index)),
	};

	memcpy(header.magic, PRAM_CHECKPOINT_MAGIC, PRAM_CHECKPOINT_MAGIC_SIZE);
	header.header_crc32c = htole32(
		pram_crc32c(&header, offsetof(struct pram_checkpoint_header, header_crc32c)));
	memcpy(data, &header, HEADER_SIZE);
}

static void fix_crcs(uint8_t *data, size_t size)
{
	struct pram_checkpoint_header header;

	memcpy(&header, data, HEADER_SIZE);
	header.index_crc32c = htole32(pram_crc32c(data + HEADER_SIZE, index_size(data, size)));
	header.header_crc32c = htole32(
		pram_crc32c(&header, offsetof(struct pram_checkpoint_header, header_crc32c)));
	memcpy(data, &header, HEADER_SIZE);
}

/* Header, @index and padding, and then what images there were before. */
static size_t rebuild(uint8_t *data, size_t size, size_t max_size, const uint8_t *index,
		      size_t index_len)
{
	const size_t old = align_data(HEADER_SIZE + index_size(data, size));
	const size_t new = align_data(HEADER_SIZE + index_len);
	size_t images = old < size ? size - old : 0;

	if (new > max_size)
		return size;
	if (images > max_size - new)
		images = max_size - new;
	memmove(data + new, data + old, images);
	memcpy(data + HEADER_SIZE, index, index_len);
	memset(data + HEADER_SIZE + index_len, 0, new - HEADER_SIZE - index_len);
	fix_header(data, new + images, index_len);
	return new + images;
}

static void mutate_text(char **text, uint32_t *state)
{
	static const char *const texts[] = {
		"", ".", "..", "/", "a/b", "../x", "pages-1.img", "core-1.img", "x:y", "\x1b[2J",
		"\xff\xfe", "criu:" FUZZ_CHECKPOINT ":pages-1.img", ".pramctl-export", "\n",
	};

	if (*text && fuzz_random(state) & 1 && **text) {
		(*text)[fuzz_random(state) % strlen(*text)] = 1 + fuzz_random(state) % 255;
		return;
	}
	free(*text);
	*text = strdup(texts[fuzz_random(state) % (sizeof(texts) / sizeof(*texts))]);
}

static void mutate_image(PramImage *image, const PramImage *other, uint32_t *state)
{
	switch (fuzz_random(state) % 6) {
	case 0:
		image->offset = fuzz_number(state);
		break;
	case 1:
		image->size = fuzz_number(state);
		break;
	case 2:
		image->offset = other->offset + other->size;
		break;
	case 3:
		image->size += fuzz_random(state) & 1 ? 1 : -1;
		break;
	default:
		mutate_text(&image->name, state);
	}
}

static void mutate_pages(PramPages *pages, uint32_t *state)
{
	switch (fuzz_random(state) % 4) {
	case 0:
		pages->bytes = fuzz_number(state);
		break;
	case 1:
		pages->bytes = (fuzz_random(state) % 8) * 4096;
		break;
	case 2:
		mutate_text(&pages->node, state);
		break;
	default:
		mutate_text(&pages->image, state);
		/* And the node as it has to be then. */
		if (fuzz_random(state) & 1) {
			free(pages->node);
			if (asprintf(&pages->node, "criu:" FUZZ_CHECKPOINT ":%s", pages->image) < 0)
				abort();
		}
	}
}

static void mutate_message(PramCheckpoint *message, uint32_t *state)
{
	char **const texts[] = {
		&message->name, &message->kernel_release, &message->kernel_version,
		&message->machine, &message->hostname, &message->criu_version,
		&message->images_dir, &message->root_comm, &message->cgroup,
	};
	const uint32_t what = fuzz_random(state) % 8;

	if (what < 3 && message->n_image) {
		mutate_image(message->image[fuzz_random(state) % message->n_image],
			     message->image[fuzz_random(state) % message->n_image], state);
	} else if (what < 5 && message->n_pages) {
		mutate_pages(message->pages[fuzz_random(state) % message->n_pages], state);
	} else if (what == 5 && message->n_image > 1) {
		PramImage *first = message->image[0];
		const size_t i = fuzz_random(state) % message->n_image;

		message->image[0] = message->image[i];
		message->image[i] = first;
	} else if (what == 6) {
		message->page_size = fuzz_number(state);
		message->created_ns = fuzz_number(state);
		message->has_root_pid = fuzz_random(state) & 1;
		message->root_pid = fuzz_number(state);
	} else {
		/* More rarely the name, which would end everything. */
		mutate_text(texts[fuzz_random(state) % 64 ? 1 + fuzz_random(state) % 8 : 0], state);
	}
}

size_t fuzz_mutate_checkpoint(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	uint32_t state = seed | 1;
	const uint32_t how = fuzz_random(&state) % 16;
	PramCheckpoint *message;
	uint8_t *index;
	size_t len;

	if (how == 0 || size < HEADER_SIZE)
		return LLVMFuzzerMutate(data, size, max_size);
	if (how < 4) {
		size = LLVMFuzzerMutate(data, size, max_size);
		if (size >= HEADER_SIZE)
			fix_crcs(data, size);
		return size;
	}

	len = index_size(data, size);
	message = how < 8 ? NULL : pram_checkpoint__unpack(NULL, len, data + HEADER_SIZE);
	if (message) {
		for (uint32_t n = 1 + fuzz_random(&state) % 3; n; n--)
			mutate_message(message, &state);
		len = pram_checkpoint__get_packed_size(message);
		index = malloc(len + 1);
		if (!index)
			abort();
		pram_checkpoint__pack(message, index);
		pram_checkpoint__free_unpacked(message, NULL);
	} else {
		index = malloc(max_size);
		if (!index)
			abort();
		memcpy(index, data + HEADER_SIZE, len);
		len = LLVMFuzzerMutate(index, len, max_size - HEADER_SIZE);
	}
	size = rebuild(data, size, max_size, index, len);
	free(index);
	return size;
}

size_t fuzz_mutate_behind_byte(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	if (!size || seed % 8 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	if (seed % 8 == 1)
		data[0] = seed >> 3;
	return 1 + fuzz_mutate_checkpoint(data + 1, size - 1, max_size - 1, seed >> 3);
}
