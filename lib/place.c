// SPDX-License-Identifier: GPL-2.0-only
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "place.h"

/* As <linux/nsfs.h> has them, of which few systems have one that is new enough. */
#define PID_NS_INIT_INO		0xEFFFFFFCU
#define USER_NS_INIT_INO	0xEFFFFFFDU

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

bool pram_place_is_first_mount_namespace(void)
{
	/* Of another pid namespace, /proc may show another process 1. */
	return has_inode("/proc/self/ns/pid", PID_NS_INIT_INO) &&
	       same_file("/proc/self/ns/mnt", "/proc/1/ns/mnt") &&
	       same_file("/proc/self/root/", "/proc/1/root/");
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
