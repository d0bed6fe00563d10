/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the plugin uses of the criu binary, for tests of the plugin: an images
 * directory, options, an fdstore, the log and tasks that are being restored.
 */
#ifndef PRAM_TEST_CRIU_STUB_H
#define PRAM_TEST_CRIU_STUB_H

#include <stdbool.h>
#include <stdint.h>

/* A new images directory and all options at their defaults. */
void criu_stub_setup(void);

/* Removes the directory, which must have no images in it. */
void criu_stub_teardown(void);

/* The resolved path of the images directory. */
const char *criu_stub_images_dir(void);

/* As another criu process does: an empty fdstore, default options, no log. */
void criu_stub_new_process(void);

/* Lets fdstore_add() fail after @skip calls that do not. */
void criu_stub_fail_fdstore(unsigned int skip);

/* What criu_point_of_no_return() returns, 0 or -errno. */
void criu_stub_fail_no_return(int error);

/* What criu_dump_aborted() returns, 0 or -errno. */
void criu_stub_abort(int error);

/* How often criu_point_of_no_return() was called in this process. */
unsigned int criu_stub_no_return(void);

/* Has this been logged? Forgets the log so far if it has. */
bool criu_stub_logged(const char *text);

/* Criu runs where paths lead elsewhere than they lead the machine's init. */
void criu_stub_be_elsewhere(void);

/* Criu is root of the machine. */
void criu_stub_be_privileged(void);

/*
 * Criu is root of the machine, in a control group whose filter forbids /dev/pram; and it can't
 * get out of there for @error, or if that is 0, it can.
 */
void criu_stub_be_in_container(int error);

/* And is it no more. */
void criu_stub_be_unprivileged(void);

/* Who has called criu packs what it dumps. */
void criu_stub_be_packed(void);

/* Another images directory; that of before, for it to be set again. */
int criu_stub_set_images_dir(int fd);

/* There is that much memory for copies, and at most twice as much; as much as there is after setup. */
void criu_stub_set_room(uint64_t bytes);

/* The program is from here on a criu that the plugin was not built for. */
void criu_stub_be_another_criu(void);

/*
 * Makes this process, a child, what a task is that CRIU restores: it has its task
 * in current and none of the open files but CRIU's service ones.
 */
void criu_stub_become_task(void);

#endif /* PRAM_TEST_CRIU_STUB_H */
