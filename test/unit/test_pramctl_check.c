// SPDX-License-Identifier: GPL-2.0-only
/* pramctl check: what a machine lacks, and what a task has */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "build_id.h"
#include "elf_file.h"
#include "pramctl_harness.h"

#define GOOD	"check --root " SYSTEMS "good --criu " TEST_BUILD_DIR "/fake-criu --plugin " \
		TEST_BUILD_DIR "/fake-plugin.so"
#define BAD	"check --root " SYSTEMS "bad --criu " TEST_BUILD_DIR "/fake-criu-old --plugin " \
		TEST_BUILD_DIR "/fake-plugin-old.so"

static void test_check(void **state)
{
	(void)state;
	expect_prints(GOOD, "check-good");
	expect_prints(GOOD " --json", "check-good.json");
	assert_int_equal(run(BAD), PRAMCTL_FAILED);
	expect_golden("check-bad", last.out);
	assert_int_equal(run(BAD " --json"), PRAMCTL_FAILED);
	expect_golden("check-bad.json", last.out);
	/* Nothing at all, and criu and plugin looked for in there. */
	assert_int_equal(run("check --root " SYSTEMS "empty"), PRAMCTL_FAILED);
	expect_golden("check-empty", last.out);
	assert_string_equal(last.err, "");
}

/* A script in criu's place is not criu; a text is no plugin. */
static void test_check_no_elf(void **state)
{
	(void)state;
	assert_int_equal(run("check --root " SYSTEMS "good --criu " SYSTEMS
			     "good/usr/sbin/kexec --plugin " SYSTEMS "good/proc/cmdline"),
			 PRAMCTL_FAILED);
	assert_non_null(strstr(last.out, "it is a script"));
	assert_non_null(strstr(last.out, "Exec format error"));
	assert_int_equal(run("check --root " SYSTEMS "good --criu /nowhere --plugin /nowhere"),
			 PRAMCTL_FAILED);
	assert_non_null(strstr(last.out, "criu                       /nowhere"));
}

/* Both ways to a build id lead to the same one. */
static void test_build_id(void **state)
{
	uint8_t program[PRAM_BUILD_ID_MAX], file[PRAM_BUILD_ID_MAX];
	char text[PRAM_BUILD_ID_TEXT_MAX];
	int size = pram_program_build_id(program);

	(void)state;
	assert_true(size > 0);
	assert_int_equal(elf_read_build_id("/proc/self/exe", file), size);
	assert_memory_equal(program, file, size);
	pram_build_id_text(text, program, 0);
	assert_string_equal(text, "(none)");
	pram_build_id_text(text, (const uint8_t[]){ 0, 0x1f, 0xff }, 3);
	assert_string_equal(text, "001fff");
}

/* A plugin and a criu that were not built together. */
static void test_check_pair(void **state)
{
	(void)state;
	assert_int_equal(run("check --root " SYSTEMS "good --criu " TEST_BUILD_DIR
			     "/fake-criu-old --plugin " TEST_BUILD_DIR "/fake-plugin.so"),
			 PRAMCTL_FAILED);
	assert_non_null(strstr(last.out, "built for 4.2.1 with build id c0ffee0000000001, not for this "
					 "criu with c0ffee0000000002; install"));
}

static void expect_kho(const char *cmdline, bool on)
{
	FILE *file = fopen(in_scratch("", "proc/cmdline"), "w");

	assert_non_null(file);
	fprintf(file, "%s\n", cmdline);
	fclose(file);
	run(in_scratch("check --root ", ""));
	if (!strstr(last.out, on ? "kho=on\n" : "kho is off"))
		fail_msg("'%s': %s", cmdline, last.out);
}

static void test_check_command_line(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in_scratch("", "proc"), 0700), 0);
	expect_kho("quiet kho=on", true);
	expect_kho("kho=1", true);
	expect_kho("kho=y panic=1", true);
	expect_kho("kho=off kho=on", true);
	expect_kho("", false);
	expect_kho("kho=", false);
	expect_kho("kho=0", false);
	expect_kho("kho=on kho=off", false);
	expect_kho("nokho=on", false);
	expect_kho("kho_scratch=1M", false);
	expect_kho("init=/x -- kho=on", false);
}

