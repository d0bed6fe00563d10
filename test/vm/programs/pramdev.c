// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/pram as a program sees it: what KUnit cannot test from inside.
 *
 *	pramdev save NAME pages|bytes SIZE SEED [checksum]
 *	pramdev verify NAME pages|bytes SIZE SEED
 *	pramdev finish NAME pages|bytes
 *	pramdev hold NAME
 *	pramdev reserve NAME pages|bytes
 *	pramdev errors
 *	pramdev save-many COUNT
 *	pramdev verify-many COUNT
 *	pramdev free-many COUNT
 *	pramdev free-range FIRST COUNT
 *	pramdev verify-left COUNT
 *	pramdev kexec
 *	pramdev load-fails KERNEL
 *
 * "save" writes SIZE bytes that follow from SEED, by write(2), vmsplice(2) and
 * splice(2), and sendfile(2), and commits; "verify" reads them back in every way
 * there is, and puts the node back; "finish" frees it by finishing a load;
 * "hold" starts to save a node, says "holding", and waits to be killed; "reserve"
 * starts to load one, says "reserved", and waits; "errors" provokes each error of
 * each ioctl. "save-many" saves so many nodes, of both types, with the longest names
 * that there can be, and commits all at once; "verify-many" sees that these and no
 * others are listed, and reads them; "free-many" frees them, the last first, and
 * "free-range" some of them. "verify-left" reads those of them that are there, sees
 * that what is broken cannot be loaded, and prints how many there are of each. "kexec"
 * asks for a kexec into a kernel that nobody has loaded, and is refused. "load-fails"
 * loads KERNEL with kexec_file_load(2), again and again, of which the 1st allocation of
 * memory fails, then the 2nd and so on, later each of twice the number; and unloads it.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect.h"
#include "pram.h"

static int dev_open(void)
{
	int dev = pram_open();

	if (dev < 0)
		errx(1, "cannot open /dev/pram: %s", strerror(-dev));
	return dev;
}

static uint32_t type_of(const char *text)
{
	if (!strcmp(text, "pages"))
		return PRAM_PAGE_STREAM;
	if (!strcmp(text, "bytes"))
		return PRAM_BYTE_STREAM;
	errx(2, "type '%s': pages or bytes", text);
}

static unsigned char *make_data(size_t size, uint64_t seed)
{
	unsigned char *data = mmap(NULL, size ?: 1, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (data == MAP_FAILED)
		err(1, "no memory for %zu bytes", size);
	for (size_t i = 0; i < size; i++) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		data[i] = seed >> 56;
	}
	return data;
}

/* Write some by write(2). Return: how much. */
static size_t by_write(int stream, const unsigned char *data, size_t size)
{
	ssize_t n = write(stream, data, size);

	if (n < 0)
		err(1, "write");
	return n;
}

/* Pages go to a pipe, from there to the stream. */
static size_t by_splice(int stream, const unsigned char *data, size_t size)
{
	struct iovec iov = { .iov_base = (void *)data, .iov_len = size };
	ssize_t in_pipe, n, done = 0;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		err(1, "pipe2");
	in_pipe = vmsplice(fds[1], &iov, 1, SPLICE_F_GIFT | SPLICE_F_NONBLOCK);
	if (in_pipe < 0)
		err(1, "vmsplice");
	while (done < in_pipe) {
		n = splice(fds[0], NULL, stream, NULL, in_pipe - done,
			   SPLICE_F_MOVE);
		if (n <= 0)
			err(1, "splice");
		done += n;
	}
	close(fds[0]);
	close(fds[1]);
	return done;
}

static size_t by_sendfile(int stream, const unsigned char *data, size_t size)
{
	int file = memfd_create("source", MFD_CLOEXEC);
	size_t done = 0;
	off_t at = 0;
	ssize_t n;

	if (file < 0 || write(file, data, size) != (ssize_t)size)
		err(1, "memfd");
	while (done < size) {
		n = sendfile(stream, file, &at, size - done);
		if (n <= 0)
			err(1, "sendfile");
		done += n;
	}
	close(file);
	return done;
}

