// SPDX-License-Identifier: GPL-2.0-only
/*
 * pram-service prepare and restore, with a systemd and a criu that do what a test wants: what
 * is restored and what is not, and what is left in PRAM in each case.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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
#include "util.h"

#define UNIT	"daemon.service"

/* ---- systemd and criu -------------------------------------------------- */

static pid_t waiter, task;	/* pram-exec, and what criu has restored */
static pid_t sandbox;		/* becomes pram-exec after some looks at the unit */
static unsigned int looks_until;
static pid_t command;		/* that systemd runs beside */
static uint32_t main_pid, accepted;
static int start_error, criu_error, notified;
static unsigned int started, started_again, unlocked;
static unsigned int asked_for_sandbox;	/* for time, on behalf of it */
static size_t inherited;	/* by criu, of pram-exec's descriptors */
static struct unit systemd_unit;
static int dev = -1;

int __wrap_unit_load(const char *name, struct unit *unit, char *error);
int __wrap_unit_load(const char *name, struct unit *unit, char *error)
{
	(void)error;
	assert_string_equal(name, UNIT);
	*unit = systemd_unit;
	unit->main_pid = main_pid;
	if (sandbox && !waiter && !looks_until--)
		waiter = sandbox;
	return 0;
}

void __wrap_unit_free(struct unit *unit);
void __wrap_unit_free(struct unit *unit)
{
	/* Nothing of it is on the heap. */
	(void)unit;
}

int __wrap_unit_start(const char *name, const char *mode, char *error);
int __wrap_unit_start(const char *name, const char *mode, char *error)
{
	if (!strcmp(name, UNIT)) {
		assert_string_equal(mode, "fail");
		started_again++;
		return 0;
	}
	assert_string_equal(name, "pram-restore@" UNIT ".service");
	assert_string_equal(mode, "replace");
	started++;
	if (start_error)
		snprintf(error, UNIT_ERROR_MAX, "it can't be started");
	return start_error;
}

int __wrap_criu_run(const struct criu_run *run, char **why);
int __wrap_criu_run(const struct criu_run *run, char **why)
{
	assert_int_equal(run->task, waiter);
	assert_string_equal(run->cgroup, "/system.slice/" UNIT);
	assert_string_equal(run->args[0], "restore");
	/* It is not freed before systemd has the tasks. */
	assert_non_null(run->streams);
	if (!criu_error) {
		char name[PRAM_NAME_MAX], node[PRAM_NAME_MAX];

		assert_int_equal(record_name(UNIT, name), 0);
		assert_int_equal(pram_checkpoint_node_name(node, name, NULL), 0);
		*run->streams = malloc(sizeof(**run->streams));
		assert_non_null(*run->streams);
		**run->streams = pram_load(dev, node, PRAM_BYTE_STREAM, 0);
		assert_true(**run->streams >= 0);
		*run->nr_streams = 1;
	}
	inherited = run->nr_fds;
	for (size_t i = 0; i < run->nr_fds; i++) {
		_cleanup_free_ char *text = socket_text(run->fds[i]);

		assert_true(text || is_journal(run->fds[i]));
	}
	*why = criu_error ? strdup("no such file") : NULL;
	return criu_error;
}

void __wrap_lock_remove(const char *unit);
void __wrap_lock_remove(const char *unit)
{
	assert_string_equal(unit, UNIT);
	unlocked++;
}

/* Requests are held off until it ends; the test may have another service restored at a look. */
static bool held, is_enabled;
static unsigned int held_ports, looks, other_is_due;

void __wrap_hold_remove(struct json_object *ports);
void __wrap_hold_remove(struct json_object *ports)
{
	held_ports += ports ? json_object_array_length(ports) : 0;
}

void __wrap_hold_end(void);
void __wrap_hold_end(void)
{
	held = false;
}

bool __wrap_hold_is_over(void);
bool __wrap_hold_is_over(void)
{
	looks++;
	if (other_is_due)
		assert_int_equal(record_remove(dev, "other.service"), 0);
	other_is_due = 0;
	return !held;
}

bool __wrap_enabled_is(const char *unit);
bool __wrap_enabled_is(const char *unit)
{
	assert_string_equal(unit, UNIT);
	return is_enabled;
}

