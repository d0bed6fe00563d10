// SPDX-License-Identifier: GPL-2.0-only
/*
 * vforks FILE: a task that nobody can stop, as it waits for its child of vfork(2), which counts
 * seconds into a file. A dump waits for it until that gives up.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char line[16];

	if (argc != 2)
		return 2;
	if (vfork())
		return 0;
	/* Neither ends nor executes anything. */
	for (int n = 1;; n++) {
		int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		if (fd < 0 || write(fd, line, snprintf(line, sizeof(line), "%d\n", n)) < 0)
			_exit(1);
		close(fd);
		sleep(1);
	}
}
