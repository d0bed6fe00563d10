// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"
#include "writer_queue.h"

/* On the wire: the kind, one byte, and the image's name with its nul. */
union control {
	struct cmsghdr	header;
	char		space[CMSG_SPACE(sizeof(int))];
};

int pram_queue_open(struct pram_queue *queue)
{
	/* The kernel doubles it, in an int. */
	const int size = INT_MAX / 2;
	int fds[2];

	/*
	 * The two ends of a pair are each other's only peer, so the queue is not
	 * limited by net.unix.max_dgram_qlen, only by the sender's buffer.
	 */
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds))
		return -errno;
	queue->send = fds[0];
	queue->receive = fds[1];
	/* Without CAP_NET_ADMIN as far as net.core.wmem_max goes. */
	if (setsockopt(queue->send, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) &&
	    setsockopt(queue->send, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size))) {
		int ret = -errno;

		pram_queue_close(queue);
		return ret;
	}
	return 0;
}

void pram_queue_close(struct pram_queue *queue)
{
	pram_cleanup_close(&queue->send);
	pram_cleanup_close(&queue->receive);
	queue->send = -1;
	queue->receive = -1;
}

int pram_queue_send(const struct pram_queue *queue, enum pram_queue_kind kind, const char *image,
		    int fd)
{
	union control control = { .space = { 0 } };
	unsigned char kind_byte = kind;
	struct iovec iov[] = {
		{ .iov_base = &kind_byte, .iov_len = sizeof(kind_byte) },
		{ .iov_base = (char *)image, .iov_len = strlen(image) + 1 },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (fd >= 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	/* To wait would be for ever: it is us who would have to receive. */
	while (sendmsg(queue->send, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EAGAIN)
			return -ENOBUFS;
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* @n bytes came: the kind, the name with its nul, and nothing else. */
static bool message_is_valid(const struct pram_queue_message *message, size_t n)
{
	return n > 2 && message->kind <= PRAM_QUEUE_UNLINK &&
	       strnlen(message->image, n - 1) == n - 2 && pram_image_name_valid(message->image) &&
	       (message->fd < 0) == (message->kind == PRAM_QUEUE_UNLINK);
}

int pram_queue_receive(const struct pram_queue *queue, struct pram_queue_message *message)
{
	union control control = { .space = { 0 } };
	unsigned char kind_byte;
	struct iovec iov[] = {
		{ .iov_base = &kind_byte, .iov_len = sizeof(kind_byte) },
		{ .iov_base = message->image, .iov_len = sizeof(message->image) },
	};
	struct msghdr msg = {
		.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = control.space,
		/* Not CMSG_SPACE(): the padding has room for a second descriptor. */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	struct cmsghdr *cmsg;
	ssize_t n;
	int ret = 1;

	do {
		n = recvmsg(queue->receive, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;

	message->fd = -1;
	message->kind = kind_byte;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&message->fd, CMSG_DATA(cmsg), sizeof(message->fd));
	if (!message_is_valid(message, n) || msg.msg_flags & MSG_TRUNC)
		ret = -EBADMSG;
	/* That is how the kernel says that the file could not be installed. */
	if (msg.msg_flags & MSG_CTRUNC)
		ret = -EMFILE;
	if (ret < 0)
		pram_cleanup_close(&message->fd);
	return ret;
}
