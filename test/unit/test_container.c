// SPDX-License-Identifier: GPL-2.0-only
/*
 * Containers that go over a kexec, with a podman that does what a test wants: what it is asked for, in which
 * order, what is left in PRAM, and that nothing is restored that is not of the last shutdown.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoint.h"
#include "fake_pram.h"
#include "fake_say.h"
#include "podman.h"
#include "record.h"
#include "service.h"
#include "test_util.h"
#include "unit.h"

#define KEY	"container:web"
#define IMAGES	"/var/images/checkpoint"

/* ---- podman and the others ----------------------------------------------- */

static bool goes_down = true, is_running, infra_runs, to_pram, locked, refuses;
static const char *fails, *pod;		/* the verb that fails; the id of the pod's own container */
static char container_id[] = "0123";
static char asked[1024], went[64];

static bool is_verb(const char *const *argv, const char *verb)
{
	return !strcmp(argv[0], verb) || (!strcmp(argv[0], "container") && !strcmp(argv[1], verb));
}

/* Notes the verb, and for whom. */
int __wrap_podman_run(const char *const *argv, unsigned int seconds, char **output, char *error);
int __wrap_podman_run(const char *const *argv, unsigned int seconds, char **output, char *error)
{
	const char *verb = strcmp(argv[0], "container") ? argv[0] : argv[1], *last = argv[0];
	char node[PRAM_NAME_MAX];

	assert_true(seconds > 0);
	assert_null(output);
	for (const char *const *arg = argv; *arg; arg++)
		last = *arg;
	snprintf(asked + strlen(asked), sizeof(asked) - strlen(asked), "%s %s; ", verb, last);
	snprintf(error, CONTAINER_ERROR_MAX, "it does not %s", verb);
	if (fails && !strcmp(fails, verb))
		return 1;
	if (!strcmp(last, "web") && is_verb(argv, "checkpoint")) {
		is_running = false;
		assert_int_equal(pram_checkpoint_node_name(node, IMAGES, NULL), 0);
		if (to_pram)
			fake_pram_add(node, PRAM_BYTE_STREAM, 0, "index", 5);
	}
	if (!strcmp(last, "web") && (is_verb(argv, "restore") || is_verb(argv, "start")))
		is_running = true;
	if (!strcmp(last, "web") && is_verb(argv, "restore"))
		pram_checkpoint_remove(pram_open(), IMAGES, NULL);
	if (!strcmp(last, "infra"))
		infra_runs = !is_verb(argv, "checkpoint");
	return 0;
}

int __wrap_container_load(const char *name, struct container *c, char *error);
int __wrap_container_load(const char *name, struct container *c, char *error)
{
	const bool infra = !strcmp(name, "infra");

	*c = (struct container){ .id = NULL };
	if (fails && !strcmp(fails, "inspect")) {
		snprintf(error, CONTAINER_ERROR_MAX, "no such container");
		return -ENOENT;
	}
	if (fails && !strcmp(fails, "to be ready")) {
		snprintf(error, CONTAINER_ERROR_MAX, "podman was not ready");
		return -ETIMEDOUT;
	}
	c->id = strdup(infra ? "infra" : container_id);
	c->network = pod && !infra ? strdup("container:infra") : strdup("bridge");
	c->pod = strdup(pod ? "pod" : "");
	c->images = strdup(IMAGES);
	c->logs = strdup("/var/images");
	c->infra = infra;
	c->conmon = 99;
	c->running = infra ? infra_runs : is_running;
	c->published = json_object_new_array();
	if (!pod || infra)
		json_object_array_add(c->published, json_object_new_string("tcp dport 80"));
	return 0;
}

struct json_object *__wrap_container_obstacles(const struct container *c, const char *unit);
struct json_object *__wrap_container_obstacles(const struct container *c, const char *unit)
{
	struct json_object *obstacles = json_object_new_array();

	(void)c;
	(void)unit;
	if (refuses)
		json_object_array_add(obstacles, json_object_new_string("it can't work"));
	return obstacles;
}

int __wrap_record_history_save(const char *unit, struct json_object *history);
int __wrap_record_history_save(const char *unit, struct json_object *history)
{
	(void)unit;
	snprintf(went, sizeof(went), "%s", record_text(history, "result"));
	return 0;
}

bool is_kexec(const char *unit)
{
	(void)unit;
	return goes_down;
}

char *criu_first_error(int logs, const char *name)
{
	(void)logs;
	(void)name;
	return NULL;
}

int lock_new_by_rules(const char *unit, struct json_object *ports, pid_t pid, bool host)
{
	(void)unit;
	(void)pid;
	assert_false(host);
	assert_string_equal(json_object_get_string(json_object_array_get_idx(ports, 0)), "tcp dport 80");
	return 0;
}

int lock_arriving(const char *unit, struct json_object *rules, struct json_object *record)
{
	(void)unit;
	assert_string_equal(json_object_get_string(json_object_array_get_idx(rules, 0)), "tcp dport 80");
	json_object_object_add(record, "table", json_object_new_string("inet table"));
	locked = true;
	return 0;
}

