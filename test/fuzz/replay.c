// SPDX-License-Identifier: GPL-2.0-only
/*
 * A harness without a fuzzer, for any compiler: runs over files.
 *
 * replay DIR [GOOD-FILE...]: those in DIR/good and the further ones have to be
 * accepted, those in DIR/bad refused. replay --sort FILE...: prints which are which.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

enum expected {
	EXPECT_GOOD,
	EXPECT_BAD,
	EXPECT_NOTHING,
};

static unsigned int nr_files, nr_wrong;

static void replay(const char *path, enum expected expected)
{
	FILE *file = fopen(path, "rbe");
	uint8_t *data;
	struct stat st;
	bool good;

	if (!file || fstat(fileno(file), &st)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	/* To the byte, so that the sanitizer sees what is read behind the end. */
	data = malloc(st.st_size ? st.st_size : 1);
	if (!data || fread(data, 1, st.st_size, file) != (size_t)st.st_size) {
		fprintf(stderr, "%s: can't be read\n", path);
		exit(1);
	}
	fclose(file);

	good = !fuzz_one(data, st.st_size);
	free(data);
	nr_files++;
	if (expected == EXPECT_NOTHING) {
		printf("%s %s\n", good ? "good" : "bad", path);
	} else if (good != (expected == EXPECT_GOOD)) {
		fprintf(stderr, "%s: is %s, and should not be\n", path,
			good ? "accepted" : "refused");
		nr_wrong++;
	}
}

static int is_visible(const struct dirent *entry)
{
	return *entry->d_name != '.';
}

static void replay_directory(const char *dir, const char *kind, enum expected expected)
{
	struct dirent **entries;
	char path[4096];
	int nr;

	snprintf(path, sizeof(path), "%s/%s", dir, kind);
	nr = scandir(path, &entries, is_visible, alphasort);
	if (nr <= 0) {
		fprintf(stderr, "%s: %s\n", path, nr ? strerror(errno) : "is empty");
		exit(1);
	}
	for (int i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", dir, kind, entries[i]->d_name);
		replay(path, expected);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	const bool sort = argc > 1 && !strcmp(argv[1], "--sort");

	if (argc < 2) {
		fprintf(stderr, "usage: %s DIR [GOOD-FILE...] | --sort FILE...\n", argv[0]);
		return 2;
	}
	if (!sort) {
		replay_directory(argv[1], "good", EXPECT_GOOD);
		replay_directory(argv[1], "bad", EXPECT_BAD);
	}
	for (int i = 2; i < argc; i++)
		replay(argv[i], sort ? EXPECT_NOTHING : EXPECT_GOOD);
	if (!sort)
		printf("%u inputs, %u with the wrong answer\n", nr_files, nr_wrong);
	return nr_wrong ? 1 : 0;
}
