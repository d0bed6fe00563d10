// SPDX-License-Identifier: GPL-2.0-only
/*
 * pramctl, and lib/'s reader, on nodes that others have written: list, show, export and
 * rm. An input is
 *
 *	u8 how: VERB_* and flags
 *	a metadata node of the checkpoint FUZZ_CHECKPOINT
 *
 * Its page nodes are there with the sizes of the golden one; a further node has the
 * first bytes of the input as its name.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint_mutator.h"
#include "fake_pram.h"
#include "fuzz.h"
#include "output.h"

#define VERBS		0x07	/* of the list below */
#define PAGES_MISSING	0x08
#define PAGES_SHORT	0x10
#define JSON		0x20

static const char *const verbs[] = { "show", "export", "list", "nodes", "rm", "show", "export", "show" };

static void add_nodes(const uint8_t *data, size_t size, unsigned int how)
{
	static const char pages[8192];
	char name[PRAM_NAME_MAX] = "";

	memcpy(name, data, size < sizeof(name) - 1 ? size : sizeof(name) - 1);
	fake_pram_add("criu:" FUZZ_CHECKPOINT, PRAM_BYTE_STREAM, PRAM_NODE_CHECKSUM, data, size);
	if (!(how & PAGES_MISSING))
		fake_pram_add("criu:" FUZZ_CHECKPOINT ":pages-1.img", PRAM_PAGE_STREAM, 0, pages,
			      how & PAGES_SHORT ? 4096 : 8192);
	fake_pram_add("criu:" FUZZ_CHECKPOINT ":pages-2.img", PRAM_PAGE_STREAM, 0, pages, 0);
	if (*name)
		fake_pram_add(name, PRAM_BYTE_STREAM, 0, "", 0);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	const char *args[8] = { NULL };
	const char *verb;
	char dir[64] = "", to[80] = "";
	unsigned int n = 0, nr;
	int status;

	if (!size)
		return -1;
	verb = verbs[data[0] & VERBS];
	fake_pram_setup();
	add_nodes(data + 1, size - 1, data[0]);

	args[n++] = strcmp(verb, "nodes") ? verb : "list";
	if (data[0] & JSON)
		args[n++] = "--json";
	if (!strcmp(verb, "nodes"))
		args[n++] = "--nodes";
	else if (strcmp(verb, "list"))
		args[n++] = FUZZ_CHECKPOINT;
	if (!strcmp(verb, "export")) {
		fuzz_make_dir(dir, sizeof(dir));
		snprintf(to, sizeof(to), "%s/to", dir);
		args[n++] = to;
	}
	status = fuzz_pramctl(args);
	if (*dir) {
		/* All or nothing, and nothing anywhere else. */
		FUZZ_ASSERT(!access(to, F_OK) == !status);
		nr = fuzz_remove_dir(*to && !status ? to : dir);
		FUZZ_ASSERT(!status || !nr);
		FUZZ_ASSERT(status || !rmdir(dir));
	}
	FUZZ_ASSERT(!fake_pram_count(PRAM_NODE_LOADING) && !fake_pram_count(PRAM_NODE_SAVING));
	fake_pram_teardown();
	return status;
}

#ifdef FUZZ_LIBFUZZER
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return fuzz_mutate_behind_byte(data, size, max_size, seed);
}
#endif
