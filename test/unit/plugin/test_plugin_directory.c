// SPDX-License-Identifier: GPL-2.0-only
/* plugin/: the images' directory: other mount namespaces, ordinary images, the marker */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

/* The same path in another mount namespace is another checkpoint. */
static void test_elsewhere(void **state)
{
	char name[PRAM_NAME_MAX] = "", *other;
	struct pram_node_stat node = { .id = 0 };

	(void)state;
	dump("core", 1);
	criu_stub_be_elsewhere();
	expect_no_restore(-ENODATA, "another directory in the machine's first mount namespace");

	criu_stub_be_elsewhere();
	dump_images("other", 2);
	assert_true(criu_stub_logged("or better set a name for the dump"));
	commit_dump();
	while (pram_list_next(test_dev(), &node) > 0) {
		if (strstr((char *)node.name, "@mnt-") && !strstr((char *)node.name, ":pages"))
			snprintf(name, sizeof(name), "%s", node.name);
	}
	other = name + strlen("criu:");
	assert_int_equal(strncmp(other, criu_stub_images_dir(), strlen(criu_stub_images_dir())), 0);

	/* In the same one it is found again, elsewhere by its name. */
	criu_stub_be_elsewhere();
	restore_images("other", 2);
	end_restore(-1);
	setenv("CRIU_PRAM_NAME", other, 1);
	restore("other", 2);
	unsetenv("CRIU_PRAM_NAME");
	restore("core", 1);

	/* A name that was given is a name. */
	setenv("CRIU_PRAM_NAME", "unit:redis", 1);
	criu_stub_be_elsewhere();
	dump_images("core", 1);
	commit_dump();
	restore("core", 1);
}

/* A directory that was opened in another mount namespace: its path is of no use. */
static void test_foreign_directory(void **state)
{
	char path[128];
	int fds[2], fd, own;
	pid_t pid;
	char byte;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		bool made = !unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) &&
			    !mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
			    !mount("none", criu_stub_images_dir(), "tmpfs", 0, NULL);

		if (write(fds[1], made ? "y" : "n", 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	close(fds[1]);
	snprintf(path, sizeof(path), "/proc/%d/root%s", pid, criu_stub_images_dir());
	fd = byte == 'y' ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (fd < 0)
		skip();
	own = criu_stub_set_images_dir(fd);
	criu_stub_be_elsewhere();
	expect_refused("is not the directory given by -D or by RPC");
	criu_stub_be_elsewhere();
	expect_no_restore(-EINVAL, "set CRIU_PRAM_NAME for the dump and the restore");
	setenv("CRIU_PRAM_NAME", "named", 1);
	dump("core", 1);
	restore("core", 1);
	criu_stub_set_images_dir(own);
	close(fd);
}

/* Files are the past: never in place of a checkpoint, unless they are asked for. */
static void test_ordinary_images(void **state)
{
	(void)state;
	expect_no_restore(-ENODATA, "pramctl list");

	/* What a container runtime looks for is no image. */
	add_file("inventory.img");
	expect_no_restore(-ENODATA, "pramctl list");
	add_file("pstree.img");
	expect_no_restore(-ENODATA, "set CRIU_PRAM_FILES=yes");
	fake_pram_fail_open(ENOENT);
	expect_no_restore(-ENODATA, "set CRIU_PRAM_FILES=yes");
	fake_pram_fail_open(0);

	setenv("CRIU_PRAM_FILES", "yes", 1);
	assert_int_equal(hook_open(criu_get_image_dir(), "inventory.img", O_RDONLY), -ENOTSUP);
	assert_true(criu_stub_logged("ordinary images"));
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
	assert_int_equal(hook_open(criu_get_image_dir(), "pages-1.img", O_RDONLY), -ENOTSUP);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, 0), -ENOTSUP);
	plugin_exit(CR_PLUGIN_STAGE__RESTORE, 0);
	criu_stub_new_process();

	fake_pram_fail_open(ENOENT);
	assert_int_equal(hook_open(criu_get_image_dir(), "inventory.img", O_RDONLY), -ENOTSUP);
	assert_true(criu_stub_logged("no PRAM"));
	plugin_exit(CR_PLUGIN_STAGE__RESTORE, 0);
	criu_stub_new_process();

	/* PRAM may have the checkpoint: older files must not pass for it. */
	fake_pram_fail_open(EACCES);
	expect_no_restore(-EACCES, "as root");
	fake_pram_fail_open(0);
	/* It may be what was lost. */
	fake_pram_set_totals(0, 1);
	expect_no_restore(-ENODATA, "to restore them, restore without the plugin");
	fake_pram_set_totals(0, 0);

	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_true(criu_stub_logged("ordinary images"));
	give_up_dump();
	dump("core", 1);
	restore("core", 1);
	remove_file("inventory.img");
	remove_file("pstree.img");
}

static bool has_file(const char *name)
{
	return !faccessat(criu_get_image_dir(), name, F_OK, 0);
}

