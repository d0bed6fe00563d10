// SPDX-License-Identifier: GPL-2.0-only
/* plugin/, called as CRIU does, by its descriptor */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "criu.h"
#include "criu_stub.h"
#include "streams.h"
#include "test_util.h"

#define O_CREATE	(O_WRONLY | O_CREAT | O_TRUNC)

/* ---- the plugin, as CRIU sees it --------------------------------------- */

static int plugin_init(int stage)
{
	return CR_PLUGIN_DESC.init(stage);
}

static void plugin_exit(int stage, int ret)
{
	CR_PLUGIN_DESC.exit(stage, ret);
}

static int hook_open(int dfd, const char *path, int flags)
{
	CR_PLUGIN_HOOK__OPEN_IMAGE_t *hook = CR_PLUGIN_DESC.hooks[CR_PLUGIN_HOOK__OPEN_IMAGE];
	int fd = hook(dfd, path, flags);

	/* It may become a child's stdin, see plugin_open_image(). */
	if (fd >= 0)
		assert_int_equal(fcntl(fd, F_GETFD), 0);
	return fd;
}

static int hook_unlink(const char *path)
{
	CR_PLUGIN_HOOK__UNLINK_IMAGE_t *hook = CR_PLUGIN_DESC.hooks[CR_PLUGIN_HOOK__UNLINK_IMAGE];

	return hook(criu_get_image_dir(), path);
}

static int hook_done(int stage, int ret)
{
	CR_PLUGIN_HOOK__IMAGES_DONE_t *hook = CR_PLUGIN_DESC.hooks[CR_PLUGIN_HOOK__IMAGES_DONE];

	return hook(stage, ret);
}

static int hook_dump_pages(int fd, int pid, const struct iovec *iovs, unsigned int nr)
{
	CR_PLUGIN_HOOK__DUMP_PAGES_t *hook = CR_PLUGIN_DESC.hooks[CR_PLUGIN_HOOK__DUMP_PAGES];

	return hook(fd, pid, iovs, nr);
}

static int hook_dump_present_pages(int fd, int pid, struct iovec *range, struct iovec *taken,
				   unsigned int *nr)
{
	CR_PLUGIN_HOOK__DUMP_PRESENT_PAGES_t *hook =
		CR_PLUGIN_DESC.hooks[CR_PLUGIN_HOOK__DUMP_PRESENT_PAGES];

	return hook(fd, pid, range, taken, nr);
}

static int hook_dump_shared_pages(int fd, int shared, const struct iovec *iovs, unsigned int nr)
{
	CR_PLUGIN_HOOK__DUMP_SHARED_PAGES_t *hook = CR_PLUGIN_DESC.hooks[CR_PLUGIN_HOOK__DUMP_SHARED_PAGES];

	return hook(fd, shared, iovs, nr);
}

static int hook_share_pages(void)
{
	CR_PLUGIN_HOOK__SHARE_PAGES_t *hook = CR_PLUGIN_DESC.hooks[CR_PLUGIN_HOOK__SHARE_PAGES];

	return hook();
}

/* ---- what CRIU does with it -------------------------------------------- */

static void write_image(const char *path, const char *text)
{
	int fd = hook_open(criu_get_image_dir(), path, O_CREATE);

	assert_true(fd >= 0);
	test_write(fd, text);
	close(fd);
}

static void write_pages(const char *path, unsigned char byte, size_t nr)
{
	int fd = hook_open(criu_get_image_dir(), path, O_CREATE);

	assert_true(fd >= 0);
	test_write_pages(fd, byte, nr);
	close(fd);
}

static void expect_image(const char *path, const char *text)
{
	int fd = hook_open(criu_get_image_dir(), path, O_RDONLY);

	assert_true(fd >= 0);
	test_expect_text(fd, text);
	close(fd);
}

static void expect_pages(const char *path, unsigned char byte, size_t nr)
{
	int fd = hook_open(criu_get_image_dir(), path, O_RDONLY);

	assert_true(fd >= 0);
	test_expect_pages(fd, byte, nr);
	close(fd);
}

static void expect_absent(const char *path)
{
	assert_int_equal(hook_open(criu_get_image_dir(), path, O_RDONLY), -ENOENT);
}

/* A dump up to IMAGES_DONE: two images and two pages images. */
static void dump_images(const char *core, unsigned char byte)
{
	size_t nr_ready = fake_pram_count(PRAM_NODE_READY);

	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	write_image("inventory.img", "inventory");
	write_image("core-1.img", core);
	write_pages("pages-1.img", byte, 2);
	write_pages("pages-2.img", byte + 1, 0);
	assert_true(fake_pram_count(PRAM_NODE_READY) <= nr_ready);
}

static void dump(const char *core, unsigned char byte)
{
	size_t nr_ready = fake_pram_count(PRAM_NODE_READY);

	dump_images(core, byte);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), nr_ready + 3);
	criu_stub_new_process();
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

