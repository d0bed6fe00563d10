// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "checkpoint_format.h"
#include "note.h"
#include "pram.h"
#include "util.h"

/* Laid out as the ELF specification has it: sizes, type, name, contents. */
static const struct {
	uint32_t		name_size;
	uint32_t		desc_size;
	uint32_t		type;
	char			name[8];
	struct pram_note_desc	desc;
} pram_note __attribute__((used, aligned(4), section(PRAM_NOTE_SECTION))) = {
	.name_size = sizeof(PRAM_NOTE_NAME),
	.desc_size = sizeof(struct pram_note_desc),
	.type = PRAM_NOTE_TYPE,
	.name = PRAM_NOTE_NAME,
	.desc = {
		.abi_version = PRAM_ABI_VERSION,
		.checkpoint_version = PRAM_CHECKPOINT_VERSION,
	},
};

static int pram_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

static int copy_name(__u8 *dst, const char *name)
{
	size_t len = strnlen(name, PRAM_NAME_MAX);

	if (len == PRAM_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(dst, name, len + 1);
	return 0;
}

/* Takes over @dev. */
static int check_device(int dev)
{
	_cleanup_close_ int checked = dev;
	struct pram_ioctl_info info;
	int ret;

	ret = pram_info(checked, &info);
	if (ret)
		return ret;
	if (info.abi_version != PRAM_ABI_VERSION)
		return -EPROTO;
	return pram_take_fd(&checked);
}

int pram_open(void)
{
	int dev = open(PRAM_DEVICE_PATH, O_RDWR | O_CLOEXEC);

	return dev < 0 ? -errno : check_device(dev);
}

int pram_open_fd(int fd)
{
	int dev = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return dev < 0 ? -errno : check_device(dev);
}

int pram_info(int dev, struct pram_ioctl_info *info)
{
	*info = (struct pram_ioctl_info){ .size = sizeof(*info) };
	return pram_ioctl(dev, PRAM_IOCTL_INFO, info);
}

int pram_save(int dev, const char *name, uint32_t type, uint32_t flags)
{
	struct pram_ioctl_save arg = { .size = sizeof(arg), .type = type, .flags = flags };
	int ret = copy_name(arg.name, name);

	if (!ret)
		ret = pram_ioctl(dev, PRAM_IOCTL_SAVE, &arg);
	return ret ? ret : arg.fd;
}

int pram_load(int dev, const char *name, uint32_t type, uint32_t flags)
{
	struct pram_ioctl_load arg = { .size = sizeof(arg), .type = type, .flags = flags };
	int ret = copy_name(arg.name, name);

	if (!ret)
		ret = pram_ioctl(dev, PRAM_IOCTL_LOAD, &arg);
	return ret ? ret : arg.fd;
}

int pram_seal(int stream)
{
	struct pram_ioctl_seal arg = { .size = sizeof(arg) };

	return pram_ioctl(stream, PRAM_IOCTL_SEAL, &arg);
}

int pram_adopt(int stream, int pidfd, const struct pram_range *ranges, size_t nr_ranges,
	       uint64_t *pages)
{
	struct pram_ioctl_adopt arg = {
		.size = sizeof(arg),
		.pidfd = pidfd,
		.nr_ranges = nr_ranges,
		.ranges = (uintptr_t)ranges,
	};
	int ret = -E2BIG;

	if (nr_ranges <= PRAM_ADOPT_MAX)
		ret = pram_ioctl(stream, PRAM_IOCTL_ADOPT, &arg);
	if (pages)
		*pages = arg.pages;
	return ret;
}

int pram_adopt_present(int stream, int pidfd, struct pram_range *range, struct pram_range *found,
		       uint32_t *nr_found)
{
	struct pram_ioctl_adopt_present arg = {
		.size = sizeof(arg),
		.pidfd = pidfd,
		.nr_found = *nr_found,
		.start = range->start,
		.end = range->start + range->len,
		.found = (uintptr_t)found,
	};
	int ret = pram_ioctl(stream, PRAM_IOCTL_ADOPT_PRESENT, &arg);

	*nr_found = arg.nr_found;
	range->start = arg.start;
	range->len = arg.end - arg.start;
	return ret;
}

int pram_adopt_file(int stream, int fd, const struct pram_range *ranges, size_t nr_ranges,
		    uint64_t *pages)
{
	struct pram_ioctl_adopt_file arg = {
		.size = sizeof(arg),
		.fd = fd,
		.nr_ranges = nr_ranges,
		.ranges = (uintptr_t)ranges,
	};
	int ret = -E2BIG;

	if (nr_ranges <= PRAM_ADOPT_MAX)
		ret = pram_ioctl(stream, PRAM_IOCTL_ADOPT_FILE, &arg);
	if (pages)
		*pages = arg.pages;
	return ret;
}

int pram_map(int stream, void *addr, uint64_t offset, uint64_t nr_pages, uint64_t *same)
{
	struct pram_ioctl_map arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)addr,
		.offset = offset,
		.nr_pages = nr_pages,
	};
	int ret = pram_ioctl(stream, PRAM_IOCTL_MAP, &arg);

	if (!ret && same)
		*same = arg.same;
	return ret;
}

int pram_commit_flags(int dev, const int *fds, size_t nr_fds, uint32_t flags)
{
	struct pram_ioctl_commit arg = {
		.size = sizeof(arg),
		.flags = flags,
		.nr_fds = nr_fds,
		.fds = (uintptr_t)fds,
	};

	if (nr_fds > PRAM_COMMIT_MAX)
		return -E2BIG;
	return pram_ioctl(dev, PRAM_IOCTL_COMMIT, &arg);
}

int pram_commit(int dev, const int *fds, size_t nr_fds)
{
	return pram_commit_flags(dev, fds, nr_fds, 0);
}

int pram_stat(int dev, const char *name, struct pram_node_stat *node)
{
	struct pram_ioctl_stat arg = { .size = sizeof(arg) };
	int ret = copy_name(arg.node.name, name);

	if (!ret)
		ret = pram_ioctl(dev, PRAM_IOCTL_STAT, &arg);
	if (!ret)
		*node = arg.node;
	return ret;
}

int pram_list_next(int dev, struct pram_node_stat *node)
{
	struct pram_ioctl_stat arg = { .size = sizeof(arg), .node.id = node->id };
	int ret = pram_ioctl(dev, PRAM_IOCTL_LIST, &arg);

	if (ret == -ENOENT)
		return 0;
	if (ret)
		return ret;
	*node = arg.node;
	/* Whoever uses the name must be able to rely on its end. */
	node->name[PRAM_NAME_MAX - 1] = 0;
	return 1;
}

int pram_free(int dev, const char *name)
{
	struct pram_ioctl_free arg = { .size = sizeof(arg) };
	int ret = copy_name(arg.name, name);

	return ret ? ret : pram_ioctl(dev, PRAM_IOCTL_FREE, &arg);
}

int pram_free_id(int dev, uint64_t id)
{
	struct pram_ioctl_free arg = { .size = sizeof(arg), .id = id };

	return pram_ioctl(dev, PRAM_IOCTL_FREE, &arg);
}

int pram_free_all(int dev, uint64_t *nr_freed)
{
	struct pram_ioctl_free arg = { .size = sizeof(arg), .flags = PRAM_FREE_ALL };
	int ret = pram_ioctl(dev, PRAM_IOCTL_FREE, &arg);

	if (!ret && nr_freed)
		*nr_freed = arg.nr_freed;
	return ret;
}
