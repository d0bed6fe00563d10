// SPDX-License-Identifier: GPL-2.0-only
/*
 * What make bench checkpoints, what that costs, and how it looks at the guest's memory.
 *
 *	memory hold KIND MIB READY RESULT
 *
 * holds MIB of private anonymous memory with something else in each page. KIND is "4k", in
 * pages of 4 KiB; "scattered", the same, but each second frame was given to other memory
 * that has gone; or else in the folios that /sys/kernel/mm/transparent_hugepage
 * says; if it begins with "shared", of shared anonymous memory. It writes to READY its pid
 * and how many runs of neighbouring frames the memory is in. On SIGUSR1 it verifies all of
 * it and writes to RESULT "PASS" and the runs, or what is wrong.
 *
 *	memory fork KIND MIB
 *
 * has such memory, and prints what fork() costs a task that has it, and fork() until the
 * child has exited: ticks of the time stamp counter, the fewest of some.
 *
 *	memory cost COMMAND...
 *	memory clock
 *	memory looks
 *
 * runs a command and prints what that costs (cost.h); prints ticks and instructions; prints
 * how often profile-report has looked at what counts.c counts.
 *
 *	memory evacuate
 *
 * has the kernel move memory out of scratch areas, as a dump does before it stops the tasks.
 *
 *	memory available
 *	memory sample OUT
 *
 * prints how many KiB are available to programs: MemAvailable of /proc/meminfo, and
 * the free pages that processors keep for themselves, which MemAvailable leaves out
 * and which come to some 100 MiB at times. Or looks at that every 20 ms, and on SIGTERM
 * writes the lowest value to OUT.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <linux/pram.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "cost.h"

#define MIB		(1024UL * 1024)
#define PAGE		4096UL
#define HUGE		(2 * MIB)
/* Words of a page that are written: eight, one in each eighth. */
#define STEP		(PAGE / 8 / sizeof(uint64_t))

static uint64_t *memory;
static size_t bytes;

static uint64_t pattern(size_t word)
{
	return (word + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)getpid() << 48;
}

/* Aligned to a huge page; what is left over is never touched. */
static uint64_t *map(void)
{
	char *start = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED)
		err(1, "cannot map %zu bytes", bytes);
	return (uint64_t *)(((uintptr_t)start + HUGE - 1) & ~(HUGE - 1));
}

/* As map(), of memory that is in the page cache. */
static uint64_t *map_shared(void)
{
	void *start = mmap(map(), bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
			   -1, 0);

	if (start == MAP_FAILED)
		err(1, "cannot map %zu bytes of shared memory", bytes);
	return start;
}

static void fill(void)
{
	for (size_t word = 0; word < bytes / sizeof(*memory); word += STEP)
		memory[word] = pattern(word);
}

