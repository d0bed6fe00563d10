// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mount options of a tmpfs with pram=, at random.
 *
 *	fuzz_mount SEED DIR NUMBER
 *
 * Mounts on DIR, remounts and unmounts, by mount(2) and by fsconfig(2), with options that
 * are right, nearly right or nonsense. What a call that succeeds was asked for is shown in
 * /proc/self/mounts; a name is one that is allowed; a tree that was saved under a name is
 * there again, the same, when it is mounted; and a mount that fails leaves it as it was.
 * Ends with nothing mounted and nothing saved.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pram.h"

/* <sys/mount.h> has a part of <linux/mount.h> of its own. */
int mount(const char *source, const char *target, const char *type,
	  unsigned long flags, const void *data);
int umount2(const char *target, int flags);

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof(*(a)))
#define NR_OPTIONS	6
#define MAX_NAME	127

static int dev;
static const char *dir;
static long moment;
static uint64_t state;
static char what[8192];

/* The names that are used, and what the file "tag" of the tree of that name says. */
static char names[17][300];
static size_t nr_names;
static long tags[ARRAY_SIZE(names)];

static long nr_good[3], nr_bad[3];
enum { MOUNT, REMOUNT, UMOUNT };
static const char *const action_names[] = { "mount", "remount", "umount" };

#define wrong(...)                                                             \
	do {                                                                   \
		printf("%ld, %s: ", moment, what);                             \
		printf(__VA_ARGS__);                                           \
		putchar('\n');                                                 \
		exit(1);                                                       \
	} while (0)

static uint64_t draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

/* --- options --- */

struct options {
	char text[NR_OPTIONS][600];
	size_t nr;
	/* The last of pram= and nopram; -1: neither, -2: nopram, otherwise of names[]. */
	int name;
};