int __wrap_leave_cgroup(void);
int __wrap_leave_cgroup(void)
{
	return 0;
}

static bool lives(pid_t pid)
{
	return pid && !waitpid(pid, NULL, WNOHANG);
}

pid_t *__wrap_cgroup_pids(const char *control_group);
pid_t *__wrap_cgroup_pids(const char *control_group)
{
	pid_t *pids = calloc(4, sizeof(*pids));
	size_t nr = 0;

	assert_non_null(pids);
	assert_string_equal(control_group, "/system.slice/" UNIT);
	if (waiter)
		pids[nr++] = waiter;
	if (command)
		pids[nr++] = command;
	if (lives(task))
		pids[nr++] = task;
	else
		task = 0;
	return pids;
}

bool __wrap_process_has_name(pid_t pid, const char *comm);
bool __wrap_process_has_name(pid_t pid, const char *comm)
{
	assert_string_equal(comm, PRAM_EXEC_WAITS);
	return pid == waiter;
}

int __wrap_record_history_save(const char *unit, struct json_object *history);
int __wrap_record_history_save(const char *unit, struct json_object *history)
{
	(void)unit;
	(void)history;
	return 0;
}

/* Of libsystemd: MAINPID= is accepted, or not. */
int sd_pid_notifyf(pid_t pid, int unset, const char *format, ...);
int sd_pid_notifyf(pid_t pid, int unset, const char *format, ...)
{
	(void)unset;
	if (sandbox && !waiter) {
		assert_int_equal(pid, sandbox);
		assert_non_null(strstr(format, "EXTEND_TIMEOUT_USEC="));
		asked_for_sandbox++;
		return 1;
	}
	assert_int_equal(pid, waiter);
	if (strstr(format, "MAINPID=")) {
		notified++;
		main_pid = accepted;
	}
	return 1;
}

/* ---- a service --------------------------------------------------------- */

/* A process that waits for the signal that it ends with. */
static pid_t start_process(void)
{
	sigset_t all;
	pid_t pid;
	int sig;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	pid = fork();
	if (!pid) {
		sigwait(&all, &sig);
		_exit(sig == PRAM_EXEC_START ? 1 : sig == PRAM_EXEC_END ? 2 : 3);
	}
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	assert_true(pid > 0);
	return pid;
}

static void put_service(unsigned int kexecs)
{
	char name[PRAM_NAME_MAX], node[PRAM_NAME_MAX];
	struct json_object *record = json_object_new_object(), *pids = json_object_new_array();

	assert_int_equal(record_name(UNIT, name), 0);
	assert_int_equal(pram_checkpoint_node_name(node, name, NULL), 0);
	fake_pram_add(node, PRAM_BYTE_STREAM, 0, "index", 5);
	json_object_object_add(record, "pid", json_object_new_int(task));
	json_object_array_add(pids, json_object_new_int(task));
	json_object_object_add(record, "pids", pids);
	pids = json_object_new_array();
	json_object_array_add(pids, json_object_new_int(80));
	json_object_object_add(record, "ports", pids);
	assert_int_equal(record_save(dev, UNIT, record), 0);
	json_object_put(record);
	while (kexecs--)
		fake_pram_kexec();
}

static bool has_record(void)
{
	struct json_object *record;
	uint64_t kexecs;
	int ret = record_load(dev, UNIT, &record, &kexecs);

	json_object_put(record);
	return !ret;
}

static bool has_checkpoint(void)
{
	return record_has_checkpoint(dev, UNIT);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(system("rm -rf run"), 0);
	fake_pram_setup();
	dev = pram_open();
	assert_true(dev >= 0);
	waiter = task = command = sandbox = 0;
	main_pid = accepted = 0;
	start_error = criu_error = notified = 0;
	started = started_again = unlocked = 0;
	looks_until = asked_for_sandbox = 0;
	inherited = 0;
	*said = 0;
	held = is_enabled = true;
	held_ports = looks = other_is_due = 0;
	systemd_unit = (struct unit){
		.id = UNIT,
		.type = "notify",
		.pid_file = "",
		.control_group = "/system.slice/" UNIT,
	};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const pid_t pid = i == 0 ? waiter : i == 1 ? task : command;

		if (pid && !kill(pid, SIGKILL))
			waitpid(pid, NULL, 0);
	}
	close(dev);
	fake_pram_teardown();
	return 0;
}

