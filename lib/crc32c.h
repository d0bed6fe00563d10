/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PRAM_LIB_CRC32C_H
#define PRAM_LIB_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC32C (Castagnoli, as in iSCSI) of @size bytes; of "123456789": 0xe3069283. */
uint32_t pram_crc32c(const void *data, size_t size);

#endif /* PRAM_LIB_CRC32C_H */
