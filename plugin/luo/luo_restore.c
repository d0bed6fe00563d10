// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* By its place, as CRIU has a util.h, too. */
#include "../../lib/util.h"
#include "checkpoint.h"
#include "checkpoint_index.h"
#include "../criu.h"
#include "luo.h"
#include "luo_session.h"
#include "../restore.h"

static struct pram_session session = { .dev = -1 };
static int failed;		/* why nothing can be restored */
static int luo = -1;
static int metadata = -1;	/* memfd */
static PramCheckpoint *checkpoint;
static uint64_t data_offset;
static int *pages;		/* memfds, in the order of the index */

/* For restored tasks, which have none of our descriptors: numbers in the fdstore. */
static int metadata_id = -1;
static int *pages_ids;

static int begin(void)
{
	const char *refused = pram_restore_refused_option();
	int ret;

	if (refused) {
		pr_err("LUO does not support %s: restore without it\n", refused);
		return -EOPNOTSUPP;
	}
	ret = pram_session_begin(&session);
	if (ret)
		return ret;
	if (session.settings.keep) {
		pr_err("LUO does not support the setting keep: set it to no, or the backend to pram\n");
		return -EOPNOTSUPP;
	}
	if (session.settings.streams >= 0) {
		pr_err("LUO does not support the setting streams: leave it out, or set the backend to pram\n");
		return -EOPNOTSUPP;
	}
	luo = luo_session_retrieve(&session);
	if (luo < 0) {
		luo_session_error(&session, luo);
		return luo;
	}
	metadata = luo_session_retrieve_fd(luo, LUO_TOKEN_METADATA);
	ret = metadata < 0 ? metadata :
	      pram_index_read(metadata, session.name, &checkpoint, &data_offset);
	if (ret) {
		pr_err("can't read the index of checkpoint \"%s\" in LUO: %s\n", session.name,
		       strerror(-ret));
		return ret;
	}
	if (checkpoint->page_size != sysconf(_SC_PAGESIZE)) {
		pr_err("checkpoint \"%s\" has pages of %u bytes, this kernel of %ld: boot a kernel "
		       "with the same page size\n", session.name, checkpoint->page_size,
		       sysconf(_SC_PAGESIZE));
		return -EINVAL;
	}
	pr_info("restoring from LUO session \"%s\": %zu images, %zu pages images, dumped on Linux "
		"%s\n", session.name, checkpoint->n_image, checkpoint->n_pages,
		checkpoint->kernel_release ?: "(unknown)");
	return 0;
}

static int open_pages(const char *image)
{
	size_t i = 0;
	int fd;

	while (i < checkpoint->n_pages && strcmp(checkpoint->pages[i]->image, image))
		i++;
	if (i == checkpoint->n_pages) {
		/* CRIU would go on with an image that is absent, and crash. */
		pr_err("checkpoint \"%s\" has no %s\n", session.name, image);
		return -ENODATA;
	}
	if (!pages_ids) {
		pr_err("%s is needed before the plugin was initialised\n", image);
		return -EPROTO;
	}
	fd = fdstore_get(pages_ids[i]);
	return fd < 0 ? -EIO : fd;
}

