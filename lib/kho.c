// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kho.h"
#include "util.h"

bool pram_kho_asked(const char *cmdline, bool by_default)
{
	_cleanup_free_ char *copy = strdup(cmdline);
	char *rest = copy, *word;
	bool on = by_default;

	while (copy && (word = strsep(&rest, " \t\n"))) {
		if (!strcmp(word, "--"))
			break;
		if (strncmp(word, "kho=", 4))
			continue;
		word += 4;
		if (*word && strchr("yYtT1", *word))
			on = true;
		else if (*word && strchr("nNfF0", *word))
			on = false;
		else if (!strncasecmp(word, "on", 2))
			on = true;
		else if (!strncasecmp(word, "of", 2))
			on = false;
	}
	return on;
}

const char *pram_absent_remedy(void)
{
	_cleanup_close_ int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	char cmdline[4096] = "";

	if (fd >= 0 && read(fd, cmdline, sizeof(cmdline) - 1) > 0 && pram_kho_asked(cmdline, false))
		return "kho=on is set, so either this kernel has no PRAM, or KHO could not start: "
		       "\"pramctl check\", as root, says which";
	return "boot a kernel that has PRAM with kho=on; \"pramctl check\" says what is missing";
}
