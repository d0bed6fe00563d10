// SPDX-License-Identifier: GPL-2.0
/*
 * Streams as files: what /dev/pram hands out. The last close of a stream that
 * did not end well undoes it, so that a program that is killed leaves nothing
 * half done: a save is discarded, a load is put back.
 */

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/pid.h>
#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/uaccess.h>

#include "internal.h"

union pram_stream_buffer {
	struct pram_ioctl_seal	seal;
	struct pram_ioctl_adopt	adopt;
	struct pram_ioctl_map	map;
	struct pram_ioctl_adopt_file adopt_file;
	struct pram_ioctl_adopt_present adopt_present;
};

/**
 * pram_stream_of_file - the stream behind a file
 * @file: any file.
 *
 * Return: the stream, or NULL if the file is none.
 */
struct pram_stream *pram_stream_of_file(struct file *file)
{
	return file->f_op == &pram_stream_fops ? file->private_data : NULL;
}

static int pram_stream_release(struct inode *inode, struct file *file)
{
	struct pram_stream *ps = file->private_data;

	/* Each does nothing if the stream has ended or is of the other kind. */
	pram_discard_save(ps);
	pram_abort_load(ps);
	pram_family_leave(ps->family);
	if (ps->mm)
		mmdrop(ps->mm);
	kfree(ps);
	return 0;
}

static loff_t pram_stream_llseek(struct file *file, loff_t offset, int whence)
{
	loff_t size = i_size_read(file_inode(file));

	if (!(file->f_mode & FMODE_WRITE))
		return fixed_size_llseek(file, offset, whence, size);
	/* A stream for saving is at its end, always. */
	if (whence == SEEK_CUR || whence == SEEK_END)
		offset += size;
	else if (whence != SEEK_SET)
		return -EINVAL;
	return offset == size ? vfs_setpos(file, size, size) : -EINVAL;
}

/* What is written to a page stream is copied. */
static void pram_count_written(struct pram_node *node, struct pram_stream *ps,
			       ssize_t bytes)
{
	if (node->type == PRAM_PAGE_STREAM && bytes > 0)
		pram_count_copied(ps->flags & PRAM_SAVE_COPY ? PRAM_COPY_ASKED :
				  PRAM_COPY_WRITTEN, DIV_ROUND_UP(bytes, PAGE_SIZE));
}

static ssize_t pram_stream_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct pram_stream *ps = iocb->ki_filp->private_data;
	struct pram_node *node;
	ssize_t n;

	node = pram_stream_write_begin(ps, false);
	if (IS_ERR(node))
		return PTR_ERR(node);
	if (node->type == PRAM_PAGE_STREAM &&
	    !PAGE_ALIGNED(iov_iter_count(from))) {
		n = -EINVAL;
	} else if (iocb->ki_pos != node->bytes) {
		/* A stream grows at its end and nowhere else. */
		n = -EINVAL;
	} else {
		n = pram_data_append(node, from, pram_may_adopt(ps, node), ps->gfp);
		pram_count_written(node, ps, n);
		iocb->ki_pos = node->bytes;
		i_size_write(inode, node->bytes);
	}
	if (n == -ENOSPC)
		pram_log_full(node->name);
	pram_stream_write_end(node);
	return n;
}

static ssize_t pram_stream_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct pram_stream *ps = iocb->ki_filp->private_data;
	struct pram_node *node = pram_stream_read_begin(ps);
	ssize_t n;

	if (IS_ERR(node))
		return PTR_ERR(node);
	if (ps->flags & PRAM_LOAD_MAP && node->type == PRAM_PAGE_STREAM)
		n = pram_map_iter(ps, node, iocb->ki_pos, to);
	else
		n = pram_data_read(node, iocb->ki_pos, to);
	if (n > 0)
		iocb->ki_pos += n;
	pram_node_put(node);
	return n;
}

static int pram_ioctl_seal(struct file *file, union pram_stream_buffer *buf)
{
	if (buf->seal.flags)
		return -EOPNOTSUPP;
	return pram_seal_save(file->private_data);
}

/* Get a task's memory, with a reference to be put by mmput(). */
static struct mm_struct *pram_mm_of_pidfd(int pidfd)
{
	struct task_struct *task;
	struct mm_struct *mm;
	unsigned int flags;

	task = pidfd_get_task(pidfd, &flags);
	if (IS_ERR(task))
		return ERR_CAST(task);
	mm = mm_access(task, PTRACE_MODE_ATTACH_REALCREDS) ?: ERR_PTR(-ESRCH);
	put_task_struct(task);
	return mm;
}

/* Pages of @mm were taken over: it may be held when they are committed. Puts it. */
static void pram_stream_put_mm(struct file *file, struct mm_struct *mm)
{
	struct pram_stream *ps = file->private_data;
	struct mm_struct *old;

	mmgrab(mm);
	scoped_guard(spinlock, &ps->state_lock) {
		old = ps->mm;
		ps->mm = mm;
	}
	if (old)
		mmdrop(old);
	mmput(mm);
}

