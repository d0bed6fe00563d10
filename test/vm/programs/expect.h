/* SPDX-License-Identifier: GPL-2.0-only */
/* Expectations of a program that has only one file; those of several have probe.h. */
#ifndef EXPECT_H
#define EXPECT_H

#include <errno.h>
#include <stdio.h>

static unsigned int nr_failed;

#define expect(cond)                                                          \
	do {                                                                  \
		errno = 0;                                                    \
		if (!(cond)) {                                                \
			printf("line %d: not true: %s (errno %d)\n", __LINE__, \
			       #cond, errno);                                 \
			nr_failed++;                                          \
		}                                                             \
	} while (0)

#endif /* EXPECT_H */
