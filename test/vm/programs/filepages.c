// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page frames of files, as of a tmpfs.
 *
 *	filepages save DIR LIST
 *	filepages compare DIR LIST
 *	filepages write DIR LIST
 *	filepages huge DIR
 *	filepages pageout DIR
 *	filepages poison FILE PAGE
 *	filepages lost FILE PAGE
 *	filepages share NODE OTHER PAGES
 *	filepages same NODE FILE
 *
 * "save" writes the frames of all files below DIR to LIST and prints their number,
 * and how many there are in KHO's scratch areas, which it leaves out: those have to
 * be moved. "compare" prints how many of those in LIST are still, or again, where
 * they were, and the number of those in LIST. "write" writes to each page, without
 * changing it, and then compares. "huge" prints how many pages are in folios of
 * 2 MiB, and how many kilobytes of the files can be mapped as such. "pageout" pushes
 * pages to the swap and prints how many are still in memory, and of how many. "poison" has
 * the memory of a page fail, while somebody else has a reference to it, so that a huge
 * folio stays one. "lost" fails unless that page of the file, and no other, cannot be read;
 * "lost FILE none" if there is any. "share" makes a node OTHER of the very frames that
 * a node of PRAM has, so many pages; "same" compares what a node has with a file.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probe.h"

/* Most of a file that is mapped at once. */
#define MAX_MAP		(256UL << 20)

/* Pages of a file that are in consecutive frames. */
struct run {
	uint64_t	file;
	uint64_t	first;
	uint64_t	pfn;
	uint64_t	nr;
};

static size_t all, same, scratch, huge;
static long huge_kb;
static struct run *runs;
static size_t nr_runs;

/* What is done with each mapped piece of a file. */
static void (*visit)(uint64_t file, uint64_t first, char *mem, size_t nr);

static uint64_t hash_path(const char *path)
{
	uint64_t h = 14695981039346656037ULL;

	for (; *path; path++)
		h = (h ^ (unsigned char)*path) * 1099511628211ULL;
	return h;
}

/* A part of a file, aligned in memory as it is in the file. */
static void map_part(int fd, uint64_t file, off_t start, size_t len)
{
	size_t lead = start % HUGE_SIZE;
	char *room, *at, *mem;

	room = mmap(NULL, len + lead + HUGE_SIZE, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		err(1, "no addresses");
	at = (char *)(((uintptr_t)room + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1)) + lead;
	mem = mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, start);
	if (mem == MAP_FAILED)
		err(1, "cannot map a file");
	visit(file, start / PAGE, mem, len / PAGE);
	munmap(room, len + lead + HUGE_SIZE);
}

static int each_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	off_t pos = 0, end;
	int fd;

	(void)ftw;
	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	fd = open(path, O_RDWR | O_NOATIME | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	while ((pos = lseek(fd, pos, SEEK_DATA)) >= 0) {
		end = lseek(fd, pos, SEEK_HOLE);
		if (end < 0)
			err(1, "%s: cannot find its data", path);
		end = (end + PAGE - 1) & ~(PAGE - 1);
		pos &= ~(PAGE - 1);
		if (end - pos > (off_t)MAX_MAP)
			end = pos + MAX_MAP - pos % MAX_MAP;
		map_part(fd, hash_path(path), pos, end - pos);
		pos = end;
	}
	close(fd);
	return 0;
}

static void each(const char *dir)
{
	if (nftw(dir, each_file, 64, FTW_PHYS))
		err(1, "%s", dir);
}

static uint64_t *frames_of(char *mem, size_t nr)
{
	uint64_t *pfns = calloc(nr, sizeof(*pfns));

	if (!pfns)
		err(1, "no memory");
	if (madvise(mem, nr * PAGE, MADV_POPULATE_READ))
		err(1, "cannot bring a file's pages in");
	frames(0, mem, nr, pfns);
	return pfns;
}

static void add(uint64_t file, uint64_t page, uint64_t pfn)
{
	struct run *last = nr_runs ? &runs[nr_runs - 1] : NULL;

	if (last && last->file == file && last->first + last->nr == page &&
	    last->pfn + last->nr == pfn) {
		last->nr++;
		return;
	}
	if (!(nr_runs & (nr_runs - 1))) {
		runs = realloc(runs, (nr_runs ? nr_runs * 2 : 1) * sizeof(*runs));
		if (!runs)
			err(1, "no memory");
	}
	runs[nr_runs++] = (struct run){ file, page, pfn, 1 };
}

