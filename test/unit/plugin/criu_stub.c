// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build_id.h"
#include "caller.h"
#include "criu.h"
#include "criu_build_id.h"
#include "criu_stub.h"
#include "tasks.h"
#include "test_util.h"

#define NR_STORED	16

struct cr_options opts;
struct pstree_item *root_item;
struct pstree_item *current;

static struct pid root_pid;
static struct pstree_item root = { .pid = &root_pid };
static char images_dir[64];
static int images_dir_fd = -1;
static int stored[NR_STORED];
static int nr_stored;
static int fdstore_calls_left;
static int no_return_error, aborted_error;
static unsigned int nr_no_return;
static bool another_criu, elsewhere, privileged;
static bool filtered, packed;
static int no_way_out;
static uint64_t room_bytes;
static char log_text[16384];

void criu_stub_new_process(void)
{
	while (nr_stored)
		close(stored[--nr_stored]);
	fdstore_calls_left = -1;
	no_return_error = aborted_error = 0;
	nr_no_return = 0;
	another_criu = elsewhere = privileged = filtered = packed = false;
	room_bytes = UINT64_C(1) << 40;
	opts = (struct cr_options){ .final_state = TASK_DEAD };
	*log_text = '\0';
	current = NULL;
}

void criu_stub_setup(void)
{
	strcpy(images_dir, "/tmp/pram-test-images-XXXXXX");
	assert_non_null(mkdtemp(images_dir));
	images_dir_fd = open(images_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(images_dir_fd >= 0);
	root_pid.real = getpid();
	root_item = &root;
	criu_stub_new_process();
}

void criu_stub_teardown(void)
{
	criu_stub_new_process();
	close(images_dir_fd);
	assert_int_equal(rmdir(images_dir), 0);
}

const char *criu_stub_images_dir(void)
{
	return images_dir;
}

void criu_stub_fail_fdstore(unsigned int skip)
{
	fdstore_calls_left = skip;
}

void criu_stub_fail_no_return(int error)
{
	no_return_error = error;
}

void criu_stub_abort(int error)
{
	aborted_error = error;
}

unsigned int criu_stub_no_return(void)
{
	return nr_no_return;
}

bool criu_stub_logged(const char *text)
{
	if (!strstr(log_text, text)) {
		print_error("not logged: %s\nbut:\n%s", text, log_text);
		return false;
	}
	*log_text = '\0';
	return true;
}

void criu_stub_be_another_criu(void)
{
	another_criu = true;
}

void criu_stub_set_room(uint64_t bytes)
{
	room_bytes = bytes;
}

int __wrap_pram_room_get(struct pram_room *room);
int __wrap_pram_room_get(struct pram_room *room)
{
	*room = (struct pram_room){ .available = room_bytes, .most = 2 * room_bytes };
	return 0;
}

void criu_stub_be_elsewhere(void)
{
	elsewhere = true;
}

bool __wrap_pram_place_leads_init_to(const char *path, int fd);
bool __wrap_pram_place_leads_init_to(const char *path, int fd)
{
	assert_int_equal(fd, criu_get_image_dir());
	assert_int_equal(*path, '/');
	return !elsewhere;
}

void criu_stub_be_privileged(void)
{
	privileged = true;
}

bool __wrap_pram_place_is_privileged(void);
bool __wrap_pram_place_is_privileged(void)
{
	return privileged;
}

void criu_stub_be_in_container(int error)
{
	privileged = filtered = true;
	no_way_out = error;
	fake_pram_fail_open(EPERM);
}

void criu_stub_be_unprivileged(void)
{
	privileged = false;
}

void criu_stub_be_packed(void)
{
	packed = true;
}

bool __wrap_pram_caller_packs(char reason[PRAM_CALLER_REASON_MAX]);
bool __wrap_pram_caller_packs(char reason[PRAM_CALLER_REASON_MAX])
{
	strcpy(reason, "packed");
	return packed;
}

int criu_stub_set_images_dir(int fd)
{
	int old = images_dir_fd;

	images_dir_fd = fd;
	return old;
}

int __wrap_pram_place_enter_root_cgroup(void);
int __wrap_pram_place_enter_root_cgroup(void)
{
	/* Criu itself must stay in there. */
	if (getpid() == root_item->pid->real || !filtered)
		return -EDOM;
	if (no_way_out)
		return -no_way_out;
	fake_pram_fail_open(0);
	return 0;
}

int __wrap_pram_program_build_id(uint8_t id[PRAM_BUILD_ID_MAX]);
int __wrap_pram_program_build_id(uint8_t id[PRAM_BUILD_ID_MAX])
{
	static const uint8_t criu[] = { CRIU_BUILD_ID };

	memcpy(id, criu, sizeof(criu));
	/* One bit is enough. */
	id[sizeof(criu) - 1] ^= another_criu;
	return sizeof(criu);
}

void criu_stub_become_task(void)
{
	current = root_item;
	for (int fd = 3; fd < 1024; fd++) {
		bool service = fd == images_dir_fd;

		for (int i = 0; i < nr_stored; i++)
			service |= fd == stored[i];
		if (!service)
			close(fd);
	}
}

int criu_get_image_dir(void)
{
	return images_dir_fd;
}

int criu_dump_aborted(void)
{
	return aborted_error;
}

int criu_point_of_no_return(void)
{
	nr_no_return++;
	return no_return_error;
}

int fdstore_add(int fd)
{
	assert_true(nr_stored < NR_STORED);
	if (!fdstore_calls_left)
		return -1;
	fdstore_calls_left--;
	stored[nr_stored] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	assert_true(stored[nr_stored] >= 0);
	return nr_stored++;
}

int fdstore_get(int id)
{
	assert_in_range(id, 0, nr_stored - 1);
	return fcntl(stored[id], F_DUPFD_CLOEXEC, 0);
}

void print_on_level(unsigned int loglevel, const char *format, ...)
{
	const size_t used = strlen(log_text);
	va_list args;

	(void)loglevel;
	va_start(args, format);
	vsnprintf(log_text + used, sizeof(log_text) - used, format, args);
	va_end(args);
}