void lock_remove(const char *unit)
{
	(void)unit;
	locked = false;
}

/* Of services that restore.c is about. */
void hold_remove(struct json_object *ports);
void hold_remove(struct json_object *ports)
{
	(void)ports;
}

void hold_end(void);
void hold_end(void)
{
}

bool hold_is_over(void);
bool hold_is_over(void)
{
	return true;
}

bool enabled_is(const char *unit)
{
	(void)unit;
	return true;
}

/* Of services, none of which is here. */
int criu_run(const struct criu_run *run, char **why)
{
	(void)run;
	(void)why;
	return -EIO;
}

int unit_load(const char *name, struct unit *unit, char error[UNIT_ERROR_MAX])
{
	(void)name;
	(void)unit;
	(void)error;
	return -EIO;
}

void unit_free(struct unit *unit)
{
	(void)unit;
}

int unit_start(const char *name, const char *mode, char error[UNIT_ERROR_MAX])
{
	(void)name;
	(void)mode;
	(void)error;
	return -EIO;
}

pid_t *cgroup_pids(const char *control_group)
{
	(void)control_group;
	return NULL;
}

/* ---- a container --------------------------------------------------------- */

static int dev = -1;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(system("rm -rf run-container"), 0);
	fake_pram_setup();
	dev = pram_open();
	assert_true(dev >= 0);
	goes_down = is_running = to_pram = true;
	infra_runs = true;
	locked = refuses = false;
	fails = pod = NULL;
	strcpy(container_id, "0123");
	*asked = *said = *went = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(dev);
	fake_pram_teardown();
	return 0;
}

static int call(const char *verb)
{
	char *argv[] = { "pram-service", (char *)verb, KEY, "web", NULL };

	*asked = *said = *went = 0;
	return container_main(4, argv);
}

static bool has_record(void)
{
	struct json_object *record;
	uint64_t kexecs;
	int ret = record_load(dev, KEY, &record, &kexecs);

	json_object_put(record);
	return !ret;
}

/* It does not come back before a kexec, which takes what podman had in /run. */
static void go_down(void)
{
	assert_int_equal(call("container-dump"), 0);
	assert_false(is_running && to_pram && !fails && !refuses);
	is_running = infra_runs = false;
	fake_pram_kexec();
	assert_int_equal(system("rm -rf run-container"), 0);
}

static void expect_restored(void)
{
	assert_int_equal(call("container-restore"), 0);
	assert_string_equal(went, "restored");
	assert_true(is_running);
	assert_false(locked);
	assert_false(has_record());
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

/* Started, or not, and not restored; and nothing brings that state back later. */
static void expect_afresh(const char *podman, const char *reason)
{
	assert_int_equal(call("container-restore"), 0);
	assert_string_equal(asked, podman);
	if (!strstr(said, reason))
		fail_msg("\"%s\" should say \"%s\"", said, reason);
	assert_false(has_record());
	assert_false(locked);
	assert_int_equal(call("container-restore"), 0);
	assert_string_equal(asked, "");
}

/* ---- tests --------------------------------------------------------------- */

static void test_nothing(void **state)
{
	(void)state;
	goes_down = false;
	assert_int_equal(call("container-dump"), 0);
	assert_string_equal(asked, "");
	assert_true(is_running);
	assert_int_equal(call("container-restore"), 0);
	assert_string_equal(asked, "");
	assert_string_equal(said, "");
	/* It does not run. */
	goes_down = true;
	is_running = false;
	assert_int_equal(call("container-dump"), 0);
	assert_string_equal(asked, "");
	assert_false(has_record());
}

static void test_goes_over(void **state)
{
	(void)state;
	assert_int_equal(call("container-dump"), 0);
	assert_string_equal(asked, "checkpoint web; ");
	assert_true(locked);
	assert_true(has_record());
	assert_true(record_has_checkpoint(dev, KEY));
	is_running = false;
	fake_pram_kexec();
	expect_restored();
	assert_string_equal(asked, "restore web; ");
	/* Once only. */
	assert_int_equal(call("container-restore"), 0);
	assert_string_equal(asked, "");
	/* And once more, in the next shutdown. */
	go_down();
	expect_restored();
}

/* The kexec was called off. */
static void test_same_kernel(void **state)
{
	(void)state;
	assert_int_equal(call("container-dump"), 0);
	expect_restored();
	assert_int_equal(call("container-dump"), 0);
	expect_restored();
}

static void test_not_dumped(void **state)
{
	(void)state;
	fails = "checkpoint";
	assert_int_equal(call("container-dump"), 0);
	assert_string_equal(went, "not dumped");
	assert_non_null(strstr(said, "it is stopped, not dumped: it does not checkpoint"));
	assert_string_equal(asked, "checkpoint web; stop web; ");
	assert_false(locked);
	go_down();
	fails = NULL;
	expect_afresh("start web; ", "it was not dumped");
}

static void test_refused(void **state)
{
	(void)state;
	refuses = true;
	go_down();
	assert_string_equal(asked, "stop web; ");
	assert_non_null(strstr(said, "it can't work"));
	expect_afresh("start web; ", "it was not dumped");
}

/* Ordinary images: nobody is to take them for a checkpoint of PRAM. */
static void test_not_to_pram(void **state)
{
	(void)state;
	to_pram = false;
	go_down();
	assert_non_null(strstr(said, "but not into PRAM"));
	expect_afresh("start web; ", "it was not dumped");
}

static void test_not_restored(void **state)
{
	(void)state;
	go_down();
	fails = "restore";
	expect_afresh("restore web; start web; ", "as its restore has failed: it does not restore");
	/* People can have it. */
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 1);
	fails = NULL;
	fake_pram_kexec();
	is_running = false;
	assert_int_equal(call("container-restore"), 0);
	assert_false(is_running);
}

