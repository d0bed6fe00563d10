// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/pram: the ioctls of <uapi/linux/pram.h>.
 */

#define pr_fmt(fmt) "pram: " fmt

#include <linux/capability.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/overflow.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "internal.h"

union pram_ioctl_buffer {
	struct pram_ioctl_info		info;
	struct pram_ioctl_save		save;
	struct pram_ioctl_load		load;
	struct pram_ioctl_commit	commit;
	struct pram_ioctl_stat		stat;
	struct pram_ioctl_free		free;
};

/* Give a stream to the caller: the number in @fd, then the file behind it. */
static int pram_give_fd(struct file *file, s32 *fd, s32 __user *ufd)
{
	*fd = get_unused_fd_flags(O_CLOEXEC);
	if (*fd < 0) {
		fput(file);
		return *fd;
	}
	if (put_user(*fd, ufd)) {
		put_unused_fd(*fd);
		fput(file);
		return -EFAULT;
	}
	fd_install(*fd, file);
	return 0;
}

static int pram_check_user_name(const u8 *name)
{
	return strnlen(name, PRAM_NAME_MAX) == PRAM_NAME_MAX ? -ENAMETOOLONG : 0;
}

static int pram_ioctl_info(struct file *dev, union pram_ioctl_buffer *buf,
			   void __user *user)
{
	struct pram_ioctl_info *info = &buf->info;

	info->abi_version = PRAM_ABI_VERSION;
	info->features = PRAM_FEATURE_ADOPT | PRAM_FEATURE_MAP |
			 PRAM_FEATURE_SHARE | PRAM_FEATURE_ADOPT_PRESENT |
			 PRAM_FEATURE_TASKS_DIE | PRAM_FEATURE_EVACUATE |
			 PRAM_FEATURE_EXITKILL;
	if (IS_ENABLED(CONFIG_SHMEM))
		info->features |= PRAM_FEATURE_ADOPT_FILE | PRAM_FEATURE_FINAL;
	pram_count_nodes(&info->nr_nodes, &info->nr_broken);
	info->data_pages = pram_counter_read(PRAM_DATA_PAGES);
	info->meta_pages = pram_counter_read(PRAM_META_PAGES);
	info->kexec_count = pram_kexec_count;
	info->lost_pages = pram_lost_pages;
	info->held_bytes = pram_held_bytes();
	info->max_bytes = pram_max_bytes();
	return 0;
}

static int pram_ioctl_save(struct file *dev, union pram_ioctl_buffer *buf,
			   void __user *user)
{
	struct pram_ioctl_save __user *usave = user;
	struct pram_ioctl_save *save = &buf->save;
	struct file *file;
	int err;

	err = pram_check_user_name(save->name);
	if (err)
		return err;
	err = pram_stream_open_save(save->name, save->type,
				    save->flags & ~PRAM_SAVE_EVACUATE, &file);
	if (err)
		return err;
	if (save->flags & PRAM_SAVE_EVACUATE)
		pram_evacuate_scratch();
	return pram_give_fd(file, &save->fd, &usave->fd);
}

static int pram_ioctl_load(struct file *dev, union pram_ioctl_buffer *buf,
			   void __user *user)
{
	struct pram_ioctl_load __user *uload = user;
	struct pram_ioctl_load *load = &buf->load;
	struct file *file;
	int err;

	err = pram_check_user_name(load->name);
	if (err)
		return err;
	err = pram_stream_open_load(load->name, load->type, load->flags,
				    dev->private_data, &file);
	if (err)
		return err;
	return pram_give_fd(file, &load->fd, &uload->fd);
}

/* Hold the memory of the task whose pages a stream has taken over. */
static void pram_hold_task(struct file *dev, struct pram_stream *ps)
{
	struct mm_struct *mm;

	scoped_guard(spinlock, &ps->state_lock) {
		mm = ps->mm;
		ps->mm = NULL;
	}
	if (mm) {
		pram_exit_hold(dev, mm);
		mmdrop(mm);
	}
}

/*
 * Have the tasks that we trace die with us. We can't be killed between the commit and this:
 * a signal waits until the call returns.
 */
