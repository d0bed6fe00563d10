// SPDX-License-Identifier: GPL-2.0-only
/* pramctl rm */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pramctl_harness.h"

static void test_rm(void **state)
{
	int fd = add_everything();

	(void)state;
	expect_prints("rm " NAME " shmem-1-home", "rm");
	expect_prints("rm --json /gone /damaged", "rm.json");
	expect_fails("rm " NAME, PRAMCTL_NOT_FOUND, "no checkpoint or node");
	expect_fails("rm /under/way", PRAMCTL_FAILED, "is being saved or loaded");
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_BROKEN), 1);

	expect_fails("rm --id 99", PRAMCTL_NOT_FOUND, "no node 99");
	expect_fails("rm --id 0", PRAMCTL_USAGE, "'0'");
	expect_fails("rm --id 6x", PRAMCTL_USAGE, "'6x'");
	expect_fails("rm --id 99999999999999999999", PRAMCTL_USAGE, "'9999");
	assert_int_equal(run("rm --id 6"), PRAMCTL_OK);
	assert_string_equal(last.out, "removed node 6\n");
	assert_int_equal(fake_pram_count(PRAM_NODE_BROKEN), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 1);
	close(fd);
}

static void test_rm_goes_on(void **state)
{
	(void)state;
	add_golden_checkpoint();
	assert_int_equal(run("rm /nowhere " NAME), PRAMCTL_NOT_FOUND);
	assert_non_null(strstr(last.err, "/nowhere"));
	assert_string_equal(last.out, "removed checkpoint " NAME " (3 nodes)\n");
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

static void test_rm_part_of_a_checkpoint(void **state)
{
	(void)state;
	add_golden_checkpoint();
	expect_fails("rm criu:" NAME ":pages-1.img", PRAMCTL_FAILED, "could not be restored");
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);
	assert_int_equal(run("rm criu:" NAME), PRAMCTL_OK);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

static void test_rm_all(void **state)
{
	int fd = add_everything();

	(void)state;
	/* Not what others keep their files in, unless that is said. */
	expect_fails("rm --all", PRAMCTL_FAILED, "--all would remove the file system pram=home\n");
	assert_non_null(strstr(last.err, "nothing was removed"));
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 6);
	assert_int_equal(run("rm --all --force"), PRAMCTL_FAILED);
	assert_string_equal(last.out, "removed 8 nodes\n");
	assert_non_null(strstr(last.err, "1 nodes are being saved or loaded"));
	close(fd);
	assert_int_equal(run("rm --all --json"), PRAMCTL_OK);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_BROKEN), 0);
}

/* Checkpoints whose directory is gone, and pages that nothing leads to. */
static void test_rm_orphans(void **state)
{
	char line[640];

	(void)state;
	add_golden_checkpoint();
	assert_int_equal(run(in_scratch("export " NAME " ", "a")), PRAMCTL_OK);
	snprintf(line, sizeof(line), "cp -r %s/a %s/b", scratch, scratch);
	assert_int_equal(system(line), 0);
	assert_int_equal(run(in_scratch("import ", "a")), PRAMCTL_OK);
	assert_int_equal(run(in_scratch("import ", "b")), PRAMCTL_OK);
	/* What may have to be mounted. */
	snprintf(line, sizeof(line), "mkdir %s/m && cp -r %s/b %s/m/x", scratch, scratch, scratch);
	assert_int_equal(system(line), 0);
	assert_int_equal(run(in_scratch("import ", "m/x")), PRAMCTL_OK);
	snprintf(line, sizeof(line), "rm -r %s/m/x", scratch);
	assert_int_equal(system(line), 0);
	snprintf(line, sizeof(line), "%s other-name", in_scratch("import ", "a"));
	assert_int_equal(run(line), PRAMCTL_OK);
	assert_int_equal(run("rm " NAME), PRAMCTL_OK);
	fake_pram_add("criu:/gone:pages-1.img", PRAM_PAGE_STREAM, 0, NULL, 0);
	fake_pram_add("criu:/gone:pages-2.img", PRAM_PAGE_STREAM, 0, NULL, 0);
	snprintf(line, sizeof(line), "rm -r %s/a", scratch);
	assert_int_equal(system(line), 0);

	elsewhere = true;
	expect_fails("rm --orphans", PRAMCTL_FAILED, "mount namespace");
	elsewhere = false;
	assert_int_equal(run("rm --orphans"), PRAMCTL_OK);
	assert_non_null(strstr(last.err, "/m/x: is kept"));
	assert_non_null(strstr(last.err, "not mounted"));
	snprintf(line, sizeof(line), "removed checkpoint %s/a (3 nodes)\n"
		 "removed checkpoint /gone (2 nodes)\n", scratch);
	assert_string_equal(last.out, line);
	/* Another name is no path, and what has its directory is needed. */
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 9);
	assert_int_equal(run("rm --orphans"), PRAMCTL_OK);
	assert_string_equal(last.out, "");
}

int test_pramctl_rm(void)
{
	const struct CMUnitTest tests[] = {
		pram_unit_test(test_rm),
		pram_unit_test(test_rm_goes_on),
		pram_unit_test(test_rm_part_of_a_checkpoint),
		pram_unit_test(test_rm_all),
		scratch_test(test_rm_orphans),
	};

	return cmocka_run_group_tests_name("pramctl rm", tests, NULL, NULL);
}
