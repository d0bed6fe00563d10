// SPDX-License-Identifier: GPL-2.0-only
/*
 * The limit on what nodes hold, as a program meets it.
 *
 *	limit rights		who may set it, and to what
 *	limit exact		every way to write and to take pages over, to the page
 *	limit parallel WRITERS	many at once, which together get what there is and no more
 *
 * Nothing else may use PRAM meanwhile. The limit is as before afterwards.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect.h"
#include "pram.h"

#define PAGE	4096UL
#define NAME	"limit"
/* What a stream takes beside its data: a node page and a map page. */
#define META	2
#define PAGES	64UL
#define ROOM	20UL

static struct pram_ioctl_info info_of(int dev)
{
	struct pram_ioctl_info info;
	int ret = pram_info(dev, &info);

	if (ret)
		errx(1, "PRAM_IOCTL_INFO: %s", strerror(-ret));
	return info;
}

/* 0 or the errno. */
static int put(int fd, const char *text)
{
	return pwrite(fd, text, strlen(text), 0) < 0 ? errno : 0;
}

static int open_max(void)
{
	int fd = open(PRAM_MAX_BYTES_PATH, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", PRAM_MAX_BYTES_PATH);
	return fd;
}

static void set_max(const char *text)
{
	int fd = open_max(), error = put(fd, text);

	if (error)
		errx(1, "cannot write '%s' to the limit: %s", text, strerror(error));
	close(fd);
}

/* Nodes may have so many pages more than now. */
static void allow_more(int dev, unsigned long pages)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", info_of(dev).held_bytes + pages * PAGE);
	set_max(text);
}

static bool is_full(int dev)
{
	struct pram_ioctl_info info = info_of(dev);

	if (info.held_bytes != info.max_bytes)
		printf("held: %llu bytes of %llu\n", info.held_bytes, info.max_bytes);
	return info.held_bytes == info.max_bytes;
}

/* Memory of single pages with something different in each word. */
static uint64_t *make_memory(unsigned long pages)
{
	uint64_t *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || madvise(memory, pages * PAGE, MADV_NOHUGEPAGE))
		err(1, "no memory");
	for (size_t i = 0; i < pages * PAGE / sizeof(*memory); i++)
		memory[i] = i * 0x9e3779b97f4a7c15 + 1;
	return memory;
}

static int open_save(int dev, uint32_t type, uint32_t flags)
{
	int stream = pram_save(dev, NAME, type, flags);

	if (stream < 0)
		errx(1, "cannot save: %s", strerror(-stream));
	return stream;
}

/* Commits what there is, which has to be the first @pages of @memory, and frees it. */
static void expect_node(int dev, int stream, uint32_t type, const uint64_t *memory,
			unsigned long pages)
{
	static unsigned char copy[PAGES * PAGE];

	expect(!pram_commit(dev, &stream, 1));
	close(stream);
	stream = pram_load(dev, NAME, type, 0);
	expect(stream >= 0);
	expect(pread(stream, copy, sizeof(copy), 0) == (ssize_t)(pages * PAGE));
	expect(!memcmp(copy, memory, pages * PAGE));
	expect(!pram_commit(dev, &stream, 1));
	close(stream);
}

/* --- rights --- */

static void as_nobody(int fd)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = {};
	int own;

	/* Root without capabilities, then root of another namespace: the file is theirs. */
	if (syscall(SYS_capset, &header, none))
		_exit(2);
	expect(put(fd, "0") == EPERM);
	if (unshare(CLONE_NEWUSER))
		_exit(2);
	expect(put(fd, "0") == EPERM);
	own = open(PRAM_MAX_BYTES_PATH, O_RDWR);
	expect(own >= 0 && put(own, "0") == EPERM);
	fflush(stdout);
	_exit(nr_failed != 0);
}

static void as_user(void)
{
	if (setgid(65534) || setuid(65534))
		_exit(2);
	expect(open(PRAM_MAX_BYTES_PATH, O_WRONLY) < 0 && errno == EACCES);
	expect(open(PRAM_MAX_BYTES_PATH, O_RDONLY) >= 0);
	fflush(stdout);
	_exit(nr_failed != 0);
}

