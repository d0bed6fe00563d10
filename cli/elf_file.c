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

/* A note to look for: @size bytes, or up to as many, of what it says are wanted. */
struct note_search {
	const char	*name;
	uint32_t	type;
	void		*desc;
	size_t		size;
	bool		up_to;
	size_t		found;
};

static int find_note(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, void *arg)
{
	size_t offset = 0, name_offset, desc_offset;
	struct note_search *search = arg;
	const size_t name_size = strlen(search->name) + 1;
	Elf_Data *data;
	GElf_Nhdr note;

	(void)elf;
	if (header->sh_type != SHT_NOTE)
		return 0;
	data = elf_getdata(section, NULL);
	while (data && (offset = gelf_getnote(data, offset, &note, &name_offset, &desc_offset))) {
		const char *bytes = data->d_buf;

		if (note.n_type != search->type || note.n_namesz != name_size ||
		    memcmp(bytes + name_offset, search->name, name_size) ||
		    (search->up_to ? note.n_descsz > search->size : note.n_descsz < search->size))
			continue;
		search->found = search->up_to ? note.n_descsz : search->size;
		memcpy(search->desc, bytes + desc_offset, search->found);
		return 1;
	}
	return 0;
}

int elf_read_note(const char *path, struct pram_note_desc *desc)
{
	struct note_search search = {
		.name = PRAM_NOTE_NAME, .type = PRAM_NOTE_TYPE, .desc = desc, .size = sizeof(*desc),
	};

	return for_each_section(path, find_note, &search);
}

int elf_read_criu_note(const char *path, struct pram_note_criu *desc)
{
	struct note_search search = {
		.name = PRAM_NOTE_NAME, .type = PRAM_NOTE_TYPE_CRIU, .desc = desc,
		.size = sizeof(*desc),
	};
	int ret = for_each_section(path, find_note, &search);

	/* What others have written may lack the nul, or have any size. */
	if (ret > 0) {
		desc->version[sizeof(desc->version) - 1] = 0;
		if (desc->build_id_size > sizeof(desc->build_id))
			return 0;
	}
	return ret;
}

int elf_read_build_id(const char *path, uint8_t id[PRAM_BUILD_ID_MAX])
{
	struct note_search search = {
		.name = ELF_NOTE_GNU, .type = NT_GNU_BUILD_ID, .desc = id,
		.size = PRAM_BUILD_ID_MAX, .up_to = true,
	};
	int ret = for_each_section(path, find_note, &search);

	return ret > 0 ? (int)search.found : ret;
}
