// SPDX-License-Identifier: GPL-2.0-only
/* pramctl list, show, stats: what there is */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pramctl_harness.h"

static void test_list(void **state)
{
	int fd;

	(void)state;
	expect_prints("list", "list-empty");
	expect_prints("list --json", "list-empty.json");
	fd = add_everything();
	expect_prints("list", "list");
	expect_prints("list --json", "list.json");
	expect_prints("list --nodes", "list-nodes");
	expect_prints("list --json --nodes", "list-nodes.json");
	fake_pram_set_totals(64 << 20, 3);
	expect_prints("list", "list-totals");
	expect_prints("list --json", "list-totals.json");
	fake_pram_fail(PRAM_IOCTL_INFO, ENOMEM, 1);
	expect_fails("list", PRAMCTL_FAILED, "can't be listed");
	close(fd);
	fake_pram_fail(PRAM_IOCTL_LIST, ENOMEM, 2);
	expect_fails("list", PRAMCTL_FAILED, "can't be listed");
}

static void test_list_loading(void **state)
{
	struct pram_checkpoint_reader *r;

	(void)state;
	add_golden_checkpoint();
	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &r), 0);
	assert_int_equal(run("list"), PRAMCTL_OK);
	assert_non_null(strstr(last.out, "loading"));
	/* To look at it hurts nobody. */
	assert_int_equal(run("show " NAME), PRAMCTL_OK);
	pram_reader_close(r);
}

/* A checkpoint of a task in @cgroup is shown as @owner's; NULL: as nobody's. */
static void expect_owner(const char *name, const char *cgroup, const char *owner)
{
	const struct pram_writer_options none = { .replace = false };
	struct pram_checkpoint_writer *w;
	char expected[128] = "\"owner\"";

	assert_int_equal(pram_writer_create(test_dev(), name, &none, &w), 0);
	assert_int_equal(pram_writer_set_root(w, 77, "task", cgroup), 0);
	assert_int_equal(pram_writer_seal(w), 0);
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);
	if (owner)
		snprintf(expected, sizeof(expected), "\"owner\": \"%s\"", owner);
	for (int i = 0; i < 2; i++) {
		char command[128];

		snprintf(command, sizeof(command), i ? "show --json %s" : "list --json", name);
		assert_int_equal(run(command), PRAMCTL_OK);
		if (!strstr(last.out, expected) == !!owner)
			fail_msg("%s, in %s: not %s in %s", name, cgroup, expected, last.out);
	}
	assert_int_equal(run("rm --all"), PRAMCTL_OK);
}

static void test_owner(void **state)
{
#define ID	"0123456789ab0123456789ab0123456789ab0123456789ab0123456789ab0123"
	(void)state;
	expect_owner("/images", NULL, NULL);
	expect_owner("/images", "/", NULL);
	expect_owner("/images", "/system.slice/redis-server.service", "redis-server.service");
	expect_owner("/images", "/user.slice/user-0.slice/session-3.scope", "session-3.scope");
	/* A service may have control groups of its own. */
	expect_owner("/images", "/system.slice/php.service/worker", "php.service");
	expect_owner("/images", "/machine.slice/libpod-" ID ".scope", "podman 0123456789ab");
	expect_owner("/images", "/machine.slice/libpod-" ID ".scope/container", "podman 0123456789ab");
	expect_owner("/images", "/system.slice/docker-" ID ".scope", "docker 0123456789ab");
	expect_owner("/images", "/system.slice/runc-web.scope", "runc web");
	expect_owner("/images", "/web", "web");
	expect_owner("/images", "/system.slice/runc-.scope", "runc-.scope");
	expect_owner("service:nginx.service", "/init.scope", "nginx.service");
	expect_owner("service:nginx.service", NULL, "nginx.service");
}

static void test_show(void **state)
{
	int fd = add_everything();

	(void)state;
	expect_prints("show " NAME, "show");
	expect_prints("show --json " NAME, "show.json");
	/* By its metadata node's name, too. */
	expect_prints("show criu:" NAME, "show");
	expect_prints("show shmem-1-home", "show-node");
	expect_prints("show --json criu:" NAME ":pages-1.img", "show-node.json");
	/* A look takes nothing away. */
	assert_int_equal(fake_pram_count(PRAM_NODE_LOADING), 0);

	expect_fails("show /nowhere", PRAMCTL_NOT_FOUND, "/nowhere: no checkpoint or node");
	expect_fails("show /gone", PRAMCTL_FAILED, "only page nodes are left");
	expect_fails("show /damaged", PRAMCTL_FAILED, "damaged");
	expect_fails("show /under/way", PRAMCTL_FAILED, "is being dumped");
	close(fd);

	assert_int_equal(pram_free(test_dev(), "criu:" NAME ":pages-1.img"), 0);
	assert_int_equal(run("show " NAME), PRAMCTL_OK);
	assert_non_null(strstr(last.out, "missing"));
}

/* A name longer than any node's, which must not be cut and found. */
static void test_long_name(void **state)
{
	char line[PRAM_NAME_MAX + 64] = "show /";

	(void)state;
	memset(line + 6, 'n', PRAM_NAME_MAX + 1);
	expect_fails(line, PRAMCTL_NOT_FOUND, "no checkpoint or node");
}

static void test_stats(void **state)
{
	(void)state;
	expect_prints("stats --root " SYSTEMS "good", "stats");
	expect_prints("stats --json --root " SYSTEMS "good", "stats.json");
	expect_fails("stats --root " SYSTEMS "empty", PRAMCTL_UNAVAILABLE, "/sys/kernel/pram");
}

int test_pramctl_list(void)
{
	const struct CMUnitTest tests[] = {
		pram_unit_test(test_list),
		pram_unit_test(test_list_loading),
		pram_unit_test(test_owner),
		pram_unit_test(test_show),
		pram_unit_test(test_long_name),
		pram_unit_test(test_stats),
	};

	return cmocka_run_group_tests_name("pramctl list", tests, NULL, NULL);
}
