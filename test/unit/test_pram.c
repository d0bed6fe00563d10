// SPDX-License-Identifier: GPL-2.0-only
/* lib/pram.c: every call reaches the device and brings back what it said. */
#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "test_util.h"

static void test_open_errors(void **state)
{
	static const int errors[] = { ENOENT, ENODEV, EACCES, EPERM };
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		fake_pram_fail_open(errors[i]);
		assert_int_equal(pram_open(), -errors[i]);
	}
	fake_pram_fail_open(0);
	fake_pram_set_abi(PRAM_ABI_VERSION + 1);
	assert_int_equal(pram_open(), -EPROTO);
	fake_pram_set_abi(PRAM_ABI_VERSION);
	fake_pram_fail(PRAM_IOCTL_INFO, ENOTTY, 0);
	assert_int_equal(pram_open(), -ENOTTY);
	fd = pram_open();
	assert_true(fd >= 0);
	close(fd);
}

static void test_names(void **state)
{
	char name[PRAM_NAME_MAX + 1];
	struct pram_node_stat node;
	int fd;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[PRAM_NAME_MAX] = 0;
	assert_int_equal(pram_save(test_dev(), name, PRAM_BYTE_STREAM, 0), -ENAMETOOLONG);
	assert_int_equal(pram_load(test_dev(), name, PRAM_BYTE_STREAM, 0), -ENAMETOOLONG);
	assert_int_equal(pram_stat(test_dev(), name, &node), -ENAMETOOLONG);
	assert_int_equal(pram_free(test_dev(), name), -ENAMETOOLONG);

	name[PRAM_NAME_MAX - 1] = 0;
	fd = pram_save(test_dev(), name, PRAM_BYTE_STREAM, PRAM_SAVE_CHECKSUM);
	assert_true(fd >= 0);
	assert_int_equal(pram_stat(test_dev(), name, &node), 0);
	assert_string_equal((char *)node.name, name);
	assert_int_equal(node.flags, PRAM_NODE_CHECKSUM);
	assert_int_equal(node.state, PRAM_NODE_SAVING);
	close(fd);
	assert_int_equal(pram_save(test_dev(), "", PRAM_BYTE_STREAM, 0), -EINVAL);
	assert_int_equal(pram_save(test_dev(), "n", 3, 0), -EOPNOTSUPP);
}

static void test_list_and_free(void **state)
{
	struct pram_node_stat node = { .id = 0 };
	struct pram_ioctl_info info;
	uint64_t nr_freed;

	(void)state;
	fake_pram_add("a", PRAM_BYTE_STREAM, 0, "12345", 5);
	fake_pram_add("b", PRAM_BYTE_STREAM, 0, "", 0);
	fake_pram_add("c", PRAM_BYTE_STREAM, 0, "", 0);
	fake_pram_add("d", PRAM_BYTE_STREAM, 0, "", 0);
	fake_pram_break("b", true);

	assert_int_equal(pram_list_next(test_dev(), &node), 1);
	assert_string_equal((char *)node.name, "a");
	assert_int_equal(node.bytes, 5);
	assert_int_equal(pram_list_next(test_dev(), &node), 1);
	assert_int_equal(node.state, PRAM_NODE_BROKEN);
	assert_int_equal(pram_free_id(test_dev(), node.id), 0);
	assert_int_equal(pram_free_id(test_dev(), node.id), -ENOENT);
	assert_int_equal(pram_list_next(test_dev(), &node), 1);
	assert_int_equal(pram_list_next(test_dev(), &node), 1);
	assert_string_equal((char *)node.name, "d");
	assert_int_equal(pram_list_next(test_dev(), &node), 0);
	fake_pram_fail(PRAM_IOCTL_LIST, ENOMEM, 0);
	assert_int_equal(pram_list_next(test_dev(), &node), -ENOMEM);

	assert_int_equal(pram_free(test_dev(), "a"), 0);
	assert_int_equal(pram_free(test_dev(), "a"), -ENOENT);
	assert_int_equal(pram_free_all(test_dev(), &nr_freed), 0);
	assert_int_equal(nr_freed, 2);
	assert_int_equal(pram_free_all(test_dev(), NULL), 0);
	assert_int_equal(pram_info(test_dev(), &info), 0);
	assert_int_equal(info.nr_nodes, 0);
}

static void test_commit_limit(void **state)
{
	(void)state;
	assert_int_equal(pram_commit(test_dev(), NULL, (size_t)PRAM_COMMIT_MAX + 1), -E2BIG);
	/* A number that would be right again if its upper half were lost. */
	assert_int_equal(pram_commit(test_dev(), NULL, (size_t)1 << 32), -E2BIG);
}

static void test_adopt_and_map(void **state)
{
	static unsigned char memory[3 * 4096] __attribute__((aligned(4096)));
	const struct pram_range range = { .start = (uintptr_t)memory, .len = sizeof(memory) };
	const int pidfd = pidfd_open(getpid(), 0);
	uint64_t number = 9;
	int save, load;

	(void)state;
	assert_true(pidfd >= 0);
	memset(memory, 7, sizeof(memory));
	save = pram_save(test_dev(), "pages", PRAM_PAGE_STREAM, 0);
	assert_true(save >= 0);
	assert_int_equal(pram_adopt(save, pidfd, &range, (size_t)PRAM_ADOPT_MAX + 1, &number),
			 -E2BIG);
	assert_int_equal(number, 0);
	assert_int_equal(pram_adopt(save, save, &range, 1, NULL), -EBADF);
	assert_int_equal(pram_adopt(save, pidfd, &range, 1, &number), 0);
	assert_int_equal(number, 3);
	assert_int_equal(pram_commit(test_dev(), &save, 1), 0);
	assert_int_equal(pram_adopt(save, pidfd, &range, 1, NULL), -EPERM);
	close(save);
	close(pidfd);

	memset(memory + 4096, 8, 4096);
	load = pram_load(test_dev(), "pages", PRAM_PAGE_STREAM, PRAM_LOAD_MAP);
	assert_int_equal(pram_map(load, memory, 4096, 2, &number), 0);
	assert_int_equal(number, 1);
	assert_int_equal(pram_map(load, memory + 1, 0, 1, &number), -EINVAL);
	assert_int_equal(pram_map(load, memory, 0, 4, NULL), -EINVAL);
	assert_int_equal(memory[4096], 7);

	fake_pram_set_features(0);
	assert_int_equal(pram_map(load, memory, 0, 1, NULL), -ENOTTY);
	close(load);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		pram_unit_test(test_open_errors),
		pram_unit_test(test_names),
		pram_unit_test(test_list_and_free),
		pram_unit_test(test_commit_limit),
		pram_unit_test(test_adopt_and_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
