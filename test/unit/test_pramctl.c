// SPDX-License-Identifier: GPL-2.0-only
/*
 * pramctl: what it prints and how it exits; its command line and its manual are here, and each
 * command has a file test_pramctl_*.c. Output is compared with the files of golden/pramctl/;
 * PRAM_TEST_UPDATE=1 in the environment writes them anew, to be read before they are committed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pramctl_harness.h"

static void test_help(void **state)
{
	char line[64];

	(void)state;
	expect_prints("--help", "help");
	assert_int_equal(run("--version"), PRAMCTL_OK);
	assert_string_equal(last.out, "pramctl " PRAM_VERSION " (interface 1)\n");
	for (const struct pramctl_command *c = pramctl_commands; c->name; c++) {
		snprintf(line, sizeof(line), "%s --help", c->name);
		assert_int_equal(run(line), PRAMCTL_OK);
		/* But for the first letter, which is a capital here. */
		assert_non_null(strstr(last.out, c->help + 1));
		for (const struct pramctl_option *o = c->options; o->name; o++)
			assert_non_null(strstr(last.out, o->name));
	}
	expect_prints("rm --help", "help-rm");
}

/* What the words so far are completed to, by a bash that knows of pramctl alone. */
static void expect_completion(const char *words, int nr, const char *expected)
{
	char command[1024], line[256] = "";
	FILE *file;

	snprintf(command, sizeof(command),
		 "bash -c '. %s; COMP_WORDS=(%s) COMP_CWORD=%d; _pramctl; echo ${COMPREPLY[*]}'",
		 in_scratch("", "completion"), words, nr);
	file = popen(command, "r");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	pclose(file);
	line[strcspn(line, "\n")] = 0;
	assert_string_equal(line, expected);
}

static void test_completion(void **state)
{
	FILE *file;

	(void)state;
	assert_int_equal(run("--bash-completion"), PRAMCTL_OK);
	file = fopen(in_scratch("", "completion"), "w");
	assert_non_null(file);
	fputs(last.out, file);
	fclose(file);
	expect_completion("pramctl s", 1, "show stats services");
	expect_completion("pramctl rm --", 2, "--help --json --all --force --orphans --id");
	expect_completion("pramctl frobnicate --", 2, "");
}

static void test_usage(void **state)
{
	(void)state;
	assert_int_equal(run(""), PRAMCTL_USAGE);
	assert_non_null(strstr(last.err, "Usage: "));
	expect_fails("frobnicate", PRAMCTL_USAGE, "'frobnicate'");
	expect_fails("list --frobnicate", PRAMCTL_USAGE, "'--frobnicate'");
	expect_fails("list -x", PRAMCTL_USAGE, "'-x'");
	expect_fails("list --json=yes", PRAMCTL_USAGE, "--json=yes");
	expect_fails("list operand", PRAMCTL_USAGE, "list takes no operands");
	expect_fails("show", PRAMCTL_USAGE, "show takes NAME");
	expect_fails("show a b", PRAMCTL_USAGE, "show takes NAME");
	expect_fails("check --kexec --reboot", PRAMCTL_USAGE, "one of --kexec, --reboot, --services and --task");
	expect_fails("check --kexec --task 1", PRAMCTL_USAGE, "one of --kexec, --reboot, --services and --task");
	expect_fails("check vmlinuz", PRAMCTL_USAGE, "with --kexec only");
	expect_fails("check --task x", PRAMCTL_USAGE, "'x' is no pid");
	expect_fails("check --task 0", PRAMCTL_USAGE, "'0' is no pid");
	expect_fails("check --task 2000000000", PRAMCTL_NOT_FOUND, "no process 2000000000");
	expect_fails("check --kexec --criu x", PRAMCTL_USAGE, "takes neither --criu nor --plugin");
	expect_fails("check --reboot --plugin x", PRAMCTL_USAGE, "check --reboot takes neither");
	expect_fails("check --criu", PRAMCTL_USAGE, "'--criu' needs an argument");
	expect_fails("rm", PRAMCTL_USAGE, "either NAMEs, --all or --orphans");
	expect_fails("rm --all x", PRAMCTL_USAGE, "either NAMEs, --all or");
	expect_fails("rm --id", PRAMCTL_USAGE, "either NAMEs, --all or");
	expect_fails("rm --orphans x", PRAMCTL_USAGE, "either NAMEs, --all or");
	expect_fails("rm --all --orphans", PRAMCTL_USAGE, "either NAMEs, --all or");
	expect_fails("rm --force x", PRAMCTL_USAGE, "--force with --all only");
	expect_fails("export a", PRAMCTL_USAGE, "export takes NAME DIR");
	expect_fails("import", PRAMCTL_USAGE, "import takes DIR [NAME]");
}

