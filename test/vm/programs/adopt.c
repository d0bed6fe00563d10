// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking over pages, seen from outside: what is taken over and what is copied,
 * for each reason there is; that a node never changes, whoever writes to the
 * pages that it has taken over; errors. Each subject has a file adopt_*.c.
 *
 *	adopt [CASE]...
 *
 * Runs these cases, or all but those that need swap space ("swapped", "reclaimed",
 * "pageout", "present_swapped", "dying_swapped"), process_vm_writev(2) ("vm_writev"), memory
 * that can only be movable ("movable"), or that leave little memory outside of the scratch
 * areas ("scratch", "evacuated", "evacuated_short"), each in a process of its own.
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

#define CASE(name)	{ #name, case_##name, false }
#define SPECIAL(name)	{ #name, case_##name, true }

static const struct probe_case cases[] = {
	CASE(whole), CASE(partial), CASE(interrupted), CASE(shared), CASE(parts),
	CASE(held_part), CASE(ksm), CASE(file), CASE(shmem), CASE(hugetlb),
	CASE(secret), CASE(poisoned), CASE(special), CASE(aio), CASE(pinned),
	CASE(asked), CASE(unaligned), CASE(spliced), CASE(ranges), CASE(much),
	CASE(present), CASE(present_errors), CASE(discarded), CASE(dying), CASE(exitkill),
	CASE(errors), CASE(self), CASE(forked_before), CASE(forked_after),
	CASE(fork_gone), CASE(proc_mem), CASE(poke), CASE(poke_forced),
	CASE(remapped), CASE(protected), CASE(soft_dirty), CASE(split),
	CASE(collapsed), CASE(populate), CASE(uring), CASE(piped), CASE(race),
	CASE(race_pinned), CASE(dying_twice), CASE(dying_forked),
	SPECIAL(scratch), SPECIAL(evacuated), SPECIAL(evacuated_short), SPECIAL(movable),
	SPECIAL(swapped), SPECIAL(present_swapped), SPECIAL(dying_swapped), SPECIAL(reclaimed),
	SPECIAL(pageout), SPECIAL(vm_writev),
};

int main(int argc, char **argv)
{
	(void)argc;
	dev_open();
	run_cases(cases, sizeof(cases) / sizeof(*cases), argv + 1);
	return probe_result();
}
