// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint.h"
#include "checkpoint_index.h"
#include "checkpoint_nodes.h"
#include "pram.h"
#include "tasks.h"
#include "util.h"
#include "writer_queue.h"

/**
 * struct writer_image - an image that has been created
 * @name: its file name
 * @kind: %PRAM_QUEUE_IMAGE or %PRAM_QUEUE_PAGES
 * @fd: our own descriptor of its memfd or page stream; -1 when no longer needed
 * @sequence: when it was created, compared to others
 * @bytes: its length, known when sealing
 */
struct writer_image {
	char			*name;
	enum pram_queue_kind	kind;
	int			fd;
	size_t			sequence;
	uint64_t		bytes;
};

enum writer_state {
	WRITER_OPEN,		/* images can be created */
	WRITER_FAILED,		/* sealing has failed half-way */
	WRITER_SEALED,
	WRITER_COMMITTED,
};

struct pram_checkpoint_writer {
	int			dev;		/* borrowed */
	uint32_t		commit_flags;	/* as in the options */
	enum writer_state	state;
	uint32_t		pages_flags;	/* PRAM_SAVE_* of page nodes */
	int			stream;		/* of the metadata node */
	struct pram_queue	queue;
	struct pram_fd_list	replaced;	/* the old checkpoint, held for loading */
	struct writer_image	*images;
	size_t			nr_images;
	size_t			images_size;	/* allocated */
	/* Everything but the lists, filled as it gets known. */
	PramCheckpoint		*index;
};

/* ---- creating ---------------------------------------------------------- */

static int set_string(char **member, const char *value)
{
	char *copy;

	if (!value)
		return 0;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*member);
	*member = copy;
	return 0;
}

static int index_create(PramCheckpoint **index, const char *name,
			const struct pram_writer_options *options)
{
	PramCheckpoint *new = malloc(sizeof(*new));
	struct utsname uts;
	int ret;

	if (!new)
		return -ENOMEM;
	pram_checkpoint__init(new);
	*index = new;

	new->settings = malloc(sizeof(*new->settings));
	if (!new->settings)
		return -ENOMEM;
	pram_settings__init(new->settings);
	new->settings->has_replace = true;
	new->settings->replace = options->replace;
	new->settings->has_checksums = true;
	new->settings->checksums = options->checksums;
	new->settings->has_copy = true;
	new->settings->copy = options->copy;

	new->page_size = sysconf(_SC_PAGESIZE);
	if (uname(&uts))
		return -errno;
	ret = set_string(&new->name, name);
	if (!ret)
		ret = set_string(&new->kernel_release, uts.release);
	if (!ret)
		ret = set_string(&new->kernel_version, uts.version);
	if (!ret)
		ret = set_string(&new->machine, uts.machine);
	if (!ret)
		ret = set_string(&new->hostname, uts.nodename);
	if (!ret)
		ret = set_string(&new->criu_version, options->criu_version);
	if (!ret)
		ret = set_string(&new->images_dir, options->images_dir);
	return ret;
}

/* Holds the nodes of an old checkpoint, or makes sure that there are none. */
static int writer_meet_old(struct pram_checkpoint_writer *w, bool replace)
{
	struct pram_node_list list;
	struct pram_checkpoint_node node;
	int ret;

	ret = pram_node_list_get(w->dev, w->index->name, &list);
	for (size_t i = 0; i < list.nr && !ret; i++) {
		int stream;

		/* Our own metadata node: the only one of ours so far. */
		if (list.nodes[i].state == PRAM_NODE_SAVING &&
		    pram_checkpoint_node_parse(&list.nodes[i], &node) && !*node.image)
			continue;
		/* Page nodes of another dump, whose metadata node is gone already. */
		if (!replace || list.nodes[i].state == PRAM_NODE_SAVING) {
			ret = -EEXIST;
			break;
		}
		stream = pram_node_load(w->dev, &list.nodes[i]);
		if (stream == -ENOENT)
			continue;
		ret = stream < 0 ? stream : pram_fd_list_add(&w->replaced, stream);
	}
	pram_node_list_free(&list);
	return ret;
}

