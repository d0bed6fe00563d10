// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdbool.h>
#include <string.h>

#include "elf_file.h"
#include "util.h"

/* What to do with one section: 1 when what was looked for is found, else 0. */
typedef int (*section_fn)(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, void *arg);

static int for_each_section(const char *path, section_fn fn, void *arg)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	int found = 0;
	Elf *elf;

	if (fd < 0)
		return -errno;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF) {
		elf_end(elf);
		return -ENOEXEC;
	}
	while (!found && (section = elf_nextscn(elf, section))) {
		if (gelf_getshdr(section, &header))
			found = fn(elf, section, &header, arg);
	}
	elf_end(elf);
	return found;
}

static int find_symbol(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, void *arg)
{
	Elf_Data *data;
	GElf_Sym symbol;

	if (header->sh_type != SHT_DYNSYM || !header->sh_entsize)
		return 0;
	data = elf_getdata(section, NULL);
	if (!data)
		return 0;
	for (size_t i = 0; i < header->sh_size / header->sh_entsize; i++) {
		const char *name;

		/* Undefined ones are wanted by the file, not exported. */
		if (!gelf_getsym(data, i, &symbol) || symbol.st_shndx == SHN_UNDEF)
			continue;
		name = elf_strptr(elf, header->sh_link, symbol.st_name);
		if (name && !strcmp(name, arg))
			return 1;
	}
	return 0;
}

int elf_exports(const char *path, const char *symbol)
{
	return for_each_section(path, find_symbol, (void *)symbol);
}

static int find_note(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, void *arg)
{
	size_t offset = 0, name_offset, desc_offset;
	Elf_Data *data;
	GElf_Nhdr note;

	(void)elf;
	if (header->sh_type != SHT_NOTE)
		return 0;
	data = elf_getdata(section, NULL);
	while (data && (offset = gelf_getnote(data, offset, &note, &name_offset, &desc_offset))) {
		const char *bytes = data->d_buf;

		if (note.n_type != PRAM_NOTE_TYPE || note.n_namesz != sizeof(PRAM_NOTE_NAME) ||
		    memcmp(bytes + name_offset, PRAM_NOTE_NAME, sizeof(PRAM_NOTE_NAME)) ||
		    note.n_descsz < sizeof(struct pram_note_desc))
			continue;
		memcpy(arg, bytes + desc_offset, sizeof(struct pram_note_desc));
		return 1;
	}
	return 0;
}

int elf_read_note(const char *path, struct pram_note_desc *desc)
{
	return for_each_section(path, find_note, desc);
}
