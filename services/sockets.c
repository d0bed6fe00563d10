// SPDX-License-Identifier: GPL-2.0-only
/* TCP sockets of tasks, by what /proc says. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service.h"
#include "util.h"

/* As /proc/net/tcp has them; of a handshake that is not over. */
#define TCP_SYN_RECV_STATE	0x03
#define TCP_LISTEN_STATE	0x0A

struct inodes {
	unsigned long	*all;
	size_t		nr;
};

static void add_inodes(struct inodes *inodes, pid_t pid)
{
	DIR *dir = fds_open(pid);
	unsigned long inode;
	int fd;

	while (fds_next_socket(dir, &fd, &inode)) {
		unsigned long *more = reallocarray(inodes->all, inodes->nr + 1, sizeof(*more));

		if (!more)
			continue;
		inodes->all = more;
		more[inodes->nr++] = inode;
	}
}

static bool has_inode(const struct inodes *inodes, unsigned long inode)
{
	for (size_t i = 0; i < inodes->nr; i++) {
		if (inodes->all[i] == inode)
			return true;
	}
	return false;
}

static void add_text(struct json_object *array, const char *text)
{
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		if (!strcmp(json_object_get_string(json_object_array_get_idx(array, i)), text))
			return;
	}
	json_object_array_add(array, json_object_new_string(text));
}

static bool has_number(struct json_object *array, int number)
{
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		if (json_object_get_int(json_object_array_get_idx(array, i)) == number)
			return true;
	}
	return false;
}

/*
 * An address as /proc has it: words of 32 bits in this machine's byte order, in hex. Is it one of
 * others, and not of loopback, or a wildcard?
 */
static bool address_text(const char *hex, char text[INET6_ADDRSTRLEN])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const bool v6 = strlen(hex) > 8;
	struct in6_addr address = { 0 };
	const void *v4 = &address;
	uint32_t words[4] = { 0 };

	for (int i = 0; i < (v6 ? 4 : 1); i++) {
		if (sscanf(hex + 8 * i, "%8x", &words[i]) != 1)
			return false;
	}
	memcpy(&address, words, sizeof(address));
	if (v6 && memcmp(&address, mapped, sizeof(mapped)))
		return !IN6_IS_ADDR_UNSPECIFIED(&address) && !IN6_IS_ADDR_LOOPBACK(&address) &&
		       /* It would need its interface. */
		       !IN6_IS_ADDR_LINKLOCAL(&address) &&
		       inet_ntop(AF_INET6, &address, text, INET6_ADDRSTRLEN);
	if (v6)
		v4 = (const uint8_t *)&address + sizeof(mapped);
	return *(const uint32_t *)v4 && *(const uint8_t *)v4 != 127 &&
	       inet_ntop(AF_INET, v4, text, INET6_ADDRSTRLEN);
}

/* For what comes from the other end of a connection. */
static void add_rule(struct json_object *rules, const char *remote, unsigned int remote_port,
		     unsigned int port)
{
	char address[INET6_ADDRSTRLEN], rule[128];

	if (!address_text(remote, address))
		return;
	snprintf(rule, sizeof(rule), "%s saddr %s tcp sport %u tcp dport %u",
		 strchr(address, ':') ? "ip6" : "ip", address, remote_port, port);
	add_text(rules, rule);
}

static void look_at_table(pid_t pid, const char *name, const struct inodes *inodes,
			  struct json_object *addresses, struct json_object *ports,
			  struct json_object *rules)
{
	char path[64], local[64], remote[64], address[INET6_ADDRSTRLEN], *line = NULL;
	unsigned int port, remote_port, state;
	unsigned long inode;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", pid, name);
	file = fopen(path, "re");
	while (file && getline(&line, &size, file) > 0) {
		/* Number, local, remote, state, queues, timer, retransmits, user, timeout, inode. */
		if (sscanf(line, " %*d: %63[0-9A-F]:%x %63[0-9A-F]:%x %x %*s %*s %*s %*s %*s %lu",
			   local, &port, remote, &remote_port, &state, &inode) != 6 ||
		    !has_inode(inodes, inode))
			continue;
		if (addresses && address_text(local, address))
			add_text(addresses, address);
		if (ports && state == TCP_LISTEN_STATE && !has_number(ports, port))
			json_object_array_add(ports, json_object_new_int(port));
		if (rules && state != TCP_LISTEN_STATE)
			add_rule(rules, remote, remote_port, port);
	}
	free(line);
	if (file)
		fclose(file);
}

void sockets_look(const pid_t *pids, struct json_object *addresses, struct json_object *ports,
		  struct json_object *rules)
{
	struct inodes inodes = { .nr = 0 };

	for (const pid_t *pid = pids; *pid; pid++)
		add_inodes(&inodes, *pid);
	/* They are all in one network namespace: the unit's. */
	if (*pids) {
		look_at_table(*pids, "tcp", &inodes, addresses, ports, rules);
		look_at_table(*pids, "tcp6", &inodes, addresses, ports, rules);
	}
	free(inodes.all);
}

static bool table_connects(pid_t pid, const char *name, struct json_object *ports)
{
	unsigned int port, state, queue;
	char path[64], *line = NULL;
	bool connects = false;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", pid, name);
	file = fopen(path, "re");
	while (!connects && file && getline(&line, &size, file) > 0) {
		/* What a socket that listens has to read is how many were not accepted. */
		if (sscanf(line, " %*d: %*63[0-9A-F]:%x %*63[0-9A-F]:%*x %x %*x:%x", &port, &state, &queue) != 3 ||
		    (ports && !has_number(ports, port)))
			continue;
		connects = state == TCP_SYN_RECV_STATE || (state == TCP_LISTEN_STATE && queue);
	}
	free(line);
	if (file)
		fclose(file);
	return connects;
}

bool sockets_connect(pid_t pid, struct json_object *ports)
{
	return table_connects(pid, "tcp", ports) || table_connects(pid, "tcp6", ports);
}

char *socket_text(int fd)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(address), size = sizeof(int);
	int type = 0, listens = 0;
	char *text;

	if (getsockname(fd, (struct sockaddr *)&address, &len) || len <= sizeof(address.ss_family) ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) ||
	    (type != SOCK_DGRAM && !listens))
		return NULL;
	text = malloc(2 * len + 16);
	if (text) {
		int at = sprintf(text, "%d ", type);

		/* That of a datagram socket of inet has a port. */
		for (socklen_t i = 0; i < len; i++)
			at += sprintf(text + at, "%02x", ((const unsigned char *)&address)[i]);
	}
	return text;
}

/* Not only there, but past the search for duplicates: can a socket have it? */
static bool can_bind(const char *text)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	const bool is_v4 = inet_pton(AF_INET, text, &v4.sin_addr) == 1;
	_cleanup_close_ int fd = -1;

	if (!is_v4 && inet_pton(AF_INET6, text, &v6.sin6_addr) != 1)
		return true;
	fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true;
	return !bind(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
		     is_v4 ? sizeof(v4) : sizeof(v6)) || errno != EADDRNOTAVAIL;
}

const char *sockets_missing_address(struct json_object *addresses)
{
	for (size_t i = 0; addresses && i < json_object_array_length(addresses); i++) {
		const char *text = json_object_get_string(json_object_array_get_idx(addresses, i));

		if (text && !can_bind(text))
			return text;
	}
	return NULL;
}
