// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds: one with two mappings, shared by fork, with a hole; a sealed one that has
 * private copies of some pages, and that pram_memfd01 reads through a shared mapping as
 * well; and a large one with few pages.
 */
#include <sys/stat.h>

#include "pram.h"

const char *test_doc = "Memfds that are mapped twice, shared, sealed, or sparse";
const char *test_author = "The PRAM authors";

#define PAGES 64
#define LEN   (PAGES * PAGE_SIZE)
#define ODD   (LEN - 1000) /* the size of the sealed one */
#define LARGE (2 * GiB)
#ifndef SEALED_MAP
#define SEALED_MAP MAP_PRIVATE
#endif
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static const size_t islands[] = {0, 4 * MiB, GiB - 4096, GiB, LARGE - 4096};

static void *map(int fd, size_t len, size_t offset, int prot, int flags)
{
	void *at = mmap(NULL, len, prot, flags, fd, offset);

	if (at == MAP_FAILED) {
		pr_perror("cannot map %zu bytes of the memfd %d", len, fd);
		exit(1);
	}
	return at;
}

static int memfd(const char *name, unsigned int flags, size_t size)
{
	int fd = memfd_create(name, flags);

	if (fd < 0 || ftruncate(fd, size)) {
		pr_perror("cannot make the memfd %s", name);
		exit(1);
	}
	return fd;
}

static int check_private(const char *private)
{
	int page, ret = 0;
	char what[64];

	for (page = 0; page < PAGES - 1; page++) {
		ssprintf(what, "page %d of a private mapping", page);
		ret |= pram_check(private + page * PAGE_SIZE, PAGE_SIZE,
				  page % 3 ? 3000 + page : 4000 + page, what);
	}
	return ret;
}

static int check_sealed(int fd, const char *sealed)
{
	struct stat st;
	int page, ret = 0;
	char what[64];

	if (fcntl(fd, F_GET_SEALS) != SEALS)
		ret |= pram_fail("the seals are %#x, not %#x", fcntl(fd, F_GET_SEALS), SEALS);
	if (fstat(fd, &st) || st.st_size != ODD)
		ret |= pram_fail("the sealed memfd has %ld bytes, not %u", (long)st.st_size, ODD);
	if (pwrite(fd, "", 1, 0) != -1 || errno != EPERM)
		ret |= fail("the sealed memfd can be written");
	if (ftruncate(fd, LEN) != -1 || errno != EPERM)
		ret |= fail("the sealed memfd can grow");
	for (page = 0; page < PAGES - 1; page++) {
		ssprintf(what, "page %d of the sealed memfd", page);
		ret |= pram_check(sealed + page * PAGE_SIZE, PAGE_SIZE, 3000 + page, what);
	}
	return ret;
}

