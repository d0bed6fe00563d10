// SPDX-License-Identifier: GPL-2.0
/*
 * PRAM's counters: /sys/kernel/pram, one value per file, readable by anyone.
 * All are exact. They start at 0 with each boot. And the limit, which root can set.
 */

#include <linux/atomic.h>
#include <linux/capability.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kobject.h>
#include <linux/sysfs.h>

#include "internal.h"

static atomic64_t pram_counters[PRAM_NR_COUNTERS];

/**
 * pram_count - add to a counter
 * @counter: which.
 * @n: how much, in the counter's unit.
 */
void pram_count(enum pram_counter counter, s64 n)
{
	atomic64_add(n, &pram_counters[counter]);
}

/**
 * pram_counter_read - read a counter
 * @counter: which.
 *
 * Return: its value, in the counter's unit.
 */
u64 pram_counter_read(enum pram_counter counter)
{
	return atomic64_read(&pram_counters[counter]);
}

struct pram_counter_attr {
	struct kobj_attribute	attr;
	enum pram_counter	counter;
};

static ssize_t pram_counter_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	struct pram_counter_attr *counter =
		container_of(attr, struct pram_counter_attr, attr);

	return sysfs_emit(buf, "%llu\n", pram_counter_read(counter->counter));
}

#define PRAM_COUNTER_ATTR(_name, _counter)				\
static struct pram_counter_attr pram_attr_##_name = {			\
	.attr = __ATTR(_name, 0444, pram_counter_show, NULL),		\
	.counter = _counter,						\
}

PRAM_COUNTER_ATTR(pages_adopted, PRAM_PAGES_ADOPTED);
PRAM_COUNTER_ATTR(pages_shared, PRAM_PAGES_SHARED);
PRAM_COUNTER_ATTR(pages_migrated, PRAM_PAGES_MIGRATED);
PRAM_COUNTER_ATTR(pages_evacuated, PRAM_PAGES_EVACUATED);
PRAM_COUNTER_ATTR(pages_split, PRAM_PAGES_SPLIT);
PRAM_COUNTER_ATTR(pages_copied, PRAM_PAGES_COPIED);
PRAM_COUNTER_ATTR(pages_mapped, PRAM_PAGES_MAPPED);
PRAM_COUNTER_ATTR(pages_same, PRAM_PAGES_SAME);
PRAM_COUNTER_ATTR(pages_reused, PRAM_PAGES_REUSED);
PRAM_COUNTER_ATTR(pages_inserted, PRAM_PAGES_INSERTED);
PRAM_COUNTER_ATTR(pages_copied_on_load, PRAM_PAGES_COPIED_ON_LOAD);
PRAM_COUNTER_ATTR(pages_copied_on_touch, PRAM_PAGES_COPIED_ON_TOUCH);
PRAM_COUNTER_ATTR(bytes_saved, PRAM_BYTES_SAVED);
PRAM_COUNTER_ATTR(bytes_loaded, PRAM_BYTES_LOADED);
PRAM_COUNTER_ATTR(checksum_errors, PRAM_CHECKSUM_ERRORS);
PRAM_COUNTER_ATTR(data_pages, PRAM_DATA_PAGES);
PRAM_COUNTER_ATTR(meta_pages, PRAM_META_PAGES);

#define PRAM_REASON_ATTR(_name, _reason)				\
	PRAM_COUNTER_ATTR(pages_copied_##_name, PRAM_COPIED_BY_REASON + _reason)

PRAM_REASON_ATTR(written, PRAM_COPY_WRITTEN);
PRAM_REASON_ATTR(asked, PRAM_COPY_ASKED);
PRAM_REASON_ATTR(scratch, PRAM_COPY_SCRATCH);
PRAM_REASON_ATTR(partial, PRAM_COPY_PARTIAL);
PRAM_REASON_ATTR(file, PRAM_COPY_FILE);
PRAM_REASON_ATTR(shmem, PRAM_COPY_SHMEM);
PRAM_REASON_ATTR(hugetlb, PRAM_COPY_HUGETLB);
PRAM_REASON_ATTR(ksm, PRAM_COPY_KSM);
PRAM_REASON_ATTR(pinned, PRAM_COPY_PINNED);
PRAM_REASON_ATTR(swapped, PRAM_COPY_SWAPPED);
PRAM_REASON_ATTR(special, PRAM_COPY_SPECIAL);

static ssize_t abi_version_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", PRAM_ABI_VERSION);
}

static struct kobj_attribute abi_version_attr = __ATTR_RO(abi_version);

static ssize_t format_version_show(struct kobject *kobj,
				   struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", PRAM_FORMAT_VERSION);
}

