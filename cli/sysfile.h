/* SPDX-License-Identifier: GPL-2.0-only */
/* Small files of the system, or of a copy of one below another root. */
#ifndef PRAM_CLI_SYSFILE_H
#define PRAM_CLI_SYSFILE_H

#include <stdbool.h>

/*
 * The text of @root@path up to 1 MiB, unpacked if it is gzip'ed, without the last
 * newline; to be freed. %NULL with errno if it cannot be read.
 */
char *sysfile_read(const char *root, const char *path);

/* Does @root@path exist? */
bool sysfile_exists(const char *root, const char *path);

/*
 * The first of the directories of @search, separated by colons, that holds the
 * executable file @name: its path with @root, to be freed; or %NULL.
 */
char *sysfile_find_program(const char *root, const char *search, const char *name);

#endif /* PRAM_CLI_SYSFILE_H */
