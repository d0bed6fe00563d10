// SPDX-License-Identifier: GPL-2.0-only
/*
 * pramctl's verbs about services, with a systemd that says what a test wants: what is refused,
 * and that nothing is written then; what is in a drop-in; which kernel is chosen.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "drop_in.h"
#include "pramctl.h"
#include "record.h"
#include "services.h"
#include "test_util.h"
#include "unit.h"

static char scratch[] = "/tmp/pram-test-services-XXXXXX";

/* ---- systemd ----------------------------------------------------------- */

static char *start_argv[] = { "/usr/sbin/daemon", "--name", "50%", "$OPTIONS", "a \"b\"\\", NULL };
static char *stop_argv[] = { "/bin/kill", "$MAINPID", NULL };
static char *no_flags[] = { NULL };
static char *ignore_flags[] = { "ignore-failure", NULL };
static struct unit_command start_command, stop_command;
static struct unit systemd_unit;
static int systemd_error;
static unsigned int reloads;

int __wrap_unit_load(const char *name, struct unit *unit, char *error);
int __wrap_unit_load(const char *name, struct unit *unit, char *error)
{
	(void)name;
	*unit = systemd_unit;
	if (systemd_error)
		snprintf(error, UNIT_ERROR_MAX, "systemd is not this machine's init");
	return systemd_error;
}

void __wrap_unit_free(struct unit *unit);
void __wrap_unit_free(struct unit *unit)
{
	/* Nothing of it is on the heap. */
	(void)unit;
}

int __wrap_unit_reload_all(char *error);
int __wrap_unit_reload_all(char *error)
{
	(void)error;
	reloads++;
	return 0;
}

int __wrap_unit_files_enable(char **names, bool enable, char *error);
int __wrap_unit_files_enable(char **names, bool enable, char *error)
{
	(void)enable;
	(void)error;
	assert_string_equal(*names, "pram-pids.service");
	return 0;
}

int __wrap_unit_start(const char *name, const char *mode, char *error);
int __wrap_unit_start(const char *name, const char *mode, char *error)
{
	(void)mode;
	(void)error;
	/* Above all no kexec. */
	if (strcmp(name, "pram-containers.service"))
		assert_string_equal(name, "pram-netlock-stop.service");
	return 0;
}

/* ---- running it -------------------------------------------------------- */

static char *output;

/* Runs pramctl: its status; what it printed, errors too, is @output. */
static int run(const char *verb, const char *option, const char *operand)
{
	char root[] = "--root", *argv[] = {
		"pramctl", (char *)verb, root, scratch, (char *)(option ?: operand),
		(char *)(option ? operand : NULL), NULL,
	};
	int memfd = memfd_create("out", MFD_CLOEXEC), out = dup(1), err = dup(2), argc = 0, status;
	off_t size;

	while (argv[argc])
		argc++;
	fflush(NULL);
	dup2(memfd, 1);
	dup2(memfd, 2);
	status = pramctl_main(argc, argv);
	fflush(NULL);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	size = lseek(memfd, 0, SEEK_END);
	free(output);
	output = calloc(1, size + 1);
	assert_int_equal(pread(memfd, output, size, 0), size);
	close(memfd);
	return status;
}

