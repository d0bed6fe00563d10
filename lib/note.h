/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An ELF note in everything that is linked with the library: which interface and
 * which format it was built for. pramctl check reads it from the plugin, which it
 * could not load: criu's symbols would be missing.
 */
#ifndef PRAM_LIB_NOTE_H
#define PRAM_LIB_NOTE_H

#include <stdint.h>

#define PRAM_NOTE_SECTION	".note.pram"
#define PRAM_NOTE_NAME		"PRAM"
#define PRAM_NOTE_TYPE		1U

/**
 * struct pram_note_desc - the note's contents, in the byte order of the file
 * @abi_version: %PRAM_ABI_VERSION it was built with
 * @checkpoint_version: %PRAM_CHECKPOINT_VERSION it writes
 */
struct pram_note_desc {
	uint32_t	abi_version;
	uint32_t	checkpoint_version;
};

#endif /* PRAM_LIB_NOTE_H */
