// SPDX-License-Identifier: GPL-2.0-only
/* adopt: a node never changes, whoever writes to the pages that it has taken over */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adopt.h"

struct guarded {
	char	*mem;
	size_t	nr;
	/* A process that was forked before; it has the memory as it was. */
	struct other before;
};

/* Each writes what seed 2 gives; what was saved was that of seed 1. */

static void write_self(struct guarded *guarded)
{
	fill(guarded->mem, guarded->nr, 2);
}

static void write_forked_before(struct guarded *guarded)
{
	expect(other_do(&guarded->before, DO_FILL, guarded->mem, guarded->nr, 3));
	expect(filled(guarded->mem, guarded->nr, 1));
	expect(node_filled(NODE, guarded->nr, 1));
	write_self(guarded);
	expect(other_do(&guarded->before, DO_CHECK, guarded->mem, guarded->nr, 3));
}

static void write_forked_after(struct guarded *guarded)
{
	struct other other = other_start();

	expect(other_do(&other, DO_FILL, guarded->mem, guarded->nr, 3));
	expect(filled(guarded->mem, guarded->nr, 1));
	expect(node_filled(NODE, guarded->nr, 1));
	write_self(guarded);
	expect(other_do(&other, DO_CHECK, guarded->mem, guarded->nr, 3));
	other_end(&other);
}

static void write_fork_gone(struct guarded *guarded)
{
	struct other other = other_start();

	other_end(&other);
	other_end(&guarded->before);
	write_self(guarded);
	guarded->before = other_start();
}

/* For writers from outside: it is in private memory of theirs. */
static char *other_data(struct guarded *guarded)
{
	char *data = malloc(guarded->nr * PAGE);

	fill(data, guarded->nr, 2);
	return data;
}

static void child_proc_mem(void *arg)
{
	struct guarded *guarded = arg;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
	fd = open(path, O_RDWR | O_CLOEXEC);
	expect(pwrite(fd, other_data(guarded), guarded->nr * PAGE,
		      (uintptr_t)guarded->mem) == (ssize_t)(guarded->nr * PAGE));
}

static void write_proc_mem(struct guarded *guarded)
{
	expect(in_child(child_proc_mem, guarded) == 0);
}

static void child_vm_writev(void *arg)
{
	struct guarded *guarded = arg;
	struct iovec local = { other_data(guarded), guarded->nr * PAGE };
	struct iovec remote = { guarded->mem, guarded->nr * PAGE };

	expect(process_vm_writev(getppid(), &local, 1, &remote, 1, 0) ==
	       (ssize_t)(guarded->nr * PAGE));
}

static void write_vm_writev(struct guarded *guarded)
{
	expect(in_child(child_vm_writev, guarded) == 0);
}

static void child_poke(void *arg)
{
	struct guarded *guarded = arg;
	long *data = (long *)other_data(guarded);
	long *to = (long *)guarded->mem;
	pid_t pid = getppid();
	int status;

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) ||
	    waitpid(pid, &status, __WALL) != pid)
		err(1, "ptrace");
	for (size_t i = 0; i < guarded->nr * PAGE / sizeof(*to); i += 64)
		expect(!ptrace(PTRACE_POKEDATA, pid, to + i, data[i]));
	ptrace(PTRACE_DETACH, pid, 0, 0);
}

static void write_poke(struct guarded *guarded)
{
	char *was = malloc(guarded->nr * PAGE);
	long *then = (long *)was, *now = (long *)guarded->mem;
	long *data = (long *)other_data(guarded);

	memcpy(was, guarded->mem, guarded->nr * PAGE);
	expect(in_child(child_poke, guarded) == 0);
	for (size_t i = 0; i < guarded->nr * PAGE / sizeof(*now); i++) {
		if (now[i] != (i % 64 ? then[i] : data[i])) {
			expect(!"what was poked is there");
			break;
		}
	}
	free(was);
	free(data);
	expect(node_filled(NODE, guarded->nr, 1));
	write_self(guarded);
}

/* Even where the task itself may only read. */
static void write_poke_forced(struct guarded *guarded)
{
	mprotect(guarded->mem, guarded->nr * PAGE, PROT_READ);
	expect(in_child(child_poke, guarded) == 0);
	expect(node_filled(NODE, guarded->nr, 1));
	mprotect(guarded->mem, guarded->nr * PAGE, PROT_READ | PROT_WRITE);
	write_self(guarded);
}

