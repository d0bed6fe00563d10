// SPDX-License-Identifier: GPL-2.0-only
/* fuzz_pram: ioctls of the device */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz_pram.h"

static bool name_fits(const unsigned char *name)
{
	return name[0] && memchr(name, 0, PRAM_NAME_MAX);
}

void op_save(struct thread *t)
{
	struct pram_ioctl_save arg = {
		.size = sizeof(arg),
		.flags = one_in(t, 20) ? draw(t, 64) :
			 draw(t, PRAM_SAVE_EVACUATE) | draw(t, 2) * PRAM_SAVE_FINAL,
	};
	bool whole;
	int ret;

	arg.type = any_name(t, arg.name, true);
	if (one_in(t, 10))
		arg.type = draw(t, 4);
	mutate(t, &arg, sizeof(arg), 16, 21);
	ret = call(t, dev, PRAM_IOCTL_SAVE, &arg, sizeof(arg), &whole);
	count(t, !ret);
	if (ret || !whole)
		return;
	expect(t, arg.size >= sizeof(arg) && name_fits(arg.name) && arg.fd >= 0);
	expect(t, arg.type == PRAM_PAGE_STREAM || arg.type == PRAM_BYTE_STREAM);
	expect(t, arg.flags < 2 * PRAM_SAVE_FINAL);
	put_fd(t, TO_WRITE, arg.fd);
}

void op_load(struct thread *t)
{
	struct pram_ioctl_load arg = {
		.size = sizeof(arg),
		.flags = one_in(t, 20) ? draw(t, 64) : draw(t, 4),
	};
	bool whole;
	int ret;

	arg.type = any_name(t, arg.name, false);
	if (one_in(t, 10))
		arg.type = draw(t, 4);
	mutate(t, &arg, sizeof(arg), 16, 21);
	ret = call(t, dev, PRAM_IOCTL_LOAD, &arg, sizeof(arg), &whole);
	count(t, !ret);
	if (ret || !whole)
		return;
	expect(t, arg.size >= sizeof(arg) && name_fits(arg.name) && arg.fd >= 0);
	expect(t, arg.type == PRAM_PAGE_STREAM || arg.type == PRAM_BYTE_STREAM);
	expect(t, arg.flags < 4);
	put_fd(t, TO_READ, arg.fd);
}

void op_commit(struct thread *t)
{
	int32_t fds[8];
	struct pram_ioctl_commit arg = {
		.size = sizeof(arg), .nr_fds = 1 + draw(t, one_in(t, 3) ? 8 : 1),
		.flags = one_in(t, 4) ? draw(t, 4) : 0, .fds = (uintptr_t)fds,
	};
	bool whole;
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = one_in(t, 60) ? dev : fd_in(t, one_in(t, 3) ? TO_READ : TO_WRITE);
	if (one_in(t, 30))
		arg.fds = any_address(t);
	else
		mutate(t, &arg, sizeof(arg), 16, 24);
	if (one_in(t, 60))
		arg.nr_fds = edge(t);
	ret = call(t, dev, PRAM_IOCTL_COMMIT, &arg, sizeof(arg), &whole);
	count(t, !ret);
	if (ret || !whole)
		return;
	expect(t, arg.size >= sizeof(arg) && arg.flags < 4 && !arg.reserved);
	expect(t, arg.nr_fds && arg.nr_fds <= PRAM_COMMIT_MAX);
	/* They have ended; some are kept, to be tried. */
	for (size_t i = 0; i < arg.nr_fds && i < ARRAY_SIZE(fds); i++)
		if (!one_in(t, 4))
			drop_fd(fds[i]);
}

static void check_node(struct thread *t, const struct pram_node_stat *node)
{
	expect(t, node->id);
	expect(t, node->state == PRAM_NODE_SAVING || node->state == PRAM_NODE_READY ||
		  node->state == PRAM_NODE_LOADING);
	expect(t, node->type == PRAM_PAGE_STREAM || node->type == PRAM_BYTE_STREAM);
	expect(t, !(node->flags & ~PRAM_NODE_CHECKSUM) && !node->reserved);
	expect(t, name_fits(node->name));
	if (node->state == PRAM_NODE_SAVING)
		return;
	expect(t, node->bytes <= node->data_pages * PAGE);
	expect(t, node->adopted_pages <= node->data_pages);
	expect(t, node->nr_folios <= node->data_pages);
	expect(t, node->type != PRAM_PAGE_STREAM || !(node->bytes % PAGE));
	expect(t, node->meta_pages && node->saved_at_ns);
}

void op_stat(struct thread *t)
{
	struct pram_ioctl_stat arg = { .size = sizeof(arg) };
	unsigned char name[PRAM_NAME_MAX];
	bool whole;
	int ret;

	any_name(t, arg.node.name, false);
	mutate(t, &arg, sizeof(arg), 0, 0);
	memcpy(name, arg.node.name, sizeof(name));
	ret = call(t, dev, PRAM_IOCTL_STAT, &arg, sizeof(arg), &whole);
	count(t, !ret);
	if (ret || !whole)
		return;
	check_node(t, &arg.node);
	expect(t, !strncmp((char *)name, (char *)arg.node.name, sizeof(name)));
}