/* CRIU gets a memfd of its own, as it reads an image from its begin to its end. */
static int copy_image(int from, const PramImage *image)
{
	_cleanup_close_ int fd = memfd_create("image", MFD_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = pram_copy_range(from, data_offset + image->offset, fd, image->size);
	if (ret)
		return ret;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return pram_take_fd(&fd);
}

static int open_small(const char *image)
{
	size_t i = 0;
	int fd, from;

	while (i < checkpoint->n_image && strcmp(checkpoint->image[i]->name, image))
		i++;
	if (i == checkpoint->n_image)
		return -ENOENT;

	from = current ? fdstore_get(metadata_id) : metadata;
	if (from < 0)
		return -EIO;
	fd = copy_image(from, checkpoint->image[i]);
	if (current)
		close(from);
	if (fd < 0)
		pr_err("can't read %s of checkpoint \"%s\": %s\n", image, session.name,
		       strerror(-fd));
	return fd;
}

int luo_restore_open(const char *image, int flags)
{
	if (!checkpoint && !failed) {
		failed = begin();
		if (failed) {
			int error = failed;

			luo_restore_end();
			failed = error;
		}
	}
	/* -ENOENT would read as "there is no such image". */
	if (failed)
		return failed == -ENOENT ? -ENODATA : failed;

	if ((flags & O_ACCMODE) != O_RDONLY) {
		pr_err("can't open %s for writing: checkpoints don't change\n", image);
		return -EROFS;
	}
	return pram_checkpoint_is_pages_image(image) ? open_pages(image) : open_small(image);
}

/* CRIU would read for ever behind the end of one that is too short. */
static int check_pages(int fd, const PramPages *image)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if ((uint64_t)st.st_size == image->bytes)
		return 0;
	pr_err("%s of checkpoint \"%s\" has %lld bytes, and should have %llu: it can't be "
	       "restored\n", image->image, session.name, (long long)st.st_size,
	       (unsigned long long)image->bytes);
	return -EBADMSG;
}

int luo_restore_share(void)
{
	int ret;

	if (!checkpoint)
		return 0;

	pages = calloc(checkpoint->n_pages + 1, sizeof(*pages));
	pages_ids = calloc(checkpoint->n_pages + 1, sizeof(*pages_ids));
	if (!pages || !pages_ids)
		return -ENOMEM;
	memset(pages, -1, checkpoint->n_pages * sizeof(*pages));
	for (size_t i = 0; i < checkpoint->n_pages; i++) {
		pages[i] = luo_session_retrieve_fd(luo, LUO_TOKEN_PAGES(i));
		if (pages[i] < 0) {
			pr_err("can't retrieve %s of checkpoint \"%s\" from LUO: %s; see the "
			       "kernel's log\n", checkpoint->pages[i]->image, session.name,
			       strerror(-pages[i]));
			return pages[i];
		}
		ret = check_pages(pages[i], checkpoint->pages[i]);
		if (ret)
			return ret;
		pages_ids[i] = fdstore_add(pages[i]);
		if (pages_ids[i] < 0)
			return -EIO;
	}
	metadata_id = fdstore_add(metadata);
	return metadata_id < 0 ? -EIO : 0;
}

bool luo_restore_active(void)
{
	return checkpoint;
}

void luo_restore_failed(void)
{
	pr_info("the restore has failed: the checkpoint is lost, as LUO gives it out once\n");
}

int luo_restore_finish(void)
{
	int ret;

	/*
	 * The fdstore holds the memfds until CRIU exits, which without -d is when
	 * the tasks do: their memory is freed now.
	 */
	for (size_t i = 0; i < checkpoint->n_pages; i++)
		if (ftruncate(pages[i], 0))
			pr_warn("can't truncate %s: its memory is freed when criu exits\n",
				checkpoint->pages[i]->image);
	ret = luo_session_finish(luo);
	if (ret)
		pr_err("the tasks run, but LUO can't finish session \"%s\": %s; its memory is held "
		       "until the next kexec\n", session.name, strerror(-ret));
	else
		pr_info("checkpoint \"%s\" is restored and freed\n", session.name);
	luo_restore_end();
	return ret;
}

void luo_restore_end(void)
{
	for (size_t i = 0; pages && i < checkpoint->n_pages; i++)
		pram_cleanup_close(&pages[i]);
	free(pages);
	pages = NULL;
	free(pages_ids);
	pages_ids = NULL;
	metadata_id = -1;
	if (checkpoint)
		pram_checkpoint__free_unpacked(checkpoint, NULL);
	checkpoint = NULL;
	pram_cleanup_close(&metadata);
	metadata = -1;
	pram_cleanup_close(&luo);
	luo = -1;
	failed = 0;
	pram_session_end(&session);
}
