// SPDX-License-Identifier: GPL-2.0-only
/* A directory of ordinary CRIU images as a checkpoint. */
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

/* Every image has this at its end; logs and statistics have not. */
#define IMAGE_SUFFIX	".img"

#define LIMIT_REACHED	"PRAM's limit is reached; raise " PRAM_MAX_BYTES_PATH ", or remove what " \
			"'pramctl list' shows"

struct import {
	const char			*dir;
	int				dir_fd;
	struct pram_checkpoint_writer	*w;
	uint64_t			nr_files;
	uint64_t			bytes;
};

static int is_image(const struct dirent *entry)
{
	const size_t len = strlen(entry->d_name), suffix = strlen(IMAGE_SUFFIX);

	return len > suffix && !strcmp(entry->d_name + len - suffix, IMAGE_SUFFIX);
}

static enum pramctl_exit complain_create(const char *name, int ret)
{
	switch (ret) {
	case -EEXIST:
		pramctl_error("%s: a checkpoint of that name exists; use --replace, or remove it with 'pramctl rm'",
			      name);
		break;
	case -EBUSY:
		pramctl_error("%s: the checkpoint of that name is being restored; try again when that is over",
			      name);
		break;
	case -EBADMSG:
		pramctl_error("%s: the checkpoint of that name is damaged; remove it with 'pramctl rm'",
			      name);
		break;
	case -ENAMETOOLONG:
		pramctl_error("%s: the name is too long for PRAM; give a shorter NAME", name);
		break;
	case -ENOSPC:
		pramctl_error("%s: can't be created: " LIMIT_REACHED, name);
		break;
	default:
		pramctl_error("%s: can't be created: %s; see the kernel's log", name,
			      strerror(-ret));
	}
	return PRAMCTL_FAILED;
}

/* One image, whole. */
static int import_image(struct import *i, const char *image)
{
	_cleanup_close_ int in = openat(i->dir_fd, image, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int out = -1;
	struct stat st;
	int ret;

	if (in < 0 || fstat(in, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (pram_checkpoint_is_pages_image(image))
		out = pram_writer_pages(i->w, image);
	else
		out = pram_writer_image(i->w, image);
	ret = out < 0 ? out : pram_copy_range(in, 0, out, st.st_size);
	if (!ret) {
		i->nr_files++;
		i->bytes += st.st_size;
	}
	return ret;
}

static enum pramctl_exit import_images(struct import *i)
{
	struct dirent **entries;
	int nr = scandirat(i->dir_fd, ".", &entries, is_image, alphasort);
	int ret = nr < 0 ? -errno : 0;

	if (ret)
		pramctl_error("%s: can't be read: %s", i->dir, strerror(-ret));
	for (int e = 0; e < nr; e++) {
		const char *image = entries[e]->d_name;

		if (!ret) {
			ret = import_image(i, image);
			if (ret == -ENAMETOOLONG)
				pramctl_error("%s: with this image's name the node's name is too long for PRAM; give a shorter NAME",
					      image);
			else if (ret == -ENOSPC)
				pramctl_error("%s/%s: can't be imported: " LIMIT_REACHED, i->dir,
					      image);
			else if (ret)
				pramctl_error("%s/%s: can't be imported: %s; is it a complete CRIU image?",
					      i->dir, image, strerror(-ret));
		}
		free(entries[e]);
	}
	if (nr >= 0)
		free(entries);
	return ret ? PRAMCTL_FAILED : PRAMCTL_OK;
}

/* What must be there, and what must not. */
static enum pramctl_exit check_directory(struct import *i)
{
	struct stat st;

	i->dir_fd = open(i->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (i->dir_fd < 0) {
		const int error = errno;

		pramctl_error("%s: %s; name a directory of CRIU images", i->dir, strerror(error));
		return error == ENOENT ? PRAMCTL_NOT_FOUND : PRAMCTL_FAILED;
	}
	if (fstatat(i->dir_fd, "inventory.img", &st, AT_SYMLINK_NOFOLLOW)) {
		pramctl_error("%s: has no inventory.img, so it is not a directory of CRIU images; name one",
			      i->dir);
		return PRAMCTL_FAILED;
	}
	if (!fstatat(i->dir_fd, "parent", &st, AT_SYMLINK_NOFOLLOW)) {
		pramctl_error("%s: is incremental: some of its pages are in parent/; make a full dump",
			      i->dir);
		return PRAMCTL_FAILED;
	}
	return PRAMCTL_OK;
}

static enum pramctl_exit import_checkpoint(struct import *i, int dev, const char *name,
					   const struct pramctl_args *args)
{
	_cleanup_free_ char *path = realpath(i->dir, NULL);
	const struct pram_writer_options options = {
		.replace = args->replace,
		.checksums = args->checksums,
		.copy = true,	/* the files live on */
		.images_dir = path,
	};
	enum pramctl_exit status;
	int ret;

	ret = pram_writer_create(dev, name, &options, &i->w);
	if (ret)
		return complain_create(name, ret);
	status = import_images(i);
	if (!status) {
		ret = pram_writer_commit(i->w);
		if (ret == -ENOSPC)
			pramctl_error("%s: can't be committed: " LIMIT_REACHED, name);
		else if (ret)
			pramctl_error("%s: can't be committed: %s; see the kernel's log", name,
				      strerror(-ret));
	}
	pram_writer_close(i->w);
	return ret ? PRAMCTL_FAILED : status;
}

enum pramctl_exit pramctl_import(const struct pramctl_args *args)
{
	struct import i = { .dir = args->operands[0], .dir_fd = -1 };
	_cleanup_free_ char *bytes = NULL, *path = NULL;
	_cleanup_close_ int dev = pramctl_open();
	enum pramctl_exit status;
	const char *name = NULL;

	if (dev < 0)
		return PRAMCTL_UNAVAILABLE;
	status = check_directory(&i);
	if (!status) {
		/* As the plugin would call it, if it had been dumped here. */
		path = realpath(i.dir, NULL);
		name = args->nr > 1 ? args->operands[1] : path ? path : i.dir;
		status = import_checkpoint(&i, dev, name, args);
	}
	pram_cleanup_close(&i.dir_fd);
	if (status)
		return status;

	bytes = output_bytes(i.bytes);
	if (args->json) {
		struct json_object *object = output_new_object();

		output_add_string(object, "name", name);
		output_add_string(object, "directory", i.dir);
		output_add_number(object, "files", i.nr_files);
		output_add_number(object, "bytes", i.bytes);
		output_json(object);
	} else {
		printf("imported %s as %s: %llu images, %s\n", i.dir, name,
		       (unsigned long long)i.nr_files, bytes);
	}
	return PRAMCTL_OK;
}
