/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known of tasks before they are dumped: which of their files a kexec destroys, what
 * criu refuses, and how much of their memory a dump has to copy. All of it by /proc, without stopping
 * anybody and without walking page tables; so it is an estimate of tasks that run.
 */
#ifndef PRAM_LIB_TASKS_H
#define PRAM_LIB_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct pram_task_file - a file that tasks have open, mapped or both
 * @dev: its device
 * @ino: its inode
 * @pid: the first task that has it
 * @path: its path there
 */
struct pram_task_file {
	dev_t	dev;
	ino_t	ino;
	pid_t	pid;
	char	*path;
};

/**
 * struct pram_task_refused - something of a task that criu does not dump
 * @pid: the task
 * @what: what it has, as in "process 7 has WHAT"
 */
struct pram_task_refused {
	pid_t	pid;
	char	*what;
};

/**
 * struct pram_tasks - a task and all its descendants
 * @pids: their pids
 * @nr: number of these
 * @lost: files with a name on file systems in memory that no kexec leaves: a restore
 *	looks for them in vain. Not those of tasks with a mount namespace that is not ours,
 *	which CRIU dumps along with them.
 * @nr_lost: number of these
 * @refused: what criu does not dump, or not restore where it lies: each of a kind once a task.
 *	Only what is certain; a dump may be refused for something else.
 * @nr_refused: number of these
 * @unseen: the first task that the caller may not look at, so that nothing is known of its files
 *	and sockets; 0 if there is none
 * @shared_bytes: shared memory: shared anonymous mappings, memfds, SysV segments
 * @ghost_bytes: deleted files of a tmpfs, which are copied
 * @hugetlb_bytes: memory in hugetlb pages; counted for each task that has them
 * @ksm_bytes: memory merged by KSM, where each task gets a copy
 * @anon_bytes: other private memory, which is copied only if nothing is to be taken over
 */
struct pram_tasks {
	pid_t			*pids;
	size_t			nr;
	struct pram_task_file	*lost;
	size_t			nr_lost;
	struct pram_task_refused *refused;
	size_t			nr_refused;
	pid_t			unseen;
	uint64_t		shared_bytes;
	uint64_t		ghost_bytes;
	uint64_t		hugetlb_bytes;
	uint64_t		ksm_bytes;
	uint64_t		anon_bytes;
};

/**
 * pram_tasks_look() - look at a task and its descendants
 * @root: the task's pid
 * @tasks: filled; ended by pram_tasks_free(), also after an error
 *
 * What ends meanwhile is left out, and so is what may not be looked at, see @unseen.
 *
 * Return: 0; -ESRCH if there is no such task; -ENOMEM.
 */
int pram_tasks_look(pid_t root, struct pram_tasks *tasks);

/*
 * The same of a service of systemd, whose mount namespace is not dumped, but made anew: so
 * files on file systems in memory that are only in there are lost as well.
 */
int pram_tasks_look_service(pid_t root, struct pram_tasks *tasks);

/**
 * pram_tasks_copied() - how much memory a dump copies, or its restore, as that of hugetlb
 * @tasks: from pram_tasks_look()
 * @all: nothing is to be taken over
 * @features: what the kernel can do: it takes shared memory over by
 *	%PRAM_FEATURE_ADOPT_FILE
 * @least: where to store what it cannot do without, in bytes
 *
 * Return: the most that it may be, in bytes. Pages that are pinned, and parts of large
 * folios that others hold, are not known and not in it.
 */
uint64_t pram_tasks_copied(const struct pram_tasks *tasks, bool all, uint64_t features,
			   uint64_t *least);

void pram_tasks_free(struct pram_tasks *tasks);

/**
 * pram_file_is_lost() - does a kexec destroy the file of that path?
 * @pid: the process whose root directory and mount namespace the path is of
 * @path: the path there
 *
 * Return: whether it does, or there is no such file now, or it can't be seen.
 */
bool pram_file_is_lost(pid_t pid, const char *path);

/**
 * struct pram_room - memory that there is for copies
 * @available: as the kernel estimates it, MemAvailable
 * @most: if all that can be dropped or swapped out is
 */
struct pram_room {
	uint64_t	available;
	uint64_t	most;
};

/* 0, or -errno if /proc/meminfo can't be read. */
int pram_room_get(struct pram_room *room);

#endif /* PRAM_LIB_TASKS_H */
