// SPDX-License-Identifier: GPL-2.0-only
/*
 * Debian has no small C library for this polynomial: zlib's crc32() is another
 * one, and libisal's crc32_iscsi() would bring a library made for gigabytes into
 * criu's process. An index has some kilobytes, so half a byte at a time will do:
 * a table of 64 bytes that the compiler gets right here and now.
 */
#include "crc32c.h"

/* For each value of four bits: those, divided by the reflected polynomial. */
#define STEP(x)		(((x) >> 1) ^ (((x) & 1) ? 0x82f63b78U : 0))
#define NIBBLE(x)	STEP(STEP(STEP(STEP((uint32_t)(x)))))

static const uint32_t crc32c_table[16] = {
	NIBBLE(0),  NIBBLE(1),	NIBBLE(2),  NIBBLE(3),	NIBBLE(4),  NIBBLE(5),
	NIBBLE(6),  NIBBLE(7),	NIBBLE(8),  NIBBLE(9),	NIBBLE(10), NIBBLE(11),
	NIBBLE(12), NIBBLE(13), NIBBLE(14), NIBBLE(15),
};

uint32_t pram_crc32c(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint32_t crc = ~0U;

	while (size--) {
		crc ^= *p++;
		crc = (crc >> 4) ^ crc32c_table[crc & 0xf];
		crc = (crc >> 4) ^ crc32c_table[crc & 0xf];
	}
	return ~crc;
}
