// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking over pages, seen from outside: what is taken over and what is copied,
 * for each reason there is; that a node never changes, whoever writes to the
 * pages that it has taken over; errors. Each subject has a file adopt_*.c.
 *
 *	adopt [CASE]...
 *
 * Runs these cases, or all but those that need swap space ("swapped", "reclaimed",
 * "pageout", "present_swapped"),
 * process_vm_writev(2) ("vm_writev"), memory that can only be movable ("movable"), or that leave little memory outside of the
 * scratch areas ("scratch"), each in a process of its own and, where that makes
 * a difference, by pipe and by ioctl.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "adopt.h"

void expect_node_is(const char *name, const void *mem, size_t nr)
{
	int stream = load_pages(name, PRAM_LOAD_PEEK);
	char *copy = malloc(nr * PAGE);

	expect(pread(stream, copy, nr * PAGE, 0) == (ssize_t)(nr * PAGE));
	expect(!memcmp(copy, mem, nr * PAGE));
	free(copy);
	close(stream);
}

int make_file(const char *dir, size_t nr, uint64_t seed)
{
	char path[64], *data = malloc(nr * PAGE);
	int fd;

	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	fill(data, nr, seed);
	if (fd < 0 || write(fd, data, nr * PAGE) != (ssize_t)(nr * PAGE))
		err(1, "cannot make %s", path);
	unlink(path);
	free(data);
	return fd;
}

char *map_file(int fd, size_t nr, int flags)
{
	char *mem = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (mem == MAP_FAILED)
		err(1, "cannot map a file");
	return mem;
}

struct uring uring_start(void *mem, size_t nr)
{
	struct iovec iov = { mem, nr * PAGE };
	struct uring uring = {};

	uring.fd = syscall(SYS_io_uring_setup, 4, &uring.params);
	if (uring.fd < 0 || syscall(SYS_io_uring_register, uring.fd,
				    IORING_REGISTER_BUFFERS, &iov, 1))
		err(1, "%s: io_uring", probe_what);
	uring.rings = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_POPULATE, uring.fd, IORING_OFF_SQ_RING);
	uring.sqes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, uring.fd, IORING_OFF_SQES);
	if (uring.rings == MAP_FAILED || uring.sqes == MAP_FAILED)
		err(1, "%s: mmap of io_uring", probe_what);
	return uring;
}

int uring_read(struct uring *uring, int file, void *mem, size_t nr)
{
	uint32_t *tail = (uint32_t *)(uring->rings + uring->params.sq_off.tail);
	uint32_t *array = (uint32_t *)(uring->rings + uring->params.sq_off.array);
	uint32_t *head = (uint32_t *)(uring->rings + uring->params.cq_off.head);
	struct io_uring_cqe *cqes =
		(void *)(uring->rings + uring->params.cq_off.cqes);
	uint32_t at = *head & (uring->params.cq_entries - 1);

	array[0] = 0;
	uring->sqes[0] = (struct io_uring_sqe){
		.opcode = IORING_OP_READ_FIXED,
		.fd = file,
		.addr = (uintptr_t)mem,
		.len = nr * PAGE,
	};
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, uring->fd, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) != 1)
		err(1, "%s: io_uring_enter", probe_what);
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return cqes[at].res;
}

struct test_case {
	const char	*name;
	void		(*run)(enum way way);
	/* There is only one way, or it makes no difference. */
	bool		once;
	/* Not run unless named. */
	bool		special;
};

#define CASE(name)	{ #name, case_##name, false, false }

static const struct test_case cases[] = {
	CASE(whole), CASE(partial), CASE(interrupted), CASE(shared), CASE(ksm),
	CASE(file), CASE(shmem), CASE(hugetlb), CASE(special), CASE(aio),
	CASE(pinned), CASE(asked), CASE(discarded),
	{ "unaligned", case_unaligned, true, false },
	{ "parts", case_parts, true, false },
	{ "held_part", case_held_part, true, false },
	{ "unmapped", case_unmapped, true, false },
	{ "secret", case_secret, true, false },
	{ "poisoned", case_poisoned, false, false },
	{ "ranges", case_ranges, true, false },
	{ "much", case_much, true, false },
	{ "present", case_present, true, false },
	{ "present_errors", case_present_errors, true, false },
	{ "dying", case_dying, true, false },
	{ "errors", case_errors, true, false },
	CASE(self), CASE(forked_before), CASE(forked_after), CASE(fork_gone),
	CASE(proc_mem), CASE(poke), CASE(poke_forced), CASE(remapped),
	CASE(protected), CASE(soft_dirty), CASE(split), CASE(collapsed),
	CASE(populate), CASE(uring), CASE(piped), CASE(race), CASE(race_pinned),
	{ "scratch", case_scratch, false, true },
	{ "evacuated", case_evacuated, false, true },
	{ "movable", case_movable, false, true },
	{ "swapped", case_swapped, false, true },
	{ "present_swapped", case_present_swapped, true, true },
	{ "reclaimed", case_reclaimed, true, true },
	{ "pageout", case_pageout, false, true },
	{ "vm_writev", case_vm_writev, false, true },
};

#define NR_CASES	(sizeof(cases) / sizeof(*cases))

struct job {
	const struct test_case	*test;
	enum way		way;
};

static void run_job(void *arg)
{
	struct job *job = arg;

	job->test->run(job->way);
}

static void run(const struct test_case *test)
{
	for (enum way way = BY_PIPE; way < NR_WAYS; way++) {
		struct job job = { test, way };
		long data = counter("data_pages"), meta = counter("meta_pages");
		int status;

		snprintf(probe_what, sizeof(probe_what), "%s%s%s", test->name,
			 test->once ? "" : ", by ", test->once ? "" : way_names[way]);
		status = in_child(run_job, &job);
		if (status) {
			printf("%s: status %#x\n", probe_what, status);
			nr_failed++;
		}
		expect(counter("data_pages") == data);
		expect(counter("meta_pages") == meta);
		if (test->once)
			break;
	}
}

int main(int argc, char **argv)
{
	dev_open();
	/* PRAM's directory stays once there was a node. */
	close(save_pages(NODE, 0));
	for (size_t i = 0; i < NR_CASES && argc == 1; i++)
		if (!cases[i].special)
			run(&cases[i]);
	for (int arg = 1; arg < argc; arg++) {
		size_t i;

		for (i = 0; i < NR_CASES && strcmp(argv[arg], cases[i].name); i++)
			;
		if (i == NR_CASES)
			errx(2, "there is no case '%s'", argv[arg]);
		run(&cases[i]);
	}
	return probe_result();
}
