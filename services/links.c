// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connections by unix sockets between services. CRIU dumps one service at a time, and both
 * ends of such a connection or none. A request that one service has at another is over in a moment;
 * a connection that stays cannot be kept.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "record.h"
#include "service.h"
#include "unit.h"
#include "util.h"

#define ESTABLISHED	1	/* TCP_ESTABLISHED, which unix sockets have, too */

/* Whose socket it is; sorted by inode. */
struct socket_owner {
	unsigned long	inode;
	size_t		unit;
	pid_t		pid;
};

struct owners {
	struct socket_owner	*all;
	size_t			nr;
};

static void add_owner(struct owners *owners, unsigned long inode, size_t unit, pid_t pid)
{
	struct socket_owner *more = reallocarray(owners->all, owners->nr + 1, sizeof(*more));

	if (!more)
		return;
	owners->all = more;
	more[owners->nr++] = (struct socket_owner){ inode, unit, pid };
}

static void add_sockets_of(struct owners *owners, size_t unit, pid_t pid)
{
	DIR *dir = fds_open(pid);
	unsigned long inode;
	int fd;

	while (fds_next_socket(dir, &fd, &inode))
		add_owner(owners, inode, unit, pid);
}

static int compare(const void *a, const void *b)
{
	const struct socket_owner *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static const struct socket_owner *find(const struct owners *owners, unsigned long inode)
{
	const struct socket_owner key = { .inode = inode };

	return owners->nr ? bsearch(&key, owners->all, owners->nr, sizeof(key), compare) : NULL;
}

static bool is_known(struct json_object *external, unsigned long inode)
{
	char key[48];

	snprintf(key, sizeof(key), "socket:[%lu]", inode);
	for (size_t i = 0; external && i < json_object_array_length(external); i++) {
		if (!strcmp(record_text(json_object_array_get_idx(external, i), "key"), key))
			return true;
	}
	return false;
}

/* A connected socket, as the kernel lists it. */
struct entry {
	unsigned long	inode;
	unsigned long	peer;		/* 0 if that was not accepted yet */
	bool		has_peer;
	char		name[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
};

struct entries {
	struct entry	*all;
	size_t		nr;
};

static const struct entry *find_entry(const struct entries *entries, unsigned long inode)
{
	for (size_t i = 0; inode && i < entries->nr; i++) {
		if (entries->all[i].inode == inode)
			return &entries->all[i];
	}
	return NULL;
}

static int ask(void)
{
	const struct {
		struct nlmsghdr		header;
		struct unix_diag_req	request;
	} message = {
		.header = {
			.nlmsg_len = sizeof(message),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.request = {
			.sdiag_family = AF_UNIX,
			.udiag_states = 1 << ESTABLISHED,
			.udiag_show = UDIAG_SHOW_PEER | UDIAG_SHOW_NAME,
		},
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0)
		return -errno;
	if (send(fd, &message, sizeof(message), 0) != sizeof(message)) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static void add_entry(struct entries *entries, const struct nlmsghdr *header)
{
	const struct unix_diag_msg *socket = NLMSG_DATA(header);
	struct rtattr *attr = (struct rtattr *)(socket + 1);
	int len = header->nlmsg_len - NLMSG_LENGTH(sizeof(*socket));
	struct entry *more;

	if (socket->udiag_type != SOCK_STREAM && socket->udiag_type != SOCK_SEQPACKET)
		return;
	more = reallocarray(entries->all, entries->nr + 1, sizeof(*more));
	if (!more)
		return;
	entries->all = more;
	more += entries->nr++;
	*more = (struct entry){ .inode = socket->udiag_ino };
	for (; RTA_OK(attr, len); attr = RTA_NEXT(attr, len)) {
		if (attr->rta_type == UNIX_DIAG_PEER) {
			more->peer = *(const uint32_t *)RTA_DATA(attr);
			more->has_peer = true;
		} else if (attr->rta_type == UNIX_DIAG_NAME && RTA_PAYLOAD(attr) < sizeof(more->name)) {
			memcpy(more->name, RTA_DATA(attr), RTA_PAYLOAD(attr));
			/* Of an abstract one, that begins with a nul. */
			if (!*more->name)
				*more->name = '@';
		}
	}
}

static void read_entries(struct entries *entries)
{
	_cleanup_close_ int fd = ask();
	char buf[16384] __attribute__((aligned(NLMSG_ALIGNTO)));
	bool more = fd >= 0;

	while (more) {
		ssize_t len = recv(fd, buf, sizeof(buf), 0);
		const struct nlmsghdr *header = (const struct nlmsghdr *)buf;

		more = len > 0;
		for (; more && NLMSG_OK(header, len); header = NLMSG_NEXT(header, len)) {
			more = header->nlmsg_type == SOCK_DIAG_BY_FAMILY;
			if (more)
				add_entry(entries, header);
		}
	}
}

struct search {
	struct owners		owners;
	struct entries		entries;
	size_t			self;
	struct json_object	*external;
	struct links		*links;
};

static void look_at(const struct search *search, const struct entry *entry)
{
	const struct socket_owner *mine = find(&search->owners, entry->inode), *other;
	const struct entry *end = find_entry(&search->entries, entry->peer);
	struct links *links = search->links;

	if (!mine || !entry->has_peer || is_known(search->external, entry->inode) ||
	    (end && !strcmp(end->name, JOURNAL_STDOUT)))
		return;
	other = entry->peer ? find(&search->owners, entry->peer) : NULL;
	if (other && other->unit == mine->unit)
		return;
	if (mine->unit == search->self) {
		/* One whose other end is known says most. */
		if (entry->peer || !links->own) {
			links->pid = mine->pid;
			links->peer = entry->peer;
			snprintf(links->name, sizeof(links->name), "%s",
				 *entry->name ? entry->name : end ? end->name : "");
		}
		links->own = true;
	} else if (other) {
		links->others = true;
	}
}

void links_look(struct unit_tasks *units, size_t nr, size_t self, struct json_object *external,
		struct links *links)
{
	struct search search = { .self = self, .external = external, .links = links };

	*links = (struct links){ .own = false };
	for (size_t i = 0; i < nr; i++) {
		for (const pid_t *pid = units[i].pids; pid && *pid; pid++)
			add_sockets_of(&search.owners, i, *pid);
	}
	if (search.owners.nr)
		qsort(search.owners.all, search.owners.nr, sizeof(*search.owners.all), compare);
	read_entries(&search.entries);
	for (size_t i = 0; i < search.entries.nr; i++)
		look_at(&search, &search.entries.all[i]);
	free(search.entries.all);
	free(search.owners.all);
}

/* ---- enabled services --------------------------------------------------- */

struct enabled {
	struct unit_tasks	*all;
	size_t			nr;
};

static void add_enabled(const char *unit, void *arg)
{
	_cleanup_free_ char *group = unit_control_group(unit);
	struct enabled *enabled = arg;
	struct unit_tasks *more;

	if (!group || !*group)
		return;
	more = reallocarray(enabled->all, enabled->nr + 1, sizeof(*more));
	if (!more)
		return;
	enabled->all = more;
	more[enabled->nr] = (struct unit_tasks){ strdup(unit), cgroup_pids(group) };
	if (more[enabled->nr].unit)
		enabled->nr++;
	else
		free(more[enabled->nr].pids);
}

size_t enabled_look(struct unit_tasks **units)
{
	struct enabled enabled = { .nr = 0 };

	enabled_for_each("", add_enabled, &enabled);
	*units = enabled.all;
	return enabled.nr;
}

void enabled_free(struct unit_tasks *units, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		free(units[i].unit);
		free(units[i].pids);
	}
	free(units);
}

char *links_text(const struct links *links)
{
	char *text;

	if (asprintf(&text, "process %d has a connection by a unix socket%s%s with a process that is not part of the service",
		     links->pid, *links->name ? ", " : "", links->name) < 0)
		return NULL;
	return text;
}
