// SPDX-License-Identifier: GPL-2.0-only
/* adopt: memory of each kind: what is copied instead of taken over, and why */
#include <err.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "adopt.h"

static bool all_merged(void *mem, size_t nr)
{
	uint64_t *pfns = calloc(nr, sizeof(*pfns));
	bool all = true;

	frames(0, mem, nr, pfns);
	for (size_t i = 0; i < nr; i++)
		all &= pfns[i] && page_flags(pfns[i]) >> KPF_KSM & 1;
	free(pfns);
	return all;
}

void case_ksm(void)
{
	const size_t nr = 16;
	char *mem = memory(2 * nr, SMALL, 1);
	bool merged;

	fill(mem + nr * PAGE, nr, 1);
	if (madvise(mem, 2 * nr * PAGE, MADV_MERGEABLE))
		err(1, "MADV_MERGEABLE");
	write_text("/sys/kernel/mm/ksm/pages_to_scan", "1000");
	write_text("/sys/kernel/mm/ksm/sleep_millisecs", "10");
	write_text("/sys/kernel/mm/ksm/run", "1");
	for (int i = 0; !(merged = all_merged(mem, 2 * nr)) && i < 2400; i++)
		usleep(50000);
	write_text("/sys/kernel/mm/ksm/run", "0");
	expect(merged);
	take(mem, 2 * nr, 0, { "ksm", 2 * nr });
	save(NODE, mem, nr);
	fill(mem, nr, 2);
	expect(node_filled(NODE, nr, 1) && filled(mem + nr * PAGE, nr, 1));
	node_free(NODE);
	write_text("/sys/kernel/mm/ksm/run", "2");
}

/* Of a file of a file system that is not tmpfs: /ramfs is the script's. */
void case_file(void)
{
	const size_t nr = 16;
	int fd = make_file("/ramfs", nr, 1);
	char *mem = map_file(fd, nr, MAP_PRIVATE);

	expect(filled(mem, nr, 1));
	take(mem, nr, 0, { "file", nr });
	/* What was written to is the task's own. */
	fill(mem, 4, 2);
	take(mem, nr, 0, { "adopted", 4 }, { "file", nr - 4 });
	mem = map_file(fd, nr, MAP_SHARED);
	take(mem, nr, 0, { "file", nr });

	save(NODE, mem, nr);
	fill(mem, nr, 3);
	expect(node_filled(NODE, nr, 1));
	node_free(NODE);
}

void case_shmem(void)
{
	const size_t nr = 16;
	int fd = memfd_create("shared", MFD_CLOEXEC);
	char *mem, *private;
	struct other other;

	if (ftruncate(fd, nr * PAGE))
		err(1, "ftruncate");
	mem = map_file(fd, nr, MAP_SHARED);
	fill(mem, nr, 1);
	take(mem, nr, 0, { "shmem", nr });
	private = map_file(fd, nr, MAP_PRIVATE);
	expect(filled(private, nr, 1));
	take(private, nr, 0, { "shmem", nr });
	fill(private, nr, 2);
	take(private, nr, nr, { "adopted", nr });

	/* Another process writes to it, by its mapping and by the file. */
	other = other_start();
	save(NODE, mem, nr);
	other_do(&other, DO_FILL, mem, nr, 3);
	expect(filled(mem, nr, 3));
	expect(node_filled(NODE, nr, 1));
	if (pwrite(fd, private, nr * PAGE, 0) != (ssize_t)(nr * PAGE))
		err(1, "pwrite");
	expect(node_filled(NODE, nr, 1));
	other_end(&other);
	node_free(NODE);

	mem = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fill(mem, nr, 4);
	take(mem, nr, 0, { "shmem", nr });
}

