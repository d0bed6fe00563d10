/* SPDX-License-Identifier: GPL-2.0-only */
/* Connections with data under way in both directions, for pram_tcp and pram_veth. */
#ifndef PRAM_ZDTM_TCP_H
#define PRAM_ZDTM_TCP_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "pram.h"

#define STREAM (3 * MiB) /* what each end sends in all */
#define EARLY  (1 * MiB) /* how much of it at most before the dump */

struct stream {
	const char *name;
	int fd, side;
	size_t sent, received;
};

/* What goes over a connection, either way, is this: every byte says where it belongs. */
static inline uint8_t stream_byte(int side, size_t at)
{
	return at ^ at >> 8 ^ at >> 16 ^ (side ? 0x5a : 0);
}

static inline int stream_failed(const struct stream *s, const char *what)
{
	return fail("%s: %s after %zu bytes out and %zu in", s->name, what, s->sent, s->received);
}

/* As much as goes without waiting, up to a total. 1: an error, 0: no more goes. */
static inline int stream_send(struct stream *s, size_t total)
{
	uint8_t buf[16384];
	size_t len, i;
	ssize_t done;

	while (s->sent < total) {
		len = total - s->sent < sizeof(buf) ? total - s->sent : sizeof(buf);
		for (i = 0; i < len; i++)
			buf[i] = stream_byte(s->side, s->sent + i);
		done = send(s->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (done < 0)
			return errno == EAGAIN ? 0 : stream_failed(s, "cannot send");
		s->sent += done;
	}
	return 0;
}

static inline int stream_receive(struct stream *s, size_t total)
{
	uint8_t buf[16384];
	size_t len, i;
	ssize_t done;

	while (s->received < total) {
		len = total - s->received < sizeof(buf) ? total - s->received : sizeof(buf);
		done = recv(s->fd, buf, len, MSG_DONTWAIT);
		if (done < 0)
			return errno == EAGAIN ? 0 : stream_failed(s, "cannot receive");
		if (!done) {
			errno = 0;
			return stream_failed(s, "the other end is closed");
		}
		for (i = 0; i < done; i++)
			if (buf[i] != stream_byte(!s->side, s->received + i)) {
				s->received += i;
				errno = 0;
				return stream_failed(s, "another byte");
			}
		s->received += done;
	}
	return 0;
}

/* Fills what can be filled before the dump, and has a part of it read. */
static inline int streams_early(struct stream *s, int count, size_t read)
{
	int i, queued, unsent;

	for (i = 0; i < count; i++) {
		if (stream_send(&s[i], EARLY) || stream_receive(&s[i], read))
			return 1;
		if (ioctl(s[i].fd, FIONREAD, &queued) || ioctl(s[i].fd, TIOCOUTQ, &unsent))
			return stream_failed(&s[i], "ioctl");
		test_msg(
			"%s, end %d: %zu bytes sent, %d not yet received by the other end, %d waiting here\n",
			s[i].name, s[i].side, s[i].sent, unsent, queued);
	}
	return 0;
}

/* The rest of it, in both directions at once, and then the end. */
static inline int streams_rest(struct stream *s, int count)
{
	struct pollfd pfd[16];
	int i, left, idle;
	char byte;

	for (left = count; left;) {
		for (i = left = 0; i < count; i++) {
			pfd[i].fd = s[i].fd;
			pfd[i].events = (s[i].sent < STREAM ? POLLOUT : 0) |
					(s[i].received < STREAM ? POLLIN : 0);
			left += !!pfd[i].events;
		}
		if (!left)
			break;
		idle = poll(pfd, count, 20000);
		if (idle <= 0)
			return stream_failed(&s[0], "nothing moves");
		for (i = 0; i < count; i++)
			if (stream_send(&s[i], STREAM) || stream_receive(&s[i], STREAM))
				return 1;
	}
	for (i = 0; i < count; i++)
		if (shutdown(s[i].fd, SHUT_WR))
			return stream_failed(&s[i], "shutdown");
	for (i = 0; i < count; i++) {
		if (recv(s[i].fd, &byte, 1, 0))
			return stream_failed(&s[i], "the other end is not closed");
		close(s[i].fd);
	}
	return 0;
}

#endif