static void put(const char *path, const char *text)
{
	char full[512];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", scratch, path);
	for (char *slash = strchr(full + sizeof(scratch), '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(full, 0755);
		*slash = '/';
	}
	file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static char *get(const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", scratch, path);
	return access(full, F_OK) ? NULL : test_read_file(full, NULL);
}

#define DROP_IN	"etc/systemd/system/daemon.service.d/50-pram.conf"
#define UNIT_FILE	"/lib/systemd/system/daemon.service"

/* A unit that can be enabled. */
static int setup(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s/*", scratch);
	assert_int_equal(system(command), 0);
	put("etc/systemd/system/other", "");
	put("lib/systemd/system/daemon.service", "[Service]\n");
	start_command = (struct unit_command){ "/usr/sbin/daemon", start_argv, no_flags };
	stop_command = (struct unit_command){ "/bin/kill", stop_argv, ignore_flags };
	systemd_error = 0;
	reloads = 0;
	systemd_unit = (struct unit){
		.id = "daemon.service",
		.load_state = "loaded",
		.active_state = "active",
		.fragment_path = UNIT_FILE,
		.type = "notify",
		.notify_access = "main",
		.pid_file = "",
		.root_directory = "",
		.root_image = "",
		.proc_subset = "all",
		.private_pids = "",
		.timeout_stop_us = UINT64_MAX,
		.start = { &start_command, 1 },
	};
	return 0;
}

/* Refused with that reason, and nothing written. */
static void expect_refused(const char *reason)
{
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	if (!strstr(output, reason) || strncmp(output, "pramctl: daemon.service: ", 25))
		fail_msg("\"%s\" should say \"%s\"", output, reason);
	assert_null(get("etc/systemd/system/daemon.service.d"));
	assert_int_equal(reloads, 0);
	setup(NULL);
}

/* ---- tests ------------------------------------------------------------- */

static void test_refused(void **state)
{
	char *fifo[] = { "daemon.socket (Stream [::]:80)", "daemon.socket (FIFO /run/daemon)", NULL };
	char *connection[] = { "daemon.socket (Connection [::]:80)", NULL };
	char *privileged[] = { "privileged", NULL }, *no_setuid[] = { "no-setuid", NULL };
	struct unit_command two[2];

	(void)state;
	systemd_unit.type = "oneshot";
	expect_refused("Type=oneshot: only simple, exec, notify and forking");
	systemd_unit.type = "dbus";
	expect_refused("a connection to the bus can't be kept");
	systemd_unit.type = "forking";
	expect_refused("Type=forking without PIDFile=");
	systemd_unit.dynamic_user = true;
	expect_refused("DynamicUser=yes");
	systemd_unit.private_users = true;
	expect_refused("--no-private-users");
	systemd_unit.private_users = true;
	systemd_unit.user = "root";
	expect_refused("--no-private-users");
	systemd_unit.private_users = true;
	systemd_unit.user = "daemon";
	systemd_unit.ambient_capabilities = 1 << 10;
	expect_refused("--no-private-users");
	systemd_unit.private_users = true;
	systemd_unit.user = "daemon";
	start_command.flags = no_setuid;
	expect_refused("--no-private-users");
	systemd_unit.root_directory = "/srv/root";
	expect_refused("RootDirectory=/srv/root");
	systemd_unit.root_image = "/srv/image";
	expect_refused("RootImage=/srv/image");
	systemd_unit.proc_subset = "pid";
	expect_refused("ProcSubset=pid");
	systemd_unit.private_pids = "yes";
	expect_refused("PrivatePIDs=yes");
	systemd_unit.delegate = true;
	expect_refused("Delegate=yes");
	systemd_unit.sockets = fifo;
	expect_refused("daemon.socket (FIFO /run/daemon): systemd listens there for it");
	systemd_unit.sockets = connection;
	expect_refused("daemon.socket (Connection [::]:80): systemd listens there for it");
	systemd_unit.fd_store_max = 16;
	expect_refused("FileDescriptorStoreMax=16");
	systemd_unit.transient = true;
	expect_refused("it is transient");
	systemd_unit.need_daemon_reload = true;
	expect_refused("systemctl daemon-reload");
	two[0] = two[1] = start_command;
	systemd_unit.start.all = two;
	systemd_unit.start.nr = 2;
	expect_refused("2 ExecStart= commands");
	start_command.flags = privileged;
	expect_refused("ExecStart=+/usr/sbin/daemon");
}

/* All that is in the way is said at once. */
static void test_refused_twice(void **state)
{
	(void)state;
	systemd_unit.dynamic_user = true;
	systemd_unit.delegate = true;
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "DynamicUser=yes"));
	assert_non_null(strstr(output, "Delegate=yes"));
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(run("enable", NULL, "daemon.socket"), PRAMCTL_USAGE);
	assert_non_null(strstr(output, "daemon.socket: only .service units can be dumped"));
	assert_int_equal(run("enable", NULL, "daemon@.service"), PRAMCTL_USAGE);
	assert_non_null(strstr(output, "is a template"));
	assert_int_equal(run("enable", NULL, "daemon@"), PRAMCTL_USAGE);
	assert_int_equal(run("disable", NULL, "daemon8.2-x"), PRAMCTL_NOT_FOUND);
	assert_non_null(strstr(output, "daemon8.2-x.service: is not enabled"));
	assert_int_equal(run("enable", NULL, "../daemon"), PRAMCTL_USAGE);
	/* What the drop-in says of it would be a pattern. */
	assert_int_equal(run("enable", NULL, "backup@dev-disk\\x2dsda"), PRAMCTL_USAGE);
	assert_non_null(strstr(output, "can't be kept"));
	systemd_unit.load_state = "not-found";
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_NOT_FOUND);
	assert_non_null(strstr(output, "daemon.service: there is no such unit"));
	systemd_unit.load_state = "masked";
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "masked"));
	systemd_error = -ENOENT;
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_UNAVAILABLE);
	assert_int_equal(run("disable", NULL, "daemon"), PRAMCTL_NOT_FOUND);
	assert_int_equal(run("enable", NULL, NULL), PRAMCTL_USAGE);
}

static void expect_line(const char *text, const char *line, bool there)
{
	char *whole;

	assert_true(asprintf(&whole, "\n%s\n", line) > 0);
	if (!strstr(text, whole) == there)
		fail_msg("%s line \"%s\" in:\n%s", there ? "there should be a" : "there should be no", line, text);
	free(whole);
}

static void test_drop_in(void **state)
{
	char *sockets[] = { "daemon.socket (Stream [::]:80)", "daemon.socket (Datagram 53)", NULL };
	char *text;

	(void)state;
	systemd_unit.sockets = sockets;
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_OK);
	text = get(DROP_IN);
	assert_non_null(text);
	/* Specifiers were resolved, variables were not. */
	expect_line(text, "ExecStart=/usr/lib/pram/pram-exec -- \"/usr/sbin/daemon\" \"--name\" \"50%%\" \"$OPTIONS\" \"a \\\"b\\\"\\\\\"", true);
	expect_line(text, "ExecStop=+/usr/lib/pram/pram-service dump %n", true);
	expect_line(text, "ExecStartPre=+/usr/lib/pram/pram-service prepare %n", true);
	expect_line(text, "NotifyAccess=main", false);
	expect_line(text, "PrivateUsers=no", false);
	assert_null(strstr(text, "ExecPaths="));
	assert_null(strstr(text, "TimeoutStopSec="));
	assert_int_equal(reloads, 1);
	free(text);

	assert_int_equal(run("disable", NULL, "daemon"), PRAMCTL_OK);
	assert_null(get(DROP_IN));
	assert_null(get("etc/systemd/system/daemon.service.d"));
	assert_int_equal(reloads, 2);
	assert_int_equal(run("disable", NULL, "daemon"), PRAMCTL_NOT_FOUND);
}