/* A restore up to IMAGES_DONE. */
static void restore_images(const char *core, unsigned char byte)
{
	struct expected expected = { core, byte };

	expect_image("inventory.img", "inventory");
	expect_absent("cpuinfo.img");
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
	expect_image("core-1.img", core);
	test_in_child(task, &expected);
}

static void restore(const char *core, unsigned char byte)
{
	restore_images(core, byte);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, 0), 0);
	plugin_exit(CR_PLUGIN_STAGE__RESTORE, 0);
	criu_stub_new_process();
}

/* A dump that is refused when it begins: no node, a reason. */
static void expect_refused(const char *reason)
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

/* The first image of a restore can't be had; CRIU must not take it for absent. */
static void expect_no_restore(int error, const char *reason)
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

static void add_file(const char *name)
{
	int fd = openat(criu_get_image_dir(), name, O_CREATE | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void remove_file(const char *name)
{
	assert_int_equal(unlinkat(criu_get_image_dir(), name, 0), 0);
}

/* ---- tests ------------------------------------------------------------- */

static void test_round_trip(void **state)
{
	(void)state;
	dump("core", 1);
	fake_pram_kexec();
	restore("core", 1);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

static void write_in_child(void *arg)
{
	(void)arg;
	write_image("utsns-1.img", "uts");
	write_image("rule-1.img", "unfinished");
	write_pages("pages-9.img", 9, 3);
	assert_int_equal(hook_unlink("rule-1.img"), 0);
}

static void test_dump_in_children(void **state)
{
	(void)state;
	dump_images("core", 1);
	test_in_child(write_in_child, NULL);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 4);

	criu_stub_new_process();
	expect_image("utsns-1.img", "uts");
	expect_absent("rule-1.img");
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
	expect_pages("pages-9.img", 9, 3);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, 0), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

static void test_unlink(void **state)
{
	(void)state;
	dump_images("core", 1);
	write_image("sk-queues.img", "queue");
	assert_int_equal(hook_unlink("sk-queues.img"), 0);
	/* CRIU unlinks images that were never written. */
	assert_int_equal(hook_unlink("filelocks.img"), 0);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	criu_stub_new_process();
	expect_absent("sk-queues.img");
	restore("core", 1);
}

static void test_failed_dump(void **state)
{
	(void)state;
	dump_images("core", 1);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, -1), 0);
	assert_true(criu_stub_logged("discarded"));
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);

	/* The post-dump script's refusal is a positive number. */
	dump_images("core", 1);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 255), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);

	/* Another plugin may have taken IMAGES_DONE. */
	dump_images("core", 1);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

static void test_failing_commit(void **state)
{
	static const unsigned long requests[] = { PRAM_IOCTL_SEAL, PRAM_IOCTL_COMMIT };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		dump_images("core", 1);
		fake_pram_fail(requests[i], ENOMEM, 0);
		assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), -ENOMEM);
		assert_true(criu_stub_logged("the tasks run on"));
		/* Not before the checkpoint is there. */
		assert_int_equal(criu_stub_no_return(), 0);
		plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
		assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);
		assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
		criu_stub_new_process();
	}
	/* Criu was told to end while it was sealed. */
	dump_images("core", 1);
	criu_stub_abort(-EINTR);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), -EINTR);
	assert_true(criu_stub_logged("given up before its commit"));
	assert_int_equal(criu_stub_no_return(), 0);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
	criu_stub_new_process();
	/* With the checkpoint there, nothing is a failure any more. */
	dump_images("core", 1);
	criu_stub_fail_no_return(-EIO);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	assert_true(criu_stub_logged("can't bind the tasks"));
	plugin_exit(CR_PLUGIN_STAGE__DUMP, 0);
	criu_stub_new_process();
	restore("core", 1);
	dump_images("core", 1);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	assert_int_equal(criu_stub_no_return(), 1);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, 0);
	criu_stub_new_process();
	restore("core", 1);
}

static void test_failing_image(void **state)
{
	(void)state;
	dump_images("core", 1);
	fake_pram_fail(PRAM_IOCTL_SAVE, ENOMEM, 0);
	assert_int_equal(hook_open(criu_get_image_dir(), "pages-5.img", O_CREATE), -ENOMEM);
	assert_true(criu_stub_logged("pages-5.img"));
	assert_int_equal(hook_open(criu_get_image_dir(), "a/b.img", O_CREATE), -EINVAL);
	assert_true(criu_stub_logged("a/b.img"));
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, -1), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

static void test_exists(void **state)
{
	(void)state;
	dump("old", 1);
	expect_refused("CRIU_PRAM_REPLACE=yes");
	restore("old", 1);
	fake_pram_fail(PRAM_IOCTL_SAVE, ENOSPC, 0);
	expect_refused("raise /sys/kernel/pram/max_bytes");
}

