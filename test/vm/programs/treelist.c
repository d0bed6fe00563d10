// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file tree, told so that two listings are equal if and only if the trees are.
 *
 *	treelist [-s] DIR
 *
 * A line for each entry, in the order of readdir, directories before what is in
 * them: path, mode, owner, links, size, blocks, device, all four times, inode
 * number, generation (as far as file handles tell it), flags, the place in the
 * directory, the target of a symlink, extended attributes (ACLs are some of
 * them), where there is data, and what. What is longer than a few bytes stands
 * there as a hash; what was listed under another name, as that name. The first
 * line has what the file system has and has left.
 *
 * -s leaves out what a copy cannot have: all times but that of the last change of
 * contents, blocks, inode numbers, generations, places and order in directories,
 * and the first line.
 *
 * Nothing is changed by looking at it, if the file system is mounted noatime:
 * that is for symlinks, all else is opened with O_NOATIME.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <search.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A struct statx, by the system call: <sys/stat.h> has one of its own. */
#define WANTED (STATX_BASIC_STATS | STATX_BTIME)

struct child {
	char		*name;
	long long	cookie;
	unsigned char	type;
};

static bool static_only;
static unsigned char buffer[1 << 20] __attribute__((aligned(8)));

/* --- hashes --- */

static uint64_t hash(uint64_t seed, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t h = seed ^ (len * 0x9e3779b97f4a7c15), word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		h = (h ^ word) * 0xff51afd7ed558ccd;
		h ^= h >> 32;
	}
	word = 0;
	memcpy(&word, p, len);
	h = (h ^ word) * 0xc4ceb9fe1a85ec53;
	return h ^ (h >> 29);
}

/* --- output --- */

static void put_bytes(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = s[i];

		if (c > ' ' && c < 0x7f && c != '\\')
			putchar(c);
		else
			printf("\\%03o", c);
	}
}

static void put_long(const char *what, const void *data, size_t len)
{
	if (len <= 24) {
		printf(" %s=", what);
		put_bytes(data, len);
	} else {
		printf(" %s=%zu:%016" PRIx64, what, len, hash(1, data, len));
	}
}

static void put_time(const char *what, const struct statx_timestamp *t)
{
	printf(" %s=%lld.%09u", what, (long long)t->tv_sec, t->tv_nsec);
}

/* --- an entry --- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* By @fd, or, if @link is given, by that, which takes longer. */
static void put_xattrs(int fd, const char *link, const char *path)
{
	static char names[XATTR_LIST_MAX];
	static char value[XATTR_SIZE_MAX];
	static char *sorted[XATTR_LIST_MAX / 3];
	size_t nr = 0;
	ssize_t len, n;

	len = link ? listxattr(link, names, sizeof(names)) : flistxattr(fd, names, sizeof(names));

	if (len < 0) {
		if (errno == EOPNOTSUPP)
			return;
		err(1, "%s: cannot list its attributes", path);
	}
	for (char *name = names; name < names + len; name += strlen(name) + 1)
		sorted[nr++] = name;
	/* Their order is that of a hash table, whose seed each kernel chooses. */
	qsort(sorted, nr, sizeof(*sorted), by_name);
	for (size_t i = 0; i < nr; i++) {
		n = link ? getxattr(link, sorted[i], value, sizeof(value)) :
			   fgetxattr(fd, sorted[i], value, sizeof(value));
		if (n < 0)
			err(1, "%s: cannot read its attribute %s", path, sorted[i]);
		put_long(sorted[i], value, n);
	}
}

static void put_handle(int fd, const char *path)
{
	struct {
		struct file_handle handle;
		unsigned char bytes[MAX_HANDLE_SZ];
	} h = { .handle.handle_bytes = MAX_HANDLE_SZ };
	int mount_id;

	if (name_to_handle_at(fd, "", &h.handle, &mount_id, AT_EMPTY_PATH))
		err(1, "%s: it has no handle", path);
	printf(" handle=%d:", h.handle.handle_type);
	for (unsigned int i = 0; i < h.handle.handle_bytes; i++)
		printf("%02x", h.bytes[i]);
}

