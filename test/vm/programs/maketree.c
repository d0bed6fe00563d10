// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trees for the tests of the persistent tmpfs, the same ones each time.
 *
 *	maketree special DIR
 *	maketree small DIR
 *	maketree many DIR NUMBER
 *	maketree file FILE MIB
 *
 * "special" makes every kind of entry, and the edges of each: names, symlinks,
 * links, nodes, sizes, holes, times, owners, attributes, flags, directories that
 * are deep, empty or full. "small" makes fewer of each. "many" makes NUMBER small files, a thousand in each
 * directory, every tenth of them with an attribute or a second name. "file" makes
 * one file, no page of which is like another.
 *
 * The times of last access and change are set; all else follows from what is
 * here, so that a tree can be made anew to compare with.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PAGE	4096L
#define HUGE	(512 * PAGE)

/* Each call has to succeed; the message has what it was. */
#define must(call)                                                             \
	({                                                                     \
		__typeof__(call) ret__ = (call);                               \
		if (ret__ == (__typeof__(call))-1)                             \
			err(1, "line %d: %s", __LINE__, #call);                \
		ret__;                                                         \
	})

/* A few of each are enough. */
static bool small;

static uint64_t state = 1;

static uint64_t next_random(void)
{
	state = state * 6364136223846793005 + 1442695040888963407;
	return state >> 24;
}

static void fill(unsigned char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = next_random();
}

/* A file with something in it. */
static void file_of(const char *name, mode_t mode, off_t size)
{
	static unsigned char data[1 << 16];
	int fd = must(open(name, O_WRONLY | O_CREAT | O_EXCL, 0600));

	for (off_t n; size > 0; size -= n) {
		n = size < (off_t)sizeof(data) ? size : (off_t)sizeof(data);
		fill(data, n);
		n = must(write(fd, data, n));
	}
	must(fchmod(fd, mode));
	must(close(fd));
}

/* A directory, and into it. */
static void enter(const char *name)
{
	must(mkdir(name, 0755));
	must(chdir(name));
}

static void leave(void)
{
	must(chdir(".."));
}

static void times(const char *name, int64_t sec, long nsec)
{
	struct timespec t[2] = { { sec + 1, 999999999 - nsec }, { sec, nsec } };

	must(utimensat(AT_FDCWD, name, t, AT_SYMLINK_NOFOLLOW));
}

/* --- one kind after the other --- */

static void names(void)
{
	char name[256];

	enter("names");
	/* Every byte that may be in a name. */
	for (int c = 1; c < 256; c++) {
		if (c == '/' || c == '.' || (small && c % 50 != 1))
			continue;
		snprintf(name, sizeof(name), "%c", c);
		file_of(name, 0644, c % 3);
	}
	/* The longest ones. */
	for (int i = 0; i < (small ? 2 : 20); i++) {
		for (int j = 0; j < 255; j++) {
			do
				name[j] = next_random();
			while (name[j] == '/' || !name[j]);
		}
		name[255] = 0;
		if (i % 2)
			must(mkdir(name, 0755));
		else
			file_of(name, 0644, 10);
	}
	file_of("two\nlines", 0644, 1);
	file_of("...", 0644, 1);
	file_of("not \xff\xfe utf-8 \xc3", 0644, 1);
	file_of("-rf *", 0644, 1);
	leave();
}

static void deep(int depth, const char *name)
{
	int top = must(open(".", O_PATH | O_DIRECTORY));

	for (int i = 0; i < depth; i++) {
		enter(name);
		if (i % 50 == 49)
			file_of("file", 0640, i);
	}
	file_of("bottom", 0640, 1000);
	must(fchdir(top));
	close(top);
}

static void directories(void)
{
	char name[32], other[32];

	enter("directories");
	must(mkdir("empty", 0711));
	must(mkdir("nothing-for-others", 0700));
	must(mkdir("sticky", 01777));
	must(mkdir("group", 02775));
	must(chmod("sticky", 01777));
	must(chmod("group", 02775));
	enter("deep");
	deep(small ? 6 : 600, "d");
	leave();
	/* Its path is much longer than PATH_MAX. */
	enter("deeper-than-a-path");
	deep(small ? 3 : 150, "forty-characters-of-which-each-is-needed");
	leave();

	enter("full");
	for (int i = 0; i < (small ? 12 : 10000); i++) {
		snprintf(name, sizeof(name), "entry-%d", i);
		if (i % 2) {
			snprintf(other, sizeof(other), "entry-%d", i - 1);
			must(link(other, name));
		} else {
			file_of(name, 0600, i % 40 ? 0 : 5);
		}
	}
	leave();

	/* Gaps and an order that is not that of the names. */
	enter("changed");
	for (int i = 0; i < (small ? 9 : 100); i++) {
		snprintf(name, sizeof(name), "%d", i);
		file_of(name, 0600, 0);
	}
	for (int i = 0; i < (small ? 9 : 100); i += 3) {
		snprintf(name, sizeof(name), "%d", i);
		must(unlink(name));
	}
	must(rename("1", "8"));
	must(renameat2(AT_FDCWD, "7", AT_FDCWD, "2", RENAME_EXCHANGE));
	file_of("0", 0600, 0);
	leave();
	leave();
}

static void symlinks(void)
{
	static const int lengths[] = {
		1, 2, 63, 64, 126, 127, 128, 129, 255, 256, 1000, 4000, 4094, 4095,
	};
	char name[32], target[4096];

	enter("symlinks");
	must(symlink("does-not-exist", "dangling"));
	must(symlink("/nowhere/at/all", "absolute"));
	must(symlink(".", "here"));
	must(symlink("loop", "loop"));
	must(symlink("\n\xff \x01", "bytes"));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		if (small && i % 7)
			continue;
		for (int j = 0; j < lengths[i]; j++)
			target[j] = j % 50 == 49 ? '/' : 'a' + next_random() % 26;
		target[lengths[i]] = 0;
		snprintf(name, sizeof(name), "to-%d", lengths[i]);
		must(symlink(target, name));
	}
	must(lchown("dangling", 1234, 4294967294));
	leave();
}

