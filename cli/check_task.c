// SPDX-License-Identifier: GPL-2.0-only
/*
 * Before a task is dumped: how much of its memory, and of that of its descendants, will
 * be copied, is there room for it, and which of its files will a kexec destroy?
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "output.h"
#include "pram.h"
#include "tasks.h"
#include "util.h"

uint64_t check_features(void)
{
	_cleanup_close_ int dev = pram_open();
	struct pram_ioctl_info info;

	/* Where there is no PRAM that is said elsewhere. */
	return dev >= 0 && !pram_info(dev, &info) ? info.features : 0;
}

static void add_bytes(struct check *check, const char *item, uint64_t bytes)
{
	_cleanup_free_ char *found = output_bytes(bytes);

	if (bytes)
		check_add(check, item, CHECK_OK, found, "");
}

static void add_room(struct check *check, const struct pram_tasks *tasks)
{
	_cleanup_free_ char *copied = NULL, *available = NULL, *found = NULL;
	const uint64_t features = check_features();
	struct pram_room room;
	uint64_t copy, least;

	copy = pram_tasks_copied(tasks, false, features, &least);
	if (!(features & PRAM_FEATURE_ADOPT_FILE))
		add_bytes(check, "copied: shared memory", tasks->shared_bytes);
	add_bytes(check, "copied: deleted files", tasks->ghost_bytes);
	add_bytes(check, "copied: hugetlb", tasks->hugetlb_bytes);
	add_bytes(check, "copied: merged by KSM", tasks->ksm_bytes);
	if (pram_room_get(&room)) {
		check_add(check, "memory for copies", CHECK_UNKNOWN, "/proc/meminfo can't be read",
			  "mount /proc");
		return;
	}
	copied = output_bytes(copy);
	available = output_bytes(room.available);
	found = output_format("up to %s is copied, %s is available", copied, available);
	check_add(check, "memory for copies",
		  copy <= room.available ? CHECK_OK : CHECK_MISSING, found,
		  least > room.most ? "free some: the dump will be refused" :
				      "free some: the dump may fail");
}

static void add_lost(struct check *check, const struct pram_tasks *tasks)
{
	for (size_t i = 0; i < tasks->nr_lost; i++) {
		_cleanup_free_ char *item = output_format("file of process %d", tasks->lost[i].pid);
		_cleanup_free_ char *found =
			output_format("%s, in memory that a kexec destroys", tasks->lost[i].path);

		check_add(check, item, CHECK_LOST, found,
			  "keep it on a tmpfs with pram=, or on a disk");
	}
}

static void add_refused(struct check *check, const struct pram_tasks *tasks)
{
	for (size_t i = 0; i < tasks->nr_refused; i++) {
		_cleanup_free_ char *item = output_format("process %d", tasks->refused[i].pid);
		_cleanup_free_ char *what = output_format("it has %s", tasks->refused[i].what);
		char *remedy = strstr(what, ": ");

		if (remedy)
			*remedy = 0;
		check_add(check, item, CHECK_LOST, what, remedy ? remedy + 2 : "make the program do without it");
	}
}

enum pramctl_exit pramctl_check_task(const struct pramctl_args *args)
{
	struct check check = { .args = args };
	_cleanup_free_ char *found = NULL;
	_cleanup_close_ int dev = -1;
	struct pram_tasks tasks;
	char *end;
	long pid;
	int ret;

	errno = 0;
	pid = strtol(args->task, &end, 10);
	if (errno || *end || *args->task < '0' || *args->task > '9' || pid <= 0 || pid > INT32_MAX) {
		pramctl_error("'%s' is no pid", args->task);
		return PRAMCTL_USAGE;
	}
	/* What this kernel can take over, and what the task has, is for root to see. */
	dev = pram_open();
	if (dev == -EACCES || dev == -EPERM) {
		pramctl_open();
		return PRAMCTL_UNAVAILABLE;
	}
	ret = pram_tasks_look(pid, &tasks);
	if (ret) {
		pram_tasks_free(&tasks);
		if (ret == -ESRCH) {
			pramctl_error("there is no process %ld", pid);
			return PRAMCTL_NOT_FOUND;
		}
		pramctl_error("process %ld: %s", pid, strerror(-ret));
		return PRAMCTL_FAILED;
	}
	if (tasks.unseen) {
		pramctl_error("process %d can't be examined; run pramctl as root", tasks.unseen);
		pram_tasks_free(&tasks);
		return PRAMCTL_UNAVAILABLE;
	}
	check.items = output_new_array();
	found = output_format("%zu", tasks.nr);
	check_add(&check, "tasks", CHECK_OK, found, "");
	add_room(&check, &tasks);
	add_lost(&check, &tasks);
	add_refused(&check, &tasks);
	pram_tasks_free(&tasks);
	return check_end(&check, "able",
			 check.failed ? "As it is, it can't be dumped and restored after a kexec." :
					"Nothing is known that would keep it from surviving a kexec.");
}
