/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For programs that are checkpointed and then verify themselves from the inside:
 * what they find wrong.
 */
#ifndef VERIFY_H
#define VERIFY_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* The first thing that is wrong; empty as long as nothing is. */
static char failure[512];

/* Note what is wrong, if it is the first thing. */
__attribute__((format(printf, 1, 2))) static void fail(const char *format, ...)
{
	va_list args;

	if (failure[0])
		return;
	va_start(args, format);
	vsnprintf(failure, sizeof(failure), format, args);
	va_end(args);
}

#define check(cond)                                                        \
	do {                                                               \
		if (!(cond))                                               \
			fail("line %d: %s (errno %d)", __LINE__, #cond, errno); \
	} while (0)

#endif /* VERIFY_H */