static void test_replace(void **state)
{
	(void)state;
	dump("old", 1);
	setenv("CRIU_PRAM_REPLACE", "yes", 1);

	/* The old one is not lost before the new one is there. */
	dump_images("new", 3);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, -1), 0);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);
	criu_stub_new_process();
	dump_images("new", 3);
	fake_pram_fail(PRAM_IOCTL_COMMIT, ENOMEM, 0);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), -ENOMEM);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	criu_stub_new_process();
	restore_images("old", 1);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
	criu_stub_new_process();

	dump_images("new", 3);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);
	criu_stub_new_process();
	restore("new", 3);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

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
	memset(long_name, 'x', sizeof(long_name) - 1);
	setenv("CRIU_PRAM_NAME", long_name, 1);
	expect_refused("too long for LUO: set CRIU_PRAM_NAME to one of at most 58 bytes");
	expect_no_restore(-ENAMETOOLONG, "too long for LUO");
	setenv("CRIU_PRAM_KEEP", "yes", 1);
	expect_no_restore(-EOPNOTSUPP, "LUO does not support the setting keep");
	opts.lazy_pages = true;
	expect_no_restore(-EOPNOTSUPP, "LUO does not support --lazy-pages");

	/* And back again, in the same process. */
	unsetenv("CRIU_PRAM_BACKEND");
	unsetenv("CRIU_PRAM_KEEP");
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
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, -1), 0);
	criu_stub_new_process();

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

static void test_name(void **state)
{
	char node[PRAM_NAME_MAX], long_name[PRAM_NAME_MAX];
	struct pram_node_stat stat;

	(void)state;
	dump("core", 1);
	snprintf(node, sizeof(node), "criu:%s:pages-1.img", criu_stub_images_dir());
	assert_int_equal(pram_stat(test_dev(), node, &stat), 0);

	setenv("CRIU_PRAM_NAME", "other", 1);
	expect_no_restore(-ENODATA, "\"other\"");
	dump_images("other core", 5);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	assert_int_equal(pram_stat(test_dev(), "criu:other", &stat), 0);
	criu_stub_new_process();
	restore("other core", 5);
	unsetenv("CRIU_PRAM_NAME");
	restore("core", 1);

	/* All of it must fit before a task is touched, also the pages images. */
	memset(long_name, 'x', sizeof(long_name));
	long_name[PRAM_NAME_MAX - strlen("criu:") - strlen(":pages-4294967295.img")] = '\0';
	setenv("CRIU_PRAM_NAME", long_name, 1);
	expect_refused("CRIU_PRAM_NAME");
	long_name[strlen(long_name) - 1] = '\0';
	setenv("CRIU_PRAM_NAME", long_name, 1);
	dump("core", 1);
	restore("core", 1);
}

/* The control group of this process, as the index should have it: "" if it is not known. */
static void read_cgroup(char *cgroup, size_t size)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX];

	*cgroup = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "0::/", 4))
			snprintf(cgroup, size, "%s", line + 3);
	}
	if (file)
		fclose(file);
}

static void test_index(void **state)
{
	static const int states[] = { TASK_DEAD, TASK_ALIVE, TASK_STOPPED };

	char cgroup[PATH_MAX];

	(void)state;
	read_cgroup(cgroup, sizeof(cgroup));
	for (size_t i = 0; i < 4; i++) {
		const bool die = i < 3 && states[i] == TASK_DEAD;
		struct pram_checkpoint_reader *r;
		const PramCheckpoint *index;

		/* Only of those that are killed memory is held, and if the kernel can. */
		fake_pram_set_features(PRAM_FEATURE_ADOPT | (i < 3 ? PRAM_FEATURE_TASKS_DIE : 0));
		opts.final_state = i < 3 ? states[i] : TASK_DEAD;
		dump("core", 1);
		assert_int_equal(fake_pram_commit_flags(), die ? PRAM_COMMIT_TASKS_DIE : 0);
		assert_int_equal(pram_reader_open(test_dev(), criu_stub_images_dir(), 0, &r), 0);
		index = pram_reader_index(r);
		/* Also of tasks that run on, pages are taken over. */
		assert_int_equal(index->settings->copy, false);
		assert_string_equal(index->images_dir, criu_stub_images_dir());
		assert_string_equal(index->criu_version, CRIU_VERSION);
		assert_int_equal(index->root_pid, getpid());
		assert_string_equal(index->root_comm, "test-plugin");
		assert_string_equal(index->cgroup ?: "", cgroup);
		assert_int_equal(pram_reader_finish(r), 0);
		pram_reader_close(r);
	}
}

/* Memory of pages that can be told apart, and ranges of it for CRIU's list. */
#define PAGE		4096U
#define NR_PAGES	((size_t)33000)

