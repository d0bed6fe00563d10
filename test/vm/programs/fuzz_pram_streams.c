// SPDX-License-Identifier: GPL-2.0-only
/* fuzz_pram: what can be done with streams, and with other files of that kind */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuzz_pram.h"

void op_seal(struct thread *t)
{
	struct pram_ioctl_seal arg = { .size = sizeof(arg) };
	bool whole;
	int ret;

	mutate(t, &arg, sizeof(arg), 0, 0);
	ret = call(t, fd_in(t, TO_WRITE), PRAM_IOCTL_SEAL, &arg, sizeof(arg), &whole);
	count(t, !ret);
	if (!ret && whole)
		expect(t, arg.size >= sizeof(arg) && !arg.flags);
}

/* What grew beyond what is good for the machine. */
static void close_if_large(int fd)
{
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && (size_t)st.st_size >= MAX_STREAM)
		drop_fd(fd);
}

static int any_task(struct thread *t)
{
	switch (draw(t, 12)) {
	case 0:
		return dead_pidfd;
	case 1:
		return any_fd(t);
	case 2:
		return dev;
	case 3:
	case 4:
		return sleeper_pidfd;
	case 5:
	case 6:
		return restless_pidfd;
	default:
		return self_pidfd;
	}
}

void op_adopt(struct thread *t)
{
	struct pram_range ranges[16];
	struct pram_ioctl_adopt arg = {
		.size = sizeof(arg), .pidfd = any_task(t),
		.nr_ranges = draw(t, one_in(t, 4) ? 17 : 3), .ranges = (uintptr_t)ranges,
	};
	int fd = fd_in(t, TO_WRITE), ret;
	uint64_t all = 0;
	bool whole;

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		ranges[i] = (struct pram_range){ any_address(t), any_length(t) };
		/* Most of them within the arena. */
		if (!one_in(t, 12) && ranges[i].start >= ARENA && ranges[i].start < READ_ONLY) {
			ranges[i].start &= -PAGE;
			ranges[i].len = draw(t, 64) * PAGE;
			if (ranges[i].len > READ_ONLY - ranges[i].start)
				ranges[i].len = READ_ONLY - ranges[i].start;
		}
	}
	if (one_in(t, 40))
		arg.nr_ranges = edge(t);
	if (one_in(t, 40))
		arg.ranges = any_address(t);
	else
		mutate(t, &arg, sizeof(arg), 0, 0);
	ret = call(t, fd, PRAM_IOCTL_ADOPT, &arg, sizeof(arg), &whole);
	count(t, !ret);
	close_if_large(fd);
	if (ret || !whole)
		return;
	expect(t, arg.size >= sizeof(arg) && !arg.flags && arg.nr_ranges <= PRAM_ADOPT_MAX);
	if (arg.ranges != (uintptr_t)ranges || arg.nr_ranges > ARRAY_SIZE(ranges))
		return;
	for (size_t i = 0; i < arg.nr_ranges; i++) {
		expect(t, !(ranges[i].start % PAGE) && !(ranges[i].len % PAGE));
		all += ranges[i].len / PAGE;
	}
	expect(t, arg.pages == all);
}

