// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "pram_marker.h"
#include "util.h"

bool pram_marker_is(int dfd)
{
	_cleanup_close_ int fd = openat(dfd, PRAM_MARKER_NAME,
					O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const size_t len = strlen(PRAM_MARKER_PLUGIN);
	char image[8192];
	ssize_t size;

	/* With the images themselves beside it, it is theirs. */
	if (fd < 0 || !faccessat(dfd, "pstree.img", F_OK, 0))
		return false;
	size = read(fd, image, sizeof(image));
	return size > (ssize_t)len && !memcmp(image + size - len, PRAM_MARKER_PLUGIN, len);
}
