// SPDX-License-Identifier: GPL-2.0-only
/*
 * lib/writer_queue.c: messages from processes of a dump to the writer's owner. An input
 * is any number of: u8 descriptors with it, u8 length, bytes.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checkpoint_name.h"
#include "fuzz.h"
#include "writer_queue.h"

#define MAX_FDS	3

static void send_message(int fd, const uint8_t *data, size_t size, unsigned int nr_fds)
{
	union {
		struct cmsghdr	header;
		char		space[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec iov = { .iov_base = (uint8_t *)data, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nr_fds) {
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
		for (unsigned int i = 0; i < nr_fds; i++)
			memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &fd, sizeof(fd));
	}
	FUZZ_ASSERT(sendmsg(fd, &msg, MSG_DONTWAIT) == (ssize_t)size);
}

static unsigned int nr_open(void)
{
	unsigned int nr = 0;

	for (int fd = 0; fd < 64; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

int fuzz_one(const uint8_t *data, size_t size)
{
	struct pram_queue queue;
	struct pram_queue_message *message;
	const unsigned int open_before = nr_open();
	unsigned int nr = 0, nr_good = 0;
	int ret;

	FUZZ_ASSERT(!pram_queue_open(&queue));
	while (size >= 2 && nr < 8) {
		/* 255 for all that there is, longer than the longest name perhaps. */
		const size_t len = data[1] < size - 2 && data[1] < 255 ? data[1] : size - 2;

		send_message(queue.send, data + 2, len, data[0] % (MAX_FDS + 1));
		data += 2 + len;
		size -= 2 + len;
		nr++;
	}
	for (unsigned int i = 0; i < nr; i++) {
		message = malloc(sizeof(*message));
		FUZZ_ASSERT(message);
		memset(message, 0xa5, sizeof(*message));
		ret = pram_queue_receive(&queue, message);
		FUZZ_ASSERT(ret);
		if (ret > 0) {
			FUZZ_ASSERT(memchr(message->image, 0, sizeof(message->image)));
			FUZZ_ASSERT(pram_image_name_valid(message->image));
			FUZZ_ASSERT(message->kind <= PRAM_QUEUE_UNLINK);
			FUZZ_ASSERT((message->fd < 0) == (message->kind == PRAM_QUEUE_UNLINK));
			if (message->fd >= 0)
				close(message->fd);
			nr_good++;
		}
		free(message);
	}
	pram_queue_close(&queue);
	/* Descriptors came only with what was accepted. */
	FUZZ_ASSERT(nr_open() == open_before);
	return nr && nr_good == nr ? 0 : -1;
}
