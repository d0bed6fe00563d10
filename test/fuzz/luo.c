// SPDX-License-Identifier: GPL-2.0-only
/*
 * plugin/luo/luo_restore.c: a restore from what the kernel's live update orchestrator hands
 * out. An input is
 *
 *	u8 sizes of the first two memfds of pages: 2 times 4 bits, in pages
 *	the memfd of metadata of the checkpoint FUZZ_CHECKPOINT
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_index.h"
#include "checkpoint_mutator.h"
#include "criu.h"
#include "fuzz.h"
#include "luo/luo.h"
#include "luo/luo_session.h"
#include "../../plugin/restore.h"	/* CRIU has one, too */

#define MAX_STORED	64

/* ---- what the plugin uses of CRIU, of itself and of the kernel --------------- */

struct cr_options opts;
struct pstree_item *root_item;
struct pstree_item *current;

static const uint8_t *input;
static size_t input_size;
static int stored[MAX_STORED];
static int nr_stored;

int fdstore_add(int fd)
{
	if (nr_stored == MAX_STORED)
		return -1;
	stored[nr_stored] = dup(fd);
	return nr_stored++;
}

int fdstore_get(int id)
{
	FUZZ_ASSERT(id >= 0 && id < nr_stored);
	return dup(stored[id]);
}

void print_on_level(unsigned int loglevel, const char *format, ...)
{
	char line[4096];
	va_list args;

	(void)loglevel;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
}

const char *pram_restore_refused_option(void)
{
	return NULL;
}

int pram_session_begin(struct pram_session *session)
{
	*session = (struct pram_session){ .name = FUZZ_CHECKPOINT, .dev = -1, .settings = { .fd = -1, .streams = -1 } };
	return 0;
}

void pram_session_end(struct pram_session *session)
{
	*session = (struct pram_session){ .dev = -1 };
}

int luo_session_retrieve(const struct pram_session *session)
{
	(void)session;
	return dup(0);
}

void luo_session_error(const struct pram_session *session, int error)
{
	(void)session;
	(void)error;
}

static int make_memfd(const void *data, size_t size)
{
	const int fd = memfd_create("luo", MFD_CLOEXEC);

	FUZZ_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	return fd;
}

int luo_session_retrieve_fd(int luo, uint64_t token)
{
	static const char pages[16 * 4096];

	(void)luo;
	if (token == LUO_TOKEN_METADATA)
		return make_memfd(input + 1, input_size - 1);
	if (token > LUO_TOKEN_PAGES(1))
		return -ENOENT;
	return make_memfd(pages, (input[0] >> 4 * (token - LUO_TOKEN_PAGES(0)) & 15) * 4096);
}

int luo_session_finish(int luo)
{
	(void)luo;
	return 0;
}

/* ---- one restore --------------------------------------------------------------- */

static void check_size(int fd, uint64_t size)
{
	struct stat st;

	FUZZ_ASSERT(!fstat(fd, &st) && (uint64_t)st.st_size == size);
	close(fd);
}

/* Opens every image there is: all of them, and each whole, or the restore fails. */
static int open_all(const PramCheckpoint *index)
{
	for (size_t i = 0; i < index->n_image; i++) {
		const char *name = index->image[i]->name;
		int fd = luo_restore_open(name, O_RDONLY);

		if (pram_checkpoint_is_pages_image(name)) {
			FUZZ_ASSERT(fd < 0);
			continue;
		}
		if (fd < 0)
			return fd;
		check_size(fd, index->image[i]->size);
	}
	for (size_t i = 0; i < index->n_pages; i++) {
		const char *name = index->pages[i]->image;
		int fd = luo_restore_open(name, O_RDONLY);

		if (!pram_checkpoint_is_pages_image(name)) {
			FUZZ_ASSERT(fd < 0);
			continue;
		}
		if (fd < 0)
			return fd;
		check_size(fd, index->pages[i]->bytes);
	}
	return 0;
}

int fuzz_one(const uint8_t *data, size_t size)
{
	PramCheckpoint *index;
	uint64_t offset;
	int fd, ret;

	if (!size)
		return -1;
	input = data;
	input_size = size;
	fd = luo_restore_open("no-such.img", O_RDONLY);
	FUZZ_ASSERT(fd < 0);
	if (luo_restore_active()) {
		fd = luo_session_retrieve_fd(0, LUO_TOKEN_METADATA);
		FUZZ_ASSERT(!pram_index_read(fd, FUZZ_CHECKPOINT, &index, &offset));
		close(fd);
		ret = luo_restore_share();
		if (!ret)
			ret = open_all(index);
		pram_checkpoint__free_unpacked(index, NULL);
		if (!ret)
			ret = luo_restore_finish();
	} else {
		ret = fd;
	}
	luo_restore_end();
	while (nr_stored)
		close(stored[--nr_stored]);
	return ret;
}

#ifdef FUZZ_LIBFUZZER
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return fuzz_mutate_behind_byte(data, size, max_size, seed);
}
#endif
