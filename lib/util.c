// SPDX-License-Identifier: GPL-2.0-only
#include <sys/sendfile.h>

#include "util.h"

/* Of one sendfile() or of the buffer where sendfile() does not do. */
#define COPY_SENDFILE_MAX	(64U << 20)
#define COPY_BUFFER_SIZE	(64U << 10)

int pram_pread_full(int fd, void *buf, size_t size, off_t offset)
{
	char *p = buf;

	while (size) {
		ssize_t n = pread(fd, p, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EBADMSG;
		p += n;
		size -= n;
		offset += n;
	}
	return 0;
}

int pram_write_full(int fd, const void *buf, size_t size)
{
	const char *p = buf;

	while (size) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
		p += n;
		size -= n;
	}
	return 0;
}

static int copy_by_buffer(int in, off_t offset, int out, uint64_t size)
{
	_cleanup_free_ char *buf = malloc(COPY_BUFFER_SIZE);
	int ret;

	if (!buf)
		return -ENOMEM;

	while (size) {
		size_t n = size < COPY_BUFFER_SIZE ? size : COPY_BUFFER_SIZE;

		ret = pram_pread_full(in, buf, n, offset);
		if (ret)
			return ret;
		ret = pram_write_full(out, buf, n);
		if (ret)
			return ret;
		offset += n;
		size -= n;
	}
	return 0;
}

int pram_copy_range(int in, off_t offset, int out, uint64_t size)
{
	while (size) {
		size_t want = size < COPY_SENDFILE_MAX ? size : COPY_SENDFILE_MAX;
		ssize_t n = sendfile(out, in, &offset, want);

		if (n < 0 && errno == EINTR)
			continue;
		/* One of the two cannot splice: what is left goes by hand. */
		if (n < 0 && (errno == EINVAL || errno == ENOSYS))
			return copy_by_buffer(in, offset, out, size);
		if (n < 0)
			return -errno;
		if (!n)
			return -EBADMSG;
		size -= n;
	}
	return 0;
}
