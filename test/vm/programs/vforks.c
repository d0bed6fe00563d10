// SPDX-License-Identifier: GPL-2.0-only
/*
 * vforks FILE [SECONDS]: a task that nobody can stop, as it waits for its child of vfork(2), which counts
 * seconds into a file. A dump waits for it until that gives up; or, with SECONDS, until the child ends, so long
 * after somebody has begun to stop its parent. Then there is another one, which counts on.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Is our parent to be stopped? */
static int is_traced(void)
{
	char path[32], text[1024] = "";
	const char *tracer;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", getppid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		_exit(1);
	close(fd);
	tracer = strstr(text, "TracerPid:");
	return tracer && atoi(tracer + strlen("TracerPid:"));
}

int main(int argc, char **argv)
{
	const int seconds = argc == 3 ? atoi(argv[2]) : 0;
	/* Of the parent and its children, which have the same memory. */
	static int n;
	char line[16];

	if (argc < 2 || argc > 3)
		return 2;
	signal(SIGCHLD, SIG_IGN);
	while (vfork()) {
		if (!seconds)
			return 0;
	}
	/* It executes nothing. */
	for (;;) {
		int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		if (fd < 0 || write(fd, line, snprintf(line, sizeof(line), "%d\n", ++n)) < 0)
			_exit(1);
		close(fd);
		if (seconds && is_traced()) {
			sleep(seconds);
			_exit(0);
		}
		sleep(1);
	}
}
