// SPDX-License-Identifier: GPL-2.0-only
/* Thousands of mappings of a page or two, with different rights, of which some have no page. */
#include "pram.h"

const char *test_doc = "Thousands of mappings keep their rights and contents";
const char *test_author = "The PRAM authors";

#define GROUPS 1000 /* of pages: two to write, one to read, one without rights, one never touched */
#define GROUP  5
#define LEN    (GROUPS * GROUP * PAGE_SIZE)

static int count(const void *area)
{
	unsigned long start, end;
	int mappings = 0;
	char line[512];
	FILE *maps;

	maps = fopen("/proc/self/maps", "r");
	if (!maps) {
		pr_perror("cannot open /proc/self/maps");
		exit(1);
	}
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && start >= (unsigned long)area &&
		    end <= (unsigned long)area + LEN)
			mappings++;
	fclose(maps);
	return mappings;
}

int main(int argc, char **argv)
{
	int group, before, after, ret = 0, fds[2];
	char *area, *page, what[32];

	test_init(argc, argv);

	if (pipe2(fds, O_NONBLOCK)) {
		pr_perror("pipe");
		return 1;
	}
	area = pram_area(LEN, PAGE_SIZE, 0);
	for (group = 0; group < GROUPS; group++) {
		page = area + group * GROUP * PAGE_SIZE;
		pram_fill(page, 4 * PAGE_SIZE, (uint64_t)group << 32);
		if (mprotect(page + 2 * PAGE_SIZE, PAGE_SIZE, PROT_READ) ||
		    mprotect(page + 3 * PAGE_SIZE, PAGE_SIZE, PROT_NONE) ||
		    mprotect(page + 4 * PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_EXEC)) {
			pr_perror("mprotect");
			return 1;
		}
	}
	before = count(area);

	test_daemon();
	test_waitsig();

	after = count(area);
	test_msg("%d mappings, %d before\n", after, before);
	if (before != 4 * GROUPS || after != before)
		ret |= pram_fail("%d mappings, %d before", after, before);
	for (group = 0; group < GROUPS && !ret; group++) {
		page = area + group * GROUP * PAGE_SIZE;
		/* Of what the kernel may read or write for us it says so without a signal. */
		if (write(fds[1], page + 3 * PAGE_SIZE, 1) != -1 || errno != EFAULT)
			ret |= pram_fail("group %d: a page without rights can be read", group);
		if (write(fds[1], page, 1) != 1 || read(fds[0], page + 2 * PAGE_SIZE, 1) != -1 ||
		    errno != EFAULT)
			ret |= pram_fail("group %d: a page to be read can be written", group);
		if (read(fds[0], page, 1) != 1)
			ret |= fail("group %d: a page cannot be written", group);
		if (mprotect(page + 3 * PAGE_SIZE, PAGE_SIZE, PROT_READ))
			ret |= fail("group %d: mprotect", group);
		ssprintf(what, "group %d", group);
		ret |= pram_check(page, 4 * PAGE_SIZE, (uint64_t)group << 32, what);
		ret |= pram_check_zero(page + 4 * PAGE_SIZE, PAGE_SIZE, what);
	}
	if (ret)
		return 1;
	pass();
	return 0;
}
