// SPDX-License-Identifier: GPL-2.0-only
/* plugin/settings.c */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "settings.h"
#include "test_util.h"

static char file[] = "/tmp/pram-test-settings-XXXXXX";
static char file_variable[64];
static struct pram_settings settings;
static char error[PRAM_SETTINGS_ERROR_MAX];

/* Loads what the file has and up to two variables. */
static int load(const char *text, char *variable1, char *variable2)
{
	char *environment[] = { "PATH=/bin", file_variable, variable1, variable2, NULL };
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	pram_settings_free(&settings);
	memset(error, 0, sizeof(error));
	return pram_settings_load(&settings, environment, NULL, error);
}

/* The error must say where, and what is accepted. */
static void refused(const char *text, char *variable, const char *where, const char *what)
{
	assert_int_equal(load(text, variable, NULL), -EINVAL);
	if (!strstr(error, where) || !strstr(error, what))
		fail_msg("\"%s\" should have \"%s\" and \"%s\"", error, where, what);
	assert_null(strchr(error, '\n'));
}

static void test_defaults(void **state)
{
	(void)state;
	assert_int_equal(load("", NULL, NULL), 0);
	assert_null(settings.name);
	assert_false(settings.replace);
	assert_false(settings.checksums);
	assert_int_equal(settings.adopt, PRAM_ADOPT_RANGE);
	assert_true(settings.map);
	assert_false(settings.keep);
	assert_int_equal(settings.fd, -1);
	assert_int_equal(settings.streams, -1);
	assert_false(settings.luo);
}

static void test_file(void **state)
{
	(void)state;
	assert_int_equal(load("# a comment\n"
			      "\n"
			      "name = a b\n"
			      "  replace=yes\r\n"
			      "\tchecksums =\tyes  \n"
			      "  # another one\n"
			      "adopt = no\n"
			      "map = no\n"
			      "files = yes\n"
			      "keep = no", NULL, NULL), 0);
	assert_string_equal(settings.name, "a b");
	assert_true(settings.replace);
	assert_true(settings.checksums);
	assert_int_equal(settings.adopt, PRAM_ADOPT_NO);
	assert_false(settings.map);
	assert_false(settings.keep);
	assert_true(settings.files);
}

static void test_last_line_wins(void **state)
{
	(void)state;
	assert_int_equal(load("name = a\nname = b\nkeep = yes\nkeep = no\n", NULL, NULL), 0);
	assert_string_equal(settings.name, "b");
	assert_false(settings.keep);
}

static void test_environment_wins(void **state)
{
	(void)state;
	assert_int_equal(load("name = a\nkeep = yes\n", "CRIU_PRAM_NAME=x=y", "CRIU_PRAM_KEEP=no"), 0);
	assert_string_equal(settings.name, "x=y");
	assert_false(settings.keep);
	assert_int_equal(load("", "CRIU_PRAM_REPLACE=yes", "CRIU_PRAM_CHECKSUMS=yes"), 0);
	assert_true(settings.replace);
	assert_true(settings.checksums);
	assert_int_equal(load("backend = luo\n", "CRIU_PRAM_BACKEND=pram", NULL), 0);
	assert_false(settings.luo);
	assert_int_equal(load("backend = pram\n", "CRIU_PRAM_BACKEND=luo", NULL), 0);
	assert_true(settings.luo);
	assert_int_equal(load("adopt = range\n", "CRIU_PRAM_ADOPT=no", "CRIU_PRAM_MAP=no"), 0);
	assert_int_equal(settings.adopt, PRAM_ADOPT_NO);
	assert_false(settings.map);
	assert_int_equal(load("adopt = no\n", "CRIU_PRAM_ADOPT=range", NULL), 0);
	assert_int_equal(settings.adopt, PRAM_ADOPT_RANGE);
}

static void test_bad_file(void **state)
{
	char where[80];

	(void)state;
	snprintf(where, sizeof(where), "%s:2: ", file);
	refused("\nreplace = maybe\n", NULL, where, "yes or no");
	refused("\nreplace = \n", NULL, where, "yes or no");
	refused("\nreplace = YES\n", NULL, where, "yes or no");
	refused("\nbackend = disk\n", NULL, where, "pram or luo");
	refused("\nbackend =\n", NULL, where, "pram or luo");
	refused("\nname =\n", NULL, where, "empty");
	refused("\nadopt = yes\n", NULL, where, "range or no");
	refused("\nadopt = pipe\n", NULL, where, "range or no");
	refused("\nadopt =\n", NULL, where, "range or no");
	refused("\nnmae = a\n", NULL, where, "name, replace, checksums, adopt, map, keep, files, marker, fd, streams, backend");
	refused("\nNAME = a\n", NULL, where, "name, replace, checksums, adopt, map, keep, files, marker, fd, streams, backend");
	refused("\n= a\n", NULL, where, "name, replace, checksums, adopt, map, keep, files, marker, fd, streams, backend");
	refused("\nreplace yes\n", NULL, where, "SETTING = VALUE");
}

