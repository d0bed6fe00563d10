// SPDX-License-Identifier: GPL-2.0-only
/* services/podman_line.c: where podman's options end, and what they say. */
#include <string.h>

#include "podman_line.h"
#include "test_util.h"

#define WORDS_MAX	24

static char text[512], *words[WORDS_MAX];
static struct podman_line line;

/* Of words with a blank between each two. */
static void take(const char *command)
{
	char *rest = text;
	size_t nr = 0;

	assert_true(strlen(command) < sizeof(text));
	strcpy(text, command);
	while (nr < WORDS_MAX - 1 && (words[nr] = strsep(&rest, " ")))
		nr++;
	assert_null(rest);
	words[nr] = NULL;
	podman_line_take(words, &line);
}

/* The image, or what is started; "" if there is none. */
static void expect_operand(const char *command, const char *operand)
{
	take(command);
	assert_string_equal(*line.operands ?: "", operand);
	assert_null(line.unknown);
}

static void expect_unknown(const char *command, const char *option)
{
	take(command);
	assert_non_null(line.unknown);
	assert_string_equal(line.unknown, option);
}

static void expect_said(const char *command, const char *option, const char *value)
{
	const char *found;

	take(command);
	found = podman_line_option(&line, option);
	if (!value) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_string_equal(found, value);
}

static void test_operands(void **state)
{
	(void)state;
	expect_operand("podman run image", "image");
	expect_operand("podman run --rm image --rm", "image");
	expect_operand("podman run --name web image --name x", "image");
	expect_operand("podman run --name=web image", "image");
	/* A value is none, whatever it looks like. */
	expect_operand("podman run --entrypoint --rm image", "image");
	expect_operand("podman run --label run image", "image");
	expect_operand("podman run -v /a:/b -e A=b -dit -p 80:80 image -d", "image");
	expect_operand("podman run -v/a:/b -dp 80:80 -m1g image", "image");
	expect_operand("podman run -d=true --tls-verify image", "image");
	expect_operand("podman run --rm -- image --rm", "image");
	expect_operand("podman run --log-level debug image", "image");
	expect_operand("podman --log-level debug -c there --syslog run --replace image", "image");
	expect_operand("podman run --brand-new=1 -z=1 image", "image");
	expect_operand("podman run --rm", "");
	expect_operand("podman run --name", "");
	expect_operand("podman start web", "web");
	/* Of others than "run" they mean another thing. */
	expect_operand("podman start -a web", "web");
	expect_operand("podman start --attach --detach-keys q -f a=b web", "web");
	expect_operand("podman", "");
	expect_operand("podman --syslog", "");
	assert_null(line.verb);
	podman_line_take(NULL, &line);
	assert_null(*line.operands);
}

static void test_quadlet(void **state)
{
	(void)state;
	expect_operand("/usr/bin/podman run --name systemd-web --cidfile=/run/web.cid --replace --rm --cgroups=split --hostname web --init --network none --sdnotify=conmon -d -v /a:/b localhost/box sh -c x", "localhost/box");
	assert_string_equal(*line.verb, "run");
	assert_string_equal(podman_line_option(&line, "--name"), "systemd-web");
	assert_string_equal(podman_line_option(&line, "--cidfile"), "/run/web.cid");
	assert_true(podman_line_is(&line, "--detach", 'd'));
	assert_true(podman_line_is(&line, "--rm", 0));
	assert_false(podman_line_is(&line, "--rmi", 0));
}

static void test_unknown(void **state)
{
	(void)state;
	expect_unknown("podman run --brand-new image", "--brand-new");
	expect_unknown("podman run -z image", "-z");
	expect_unknown("podman run -dz image", "-dz");
	/* podman itself has none of run's. */
	expect_unknown("podman --name web run image", "--name");
	expect_unknown("podman start --rm web", "--rm");
	expect_unknown("podman -- run image", "--");
	/* It may be more words than one. */
	expect_unknown("podman run $OPTIONS image", "$OPTIONS");
	expect_operand("podman run ${IMAGE} x", "${IMAGE}");
	/* The container's own. */
	expect_operand("podman run image --brand-new -z", "image");
}

static void test_values(void **state)
{
	(void)state;
	expect_said("podman run --name web image", "--name", "web");
	expect_said("podman run --name=web image", "--name", "web");
	expect_said("podman run --name= image", "--name", "");
	/* The last one counts. */
	expect_said("podman run --name=web --name other image", "--name", "other");
	expect_said("podman run image --name web", "--name", NULL);
	expect_said("podman run --label --name image", "--name", NULL);
	expect_said("podman run --network-alias x image", "--network", NULL);
	expect_said("podman run --name", "--name", NULL);
	expect_said("podman --runtime crun run image", "--runtime", "crun");
	expect_said("podman run --runtime crun image", "--runtime", "crun");
}

static void expect_switch(const char *command, bool on)
{
	take(command);
	assert_int_equal(podman_line_is(&line, "--detach", 'd'), on);
}

static void test_switches(void **state)
{
	(void)state;
	expect_switch("podman run -d image", true);
	expect_switch("podman run -itd image", true);
	expect_switch("podman run -dp 80:80 image", true);
	expect_switch("podman run --detach image", true);
	expect_switch("podman run --detach=1 image", true);
	expect_switch("podman run -d=true image", true);
	expect_switch("podman run --detach=false image", false);
	expect_switch("podman run -d -d=false image", false);
	expect_switch("podman run -it image", false);
	expect_switch("podman run image -d", false);
	expect_switch("podman run --detach-keys d image", false);
	/* Here it is the value of another one. */
	expect_switch("podman run -ed image", false);
	expect_switch("podman run --env -d image", false);
}

static void test_steps(void **state)
{
	(void)state;
	take("podman --syslog run --name web --rm -dp 80:80 image --name x");
	assert_int_equal(podman_line_step(&line, words + 1), 1);
	assert_int_equal(podman_line_step(&line, words + 2), 1);
	assert_int_equal(podman_line_step(&line, words + 3), 2);
	assert_int_equal(podman_line_step(&line, words + 5), 1);
	assert_int_equal(podman_line_step(&line, words + 6), 2);
	assert_ptr_equal(line.operands, words + 8);
	assert_int_equal(podman_line_step(&line, words + 9), 1);
	assert_string_equal(podman_line_value(words + 3, "--name"), "web");
	assert_null(podman_line_value(words + 3, "--nam"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operands), cmocka_unit_test(test_quadlet),
		cmocka_unit_test(test_unknown),	 cmocka_unit_test(test_values),
		cmocka_unit_test(test_switches), cmocka_unit_test(test_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
