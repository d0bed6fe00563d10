// SPDX-License-Identifier: GPL-2.0-only
/* lib/tasks.c, by tasks of this machine; lib/kho.c */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
	most = pram_tasks_copied(&tasks, false, &least);
	assert_int_equal(least, tasks.shared_bytes);
	assert_int_equal(most, tasks.shared_bytes + tasks.hugetlb_bytes);
	assert_true(pram_tasks_copied(&tasks, true, &least) >= most + tasks.anon_bytes);
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
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_kho),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
