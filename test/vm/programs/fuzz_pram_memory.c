// SPDX-License-Identifier: GPL-2.0-only
/* fuzz_pram: memory that threads fight about, and processes */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz_pram.h"

void arena_setup(void)
{
	const int prot = PROT_READ | PROT_WRITE;
	char *at = (char *)ARENA;
	int fd;

	mmap(at, ARENA_PAGES * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	madvise(at + ARENA_PAGES / 2 * PAGE, ARENA_PAGES / 4 * PAGE, MADV_NOHUGEPAGE);
	/* The last quarter: shared memory, and a file's pages with some of them written to. */
	mmap(at + ARENA_PAGES / 4 * 3 * PAGE, ARENA_PAGES / 8 * PAGE, prot,
	     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	fd = memfd_create("arena", MFD_CLOEXEC);
	/* All descriptors may be in use. */
	if (fd < 0)
		return;
	if (ftruncate(fd, ARENA_PAGES / 8 * PAGE))
		err(1, "memfd");
	mmap(at + ARENA_PAGES / 8 * 7 * PAGE, ARENA_PAGES / 8 * PAGE, prot,
	     MAP_PRIVATE | MAP_FIXED, fd, 0);
	close(fd);
	mmap((void *)READ_ONLY, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* Not by the processor: another thread may have unmapped it. */
static void arena_write(unsigned char *from, uint64_t addr, size_t len)
{
	struct iovec local = { from, len }, remote = { (void *)addr, len };

	process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
}

void op_memory(struct thread *t)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_MERGEABLE,
		MADV_UNMERGEABLE, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
		MADV_COLLAPSE, MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK, MADV_KEEPONFORK,
	};
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
	};
	const uint64_t page = draw(t, ARENA_PAGES);
	const uint64_t rest = ARENA_PAGES - page;
	size_t nr = 1 + draw(t, one_in(t, 4) ? 600 : 24);
	char *addr = (char *)ARENA + page * PAGE;
	long ret = 0;

	if (nr > rest)
		nr = rest;
	switch (draw(t, 10)) {
	case 0:
		ret = mprotect(addr, nr * PAGE, prots[draw(t, ARRAY_SIZE(prots))]);
		break;
	case 1:
		ret = munmap(addr, nr * PAGE);
		break;
	case 2:
	case 3:
		ret = mmap(addr, nr * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
			   MAP_FIXED | (one_in(t, 6) ? MAP_LOCKED : 0), -1, 0) == MAP_FAILED;
		break;
	case 4:
		ret = one_in(t, 2) ? mlock2(addr, nr * PAGE, one_in(t, 2) ? MLOCK_ONFAULT : 0) :
				     munlock(addr, nr * PAGE);
		break;
	case 5:
		/* To another place of the arena; what was there is gone. */
		ret = mremap(addr, nr * PAGE, nr * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     (char *)ARENA + draw(t, ARENA_PAGES - nr + 1) * PAGE) == MAP_FAILED;
		break;
	case 6:
		if (one_in(t, 40))
			arena_setup();
		break;
	default:
		ret = madvise(addr, nr * PAGE, advices[draw(t, ARRAY_SIZE(advices))]);
		break;
	}
	count(t, !ret);
	/* Equal pages, for KSM, and different ones. */
	memset(t->page, draw(t, 3), PAGE);
	for (size_t i = 0; i < nr && i < 8; i++)
		arena_write(t->page, (uintptr_t)addr + i * PAGE, PAGE);
}

void op_proc_mem(struct thread *t)
{
	pid_t pid = one_in(t, 2) ? getpid() : sleeper;
	uint64_t addr = any_address(t), word = draw(t, 1000);
	bool good = false;
	char path[64];
	int fd;

	if (pid == sleeper && one_in(t, 2)) {
		/* Only one of the threads can; it is stopped for a moment. */
		if (!ptrace(PTRACE_SEIZE, pid, NULL, NULL)) {
			ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
			while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
				;
			good = !ptrace(PTRACE_POKEDATA, pid, addr, word);
			ptrace(PTRACE_DETACH, pid, NULL, NULL);
		}
	} else {
		snprintf(path, sizeof(path), "/proc/%d/mem", pid);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0) {
			good = pwrite(fd, &word, sizeof(word), addr) == sizeof(word);
			close(fd);
		}
	}
	count(t, good);
}

void op_fork(struct thread *t)
{
	const struct itimerval half_a_second = { .it_value.tv_usec = 500000 };
	pid_t pid = fork();

	if (pid > 0) {
		if (one_in(t, 3))
			kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		count(t, true);
		return;
	}
	if (pid)
		return;
	/* In a child there is this thread only, and its timer is gone: it must not wait. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGALRM, SIG_DFL);
	setitimer(ITIMER_REAL, &half_a_second, NULL);
	t->state = mix(t->state);
	snprintf(t->where + strlen(t->where), 8, " child");
	switch (draw(t, 3)) {
	case 0:
		execl(program, program, "--nothing", NULL);
		break;
	case 1:
		some(t, 1 + draw(t, 20));
		break;
	}
	_exit(0);
}