static int do_save(char **argv)
{
	static size_t (*const ways[])(int, const unsigned char *, size_t) = {
		by_write, by_splice, by_sendfile,
	};
	uint32_t flags = argv[4] && !strcmp(argv[4], "checksum") ?
				 PRAM_SAVE_CHECKSUM : 0;
	size_t size = strtoul(argv[2], NULL, 0), done = 0, n;
	unsigned char *data = make_data(size, strtoul(argv[3], NULL, 0));
	uint32_t type = type_of(argv[1]);
	int dev = dev_open(), stream, ret;
	struct stat st;

	stream = pram_save(dev, argv[0], type, flags);
	if (stream < 0)
		errx(1, "cannot save '%s': %s", argv[0], strerror(-stream));
	for (unsigned int way = 0; done < size; way = (way + 1) % 3) {
		n = size - done;
		if (n > 300000)
			n = type == PRAM_PAGE_STREAM ? 73 * 4096 : 299999;
		done += ways[way](stream, data + done, n);
		if (fstat(stream, &st) || st.st_size != (off_t)done)
			errx(1, "st_size is %jd after %zu bytes",
			     (intmax_t)st.st_size, done);
	}
	ret = pram_commit(dev, &stream, 1);
	if (ret)
		errx(1, "cannot commit '%s': %s", argv[0], strerror(-ret));
	return 0;
}

static int do_verify(char **argv)
{
	size_t size = strtoul(argv[2], NULL, 0), done = 0;
	unsigned char *data = make_data(size, strtoul(argv[3], NULL, 0));
	unsigned char *copy = make_data(size + 1, 0);
	int dev = dev_open(), stream, file;
	struct iovec iov[3];
	struct stat st;
	off_t at = 0;
	ssize_t n;

	stream = pram_load(dev, argv[0], type_of(argv[1]), 0);
	if (stream < 0)
		errx(1, "cannot load '%s': %s", argv[0], strerror(-stream));
	expect(!fstat(stream, &st) && st.st_size == (off_t)size);

	/* read(2), in pieces that fit nothing */
	while ((n = read(stream, copy + done, 70001 < size + 1 - done ?
			 70001 : size + 1 - done)) > 0)
		done += n;
	expect(n == 0 && done == size && !memcmp(copy, data, size));
	expect(read(stream, copy, 1) == 0);
	expect(lseek(stream, 0, SEEK_CUR) == (off_t)size);
	expect(lseek(stream, 0, SEEK_END) == (off_t)size);
	expect(lseek(stream, -1, SEEK_SET) == -1 && errno == EINVAL);

	/* pread(2) anywhere; 0 behind the end and nowhere else */
	for (size_t pos = 0; pos < size; pos += 65521) {
		size_t left = size - pos, want = left < 5000 ? left : 5000;

		memset(copy, 0, 5000 < size ? 5000 : size);
		expect(pread(stream, copy, want, pos) == (ssize_t)want &&
		       !memcmp(copy, data + pos, want));
	}
	expect(pread(stream, copy, 1, size) == 0);
	expect(pread(stream, copy, 1, size + 12345) == 0);

	/* preadv(2), as CRIU's restorer does it */
	if (size >= 4 * 4096) {
		memset(copy, 0, size);
		iov[0] = (struct iovec){ copy, 4096 };
		iov[1] = (struct iovec){ copy + 4096, 8192 };
		iov[2] = (struct iovec){ copy + 3 * 4096, size - 3 * 4096 };
		expect(preadv(stream, iov, 3, 0) == (ssize_t)size &&
		       !memcmp(copy, data, size));
	}

	/* sendfile(2) out of it */
	file = memfd_create("target", MFD_CLOEXEC);
	for (done = 0; done < size; done += n) {
		n = sendfile(file, stream, &at, size - done);
		if (n <= 0)
			break;
	}
	memset(copy, 0, size);
	expect(done == size && pread(file, copy, size, 0) == (ssize_t)size &&
	       !memcmp(copy, data, size));
	expect(sendfile(file, stream, &at, 1) == 0);
	return nr_failed != 0;
}

static int do_finish(char **argv)
{
	int dev = dev_open(), stream, ret;

	stream = pram_load(dev, argv[0], type_of(argv[1]), 0);
	if (stream < 0)
		errx(1, "cannot load '%s': %s", argv[0], strerror(-stream));
	ret = pram_commit(dev, &stream, 1);
	if (ret)
		errx(1, "cannot finish '%s': %s", argv[0], strerror(-ret));
	return 0;
}

