// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program to be checkpointed, with memory that KSM merges.
 *
 *	merged MIB READY RESULT
 *
 * All its pages have the same contents. It writes its pid to READY; on SIGUSR1 it looks at
 * each byte and writes "PASS" or "FAIL" to RESULT.
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tell.h"

int main(int argc, char **argv)
{
	const size_t bytes = argc == 4 ? strtoul(argv[1], NULL, 10) << 20 : 0;
	char *memory;
	sigset_t set;
	int sig;

	if (!bytes)
		errx(2, "usage: merged MIB READY RESULT");
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || madvise(memory, bytes, MADV_NOHUGEPAGE) ||
	    madvise(memory, bytes, MADV_MERGEABLE))
		err(1, "memory");
	memset(memory, 'm', bytes);

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	tell_pid(argv[2]);
	for (;;) {
		sigwait(&set, &sig);
		tell(argv[3], *memory == 'm' && !memcmp(memory, memory + 1, bytes - 1) ? "PASS" : "FAIL");
	}
}