static int writer_init(struct pram_checkpoint_writer *w, const char *name,
		       const struct pram_writer_options *options)
{
	const uint32_t replace = options->replace ? PRAM_SAVE_REPLACE : 0;
	char node_name[PRAM_NAME_MAX];
	int ret;

	ret = pram_checkpoint_node_name(node_name, name, NULL);
	if (!ret)
		ret = index_create(&w->index, name, options);
	if (!ret)
		ret = pram_queue_open(&w->queue);
	if (ret)
		return ret;

	w->commit_flags = options->commit_flags;
	w->pages_flags = replace | (options->checksums ? PRAM_SAVE_CHECKSUM : 0) |
			 (options->copy ? PRAM_SAVE_COPY : 0) |
			 (options->final ? PRAM_SAVE_FINAL : 0);
	w->stream = pram_save(w->dev, node_name, PRAM_BYTE_STREAM, PRAM_SAVE_CHECKSUM | replace |
			      (options->evacuate ? PRAM_SAVE_EVACUATE : 0));
	if (w->stream < 0)
		return w->stream;
	return writer_meet_old(w, options->replace);
}

int pram_writer_create(int dev, const char *name, const struct pram_writer_options *options,
		       struct pram_checkpoint_writer **w)
{
	struct pram_checkpoint_writer *new = calloc(1, sizeof(*new));
	int ret;

	if (!new)
		return -ENOMEM;
	new->dev = dev;
	new->stream = -1;
	new->queue = (struct pram_queue){ .send = -1, .receive = -1 };
	ret = writer_init(new, name, options);
	if (ret) {
		pram_writer_close(new);
		return ret;
	}
	*w = new;
	return 0;
}

int pram_writer_set_root(struct pram_checkpoint_writer *w, pid_t pid, const char *comm,
			 const char *cgroup)
{
	int ret = set_string(&w->index->root_comm, comm);

	w->index->has_root_pid = true;
	w->index->root_pid = pid;
	return ret ?: set_string(&w->index->cgroup, cgroup);
}

int pram_writer_set_lost_files(struct pram_checkpoint_writer *w, const struct pram_tasks *tasks,
			       const struct pram_place_root *root)
{
	const size_t nr = tasks->nr_lost < PRAM_WRITER_LOST_FILES_MAX ? tasks->nr_lost :
								       PRAM_WRITER_LOST_FILES_MAX;

	if (!nr)
		return 0;
	w->index->has_lost_file_mount = !!root;
	w->index->has_lost_file_inode = !!root;
	w->index->lost_file_mount = root ? root->mount : 0;
	w->index->lost_file_inode = root ? root->inode : 0;
	w->index->lost_file = calloc(nr, sizeof(*w->index->lost_file));
	if (!w->index->lost_file)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		const int ret = set_string(&w->index->lost_file[i], tasks->lost[i].path);

		if (ret)
			return ret;
		w->index->n_lost_file++;
	}
	return 0;
}

/* ---- images, in any process -------------------------------------------- */

