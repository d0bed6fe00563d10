// SPDX-License-Identifier: GPL-2.0-only
/* pram_vdso, with a thread that is dumped inside the vDSO. */
#define INSIDE
#include "pram_vdso.c"