static int do_hold(char **argv)
{
	int stream = pram_save(dev_open(), argv[0], PRAM_BYTE_STREAM, 0);
	unsigned char *data = make_data(1 << 20, 1);

	if (stream < 0)
		errx(1, "cannot save '%s': %s", argv[0], strerror(-stream));
	by_write(stream, data, 1 << 20);
	puts("holding");
	fflush(stdout);
	pause();
	return 1;
}

static int do_reserve(char **argv)
{
	int stream = pram_load(dev_open(), argv[0], type_of(argv[1]), 0);

	if (stream < 0)
		errx(1, "cannot load '%s': %s", argv[0], strerror(-stream));
	puts("reserved");
	fflush(stdout);
	pause();
	return 1;
}

/* --- many nodes --- */

/* Every seventh node is empty, the others have up to two pages. */
static size_t many_size(unsigned long i)
{
	if (i % 7 == 0)
		return 0;
	return i % 2 ? 4096 + 4096 * (i % 3 == 0) : i % 8191;
}

static const char *many_name(unsigned long i)
{
	static char name[PRAM_NAME_MAX];

	/* They differ in the last bytes only. */
	memset(name, 'm', sizeof(name));
	snprintf(name + sizeof(name) - 12, 12, "%011lu", i % 100000000000);
	return name;
}

static uint32_t many_type(unsigned long i)
{
	return i % 2 ? PRAM_PAGE_STREAM : PRAM_BYTE_STREAM;
}

static int do_save_many(char **argv)
{
	unsigned long count = strtoul(argv[0], NULL, 0);
	struct rlimit files = { count + 16, count + 16 };
	int *fds = calloc(count, sizeof(*fds));
	int dev = dev_open(), ret;

	if (!fds || setrlimit(RLIMIT_NOFILE, &files))
		err(1, "no room for %lu file descriptors", count);
	for (unsigned long i = 0; i < count; i++) {
		unsigned char *data = make_data(many_size(i), i);

		fds[i] = pram_save(dev, many_name(i), many_type(i),
				   i % 5 ? 0 : PRAM_SAVE_CHECKSUM);
		if (fds[i] < 0)
			errx(1, "cannot save node %lu: %s", i, strerror(-fds[i]));
		if (by_write(fds[i], data, many_size(i)) != many_size(i))
			errx(1, "node %lu was not written whole", i);
		munmap(data, many_size(i) ?: 1);
	}
	ret = pram_commit(dev, fds, count);
	if (ret)
		errx(1, "cannot commit %lu nodes: %s", count, strerror(-ret));
	return 0;
}

/* Its number, by its name. */
static unsigned long many_number(const struct pram_node_stat *stat)
{
	return strtoul((const char *)stat->name + PRAM_NAME_MAX - 12, NULL, 10);
}

static void verify_one(int dev, unsigned long i)
{
	unsigned char *data = make_data(many_size(i), i);
	unsigned char copy[3 * 4096];
	int stream;

	stream = pram_load(dev, many_name(i), many_type(i), PRAM_LOAD_PEEK);
	if (stream < 0)
		errx(1, "cannot load node %lu: %s", i, strerror(-stream));
	expect(read(stream, copy, sizeof(copy)) == (ssize_t)many_size(i));
	expect(!memcmp(copy, data, many_size(i)));
	munmap(data, many_size(i) ?: 1);
	close(stream);
}

static int do_verify_many(char **argv)
{
	unsigned long count = strtoul(argv[0], NULL, 0), listed = 0;
	struct pram_node_stat stat = {};
	int dev = dev_open();

	while (pram_list_next(dev, &stat) == 1) {
		unsigned long i = many_number(&stat);

		expect(i < count && !strcmp((char *)stat.name, many_name(i)));
		expect(stat.type == many_type(i) && stat.bytes == many_size(i));
		listed++;
	}
	expect(listed == count);
	for (unsigned long i = 0; i < count && !nr_failed; i++)
		verify_one(dev, i);
	return nr_failed != 0;
}

static int free_range(unsigned long first, unsigned long count)
{
	int dev = dev_open(), ret;

	while (count--) {
		ret = pram_free(dev, many_name(first + count));
		if (ret)
			errx(1, "cannot free node %lu: %s", first + count, strerror(-ret));
	}
	return 0;
}

static int do_free_many(char **argv)
{
	return free_range(0, strtoul(argv[0], NULL, 0));
}

