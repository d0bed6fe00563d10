// SPDX-License-Identifier: GPL-2.0-only
/*
 * pramctl check and stats, on the files of a system that lies in a directory. An input is
 * a byte (bit 0: stats, bit 1: as JSON) and any number of: u8 which file, le16 length,
 * bytes. Accepted is a system that can do it all.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "output.h"

static const char *const files[] = {
	"proc/cmdline",
	"proc/config.gz",
	"proc/sys/kernel/osrelease",
	"sys/kernel/debug/kho/out/scratch_len",
	"sys/kernel/pram/abi_version",
	"sys/kernel/pram/pages_adopted",
	"sys/kernel/pram/other",
	"plugin.so",
	"dev/pram",
	"usr/sbin/kexec",
};

#define NR_FILES	(sizeof(files) / sizeof(*files))

static void make_parents(char *path, char *from)
{
	for (char *p = from; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		mkdir(path, 0700);
	}
}

static void write_file(const char *root, unsigned int which, const uint8_t *data, size_t size)
{
	char path[256];
	const int len = snprintf(path, sizeof(path), "%s/", root);
	int fd;

	snprintf(path + len, sizeof(path) - len, "%s", files[which % NR_FILES]);
	make_parents(path, path + len);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	FUZZ_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	const char *args[9] = { NULL };
	char root[64], plugin[96];
	unsigned int n = 0;
	int status;

	if (!size)
		return -1;
	args[n++] = data[0] & 1 ? "stats" : "check";
	if (data[0] & 2)
		args[n++] = "--json";
	args[n++] = "--root";
	args[n++] = root;
	fuzz_make_dir(root, sizeof(root));
	if (!(data[0] & 1)) {
		snprintf(plugin, sizeof(plugin), "%s/plugin.so", root);
		args[n++] = "--plugin";
		args[n++] = plugin;
	}
	for (data++, size--; size >= 3;) {
		size_t len = data[1] | data[2] << 8;

		len = len < size - 3 ? len : size - 3;
		write_file(root, data[0], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	status = fuzz_pramctl(args);
	fuzz_remove_dir(root);
	return status;
}
