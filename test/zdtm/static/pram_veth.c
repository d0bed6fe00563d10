// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connections over a veth pair whose ends are in two network namespaces, both of them
 * in the dump, with data waiting in the queues of both directions. Unlike on loopback,
 * packets can go out while only one end has been restored.
 */
#include <sched.h>

#include "pram_tcp.h"

const char *test_doc = "TCP connections over veth, with data under way";
const char *test_author = "The PRAM authors";

#define COUNT 3

static const char *const names[COUNT] = {
	"a connection over veth",
	"a connection over veth, half of which was read",
	"one over IPv6",
};

static void run(const char *fmt, int arg)
{
	char cmd[256];

	ssprintf(cmd, fmt, arg);
	if (system(cmd)) {
		pr_err("failed: %s\n", cmd);
		exit(1);
	}
}

static int connect_all(struct stream *s, int port)
{
	int i;

	for (i = 0; i < COUNT; i++) {
		s[i].name = names[i];
		s[i].side = 1;
		s[i].fd = i == 2 ? tcp_init_client(AF_INET6, "fd70:7261:6d00::1", port + i) :
				   tcp_init_client(AF_INET, "10.112.114.1", port + i);
		if (s[i].fd < 0)
			return 1;
	}
	return 0;
}

static int child(task_waiter_t *turn, int port)
{
	struct stream s[COUNT] = {};

	if (unshare(CLONE_NEWNET)) {
		pr_perror("unshare(CLONE_NEWNET)");
		return 1;
	}
	task_waiter_complete(turn, 1);
	task_waiter_wait4(turn, 2);
	run("ip link set up dev lo", 0);
	run("ip addr add 10.112.114.2/24 dev pram1", 0);
	run("ip addr add fd70:7261:6d00::2/64 dev pram1 nodad", 0);
	run("ip link set up dev pram1", 0);
	task_waiter_complete(turn, 3);
	task_waiter_wait4(turn, 4);
	if (connect_all(s, port) || streams_early(s, COUNT, 0))
		return 1;
	task_waiter_complete(turn, 5);
	test_waitsig();
	return streams_rest(s, COUNT);
}

int main(int argc, char **argv)
{
	struct stream s[COUNT] = {};
	int i, ret, port = 8980, listener[COUNT], next;
	task_waiter_t turn;
	pid_t pid;

	test_init(argc, argv);

	task_waiter_init(&turn);
	pid = test_fork();
	if (pid < 0) {
		pr_perror("fork");
		return 1;
	}
	if (!pid)
		return child(&turn, port);
	task_waiter_wait4(&turn, 1);
	run("ip link add name pram0 type veth peer name pram1 netns %d", pid);
	run("ip addr add 10.112.114.1/24 dev pram0", 0);
	run("ip addr add fd70:7261:6d00::1/64 dev pram0 nodad", 0);
	run("ip link set up dev pram0", 0);
	task_waiter_complete(&turn, 2);
	task_waiter_wait4(&turn, 3);

	for (i = 0; i < COUNT; i++) {
		next = port + i;
		listener[i] = tcp_init_server(i == 2 ? AF_INET6 : AF_INET, &next);
		if (listener[i] < 0)
			return 1;
		if (next != port + i) {
			pr_err("port %d is not free\n", port + i);
			return 1;
		}
	}
	task_waiter_complete(&turn, 4);
	for (i = 0; i < COUNT; i++) {
		s[i].name = names[i];
		s[i].fd = tcp_accept_server(listener[i]);
		if (s[i].fd < 0)
			return 1;
		close(listener[i]);
	}
	task_waiter_wait4(&turn, 5);
	if (streams_early(s, 1, 0) || streams_early(s + 1, COUNT - 1, 50001))
		return 1;

	test_daemon();
	test_waitsig();

	kill(pid, SIGTERM);
	ret = streams_rest(s, COUNT);
	ret |= pram_reap(pid);
	if (ret)
		return 1;
	pass();
	return 0;
}