static void test_drop_in_of_others(void **state)
{
	char *no_exec[] = { "/", NULL }, *text;

	(void)state;
	start_argv[0] = "otherwise";
	systemd_unit.type = "simple";
	systemd_unit.notify_access = "none";
	systemd_unit.private_users = true;
	systemd_unit.no_exec_paths = no_exec;
	systemd_unit.timeout_stop_us = 5000000;
	systemd_unit.stop = (struct unit_commands){ &stop_command, 1 };
	systemd_unit.stop_post = (struct unit_commands){ &stop_command, 1 };
	assert_int_equal(run("enable", "--no-private-users", "daemon"), PRAMCTL_OK);
	text = get(DROP_IN);
	assert_non_null(text);
	assert_non_null(strstr(text, "\nExecStart=/usr/lib/pram/pram-exec --no-notify --argv0 \"otherwise\" -- \"/usr/sbin/daemon\" "));
	expect_line(text, "ExecStop=-/usr/lib/pram/pram-exec --unless-dumped -- \"/bin/kill\" \"$MAINPID\"", true);
	expect_line(text, "ExecStopPost=-/usr/lib/pram/pram-exec --unless-dumped -- \"/bin/kill\" \"$MAINPID\"", true);
	expect_line(text, "NotifyAccess=main", true);
	/* It is root, and may need what that can do. */
	expect_line(text, "PrivateUsers=no", true);
	expect_line(text, "CapabilityBoundingSet=", false);
	expect_line(text, "ExecPaths=/usr/lib/pram -/usr/lib/criu", true);
	expect_line(text, "TimeoutStopSec=90s", true);
	free(text);
	start_argv[0] = "/usr/sbin/daemon";
}

/* pram-exec is no main process of it. */
static void test_forking(void **state)
{
	char *text;

	static char *make[] = { "/usr/bin/mkdir", "/run/daemon", NULL };
	struct unit_command before = { .path = "/usr/bin/mkdir", .argv = make };

	(void)state;
	systemd_unit.start_pre = (struct unit_commands){ &before, 1 };
	systemd_unit.type = "forking";
	systemd_unit.pid_file = "/run/daemon.pid";
	systemd_unit.timeout_start_us = 5000000;
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_OK);
	text = get(DROP_IN);
	assert_non_null(text);
	expect_line(text, "NotifyAccess=exec", true);
	expect_line(text, "TimeoutStartSec=90s", true);
	assert_non_null(strstr(output, "Its ExecStartPre=/usr/bin/mkdir runs before a restore, too"));
	systemd_unit.start_pre.nr = 0;
	free(text);
}

/* It can do no more without them than with them. */
static void test_private_users(void **state)
{
	char *text;

	(void)state;
	systemd_unit.private_users = true;
	systemd_unit.user = "daemon";
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_OK);
	assert_non_null(strstr(output, "PrivateUsers= is turned off"));
	text = get(DROP_IN);
	assert_non_null(text);
	expect_line(text, "PrivateUsers=no", true);
	expect_line(text, "CapabilityBoundingSet=", true);
	expect_line(text, "NoNewPrivileges=yes", true);
	free(text);
}

/* Its unit has another text than when it was enabled. */
static void test_stale(void **state)
{
	char *drop_ins[] = { "/" DROP_IN, NULL };

	(void)state;
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_OK);
	systemd_unit.drop_in_paths = drop_ins;
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_OK);
	assert_non_null(strstr(output, "is already enabled"));
	/* By a drop-in behind ours. */
	systemd_unit.notify_access = "none";
	assert_int_equal(run("services", NULL, NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "daemon.service: problem: NotifyAccess=none, which another drop-in sets"));
	systemd_unit.type = "forking";
	systemd_unit.pid_file = "/run/daemon.pid";
	systemd_unit.notify_access = "main";
	assert_int_equal(run("services", NULL, NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "set NotifyAccess=exec there"));
	systemd_unit.notify_access = "all";
	assert_int_equal(run("services", NULL, NULL), PRAMCTL_OK);
	assert_null(strstr(output, ": problem: "));
	put("lib/systemd/system/daemon.service", "[Service]\nType=notify\n");
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "its files have changed since"));
	assert_int_equal(run("services", NULL, NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "daemon.service: problem: its files have changed since"));
	systemd_unit.dynamic_user = true;
	assert_int_equal(run("services", NULL, NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "daemon.service: problem: DynamicUser=yes"));
}

/* What a kexec that was called off has left of it goes, and nothing else. */
static void test_disable_forgets(void **state)
{
	static const char record[] = "{ }", of_container[] = "{ \"checkpoint\": \"/images\" }";

	assert_int_equal(test_setup(state), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_OK);
		test_save_checkpoint(i < 2 ? "service:daemon.service" : "/images", 1);
		/* Without a record it is one that could not be restored, which is kept to be looked at. */
		if (i)
			fake_pram_add("service:daemon.service", PRAM_BYTE_STREAM, 0, i < 2 ? record : of_container,
				      strlen(i < 2 ? record : of_container));
		assert_int_equal(run("disable", NULL, "daemon"), PRAMCTL_OK);
		assert_int_equal(fake_pram_count(PRAM_NODE_READY), i == 1 ? 0 : 2);
		if (!i)
			assert_int_equal(pram_checkpoint_remove(test_dev(), "service:daemon.service", NULL), 0);
	}
	assert_int_equal(test_teardown(state), 0);
}

