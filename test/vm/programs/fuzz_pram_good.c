// SPDX-License-Identifier: GPL-2.0-only
/* fuzz_pram: nodes that say what they are */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fuzz_pram.h"

/* The word at @at (in bytes) of a node. The first is the tag itself. */
static uint64_t good_word(uint64_t tag, uint64_t at)
{
	return tag + at / 8 * 0x9e3779b97f4a7c15;
}

static void good_fill(void *mem, size_t bytes, uint64_t tag)
{
	uint64_t *word = mem;

	for (size_t i = 0; i < bytes / 8; i++)
		word[i] = good_word(tag, i * 8);
}

/* Whether what was read from @at on is as it was saved. */
static bool good_filled(const unsigned char *mem, size_t bytes, uint64_t at, uint64_t tag)
{
	unsigned char word[8];
	size_t len;

	for (size_t i = 0; i < bytes; i += len) {
		const size_t from = (at + i) % 8;

		len = bytes - i < 8 - from ? bytes - i : 8 - from;
		memcpy(word, &(uint64_t){ good_word(tag, at + i) }, 8);
		if (memcmp(mem + i, word + from, len))
			return false;
	}
	return true;
}

/* Append memory, which may be written to afterwards, in one of three ways. */
static bool keep_append(struct thread *t, int stream, unsigned char *mem, size_t bytes)
{
	struct pram_range range = { (uintptr_t)mem, bytes };
	size_t done = 0;
	int pipes[2];
	uint64_t nr;

	switch (draw(t, 3)) {
	case 0:
		if (bytes % PAGE)
			break;
		if (!pram_adopt(stream, self_pidfd, &range, 1, &nr)) {
			expect(t, nr == bytes / PAGE);
			return true;
		}
		if (nr)
			return false;
		break;
	case 1:
		if (pipe2(pipes, O_CLOEXEC))
			return false;
		while (done < bytes) {
			struct iovec iov = { mem + done, bytes - done };
			ssize_t n = vmsplice(pipes[1], &iov, 1, SPLICE_F_NONBLOCK);

			if (n <= 0 || splice(pipes[0], NULL, stream, NULL, n, SPLICE_F_MOVE) != n)
				break;
			done += n;
		}
		close(pipes[0]);
		close(pipes[1]);
		return done == bytes;
	}
	/* By bytes: what adopting does not take, too. */
	return write(stream, mem, bytes) == (ssize_t)bytes;
}

void op_keep(struct thread *t)
{
	bool pages = one_in(t, 2), huge = one_in(t, 3), in_two = one_in(t, 2), good;
	size_t bytes = (1 + draw(t, huge ? 1024 : 40)) * PAGE, first = bytes;
	char name[PRAM_NAME_MAX];
	uint64_t tag = mix(draw(t, UINT64_MAX));
	unsigned char *mem;
	int stream;

	good_name(t, name);
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		err(1, "no memory");
	if (!huge)
		madvise(mem, bytes, MADV_NOHUGEPAGE);
	if (one_in(t, 4))
		madvise(mem, bytes, MADV_MERGEABLE);
	good_fill(mem, bytes, tag);
	if (!pages)
		bytes -= draw(t, PAGE);
	if (in_two)
		first = bytes / 2 / PAGE * PAGE;

	stream = pram_save(dev, name, pages ? PRAM_PAGE_STREAM : PRAM_BYTE_STREAM, draw(t, 4) * 2);
	if (stream >= 0) {
		good = keep_append(t, stream, mem, first);
		if (good && first < bytes) {
			if (one_in(t, 2))
				memset(mem, 0xee, first);
			good = keep_append(t, stream, mem + first, bytes - first);
		}
		if (good && one_in(t, 2))
			good = !pram_seal(stream);
		memset(mem, 0xdd, bytes);
		/* Somebody may do with it what he likes as soon as it is committed. */
		if (good && !one_in(t, 20) && !pram_commit(dev, &stream, 1))
			count(t, true);
		memset(mem, 0xcc, bytes);
		close(stream);
	} else {
		expect(t, stream == -EEXIST || stream == -ENOMEM);
	}
	munmap(mem, (bytes + PAGE - 1) & -PAGE);
}

