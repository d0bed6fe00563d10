/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The other place for checkpoints: memfds that the kernel's live update orchestrator
 * (LUO) preserves. For kernels without PRAM, from 6.19 on. Everything is copied, and
 * a process has to hold the session until the kexec.
 *
 * A checkpoint is a session with one memfd per pages image and one that is as the
 * metadata node of PRAM, see proto/pram_image.proto.
 *
 * The functions are those of dump.h and restore.h, with the same meaning.
 */
#ifndef PRAM_PLUGIN_LUO_H
#define PRAM_PLUGIN_LUO_H

#include <stdbool.h>

int luo_dump_begin(void);
bool luo_dump_active(void);
int luo_dump_create(const char *image);
int luo_dump_unlink(const char *image);
int luo_dump_commit(void);
void luo_dump_end(void);

int luo_restore_open(const char *image, int flags);
int luo_restore_share(void);
void luo_restore_failed(void);
int luo_restore_finish(void);
/* Nothing is put back: LUO gives a session out once. */
void luo_restore_end(void);
bool luo_restore_active(void);

#endif /* PRAM_PLUGIN_LUO_H */
