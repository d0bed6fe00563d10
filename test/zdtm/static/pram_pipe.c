// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of a task that also wait in pipes, since they were put there without a copy
 * (vmsplice, tee), and pages that two names in one address space show (mremap of shared
 * memory): both sides keep what they have.
 */
#include <sys/uio.h>

#include "pram.h"

const char *test_doc = "Pages that pipes have as well";
const char *test_author = "The PRAM authors";

#define LEN (8 * PAGE_SIZE)

static int check_page(int fd, uint64_t seed, const char *what)
{
	uint64_t words[512];

	if (read(fd, words, sizeof(words)) != sizeof(words))
		return fail("%s: a page cannot be read", what);
	return pram_check(words, sizeof(words), seed, what);
}

static int check_pipe(int fd, const char *what)
{
	size_t at;

	for (at = 0; at < LEN; at += PAGE_SIZE)
		if (check_page(fd, 1 + at / 8 * PRAM_STEP, what))
			return 1;
	return 0;
}

static int check_empty(int fd, const char *what)
{
	char byte;

	if (read(fd, &byte, 1) != -1 || errno != EAGAIN)
		return pram_fail("%s: there is more in it", what);
	return 0;
}

int main(int argc, char **argv)
{
	int fds[2], copy[2], given[2], ret = 0;
	char *area, *gift, *huge, *shared, *other;
	struct iovec iov;

	test_init(argc, argv);

	if (pipe2(fds, O_NONBLOCK) || pipe2(copy, O_NONBLOCK) || pipe2(given, O_NONBLOCK)) {
		pr_perror("pipe2");
		return 1;
	}
	area = pram_area(LEN, PAGE_SIZE, 0);
	pram_fill(area, LEN, 1);
	iov.iov_base = area;
	iov.iov_len = LEN;
	if (vmsplice(fds[1], &iov, 1, 0) != LEN || tee(fds[0], copy[1], LEN, 0) != LEN) {
		pr_perror("vmsplice, tee");
		return 1;
	}
	/* Pages that are the pipe's alone, since the task has unmapped them. */
	gift = pram_area(LEN, PAGE_SIZE, 0);
	pram_fill(gift, LEN, 1);
	iov.iov_base = gift;
	if (vmsplice(given[1], &iov, 1, SPLICE_F_GIFT) != LEN || munmap(gift, LEN)) {
		pr_perror("vmsplice, munmap");
		return 1;
	}
	/* Of a huge page, the pipe has a part. */
	huge = pram_area(PRAM_HUGE, PRAM_HUGE, 0);
	madvise(huge, PRAM_HUGE, MADV_HUGEPAGE);
	pram_fill(huge, PRAM_HUGE, 2);
	iov.iov_base = huge + PRAM_HUGE / 2;
	iov.iov_len = PAGE_SIZE;
	if (vmsplice(copy[1], &iov, 1, 0) != PAGE_SIZE) {
		pr_perror("vmsplice");
		return 1;
	}
	shared = pram_shared(LEN);
	pram_fill(shared, LEN, 3);
	other = mremap(shared, 0, LEN, MREMAP_MAYMOVE);
	if (other == MAP_FAILED) {
		pr_perror("mremap");
		return 1;
	}

	test_daemon();
	test_waitsig();

	ret |= check_pipe(fds[0], "a pipe") | check_empty(fds[0], "a pipe");
	ret |= check_pipe(given[0], "a pipe with unmapped pages") |
	       check_empty(given[0], "a pipe with unmapped pages");
	ret |= check_pipe(copy[0], "a copied pipe");
	ret |= check_page(copy[0], 2 + PRAM_HUGE / 16 * PRAM_STEP,
			  "a part of a huge page in a pipe");
	ret |= check_empty(copy[0], "a copied pipe");
	ret |= pram_check(area, LEN, 1, "memory that a pipe had");
	ret |= pram_check(huge, PRAM_HUGE, 2, "a huge page of which a pipe had a part");
	pram_fill(huge, PRAM_HUGE, 4);
	ret |= pram_check(area, LEN, 1, "memory beside a huge page that was written");
	ret |= pram_check(huge, PRAM_HUGE, 4, "a huge page, written again");
	ret |= pram_check(other, LEN, 3, "the other name of shared memory");
	pram_fill(shared, LEN, 5);
	ret |= pram_check(other, LEN, 5, "shared memory, written by another name");
	if (ret)
		return 1;
	pass();
	return 0;
}