static void bind_socket(const char *name, int type)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = must(socket(AF_UNIX, type, 0));

	strcpy(addr.sun_path, name);
	must(bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	close(fd);
}

static void nodes(void)
{
	enter("nodes");
	must(mkfifo("fifo", 0622));
	bind_socket("stream", SOCK_STREAM);
	bind_socket("datagram", SOCK_DGRAM);
	must(mknod("socket-by-mknod", S_IFSOCK | 0600, 0));
	must(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	must(mknod("char-0-0", S_IFCHR | 0600, makedev(0, 0)));
	must(mknod("char-big", S_IFCHR | 0600, makedev(4095, 1048575)));
	must(mknod("char-minor", S_IFCHR | 0600, makedev(1, 256)));
	must(mknod("block", S_IFBLK | 0660, makedev(8, 17)));
	must(mknod("block-big", S_IFBLK | 0600, makedev(4095, 1048575)));
	must(lchown("block-big", 4294967294, 0));
	times("fifo", 1000000000, 1);
	leave();
}

static void hard_links(void)
{
	enter("links");
	must(mkdir("a", 0755));
	must(mkdir("b", 0755));
	file_of("a/file", 0644, 10000);
	must(symlink("target", "a/symlink"));
	must(mkfifo("a/fifo", 0600));
	must(mknod("a/device", S_IFCHR | 0600, makedev(1, 7)));
	bind_socket("a/socket", SOCK_STREAM);
	must(link("a/file", "b/file"));
	must(link("a/symlink", "b/symlink"));
	must(link("a/fifo", "b/fifo"));
	must(link("a/device", "b/device"));
	must(link("a/socket", "b/socket"));
	must(link("b/file", "third"));
	/* The first name is gone. */
	file_of("first", 0644, 5000);
	must(link("first", "b/second"));
	must(link("first", "a/third"));
	must(unlink("first"));
	leave();
}

static void modes(void)
{
	char name[32];

	enter("modes");
	for (int mode = 0; mode <= (small ? 0 : 07777); mode += 0111 * 3 + 01000) {
		snprintf(name, sizeof(name), "mode-%o", mode);
		file_of(name, mode, 1);
	}
	file_of("setuid", 04755, 1);
	file_of("setgid", 02755, 1);
	file_of("sticky", 01644, 1);
	file_of("none", 0, 1);
	file_of("owner-max", 0644, 1);
	must(chown("owner-max", 4294967294, 4294967294));
	file_of("owner-setuid", 0644, 1);
	must(chown("owner-setuid", 1000, 2147483648));
	must(chmod("owner-setuid", 06755));
	leave();
}

/* --- attributes --- */

struct acl {
	struct posix_acl_xattr_header header;
	struct posix_acl_xattr_entry entries[6];
};

static void set_acl(const char *name, const char *attr, uint32_t user)
{
	struct acl acl = { { POSIX_ACL_XATTR_VERSION }, {
		{ ACL_USER_OBJ, ACL_READ | ACL_WRITE | ACL_EXECUTE, ACL_UNDEFINED_ID },
		{ ACL_USER, ACL_READ, user },
		{ ACL_USER, ACL_READ | ACL_EXECUTE, user + 1 },
		{ ACL_GROUP_OBJ, ACL_READ, ACL_UNDEFINED_ID },
		{ ACL_MASK, ACL_READ | ACL_EXECUTE, ACL_UNDEFINED_ID },
		{ ACL_OTHER, 0, ACL_UNDEFINED_ID },
	} };

	must(setxattr(name, attr, &acl, sizeof(acl), 0));
}

static void attributes(void)
{
	static const int sizes[] = { 0, 1, 31, 4095, 4096, 4097, 30000, 65536 };
	static unsigned char value[65536];
	struct vfs_cap_data cap2 = {
		.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
		.data[0] = { 1 << CAP_NET_RAW, 0 },
	};
	struct vfs_ns_cap_data cap3 = {
		.magic_etc = VFS_CAP_REVISION_3,
		.data[1] = { 1, 2 },
		.rootid = 100000,
	};
	char name[256];

	enter("attributes");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		if (small && sizes[i] > 4095)
			break;
		snprintf(name, sizeof(name), "size-%d", sizes[i]);
		file_of(name, 0644, 1);
		fill(value, sizes[i]);
		must(setxattr(name, "user.a", value, sizes[i], 0));
		must(setxattr(name, "trusted.b", value, sizes[i], 0));
	}
	file_of("many", 0644, 1);
	for (int i = 0; i < (small ? 2 : 100); i++) {
		fill(value, 1000);
		snprintf(name, sizeof(name), "user.%d", i);
		must(setxattr("many", name, value, i * 10, 0));
	}
	for (int i = 0; i < (small ? 3 : 400); i++) {
		snprintf(name, sizeof(name), "trusted.number-%d", i);
		must(setxattr("many", name, value, i % 7, 0));
	}
	/* The longest name of all: 255 bytes, any bytes. */
	file_of("long-name", 0644, 1);
	memset(name, 'x', 255);
	memcpy(name, "user.\n\xff\x01 ", 9);
	name[255] = 0;
	must(setxattr("long-name", name, "v", 1, 0));
	must(symlink("x", "symlink"));
	must(lsetxattr("symlink", "trusted.link", "on a symlink", 12, 0));
	must(mkfifo("fifo", 0600));
	must(lsetxattr("fifo", "trusted.fifo", "on a fifo", 9, 0));
	must(mkdir("directory", 0755));
	must(setxattr("directory", "user.dir", "on a directory", 14, 0));

	file_of("capability", 0755, 100);
	must(setxattr("capability", "security.capability", &cap2, sizeof(cap2), 0));
	file_of("capability-of-a-namespace", 0755, 100);
	must(setxattr("capability-of-a-namespace", "security.capability", &cap3,
		      sizeof(cap3), 0));
	file_of("security", 0755, 100);
	must(setxattr("security", "security.something", "label", 5, 0));

	file_of("acl", 0640, 1);
	set_acl("acl", "system.posix_acl_access", 1000);
	file_of("acl-big-ids", 0640, 1);
	set_acl("acl-big-ids", "system.posix_acl_access", 4294967290);
	must(mkdir("acl-default", 0750));
	set_acl("acl-default", "system.posix_acl_default", 2000);
	/* These inherit. */
	file_of("acl-default/file", 0640, 1);
	must(mkdir("acl-default/directory", 0777));
	must(mkdir("acl-both", 0750));
	set_acl("acl-both", "system.posix_acl_default", 2000);
	set_acl("acl-both", "system.posix_acl_access", 3000);
	leave();
}

