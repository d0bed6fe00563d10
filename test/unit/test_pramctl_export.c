// SPDX-License-Identifier: GPL-2.0-only
/* pramctl export, import */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pramctl_harness.h"

static void expect_file(const char *path, const char *text)
{
	char *is = test_read_file(in_scratch("", path), NULL);

	assert_string_equal(is, text);
	free(is);
}

static void expect_listing(const char *dir, const char *listing)
{
	char command[512], line[512] = "";
	FILE *file;

	snprintf(command, sizeof(command), "ls -A %s/%s 2>&1 | tr '\\n' ' '", scratch, dir);
	file = popen(command, "r");
	assert_non_null(file);
	assert_true(fgets(line, sizeof(line), file) || !*listing);
	pclose(file);
	assert_string_equal(line, listing);
}

#define ALL_IMAGES "core-77.img empty.img inventory.img pages-1.img pages-2.img "

static void test_export(void **state)
{
	struct stat st;

	(void)state;
	add_golden_checkpoint();
	assert_int_equal(run(in_scratch("export " NAME " ", "new")), PRAMCTL_OK);
	assert_non_null(strstr(last.out, "5 images, 8.0 KiB"));
	expect_listing("new", ALL_IMAGES);
	expect_file("new/core-77.img", "the core image\n");
	expect_file("new/empty.img", "");
	assert_int_equal(stat(in_scratch("", "new/pages-1.img"), &st), 0);
	assert_int_equal(st.st_size, 2 * TEST_PAGE_SIZE);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(in_scratch("", "new"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	/* Still there, and nobody holds it. */
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);

	expect_fails(in_scratch("export " NAME " ", "new"), PRAMCTL_FAILED, "is not empty");
	expect_listing("new", ALL_IMAGES);

	assert_int_equal(mkdir(in_scratch("", "empty"), 0755), 0);
	assert_int_equal(run(in_scratch("export --json " NAME " ", "empty")), PRAMCTL_OK);
	assert_non_null(strstr(last.out, "\"files\": 5"));
	expect_listing("empty", ALL_IMAGES);
}

static void test_export_refused(void **state)
{
	int fd;

	(void)state;
	add_golden_checkpoint();
	fake_pram_add("shmem-1-home", PRAM_BYTE_STREAM, 0, "12345", 5);
	expect_fails(in_scratch("export /nowhere ", "x"), PRAMCTL_NOT_FOUND, "/nowhere");
	expect_fails(in_scratch("export shmem-1-home ", "x"), PRAMCTL_NOT_FOUND,
		     "is not a checkpoint");
	expect_fails(in_scratch("export " NAME " ", "no/such/place"), PRAMCTL_FAILED,
		     "No such file");
	fd = open(in_scratch("", "file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	expect_fails(in_scratch("export " NAME " ", "file"), PRAMCTL_FAILED, "name a directory");
	expect_listing("", "file ");
}

static void test_export_leaves_no_half(void **state)
{
	struct rlimit limit, small;

	(void)state;
	add_golden_checkpoint();
	assert_int_equal(mkdir(in_scratch("", "empty"), 0755), 0);
	/* The files get no longer than a page, so the first pages image fails. */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = TEST_PAGE_SIZE;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	expect_fails(in_scratch("export " NAME " ", "empty"), PRAMCTL_FAILED, "pages-1.img");
	expect_fails(in_scratch("export " NAME " ", "new"), PRAMCTL_FAILED, "File too large");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	expect_listing("", "empty ");
	expect_listing("empty", "");

	assert_int_equal(pram_free(test_dev(), "criu:" NAME ":pages-2.img"), 0);
	expect_fails(in_scratch("export " NAME " ", "new"), PRAMCTL_FAILED, "can't be opened");
	expect_listing("", "empty ");
}

static void test_import(void **state)
{
	char line[640], resolved[512];

	(void)state;
	add_golden_checkpoint();
	assert_int_equal(run(in_scratch("export " NAME " ", "a")), PRAMCTL_OK);
	/* What is no image stays where it is. */
	close(open(in_scratch("", "a/dump.log"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));

	assert_int_equal(run(in_scratch("import ", "a/../a")), PRAMCTL_OK);
	assert_non_null(strstr(last.out, "5 images, 8.0 KiB"));
	snprintf(resolved, sizeof(resolved), "%s", in_scratch("", "a"));
	snprintf(line, sizeof(line), "show --json %s", resolved);
	assert_int_equal(run(line), PRAMCTL_OK);
	assert_non_null(strstr(last.out, "\"copy\": true"));
	/* The directory leads to the checkpoint, however it is written. */
	assert_int_equal(run(in_scratch("show ", "./a/")), PRAMCTL_OK);

	expect_fails(in_scratch("import ", "a"), PRAMCTL_FAILED, "use --replace");
	assert_int_equal(run(in_scratch("import --replace --checksums ", "a")), PRAMCTL_OK);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 6);

	/* There and back again is where we were. */
	snprintf(line, sizeof(line), "import --json %s other-name", resolved);
	assert_int_equal(run(line), PRAMCTL_OK);
	assert_int_equal(run(in_scratch("export other-name ", "b")), PRAMCTL_OK);
	expect_listing("b", ALL_IMAGES);
	snprintf(line, sizeof(line), "diff -r -x dump.log %s/a %s/b", scratch, scratch);
	assert_int_equal(system(line), 0);
}

static void test_import_refused(void **state)
{
	char line[PRAM_NAME_MAX + 512], name[PRAM_NAME_MAX] = { 0 };

	(void)state;
	add_golden_checkpoint();
	expect_fails(in_scratch("import ", "nowhere"), PRAMCTL_NOT_FOUND, "No such file");
	expect_fails(in_scratch("import ", ""), PRAMCTL_FAILED, "no inventory.img");
	assert_int_equal(run(in_scratch("export " NAME " ", "a")), PRAMCTL_OK);

	/* Too long as such, and too long with the pages images' names. */
	memset(name, 'n', sizeof(name) - 1);
	snprintf(line, sizeof(line), "%s %s", in_scratch("import ", "a"), name);
	expect_fails(line, PRAMCTL_FAILED, "too long");
	name[sizeof(name) - 10] = 0;
	snprintf(line, sizeof(line), "%s %s", in_scratch("import ", "a"), name);
	expect_fails(line, PRAMCTL_FAILED, "pages-1.img");

	fake_pram_fail(PRAM_IOCTL_COMMIT, ENOMEM, 0);
	expect_fails(in_scratch("import ", "a"), PRAMCTL_FAILED, "can't be committed");

	assert_int_equal(truncate(in_scratch("", "a/pages-1.img"), 100), 0);
	expect_fails(in_scratch("import ", "a"), PRAMCTL_FAILED, "can't be committed");
	assert_int_equal(symlink("inventory.img", in_scratch("", "a/x.img")), 0);
	expect_fails(in_scratch("import ", "a"), PRAMCTL_FAILED, "x.img");
	assert_int_equal(symlink("..", in_scratch("", "a/parent")), 0);
	expect_fails(in_scratch("import ", "a"), PRAMCTL_FAILED, "incremental");
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);
}

int test_pramctl_export(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_export),
		scratch_test(test_export_refused),
		scratch_test(test_export_leaves_no_half),
		scratch_test(test_import),
		scratch_test(test_import_refused),
	};

	return cmocka_run_group_tests_name("pramctl export", tests, NULL, NULL);
}
