/* SPDX-License-Identifier: GPL-2.0-only */
/* What a program or a shared object says of itself, without running it. */
#ifndef PRAM_CLI_ELF_FILE_H
#define PRAM_CLI_ELF_FILE_H

#include "note.h"

/* Does the file export that symbol? 1, 0, or -errno; -ENOEXEC if it is no ELF file. */
int elf_exports(const char *path, const char *symbol);

/* 1 with the library's note in @desc, 0 if there is none, or -errno. */
int elf_read_note(const char *path, struct pram_note_desc *desc);

#endif /* PRAM_CLI_ELF_FILE_H */
