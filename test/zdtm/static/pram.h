/* SPDX-License-Identifier: GPL-2.0-only */
/* What PRAM's own tests have in common: patterns, areas of memory, /proc/self/smaps. */
#ifndef PRAM_ZDTM_H
#define PRAM_ZDTM_H

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "zdtmtst.h"

#define MiB	  (1UL << 20)
#define GiB	  (1UL << 30)
#define PRAM_HUGE (2 * MiB)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* fail() tells errno, which means nothing where two values differ. */
#define pram_fail(fmt, arg...)    \
	({                        \
		errno = 0;        \
		fail(fmt, ##arg); \
	})

/*
 * Every word of an area differs from all others of it, and costs one addition: these
 * tests run on an emulated processor as well.
 */
#define PRAM_STEP 0x9e3779b97f4a7c15UL

static inline void pram_fill(void *area, size_t len, uint64_t seed)
{
	uint64_t *word = area, *end = word + len / sizeof(*word);

	for (; word < end; word++)
		*word = seed += PRAM_STEP;
}

static inline int pram_check(const void *area, size_t len, uint64_t seed, const char *what)
{
	const uint64_t *word = area, *end = word + len / sizeof(*word);

	for (; word < end; word++) {
		seed += PRAM_STEP;
		if (*word != seed)
			return pram_fail("%s: the word at %#zx is %#lx, not %#lx", what,
					 (size_t)((char *)word - (char *)area), (long)*word,
					 (long)seed);
	}
	return 0;
}

static inline int pram_check_zero(const void *area, size_t len, const char *what)
{
	const uint64_t *word = area, *end = word + len / sizeof(*word);

	for (; word < end; word++)
		if (*word)
			return pram_fail("%s: the word at %#zx is %#lx, not 0", what,
					 (size_t)((char *)word - (char *)area), (long)*word);
	return 0;
}

/*
 * Private anonymous memory with an inaccessible page before and after it, so that its
 * mapping is never merged with another one, and smaps tells of it alone.
 */
static inline void *pram_area(size_t len, size_t align, int flags)
{
	size_t total = len + align + 2 * PAGE_SIZE;
	uintptr_t start;
	char *map;

	map = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED) {
		pr_perror("cannot map %zu bytes", total);
		exit(1);
	}
	start = ((uintptr_t)map + PAGE_SIZE + align - 1) & ~(uintptr_t)(align - 1);
	if (mmap((void *)start, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags, -1, 0) == MAP_FAILED) {
		pr_perror("cannot map %zu bytes at %#lx", len, (long)start);
		exit(1);
	}
	return (void *)start;
}

/* Anonymous memory that forked tasks share. */
static inline void *pram_shared(size_t len)
{
	void *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED) {
		pr_perror("cannot map %zu bytes", len);
		exit(1);
	}
	return map;
}

/* The sum, in KiB, of a field ("Rss:") of all mappings in [area, area + len). */
static inline long pram_smaps(const void *area, size_t len, const char *field)
{
	unsigned long from = (unsigned long)area, to = from + len, start, end;
	long sum = 0, value;
	int inside = 0, found = 0;
	char line[512];
	FILE *smaps;

	smaps = fopen("/proc/self/smaps", "r");
	if (!smaps) {
		pr_perror("cannot open /proc/self/smaps");
		exit(1);
	}
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2 &&
		    strchr("-r", line[strcspn(line, " ") + 1]))
			inside = start < to && end > from;
		else if (inside && !strncmp(line, field, strlen(field)) &&
			 sscanf(line + strlen(field), "%ld", &value) == 1) {
			sum += value;
			found = 1;
		}
	}
	fclose(smaps);
	if (!found) {
		pr_err("no %s of %p in /proc/self/smaps\n", field, area);
		exit(1);
	}
	return sum;
}

/* Whether smaps names a flag ("lo") for the mapping at area. */
static inline int pram_vmflag(const void *area, const char *flag)
{
	unsigned long at = (unsigned long)area, start, end;
	int inside = 0, found = 0;
	char line[512];
	FILE *smaps;

	smaps = fopen("/proc/self/smaps", "r");
	if (!smaps) {
		pr_perror("cannot open /proc/self/smaps");
		exit(1);
	}
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start <= at && at < end;
		else if (inside && !strncmp(line, "VmFlags:", 8))
			found = strstr(line, flag) != NULL;
	}
	fclose(smaps);
	return found;
}

/*
 * Plain images keep what memory contains, but not whether it is in huge pages, nor
 * which tasks of a family share it. The test's hook leaves this file if there were
 * plain images. If it does not, everything is demanded.
 */
static inline int pram_plain_images(const char *test)
{
	char name[64];

	ssprintf(name, "%s.plain.test", test);
	if (access(name, F_OK))
		return 0;
	test_msg("restored from plain images: only contents are demanded\n");
	return 1;
}

/* Ends a child that waits for a signal; what it found is its exit status. */
static inline int pram_reap(pid_t pid)
{
	int status;

	if (kill(pid, SIGTERM) || waitpid(pid, &status, 0) != pid)
		return fail("cannot end the child %d", pid);
	if (status)
		return pram_fail("the child %d ended with the status %#x", pid, status);
	return 0;
}

#endif