static void pram_bind_tracees(void)
{
	struct task_struct *tracee;

	/* Nobody but their tracer changes these flags, until it is their tracer no more. */
	read_lock(&tasklist_lock);
	list_for_each_entry(tracee, &current->ptraced, ptrace_entry)
		tracee->ptrace |= PT_EXITKILL;
	read_unlock(&tasklist_lock);
}

static int pram_commit_files(struct file *dev, const s32 *fds, struct file **files,
			     struct pram_stream **streams, unsigned int nr,
			     u32 flags)
{
	unsigned int got = 0;
	int err = 0;

	for (; got < nr; got++) {
		files[got] = fget(fds[got]);
		if (!files[got]) {
			err = -EBADF;
			break;
		}
		streams[got] = pram_stream_of_file(files[got]);
		if (!streams[got]) {
			fput(files[got]);
			err = -EINVAL;
			break;
		}
	}
	if (!err)
		err = pram_end_streams(streams, nr);
	if (!err && flags & PRAM_COMMIT_EXITKILL)
		pram_bind_tracees();
	while (got--) {
		if (!err && flags & PRAM_COMMIT_TASKS_DIE)
			pram_hold_task(dev, streams[got]);
		fput(files[got]);
	}
	return err;
}

static int pram_ioctl_commit(struct file *dev, union pram_ioctl_buffer *buf,
			     void __user *user)
{
	const struct pram_ioctl_commit *commit = &buf->commit;
	struct pram_stream **streams;
	unsigned int nr = commit->nr_fds;
	struct file **files;
	int err = -ENOMEM;
	s32 *fds;

	if (commit->flags & ~(PRAM_COMMIT_TASKS_DIE | PRAM_COMMIT_EXITKILL))
		return -EOPNOTSUPP;
	if (commit->reserved || !nr || nr > PRAM_COMMIT_MAX)
		return -EINVAL;

	fds = vmemdup_array_user(u64_to_user_ptr(commit->fds), nr, sizeof(*fds));
	if (IS_ERR(fds))
		return PTR_ERR(fds);
	files = kvmalloc_array(nr, sizeof(*files), GFP_KERNEL);
	streams = kvmalloc_array(nr, sizeof(*streams), GFP_KERNEL);
	if (files && streams)
		err = pram_commit_files(dev, fds, files, streams, nr, commit->flags);
	kvfree(streams);
	kvfree(files);
	kvfree(fds);
	return err;
}

static int pram_ioctl_stat(struct file *dev, union pram_ioctl_buffer *buf,
			   void __user *user)
{
	struct pram_node_stat *node = &buf->stat.node;
	char name[PRAM_NAME_MAX];
	int err;

	if (buf->stat.reserved)
		return -EINVAL;
	err = pram_check_user_name(node->name);
	if (err)
		return err;
	memcpy(name, node->name, sizeof(name));
	return pram_stat(name, node);
}

static int pram_ioctl_list(struct file *dev, union pram_ioctl_buffer *buf,
			   void __user *user)
{
	if (buf->stat.reserved)
		return -EINVAL;
	return pram_stat_next(buf->stat.node.id, &buf->stat.node);
}

static int pram_ioctl_free(struct file *dev, union pram_ioctl_buffer *buf,
			   void __user *user)
{
	struct pram_ioctl_free *req = &buf->free;
	int err;

	if (req->flags & ~PRAM_FREE_ALL)
		return -EOPNOTSUPP;
	err = pram_check_user_name(req->name);
	if (err)
		return err;
	if (req->flags & PRAM_FREE_ALL) {
		if (req->id || req->name[0])
			return -EINVAL;
		req->nr_freed = pram_free_all();
		return 0;
	}
	if (!req->id == !req->name[0])
		return -EINVAL;
	err = req->name[0] ? pram_free(req->name) : pram_free_id(req->id);
	req->nr_freed = err ? 0 : 1;
	return err;
}

/**
 * struct pram_ioctl_op - one ioctl of /dev/pram
 * @cmd: the ioctl.
 * @size: size of its structure in bytes, as this kernel knows it.
 * @min_size: size of its structure in bytes, as the first version had it.
 * @copy_out: the structure is written back.
 * @run: does it; the structure has been copied in.
 */
struct pram_ioctl_op {
	unsigned int	cmd;
	unsigned int	size;
	unsigned int	min_size;
	bool		copy_out;
	int (*run)(struct file *dev, union pram_ioctl_buffer *buf,
		   void __user *user);
};

