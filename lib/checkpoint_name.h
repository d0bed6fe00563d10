/* SPDX-License-Identifier: GPL-2.0-only */
/* What may be the name of an image; the library's own. */
#ifndef PRAM_LIB_CHECKPOINT_NAME_H
#define PRAM_LIB_CHECKPOINT_NAME_H

#include <stdbool.h>

/* In bytes, without the nul: what a file system allows (NAME_MAX). */
#define PRAM_IMAGE_NAME_MAX	255

/*
 * Is this a file name and nothing but one? What pramctl export creates goes by
 * these names, so they must not lead out of its directory.
 */
bool pram_image_name_valid(const char *image);

#endif /* PRAM_LIB_CHECKPOINT_NAME_H */
