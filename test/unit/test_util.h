/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests share: cmocka, and steps that stop a test when they fail. */
#ifndef PRAM_TEST_UTIL_H
#define PRAM_TEST_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "checkpoint.h"
#include "fake_pram.h"
#include "pram.h"

#define TEST_PAGE_SIZE	4096U

/* cmocka setup and teardown: a fake device that must have no streams at the end. */
int test_setup(void **state);
int test_teardown(void **state);

/* The same for all tests of a program: an empty directory that they run in. */
int test_enter_scratch(void **state);
int test_leave_scratch(void **state);

/* A test with the first two. */
#define pram_unit_test(f)	cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)

/* The device; closed by test_teardown(). */
int test_dev(void);

/* Appends a string, or @nr pages filled with @byte. */
void test_write(int fd, const char *text);
void test_write_pages(int fd, unsigned char byte, size_t nr);

/* Checks that a file has exactly this text from its current position to its end. */
void test_expect_text(int fd, const char *text);

/* The same for whole pages that are filled with @byte; goes by offset. */
void test_expect_pages(int fd, unsigned char byte, size_t nr);

/* All of a file, with a nul after it; to be freed. @size may be NULL. */
char *test_read_file(const char *path, size_t *size);

/*
 * Commits checkpoint @name with core-1.img "core", empty.img of no bytes and
 * pages-1.img of two pages filled with @byte.
 */
void test_save_checkpoint(const char *name, unsigned char byte);

/* Checks that checkpoint @name is what test_save_checkpoint() made, and leaves it. */
void test_expect_checkpoint(const char *name, unsigned char byte);

/**
 * struct test_kernel - a kernel's image to be made
 * @size: memory that it needs
 * @release: its version
 * @silent: it is too old to say whether it has PRAM
 * @format: PRAM's format that it reads, 0 if it has no PRAM
 * @kho: KHO's
 */
struct test_kernel {
	uint32_t	size;
	const char	*release;
	bool		silent;
	uint32_t	format;
	const char	*kho;
};

/* Makes a bzImage, as far as a reader of headers can see. */
void test_put_kernel(const char *path, const struct test_kernel *kernel);

/* Runs @f in a forked child and waits; it must not fail there. */
void test_in_child(void (*f)(void *arg), void *arg);

#endif /* PRAM_TEST_UTIL_H */