static int do_free_range(char **argv)
{
	return free_range(strtoul(argv[0], NULL, 0), strtoul(argv[1], NULL, 0));
}

static int do_verify_left(char **argv)
{
	unsigned long count = strtoul(argv[0], NULL, 0), whole = 0, broken = 0;
	struct pram_node_stat stat = {};
	int dev = dev_open();

	while (pram_list_next(dev, &stat) == 1) {
		unsigned long i = many_number(&stat);
		bool known = i < count && !strcmp((char *)stat.name, many_name(i));

		/* A node without a name is broken, too, but may be none of these. */
		if (stat.state == PRAM_NODE_BROKEN && known) {
			expect(pram_load(dev, many_name(i), many_type(i), PRAM_LOAD_PEEK) < 0);
			broken++;
		} else if (known) {
			verify_one(dev, i);
			whole++;
		}
	}
	printf("%lu whole, %lu broken\n", whole, broken);
	return nr_failed != 0;
}

static void set_fail_nth(unsigned int nth)
{
	char text[16];
	int fd = open("/proc/thread-self/fail-nth", O_WRONLY | O_CLOEXEC);
	int len = snprintf(text, sizeof(text), "%u", nth);

	if (fd < 0 || write(fd, text, len) != len)
		err(1, "/proc/thread-self/fail-nth");
	close(fd);
}

static int do_load_fails(char **argv)
{
	int kernel = open(argv[0], O_RDONLY | O_CLOEXEC);
	unsigned int failed = 0;
	long ret;

	if (kernel < 0)
		err(1, "%s", argv[0]);
	for (unsigned int nth = 1; nth < 1U << 14; nth += nth < 32 ? 1 : nth) {
		set_fail_nth(nth);
		ret = syscall(SYS_kexec_file_load, kernel, -1, 2UL, "x",
			      (unsigned long)KEXEC_FILE_NO_INITRAMFS);
		set_fail_nth(0);
		if (!ret) {
			syscall(SYS_kexec_file_load, -1, -1, 0UL, NULL, (unsigned long)KEXEC_FILE_UNLOAD);
			continue;
		}
		if (errno != ENOMEM)
			err(1, "allocation %u failed, and the load with", nth);
		failed++;
	}
	printf("%u loads failed for lack of memory\n", failed);
	return !failed;
}

static int do_kexec(char **argv)
{
	(void)argv;
	expect(reboot(LINUX_REBOOT_CMD_KEXEC) == -1 && errno == EINVAL);
	return nr_failed != 0;
}

/* --- errors --- */

/* An ioctl that must fail with @errnum. */
static bool fails(int fd, unsigned long cmd, void *arg, int errnum)
{
	int ret = ioctl(fd, cmd, arg);

	if (ret == -1 && errno == errnum)
		return true;
	printf("ioctl %#lx: returned %d, errno %d, should be errno %d\n", cmd, ret,
	       errno, errnum);
	return false;
}

static struct pram_ioctl_save save_arg(const char *name, uint32_t type,
				       uint32_t flags)
{
	struct pram_ioctl_save arg = { .size = sizeof(arg), .type = type,
				       .flags = flags };

	strncpy((char *)arg.name, name, sizeof(arg.name) - 1);
	return arg;
}

static struct pram_ioctl_load load_arg(const char *name, uint32_t type,
				       uint32_t flags)
{
	struct pram_ioctl_load arg = { .size = sizeof(arg), .type = type,
				       .flags = flags };

	strncpy((char *)arg.name, name, sizeof(arg.name) - 1);
	return arg;
}

static void errors_of_structs(int dev)
{
	struct {
		struct pram_ioctl_info info;
		uint64_t more;
	} longer = { .info.size = sizeof(longer) };
	struct pram_ioctl_info info = { .size = sizeof(info) };
	struct pram_ioctl_stat stat = { .size = sizeof(stat) };

	expect(!ioctl(dev, PRAM_IOCTL_INFO, &info));
	expect(info.abi_version == PRAM_ABI_VERSION);
	/* Longer structs are fine as long as what is unknown is 0. */
	expect(!ioctl(dev, PRAM_IOCTL_INFO, &longer));
	longer.more = 1;
	expect(fails(dev, PRAM_IOCTL_INFO, &longer, E2BIG));
	/* So are those of the first version, which had no limit, and none shorter. */
	info.size = offsetof(struct pram_ioctl_info, held_bytes);
	info.held_bytes = 1;
	expect(!ioctl(dev, PRAM_IOCTL_INFO, &info) && info.held_bytes == 1);
	info.size--;
	expect(fails(dev, PRAM_IOCTL_INFO, &info, EINVAL));
	info.size = 0;
	expect(fails(dev, PRAM_IOCTL_INFO, &info, EINVAL));
	expect(fails(dev, PRAM_IOCTL_INFO, NULL, EFAULT));
	expect(fails(dev, PRAM_IOCTL_SEAL, &info, ENOTTY));
	expect(fails(dev, 0x1234, &info, ENOTTY));
	stat.reserved = 1;
	expect(fails(dev, PRAM_IOCTL_STAT, &stat, EINVAL));
	expect(fails(dev, PRAM_IOCTL_LIST, &stat, EINVAL));
}

