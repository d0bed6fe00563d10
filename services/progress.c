// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nobody knows how long criu takes: a machine that is busy needs many times as long. So it
 * is waited for while it makes progress: while it uses processor time, or its log grows.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "progress.h"

/* Processor time of a process and of those that it has waited for, in ticks. */
static uint64_t ticks_of(pid_t pid)
{
	uint64_t ticks[4] = { 0 };
	char path[32], text[512];
	const char *end;
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = 0;
	/* Its name may have anything in it. */
	end = strrchr(text, ')');
	if (!end || sscanf(end, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
			   &ticks[0], &ticks[1], &ticks[2], &ticks[3]) != 4)
		return 0;
	return ticks[0] + ticks[1] + ticks[2] + ticks[3];
}

static uint64_t size_of(int dir, const char *log)
{
	struct stat st;

	return fstatat(dir, log, &st, 0) ? 0 : st.st_size;
}

int progress_wait(int pidfd, pid_t pid, int stop, int dir, const char *log, unsigned int still_ms,
		  unsigned int most_ms)
{
	struct pollfd ends[] = {
		{ .fd = pidfd, .events = POLLIN },
		{ .fd = stop, .events = POLLIN },
	};
	const unsigned int step = still_ms / 10 ?: 1;
	uint64_t seen = 0;

	for (unsigned int still = 0, all = 0; all < most_ms; all += step) {
		const uint64_t now = ticks_of(pid) + size_of(dir, log);

		still = now == seen ? still + step : 0;
		if (still >= still_ms)
			return -ETIMEDOUT;
		seen = now;
		if (poll(ends, 2, step) > 0)
			return ends[0].revents ? 0 : -ECANCELED;
	}
	return -ETIME;
}