static void test_rights(int dev)
{
	static const char *const bad[] = { "-1", "many", "1.5G", "10 pages", "K", " 1" };
	int fd = open_max(), status;
	char text[32] = "";
	struct stat st;

	expect(!fstat(fd, &st) && (st.st_mode & 07777) == 0644 && !st.st_uid);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		expect(put(fd, bad[i]) == EINVAL);
	expect(!put(fd, "2M\n"));
	expect(pread(fd, text, sizeof(text) - 1, 0) == 8 && !strcmp(text, "2097152\n"));
	expect(info_of(dev).max_bytes == 2 << 20);
	expect(!put(fd, "4097"));
	expect(info_of(dev).max_bytes == PAGE);

	for (int i = 0; i < 2; i++) {
		fflush(stdout);
		if (!fork()) {
			nr_failed = 0;
			if (i)
				as_user();
			as_nobody(fd);
		}
		expect(wait(&status) > 0 && !status);
	}
	expect(info_of(dev).max_bytes == PAGE);
	expect(!put(fd, "max\n"));
	memset(text, 0, sizeof(text));
	expect(pread(fd, text, sizeof(text) - 1, 0) == 4 && !strcmp(text, "max\n"));
	expect(info_of(dev).max_bytes == PRAM_MAX_BYTES_NONE);
	close(fd);
}

/* --- exact --- */

static void test_write(int dev, uint32_t type, const uint64_t *memory)
{
	int stream;

	allow_more(dev, META + ROOM);
	stream = open_save(dev, type, 0);
	expect(write(stream, memory, PAGES * PAGE) == ROOM * PAGE);
	expect(write(stream, memory, PAGE) < 0 && errno == ENOSPC);
	expect(is_full(dev));
	expect_node(dev, stream, type, memory, ROOM);
}

static void test_splice(int dev, const uint64_t *memory)
{
	struct iovec iov = { (void *)memory, PAGES * PAGE };
	int fds[2], stream;

	allow_more(dev, META + ROOM);
	stream = open_save(dev, PRAM_PAGE_STREAM, 0);
	if (pipe2(fds, O_CLOEXEC) || fcntl(fds[1], F_SETPIPE_SZ, PAGES * PAGE) < 0 ||
	    vmsplice(fds[1], &iov, 1, SPLICE_F_GIFT) != (ssize_t)(PAGES * PAGE))
		err(1, "vmsplice");
	expect(splice(fds[0], NULL, stream, NULL, PAGES * PAGE, SPLICE_F_MOVE) == ROOM * PAGE);
	expect(splice(fds[0], NULL, stream, NULL, PAGE, SPLICE_F_MOVE) < 0 && errno == ENOSPC);
	expect(is_full(dev));
	close(fds[0]);
	close(fds[1]);
	expect_node(dev, stream, PRAM_PAGE_STREAM, memory, ROOM);
}

static void test_adopt(int dev, uint64_t *memory)
{
	struct pram_range range = { (uintptr_t)memory, PAGES * PAGE };
	int pidfd = pidfd_open(getpid(), 0), stream, second;
	struct pram_ioctl_info before;
	uint64_t pages = 0;

	allow_more(dev, META + ROOM);
	stream = open_save(dev, PRAM_PAGE_STREAM, 0);
	expect(pram_adopt(stream, pidfd, &range, 1, &pages) == -ENOSPC);
	expect(pages == ROOM);
	expect(is_full(dev));
	expect(lseek(stream, 0, SEEK_END) == ROOM * PAGE);

	/* What is there is whole; with a higher limit it goes on. */
	allow_more(dev, PAGES - ROOM);
	range.start += ROOM * PAGE;
	range.len -= ROOM * PAGE;
	expect(!pram_adopt(stream, pidfd, &range, 1, &pages));
	expect(pages == PAGES - ROOM);
	expect(is_full(dev));

	/* The same frames, once more, cost a node and its map. */
	before = info_of(dev);
	allow_more(dev, META);
	second = pram_save(dev, NAME "-2", PRAM_PAGE_STREAM, 0);
	range = (struct pram_range){ (uintptr_t)memory, PAGES * PAGE };
	expect(!pram_adopt(second, pidfd, &range, 1, &pages) && pages == PAGES);
	expect(is_full(dev));
	close(second);
	expect(info_of(dev).held_bytes == before.held_bytes);

	/* The memory is still ours. Writing to it takes nothing of what nodes may have. */
	set_max("0");
	expect_node(dev, stream, PRAM_PAGE_STREAM, memory, PAGES);
	for (size_t i = 0; i < PAGES; i++)
		memory[i * PAGE / sizeof(*memory)] ^= 1;
	expect(pram_save(dev, NAME, PRAM_PAGE_STREAM, 0) == -ENOSPC);
	close(pidfd);
}

