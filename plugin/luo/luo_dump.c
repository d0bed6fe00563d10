// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* By its place, as CRIU has a util.h, too. */
#include "../../lib/util.h"
#include "checkpoint.h"
#include "checkpoint_index.h"
#include "../criu.h"
#include "../dump.h"
#include "luo.h"
#include "luo_session.h"
#include "writer_queue.h"

/* An image that was created and not dropped since. */
struct image {
	char	*name;
	int	fd;		/* a memfd */
	size_t	sequence;
	bool	dropped;
};

static struct pram_session session = { .dev = -1 };
static int luo = -1;
static struct pram_queue queue = { .send = -1, .receive = -1 };
static struct image *images;
static size_t nr_images;

/* What PRAM has and LUO has not, or NULL. */
static const char *refused_setting(const struct pram_settings *settings)
{
	if (settings->replace)
		return "replace";
	if (settings->checksums)
		return "checksums";
	if (settings->marker)
		return "marker";
	return NULL;
}

int luo_dump_begin(void)
{
	const char *refused = pram_dump_refused_option();
	int ret;

	if (refused) {
		pr_err("LUO does not support %s: dump without it, or to files, without the plugin\n",
		       refused);
		return -EOPNOTSUPP;
	}
	ret = pram_session_begin(&session);
	if (ret)
		goto err;
	refused = refused_setting(&session.settings);
	if (refused) {
		pr_err("LUO does not support the setting %s: set it to no, or the backend to pram\n",
		       refused);
		ret = -EOPNOTSUPP;
		goto err;
	}
	luo = luo_session_create(&session);
	if (luo < 0) {
		ret = luo;
		luo_session_error(&session, ret);
		goto err;
	}
	ret = pram_queue_open(&queue);
	if (ret) {
		pr_err("can't create a socket: %s\n", strerror(-ret));
		goto err;
	}
	pr_info("dumping to LUO session \"%s\", pages are copied\n", session.name);
	return 0;
err:
	luo_dump_end();
	return ret;
}

bool luo_dump_active(void)
{
	return luo >= 0;
}

int luo_dump_create(const char *image)
{
	_cleanup_close_ int fd = -1;
	char label[64];
	int ret;

	/* Cut: memfd names are for people, and shorter than file names. */
	snprintf(label, sizeof(label), "%s", image);
	fd = memfd_create(label, MFD_CLOEXEC);
	ret = fd < 0 ? -errno : pram_queue_send(&queue, PRAM_QUEUE_IMAGE, image, fd);
	if (ret) {
		pr_err("can't create %s in a memfd: %s\n", image, strerror(-ret));
		return ret;
	}
	return pram_take_fd(&fd);
}

int luo_dump_unlink(const char *image)
{
	int ret = pram_queue_send(&queue, PRAM_QUEUE_UNLINK, image, -1);

	if (ret)
		pr_err("can't drop %s: %s\n", image, strerror(-ret));
	return ret;
}

/* ---- the end of a dump ------------------------------------------------- */

static int collect_one(const struct pram_queue_message *message)
{
	struct image *more = reallocarray(images, nr_images + 1, sizeof(*images));

	if (!more)
		return -ENOMEM;
	images = more;
	images[nr_images] = (struct image){
		.name = strdup(message->image),
		.fd = message->fd,
		.sequence = nr_images,
		.dropped = message->kind == PRAM_QUEUE_UNLINK,
	};
	if (!images[nr_images].name)
		return -ENOMEM;
	nr_images++;
	return 0;
}

static int compare_images(const void *a, const void *b)
{
	const struct image *x = a, *y = b;
	int names = strcmp(x->name, y->name);

	return names ? names : x->sequence < y->sequence ? -1 : 1;
}

static void drop(struct image *image)
{
	pram_cleanup_close(&image->fd);
	free(image->name);
}

/* Receives what was sent and leaves each image's last word, by name. */
static int collect(void)
{
	struct pram_queue_message message;
	size_t nr = 0;
	int ret;

	while ((ret = pram_queue_receive(&queue, &message)) > 0) {
		ret = collect_one(&message);
		if (ret) {
			pram_cleanup_close(&message.fd);
			return ret;
		}
	}
	if (ret || !nr_images)
		return ret;
	qsort(images, nr_images, sizeof(*images), compare_images);
	for (size_t i = 0; i < nr_images; i++) {
		if (images[i].dropped ||
		    (i + 1 < nr_images && !strcmp(images[i].name, images[i + 1].name)))
			drop(&images[i]);
		else
			images[nr++] = images[i];
	}
	nr_images = nr;
	return 0;
}

/**
 * struct contents - the index of a checkpoint
 * @index: its message; the strings are borrowed
 * @image: its entries for small images
 * @pages: its entries for pages images
 * @nodes: the name that each of these would have in PRAM
 * @fds: their memfds, borrowed, in the order of @pages
 * @uts: this kernel
 * @data_size: bytes of all small images
 */
