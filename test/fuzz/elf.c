// SPDX-License-Identifier: GPL-2.0-only
/*
 * cli/elf_file.c: the note of a plugin and what criu exports. An input is a file; it is
 * accepted if it has the note or the symbol.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "elf_file.h"
#include "fuzz.h"

int fuzz_one(const uint8_t *data, size_t size)
{
	const int fd = memfd_create("elf", MFD_CLOEXEC);
	struct pram_note_desc desc = { 0 };
	struct pram_note_criu criu = { 0 };
	uint8_t id[PRAM_BUILD_ID_MAX];
	char path[64];
	int note, symbol;

	FUZZ_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	note = elf_read_note(path, &desc);
	symbol = elf_exports(path, "criu_point_of_no_return");
	FUZZ_ASSERT(note <= 1 && symbol <= 1);
	FUZZ_ASSERT(elf_read_criu_note(path, &criu) <= 1);
	FUZZ_ASSERT(elf_read_build_id(path, id) <= PRAM_BUILD_ID_MAX);
	close(fd);
	return note == 1 || symbol == 1 ? 0 : -1;
}
