// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two tasks that share SysV segments of the IPC namespace that they were started in:
 * one with a key, one that is removed already and lives as long as it is attached.
 *
 *	sysv KEY READY RESULT
 *
 * The pid is written to READY when all is there. On SIGUSR1 both look at the segments,
 * their own writes and each other's, and "PASS", the id and the attachments or what is
 * wrong is written to RESULT.
 */
#include <err.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tell.h"

#define PAGES	300	/* of which every third has data */
#define SIZE	(PAGES * 4096 - 96)

static uint32_t *keyed, *removed;
static int id, sigs_fd[2];

static void fill(uint32_t *segment, uint32_t seed)
{
	for (unsigned int page = 0; page < PAGES; page += 3)
		segment[page * 1024] = seed + page;
}

static int check(const uint32_t *segment, uint32_t seed)
{
	for (unsigned int page = 0; page < PAGES; page++)
		if (segment[page * 1024] != (page % 3 ? 0 : seed + page))
			return 1;
	return 0;
}

static const char *look(void)
{
	static char text[128];
	struct shmid_ds ds;

	if (check(keyed, 1) || check(removed, 2))
		return "a segment has other contents";
	if (shmctl(id, IPC_STAT, &ds))
		return "the segment has another id";
	snprintf(text, sizeof(text), "PASS id %d key %#x mode %o uid %d size %zu attached %lu", id,
		 (unsigned int)ds.shm_perm.__key, ds.shm_perm.mode, (int)ds.shm_perm.uid,
		 ds.shm_segsz, (unsigned long)ds.shm_nattch);
	return text;
}

static void *attach(int segment)
{
	void *addr = shmat(segment, NULL, 0);

	if (addr == (void *)-1)
		err(1, "shmat");
	return addr;
}

int main(int argc, char *argv[])
{
	const char *text;
	struct shmid_ds ds;
	sigset_t usr1;
	char c;
	int sig;

	if (argc != 4)
		errx(2, "usage: sysv KEY READY RESULT");
	id = shmget((key_t)strtoul(argv[1], NULL, 0), SIZE, IPC_CREAT | IPC_EXCL | 0640);
	if (id < 0 || shmctl(id, IPC_STAT, &ds))
		err(1, "shmget");
	ds.shm_perm.uid = 1234;
	if (shmctl(id, IPC_SET, &ds))
		err(1, "IPC_SET");
	keyed = attach(id);
	sig = shmget(IPC_PRIVATE, SIZE, 0600);
	if (sig < 0)
		err(1, "shmget");
	removed = attach(sig);
	if (shmctl(sig, IPC_RMID, NULL) || pipe(sigs_fd))
		err(1, "IPC_RMID, pipe");
	fill(keyed, 1);

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Its own, which the parent sees; and each time that it is asked, one word more */
		fill(removed, 2);
		while (read(sigs_fd[0], &c, 1) == 1)
			__atomic_add_fetch(&keyed[1], 1, __ATOMIC_SEQ_CST);
		_exit(0);
	}
	while (check(removed, 2))
		usleep(1000);
	tell_pid(argv[2]);

	for (;;) {
		uint32_t before = __atomic_load_n(&keyed[1], __ATOMIC_SEQ_CST);

		if (sigwait(&usr1, &sig) || write(sigs_fd[1], "", 1) != 1)
			err(1, "sigwait, write");
		for (int i = 0; i < 1000 && __atomic_load_n(&keyed[1], __ATOMIC_SEQ_CST) == before; i++)
			usleep(10000);
		text = look();
		if (__atomic_load_n(&keyed[1], __ATOMIC_SEQ_CST) != before + 1)
			text = "the segment is not shared any more";
		tell(argv[3], text);
	}
}