static void write_remapped(struct guarded *guarded)
{
	char *to = address_space(guarded->nr, guarded->nr % HUGE_PAGES ? SMALL : HUGE);

	if (mremap(guarded->mem, guarded->nr * PAGE, guarded->nr * PAGE,
		   MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		err(1, "mremap");
	guarded->mem = to;
	write_self(guarded);
}

static void write_protected(struct guarded *guarded)
{
	mprotect(guarded->mem, guarded->nr * PAGE, PROT_NONE);
	mprotect(guarded->mem, guarded->nr * PAGE, PROT_READ);
	mprotect(guarded->mem, guarded->nr * PAGE, PROT_READ | PROT_WRITE);
	write_self(guarded);
}

static void write_soft_dirty(struct guarded *guarded)
{
	uint64_t *entries = calloc(guarded->nr, sizeof(*entries));

	write_text("/proc/self/clear_refs", "4");
	write_self(guarded);
	pagemap(0, guarded->mem, guarded->nr, entries);
	for (size_t i = 0; i < guarded->nr; i++)
		expect(entries[i] & PM_SOFT_DIRTY);
	free(entries);
}

/* A huge page that is no longer mapped as one. */
static void write_split(struct guarded *guarded)
{
	madvise(guarded->mem, PAGE, MADV_DONTNEED);
	write_self(guarded);
}

static void write_collapsed(struct guarded *guarded)
{
	char *start = guarded->mem;

	if (guarded->nr % HUGE_PAGES == 0) {
		mprotect(start + PAGE, PAGE, PROT_READ);
		mprotect(start + PAGE, PAGE, PROT_READ | PROT_WRITE);
		/* May fail, and must not do harm if it does not. */
		madvise(start, HUGE_SIZE, 25 /* MADV_COLLAPSE */);
	}
	write_self(guarded);
}

static void write_populate(struct guarded *guarded)
{
	expect(!madvise(guarded->mem, guarded->nr * PAGE, MADV_POPULATE_WRITE));
	expect(filled(guarded->mem, guarded->nr, 1));
	write_self(guarded);
}

static void write_uring(struct guarded *guarded)
{
	int file = make_file("/ramfs", guarded->nr, 2);
	struct uring uring = uring_start(guarded->mem, guarded->nr);

	expect(uring_read(&uring, file, guarded->mem, guarded->nr) ==
	       (int)(guarded->nr * PAGE));
	close(uring.fd);
	close(file);
}

/* A pipe has the pages, too. */
static void write_piped(struct guarded *guarded)
{
	size_t nr = guarded->nr < 256 ? guarded->nr : 256;
	struct iovec iov = { guarded->mem, nr * PAGE };
	char *got = malloc(nr * PAGE);
	size_t done = 0;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) || fcntl(fds[1], F_SETPIPE_SZ, 1 << 20) < 0 ||
	    vmsplice(fds[1], &iov, 1, SPLICE_F_GIFT) != (ssize_t)(nr * PAGE))
		err(1, "vmsplice");
	write_self(guarded);
	while (done < nr * PAGE) {
		ssize_t n = read(fds[0], got + done, nr * PAGE - done);

		if (n <= 0)
			err(1, "read of a pipe");
		done += n;
	}
	/* What was there when it was put there. */
	expect(filled(got, nr, 1));
	free(got);
	close(fds[0]);
	close(fds[1]);
}

static void write_pageout(struct guarded *guarded)
{
	if (madvise(guarded->mem, guarded->nr * PAGE, MADV_PAGEOUT))
		err(1, "MADV_PAGEOUT");
	expect(filled(guarded->mem, guarded->nr, 1));
	write_self(guarded);
}

static void guard(enum kind kind, void (*writer)(struct guarded *))
{
	size_t nr = FROM_TASK(kind);
	struct guarded guarded = { .nr = nr };

	guarded.mem = memory(nr, kind, 1);
	if (writer == write_forked_before || writer == write_fork_gone)
		guarded.before = other_start();
	save(NODE, guarded.mem, nr);
	expect(filled(guarded.mem, nr, 1));
	writer(&guarded);
	expect(filled(guarded.mem, nr, 2));
	expect(node_filled(NODE, nr, 1));
	/* Nor does what is freed change the task. */
	node_free(NODE);
	expect(filled(guarded.mem, nr, 2));
	fill(guarded.mem, nr, 4);
	expect(filled(guarded.mem, nr, 4));
	if (guarded.before.pid)
		other_end(&guarded.before);
}