/* --- contents --- */

static void put_at(int fd, off_t at, size_t len)
{
	static unsigned char data[1 << 16];

	fill(data, len);
	if (pwrite(fd, data, len, at) != (ssize_t)len)
		err(1, "cannot write at %jd", (intmax_t)at);
}

static int new_file(const char *name)
{
	return must(open(name, O_RDWR | O_CREAT | O_EXCL, 0644));
}

static void sizes(void)
{
	static const long all[] = {
		0, 1, 2, 511, 4095, 4096, 4097, 8191, 8192, 65535, 65536, 65537,
		HUGE - 1, HUGE, HUGE + 1, HUGE + PAGE,
	};
	char name[32];

	enter("sizes");
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		if (small && all[i] > 4097)
			break;
		snprintf(name, sizeof(name), "%ld", all[i]);
		file_of(name, 0644, all[i]);
	}
	leave();
}

static void holes(void)
{
	/* One byte less and its offset would not be in its last page. */
	const off_t largest = INT64_MAX;
	int fd;

	enter("holes");
	fd = new_file("all");
	must(ftruncate(fd, 10 * HUGE + 123));
	close(fd);
	fd = new_file("at-the-start");
	put_at(fd, 5 * PAGE + 7, 100);
	close(fd);
	fd = new_file("at-the-end");
	put_at(fd, 0, PAGE);
	must(ftruncate(fd, 77 * PAGE + 1));
	close(fd);
	fd = new_file("many");
	for (int i = 0; i < (small ? 10 : 400); i++)
		put_at(fd, i * 3 * PAGE + i, 1);
	close(fd);
	fd = new_file("far");
	put_at(fd, 0, 1);
	put_at(fd, 1LL << 40, 5000);
	put_at(fd, 1LL << 50, 1);
	close(fd);
	fd = new_file("largest");
	put_at(fd, 1, 3);
	put_at(fd, largest - 3 * PAGE, PAGE);
	must(ftruncate(fd, largest));
	close(fd);
	fd = new_file("punched");
	for (int i = 0; i < (small ? 2 : 40); i++)
		put_at(fd, i * 65536L, 65536);
	must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * PAGE, 5 * PAGE));
	must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 20 * PAGE + 5, 5000));
	must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 600 * PAGE, HUGE));
	close(fd);
	fd = new_file("allocated");
	must(fallocate(fd, 0, 0, 10 * PAGE + 1));
	put_at(fd, 5 * PAGE, 10);
	close(fd);
	fd = new_file("allocated-beyond-the-end");
	put_at(fd, 0, 10);
	must(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 10 * PAGE));
	close(fd);
	fd = new_file("allocated-and-empty");
	must(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, small ? 2 * PAGE : HUGE + PAGE));
	close(fd);
	/* Bytes behind the end of a mapped file are not part of it. */
	fd = new_file("truncated");
	put_at(fd, 0, 3 * PAGE);
	must(ftruncate(fd, PAGE + 100));
	{
		char *map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (map == MAP_FAILED)
			err(1, "mmap");
		map[PAGE + 99] = 'e';
		map[PAGE + 100] = 'x';
		munmap(map, 2 * PAGE);
	}
	close(fd);
	leave();
}

