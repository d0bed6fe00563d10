/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the program fuzz_pram share. */
#ifndef FUZZ_PRAM_H
#define FUZZ_PRAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "pram.h"

#define PAGE		4096UL
#define NR_PROCESSES	2
#define NR_THREADS	3
#define NR_KEEPERS	2
#define NR_SLOTS	24
#define NR_NAMES	10
#define NR_GOOD		4
/* Most of what can be written to is in the first third, what can be read in the second. */
#define THIRD		(NR_SLOTS / 3)
enum third { TO_WRITE, TO_READ, ANYTHING };
/* Streams for saving are closed when they have become larger. */
#define MAX_STREAM	(8UL << 20)
/* Memory that threads fight about, where no bit that flips leads to anything else. */
#define ARENA		0x200000000000UL
#define ARENA_PAGES	2048UL
/* Behind it: a page that can only be read, then none. */
#define READ_ONLY	(ARENA + ARENA_PAGES * PAGE)

/* Not in the headers of every libc yet. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof(*(a)))

enum kind {
	SAVE, LOAD, COMMIT, STAT, LIST, FREE, FREE_ALL, INFO, ANY_IOCTL, SEAL, ADOPT, PRESENT, MAP,
	WRITE, READ, SPLICE_IN, SPLICE_OUT, SENDFILE, LSEEK, FCNTL, OTHER, MMAP, CLOSE,
	OPEN, MEMORY, PROC_MEM, FORK, UNPRIVILEGED, KEEP, VERIFY, VERIFY_MAPPED, NR_KINDS
};

extern const char *const kind_names[NR_KINDS];

/* What all processes share. */
extern struct shared {
	atomic_int failed;
	atomic_long done[NR_KINDS][2];
} *shared;

/* What the threads of one process share. */
extern _Atomic int slots[NR_SLOTS];
extern int dev, self_pidfd, dead_pidfd, sleeper_pidfd, restless_pidfd;
extern pid_t sleeper;

/* Only nodes with names of this program are loaded and freed. */
extern bool own;
/* How this program can be executed. */
extern const char *program;

struct thread {
	uint64_t state;
	char where[64];
	long moment;
	enum kind kind;
	/* One page, with nothing behind it. */
	unsigned char *page;
};

#define wrong(t, ...)                                                           \
	do {                                                                    \
		flockfile(stdout);                                              \
		printf("%s, operation %ld, %s, %s:%d: ", (t)->where,         \
		       (t)->moment, kind_names[(t)->kind], __FILE_NAME__, __LINE__); \
		printf(__VA_ARGS__);                                            \
		putchar('\n');                                                  \
		fflush(stdout);                                                 \
		funlockfile(stdout);                                            \
		shared->failed = 1;                                             \
	} while (0)

#define expect(t, cond)                                                         \
	do {                                                                    \
		if (!(cond))                                                    \
			wrong(t, "not true: %s", #cond);                        \
	} while (0)

/* --- arguments --- */

void count(struct thread *t, bool good);
uint64_t mix(uint64_t x);
uint64_t draw(struct thread *t, uint64_t below);
bool one_in(struct thread *t, uint64_t n);
uint64_t edge(struct thread *t);
/* Where no access of ours may lead: for system calls only. */
uint64_t any_address(struct thread *t);
size_t any_length(struct thread *t);
int any_fd(struct thread *t);
/* Most often one of that third. */
int fd_in(struct thread *t, enum third third);
void put_fd(struct thread *t, enum third third, int fd);
/* Close a descriptor, unless somebody else has done it. */
void drop_fd(int fd);
void good_name(struct thread *t, char *name);
/* Return: the type that most nodes of that name have. */
uint32_t any_name(struct thread *t, unsigned char *name, bool save);
bool ours(const void *name);
/* Change some of the @len bytes at @arg, which begin with a size, but not [@from, @to). */
void mutate(struct thread *t, void *arg, size_t len, size_t from, size_t to);
/*
 * An ioctl with the structure @arg, which may be put where it cannot be read or written,
 * or be longer than what the kernel knows.
 */
int call(struct thread *t, int fd, unsigned long cmd, void *arg, size_t len, bool *whole);

/* --- on the device --- */

void op_save(struct thread *t);
void op_load(struct thread *t);
void op_commit(struct thread *t);
void op_stat(struct thread *t);
void op_list(struct thread *t);
void op_free(struct thread *t);
void op_free_all(struct thread *t);
void op_info(struct thread *t);
void op_any_ioctl(struct thread *t);
/* Who has no right to it gets none, whatever he asks for. */
void op_unprivileged(struct thread *t);

/* --- on streams --- */

void op_seal(struct thread *t);
void op_adopt(struct thread *t);
/* It says what it has taken: within the range, in order, and no more than there is room. */
void op_present(struct thread *t);
void op_map(struct thread *t);
void op_write(struct thread *t);
void op_read(struct thread *t);
void op_splice_in(struct thread *t);
void op_splice_out(struct thread *t);
void op_sendfile(struct thread *t);
void op_lseek(struct thread *t);
void op_fcntl(struct thread *t);
void op_other(struct thread *t);
/* There is nothing of PRAM that could be mapped like a file. */
void op_mmap(struct thread *t);
void op_close(struct thread *t);
void op_open(struct thread *t);

/* --- memory and processes --- */

void arena_setup(void);

void op_memory(struct thread *t);
/* Write to memory that may be shared with a node, from outside of the task. */
void op_proc_mem(struct thread *t);
void op_fork(struct thread *t);

/* --- nodes that say what they are --- */

/* Save a good node in one of many ways. Only a keeper does: it has no other threads. */
void op_keep(struct thread *t);
void op_verify(struct thread *t);
/* Mapped, written to, and given up or finished: the node is as before, or memory is ours. */
void op_verify_mapped(struct thread *t);

/* --- threads and processes --- */

void some(struct thread *t, long nr);

#endif /* FUZZ_PRAM_H */