static void visit_save(uint64_t file, uint64_t first, char *mem, size_t nr)
{
	uint64_t *pfns = frames_of(mem, nr);

	for (size_t i = 0; i < nr; i++) {
		if (!pfns[i])
			errx(1, "a page is not there");
		if (in_scratch(pfns[i])) {
			scratch++;
			continue;
		}
		add(file, first + i, pfns[i]);
		all++;
	}
	free(pfns);
}

static int by_place(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static void compare(uint64_t file, uint64_t first, const uint64_t *pfns, size_t nr)
{
	size_t low = 0, high = nr_runs;

	/* The first run that ends behind the first page. */
	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct run *r = &runs[mid];

		if (r->file < file || (r->file == file && r->first + r->nr <= first))
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < nr_runs && runs[low].file == file && runs[low].first < first + nr; low++) {
		for (uint64_t i = 0; i < runs[low].nr; i++) {
			uint64_t page = runs[low].first + i;

			if (page >= first && page < first + nr)
				same += pfns[page - first] == runs[low].pfn + i;
		}
	}
}

static void visit_compare(uint64_t file, uint64_t first, char *mem, size_t nr)
{
	uint64_t *pfns = frames_of(mem, nr);

	compare(file, first, pfns, nr);
	free(pfns);
}

static void visit_write(uint64_t file, uint64_t first, char *mem, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		volatile char *c = mem + i * PAGE;

		*c = *c;
	}
	visit_compare(file, first, mem, nr);
}

static void visit_huge(uint64_t file, uint64_t first, char *mem, size_t nr)
{
	uint64_t *pfns = frames_of(mem, nr);

	(void)file;
	for (size_t i = (HUGE_PAGES - first % HUGE_PAGES) % HUGE_PAGES; i + HUGE_PAGES <= nr;
	     i += HUGE_PAGES) {
		size_t j = 1;

		if (!(page_flags(pfns[i]) & (1 << KPF_COMPOUND_HEAD)))
			continue;
		while (j < HUGE_PAGES && pfns[i + j] == pfns[i] + j &&
		       page_flags(pfns[i + j]) & (1 << KPF_COMPOUND_TAIL))
			j++;
		if (j == HUGE_PAGES)
			huge += HUGE_PAGES;
	}
	huge_kb += smaps_field(0, mem, "ShmemPmdMapped:");
	free(pfns);
}

static void visit_pageout(uint64_t file, uint64_t first, char *mem, size_t nr)
{
	unsigned char *there = calloc(nr, 1);

	(void)file;
	(void)first;
	if (!there)
		err(1, "no memory");
	/* Only what is mapped can be asked for. */
	if (madvise(mem, nr * PAGE, MADV_POPULATE_READ))
		err(1, "cannot bring a file's pages in");
	if (madvise(mem, nr * PAGE, MADV_PAGEOUT))
		err(1, "MADV_PAGEOUT");
	if (mincore(mem, nr * PAGE, there))
		err(1, "mincore");
	for (size_t i = 0; i < nr; i++)
		same += there[i] & 1;
	all += nr;
	free(there);
}

static void ignore_error(int sig)
{
	(void)sig;
}

static void poison(const char *path, const char *page)
{
	/* The kernel kills who ignores this signal. */
	struct sigaction action = { .sa_handler = ignore_error };
	off_t at = strtoul(page, NULL, 0) * PAGE;
	int fd = open(path, O_RDWR | O_CLOEXEC), pipes[2];
	char *mem;

	if (fd < 0 || pipe(pipes) || sigaction(SIGBUS, &action, NULL))
		err(1, "%s", path);
	mem = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, at);
	if (mem == MAP_FAILED || madvise(mem, PAGE, MADV_POPULATE_READ))
		err(1, "%s: cannot be mapped", path);
	/* The pipe has a reference to the page. */
	if (splice(fd, &at, pipes[1], NULL, PAGE, 0) != (ssize_t)PAGE)
		err(1, "%s: splice", path);
	/* It cannot split the huge page, and is told so by one of two errors. */
	if (madvise(mem, PAGE, MADV_HWPOISON) && errno != EBUSY && errno != EHWPOISON)
		err(1, "%s: MADV_HWPOISON", path);
}