/* As pram-service has noted it: 1 s dump, 2 s shutdown, 2 s kexec, 3 s boot, 2 s restore. */
static void test_timeline(void **state)
{
	(void)state;
	assert_int_equal(run("timeline", NULL, NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "No service was restored"));
	put(DROP_IN, "");
	put("var/lib/pram/services/daemon.service.json",
	    "{ \"result\": \"restored\", \"dumped_ns\": 1000000000000000000, \"dump_ms\": 1000, \"from_kernel\": \"7.2\","
	    " \"down_ns\": 1000000003000000000, \"boot_ns\": 1000000005000000000, \"ended_ns\": 1000000010000000000, \"restore_ms\": 2000 }");
	assert_int_equal(run("timeline", NULL, NULL), PRAMCTL_OK);
	expect_line(output, "  dump     |####                                            |     1.0 s", true);
	expect_line(output, "  shutdown |    ##########                                  |     2.0 s", true);
	expect_line(output, "  kexec    |              ##########                        |     2.0 s", true);
	expect_line(output, "  boot     |                        ##############          |     3.0 s", true);
	assert_non_null(strstr(output, "daemon.service: stood still for 10.0 s\n"));
	/* The last 1.5 of these it waited for others, which took longer. */
	put("var/lib/pram/services/daemon.service.json",
	    "{ \"result\": \"restored\", \"dumped_ns\": 1000000000000000000, \"dump_ms\": 1000, \"from_kernel\": \"7.2\","
	    " \"down_ns\": 1000000003000000000, \"boot_ns\": 1000000005000000000, \"ended_ns\": 1000000010000000000, \"restore_ms\": 2000,"
	    " \"others_ms\": 1500 }");
	assert_int_equal(run("timeline", NULL, NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "|     1.5 s\n  restore  |"));
	assert_non_null(strstr(output, "|     2.0 s\n  others   |"));
	assert_non_null(strstr(output, "stood still for 10.0 s\n"));
	assert_int_equal(run("timeline", "--json", NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "\"start_ns\": 1000000005000000000"));
	assert_int_equal(run("timeline", "--svg", NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "<title>kexec: 2.0 s</title>"));
	assert_non_null(strstr(output, ">daemon.service</text>"));
	assert_non_null(strstr(output, ">10.0 s</text>\n</svg>\n"));
	/* A clock that was set back, and a service that was started afresh. */
	put("var/lib/pram/services/daemon.service.json",
	    "{ \"result\": \"restored\", \"dumped_ns\": 1000000000000000000, \"dump_ms\": 1000,"
	    " \"boot_ns\": 900000005000000000, \"ended_ns\": 900000010000000000, \"restore_ms\": 2000 }");
	assert_int_equal(run("timeline", NULL, NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "stood still for 1.0 s"));
	put("var/lib/pram/services/daemon.service.json", "{ \"result\": \"failed\", \"ended_ns\": 1, \"boot_ns\": 1 }");
	assert_int_equal(run("timeline", NULL, NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "No service was restored"));
}

/* What a kexec destroys, and what criu refuses. */
static void check_files_of_service(void)
{
	char path[] = "/dev/shm/pram-test-open-XXXXXX", name[128], other[128];
	struct statfs fs;
	int fd, lost = -1;

	snprintf(name, sizeof(name), "%s/name", scratch);
	snprintf(other, sizeof(other), "%s/other", scratch);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && !link(name, other) && !unlink(name));
	if (!statfs("/dev/shm", &fs) && fs.f_type == TMPFS_MAGIC)
		lost = mkstemp(path);
	assert_int_equal(run("check", "--services", NULL), PRAMCTL_FAILED);
	unlink(path);
	assert_non_null(strstr(output, "/name (deleted), which has another name; make it close the file\n"));
	if (lost >= 0)
		assert_non_null(strstr(output, " open, which a kexec destroys; put it on a tmpfs with pram=, or on a disk\n"));
	close(lost);
	close(fd);
}

/* A service that runs as this process, and so has its files open. */
static void test_check_services(void **state)
{
	char path[] = "/tmp/pram-test-open-XXXXXX";
	int fd;

	(void)state;
	assert_int_equal(run("check", "--services", NULL), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "none is enabled"));
	assert_non_null(strstr(output, "systemd.unified_cgroup_hierarchy=1"));
	put("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
	put("proc/sys/kernel/pid_max", "32768\n");
	put("proc/sys/net/netfilter/nf_conntrack_tcp_loose", "0\n");
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_OK);
	assert_int_equal(run("check", "--services", NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "daemon.service             does not run\n"));
	assert_non_null(strstr(output, "set kernel.pid_max=4194304"));
	assert_non_null(strstr(output, "nf_conntrack_tcp_loose=1"));
	systemd_unit.fd_store_max = 3;
	assert_int_equal(run("check", "--services", NULL), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "lost     daemon.service             FileDescriptorStoreMax=3; descriptors that it has stored"));
	systemd_unit.fd_store_max = 0;
	fd = mkstemp(path);
	assert_true(fd >= 0);
	systemd_unit.main_pid = getpid();
	systemd_unit.private_tmp = true;
	assert_int_equal(run("check", "--services", NULL), PRAMCTL_FAILED);
	close(fd);
	unlink(path);
	if (!strstr(output, path))
		fail_msg("\"%s\" should name %s", output, path);
	assert_non_null(strstr(output, "which its next start will not have; set PrivateTmp=no"));
	/* Its pid may be one of those that the next boot has. */
	if (getpid() < SERVICES_LOW_PID)
		assert_non_null(strstr(output, "has a pid that the next boot is likely to use; restart the service after"));
	check_files_of_service();
	assert_int_equal(run("check", "--try", NULL), PRAMCTL_USAGE);
	assert_non_null(strstr(output, "--try with --services only"));
	run("check", "--services", "--json");
	assert_non_null(strstr(output, "\"item\": \"daemon.service\""));
}

