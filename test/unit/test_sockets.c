// SPDX-License-Identifier: GPL-2.0-only
/* Sockets of tasks: who is about to connect, by real sockets on loopback. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service.h"
#include "test_util.h"

static int listener, port;

/* It waits for the client's first data before the handshake is over. */
static int setup(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	const int seconds = 60;

	(void)state;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	port = ntohs(address.sin_port);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return close(listener);
}

static bool connects(int number)
{
	struct json_object *ports = json_object_new_array();
	bool ret;

	json_object_array_add(ports, json_object_new_int(1));
	json_object_array_add(ports, json_object_new_int(number));
	ret = sockets_connect(getpid(), ports);
	json_object_put(ports);
	return ret;
}

/* In the handshake, then waiting for accept(2), then a connection as any other. */
static void test_connect(void **state)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port),
	};
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), accepted;

	(void)state;
	assert_false(connects(port));
	assert_int_equal(connect(client, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_true(connects(port));
	assert_true(sockets_connect(getpid(), NULL));
	assert_false(connects(2));
	assert_int_equal(write(client, "x", 1), 1);
	assert_true(connects(port));
	accepted = accept(listener, NULL, NULL);
	assert_true(accepted >= 0);
	assert_false(connects(port));
	close(accepted);
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_connect, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
