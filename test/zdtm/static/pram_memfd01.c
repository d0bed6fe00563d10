// SPDX-License-Identifier: GPL-2.0-only
/* pram_memfd, with a shared mapping of the sealed memfd. */
#define SEALED_MAP MAP_SHARED
#include "pram_memfd.c"
