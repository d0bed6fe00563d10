// SPDX-License-Identifier: GPL-2.0-only
/* A checkpoint as a directory of ordinary CRIU images. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"
#include "pramctl.h"
#include "util.h"

/*
 * Files are written to a directory inside the one that was asked for and moved to
 * their places when all of them are complete. So nobody sees half an export, the
 * directory may be a mount point or the current one, and if something fails only
 * what was made here has to go.
 */
#define PARTIAL_NAME	".pramctl-export"

struct export {
	const char	*dir;
	int		dir_fd;
	int		partial_fd;
	bool		made_dir;	/* it did not exist before */
	uint64_t	nr_files;
	uint64_t	bytes;
};

/* @dir_fd's entries: 1 if there are none, 0, or -errno. */
static int directory_is_empty(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 1;
	struct dirent *entry;
	DIR *dir;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -errno;
	}
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			ret = 0;
	}
	closedir(dir);
	return ret;
}

static enum pramctl_exit export_begin(struct export *e)
{
	int ret;

	/* For the owner alone: images hold all that the tasks had in memory. */
	e->made_dir = !mkdir(e->dir, 0700);
	if (!e->made_dir && errno != EEXIST) {
		pramctl_error("%s: can't be created: %s; name a directory on a writable file system",
			      e->dir, strerror(errno));
		return PRAMCTL_FAILED;
	}
	e->dir_fd = open(e->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = e->dir_fd < 0 ? -errno : directory_is_empty(e->dir_fd);
	if (ret < 0) {
		pramctl_error("%s: %s; name a directory", e->dir, strerror(-ret));
		return PRAMCTL_FAILED;
	}
	if (!ret) {
		pramctl_error("%s: is not empty; name a new directory, nothing is ever overwritten",
			      e->dir);
		return PRAMCTL_FAILED;
	}
	if (!mkdirat(e->dir_fd, PARTIAL_NAME, 0700))
		e->partial_fd = openat(e->dir_fd, PARTIAL_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->partial_fd < 0) {
		pramctl_error("%s: can't be written: %s", e->dir, strerror(errno));
		return PRAMCTL_FAILED;
	}
	return PRAMCTL_OK;
}

/* Copies @size bytes of @in from its begin to a new file; closes @in. */
static enum pramctl_exit export_file(struct export *e, const char *image, int in, uint64_t size)
{
	_cleanup_close_ int source = in;
	_cleanup_close_ int out = -1;
	int ret = in;

	if (in >= 0) {
		out = openat(e->partial_fd, image, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		ret = out < 0 ? -errno : pram_copy_range(source, 0, out, size);
	}
	if (ret) {
		pramctl_error("%s: can't be exported to %s: %s; the checkpoint is untouched", image,
			      e->dir, strerror(ret < 0 ? -ret : EIO));
		return PRAMCTL_FAILED;
	}
	e->nr_files++;
	e->bytes += size;
	return PRAMCTL_OK;
}

static enum pramctl_exit export_files(struct export *e, struct pram_checkpoint_reader *r)
{
	const PramCheckpoint *index = pram_reader_index(r);
	enum pramctl_exit status = PRAMCTL_OK;

	for (size_t i = 0; i < index->n_image && !status; i++)
		status = export_file(e, index->image[i]->name,
				     pram_reader_image(r, -1, index->image[i]->name),
				     index->image[i]->size);
	for (size_t i = 0; i < index->n_pages && !status; i++) {
		/* The reader keeps its own. */
		int stream = dup(pram_reader_pages(r, index->pages[i]->image));

		status = export_file(e, index->pages[i]->image, stream < 0 ? -errno : stream,
				     index->pages[i]->bytes);
	}
	return status;
}

/* Undoes everything; what was there before was nothing. */
static void export_undo(struct export *e, const PramCheckpoint *index)
{
	for (size_t i = 0; i < index->n_image + index->n_pages; i++) {
		const char *image = i < index->n_image ? index->image[i]->name :
							 index->pages[i - index->n_image]->image;

		if (e->partial_fd >= 0) {
			unlinkat(e->partial_fd, image, 0);
			unlinkat(e->dir_fd, image, 0);
		}
	}
	if (e->partial_fd >= 0)
		unlinkat(e->dir_fd, PARTIAL_NAME, AT_REMOVEDIR);
	if (e->made_dir)
		rmdir(e->dir);
}

static enum pramctl_exit export_end(struct export *e, const PramCheckpoint *index)
{
	int ret = syncfs(e->partial_fd) ? -errno : 0;

	for (size_t i = 0; i < index->n_image + index->n_pages && !ret; i++) {
		const char *image = i < index->n_image ? index->image[i]->name :
							 index->pages[i - index->n_image]->image;

		if (renameat(e->partial_fd, image, e->dir_fd, image))
			ret = -errno;
	}
	if (!ret && (unlinkat(e->dir_fd, PARTIAL_NAME, AT_REMOVEDIR) || fsync(e->dir_fd)))
		ret = -errno;
	if (!ret)
		return PRAMCTL_OK;
	pramctl_error("%s: the files can't be completed: %s; the checkpoint is untouched", e->dir,
		      strerror(-ret));
	return PRAMCTL_FAILED;
}

static enum pramctl_exit export_checkpoint(struct export *e, struct pram_checkpoint_reader *r)
{
	const PramCheckpoint *index = pram_reader_index(r);
	enum pramctl_exit status;
	int ret;

	ret = pram_reader_open_pages(r);
	if (ret) {
		pramctl_error("%s: its pages can't be opened: %s; 'pramctl show' shows which are damaged",
			      index->name, strerror(-ret));
		return PRAMCTL_FAILED;
	}
	status = export_begin(e);
	if (!status)
		status = export_files(e, r);
	if (!status)
		status = export_end(e, index);
	if (status)
		export_undo(e, index);
	pram_cleanup_close(&e->partial_fd);
	pram_cleanup_close(&e->dir_fd);
	return status;
}

enum pramctl_exit pramctl_export(const struct pramctl_args *args)
{
	struct export e = { .dir = args->operands[1], .dir_fd = -1, .partial_fd = -1 };
	_cleanup_close_ int dev = pramctl_open();
	struct pram_checkpoint_reader *r;
	struct pramctl_target target;
	_cleanup_free_ char *bytes = NULL;
	enum pramctl_exit status;

	if (dev < 0)
		return PRAMCTL_UNAVAILABLE;
	status = pramctl_resolve(dev, args->operands[0], &target);
	if (status)
		return status;
	if (target.kind != PRAMCTL_CHECKPOINT) {
		pramctl_error("%s: is not a checkpoint; 'pramctl list' shows all",
			      target.name);
		return PRAMCTL_NOT_FOUND;
	}
	if (pramctl_open_checkpoint(dev, target.name, &r))
		return PRAMCTL_FAILED;
	status = export_checkpoint(&e, r);
	pram_reader_close(r);
	if (status)
		return status;

	bytes = output_bytes(e.bytes);
	if (args->json) {
		struct json_object *object = output_new_object();

		output_add_string(object, "name", target.name);
		output_add_string(object, "directory", e.dir);
		output_add_number(object, "files", e.nr_files);
		output_add_number(object, "bytes", e.bytes);
		output_json(object);
	} else {
		printf("exported %s to %s: %llu images, %s\n", target.name, e.dir,
		       (unsigned long long)e.nr_files, bytes);
	}
	return PRAMCTL_OK;
}