/* A process that is no descendant of this one, and has a connection to that address: its pid. */
static pid_t start_client(const struct sockaddr_un *address)
{
	int out[2];
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (!pid) {
		pid = fork();
		if (!pid) {
			int fd = socket(AF_UNIX, SOCK_STREAM, 0);

			pid = getpid();
			if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) ||
			    write(out[1], &pid, sizeof(pid)) != sizeof(pid))
				_exit(1);
			pause();
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(read(out[0], &pid, sizeof(pid)), sizeof(pid));
	close(out[0]);
	close(out[1]);
	return pid;
}

/* Whoever has just been forked by a service is of it. */
static void test_descendant(void **state)
{
	pid_t child = fork();

	(void)state;
	if (!child) {
		pause();
		_exit(0);
	}
	assert_true(is_descendant(child, getpid()));
	assert_true(is_descendant(child, getppid()));
	assert_true(is_descendant(child, child));
	assert_false(is_descendant(getpid(), child));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_true(is_descendant(child, getpid()));
}

/* A connection to another service that stays. One within the service is no matter. */
static void test_links(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, pair[2];
	pid_t client;

	(void)state;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", scratch);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_OK);
	systemd_unit.main_pid = getpid();
	run("check", "--services", NULL);
	assert_null(strstr(output, "by a unix socket"));
	client = start_client(&address);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	run("check", "--services", NULL);
	if (!strstr(output, "has a connection by a unix socket, ") || !strstr(output, address.sun_path) ||
	    !strstr(output, "; it can't be dumped while this connection is open"))
		fail_msg("\"%s\" should name the connection", output);
	kill(client, SIGKILL);
	close(fd);
	close(pair[0]);
	close(pair[1]);
	close(listener);
}

static void put_kernel(const char *path, const struct test_kernel *kernel)
{
	char full[512];

	put(path, "");
	snprintf(full, sizeof(full), "%s/%s", scratch, path);
	test_put_kernel(full, kernel);
}

/* ---- containers ---------------------------------------------------------- */

#define CONTAINER_DROP_IN \
	"etc/systemd/system/pram-containers.service.d/web.container.conf"