/* ---- records ----------------------------------------------------------- */

/* One that is stored anew is as young as it looks, and the only one. */
static void test_record(void **state)
{
	struct json_object *record;
	uint64_t kexecs;

	(void)state;
	put_service(1);
	assert_int_equal(record_load(dev, UNIT, &record, &kexecs), 0);
	assert_int_equal(kexecs, 1);
	json_object_object_add(record, "more", json_object_new_int(7));
	assert_int_equal(record_save(dev, UNIT, record), 0);
	json_object_put(record);
	assert_int_equal(record_load(dev, UNIT, &record, &kexecs), 0);
	assert_int_equal(kexecs, 0);
	assert_int_equal(record_number(record, "more"), 7);
	json_object_put(record);
	assert_int_equal(record_remove(dev, UNIT), 0);
	assert_false(has_record());
	/* There is nothing to be removed, which is as well. */
	assert_int_equal(record_remove(dev, UNIT), 0);
}

/* ---- prepare ----------------------------------------------------------- */

static void test_nothing(void **state)
{
	(void)state;
	assert_int_equal(service_prepare(UNIT), 0);
	assert_int_equal(started, 0);
	assert_string_equal(said, "");
	/* Its dump failed, and then the kexec was called off: nothing of that keeps its clients away. */
	assert_int_equal(unlocked, 1);
	assert_false(held);
}

/* The same, but others are still to be restored. */
static void test_nothing_but_other(void **state)
{
	struct json_object *record = json_object_new_object();

	(void)state;
	assert_int_equal(record_save(dev, "other.service", record), 0);
	json_object_put(record);
	assert_int_equal(service_prepare(UNIT), 0);
	assert_int_equal(unlocked, 1);
	assert_true(held);
}

static void expect_restored(void)
{
	char *word;

	assert_int_equal(service_prepare(UNIT), 0);
	assert_int_equal(started, 1);
	assert_int_equal(unlocked, 0);
	assert_true(has_record());
	word = mark_read(ENV_DIR, UNIT);
	assert_string_equal(word, "PRAM_SERVICE=restore");
	free(word);
}

/* Started afresh: nothing can bring that state back later, but people. */
static void expect_afresh(const char *reason)
{
	assert_int_equal(service_prepare(UNIT), 0);
	if (!strstr(said, reason))
		fail_msg("\"%s\" should say \"%s\"", said, reason);
	assert_null(mark_read(ENV_DIR, UNIT));
	assert_int_equal(unlocked, 1);
	assert_false(has_record());
	/* Nobody else is waited for. */
	assert_int_equal(held_ports, 0);
	assert_false(held);
}

static void test_kexec(void **state)
{
	(void)state;
	put_service(1);
	expect_restored();
	/* Once. */
	expect_afresh("");
	assert_int_equal(started, 1);
	assert_true(has_checkpoint());
}

/* The kexec that it was dumped for was called off. */
static void test_called_off(void **state)
{
	(void)state;
	put_service(0);
	expect_restored();
	assert_non_null(strstr(said, "the kexec that it was dumped for did not happen"));
	/* Others, that were not stopped at all, need not wait for it. */
	assert_false(held);
}

static void test_too_old(void **state)
{
	(void)state;
	put_service(2);
	expect_afresh("its checkpoint is of an earlier shutdown");
	assert_int_equal(started, 0);
	assert_true(has_checkpoint());
}

static void test_no_checkpoint(void **state)
{
	char name[PRAM_NAME_MAX];

	(void)state;
	put_service(1);
	record_name(UNIT, name);
	assert_int_equal(pram_checkpoint_remove(dev, name, NULL), 0);
	expect_afresh("its checkpoint is not in PRAM any more");
}

/* Others are still to be restored: only its own requests come in. */
static void test_other_is_due(void **state)
{
	struct json_object *record = json_object_new_object();

	(void)state;
	assert_int_equal(record_save(dev, "other.service", record), 0);
	json_object_put(record);
	put_service(1);
	start_error = -EIO;
	assert_int_equal(service_prepare(UNIT), 0);
	assert_false(has_record());
	assert_int_equal(held_ports, 1);
	assert_true(held);
}