void case_hugetlb(void)
{
	struct counters before;
	struct uring uring;
	int stream, file;
	char *mem;

	write_text("/proc/sys/vm/nr_hugepages", "1");
	mem = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (mem == MAP_FAILED)
		err(1, "no page of hugetlb");
	fill(mem, HUGE_PAGES, 1);
	/* Copied as what it is, one large page. */
	take(mem, HUGE_PAGES, 1, { "hugetlb", HUGE_PAGES });
	take(mem + 100 * PAGE, 300UL, 0, { "hugetlb", 300 });
	save(NODE, mem, HUGE_PAGES);
	fill(mem, HUGE_PAGES, 2);
	expect(node_filled(NODE, HUGE_PAGES, 1));
	node_free(NODE);

	/* It is not taken over, either, if a device may write to it. */
	uring = uring_start(mem, HUGE_PAGES);
	before = counters_now();
	stream = save_pages(NODE, PRAM_SAVE_FINAL);
	expect(!adopt_range(stream, self_pidfd(), mem, HUGE_PAGES));
	commit(stream);
	counted(&before, { "pinned", HUGE_PAGES });
	file = make_file("/ramfs", HUGE_PAGES, 3);
	expect(uring_read(&uring, file, mem, HUGE_PAGES) == (int)HUGE_SIZE);
	expect(filled(mem, HUGE_PAGES, 3));
	expect(node_filled(NODE, HUGE_PAGES, 2));
	node_free(NODE);
	close(uring.fd);
	close(file);
	munmap(mem, HUGE_SIZE);
	write_text("/proc/sys/vm/nr_hugepages", "0");
}

/* Memory that not even the kernel has mapped. */
void case_secret(void)
{
	int fd = syscall(SYS_memfd_secret, O_CLOEXEC), stream;
	struct pram_range ranges[2];
	uint64_t pages;
	char *mem;

	if (fd < 0 || ftruncate(fd, 4 * PAGE))
		err(1, "memfd_secret");
	mem = map_file(fd, 4, MAP_SHARED);
	fill(mem, 4, 1);
	stream = save_pages(NODE, 0);
	ranges[0] = (struct pram_range){ (uintptr_t)memory(4, SMALL, 2), 4 * PAGE };
	ranges[1] = (struct pram_range){ (uintptr_t)mem, 4 * PAGE };
	expect(adopt(stream, self_pidfd(), ranges, 2, &pages) == -EFAULT && pages == 4);
	commit(stream);
	expect(filled(mem, 4, 1));
	expect(node_filled(NODE, 4, 2));
	node_free(NODE);
	stream = save_pages(NODE, PRAM_SAVE_COPY);
	expect(adopt(stream, self_pidfd(), ranges + 1, 1, &pages) == -EFAULT && pages == 0);
	close(stream);
	close(fd);
}

void on_bus_error(int sig)
{
	(void)sig;
}

/* A page that the hardware has damaged: it is not even read. */
void case_poisoned(void)
{
	char *mem = memory(8, SMALL, 1);
	int stream;

	signal(SIGBUS, on_bus_error);
	if (madvise(mem + 5 * PAGE, PAGE, MADV_HWPOISON))
		err(1, "MADV_HWPOISON");
	stream = save_pages(NODE, 0);
	expect(adopt_range(stream, self_pidfd(), mem, 8) == -EHWPOISON);
	expect(lseek(stream, 0, SEEK_END) == 5 * (off_t)PAGE);
	commit(stream);
	expect(node_filled(NODE, 5, 1));
	node_free(NODE);

	/* Damaged when the node has it already: that is not committed. */
	mem = memory(8, SMALL, 1);
	stream = save_pages(NODE, 0);
	append(stream, mem, 8);
	if (madvise(mem + 5 * PAGE, PAGE, MADV_HWPOISON))
		err(1, "MADV_HWPOISON");
	expect(pram_commit(dev, &stream, 1) == -EHWPOISON);
	close(stream);
}

void case_special(void)
{
	char *vdso = (char *)getauxval(AT_SYSINFO_EHDR);
	char *mem = address_space(4, SMALL), sum = 0;
	char *huge = address_space(2 * HUGE_PAGES, HUGE);

	take(vdso, 1UL, 0, { "special", 1 });

	/* The zero page, small and huge, and pages that were never touched. */
	for (size_t i = 0; i < 4; i++)
		sum |= *(volatile char *)(mem + i * PAGE);
	sum |= *(volatile char *)huge;
	expect(!sum);
	take(mem, 4UL, 0, { "special", 4 });
	take(huge, HUGE_PAGES, 0, { "special", HUGE_PAGES });
	take(huge + 100 * PAGE, HUGE_PAGES - 100, 0,
	     { "special", HUGE_PAGES - 100 });
	mem = address_space(4, SMALL);
	take(mem, 4UL, 0, { "special", 4 });
	save(NODE, mem, 4);
	fill(mem, 4, 1);
	expect(filled(mem, 4, 1));
	memset(mem, 0, 4 * PAGE);
	expect_node_is(NODE, mem, 4);
	node_free(NODE);
}

