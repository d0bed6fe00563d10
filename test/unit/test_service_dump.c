// SPDX-License-Identifier: GPL-2.0-only
/*
 * pram-service dump, with a systemd and a criu that do what a test wants: what is left in PRAM, and what is
 * said, above all if systemd does not wait until criu is ready.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoint.h"
#include "fake_pram.h"
#include "fake_say.h"
#include "pram-exec.h"
#include "record.h"
#include "service.h"
#include "test_util.h"
#include "unit.h"

#define UNIT	"daemon.service"

/* ---- systemd and criu -------------------------------------------------- */

static pid_t task;
static int criu_result, notify_result, end_signal;	/* sent to us while criu runs */
static unsigned int asked, locked, unlocked;
static char went[64];
static int dev = -1;

int __wrap_unit_load(const char *name, struct unit *unit, char *error);
int __wrap_unit_load(const char *name, struct unit *unit, char *error)
{
	(void)error;
	assert_string_equal(name, UNIT);
	*unit = (struct unit){ .id = UNIT, .control_group = "/system.slice/" UNIT };
	return 0;
}

void __wrap_unit_free(struct unit *unit);
void __wrap_unit_free(struct unit *unit)
{
	/* Nothing of it is on the heap. */
	(void)unit;
}

int unit_has_job(const char *name, const char *type, char error[UNIT_ERROR_MAX])
{
	(void)error;
	assert_string_equal(name, "kexec.target");
	assert_string_equal(type, "start");
	return 1;
}

int sd_pid_notifyf(pid_t pid, int unset, const char *format, ...);
int sd_pid_notifyf(pid_t pid, int unset, const char *format, ...)
{
	(void)unset;
	assert_int_equal(pid, task);
	assert_non_null(strstr(format, "EXTEND_TIMEOUT_USEC="));
	asked++;
	return notify_result;
}

int criu_run(const struct criu_run *run, char **why)
{
	char name[PRAM_NAME_MAX], node[PRAM_NAME_MAX];

	/* Before it has taken any time. */
	assert_int_equal(asked, 1);
	assert_int_equal(run->task, task);
	assert_string_equal(run->args[0], "dump");
	if (end_signal)
		raise(end_signal);
	*why = criu_result ? strdup("it was told to end") : NULL;
	if (!criu_result) {
		assert_int_equal(record_name(UNIT, name), 0);
		assert_int_equal(pram_checkpoint_node_name(node, name, NULL), 0);
		fake_pram_add(node, PRAM_BYTE_STREAM, 0, "index", 5);
	}
	return criu_result;
}

pid_t *cgroup_pids(const char *control_group)
{
	pid_t *pids = calloc(2, sizeof(*pids));

	assert_non_null(pids);
	assert_string_equal(control_group, "/system.slice/" UNIT);
	pids[0] = task;
	return pids;
}

bool is_descendant(pid_t pid, pid_t root)
{
	return pid == root;
}

size_t enabled_look(struct unit_tasks **units)
{
	*units = NULL;
	return 0;
}

void enabled_free(struct unit_tasks *units, size_t nr)
{
	(void)units;
	assert_int_equal(nr, 0);
}

void links_look(struct unit_tasks *units, size_t nr, size_t self, struct json_object *external,
		struct links *links)
{
	(void)units, (void)nr, (void)self, (void)external, (void)links;
	fail_msg("no other service is enabled");
}

char *links_text(const struct links *links)
{
	(void)links;
	return NULL;
}

int hold_add(struct json_object *ports)
{
	(void)ports;
	return 0;
}

int lock_new(const char *unit, struct json_object *ports)
{
	(void)ports;
	assert_string_equal(unit, UNIT);
	locked++;
	return 0;
}

void lock_remove(const char *unit)
{
	assert_string_equal(unit, UNIT);
	unlocked++;
}

char *lock_table_of(int fd, const char *checkpoint)
{
	(void)fd, (void)checkpoint;
	return strdup("inet CRIU-0");
}

char *lock_of_new(const char *unit)
{
	(void)unit;
	return NULL;
}

int nft_run(const char *commands, char **output)
{
	(void)commands;
	*output = strdup("table inet CRIU-0 {}");
	return 0;
}

int __wrap_leave_cgroup(void);
int __wrap_leave_cgroup(void)
{
	return 0;
}

int __wrap_record_history_save(const char *unit, struct json_object *history);
int __wrap_record_history_save(const char *unit, struct json_object *history)
{
	assert_string_equal(unit, UNIT);
	snprintf(went, sizeof(went), "%s", record_text(history, "result"));
	return 0;
}

/* ---- a service --------------------------------------------------------- */

static void *wait_for_ever(void *arg)
{
	pause();
	return arg;
}

static int nr_threads(pid_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return stat(path, &st) ? 0 : (int)st.st_nlink - 2;
}