static void test_bad_environment(void **state)
{
	(void)state;
	refused("", "CRIU_PRAM_KEEP=1", "CRIU_PRAM_KEEP", "yes or no");
	refused("", "CRIU_PRAM_FD=-1", "CRIU_PRAM_FD", "number of a descriptor");
	refused("", "CRIU_PRAM_FD=3x", "CRIU_PRAM_FD", "number of a descriptor");
	refused("", "CRIU_PRAM_STREAMS=x", "CRIU_PRAM_STREAMS", "number of a descriptor");
	refused("", "CRIU_PRAM_FD=2147483648", "CRIU_PRAM_FD", "number of a descriptor");
	refused("", "CRIU_PRAM_NAME=", "CRIU_PRAM_NAME", "empty");
	refused("", "CRIU_PRAM_REPLCE=yes", "CRIU_PRAM_REPLCE", "CRIU_PRAM_REPLACE");
	refused("", "CRIU_PRAM_=yes", "CRIU_PRAM_", "CRIU_PRAM_REPLACE");
	/* What is in the file is checked even if the environment overrides it. */
	refused("keep = 1\n", "CRIU_PRAM_KEEP=yes", ":1: ", "yes or no");
}

static void test_long_value(void **state)
{
	static char text[3 * PRAM_SETTINGS_ERROR_MAX];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	refused(text, NULL, ":1: ", "SETTING = VALUE");
	memcpy(text, "replace=", 8);
	refused(text, NULL, ":1: ", "yes or no");
	memcpy(text, "name   =", 8);
	assert_int_equal(load(text, NULL, NULL), 0);
	assert_int_equal(strlen(settings.name), sizeof(text) - 1 - 8);
}

static void test_missing_file(void **state)
{
	char *environment[] = { "CRIU_PRAM_CONFIG=/nonexistent/pram.conf", NULL };

	(void)state;
	pram_settings_free(&settings);
	assert_int_equal(pram_settings_load(&settings, environment, NULL, error), -ENOENT);
	assert_non_null(strstr(error, "/nonexistent/pram.conf"));
	environment[0] = "CRIU_PRAM_CONFIG=/";
	assert_int_equal(pram_settings_load(&settings, environment, NULL, error), -EISDIR);
	assert_non_null(strstr(error, "can't read /"));
}

static void test_print(void **state)
{
	char line[192];

	(void)state;
	assert_int_equal(load("replace = yes\n", NULL, NULL), 0);
	pram_settings_print(&settings, line, sizeof(line));
	assert_string_equal(line, "name=(images directory) replace=yes checksums=no "
			    "adopt=range map=yes keep=no files=no marker=no fd=-1 streams=-1 backend=pram");
	assert_int_equal(load("name = a\nchecksums = yes\nadopt = no\nmap = no\nkeep = yes\nfd = 3\nstreams = 4\n"
			      "backend = luo\n", NULL, NULL), 0);
	pram_settings_print(&settings, line, sizeof(line));
	assert_string_equal(line, "name=a replace=no checksums=yes adopt=no map=no keep=yes files=no marker=no "
			    "fd=3 streams=4 backend=luo");
	pram_settings_print(&settings, line, 8);
	assert_string_equal(line, "name=a ");
}

/* The words of a list behind "only" in @error are in the page, each where @format says; how many. */
static size_t described(const char *page, const char *format)
{
	char *rest = strstr(error, "only "), *word, line[64];
	size_t nr = 0;

	assert_non_null(rest);
	rest += strlen("only ");
	while ((word = strsep(&rest, ", "))) {
		if (!*word || !strcmp(word, "and"))
			continue;
		snprintf(line, sizeof(line), format, word);
		if (!strstr(page, line))
			fail_msg("criu-pram-plugin(7) does not describe %s", word);
		nr++;
	}
	return nr;
}

/* The manual has all settings, and no others. */
static void test_man_page(void **state)
{
	char *page = test_read_file(TEST_MAN_DIR "/criu-pram-plugin.7.scd", NULL);
	size_t nr = 0, nr_rows = 0;

	(void)state;
	for (const char *row = page; (row = strstr(row, "\n|  ")); row++)
		nr_rows++;
	assert_int_equal(load("nothing = 1\n", NULL, NULL), -EINVAL);
	nr = described(page, "\n|  %s\n");
	assert_int_equal(nr, nr_rows);
	assert_int_equal(load("", "CRIU_PRAM_NOTHING=1", NULL), -EINVAL);
	/* And the one that names the file. */
	assert_int_equal(described(page, "%s"), nr + 1);
	free(page);
}

static int setup(void **state)
{
	int fd = mkstemp(file);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	snprintf(file_variable, sizeof(file_variable), PRAM_SETTINGS_FILE_ENV "=%s", file);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pram_settings_free(&settings);
	return unlink(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_last_line_wins),
		cmocka_unit_test(test_environment_wins),
		cmocka_unit_test(test_bad_file),
		cmocka_unit_test(test_bad_environment),
		cmocka_unit_test(test_long_value),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_man_page),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
