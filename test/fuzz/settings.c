// SPDX-License-Identifier: GPL-2.0-only
/*
 * plugin/settings.c. An input is the file of settings and, behind nuls, variables of the
 * environment.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "settings.h"

#define MAX_VARIABLES	16

int fuzz_one(const uint8_t *data, size_t size)
{
	char *environment[MAX_VARIABLES + 2], *text, *end, error[PRAM_SETTINGS_ERROR_MAX];
	struct pram_settings settings;
	const int fd = memfd_create("settings", MFD_CLOEXEC);
	unsigned int nr = 0;
	char file[80], line[512];
	int ret;

	text = malloc(size + 1);
	FUZZ_ASSERT(fd >= 0 && text);
	memcpy(text, data, size);
	text[size] = '\0';
	FUZZ_ASSERT(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	snprintf(file, sizeof(file), PRAM_SETTINGS_FILE_ENV "=/proc/self/fd/%d", fd);
	environment[nr++] = file;
	for (end = text + strlen(text); end < text + size && nr < MAX_VARIABLES;
	     end += strlen(end))
		environment[nr++] = ++end;
	environment[nr] = NULL;

	memset(error, 'x', sizeof(error));
	ret = pram_settings_load(&settings, environment, NULL, error);
	if (ret)
		FUZZ_ASSERT(memchr(error, 0, sizeof(error)) && *error);
	else
		pram_settings_print(&settings, line, sizeof(line));
	FUZZ_ASSERT(!settings.name || *settings.name);
	pram_settings_free(&settings);
	close(fd);
	free(text);
	return ret;
}
