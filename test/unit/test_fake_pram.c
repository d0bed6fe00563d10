// SPDX-License-Identifier: GPL-2.0-only
/* The fake keeps the uapi's word, so far as other tests rely on it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "test_util.h"

static void test_save_needs_commit(void **state)
{
	int fd = pram_save(test_dev(), "n", PRAM_BYTE_STREAM, 0);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 1);
	assert_int_equal(pram_load(test_dev(), "n", PRAM_BYTE_STREAM, 0), -EBUSY);
	assert_int_equal(pram_save(test_dev(), "n", PRAM_BYTE_STREAM, 0), -EEXIST);
	close(fd);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);
	assert_int_equal(pram_load(test_dev(), "n", PRAM_BYTE_STREAM, 0), -ENOENT);
}

static void test_last_close_anywhere(void **state)
{
	int go[2], fd, saved = pram_save(test_dev(), "n", PRAM_BYTE_STREAM, 0);
	char byte;
	pid_t pid;

	(void)state;
	assert_true(saved >= 0);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (!pid) {
		/* Only here to hold the stream until we are told to go. */
		close(go[1]);
		_exit(read(go[0], &byte, 1));
	}
	close(go[0]);
	close(saved);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 1);
	close(go[1]);
	for (int i = 0; i < 1000 && fake_pram_count(PRAM_NODE_SAVING); i++)
		usleep(10000);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);

	fake_pram_add("n", PRAM_BYTE_STREAM, 0, "x", 1);
	fd = pram_load(test_dev(), "n", PRAM_BYTE_STREAM, 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_LOADING), 1);
	close(fd);
	assert_int_equal(fake_pram_count(PRAM_NODE_LOADING), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 1);
}

static void child_saves(void *arg)
{
	int fd = pram_save(test_dev(), arg, PRAM_BYTE_STREAM, 0);

	test_write(fd, "from the child");
	if (pram_commit(test_dev(), &fd, 1))
		_exit(1);
}

static void test_shared_with_children(void **state)
{
	int fd;

	(void)state;
	test_in_child(child_saves, "n");
	fd = pram_load(test_dev(), "n", PRAM_BYTE_STREAM, PRAM_LOAD_PEEK);
	assert_true(fd >= 0);
	test_expect_text(fd, "from the child");
	close(fd);
}

static void test_sealed_is_final(void **state)
{
	int fd = pram_save(test_dev(), "n", PRAM_BYTE_STREAM, 0);

	(void)state;
	test_write(fd, "x");
	assert_int_equal(pram_seal(fd), 0);
	assert_int_equal(write(fd, "y", 1), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(pram_seal(fd), 0);
	assert_int_equal(pram_commit(test_dev(), &fd, 1), 0);
	assert_int_equal(pram_seal(fd), -ESTALE);
	assert_int_equal(pram_commit(test_dev(), &fd, 1), -ESTALE);
	close(fd);
}

static void test_half_a_page(void **state)
{
	int fd = pram_save(test_dev(), "n", PRAM_PAGE_STREAM, 0);

	(void)state;
	test_write(fd, "x");
	assert_int_equal(pram_commit(test_dev(), &fd, 1), -EINVAL);
	close(fd);
}

static void test_load_excludes(void **state)
{
	int fd, peek;

	(void)state;
	fake_pram_add("n", PRAM_BYTE_STREAM, 0, "x", 1);
	assert_int_equal(pram_load(test_dev(), "n", PRAM_PAGE_STREAM, 0), -EPERM);
	peek = pram_load(test_dev(), "n", PRAM_BYTE_STREAM, PRAM_LOAD_PEEK);
	assert_int_equal(pram_commit(test_dev(), &peek, 1), -EPERM);
	fd = pram_load(test_dev(), "n", PRAM_BYTE_STREAM, 0);
	assert_int_equal(pram_load(test_dev(), "n", PRAM_BYTE_STREAM, 0), -EBUSY);
	assert_int_equal(pram_free(test_dev(), "n"), -EBUSY);
	assert_int_equal(pram_commit(test_dev(), &peek, 1), -EPERM);
	assert_int_equal(pram_commit(test_dev(), &fd, 1), 0);
	assert_int_equal(pram_commit(test_dev(), &fd, 1), -ESTALE);
	assert_int_equal(pram_load(test_dev(), "n", PRAM_BYTE_STREAM, 0), -ENOENT);
	close(fd);
	close(peek);
}

static void test_commit_is_atomic(void **state)
{
	int fds[3];

	(void)state;
	fake_pram_add("old", PRAM_BYTE_STREAM, 0, "x", 1);
	assert_int_equal(pram_save(test_dev(), "old", PRAM_BYTE_STREAM, 0), -EEXIST);
	fds[0] = pram_save(test_dev(), "new", PRAM_BYTE_STREAM, 0);
	fds[1] = pram_save(test_dev(), "old", PRAM_BYTE_STREAM, PRAM_SAVE_REPLACE);
	test_write(fds[1], "y");
	assert_int_equal(pram_commit(test_dev(), fds, 2), -EEXIST);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 1);

	fds[2] = pram_load(test_dev(), "old", PRAM_BYTE_STREAM, 0);
	assert_int_equal(pram_commit(test_dev(), fds, 3), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 2);
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
	fds[0] = pram_load(test_dev(), "old", PRAM_BYTE_STREAM, 0);
	test_expect_text(fds[0], "y");
	close(fds[0]);
}

static void test_commit_refuses(void **state)
{
	int fds[2] = { -1, -1 };

	(void)state;
	assert_int_equal(pram_commit(test_dev(), fds, 1), -EBADF);
	fds[0] = test_dev();
	assert_int_equal(pram_commit(test_dev(), fds, 1), -EINVAL);
	assert_int_equal(pram_commit(test_dev(), fds, 0), -EINVAL);
	fds[0] = fds[1] = pram_save(test_dev(), "n", PRAM_BYTE_STREAM, 0);
	assert_int_equal(pram_commit(test_dev(), fds, 2), -EINVAL);
	close(fds[0]);
}

static void test_other_files_are_left_alone(void **state)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pram_seal(fd), -ENOTTY);
	close(fd);
}

static void test_kexec(void **state)
{
	struct pram_node_stat node;
	struct pram_ioctl_info info;
	int fd = pram_save(test_dev(), "lost", PRAM_BYTE_STREAM, 0);

	(void)state;
	fake_pram_add("kept", PRAM_BYTE_STREAM, 0, "x", 1);
	fake_pram_kexec();
	fake_pram_kexec();
	assert_int_equal(pram_stat(test_dev(), "lost", &node), -ENOENT);
	assert_int_equal(pram_stat(test_dev(), "kept", &node), 0);
	assert_int_equal(node.kexec_count, 2);
	assert_int_equal(pram_info(test_dev(), &info), 0);
	assert_int_equal(info.kexec_count, 2);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		pram_unit_test(test_save_needs_commit),
		pram_unit_test(test_last_close_anywhere),
		pram_unit_test(test_shared_with_children),
		pram_unit_test(test_sealed_is_final),
		pram_unit_test(test_half_a_page),
		pram_unit_test(test_load_excludes),
		pram_unit_test(test_commit_is_atomic),
		pram_unit_test(test_commit_refuses),
		pram_unit_test(test_other_files_are_left_alone),
		pram_unit_test(test_kexec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
