// SPDX-License-Identifier: GPL-2.0-only
/* fuzz_pram: arguments: right, nearly right or nonsense */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fuzz_pram.h"

void count(struct thread *t, bool good)
{
	shared->done[t->kind][good]++;
}

uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

uint64_t draw(struct thread *t, uint64_t below)
{
	t->state ^= t->state << 13;
	t->state ^= t->state >> 7;
	t->state ^= t->state << 17;
	return (t->state >> 11) % below;
}

bool one_in(struct thread *t, uint64_t n)
{
	return !draw(t, n);
}

uint64_t edge(struct thread *t)
{
	static const uint64_t all[] = {
		0, 1, 2, 7, 8, 255, 256, 4095, 4096, 8192, 65535, 65536, 1 << 20, 0x7fffffff,
		0x80000000, 0xffffffff, 1ULL << 32, 1ULL << 47, 1ULL << 51, INT64_MAX,
		1ULL << 63, UINT64_MAX, UINT64_MAX - 4094,
	};

	return all[draw(t, ARRAY_SIZE(all))] + draw(t, 3) - 1;
}

uint64_t any_address(struct thread *t)
{
	static const uint64_t bad[] = {
		0, 8, UINT64_MAX, UINT64_MAX - 4095, 0xffff888000000000, 0x7ffffffff000,
		0x800000000000, READ_ONLY, READ_ONLY + PAGE, READ_ONLY + 64 * PAGE,
		READ_ONLY - PAGE / 2,
	};
	uint64_t addr = ARENA + draw(t, ARENA_PAGES) * PAGE;

	switch (draw(t, 10)) {
	case 0:
		return bad[draw(t, ARRAY_SIZE(bad))];
	case 1:
		return addr + draw(t, PAGE);
	case 2:
		return ARENA + draw(t, ARENA_PAGES / 512) * 512 * PAGE;
	default:
		return addr;
	}
}

size_t any_length(struct thread *t)
{
	switch (draw(t, 8)) {
	case 0:
		return edge(t);
	case 1:
		return draw(t, 3 * PAGE);
	case 2:
		return draw(t, 3) * 512 * PAGE;
	default:
		return draw(t, 40) * PAGE;
	}
}

static size_t slot_in(struct thread *t, enum third third)
{
	return third * THIRD + draw(t, THIRD);
}

int any_fd(struct thread *t)
{
	static const int bad[] = { -1, -2, INT32_MIN, INT32_MAX, 9999, 254 };

	return one_in(t, 30) ? bad[draw(t, ARRAY_SIZE(bad))] : slots[draw(t, NR_SLOTS)];
}

int fd_in(struct thread *t, enum third third)
{
	int fd = -1;

	if (one_in(t, 4))
		return any_fd(t);
	for (int i = 0; i < 4 && fd < 0; i++)
		fd = slots[slot_in(t, third)];
	return fd;
}

void put_fd(struct thread *t, enum third third, int fd)
{
	int old = atomic_exchange(&slots[slot_in(t, third)], fd);

	if (old >= 0)
		close(old);
}

void drop_fd(int fd)
{
	for (size_t i = 0; fd >= 0 && i < NR_SLOTS; i++) {
		int found = fd;

		if (atomic_compare_exchange_strong(&slots[i], &found, -1))
			close(fd);
	}
}

void good_name(struct thread *t, char *name)
{
	snprintf(name, PRAM_NAME_MAX, "good-%d", (int)draw(t, NR_GOOD));
}

uint32_t any_name(struct thread *t, unsigned char *name, bool save)
{
	size_t nr = draw(t, NR_NAMES);

	memset(name, 0, PRAM_NAME_MAX);
	if (!save && one_in(t, 6)) {
		good_name(t, (char *)name);
		return 1 + draw(t, 2);
	}
	snprintf((char *)name, PRAM_NAME_MAX, "fuzz-%zu", nr);
	switch (draw(t, 24)) {
	case 0:
		memset(name + 5, 'x', PRAM_NAME_MAX - 5 - draw(t, 4));
		break;
	case 1:
		/* As long as can be. */
		memset(name + 5, 'a' + nr, PRAM_NAME_MAX - 6);
		break;
	case 2:
		for (size_t i = 5; i < 5 + draw(t, 40); i++)
			name[i] = draw(t, 256);
		break;
	case 3:
		memset(name, 0, PRAM_NAME_MAX);
		break;
	case 4:
		/* What is behind the nul is nobody's business. */
		memset(name + 10, 0xff, PRAM_NAME_MAX - 10);
		break;
	}
	return 1 + nr % 3 / 2;
}

bool ours(const void *name)
{
	return !strncmp(name, "fuzz-", 5) || !strncmp(name, "good-", 5);
}

void mutate(struct thread *t, void *arg, size_t len, size_t from, size_t to)
{
	uint32_t *size = arg;
	uint64_t word;
	size_t at;

	switch (draw(t, 12)) {
	case 0:
		*size = one_in(t, 2) ? edge(t) : *size + draw(t, 17) - 8;
		return;
	case 1:
		at = draw(t, len / 4) * 4;
		word = edge(t);
		if (at + 4 <= from || at >= to)
			memcpy((char *)arg + at, &word, 4);
		return;
	case 2:
		at = draw(t, len);
		if (at < from || at >= to)
			((unsigned char *)arg)[at] ^= 1 << draw(t, 8);
		return;
	}
}

int call(struct thread *t, int fd, unsigned long cmd, void *arg, size_t len, bool *whole)
{
	static const int known[] = {
		ENOTTY, E2BIG, EOPNOTSUPP, EINVAL, ENAMETOOLONG, ENOENT, EEXIST, EBUSY, EPERM,
		EBADMSG, ESTALE, ESHUTDOWN, ENOMEM, EFAULT, EBADF, ESRCH, EACCES, EINTR,
		EMFILE, ENFILE,
	};
	uint32_t *size = arg;
	void *at = t->page + PAGE - len;
	int ret;

	*whole = true;
	switch (draw(t, 40)) {
	case 0:
		at = (void *)any_address(t);
		*whole = false;
		break;
	case 1:
		/* The end is missing. */
		at = t->page + PAGE - 4 * draw(t, len / 4);
		memcpy(at, arg, t->page + PAGE - (unsigned char *)at);
		*whole = false;
		break;
	case 2:
		/* Longer, with zeros or not. */
		at = t->page;
		memset(t->page, 0, PAGE);
		memcpy(at, arg, len);
		*size = len + 8 * draw(t, 20);
		memcpy(at, size, 4);
		if (one_in(t, 2) && *size > len)
			((unsigned char *)at)[len + draw(t, *size - len)] = 1;
		else if (one_in(t, 4))
			*(uint32_t *)at = edge(t);
		break;
	default:
		memcpy(at, arg, len);
		break;
	}
	ret = ioctl(fd, cmd, at) ? -errno : 0;
	if (*whole)
		memcpy(arg, at, len);
	for (size_t i = 0; ret && i < ARRAY_SIZE(known); i++)
		if (ret == -known[i])
			return ret;
	if (ret)
		wrong(t, "ioctl %#lx: errno %d", cmd, -ret);
	return ret;
}