/* Open a good node, whoever made it; *@tag is what it begins with. */
static int open_good(struct thread *t, uint32_t flags, uint64_t *tag, struct pram_node_stat *node)
{
	char name[PRAM_NAME_MAX];
	struct stat st;
	int stream;

	good_name(t, name);
	if (pram_stat(dev, name, node))
		return -1;
	stream = pram_load(dev, name, node->type, flags);
	if (stream < 0)
		return -1;
	if (fstat(stream, &st))
		err(1, "fstat");
	/* Since it was described it may have been replaced. */
	node->bytes = st.st_size;
	if (!st.st_size || pread(stream, tag, 8, 0) < 8) {
		close(stream);
		return -1;
	}
	return stream;
}

void op_verify(struct thread *t)
{
	bool peek = one_in(t, 2);
	struct pram_node_stat node;
	unsigned char *mem;
	uint64_t tag, at;
	size_t len;
	int stream = open_good(t, peek ? PRAM_LOAD_PEEK : 0, &tag, &node);
	ssize_t n;

	if (stream < 0)
		return;
	mem = malloc(node.bytes);
	if (!mem)
		err(1, "no memory");
	n = pread(stream, mem, node.bytes, 0);
	expect(t, n == (ssize_t)node.bytes);
	if (!good_filled(mem, node.bytes, 0, tag))
		wrong(t, "'%s' is not what was saved", node.name);
	for (int i = 0; i < 3; i++) {
		at = draw(t, node.bytes + 1);
		len = draw(t, 5 * PAGE);
		if (len > node.bytes)
			len = node.bytes;
		n = pread(stream, mem, len, at);
		expect(t, n == (ssize_t)(len < node.bytes - at ? len : node.bytes - at));
		if (n > 0 && !good_filled(mem, n, at, tag))
			wrong(t, "'%s' is not what was saved, at %llu", node.name,
			      (unsigned long long)at);
	}
	expect(t, pread(stream, mem, 1, node.bytes) == 0);
	if (one_in(t, 3))
		expect(t, (pram_commit(dev, &stream, 1) == 0) == !peek);
	close(stream);
	free(mem);
	count(t, true);
}

void op_verify_mapped(struct thread *t)
{
	struct pram_node_stat node;
	unsigned char *mem, *copy;
	uint64_t tag, nr;
	size_t len;
	int stream = open_good(t, PRAM_LOAD_MAP | (one_in(t, 4) ? PRAM_LOAD_PEEK : 0), &tag, &node);
	ssize_t n = 0;

	if (stream < 0)
		return;
	nr = node.bytes / PAGE;
	len = (nr + 513) * PAGE;
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	if (mem == MAP_FAILED)
		err(1, "no memory");
	copy = mem;
	if (one_in(t, 2))
		copy = (unsigned char *)(((uintptr_t)mem + 512 * PAGE - 1) & -(512 * PAGE));
	if (one_in(t, 4))
		mlock2(copy, nr * PAGE, 0);
	if (one_in(t, 2)) {
		while (n < (ssize_t)(nr * PAGE)) {
			ssize_t now = pread(stream, copy + n, nr * PAGE - n, n);

			if (now <= 0)
				break;
			n += now;
		}
		expect(t, n == (ssize_t)(nr * PAGE));
	} else if (node.type == PRAM_PAGE_STREAM) {
		expect(t, !pram_map(stream, copy, 0, nr, NULL));
	} else {
		expect(t, pram_map(stream, copy, 0, nr, NULL) == -EINVAL);
		nr = 0;
	}
	if (!good_filled(copy, nr * PAGE, 0, tag))
		wrong(t, "'%s', mapped, is not what was saved", node.name);
	/* Before it is finished: the node must not see that. */
	for (uint64_t i = 0; i < nr; i += 1 + draw(t, 8))
		memset(copy + i * PAGE, 0xcc, 100);
	if (nr) {
		/* A byte stream reads by copying, this one maps: into another place. */
		unsigned char again[100];

		expect(t, pread(stream, again, sizeof(again), (nr - 1) * PAGE) == 100);
		if (!good_filled(again, sizeof(again), (nr - 1) * PAGE, tag))
			wrong(t, "'%s' has changed with a mapping of it", node.name);
	}
	if (one_in(t, 3)) {
		if (!pram_commit(dev, &stream, 1)) {
			/* All is ours now. */
			for (uint64_t i = 0; i < nr; i++)
				memset(copy + i * PAGE, 0xbb, 8);
			for (uint64_t i = 0; i < nr; i++)
				expect(t, copy[i * PAGE] == 0xbb && copy[i * PAGE + 7] == 0xbb);
		}
	}
	close(stream);
	munmap(mem, len);
	count(t, true);
}
