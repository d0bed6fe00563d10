// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connections between two tasks over loopback, IPv4 and IPv6, of several kinds, with
 * data waiting in the queues of both directions. Not a byte is lost, and after the
 * restore the rest follows. A connection that nothing went over yet is among them.
 */
#include "pram_tcp.h"

const char *test_doc = "TCP connections on loopback, with data under way";
const char *test_author = "The PRAM authors";

static const struct {
	const char *name;
	int family, buffer, nodelay;
	size_t early, read;
} kinds[] = {
	{"a connection over IPv4", AF_INET, 0, 0, 1, 0},
	{"a connection over IPv6", AF_INET6, 0, 0, 1, 0},
	{"a connection with small buffers", AF_INET, 16384, 0, 1, 0},
	{"a connection half of which was read", AF_INET, 0, 1, 1, 100001},
	{"a connection that was not used", AF_INET6, 0, 0, 0, 0},
};
#define COUNT ARRAY_SIZE(kinds)

static void side(struct stream *streams, int which)
{
	int i;

	for (i = 0; i < COUNT; i++) {
		streams[i].side = which;
		streams[i].name = kinds[i].name;
	}
}

static int early(struct stream *streams, int part)
{
	int i;

	for (i = 0; i < COUNT; i++)
		if (kinds[i].early && streams_early(&streams[i], 1, part ? kinds[i].read : 0))
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	struct stream here[COUNT] = {}, there[COUNT] = {};
	int i, listener, port = 8880, ret, one = 1;
	task_waiter_t turn;
	pid_t child;

	test_init(argc, argv);

	task_waiter_init(&turn);
	for (i = 0; i < COUNT; i++) {
		listener = tcp_init_server(kinds[i].family, &port);
		if (listener < 0)
			return 1;
		/* What a listener has, the connections get that come from it. */
		if (kinds[i].buffer &&
		    (setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &kinds[i].buffer, sizeof(int)) ||
		     setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &kinds[i].buffer, sizeof(int)))) {
			pr_perror("SO_SNDBUF, SO_RCVBUF");
			return 1;
		}
		here[i].fd = tcp_init_client(
			kinds[i].family, kinds[i].family == AF_INET ? "127.0.0.1" : "::1", port);
		if (here[i].fd < 0)
			return 1;
		there[i].fd = tcp_accept_server(listener);
		if (there[i].fd < 0)
			return 1;
		if (kinds[i].nodelay &&
		    setsockopt(here[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))) {
			pr_perror("TCP_NODELAY");
			return 1;
		}
		close(listener);
		port++;
	}
	side(here, 0);
	side(there, 1);

	child = test_fork();
	if (child < 0) {
		pr_perror("fork");
		return 1;
	}
	if (!child) {
		for (i = 0; i < COUNT; i++)
			close(here[i].fd);
		if (early(there, 0))
			return 1;
		task_waiter_complete(&turn, 1);
		task_waiter_wait4(&turn, 2);
		if (early(there, 1))
			return 1;
		task_waiter_complete(&turn, 3);
		test_waitsig();
		return streams_rest(there, COUNT);
	}
	for (i = 0; i < COUNT; i++)
		close(there[i].fd);
	task_waiter_wait4(&turn, 1);
	if (early(here, 1))
		return 1;
	task_waiter_complete(&turn, 2);
	task_waiter_wait4(&turn, 3);

	test_daemon();
	test_waitsig();

	kill(child, SIGTERM);
	ret = streams_rest(here, COUNT);
	ret |= pram_reap(child);
	if (ret)
		return 1;
	pass();
	return 0;
}