struct contents {
	PramCheckpoint	index;
	PramImage	*image;
	PramPages	*pages;
	char		(*nodes)[PRAM_NAME_MAX];
	int		*fds;
	struct utsname	uts;
	uint64_t	data_size;
};

static void contents_free(struct contents *c)
{
	free(c->index.image);
	free(c->index.pages);
	free(c->image);
	free(c->pages);
	free(c->nodes);
	free(c->fds);
}

static int contents_add(struct contents *c, const struct image *from)
{
	PramCheckpoint *index = &c->index;
	struct stat st;
	int ret;

	if (fstat(from->fd, &st))
		return -errno;
	if (pram_checkpoint_is_pages_image(from->name)) {
		PramPages *pages = &c->pages[index->n_pages];
		char *node = c->nodes[index->n_pages];

		ret = pram_checkpoint_node_name(node, session.name, from->name);
		if (ret)
			return ret;
		pram_pages__init(pages);
		pages->image = from->name;
		pages->node = node;
		pages->bytes = st.st_size;
		c->fds[index->n_pages] = from->fd;
		index->pages[index->n_pages++] = pages;
	} else {
		PramImage *image = &c->image[index->n_image];

		pram_image__init(image);
		image->name = from->name;
		image->offset = c->data_size;
		image->size = st.st_size;
		c->data_size += st.st_size;
		index->image[index->n_image++] = image;
	}
	return 0;
}

static int contents_fill(struct contents *c)
{
	PramCheckpoint *index = &c->index;
	const size_t nr = nr_images + 1;
	struct timespec now;
	int ret = 0;

	pram_checkpoint__init(index);
	index->image = calloc(nr, sizeof(*index->image));
	index->pages = calloc(nr, sizeof(*index->pages));
	c->image = calloc(nr, sizeof(*c->image));
	c->pages = calloc(nr, sizeof(*c->pages));
	c->nodes = calloc(nr, sizeof(*c->nodes));
	c->fds = calloc(nr, sizeof(*c->fds));
	if (!index->image || !index->pages || !c->image || !c->pages || !c->nodes || !c->fds)
		return -ENOMEM;
	if (uname(&c->uts) || clock_gettime(CLOCK_REALTIME, &now))
		return -errno;

	index->name = (char *)session.name;
	index->created_ns = now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
	index->page_size = sysconf(_SC_PAGESIZE);
	index->kernel_release = c->uts.release;
	index->criu_version = CRIU_VERSION;
	index->images_dir = session.images_dir;
	index->has_root_pid = true;
	index->root_pid = root_item->pid->real;
	for (size_t i = 0; i < nr_images && !ret; i++)
		ret = contents_add(c, &images[i]);
	return ret;
}

static int preserve_metadata(const struct contents *c)
{
	_cleanup_close_ int fd = memfd_create("metadata", MFD_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = pram_index_write(fd, &c->index, c->data_size);
	for (size_t i = 0; i < nr_images && !ret; i++) {
		struct stat st;

		if (pram_checkpoint_is_pages_image(images[i].name))
			continue;
		ret = fstat(images[i].fd, &st) ? -errno :
		      pram_copy_range(images[i].fd, 0, fd, st.st_size);
	}
	return ret ? ret : luo_session_preserve_fd(luo, fd, LUO_TOKEN_METADATA);
}

static int preserve(struct contents *c)
{
	int ret;

	ret = collect();
	if (!ret)
		ret = contents_fill(c);
	if (!ret)
		ret = preserve_metadata(c);
	for (size_t i = 0; i < c->index.n_pages && !ret; i++)
		ret = luo_session_preserve_fd(luo, c->fds[i], LUO_TOKEN_PAGES(i));
	return ret;
}

int luo_dump_commit(void)
{
	struct contents contents = {};
	uint64_t bytes = 0;
	int ret, keeper;

	ret = preserve(&contents);
	for (size_t i = 0; i < contents.index.n_pages && !ret; i++)
		bytes += contents.pages[i].bytes;
	if (!ret) {
		keeper = luo_session_keep(luo);
		ret = keeper < 0 ? keeper : 0;
	}
	if (ret)
		pr_err("LUO can't preserve checkpoint \"%s\": %s; the tasks run on, see the kernel's "
		       "log\n", session.name, strerror(-ret));
	else
		pr_info("checkpoint \"%s\" is preserved: %zu images of %" PRIu64 " bytes, %zu pages "
			"images of %" PRIu64 " bytes; until the kexec process %d must live\n",
			session.name, contents.index.n_image, contents.data_size,
			contents.index.n_pages, bytes, keeper);
	contents_free(&contents);
	if (!ret)
		luo_dump_end();
	return ret;
}

void luo_dump_end(void)
{
	while (nr_images)
		drop(&images[--nr_images]);
	free(images);
	images = NULL;
	pram_queue_close(&queue);
	pram_cleanup_close(&luo);
	luo = -1;
	pram_session_end(&session);
}
