// SPDX-License-Identifier: GPL-2.0-only
/* plugin/: dumps: what becomes a checkpoint, and of one that fails nothing */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "harness.h"
#include "tasks.h"

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
	commit_dump();
	expect_absent("sk-queues.img");
	restore("core", 1);
}

static void test_failed_dump(void **state)
{
	(void)state;
	dump_images("core", 1);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, -1), 0);
	assert_true(criu_stub_logged("discarded"));
	expect_no_nodes();
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);

	/* The post-dump script's refusal is a positive number. */
	dump_images("core", 1);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 255), 0);
	expect_no_nodes();

	/* Another plugin may have taken IMAGES_DONE. */
	dump_images("core", 1);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	expect_no_nodes();
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
		expect_no_nodes();
		criu_stub_new_process();
	}
	/* Criu was told to end while it was sealed. */
	dump_images("core", 1);
	criu_stub_abort(-EINTR);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), -EINTR);
	assert_true(criu_stub_logged("given up before its commit"));
	assert_int_equal(criu_stub_no_return(), 0);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	expect_no_nodes();
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
	fail_commit();
	restore_images("old", 1);
	end_restore(-1);

	dump_images("new", 3);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);
	criu_stub_new_process();
	restore("new", 3);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
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
		const uint32_t dead = i < 3 && states[i] == TASK_DEAD ?
				      PRAM_COMMIT_TASKS_DIE | PRAM_COMMIT_EXITKILL : 0;
		struct pram_checkpoint_reader *r;
		const PramCheckpoint *index;

		/*
		 * Only of those that are killed memory is held, only they are bound to criu, and
		 * if the kernel can.
		 */
		fake_pram_set_features(PRAM_FEATURE_ADOPT | (i == 3 ? 0 :
				       PRAM_FEATURE_TASKS_DIE | PRAM_FEATURE_EXITKILL));
		opts.final_state = i < 3 ? states[i] : TASK_DEAD;
		dump("core", 1);
		assert_int_equal(fake_pram_commit_flags(), dead);
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

/* Files that a kexec destroys are named before any task is frozen: the first eight. */
static void test_lost_files(void **state)
{
	char paths[10][32], more[64];
	struct pram_tasks tasks;
	struct statfs fs;
	int fds[10];

	(void)state;
	if (statfs("/dev/shm", &fs) || fs.f_type != TMPFS_MAGIC)
		skip();
	for (size_t i = 0; i < 10; i++) {
		strcpy(paths[i], "/dev/shm/pram-test-XXXXXX");
		fds[i] = mkstemp(paths[i]);
		assert_true(fds[i] >= 0);
	}
	/* The test itself may have such a file, too. */
	assert_int_equal(pram_tasks_look(getpid(), &tasks), 0);
	snprintf(more, sizeof(more), "and %zu more files: see \"pramctl check --task %d\"",
		 tasks.nr_lost - 8, getpid());
	pram_tasks_free(&tasks);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	for (size_t i = 0; i < 10; i++) {
		unlink(paths[i]);
		close(fds[i]);
	}
	assert_true(criu_stub_logged(more));
}

/* Before any task is frozen, if the kernel can; not for pages that are copied. */
static void test_evacuate(void **state)
{
	static const unsigned int evacuations[] = { 0, 1, 0 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const unsigned int before = fake_pram_evacuations();

		fake_pram_set_features(PRAM_FEATURE_ADOPT | (i ? PRAM_FEATURE_EVACUATE : 0));
		setenv("CRIU_PRAM_ADOPT", i < 2 ? "range" : "no", 1);
		assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
		assert_int_equal(fake_pram_evacuations() - before, evacuations[i]);
		plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	}
}

/* Of pages, if the tasks die for certain. */
static void test_final(void **state)
{
	static const struct {
		uint64_t features;
		int final_state;
		const char *adopt;
		unsigned int nr;
	} cases[] = {
		{ PRAM_FEATURE_FINAL | PRAM_FEATURE_EXITKILL, TASK_DEAD, "range", 1 },
		{ PRAM_FEATURE_FINAL | PRAM_FEATURE_EXITKILL, TASK_ALIVE, "range", 0 },
		{ PRAM_FEATURE_FINAL | PRAM_FEATURE_EXITKILL, TASK_STOPPED, "range", 0 },
		{ PRAM_FEATURE_FINAL | PRAM_FEATURE_EXITKILL, TASK_DEAD, "no", 0 },
		{ PRAM_FEATURE_FINAL, TASK_DEAD, "range", 0 },
		{ PRAM_FEATURE_EXITKILL, TASK_DEAD, "range", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const unsigned int before = fake_pram_final();
		int fd;

		fake_pram_set_features(PRAM_FEATURE_ADOPT | cases[i].features);
		opts.final_state = cases[i].final_state;
		setenv("CRIU_PRAM_ADOPT", cases[i].adopt, 1);
		assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
		assert_int_equal(fake_pram_final(), before);
		fd = hook_open(criu_get_image_dir(), "pages-1.img", O_CREATE);
		assert_true(fd >= 0);
		close(fd);
		assert_int_equal(fake_pram_final() - before, cases[i].nr);
		plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	}
}

int plugin_test_dump(void)
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
		plugin_test(test_name),
		plugin_test(test_index),
		plugin_test(test_lost_files),
		plugin_test(test_evacuate),
		plugin_test(test_final),
	};

	return cmocka_run_group_tests_name("dump", tests, NULL, NULL);
}