static void test_no_device(void **state)
{
	static const char *const lines[] = {
		"list", "list --json", "show x", "rm x", "rm --all", "export x /nowhere",
		"import /nowhere",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		fake_pram_fail_open(ENOENT);
		expect_fails(lines[i], PRAMCTL_UNAVAILABLE, "kho=on");
		fake_pram_fail_open(EACCES);
		expect_fails(lines[i], PRAMCTL_UNAVAILABLE, "as root");
		fake_pram_fail_open(EIO);
		expect_fails(lines[i], PRAMCTL_UNAVAILABLE, "Input/output error");
		fake_pram_fail_open(0);
		fake_pram_set_abi(PRAM_ABI_VERSION + 1);
		expect_fails(lines[i], PRAMCTL_UNAVAILABLE, "interface is not version");
		fake_pram_set_abi(PRAM_ABI_VERSION);
	}
}

/* These do without root. */
static void test_not_root(void **state)
{
	static const char *const lines[] = {
		"stats --root " SYSTEMS "good", "services --root " SYSTEMS "empty",
		"timeline --root " SYSTEMS "empty",
		"check --root " SYSTEMS "good --criu " TEST_BUILD_DIR "/fake-criu --plugin " TEST_BUILD_DIR
		"/fake-plugin.so",
	};

	(void)state;
	fake_pram_fail_open(EACCES);
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		assert_int_equal(run(lines[i]), PRAMCTL_OK);
		assert_string_equal(last.err, "");
	}
	fake_pram_fail_open(0);
}

/* A full disk, or a pipe that nobody reads. */
static void test_output_lost(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), saved = dup(STDOUT_FILENO), status;
	char *argv[] = { "pramctl", "list", "--json", NULL };

	(void)state;
	assert_true(full >= 0);
	fflush(NULL);
	dup2(full, STDOUT_FILENO);
	status = pramctl_main(3, argv);
	clearerr(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(full);
	assert_int_equal(status, PRAMCTL_FAILED);
}

/* Is there a line in the synopsis of the verb that has the word? */
static bool synopsis_has(const char *page, const char *verb, const char *word)
{
	char start[64];

	snprintf(start, sizeof(start), "\n*pramctl* *%s* ", verb);
	for (const char *line = page; (line = strstr(line, start)); line++) {
		const char *found = strstr(line, word);

		if (found && found < line + 1 + strcspn(line + 1, "\n"))
			return true;
	}
	return false;
}

static bool is_option(const char *name, size_t len)
{
	for (const struct pramctl_command *c = pramctl_commands; c->name; c++) {
		for (const struct pramctl_option *o = c->options; o->name; o++) {
			if (strlen(o->name) == len && !strncmp(o->name, name, len))
				return true;
		}
	}
	return !strncmp(name, "help*", len + 1) || !strncmp(name, "version*", len + 1);
}

static void test_man_page(void **state)
{
	char *page = test_read_file(TEST_MAN_DIR "/pramctl.8.scd", NULL), word[64];

	(void)state;
	for (const char *option = page; (option = strstr(option, "\n*--")); option++) {
		if (!is_option(option + 4, strcspn(option + 4, "*")))
			fail_msg("pramctl(8) describes an option that there is not: %.20s", option + 1);
	}
	for (const struct pramctl_command *c = pramctl_commands; c->name; c++) {
		/* In the synopsis and as a heading. */
		snprintf(word, sizeof(word), "*pramctl* *%s* ", c->name);
		if (!strstr(page, word))
			fail_msg("pramctl(8) has no synopsis of %s", c->name);
		snprintf(word, sizeof(word), "\n*%s*\n", c->name);
		if (!strstr(page, word))
			fail_msg("pramctl(8) does not describe %s", c->name);
		for (const struct pramctl_option *o = c->options; o->name; o++) {
			snprintf(word, sizeof(word), "\n*--%s*%s%s%s\n", o->name,
				 o->argument ? " _" : "", o->argument ? o->argument : "",
				 o->argument ? "_" : "");
			if (!strstr(page, word))
				fail_msg("pramctl(8) does not describe --%s", o->name);
			snprintf(word, sizeof(word), "*--%s*", o->name);
			if (!synopsis_has(page, c->name, word))
				fail_msg("pramctl(8) has no --%s in the synopsis of %s", o->name, c->name);
		}
	}
	for (int status = PRAMCTL_OK; status <= PRAMCTL_UNAVAILABLE; status++) {
		snprintf(word, sizeof(word), "\n*%d*\n", status);
		if (!strstr(page, word))
			fail_msg("pramctl(8) does not describe exit status %d", status);
	}
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		pram_unit_test(test_help),
		scratch_test(test_completion),
		pram_unit_test(test_usage),
		pram_unit_test(test_no_device),
		pram_unit_test(test_not_root),
		pram_unit_test(test_output_lost),
		cmocka_unit_test(test_man_page),
	};
	int failed;

	/* Times and words do not depend on where the test runs. */
	setenv("TZ", "UTC", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	failed = cmocka_run_group_tests_name("pramctl", tests, NULL, NULL) + test_pramctl_list() +
		 test_pramctl_rm() + test_pramctl_export() + test_pramctl_check() +
		 test_pramctl_loss();
	free(last.out);
	free(last.err);
	return failed > 0;
}
