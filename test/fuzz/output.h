/* SPDX-License-Identifier: GPL-2.0-only */
/* What pramctl prints, and where it may write. */
#ifndef PRAM_FUZZ_OUTPUT_H
#define PRAM_FUZZ_OUTPUT_H

/*
 * Runs pramctl with these arguments, without its name, up to a NULL. Whatever it prints must be fit for
 * a terminal, or be JSON that can be parsed. Its exit status.
 */
int fuzz_pramctl(const char *const *args);

/* A new directory in memory. */
void fuzz_make_dir(char *path, unsigned long size);
/* Removes it with all that is in it; the number of files that were there. */
unsigned int fuzz_remove_dir(const char *path);

#endif /* PRAM_FUZZ_OUTPUT_H */