/* A podman that says of any container but "gone" what is in a file. */
static void put_podman(void)
{
	char text[512], path[256];

	snprintf(text, sizeof(text),
		 "#!/bin/sh\n[ \"$3\" != info ] || { echo /usr/bin/$RUNTIME; exit; }\n[ \"$5\" != gone ] || { echo 'Error: no such container gone' >&2; exit 125; }\ncat %s/inspect\n",
		 scratch);
	put("bin/podman", text);
	snprintf(path, sizeof(path), "%s/bin/podman", scratch);
	assert_int_equal(chmod(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/bin:/usr/bin:/bin", scratch);
	setenv("PATH", path, 1);
	snprintf(text, sizeof(text), "libdir %s/plugins\n", scratch);
	put("container.conf", text);
	put("plugins/pram_plugin.so", "");
}

/* What it says: a container that can be enabled, but for @instead in the place of @of. */
static void put_container(const char *of, const char *instead)
{
	char *text, *found;

	assert_true(asprintf(&text,
		"[ { \"Id\": \"0123abc\", \"Name\": \"web\", \"Pod\": \"\", \"OCIRuntime\": \"runc\", \"IsInfra\": false, \"StaticDir\": \"%s\","
		" \"Config\": { \"Annotations\": { \"org.criu.config\": \"%s/container.conf\" } },"
		" \"State\": { \"Status\": \"exited\", \"Running\": false, \"Pid\": 0 },"
		" \"HostConfig\": { \"NetworkMode\": \"bridge\", \"PidMode\": \"private\", \"UsernsMode\": \"\", \"AutoRemove\": false,"
		" \"PortBindings\": { \"80/tcp\": [ { \"HostIp\": \"\", \"HostPort\": \"8080\" } ] } } } ]\n",
		scratch, scratch) > 0);
	found = of ? strstr(text, of) : NULL;
	if (found) {
		char *whole;

		assert_true(asprintf(&whole, "%.*s%s%s", (int)(found - text), text, instead,
				     found + strlen(of)) > 0);
		free(text);
		text = whole;
	} else {
		assert_null(of);
	}
	put("inspect", text);
	free(text);
}

static void expect_container_refused(const char *of, const char *instead, const char *reason)
{
	put_container(of, instead);
	assert_int_equal(run("enable", NULL, "container:web"), PRAMCTL_FAILED);
	if (!strstr(output, reason) || strncmp(output, "pramctl: container:web: ", 24))
		fail_msg("\"%s\" should say \"%s\"", output, reason);
	assert_null(get("etc/systemd/system/pram-containers.service.d"));
	assert_int_equal(reloads, 0);
}

static void test_container_refused(void **state)
{
	(void)state;
	put_podman();
	expect_container_refused("\"org.criu.config\"", "\"other\"", "podman run --annotation org.criu.config=");
	expect_container_refused("container.conf", "none.conf", "none.conf: No such file");
	expect_container_refused("container.conf", "inspect", "with which criu does not load PRAM's plugin");
	expect_container_refused("\"runc\"", "\"/usr/bin/crun\"", "--runtime /usr/lib/pram/crun, or --runtime runc");
	expect_container_refused("\"AutoRemove\": false", "\"AutoRemove\": true", "made with --rm");
	expect_container_refused("\"IsInfra\": false", "\"IsInfra\": true", "it is a pod's own container");
	expect_container_refused("\"bridge\"", "\"container:ff\"", "--network container:ff");
	expect_container_refused("\"UsernsMode\": \"\"", "\"UsernsMode\": \"private\"", "without --userns");
	expect_container_refused("\"private\"", "\"host\"", "--pid host");
	expect_container_refused("[ {", "{", "can't be read");
	assert_int_equal(run("enable", NULL, "container:gone"), PRAMCTL_NOT_FOUND);
	assert_non_null(strstr(output, "container:gone: no such container gone"));
	assert_int_equal(run("enable", NULL, "container:../x"), PRAMCTL_USAGE);
	assert_int_equal(run("enable", NULL, "container:-a"), PRAMCTL_USAGE);
	assert_int_equal(run("disable", NULL, "container:"), PRAMCTL_USAGE);
	assert_int_equal(run("disable", NULL, "container:web"), PRAMCTL_NOT_FOUND);
}

static void test_container(void **state)
{
	char *text;

	(void)state;
	put_podman();
	put_container(NULL, NULL);
	systemd_unit.id = "pram-containers.service";
	/* By its id, as well. */
	assert_int_equal(run("enable", NULL, "container:0123"), PRAMCTL_OK);
	assert_non_null(strstr(output, "container:web will be kept across the next kexec"));
	text = get(CONTAINER_DROP_IN);
	assert_non_null(text);
	expect_line(text, "# container: web 0123abc", true);
	free(text);
	assert_int_equal(run("enable", NULL, "container:web"), PRAMCTL_OK);
	assert_non_null(strstr(output, "is already enabled"));
	/* What others have there is no container. */
	put("etc/systemd/system/pram-containers.service.d/override.conf", "[Unit]\n");
	assert_int_equal(run("services", NULL, NULL), PRAMCTL_OK);
	assert_null(strstr(output, "override"));
	assert_null(strstr(output, ": problem: "));
	assert_non_null(strstr(output, "container:web"));
	assert_non_null(strstr(output, "exited"));
	put_container("0123abc", "4567def");
	assert_int_equal(run("services", NULL, NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "container:web: problem: it was made anew since"));
	assert_int_equal(run("enable", NULL, "container:web"), PRAMCTL_OK);
	text = get(CONTAINER_DROP_IN);
	expect_line(text, "# container: web 4567def", true);
	free(text);
	assert_int_equal(run("disable", NULL, "container:web"), PRAMCTL_OK);
	assert_null(get(CONTAINER_DROP_IN));
	assert_non_null(text = get("etc/systemd/system/pram-containers.service.d/override.conf"));
	free(text);
}

/* A unit as "podman generate systemd" writes it; others that call podman are told why not. */
static void test_container_of_unit(void **state)
{
	char *start[] = { "/usr/bin/podman", "start", "web", NULL };
	char *stop[] = { "/usr/bin/podman", "stop", "-t", "10", "web", NULL };
	char *again[] = { "/usr/bin/podman", "run", "--rm", "--replace", "-d", "image", NULL };
	char *two[] = { "/usr/bin/podman", "start", "web", "other", NULL };
	char *pod[] = { "/usr/bin/podman", "pod", "start", "start", NULL };
	char *drop_ins[] = { "/etc/systemd/system/daemon.service.d/50-pram-container.conf", NULL };
	char *text;

	(void)state;
	put_podman();
	put_container(NULL, NULL);
	start_command = (struct unit_command){ "/usr/bin/podman", again, no_flags };
	stop_command = (struct unit_command){ "/usr/bin/podman", stop, ignore_flags };
	systemd_unit.type = "forking";
	systemd_unit.pid_file = "/run/conmon.pid";
	systemd_unit.timeout_stop_us = 70000000;
	systemd_unit.timeout_start_us = UINT64_MAX;
	systemd_unit.stop = (struct unit_commands){ &stop_command, 1 };
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "its 'podman run' needs --detach, --name"));
	start_command.argv = pod;
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "must have one ExecStart="));
	start_command.argv = two;
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "must have one ExecStart="));
	start_command.argv = start;
	systemd_unit.type = "notify";
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "is not Type=forking with PIDFile="));
	systemd_unit.type = "forking";
	put_container("\"org.criu.config\"", "\"other\"");
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	assert_null(get("etc/systemd/system/daemon.service.d"));
	assert_int_equal(reloads, 0);

	put_container(NULL, NULL);
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_OK);
	text = get(*drop_ins);
	assert_non_null(text);
	expect_line(text, "ExecStart=/usr/lib/pram/pram-service container-start %n web -- \"/usr/bin/podman\" \"start\" \"web\"", true);
	expect_line(text, "ExecStop=-/usr/lib/pram/pram-service container-dump %n web", true);
	expect_line(text, "ExecStop=-\"/usr/bin/podman\" \"stop\" \"-t\" \"10\" \"web\"", true);
	expect_line(text, "After=pram-containers.target", true);
	expect_line(text, "TimeoutStopSec=600s", true);
	assert_null(strstr(text, "TimeoutStartSec="));
	free(text);
	/* systemd has it with the drop-in from then on. */
	systemd_unit.drop_in_paths = drop_ins;
	start_command.path = "/usr/lib/pram/pram-service";
	assert_int_equal(run("services", NULL, NULL), PRAMCTL_OK);
	assert_null(strstr(output, ": problem: "));
	assert_non_null(strstr(output, "daemon.service"));
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_OK);
	assert_non_null(strstr(output, "is already enabled"));
	put("lib/systemd/system/daemon.service", "[Service]\nType=forking\n");
	assert_int_equal(run("services", NULL, NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "daemon.service: problem: its files have changed since"));
	assert_int_equal(run("disable", NULL, "daemon"), PRAMCTL_OK);
	assert_null(get("etc/systemd/system/daemon.service.d"));
}

