// SPDX-License-Identifier: GPL-2.0-only
/* adopt: tasks that are killed when they were dumped */
#include <err.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adopt.h"

#define DYING		"/run/dying"
#define DYING_FILE	DYING "/file"
#ifndef __NR_mseal
#define __NR_mseal	462
#endif

enum mapping {
	PLAIN,		/* shared, and written to */
	PRIVATE,	/* written to in part, so there are pages of both kinds */
	SEALED,		/* may not be unmapped */
	WATCHED,	/* another one wants to know when it is, and does not look */
	NR_MAPPINGS,
};

/* A task whose memory is @mem, and that maps a file of a file system at @file. */
struct dying {
	char		*mem;
	char		*file;
	enum mapping	mapping;
	int		ready[2];
	int		watch;		/* its userfaultfd, or -1 */
};

/* Have a userfaultfd that is told of unmapping. */
static int dying_watch(void *mem, size_t nr)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_EVENT_UNMAP };
	struct uffdio_register range = {
		.range = { (uintptr_t)mem, nr * PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range))
		err(1, "userfaultfd");
	return fd;
}

static void dying_main(void *arg)
{
	struct dying *dying = arg;
	int flags = MAP_FIXED | (dying->mapping == PRIVATE ? MAP_PRIVATE : MAP_SHARED);
	int fd = open(DYING_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600), watch = -1;

	if (fd < 0 || ftruncate(fd, 8 * PAGE) ||
	    mmap(dying->file, 8 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0) != dying->file)
		err(1, "cannot map " DYING_FILE);
	close(fd);
	fill(dying->file + PAGE, 3, 7);
	if (dying->mapping == SEALED && syscall(__NR_mseal, dying->file, 8 * PAGE, 0))
		err(1, "mseal");
	if (dying->mapping == WATCHED)
		watch = dying_watch(dying->file, 8);
	if (write(dying->ready[1], &watch, sizeof(watch)) != sizeof(watch))
		err(1, "pipe");
	for (;;)
		pause();
}

static pid_t dying_start(struct dying *dying)
{
	int watch;
	pid_t pid;

	if (pipe2(dying->ready, O_CLOEXEC))
		err(1, "pipe");
	pid = fork();
	if (!pid)
		dying_main(dying);
	if (read(dying->ready[0], &watch, sizeof(watch)) != sizeof(watch))
		errx(1, "the task has not started");
	dying->watch = watch;
	close(dying->ready[0]);
	close(dying->ready[1]);
	return pid;
}

static bool reads_as(pid_t pid, void *mem, size_t nr, uint64_t seed)
{
	char *copy = malloc(nr * PAGE);
	struct iovec local = { copy, nr * PAGE }, remote = { mem, nr * PAGE };
	bool same = process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)(nr * PAGE) &&
		    filled(copy, nr, seed);

	free(copy);
	return same;
}

static bool unmounted(void)
{
	return !umount(DYING);
}

static bool is_busy(void)
{
	return umount(DYING) && errno == EBUSY;
}

static void dying_with(enum mapping mapping)
{
	struct dying dying = {
		.mem = memory(64, SMALL, 1), .file = address_space(8, SMALL), .mapping = mapping,
	};
	int opener = pram_open(), watch = -1, stream, pidfd;
	pid_t pid;

	if (mount("none", DYING, "tmpfs", 0, NULL))
		err(1, "cannot mount a tmpfs");
	pid = dying_start(&dying);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (dying.watch >= 0)
		watch = syscall(SYS_pidfd_getfd, pidfd, dying.watch, 0);
	expect(mapping != WATCHED || watch >= 0);
	stream = save_pages(NODE, 0);
	expect(!adopt_range(stream, pidfd, dying.mem, 64));
	if (mapping == PRIVATE)
		expect(!adopt_range(stream, pidfd, dying.file + PAGE, 3));
	expect(!pram_commit_flags(opener, &stream, 1, PRAM_COMMIT_TASKS_DIE));
	close(stream);
	expect(reads_as(pid, dying.mem, 64, 1) && reads_as(pid, dying.file + PAGE, 3, 7));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* What it had is there until it is let go of, and then at once is not. */
	expect(is_busy());
	close(opener);
	expect(unmounted());
	if (mapping != PRIVATE)
		expect(node_filled(NODE, 64, 1));
	node_free(NODE);
	close(pidfd);
	if (watch >= 0)
		close(watch);
}

