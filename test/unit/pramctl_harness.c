// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pramctl_harness.h"

bool elsewhere;
struct output last;
char scratch[] = "/tmp/pramctl-test-XXXXXX";

bool __wrap_pram_place_is_first_mount_namespace(void);
bool __wrap_pram_place_is_first_mount_namespace(void)
{
	return !elsewhere;
}

static char *take_output(int memfd)
{
	const off_t size = lseek(memfd, 0, SEEK_END);
	char *text = calloc(1, size + 1);

	assert_non_null(text);
	assert_int_equal(pread(memfd, text, size, 0), size);
	close(memfd);
	return text;
}

int run(const char *line)
{
	int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
	int saved_out = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO), status, argc = 0;
	char *copy = strdup(line), *rest = copy, *argv[16] = { NULL };

	argv[argc++] = "pramctl";
	while ((argv[argc] = strsep(&rest, " ")) && argc < 15)
		argc += *argv[argc] != 0;

	fflush(NULL);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	status = pramctl_main(argc, argv);
	fflush(NULL);
	dup2(saved_out, STDOUT_FILENO);
	dup2(saved_err, STDERR_FILENO);
	close(saved_out);
	close(saved_err);
	free(copy);

	free(last.out);
	free(last.err);
	last.out = take_output(out);
	last.err = take_output(err);
	return status;
}

/* Where things lie on this machine is nobody's business. */
static char *without_paths(const char *text)
{
	static const struct {
		const char *path, *name;
	} paths[] = {
		{ TEST_GOLDEN_DIR, "GOLDEN" },
		{ TEST_BUILD_DIR, "BUILD" },
	};
	char *result;
	size_t size;
	FILE *file = open_memstream(&result, &size);

	assert_non_null(file);
	while (*text) {
		size_t i = 0;

		while (i < 2 && strncmp(text, paths[i].path, strlen(paths[i].path)))
			i++;
		if (i < 2) {
			fputs(paths[i].name, file);
			text += strlen(paths[i].path);
		} else {
			fputc(*text++, file);
		}
	}
	fclose(file);
	return result;
}

void expect_golden(const char *name, const char *text)
{
	char path[512], *clean = without_paths(text), *golden;

	snprintf(path, sizeof(path), TEST_GOLDEN_DIR "/pramctl/%s", name);
	if (getenv("PRAM_TEST_UPDATE")) {
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		fputs(clean, file);
		fclose(file);
	}
	golden = test_read_file(path, NULL);
	assert_string_equal(clean, golden);
	free(golden);
	free(clean);
}

void expect_prints(const char *line, const char *name)
{
	assert_int_equal(run(line), PRAMCTL_OK);
	assert_string_equal(last.err, "");
	expect_golden(name, last.out);
}

void expect_fails(const char *line, int status, const char *what)
{
	assert_int_equal(run(line), status);
	assert_string_equal(last.out, "");
	if (strncmp(last.err, "pramctl: ", 9) || !strstr(last.err, what))
		fail_msg("'pramctl %s' says: %s", line, last.err);
}

int scratch_setup(void **state)
{
	strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
	if (!mkdtemp(scratch))
		return -1;
	return test_setup(state);
}

int scratch_teardown(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", scratch);
	return system(command) | test_teardown(state);
}

const char *in_scratch(const char *before, const char *path)
{
	static char line[512];

	if (snprintf(line, sizeof(line), "%s%s/%s", before, scratch, path) >=
	    (int)sizeof(line))
		fail_msg("a command of more than %zu bytes", sizeof(line));
	return line;
}

void put_file(const char *path, const char *text)
{
	FILE *file = fopen(in_scratch("", path), "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

void make_system(const char *loaded, const char *ready, const char *mounts)
{
	static const char *const dirs[] = {
		"proc", "proc/self", "sys", "sys/kernel", "sys/kernel/pram",
	};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		mkdir(in_scratch("", dirs[i]), 0700);
	put_file("proc/self/mountinfo", mounts);
	put_file("sys/kernel/kexec_loaded", loaded);
	put_file("sys/kernel/pram/kexec_ready", ready);
}

void add_golden_checkpoint(void)
{
	size_t size;
	char *bytes = test_read_file(TEST_GOLDEN_DIR "/checkpoint-v1.bin", &size);
	char *pages = malloc(2 * TEST_PAGE_SIZE);

	assert_non_null(pages);
	memset(pages, 'p', 2 * TEST_PAGE_SIZE);
	fake_pram_set_time(UINT64_C(1795294801987654321));
	fake_pram_add("criu:" NAME, PRAM_BYTE_STREAM, PRAM_NODE_CHECKSUM, bytes, size);
	fake_pram_add("criu:" NAME ":pages-1.img", PRAM_PAGE_STREAM, PRAM_NODE_CHECKSUM, pages,
		      2 * TEST_PAGE_SIZE);
	fake_pram_add("criu:" NAME ":pages-2.img", PRAM_PAGE_STREAM, PRAM_NODE_CHECKSUM, NULL, 0);
	free(bytes);
	free(pages);
}

int add_everything(void)
{
	int fd;

	add_golden_checkpoint();
	fake_pram_add("criu:/gone:pages-1.img", PRAM_PAGE_STREAM, 0, NULL, 0);
	fake_pram_add("shmem-1-home", PRAM_BYTE_STREAM, 0, "12345", 5);
	fake_pram_add("nameless", PRAM_BYTE_STREAM, 0, "1", 1);
	fake_pram_break("nameless", true);
	fake_pram_add("criu:/damaged", PRAM_BYTE_STREAM, 0, "nonsense", 8);
	fake_pram_add("criu:/damaged:pages-1.img", PRAM_PAGE_STREAM, 0, NULL, 0);
	fake_pram_break("criu:/damaged:pages-1.img", false);
	fake_pram_kexec();
	fd = pram_save(test_dev(), "criu:/under/way", PRAM_BYTE_STREAM, PRAM_SAVE_CHECKSUM);
	assert_true(fd >= 0);
	return fd;
}