static void test_too_old(void **state)
{
	(void)state;
	go_down();
	fake_pram_kexec();
	expect_afresh("start web; ", "its checkpoint is of an earlier shutdown");
}

static void test_lost(void **state)
{
	(void)state;
	go_down();
	assert_int_equal(pram_checkpoint_remove(dev, IMAGES, NULL), 0);
	expect_afresh("start web; ", "its checkpoint is not in PRAM any more");
}

static void test_another(void **state)
{
	(void)state;
	go_down();
	strcpy(container_id, "4567");
	expect_afresh("", "another container has this name");
	setup(NULL);
	go_down();
	is_running = true;
	expect_afresh("start web; ", "it has been started already");
	setup(NULL);
	go_down();
	fails = "inspect";
	expect_afresh("", "no such container");
	/* It is started afresh then, and is newer than its checkpoint. */
	setup(NULL);
	go_down();
	fails = "to be ready";
	expect_afresh("start web; ", "podman was not ready");
}

/* One of a pod: its own container comes first, and the namespaces are written anew. */
static void test_pod(void **state)
{
	(void)state;
	pod = "pod";
	go_down();
	assert_string_equal(asked, "checkpoint web; ");
	expect_restored();
	assert_string_equal(asked, "restore infra; init web; cleanup web; restore web; ");
	go_down();
	infra_runs = true;
	expect_restored();
	assert_string_equal(asked, "init web; cleanup web; restore web; ");
	go_down();
	fails = "init";
	expect_afresh("restore infra; init web; start web; ", "its pod is not there: it does not init");
}

#define UNIT	"web.service"
#define ID_FILE	"run-container/web.cid"

/* Runs the unit's start: what it ends with, 7 if that was its own command. */
static int start_unit(const char *key)
{
	char *argv[] = {
		"pram-service", "container-start", (char *)key, "web", "--", "/bin/sh", "-c", "exit 7", "--cidfile=" ID_FILE, NULL,
	};
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(container_main(9, argv));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_unit(void **state)
{
	(void)state;
	assert_int_equal(start_unit(KEY), 7);
	go_down();
	assert_int_equal(start_unit(KEY), 0);
	assert_false(has_record());
	assert_int_equal(start_unit(KEY), 7);
	is_running = true;
	go_down();
	fails = "restore";
	assert_int_equal(start_unit(KEY), 7);
	assert_false(has_record());
}

/* A unit that makes its container at each start, and removes it when it stops; but not if it is dumped. */
static void test_made_anew(void **state)
{
	/* The kernel chooses a name, which begins with a nul. */
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(address);
	char *dump[] = { "pram-service", "container-dump", UNIT, "web", NULL }, *text, message[128] = "";
	int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)state;
	assert_int_equal(container_main(4, dump), 0);
	text = mark_read("run-container/env", UNIT);
	assert_string_equal(text, "PRAM_SERVICE=dumped");
	free(text);
	fake_pram_kexec();
	assert_int_equal(system("rm -rf run-container && mkdir run-container"), 0);
	assert_int_equal(bind(notify, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(notify, (struct sockaddr *)&address, &len), 0);
	address.sun_path[0] = '@';
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	assert_int_equal(start_unit(UNIT), 0);
	unsetenv("NOTIFY_SOCKET");
	assert_true(recv(notify, message, sizeof(message) - 1, 0) > 0);
	assert_string_equal(message, "MAINPID=99\nREADY=1");
	close(notify);
	text = test_read_file(ID_FILE, NULL);
	assert_string_equal(text, "0123");
	free(text);
	assert_null(mark_read("run-container/env", UNIT));

	/* One that could not be dumped is gone by then, which is as it should be. */
	is_running = true;
	fails = "checkpoint";
	assert_int_equal(container_main(4, dump), 0);
	assert_null(mark_read("run-container/env", UNIT));
	fake_pram_kexec();
	fails = "inspect";
	assert_int_equal(start_unit(UNIT), 7);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

static void test_usage(void **state)
{
	char *argv[] = { "pram-service", "container-start", KEY, "web", "/bin/sh", NULL };

	(void)state;
	assert_int_equal(container_main(5, argv), 2);
	assert_int_equal(call("container-stop"), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_goes_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_dumped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_to_pram, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_restored, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_old, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pod, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_made_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_usage, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