void case_aio(void)
{
	aio_context_t ctx = 0;
	char *ring;

	if (syscall(SYS_io_setup, 8, &ctx))
		err(1, "io_setup");
	ring = (char *)ctx;
	take(ring, 1UL, 0, { "file", 1 });
}

void case_pinned(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		size_t nr = FROM_TASK(kind);
		int file = make_file("/ramfs", nr, 2);
		char *mem = memory(nr, kind, 1);
		struct uring uring = uring_start(mem, nr);

		take(mem, nr, 0, { "pinned", nr });
		save(NODE, mem, nr);
		expect(uring_read(&uring, file, mem, nr) == (int)(nr * PAGE));
		expect(filled(mem, nr, 2));
		expect(node_filled(NODE, nr, 1));
		node_free(NODE);
		close(uring.fd);
		close(file);
	}
}

#define POOL	"/proc/sys/vm/nr_hugepages"

/*
 * With hardly anything free but the scratch areas, pages are taken from there: @inside
 * of them. POOL has the rest of memory then.
 */
static char *memory_in_scratch(size_t nr, uint64_t *pfns, size_t *inside)
{
	long spare, cma, reserved;
	char text[32], *mem = NULL;

	cma = field("/proc/meminfo", "CmaFree:");
	spare = field("/proc/meminfo", "MemFree:") - 2 * cma + 64 * 1024;
	/* Pages of hugetlb cost nothing to make. */
	snprintf(text, sizeof(text), "%ld", spare / 2048);
	write_text(POOL, text);
	reserved = read_number(POOL);
	if (reserved < spare / 2048 - 16)
		errx(1, "%ld pages of hugetlb only", reserved);

	*inside = 0;
	for (int chunk = 0; chunk < 20 && *inside < 16; chunk++) {
		mem = any_memory(nr, SMALL, 1);
		frames(0, mem, nr, pfns);
		*inside = 0;
		for (size_t i = 0; i < nr; i++)
			*inside += in_scratch(pfns[i]);
	}
	if (*inside < 16)
		errx(1, "only %zu of %zu pages are in the scratch areas, %ld kB of %ld are free there",
		     *inside, nr, field("/proc/meminfo", "CmaFree:"), cma);
	return mem;
}

/* What was @inside of scratch areas is in other frames now, which @pfns then has, and is what it was. */
static void expect_moved(const void *mem, size_t nr, uint64_t *pfns, size_t inside)
{
	expect(same_frames(0, mem, nr, pfns) == nr - inside);
	frames(0, mem, nr, pfns);
	for (size_t i = 0; i < nr; i++)
		expect(pfns[i] && !in_scratch(pfns[i]));
	expect(filled(mem, nr, 1));
}

/* Those have to be moved first. */
void case_scratch(void)
{
	const size_t nr = 2048;
	struct counters before;
	uint64_t *pfns = calloc(nr, sizeof(*pfns));
	size_t inside;
	char *mem = memory_in_scratch(nr, pfns, &inside);

	before = counters_now();
	save(NODE, mem, nr);
	counted(&before, { "adopted", nr }, { "migrated", inside });
	expect_moved(mem, nr, pfns, inside);
	fill(mem, nr, 2);
	expect(node_filled(NODE, nr, 1));
	node_free(NODE);
	write_text(POOL, "0");
	free(pfns);
}

/* What was moved before is taken over where it is. */
void case_evacuated(void)
{
	const size_t nr = 2048;
	struct counters before;
	uint64_t *pfns = calloc(nr, sizeof(*pfns));
	size_t inside;
	char *mem = memory_in_scratch(nr, pfns, &inside);
	long evacuated = counter("pages_evacuated");

	close(save_pages("first", PRAM_SAVE_EVACUATE));
	expect(counter("pages_evacuated") >= evacuated + (long)inside);
	expect_moved(mem, nr, pfns, inside);

	before = counters_now();
	save(NODE, mem, nr);
	counted(&before, { "adopted", nr });
	expect(same_frames(0, mem, nr, pfns) == nr);
	node_free(NODE);
	write_text(POOL, "0");
	free(pfns);
}

/* What may be taken before memory is short, in kB; swap space would count, too. */
static long left_kb(void)
{
	return field("/proc/meminfo", "MemAvailable:") - field("/proc/meminfo", "CmaFree:") -
	       field("/proc/meminfo", "MemTotal:") / 64;
}

