// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint.h"
#include "checkpoint_name.h"

bool pram_image_name_valid(const char *image)
{
	size_t len = strnlen(image, PRAM_IMAGE_NAME_MAX + 1);

	return len && len <= PRAM_IMAGE_NAME_MAX && !strchr(image, '/') &&
	       strcmp(image, ".") && strcmp(image, "..");
}

int pram_checkpoint_node_name(char out[PRAM_NAME_MAX], const char *name, const char *image)
{
	int len;

	if (!*name)
		return -EINVAL;
	if (image && (!pram_image_name_valid(image) || strchr(image, ':')))
		return -EINVAL;

	len = snprintf(out, PRAM_NAME_MAX, PRAM_CHECKPOINT_PREFIX "%s%s%s", name,
		       image ? ":" : "", image ? image : "");
	return len < 0 || len >= PRAM_NAME_MAX ? -ENAMETOOLONG : 0;
}

bool pram_checkpoint_node_parse(const struct pram_node_stat *node,
				struct pram_checkpoint_node *out)
{
	const char *name = (const char *)node->name;
	const size_t prefix = strlen(PRAM_CHECKPOINT_PREFIX);
	size_t len = strnlen(name, PRAM_NAME_MAX);
	const char *colon;

	if (len == PRAM_NAME_MAX || strncmp(name, PRAM_CHECKPOINT_PREFIX, prefix))
		return false;
	name += prefix;
	len -= prefix;

	memset(out, 0, sizeof(*out));
	/*
	 * The type decides, not the colons: "criu:/a:b" is the metadata node of
	 * "/a:b" if it is a byte stream, and the pages image "b" of "/a" if it
	 * is a page stream. Where damage has taken the type, the name has to do.
	 */
	colon = strrchr(name, ':');
	if (node->type == PRAM_PAGE_STREAM ||
	    (!node->type && colon && pram_checkpoint_is_pages_image(colon + 1))) {
		if (!colon || !pram_image_name_valid(colon + 1))
			return false;
		strcpy(out->image, colon + 1);
		len = colon - name;
	}
	memcpy(out->name, name, len);
	return len > 0;
}

bool pram_checkpoint_is_pages_image(const char *image)
{
	size_t len = strlen(image);

	return len > strlen("pages-.img") && !strncmp(image, "pages-", 6) &&
	       !strcmp(image + len - 4, ".img");
}