/* Where there is data, and what: each extent by its bounds, all by hashes. */
static void put_data(int fd, const struct statx *st, const char *path)
{
	uint64_t extents = 0, data = 0;
	off_t pos = 0, end, start;
	size_t nr = 0;
	ssize_t n;

	while (pos < (off_t)st->stx_size) {
		start = lseek(fd, pos, SEEK_DATA);
		if (start < 0 && errno == ENXIO)
			break;
		end = start < 0 ? start : lseek(fd, start, SEEK_HOLE);
		if (end < 0)
			err(1, "%s: cannot find its data", path);
		if (end <= start)
			errx(1, "%s: data from %jd to %jd", path,
			     (intmax_t)start, (intmax_t)end);
		if (++nr <= 3)
			printf(" %jd+%jd", (intmax_t)start, (intmax_t)(end - start));
		extents = hash(extents, &start, sizeof(start));
		extents = hash(extents, &end, sizeof(end));
		for (pos = start; pos < end; pos += n) {
			size_t want = end - pos < (off_t)sizeof(buffer) ?
					      (size_t)(end - pos) : sizeof(buffer);

			n = pread(fd, buffer, want, pos);
			if (n < 0)
				err(1, "%s: cannot read it", path);
			if (n == 0)
				errx(1, "%s: ends at %jd, has %llu bytes", path,
				     (intmax_t)pos, (unsigned long long)st->stx_size);
			/* Reads may be short, hashes must not depend on it. */
			for (ssize_t done = 0, len; done < n; done += len) {
				off_t at = pos + done;

				len = 4096 - at % 4096;
				if (len > n - done)
					len = n - done;
				data = hash(data, buffer + done, len);
			}
		}
	}
	printf(" extents=%zu:%016" PRIx64 " data=%016" PRIx64, nr, extents, data);
}

/* An inode with several names, and the first of them. */
struct known {
	uint64_t	ino;
	char		path[];
};

