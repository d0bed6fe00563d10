/* SPDX-License-Identifier: GPL-2.0-only */
/* What a program or a shared object says of itself, without running it. */
#ifndef PRAM_CLI_ELF_FILE_H
#define PRAM_CLI_ELF_FILE_H

#include "note.h"

/* Does the file export that symbol? 1, 0, or -errno; -ENOEXEC if it is no ELF file. */
int elf_exports(const char *path, const char *symbol);

/* 1 with the library's note in @desc, 0 if there is none, or -errno. */
int elf_read_note(const char *path, struct pram_note_desc *desc);

/* The same of the plugin's own note, which says what criu it belongs to. */
int elf_read_criu_note(const char *path, struct pram_note_criu *desc);

/*
 * The file's build id in @id: its size, 0 if there is none that fits into
 * %PRAM_BUILD_ID_MAX bytes, or -errno.
 */
int elf_read_build_id(const char *path, uint8_t id[PRAM_BUILD_ID_MAX]);

#endif /* PRAM_CLI_ELF_FILE_H */