/* A change of POOL, in pages of hugetlb. */
static void pool_by(long nr)
{
	long want = read_number(POOL) + nr;
	char text[32];

	snprintf(text, sizeof(text), "%ld", want);
	write_text(POOL, text);
	if (read_number(POOL) != want)
		errx(1, "there are %ld pages of hugetlb, not %ld; %ld kB are left", read_number(POOL),
		     want, left_kb());
}

/*
 * When memory is short, it stays in the scratch areas, or some of it does. The save is as
 * good as without.
 */
void case_evacuated_short(void)
{
	const size_t nr = 2048;
	struct counters before;
	uint64_t *pfns = calloc(nr, sizeof(*pfns));
	size_t inside;
	char *mem = memory_in_scratch(nr, pfns, &inside);
	long evacuated;

	while (left_kb() > 0)
		pool_by(1);
	evacuated = counter("pages_evacuated");
	close(save_pages("first", PRAM_SAVE_EVACUATE));
	expect(counter("pages_evacuated") == evacuated);
	expect(same_frames(0, mem, nr, pfns) == nr);
	expect(filled(mem, nr, 1));

	/* Enough for some of it. */
	pool_by(-3);
	close(save_pages("second", PRAM_SAVE_EVACUATE));
	expect(filled(mem, nr, 1));
	frames(0, mem, nr, pfns);
	inside = 0;
	for (size_t i = 0; i < nr; i++) {
		expect(pfns[i]);
		inside += in_scratch(pfns[i]);
	}

	before = counters_now();
	save(NODE, mem, nr);
	counted(&before, { "adopted", nr }, { "migrated", inside });
	expect_moved(mem, nr, pfns, inside);
	fill(mem, nr, 2);
	expect(node_filled(NODE, nr, 1));
	expect(filled(mem, nr, 2));
	node_free(NODE);
	write_text(POOL, "0");
	free(pfns);
}

/*
 * In memory that the next kernel does not have at boot, or that has to be able to leave:
 * moved elsewhere.
 */
void case_movable(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		size_t nr = FROM_TASK(kind);
		uint64_t *pfns = calloc(nr, sizeof(*pfns));
		char *mem = any_memory(nr, kind, 1);
		struct counters before = counters_now();

		frames(0, mem, nr, pfns);
		for (size_t i = 0; i < nr; i++)
			expect(in_movable(pfns[i]));
		save(NODE, mem, nr);
		counted(&before, { "adopted", nr }, { "migrated", nr });
		expect(!same_frames(0, mem, nr, pfns));
		frames(0, mem, nr, pfns);
		for (size_t i = 0; i < nr; i++)
			expect(pfns[i] && !in_movable(pfns[i]) && !in_scratch(pfns[i]));
		fill(mem, nr, 2);
		expect(node_filled(NODE, nr, 1));
		node_free(NODE);
		munmap(mem, nr * PAGE);
		free(pfns);
	}
}

/* Swapped out, and so not to be found where it was. /dev/ram0 is swap space. */
void case_swapped(void)
{
	const size_t nr = 64;
	char *mem = memory(nr, SMALL, 1);
	struct counters before;

	swap_out(mem, nr, nr);
	before = counters_now();
	save(NODE, mem, nr);
	counted(&before, { "adopted", nr });
	expect(node_filled(NODE, nr, 1));
	expect(filled(mem, nr, 1));
	fill(mem, nr, 2);
	expect(node_filled(NODE, nr, 1));
	node_free(NODE);
}

/* Swapped out again all the time, and so perhaps before it is found. */
static void *reclaim_main(void *arg)
{
	struct racer *racer = arg;

	while (!racer->stop)
		madvise((void *)racer->words, racer->nr * PAGE, MADV_PAGEOUT);
	return NULL;
}

void case_reclaimed(void)
{
	const size_t nr = 256;
	struct racer racer = { .nr = nr };
	pthread_t thread;

	racer.words = memory(nr, SMALL, 1);
	if (pthread_create(&thread, NULL, reclaim_main, &racer))
		errx(1, "pthread_create");
	for (int round = 0; round < 20; round++) {
		int stream = save_pages(NODE, 0);

		expect(adopt_range(stream, self_pidfd(), (void *)racer.words, nr) == 0);
		commit(stream);
		expect(node_filled(NODE, nr, 1));
		node_free(NODE);
	}
	racer.stop = true;
	pthread_join(thread, NULL);
}
