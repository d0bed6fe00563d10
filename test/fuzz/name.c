// SPDX-License-Identifier: GPL-2.0-only
/*
 * lib/checkpoint_name.c: which checkpoint does a node belong to? An input is a byte, the
 * node's type, and its name.
 */
#include <string.h>

#include "checkpoint.h"
#include "checkpoint_name.h"
#include "fuzz.h"

int fuzz_one(const uint8_t *data, size_t size)
{
	/* By malloc(), so that the sanitizer sees its end. */
	struct pram_node_stat *node = calloc(1, sizeof(*node));
	struct pram_checkpoint_node belongs;
	char name[PRAM_NAME_MAX];
	bool accepted;

	FUZZ_ASSERT(node);
	node->type = size ? data[0] & 3 : 0;
	if (size > 1)
		memcpy(node->name, data + 1, size - 1 < PRAM_NAME_MAX ? size - 1 : PRAM_NAME_MAX);
	accepted = pram_checkpoint_node_parse(node, &belongs);
	if (accepted) {
		const char *image = *belongs.image ? belongs.image : NULL;

		/* Put together again it is the same. */
		FUZZ_ASSERT(!pram_checkpoint_node_name(name, belongs.name, image));
		FUZZ_ASSERT(!strcmp(name, (char *)node->name));
		FUZZ_ASSERT(!image || pram_image_name_valid(image));
		FUZZ_ASSERT(!image || node->type != PRAM_BYTE_STREAM);
	}
	free(node);
	return accepted ? 0 : -1;
}