/* KHO off though kho=on is there: what the command line doesn't show. */
static void test_check_kho_failed(void **state)
{
	(void)state;
	make_system("0\n", "0\n", "");
	mkdir(in_scratch("", "proc/sys"), 0700);
	mkdir(in_scratch("", "proc/sys/kernel"), 0700);
	put_file("proc/sys/kernel/osrelease", "7.3.4\n");
	put_file("proc/cmdline", "kho=on kho_scratch=16M,64G,64M\n");
	put_file("proc/config.gz", "CONFIG_KEXEC_HANDOVER=y\nCONFIG_PRAM=y\n");
	unlink(in_scratch("", "sys/kernel/pram/abi_version"));
	run(in_scratch("check --root ", ""));
	assert_non_null(strstr(last.out, "debugfs can't be read; as root, mount"));
	/* It is mounted, and KHO has nothing there. */
	mkdir(in_scratch("", "sys/kernel/debug"), 0700);
	mkdir(in_scratch("", "sys/kernel/debug/x86"), 0700);
	run(in_scratch("check --root ", ""));
	assert_non_null(strstr(last.out, "missing  scratch areas              KHO is off although it was "
					 "requested: it could not reserve them; boot with areas"));
	assert_non_null(strstr(last.out, "not present; see the scratch areas above"));
	put_file("proc/cmdline", "kho=off\n");
	run(in_scratch("check --root ", ""));
	assert_non_null(strstr(last.out, "unknown  scratch areas              KHO is off; boot with"));
}

/* What this test is, and has. */
static void test_check_task(void **state)
{
	const size_t size = 3 << 20;
	char line[64], *mem;

	(void)state;
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(mem != MAP_FAILED);
	memset(mem, 1, size);
	snprintf(line, sizeof(line), "check --task %d", getpid());
	run(line);
	assert_string_equal(last.err, "");
	assert_non_null(strstr(last.out, "ok       tasks                      1\n"));
	assert_non_null(strstr(last.out, "copied: shared memory"));
	assert_non_null(strstr(last.out, "is copied, "));
	munmap(mem, size);

	fake_pram_fail_open(EACCES);
	expect_fails(line, PRAMCTL_UNAVAILABLE, "as root");
	fake_pram_fail_open(0);
}

/* What a kexec destroys, and what criu refuses, is a failure, whatever else there is. */
static void test_check_task_lacks(void **state)
{
	char line[64], path[512], in_memory[] = "/dev/shm/pram-test-XXXXXX";
	int refused = open(in_scratch("", "name"), O_RDWR | O_CREAT | O_CLOEXEC, 0600), lost = -1;
	struct statfs fs;

	(void)state;
	assert_true(refused >= 0);
	snprintf(path, sizeof(path), "%s", in_scratch("", "name"));
	assert_int_equal(link(path, in_scratch("", "other")), 0);
	unlink(path);
	if (!statfs("/dev/shm", &fs) && fs.f_type == TMPFS_MAGIC)
		lost = mkstemp(in_memory);
	snprintf(line, sizeof(line), "check --task %d", getpid());
	assert_int_equal(run(line), PRAMCTL_FAILED);
	unlink(in_memory);
	assert_non_null(strstr(last.out, "/name (deleted), which has another name; make it close the file\n"));
	if (lost >= 0)
		assert_non_null(strstr(last.out, ", in memory that a kexec destroys; keep it on a tmpfs with pram="));
	assert_non_null(strstr(last.out, "As it is, it can't be dumped"));
	close(lost);
	close(refused);
}

/* Of a process that one may not look at nothing is known: that is no "all is well". */
static void check_as_nobody(void *arg)
{
	char line[64];

	if (!geteuid() && setresuid(65534, 65534, 65534))
		fail();
	snprintf(line, sizeof(line), "check --task %d", *(pid_t *)arg);
	expect_fails(line, PRAMCTL_UNAVAILABLE, "can't be examined; run pramctl as root");
}

static void test_check_task_unseen(void **state)
{
	pid_t pid = geteuid() ? 1 : getpid();

	(void)state;
	if (geteuid() && !access("/proc/1/fd", R_OK | X_OK))
		skip();
	test_in_child(check_as_nobody, &pid);
}

int test_pramctl_check(void)
{
	const struct CMUnitTest tests[] = {
		pram_unit_test(test_check),
		pram_unit_test(test_check_no_elf),
		pram_unit_test(test_build_id),
		pram_unit_test(test_check_pair),
		scratch_test(test_check_command_line),
		scratch_test(test_check_kho_failed),
		pram_unit_test(test_check_task),
		scratch_test(test_check_task_lacks),
		pram_unit_test(test_check_task_unseen),
	};

	return cmocka_run_group_tests_name("pramctl check", tests, NULL, NULL);
}