static void test_exact(int dev)
{
	/* Keeps the directory page, which otherwise comes and goes with the first node. */
	int other = pram_save(dev, NAME "-other", PRAM_BYTE_STREAM, 0);
	const unsigned long long held = info_of(dev).held_bytes;
	uint64_t *memory;

	for (int round = 0; round < 2; round++) {
		memory = make_memory(PAGES);
		test_write(dev, PRAM_PAGE_STREAM, memory);
		test_write(dev, PRAM_BYTE_STREAM, memory);
		test_splice(dev, memory);
		munmap(memory, PAGES * PAGE);
		memory = make_memory(PAGES);
		test_adopt(dev, memory);
		munmap(memory, PAGES * PAGE);
		expect(info_of(dev).held_bytes == held);
	}
	close(other);
}

/* --- parallel --- */

/* Pages, one by one, as long as there are any, from the end of @go to that of @wait. */
static void writer(int dev, unsigned int i, int go, int done, int wait)
{
	static const char page[PAGE];
	char name[32], byte = 0;
	int stream;

	snprintf(name, sizeof(name), NAME "-%u", i);
	if (read(go, &byte, 1))
		_exit(1);
	stream = pram_save(dev, name, i % 2 ? PRAM_PAGE_STREAM : PRAM_BYTE_STREAM, 0);
	while (stream >= 0 && write(stream, page, PAGE) == PAGE)
		byte = 1;
	if (stream >= 0 ? errno != ENOSPC : stream != -ENOSPC)
		byte = 2;
	if (write(done, &byte, 1) != 1)
		_exit(1);
	_exit(read(wait, &byte, 1) != 0);
}

static void test_parallel(int dev, unsigned int nr)
{
	unsigned long long held = info_of(dev).held_bytes;
	unsigned int nr_done = 0, nr_wrote = 0;
	struct pram_ioctl_info info;
	int go[2], done[2], wait_for[2];
	char byte;

	if (pipe2(go, O_CLOEXEC) || pipe2(done, O_CLOEXEC) || pipe2(wait_for, O_CLOEXEC))
		err(1, "pipe2");
	allow_more(dev, 16384);
	fflush(stdout);
	for (unsigned int i = 0; i < nr; i++) {
		if (!fork()) {
			close(go[1]);
			close(wait_for[1]);
			writer(dev, i, go[0], done[1], wait_for[0]);
		}
	}
	close(go[1]);
	if (fcntl(done[0], F_SETFL, O_NONBLOCK))
		err(1, "fcntl");
	while (nr_done < nr) {
		info = info_of(dev);
		expect(info.held_bytes <= info.max_bytes);
		if (read(done[0], &byte, 1) != 1) {
			usleep(1000);
			continue;
		}
		expect(byte < 2);
		nr_wrote += byte;
		nr_done++;
	}
	/* Some may have wanted a map page, too, for a last page. */
	info = info_of(dev);
	expect(info.held_bytes <= info.max_bytes);
	expect(info.held_bytes + nr * PAGE > info.max_bytes);
	expect(nr_wrote > 1);
	printf("%u of %u writers got %llu pages of 16384\n", nr_wrote, nr,
	       (info.held_bytes - held) / PAGE);
	close(wait_for[1]);
	while (wait(NULL) > 0)
		;
	expect(info_of(dev).held_bytes == held);
}

int main(int argc, char **argv)
{
	int dev = pram_open();

	if (dev < 0)
		errx(1, "cannot open /dev/pram: %s", strerror(-dev));
	if (argc == 2 && !strcmp(argv[1], "rights"))
		test_rights(dev);
	else if (argc == 2 && !strcmp(argv[1], "exact"))
		test_exact(dev);
	else if (argc == 3 && !strcmp(argv[1], "parallel"))
		test_parallel(dev, strtoul(argv[2], NULL, 10));
	else
		errx(2, "usage: limit rights|exact|parallel WRITERS");
	set_max("max");
	return nr_failed != 0;
}
