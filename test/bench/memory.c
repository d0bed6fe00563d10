// SPDX-License-Identifier: GPL-2.0-only
/*
 * What make bench checkpoints, and how it looks at the guest's memory meanwhile.
 *
 *	memory hold small|huge MIB TASKS READY RESULT
 *
 * holds MIB of private anonymous memory, in pages of 4 KiB or in transparent huge
 * pages, with something else in each page: in itself if TASKS is 1, else in each of
 * so many children. It writes its pid to READY. On SIGUSR1 it verifies all of it and
 * writes to RESULT "PASS" and how many KiB are in huge pages, or what is wrong.
 *
 *	memory available
 *
 * prints how many KiB are available to programs: MemAvailable of /proc/meminfo, and
 * the free pages that processors keep for themselves, which MemAvailable leaves out
 * and which come to some 100 MiB at times.
 *
 *	memory sample OUT
 *
 * looks at that every 20 ms. On SIGTERM it writes to OUT the lowest value, and how
 * many seconds of CPU that has taken itself.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

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

static void fill(bool huge)
{
	uint64_t *start;

	/* With room to align it to a huge page; what is left over is never touched. */
	start = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED)
		err(1, "cannot map %zu bytes", bytes);
	memory = (uint64_t *)(((uintptr_t)start + HUGE - 1) & ~(HUGE - 1));
	/* For the whole task, as CRIU restores this before memory, but madvise() after. */
	if (!huge && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		err(1, "cannot do without huge pages");
	for (size_t word = 0; word < bytes / sizeof(*memory); word += STEP)
		memory[word] = pattern(word);
}

static bool verify(void)
{
	for (size_t word = 0; word < bytes / sizeof(*memory); word += STEP)
		if (memory[word] != pattern(word))
			return false;
	return true;
}

static unsigned long huge_kib(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "re");
	unsigned long kib = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "AnonHugePages: %lu", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
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

/* ---- tasks ------------------------------------------------------------- */

/* What a task answers its parent. */
struct answer {
	bool		right;
	unsigned long	huge_kib;
};

static void wait_for(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	while (sigwaitinfo(&set, NULL) != sig)
		;
}

static void answer(int fd)
{
	const struct answer a = { verify(), huge_kib() };

	if (write(fd, &a, sizeof(a)) != sizeof(a))
		err(1, "cannot answer");
}

static void child(bool huge, int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fill(huge);
	for (;;) {
		answer(fd);
		wait_for(SIGUSR1);
	}
}

/* The answers of all; ours without asking if there are no children. */
static struct answer collect(const int *fds, unsigned int nr)
{
	struct answer all = { true, 0 };

	if (nr == 1)
		return (struct answer){ verify(), huge_kib() };
	for (unsigned int i = 0; i < nr; i++) {
		struct answer a;

		if (read(fds[0], &a, sizeof(a)) != sizeof(a))
			err(1, "a task does not answer");
		all.right &= a.right;
		all.huge_kib += a.huge_kib;
	}
	return all;
}

static int hold(char **argv)
{
	const bool huge = !strcmp(argv[0], "huge");
	const unsigned int nr = atoi(argv[2]);
	struct answer all;
	sigset_t set;
	pid_t *pids;
	int fds[2];

	bytes = strtoul(argv[1], NULL, 10) * MIB;
	pids = calloc(nr, sizeof(*pids));
	if (!bytes || !nr || !pids)
		errx(2, "nothing to hold");
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (pipe2(fds, O_CLOEXEC))
		err(1, "cannot create a pipe");
	if (nr == 1)
		fill(huge);
	for (unsigned int i = 0; nr > 1 && i < nr; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			err(1, "cannot fork");
		if (!pids[i])
			child(huge, fds[1]);
	}
	all = collect(fds, nr);
	write_file(argv[3], "%d %lu\n", getpid(), all.huge_kib);
	for (;;) {
		wait_for(SIGUSR1);
		for (unsigned int i = 0; nr > 1 && i < nr; i++)
			kill(pids[i], SIGUSR1);
		all = collect(fds, nr);
		write_file(argv[4], all.right ? "PASS %lu\n" : "memory has changed (%lu)\n",
			   all.huge_kib);
	}
}

/* ---- looking at memory ------------------------------------------------- */

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	stop = sig;
}

static double cpu_seconds(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return r.ru_utime.tv_sec + r.ru_stime.tv_sec +
	       (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
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
	write_file(argv[0], "%lu %.3f\n", lowest, cpu_seconds());
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 7 && !strcmp(argv[1], "hold"))
		return hold(argv + 2);
	if (argc == 3 && !strcmp(argv[1], "sample"))
		return sample(argv + 2);
	if (argc == 2 && !strcmp(argv[1], "available"))
		return printf("%lu\n", available_kib()) < 0;
	errx(2, "usage: see the source");
}
