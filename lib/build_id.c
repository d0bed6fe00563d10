// SPDX-License-Identifier: GPL-2.0-only
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "build_id.h"

struct search {
	uint8_t	*id;
	int	result;		/* its size or -errno */
};

/* Notes are loaded with the program: words, each part padded to @align. */
static int find_in_notes(const char *notes, size_t size, size_t align, uint8_t *id)
{
	const size_t mask = (align == 8 ? 8 : 4) - 1;
	ElfW(Nhdr) note;

	while (size >= sizeof(note)) {
		size_t name, desc, whole;

		memcpy(&note, notes, sizeof(note));
		name = sizeof(note);
		desc = name + ((note.n_namesz + mask) & ~mask);
		whole = desc + ((note.n_descsz + mask) & ~mask);
		if (whole > size)
			break;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    !memcmp(notes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU))) {
			if (note.n_descsz > PRAM_BUILD_ID_MAX)
				return -E2BIG;
			memcpy(id, notes + desc, note.n_descsz);
			return note.n_descsz;
		}
		notes += whole;
		size -= whole;
	}
	return -ENOENT;
}

/* Called for the program first; what follows are its libraries. */
static int look_at_program(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *search = arg;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum && search->result == -ENOENT; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type == PT_NOTE)
			search->result = find_in_notes((const char *)info->dlpi_addr +
						       header->p_vaddr, header->p_memsz,
						       header->p_align, search->id);
	}
	return 1;
}

int pram_program_build_id(uint8_t id[PRAM_BUILD_ID_MAX])
{
	struct search search = { .id = id, .result = -ENOENT };

	dl_iterate_phdr(look_at_program, &search);
	return search.result;
}

void pram_build_id_text(char text[PRAM_BUILD_ID_TEXT_MAX], const uint8_t *id, size_t size)
{
	if (!size)
		strcpy(text, "(none)");
	for (size_t i = 0; i < size && i < PRAM_BUILD_ID_MAX; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
}
