// SPDX-License-Identifier: GPL-2.0-only
/*
 * KHO loads the next kernel into its scratch areas. Is there room for it? The kernel says
 * no more than "Cannot assign requested address".
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "output.h"
#include "sysfile.h"
#include "util.h"

#define MIB		UINT64_C(1048576)
/* What is loaded beside kernel and initrd, at the top of the first area with room for it. */
#define SMALL_PARTS	(MIB / 4)
/* x86: nothing large is loaded below. */
#define LOWEST		(16 * MIB)

/* Where members of the header of a bzImage lie, Documentation/arch/x86/boot.rst. */
#define BZ_MAGIC_OFFSET		0x202
#define BZ_ALIGN_OFFSET		0x230
#define BZ_INIT_SIZE_OFFSET	0x260
#define BZ_HEADER_END		0x264

/**
 * struct area - a scratch area
 * @start: physical address
 * @end: of what is free of it, as the kernel places from the top down
 */
struct area {
	uint64_t	start;
	uint64_t	end;
};

#define AREAS_MAX	64U

struct areas {
	struct area	all[AREAS_MAX];
	size_t		nr;
};

/* Numbers, one a line. */
static size_t read_numbers(const char *root, const char *path, uint64_t *numbers)
{
	_cleanup_free_ char *text = sysfile_read(root, path);
	char *rest = text, *line;
	size_t nr = 0;

	while (text && nr < AREAS_MAX && (line = strsep(&rest, "\n"))) {
		if (*line)
			numbers[nr++] = strtoull(line, NULL, 0);
	}
	return nr;
}

static bool areas_read(struct areas *areas, const char *root)
{
	uint64_t phys[AREAS_MAX], len[AREAS_MAX];

	areas->nr = read_numbers(root, CHECK_KHO_DIR "/scratch_len", len);
	if (!areas->nr || read_numbers(root, CHECK_KHO_DIR "/scratch_phys", phys) != areas->nr)
		return false;
	for (size_t i = 0; i < areas->nr; i++)
		areas->all[i] = (struct area){ phys[i], phys[i] + len[i] };
	return true;
}

/* Takes @size bytes from the first area that has them, as the kernel does. */
static bool areas_take(struct areas *areas, uint64_t size, uint64_t align, uint64_t lowest)
{
	for (size_t i = 0; i < areas->nr; i++) {
		struct area *area = &areas->all[i];
		uint64_t start;

		if (area->end < size)
			continue;
		start = (area->end - size) / align * align;
		if (start < area->start || start < lowest)
			continue;
		/* What alignment leaves above is searched first the next time. */
		if (areas->nr < AREAS_MAX) {
			memmove(area + 1, area, (areas->nr++ - i) * sizeof(*area));
			area->start = start + size;
			area++;
		}
		area->end = start;
		return true;
	}
	return false;
}

/* How much memory a kernel's image needs: 0, or -errno; -ENOEXEC if it is no bzImage. */
static int read_kernel(const char *path, uint64_t *size, uint64_t *align)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char header[BZ_HEADER_END];
	uint32_t value;
	int ret;

	if (fd < 0)
		return -errno;
	ret = pram_pread_full(fd, header, sizeof(header), 0);
	if (ret)
		return ret == -EBADMSG ? -ENOEXEC : ret;
	if (memcmp(header + BZ_MAGIC_OFFSET, "HdrS", 4))
		return -ENOEXEC;
	memcpy(&value, header + BZ_INIT_SIZE_OFFSET, sizeof(value));
	*size = (value + UINT64_C(4095)) & ~UINT64_C(4095);
	memcpy(&value, header + BZ_ALIGN_OFFSET, sizeof(value));
	*align = value ? value : 2 * MIB;
	return 0;
}

void check_add_images(struct check *check, const char *kernel, const char *initrd)
{
	static const char remedy[] = "boot with larger areas, kho_scratch=SIZE,SIZE,SIZE on the command line, or use a smaller initrd";
	_cleanup_free_ char *found = NULL, *kernel_text = NULL, *initrd_text = NULL;
	uint64_t size = 0, align = 1, largest = 0;
	struct areas areas;
	struct stat st = { .st_size = 0 };
	int ret = read_kernel(kernel, &size, &align);

	if (!ret && initrd && stat(initrd, &st))
		ret = -errno;
	if (ret) {
		found = output_format("%s: %s", kernel,
				      ret == -ENOEXEC ? "is no bzImage" : strerror(-ret));
		check_add(check, "next kernel's size", CHECK_MISSING, found,
			  "name the kernel and the initrd to load");
		return;
	}
	if (!areas_read(&areas, check->args->root)) {
		check_add(check, "next kernel's size", CHECK_UNKNOWN,
			  "the scratch areas can't be seen",
			  "as root, mount -t debugfs debugfs /sys/kernel/debug");
		return;
	}
	for (size_t i = 0; i < areas.nr; i++) {
		const uint64_t len = areas.all[i].end - areas.all[i].start;

		largest = len > largest ? len : largest;
	}
	kernel_text = output_bytes(size);
	initrd_text = output_bytes(st.st_size);
	areas_take(&areas, SMALL_PARTS, 65536, MIB);
	if (!areas_take(&areas, size, align, LOWEST)) {
		_cleanup_free_ char *text = output_bytes(largest);

		found = output_format("the kernel needs %s in one scratch area, the largest has %s",
				      kernel_text, text);
	} else if (st.st_size && !areas_take(&areas, st.st_size, 4096, LOWEST)) {
		found = output_format("with the kernel, %s, no scratch area has room for the initrd, %s",
				      kernel_text, initrd_text);
	}
	if (found) {
		check_add(check, "next kernel's size", CHECK_MISSING, found, remedy);
		return;
	}
	found = output_format("kernel %s, initrd %s: there is room in the scratch areas",
			      kernel_text, initrd_text);
	check_add(check, "next kernel's size", CHECK_OK, found, "");
}
