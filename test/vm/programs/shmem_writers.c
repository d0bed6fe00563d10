// SPDX-License-Identifier: GPL-2.0-only
/* Whoever writes while a node has it: shmem's cases. */
#include <err.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../../plugin/luo/luo_kernel.h"
#include "shmem.h"

/* The page to be written to. */
#define AT	21UL

static const char text[] = "written while a node has it";

/* Each writes text to the beginning of page AT, by his own way. */

static void by_mapping(struct object *obj)
{
	memcpy(obj->mem + AT * PAGE, text, sizeof(text));
}

static void by_read_mapping(struct object *obj)
{
	(void)*(volatile char *)(obj->mem + AT * PAGE);
	memcpy(obj->mem + AT * PAGE, text, sizeof(text));
}

static void by_new_mapping(struct object *obj)
{
	char *mem = map_aligned(obj->fd, obj->nr, PROT_READ, MAP_SHARED);

	/* Read around it first: what is mapped may become writable. */
	(void)*(volatile char *)(mem + (AT - 1) * PAGE);
	(void)*(volatile char *)(mem + AT * PAGE);
	expect(!mprotect(mem, obj->nr * PAGE, PROT_READ | PROT_WRITE));
	memcpy(mem + AT * PAGE, text, sizeof(text));
	munmap(mem, obj->nr * PAGE);
}

static void by_populate(struct object *obj)
{
	char *mem = mmap(NULL, obj->nr * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE, obj->fd, 0);

	expect(mem != MAP_FAILED);
	memcpy(mem + AT * PAGE, text, sizeof(text));
	munmap(mem, obj->nr * PAGE);
}

static void by_lock(struct object *obj)
{
	expect(!mlock(obj->mem, obj->nr * PAGE));
	memcpy(obj->mem + AT * PAGE, text, sizeof(text));
	munlock(obj->mem, obj->nr * PAGE);
}

static void write_in_child(void *arg)
{
	struct object *obj = arg;

	by_mapping(obj);
}

static void by_child(struct object *obj)
{
	expect(!in_child(write_in_child, obj));
}

static void by_write(struct object *obj)
{
	expect(pwrite(obj->fd, text, sizeof(text), AT * PAGE) == sizeof(text));
}

static void by_splice(struct object *obj)
{
	off_t at = AT * PAGE;
	int fds[2];

	expect(!pipe2(fds, O_CLOEXEC) && write(fds[1], text, sizeof(text)) == sizeof(text));
	expect(splice(fds[0], NULL, obj->fd, &at, sizeof(text), SPLICE_F_MOVE) == sizeof(text));
	close(fds[0]);
	close(fds[1]);
}

static void by_sendfile(struct object *obj)
{
	int from = memfd_create("from", MFD_CLOEXEC);
	off_t start = 0;

	expect(write(from, text, sizeof(text)) == sizeof(text));
	expect(lseek(obj->fd, AT * PAGE, SEEK_SET) == AT * PAGE);
	expect(sendfile(obj->fd, from, &start, sizeof(text)) == sizeof(text));
	close(from);
}

static void by_proc_mem(struct object *obj)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	expect(pwrite(fd, text, sizeof(text), (uintptr_t)obj->mem + AT * PAGE) == sizeof(text));
	close(fd);
}

/* Into our memory, from that of the parent, which is ours, too. */
static void by_vm_writev(struct object *obj)
{
	struct iovec from = { (void *)text, sizeof(text) };
	struct iovec to = { obj->mem + AT * PAGE, sizeof(text) };

	expect(process_vm_writev(getpid(), &from, 1, &to, 1, 0) == sizeof(text));
}

static void by_read(struct object *obj)
{
	int fds[2];

	expect(!pipe2(fds, O_CLOEXEC) && write(fds[1], text, sizeof(text)) == sizeof(text));
	expect(read(fds[0], obj->mem + AT * PAGE, sizeof(text)) == sizeof(text));
	close(fds[0]);
	close(fds[1]);
}

