// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file that is mapped privately: the pages that were written stay as they are, the
 * others are still the file's, and the file never sees a write. A child shares the
 * written pages and writes some of them. A shared mapping beside it writes through.
 */
#include "pram.h"

const char *test_doc = "Private file mappings keep what was written to them, and only that";
const char *test_author = "The PRAM authors";

#define FILE_NAME "pram_filemap.test"
#define PAGES	  96 /* the last one has only a half in the file */
#define LEN	  (PAGES * PAGE_SIZE)
#define FILE_LEN  (LEN - PAGE_SIZE / 2)
#define SHARED	  90 /* the page that the shared mapping has */

enum { WRITTEN, READ, NEVER, IN_CHILD, KINDS };
enum { OF_FILE = 1, OF_PARENT, OF_CHILD, OF_SHARED, LATER };

static char *map;

static uint64_t seed_of(int whose, int page)
{
	return (uint64_t)whose << 32 | page;
}

/* Whose words are in a page of the mapping. */
static int check_map(int child, int file_has)
{
	int page, ret = 0, whose;
	char what[64];
	size_t len;

	for (page = 0; page < PAGES; page++) {
		whose = page == SHARED ? OF_SHARED : file_has;
		len = page == PAGES - 1 ? PAGE_SIZE / 2 : PAGE_SIZE;
		if (page % KINDS == WRITTEN)
			whose = OF_PARENT;
		else if (page % KINDS == IN_CHILD && child)
			whose = OF_CHILD;
		ssprintf(what, "page %d of the %s mapping", page, child ? "child's" : "parent's");
		ret |= pram_check(map + page * PAGE_SIZE, len, seed_of(whose, page), what);
	}
	return ret;
}

static int check_file(int fd)
{
	uint64_t words[512];
	int page, ret = 0;
	char what[32];
	ssize_t len;

	for (page = 0; page < PAGES; page++) {
		ssprintf(what, "page %d of the file", page);
		len = page == PAGES - 1 ? PAGE_SIZE / 2 : PAGE_SIZE;
		if (pread(fd, words, PAGE_SIZE, page * PAGE_SIZE) != len)
			return fail("%s cannot be read", what);
		ret |= pram_check(words, len, seed_of(page == SHARED ? OF_SHARED : OF_FILE, page),
				  what);
	}
	return ret;
}

static int write_file(int fd, int whose)
{
	uint64_t words[512];
	ssize_t len;
	int page;

	for (page = 0; page < PAGES; page++) {
		if (page == SHARED)
			continue;
		len = page == PAGES - 1 ? PAGE_SIZE / 2 : PAGE_SIZE;
		pram_fill(words, PAGE_SIZE, seed_of(whose, page));
		if (pwrite(fd, words, len, page * PAGE_SIZE) != len) {
			pr_perror("cannot write %s", FILE_NAME);
			return 1;
		}
	}
	return 0;
}

static void write_map(int kind, int whose)
{
	int page;

	for (page = kind; page < PAGES; page += KINDS)
		pram_fill(map + page * PAGE_SIZE, PAGE_SIZE, seed_of(whose, page));
}

int main(int argc, char **argv)
{
	long anon, anon_before;
	int fd, page, ret = 0;
	task_waiter_t ready;
	char *shared;
	pid_t child;

	test_init(argc, argv);

	fd = open(FILE_NAME, O_RDWR | O_CREAT | O_EXCL, 0644);
	if (fd < 0) {
		pr_perror("cannot make %s", FILE_NAME);
		return 1;
	}
	shared = pram_area(PAGE_SIZE, PAGE_SIZE, 0);
	map = pram_area(LEN, PAGE_SIZE, 0);
	if (ftruncate(fd, FILE_LEN) || write_file(fd, OF_FILE) ||
	    mmap(shared, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 SHARED * PAGE_SIZE) == MAP_FAILED ||
	    mmap(map, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
		pr_perror("cannot map %s", FILE_NAME);
		return 1;
	}
	pram_fill(shared, PAGE_SIZE, seed_of(OF_SHARED, SHARED));
	write_map(WRITTEN, OF_PARENT);
	for (page = READ; page < PAGES; page += KINDS)
		(void)*(volatile char *)(map + page * PAGE_SIZE);

	task_waiter_init(&ready);
	child = test_fork();
	if (child < 0) {
		pr_perror("fork");
		return 1;
	}
	if (!child) {
		write_map(IN_CHILD, OF_CHILD);
		task_waiter_complete(&ready, 1);
		test_waitsig();
		return check_map(1, LATER);
	}
	task_waiter_wait4(&ready, 1);
	anon_before = pram_smaps(map, LEN, "Anonymous:");
	if (anon_before * 1024 != LEN / KINDS) {
		pr_err("%ld KiB are the mapping's own, not %u\n", anon_before, LEN / KINDS / 1024);
		return 1;
	}

	test_daemon();
	test_waitsig();

	anon = pram_smaps(map, LEN, "Anonymous:");
	if (anon != anon_before)
		ret |= pram_fail("%ld KiB are the mapping's own, %ld were", anon, anon_before);
	ret |= check_file(fd);
	ret |= check_map(0, OF_FILE);
	ret |= pram_check(shared, PAGE_SIZE, seed_of(OF_SHARED, SHARED), "the shared mapping");
	/* What the file gets now is seen through every page that was not written. */
	ret |= write_file(fd, LATER);
	ret |= check_map(0, LATER);
	ret |= pram_reap(child);
	if (unlink(FILE_NAME))
		ret |= fail("cannot remove %s", FILE_NAME);
	if (ret)
		return 1;
	pass();
	return 0;
}
