// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* By its place, as CRIU has a util.h, too. */
#include "../lib/util.h"
#include "criu.h"
#include "marker.h"
#include "pram_marker.h"

#define NEW_NAME	PRAM_MARKER_NAME ".new"

/* An inventory is some 100 bytes; with many plugins it may be some more. */
#define INVENTORY_MAX	4096

/* An inventory: a magic number, of which other images have two, its size, the message. */
#define SIZE_OFFSET	4
#define MESSAGE_OFFSET	8

/* InventoryEntry.plugins_entry.plugins, field 12 in both messages; see inventory.proto. */
static const char plugins_field[] = "\x62\x0d\x62\x0b" PRAM_MARKER_PLUGIN;

int pram_marker_write(int dfd, int inventory)
{
	const size_t field = sizeof(plugins_field) - 1;
	char image[INVENTORY_MAX + sizeof(plugins_field)];
	_cleanup_close_ int fd = -1;
	uint32_t size;
	struct stat st;
	int ret;

	if (fstat(inventory, &st))
		return -errno;
	ret = -EBADMSG;
	if (st.st_size < MESSAGE_OFFSET || st.st_size > INVENTORY_MAX)
		goto err;
	ret = pram_pread_full(inventory, image, st.st_size, 0);
	if (ret)
		goto err;
	memcpy(&size, image + SIZE_OFFSET, sizeof(size));
	ret = -EBADMSG;
	if (size != st.st_size - MESSAGE_OFFSET)
		goto err;
	/* What is appended to a message is merged into it. */
	size += field;
	memcpy(image + SIZE_OFFSET, &size, sizeof(size));
	memcpy(image + st.st_size, plugins_field, field);

	fd = openat(dfd, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	ret = fd < 0 ? -errno : pram_write_full(fd, image, st.st_size + field);
	if (!ret && fsync(fd))
		ret = -errno;
	if (!ret)
		return 0;
err:
	pr_err("can't write " PRAM_MARKER_NAME " to the images directory, which marker=yes asks "
	       "for: %s\n", strerror(-ret));
	unlinkat(dfd, NEW_NAME, 0);
	return ret;
}

int pram_marker_show(int dfd)
{
	if (renameat(dfd, NEW_NAME, dfd, PRAM_MARKER_NAME) || fsync(dfd))
		return -errno;
	return 0;
}

void pram_marker_discard(int dfd)
{
	unlinkat(dfd, NEW_NAME, 0);
}

void pram_marker_remove(int dfd)
{
	pram_marker_discard(dfd);
	if (pram_marker_is(dfd))
		unlinkat(dfd, PRAM_MARKER_NAME, 0);
}
