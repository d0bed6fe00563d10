// SPDX-License-Identifier: GPL-2.0-only
/* A plugin as pramctl check sees it: with the library's note, or with an older one. */
#include "note.h"
#include "pram.h"

#ifdef FAKE_PLUGIN_CRIU
/* As plugin/criu_build.c has it. */
static const struct {
	uint32_t		sizes[2], type;
	char			name[8];
	struct pram_note_criu	desc;
} criu_note __attribute__((used, aligned(4), section(PRAM_NOTE_SECTION))) = {
	{ sizeof(PRAM_NOTE_NAME), sizeof(struct pram_note_criu) },
	PRAM_NOTE_TYPE_CRIU,
	PRAM_NOTE_NAME,
	{ "4.2.1", 8, { FAKE_PLUGIN_CRIU } },
};
#endif

#ifdef FAKE_PLUGIN_ABI
static const struct {
	uint32_t		sizes[2], type;
	char			name[8];
	struct pram_note_desc	desc;
} note __attribute__((used, aligned(4), section(PRAM_NOTE_SECTION))) = {
	{ sizeof(PRAM_NOTE_NAME), sizeof(struct pram_note_desc) },
	PRAM_NOTE_TYPE,
	PRAM_NOTE_NAME,
	{ FAKE_PLUGIN_ABI, 1 },
};
#else
int fake_plugin_open(void);
int fake_plugin_open(void)
{
	return pram_open();
}
#endif