static unsigned char *make_memory(size_t nr_pages)
{
	unsigned char *memory = mmap(NULL, nr_pages * PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	return memory;
}

static uint64_t adopted_pages(const char *image)
{
	char node[PRAM_NAME_MAX];
	struct pram_node_stat stat;

	snprintf(node, sizeof(node), "criu:%s:%s", criu_stub_images_dir(), image);
	assert_int_equal(pram_stat(test_dev(), node, &stat), 0);
	return stat.adopted_pages;
}

/* Scattered pages, more than one call takes, in the right order. */
static void test_dump_pages(void **state)
{
	const unsigned int nr = NR_PAGES / 2;
	struct iovec *iovs = calloc(nr + 1, sizeof(*iovs));
	unsigned char *memory = make_memory(NR_PAGES), *page = malloc(PAGE);
	int fd;

	(void)state;
	assert_non_null(iovs);
	for (uint32_t i = 0; i < nr; i++) {
		/* Every other page; the last two are neighbours. */
		iovs[i] = (struct iovec){ memory + 2 * i * PAGE, PAGE };
		memcpy(iovs[i].iov_base, &i, sizeof(i));
	}
	iovs[nr] = (struct iovec){ memory + (2 * nr - 1) * PAGE, PAGE };
	memcpy(iovs[nr].iov_base, &nr, sizeof(nr));

	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_true(criu_stub_logged("taken over from the tasks"));
	write_image("inventory.img", "inventory");
	fd = hook_open(criu_get_image_dir(), "pages-1.img", O_CREATE);
	assert_int_equal(hook_dump_pages(fd, getpid(), NULL, 0), 0);
	assert_int_equal(hook_dump_pages(fd, getpid(), iovs, nr + 1), 0);
	close(fd);
	assert_int_equal(adopted_pages("pages-1.img"), nr + 1);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	assert_int_equal(hook_dump_pages(0, getpid(), NULL, 0), -ENOTSUP);
	criu_stub_new_process();

	expect_image("inventory.img", "inventory");
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
	fd = hook_open(criu_get_image_dir(), "pages-1.img", O_RDONLY);
	for (uint32_t i = 0; i <= nr; i++) {
		assert_int_equal(pread(fd, page, PAGE, (off_t)i * PAGE), PAGE);
		assert_memory_equal(page, &i, sizeof(i));
	}
	assert_int_equal(pread(fd, page, PAGE, (off_t)(nr + 1) * PAGE), 0);
	close(fd);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
	munmap(memory, NR_PAGES * PAGE);
	free(page);
	free(iovs);
}

/* By pipes if that is set, or if the kernel knows no better. */
static void test_dump_pages_not(void **state)
{
	(void)state;
	setenv("CRIU_PRAM_ADOPT", "no", 1);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_true(criu_stub_logged("copied\n"));
	assert_int_equal(hook_dump_pages(0, getpid(), NULL, 0), -ENOTSUP);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);

	unsetenv("CRIU_PRAM_ADOPT");
	fake_pram_set_features(0);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_true(criu_stub_logged("copied, as this kernel"));
	assert_int_equal(hook_dump_pages(0, getpid(), NULL, 0), -ENOTSUP);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

/* What there is of memory is found and taken over, if the kernel can, with little room, too. */
static void test_dump_present_pages(void **state)
{
	const uint64_t can = PRAM_FEATURE_ADOPT | PRAM_FEATURE_ADOPT_PRESENT;
	unsigned char *memory = make_memory(20), *page = malloc(PAGE);
	static const uint32_t there[] = { 1, 2, 3, 7, 11, 12, 19 };
	struct iovec range = { memory, (size_t)20 * PAGE }, taken[2];
	unsigned int nr, found = 0, calls = 0;
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		memcpy(memory + (size_t)there[i] * PAGE, &there[i], sizeof(there[i]));

	fake_pram_set_features(PRAM_FEATURE_ADOPT);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_int_equal(hook_dump_present_pages(0, getpid(), NULL, NULL, NULL), -ENOTSUP);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	fake_pram_set_features(can);
	setenv("CRIU_PRAM_ADOPT", "no", 1);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_int_equal(hook_dump_present_pages(0, getpid(), NULL, NULL, NULL), -ENOTSUP);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	unsetenv("CRIU_PRAM_ADOPT");

	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	write_image("inventory.img", "inventory");
	fd = hook_open(criu_get_image_dir(), "pages-1.img", O_CREATE);
	assert_int_equal(hook_dump_present_pages(fd, getpid(), NULL, NULL, NULL), 0);
	/* Memory that the kernel leaves to CRIU, and errors. */
	nr = 2;
	fake_pram_fail(PRAM_IOCTL_ADOPT_PRESENT, EOPNOTSUPP, 0);
	assert_int_equal(hook_dump_present_pages(fd, getpid(), &range, taken, &nr), -ENOTSUP);
	fake_pram_fail(PRAM_IOCTL_ADOPT_PRESENT, EFAULT, 0);
	assert_int_equal(hook_dump_present_pages(fd, getpid(), &range, taken, &nr), -EFAULT);
	assert_true(criu_stub_logged("the tasks run on, see the kernel's log"));
	assert_true(range.iov_base == memory && range.iov_len == (size_t)20 * PAGE);
	while (range.iov_len) {
		nr = 2;
		assert_int_equal(hook_dump_present_pages(fd, getpid(), &range, taken, &nr), 0);
		assert_true(nr <= 2);
		for (unsigned int i = 0; i < nr; i++) {
			const unsigned char *start = taken[i].iov_base;

			for (size_t n = 0; n < taken[i].iov_len / PAGE; n++)
				assert_true(start + n * PAGE == memory + (size_t)there[found++] * PAGE);
		}
		calls++;
	}
	assert_int_equal(found, sizeof(there) / sizeof(there[0]));
	assert_int_equal(calls, 2);
	close(fd);
	assert_int_equal(adopted_pages("pages-1.img"), found);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	assert_int_equal(hook_dump_present_pages(0, getpid(), NULL, NULL, NULL), -ENOTSUP);
	criu_stub_new_process();

	expect_image("inventory.img", "inventory");
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
	fd = hook_open(criu_get_image_dir(), "pages-1.img", O_RDONLY);
	for (unsigned int i = 0; i < found; i++) {
		assert_int_equal(pread(fd, page, PAGE, (off_t)i * PAGE), PAGE);
		assert_memory_equal(page, &there[i], sizeof(there[i]));
	}
	assert_int_equal(pread(fd, page, PAGE, (off_t)found * PAGE), 0);
	close(fd);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
	munmap(memory, (size_t)20 * PAGE);
	free(page);
}

/* Shared memory is taken over by its file, if the kernel can, and then needs no room. */
static void test_dump_shared_pages(void **state)
{
	const uint64_t can = PRAM_FEATURE_ADOPT | PRAM_FEATURE_ADOPT_FILE;
	const int shared = memfd_create("shared", MFD_CLOEXEC);
	const struct iovec iovs[] = {
		{ NULL, 2 * PAGE }, { (void *)(5 * PAGE), PAGE }, { (void *)(6 * PAGE), PAGE },
	};
	char *page = malloc(PAGE), *big;
	int fd, other;

	(void)state;
	assert_int_equal(ftruncate(shared, 6 * PAGE + 10), 0);
	for (uint32_t i = 0; i < 7; i++)
		assert_int_equal(pwrite(shared, &i, sizeof(i), (off_t)i * PAGE), sizeof(i));

	fake_pram_set_features(PRAM_FEATURE_ADOPT);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_int_equal(hook_dump_shared_pages(0, shared, NULL, 0), -ENOTSUP);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	fake_pram_set_features(can);
	setenv("CRIU_PRAM_ADOPT", "no", 1);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_int_equal(hook_dump_shared_pages(0, shared, NULL, 0), -ENOTSUP);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	unsetenv("CRIU_PRAM_ADOPT");

	big = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(big != MAP_FAILED);
	memset(big, 1, 8 << 20);
	criu_stub_set_room(2 << 20);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_true(criu_stub_logged("of their memory is copied (shared 0, "));
	munmap(big, 8 << 20);
	write_image("inventory.img", "inventory");
	fd = hook_open(criu_get_image_dir(), "pages-1.img", O_CREATE);
	/* A file of another kind, as hugetlb's is. */
	other = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_int_equal(hook_dump_shared_pages(fd, other, NULL, 0), -ENOTSUP);
	close(other);
	assert_int_equal(hook_dump_shared_pages(fd, shared, NULL, 0), 0);
	fake_pram_fail(PRAM_IOCTL_ADOPT_FILE, ENOSPC, 0);
	assert_int_equal(hook_dump_shared_pages(fd, shared, iovs, 3), -ENOSPC);
	assert_true(criu_stub_logged("can't take over shared memory: the limit is reached"));
	assert_int_equal(hook_dump_shared_pages(fd, shared, iovs, 3), 0);
	close(fd);
	assert_int_equal(adopted_pages("pages-1.img"), 4);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	assert_int_equal(hook_dump_shared_pages(0, shared, NULL, 0), -ENOTSUP);
	criu_stub_new_process();

	expect_image("inventory.img", "inventory");
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
	fd = hook_open(criu_get_image_dir(), "pages-1.img", O_RDONLY);
	for (uint32_t i = 0; i < 4; i++) {
		const uint32_t is = i < 2 ? i : i + 3;

		assert_int_equal(pread(fd, page, PAGE, (off_t)i * PAGE), PAGE);
		assert_memory_equal(page, &is, sizeof(is));
	}
	close(fd);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
	close(shared);
	free(page);
}

/* What has to be copied, and whether there is room for it, is said before the freeze. */
static void test_room(void **state)
{
	const size_t size = 8 << 20;
	char *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(shared != MAP_FAILED);
	memset(shared, 1, size);
	criu_stub_set_room(2 << 20);
	expect_refused("MiB of the tasks' memory must be copied, and there is not more than 4 MiB");
	criu_stub_set_room(7 << 20);
	dump_images("core", 1);
	assert_true(criu_stub_logged("the dump may fail for lack of it"));
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, -1), 0);
	criu_stub_new_process();
	dump_images("core", 1);
	assert_true(criu_stub_logged("of their memory is copied (shared "));
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, -1), 0);
	munmap(shared, size);
}

