// SPDX-License-Identifier: GPL-2.0-only
#include <ftw.h>
#include <json.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "output.h"
#include "pramctl.h"

#define MAX_ARGS	8

/* Nothing here has to outlive a power failure. */
int __wrap_syncfs(int fd);
int __wrap_fsync(int fd);

int __wrap_syncfs(int fd)
{
	(void)fd;
	return 0;
}

int __wrap_fsync(int fd)
{
	(void)fd;
	return 0;
}

static void check_text(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		const unsigned char c = text[i];

		FUZZ_ASSERT((c >= ' ' && c != 0x7f) || c == '\n');
	}
}

static void check_json(const char *text)
{
	struct json_object *object = json_tokener_parse(text);

	FUZZ_ASSERT(object);
	json_object_put(object);
}

int fuzz_pramctl(const char *const *args)
{
	char *argv[MAX_ARGS + 1] = { "pramctl" }, *out, *err;
	FILE *const real_out = stdout, *const real_err = stderr;
	size_t out_size, err_size;
	bool json = false;
	int argc = 1, status;

	for (; *args; args++) {
		FUZZ_ASSERT(argc < MAX_ARGS);
		json |= !strcmp(*args, "--json");
		argv[argc++] = (char *)*args;
	}
	stdout = open_memstream(&out, &out_size);
	stderr = open_memstream(&err, &err_size);
	status = pramctl_main(argc, argv);
	fclose(stdout);
	fclose(stderr);
	stdout = real_out;
	stderr = real_err;
	if (!json)
		check_text(out, out_size);
	else if (out_size)
		check_json(out);
	check_text(err, err_size);
	/* Whoever fails says so. */
	FUZZ_ASSERT(!status || out_size || err_size);
	free(out);
	free(err);
	return status;
}

void fuzz_make_dir(char *path, unsigned long size)
{
	snprintf(path, size, "%s/pram-fuzz-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	FUZZ_ASSERT(mkdtemp(path));
}

static unsigned int nr_removed;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	nr_removed += type != FTW_DP;
	FUZZ_ASSERT(!remove(path));
	return 0;
}

unsigned int fuzz_remove_dir(const char *path)
{
	nr_removed = 0;
	FUZZ_ASSERT(!nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS));
	return nr_removed;
}
