// SPDX-License-Identifier: GPL-2.0-only
/*
 * What make bench puts on a tmpfs, and what that costs.
 *
 *	files make KIND SIZE DIR
 *	files verify KIND SIZE DIR
 *
 * make and verify one file of SIZE MiB in DIR (KIND is "4k" or "huge", which is the
 * file system's business), or SIZE files of up to 4 KiB each ("small").
 *
 *	files mount OPTIONS DIR
 *	files umount DIR
 *	files read-only DIR
 *
 * mount a tmpfs, unmount or remount it, and print what that costs (cost.h).
 *
 *	files luo-save KIND SIZE READY
 *	files luo-load KIND SIZE
 *
 * make the same in memfds, one for each file, and stop; when continued, have LUO preserve
 * them, and write to READY what that costs. It has to live until the kexec. Then,
 * have LUO give them back, print what that costs, and verify them.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cost.h"
#include "luo/luo_kernel.h"

#define MIB		(1024UL * 1024)
#define PAGE		4096UL
#define FILES_IN_DIR	400UL
/* LUO looks through all files of a session for each one. */
#define FILES_IN_SESSION 500UL

static uint64_t words[MIB / 8];

static uint64_t word_of(uint64_t nr)
{
	return (nr + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool is_small(const char *kind)
{
	return !strcmp(kind, "small");
}

static unsigned long number(const char *text)
{
	const unsigned long n = strtoul(text, NULL, 10);

	if (!n)
		errx(2, "'%s' is no number", text);
	return n;
}

/* ---- contents ---------------------------------------------------------- */

/* Small file NR; of 1 to 4096 bytes. */
static size_t small_bytes(unsigned long nr)
{
	return nr * 1021 % PAGE + 1;
}

static void small_words(unsigned long nr)
{
	for (size_t i = 0; i < PAGE / 8; i++)
		words[i] = word_of(nr << 9 | i);
}

/* One word in each page of the MiB at that offset, in another place each. */
static size_t word_in(size_t mib, size_t page)
{
	return page * PAGE / 8 + (mib + page) % 512;
}

static void write_file(int fd, size_t bytes)
{
	if (write(fd, words, bytes) != (ssize_t)bytes)
		err(1, "cannot write");
}

static void read_file(int fd, const void *expected, size_t bytes)
{
	static char buf[MIB];

	if (read(fd, buf, bytes) != (ssize_t)bytes || memcmp(buf, expected, bytes))
		errx(1, "a file has changed");
}

static void one_file(int fd, size_t mib, void (*transfer)(int fd, size_t bytes))
{
	memset(words, 0, sizeof(words));
	for (size_t at = 0; at < mib; at++) {
		for (size_t page = 0; page < MIB / PAGE; page++)
			words[word_in(at, page)] = word_of(at << 8 | page);
		transfer(fd, MIB);
		for (size_t page = 0; page < MIB / PAGE; page++)
			words[word_in(at, page)] = 0;
	}
}

static void compare(int fd, size_t bytes)
{
	read_file(fd, words, bytes);
}

static int open_at(int dir, const char *name, int flags)
{
	const int fd = openat(dir, name, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		err(1, "cannot open %s", name);
	return fd;
}

static void in_dir(const char *kind, unsigned long size, const char *path, bool make)
{
	const int top = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
	const int flags = make ? O_WRONLY | O_CREAT | O_EXCL : O_RDONLY;
	void (*transfer)(int fd, size_t bytes) = make ? write_file : compare;
	char name[32];
	int fd, dir = -1;

	if (!is_small(kind)) {
		one_file(open_at(top, "file", flags), size, transfer);
		return;
	}
	for (unsigned long nr = 0; nr < size; nr++) {
		if (nr % FILES_IN_DIR == 0) {
			close(dir);
			snprintf(name, sizeof(name), "directory-%lu", nr / FILES_IN_DIR);
			if (make && mkdirat(top, name, 0755))
				err(1, "cannot create %s", name);
			dir = open_at(top, name, O_RDONLY | O_DIRECTORY);
		}
		snprintf(name, sizeof(name), "file-%lu", nr);
		fd = open_at(dir, name, flags);
		small_words(nr);
		transfer(fd, small_bytes(nr));
		close(fd);
	}
}

/* ---- LUO --------------------------------------------------------------- */

static int luo_session(unsigned long request, unsigned long nr)
{
	struct luo_ioctl_session arg = { .size = sizeof(arg) };
	int device = open_at(AT_FDCWD, LUO_DEVICE_PATH, O_RDWR);

	snprintf((char *)arg.name, sizeof(arg.name), "bench-%lu", nr);
	if (ioctl(device, request, &arg))
		err(1, "LUO session %lu", nr);
	close(device);
	return arg.fd;
}

static unsigned long luo_files(const char *kind, unsigned long size)
{
	const unsigned long nr = is_small(kind) ? size : 1;
	const struct rlimit limit = { nr + 1000, nr + 1000 };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		err(1, "cannot have %lu files open", nr);
	return nr;
}

static void luo_save(const char *kind, unsigned long size, const char *ready)
{
	const unsigned long nr_files = luo_files(kind, size);
	int *fds = calloc(nr_files, sizeof(*fds));
	struct cost cost;
	int session = -1;
	FILE *out;

	for (unsigned long nr = 0; nr < nr_files; nr++) {
		fds[nr] = memfd_create("file", MFD_CLOEXEC);
		if (fds[nr] < 0)
			err(1, "cannot create a memfd");
		if (is_small(kind)) {
			small_words(nr);
			write_file(fds[nr], small_bytes(nr));
		} else {
			one_file(fds[nr], size, write_file);
		}
	}

	raise(SIGSTOP);
	cost_begin(&cost);
	for (unsigned long nr = 0; nr < nr_files; nr++) {
		struct luo_ioctl_file arg = { .size = sizeof(arg), .fd = fds[nr], .token = nr };

		if (nr % FILES_IN_SESSION == 0)
			session = luo_session(LUO_IOCTL_CREATE, nr / FILES_IN_SESSION);
		if (ioctl(session, LUO_IOCTL_PRESERVE_FD, &arg))
			err(1, "LUO does not preserve file %lu", nr);
	}
	out = fopen(ready, "we");
	if (!out)
		err(1, "cannot write %s", ready);
	cost_end(&cost, out);
	if (fclose(out))
		err(1, "cannot write %s", ready);
	for (;;)
		pause();
}

static void luo_load(const char *kind, unsigned long size)
{
	const unsigned long nr_files = luo_files(kind, size);
	int *fds = calloc(nr_files, sizeof(*fds));
	struct cost cost;
	int session = -1;

	cost_begin(&cost);
	for (unsigned long nr = 0; nr < nr_files; nr++) {
		struct luo_ioctl_file arg = { .size = sizeof(arg), .fd = -1, .token = nr };
		struct luo_ioctl_finish finish = { .size = sizeof(finish) };

		if (nr % FILES_IN_SESSION == 0)
			session = luo_session(LUO_IOCTL_RETRIEVE, nr / FILES_IN_SESSION);
		if (ioctl(session, LUO_IOCTL_RETRIEVE_FD, &arg))
			err(1, "LUO does not give back file %lu", nr);
		fds[nr] = arg.fd;
		if ((nr + 1) % FILES_IN_SESSION && nr + 1 < nr_files)
			continue;
		if (ioctl(session, LUO_IOCTL_FINISH, &finish))
			err(1, "cannot finish a LUO session");
		close(session);
	}
	cost_end(&cost, stdout);

	for (unsigned long nr = 0; nr < nr_files; nr++) {
		if (lseek(fds[nr], 0, SEEK_SET))
			err(1, "cannot rewind a memfd");
		if (is_small(kind)) {
			small_words(nr);
			compare(fds[nr], small_bytes(nr));
		} else {
			one_file(fds[nr], size, compare);
		}
	}
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct cost cost;

	if (argc == 5 && (!strcmp(verb, "make") || !strcmp(verb, "verify"))) {
		in_dir(argv[2], number(argv[3]), argv[4], !strcmp(verb, "make"));
		return 0;
	}
	if (argc == 5 && !strcmp(verb, "luo-save")) {
		luo_save(argv[2], number(argv[3]), argv[4]);
		return 0;
	}
	if (argc == 4 && !strcmp(verb, "luo-load")) {
		luo_load(argv[2], number(argv[3]));
		return 0;
	}
	cost_begin(&cost);
	if (argc == 4 && !strcmp(verb, "mount")) {
		if (mount("none", argv[3], "tmpfs", 0, argv[2]))
			err(1, "cannot mount a tmpfs with %s", argv[2]);
	} else if (argc == 3 && !strcmp(verb, "umount")) {
		if (umount2(argv[2], 0))
			err(1, "cannot unmount %s", argv[2]);
	} else if (argc == 3 && !strcmp(verb, "read-only")) {
		if (mount(NULL, argv[2], NULL, MS_REMOUNT | MS_RDONLY, NULL))
			err(1, "cannot remount %s", argv[2]);
	} else {
		errx(2, "usage: see the source");
	}
	cost_end(&cost, stdout);
	return 0;
}
