/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An ELF note in everything that is linked with the library: which interface and
 * which format it was built for. pramctl check reads it from the plugin, which it
 * could not load: criu's symbols would be missing.
 */
#ifndef PRAM_LIB_NOTE_H
#define PRAM_LIB_NOTE_H

#include <stdint.h>

#include "build_id.h"

#define PRAM_NOTE_SECTION	".note.pram"
#define PRAM_NOTE_NAME		"PRAM"
#define PRAM_NOTE_TYPE		1U
#define PRAM_NOTE_TYPE_CRIU	2U	/* the plugin's alone */

/**
 * struct pram_note_desc - the note's contents, in the byte order of the file
 * @abi_version: %PRAM_ABI_VERSION it was built with
 * @checkpoint_version: %PRAM_CHECKPOINT_VERSION it writes
 */
struct pram_note_desc {
	uint32_t	abi_version;
	uint32_t	checkpoint_version;
};

/**
 * struct pram_note_criu - the criu that the plugin was built for
 * @version: CRIU_VERSION, with its nul
 * @build_id_size: bytes of @build_id
 * @build_id: that of the criu program in the source tree it was built against
 */
struct pram_note_criu {
	char		version[28];
	uint32_t	build_id_size;
	uint8_t		build_id[PRAM_BUILD_ID_MAX];
};

#endif /* PRAM_LIB_NOTE_H */