int pram_writer_image(struct pram_checkpoint_writer *w, const char *image)
{
	_cleanup_close_ int fd = -1;
	char label[64];
	int ret;

	if (!pram_image_name_valid(image))
		return -EINVAL;
	/* Cut: memfd names are for people, and shorter than file names. */
	snprintf(label, sizeof(label), "%s", image);
	fd = memfd_create(label, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = pram_queue_send(&w->queue, PRAM_QUEUE_IMAGE, image, fd);
	return ret ? ret : pram_take_fd(&fd);
}

int pram_writer_pages(struct pram_checkpoint_writer *w, const char *image)
{
	char node_name[PRAM_NAME_MAX];
	_cleanup_close_ int fd = -1;
	int ret;

	ret = pram_checkpoint_node_name(node_name, w->index->name, image);
	if (ret)
		return ret;
	fd = pram_save(w->dev, node_name, PRAM_PAGE_STREAM, w->pages_flags);
	if (fd < 0)
		return fd;
	ret = pram_queue_send(&w->queue, PRAM_QUEUE_PAGES, image, fd);
	return ret ? ret : pram_take_fd(&fd);
}

int pram_writer_unlink(struct pram_checkpoint_writer *w, const char *image)
{
	if (!pram_image_name_valid(image))
		return -EINVAL;
	return pram_queue_send(&w->queue, PRAM_QUEUE_UNLINK, image, -1);
}

/* ---- sealing ----------------------------------------------------------- */

static int writer_add_image(struct pram_checkpoint_writer *w,
			    const struct pram_queue_message *message)
{
	struct writer_image *images;

	if (w->nr_images == w->images_size) {
		w->images_size = w->images_size ? 2 * w->images_size : 64;
		images = reallocarray(w->images, w->images_size, sizeof(*images));
		if (!images)
			return -ENOMEM;
		w->images = images;
	}
	images = &w->images[w->nr_images];
	*images = (struct writer_image){
		.name = strdup(message->image),
		.kind = message->kind,
		.fd = message->fd,
		.sequence = w->nr_images,
	};
	if (!images->name)
		return -ENOMEM;
	w->nr_images++;
	return 0;
}

static void image_drop(struct writer_image *image)
{
	pram_cleanup_close(&image->fd);
	free(image->name);
}

static int compare_names(const void *a, const void *b)
{
	const struct writer_image *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int compare_names_and_age(const void *a, const void *b)
{
	const struct writer_image *x = a, *y = b;
	int names = compare_names(x, y);

	return names ? names : x->sequence < y->sequence ? -1 : 1;
}

/* Receives what was sent and leaves each image's last word, by name. */
static int writer_drain(struct pram_checkpoint_writer *w)
{
	struct pram_queue_message message;
	size_t nr = 0;
	int ret;

	while ((ret = pram_queue_receive(&w->queue, &message)) > 0) {
		ret = writer_add_image(w, &message);
		if (ret) {
			pram_cleanup_close(&message.fd);
			return ret;
		}
	}
	if (ret)
		return ret;
	if (!w->nr_images)
		return 0;

	qsort(w->images, w->nr_images, sizeof(*w->images), compare_names_and_age);
	for (size_t i = 0; i < w->nr_images; i++) {
		struct writer_image *image = &w->images[i];

		if ((i + 1 < w->nr_images && !strcmp(image->name, image[1].name)) ||
		    image->kind == PRAM_QUEUE_UNLINK)
			image_drop(image);
		else
			w->images[nr++] = *image;
	}
	w->nr_images = nr;
	return 0;
}

static int writer_seal_pages(struct pram_checkpoint_writer *w)
{
	for (size_t i = 0; i < w->nr_images; i++) {
		int ret;

		if (w->images[i].kind != PRAM_QUEUE_PAGES)
			continue;
		ret = pram_seal(w->images[i].fd);
		if (ret)
			return ret;
	}
	return 0;
}

/* The length of a page stream that is being saved is only to be had from a list. */
static int writer_measure_pages(struct pram_checkpoint_writer *w)
{
	struct pram_checkpoint_node node;
	struct pram_node_list list;
	size_t nr_missing = 0;
	int ret;

	for (size_t i = 0; i < w->nr_images; i++)
		nr_missing += w->images[i].kind == PRAM_QUEUE_PAGES;
	if (!nr_missing)
		return 0;

	ret = pram_node_list_get(w->dev, w->index->name, &list);
	if (ret)
		return ret;
	for (size_t i = 0; i < list.nr; i++) {
		const struct writer_image key = { .name = node.image };
		struct writer_image *image;

		if (list.nodes[i].state != PRAM_NODE_SAVING ||
		    !pram_checkpoint_node_parse(&list.nodes[i], &node) || !*node.image)
			continue;
		image = bsearch(&key, w->images, w->nr_images, sizeof(*image), compare_names);
		if (image && image->kind == PRAM_QUEUE_PAGES) {
			image->bytes = list.nodes[i].bytes;
			nr_missing--;
		}
	}
	pram_node_list_free(&list);
	/* Somebody else has made them vanish, or they never were ours. */
	return nr_missing ? -ESTALE : 0;
}

static int writer_measure_images(struct pram_checkpoint_writer *w, uint64_t *data_size)
{
	*data_size = 0;
	for (size_t i = 0; i < w->nr_images; i++) {
		struct writer_image *image = &w->images[i];
		struct stat st;

		if (image->kind != PRAM_QUEUE_IMAGE)
			continue;
		if (fstat(image->fd, &st))
			return -errno;
		image->bytes = st.st_size;
		*data_size += st.st_size;
	}
	return 0;
}

static int index_add_image(PramCheckpoint *index, const struct writer_image *image,
			   uint64_t offset)
{
	PramImage *entry = malloc(sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	pram_image__init(entry);
	index->image[index->n_image++] = entry;
	entry->offset = offset;
	entry->size = image->bytes;
	return set_string(&entry->name, image->name);
}

static int index_add_pages(PramCheckpoint *index, const struct writer_image *image)
{
	PramPages *entry = malloc(sizeof(*entry));
	char node_name[PRAM_NAME_MAX];
	int ret;

	if (!entry)
		return -ENOMEM;
	pram_pages__init(entry);
	index->pages[index->n_pages++] = entry;
	entry->bytes = image->bytes;
	ret = pram_checkpoint_node_name(node_name, index->name, image->name);
	if (!ret)
		ret = set_string(&entry->image, image->name);
	return ret ? ret : set_string(&entry->node, node_name);
}

static int writer_fill_index(struct pram_checkpoint_writer *w)
{
	PramCheckpoint *index = w->index;
	struct timespec now;
	uint64_t offset = 0;
	int ret = 0;

	if (clock_gettime(CLOCK_REALTIME, &now))
		return -errno;
	index->created_ns = now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;

	/* Each is long enough for all; one more, as there may be no image at all. */
	index->image = calloc(w->nr_images + 1, sizeof(*index->image));
	index->pages = calloc(w->nr_images + 1, sizeof(*index->pages));
	if (!index->image || !index->pages)
		return -ENOMEM;

	for (size_t i = 0; i < w->nr_images && !ret; i++) {
		const struct writer_image *image = &w->images[i];

		if (image->kind == PRAM_QUEUE_PAGES) {
			ret = index_add_pages(index, image);
		} else {
			ret = index_add_image(index, image, offset);
			offset += image->bytes;
		}
	}
	return ret;
}

static int writer_write_images(struct pram_checkpoint_writer *w)
{
	for (size_t i = 0; i < w->nr_images; i++) {
		struct writer_image *image = &w->images[i];
		int ret;

		if (image->kind != PRAM_QUEUE_IMAGE)
			continue;
		ret = pram_copy_range(image->fd, 0, w->stream, image->bytes);
		if (ret)
			return ret;
		/* Not needed any more: no image is in memory twice for long. */
		close(pram_take_fd(&image->fd));
	}
	return 0;
}

static int writer_pack(struct pram_checkpoint_writer *w)
{
	uint64_t data_size;
	int ret;

	ret = writer_drain(w);
	if (!ret)
		ret = writer_seal_pages(w);
	if (!ret)
		ret = writer_measure_pages(w);
	if (!ret)
		ret = writer_measure_images(w, &data_size);
	if (!ret)
		ret = writer_fill_index(w);
	if (!ret)
		ret = pram_index_write(w->stream, w->index, data_size);
	if (!ret)
		ret = writer_write_images(w);
	if (!ret)
		ret = pram_seal(w->stream);
	return ret;
}

int pram_writer_seal(struct pram_checkpoint_writer *w)
{
	int ret;

	if (w->state == WRITER_SEALED)
		return 0;
	if (w->state != WRITER_OPEN)
		return -ESTALE;
	ret = writer_pack(w);
	w->state = ret ? WRITER_FAILED : WRITER_SEALED;
	return ret;
}

const PramCheckpoint *pram_writer_index(const struct pram_checkpoint_writer *w)
{
	return w->state == WRITER_SEALED || w->state == WRITER_COMMITTED ? w->index : NULL;
}

/* ---- the end ----------------------------------------------------------- */

int pram_writer_commit(struct pram_checkpoint_writer *w)
{
	_cleanup_free_ int *fds = NULL;
	size_t nr = 0;
	int ret;

	ret = pram_writer_seal(w);
	if (ret)
		return ret;
	fds = calloc(w->nr_images + w->replaced.nr + 1, sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	for (size_t i = 0; i < w->nr_images; i++) {
		if (w->images[i].kind == PRAM_QUEUE_PAGES)
			fds[nr++] = w->images[i].fd;
	}
	for (size_t i = 0; i < w->replaced.nr; i++)
		fds[nr++] = w->replaced.fds[i];
	fds[nr++] = w->stream;

	ret = pram_commit_flags(w->dev, fds, nr, w->commit_flags);
	if (!ret)
		w->state = WRITER_COMMITTED;
	return ret;
}

void pram_writer_close(struct pram_checkpoint_writer *w)
{
	if (!w)
		return;
	/*
	 * The new nodes first: as long as one of them is there, nobody else
	 * finds an old checkpoint that is only in part put back.
	 */
	pram_queue_close(&w->queue);
	while (w->nr_images)
		image_drop(&w->images[--w->nr_images]);
	free(w->images);
	pram_cleanup_close(&w->stream);
	pram_fd_list_close(&w->replaced);
	if (w->index)
		pram_checkpoint__free_unpacked(w->index, NULL);
	free(w);
}
