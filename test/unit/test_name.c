// SPDX-License-Identifier: GPL-2.0-only
/* lib/checkpoint_name.c: names of nodes, there and back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "test_util.h"

static struct pram_node_stat node_of(const char *name, uint32_t type)
{
	struct pram_node_stat node = { .type = type };

	snprintf((char *)node.name, PRAM_NAME_MAX, "%s", name);
	return node;
}

static void expect_node(const char *name, uint32_t type, const char *checkpoint, const char *image)
{
	struct pram_node_stat node = node_of(name, type);
	struct pram_checkpoint_node parsed;

	assert_true(pram_checkpoint_node_parse(&node, &parsed));
	assert_string_equal(parsed.name, checkpoint);
	assert_string_equal(parsed.image, image);
}

static void expect_stranger(const char *name, uint32_t type)
{
	struct pram_node_stat node = node_of(name, type);
	struct pram_checkpoint_node parsed;

	assert_false(pram_checkpoint_node_parse(&node, &parsed));
}

static void test_node_name(void **state)
{
	char out[PRAM_NAME_MAX];

	(void)state;
	assert_int_equal(pram_checkpoint_node_name(out, "/a", NULL), 0);
	assert_string_equal(out, "criu:/a");
	assert_int_equal(pram_checkpoint_node_name(out, "/a", "pages-1.img"), 0);
	assert_string_equal(out, "criu:/a:pages-1.img");
	assert_int_equal(pram_checkpoint_node_name(out, "", NULL), -EINVAL);
	assert_int_equal(pram_checkpoint_node_name(out, "/a", ""), -EINVAL);
	assert_int_equal(pram_checkpoint_node_name(out, "/a", "b/c"), -EINVAL);
	assert_int_equal(pram_checkpoint_node_name(out, "/a", ".."), -EINVAL);
	assert_int_equal(pram_checkpoint_node_name(out, "/a", "b:c"), -EINVAL);
}

static void test_node_name_limits(void **state)
{
	char name[PRAM_NAME_MAX] = { 0 }, out[PRAM_NAME_MAX];

	(void)state;
	memset(name, 'n', PRAM_NAME_MAX - strlen("criu:") - 1);
	assert_int_equal(pram_checkpoint_node_name(out, name, NULL), 0);
	assert_int_equal(strlen(out), PRAM_NAME_MAX - 1);
	assert_int_equal(pram_checkpoint_node_name(out, name, "p"), -ENAMETOOLONG);
	name[strlen(name)] = 'n';
	assert_int_equal(pram_checkpoint_node_name(out, name, NULL), -ENAMETOOLONG);
}

static void test_node_parse(void **state)
{
	struct pram_node_stat unterminated = { .type = PRAM_BYTE_STREAM };
	struct pram_checkpoint_node parsed;

	(void)state;
	expect_node("criu:/a", PRAM_BYTE_STREAM, "/a", "");
	expect_node("criu:/a:pages-1.img", PRAM_PAGE_STREAM, "/a", "pages-1.img");
	expect_node("criu:/a:b:pages-1.img", PRAM_PAGE_STREAM, "/a:b", "pages-1.img");
	/* The same name with another type is another checkpoint's metadata. */
	expect_node("criu:/a:pages-1.img", PRAM_BYTE_STREAM, "/a:pages-1.img", "");
	/* Broken nodes may have lost their type. */
	expect_node("criu:/a:pages-1.img", 0, "/a", "pages-1.img");
	expect_node("criu:/a", 0, "/a", "");

	expect_stranger("", PRAM_BYTE_STREAM);
	expect_stranger("criu:", PRAM_BYTE_STREAM);
	expect_stranger("shmem-1-x", PRAM_BYTE_STREAM);
	expect_stranger("criu:/a", PRAM_PAGE_STREAM);
	expect_stranger("criu::pages-1.img", PRAM_PAGE_STREAM);
	expect_stranger("criu:/a:b/c", PRAM_PAGE_STREAM);
	expect_stranger("criu:/a:", PRAM_PAGE_STREAM);
	memset(unterminated.name, 'c', sizeof(unterminated.name));
	assert_false(pram_checkpoint_node_parse(&unterminated, &parsed));
}

static void test_pages_image(void **state)
{
	(void)state;
	assert_true(pram_checkpoint_is_pages_image("pages-1.img"));
	assert_true(pram_checkpoint_is_pages_image("pages-shmem-12.img"));
	assert_false(pram_checkpoint_is_pages_image("pagemap-1.img"));
	assert_false(pram_checkpoint_is_pages_image("pages-.img"));
	assert_false(pram_checkpoint_is_pages_image("pages-1.imgx"));
	assert_false(pram_checkpoint_is_pages_image("pages-"));
	assert_false(pram_checkpoint_is_pages_image(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_name),
		cmocka_unit_test(test_node_name_limits),
		cmocka_unit_test(test_node_parse),
		cmocka_unit_test(test_pages_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
