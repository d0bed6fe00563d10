// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "place.h"
#include "util.h"

/* As <linux/nsfs.h> has them, of which few systems have one that is new enough. */
#define PID_NS_INIT_INO		0xEFFFFFFCU
#define USER_NS_INIT_INO	0xEFFFFFFDU
/* STATX_MNT_ID_UNIQUE, as <linux/stat.h> has it. */
#define MNT_ID_UNIQUE		0x4000U

#define ROOT_CGROUP		"/sys/fs/cgroup"

static bool has_inode(const char *path, ino_t inode)
{
	struct stat st;

	return !stat(path, &st) && st.st_ino == inode;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

pid_t pram_place_init(void)
{
	/* Of another pid namespace, /proc may show another process 1. */
	return has_inode("/proc/self/ns/pid", PID_NS_INIT_INO) ? 1 : 0;
}

bool pram_place_is_first_mount_namespace(void)
{
	return pram_place_init() &&
	       same_file("/proc/self/ns/mnt", "/proc/1/ns/mnt") &&
	       same_file("/proc/self/root/", "/proc/1/root/");
}

bool pram_place_leads_init_to(const char *path, int fd)
{
	/* Without an allocation that could fail: the answer would be another one. */
	char theirs[PATH_MAX + 16], ours[32];

	snprintf(theirs, sizeof(theirs), "/proc/1/root%s", path);
	snprintf(ours, sizeof(ours), "/proc/self/fd/%d", fd);
	return pram_place_init() && same_file(theirs, ours);
}

static int root_at(const char *path, struct pram_place_root *root)
{
	struct statx stx;

	if (statx(AT_FDCWD, path, 0, STATX_INO | MNT_ID_UNIQUE, &stx))
		return -errno;
	if (!(stx.stx_mask & MNT_ID_UNIQUE))
		return -EOPNOTSUPP;
	*root = (struct pram_place_root){ .mount = stx.stx_mnt_id, .inode = stx.stx_ino };
	return 0;
}

int pram_place_root(struct pram_place_root *root)
{
	return root_at("/", root);
}

pid_t pram_place_find(const struct pram_place_root *root)
{
	struct pram_place_root other;
	struct dirent *entry;
	pid_t found = 0;
	char path[64];
	DIR *dir;

	if (!pram_place_root(&other) && other.mount == root->mount && other.inode == root->inode)
		return getpid();
	dir = opendir("/proc");
	while (dir && !found && (entry = readdir(dir))) {
		const pid_t pid = atoi(entry->d_name);

		snprintf(path, sizeof(path), "/proc/%d/root/", pid);
		if (pid > 0 && !root_at(path, &other) && other.mount == root->mount &&
		    other.inode == root->inode)
			found = pid;
	}
	if (dir)
		closedir(dir);
	return found;
}

bool pram_place_is_privileged(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long caps = 0;
	char line[256];

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file) && sscanf(line, "CapEff: %llx", &caps) != 1)
		;
	fclose(file);
	return (caps & (1ULL << CAP_SYS_ADMIN)) &&
	       has_inode("/proc/self/ns/user", USER_NS_INIT_INO);
}

int pram_place_enter_root_cgroup(void)
{
	_cleanup_close_ int fd = open(ROOT_CGROUP "/cgroup.procs", O_WRONLY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs))
		return -errno;
	if (fs.f_type != CGROUP2_SUPER_MAGIC)
		return -ENOENT;
	return pram_write_full(fd, "0", 1);
}