static void errors_of_names(int dev)
{
	struct pram_ioctl_save save = save_arg("", PRAM_BYTE_STREAM, 0);
	struct pram_ioctl_load load = load_arg("", PRAM_BYTE_STREAM, 0);
	struct pram_ioctl_stat stat = { .size = sizeof(stat) };
	struct pram_ioctl_free freed = { .size = sizeof(freed) };

	expect(fails(dev, PRAM_IOCTL_SAVE, &save, EINVAL));
	expect(fails(dev, PRAM_IOCTL_LOAD, &load, EINVAL));
	expect(fails(dev, PRAM_IOCTL_STAT, &stat, ENOENT));
	expect(fails(dev, PRAM_IOCTL_FREE, &freed, EINVAL));
	memset(save.name, 'x', sizeof(save.name));
	memset(load.name, 'x', sizeof(load.name));
	memset(stat.node.name, 'x', sizeof(stat.node.name));
	memset(freed.name, 'x', sizeof(freed.name));
	expect(fails(dev, PRAM_IOCTL_SAVE, &save, ENAMETOOLONG));
	expect(fails(dev, PRAM_IOCTL_LOAD, &load, ENAMETOOLONG));
	expect(fails(dev, PRAM_IOCTL_STAT, &stat, ENAMETOOLONG));
	expect(fails(dev, PRAM_IOCTL_FREE, &freed, ENAMETOOLONG));
	save = save_arg("n", 7, 0);
	expect(fails(dev, PRAM_IOCTL_SAVE, &save, EOPNOTSUPP));
	save = save_arg("n", PRAM_BYTE_STREAM, 1U << 30);
	expect(fails(dev, PRAM_IOCTL_SAVE, &save, EOPNOTSUPP));
	load = load_arg("n", PRAM_BYTE_STREAM, 1U << 30);
	expect(fails(dev, PRAM_IOCTL_LOAD, &load, EOPNOTSUPP));
	freed = (struct pram_ioctl_free){ .size = sizeof(freed), .flags = 1U << 30 };
	expect(fails(dev, PRAM_IOCTL_FREE, &freed, EOPNOTSUPP));
	freed = (struct pram_ioctl_free){ .size = sizeof(freed), .id = 1,
					  .flags = PRAM_FREE_ALL };
	expect(fails(dev, PRAM_IOCTL_FREE, &freed, EINVAL));
	freed = (struct pram_ioctl_free){ .size = sizeof(freed), .id = 1, .name = "n" };
	expect(fails(dev, PRAM_IOCTL_FREE, &freed, EINVAL));
}

/* Splice two bytes. Return: 0 or the errno. */
static int splice_two(int stream)
{
	int fds[2], error;

	if (pipe2(fds, O_CLOEXEC) || write(fds[1], "ab", 2) != 2)
		err(1, "no pipe");
	error = splice(fds[0], NULL, stream, NULL, 2, 0) == 2 ? 0 : errno;
	close(fds[0]);
	close(fds[1]);
	return error;
}

