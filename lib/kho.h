/* SPDX-License-Identifier: GPL-2.0-only */
/* Why there is no PRAM, as far as the kernel's command line knows. */
#ifndef PRAM_LIB_KHO_H
#define PRAM_LIB_KHO_H

#include <stdbool.h>

/*
 * Does this command line ask for KHO? The last word of it counts, read as the kernel's
 * kstrtobool() does; without one it is @by_default.
 */
bool pram_kho_asked(const char *cmdline, bool by_default);

/* What to do where there is no /dev/pram: a part of a sentence. */
const char *pram_absent_remedy(void);

#endif /* PRAM_LIB_KHO_H */
