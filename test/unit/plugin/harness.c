// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"

int plugin_init(int stage)
{
	return CR_PLUGIN_DESC.init(stage);
}

void plugin_exit(int stage, int ret)
{
	CR_PLUGIN_DESC.exit(stage, ret);
}

int hook_open(int dfd, const char *path, int flags)
{
	CR_PLUGIN_HOOK__OPEN_IMAGE_t *hook = CR_PLUGIN_DESC.hooks[CR_PLUGIN_HOOK__OPEN_IMAGE];
	int fd = hook(dfd, path, flags);

	/* It may become a child's stdin, see plugin_open_image(). */
	if (fd >= 0)
		assert_int_equal(fcntl(fd, F_GETFD), 0);
	return fd;
}

int hook_unlink(const char *path)
{
	CR_PLUGIN_HOOK__UNLINK_IMAGE_t *hook = CR_PLUGIN_DESC.hooks[CR_PLUGIN_HOOK__UNLINK_IMAGE];

	return hook(criu_get_image_dir(), path);
}

int hook_done(int stage, int ret)
{
	CR_PLUGIN_HOOK__IMAGES_DONE_t *hook = CR_PLUGIN_DESC.hooks[CR_PLUGIN_HOOK__IMAGES_DONE];

	return hook(stage, ret);
}

int hook_dump_pages(int fd, int pid, const struct iovec *iovs, unsigned int nr)
{
	CR_PLUGIN_HOOK__DUMP_PAGES_t *hook = CR_PLUGIN_DESC.hooks[CR_PLUGIN_HOOK__DUMP_PAGES];

	return hook(fd, pid, iovs, nr);
}

int hook_dump_present_pages(int fd, int pid, struct iovec *range, struct iovec *taken,
				   unsigned int *nr)
{
	CR_PLUGIN_HOOK__DUMP_PRESENT_PAGES_t *hook =
		CR_PLUGIN_DESC.hooks[CR_PLUGIN_HOOK__DUMP_PRESENT_PAGES];

	return hook(fd, pid, range, taken, nr);
}

int hook_dump_shared_pages(int fd, int shared, const struct iovec *iovs, unsigned int nr)
{
	CR_PLUGIN_HOOK__DUMP_SHARED_PAGES_t *hook = CR_PLUGIN_DESC.hooks[CR_PLUGIN_HOOK__DUMP_SHARED_PAGES];

	return hook(fd, shared, iovs, nr);
}

int hook_share_pages(void)
{
	CR_PLUGIN_HOOK__SHARE_PAGES_t *hook = CR_PLUGIN_DESC.hooks[CR_PLUGIN_HOOK__SHARE_PAGES];

	return hook();
}

int create_image(const char *path)
{
	int fd = hook_open(criu_get_image_dir(), path, O_CREATE);

	assert_true(fd >= 0);
	return fd;
}

int open_image_file(const char *path)
{
	int fd = hook_open(criu_get_image_dir(), path, O_RDONLY);

	assert_true(fd >= 0);
	return fd;
}

void write_image(const char *path, const char *text)
{
	int fd = create_image(path);

	test_write(fd, text);
	close(fd);
}

void write_pages(const char *path, unsigned char byte, size_t nr)
{
	int fd = create_image(path);

	test_write_pages(fd, byte, nr);
	close(fd);
}

void expect_image(const char *path, const char *text)
{
	int fd = open_image_file(path);

	test_expect_text(fd, text);
	close(fd);
}

void expect_pages(const char *path, unsigned char byte, size_t nr)
{
	int fd = open_image_file(path);

	test_expect_pages(fd, byte, nr);
	close(fd);
}

void expect_absent(const char *path)
{
	assert_int_equal(hook_open(criu_get_image_dir(), path, O_RDONLY), -ENOENT);
}

void dump_images(const char *core, unsigned char byte)
{
	size_t nr_ready = fake_pram_count(PRAM_NODE_READY);

	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	write_image("inventory.img", "inventory");
	write_image("core-1.img", core);
	write_pages("pages-1.img", byte, 2);
	write_pages("pages-2.img", byte + 1, 0);
	assert_true(fake_pram_count(PRAM_NODE_READY) <= nr_ready);
}

