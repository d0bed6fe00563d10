// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mounts saved file trees whose metadata is damaged.
 *
 *	tmpfsfuzz NAME DIR SEED FIRST NUMBER
 *
 * Takes the nodes of the tree NAME as they are, damages a copy of the metadata in one
 * of many ways, with a checksum that is right, gives it to the tree "fuzz" and mounts
 * that. It has to fail, with the nodes still there, or to be a file system in which
 * all can be read and written, and that can be saved and loaded once more.
 *
 * First each byte of the first records is changed, then it goes on at random. What
 * is done the nth time follows from SEED and n: FIRST is the first n, to come
 * back to what went wrong.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "pram.h"

#define PAGE		4096UL
#define META		"shmem-1-fuzz"
#define PAGES		"shmem-2-fuzz"
/* These bytes of the metadata are changed one by one: all of the first two records. */
#define EACH_BYTE	280
/* Most entries that are looked at: a tree has fewer. */
#define MAX_ENTRIES	5000

static int dev, self;
static const char *dir;
static long moment;
static char what[256];

static unsigned char *good, *bad, *pages;
static size_t good_len, bad_len, pages_len;
/* Where the records of the good metadata are. */
static size_t *recs, nr_recs;

static uint64_t state;

static uint64_t draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

#define wrong(...)                                                             \
	do {                                                                   \
		printf("%ld, %s: ", moment, what);                             \
		printf(__VA_ARGS__);                                           \
		putchar('\n');                                                 \
		exit(1);                                                       \
	} while (0)

/* --- nodes --- */

static unsigned char *read_node(const char *name, uint32_t type, size_t *len)
{
	int stream = pram_load(dev, name, type, PRAM_LOAD_PEEK);
	unsigned char *data;
	struct stat st;
	size_t done = 0;
	ssize_t n;

	if (stream < 0)
		errx(1, "%s: %s", name, strerror(-stream));
	if (fstat(stream, &st))
		err(1, "fstat");
	data = malloc(st.st_size + 1);
	if (!data)
		err(1, "no memory");
	while (done < (size_t)st.st_size) {
		n = read(stream, data + done, st.st_size - done);
		if (n <= 0)
			err(1, "%s: cannot be read", name);
		done += n;
	}
	close(stream);
	*len = done;
	return data;
}

static void save_meta(void)
{
	int stream = pram_save(dev, META, PRAM_BYTE_STREAM, PRAM_SAVE_CHECKSUM), ret;
	size_t done = 0;
	ssize_t n;

	if (stream < 0)
		wrong("cannot save: %s", strerror(-stream));
	while (done < bad_len) {
		n = write(stream, bad + done, bad_len - done);
		if (n <= 0)
			err(1, "cannot write to a node");
		done += n;
	}
	ret = pram_commit(dev, &stream, 1);
	if (ret)
		wrong("cannot commit: %s", strerror(-ret));
	close(stream);
}

/*
 * As single pages, which then belong to nobody else; or, if @shared, to this
 * program as well, and are copied when they are loaded.
 */
