// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fake_pram_pages.h"

static int pidfd_to_pid(int pidfd)
{
	char path[64], line[128];
	int pid = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	if (file)
		fclose(file);
	return pid;
}

/*
 * Appends what is at these ranges, page by page, as @read_page gets it from @from: to a page that is all
 * zeros. Counts them in @pages.
 */
static int append_ranges(int fd, struct fake_node *node, const struct pram_range *ranges, uint32_t nr,
			 int from, int (*read_page)(int from, uint64_t at, char *page), __u64 *pages)
{
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY)
		return ENOTTY;
	if (node->stat.type != PRAM_PAGE_STREAM || node->sealed)
		return EPERM;
	for (uint32_t i = 0; i < nr; i++) {
		if ((ranges[i].start | ranges[i].len) % FAKE_PAGE_SIZE)
			return EINVAL;
		for (uint64_t done = 0; done < ranges[i].len; done += FAKE_PAGE_SIZE) {
			char page[FAKE_PAGE_SIZE] = "";
			int error = read_page(from, ranges[i].start + done, page);

			if (error)
				return error;
			if (write(fd, page, FAKE_PAGE_SIZE) != FAKE_PAGE_SIZE)
				fake_pram_die("cannot append to a node");
			++*pages;
			node->adopted_pages++;
		}
	}
	return 0;
}

static int read_of_task(int pid, uint64_t at, char *page)
{
	struct iovec local = { page, FAKE_PAGE_SIZE };
	struct iovec remote = { (void *)(uintptr_t)at, FAKE_PAGE_SIZE };

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == FAKE_PAGE_SIZE ? 0 : errno;
}

int fake_adopt(int fd, struct pram_ioctl_adopt *arg, struct fake_node *node)
{
	const int pid = pidfd_to_pid(arg->pidfd);

	arg->pages = 0;
	if (arg->flags)
		return EOPNOTSUPP;
	if (pid < 0)
		return EBADF;
	return append_ranges(fd, node, (const struct pram_range *)(uintptr_t)arg->ranges, arg->nr_ranges,
			     pid, read_of_task, &arg->pages);
}

/*
 * What /proc/PID/pagemap shows to be there and not a file's. To who is not root it does not tell
 * pages of zeros from others.
 */
static bool is_present(int pagemap, uint64_t addr)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, sizeof(entry), (off_t)(addr / FAKE_PAGE_SIZE * sizeof(entry))) !=
	    sizeof(entry))
		return false;
	return entry >> 62 && !(entry >> 61 & 1);
}

int fake_adopt_present(int fd, struct pram_ioctl_adopt_present *arg, struct fake_node *node)
{
	struct pram_range *found = (struct pram_range *)(uintptr_t)arg->found;
	const uint32_t room = arg->nr_found;
	const int pid = pidfd_to_pid(arg->pidfd);
	char path[64];
	int pagemap;

	arg->pages = 0;
	arg->nr_found = 0;
	if (arg->flags)
		return EOPNOTSUPP;
	if (!room || (arg->start | arg->end) % FAKE_PAGE_SIZE || arg->end < arg->start)
		return EINVAL;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		return ESRCH;
	for (; arg->start < arg->end; arg->start += FAKE_PAGE_SIZE) {
		struct pram_range one = { arg->start, FAKE_PAGE_SIZE };
		struct pram_ioctl_adopt adopt = {
			.pidfd = arg->pidfd,
			.nr_ranges = 1,
			.ranges = (uintptr_t)&one,
		};
		struct pram_range *last = &found[arg->nr_found - 1];
		const bool grows = arg->nr_found && last->start + last->len == arg->start;
		int ret;

		if (!is_present(pagemap, arg->start))
			continue;
		if (!grows && arg->nr_found == room)
			break;
		ret = fake_adopt(fd, &adopt, node);
		if (ret) {
			close(pagemap);
			return ret;
		}
		if (grows)
			last->len += FAKE_PAGE_SIZE;
		else
			found[arg->nr_found++] = one;
		arg->pages++;
	}
	close(pagemap);
	return 0;
}

/* The last one may be short. */
static int read_of_file(int file, uint64_t at, char *page)
{
	return pread(file, page, FAKE_PAGE_SIZE, at) > 0 ? 0 : EINVAL;
}

int fake_adopt_file(int fd, struct pram_ioctl_adopt_file *arg, struct fake_node *node)
{
	struct statfs fs;

	arg->pages = 0;
	if (arg->flags)
		return EOPNOTSUPP;
	if (fstatfs(arg->fd, &fs))
		return EBADF;
	if (fs.f_type != TMPFS_MAGIC)
		return EINVAL;
	return append_ranges(fd, node, (const struct pram_range *)(uintptr_t)arg->ranges, arg->nr_ranges,
			     arg->fd, read_of_file, &arg->pages);
}

int fake_map(int fd, struct pram_ioctl_map *arg)
{
	char page[FAKE_PAGE_SIZE];

	if (arg->flags)
		return EOPNOTSUPP;
	if ((arg->addr | arg->offset) % FAKE_PAGE_SIZE)
		return EINVAL;
	arg->same = 0;
	for (uint64_t done = 0; done < arg->nr_pages * FAKE_PAGE_SIZE; done += FAKE_PAGE_SIZE) {
		void *to = (void *)(uintptr_t)(arg->addr + done);

		if (pread(fd, page, FAKE_PAGE_SIZE, arg->offset + done) != FAKE_PAGE_SIZE)
			return EINVAL;
		if (memcmp(to, page, FAKE_PAGE_SIZE))
			memcpy(to, page, FAKE_PAGE_SIZE);
		else
			arg->same++;
	}
	return 0;
}