/* Puts what the file has into the page table, without a fault. */
static void by_uffd(struct object *obj)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MINOR_SHMEM };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	char *mem = map_aligned(obj->fd, obj->nr, PROT_READ | PROT_WRITE, MAP_SHARED);
	struct uffdio_register reg = {
		.range = { (uintptr_t)mem, obj->nr * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MINOR,
	};
	struct uffdio_continue cont = {
		.range = { (uintptr_t)mem + AT * PAGE, PAGE },
	};

	expect(fd >= 0 && !ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &reg));
	expect(!ioctl(fd, UFFDIO_CONTINUE, &cont) && cont.mapped == (int64_t)PAGE);
	memcpy(mem + AT * PAGE, text, sizeof(text));
	close(fd);
	munmap(mem, obj->nr * PAGE);
}

/* Has the page tables made anew, of what is in the page cache. */
static void by_collapse(struct object *obj)
{
	char *mem = map_aligned(obj->fd, obj->nr, PROT_READ | PROT_WRITE, MAP_SHARED);

	/* It may have been done or not. */
	(void)madvise(mem, obj->nr * PAGE, MADV_COLLAPSE);
	memcpy(mem + AT * PAGE, text, sizeof(text));
	munmap(mem, obj->nr * PAGE);
}

/* LUO pins what it preserves, by memfd_pin_folios(). */
static void by_pin(struct object *obj)
{
	struct luo_ioctl_session session = { .size = sizeof(session), .name = "shmem" };
	struct luo_ioctl_file file = { .size = sizeof(file), .fd = obj->fd, .token = 1 };
	int fd = open(LUO_DEVICE_PATH, O_RDWR | O_CLOEXEC);

	expect(fd >= 0 && !ioctl(fd, LUO_IOCTL_CREATE, &session));
	expect(!ioctl(session.fd, LUO_IOCTL_PRESERVE_FD, &file));
	/* What is pinned now is the file's and not the node's. */
	by_mapping(obj);
	close(session.fd);
	close(fd);
}

struct writer {
	const char	*name;
	void		(*write)(struct object *obj);
	bool		all;		/* touches each page */
	bool		by_fd;		/* not for what has no descriptor to write to */
};

static const struct writer writers[] = {
	{ "mapping", by_mapping, false, false },
	{ "mapping that is read first", by_read_mapping, false, false },
	{ "mapping made later", by_new_mapping, false, true },
	{ "populated mapping", by_populate, true, true },
	{ "locked mapping", by_lock, true, false },
	{ "another process", by_child, false, false },
	{ "write", by_write, false, true },
	{ "splice", by_splice, false, true },
	{ "sendfile", by_sendfile, false, true },
	{ "/proc/self/mem", by_proc_mem, false, false },
	{ "process_vm_writev", by_vm_writev, false, false },
	{ "read into it", by_read, false, false },
	{ "UFFDIO_CONTINUE", by_uffd, false, true },
	{ "MADV_COLLAPSE", by_collapse, true, true },
	{ "memfd_pin_folios", by_pin, true, true },
};

static void expect_written(const struct object *obj)
{
	char *view = object_view(obj);

	expect(!memcmp(view + AT * PAGE, text, sizeof(text)));
	expect(!memcmp(obj->mem + AT * PAGE, text, sizeof(text)));
	munmap(view, obj->nr * PAGE);
}

/* All but page AT is as it was: fill() goes by the place. */
static bool rest_filled(const struct object *obj, uint64_t seed)
{
	char *view = object_view(obj), *copy = malloc(obj->nr * PAGE);
	bool good;

	fill(copy, obj->nr, seed);
	good = !memcmp(copy, view, AT * PAGE) &&
	       !memcmp(copy + (AT + 1) * PAGE, view + (AT + 1) * PAGE,
		       (obj->nr - AT - 1) * PAGE) &&
	       !memcmp(copy + AT * PAGE + sizeof(text), view + AT * PAGE + sizeof(text),
		       PAGE - sizeof(text));
	free(copy);
	munmap(view, obj->nr * PAGE);
	return good;
}