/* The device is closed too early, or by whoever was killed: then nothing happens to the task. */
static void dying_not(void)
{
	struct dying dying = { .mem = memory(64, SMALL, 1), .file = address_space(8, SMALL) };
	int opener = pram_open(), stream, pidfd;
	pid_t pid;

	if (mount("none", DYING, "tmpfs", 0, NULL))
		err(1, "cannot mount a tmpfs");
	pid = dying_start(&dying);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	stream = save_pages(NODE, 0);
	expect(!adopt_range(stream, pidfd, dying.mem, 64));
	expect(!pram_commit_flags(opener, &stream, 1, PRAM_COMMIT_TASKS_DIE));
	close(stream);
	close(opener);
	expect(reads_as(pid, dying.mem, 64, 1) && reads_as(pid, dying.file + PAGE, 3, 7));
	expect(is_busy());
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	expect(unmounted());
	expect(node_filled(NODE, 64, 1));
	node_free(NODE);
	close(pidfd);
}

/* Mapped by nobody who lives: a load of it in the same kernel need not copy. */
static void dying_is_loaded(void)
{
	struct dying dying = { .mem = any_memory(512, SMALL, 1), .file = address_space(8, SMALL) };
	int opener = pram_open(), stream, pidfd;
	char *mem = address_space(512, SMALL);
	struct counters before;
	pid_t pid;

	if (mount("none", DYING, "tmpfs", 0, NULL))
		err(1, "cannot mount a tmpfs");
	pid = dying_start(&dying);
	munmap(dying.mem, 512 * PAGE);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	stream = save_pages(NODE, 0);
	expect(!adopt_range(stream, pidfd, dying.mem, 512));
	expect(!pram_commit_flags(opener, &stream, 1, PRAM_COMMIT_TASKS_DIE));
	close(stream);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	before = counters_now();
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	expect(!map_range(stream, mem, 0, 512, NULL));
	expect(counters_now().value[MAPPED] - before.value[MAPPED] == 512);
	expect(filled(mem, 512, 1));
	commit(stream);
	close(opener);
	expect(unmounted());
	close(pidfd);
}

static pid_t traced_start(void)
{
	const pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	return pid;
}

static bool dies(pid_t pid)
{
	for (int i = 0; i < 500; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		usleep(10000);
	}
	return false;
}

/*
 * A process that traces two tasks commits and ends: they die with it if it has asked for
 * that, and if the commit succeeds. One that it does not trace goes on.
 */
static void exitkill(uint32_t flags, bool fails, bool die)
{
	const pid_t traced[] = { traced_start(), traced_start() }, other = traced_start();
	int opener = pram_open(), stream, status;
	const pid_t tracer = fork();

	if (!tracer) {
		for (int i = 0; i < 2; i++)
			if (ptrace(PTRACE_SEIZE, traced[i], 0, 0) || ptrace(PTRACE_INTERRUPT, traced[i], 0, 0) ||
			    waitpid(traced[i], NULL, __WALL) != traced[i])
				_exit(1);
		stream = pram_save(opener, NODE, PRAM_PAGE_STREAM, 0);
		if (stream < 0 || !!pram_commit_flags(opener, (int[]){ stream, stream }, fails ? 2 : 1, flags) != fails)
			_exit(2);
		kill(getpid(), SIGKILL);
	}
	expect(waitpid(tracer, &status, 0) == tracer && WIFSIGNALED(status));
	if (die) {
		expect(dies(traced[0]) && dies(traced[1]));
	} else {
		usleep(100000);
		expect(!waitpid(traced[0], NULL, WNOHANG) && !waitpid(traced[1], NULL, WNOHANG));
		kill(traced[0], SIGKILL);
		kill(traced[1], SIGKILL);
		waitpid(traced[0], NULL, 0);
		waitpid(traced[1], NULL, 0);
	}
	expect(!waitpid(other, NULL, WNOHANG));
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	if (!fails)
		node_free(NODE);
	close(opener);
}

void case_exitkill(void)
{
	exitkill(PRAM_COMMIT_EXITKILL, false, true);
	exitkill(PRAM_COMMIT_EXITKILL | PRAM_COMMIT_TASKS_DIE, false, true);
	exitkill(PRAM_COMMIT_EXITKILL, true, false);
	exitkill(0, false, false);
}

void case_dying(void)
{
	mkdir(DYING, 0700);
	for (enum mapping mapping = PLAIN; mapping < NR_MAPPINGS; mapping++)
		dying_with(mapping);
	dying_not();
	dying_is_loaded();
	rmdir(DYING);
}
