// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_util.h"

static int dev = -1;

int test_setup(void **state)
{
	(void)state;
	fake_pram_setup();
	dev = pram_open();
	return dev < 0 ? -1 : 0;
}

int test_teardown(void **state)
{
	size_t nr_saving = fake_pram_count(PRAM_NODE_SAVING);
	size_t nr_loading = fake_pram_count(PRAM_NODE_LOADING);

	(void)state;
	close(dev);
	fake_pram_teardown();
	if (nr_saving || nr_loading) {
		fprintf(stderr, "streams left open: %zu for saving, %zu for loading\n",
			nr_saving, nr_loading);
		return -1;
	}
	return 0;
}

static char scratch[] = "/tmp/pram-test-XXXXXX";

int test_enter_scratch(void **state)
{
	(void)state;
	return !mkdtemp(scratch) || chdir(scratch) ? -1 : 0;
}

int test_leave_scratch(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", scratch);
	/* cmocka takes no notice of what the end of a group returns. */
	if (system(command)) {
		fprintf(stderr, "'%s' has failed\n", command);
		exit(1);
	}
	return 0;
}

int test_dev(void)
{
	return dev;
}

void test_write(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

void test_write_pages(int fd, unsigned char byte, size_t nr)
{
	unsigned char page[TEST_PAGE_SIZE];

	memset(page, byte, sizeof(page));
	while (nr--)
		assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
}

void test_expect_text(int fd, const char *text)
{
	const size_t size = strlen(text);
	char *buf = malloc(size + 1);

	assert_non_null(buf);
	/* One more than there should be, to see that there is no more. */
	assert_int_equal(read(fd, buf, size + 1), size);
	assert_memory_equal(buf, text, size);
	free(buf);
}

void test_expect_pages(int fd, unsigned char byte, size_t nr)
{
	unsigned char page[TEST_PAGE_SIZE];
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, nr * TEST_PAGE_SIZE);
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(pread(fd, page, sizeof(page), i * sizeof(page)), sizeof(page));
		for (size_t j = 0; j < sizeof(page); j++)
			assert_int_equal(page[j], byte);
	}
}

char *test_read_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *buf;

	if (fd < 0 || fstat(fd, &st))
		fail_msg("%s: %s", path, strerror(errno));
	buf = malloc(st.st_size + 1);
	assert_non_null(buf);
	assert_int_equal(read(fd, buf, st.st_size), st.st_size);
	buf[st.st_size] = 0;
	close(fd);
	if (size)
		*size = st.st_size;
	return buf;
}

void test_save_checkpoint(const char *name, unsigned char byte)
{
	const struct pram_writer_options options = { .images_dir = name, .criu_version = "4.2.1" };
	struct pram_checkpoint_writer *w;
	int fd;

	assert_int_equal(pram_writer_create(dev, name, &options, &w), 0);
	fd = pram_writer_image(w, "core-1.img");
	assert_true(fd >= 0);
	test_write(fd, "core");
	close(fd);
	fd = pram_writer_image(w, "empty.img");
	assert_true(fd >= 0);
	close(fd);
	fd = pram_writer_pages(w, "pages-1.img");
	assert_true(fd >= 0);
	test_write_pages(fd, byte, 2);
	close(fd);
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);
}

void test_expect_checkpoint(const char *name, unsigned char byte)
{
	struct pram_checkpoint_reader *r;
	int fd;

	assert_int_equal(pram_reader_open(dev, name, 0, &r), 0);
	fd = pram_reader_image(r, -1, "core-1.img");
	assert_true(fd >= 0);
	test_expect_text(fd, "core");
	close(fd);
	fd = pram_reader_image(r, -1, "empty.img");
	assert_true(fd >= 0);
	test_expect_text(fd, "");
	close(fd);
	assert_int_equal(pram_reader_open_pages(r), 0);
	test_expect_pages(pram_reader_pages(r, "pages-1.img"), byte, 2);
	pram_reader_close(r);
}

void test_in_child(void (*f)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		f(arg);
		/* Not exit(): the parent's buffers and leaks are not the child's. */
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void put32(unsigned char *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

void test_put_kernel(const char *path, const struct test_kernel *kernel)
{
	/* Two setup sectors, and what is behind them: kernel_info at 256, with another's piece first. */
	unsigned char image[2048] = { [0x1f1] = 1 }, *info = image + 1024 + 256, *at = info + 16;
	const char *kho = kernel->kho ?: "";
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	memcpy(image + 0x202, "HdrS", 4);
	image[0x206] = kernel->silent ? 0x0e : 0x0f;
	image[0x207] = 2;
	image[0x20f] = 1;	/* 0x100, less 0x200 */
	snprintf((char *)image + 0x300, 64, "%s (who@where) #1 SMP", kernel->release ?: "7.3");
	put32(image + 0x230, 2 << 20);
	put32(image + 0x260, kernel->size);
	put32(image + 0x268, 256);
	memcpy(info, "LToP", 4);
	put32(info + 4, 16);
	memcpy(at, "AAAA", 4);
	put32(at + 4, 9);
	at += 9;
	if (kernel->format) {
		memcpy(at, "PRAM", 4);
		put32(at + 4, 12 + strlen(kho) + 1);
		put32(at + 8, kernel->format);
		memcpy(at + 12, kho, strlen(kho) + 1);
		at += 12 + strlen(kho) + 1;
	}
	put32(info + 8, at - info);
	assert_int_equal(fwrite(image, sizeof(image), 1, file), 1);
	assert_int_equal(fclose(file), 0);
}