static struct kobj_attribute format_version_attr = __ATTR_RO(format_version);

static ssize_t kho_version_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", KHO_FDT_COMPATIBLE);
}

static struct kobj_attribute kho_version_attr = __ATTR_RO(kho_version);

static ssize_t kexec_count_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", pram_kexec_count);
}

static struct kobj_attribute kexec_count_attr = __ATTR_RO(kexec_count);

static ssize_t lost_pages_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", pram_lost_pages);
}

static struct kobj_attribute lost_pages_attr = __ATTR_RO(lost_pages);

static ssize_t held_bytes_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", pram_held_bytes());
}

static struct kobj_attribute held_bytes_attr = __ATTR_RO(held_bytes);

static ssize_t max_bytes_show(struct kobject *kobj, struct kobj_attribute *attr,
			      char *buf)
{
	u64 max = pram_max_bytes();

	return max == U64_MAX ? sysfs_emit(buf, "max\n") :
				sysfs_emit(buf, "%llu\n", max);
}

static ssize_t max_bytes_store(struct kobject *kobj,
			       struct kobj_attribute *attr, const char *buf,
			       size_t count)
{
	unsigned long max;

	/* As for /dev/pram: the open file may have been passed on. */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (pram_parse_max(buf, &max))
		return -EINVAL;
	pram_set_max(max);
	return count;
}

static struct kobj_attribute max_bytes_attr = __ATTR_RW(max_bytes);

/* A reader makes kexec(2) wait. */
static ssize_t kexec_ready_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	int ready = pram_kexec_ready();

	return ready < 0 ? ready : sysfs_emit(buf, "%d\n", ready);
}

static struct kobj_attribute kexec_ready_attr = __ATTR_RO_MODE(kexec_ready, 0400);

#ifdef CONFIG_PRAM_TMPFS
static ssize_t tmpfs_writable_show(struct kobject *kobj,
				   struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", pram_tmpfs_nr_writable());
}

static struct kobj_attribute tmpfs_writable_attr = __ATTR_RO(tmpfs_writable);
#endif

static struct attribute *pram_attrs[] = {
	&abi_version_attr.attr,
	&format_version_attr.attr,
	&kho_version_attr.attr,
	&kexec_count_attr.attr,
	&lost_pages_attr.attr,
	&kexec_ready_attr.attr,
	&pram_attr_pages_adopted.attr.attr,
	&pram_attr_pages_shared.attr.attr,
	&pram_attr_pages_migrated.attr.attr,
	&pram_attr_pages_evacuated.attr.attr,
	&pram_attr_pages_split.attr.attr,
	&pram_attr_pages_copied.attr.attr,
	&pram_attr_pages_copied_written.attr.attr,
	&pram_attr_pages_copied_asked.attr.attr,
	&pram_attr_pages_copied_scratch.attr.attr,
	&pram_attr_pages_copied_partial.attr.attr,
	&pram_attr_pages_copied_file.attr.attr,
	&pram_attr_pages_copied_shmem.attr.attr,
	&pram_attr_pages_copied_hugetlb.attr.attr,
	&pram_attr_pages_copied_ksm.attr.attr,
	&pram_attr_pages_copied_pinned.attr.attr,
	&pram_attr_pages_copied_swapped.attr.attr,
	&pram_attr_pages_copied_special.attr.attr,
	&pram_attr_pages_mapped.attr.attr,
	&pram_attr_pages_same.attr.attr,
	&pram_attr_pages_reused.attr.attr,
	&pram_attr_pages_inserted.attr.attr,
	&pram_attr_pages_copied_on_load.attr.attr,
	&pram_attr_pages_copied_on_touch.attr.attr,
	&pram_attr_bytes_saved.attr.attr,
	&pram_attr_bytes_loaded.attr.attr,
	&pram_attr_checksum_errors.attr.attr,
	&pram_attr_data_pages.attr.attr,
	&pram_attr_meta_pages.attr.attr,
	&held_bytes_attr.attr,
	&max_bytes_attr.attr,
#ifdef CONFIG_PRAM_TMPFS
	&tmpfs_writable_attr.attr,
#endif
	NULL
};

static const struct attribute_group pram_group = {
	.attrs = pram_attrs,
};

/**
 * pram_stats_init - make /sys/kernel/pram
 *
 * Return: 0 or a negative errno.
 */
int pram_stats_init(void)
{
	struct kobject *kobj;
	int err;

	kobj = kobject_create_and_add("pram", kernel_kobj);
	if (!kobj)
		return -ENOMEM;
	err = sysfs_create_group(kobj, &pram_group);
	if (err)
		kobject_put(kobj);
	return err;
}