static void add_names(void)
{
	static const char *const some[] = {
		"a", "b", "with/slash", "..", "back\\slash", "pram=x", "\xc3\xa4", "\xff\xfe",
		"shmem-1-a", "=", "", "a b", "tab\t", "line\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		strcpy(names[nr_names++], some[i]);
	memset(names[nr_names++], 'l', MAX_NAME);
	memset(names[nr_names++], 'l', MAX_NAME + 1);
	memset(names[nr_names++], 'l', 299);
}

static bool allowed(const char *name)
{
	size_t len = strlen(name);

	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return false;
	return len && len <= MAX_NAME;
}

static void any_options(struct options *options)
{
	static const char *const others[] = {
		"size=1m", "size=0", "size=1", "size=10%", "size=-1", "size=99999999999999999999",
		"size=8e", "size=x", "nr_blocks=100", "nr_blocks=0", "nr_inodes=0", "nr_inodes=3",
		"nr_inodes=1000", "nr_inodes=18446744073709551615", "mode=700", "mode=9", "mode=",
		"mode=7777", "uid=1", "uid=4294967295", "gid=99", "gid=x", "huge=always",
		"huge=never", "huge=advise", "huge=within_size", "huge=?", "mpol=default",
		"mpol=local", "mpol=bind:0", "mpol=bind:7", "mpol=interleave:0", "mpol=x",
		"inode32", "inode64", "noswap", "usrquota", "grpquota", "usrquota_block_hardlimit=1m",
		"casefold", "strict_encoding", "pram", "nopram=1", "x", "", "=",
		"source=y", "ro", "rw",
	};
	char *text;

	options->nr = draw(NR_OPTIONS + 1);
	options->name = -1;
	for (size_t i = 0; i < options->nr; i++) {
		text = options->text[i];
		switch (draw(8)) {
		case 0:
		case 1:
		case 2:
			options->name = draw(draw(3) ? 3 : nr_names);
			snprintf(text, sizeof(options->text[i]), "pram=%s", names[options->name]);
			break;
		case 3:
			if (draw(3)) {
				strcpy(text, "size=2m");
				break;
			}
			options->name = -2;
			strcpy(text, "nopram");
			break;
		default:
			strcpy(text, others[draw(ARRAY_SIZE(others))]);
			break;
		}
		/* A byte here and there, but not in names: they are told apart by it. */
		if (!draw(20) && strncmp(text, "pram", 4) && strcmp(text, "nopram") && *text)
			text[draw(strlen(text))] = 'a' + draw(26);
	}
}

static void join(const struct options *options, char *text, size_t size)
{
	size_t len = 0;

	*text = 0;
	for (size_t i = 0; i < options->nr; i++)
		len += snprintf(text + len, size - len, "%s%s", i ? "," : "", options->text[i]);
}

/* --- what is there --- */

/* The name that is shown of the file system at @dir, without escapes. Return: mounted? */
static bool shown(char *name)
{
	char line[2048], *at, *end;
	bool found = false;
	FILE *mounts = fopen("/proc/self/mounts", "re");

	if (!mounts)
		err(1, "/proc/self/mounts");
	while (fgets(line, sizeof(line), mounts)) {
		at = strchr(line, ' ');
		if (!at || strncmp(at + 1, dir, strlen(dir)) || at[1 + strlen(dir)] != ' ')
			continue;
		found = true;
		*name = 0;
		at = strstr(at, ",pram=");
		if (!at)
			continue;
		at += strlen(",pram=");
		end = at + strcspn(at, ", \n");
		while (at < end) {
			if (*at == '\\' && end - at > 3) {
				*name++ = (at[1] - '0') * 64 + (at[2] - '0') * 8 + at[3] - '0';
				at += 4;
			} else {
				*name++ = *at++;
			}
		}
		*name = 0;
	}
	fclose(mounts);
	return found;
}

static int index_of(const char *name)
{
	for (size_t i = 0; i < nr_names; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

/* Are both nodes of a tree there? */
static bool saved(const char *name)
{
	struct pram_node_stat stat;
	char node[PRAM_NAME_MAX];
	int nr = 0;

	for (int i = 1; i <= 2; i++) {
		if (snprintf(node, sizeof(node), "shmem-%d-%s", i, name) >= (int)sizeof(node))
			return false;
		nr += !pram_stat(dev, node, &stat) && stat.state == PRAM_NODE_READY;
	}
	if (nr == 1)
		wrong("half of the tree '%s' is there", name);
	return nr == 2;
}

static long read_tag(void)
{
	char path[300], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/tag", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		err(1, "%s", path);
	close(fd);
	return atol(text);
}

/* No room, or read-only: then it stays as it is. Return: what stands there now. */
static long write_tag(long tag)
{
	char path[300], text[32];
	int fd, len = snprintf(text, sizeof(text), "%ld", tag);

	snprintf(path, sizeof(path), "%s/new", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return read_tag();
	if (write(fd, text, len) == len) {
		char to[300];

		snprintf(to, sizeof(to), "%s/tag", dir);
		if (rename(path, to))
			err(1, "rename");
	} else {
		unlink(path);
	}
	close(fd);
	return read_tag();
}

/* --- what is done --- */

static bool configure(int fs, const struct options *options)
{
	char option[600], *value;
	int ret;

	for (size_t i = 0; i < options->nr; i++) {
		strcpy(option, options->text[i]);
		value = strchr(option, '=');
		if (value)
			*value++ = 0;
		ret = syscall(SYS_fsconfig, fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, option,
			      value, 0);
		if (ret)
			return false;
	}
	return true;
}

static bool new_mount(const struct options *options)
{
	int fs = syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC), mnt = -1;
	bool good = false;

	if (fs < 0)
		err(1, "fsopen");
	if (configure(fs, options) && !syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		mnt = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
	if (mnt >= 0) {
		good = !syscall(SYS_move_mount, mnt, "", AT_FDCWD, dir, MOVE_MOUNT_F_EMPTY_PATH);
		close(mnt);
	}
	return good;
}

static bool new_remount(const struct options *options)
{
	int fs = syscall(SYS_fspick, AT_FDCWD, dir, FSPICK_CLOEXEC);
	bool good;

	if (fs < 0)
		err(1, "fspick");
	good = configure(fs, options) &&
	       !syscall(SYS_fsconfig, fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
	close(fs);
	return good;
}

/* Does the file system show what it should, if it is there? */
static void check_name(const struct options *options, const char *before, bool good)
{
	const char *want = before;
	char name[2048];

	if (!shown(name))
		return;
	if (good && options->name == -2)
		want = "";
	else if (good && options->name >= 0)
		want = names[options->name];
	if (strcmp(name, want))
		wrong("it shows '%s', should be '%s'", name, want);
	if (*name && !allowed(name))
		wrong("'%s' is not allowed", name);
}

static void do_mount(const struct options *options, const char *text)
{
	bool was_saved[ARRAY_SIZE(names)], good;
	long tag;

	for (size_t i = 0; i < nr_names; i++)
		was_saved[i] = saved(names[i]);
	good = draw(2) ? new_mount(options) :
			 !mount("none", dir, "tmpfs", draw(8) ? 0 : MS_RDONLY, text);
	check_name(options, "", good);
	(good ? nr_good : nr_bad)[MOUNT]++;
	for (size_t i = 0; i < nr_names; i++)
		if (was_saved[i] && !saved(names[i]) && (!good || (int)i != options->name))
			wrong("the tree '%s' is gone", names[i]);
	if (!good || options->name < 0)
		return;
	tag = read_tag();
	if (was_saved[options->name] && tag != tags[options->name])
		wrong("'%s' has tag %ld, should be %ld", names[options->name], tag,
		      tags[options->name]);
	if (!was_saved[options->name] && tag)
		wrong("'%s' was not saved and has tag %ld", names[options->name], tag);
	tags[options->name] = tag;
}

static void do_remount(const struct options *options, const char *text, const char *before)
{
	unsigned long flags = MS_REMOUNT | (draw(6) ? 0 : MS_RDONLY);
	long tag = read_tag();
	char name[2048];
	bool good;

	good = draw(2) ? new_remount(options) : !mount("none", dir, "tmpfs", flags, text);
	(good ? nr_good : nr_bad)[REMOUNT]++;
	check_name(options, before, good);
	if (read_tag() != tag)
		wrong("its tag changed from %ld to %ld", tag, read_tag());
	shown(name);
	if (*name)
		tags[index_of(name)] = tag;
}

static void do_umount(const char *name)
{
	long tag = draw(4) ? write_tag(moment + 1) : read_tag();

	(umount2(dir, 0) ? nr_bad : nr_good)[UMOUNT]++;
	if (!*name)
		return;
	if (!saved(name))
		wrong("'%s' was not saved", name);
	tags[index_of(name)] = tag;
}

int main(int argc, char **argv)
{
	struct pram_ioctl_info info;
	struct options options;
	char text[8000], name[2048];
	uint64_t seed;
	long number;

	if (argc != 4)
		errx(2, "usage: fuzz_mount SEED DIR NUMBER");
	seed = strtoull(argv[1], NULL, 0);
	dir = argv[2];
	number = atol(argv[3]);
	printf("seed %llu\n", (unsigned long long)seed);
	dev = pram_open();
	if (dev < 0)
		errx(1, "cannot open /dev/pram: %s", strerror(-dev));
	add_names();

	for (moment = 0; moment < number; moment++) {
		/* From the beginning again with any of them: the seed and the number are enough. */
		state = (seed + moment + 1) * 0x9e3779b97f4a7c15;
		draw(2);
		any_options(&options);
		join(&options, text, sizeof(text));
		*name = 0;
		if (!shown(name)) {
			snprintf(what, sizeof(what), "mount %s", text);
			do_mount(&options, text);
		} else if (draw(3)) {
			snprintf(what, sizeof(what), "remount %s", text);
			do_remount(&options, text, name);
		} else {
			snprintf(what, sizeof(what), "umount '%s'", name);
			do_umount(name);
		}
	}
	if (shown(name) && umount2(dir, 0))
		err(1, "umount");
	for (int i = MOUNT; i <= UMOUNT; i++)
		printf("%s: %ld succeeded, %ld failed\n", action_names[i], nr_good[i], nr_bad[i]);
	if (!nr_good[MOUNT] || !nr_bad[MOUNT] || !nr_good[REMOUNT] || !nr_bad[REMOUNT] ||
	    !nr_good[UMOUNT] || nr_bad[UMOUNT])
		errx(1, "all should have succeeded, and failed, now and then, but umount");
	if (pram_free_all(dev, NULL) || pram_info(dev, &info) || info.nr_nodes || info.data_pages)
		errx(1, "nodes are left");
	return 0;
}