static void lost(const char *path, const char *page)
{
	size_t wanted = strcmp(page, "none") ? strtoul(page, NULL, 0) : SIZE_MAX;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[PAGE];
	bool found = false;
	ssize_t n;

	if (fd < 0)
		err(1, "%s", path);
	for (size_t at = 0; (n = pread(fd, buf, PAGE, at * PAGE)); at++) {
		if (n < 0 && errno != EIO)
			err(1, "%s: page %zu", path, at);
		if (n < 0 && at != wanted)
			errx(1, "%s: page %zu is lost", path, at);
		found = found || n < 0;
	}
	if (wanted != SIZE_MAX && !found)
		errx(1, "%s: page %zu can be read", path, wanted);
}

static void share(const char *node, const char *other, size_t nr)
{
	void *mem = address_space(nr, SMALL);
	int err;

	err = map_range(load_pages(node, PRAM_LOAD_PEEK | PRAM_LOAD_MAP), mem, 0, nr, NULL);
	if (err)
		errx(1, "%s: cannot be mapped: %s", node, strerror(-err));
	save(other, mem, nr);
}

static void same_as(const char *node, const char *path)
{
	int stream = load_pages(node, PRAM_LOAD_PEEK);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char a[PAGE], b[PAGE];
	off_t at = 0;
	ssize_t n;

	if (fd < 0)
		err(1, "%s", path);
	while ((n = pread(fd, a, PAGE, at)) > 0) {
		if (pread(stream, b, PAGE, at) < n || memcmp(a, b, n))
			errx(1, "%s is not like %s at %jd", node, path, (intmax_t)at);
		at += n;
	}
	if (n < 0 || !at)
		errx(1, "%s: nothing to compare with", path);
}

static void read_list(const char *path)
{
	FILE *file = fopen(path, "re");
	struct run r;

	if (!file)
		err(1, "%s", path);
	while (fread(&r, sizeof(r), 1, file) == 1) {
		if (!(nr_runs & (nr_runs - 1))) {
			runs = realloc(runs, (nr_runs ? nr_runs * 2 : 1) * sizeof(*runs));
			if (!runs)
				err(1, "no memory");
		}
		runs[nr_runs++] = r;
		all += r.nr;
	}
	fclose(file);
	qsort(runs, nr_runs, sizeof(*runs), by_place);
}

static void write_list(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file || fwrite(runs, sizeof(*runs), nr_runs, file) != nr_runs || fclose(file))
		err(1, "%s", path);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	if (argc == 4 && !strcmp(what, "save")) {
		visit = visit_save;
		each(argv[2]);
		write_list(argv[3]);
		printf("%zu %zu\n", all, scratch);
	} else if (argc == 4 && (!strcmp(what, "compare") || !strcmp(what, "write"))) {
		visit = *what == 'c' ? visit_compare : visit_write;
		read_list(argv[3]);
		each(argv[2]);
		printf("%zu %zu\n", same, all);
	} else if (argc == 3 && !strcmp(what, "huge")) {
		visit = visit_huge;
		each(argv[2]);
		printf("%zu %ld\n", huge, huge_kb);
	} else if (argc == 3 && !strcmp(what, "pageout")) {
		visit = visit_pageout;
		each(argv[2]);
		printf("%zu %zu\n", same, all);
	} else if (argc == 4 && !strcmp(what, "poison")) {
		poison(argv[2], argv[3]);
	} else if (argc == 4 && !strcmp(what, "lost")) {
		lost(argv[2], argv[3]);
	} else if (argc == 5 && !strcmp(what, "share")) {
		dev_open();
		share(argv[2], argv[3], strtoul(argv[4], NULL, 0));
		return probe_result();
	} else if (argc == 4 && !strcmp(what, "same")) {
		dev_open();
		same_as(argv[2], argv[3]);
	} else {
		errx(2, "usage: filepages save|compare|write DIR LIST, filepages huge|pageout DIR, "
		     "filepages poison|lost FILE PAGE, filepages share NODE OTHER PAGES, or "
		     "filepages same NODE FILE");
	}
	return 0;
}