static void all_times(void)
{
	static const struct {
		const char *name;
		int64_t sec;
		long nsec;
	} all[] = {
		{ "epoch", 0, 0 },
		{ "nanoseconds", 1234567890, 123456789 },
		{ "last-nanosecond", 1234567890, 999999999 },
		{ "before-1970", -1, 1 },
		{ "1901", -2147483648LL - 1, 500000000 },
		{ "2038", 2147483647LL + 1, 1 },
		{ "2106", 4294967296LL, 1 },
		{ "2200", 7258118400LL, 42 },
		{ "before-1900", -8520336000LL, 42 },
		{ "far", 1LL << 40, 999999999 },
	};

	enter("times");
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		file_of(all[i].name, 0644, 1);
		times(all[i].name, all[i].sec, all[i].nsec);
	}
	must(symlink("to", "symlink"));
	times("symlink", 86400, 7);
	must(mkdir("directory", 0755));
	file_of("directory/file", 0644, 1);
	times("directory/file", 1, 0);
	times("directory", -86400, 8);
	leave();
}

/* Times for all that is there so far, always the same. */
static void set_times(int parent, const char *name)
{
	struct timespec t[2];
	struct stat st;
	char **all = NULL;
	size_t nr = 0;
	int fd;

	must(fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW));
	if (S_ISDIR(st.st_mode)) {
		struct dirent_list {
			uint64_t	d_ino;
			int64_t		d_off;
			unsigned short	d_reclen;
			unsigned char	d_type;
			char		d_name[];
		} *d;
		static char buf[65536] __attribute__((aligned(8)));
		long n;

		fd = must(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
		while ((n = getdents64(fd, buf, sizeof(buf))) > 0) {
			for (long at = 0; at < n; at += d->d_reclen) {
				d = (void *)(buf + at);
				if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
					continue;
				if (!(nr & (nr - 1)))
					all = realloc(all, (nr ? nr * 2 : 1) * sizeof(*all));
				if (!all)
					err(1, "no memory");
				all[nr++] = strdup(d->d_name);
			}
		}
		for (size_t i = 0; i < nr; i++) {
			set_times(fd, all[i]);
			free(all[i]);
		}
		free(all);
		close(fd);
	}
	/* By the name: readdir may come in another order. */
	t[1].tv_sec = 1700000000;
	t[1].tv_nsec = 0;
	for (const char *c = name; *c; c++)
		t[1].tv_nsec = (t[1].tv_nsec * 31 + (unsigned char)*c) % 1000000000;
	t[0].tv_sec = 1600000000 + t[1].tv_nsec % 1000;
	t[0].tv_nsec = 999999999 - t[1].tv_nsec;
	must(utimensat(parent, name, t, AT_SYMLINK_NOFOLLOW));
}