void op_list(struct thread *t)
{
	struct pram_ioctl_stat arg = { .size = sizeof(arg) };
	uint64_t last = 0;
	bool whole;
	int ret;

	if (one_in(t, 4)) {
		arg.node.id = edge(t);
		mutate(t, &arg, sizeof(arg), 0, 0);
		call(t, dev, PRAM_IOCTL_LIST, &arg, sizeof(arg), &whole);
		return;
	}
	do {
		/* Every input but the id is ignored, and the reserved one is 0. */
		arg.size = sizeof(arg);
		arg.node.type = edge(t);
		arg.node.name[0] = 0xff;
		ret = ioctl(dev, PRAM_IOCTL_LIST, &arg) ? -errno : 0;
		if (ret)
			break;
		expect(t, arg.node.id > last);
		check_node(t, &arg.node);
		last = arg.node.id;
	} while (!shared->failed);
	expect(t, !ret || ret == -ENOENT);
	count(t, true);
}

void op_free(struct thread *t)
{
	struct pram_ioctl_free arg = { .size = sizeof(arg) };
	struct pram_ioctl_stat stat = { .size = sizeof(stat) };
	bool whole;
	int ret;

	if (one_in(t, 2)) {
		any_name(t, arg.name, false);
	} else {
		/* Somebody may be before us: no matter. */
		for (size_t n = 1 + draw(t, 8); n; n--) {
			if (ioctl(dev, PRAM_IOCTL_LIST, &stat))
				break;
			if (!own || ours(stat.node.name))
				arg.id = stat.node.id;
		}
	}
	/* The id and FREE_ALL may mean nodes of others. */
	mutate(t, &arg, sizeof(arg), own ? 4 : 0, own ? 24 + 5 : 0);
	ret = call(t, dev, PRAM_IOCTL_FREE, &arg, sizeof(arg), &whole);
	count(t, !ret);
	if (ret || !whole)
		return;
	expect(t, arg.size >= sizeof(arg) && !(arg.flags & ~PRAM_FREE_ALL));
	expect(t, arg.flags || arg.nr_freed == 1);
}

void op_free_all(struct thread *t)
{
	struct pram_ioctl_free arg = { .size = sizeof(arg), .flags = PRAM_FREE_ALL };

	if (!own && one_in(t, 20))
		expect(t, !ioctl(dev, PRAM_IOCTL_FREE, &arg));
	count(t, true);
}

void op_info(struct thread *t)
{
	struct pram_ioctl_info arg = { .size = sizeof(arg) };

	expect(t, !ioctl(dev, PRAM_IOCTL_INFO, &arg));
	expect(t, arg.abi_version == PRAM_ABI_VERSION && !arg.nr_broken && !arg.lost_pages);
	count(t, true);
}

static const unsigned long cmds[] = {
	PRAM_IOCTL_INFO, PRAM_IOCTL_SAVE, PRAM_IOCTL_LOAD, PRAM_IOCTL_COMMIT,
	PRAM_IOCTL_STAT, PRAM_IOCTL_LIST, PRAM_IOCTL_SEAL, PRAM_IOCTL_ADOPT, PRAM_IOCTL_MAP,
	_IO(PRAM_IOCTL_TYPE, 0x07), _IO(PRAM_IOCTL_TYPE, 0x45), 0x1234, FIONREAD, FIOCLEX,
};

void op_any_ioctl(struct thread *t)
{
	unsigned long cmd = cmds[draw(t, ARRAY_SIZE(cmds))];
	unsigned char arg[512];
	uint32_t size = one_in(t, 2) ? edge(t) : 8 * draw(t, 64);
	int fd = one_in(t, 2) ? dev : any_fd(t), new_fd, ret;

	for (size_t i = 0; i < sizeof(arg); i++)
		arg[i] = one_in(t, 8) ? draw(t, 256) : 0;
	memcpy(arg, &size, 4);
	/* A name, or what is taken for one, must not be that of a good node. */
	memcpy(arg + 16, "fuzz-", 5);
	memcpy(t->page, arg, sizeof(arg));
	ret = ioctl(fd, cmd, one_in(t, 10) ? (void *)any_address(t) : t->page);
	count(t, ret >= 0);
	if (!ret && (cmd == PRAM_IOCTL_SAVE || cmd == PRAM_IOCTL_LOAD)) {
		memcpy(&new_fd, t->page + 4, 4);
		put_fd(t, TO_READ, new_fd);
	}
}

void op_unprivileged(struct thread *t)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = {};
	pid_t pid = fork();

	if (pid > 0) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		count(t, true);
		return;
	}
	if (pid)
		return;
	if (syscall(SYS_capset, &header, none))
		_exit(1);
	memset(t->page, 0, PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
		*(uint32_t *)t->page = edge(t);
		if (ioctl(dev, cmds[i], t->page) != -1)
			expect(t, cmds[i] == FIOCLEX);
		else if (_IOC_TYPE(cmds[i]) == PRAM_IOCTL_TYPE)
			expect(t, errno == EPERM);
	}
	_exit(0);
}