void op_present(struct thread *t)
{
	struct pram_range found[16];
	struct pram_ioctl_adopt_present arg = {
		.size = sizeof(arg), .pidfd = any_task(t),
		.nr_found = one_in(t, 20) ? edge(t) : draw(t, 17),
		.start = any_address(t), .found = (uintptr_t)found,
	};
	int fd = fd_in(t, TO_WRITE), ret;
	const uint32_t room = arg.nr_found;
	uint64_t start, all = 0;

	arg.end = arg.start + any_length(t);
	if (!one_in(t, 12) && arg.start >= ARENA && arg.start < READ_ONLY) {
		arg.start &= -PAGE;
		arg.end = arg.start + draw(t, 256) * PAGE;
		if (arg.end > READ_ONLY)
			arg.end = READ_ONLY;
	}
	/* No more than that fits, whatever is said. */
	if (room > ARRAY_SIZE(found) && arg.end - arg.start > 2 * ARRAY_SIZE(found) * PAGE)
		arg.end = arg.start + ARRAY_SIZE(found) * PAGE;
	if (one_in(t, 40))
		arg.flags = edge(t);
	if (one_in(t, 40))
		arg.found = 8;
	start = arg.start;
	ret = ioctl(fd, PRAM_IOCTL_ADOPT_PRESENT, &arg);
	count(t, !ret);
	close_if_large(fd);
	if (ret)
		return;
	expect(t, !arg.flags && room && arg.nr_found <= room);
	expect(t, arg.start >= start && arg.start <= arg.end);
	expect(t, arg.start == arg.end || arg.nr_found == room);
	for (size_t i = 0; i < arg.nr_found && arg.found == (uintptr_t)found; i++) {
		expect(t, found[i].start >= start && found[i].len &&
			  !((found[i].start | found[i].len) % PAGE));
		start = found[i].start + found[i].len;
		expect(t, start <= arg.start);
		all += found[i].len / PAGE;
	}
	expect(t, arg.found != (uintptr_t)found || arg.pages == all);
}

void op_map(struct thread *t)
{
	struct pram_ioctl_map arg = {
		.size = sizeof(arg), .addr = any_address(t),
		.offset = one_in(t, 3) ? draw(t, 20) * PAGE : 0,
		.nr_pages = one_in(t, 8) ? edge(t) : draw(t, 6),
	};
	bool whole;
	int ret;

	if (one_in(t, 10))
		arg.offset = any_length(t);
	mutate(t, &arg, sizeof(arg), 0, 0);
	ret = call(t, fd_in(t, TO_READ), PRAM_IOCTL_MAP, &arg, sizeof(arg), &whole);
	count(t, !ret);
	if (ret || !whole)
		return;
	expect(t, arg.size >= sizeof(arg) && !arg.flags);
	expect(t, !(arg.addr % PAGE) && !(arg.offset % PAGE) && arg.same <= arg.nr_pages);
}

static size_t any_vector(struct thread *t, struct iovec *iov, size_t max)
{
	size_t nr = 1 + draw(t, max);

	for (size_t i = 0; i < nr; i++)
		iov[i] = (struct iovec){ (void *)any_address(t), any_length(t) };
	return nr;
}

void op_write(struct thread *t)
{
	struct iovec iov[4];
	size_t nr = any_vector(t, iov, one_in(t, 2) ? 4 : 1);
	int fd = fd_in(t, TO_WRITE);
	ssize_t n;

	switch (draw(t, 6)) {
	case 0:
		n = writev(fd, iov, one_in(t, 40) ? (int)edge(t) : (int)nr);
		break;
	case 1:
		n = pwritev2(fd, iov, nr, one_in(t, 2) ? -1 : (off_t)edge(t), draw(t, 256));
		break;
	case 2:
		n = pwrite(fd, iov->iov_base, iov->iov_len, edge(t));
		break;
	default:
		n = write(fd, iov->iov_base, iov->iov_len);
		if (n > 0)
			expect(t, (size_t)n <= iov->iov_len);
		break;
	}
	count(t, n >= 0);
	close_if_large(fd);
}

void op_read(struct thread *t)
{
	struct iovec iov[4];
	size_t nr = any_vector(t, iov, one_in(t, 2) ? 4 : 1);
	int fd = fd_in(t, TO_READ);
	off_t at = one_in(t, 4) ? (off_t)edge(t) : (off_t)(draw(t, 40) * PAGE);
	ssize_t n;

	switch (draw(t, 6)) {
	case 0:
		n = readv(fd, iov, one_in(t, 40) ? (int)edge(t) : (int)nr);
		break;
	case 1:
		n = preadv2(fd, iov, nr, one_in(t, 2) ? -1 : at, draw(t, 256));
		break;
	case 2:
	case 3:
		n = preadv(fd, iov, nr, at);
		break;
	case 4:
		n = pread(fd, iov->iov_base, iov->iov_len, at);
		break;
	default:
		n = read(fd, iov->iov_base, iov->iov_len);
		if (n > 0)
			expect(t, (size_t)n <= iov->iov_len);
		break;
	}
	count(t, n >= 0);
}