/* An inventory as CRIU 4.2.1 has written it: a magic number, its size, its message. */
static const unsigned char inventory[] = {
	0x16, 0x31, 0x31, 0x58, 0x4e, 0x00, 0x00, 0x00, 0x08, 0x02, 0x10, 0x01, 0x1a, 0x18, 0x08,
	0x01, 0x10, 0x01, 0x18, 0x01, 0x20, 0x01, 0x28, 0x01, 0x30, 0x02, 0x38, 0x03, 0x40, 0x04,
	0x48, 0x06, 0x50, 0x07, 0x58, 0x08, 0x60, 0x05, 0x20, 0x01, 0x28, 0x01, 0x30, 0x00, 0x58,
	0x00, 0x62, 0x00, 0x6a, 0x24, 0x66, 0x35, 0x61, 0x31, 0x63, 0x33, 0x64, 0x37, 0x2d, 0x34,
	0x65, 0x38, 0x36, 0x2d, 0x34, 0x61, 0x63, 0x35, 0x2d, 0x39, 0x64, 0x39, 0x36, 0x2d, 0x65,
	0x32, 0x36, 0x62, 0x31, 0x61, 0x65, 0x62, 0x38, 0x37, 0x30, 0x31,
};

static void dump_with_inventory(void)
{
	int fd;

	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	fd = create_image("inventory.img");
	assert_int_equal(write(fd, inventory, sizeof(inventory)), sizeof(inventory));
	close(fd);
	write_pages("pages-1.img", 1, 1);
}

/* A file that comes and goes with the checkpoint. */
static void test_marker(void **state)
{
	static const char plugins[] = "\x62\x0d\x62\x0bpram_plugin";
	unsigned char image[128];
	int fd;

	(void)state;
	setenv("CRIU_PRAM_MARKER", "yes", 1);
	dump_with_inventory();
	assert_false(has_file("inventory.img"));
	commit_dump();
	fd = openat(criu_get_image_dir(), "inventory.img", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, image, sizeof(image)), sizeof(inventory) + sizeof(plugins) - 1);
	assert_int_equal(image[4], inventory[4] + sizeof(plugins) - 1);
	image[4] = inventory[4];
	assert_memory_equal(image, inventory, sizeof(inventory));
	assert_memory_equal(image + sizeof(inventory), plugins, sizeof(plugins) - 1);
	close(fd);
	assert_false(has_file("inventory.img.new"));

	/* A restore that fails leaves it, the one that works takes it along. */
	assert_true(hook_open(criu_get_image_dir(), "inventory.img", O_RDONLY) >= 0);
	end_restore(-1);
	assert_true(has_file("inventory.img"));
	assert_true(hook_open(criu_get_image_dir(), "inventory.img", O_RDONLY) >= 0);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
	end_restore(0);
	assert_false(has_file("inventory.img"));

	/* Of a dump that fails nothing is left, at whatever step. */
	dump_with_inventory();
	fail_commit();
	assert_false(has_file("inventory.img") || has_file("inventory.img.new"));
	dump_images("core", 1);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), -EBADMSG);
	assert_true(criu_stub_logged("which marker=yes asks for"));
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	criu_stub_new_process();
	assert_false(has_file("inventory.img") || has_file("inventory.img.new"));
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);

	/* Nor does one that was to replace another take the marker of that along. */
	setenv("CRIU_PRAM_REPLACE", "yes", 1);
	dump_with_inventory();
	commit_dump();
	dump_with_inventory();
	fail_commit();
	assert_true(has_file("inventory.img") && !has_file("inventory.img.new"));
	unsetenv("CRIU_PRAM_REPLACE");
	assert_true(hook_open(criu_get_image_dir(), "inventory.img", O_RDONLY) >= 0);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
	end_restore(0);
	assert_false(has_file("inventory.img"));

	/* What is no marker is somebody else's. */
	unsetenv("CRIU_PRAM_MARKER");
	add_file("inventory.img");
	dump("core", 1);
	restore("core", 1);
	remove_file("inventory.img");
}

static void test_directories(void **state)
{
	int other = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int same = open(criu_stub_images_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd;

	(void)state;
	assert_true(other >= 0 && same >= 0);
	dump_images("core", 1);
	assert_int_equal(hook_open(other, "inventory.img", O_RDONLY), -ENOTSUP);
	assert_int_equal(hook_open(other, "core-1.img", O_CREATE), -ENOTSUP);
	fd = hook_open(same, "mm-1.img", O_CREATE);
	assert_true(fd >= 0);
	close(fd);
	/* A dump reads no images of its own. */
	expect_absent("inventory.img");
	commit_dump();

	expect_image("mm-1.img", "");
	assert_int_equal(hook_open(other, "core-1.img", O_RDONLY), -ENOTSUP);
	assert_int_equal(hook_unlink("core-1.img"), -ENOTSUP);
	assert_int_equal(hook_open(same, "pages-1.img", O_RDWR), -EROFS);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
	close(same);
	close(other);
}

int plugin_test_directory(void)
{
	const struct CMUnitTest tests[] = {
		plugin_test(test_elsewhere),
		plugin_test(test_foreign_directory),
		plugin_test(test_ordinary_images),
		plugin_test(test_marker),
		plugin_test(test_directories),
	};

	return cmocka_run_group_tests_name("directory", tests, NULL, NULL);
}