static void save_pages(bool shared)
{
	static unsigned char *old;
	int stream = pram_save(dev, PAGES, PRAM_PAGE_STREAM, 0), ret;
	struct pram_range range;
	unsigned char *mem;
	uint64_t nr;

	if (stream < 0)
		wrong("cannot save: %s", strerror(-stream));
	mem = mmap(NULL, pages_len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		err(1, "no memory");
	madvise(mem, pages_len, MADV_NOHUGEPAGE);
	memcpy(mem, pages, pages_len);
	range = (struct pram_range){ (uintptr_t)mem, pages_len };
	ret = pram_adopt(stream, self, &range, 1, &nr);
	if (!ret)
		ret = pram_commit(dev, &stream, 1);
	if (ret)
		wrong("cannot save pages: %s", strerror(-ret));
	close(stream);
	if (old)
		munmap(old, pages_len);
	old = shared ? mem : NULL;
	if (!shared)
		munmap(mem, pages_len);
}

static bool ready(const char *name)
{
	struct pram_node_stat stat;

	return !pram_stat(dev, name, &stat) && stat.state == PRAM_NODE_READY;
}

/* --- damage --- */

static void find_records(void)
{
	uint32_t len;

	recs = calloc(good_len / 8 + 1, sizeof(*recs));
	if (!recs)
		err(1, "no memory");
	for (size_t at = 0; at + 8 <= good_len; at += 8 + ((len + 7) & ~7U)) {
		memcpy(&len, good + at + 4, 4);
		recs[nr_recs++] = at;
	}
	recs[nr_recs] = good_len;
	if (nr_recs < 10)
		errx(1, "only %zu records", nr_recs);
}

static void cut(size_t at, size_t len)
{
	memmove(bad + at, bad + at + len, bad_len - at - len);
	bad_len -= len;
}

static void insert(size_t at, const unsigned char *data, size_t len)
{
	memmove(bad + at + len, bad + at, bad_len - at);
	memcpy(bad + at, data, len);
	bad_len += len;
}

/* Numbers at which something may go wrong. */
static uint64_t edge(void)
{
	static const uint64_t all[] = {
		0, 1, 2, 7, 8, 255, 256, 4095, 4096, 65535, 65536, 0x7fffffff, 0x80000000,
		0xffffffff, 1ULL << 32, 1ULL << 50, 1ULL << 51, INT64_MAX, 1ULL << 63,
		UINT64_MAX,
	};

	return all[draw(sizeof(all) / sizeof(*all))] + draw(3) - 1;
}

static void damage(void)
{
	size_t a = draw(nr_recs), b = draw(nr_recs), at, len;
	uint64_t word;

	memcpy(bad, good, good_len);
	bad_len = good_len;
	if (moment < EACH_BYTE) {
		at = moment;
		bad[at] ^= draw(2) ? 0xff : 1 << draw(8);
		snprintf(what, sizeof(what), "byte %zu: %#x to %#x", at, good[at], bad[at]);
		return;
	}
	len = recs[a + 1] - recs[a];
	switch (draw(10)) {
	case 0:
		for (uint64_t n = 1 + draw(4); n; n--) {
			at = draw(good_len);
			bad[at] = draw(256);
		}
		snprintf(what, sizeof(what), "some bytes, up to %zu", at);
		break;
	case 1:
		bad_len = draw(2) ? draw(good_len) : recs[a];
		snprintf(what, sizeof(what), "cut off at %zu", bad_len);
		break;
	case 2:
		insert(recs[b], good + recs[a], len);
		snprintf(what, sizeof(what), "record %zu again before %zu", a, b);
		break;
	case 3:
		cut(recs[a], len);
		snprintf(what, sizeof(what), "without record %zu", a);
		break;
	case 4:
		/* To another place. */
		cut(recs[a], len);
		at = recs[b] > recs[a] ? recs[b] - len : recs[b];
		insert(at, good + recs[a], len);
		snprintf(what, sizeof(what), "record %zu before %zu", a, b);
		break;
	case 5:
		/* A 64-bit word of a record. */
		at = recs[a] + draw(len / 8) * 8;
		word = edge();
		memcpy(bad + at, &word, 8);
		snprintf(what, sizeof(what), "word at %zu: %#llx", at, (unsigned long long)word);
		break;
	case 6:
		at = recs[a] + draw(len / 4) * 4;
		word = edge();
		memcpy(bad + at, &word, 4);
		snprintf(what, sizeof(what), "half at %zu: %#x", at, (uint32_t)word);
		break;
	case 7:
		/* Another type, or length. */
		at = recs[a] + 4 * draw(2);
		word = draw(4) ? draw(20) : edge();
		memcpy(bad + at, &word, 4);
		snprintf(what, sizeof(what), "record %zu at %zu: %#x", a, at, (uint32_t)word);
		break;
	case 8:
		/* What a name or a value may be. */
		at = recs[a] + draw(len);
		bad[at] = "\0/.\xff"[draw(4)];
		snprintf(what, sizeof(what), "byte %zu is %#x", at, bad[at]);
		break;
	case 9:
		/* A word of one where another's is. */
		at = recs[b] + 8 + draw((recs[b + 1] - recs[b]) / 8) * 8;
		if (at + 8 > good_len)
			at = good_len - 8;
		memcpy(bad + at, good + recs[a] + draw(len / 8) * 8, 8);
		snprintf(what, sizeof(what), "word at %zu of record %zu", at, a);
		break;
	}
}

/* --- what has been mounted --- */

static size_t nr_entries;

static void look(int parent, const char *name, int depth)
{
	static char buf[65536];
	char link[64], names[4096];
	bool opened;
	struct stat st;
	ssize_t n;
	int fd;

	if (++nr_entries > MAX_ENTRIES || depth > 100)
		wrong("the tree has no end");
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW))
		wrong("cannot look at '%s': %s", name, strerror(errno));
	opened = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
	fd = openat(parent, name, (opened ? O_RDONLY : O_PATH) | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		wrong("cannot open '%s': %s", name, strerror(errno));
	/* A way over /proc, for those that cannot be opened, takes longer. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = opened ? flistxattr(fd, names, sizeof(names)) : listxattr(link, names, sizeof(names));
	for (char *x = names; n > 0 && x < names + n; x += strlen(x) + 1)
		if ((opened ? fgetxattr(fd, x, buf, sizeof(buf)) :
			      getxattr(link, x, buf, sizeof(buf))) < 0 && errno != ENODATA)
			wrong("attribute '%s' of '%s': %s", x, name, strerror(errno));
	if (S_ISLNK(st.st_mode) && readlinkat(fd, "", buf, sizeof(buf)) < 0)
		wrong("symlink '%s': %s", name, strerror(errno));

	if (S_ISREG(st.st_mode)) {
		off_t at = 0;

		for (int i = 0; i < 1000 && (at = lseek(fd, at, SEEK_DATA)) >= 0; i++) {
			/* What was lost is an error to read, and may be. */
			n = pread(fd, buf, sizeof(buf), at);
			at += n > 0 ? n : 4096;
		}
	} else if (S_ISDIR(st.st_mode)) {
		struct dirent *d;
		DIR *entries = fdopendir(fd);

		if (!entries)
			err(1, "fdopendir");
		while ((d = readdir(entries)))
			if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
				look(fd, d->d_name, depth + 1);
		/* There is room for one more, if flags and limits allow it. */
		if (!mkdirat(fd, "one more", 0700)) {
			if (fstatat(fd, "one more", &st, 0))
				wrong("a new directory in '%s' is not there", name);
			if (unlinkat(fd, "one more", AT_REMOVEDIR))
				wrong("a new directory in '%s' cannot be removed", name);
		}
		closedir(entries);
		return;
	}
	close(fd);
}

