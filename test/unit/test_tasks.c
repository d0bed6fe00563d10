// SPDX-License-Identifier: GPL-2.0-only
/* lib/tasks.c, by tasks of this machine; lib/kho.c */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kho.h"
#include "tasks.h"
#include "test_util.h"

#define MIB	((size_t)1 << 20)

static char lost_path[64];

/* What a task of the tests has: 3 MiB in a memfd, mapped and open, 2 MiB shared. */
static void have_memory(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	char *mem;

	if (fd < 0 || ftruncate(fd, 8 * MIB))
		_exit(1);
	/* Only what is filled is to be copied. */
	mem = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memset(mem, 1, 3 * MIB);
	mem = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(mem + MIB, 1, 2 * MIB);
}

/* A family: a task and its child, which shares all of it, and its child. */
static pid_t start_family(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		have_memory();
		if (*lost_path && open(lost_path, O_RDWR | O_CLOEXEC) < 0)
			_exit(1);
		for (int i = 0; i < 2; i++) {
			if (fork())
				break;
			if (i == 1)
				byte = write(ready[1], "", 1);
		}
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end_family(const struct pram_tasks *tasks)
{
	for (size_t i = 0; i < tasks->nr; i++)
		kill(tasks->pids[i], SIGKILL);
	assert_int_equal(waitpid(tasks->pids[0], NULL, 0), tasks->pids[0]);
}

static void test_family(void **state)
{
	struct pram_tasks tasks;
	uint64_t least, most;
	const pid_t pid = start_family();

	(void)state;
	assert_int_equal(pram_tasks_look(pid, &tasks), 0);
	assert_int_equal(tasks.nr, 3);
	assert_int_equal(tasks.pids[0], pid);
	/* Once for all three; what else a test has open may be a little. */
	assert_in_range(tasks.shared_bytes, 5 * MIB, 6 * MIB);
	assert_int_equal(tasks.ksm_bytes, 0);
	assert_true(tasks.anon_bytes > 0);
	most = pram_tasks_copied(&tasks, false, 0, &least);
	assert_int_equal(least, tasks.shared_bytes + tasks.ghost_bytes);
	assert_int_equal(most, least + tasks.hugetlb_bytes);
	assert_true(pram_tasks_copied(&tasks, true, ~0ULL, &least) >= most + tasks.anon_bytes);
	/* Where the kernel takes shared memory over. */
	tasks.hugetlb_bytes = 6 * MIB;
	assert_int_equal(pram_tasks_copied(&tasks, false, PRAM_FEATURE_ADOPT_FILE, &least),
			 tasks.ghost_bytes + 6 * MIB);
	assert_int_equal(least, tasks.ghost_bytes + 2 * MIB);
	end_family(&tasks);
	pram_tasks_free(&tasks);

	assert_int_equal(pram_tasks_look(pid, &tasks), -ESRCH);
	pram_tasks_free(&tasks);
	assert_int_equal(pram_tasks_look(0, &tasks), -ESRCH);
}

/* A file with a name, on a tmpfs that nobody saves. */
static void test_lost_file(void **state)
{
	struct pram_tasks tasks;
	struct statfs fs;
	int fd;

	(void)state;
	assert_int_equal(statfs("/dev/shm", &fs), 0);
	if (fs.f_type != TMPFS_MAGIC)
		skip();
	strcpy(lost_path, "/dev/shm/pram-test-XXXXXX");
	fd = mkstemp(lost_path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(pram_tasks_look(start_family(), &tasks), 0);
	unlink(lost_path);
	end_family(&tasks);
	assert_int_equal(tasks.nr_lost, 1);
	assert_string_equal(tasks.lost[0].path, lost_path);
	assert_int_equal(tasks.lost[0].pid, tasks.pids[0]);
	pram_tasks_free(&tasks);
	*lost_path = 0;
}

/* What a task has that criu does not dump. */
static void have_refused(const char *dir)
{
	char path[128], other[128];
	char block[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/large", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	memset(block, 1, sizeof(block));
	for (int i = 0; i < 512; i++) {
		if (write(fd, block, sizeof(block)) != sizeof(block))
			_exit(1);
	}
	unlink(path);
	snprintf(path, sizeof(path), "%s/name", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	if (open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) < 0 || link(path, other))
		_exit(1);
	unlink(path);
	/* These are as good as any. */
	snprintf(path, sizeof(path), "%s/small", dir);
	if (open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) < 0)
		_exit(1);
	unlink(path);
	if (eventfd(0, EFD_CLOEXEC) < 0 || epoll_create1(EPOLL_CLOEXEC) < 0 ||
	    socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ||
	    memfd_create("large", MFD_CLOEXEC) < 0)
		_exit(1);
}

static size_t has_refused(const struct pram_tasks *tasks, const char *part)
{
	size_t nr = 0;

	for (size_t i = 0; i < tasks->nr_refused; i++)
		nr += !!strstr(tasks->refused[i].what, part);
	return nr;
}

static void test_refused(void **state)
{
	char dir[] = "/tmp/pram-test-tasks-XXXXXX", command[64], byte;
	struct pram_tasks tasks;
	int ready[2], extra = 0;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(pipe(ready), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		char params[120] = "";

		have_refused(dir);
		/* Not every machine lets one have these. */
		extra |= syscall(SYS_io_uring_setup, 1, params) >= 0 ? 1 : 0;
		extra |= socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP) >= 0 ? 2 : 0;
		byte = extra;
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	assert_int_equal(pram_tasks_look(pid, &tasks), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (size_t i = 0; i < tasks.nr_refused; i++)
		assert_int_equal(tasks.refused[i].pid, pid);
	assert_int_equal(has_refused(&tasks, "/large (deleted), of 2 MiB"), 1);
	assert_int_equal(has_refused(&tasks, "/name (deleted), which has another name"), 1);
	assert_int_equal(has_refused(&tasks, "io_uring"), !!(byte & 1));
	assert_int_equal(has_refused(&tasks, "MPTCP"), !!(byte & 2));
	assert_int_equal(tasks.nr_refused, 2 + !!(byte & 1) + !!(byte & 2));
	pram_tasks_free(&tasks);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

/* Of whom one may not look at it is said, not kept quiet, that nothing is known. */
static void look_as_nobody(void *arg)
{
	struct pram_tasks tasks;

	if (!geteuid() && setresuid(65534, 65534, 65534))
		fail();
	assert_int_equal(pram_tasks_look(*(pid_t *)arg, &tasks), 0);
	assert_int_equal(tasks.unseen, *(pid_t *)arg);
	pram_tasks_free(&tasks);
}

static void test_unseen(void **state)
{
	pid_t pid = geteuid() ? 1 : getpid();
	struct pram_tasks tasks;

	(void)state;
	if (geteuid() && !access("/proc/1/fd", R_OK | X_OK))
		skip();
	test_in_child(look_as_nobody, &pid);
	assert_int_equal(pram_tasks_look(getpid(), &tasks), 0);
	assert_int_equal(tasks.unseen, 0);
	pram_tasks_free(&tasks);
}

static void test_room(void **state)
{
	struct pram_room room;

	(void)state;
	assert_int_equal(pram_room_get(&room), 0);
	assert_true(room.available > 0);
	assert_true(room.most >= room.available);
}

static void test_kho(void **state)
{
	(void)state;
	assert_true(pram_kho_asked("a kho=on b", false));
	assert_false(pram_kho_asked("a b", false));
	assert_true(pram_kho_asked("a b", true));
	assert_false(pram_kho_asked("kho=on kho=off", true));
	assert_non_null(strstr(pram_absent_remedy(), "pramctl check"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_family),
		cmocka_unit_test(test_lost_file),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_unseen),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_kho),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