static void test_failing_dump_pages(void **state)
{
	unsigned char *memory = make_memory(1);
	const struct iovec iov = { memory, PAGE };
	int fd, pid;

	(void)state;
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	fd = hook_open(criu_get_image_dir(), "pages-1.img", O_CREATE);
	fake_pram_fail(PRAM_IOCTL_ADOPT, EACCES, 0);
	assert_int_equal(hook_dump_pages(fd, getpid(), &iov, 1), -EACCES);
	assert_true(criu_stub_logged("the tasks run on, see the kernel's log"));
	fake_pram_set_totals(1 << 20, 0);
	fake_pram_fail(PRAM_IOCTL_ADOPT, ENOSPC, 0);
	assert_int_equal(hook_dump_pages(fd, getpid(), &iov, 1), -ENOSPC);
	assert_true(criu_stub_logged("of at most 1048576 bytes: raise /sys/kernel/pram/max_bytes"));

	pid = fork();
	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(hook_dump_pages(fd, pid, &iov, 1), -ESRCH);
	assert_true(criu_stub_logged("can't open process"));
	close(fd);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	munmap(memory, PAGE);
}

/* Whether tasks are to inherit memory is asked when the first image was read. */
static void test_share_pages(void **state)
{
	static const struct {
		const char	*map;
		uint64_t	features;
		int		answer;
	} cases[] = {
		{ "yes", PRAM_FEATURE_ADOPT | PRAM_FEATURE_MAP | PRAM_FEATURE_SHARE, 0 },
		{ "no", PRAM_FEATURE_ADOPT | PRAM_FEATURE_MAP | PRAM_FEATURE_SHARE, -ENOTSUP },
		{ "yes", PRAM_FEATURE_ADOPT | PRAM_FEATURE_MAP, -ENOTSUP },
		{ "yes", PRAM_FEATURE_ADOPT, -ENOTSUP },
	};

	(void)state;
	dump("core", 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(hook_share_pages(), -ENOTSUP);
		setenv("CRIU_PRAM_MAP", cases[i].map, 1);
		fake_pram_set_features(cases[i].features);
		expect_image("inventory.img", "inventory");
		assert_true(criu_stub_logged(i && i != 2 ? "pages are copied" :
							   "pages are mapped"));
		assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
		assert_int_equal(hook_share_pages(), cases[i].answer);
		assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
		criu_stub_new_process();
	}
}