static unsigned int splice_flags(struct thread *t)
{
	return draw(t, 16);
}

void op_splice_in(struct thread *t)
{
	struct iovec iov[4];
	size_t nr = any_vector(t, iov, 4);
	int fd = fd_in(t, TO_WRITE), other = any_fd(t), pipes[2] = { -1, -1 };
	off_t at = edge(t);
	ssize_t n = -1;

	switch (draw(t, 5)) {
	case 0:
		/* Whatever is in a pipe, if that is one, and be it nothing. */
		n = splice(other, NULL, fd, one_in(t, 8) ? &at : NULL, any_length(t),
			   splice_flags(t));
		break;
	case 1:
		n = tee(other, fd, any_length(t), splice_flags(t) | SPLICE_F_NONBLOCK);
		break;
	default:
		if (pipe2(pipes, O_CLOEXEC))
			break;
		if (one_in(t, 4))
			fcntl(pipes[1], F_SETPIPE_SZ, 1 << (12 + draw(t, 6)));
		vmsplice(pipes[1], iov, nr, splice_flags(t) | SPLICE_F_NONBLOCK);
		if (one_in(t, 4) && write(pipes[1], "x", 0))
			wrong(t, "an empty write was not empty");
		n = splice(pipes[0], NULL, fd, NULL, any_length(t), splice_flags(t));
		break;
	}
	count(t, n >= 0);
	for (int i = 0; i < 2; i++) {
		if (pipes[i] >= 0 && one_in(t, 8))
			put_fd(t, ANYTHING, pipes[i]);
		else if (pipes[i] >= 0)
			close(pipes[i]);
	}
	close_if_large(fd);
}

void op_splice_out(struct thread *t)
{
	off_t at = one_in(t, 4) ? (off_t)edge(t) : (off_t)draw(t, 20 * PAGE);
	int pipes[2];
	ssize_t n;

	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK)) {
		count(t, false);
		return;
	}
	n = splice(fd_in(t, TO_READ), one_in(t, 2) ? &at : NULL, pipes[1], NULL, any_length(t),
		   splice_flags(t));
	count(t, n >= 0);
	/* From one stream to another. */
	if (n > 0)
		splice(pipes[0], NULL, any_fd(t), NULL, n, splice_flags(t));
	close(pipes[0]);
	close(pipes[1]);
}

void op_sendfile(struct thread *t)
{
	off_t at = one_in(t, 4) ? (off_t)edge(t) : (off_t)draw(t, 20 * PAGE);
	int out = fd_in(t, TO_WRITE);
	size_t len = draw(t, 512 * PAGE);
	ssize_t n;

	if (one_in(t, 3))
		n = copy_file_range(any_fd(t), NULL, out, NULL, len, one_in(t, 20));
	else
		n = sendfile(out, fd_in(t, TO_READ), one_in(t, 2) ? &at : NULL, len);
	count(t, n >= 0);
	close_if_large(out);
}

void op_lseek(struct thread *t)
{
	off_t to = one_in(t, 2) ? (off_t)edge(t) : (off_t)draw(t, 20 * PAGE);

	count(t, lseek(fd_in(t, TO_READ), to, draw(t, 7)) >= 0);
}

