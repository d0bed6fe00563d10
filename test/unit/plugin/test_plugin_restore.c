// SPDX-License-Identifier: GPL-2.0-only
/* plugin/: restores: once, again, by others, of damaged checkpoints */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "streams.h"

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
		end_restore(-1);
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
		assert_true(criu_stub_logged("by the program that got its streams"));
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
	end_restore(-1);

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

int plugin_test_restore(void)
{
	const struct CMUnitTest tests[] = {
		plugin_test(test_failed_restore),
		plugin_test(test_failing_finish),
		plugin_test(test_keep),
		plugin_test(test_streams),
		plugin_test(test_busy),
		plugin_test(test_damaged),
		plugin_test(test_missing_pages_node),
	};

	return cmocka_run_group_tests_name("restore", tests, NULL, NULL);
}