static void test_failed_restore(void **state)
{
	(void)state;
	dump("core", 1);

	restore_images("core", 1);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
	assert_true(criu_stub_logged("stays in PRAM"));
	plugin_exit(CR_PLUGIN_STAGE__RESTORE, -1);
	criu_stub_new_process();
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);

	/* Before init(), and without IMAGES_DONE */
	expect_image("inventory.img", "inventory");
	plugin_exit(CR_PLUGIN_STAGE__RESTORE, -1);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);

	for (unsigned int i = 0; i < 3; i++) {
		expect_image("inventory.img", "inventory");
		criu_stub_fail_fdstore(i);
		assert_int_not_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
		assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
		criu_stub_new_process();
		assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);
	}
	restore("core", 1);
}

static void test_failing_finish(void **state)
{
	(void)state;
	dump("core", 1);
	restore_images("core", 1);
	fake_pram_fail(PRAM_IOCTL_COMMIT, ENOMEM, 0);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, 0), -ENOMEM);
	assert_true(criu_stub_logged("pramctl rm"));
	plugin_exit(CR_PLUGIN_STAGE__RESTORE, 0);
	criu_stub_new_process();
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);
}

static void test_keep(void **state)
{
	(void)state;
	dump("core", 1);
	setenv("CRIU_PRAM_KEEP", "yes", 1);
	restore_images("core", 1);
	/* Not even while it is being restored is it out of others' reach. */
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, 0), 0);
	assert_true(criu_stub_logged("is kept"));
	criu_stub_new_process();
	unsetenv("CRIU_PRAM_KEEP");
	restore("core", 1);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

