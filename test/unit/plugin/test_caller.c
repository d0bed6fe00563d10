// SPDX-License-Identifier: GPL-2.0-only
/* plugin/caller.c */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caller.h"
#include "test_util.h"

/* Arguments with nuls behind them, as /proc has them. */
#define packs(comm, args, reason) pram_program_packs(comm, args, sizeof(args), reason)

static void test_podman(void **state)
{
	char reason[PRAM_CALLER_REASON_MAX];

	(void)state;
	assert_false(packs("podman", "podman\0container\0checkpoint\0box", reason));
	assert_false(packs("podman", "podman\0container\0checkpoint\0--keep\0-aR\0--all", reason));
	assert_false(packs("podman", "podman\0container\0checkpoint\0--tcp-established\0-l", reason));
	assert_false(packs("podman", "podman\0run\0-e\0A=b\0checkpoint", reason));
	assert_false(packs("podman", "podman\0container\0restore\0-k\0box", reason));
	assert_false(packs("podman", "podman\0system\0prune", reason));
	assert_false(packs("podman", "", reason));

	assert_true(packs("podman", "podman\0container\0checkpoint\0--export=/x.tar\0box", reason));
	assert_non_null(strstr(reason, "--export=/x.tar"));
	assert_true(packs("podman", "podman\0container\0checkpoint\0box\0--export\0/x", reason));
	assert_true(packs("podman", "podman\0container\0checkpoint\0-e\0/x\0box", reason));
	assert_true(packs("podman", "podman\0container\0checkpoint\0-Re/x\0box", reason));
	assert_true(packs("podman", "podman\0--log-level\0debug\0container\0checkpoint\0-lke\0/x", reason));
	assert_true(packs("podman", "podman\0container\0checkpoint\0--create-image\0i\0b", reason));
	assert_true(packs("podman", "podman\0system\0service\0-t0", reason));
	assert_non_null(strstr(reason, "without --remote"));
	/* The c of -c zstd is no flag, and its value no option. */
	assert_false(packs("podman", "podman\0container\0checkpoint\0-ce\0box", reason));
}

static void test_others(void **state)
{
	char reason[PRAM_CALLER_REASON_MAX];

	(void)state;
	assert_true(packs("crio", "/usr/bin/crio", reason));
	assert_non_null(strstr(reason, "crio packs"));
	assert_true(packs("containerd-shim", "/usr/bin/containerd-shim-runc-v2\0-id\0x", reason));
	assert_true(packs("dockerd", "dockerd", reason));
	assert_false(packs("runc", "runc\0checkpoint\0-e\0box", reason));
	assert_false(packs("bash", "bash\0-c\0podman container checkpoint -e x", reason));
	assert_false(packs("conmon", "conmon", reason));
}

#define keeps(args) pram_podman_keeps(args, sizeof(args), "0123abcd", "box")

static void test_keep(void **state)
{
	(void)state;
	assert_true(keeps("podman\0container\0restore\0--keep\0box"));
	assert_true(keeps("podman\0container\0restore\0-k\0" "0123"));
	assert_true(keeps("podman\0container\0restore\0box\0--tcp-established\0--keep"));
	assert_true(keeps("podman\0--log-level\0error\0container\0restore\0-lk"));
	assert_true(keeps("podman\0container\0restore\0-k\0--all"));
	assert_false(keeps("podman\0container\0restore\0box"));
	assert_false(keeps("podman\0container\0restore\0--keep\0other"));
	assert_false(keeps("podman\0container\0restore\0--keep=false\0box"));
	assert_false(keeps("podman\0container\0checkpoint\0--keep\0box"));
	/* No flag: the name of an archive. */
	assert_false(keeps("podman\0container\0restore\0-ik\0box"));
	assert_false(keeps(""));
}

static void ask_in_child(void *arg)
{
	const char *const *expected = arg;
	char reason[PRAM_CALLER_REASON_MAX];

	assert_int_equal(pram_caller_packs(reason), !!*expected);
	if (*expected)
		assert_non_null(strstr(reason, *expected));
}

/* What is between has a name of its own. */
static const char *between;

static void ask_in_grandchild(void *arg)
{
	assert_int_equal(prctl(PR_SET_NAME, between), 0);
	test_in_child(ask_in_child, arg);
}

static void ask_in_great_grandchild(void *arg)
{
	assert_int_equal(prctl(PR_SET_NAME, "runc"), 0);
	/* It is not easy to read. */
	between = "a) b (1 2";
	test_in_child(ask_in_grandchild, arg);
}

static void test_ancestors(void **state)
{
	const char *reason = NULL;
	char comm[16];

	(void)state;
	between = "runc";
	assert_int_equal(prctl(PR_GET_NAME, comm), 0);
	test_in_child(ask_in_grandchild, &reason);
	assert_int_equal(prctl(PR_SET_NAME, "crio"), 0);
	/* In a container of its own, criu is called by whom it may be. */
	test_in_child(ask_in_child, &reason);
	between = "bash";
	test_in_child(ask_in_grandchild, &reason);

	reason = "crio packs";
	between = "crun";
	test_in_child(ask_in_grandchild, &reason);
	test_in_child(ask_in_great_grandchild, &reason);
	assert_int_equal(prctl(PR_SET_NAME, comm), 0);
}

static void ask_about(void *arg)
{
	const pid_t *task = arg;

	assert_int_equal(pram_caller_will_fail(*task), *task != getppid());
}

static void ask_by_runc(void *arg)
{
	const pid_t *task = arg;
	pid_t parent = getpid();

	assert_int_equal(prctl(PR_SET_NAME, "runc"), 0);
	test_in_child(ask_about, arg);
	/* Who has the same namespace as criu has none of its own. */
	test_in_child(ask_about, &parent);
	assert_int_not_equal(*task, parent);
}

static void test_user_namespace(void **state)
{
	pid_t task;
	int fds[2];
	char byte;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	task = fork();
	assert_true(task >= 0);
	if (!task) {
		bool made = !unshare(CLONE_NEWUSER);

		if (write(fds[1], made ? "y" : "n", 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	close(fds[1]);
	if (byte == 'y') {
		char comm[16];

		assert_int_equal(prctl(PR_GET_NAME, comm), 0);
		assert_int_equal(prctl(PR_SET_NAME, "podman"), 0);
		test_in_child(ask_by_runc, &task);
		assert_int_equal(prctl(PR_SET_NAME, comm), 0);
		/* Others may know how. */
		assert_false(pram_caller_will_fail(task));
	}
	kill(task, SIGKILL);
	waitpid(task, NULL, 0);
	if (byte != 'y')
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_podman),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_keep),
		cmocka_unit_test(test_ancestors),
		cmocka_unit_test(test_user_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