/* A unit that makes its container at each start, as quadlets do. */
static void test_container_made_anew(void **state)
{
	char *run_it[] = {
		"/usr/bin/podman", "--log-level", "info", "run", "--name=web", "--cidfile=/run/web.cid", "--rm", "--sdnotify", "conmon",
		"-dt", "image", "program", "--rm", "$$n", NULL,
	};
	char *stop[] = { "/usr/bin/podman", "rm", "-f", "--cidfile=/run/web.cid", NULL };
	char *drop_ins[] = { "/etc/systemd/system/daemon.service.d/50-pram-container.conf", NULL };
	struct unit_command before = { "/usr/bin/podman", stop, no_flags };
	char *text;

	(void)state;
	put_podman();
	put_container("\"AutoRemove\": false", "\"AutoRemove\": true");
	start_command = (struct unit_command){ "/usr/bin/podman", run_it, no_flags };
	stop_command = (struct unit_command){ "/usr/bin/podman", stop, ignore_flags };
	systemd_unit.type = "notify";
	systemd_unit.timeout_stop_us = 70000000;
	systemd_unit.timeout_start_us = UINT64_MAX;
	systemd_unit.stop = (struct unit_commands){ &stop_command, 1 };
	systemd_unit.stop_post = (struct unit_commands){ &stop_command, 1 };
	/* What it does before that may be the end of a container that waits. */
	systemd_unit.start_pre = (struct unit_commands){ &before, 1 };
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "its ExecStartPre= calls podman"));
	systemd_unit.start_pre.nr = 0;
	/* It tells that it is ready by itself. */
	run_it[8] = "container";
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "--sdnotify=conmon"));
	run_it[8] = "conmon";
	run_it[9] = "-t";
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	run_it[9] = "-dt";
	/* Whose image that is nobody can say. */
	run_it[6] = "--brand-new";
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "has the unknown option --brand-new: write it as --option=VALUE"));
	run_it[6] = "--rmi";
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "with --rmi to an archive only"));
	run_it[6] = "--rm";
	/* What restarting it does not change. */
	put_container("\"private\"", "\"host\"");
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "--pid host"));
	assert_null(get("etc/systemd/system/daemon.service.d"));
	assert_int_equal(reloads, 0);

	put_container("\"AutoRemove\": false", "\"AutoRemove\": true");
	setenv("RUNTIME", "runc", 1);
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_OK);
	assert_non_null(strstr(output, "run 'systemctl restart daemon.service'"));
	text = get(*drop_ins);
	assert_non_null(text);
	expect_line(text, "# container: web", true);
	expect_line(text, "EnvironmentFile=-/run/pram/env/%n", true);
	expect_line(text, "ExecStart=/usr/lib/pram/pram-service container-start %n web -- \"/usr/bin/podman\" \"--log-level\" \"info\" \"run\""
		    " \"--annotation\" \"org.criu.config=/etc/criu/pram-container.conf\" \"--replace\" \"--name=web\""
		    " \"--cidfile=/run/web.cid\" \"--sdnotify\" \"conmon\" \"-dt\" \"image\" \"program\" \"--rm\" \"$$n\"", true);
	expect_line(text, "ExecStop=-/usr/lib/pram/pram-service container-dump %n web", true);
	expect_line(text, "ExecStop=-/usr/lib/pram/pram-exec --unless-dumped -- \"/usr/bin/podman\" \"rm\" \"-f\" \"--cidfile=/run/web.cid\"", true);
	expect_line(text, "ExecStopPost=-/usr/lib/pram/pram-exec --unless-dumped -- \"/usr/bin/podman\" \"rm\" \"-f\" \"--cidfile=/run/web.cid\"", true);
	free(text);
	systemd_unit.drop_in_paths = drop_ins;
	start_command.path = "/usr/lib/pram/pram-service";
	assert_int_equal(run("services", NULL, NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "daemon.service: problem: its container was made before it was enabled"));
	/* Made by the drop-in, and with whatever id. */
	put_container("0123abc", "4567def");
	assert_int_equal(run("services", NULL, NULL), PRAMCTL_OK);
	assert_null(strstr(output, ": problem: "));
	assert_int_equal(run("disable", NULL, "daemon"), PRAMCTL_OK);
	assert_null(get("etc/systemd/system/daemon.service.d"));

	/* It is not there as long as the unit does not run; what it has of its own stays. */
	run_it[4] = "--name=gone";
	run_it[6] = "--annotation=org.criu.config=/etc/own.conf";
	run_it[1] = "--log-level=info";
	run_it[2] = "--syslog";
	/* This --rm is the container's own. */
	run_it[5] = "--replace=false";
	start_command.path = "/usr/bin/podman";
	systemd_unit.drop_in_paths = NULL;
	setenv("RUNTIME", "crun", 1);
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_OK);
	text = get(*drop_ins);
	assert_null(strstr(text, "pram-container.conf"));
	assert_non_null(strstr(text, " \"run\" \"--runtime\" \"/usr/lib/pram/crun\" \"--replace\" \"--name=gone\" \"--annotation="));
	assert_null(strstr(text, "\"--replace=false\""));
	assert_non_null(strstr(text, " \"-dt\" \"image\" \"program\" \"--rm\" \"$$n\""));
	free(text);
	systemd_unit.drop_in_paths = drop_ins;
	start_command.path = "/usr/lib/pram/pram-service";
	assert_int_equal(run("services", NULL, NULL), PRAMCTL_OK);
	assert_null(strstr(output, ": problem: "));
	assert_int_equal(run("disable", NULL, "daemon"), PRAMCTL_OK);
}

