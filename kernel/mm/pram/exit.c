// SPDX-License-Identifier: GPL-2.0
/*
 * Taking down the memory of tasks that were dumped, when they are gone.
 *
 * A task that is killed takes its page tables down before anybody hears that it is
 * dead: that is some 300 instructions for each page of 4 KiB. The program that dumps
 * the task waits for that, although mostly a kexec follows at once. So a commit may have
 * PRAM hold the memory of the tasks that were dumped, and the tasks die at once. When
 * the program closes the device, at its end at the latest, a worker takes the page
 * tables down, on a processor that has nothing better to do; a kexec does not wait for
 * it.
 *
 * Others may need what such a task had. So before the close returns, files are unmapped,
 * and the program file is released: no file system is busy because of a dead task.
 *
 * If a task still uses the memory, PRAM only drops its reference, and the task takes its
 * memory down by itself.
 */

#include <linux/completion.h>
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "internal.h"

/* Waits until the files of some tasks are unmapped. */
struct pram_waiter {
	atomic_t		nr;
	struct completion	done;
};

/**
 * struct pram_held_mm - memory of a task that dies
 * @link: in the list of all that is held.
 * @opener: the open device for which it is held.
 * @mm: the memory, with a reference by mmget().
 * @files: unmaps files.
 * @rest: takes down the rest of it.
 * @waiter: waits for @files.
 */
struct pram_held_mm {
	struct list_head	link;
	const void		*opener;
	struct mm_struct	*mm;
	struct work_struct	files;
	struct work_struct	rest;
	struct pram_waiter	*waiter;
};

static DEFINE_MUTEX(pram_held_lock);
static LIST_HEAD(pram_held);
static struct workqueue_struct *pram_exit_wq;

/* Does no task use it any more? Then none ever will: tasks get memory from tasks. */
static bool pram_mm_is_left(struct mm_struct *mm)
{
	return atomic_read(&mm->mm_users) == 1;
}

/* The next mapping of a file from @addr on. Return: false if there is none. */
static bool pram_next_file(struct mm_struct *mm, unsigned long addr,
			   unsigned long *start, unsigned long *end)
{
	VMA_ITERATOR(vmi, mm, addr);
	struct vm_area_struct *vma;
	bool found = false;

	mmap_read_lock(mm);
	for_each_vma(vmi, vma) {
		if (!vma->vm_file)
			continue;
		*start = vma->vm_start;
		*end = vma->vm_end;
		found = true;
		break;
	}
	mmap_read_unlock(mm);
	return found;
}

/*
 * Unmap files. As at an exit, a userfaultfd gets no event for that: nobody may be there
 * to read it.
 *
 * Return: 0 or a negative errno: a mapping may be sealed.
 */
static int pram_unmap_files(struct mm_struct *mm)
{
	unsigned long start, end = 0;
	int err = 0;

	kthread_use_mm(mm);
	while (!err && pram_next_file(mm, end, &start, &end)) {
		mmap_write_lock(mm);
		err = do_munmap(mm, start, end - start, NULL);
		mmap_write_unlock(mm);
	}
	kthread_unuse_mm(mm);
	if (!err)
		set_mm_exe_file(mm, NULL);
	return err;
}

static void pram_exit_rest(struct work_struct *work)
{
	struct pram_held_mm *held = container_of(work, struct pram_held_mm, rest);

	mmput(held->mm);
	kfree(held);
}

static void pram_exit_files(struct work_struct *work)
{
	struct pram_held_mm *held = container_of(work, struct pram_held_mm, files);
	struct pram_waiter *waiter = held->waiter;

	if (pram_mm_is_left(held->mm) && !pram_unmap_files(held->mm))
		queue_work(pram_exit_wq, &held->rest);
	else
		pram_exit_rest(&held->rest);
	/* A worker's last reference to a file goes a moment later. */
	flush_delayed_fput();
	if (atomic_dec_and_test(&waiter->nr))
		complete(&waiter->done);
}

/**
 * pram_exit_hold - keep the memory of a task that is about to be killed
 * @opener: the open device, whose last close calls pram_exit_let_go().
 * @mm: the memory; nothing is done if no task has it any more.
 */
void pram_exit_hold(const void *opener, struct mm_struct *mm)
{
	struct pram_held_mm *held;

	guard(mutex)(&pram_held_lock);
	list_for_each_entry(held, &pram_held, link)
		if (held->mm == mm)
			return;
	/* Without this the exit of its tasks takes longer, that is all. */
	held = kzalloc_obj(*held);
	if (!held || !mmget_not_zero(mm)) {
		kfree(held);
		return;
	}
	held->opener = opener;
	held->mm = mm;
	INIT_WORK(&held->files, pram_exit_files);
	INIT_WORK(&held->rest, pram_exit_rest);
	list_add_tail(&held->link, &pram_held);
}

/**
 * pram_exit_let_go - have memory that was held taken down
 * @opener: as for pram_exit_hold(); NULL for all memory that no task uses any more.
 *
 * Files that were mapped have been released when this returns.
 */
void pram_exit_let_go(const void *opener)
{
	struct pram_waiter waiter = { .nr = ATOMIC_INIT(1) };
	struct pram_held_mm *held, *next;

	init_completion(&waiter.done);
	scoped_guard(mutex, &pram_held_lock) {
		list_for_each_entry_safe(held, next, &pram_held, link) {
			if (opener ? held->opener != opener :
				     !pram_mm_is_left(held->mm))
				continue;
			list_del(&held->link);
			held->waiter = &waiter;
			atomic_inc(&waiter.nr);
			queue_work(system_dfl_wq, &held->files);
		}
	}
	if (!atomic_dec_and_test(&waiter.nr))
		wait_for_completion(&waiter.done);
}

/**
 * pram_exit_flush - wait until nothing is mapped any more by tasks that are gone
 */
void pram_exit_flush(void)
{
	pram_exit_let_go(NULL);
	flush_workqueue(pram_exit_wq);
}

/**
 * pram_exit_init - get ready to hold memory
 *
 * Return: 0 or -ENOMEM.
 */
int __init pram_exit_init(void)
{
	struct workqueue_attrs *attrs = alloc_workqueue_attrs();
	int err = -ENOMEM;

	pram_exit_wq = alloc_workqueue("pram_exit", WQ_UNBOUND, 0);
	if (attrs && pram_exit_wq) {
		/* There is no hurry, and the machine has other things to do. */
		attrs->nice = MAX_NICE;
		err = apply_workqueue_attrs(pram_exit_wq, attrs);
	}
	free_workqueue_attrs(attrs);
	return err;
}
