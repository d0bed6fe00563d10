// SPDX-License-Identifier: GPL-2.0-only
/*
 * SysV segments: one that is attached twice by the parent, once only to read, and by
 * the child elsewhere; one that was removed and lives as long as it is attached; and one
 * that nobody has attached.
 */
#include <sys/ipc.h>
#include <sys/shm.h>

#include "pram.h"

const char *test_doc = "SysV segments, attached twice, removed, or by nobody";
const char *test_author = "The PRAM authors";

#define LEN    (1 * MiB + 3000)
#define FILLED (1 * MiB)
#define KEY    0x7072616d

static int segment(key_t key)
{
	int id = shmget(key, LEN, IPC_CREAT | IPC_EXCL | 0640);

	if (id < 0) {
		pr_perror("shmget");
		exit(1);
	}
	return id;
}

static char *attach(int id, void *at, int flags)
{
	char *map = shmat(id, at, flags);

	if (map == (void *)-1) {
		pr_perror("cannot attach the segment %d", id);
		exit(1);
	}
	return map;
}

static int check_segment(int id, const char *what, int attached)
{
	struct shmid_ds ds;

	if (shmctl(id, IPC_STAT, &ds))
		return fail("%s: IPC_STAT", what);
	if (ds.shm_segsz != LEN || ds.shm_nattch != attached || (ds.shm_perm.mode & 0777) != 0640)
		return pram_fail("%s: %zu bytes, attached %d times, mode %o", what, ds.shm_segsz,
				 (int)ds.shm_nattch, ds.shm_perm.mode);
	return 0;
}

int main(int argc, char **argv)
{
	char *writes, *reads, *removed, *late;
	int id, removed_id, idle, ret = 0, fds[2];
	struct shmid_ds ds;
	task_waiter_t ready;
	pid_t child;

	test_init(argc, argv);

	id = segment(KEY);
	removed_id = segment(IPC_PRIVATE);
	idle = segment(IPC_PRIVATE);
	writes = attach(id, NULL, 0);
	removed = attach(removed_id, NULL, 0);
	pram_fill(writes, FILLED, 1);
	pram_fill(removed, FILLED, 2);
	late = attach(idle, NULL, 0);
	pram_fill(late, FILLED, 3);
	if (shmdt(late) || shmctl(removed_id, IPC_RMID, NULL)) {
		pr_perror("shmdt, IPC_RMID");
		return 1;
	}

	task_waiter_init(&ready);
	child = test_fork();
	if (child < 0) {
		pr_perror("fork");
		return 1;
	}
	if (!child) {
		if (shmdt(writes)) {
			pr_perror("shmdt");
			return 1;
		}
		writes = pram_area(2 * MiB, 2 * MiB, 0);
		if (munmap(writes, 2 * MiB)) {
			pr_perror("munmap");
			return 1;
		}
		writes = attach(id, writes, 0);
		task_waiter_complete(&ready, 1);
		test_waitsig();
		ret |= pram_check(writes, FILLED / 2, 11, "what the parent wrote");
		ret |= pram_check(writes + FILLED / 2, FILLED / 2, 1 + FILLED / 16 * PRAM_STEP,
				  "the second half");
		ret |= pram_check(removed, FILLED, 2, "the removed segment");
		pram_fill(removed, FILLED, 12);
		return ret;
	}
	reads = attach(id, NULL, SHM_RDONLY);
	task_waiter_wait4(&ready, 1);

	test_daemon();
	test_waitsig();

	if (shmget(KEY, LEN, 0) != id)
		ret |= fail("the key belongs to the segment %d, not %d", shmget(KEY, LEN, 0), id);
	ret |= check_segment(id, "the segment", 3);
	ret |= check_segment(removed_id, "the removed segment", 2);
	ret |= check_segment(idle, "the idle segment", 0);
	ret |= pram_check(writes, FILLED, 1, "the segment");
	ret |= pram_check_zero(writes + FILLED, LEN - FILLED, "the end of the segment");
	ret |= pram_check(reads, FILLED, 1, "the segment, only to read");
	ret |= pram_check(removed, FILLED, 2, "the removed segment");
	if (pipe2(fds, O_NONBLOCK) || write(fds[1], "", 1) != 1 || read(fds[0], reads, 1) != -1 ||
	    errno != EFAULT)
		ret |= fail("a segment attached to read can be written");
	late = attach(idle, NULL, 0);
	ret |= pram_check(late, FILLED, 3, "the idle segment");

	pram_fill(writes, FILLED / 2, 11);
	ret |= pram_check(reads, FILLED / 2, 11, "what was written, seen by the other mapping");
	ret |= pram_reap(child);
	ret |= pram_check(removed, FILLED, 12, "what the child wrote to the removed segment");
	/* CRIU forgets that it was removed: it would outlive its users. */
	shmctl(removed_id, IPC_RMID, NULL);
	if (shmdt(removed) || shmctl(removed_id, IPC_STAT, &ds) != -1)
		ret |= pram_fail("the removed segment is still there");
	shmctl(id, IPC_RMID, NULL);
	shmctl(idle, IPC_RMID, NULL);
	if (ret)
		return 1;
	pass();
	return 0;
}