static void errors_of_streams(int dev)
{
	struct pram_ioctl_seal seal = { .size = sizeof(seal) };
	unsigned char *data = make_data(2 * 4096, 1);
	int stream, load;
	char c = 'c';

	stream = pram_save(dev, "n", PRAM_PAGE_STREAM, 0);
	expect(stream >= 0);
	expect(fcntl(stream, F_GETFD) == FD_CLOEXEC);
	expect(write(stream, &c, 1) == -1 && errno == EINVAL);
	expect(read(stream, &c, 1) == -1 && errno == EBADF);
	expect(fails(stream, PRAM_IOCTL_INFO, &seal, ENOTTY));
	seal.flags = 1U << 30;
	expect(fails(stream, PRAM_IOCTL_SEAL, &seal, EOPNOTSUPP));
	seal.size = 4;
	expect(fails(stream, PRAM_IOCTL_SEAL, &seal, EINVAL));
	expect(pram_save(dev, "n", PRAM_PAGE_STREAM, 0) == -EEXIST);
	expect(pram_load(dev, "n", PRAM_PAGE_STREAM, 0) == -EBUSY);
	expect(pram_free(dev, "n") == -EBUSY);
	/* Two bytes in a pipe are no page. */
	expect(splice_two(stream) == EINVAL);
	/* Nor is what there is of one: seen when it is sealed. */
	munmap(data + 4096, 4096);
	expect(write(stream, data + 2048, 4096) == 2048);
	munmap(data, 4096);
	expect(pram_seal(stream) == -EINVAL);
	expect(pram_commit(dev, &stream, 1) == -EINVAL);
	close(stream);
	expect(pram_load(dev, "n", PRAM_PAGE_STREAM, 0) == -ENOENT);

	stream = pram_save(dev, "n", PRAM_BYTE_STREAM, 0);
	expect(write(stream, &c, 1) == 1);
	expect(pwrite(stream, &c, 1, 0) == -1 && errno == EINVAL);
	expect(pram_seal(stream) == 0);
	expect(pram_seal(stream) == 0);
	expect(write(stream, &c, 1) == -1 && errno == EPERM);
	expect(splice_two(stream) == EPERM);
	expect(pram_commit(dev, &stream, 1) == 0);
	expect(pram_commit(dev, &stream, 1) == -ESTALE);
	expect(write(stream, &c, 1) == -1 && errno == ESTALE);
	expect(splice_two(stream) == ESTALE);
	close(stream);

	expect(pram_load(dev, "n", PRAM_PAGE_STREAM, 0) == -EPERM);
	load = pram_load(dev, "n", PRAM_BYTE_STREAM, 0);
	expect(load >= 0);
	expect(pram_load(dev, "n", PRAM_BYTE_STREAM, 0) == -EBUSY);
	expect(pram_free(dev, "n") == -EBUSY);
	expect(write(load, &c, 1) == -1 && errno == EBADF);
	expect(splice_two(load) == EBADF);
	expect(pread(load, &c, 1, 0) == 1);
	expect(pram_commit(dev, &load, 1) == 0);
	expect(pread(load, &c, 1, 0) == -1 && errno == ESTALE);
	close(load);
}

/* Is a process asleep in a system call? */
static bool sleeping(pid_t pid)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%*d %*s %c", &state) != 1)
		err(1, "%s", path);
	fclose(file);
	return state == 'S';
}

/* Somebody who waits for a pipe does not keep others from the stream, nor from its end. */
static void waiting_splice(int dev, bool ends)
{
	int stream = pram_save(dev, "n", PRAM_BYTE_STREAM, 0), fds[2], status = -1;
	pid_t pid;

	if (stream < 0 || pipe2(fds, O_CLOEXEC))
		err(1, "no stream and no pipe");
	pid = fork();
	if (!pid) {
		close(fds[1]);
		_exit(splice(fds[0], NULL, stream, NULL, 4096, 0) != 0);
	}
	close(fds[0]);
	while (!sleeping(pid))
		usleep(1000);
	/* A process that is kept would not be ended by a signal: let it be the guest's end. */
	expect(write(stream, "x", 1) == 1);
	if (ends)
		expect(pram_commit(dev, &stream, 1) == 0);
	close(fds[1]);
	expect(waitpid(pid, &status, 0) == pid && status == 0);
	if (!ends) {
		/* Who has spliced nothing has put the position back to where it was then. */
		expect(lseek(stream, 0, SEEK_END) == 1);
		expect(write(stream, "x", 1) == 1);
		expect(pram_commit(dev, &stream, 1) == 0);
	}
	close(stream);
	expect(pram_free(dev, "n") == 0);
}

/*
 * Two who splice from one pipe to one stream: both wait, the first page is for one of them.
 * The other one has been overtaken, as it was to write at the stream's end and this has
 * moved: it is told, and its page stays in the pipe.
 */