#define GUARD(name)							\
	void case_##name(void)				\
	{								\
		for (enum kind kind = SMALL; kind < NR_KINDS; kind++)	\
			guard(kind, write_##name);			\
	}

GUARD(self)
GUARD(forked_before)
GUARD(forked_after)
GUARD(fork_gone)
GUARD(proc_mem)
GUARD(vm_writev)
GUARD(poke)
GUARD(poke_forced)
GUARD(remapped)
GUARD(protected)
GUARD(soft_dirty)
GUARD(split)
GUARD(collapsed)
GUARD(populate)
GUARD(uring)
GUARD(piped)
GUARD(pageout)

/* A task that is not stopped: what it writes while its pages are taken. */
static void *race_main(void *arg)
{
	struct racer *racer = arg;

	while (!racer->stop)
		for (size_t i = 0; i < racer->nr; i++)
			racer->words[i * PAGE / sizeof(uint64_t)]++;
	return NULL;
}

/* And what devices write, to pages that are pinned while their like are taken. */
static void *race_pinned_main(void *arg)
{
	struct racer *racer = arg;
	int files[] = { make_file("/ramfs", racer->nr, 2), make_file("/ramfs", racer->nr, 3) };

	while (!racer->stop) {
		struct uring uring = uring_start((void *)racer->words, racer->nr);

		for (int i = 0; i < 6; i++)
			expect(uring_read(&uring, files[i % 2], (void *)racer->words, racer->nr) ==
			       (int)(racer->nr * PAGE));
		munmap(uring.rings, 2 * PAGE);
		munmap(uring.sqes, PAGE);
		close(uring.fd);
	}
	close(files[0]);
	close(files[1]);
	return NULL;
}

static void race(enum kind kind, void *(*main)(void *))
{
	size_t nr = FROM_TASK(kind);
	struct racer racer = { .nr = nr };
	char *one = malloc(nr * PAGE), *two = malloc(nr * PAGE);
	pthread_t thread;
	int stream;

	racer.words = memory(nr, kind, 1);
	if (pthread_create(&thread, NULL, main, &racer))
		errx(1, "pthread_create");
	for (int round = 0; round < (main == race_main ? 4 : 12); round++) {
		save(NODE, (void *)racer.words, nr);
		stream = load_pages(NODE, PRAM_LOAD_PEEK);
		expect(pread(stream, one, nr * PAGE, 0) == (ssize_t)(nr * PAGE));
		usleep(10000);
		expect(pread(stream, two, nr * PAGE, 0) == (ssize_t)(nr * PAGE));
		expect(!memcmp(one, two, nr * PAGE));
		close(stream);
		node_free(NODE);
	}
	racer.stop = true;
	pthread_join(thread, NULL);
	free(one);
	free(two);
}

void case_race(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++)
		race(kind, race_main);
}

void case_race_pinned(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++)
		race(kind, race_pinned_main);
}

static void child_killed(void *arg)
{
	struct guarded *guarded = arg;
	int stream = save_pages(NODE, 0);
	int pidfd = syscall(SYS_pidfd_open, getppid(), 0);

	expect(adopt_range(stream, pidfd, guarded->mem, guarded->nr) == 0);
	fflush(stdout);
	kill(getpid(), SIGKILL);
}

void case_discarded(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		size_t nr = FROM_TASK(kind);
		struct guarded guarded = { .nr = nr };
		uint64_t *pfns = calloc(nr, sizeof(*pfns));
		long held = counter("data_pages");
		int stream = save_pages(NODE, 0);
		char *mem = memory(nr, kind, 1);

		guarded.mem = mem;
		frames(0, mem, nr, pfns);
		append(stream, mem, nr);
		expect(counter("data_pages") == held + (long)nr);
		close(stream);
		expect(counter("data_pages") == held);
		expect(in_child(child_killed, &guarded) == SIGKILL);
		expect(counter("data_pages") == held);

		expect(same_frames(0, mem, nr, pfns) == nr);
		expect(filled(mem, nr, 1));
		fill(mem, nr, 2);
		expect(filled(mem, nr, 2));
		if (kind == HUGE)
			expect(smaps_field(0, mem, "AnonHugePages:") == (long)nr * 4);
		free(pfns);
	}
}