/* Get ranges that user space has named, to be freed by kvfree(). */
static struct pram_range *pram_get_ranges(u64 ranges, u32 nr)
{
	if (nr > PRAM_ADOPT_MAX)
		return ERR_PTR(-EINVAL);
	return vmemdup_user(u64_to_user_ptr(ranges),
			    array_size(nr, sizeof(struct pram_range)));
}

static int pram_ioctl_adopt(struct file *file, union pram_stream_buffer *buf)
{
	struct pram_ioctl_adopt *adopt = &buf->adopt;
	struct pram_range *ranges;
	struct mm_struct *mm;
	int err;

	adopt->pages = 0;
	if (adopt->flags)
		return -EOPNOTSUPP;
	ranges = pram_get_ranges(adopt->ranges, adopt->nr_ranges);
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);
	mm = pram_mm_of_pidfd(adopt->pidfd);
	err = PTR_ERR_OR_ZERO(mm);
	if (!err) {
		err = pram_adopt_ranges(file, mm, ranges, adopt->nr_ranges,
					&adopt->pages);
		pram_stream_put_mm(file, mm);
	}
	kvfree(ranges);
	return err;
}

static int pram_ioctl_adopt_present(struct file *file,
				    union pram_stream_buffer *buf)
{
	struct pram_ioctl_adopt_present *adopt = &buf->adopt_present;
	void __user *user = u64_to_user_ptr(adopt->found);
	struct pram_present found = {};
	struct mm_struct *mm;
	int err;

	adopt->pages = 0;
	found.max = adopt->nr_found;
	adopt->nr_found = 0;
	if (adopt->flags)
		return -EOPNOTSUPP;
	if (!found.max || found.max > PRAM_ADOPT_MAX)
		return -EINVAL;
	/* At most each second page is the first of a range. */
	if (adopt->end > adopt->start)
		found.max = min(found.max,
				((adopt->end - adopt->start) >> PAGE_SHIFT) / 2 + 1);
	found.ranges = kvmalloc_array(found.max, sizeof(*found.ranges), GFP_KERNEL);
	if (!found.ranges)
		return -ENOMEM;
	mm = pram_mm_of_pidfd(adopt->pidfd);
	err = PTR_ERR_OR_ZERO(mm);
	if (!err) {
		err = pram_adopt_present(file, mm, &adopt->start, adopt->end, &found,
					 &adopt->pages);
		pram_stream_put_mm(file, mm);
	}
	if (copy_to_user(user, found.ranges, array_size(found.nr,
							sizeof(*found.ranges))))
		err = err ?: -EFAULT;
	else
		adopt->nr_found = found.nr;
	kvfree(found.ranges);
	return err;
}

static int pram_ioctl_adopt_file(struct file *file, union pram_stream_buffer *buf)
{
	struct pram_ioctl_adopt_file *adopt = &buf->adopt_file;
	struct pram_range *ranges;
	int err;

	adopt->pages = 0;
	if (adopt->flags)
		return -EOPNOTSUPP;

	CLASS(fd, from)(adopt->fd);
	if (fd_empty(from) || !(fd_file(from)->f_mode & FMODE_READ))
		return -EBADF;
	if (!shmem_file(fd_file(from)) && !is_file_hugepages(fd_file(from)))
		return -EINVAL;
	ranges = pram_get_ranges(adopt->ranges, adopt->nr_ranges);
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);
	err = pram_adopt_file(file, fd_file(from), ranges, adopt->nr_ranges,
			      &adopt->pages);
	kvfree(ranges);
	return err;
}

static int pram_ioctl_map(struct file *file, union pram_stream_buffer *buf)
{
	struct pram_stream *ps = file->private_data;
	struct pram_node *node;
	int err;

	buf->map.same = 0;
	if (buf->map.flags)
		return -EOPNOTSUPP;
	node = pram_stream_read_begin(ps);
	if (IS_ERR(node))
		return PTR_ERR(node);
	if (!(ps->flags & PRAM_LOAD_MAP) || node->type != PRAM_PAGE_STREAM)
		err = -EINVAL;
	else
		err = pram_map_range(ps, node, &buf->map);
	pram_node_put(node);
	return err;
}

/**
 * struct pram_stream_ioctl - one ioctl of a stream
 * @cmd: the ioctl.
 * @size: size of its structure in bytes, as this kernel knows it.
 * @min_size: size of its structure in bytes, as the first version had it.
 * @copy_out: the structure is written back, also on an error: it says what was done.
 * @fn: does it; the structure has been copied in.
 */
struct pram_stream_ioctl {
	unsigned int	cmd;
	unsigned int	size;
	unsigned int	min_size;
	bool		copy_out;
	int		(*fn)(struct file *file, union pram_stream_buffer *buf);
};

#define PRAM_STREAM_IOCTL(_cmd, _struct, _last, _copy_out, _fn)	\
{									\
	.cmd = _cmd,							\
	.size = sizeof(struct _struct),					\
	.min_size = offsetofend(struct _struct, _last),			\
	.copy_out = _copy_out,						\
	.fn = _fn,							\
}