static void make(const char *kind, const char *mib)
{
	const bool scattered = !strcmp(kind, "scattered");
	char *other;

	bytes = strtoul(mib, NULL, 10) * MIB;
	if (!bytes)
		errx(2, "nothing to hold");
	/* For the whole task, as CRIU restores this before memory, but madvise() after. */
	if ((scattered || !strcmp(kind, "4k")) && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		err(1, "cannot do without huge pages");
	memory = strncmp(kind, "shared", strlen("shared")) ? map() : map_shared();
	if (scattered) {
		other = (char *)map();
		for (size_t at = 0; at < bytes; at += PAGE) {
			*((volatile char *)memory + at) = 1;
			*(volatile char *)(other + at) = 1;
		}
		if (munmap(other, bytes))
			err(1, "cannot unmap");
	}
	fill();
}

static bool verify(void)
{
	for (size_t word = 0; word < bytes / sizeof(*memory); word += STEP)
		if (memory[word] != pattern(word))
			return false;
	return true;
}

static unsigned long frame_runs(void)
{
	const uint64_t frame = (UINT64_C(1) << 55) - 1;
	unsigned long runs = 0;
	uint64_t entries[256], last = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		err(1, "cannot open /proc/self/pagemap");
	for (size_t page = 0; page < bytes / PAGE; page += 256) {
		const off_t at = ((uintptr_t)memory / PAGE + page) * sizeof(uint64_t);

		if (pread(fd, entries, sizeof(entries), at) != sizeof(entries))
			err(1, "cannot read /proc/self/pagemap");
		for (int i = 0; i < 256; i++) {
			/* The allocator may as well hand them out from the last to the first. */
			runs += (entries[i] & frame) + 1 != last && (entries[i] & frame) != last + 1;
			last = entries[i] & frame;
		}
	}
	close(fd);
	return runs;
}

__attribute__((format(printf, 2, 3)))
static void write_file(const char *path, const char *format, ...)
{
	char tmp[4096];
	va_list args;
	FILE *file;

	snprintf(tmp, sizeof(tmp), "%s.new", path);
	file = fopen(tmp, "we");
	va_start(args, format);
	if (!file || vfprintf(file, format, args) < 0 || fclose(file) || rename(tmp, path))
		err(1, "cannot write %s", path);
	va_end(args);
}

static void wait_for(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	while (sigwaitinfo(&set, NULL) != sig)
		;
}

static void hold(char **argv)
{
	sigset_t set;
	bool good;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	make(argv[0], argv[1]);
	write_file(argv[2], "%d %lu\n", getpid(), frame_runs());
	for (;;) {
		wait_for(SIGUSR1);
		/* Before its frames: shared memory has none in a page table that was not looked at. */
		good = verify();
		write_file(argv[3], good ? "PASS %lu\n" : "memory has changed (%lu)\n", frame_runs());
	}
}

static uint64_t fork_ticks(bool exited)
{
	const uint64_t start = __rdtsc();
	const pid_t pid = fork();
	uint64_t ticks;

	if (pid < 0)
		err(1, "cannot fork");
	if (!pid)
		_exit(0);
	ticks = __rdtsc() - start;
	if (waitpid(pid, NULL, 0) != pid)
		err(1, "cannot wait");
	return exited ? __rdtsc() - start : ticks;
}

static int measure_fork(char **argv)
{
	uint64_t best[2] = { UINT64_MAX, UINT64_MAX }, ticks;

	make(argv[0], argv[1]);
	for (int i = 0; i < 6; i++) {
		/* What a child has had is not the task's alone before it is written to. */
		fill();
		ticks = fork_ticks(i % 2);
		if (ticks < best[i % 2])
			best[i % 2] = ticks;
	}
	return printf("%lu %lu\n", (unsigned long)best[0], (unsigned long)best[1]) < 0;
}

static int cost(char **argv)
{
	extern char **environ;
	struct cost cost;
	int status, ret;
	pid_t pid;

	cost_begin(&cost);
	ret = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (ret)
		errx(1, "cannot run %s: %s", argv[0], strerror(ret));
	if (waitpid(pid, &status, 0) != pid || status)
		errx(1, "%s has failed", argv[0]);
	cost_end(&cost, stdout);
	return 0;
}

static int show_clock(void)
{
	return printf("%lu %lu\n", (unsigned long)__rdtsc(), (unsigned long)cost_instructions()) < 0;
}

/* ---- looking at memory ------------------------------------------------- */

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	stop = sig;
}

/* All of a file in /proc, for the caller to read before the next call. */
static const char *read_file(const char *path)
{
	static char text[256 * 1024];
	size_t used = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		err(1, "cannot open %s", path);
	while ((n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += n;
	if (n < 0)
		err(1, "cannot read %s", path);
	close(fd);
	text[used] = '\0';
	return text;
}

static unsigned long available_kib(void)
{
	const char *at = strstr(read_file("/proc/meminfo"), "MemAvailable:");
	unsigned long kib;

	if (!at || sscanf(at, "MemAvailable: %lu", &kib) != 1)
		errx(1, "/proc/meminfo has no MemAvailable");
	/* Each zone has a "count: PAGES" for each processor. */
	at = read_file("/proc/zoneinfo");
	while ((at = strstr(at, " count:"))) {
		at += strlen(" count:");
		kib += strtoul(at, NULL, 10) * (PAGE / 1024);
	}
	return kib;
}

static int sample(char **argv)
{
	unsigned long lowest = ~0UL, kib;

	signal(SIGTERM, on_term);
	do {
		kib = available_kib();
		if (kib < lowest)
			lowest = kib;
		usleep(20 * 1000);
	} while (!stop);
	write_file(argv[0], "%lu\n", lowest);
	return 0;
}

static int evacuate(void)
{
	struct pram_ioctl_save save = {
		.size = sizeof(save),
		.type = PRAM_BYTE_STREAM,
		.flags = PRAM_SAVE_EVACUATE,
		.name = "evacuate",
	};
	int dev = open("/dev/pram", O_RDWR);

	if (dev < 0 || ioctl(dev, PRAM_IOCTL_SAVE, &save))
		err(1, "cannot have memory moved out of scratch areas");
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (argc == 6 && !strcmp(verb, "hold"))
		hold(argv + 2);
	if (argc == 4 && !strcmp(verb, "fork"))
		return measure_fork(argv + 2);
	if (argc > 2 && !strcmp(verb, "cost"))
		return cost(argv + 2);
	if (argc == 2 && !strcmp(verb, "looks"))
		return printf("%lu\n", (unsigned long)cost_read(COUNTS_LOOKS, 0)) < 0;
	if (argc == 2 && !strcmp(verb, "clock"))
		return show_clock();
	if (argc == 2 && !strcmp(verb, "evacuate"))
		return evacuate();
	if (argc == 3 && !strcmp(verb, "sample"))
		return sample(argv + 2);
	if (argc == 2 && !strcmp(verb, "available"))
		return printf("%lu\n", available_kib()) < 0;
	errx(2, "usage: see the source");
}