static void set_flags(const char *name, unsigned int flags)
{
	int fd = must(open(name, O_RDONLY));
	unsigned int old;

	must(ioctl(fd, FS_IOC_GETFLAGS, &old));
	flags |= old;
	must(ioctl(fd, FS_IOC_SETFLAGS, &flags));
	close(fd);
}

static void all_flags(void)
{
	enter("flags");
	file_of("immutable", 0644, 100);
	file_of("append", 0644, 100);
	file_of("nodump", 0644, 100);
	file_of("noatime", 0644, 100);
	file_of("all", 0644, 100);
	must(mkdir("directory", 0755));
	file_of("directory/file", 0644, 1);
	must(mkdir("directory-nodump", 0755));
	set_flags("directory-nodump", FS_NODUMP_FL | FS_NOATIME_FL);
	file_of("directory-nodump/inherits", 0644, 1);
	must(mkfifo("directory/fifo", 0600));
	must(symlink("s", "directory/symlink"));
	set_times(AT_FDCWD, ".");
	/* From here on nobody can change these. */
	set_flags("immutable", FS_IMMUTABLE_FL);
	set_flags("append", FS_APPEND_FL);
	set_flags("nodump", FS_NODUMP_FL);
	set_flags("noatime", FS_NOATIME_FL);
	set_flags("all", FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL);
	set_flags("directory", FS_IMMUTABLE_FL);
	leave();
}

static void special(void)
{
	names();
	directories();
	symlinks();
	nodes();
	hard_links();
	modes();
	attributes();
	sizes();
	holes();
	set_times(AT_FDCWD, ".");
	all_times();
	times("times", 1500000000, 5);
	all_flags();
	times("flags", 1500000000, 6);
	times(".", 1500000000, 7);
}

static void many(long nr)
{
	char name[32], other[48];

	for (long i = 0; i < nr; i++) {
		if (i % 1000 == 0) {
			if (i)
				leave();
			snprintf(name, sizeof(name), "%ld", i / 1000);
			enter(name);
		}
		snprintf(name, sizeof(name), "file-%ld", i);
		/* Most are empty: it is inodes that count here. */
		file_of(name, 0644, i % 5 ? 0 : 100 + i % 3000);
		if (i % 20 == 7)
			must(setxattr(name, "user.number", &i, sizeof(i), 0));
		if (i % 20 == 17) {
			snprintf(other, sizeof(other), "%s-again", name);
			must(link(name, other));
		}
	}
}

static void one_file(const char *name, long mib)
{
	static uint64_t data[1 << 17];
	int fd = new_file(name);

	fill((unsigned char *)data, sizeof(data));
	for (long i = 0; i < mib; i++) {
		for (size_t at = 0; at < sizeof(data) / sizeof(*data); at += PAGE / sizeof(*data))
			data[at] = data[at + PAGE / sizeof(*data) - 1] = next_random();
		if (write(fd, data, sizeof(data)) != sizeof(data))
			err(1, "%s: cannot write MiB %ld", name, i);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	struct rlimit limit = { 65536, 65536 };

	setrlimit(RLIMIT_NOFILE, &limit);
	umask(0);
	small = argc == 3 && !strcmp(argv[1], "small");
	if (argc == 3 && (small || !strcmp(argv[1], "special"))) {
		must(chdir(argv[2]));
		special();
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "many")) {
		must(chdir(argv[2]));
		many(strtol(argv[3], NULL, 0));
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "file")) {
		one_file(argv[2], strtol(argv[3], NULL, 0));
		return 0;
	}
	errx(2, "usage: maketree special|small DIR, maketree many DIR NUMBER, or maketree file FILE MIB");
}