/* Somebody else finishes it, or not. */
static void test_streams(void **state)
{
	char number[16];
	int ends[2], *fds;
	size_t nr;

	(void)state;
	dump("core", 1);
	for (int commit = 0; commit < 2; commit++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
		snprintf(number, sizeof(number), "%d", ends[1]);
		setenv("CRIU_PRAM_STREAMS", number, 1);
		restore_images("core", 1);
		assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, 0), 0);
		assert_true(criu_stub_logged("by whom its streams were sent to"));
		criu_stub_new_process();
		close(ends[1]);
		assert_int_equal(pram_streams_receive(ends[0], &fds, &nr), 0);
		close(ends[0]);
		assert_int_equal(nr, 3);
		assert_int_equal(fake_pram_count(PRAM_NODE_LOADING), 3);
		if (commit)
			assert_int_equal(pram_commit(test_dev(), fds, nr), 0);
		pram_streams_close(&fds, &nr);
		assert_int_equal(fake_pram_count(PRAM_NODE_READY), commit ? 0 : 3);
		unsetenv("CRIU_PRAM_STREAMS");
	}
	/* Nobody is there to take them. */
	dump("core", 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	close(ends[0]);
	snprintf(number, sizeof(number), "%d", ends[1]);
	setenv("CRIU_PRAM_STREAMS", number, 1);
	restore_images("core", 1);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, 0), -EPIPE);
	plugin_exit(CR_PLUGIN_STAGE__RESTORE, 0);
	criu_stub_new_process();
	close(ends[1]);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);
	setenv("CRIU_PRAM_BACKEND", "luo", 1);
	expect_no_restore(-EOPNOTSUPP, "LUO does not support the setting streams");
	unsetenv("CRIU_PRAM_BACKEND");
	unsetenv("CRIU_PRAM_STREAMS");
}

/* A process that has the checkpoint, as tasks of a failed restore do, and ends. */
static pid_t hold_for(unsigned int ms)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		struct pram_checkpoint_reader *r;
		const bool held = !pram_reader_open(test_dev(), criu_stub_images_dir(), 0, &r) &&
				  !pram_reader_open_pages(r);

		close(ready[0]);
		if (write(ready[1], &held, 1) == 1)
			usleep(ms * 1000);
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 1);
	close(ready[0]);
	return pid;
}

static void test_busy(void **state)
{
	struct pram_checkpoint_reader *r;
	pid_t pid;

	(void)state;
	dump("core", 1);
	assert_int_equal(pram_reader_open(test_dev(), criu_stub_images_dir(), 0, &r), 0);
	expect_no_restore(-EBUSY, "by another process, or tasks of a restore that has failed");
	setenv("CRIU_PRAM_REPLACE", "yes", 1);
	expect_refused("is being restored");
	pram_reader_close(r);

	/* Not for long: that is waited for. */
	pid = hold_for(200);
	dump_images("core", 1);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	criu_stub_new_process();
	pid = hold_for(200);
	restore("core", 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

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
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	criu_stub_new_process();
	while (pram_list_next(test_dev(), &node) > 0) {
		if (strstr((char *)node.name, "@mnt-") && !strstr((char *)node.name, ":pages"))
			snprintf(name, sizeof(name), "%s", node.name);
	}
	other = name + strlen("criu:");
	assert_int_equal(strncmp(other, criu_stub_images_dir(), strlen(criu_stub_images_dir())), 0);

	/* In the same one it is found again, elsewhere by its name. */
	criu_stub_be_elsewhere();
	restore_images("other", 2);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
	criu_stub_new_process();
	setenv("CRIU_PRAM_NAME", other, 1);
	restore("other", 2);
	unsetenv("CRIU_PRAM_NAME");
	restore("core", 1);

	/* A name that was given is a name. */
	setenv("CRIU_PRAM_NAME", "unit:redis", 1);
	criu_stub_be_elsewhere();
	dump_images("core", 1);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	criu_stub_new_process();
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
	expect_refused("which belongs to another mount namespace");
	criu_stub_be_elsewhere();
	expect_no_restore(-EINVAL, "set CRIU_PRAM_NAME for the dump and the restore");
	setenv("CRIU_PRAM_NAME", "named", 1);
	dump("core", 1);
	restore("core", 1);
	criu_stub_set_images_dir(own);
	close(fd);
}

static void test_damaged(void **state)
{
	char node[PRAM_NAME_MAX];

	(void)state;
	snprintf(node, sizeof(node), "criu:%s", criu_stub_images_dir());
	fake_pram_add(node, PRAM_BYTE_STREAM, 0, "garbage", 7);
	expect_no_restore(-EBADMSG, "is damaged");
	assert_int_equal(pram_free(test_dev(), node), 0);

	/* One that the kernel has found damaged is named. */
	dump("core", 1);
	snprintf(node, sizeof(node), "criu:%s:pages-2.img", criu_stub_images_dir());
	fake_pram_break(node, false);
	expect_image("inventory.img", "inventory");
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), -EBADMSG);
	assert_true(criu_stub_logged("pages-2.img\" is damaged: see the kernel's log"));
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
	criu_stub_new_process();

	/* If all of it is lost, it may be that which the kernel speaks of. */
	assert_int_equal(pram_checkpoint_remove(test_dev(), criu_stub_images_dir(), NULL), 0);
	fake_pram_set_totals(0, 12);
	expect_no_restore(-ENODATA, "lost at least 12 pages");
}

