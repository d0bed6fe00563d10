// SPDX-License-Identifier: GPL-2.0-only
/* lib/checkpoint_reader.c */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "test_util.h"

#define NAME "/images"

static struct pram_checkpoint_reader *open_reader(uint32_t load_flags)
{
	struct pram_checkpoint_reader *r;

	assert_int_equal(pram_reader_open(test_dev(), NAME, load_flags, &r), 0);
	return r;
}

static void test_no_such_checkpoint(void **state)
{
	struct pram_checkpoint_reader *r;

	(void)state;
	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &r), -ENOENT);
	assert_int_equal(pram_reader_open(test_dev(), "", 0, &r), -EINVAL);
	/* A page stream by the name of a checkpoint. */
	fake_pram_add("criu:" NAME, PRAM_PAGE_STREAM, 0, NULL, 0);
	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &r), -EPERM);
}

static void test_put_back(void **state)
{
	struct pram_checkpoint_reader *r, *other;

	(void)state;
	test_save_checkpoint(NAME, 1);
	r = open_reader(PRAM_LOAD_MAP);
	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &other), -EBUSY);
	assert_int_equal(fake_pram_count(PRAM_NODE_LOADING), 1);
	assert_int_equal(pram_reader_open_pages(r), 0);
	assert_int_equal(pram_reader_open_pages(r), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_LOADING), 2);
	pram_reader_close(r);
	pram_reader_close(NULL);
	test_expect_checkpoint(NAME, 1);
}

static void test_finish(void **state)
{
	struct pram_checkpoint_reader *r;

	(void)state;
	test_save_checkpoint(NAME, 1);
	r = open_reader(0);
	fake_pram_fail(PRAM_IOCTL_COMMIT, ENOMEM, 0);
	assert_int_equal(pram_reader_finish(r), -ENOMEM);
	pram_reader_close(r);
	test_expect_checkpoint(NAME, 1);

	r = open_reader(0);
	assert_int_equal(pram_reader_finish(r), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_LOADING), 0);
	pram_reader_close(r);
}

static void test_peek(void **state)
{
	struct pram_checkpoint_reader *r, *other;

	(void)state;
	test_save_checkpoint(NAME, 1);
	r = open_reader(PRAM_LOAD_PEEK);
	assert_int_equal(pram_reader_open_pages(r), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_LOADING), 0);
	other = open_reader(0);
	pram_reader_close(other);
	assert_int_equal(pram_reader_finish(r), -EPERM);
	pram_reader_close(r);
	test_expect_checkpoint(NAME, 1);
}

static void test_images(void **state)
{
	struct pram_checkpoint_reader *r;
	int stream, fd;

	(void)state;
	test_save_checkpoint(NAME, 1);
	r = open_reader(0);
	assert_int_equal(pram_reader_image(r, -1, "pages-1.img"), -ENOENT);
	assert_int_equal(pram_reader_image(r, -1, "core-2.img"), -ENOENT);
	assert_int_equal(pram_reader_pages(r, "pages-1.img"), -ENOENT);

	/* A stream from elsewhere, at whatever position, and twice the same image. */
	stream = dup(pram_reader_stream(r));
	assert_true(lseek(stream, 3, SEEK_SET) == 3);
	for (int i = 0; i < 2; i++) {
		fd = pram_reader_image(r, stream, "core-1.img");
		assert_true(fd >= 0);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		test_expect_text(fd, "core");
		close(fd);
	}
	assert_int_equal(lseek(stream, 0, SEEK_CUR), 3);
	close(stream);

	/* An image outlives the checkpoint. */
	fd = pram_reader_image(r, -1, "core-1.img");
	assert_int_equal(pram_reader_finish(r), 0);
	pram_reader_close(r);
	test_expect_text(fd, "core");
	close(fd);
}

static void child_reads(void *arg)
{
	const struct pram_checkpoint_reader *r = arg;
	int stream = dup(pram_reader_stream(r)), null = open("/dev/null", O_RDWR), fd;

	/* As in a restored task, where the number means another file by now. */
	if (dup2(null, pram_reader_stream(r)) < 0)
		_exit(1);
	fd = pram_reader_image(r, stream, "core-1.img");
	if (fd < 0 || pram_reader_image(r, -1, "core-1.img") != -EBADMSG)
		_exit(1);
	test_expect_text(fd, "core");
}

static void test_across_fork(void **state)
{
	struct pram_checkpoint_reader *r;

	(void)state;
	test_save_checkpoint(NAME, 1);
	r = open_reader(0);
	test_in_child(child_reads, r);
	assert_int_equal(pram_reader_finish(r), 0);
	pram_reader_close(r);
}

static void test_pages_missing(void **state)
{
	struct pram_checkpoint_reader *r;

	(void)state;
	test_save_checkpoint(NAME, 1);
	assert_int_equal(pram_free(test_dev(), "criu:" NAME ":pages-1.img"), 0);
	r = open_reader(0);
	assert_int_equal(pram_reader_open_pages(r), -EBADMSG);
	assert_int_equal(pram_reader_finish(r), -EBADMSG);
	pram_reader_close(r);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 1);
}

static void test_pages_of_another_size(void **state)
{
	struct pram_checkpoint_reader *r;

	(void)state;
	test_save_checkpoint(NAME, 1);
	assert_int_equal(pram_free(test_dev(), "criu:" NAME ":pages-1.img"), 0);
	fake_pram_add("criu:" NAME ":pages-1.img", PRAM_PAGE_STREAM, 0, NULL, 0);
	r = open_reader(0);
	assert_int_equal(pram_reader_open_pages(r), -EBADMSG);
	pram_reader_close(r);
}

static void test_pages_all_or_none(void **state)
{
	const struct pram_writer_options options = { 0 };
	struct pram_checkpoint_writer *w;
	struct pram_checkpoint_reader *r;

	(void)state;
	assert_int_equal(pram_writer_create(test_dev(), NAME, &options, &w), 0);
	close(pram_writer_pages(w, "pages-1.img"));
	close(pram_writer_pages(w, "pages-2.img"));
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);

	r = open_reader(0);
	fake_pram_fail(PRAM_IOCTL_LOAD, ENOMEM, 1);
	assert_int_equal(pram_reader_open_pages(r), -ENOMEM);
	assert_int_equal(fake_pram_count(PRAM_NODE_LOADING), 1);
	assert_int_equal(pram_reader_open_pages(r), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_LOADING), 3);
	pram_reader_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		pram_unit_test(test_no_such_checkpoint),
		pram_unit_test(test_put_back),
		pram_unit_test(test_finish),
		pram_unit_test(test_peek),
		pram_unit_test(test_images),
		pram_unit_test(test_across_fork),
		pram_unit_test(test_pages_missing),
		pram_unit_test(test_pages_of_another_size),
		pram_unit_test(test_pages_all_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