static void racing_splices(int dev)
{
	int stream = pram_save(dev, "n", PRAM_BYTE_STREAM, 0), fds[2];
	int status[2] = { -1, -1 }, first;
	static char page[4096];
	pid_t pid[2], ended;

	if (stream < 0 || pipe2(fds, O_CLOEXEC))
		err(1, "no stream and no pipe");
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			close(fds[1]);
			_exit(splice(fds[0], NULL, stream, NULL, sizeof(page), 0) ==
			      sizeof(page) ? 0 : errno);
		}
	}
	while (!sleeping(pid[0]) || !sleeping(pid[1]))
		usleep(1000);
	memset(page, 'a', sizeof(page));
	expect(write(fds[1], page, sizeof(page)) == sizeof(page));
	ended = wait(&status[0]);
	first = ended == pid[1];
	expect(ended == pid[first] && status[0] == 0);
	memset(page, 'b', sizeof(page));
	expect(write(fds[1], page, sizeof(page)) == sizeof(page));
	expect(waitpid(pid[!first], &status[1], 0) == pid[!first]);
	expect(WIFEXITED(status[1]) && WEXITSTATUS(status[1]) == EINVAL);
	expect(read(fds[0], page, sizeof(page)) == sizeof(page) && page[0] == 'b');
	close(fds[0]);
	close(fds[1]);

	expect(write(stream, "x", 1) == 1);
	expect(pram_commit(dev, &stream, 1) == 0);
	close(stream);
	stream = pram_load(dev, "n", PRAM_BYTE_STREAM, PRAM_LOAD_PEEK);
	expect(read(stream, page, sizeof(page)) == sizeof(page));
	expect(page[0] == 'a' && page[sizeof(page) - 1] == 'a');
	expect(read(stream, page, sizeof(page)) == 1 && page[0] == 'x');
	close(stream);
	expect(pram_free(dev, "n") == 0);
}

static void errors_of_commit(int dev)
{
	int32_t fds[2];
	struct pram_ioctl_commit commit = {
		.size = sizeof(commit), .nr_fds = 2, .fds = (uintptr_t)fds,
	};
	int stream = pram_save(dev, "n", PRAM_BYTE_STREAM, 0);

	fds[0] = stream;
	fds[1] = stream;
	expect(fails(dev, PRAM_IOCTL_COMMIT, &commit, EINVAL));
	fds[1] = 9999;
	expect(fails(dev, PRAM_IOCTL_COMMIT, &commit, EBADF));
	fds[1] = dev;
	expect(fails(dev, PRAM_IOCTL_COMMIT, &commit, EINVAL));
	commit.nr_fds = 0;
	expect(fails(dev, PRAM_IOCTL_COMMIT, &commit, EINVAL));
	commit.nr_fds = PRAM_COMMIT_MAX + 1;
	expect(fails(dev, PRAM_IOCTL_COMMIT, &commit, EINVAL));
	commit.nr_fds = 1;
	commit.fds = 16;
	expect(fails(dev, PRAM_IOCTL_COMMIT, &commit, EFAULT));
	commit.fds = (uintptr_t)fds;
	commit.flags = 1U << 30;
	expect(fails(dev, PRAM_IOCTL_COMMIT, &commit, EOPNOTSUPP));
	commit.flags = 0;
	commit.reserved = 1;
	expect(fails(dev, PRAM_IOCTL_COMMIT, &commit, EINVAL));
	commit.reserved = 0;
	expect(!ioctl(dev, PRAM_IOCTL_COMMIT, &commit));
	close(stream);

	stream = pram_load(dev, "n", PRAM_BYTE_STREAM, PRAM_LOAD_PEEK);
	expect(pram_commit(dev, &stream, 1) == -EPERM);
	expect(pram_free(dev, "n") == 0);
	close(stream);
}

/* In a child: whoever got the open file without the capability cannot use it. */
static void errors_of_rights(int dev)
{
	struct pram_ioctl_info info = { .size = sizeof(info) };
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		struct __user_cap_header_struct header = {
			.version = _LINUX_CAPABILITY_VERSION_3,
		};
		struct __user_cap_data_struct none[2] = {};

		nr_failed = 0;
		/* Root of a user namespace of its own has all capabilities there. */
		if (unshare(CLONE_NEWUSER))
			_exit(2);
		expect(fails(dev, PRAM_IOCTL_INFO, &info, EPERM));
		expect(pram_open() == -EPERM);
		syscall(SYS_capset, &header, none);
		expect(fails(dev, PRAM_IOCTL_INFO, &info, EPERM));
		fflush(stdout);
		_exit(nr_failed != 0);
	}
	expect(waitpid(pid, &status, 0) == pid && status == 0);
}

