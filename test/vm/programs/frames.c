// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page frames of a task, or of a node.
 *
 *	frames save PID FILE
 *	frames compare PID FILE
 *	frames longest NODE
 *
 * "save" writes address and frame of each anonymous page of a task to FILE and
 * prints their number, and how many there are in KHO's scratch areas, which it
 * leaves out: those have to be moved; "compare" prints how many of those in FILE are still, or
 * again, where they were, and the number of those in FILE; all others go to stderr.
 * "longest" prints where the longest piece of a node of pages is that is in one piece in
 * memory: its address, and its length in bytes.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe.h"

/* Of a file, or shared memory: not the task's own. */
#define PM_FILE		(1ULL << 61)

struct place {
	uint64_t	addr;
	uint64_t	pfn;
};

static int do_save(pid_t pid, const char *path)
{
	FILE *file = fopen(path, "we"), *maps;
	char line[512];
	size_t all = 0, scratch = 0;

	snprintf(line, sizeof(line), "/proc/%d/maps", pid);
	maps = fopen(line, "re");
	if (!file || !maps)
		err(1, "cannot open %s or %s", path, line);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		uint64_t *entries;
		size_t nr;

		if (sscanf(line, "%lx-%lx ", &start, &end) != 2)
			errx(1, "what is this: %s", line);
		if (strstr(line, "[vsyscall]") || strstr(line, "[vvar"))
			continue;
		nr = (end - start) / PAGE;
		entries = calloc(nr, sizeof(*entries));
		if (!entries)
			err(1, "no memory");
		pagemap(pid, (void *)start, nr, entries);
		for (size_t i = 0; i < nr; i++) {
			struct place place = { start + i * PAGE, entries[i] & PM_FRAME };

			if (!(entries[i] & PM_PRESENT) || entries[i] & PM_FILE)
				continue;
			if (in_scratch(place.pfn)) {
				scratch++;
				continue;
			}
			if (fwrite(&place, sizeof(place), 1, file) != 1)
				err(1, "cannot write %s", path);
			all++;
		}
		free(entries);
	}
	fclose(maps);
	if (fclose(file))
		err(1, "cannot write %s", path);
	printf("%zu %zu\n", all, scratch);
	return 0;
}

static int do_compare(pid_t pid, const char *path)
{
	static struct place places[4096];
	size_t same = 0, all = 0, n;
	FILE *file = fopen(path, "re");

	if (!file)
		err(1, "cannot open %s", path);
	while ((n = fread(places, sizeof(*places), 4096, file)) > 0) {
		/* Neighbours are looked up together. */
		for (size_t i = 0, run; i < n; i += run) {
			uint64_t entries[4096];

			for (run = 1; i + run < n; run++)
				if (places[i + run].addr != places[i].addr + run * PAGE)
					break;
			pagemap(pid, (void *)places[i].addr, run, entries);
			for (size_t j = 0; j < run; j++) {
				if (entries[j] & PM_PRESENT &&
				    (entries[j] & PM_FRAME) == places[i + j].pfn)
					same++;
				else
					fprintf(stderr, "%#llx: frame %#llx, was %#llx\n",
						(unsigned long long)places[i + j].addr,
						(unsigned long long)entries[j],
						(unsigned long long)places[i + j].pfn);
			}
		}
		all += n;
	}
	fclose(file);
	printf("%zu %zu\n", same, all);
	return 0;
}

/* A node that is only looked at stays as it is, and its pages can be mapped here. */
static int do_longest(const char *name)
{
	size_t nr, first = 0, best = 0, most = 0;
	uint64_t *pfns;
	struct stat st;
	void *mem;
	long mapped;
	int stream;

	dev_open();
	stream = load_pages(name, PRAM_LOAD_PEEK | PRAM_LOAD_MAP);
	if (fstat(stream, &st) || !st.st_size)
		errx(1, "%s: it has no pages", name);
	nr = st.st_size / PAGE;
	pfns = calloc(nr, sizeof(*pfns));
	if (!pfns)
		err(1, "no memory");
	mem = address_space(nr, SMALL);
	mapped = counter("pages_mapped");
	if (map_range(stream, mem, 0, nr, NULL) || counter("pages_mapped") - mapped != (long)nr)
		errx(1, "%s: not all of its pages can be mapped", name);
	frames(0, mem, nr, pfns);
	for (size_t i = 0; i < nr; i++) {
		if (i && pfns[i] != pfns[i - 1] + 1)
			first = i;
		if (i - first + 1 > most) {
			most = i - first + 1;
			best = first;
		}
	}
	printf("%#llx %zu\n", (unsigned long long)pfns[best] * PAGE, most * PAGE);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "save"))
		return do_save(strtol(argv[2], NULL, 10), argv[3]);
	if (argc == 4 && !strcmp(argv[1], "compare"))
		return do_compare(strtol(argv[2], NULL, 10), argv[3]);
	if (argc == 3 && !strcmp(argv[1], "longest"))
		return do_longest(argv[2]);
	errx(2, "usage: frames save|compare PID FILE, or frames longest NODE");
}
