// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of hugetlb, of which zdtm.py reserves 20: private ones that a child shares until
 * someone writes, shared ones, and a memfd's. They keep their contents, and their size.
 */
#include "pram.h"

const char *test_doc = "Pages of hugetlb keep contents and size";
const char *test_author = "The PRAM authors";

#define LEN (2 * PRAM_HUGE)

enum { PRIVATE, SHARED, MEMFD, AREAS };
static const char *const names[AREAS] = {"private", "shared", "memfd"};
static char *area[AREAS];

static int check(int changed)
{
	int i, ret = 0;

	for (i = 0; i < AREAS; i++) {
		ret |= pram_check(area[i], LEN / 2, i, names[i]);
		ret |= pram_check(area[i] + LEN / 2, LEN / 2,
				  i == changed ? 100 : i + LEN / 16 * PRAM_STEP, names[i]);
	}
	return ret;
}

static int check_size(const char *when)
{
	static const char *const fields[AREAS] = {
		"Private_Hugetlb:", "Shared_Hugetlb:", "Shared_Hugetlb:"};
	int i, ret = 0;

	for (i = 0; i < AREAS; i++) {
		if (pram_smaps(area[i], LEN, "KernelPageSize:") != PRAM_HUGE / 1024)
			ret |= pram_fail("%s, %s: pages of %ld KiB", when, names[i],
					 pram_smaps(area[i], LEN, "KernelPageSize:"));
		if (pram_smaps(area[i], LEN, "Shared_Hugetlb:") +
			    pram_smaps(area[i], LEN, "Private_Hugetlb:") !=
		    LEN / 1024)
			ret |= pram_fail("%s, %s: not all of it is there", when, names[i]);
		test_msg("%s, %s: %ld KiB %s\n", when, names[i],
			 pram_smaps(area[i], LEN, fields[i]), fields[i]);
	}
	return ret;
}

int main(int argc, char **argv)
{
	int i, fd, ret = 0;
	task_waiter_t ready;
	pid_t child;

	test_init(argc, argv);

	fd = memfd_create("hugetlb", MFD_HUGETLB);
	if (fd < 0 || ftruncate(fd, LEN)) {
		pr_perror("cannot make a memfd of hugetlb");
		return 1;
	}
	for (i = 0; i < AREAS; i++) {
		area[i] = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			       i == PRIVATE ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB :
			       i == SHARED  ? MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB :
					      MAP_SHARED,
			       i == MEMFD ? fd : -1, 0);
		if (area[i] == MAP_FAILED) {
			pr_perror(
				"cannot map hugetlb, %s: are there 20 pages in /proc/sys/vm/nr_hugepages?",
				names[i]);
			return 1;
		}
		pram_fill(area[i], LEN, i);
	}
	task_waiter_init(&ready);
	child = test_fork();
	if (child < 0) {
		pr_perror("fork");
		return 1;
	}
	if (!child) {
		/* The second page becomes the child's own. */
		pram_fill(area[PRIVATE] + LEN / 2, LEN / 2, 100);
		task_waiter_complete(&ready, 1);
		test_waitsig();
		ret |= check(PRIVATE);
		pram_fill(area[SHARED] + LEN / 2, LEN / 2, 100);
		return ret;
	}
	task_waiter_wait4(&ready, 1);
	if (check_size("before the dump"))
		return 1;

	test_daemon();
	test_waitsig();

	/* Shared pages get into page tables only when they are touched. */
	ret |= check(-1);
	ret |= check_size("after the restore");
	ret |= pram_reap(child);
	ret |= check(SHARED);
	if (ret)
		return 1;
	pass();
	return 0;
}