static int do_mount(const char *options)
{
	return mount("none", dir, "tmpfs", MS_NOATIME, options) ? -errno : 0;
}

static void let_go(void)
{
	if (mount("none", dir, "tmpfs", MS_REMOUNT | MS_NOATIME, "nopram") || umount(dir))
		wrong("cannot be unmounted: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	long first, number, mounted = 0, again = 0;
	struct rlimit limit = { 65536, 65536 };
	int by_errno[200] = {}, ret, errors = 0;
	char node[300];
	uint64_t seed;

	if (argc != 6)
		errx(2, "usage: tmpfsfuzz NAME DIR SEED FIRST NUMBER");
	setrlimit(RLIMIT_NOFILE, &limit);
	setvbuf(stdout, NULL, _IOLBF, 0);
	dev = pram_open();
	self = syscall(SYS_pidfd_open, getpid(), 0);
	if (dev < 0 || self < 0)
		errx(1, "no /dev/pram, or no pidfd");
	dir = argv[2];
	snprintf(node, sizeof(node), "shmem-1-%s", argv[1]);
	good = read_node(node, PRAM_BYTE_STREAM, &good_len);
	snprintf(node, sizeof(node), "shmem-2-%s", argv[1]);
	pages = read_node(node, PRAM_PAGE_STREAM, &pages_len);
	bad = malloc(3 * good_len);
	if (!bad)
		err(1, "no memory");
	find_records();
	printf("%zu bytes, %zu records, %zu pages\n", good_len, nr_recs, pages_len / PAGE);
	seed = strtoull(argv[3], NULL, 0);
	first = strtol(argv[4], NULL, 0);
	number = strtol(argv[5], NULL, 0);

	/* As it is, or nothing that follows would mean anything. */
	strcpy(what, "undamaged");
	memcpy(bad, good, good_len);
	bad_len = good_len;
	for (int shared = 0; shared < 2; shared++) {
		save_meta();
		save_pages(shared);
		ret = do_mount("pram=fuzz,size=64m,nr_inodes=10000");
		if (ret)
			wrong("cannot be mounted: %s", strerror(-ret));
		nr_entries = 0;
		look(AT_FDCWD, dir, 0);
		let_go();
	}

	for (moment = first; moment < first + number; moment++) {
		state = (seed + moment) * 0x9e3779b97f4a7c15 + 1;
		draw(2);
		damage();
		if (!ready(PAGES))
			save_pages(draw(2));
		save_meta();
		ret = do_mount("pram=fuzz,size=64m,nr_inodes=10000");
		if (ret) {
			if (!ready(META) || !ready(PAGES))
				wrong("failed (%s), and the nodes are gone", strerror(-ret));
			if (-ret < 200)
				by_errno[-ret]++;
			switch (-ret) {
			case EBADMSG:
			case EPROTO:
			case ENOSPC:
			/* An attribute that this kernel does not know. */
			case EOPNOTSUPP:
				break;
			default:
				printf("%ld, %s: %s\n", moment, what, strerror(-ret));
				errors++;
			}
			if (pram_free(dev, META))
				wrong("the metadata cannot be removed");
			continue;
		}
		mounted++;
		nr_entries = 0;
		look(AT_FDCWD, dir, 0);
		if (draw(2)) {
			/* Saved and loaded, it has as many entries. */
			size_t nr = nr_entries;

			if (umount(dir))
				wrong("cannot be unmounted: %s", strerror(errno));
			if (!ready(META) || !ready(PAGES))
				wrong("was mounted, and cannot be saved");
			ret = do_mount("pram=fuzz");
			if (ret)
				wrong("was mounted and saved, and cannot be mounted: %s",
				      strerror(-ret));
			nr_entries = 0;
			look(AT_FDCWD, dir, 0);
			if (nr_entries != nr)
				wrong("had %zu entries, and has %zu", nr, nr_entries);
			again++;
		}
		let_go();
	}
	if (ready(PAGES))
		pram_free(dev, PAGES);
	printf("%ld damages: %ld mounted all the same, %ld of them saved again;", number,
	       mounted, again);
	for (int i = 0; i < 200; i++)
		if (by_errno[i])
			printf(" %s %d", strerrorname_np(i), by_errno[i]);
	putchar('\n');
	return errors != 0;
}
