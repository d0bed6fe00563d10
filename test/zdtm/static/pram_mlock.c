// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locked memory stays locked, as much of it as before, and no other: private, shared,
 * locked by mmap, by mlock, and by mlock2 page by page as they are touched. A child
 * has the same memory, not locked, and shares its pages.
 */
#include "pram.h"

const char *test_doc = "Locked memory stays locked, other memory does not become so";
const char *test_author = "The PRAM authors";

#define LEN (1 * MiB)

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

enum { LOCKED, MAPPED, SHARED, UNLOCKED, ON_FAULT, AREAS };
static const char *const names[AREAS] = {
	"memory that was locked",	  "memory that was mapped locked", "shared memory, locked",
	"memory that was unlocked again", "memory locked if touched",
};
static char *area[AREAS];

static long locked(void)
{
	char line[256];
	long kib = -1;
	FILE *status;

	status = fopen("/proc/self/status", "r");
	if (!status) {
		pr_perror("cannot open /proc/self/status");
		exit(1);
	}
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "VmLck: %ld", &kib) == 1)
			break;
	fclose(status);
	return kib;
}

static int check_locked(const char *when)
{
	int i, ret = 0;

	for (i = 0; i < AREAS; i++) {
		test_msg("%s, %s: %ld KiB are there, %slocked%s\n", when, names[i],
			 pram_smaps(area[i], LEN, "Rss:"),
			 pram_vmflag(area[i], " lo") ? "" : "not ",
			 pram_vmflag(area[i], " lf") ? " on fault" : "");
		if (pram_vmflag(area[i], " lo") != (i != UNLOCKED))
			ret |= pram_fail("%s, %s: it is %slocked", when, names[i],
					 i == UNLOCKED ? "" : "not ");
		if (pram_vmflag(area[i], " lf") != (i == ON_FAULT))
			ret |= pram_fail("%s, %s: locked %s fault", when, names[i],
					 i == ON_FAULT ? "at once, not on" : "on");
		/* It is locked by being there. */
		if (pram_smaps(area[i], LEN, "Rss:") != (i == ON_FAULT ? LEN / 4 : LEN) / 1024)
			ret |= pram_fail("%s, %s: %ld KiB are there", when, names[i],
					 pram_smaps(area[i], LEN, "Rss:"));
	}
	return ret;
}

static int check_contents(void)
{
	int i, ret = 0;

	for (i = 0; i < AREAS; i++) {
		ret |= pram_check(area[i], LEN / 4, i, names[i]);
		if (i == ON_FAULT)
			continue;
		ret |= pram_check(area[i] + LEN / 4, LEN / 4 * 3, i + LEN / 4 / 8 * PRAM_STEP,
				  names[i]);
	}
	return ret;
}

int main(int argc, char **argv)
{
	long before, after;
	int i, ret = 0;
	pid_t child;

	test_init(argc, argv);

	for (i = 0; i < AREAS; i++) {
		area[i] = pram_area(LEN, PAGE_SIZE, i == MAPPED ? MAP_LOCKED : 0);
		if (i == SHARED &&
		    mmap(area[i], LEN, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
			pr_perror("mmap");
			return 1;
		}
		if (i == ON_FAULT && mlock2(area[i], LEN, MLOCK_ONFAULT)) {
			pr_perror("mlock2");
			return 1;
		}
		pram_fill(area[i], i == ON_FAULT ? LEN / 4 : LEN, i);
		if (i != MAPPED && i != ON_FAULT && mlock(area[i], LEN)) {
			pr_perror("mlock");
			return 1;
		}
		if (i == UNLOCKED && munlock(area[i], LEN)) {
			pr_perror("munlock");
			return 1;
		}
	}
	child = test_fork();
	if (child < 0) {
		pr_perror("fork");
		return 1;
	}
	if (!child) {
		test_waitsig();
		if (locked() != 0)
			ret |= pram_fail("%ld KiB of the child are locked", locked());
		return ret | check_contents();
	}
	before = locked();
	if (check_locked("before the dump"))
		return 1;

	test_daemon();
	test_waitsig();

	after = locked();
	if (after != before)
		ret |= pram_fail("%ld KiB are locked, %ld were", after, before);
	ret |= check_locked("after the restore");
	ret |= check_contents();
	ret |= pram_reap(child);
	for (i = 0; i < AREAS; i++) {
		if (munlock(area[i], LEN))
			ret |= fail("%s cannot be unlocked", names[i]);
		pram_fill(area[i], LEN, 100 + i);
		ret |= pram_check(area[i], LEN, 100 + i, names[i]);
	}
	if (locked() != 0)
		ret |= pram_fail("%ld KiB are locked for ever", locked());
	if (ret)
		return 1;
	pass();
	return 0;
}
