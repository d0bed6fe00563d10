/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of pramctl share: running it, what it says, and what there is to see. */
#ifndef PRAM_PRAMCTL_HARNESS_H
#define PRAM_PRAMCTL_HARNESS_H

#include "pramctl.h"
#include "test_util.h"

#define NAME	"/var/lib/criu/redis"
#define SYSTEMS	TEST_GOLDEN_DIR "/systems/"

/* This is another mount namespace than the machine's first. */
extern bool elsewhere;

/* Runs pramctl with the words of @line, and keeps what it printed in @last. */
int run(const char *line);

extern struct output {
	char	*out, *err;
} last;

/* @text must be what golden file @name says, wherever things lie on this machine. */
void expect_golden(const char *name, const char *text);

/* It must succeed quietly and print what golden file @name says. */
void expect_prints(const char *line, const char *name);

/* It must fail so, print nothing but an error, and that must speak of @what. */
void expect_fails(const char *line, int status, const char *what);

/* A directory of its own for each test, with these two. */
extern char scratch[];
int scratch_setup(void **state);
int scratch_teardown(void **state);

#define scratch_test(f)	cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

/* "verb operand... SCRATCH/path" */
const char *in_scratch(const char *before, const char *path);

/* A file there, with this text. */
void put_file(const char *path, const char *text);

/* The system there: is a kernel loaded, for kexec and with the nodes, and what is mounted. */
void make_system(const char *loaded, const char *ready, const char *mounts);

/* The checkpoint of golden/checkpoint-v1.bin with its pages. */
void add_golden_checkpoint(void);

/* A bit of everything, after one kexec. Returns a stream that is being saved. */
int add_everything(void);

/* The tests, a file for each command; how many of them failed. */
int test_pramctl_list(void);
int test_pramctl_rm(void);
int test_pramctl_export(void);
int test_pramctl_check(void);
int test_pramctl_loss(void);

#endif /* PRAM_PRAMCTL_HARNESS_H */
