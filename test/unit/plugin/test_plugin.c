// SPDX-License-Identifier: GPL-2.0-only
/* plugin/, called as CRIU does: the tests are in test_plugin_*.c. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"

int main(void)
{
	char settings[] = "/tmp/pram-test-settings-XXXXXX";
	int fd = mkstemp(settings), failed;

	/* Not the settings of the machine that the tests run on. */
	if (fd < 0 || setenv("CRIU_PRAM_CONFIG", settings, 1)) {
		perror(settings);
		return 1;
	}
	close(fd);
	failed = plugin_test_dump() + plugin_test_pages() + plugin_test_restore() +
		 plugin_test_refused() + plugin_test_directory();
	unlink(settings);
	return failed > 0;
}
