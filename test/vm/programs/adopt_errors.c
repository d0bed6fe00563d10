// SPDX-License-Identifier: GPL-2.0-only
/* adopt: errors */
#include <err.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adopt.h"

static void child_without_right(void *arg)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = {};
	struct pram_range range = { (uintptr_t)arg, PAGE };
	int stream = save_pages(NODE, 0), pidfd;
	int done[2];
	uint64_t pages;
	pid_t pid;
	char c;

	if (pipe(done))
		err(1, "pipe");
	pid = fork();
	if (!pid) {
		if (setresuid(65534, 65534, 65534) || write(done[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(done[1]);
	if (read(done[0], &c, 1) != 1)
		errx(1, "no child of another user");
	close(done[0]);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	/* All that /dev/pram asks for, but not to look into others. */
	caps[0].effective = caps[0].permitted = 1U << CAP_SYS_ADMIN | 1U << CAP_KILL;
	if (syscall(SYS_capset, &header, caps))
		err(1, "capset");
	expect(adopt(stream, pidfd, &range, 1, &pages) == -EACCES && pages == 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void case_errors(void)
{
	char *mem = memory(8, SMALL, 1);
	struct pram_range good = { (uintptr_t)mem, 2 * PAGE };
	struct pram_range ranges[2] = { good, good };
	struct {
		struct pram_ioctl_adopt arg;
		uint64_t more;
	} longer = { .arg = { .size = sizeof(longer) } };
	int stream = save_pages(NODE, 0), bytes, load, pidfd = self_pidfd(), fd;
	uint64_t pages;
	pid_t pid;

	/* Who. */
	expect(adopt(stream, -1, &good, 1, &pages) == -EBADF && pages == 0);
	expect(adopt(stream, dev, &good, 1, &pages) == -EBADF && pages == 0);
	pid = fork();
	if (!pid)
		_exit(0);
	fd = syscall(SYS_pidfd_open, pid, 0);
	waitid(P_PID, pid, NULL, WEXITED | WNOWAIT);
	expect(adopt(stream, fd, &good, 1, &pages) == -ESRCH && pages == 0);
	waitpid(pid, NULL, 0);
	expect(adopt(stream, fd, &good, 1, &pages) == -ESRCH && pages == 0);
	close(fd);

	/* What. */
	ranges[1].start++;
	expect(adopt(stream, pidfd, ranges, 2, &pages) == -EINVAL);
	ranges[1] = good;
	ranges[1].len--;
	expect(adopt(stream, pidfd, ranges, 2, &pages) == -EINVAL);
	ranges[1].start = -PAGE;
	ranges[1].len = PAGE;
	expect(adopt(stream, pidfd, ranges, 2, NULL) == -EINVAL);
	ranges[1].start = PAGE;
	ranges[1].len = -PAGE;
	expect(adopt(stream, pidfd, ranges, 2, NULL) == -EINVAL);
	close(stream);
	stream = save_pages(NODE, 0);
	munmap(mem + 6 * PAGE, 2 * PAGE);
	ranges[1] = (struct pram_range){ (uintptr_t)mem + 4 * PAGE, 4 * PAGE };
	expect(adopt(stream, pidfd, ranges, 2, &pages) == -EFAULT && pages == 4);
	expect(lseek(stream, 0, SEEK_END) == 4 * (off_t)PAGE);
	/* It goes on from there, and nowhere else. */
	expect(lseek(stream, 0, SEEK_SET) == -1 && errno == EINVAL);
	expect(lseek(stream, PAGE, SEEK_CUR) == -1 && errno == EINVAL);
	expect(lseek(stream, 4 * PAGE, SEEK_SET) == 4 * (off_t)PAGE);
	expect(adopt(stream, pidfd, &good, 1, &pages) == 0 && pages == 2);
	expect(adopt(stream, pidfd, NULL, 0, &pages) == 0 && pages == 0);
	expect(adopt(stream, pidfd, (void *)8, 1, &pages) == -EFAULT);
	expect(adopt(stream, pidfd, &good, PRAM_ADOPT_MAX + 1, NULL) == -EINVAL);

	/* The structure. */
	longer.arg.pidfd = pidfd;
	longer.more = 1;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT, &longer) == -1 && errno == E2BIG);
	longer.more = 0;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT, &longer) == 0);
	longer.arg.flags = 1U << 30;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT, &longer) == -1 && errno == EOPNOTSUPP);
	longer.arg.flags = 0;
	longer.arg.size = sizeof(longer.arg) - 1;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT, &longer) == -1 && errno == EINVAL);
	expect(ioctl(stream, PRAM_IOCTL_ADOPT, NULL) == -1 && errno == EFAULT);
	expect(ioctl(dev, PRAM_IOCTL_ADOPT, &longer) == -1 && errno == ENOTTY);

	/* The stream. */
	expect(!pram_seal(stream));
	expect(adopt(stream, pidfd, &good, 1, &pages) == -EPERM && pages == 0);
	expect(!pram_commit(dev, &stream, 1));
	expect(adopt(stream, pidfd, &good, 1, &pages) == -ESTALE);
	close(stream);
	load = load_pages(NODE, 0);
	expect(adopt(load, pidfd, &good, 1, &pages) == -EBADF);
	close(load);
	node_free(NODE);
	bytes = pram_save(dev, NODE, PRAM_BYTE_STREAM, 0);
	expect(adopt(bytes, pidfd, &good, 1, &pages) == -EPERM && pages == 0);
	close(bytes);

	expect(in_child(child_without_right, mem) == 0);
	close(pidfd);
}