static const struct pram_stream_ioctl pram_stream_ioctls[] = {
	PRAM_STREAM_IOCTL(PRAM_IOCTL_SEAL, pram_ioctl_seal, flags, false,
			  pram_ioctl_seal),
	PRAM_STREAM_IOCTL(PRAM_IOCTL_ADOPT, pram_ioctl_adopt, pages, true,
			  pram_ioctl_adopt),
	PRAM_STREAM_IOCTL(PRAM_IOCTL_MAP, pram_ioctl_map, same, true,
			  pram_ioctl_map),
	PRAM_STREAM_IOCTL(PRAM_IOCTL_ADOPT_FILE, pram_ioctl_adopt_file, pages, true,
			  pram_ioctl_adopt_file),
	PRAM_STREAM_IOCTL(PRAM_IOCTL_ADOPT_PRESENT, pram_ioctl_adopt_present, pages, true,
			  pram_ioctl_adopt_present),
};

static long pram_stream_ioctl(struct file *file, unsigned int cmd,
			      unsigned long arg)
{
	void __user *user = (void __user *)arg;
	union pram_stream_buffer buf;
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(pram_stream_ioctls); i++) {
		const struct pram_stream_ioctl *op = &pram_stream_ioctls[i];
		u32 size;

		if (op->cmd != cmd)
			continue;
		if (get_user(size, (u32 __user *)user))
			return -EFAULT;
		if (size < op->min_size)
			return -EINVAL;
		err = copy_struct_from_user(&buf, op->size, user, size);
		if (err)
			return err;
		err = op->fn(file, &buf);
		if (op->copy_out && copy_to_user(user, &buf, min(size, op->size)))
			return err ?: -EFAULT;
		return err;
	}
	return -ENOTTY;
}

const struct file_operations pram_stream_fops = {
	.owner		= THIS_MODULE,
	.llseek		= pram_stream_llseek,
	.read_iter	= pram_stream_read_iter,
	.write_iter	= pram_stream_write_iter,
	.splice_read	= copy_splice_read,
	.splice_write	= iter_file_splice_write,
	.unlocked_ioctl	= pram_stream_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.release	= pram_stream_release,
};

static struct file *pram_stream_file(struct pram_stream *ps, int flags)
{
	struct file *file;

	file = anon_inode_create_getfile("[pram-stream]", &pram_stream_fops, ps,
					 flags, NULL);
	/* Anonymous files lack these, although this one has a position. */
	if (!IS_ERR(file))
		file->f_mode |= FMODE_PREAD | FMODE_PWRITE;
	return file;
}

/**
 * pram_stream_open_save - open a stream for saving as a file
 * @name: see pram_prepare_save_flags(), as for the other arguments.
 * @type: its type.
 * @flags: PRAM_SAVE_* flags.
 * @file: set to the file, whose last close ends the stream.
 *
 * Return: 0 or a negative errno.
 */
int pram_stream_open_save(const char *name, u32 type, u32 flags,
			  struct file **file)
{
	struct pram_stream *ps = kzalloc_obj(*ps);
	int err;

	if (!ps)
		return -ENOMEM;
	/* A dump that finds no memory fails; it does not kill others for it. */
	err = pram_prepare_save_flags(ps, name, type, flags, GFP_KERNEL |
				      __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (err == -ENOSPC)
		pram_log_full(name);
	if (err) {
		kfree(ps);
		return err;
	}
	*file = pram_stream_file(ps, O_WRONLY);
	if (IS_ERR(*file)) {
		pram_discard_save(ps);
		kfree(ps);
		return PTR_ERR(*file);
	}
	return 0;
}

/**
 * pram_stream_open_load - open a stream for loading as a file
 * @name: see pram_prepare_load_flags(), as for the other arguments.
 * @type: its type.
 * @flags: PRAM_LOAD_* flags.
 * @family: that of all streams from which pages may be mapped that the nodes share.
 * @file: set to the file, whose last close ends the stream.
 *
 * Return: 0 or a negative errno.
 */
int pram_stream_open_load(const char *name, u32 type, u32 flags,
			  struct pram_family *family, struct file **file)
{
	struct pram_stream *ps = kzalloc_obj(*ps);
	int err;

	if (!ps)
		return -ENOMEM;
	/* Who only looks needs no huge pages for it. */
	if (!(flags & PRAM_LOAD_PEEK))
		pram_hugetlb_refill();
	err = pram_prepare_load_flags(ps, name, type, flags);
	if (err) {
		kfree(ps);
		return err;
	}
	/*
	 * What was taken from a task in this boot may wait to be put on an LRU
	 * list: that is a reference, with which it could not be mapped. Nor could
	 * it while a task that is gone has it.
	 */
	if (flags & PRAM_LOAD_MAP && !ps->node->ser->kexec_count) {
		pram_exit_flush();
		lru_add_drain_all();
	}
	if (flags & PRAM_LOAD_MAP && pram_data_is_shared(ps->node))
		ps->family = pram_family_join(family);
	*file = pram_stream_file(ps, O_RDONLY);
	if (IS_ERR(*file)) {
		pram_abort_load(ps);
		pram_family_leave(ps->family);
		kfree(ps);
		return PTR_ERR(*file);
	}
	i_size_write(file_inode(*file), ps->node->bytes);
	return 0;
}