int main(int argc, char **argv)
{
	char *whole, *middle, *sealed, *private;
	int fd, again, sealed_fd, large_fd, page, nr, ret = 0;
	uint64_t words[512];
	struct stat before, after;
	char what[64], path[64];
	pid_t child;

	test_init(argc, argv);

	fd = memfd("shared", 0, LEN);
	whole = map(fd, LEN, 0, PROT_READ | PROT_WRITE, MAP_SHARED);
	middle = map(fd, LEN / 2, LEN / 4, PROT_READ, MAP_SHARED);
	pram_fill(whole, LEN * 3 / 4, 1);
	if (lseek(fd, 12345, SEEK_SET) != 12345) {
		pr_perror("lseek");
		return 1;
	}

	sealed_fd = memfd("sealed", MFD_ALLOW_SEALING, ODD);
	for (page = 0; page < PAGES; page++) {
		pram_fill(words, PAGE_SIZE, 3000 + page);
		if (pwrite(sealed_fd, words, page == PAGES - 1 ? PAGE_SIZE - 1000 : PAGE_SIZE,
			   page * PAGE_SIZE) < 0) {
			pr_perror("cannot write the memfd");
			return 1;
		}
	}
	if (fcntl(sealed_fd, F_ADD_SEALS, SEALS)) {
		pr_perror("F_ADD_SEALS");
		return 1;
	}
	sealed = map(sealed_fd, LEN, 0, PROT_READ, SEALED_MAP);
	private = map(sealed_fd, LEN, 0, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	for (page = 0; page < PAGES - 1; page += 3)
		pram_fill(private + page * PAGE_SIZE, PAGE_SIZE, 4000 + page);

	large_fd = memfd("large", MFD_CLOEXEC, LARGE);
	for (nr = 0; nr < ARRAY_SIZE(islands); nr++) {
		pram_fill(words, PAGE_SIZE, 5000 + nr);
		if (pwrite(large_fd, words, PAGE_SIZE, islands[nr]) != PAGE_SIZE) {
			pr_perror("cannot write the large memfd");
			return 1;
		}
	}
	ssprintf(path, "/proc/self/fd/%d", large_fd);
	again = open(path, O_RDONLY);
	if (again < 0 || fstat(large_fd, &before)) {
		pr_perror("cannot open the large memfd again");
		return 1;
	}

	child = test_fork();
	if (child < 0) {
		pr_perror("fork");
		return 1;
	}
	if (!child) {
		test_waitsig();
		/* The parent wrote the first quarter, the second one is as before. */
		ret |= pram_check(whole, LEN / 4, 2, "what the parent wrote");
		ret |= pram_check(middle, LEN / 4, 1 + LEN / 4 / 8 * PRAM_STEP,
				  "the second quarter");
		ret |= check_sealed(sealed_fd, sealed);
		ret |= check_private(private);
		/* The parent has moved the offset, which is ours as well. */
		if (lseek(fd, 0, SEEK_CUR) != 777)
			ret |= pram_fail("the offset is %ld", (long)lseek(fd, 0, SEEK_CUR));
		pram_fill(whole + LEN / 2, LEN / 4, 6);
		pram_fill(private, PAGE_SIZE, 7);
		return ret;
	}

	test_daemon();
	test_waitsig();

	ret |= pram_check(whole, LEN * 3 / 4, 1, "a memfd");
	ret |= pram_check_zero(whole + LEN * 3 / 4, LEN / 4, "a hole of a memfd");
	ret |= pram_check(middle, LEN / 2, 1 + LEN / 4 / 8 * PRAM_STEP, "its second mapping");
	if (lseek(fd, 0, SEEK_CUR) != 12345)
		ret |= pram_fail("the offset is %ld", (long)lseek(fd, 0, SEEK_CUR));
	ret |= check_sealed(sealed_fd, sealed);
	ret |= check_private(private);
	if (fstat(large_fd, &after) || after.st_size != before.st_size)
		ret |= fail("the large memfd has %ld bytes", (long)after.st_size);
	test_msg("the large memfd: %ld KiB are there, %ld before\n", (long)after.st_blocks / 2,
		 (long)before.st_blocks / 2);
	if (after.st_blocks > before.st_blocks)
		ret |= pram_fail("%ld KiB of the large memfd are there, %ld before",
				 (long)after.st_blocks / 2, (long)before.st_blocks / 2);
	for (nr = 0; nr < ARRAY_SIZE(islands); nr++) {
		ssprintf(what, "the page at %#zx of the large memfd", islands[nr]);
		if (pread(again, words, PAGE_SIZE, islands[nr]) != PAGE_SIZE)
			ret |= fail("%s cannot be read", what);
		ret |= pram_check(words, PAGE_SIZE, 5000 + nr, what);
	}
	if (write(again, "", 1) != -1 || errno != EBADF)
		ret |= fail("what was opened to be read can be written");

	pram_fill(whole, LEN / 4, 2);
	lseek(fd, 777, SEEK_SET);
	ret |= pram_reap(child);
	ret |= pram_check(whole + LEN / 2, LEN / 4, 6, "what the child wrote");
	ret |= pram_check(middle + LEN / 4, LEN / 4, 6,
			  "what the child wrote, in the second mapping");
	ret |= check_private(private);
	if (ret)
		return 1;
	pass();
	return 0;
}
