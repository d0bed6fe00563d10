// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared memory that nodes have, seen from outside: what is taken over and what is
 * copied; that a node never changes, whoever writes to the file, and that he finds
 * what he has written; what a load puts into files.
 *
 *	shmem [CASE]...
 *	shmem save FILE
 *	shmem load FILE [spoil]
 *	shmem hold MIB READY RESULT
 *
 * Runs these cases, or all but those that need swap space ("swapped") or that leave
 * little memory outside of the scratch areas ("scratch"), each in a process of its own.
 * "save" leaves nodes of all kinds of shared memory to be loaded after a kexec, and their
 * frames in FILE; "load" loads them, and expects the very same. With "spoil" it writes to all of it and dies before the end,
 * so that another one can try.
 *
 * "hold" is to be checkpointed: it has shared memory, a memfd of MIB and some more, and
 * writes its pid to READY. On SIGUSR1 it looks at all of it, on SIGUSR2 it writes
 * something else to each byte; then "PASS" or what is wrong is in RESULT, and in
 * RESULT.frames: the pages that have the same frames as in the beginning, all pages, and
 * those that were in the scratch areas then.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shmem.h"
#include "tell.h"

#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* --- a process that is checkpointed --- */

static void hold(size_t mib, const char *ready, const char *result)
{
	static const enum sort sorts[] = { ANON, MEMFD, SYSV, HUGE_MEMFD };
	struct object objs[4];
	uint64_t *pfns[4], seed = 1;
	size_t scratch = 0, all = 0;
	char path[256], line[64];
	bool told = false;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (size_t i = 0; i < 4; i++) {
		size_t nr = sorts[i] == MEMFD ? mib * 256 : 4096;

		objs[i] = any_object(sorts[i], nr, seed);
		pfns[i] = calloc(nr, sizeof(**pfns));
		object_frames(&objs[i], pfns[i]);
		/* What has no descriptor has none when it is dumped, either. */
		if (sorts[i] == ANON || sorts[i] == SYSV) {
			close(objs[i].fd);
			objs[i].fd = -1;
		}
		all += nr;
		for (size_t page = 0; page < nr; page++)
			scratch += in_scratch(pfns[i][page]);
	}
	for (;;) {
		size_t same = 0;

		/* The first time it says that it is ready. */
		if (told)
			tell(result, nr_failed ? "FAIL" : "PASS");
		else
			tell_pid(ready);
		told = true;
		sigwait(&set, &sig);
		if (sig == SIGUSR2)
			seed++;
		for (size_t i = 0; i < 4; i++) {
			struct object *obj = &objs[i];

			if (sig == SIGUSR2)
				fill(obj->mem, obj->nr, seed);
			expect(object_filled(obj, seed));
			same += object_same(obj, pfns[i]);
			/* And by the mapping that it writes by. */
			expect(filled(obj->mem, obj->nr, seed));
		}
		snprintf(path, sizeof(path), "%s.frames", result);
		snprintf(line, sizeof(line), "%zu %zu %zu", same, all, scratch);
		tell(path, line);
	}
}

static const struct probe_case cases[] = {
	{ "sorts", case_sorts, false },
	{ "twice", case_twice, false },
	{ "ranges", case_ranges, false },
	{ "errors", case_errors, false },
	{ "asked", case_asked, false },
	{ "partial", case_partial, false },
	{ "pinned", case_pinned, false },
	{ "writers", case_writers, false },
	{ "edges", case_edges, false },
	{ "sealed", case_sealed, false },
	{ "load", case_load, false },
	{ "occupied", case_occupied, false },
	{ "race", case_race, false },
	{ "swapped", case_swapped, true },
	{ "scratch", case_scratch, true },
};

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "hold")) {
		write_text(SHMEM_ENABLED, "advise");
		hold(strtoul(argv[2], NULL, 0), argv[3], argv[4]);
	}
	dev_open();
	/* For memfds, where madvise() says so. */
	write_text(SHMEM_ENABLED, "advise");
	if (argc == 3 && !strcmp(argv[1], "save")) {
		save_all(argv[2]);
		return probe_result();
	}
	if (argc >= 3 && !strcmp(argv[1], "load")) {
		load_all(argv[2], argc == 4);
		return probe_result();
	}
	run_cases(cases, sizeof(cases) / sizeof(*cases), argv + 1);
	return probe_result();
}