void commit_dump(void)
{
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, 0);
	criu_stub_new_process();
}

void give_up_dump(void)
{
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, -1), 0);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	criu_stub_new_process();
}

void fail_commit(void)
{
	fake_pram_fail(PRAM_IOCTL_COMMIT, ENOMEM, 0);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), -ENOMEM);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	criu_stub_new_process();
}

void expect_no_nodes(void)
{
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

void dump(const char *core, unsigned char byte)
{
	size_t nr_ready = fake_pram_count(PRAM_NODE_READY);

	dump_images(core, byte);
	commit_dump();
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), nr_ready + 3);
}

struct expected {
	const char	*core;
	unsigned char	byte;
};

static void task(void *arg)
{
	const struct expected *expected = arg;

	criu_stub_become_task();
	expect_absent("tty-info.img");
	/* Twice, as CRIU does with pages. */
	for (int i = 0; i < 2; i++) {
		expect_image("core-1.img", expected->core);
		expect_pages("pages-1.img", expected->byte, 2);
		expect_pages("pages-2.img", 0, 0);
	}
	assert_int_equal(hook_open(criu_get_image_dir(), "pages-3.img", O_RDONLY), -ENODATA);
	assert_true(criu_stub_logged("no pages-3.img"));
}

void restore_images(const char *core, unsigned char byte)
{
	struct expected expected = { core, byte };

	expect_image("inventory.img", "inventory");
	expect_absent("cpuinfo.img");
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
	expect_image("core-1.img", core);
	test_in_child(task, &expected);
}

void end_restore(int ret)
{
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, ret), 0);
	plugin_exit(CR_PLUGIN_STAGE__RESTORE, ret);
	criu_stub_new_process();
}

void restore(const char *core, unsigned char byte)
{
	restore_images(core, byte);
	end_restore(0);
}

void expect_refused(const char *reason)
{
	size_t nr_ready = fake_pram_count(PRAM_NODE_READY);
	size_t nr_loading = fake_pram_count(PRAM_NODE_LOADING);

	assert_int_not_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_true(criu_stub_logged(reason));
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_LOADING), nr_loading);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), nr_ready);
	/* CRIU tells a plugin of the end even if its init() has failed. */
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, -1), -ENOTSUP);
	criu_stub_new_process();
}

void expect_no_restore(int error, const char *reason)
{
	size_t nr_loading = fake_pram_count(PRAM_NODE_LOADING);

	assert_int_equal(hook_open(criu_get_image_dir(), "inventory.img", O_RDONLY), error);
	assert_true(criu_stub_logged(reason));
	assert_int_equal(hook_open(criu_get_image_dir(), "pstree.img", O_RDONLY), error);
	assert_int_equal(fake_pram_count(PRAM_NODE_LOADING), nr_loading);
	hook_done(CR_PLUGIN_STAGE__RESTORE, -1);
	plugin_exit(CR_PLUGIN_STAGE__RESTORE, -1);
	criu_stub_new_process();
}

void add_file(const char *name)
{
	int fd = openat(criu_get_image_dir(), name, O_CREATE | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

void remove_file(const char *name)
{
	assert_int_equal(unlinkat(criu_get_image_dir(), name, 0), 0);
}

int plugin_setup(void **state)
{
	int ret = test_setup(state);

	unsetenv("CRIU_PRAM_NAME");
	unsetenv("CRIU_PRAM_REPLACE");
	unsetenv("CRIU_PRAM_CHECKSUMS");
	unsetenv("CRIU_PRAM_ADOPT");
	unsetenv("CRIU_PRAM_MAP");
	unsetenv("CRIU_PRAM_KEEP");
	unsetenv("CRIU_PRAM_FILES");
	unsetenv("CRIU_PRAM_MARKER");
	unsetenv("CRIU_PRAM_FD");
	unsetenv("CRIU_PRAM_STREAMS");
	unsetenv("CRIU_PRAM_BACKEND");
	unsetenv("CRIU_PRAM_CONFIG");
	criu_stub_setup();
	return ret;
}

int plugin_teardown(void **state)
{
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	criu_stub_teardown();
	return test_teardown(state);
}