static int setup(void **state)
{
	char pid[16];

	(void)state;
	assert_int_equal(system("rm -rf run && echo 1 >ready"), 0);
	fake_pram_setup();
	dev = pram_open();
	assert_true(dev >= 0);
	task = fork();
	if (!task) {
		pthread_t thread;

		pthread_create(&thread, NULL, wait_for_ever, NULL);
		pause();
		_exit(0);
	}
	assert_true(task > 0);
	for (int i = 0; i < 1000 && nr_threads(task) < 2; i++)
		usleep(1000);
	snprintf(pid, sizeof(pid), "%d", task);
	setenv("MAINPID", pid, 1);
	criu_result = end_signal = 0;
	notify_result = 1;
	asked = locked = unlocked = 0;
	*said = *went = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kill(task, SIGKILL);
	waitpid(task, NULL, 0);
	close(dev);
	fake_pram_teardown();
	return 0;
}

static bool has_record(void)
{
	struct json_object *record;
	uint64_t kexecs;
	int ret = record_load(dev, UNIT, &record, &kexecs);

	if (!ret)
		assert_int_equal(record_number(record, "pid"), task);
	json_object_put(record);
	return !ret;
}

static void expect_dumped(bool dumped)
{
	char *word = mark_read(ENV_DIR, UNIT);

	assert_int_equal(has_record(), dumped);
	assert_int_equal(!!word, dumped);
	assert_int_equal(!!strstr(said, "dumped into PRAM"), dumped);
	assert_int_equal(!!strstr(said, "it is stopped, not dumped: "), !dumped);
	assert_string_equal(went, dumped ? "" : "not dumped");
	assert_int_equal(locked, 1);
	assert_int_equal(unlocked, !dumped);
	free(word);
}

/* The signal is taken away again. */
static void expect_told(int signo)
{
	struct timespec at_once = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	assert_int_equal(sigtimedwait(&set, NULL, &at_once), signo);
}

/* ---- tests ------------------------------------------------------------- */

static void test_dump(void **state)
{
	struct json_object *record;
	uint64_t kexecs;

	(void)state;
	assert_int_equal(service_dump(UNIT), 0);
	expect_dumped(true);
	assert_null(strstr(said, "told"));
	/* The ids of threads must be free in the next kernel, too. */
	assert_int_equal(record_load(dev, UNIT, &record, &kexecs), 0);
	assert_int_equal(json_object_array_length(json_object_object_get(record, "pids")), 1);
	assert_int_equal(json_object_array_length(json_object_object_get(record, "threads")), 1);
	json_object_put(record);
}

/* The next kexec comes before it is restored: what waits in its place is no new state of it. */
static void test_not_restored_yet(void **state)
{
	char pid[16];

	(void)state;
	assert_int_equal(service_dump(UNIT), 0);
	expect_dumped(true);
	kill(task, SIGKILL);
	waitpid(task, NULL, 0);
	task = fork();
	if (!task) {
		prctl(PR_SET_NAME, PRAM_EXEC_WAITS);
		pause();
		_exit(0);
	}
	assert_true(task > 0);
	snprintf(pid, sizeof(pid), "%d", task);
	setenv("MAINPID", pid, 1);
	while (!process_has_name(task, PRAM_EXEC_WAITS))
		usleep(1000);
	fake_pram_kexec();
	*said = 0;
	assert_int_equal(service_dump(UNIT), 0);
	assert_non_null(strstr(said, "it was still to be restored"));
	assert_string_equal(went, "not dumped");
	assert_true(record_has_checkpoint(dev, UNIT));
}

/* No kexec, or none that keeps anything: it is stopped as ever. */
static void test_not_ready(void **state)
{
	(void)state;
	assert_int_equal(system("echo 0 >ready"), 0);
	assert_int_equal(service_dump(UNIT), 0);
	assert_int_equal(asked, 0);
	assert_non_null(strstr(said, "the loaded kernel will not get what is in PRAM"));
	assert_false(has_record());
}

static void test_fails(void **state)
{
	(void)state;
	criu_result = 1;
	assert_int_equal(service_dump(UNIT), 0);
	expect_dumped(false);
}

/* systemd does not wait: whatever KillSignal= is, that is said, and the lock is gone. */
static void test_stop_limit(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGABRT, SIGUSR1 };

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		end_signal = signals[i];
		criu_result = -ECANCELED;
		assert_int_equal(service_dump(UNIT), 0);
		expect_told(signals[i]);
		expect_dumped(false);
		assert_non_null(strstr(said, "it was told to end"));
		teardown(state);
		setup(state);
	}
}

/* It was too late for that: the tasks are dead, and nothing of them must be lost. */
static void test_stop_limit_too_late(void **state)
{
	(void)state;
	end_signal = SIGTERM;
	assert_int_equal(service_dump(UNIT), 0);
	expect_told(SIGTERM);
	expect_dumped(true);
	assert_non_null(strstr(said, "systemd has told it to end while it was dumped"));
}

/* If it can't be asked to wait, that is no reason not to try. */
static void test_no_time(void **state)
{
	(void)state;
	notify_result = -EPERM;
	assert_int_equal(service_dump(UNIT), 0);
	expect_dumped(true);
}

int main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_dump),
		TEST(test_not_restored_yet),
		TEST(test_not_ready),
		TEST(test_fails),
		TEST(test_stop_limit),
		TEST(test_stop_limit_too_late),
		TEST(test_no_time),
	};

	return cmocka_run_group_tests(tests, test_enter_scratch, test_leave_scratch);
}
