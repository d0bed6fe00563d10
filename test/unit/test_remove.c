// SPDX-License-Identifier: GPL-2.0-only
/* lib/checkpoint_remove.c */
#include <errno.h>
#include <unistd.h>

#include "test_util.h"

#define NAME "/images"

static void test_whole(void **state)
{
	uint64_t nr_freed;

	(void)state;
	test_save_checkpoint(NAME, 1);
	test_save_checkpoint(NAME "/other", 2);
	assert_int_equal(pram_checkpoint_remove(test_dev(), NAME, &nr_freed), 0);
	assert_int_equal(nr_freed, 2);
	assert_int_equal(pram_checkpoint_remove(test_dev(), NAME, &nr_freed), -ENOENT);
	assert_int_equal(nr_freed, 0);
	test_expect_checkpoint(NAME "/other", 2);
}

static void test_orphans(void **state)
{
	(void)state;
	fake_pram_add("criu:" NAME ":pages-1.img", PRAM_PAGE_STREAM, 0, NULL, 0);
	fake_pram_add("criu:" NAME ":pages-2.img", PRAM_PAGE_STREAM, 0, NULL, 0);
	assert_int_equal(pram_checkpoint_remove(test_dev(), NAME, NULL), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

static void test_damaged(void **state)
{
	uint64_t nr_freed;

	(void)state;
	/* Metadata that nobody can read, and a node that the kernel cannot. */
	fake_pram_add("criu:" NAME, PRAM_BYTE_STREAM, 0, "nonsense", 8);
	fake_pram_add("criu:" NAME ":pages-1.img", PRAM_PAGE_STREAM, 0, NULL, 0);
	fake_pram_break("criu:" NAME ":pages-1.img", false);
	assert_int_equal(pram_checkpoint_remove(test_dev(), NAME, &nr_freed), 0);
	assert_int_equal(nr_freed, 2);
	assert_int_equal(fake_pram_count(PRAM_NODE_BROKEN), 0);
}

static void test_in_use(void **state)
{
	struct pram_checkpoint_reader *r;
	uint64_t nr_freed;
	int fd;

	(void)state;
	test_save_checkpoint(NAME, 1);
	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &r), 0);
	assert_int_equal(pram_checkpoint_remove(test_dev(), NAME, &nr_freed), -EBUSY);
	assert_int_equal(nr_freed, 0);
	pram_reader_close(r);
	fake_pram_fail(PRAM_IOCTL_COMMIT, ENOMEM, 0);
	assert_int_equal(pram_checkpoint_remove(test_dev(), NAME, &nr_freed), -ENOMEM);
	assert_int_equal(nr_freed, 0);
	test_expect_checkpoint(NAME, 1);

	fd = pram_save(test_dev(), "criu:/saving", PRAM_BYTE_STREAM, 0);
	assert_int_equal(pram_checkpoint_remove(test_dev(), "/saving", NULL), -EBUSY);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		pram_unit_test(test_whole),
		pram_unit_test(test_orphans),
		pram_unit_test(test_damaged),
		pram_unit_test(test_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
