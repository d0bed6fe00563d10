// SPDX-License-Identifier: GPL-2.0-only
/* plugin/: what is refused before a task is touched: options, settings, devices, another criu */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

static void test_refused_options(void **state)
{
	(void)state;
	opts.stream = 1;
	expect_refused("--stream");
	opts.lazy_pages = true;
	expect_refused("--lazy-pages");
	opts.use_page_server = 1;
	expect_refused("--page-server");
	opts.auto_dedup = 1;
	expect_refused("--auto-dedup");
	opts.track_mem = 1;
	expect_refused("--track-mem");
	opts.img_parent = (char *)"../0";
	expect_refused("--prev-images-dir");

	assert_int_not_equal(plugin_init(CR_PLUGIN_STAGE__PRE_DUMP), 0);
	assert_true(criu_stub_logged("pre-dump"));
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__PRE_DUMP, -1), -ENOTSUP);
}

static void test_refused_restore_options(void **state)
{
	(void)state;
	dump("core", 1);
	opts.stream = 1;
	expect_no_restore(-EOPNOTSUPP, "--stream");
	opts.lazy_pages = true;
	expect_no_restore(-EOPNOTSUPP, "--lazy-pages");
	opts.auto_dedup = 1;
	expect_no_restore(-EOPNOTSUPP, "--auto-dedup");
	restore("core", 1);
}

/* With the other backend, before anything is asked of the kernel. */
static void test_luo_refuses(void **state)
{
	char long_name[60] = "";

	(void)state;
	setenv("CRIU_PRAM_BACKEND", "luo", 1);
	opts.auto_dedup = 1;
	expect_refused("LUO does not support --auto-dedup");
	setenv("CRIU_PRAM_REPLACE", "yes", 1);
	expect_refused("LUO does not support the setting replace");
	unsetenv("CRIU_PRAM_REPLACE");
	setenv("CRIU_PRAM_CHECKSUMS", "yes", 1);
	expect_refused("LUO does not support the setting checksums");
	unsetenv("CRIU_PRAM_CHECKSUMS");
	setenv("CRIU_PRAM_MARKER", "yes", 1);
	expect_refused("LUO does not support the setting marker");
	unsetenv("CRIU_PRAM_MARKER");
	memset(long_name, 'x', sizeof(long_name) - 1);
	setenv("CRIU_PRAM_NAME", long_name, 1);
	expect_refused("too long for LUO: set CRIU_PRAM_NAME to one of at most 58 bytes");
	expect_no_restore(-ENAMETOOLONG, "too long for LUO");
	setenv("CRIU_PRAM_KEEP", "yes", 1);
	expect_no_restore(-EOPNOTSUPP, "LUO does not support the setting keep");
	opts.lazy_pages = true;
	expect_no_restore(-EOPNOTSUPP, "LUO does not support --lazy-pages");
	unsetenv("CRIU_PRAM_KEEP");
	/* Ordinary images are never restored instead. */
	if (access("/dev/liveupdate", F_OK)) {
		unsetenv("CRIU_PRAM_NAME");
		setenv("CRIU_PRAM_FILES", "yes", 1);
		add_file("inventory.img");
		add_file("pstree.img");
		expect_no_restore(-ENODATA, "there is no /dev/liveupdate");
		remove_file("inventory.img");
		remove_file("pstree.img");
		unsetenv("CRIU_PRAM_FILES");
	}

	/* And back again, in the same process. */
	unsetenv("CRIU_PRAM_BACKEND");
	dump("core", 1);
	restore("core", 1);
}

