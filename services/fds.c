// SPDX-License-Identifier: GPL-2.0-only
/* Sockets among the descriptors of a task. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "service.h"

DIR *fds_open(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	return opendir(path);
}

bool fds_next_socket(DIR *dir, int *fd, unsigned long *inode)
{
	struct dirent *entry;
	char target[64];
	ssize_t len;

	while (dir && (entry = readdir(dir))) {
		len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		target[len > 0 ? len : 0] = 0;
		if (sscanf(target, "socket:[%lu]", inode) == 1) {
			*fd = atoi(entry->d_name);
			return true;
		}
	}
	if (dir)
		closedir(dir);
	return false;
}