static void test_kexec(void **state)
{
	static const struct test_kernel has_pram = { .format = 1, .kho = "kho-v4" };
	static const struct test_kernel other = { .format = 2, .kho = "kho-v4" };
	static const struct test_kernel has_none = { .format = 0 };
	static const struct test_kernel large = { .format = 1, .kho = "kho-v4", .size = 48 << 20 };
	char initrd[128], running[256];
	struct utsname uts;

	(void)state;
	put("proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz-1 root=/dev/vda quiet\n");
	put("sys/kernel/pram/format_version", "1\n");
	assert_int_equal(run("kexec", "--dry-run", NULL), PRAMCTL_NOT_FOUND);
	assert_non_null(strstr(output, "/boot (vmlinuz-VERSION) has PRAM"));
	put_kernel("boot/vmlinuz-7.10", &has_pram);
	put_kernel("boot/vmlinuz-7.9", &has_pram);
	put_kernel("boot/vmlinuz-7.11", &has_none);
	put("boot/vmlinuz-7.12", "no kernel");
	put("boot/initrd.img-7.10", "");
	assert_int_equal(run("kexec", "--dry-run", NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "/boot/vmlinuz-7.10\n"));
	assert_non_null(strstr(output, "/boot/initrd.img-7.10\n"));
	assert_non_null(strstr(output, " root=/dev/vda quiet kho=on\n"));
	assert_int_equal(run("kexec", "--dry-run", "--append=kho=on splash"), PRAMCTL_OK);
	assert_non_null(strstr(output, " root=/dev/vda quiet kho=on splash\n"));
	put("other-initrd", "");
	snprintf(initrd, sizeof(initrd), "--initrd=%s/other-initrd", scratch);
	assert_int_equal(run("kexec", "--dry-run", initrd), PRAMCTL_OK);
	assert_non_null(strstr(output, "/other-initrd\n"));
	assert_null(strstr(output, "initrd.img-7.10"));
	/* update-initramfs has failed, or has not run yet. */
	assert_int_equal(run("kexec", "--dry-run", "7.9"), PRAMCTL_OK);
	assert_int_equal(uname(&uts), 0);
	snprintf(running, sizeof(running), "boot/initrd.img-%s", uts.release);
	put(running, "");
	assert_int_equal(run("kexec", "--dry-run", "7.9"), PRAMCTL_NOT_FOUND);
	assert_non_null(strstr(output, "vmlinuz-7.9 has no initrd"));
	snprintf(running, sizeof(running), "%s/boot/initrd.img-%s", scratch, uts.release);
	assert_int_equal(unlink(running), 0);
	/* dpkg has not unpacked this one yet. */
	put_kernel("boot/vmlinuz-7.13.dpkg-new", &has_pram);
	assert_int_equal(run("kexec", "--dry-run", NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "/boot/vmlinuz-7.10\n"));
	/* A service that is in trouble keeps nobody else from going on. */
	assert_int_equal(run("enable", NULL, "daemon"), PRAMCTL_OK);
	systemd_unit.fd_store_max = 3;
	assert_int_equal(run("kexec", "--dry-run", NULL), PRAMCTL_OK);
	assert_non_null(strstr(output, "unknown  daemon.service             FileDescriptorStoreMax=3; "));
	assert_non_null(strstr(output, "Everything is ready; nothing was done.\n"));
	/* What does not fit is not loaded, either. */
	put("sys/kernel/debug/kho/out/scratch_phys", "0x10000000\n");
	put("sys/kernel/debug/kho/out/scratch_len", "0x100000\n");
	put_kernel("boot/vmlinuz-7.8", &large);
	assert_int_equal(run("kexec", NULL, "7.8"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "the kernel needs 48.0 MiB in one scratch area, the largest has 1.0 MiB"));
	/* These are not loaded, so that this need not be a dry run. */
	assert_int_equal(run("kexec", NULL, "7.11"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "7.3 has no PRAM, or one too old to name its format"));
	assert_int_equal(run("kexec", NULL, "7.12"), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "is no bzImage"));
	assert_int_equal(run("kexec", NULL, "7.13"), PRAMCTL_NOT_FOUND);
	assert_non_null(strstr(output, "vmlinuz-7.13"));
	/* The newest one reads another format: that is said, no older one is taken in silence. */
	put_kernel("boot/vmlinuz-7.14", &other);
	assert_int_equal(run("kexec", NULL, NULL), PRAMCTL_FAILED);
	assert_non_null(strstr(output, "reads format 2, this kernel hands over format 1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_refused_twice, setup),
		cmocka_unit_test_setup(test_names, setup),
		cmocka_unit_test_setup(test_drop_in, setup),
		cmocka_unit_test_setup(test_drop_in_of_others, setup),
		cmocka_unit_test_setup(test_forking, setup),
		cmocka_unit_test_setup(test_private_users, setup),
		cmocka_unit_test_setup(test_stale, setup),
		cmocka_unit_test_setup(test_disable_forgets, setup),
		cmocka_unit_test_setup(test_check_services, setup),
		cmocka_unit_test(test_descendant),
		cmocka_unit_test_setup(test_links, setup),
		cmocka_unit_test_setup(test_timeline, setup),
		cmocka_unit_test_setup(test_container_refused, setup),
		cmocka_unit_test_setup(test_container, setup),
		cmocka_unit_test_setup(test_container_of_unit, setup),
		cmocka_unit_test_setup(test_container_made_anew, setup),
		cmocka_unit_test_setup(test_kexec, setup),
	};
	char command[64];
	int failed;

	if (!mkdtemp(scratch))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(output);
	snprintf(command, sizeof(command), "rm -rf %s", scratch);
	return system(command) || failed;
}