static void test_no_device(void **state)
{
	static const struct {
		int		error;
		const char	*reason;
	} cases[] = {
		{ ENOENT, "kho=on" },
		{ ENODEV, "pramctl check" },
		{ EACCES, "as root" },
		{ EPERM,  "CAP_SYS_ADMIN" },
		{ EMFILE, "Too many open files" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake_pram_fail_open(cases[i].error);
		expect_refused(cases[i].reason);
		expect_no_restore(cases[i].error == ENOENT ? -ENODATA : -cases[i].error,
				  cases[i].reason);
	}
	/* Who has all capabilities is told what else may forbid it. */
	fake_pram_fail_open(EACCES);
	criu_stub_be_privileged();
	expect_refused("mount without devices");
	fake_pram_fail_open(0);
	fake_pram_set_abi(PRAM_ABI_VERSION + 1);
	expect_refused("abi_version");
	expect_no_restore(-EPROTO, "abi_version");
}

static size_t count_descriptors(void)
{
	size_t nr = 0;

	for (int fd = 0; fd < 1024; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

/* Its control group forbids the device: that of the machine does not. */
static void test_device_filter(void **state)
{
	size_t nr;

	(void)state;
	criu_stub_be_in_container(0);
	dump("core", 1);
	criu_stub_be_in_container(0);
	restore("core", 1);
	/* Nothing is left open, and no child. */
	nr = count_descriptors();
	for (int i = 0; i < 2; i++) {
		criu_stub_be_in_container(i ? ENOENT : 0);
		if (i)
			expect_refused("can't be opened either: No such file or directory");
		else
			expect_no_restore(-ENODATA, "no checkpoint");
		assert_int_equal(count_descriptors(), nr);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	criu_stub_be_in_container(EROFS);
	expect_no_restore(-EPERM, "the device filter of its control group forbids it");

	/* Who lacks the rights needs them, and not another place. */
	criu_stub_be_in_container(0);
	criu_stub_be_unprivileged();
	expect_refused("run criu as root");
	fake_pram_fail_open(0);
}

static void test_settings(void **state)
{
	(void)state;
	setenv("CRIU_PRAM_CHECKSUMS", "maybe", 1);
	expect_refused("CRIU_PRAM_CHECKSUMS is \"maybe\"");
	expect_no_restore(-EINVAL, "CRIU_PRAM_CHECKSUMS is \"maybe\"");
	setenv("CRIU_PRAM_CHECKSUMS", "yes", 1);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_true(criu_stub_logged("replace=no checksums=yes adopt=range map=yes keep=no"));
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, -1), 0);
}

/* Those beside the plugin win over the file, and the environment over all. */
static void test_settings_of_libdir(void **state)
{
	char path[128];
	int fd = openat(criu_get_image_dir(), "pram.conf", O_CREATE | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	test_write(fd, "replace = yes\nkeep = yes\n");
	close(fd);
	snprintf(path, sizeof(path), "%s", criu_stub_images_dir());
	opts.libdir = path;
	setenv("CRIU_PRAM_KEEP", "no", 1);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_true(criu_stub_logged("replace=yes checksums=no adopt=range map=yes keep=no"));
	give_up_dump();

	fd = openat(criu_get_image_dir(), "pram.conf", O_WRONLY | O_TRUNC | O_CLOEXEC);
	test_write(fd, "replace = perhaps\n");
	close(fd);
	opts.libdir = path;
	expect_refused("/pram.conf:1: replace is \"perhaps\"");
	remove_file("pram.conf");
	/* It need not be there. */
	opts.libdir = path;
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, -1), 0);
}

/* An archive of nothing must not be made. */
static void test_packed(void **state)
{
	(void)state;
	criu_stub_be_packed();
	expect_refused("packed; or let criu dump without the plugin");
	dump("core", 1);
	/* What is in there already can be had. */
	criu_stub_be_packed();
	restore("core", 1);
}

/* The device cannot be opened, but criu has inherited it. */
static void test_inherited_device(void **state)
{
	char number[16];
	int fd = pram_open();

	(void)state;
	assert_true(fd >= 0);
	fake_pram_fail_open(EPERM);
	setenv("CRIU_PRAM_FD", "1000000", 1);
	expect_refused("CRIU_PRAM_FD");
	snprintf(number, sizeof(number), "%d", fd);
	setenv("CRIU_PRAM_FD", number, 1);
	dump("core", 1);
	restore("core", 1);
	/* It stays its owner's. */
	assert_true(fcntl(fd, F_GETFD) >= 0);
	fake_pram_fail_open(0);
	unsetenv("CRIU_PRAM_FD");
	close(fd);
}

/* Its structures may be others: nothing of it is touched. */
static void test_another_criu(void **state)
{
	(void)state;
	criu_stub_be_another_criu();
	root_item = NULL;
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), -ENOEXEC);
	assert_true(criu_stub_logged("built for another criu (" CRIU_VERSION ", build id "));
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__PRE_DUMP), -ENOEXEC);
	assert_int_equal(hook_open(-1, NULL, 0), -ENOEXEC);
	assert_true(criu_stub_logged("install the plugin and the criu that were built together"));
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);
}

int plugin_test_refused(void)
{
	const struct CMUnitTest tests[] = {
		plugin_test(test_refused_options),
		plugin_test(test_refused_restore_options),
		plugin_test(test_luo_refuses),
		plugin_test(test_no_device),
		plugin_test(test_device_filter),
		plugin_test(test_settings),
		plugin_test(test_settings_of_libdir),
		plugin_test(test_packed),
		plugin_test(test_inherited_device),
		plugin_test(test_another_criu),
	};

	return cmocka_run_group_tests_name("refused", tests, NULL, NULL);
}