#define PRAM_IOCTL_OP(_cmd, _struct, _last, _copy_out, _run)	\
{								\
	.cmd = _cmd,						\
	.size = sizeof(struct _struct),				\
	.min_size = offsetofend(struct _struct, _last),		\
	.copy_out = _copy_out,					\
	.run = _run,						\
}

static const struct pram_ioctl_op pram_ioctl_ops[] = {
	PRAM_IOCTL_OP(PRAM_IOCTL_INFO, pram_ioctl_info, lost_pages, true,
		      pram_ioctl_info),
	PRAM_IOCTL_OP(PRAM_IOCTL_SAVE, pram_ioctl_save, name, false,
		      pram_ioctl_save),
	PRAM_IOCTL_OP(PRAM_IOCTL_LOAD, pram_ioctl_load, name, false,
		      pram_ioctl_load),
	PRAM_IOCTL_OP(PRAM_IOCTL_COMMIT, pram_ioctl_commit, fds, false,
		      pram_ioctl_commit),
	PRAM_IOCTL_OP(PRAM_IOCTL_STAT, pram_ioctl_stat, node, true,
		      pram_ioctl_stat),
	PRAM_IOCTL_OP(PRAM_IOCTL_LIST, pram_ioctl_stat, node, true,
		      pram_ioctl_list),
	PRAM_IOCTL_OP(PRAM_IOCTL_FREE, pram_ioctl_free, name, true,
		      pram_ioctl_free),
};

static long pram_dev_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg)
{
	void __user *user = (void __user *)arg;
	const struct pram_ioctl_op *op = NULL;
	union pram_ioctl_buffer buf = {};
	u32 size;
	int err;

	/* The open file may have been passed to a process without the right. */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	for (unsigned int i = 0; i < ARRAY_SIZE(pram_ioctl_ops); i++)
		if (pram_ioctl_ops[i].cmd == cmd)
			op = &pram_ioctl_ops[i];
	if (!op)
		return -ENOTTY;
	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < op->min_size)
		return -EINVAL;
	err = copy_struct_from_user(&buf, op->size, user, size);
	if (err)
		return err;
	err = op->run(file, &buf, user);
	if (err || !op->copy_out)
		return err;
	if (copy_to_user(user, &buf, min(size, op->size)))
		return -EFAULT;
	return 0;
}

static int pram_dev_open(struct inode *inode, struct file *file)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	file->private_data = pram_family_alloc();
	return file->private_data ? 0 : -ENOMEM;
}

static int pram_dev_release(struct inode *inode, struct file *file)
{
	pram_exit_let_go(file);
	pram_family_put(file->private_data);
	return 0;
}

static const struct file_operations pram_dev_fops = {
	.owner		= THIS_MODULE,
	.open		= pram_dev_open,
	.release	= pram_dev_release,
	.unlocked_ioctl	= pram_dev_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

static struct miscdevice pram_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "pram",
	.fops	= &pram_dev_fops,
	.mode	= 0600,
};

/**
 * pram_dev_init - make /dev/pram
 *
 * Return: 0 or a negative errno.
 */
int __init pram_dev_init(void)
{
	return misc_register(&pram_dev);
}

/* KHO goes by this, too; it says nothing if it is off in spite of it. */
static bool pram_kho_wanted __initdata =
	IS_ENABLED(CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT);

static int __init pram_parse_kho(char *arg)
{
	return kstrtobool(arg, &pram_kho_wanted);
}
early_param("kho", pram_parse_kho);

static int __init pram_init(void)
{
	int err = pram_handover_init();

	if (err == -ENODEV) {
		if (pram_kho_wanted)
			pr_warn("off: KHO is disabled in spite of kho=on, see its messages above; if it had no memory for its scratch areas, set other sizes by kho_scratch=\n");
		else
			pr_info("off: boot with kho=on to keep memory across kexec\n");
		pram_tell_unclaimed();
		return 0;
	}
	if (!err)
		err = pram_reboot_init();
	if (!err)
		err = pram_stats_init();
	if (!err)
		err = pram_exit_init();
	if (!err)
		err = pram_dev_init();
	if (err)
		pr_err("not available: %pe\n", ERR_PTR(err));
	return err;
}

/* After KHO, whose fs_initcall() it needs; before anything can be saved. */
device_initcall(pram_init);
