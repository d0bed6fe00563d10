// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared anonymous memory in a family: the parent writes it, one child may only read
 * it, another one has only a part of it, at another address. One area is known to the
 * children alone. What one writes after the restore the others see.
 */
#include "pram.h"

const char *test_doc = "Shared anonymous memory in a family with different mappings of it";
const char *test_author = "The PRAM authors";

#define LEN    (8 * MiB)
#define PART   (2 * MiB)
#define HOLE   (64 * 1024) /* at the end of each part; nobody touches it */
#define FILLED (PART - HOLE)

static const char *const parts[] = {"the first part", "the second part", "the third part",
				    "the last part"};

static int check_part(const char *part, int nr, uint64_t seed)
{
	return pram_check(part, FILLED, seed, parts[nr]) |
	       pram_check_zero(part + FILLED, HOLE, parts[nr]);
}

static int only_reads(const char *area)
{
	int fds[2], nr, ret = 0;

	/* The kernel would write there, if it could. */
	if (pipe2(fds, O_NONBLOCK) || write(fds[1], "", 1) != 1)
		return fail("pipe");
	if (read(fds[0], (void *)area, 1) != -1 || errno != EFAULT)
		ret |= pram_fail("memory to be read can be written");
	for (nr = 0; nr < 3; nr++)
		ret |= check_part(area + nr * PART, nr, nr == 1 ? 101 : nr);
	return ret;
}

int main(int argc, char **argv)
{
	char *area, *theirs, *moved;
	task_waiter_t ready;
	pid_t reader, mover;
	int nr, ret = 0;

	test_init(argc, argv);

	area = pram_shared(LEN);
	theirs = pram_shared(PART);
	for (nr = 0; nr < ARRAY_SIZE(parts); nr++)
		pram_fill(area + nr * PART, FILLED, nr);
	pram_fill(theirs, FILLED, 50);

	task_waiter_init(&ready);
	reader = test_fork();
	if (reader < 0) {
		pr_perror("fork");
		return 1;
	}
	if (!reader) {
		if (mprotect(area, LEN, PROT_READ)) {
			pr_perror("mprotect");
			return 1;
		}
		task_waiter_complete(&ready, 1);
		test_waitsig();
		ret = only_reads(area);
		/* The other child has written this one before it ended. */
		ret |= check_part(theirs, 0, 151);
		return ret;
	}
	mover = test_fork();
	if (mover < 0) {
		pr_perror("fork");
		return 1;
	}
	if (!mover) {
		moved = pram_area(PART, PART, 0);
		if (mremap(area + 3 * PART, PART, PART, MREMAP_MAYMOVE | MREMAP_FIXED, moved) !=
			    moved ||
		    munmap(area, 3 * PART)) {
			pr_perror("cannot move a part");
			return 1;
		}
		task_waiter_complete(&ready, 2);
		test_waitsig();
		ret = check_part(moved, 3, 3);
		pram_fill(moved, FILLED, 103);
		ret |= check_part(theirs, 0, 50);
		pram_fill(theirs, FILLED, 151);
		return ret;
	}
	if (munmap(theirs, PART)) {
		pr_perror("munmap");
		return 1;
	}
	task_waiter_wait4(&ready, 1);
	task_waiter_wait4(&ready, 2);

	test_daemon();
	test_waitsig();

	for (nr = 0; nr < ARRAY_SIZE(parts); nr++)
		ret |= check_part(area + nr * PART, nr, nr);
	pram_fill(area + PART, FILLED, 101);
	ret |= pram_reap(mover);
	ret |= pram_reap(reader);
	ret |= check_part(area + 3 * PART, 3, 103);
	if (ret)
		return 1;
	pass();
	return 0;
}
