/* SPDX-License-Identifier: GPL-2.0-only */
/* plugin/, called as CRIU does, by its descriptor: what the files of its tests share. */
#ifndef PRAM_PLUGIN_HARNESS_H
#define PRAM_PLUGIN_HARNESS_H

#include "criu.h"
#include "criu_stub.h"
#include "test_util.h"

#define O_CREATE	(O_WRONLY | O_CREAT | O_TRUNC)

/* The plugin, as CRIU sees it. */
int plugin_init(int stage);
void plugin_exit(int stage, int ret);
int hook_open(int dfd, const char *path, int flags);
int hook_unlink(const char *path);
int hook_done(int stage, int ret);
int hook_dump_pages(int fd, int pid, const struct iovec *iovs, unsigned int nr);
int hook_dump_present_pages(int fd, int pid, struct iovec *range, struct iovec *taken,
			    unsigned int *nr);
int hook_dump_shared_pages(int fd, int shared, const struct iovec *iovs, unsigned int nr);
int hook_share_pages(void);

/* What CRIU does with it: images, in the directory that it was given; then whole ones. */
int create_image(const char *path);
int open_image_file(const char *path);
void write_image(const char *path, const char *text);
void write_pages(const char *path, unsigned char byte, size_t nr);
void expect_image(const char *path, const char *text);
void expect_pages(const char *path, unsigned char byte, size_t nr);
void expect_absent(const char *path);

/* A dump up to IMAGES_DONE: two images and two pages images. */
void dump_images(const char *core, unsigned char byte);
void dump(const char *core, unsigned char byte);

/* How it ends, and criu with it: well, given up, or with a commit that fails. */
void commit_dump(void);
void give_up_dump(void);
void fail_commit(void);

/* PRAM is empty. */
void expect_no_nodes(void);

/* A restore up to IMAGES_DONE. */
void restore_images(const char *core, unsigned char byte);
void restore(const char *core, unsigned char byte);

/* How it ends, and criu with it: 0 for well. */
void end_restore(int ret);

/* A dump that is refused when it begins: no node, a reason. */
void expect_refused(const char *reason);

/* The first image of a restore can't be had; CRIU must not take it for absent. */
void expect_no_restore(int error, const char *reason);

/* Files beside them. */
void add_file(const char *name);
void remove_file(const char *name);

int plugin_setup(void **state);
int plugin_teardown(void **state);

/* A test with these two. */
#define plugin_test(f)	cmocka_unit_test_setup_teardown(f, plugin_setup, plugin_teardown)

/* The tests, a file for each subject; how many of them failed. */
int plugin_test_dump(void);
int plugin_test_pages(void);
int plugin_test_restore(void);
int plugin_test_refused(void);
int plugin_test_directory(void);

#endif /* PRAM_PLUGIN_HARNESS_H */