static void test_no_helper(void **state)
{
	(void)state;
	put_service(1);
	start_error = -EIO;
	expect_afresh("it can't be started");
	assert_true(has_checkpoint());
}

/* Whoever has dumped it was killed before there was a record. It is not restored, and not in silence. */
static void test_no_record(void **state)
{
	(void)state;
	put_service(1);
	assert_int_equal(record_remove(dev, UNIT), 0);
	assert_int_equal(service_prepare(UNIT), 0);
	assert_int_equal(started, 0);
	assert_non_null(strstr(said, "its checkpoint in PRAM has no record"));
	*said = 0;
	assert_int_equal(service_prepare(UNIT), 0);
	assert_string_equal(said, "");
	assert_true(has_checkpoint());
	/* That was said before the last kexec, or is of a restore that failed. */
	mark_remove(TRIED_DIR, UNIT);
	fake_pram_kexec();
	assert_int_equal(service_prepare(UNIT), 0);
	assert_string_equal(said, "");
}

/* ---- restore ----------------------------------------------------------- */

/* How pram-exec has ended. */
static int waiter_ended(void)
{
	int status = 0;

	assert_int_equal(waitpid(waiter, &status, 0), waiter);
	waiter = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void begin(void)
{
	waiter = start_process();
	task = start_process();
	put_service(1);
	main_pid = waiter;
	accepted = task;
}

static void test_restore(void **state)
{
	(void)state;
	begin();
	assert_int_equal(service_restore(UNIT), 0);
	assert_int_equal(notified, 1);
	assert_int_equal(waiter_ended(), 2);
	assert_true(lives(task));
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
	assert_non_null(strstr(said, "restored from PRAM"));
}

/* The directory is the service's: root must not write to where its user points. */
static void test_pid_file(void **state)
{
	struct stat st;
	char want[16], *text;

	(void)state;
	unlink("pid-file");
	assert_int_equal(system("echo precious >victim"), 0);
	assert_int_equal(symlink("victim", "pid-file"), 0);
	systemd_unit.pid_file = "pid-file";
	begin();
	assert_int_equal(service_restore(UNIT), 0);
	assert_int_equal(waiter_ended(), 2);
	text = test_read_file("victim", NULL);
	assert_string_equal(text, "precious\n");
	free(text);
	assert_int_equal(lstat("pid-file", &st), 0);
	assert_true(S_ISREG(st.st_mode));
	text = test_read_file("pid-file", NULL);
	snprintf(want, sizeof(want), "%d\n", task);
	assert_string_equal(text, want);
	free(text);
}

/* systemd listens for it, as it did before. */
static void test_lent(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "lent" };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), other = socket(AF_UNIX, SOCK_STREAM, 0);
	struct json_object *record, *lent = json_object_new_array(), *entry = json_object_new_object();
	uint64_t kexecs;
	char *text;

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	/* Not before it listens. */
	assert_null(socket_text(listener));
	assert_int_equal(listen(listener, 1), 0);
	text = socket_text(listener);
	assert_non_null(text);
	assert_int_equal(connect(other, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_null(socket_text(other));
	begin();
	close(listener);
	close(other);
	assert_int_equal(record_load(dev, UNIT, &record, &kexecs), 0);
	json_object_object_add(entry, "key", json_object_new_string("socket:[1]"));
	json_object_object_add(entry, "socket", json_object_new_string(text));
	json_object_array_add(lent, entry);
	json_object_object_add(record, "lent", lent);
	assert_int_equal(record_save(dev, UNIT, record), 0);
	fake_pram_kexec();
	assert_int_equal(service_restore(UNIT), 0);
	assert_int_equal(inherited, 1);
	assert_int_equal(waiter_ended(), 2);

	/* Its socket unit has another address now. */
	json_object_object_add(entry, "socket", json_object_new_string("1 00"));
	waiter = start_process();
	main_pid = waiter;
	assert_int_equal(record_save(dev, UNIT, record), 0);
	json_object_put(record);
	inherited = 0;
	assert_int_equal(service_restore(UNIT), 0);
	assert_int_equal(inherited, 0);
	assert_int_equal(waiter_ended(), 1);
	assert_non_null(strstr(said, "systemd does not listen on the same sockets as before"));
	free(text);
}

/* Requests that come in may need another service: not before that is restored, too. */
static void test_others(void **state)
{
	struct json_object *record = json_object_new_object();

	(void)state;
	waiter = start_process();
	task = start_process();
	assert_int_equal(record_save(dev, "other.service", record), 0);
	json_object_put(record);
	put_service(1);
	main_pid = waiter;
	accepted = task;
	other_is_due = 1;
	assert_int_equal(service_restore(UNIT), 0);
	assert_int_equal(waiter_ended(), 2);
	assert_false(held);
	assert_int_equal(looks, 1);
	assert_int_equal(held_ports, 0);
}

/* Its drop-in is gone: nobody will ask for the checkpoint. */
static void test_disabled(void **state)
{
	(void)state;
	put_service(1);
	is_enabled = false;
	assert_int_equal(service_start_all(), 0);
	assert_int_equal(started, 0);
	assert_false(has_record());
	assert_true(has_checkpoint());
	assert_int_equal(unlocked, 1);
	assert_false(held);
	assert_non_null(strstr(said, "not enabled any more"));
}

/* A task has its connection to the journal at any number: pram-exec's takes its place. */
static void test_journal(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = JOURNAL_STDOUT };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int journal = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err = dup(2);
	struct json_object *record, *external, *entry;
	uint64_t kexecs;

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_false(is_journal(listener));
	assert_false(is_journal(err));
	assert_int_equal(connect(journal, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_true(is_journal(journal));

	dup2(journal, 2);
	begin();
	dup2(err, 2);
	assert_int_equal(record_load(dev, UNIT, &record, &kexecs), 0);
	external = json_object_new_array();
	entry = json_object_new_object();
	json_object_object_add(entry, "key", json_object_new_string("socket:[1]"));
	json_object_array_add(external, entry);
	entry = json_object_new_object();
	json_object_object_add(entry, "fd", json_object_new_int(2));
	json_object_object_add(entry, "key", json_object_new_string("socket:[2]"));
	json_object_array_add(external, entry);
	json_object_object_add(record, "external", external);
	assert_int_equal(record_save(dev, UNIT, record), 0);
	json_object_put(record);
	fake_pram_kexec();
	assert_int_equal(service_restore(UNIT), 0);
	assert_int_equal(waiter_ended(), 2);
	assert_int_equal(inherited, 2);
	close(journal);
	close(listener);
	close(err);
	unlink(JOURNAL_STDOUT);
}

/* criu has restored nothing: the service is started afresh. */
static void test_criu_fails(void **state)
{
	(void)state;
	begin();
	command = start_process();
	criu_error = 1;
	assert_int_equal(service_restore(UNIT), 0);
	assert_int_equal(waiter_ended(), 1);
	assert_false(lives(task));
	assert_true(lives(command));
	assert_true(has_checkpoint());
	assert_false(has_record());
	assert_non_null(strstr(said, "its restore has failed: no such file"));
}

/* Tasks run, but systemd does not get them: the checkpoint is still there. */
static void test_task_ends(void **state)
{
	(void)state;
	begin();
	accepted = waiter;
	kill(task, SIGKILL);
	waitpid(task, NULL, 0);
	task = 0;
	assert_int_equal(service_restore(UNIT), 0);
	assert_int_equal(waiter_ended(), 1);
	assert_true(has_checkpoint());
	assert_false(has_record());
	assert_non_null(strstr(said, "has ended as soon as it ran"));
}

static void test_stopped_meanwhile(void **state)
{
	(void)state;
	begin();
	accepted = waiter;
	/* It is seen to wait, and does not any more. */
	kill(waiter, SIGTERM);
	assert_int_equal(service_restore(UNIT), 0);
	assert_int_equal(waiter_ended(), 3);
	assert_false(lives(task));
	assert_true(has_checkpoint());
	assert_non_null(strstr(said, "it was stopped meanwhile"));
}

/* A command before it has failed: nobody is waited for, which would take minutes. */
static void test_failed_before(void **state)
{
	(void)state;
	put_service(1);
	systemd_unit.active_state = "failed";
	assert_int_equal(service_restore(UNIT), 0);
	assert_true(has_checkpoint());
	assert_false(has_record());
	assert_non_null(strstr(said, "before pram-exec ran"));
}

/* systemd makes a sandbox, and takes its time: it is asked to wait for it, once. */
static void test_slow_sandbox(void **state)
{
	(void)state;
	begin();
	sandbox = waiter;
	waiter = 0;
	looks_until = 3;
	assert_int_equal(service_restore(UNIT), 0);
	assert_int_equal(asked_for_sandbox, 1);
	assert_int_equal(waiter_ended(), 2);
	assert_non_null(strstr(said, "restored from PRAM"));
	assert_int_equal(started_again, 0);
}

/* It comes when nobody waits for it any more: it must not wait for ever. */
static void test_late_sandbox(void **state)
{
	(void)state;
	begin();
	sandbox = waiter;
	waiter = 0;
	looks_until = WAITER_SECONDS * 10 + 3;
	assert_int_equal(service_restore(UNIT), 0);
	assert_int_equal(waiter_ended(), 1);
	assert_true(has_checkpoint());
	assert_false(has_record());
	assert_non_null(strstr(said, "pram-exec does not run in its sandbox"));
}

/* systemd has ended pram-exec, as the start took too long, and starts nothing by itself. */
static void test_start_limit(void **state)
{
	(void)state;
	begin();
	accepted = waiter;
	kill(waiter, SIGTERM);
	systemd_unit.result = "timeout";
	systemd_unit.active_state = "failed";
	assert_int_equal(service_restore(UNIT), 0);
	assert_int_equal(waiter_ended(), 3);
	assert_int_equal(started_again, 1);
	assert_true(has_checkpoint());
	assert_false(has_record());
	assert_non_null(strstr(said, ", as TimeoutStartSec= was over"));
}

/* What is run behind "restore" does nothing if that has come to its end. */
static void test_release(void **state)
{
	(void)state;
	begin();
	setenv("EXIT_CODE", "exited", 1);
	assert_int_equal(service_release(UNIT), 0);
	assert_true(lives(waiter));
	assert_true(lives(task));
	assert_true(has_checkpoint());
	setenv("EXIT_CODE", "killed", 1);
	assert_int_equal(service_release(UNIT), 0);
	assert_int_equal(waiter_ended(), 1);
	assert_false(lives(task));
	assert_true(has_checkpoint());
	assert_false(has_record());
}

/* "restore" was killed before pram-exec was there; or after systemd had the tasks, which is none of its business. */
static void test_release_early(void **state)
{
	(void)state;
	begin();
	sandbox = waiter;
	waiter = 0;
	looks_until = 3;
	setenv("EXIT_CODE", "killed", 1);
	assert_int_equal(service_release(UNIT), 0);
	assert_int_equal(waiter_ended(), 1);
	assert_false(has_record());

	*said = 0;
	sandbox = 0;
	put_service(1);
	main_pid = task;
	assert_int_equal(service_release(UNIT), 0);
	assert_string_equal(said, "");
	assert_true(has_record());
	assert_true(lives(task));
}

int main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_record),
		TEST(test_nothing),
		TEST(test_nothing_but_other),
		TEST(test_kexec),
		TEST(test_called_off),
		TEST(test_too_old),
		TEST(test_no_checkpoint),
		TEST(test_other_is_due),
		TEST(test_no_helper),
		TEST(test_no_record),
		TEST(test_restore),
		TEST(test_pid_file),
		TEST(test_others),
		TEST(test_lent),
		TEST(test_disabled),
		TEST(test_journal),
		TEST(test_criu_fails),
		TEST(test_task_ends),
		TEST(test_stopped_meanwhile),
		TEST(test_failed_before),
		TEST(test_slow_sandbox),
		TEST(test_late_sandbox),
		TEST(test_start_limit),
		TEST(test_release),
		TEST(test_release_early),
	};

	return cmocka_run_group_tests(tests, test_enter_scratch, test_leave_scratch);
}