static int by_ino(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Return: the name by which an inode was seen before, %NULL if it was not. */
static const char *first_name(const struct statx *st, const char *path)
{
	static void *tree;
	struct known *new, **found;
	size_t len = strlen(path) + 1;

	new = malloc(sizeof(*new) + len);
	if (!new)
		err(1, "no memory");
	new->ino = st->stx_ino;
	memcpy(new->path, path, len);
	found = tsearch(new, &tree, by_ino);
	if (!found)
		err(1, "no memory");
	if (*found == new)
		return NULL;
	free(new);
	return (*found)->path;
}

static void list(int parent, const struct child *child, char **path, size_t *room,
		 size_t len);

static int by_child_name(const void *a, const void *b)
{
	return strcmp(((const struct child *)a)->name, ((const struct child *)b)->name);
}

static void list_dir(int fd, char **path, size_t *room, size_t len)
{
	struct linux_dirent64 {
		uint64_t	d_ino;
		int64_t		d_off;
		unsigned short	d_reclen;
		unsigned char	d_type;
		char		d_name[];
	} *d;
	struct child *children = NULL;
	size_t nr = 0;
	long n;

	while ((n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < n; at += d->d_reclen) {
			d = (void *)(buffer + at);
			if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
				continue;
			if (!(nr & (nr - 1))) {
				children = realloc(children, (nr ? nr * 2 : 1) *
							     sizeof(*children));
				if (!children)
					err(1, "no memory");
			}
			children[nr++] = (struct child){ strdup(d->d_name),
							d->d_off, d->d_type };
		}
	}
	if (n < 0)
		err(1, "%s: cannot read the directory", *path);
	if (static_only && nr)
		qsort(children, nr, sizeof(*children), by_child_name);
	for (size_t i = 0; i < nr; i++) {
		list(fd, &children[i], path, room, len);
		free(children[i].name);
	}
	free(children);
}

/*
 * List the @child of the directory @parent, and all that is below it.
 * *@path, of @len bytes in *@room, is the directory's path, and is left so.
 */
static void list(int parent, const struct child *child, char **path, size_t *room,
		 size_t len)
{
	bool dir = child->type == DT_DIR, opened = dir || child->type == DT_REG;
	const char *first = NULL, *name = child->name;
	size_t name_len = strlen(name);
	unsigned int flags;
	struct statx st;
	char link[64];
	int fd;

	if (len + name_len + 2 > *room) {
		*room = 2 * (len + name_len + 2);
		*path = realloc(*path, *room);
		if (!*path)
			err(1, "no memory");
	}
	if (len)
		(*path)[len++] = '/';
	memcpy(*path + len, name, name_len + 1);
	len += name_len;

	/* Once for all, since each system call is dear where this runs. */
	fd = openat(parent, name, (opened ? O_RDONLY | O_NOATIME : O_PATH) | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_statx, fd, "", AT_EMPTY_PATH, WANTED, &st))
		err(1, "%s: cannot look at it", *path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (dir != S_ISDIR(st.stx_mode) || opened != (dir || S_ISREG(st.stx_mode)))
		errx(1, "%s: of mode %o, but the directory says %u", *path, st.stx_mode, child->type);
	put_bytes(*path, len);
	if (!dir && st.stx_nlink > 1)
		first = first_name(&st, *path);
	printf(" mode=%o uid=%u gid=%u nlink=%u", st.stx_mode, st.stx_uid, st.stx_gid,
	       st.stx_nlink);
	printf(" size=%llu", (unsigned long long)st.stx_size);
	if (S_ISCHR(st.stx_mode) || S_ISBLK(st.stx_mode))
		printf(" rdev=%u:%u", st.stx_rdev_major, st.stx_rdev_minor);
	printf(" attributes=%llx", (unsigned long long)st.stx_attributes);
	put_time("mtime", &st.stx_mtime);
	if (!static_only) {
		printf(" blocks=%llu ino=%llu", (unsigned long long)st.stx_blocks,
		       (unsigned long long)st.stx_ino);
		put_time("atime", &st.stx_atime);
		put_time("ctime", &st.stx_ctime);
		put_time("btime", &st.stx_btime);
		printf(" cookie=%lld", child->cookie);
		put_handle(fd, *path);
	}
	if (first) {
		printf(" link=");
		put_bytes(first, strlen(first));
		goto out;
	}
	put_xattrs(fd, opened ? NULL : link, *path);
	if (S_ISLNK(st.stx_mode)) {
		ssize_t n = readlinkat(fd, "", (char *)buffer, sizeof(buffer));

		if (n < 0)
			err(1, "%s: cannot read the symlink", *path);
		put_long("to", buffer, n);
	}
	if (opened) {
		if (ioctl(fd, FS_IOC_GETFLAGS, &flags))
			err(1, "%s: it has no flags", *path);
		printf(" flags=%x", flags);
	}
	if (S_ISREG(st.stx_mode))
		put_data(fd, &st, *path);
out:
	putchar('\n');
	if (dir)
		list_dir(fd, path, room, len);
	close(fd);
	len -= name_len;
	(*path)[len ? len - 1 : 0] = 0;
}

int main(int argc, char **argv)
{
	const struct child top = { .name = (char *)".", .type = DT_DIR };
	struct rlimit limit;
	size_t room = 0;
	char *path = NULL;
	struct statfs fs;
	int c;

	while ((c = getopt(argc, argv, "s")) != -1) {
		if (c != 's')
			errx(2, "usage: treelist [-s] DIR");
		static_only = true;
	}
	if (argc != optind + 1)
		errx(2, "usage: treelist [-s] DIR");
	/* Directories stay open on the way down. */
	if (getrlimit(RLIMIT_NOFILE, &limit))
		err(1, "getrlimit");
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max = 65536;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (chdir(argv[optind]) || statfs(".", &fs))
		err(1, "%s", argv[optind]);
	if (!static_only)
		printf("blocks=%llu free=%llu available=%llu files=%llu free=%llu\n",
		       (unsigned long long)fs.f_blocks, (unsigned long long)fs.f_bfree,
		       (unsigned long long)fs.f_bavail, (unsigned long long)fs.f_files,
		       (unsigned long long)fs.f_ffree);
	list(AT_FDCWD, &top, &path, &room, 0);
	if (fflush(stdout) || ferror(stdout))
		err(1, "cannot write the listing");
	return 0;
}
