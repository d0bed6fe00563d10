// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_index.h"
#include "checkpoint_nodes.h"
#include "pram.h"
#include "streams.h"
#include "util.h"

struct pram_checkpoint_reader {
	int			dev;		/* borrowed */
	uint32_t		load_flags;
	int			stream;		/* of the metadata node */
	uint64_t		data_offset;
	PramCheckpoint		*index;
	/*
	 * index->image in the order of the names: every restored task looks for
	 * some twenty of them, and the index may have many thousands.
	 */
	PramImage		**by_name;
	/* In the order of index->pages; empty before they are opened. */
	struct pram_fd_list	pages;
};

static int compare_images(const void *a, const void *b)
{
	return strcmp((*(PramImage *const *)a)->name, (*(PramImage *const *)b)->name);
}

static int reader_read_index(struct pram_checkpoint_reader *r, const char *name)
{
	int ret = pram_index_read(r->stream, name, &r->index, &r->data_offset);

	if (ret || !r->index->n_image)
		return ret;
	r->by_name = calloc(r->index->n_image, sizeof(*r->by_name));
	if (!r->by_name)
		return -ENOMEM;
	memcpy(r->by_name, r->index->image, r->index->n_image * sizeof(*r->by_name));
	qsort(r->by_name, r->index->n_image, sizeof(*r->by_name), compare_images);
	return 0;
}

int pram_reader_open(int dev, const char *name, uint32_t load_flags,
		     struct pram_checkpoint_reader **r)
{
	struct pram_checkpoint_reader *new;
	char node_name[PRAM_NAME_MAX];
	int ret;

	ret = pram_checkpoint_node_name(node_name, name, NULL);
	if (ret)
		return ret;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->dev = dev;
	new->load_flags = load_flags;
	new->stream = pram_load(dev, node_name, PRAM_BYTE_STREAM, load_flags & ~PRAM_LOAD_MAP);
	ret = new->stream < 0 ? new->stream : reader_read_index(new, name);
	if (ret) {
		pram_reader_close(new);
		return ret;
	}
	*r = new;
	return 0;
}

const PramCheckpoint *pram_reader_index(const struct pram_checkpoint_reader *r)
{
	return r->index;
}

int pram_reader_stream(const struct pram_checkpoint_reader *r)
{
	return r->stream;
}

int pram_reader_image(const struct pram_checkpoint_reader *r, int stream, const char *image)
{
	PramImage key = { .name = (char *)image }, *keyp = &key;
	_cleanup_close_ int fd = -1;
	const PramImage *found;
	PramImage **p = NULL;
	char label[64];
	int ret;

	if (r->index->n_image)
		p = bsearch(&keyp, r->by_name, r->index->n_image, sizeof(*p), compare_images);
	if (!p)
		return -ENOENT;
	found = *p;

	/* Cut: memfd names are for people, and shorter than file names. */
	snprintf(label, sizeof(label), "%s", image);
	fd = memfd_create(label, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = pram_copy_range(stream < 0 ? r->stream : stream, r->data_offset + found->offset, fd,
			      found->size);
	if (ret)
		return ret;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return pram_take_fd(&fd);
}

static int reader_open_pages_node(const struct pram_checkpoint_reader *r, const PramPages *pages)
{
	_cleanup_close_ int fd = pram_load(r->dev, pages->node, PRAM_PAGE_STREAM, r->load_flags);
	struct stat st;

	/* The index promises it: its absence is damage, not a wrong name. */
	if (fd == -ENOENT)
		return -EBADMSG;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return -errno;
	if ((uint64_t)st.st_size != pages->bytes)
		return -EBADMSG;
	return pram_take_fd(&fd);
}

int pram_reader_open_pages(struct pram_checkpoint_reader *r)
{
	int ret = 0;

	/* Stopped half-way, the list would be empty: it is full or new. */
	for (size_t i = r->pages.nr; i < r->index->n_pages && !ret; i++) {
		int fd = reader_open_pages_node(r, r->index->pages[i]);

		ret = fd < 0 ? fd : pram_fd_list_add(&r->pages, fd);
	}
	if (ret)
		pram_fd_list_close(&r->pages);
	return ret;
}

int pram_reader_pages(const struct pram_checkpoint_reader *r, const char *image)
{
	for (size_t i = 0; i < r->pages.nr; i++) {
		if (!strcmp(r->index->pages[i]->image, image))
			return r->pages.fds[i];
	}
	return -ENOENT;
}

/* All streams, r->pages.nr + 1 of them, to be freed: 0 or -errno. */
static int all_streams(struct pram_checkpoint_reader *r, int **fds)
{
	int ret = pram_reader_open_pages(r);

	*fds = NULL;
	if (ret)
		return ret;
	*fds = calloc(r->pages.nr + 1, sizeof(**fds));
	if (!*fds)
		return -ENOMEM;
	for (size_t i = 0; i < r->pages.nr; i++)
		(*fds)[i] = r->pages.fds[i];
	(*fds)[r->pages.nr] = r->stream;
	return 0;
}

int pram_reader_finish(struct pram_checkpoint_reader *r)
{
	_cleanup_free_ int *fds = NULL;
	int ret = all_streams(r, &fds);

	return ret ?: pram_commit(r->dev, fds, r->pages.nr + 1);
}

int pram_reader_send(struct pram_checkpoint_reader *r, int socket)
{
	_cleanup_free_ int *fds = NULL;
	int ret = all_streams(r, &fds);

	return ret ?: pram_streams_send(socket, fds, r->pages.nr + 1);
}

void pram_reader_close(struct pram_checkpoint_reader *r)
{
	if (!r)
		return;
	pram_fd_list_close(&r->pages);
	pram_cleanup_close(&r->stream);
	if (r->index)
		pram_checkpoint__free_unpacked(r->index, NULL);
	free(r->by_name);
	free(r);
}
