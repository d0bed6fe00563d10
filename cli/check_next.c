// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be known of the next kernel by its image. Can it take over what is in PRAM? And KHO
 * loads it into its scratch areas: is there room for it? The kernel says no more than "Cannot assign
 * requested address".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "kernel_image.h"
#include "output.h"
#include "sysfile.h"
#include "util.h"

#define MIB		UINT64_C(1048576)
/* What is loaded beside kernel and initrd, at the top of the first area with room for it. */
#define SMALL_PARTS	(MIB / 4)
/* x86: nothing large is loaded below. */
#define LOWEST		(16 * MIB)

#define ITEM_FORMATS	"next kernel's PRAM"

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

/* Does it read what this kernel hands over? */
static void add_formats(struct check *check, const struct kernel_image *image, bool needed)
{
	static const char remedy[] = "what is in PRAM would be lost: take a kernel with the same format";
	const char *root = check->args->root, *release = *image->release ? image->release : "it";
	const enum check_status bad = needed ? CHECK_MISSING : CHECK_UNKNOWN;
	_cleanup_free_ char *format = sysfile_read(root, "/sys/kernel/pram/format_version");
	_cleanup_free_ char *kho = sysfile_read(root, "/sys/kernel/pram/kho_version");
	_cleanup_free_ char *found = NULL;

	if (!image->tells) {
		found = output_format("%s does not say whether it has PRAM", release);
		check_add(check, ITEM_FORMATS, CHECK_UNKNOWN, found, "make sure that it has CONFIG_PRAM=y");
	} else if (!image->format) {
		found = output_format("%s has no PRAM, or one too old to name its format", release);
		check_add(check, ITEM_FORMATS, bad, found, "take a kernel that has CONFIG_PRAM=y");
	} else if (format && strtoul(format, NULL, 10) != image->format) {
		found = output_format("%s reads format %" PRIu32 ", this kernel hands over format %s", release,
				      image->format, format);
		check_add(check, ITEM_FORMATS, bad, found, remedy);
	} else if (kho && strcmp(kho, image->kho)) {
		found = output_format("%s reads KHO's format %s, this kernel hands over %s", release,
				      image->kho, kho);
		check_add(check, ITEM_FORMATS, bad, found, remedy);
	} else {
		found = output_format("%s, format %" PRIu32 ", %s", release, image->format, image->kho);
		check_add(check, ITEM_FORMATS, CHECK_OK, found, "");
	}
}

void check_add_images(struct check *check, const char *kernel, const char *initrd, bool needed)
{
	static const char remedy[] = "boot with larger areas, kho_scratch=SIZE,SIZE,SIZE on the command line, or use a smaller initrd";
	_cleanup_free_ char *found = NULL, *kernel_text = NULL, *initrd_text = NULL;
	struct stat st = { .st_size = 0 };
	struct kernel_image image;
	uint64_t largest = 0;
	struct areas areas;
	int ret = kernel_image_read(kernel, &image);

	if (!ret && initrd && stat(initrd, &st))
		ret = -errno;
	if (ret) {
		found = output_format("%s: %s", kernel,
				      ret == -ENOEXEC ? "is no bzImage" : strerror(-ret));
		check_add(check, "next kernel's size", CHECK_MISSING, found,
			  "name the kernel and the initrd to load");
		return;
	}
	add_formats(check, &image, needed);
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
	kernel_text = output_bytes(image.size);
	initrd_text = output_bytes(st.st_size);
	areas_take(&areas, SMALL_PARTS, 65536, MIB);
	if (!areas_take(&areas, image.size, image.align, LOWEST)) {
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
