// SPDX-License-Identifier: GPL-2.0-only
/* adopt: what there is of memory is found, as CRIU finds it */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "adopt.h"

/* linux/fs.h and mman.h may be older. */
struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t inverted, mask, anyof, returned;
};

#define SCAN		_IOWR('f', 16, struct scan_arg)
#define IS_FILE		(1U << 2)
#define IS_PRESENT	(1U << 3)
#define IS_SWAPPED	(1U << 4)
#define IS_ZERO		(1U << 5)
#define IS_GUARD	(1U << 8)
#define GUARD_INSTALL	102
#define REGIONS_MAX	8192U

static size_t add_range(struct pram_range *ranges, size_t nr, uint64_t start, uint64_t end)
{
	if (nr && ranges[nr - 1].start + ranges[nr - 1].len == start)
		ranges[nr - 1].len += end - start;
	else
		ranges[nr++] = (struct pram_range){ start, end - start };
	return nr;
}

/* What CRIU would dump, by the same question to the kernel. */
static size_t criu_would(const char *mem, size_t nr, struct pram_range *ranges)
{
	static struct scan_region regions[REGIONS_MAX];
	struct scan_arg arg = {
		.size = sizeof(arg), .start = (uintptr_t)mem, .end = (uintptr_t)mem + nr * PAGE,
		.vec = (uintptr_t)regions, .vec_len = REGIONS_MAX,
		.inverted = IS_ZERO | IS_FILE, .mask = IS_ZERO | IS_FILE,
		.anyof = IS_PRESENT | IS_SWAPPED, .returned = IS_PRESENT | IS_SWAPPED | IS_GUARD,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	long n = ioctl(fd, SCAN, &arg);
	size_t found = 0;

	if (n < 0 || arg.walk_end != arg.end)
		err(1, "PAGEMAP_SCAN");
	close(fd);
	for (long i = 0; i < n; i++)
		if (!(regions[i].categories & IS_GUARD))
			found = add_range(ranges, found, regions[i].start, regions[i].end);
	return found;
}

static int adopt_present(int stream, const char *mem, size_t nr, struct pram_range *found,
			 uint32_t *nr_found, size_t *done)
{
	struct pram_range left = { (uintptr_t)mem, nr * PAGE };
	int pidfd = self_pidfd();
	int ret = pram_adopt_present(stream, pidfd, &left, found, nr_found);

	if (done)
		*done = nr - left.len / PAGE;
	close(pidfd);
	return ret;
}

/* What must not be read while it is looked for. */
static struct iovec hidden;

/* PRAM finds the same as CRIU does, with room for so many ranges in a call, and takes it. */
static void present_with(const char *mem, size_t nr, uint32_t room, uint32_t flags)
{
	static struct pram_range want[REGIONS_MAX], got[REGIONS_MAX], found[REGIONS_MAX];
	size_t nr_want, nr_got = 0, at = 0, pages = 0;
	char page[PAGE];
	bool same = true;
	int stream;

	mprotect(hidden.iov_base, hidden.iov_len, PROT_NONE);
	nr_want = criu_would(mem, nr, want);
	stream = save_pages(NODE, flags);
	while (at < nr) {
		uint32_t nr_found = room;
		size_t done;

		if (adopt_present(stream, mem + at * PAGE, nr - at, found, &nr_found, &done) ||
		    nr_found > room || !done) {
			expect(!"progress");
			break;
		}
		for (uint32_t i = 0; i < nr_found; i++) {
			nr_got = add_range(got, nr_got, found[i].start,
					   found[i].start + found[i].len);
			/* None is cut but for lack of room. */
			expect(!i || found[i].start != found[i - 1].start + found[i - 1].len);
		}
		at += done;
		expect(at == nr || nr_found == room);
	}
	expect(nr_got == nr_want);
	expect(!memcmp(got, want, nr_want * sizeof(*want)));
	expect(nr_want > 0);
	commit(stream);
	mprotect(hidden.iov_base, hidden.iov_len, PROT_READ | PROT_WRITE);
	stream = load_pages(NODE, PRAM_LOAD_PEEK);
	for (size_t i = 0; i < nr_want; i++)
		for (uint64_t off = 0; off < want[i].len; off += PAGE)
			same &= pread(stream, page, PAGE, pages++ * PAGE) == (ssize_t)PAGE &&
				!memcmp(page, (char *)(uintptr_t)want[i].start + off, PAGE);
	expect(same);
	expect(lseek(stream, 0, SEEK_END) == (off_t)(pages * PAGE));
	close(stream);
	node_free(NODE);
}

static void present_is_found(const char *mem, size_t nr)
{
	present_with(mem, nr, REGIONS_MAX, 0);
	present_with(mem, nr, 1, 0);
	present_with(mem, nr, 3, 0);
	present_with(mem, nr, REGIONS_MAX, PRAM_SAVE_COPY);
}

/* Written to, read, guarded, dropped, forbidden, and never touched, over three tables. */
static char *mixed_pages(size_t nr)
{
	char *mem = address_space(nr, SMALL);

	for (size_t i = 0; i < nr; i++) {
		volatile char *page = mem + i * PAGE;

		switch (i * 7 % 31 % 6) {
		case 0:
		case 1:
			fill((char *)page, 1, i);
			break;
		case 2:
			(void)*page;
			break;
		case 3:
			fill((char *)page, 1, i);
			madvise((char *)page, PAGE, MADV_DONTNEED);
			break;
		case 4:
			if (i % 3 && madvise((char *)page, PAGE, GUARD_INSTALL))
				err(1, "MADV_GUARD_INSTALL");
			break;
		}
	}
	hidden = (struct iovec){ mem + 100 * PAGE, 50 * PAGE };
	mprotect(mem + 500 * PAGE, 30 * PAGE, PROT_READ);
	return mem;
}

void case_present(void)
{
	const size_t nr = 3 * HUGE_PAGES;
	char *mem = mixed_pages(nr);
	struct pram_range found[4];
	uint32_t nr_found;
	int fd, stream;

	present_is_found(mem, nr);
	present_is_found(mem + 7 * PAGE, nr - 100);
	hidden.iov_len = 0;

	/* Large folios, whole, with holes, in part; and one of zeros. */
	mem = memory(4 * HUGE_PAGES, HUGE, 1);
	madvise(mem + HUGE_SIZE + 10 * PAGE, 20 * PAGE, MADV_DONTNEED);
	present_is_found(mem, 4 * HUGE_PAGES);
	present_is_found(mem + 2 * HUGE_SIZE + 3 * PAGE, HUGE_PAGES + 9);
	mem = memory(8 * MID_PAGES, MID, 2);
	madvise(mem + 20 * PAGE, 3 * PAGE, MADV_DONTNEED);
	present_is_found(mem, 8 * MID_PAGES);
	mem = address_space(4 * HUGE_PAGES, HUGE);
	fill(mem, 1, 3);
	(void)*(volatile char *)(mem + 2 * HUGE_SIZE);
	fill(mem + 3 * HUGE_SIZE + 5 * PAGE, 1, 4);
	present_is_found(mem, 4 * HUGE_PAGES);

	/* Files: what was written to is the task's own. */
	fd = make_file("/ramfs", 64, 1);
	mem = map_file(fd, 64, MAP_PRIVATE);
	expect(filled(mem, 64, 1));
	nr_found = 4;
	stream = save_pages(NODE, 0);
	expect(!adopt_present(stream, mem, 64, found, &nr_found, NULL) && !nr_found);
	close(stream);
	fill(mem + 9 * PAGE, 20, 2);
	madvise(mem + 12 * PAGE, PAGE, MADV_DONTNEED);
	present_is_found(mem, 64);
	munmap(mem, 64 * PAGE);
	close(fd);
	fd = memfd_create("present", MFD_CLOEXEC);
	if (ftruncate(fd, 64 * PAGE))
		err(1, "ftruncate");
	mem = map_file(fd, 64, MAP_PRIVATE);
	(void)*(volatile char *)mem;
	fill(mem + 3 * PAGE, 5, 3);
	/* Behind the end of the file there is only what was there before. */
	if (ftruncate(fd, PAGE))
		err(1, "ftruncate");
	fill(mem, 1, 4);
	present_is_found(mem, 64);
	munmap(mem, 64 * PAGE);
	close(fd);

	/* Little in much: holes cost nothing. */
	mem = mmap(NULL, 1UL << 44, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		err(1, "no 16 TiB");
	fill(mem + (1UL << 43) + 5 * PAGE, 2, 5);
	fill(mem + (1UL << 44) - PAGE, 1, 6);
	present_is_found(mem, (1UL << 44) / PAGE);
	munmap(mem, 1UL << 44);
}

/* Those that are swapped out among others, and more than one fault away. */
void case_present_swapped(void)
{
	const size_t nr = 128;
	char *mem = memory(nr, SMALL, 1);

	madvise(mem + 40 * PAGE, 8 * PAGE, MADV_DONTNEED);
	for (int round = 0; round < 2; round++) {
		swap_out(mem, 90, 82);
		present_with(mem, nr, round ? 1 : 100, 0);
	}
	expect(filled(mem, 40, 1));
}

void case_present_errors(void)
{
	char *mem = memory(8, SMALL, 1), *huge;
	struct pram_ioctl_adopt_present arg = { .size = sizeof(arg), .pidfd = self_pidfd() };
	struct pram_range found[8];
	int stream = save_pages(NODE, 0), bytes;
	uint32_t nr = 8;
	size_t done;

	write_text("/proc/sys/vm/nr_hugepages", "1");
	huge = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	expect(huge != MAP_FAILED);
	fill(huge, 1, 1);
	expect(adopt_present(stream, huge, HUGE_PAGES, found, &nr, &done) == -EOPNOTSUPP);
	expect(!nr && !done);
	munmap(huge, HUGE_SIZE);
	write_text("/proc/sys/vm/nr_hugepages", "0");

	/* Room. */
	nr = 0;
	expect(adopt_present(stream, mem, 8, found, &nr, NULL) == -EINVAL);
	nr = PRAM_ADOPT_MAX + 1;
	expect(adopt_present(stream, mem, 8, found, &nr, NULL) == -EINVAL);
	nr = 8;
	expect(adopt_present(stream, mem, 8, (void *)8, &nr, NULL) == -EFAULT && !nr);
	close(stream);

	/* Ranges. */
	stream = save_pages(NODE, 0);
	munmap(mem + 5 * PAGE, 3 * PAGE);
	nr = 8;
	expect(adopt_present(stream, mem, 8, found, &nr, &done) == -EFAULT);
	expect(nr == 1 && done == 5 && found[0].start == (uintptr_t)mem && found[0].len == 5 * PAGE);
	expect(lseek(stream, 0, SEEK_END) == 5 * (off_t)PAGE);
	nr = 8;
	expect(adopt_present(stream, mem, 0, found, &nr, NULL) == 0 && !nr);
	arg.found = (uintptr_t)found;
	arg.nr_found = 8;
	arg.start = (uintptr_t)mem + 1;
	arg.end = (uintptr_t)mem + PAGE;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT_PRESENT, &arg) == -1 && errno == EINVAL);
	arg.nr_found = 8;
	arg.start = (uintptr_t)mem + PAGE;
	arg.end = (uintptr_t)mem;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT_PRESENT, &arg) == -1 && errno == EINVAL);
	arg.nr_found = 8;
	arg.start = (uintptr_t)mem;
	arg.end = -PAGE;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT_PRESENT, &arg) == -1 && errno == EINVAL);
	arg.nr_found = 8;
	arg.end = (uintptr_t)mem + PAGE;
	arg.flags = 1;
	expect(ioctl(stream, PRAM_IOCTL_ADOPT_PRESENT, &arg) == -1 && errno == EOPNOTSUPP);
	close(stream);

	/* A page that the hardware has damaged. */
	mem = memory(8, SMALL, 1);
	signal(SIGBUS, on_bus_error);
	if (madvise(mem + 5 * PAGE, PAGE, MADV_HWPOISON))
		err(1, "MADV_HWPOISON");
	stream = save_pages(NODE, 0);
	nr = 8;
	expect(adopt_present(stream, mem, 8, found, &nr, &done) == -EHWPOISON && done == 5);
	close(stream);

	bytes = pram_save(dev, NODE, PRAM_BYTE_STREAM, 0);
	nr = 8;
	expect(adopt_present(bytes, mem, 4, found, &nr, NULL) == -EPERM && !nr);
	close(bytes);
	close(arg.pidfd);
}
