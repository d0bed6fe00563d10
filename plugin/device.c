// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "place.h"
#include "pram.h"

/* Set in the child's status if it has not got out; the rest is what the error was. */
#define STATUS_INSIDE	0x80

/* In the child: puts the device in the place of descriptor @dev. */
static int open_outside(int dev)
{
	int ret = pram_place_enter_root_cgroup();
	int fd;

	if (ret)
		return (-ret < STATUS_INSIDE ? -ret : EIO) | STATUS_INSIDE;
	fd = pram_open();
	if (fd >= 0) {
		ret = dup3(fd, dev, O_CLOEXEC) < 0 ? -errno : 0;
		close(fd);
	}
	ret = fd < 0 ? fd : ret;
	return -ret < STATUS_INSIDE ? -ret : EIO;
}

static int open_by_child(int *outside)
{
	/* No signal at its end, and waited for by nobody else: criu counts its children. */
	const struct clone_args args = { .flags = CLONE_FILES };
	int dev, status, ret;
	pid_t pid;

	/* Both have to know the number. */
	dev = eventfd(0, EFD_CLOEXEC);
	if (dev < 0)
		return -errno;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!pid)
		_exit(open_outside(dev));
	ret = pid < 0 ? -errno : 0;
	while (!ret && waitpid(pid, &status, __WALL) < 0)
		ret = errno == EINTR ? 0 : -errno;
	if (!ret && !WIFEXITED(status))
		ret = -EINTR;
	if (!ret && !WEXITSTATUS(status))
		return dev;
	close(dev);
	if (ret)
		return ret;
	*outside = -(WEXITSTATUS(status) & ~STATUS_INSIDE);
	return WEXITSTATUS(status) & STATUS_INSIDE ? -EPERM : *outside;
}

int pram_device_open(int *outside)
{
	int dev = pram_open();

	*outside = 0;
	/* Without the rights no place helps. */
	if (dev == -EPERM && pram_place_is_privileged())
		dev = open_by_child(outside);
	return dev;
}
