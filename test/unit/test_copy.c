// SPDX-License-Identifier: GPL-2.0-only
/* lib/util.c: copying, by sendfile(2) and where that does not do. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test_util.h"
#include "util.h"

/* Longer than the buffer of the slow way, several times, and not a multiple of it. */
#define SIZE	((300U << 10) + 7)
/* Where to begin: not where a page does. */
#define OFFSET	1001U

static int source(void)
{
	int fd = memfd_create("in", MFD_CLOEXEC);

	for (uint32_t i = 0; i < SIZE / sizeof(i) + 1; i++)
		assert_int_equal(write(fd, &i, sizeof(i)), sizeof(i));
	assert_int_equal(ftruncate(fd, SIZE), 0);
	return fd;
}

/* Are @in from @OFFSET on and @out the same, and as long as @size? */
static void expect_copy(int in, int out, size_t size)
{
	char *want = malloc(size), *is = malloc(size + 1);

	assert_int_equal(pread(in, want, size, OFFSET), size);
	assert_int_equal(pread(out, is, size + 1, 0), size);
	assert_memory_equal(want, is, size);
	free(want);
	free(is);
}

/* @flags: O_APPEND is what sendfile(2) refuses with EINVAL. */
static void copy(int flags)
{
	int in = source(), out = memfd_create("out", MFD_CLOEXEC);

	assert_int_equal(fcntl(out, F_SETFL, flags), 0);
	assert_int_equal(lseek(in, 5, SEEK_SET), 5);
	assert_int_equal(pram_copy_range(in, OFFSET, out, SIZE - OFFSET), 0);
	expect_copy(in, out, SIZE - OFFSET);
	assert_int_equal(lseek(in, 0, SEEK_CUR), 5);

	/* It appends; and says so if there is less than promised. */
	assert_int_equal(pram_copy_range(in, SIZE - 3, out, 0), 0);
	assert_int_equal(pram_copy_range(in, SIZE - 3, out, 4), -EBADMSG);
	close(in);
	assert_int_equal(pram_copy_range(in, 0, out, 1), -EBADF);
	close(out);
}

static void test_sendfile(void **state)
{
	(void)state;
	copy(0);
}

static void test_by_buffer(void **state)
{
	(void)state;
	copy(O_APPEND);
}

static void test_write_error(void **state)
{
	int in = source(), out = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(pram_copy_range(in, 0, out, SIZE), -ENOSPC);
	assert_int_equal(pram_write_full(out, "x", 1), -ENOSPC);
	close(in);
	close(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sendfile),
		cmocka_unit_test(test_by_buffer),
		cmocka_unit_test(test_write_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
