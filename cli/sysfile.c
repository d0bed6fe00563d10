// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "output.h"
#include "sysfile.h"
#include "util.h"

#define TEXT_MAX (1U << 20)

char *sysfile_read(const char *root, const char *path)
{
	_cleanup_free_ char *full = output_format("%s%s", root, path);
	/* Reads what is not gzip'ed as it is. */
	gzFile file = gzopen(full, "re");
	char *text;
	int len;

	if (!file)
		return NULL;
	text = malloc(TEXT_MAX + 1);
	len = text ? gzread(file, text, TEXT_MAX) : -1;
	gzclose(file);
	if (len < 0) {
		free(text);
		errno = EIO;
		return NULL;
	}
	if (len && text[len - 1] == '\n')
		len--;
	text[len] = 0;
	return text;
}

bool sysfile_exists(const char *root, const char *path)
{
	_cleanup_free_ char *full = output_format("%s%s", root, path);

	return !access(full, F_OK);
}

char *sysfile_find_program(const char *root, const char *search, const char *name)
{
	_cleanup_free_ char *dirs = strdup(search);
	char *rest = dirs, *dir;

	while (dirs && (dir = strsep(&rest, ":"))) {
		_cleanup_free_ char *path = output_format("%s%s/%s", root, dir, name);

		if (*dir == '/' && !access(path, X_OK))
			return output_format("%s", path);
	}
	return NULL;
}