static void test_missing_pages_node(void **state)
{
	char node[PRAM_NAME_MAX];

	(void)state;
	dump("core", 1);
	snprintf(node, sizeof(node), "criu:%s:pages-2.img", criu_stub_images_dir());
	assert_int_equal(pram_free(test_dev(), node), 0);
	expect_image("inventory.img", "inventory");
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), -EBADMSG);
	assert_true(criu_stub_logged("pramctl show"));
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 2);
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
	expect_no_restore(-ENODATA, "restore without the plugin if");
	fake_pram_set_totals(0, 0);

	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_true(criu_stub_logged("ordinary images"));
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, -1), 0);
	criu_stub_new_process();
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
	fd = hook_open(criu_get_image_dir(), "inventory.img", O_CREATE);
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
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	criu_stub_new_process();
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
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
	criu_stub_new_process();
	assert_true(has_file("inventory.img"));
	assert_true(hook_open(criu_get_image_dir(), "inventory.img", O_RDONLY) >= 0);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, 0), 0);
	criu_stub_new_process();
	assert_false(has_file("inventory.img"));

	/* Of a dump that fails nothing is left, at whatever step. */
	dump_with_inventory();
	fake_pram_fail(PRAM_IOCTL_COMMIT, ENOMEM, 0);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), -ENOMEM);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	criu_stub_new_process();
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
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	criu_stub_new_process();
	dump_with_inventory();
	fake_pram_fail(PRAM_IOCTL_COMMIT, ENOMEM, 0);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), -ENOMEM);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	criu_stub_new_process();
	assert_true(has_file("inventory.img") && !has_file("inventory.img.new"));
	unsetenv("CRIU_PRAM_REPLACE");
	assert_true(hook_open(criu_get_image_dir(), "inventory.img", O_RDONLY) >= 0);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, 0), 0);
	criu_stub_new_process();
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
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	criu_stub_new_process();

	expect_image("mm-1.img", "");
	assert_int_equal(hook_open(other, "core-1.img", O_RDONLY), -ENOTSUP);
	assert_int_equal(hook_unlink("core-1.img"), -ENOTSUP);
	assert_int_equal(hook_open(same, "pages-1.img", O_RDWR), -EROFS);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
	close(same);
	close(other);
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

/* ---- */

static char settings_file[] = "/tmp/pram-test-settings-XXXXXX";

static int setup(void **state)
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
	unsetenv("CRIU_PRAM_BACKEND");
	criu_stub_setup();
	return ret;
}

static int teardown(void **state)
{
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	criu_stub_teardown();
	return test_teardown(state);
}

/* Not the settings of the machine that the tests run on. */
static int group_setup(void **state)
{
	int fd = mkstemp(settings_file);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	return setenv("CRIU_PRAM_CONFIG", settings_file, 1);
}

static int group_teardown(void **state)
{
	(void)state;
	return unlink(settings_file);
}

#define plugin_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		plugin_test(test_round_trip),
		plugin_test(test_dump_in_children),
		plugin_test(test_unlink),
		plugin_test(test_failed_dump),
		plugin_test(test_failing_commit),
		plugin_test(test_failing_image),
		plugin_test(test_exists),
		plugin_test(test_replace),
		plugin_test(test_refused_options),
		plugin_test(test_refused_restore_options),
		plugin_test(test_luo_refuses),
		plugin_test(test_no_device),
		plugin_test(test_device_filter),
		plugin_test(test_settings),
		plugin_test(test_settings_of_libdir),
		plugin_test(test_packed),
		plugin_test(test_inherited_device),
		plugin_test(test_name),
		plugin_test(test_index),
		plugin_test(test_dump_pages),
		plugin_test(test_dump_pages_not),
		plugin_test(test_dump_present_pages),
		plugin_test(test_room),
		plugin_test(test_failing_dump_pages),
		plugin_test(test_share_pages),
		plugin_test(test_dump_shared_pages),
		plugin_test(test_failed_restore),
		plugin_test(test_failing_finish),
		plugin_test(test_keep),
		plugin_test(test_streams),
		plugin_test(test_busy),
		plugin_test(test_elsewhere),
		plugin_test(test_foreign_directory),
		plugin_test(test_damaged),
		plugin_test(test_missing_pages_node),
		plugin_test(test_ordinary_images),
		plugin_test(test_marker),
		plugin_test(test_directories),
		plugin_test(test_another_criu),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