/* Who is given a stream has this one and no other, and cannot end it. */
static void errors_of_given_streams(int dev)
{
	struct pram_ioctl_info info = { .size = sizeof(info) };
	struct pram_node_stat stat = {};
	char path[64], text[8] = "";
	int status = -1, save, load;
	pid_t pid;

	save = pram_save(dev, "given", PRAM_BYTE_STREAM, 0);
	expect(save >= 0 && write(save, "secret", 6) == 6);
	expect(pram_commit(dev, &save, 1) == 0);
	close(save);
	load = pram_load(dev, "given", PRAM_BYTE_STREAM, 0);
	save = pram_save(dev, "other", PRAM_BYTE_STREAM, 0);
	expect(load >= 0 && save >= 0);

	pid = fork();
	if (!pid) {
		struct __user_cap_header_struct header = {
			.version = _LINUX_CAPABILITY_VERSION_3,
		};
		struct __user_cap_data_struct none[2] = {};
		int fds[2] = { save, load };

		nr_failed = 0;
		if (unshare(CLONE_NEWUSER) || syscall(SYS_capset, &header, none))
			_exit(2);
		expect(read(load, text, 6) == 6 && !strcmp(text, "secret"));
		expect(write(save, "x", 1) == 1);
		for (int i = 0; i < 2; i++) {
			expect(fails(fds[i], PRAM_IOCTL_INFO, &info, ENOTTY));
			snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[i]);
			expect(open(path, O_RDWR) == -1);
		}
		expect(pram_commit(dev, fds, 2) == -EPERM);
		expect(pram_free(dev, "given") == -EPERM);
		expect(pram_list_next(dev, &stat) == -EPERM);
		fflush(stdout);
		_exit(nr_failed != 0);
	}
	expect(waitpid(pid, &status, 0) == pid && status == 0);
	/* Both are as they were, for those who have them. */
	expect(pram_free(dev, "given") == -EBUSY && pram_free(dev, "other") == -EBUSY);
	expect(pread(load, text, 6, 0) == 6);
	close(save);
	expect(pram_stat(dev, "other", &stat) == -ENOENT);
	expect(pram_commit(dev, &load, 1) == 0);
	close(load);
	expect(pram_stat(dev, "given", &stat) == -ENOENT);
}

static int do_errors(char **argv)
{
	struct pram_ioctl_info before = { .size = sizeof(before) };
	struct pram_ioctl_info after = { .size = sizeof(after) };
	int dev = dev_open();

	(void)argv;
	expect(!ioctl(dev, PRAM_IOCTL_INFO, &before));
	errors_of_structs(dev);
	errors_of_names(dev);
	errors_of_streams(dev);
	waiting_splice(dev, false);
	waiting_splice(dev, true);
	racing_splices(dev);
	errors_of_commit(dev);
	errors_of_rights(dev);
	errors_of_given_streams(dev);
	expect(!ioctl(dev, PRAM_IOCTL_INFO, &after));
	expect(after.nr_nodes == before.nr_nodes);
	expect(after.data_pages == before.data_pages);
	return nr_failed != 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int min_args, max_args;
		int (*run)(char **argv);
	} commands[] = {
		{ "save", 4, 5, do_save },
		{ "verify", 4, 4, do_verify },
		{ "finish", 2, 2, do_finish },
		{ "hold", 1, 1, do_hold },
		{ "reserve", 2, 2, do_reserve },
		{ "errors", 0, 0, do_errors },
		{ "save-many", 1, 1, do_save_many },
		{ "verify-many", 1, 1, do_verify_many },
		{ "free-many", 1, 1, do_free_many },
		{ "free-range", 2, 2, do_free_range },
		{ "verify-left", 1, 1, do_verify_left },
		{ "kexec", 0, 0, do_kexec },
		{ "load-fails", 1, 1, do_load_fails },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name) &&
		    argc - 2 >= commands[i].min_args &&
		    argc - 2 <= commands[i].max_args)
			return commands[i].run(argv + 2);
	errx(2, "usage: see the source");
}
