/* SPDX-License-Identifier: GPL-2.0-only */
/* The number by which a linker tells each build of a program from all others. */
#ifndef PRAM_LIB_BUILD_ID_H
#define PRAM_LIB_BUILD_ID_H

#include <stddef.h>
#include <stdint.h>

/* Linkers make 8 to 20 bytes; as many as this are kept and compared. */
#define PRAM_BUILD_ID_MAX	32
#define PRAM_BUILD_ID_TEXT_MAX	(2 * PRAM_BUILD_ID_MAX + 1)

/**
 * pram_program_build_id() - that of the program that runs in this process
 * @id: filled
 *
 * Return: its size in bytes, or -ENOENT if it has none, -E2BIG if it is longer than
 * %PRAM_BUILD_ID_MAX.
 */
int pram_program_build_id(uint8_t id[PRAM_BUILD_ID_MAX]);

/* In hexadecimal, as readelf(1) prints it; "(none)" if @size is 0. */
void pram_build_id_text(char text[PRAM_BUILD_ID_TEXT_MAX], const uint8_t *id, size_t size);

#endif /* PRAM_LIB_BUILD_ID_H */
