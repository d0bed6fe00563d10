// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "build_id.h"
#include "criu.h"
#include "criu_build.h"
/* Made when the plugin is built: CRIU_BUILD_ID, the bytes of that of its criu. */
#include "criu_build_id.h"
#include "note.h"

static const uint8_t build_id[] = { CRIU_BUILD_ID };

/* For pramctl check, which compares it with the criu that is installed. */
static const struct {
	uint32_t			name_size;
	uint32_t			desc_size;
	uint32_t			type;
	char				name[8];
	struct pram_note_criu		desc;
} criu_note __attribute__((used, aligned(4), section(PRAM_NOTE_SECTION))) = {
	.name_size = sizeof(PRAM_NOTE_NAME),
	.desc_size = sizeof(struct pram_note_criu),
	.type = PRAM_NOTE_TYPE_CRIU,
	.name = PRAM_NOTE_NAME,
	.desc = {
		.version = CRIU_VERSION,
		.build_id_size = sizeof(build_id),
		.build_id = { CRIU_BUILD_ID },
	},
};

bool pram_criu_is_ours(void)
{
	char ours[PRAM_BUILD_ID_TEXT_MAX], theirs[PRAM_BUILD_ID_TEXT_MAX];
	uint8_t id[PRAM_BUILD_ID_MAX];
	int size;

	size = pram_program_build_id(id);
	if (size == (int)sizeof(build_id) && !memcmp(id, build_id, size))
		return true;
	pram_build_id_text(ours, build_id, sizeof(build_id));
	pram_build_id_text(theirs, id, size < 0 ? 0 : size);
	pr_err("this plugin was built for another criu (%s, build id %s) than this one (build id "
	       "%s): install the plugin and the criu that were built together; \"pramctl check\" "
	       "compares them\n", CRIU_VERSION, ours, theirs);
	return false;
}