static void write_by(const struct writer *writer, enum sort sort)
{
	const size_t nr = sort == HUGE_MEMFD ? HUGE_PAGES : 64;
	struct object obj = object(sort, nr, 1);
	const size_t least = sort == HUGE_MEMFD ? HUGE_PAGES : 1;
	struct counters before;
	int64_t copied;
	char *view;

	snprintf(probe_what, sizeof(probe_what), "writers, %s, %s", writer->name,
		 sort_names[sort]);
	save_object(NODE, &obj);
	/* Who reads it by a private mapping has to see what is written. */
	view = object_view(&obj);
	(void)*(volatile char *)(view + AT * PAGE);
	before = counters_now();
	writer->write(&obj);
	copied = counters_now().value[ON_TOUCH] - before.value[ON_TOUCH];
	expect(copied >= (int64_t)least && copied <= (int64_t)nr);
	if (writer->all && writer->write != by_collapse)
		expect(copied == (int64_t)nr);
	expect(!memcmp(view + AT * PAGE, text, sizeof(text)));
	munmap(view, nr * PAGE);
	expect_written(&obj);
	expect(rest_filled(&obj, 1));
	expect(node_filled(NODE, nr, 1));
	node_free(NODE);
	object_end(&obj);
}

void case_writers(void)
{
	for (size_t i = 0; i < sizeof(writers) / sizeof(*writers); i++) {
		for (enum sort sort = ANON; sort < NR_SORTS; sort++) {
			bool by_fd = sort == ANON || sort == SYSV;

			if (writers[i].by_fd && by_fd)
				continue;
			/* LUO takes memfds. */
			if (writers[i].write == by_pin && sort == TMPFS)
				continue;
			write_by(&writers[i], sort);
		}
	}
}

/* Those who clear a part of a page in place. */
void case_edges(void)
{
	static const char zeros[PAGE];

	for (enum sort sort = MEMFD; sort < NR_SORTS; sort++) {
		size_t nr = sort == HUGE_MEMFD ? HUGE_PAGES : 64;
		struct object obj;
		char *view;

		if (sort == SYSV)
			continue;
		snprintf(probe_what, sizeof(probe_what), "edges, %s", sort_names[sort]);
		obj = object(sort, nr, 1);
		save_object(NODE, &obj);
		expect(!fallocate(obj.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  10 * PAGE + 100, 3 * PAGE));
		view = object_view(&obj);
		expect(!memcmp(view + 10 * PAGE + 100, zeros, PAGE));
		expect(!memcmp(view + 12 * PAGE + 100, zeros, PAGE));
		expect(memcmp(view + 10 * PAGE + 99, zeros, 1) ||
		       memcmp(view + 10 * PAGE + 92, zeros, 8));
		expect(memcmp(view + 13 * PAGE + 100, zeros, 8));
		expect(node_filled(NODE, nr, 1));

		/* Within a page, and the end of the file. */
		expect(!fallocate(obj.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  20 * PAGE + 8, 16));
		expect(!memcmp(view + 20 * PAGE + 8, zeros, 16));
		expect(!ftruncate(obj.fd, 40 * PAGE + 8));
		expect(!ftruncate(obj.fd, nr * PAGE));
		expect(memcmp(view + 40 * PAGE, zeros, 8));
		expect(!memcmp(view + 40 * PAGE + 8, zeros, PAGE));
		expect(node_filled(NODE, nr, 1));

		/* Whole pages go, and come as zeros. */
		expect(!madvise(obj.mem, nr * PAGE, MADV_REMOVE));
		expect(!memcmp(view + 3 * PAGE, zeros, PAGE));
		fill(obj.mem, nr, 2);
		expect(!ftruncate(obj.fd, 0));
		expect(node_filled(NODE, nr, 1));
		munmap(view, nr * PAGE);
		node_free(NODE);
		object_end(&obj);
	}
}

/* Seals forbid writing, which a node does not do. */
void case_sealed(void)
{
	const size_t nr = 50;
	struct object obj = object(MEMFD, nr, 1);
	struct counters before;
	char *mem;

	save_object(NODE, &obj);
	munmap(obj.mem, nr * PAGE);
	expect(!fcntl(obj.fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
	/* No mapping can write, so none has anything copied. */
	before = counters_now();
	mem = map_aligned(obj.fd, nr, PROT_READ, MAP_SHARED);
	expect(filled(mem, nr, 1));
	counted(&before, {});
	expect(pwrite(obj.fd, "x", 1, 0) == -1 && errno == EPERM);
	node_free(NODE);

	/* A sealed one is taken over as any. */
	save_object(NODE, &obj);
	expect(filled(mem, nr, 1));
	counted(&before, { "adopted", nr });
	expect(node_filled(NODE, nr, 1));
	node_free(NODE);
	munmap(mem, nr * PAGE);
	close(obj.fd);
}