void op_fcntl(struct thread *t)
{
	static const int flags[] = {
		0, O_NONBLOCK, O_APPEND, O_APPEND | O_NONBLOCK, O_DIRECT, O_NOATIME, O_ASYNC,
	};
	struct flock lock = {
		.l_type = one_in(t, 2) ? F_WRLCK : F_UNLCK, .l_len = draw(t, 3),
	};
	int fd = any_fd(t), ret = -1;

	switch (draw(t, 9)) {
	case 0:
		ret = fcntl(fd, F_SETFL, flags[draw(t, ARRAY_SIZE(flags))]);
		break;
	case 1:
		ret = fcntl(fd, F_GETFL);
		break;
	case 2:
		ret = fcntl(fd, F_SETFD, (int)draw(t, 2));
		break;
	case 3:
		ret = fcntl(fd, F_SETLK, &lock);
		break;
	case 4:
		ret = fcntl(fd, F_ADD_SEALS, (int)draw(t, 32));
		break;
	case 5:
		ret = fcntl(fd, F_SETOWN, getpid());
		break;
	case 6:
		ret = flock(fd, LOCK_SH | LOCK_NB);
		break;
	case 7:
		ret = fcntl(fd, F_SETLEASE, F_RDLCK);
		break;
	case 8:
		ret = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (ret >= 0)
			put_fd(t, ANYTHING, ret);
		break;
	}
	count(t, ret >= 0);
}

void op_other(struct thread *t)
{
	struct pollfd poll_fd = { .fd = any_fd(t), .events = POLLIN | POLLOUT };
	int fd = any_fd(t), ret = -1;
	char path[64], text[64];
	struct stat st;

	switch (draw(t, 9)) {
	case 0:
		ret = fsync(fd);
		break;
	case 1:
		ret = ftruncate(fd, edge(t));
		break;
	case 2:
		ret = fallocate(fd, draw(t, 64), edge(t), edge(t));
		break;
	case 3:
		ret = posix_fadvise(fd, 0, edge(t), draw(t, 6));
		break;
	case 4:
		ret = readahead(fd, 0, edge(t));
		break;
	case 5:
		ret = poll(&poll_fd, 1, 0);
		break;
	case 6:
		ret = fstat(fd, &st);
		break;
	case 7:
		/* A stream cannot be opened anew; what it says of itself can be read. */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ret = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (ret >= 0)
			put_fd(t, ANYTHING, ret);
		break;
	case 8:
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			ret = read(fd, text, sizeof(text));
			close(fd);
		}
		break;
	}
	count(t, ret >= 0);
}

void op_mmap(struct thread *t)
{
	bool device = one_in(t, 4);
	int fd = device ? dev : any_fd(t);
	struct stat st;
	void *mem;

	/* An anonymous inode has no type. Somebody may put another file there meanwhile. */
	if (!device && (fstat(fd, &st) || st.st_mode & S_IFMT))
		return;
	mem = mmap(NULL, PAGE, PROT_READ | (one_in(t, 2) ? PROT_WRITE : 0),
		   one_in(t, 2) ? MAP_SHARED : MAP_PRIVATE, fd, draw(t, 2) * PAGE);
	if (mem != MAP_FAILED) {
		if (device)
			wrong(t, "/dev/pram can be mapped");
		munmap(mem, PAGE);
	} else {
		count(t, false);
	}
}

void op_close(struct thread *t)
{
	int old = atomic_exchange(&slots[draw(t, NR_SLOTS)], -1);

	if (old >= 0)
		close(old);
	count(t, true);
}

void op_open(struct thread *t)
{
	int fds[2] = { -1, -1 };

	switch (draw(t, 5)) {
	case 0:
		if (!pipe2(fds, O_CLOEXEC | O_NONBLOCK)) {
			put_fd(t, ANYTHING, fds[0]);
			put_fd(t, ANYTHING, fds[1]);
		}
		break;
	case 1:
		fds[0] = memfd_create("fuzz", MFD_CLOEXEC);
		if (fds[0] >= 0 && !ftruncate(fds[0], draw(t, 64) * PAGE))
			put_fd(t, ANYTHING, fds[0]);
		break;
	case 2:
		if (!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds)) {
			put_fd(t, ANYTHING, fds[0]);
			put_fd(t, ANYTHING, fds[1]);
		}
		break;
	case 3:
		fds[0] = open("/dev/zero", O_RDWR | O_CLOEXEC);
		if (fds[0] >= 0)
			put_fd(t, ANYTHING, fds[0]);
		break;
	case 4:
		fds[0] = syscall(SYS_pidfd_open, getpid(), 0);
		if (fds[0] >= 0)
			put_fd(t, ANYTHING, fds[0]);
		break;
	}
	count(t, true);
}
