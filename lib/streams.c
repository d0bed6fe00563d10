// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "streams.h"

/* The kernel takes 253 at once. */
#define BATCH	250U

union control {
	char		space[CMSG_SPACE(BATCH * sizeof(int))];
	struct cmsghdr	header;
};

static int send_batch(int socket, const int *fds, size_t nr)
{
	union control control = { .space = { 0 } };
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = CMSG_SPACE(nr * sizeof(int)),
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(nr * sizeof(int));
	memcpy(CMSG_DATA(&control.header), fds, nr * sizeof(int));
	/* Who receives them may wait for us to end. */
	while (sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EAGAIN)
			return -ENOBUFS;
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int pram_streams_send(int socket, const int *fds, size_t nr)
{
	int ret = 0;

	for (size_t done = 0; done < nr && !ret; done += BATCH)
		ret = send_batch(socket, fds + done, nr - done < BATCH ? nr - done : BATCH);
	return ret;
}

static int append(int **fds, size_t *nr, const struct cmsghdr *cmsg)
{
	const size_t more = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int *all = reallocarray(*fds, *nr + more, sizeof(*all));

	if (!all) {
		for (size_t i = 0; i < more; i++)
			close(((const int *)CMSG_DATA(cmsg))[i]);
		return -ENOMEM;
	}
	memcpy(all + *nr, CMSG_DATA(cmsg), more * sizeof(int));
	*fds = all;
	*nr += more;
	return 0;
}

/* 1, 0 at the end, or -errno. */
static int receive_batch(int socket, int **fds, size_t *nr)
{
	union control control = { .space = { 0 } };
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	struct cmsghdr *cmsg;
	ssize_t len;
	int ret = 0;

	do {
		len = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	} while (len < 0 && errno == EINTR);
	if (len <= 0)
		return len ? -errno : 0;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
		ret = append(fds, nr, cmsg);
	/* That is how the kernel says that some could not be installed. */
	if (!ret && msg.msg_flags & MSG_CTRUNC)
		ret = -EMFILE;
	return ret ?: 1;
}

int pram_streams_receive(int socket, int **fds, size_t *nr)
{
	int ret;

	*fds = NULL;
	*nr = 0;
	do {
		ret = receive_batch(socket, fds, nr);
	} while (ret > 0);
	if (ret)
		pram_streams_close(fds, nr);
	return ret;
}

void pram_streams_close(int **fds, size_t *nr)
{
	for (size_t i = 0; i < *nr; i++)
		close((*fds)[i]);
	free(*fds);
	*fds = NULL;
	*nr = 0;
}
