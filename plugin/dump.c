// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "caller.h"
#include "checkpoint.h"
#include "criu.h"
#include "dump.h"
#include "marker.h"
#include "place.h"
#include "pram.h"
#include "pram_marker.h"
#include "session.h"
#include "tasks.h"

/* Of all pages images the one with the longest name, see image-desc.c of CRIU. */
#define LONGEST_PAGES_IMAGE	"pages-4294967295.img"

/*
 * Ranges for one call. Scattered memory has a range for each page, and all of them
 * at once, in another copy than CRIU's, would not be little.
 */
#define RANGES_MAX	16384U

/* A log is no list. */
#define LOST_FILES_SHOWN	8U

static struct pram_session session = { .dev = -1 };
static struct pram_checkpoint_writer *writer;
static int inventory = -1;	/* the image, if it is to leave a marker */
static enum pram_adopt adopt;	/* as set, or as far as the kernel can */
static uint64_t features;	/* of these PRAM_FEATURE_* kinds of memory */
static bool adopt_present;	/* the kernel finds what there is */
static bool tasks_die;		/* the kernel takes down what is left of them */
static uint32_t commit_flags;	/* PRAM_COMMIT_* */

const char *pram_dump_refused_option(void)
{
	if (opts.stream)
		return "--stream";
	if (opts.lazy_pages)
		return "--lazy-pages";
	if (opts.use_page_server)
		return "--page-server";
	if (opts.auto_dedup)
		return "--auto-dedup";
	if (opts.img_parent)
		return "--prev-images-dir";
	if (opts.track_mem)
		return "--track-mem";
	return NULL;
}

static int check_name(void)
{
	char node[PRAM_NAME_MAX];
	int ret;

	ret = pram_checkpoint_node_name(node, session.name, LONGEST_PAGES_IMAGE);
	if (ret)
		pr_err("the checkpoint's name \"%s\" is too long for PRAM: set CRIU_PRAM_NAME to "
		       "one of at most %zu bytes\n", session.name,
		       PRAM_NAME_MAX - sizeof(PRAM_CHECKPOINT_PREFIX) - sizeof(LONGEST_PAGES_IMAGE));
	return ret;
}

/* What to do if nodes hold all that they may. */
static void log_limit(void)
{
	struct pram_ioctl_info info;

	if (pram_info(session.dev, &info))
		return;
	pr_err("PRAM holds %" PRIu64 " of at most %" PRIu64 " bytes: raise "
	       PRAM_MAX_BYTES_PATH ", or remove checkpoints that \"pramctl list\" shows\n",
	       (uint64_t)info.held_bytes, (uint64_t)info.max_bytes);
}

static void create_error(int error)
{
	switch (error) {
	case -ENOSPC:
		pr_err("can't begin checkpoint \"%s\": the limit is reached\n", session.name);
		log_limit();
		break;
	case -EEXIST:
		pr_err("checkpoint \"%s\" exists: restore it, remove it by \"pramctl rm '%s'\", or "
		       "set CRIU_PRAM_REPLACE=yes\n", session.name, session.name);
		break;
	case -EBUSY:
		pr_err("checkpoint \"%s\" is being restored: wait for that, or set CRIU_PRAM_NAME "
		       "to another name\n", session.name);
		break;
	case -EBADMSG:
		pr_err("checkpoint \"%s\" is damaged and can't be replaced: remove it by "
		       "\"pramctl rm '%s'\"\n", session.name, session.name);
		break;
	default:
		pr_err("can't begin checkpoint \"%s\": %s; see the kernel's log\n", session.name,
		       strerror(-error));
	}
}

/* The start of a file of the root task's in /proc; empty if it can't be read. */
static void read_of_root(const char *name, char *text, size_t size)
{
	ssize_t len = 0;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", root_item->pid->real, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, text, size - 1);
		close(fd);
	}
	text[len > 0 ? len : 0] = '\0';
}

static void set_root(void)
{
	char comm[32], cgroups[PATH_MAX], *cgroup;

	read_of_root("comm", comm, sizeof(comm));
	comm[strcspn(comm, "\n")] = '\0';
	/* The line of version 2, which is the last one. */
	read_of_root("cgroup", cgroups, sizeof(cgroups));
	cgroup = strstr(cgroups, "0::/");
	if (cgroup && (cgroup == cgroups || cgroup[-1] == '\n')) {
		cgroup += strlen("0::");
		cgroup[strcspn(cgroup, "\n")] = '\0';
	} else {
		cgroup = NULL;
	}
	if (pram_writer_set_root(writer, root_item->pid->real, *comm ? comm : NULL, cgroup))
		pr_warn("out of memory: the index won't say which task was dumped\n");
}

/* How pages get into PRAM: not by more than the kernel can do. */
static int choose_adopt(void)
{
	struct pram_ioctl_info info;
	int ret;

	ret = pram_info(session.dev, &info);
	if (ret) {
		pr_err("can't ask " PRAM_DEVICE_PATH " what it can do: %s\n", strerror(-ret));
		return ret;
	}
	adopt = session.settings.adopt;
	if (!(info.features & PRAM_FEATURE_ADOPT))
		adopt = PRAM_ADOPT_NO;
	features = adopt == PRAM_ADOPT_RANGE ? info.features : 0;
	adopt_present = features & PRAM_FEATURE_ADOPT_PRESENT;
	commit_flags = 0;
	if (opts.final_state == TASK_DEAD && info.features & PRAM_FEATURE_EXITKILL)
		commit_flags |= PRAM_COMMIT_EXITKILL;
	/* It begins with the last close of the device, and whose it is may not close it soon. */
	tasks_die = opts.final_state == TASK_DEAD && info.features & PRAM_FEATURE_TASKS_DIE &&
		    session.settings.fd < 0;
	if (tasks_die)
		commit_flags |= PRAM_COMMIT_TASKS_DIE;
	return 0;
}

static void log_begun(void)
{
	static const char *const text[] = {
		[PRAM_ADOPT_RANGE] = "taken over from the tasks",
		[PRAM_ADOPT_NO] = "copied",
	};

	if (pram_session_has_ordinary_images())
		pr_warn("%s has ordinary images, too: they are not part of the checkpoint\n",
			session.images_dir);
	pr_info("dumping to checkpoint \"%s\", pages are %s%s\n", session.name, text[adopt],
		adopt == session.settings.adopt ? "" : ", as this kernel can't take them over");
}

/* Files that a restore in the next kernel will look for in vain. */
static void log_lost_files(const struct pram_tasks *tasks)
{
	size_t i;

	for (i = 0; i < tasks->nr_lost && i < LOST_FILES_SHOWN; i++)
		pr_warn("process %d has %s open, which a kexec destroys: after one it can't be "
			"restored; put it on a tmpfs with pram=, or on a disk\n",
			tasks->lost[i].pid, tasks->lost[i].path);
	if (i < tasks->nr_lost)
		pr_warn("and %zu more files: see \"pramctl check --task %d\"\n",
			tasks->nr_lost - i, tasks->pids[0]);
}

/* The paths are as this process sees them, which may be in the sandbox of a service. */
static int set_lost_files(const struct pram_tasks *tasks)
{
	struct pram_place_root root = { 0 };

	if (pram_place_is_first_mount_namespace())
		return pram_writer_set_lost_files(writer, tasks, NULL);
	pram_place_root(&root);
	return pram_writer_set_lost_files(writer, tasks, &root);
}

/*
 * What is known of the tasks is said before they are frozen; and what cannot be done for
 * lack of memory is not begun.
 */
static int look_at_tasks(struct pram_tasks *tasks)
{
	const uint64_t mib = 1 << 20;
	struct pram_room room;
	uint64_t copy, least;

	/* Who can't be looked at is CRIU's to report. */
	if (pram_tasks_look(root_item->pid->real, tasks))
		return 0;
	log_lost_files(tasks);
	if (pram_room_get(&room))
		return 0;
	copy = pram_tasks_copied(tasks, adopt == PRAM_ADOPT_NO, features, &least);
	pr_info("%zu tasks, up to %" PRIu64 " MiB of their memory is copied (shared %" PRIu64
		", deleted files %" PRIu64 ", hugetlb %" PRIu64 ", merged by KSM %" PRIu64 "), %"
		PRIu64 " MiB is available\n", tasks->nr, copy / mib,
		features & PRAM_FEATURE_ADOPT_FILE ? 0 : tasks->shared_bytes / mib,
		tasks->ghost_bytes / mib,
		tasks->hugetlb_bytes / mib,
		tasks->ksm_bytes / mib, room.available / mib);
	if (least > room.most) {
		pr_err("at least %" PRIu64 " MiB of the tasks' memory must be copied, and there is "
		       "not more than %" PRIu64 " MiB of memory for it: free some; \"pramctl check "
		       "--task %d\" says what is copied\n", least / mib, room.most / mib,
		       tasks->pids[0]);
		return -ENOMEM;
	}
	if (copy > room.available)
		pr_warn("%" PRIu64 " MiB may have to be copied and %" PRIu64 " MiB of memory is "
			"available: the dump may fail for lack of it\n", copy / mib,
			room.available / mib);
	return 0;
}

int pram_dump_begin(void)
{
	const char *refused = pram_dump_refused_option();
	struct pram_tasks tasks = { .nr = 0 };
	struct pram_writer_options options;
	char reason[PRAM_CALLER_REASON_MAX];
	unsigned int waited_ms = 0;
	int ret;

	if (refused) {
		pr_err("PRAM does not support %s: dump without it, or to files, without the plugin\n",
		       refused);
		return -EOPNOTSUPP;
	}
	if (pram_caller_packs(reason)) {
		pr_err("%s; or let criu dump without the plugin: see criu-pram-plugin(7)\n",
		       reason);
		return -EOPNOTSUPP;
	}

	if (pram_caller_will_fail(root_item->pid->real)) {
		pr_err("the container has a user namespace of its own, and criu can't restore one for "
		       "podman: run it without --userns\n");
		return -EOPNOTSUPP;
	}

	ret = pram_session_begin(&session);
	if (ret)
		goto err;
	ret = pram_session_open(&session);
	if (ret) {
		pram_session_open_error(&session, ret);
		goto err;
	}
	ret = check_name();
	if (ret)
		goto err;

	ret = choose_adopt();
	if (ret)
		goto err;
	ret = look_at_tasks(&tasks);
	if (ret)
		goto err;

	options = (struct pram_writer_options){
		.replace = session.settings.replace,
		.checksums = session.settings.checksums,
		.copy = adopt == PRAM_ADOPT_NO,
		.commit_flags = commit_flags,
		/* As long as the tasks run. */
		.evacuate = features & PRAM_FEATURE_EVACUATE,
		/* They die with the commit, or with criu: a kernel that can see to that. */
		.final = opts.final_state == TASK_DEAD && features & PRAM_FEATURE_FINAL &&
			 commit_flags & PRAM_COMMIT_EXITKILL,
		.images_dir = session.images_dir,
		.criu_version = CRIU_VERSION,
	};
	do {
		ret = pram_writer_create(session.dev, session.name, &options, &writer);
	} while (pram_session_wait(ret, &waited_ms));
	if (ret) {
		writer = NULL;
		create_error(ret);
		goto err;
	}
	set_root();
	if (set_lost_files(&tasks))
		pr_warn("out of memory: \"pramctl check --kexec\" won't name files that a kexec destroys\n");
	pram_tasks_free(&tasks);
	log_begun();
	return 0;
err:
	pram_tasks_free(&tasks);
	pram_session_end(&session);
	return ret;
}

bool pram_dump_active(void)
{
	return writer;
}

int pram_dump_create(const char *image)
{
	int fd;

	if (pram_checkpoint_is_pages_image(image))
		fd = pram_writer_pages(writer, image);
	else
		fd = pram_writer_image(writer, image);
	if (fd < 0)
		pr_err("can't create %s in checkpoint \"%s\": %s\n", image, session.name,
		       strerror(-fd));
	if (fd == -ENOSPC)
		log_limit();
	if (fd >= 0 && session.settings.marker && !strcmp(image, PRAM_MARKER_NAME)) {
		if (inventory >= 0)
			close(inventory);
		inventory = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
	return fd;
}

/*
 * Fills @ranges with what stands at *@iovs and moves on. Neighbours become one range,
 * so that a huge page is not cut where CRIU makes a difference, as around a stack.
 */
static unsigned int next_ranges(struct pram_range *ranges, const struct iovec **iovs,
				const struct iovec *end)
{
	unsigned int nr = 0;

	for (; *iovs < end; (*iovs)++) {
		const uintptr_t start = (uintptr_t)(*iovs)->iov_base;

		if (nr && ranges[nr - 1].start + ranges[nr - 1].len == start) {
			ranges[nr - 1].len += (*iovs)->iov_len;
			continue;
		}
		if (nr == RANGES_MAX)
			break;
		ranges[nr++] = (struct pram_range){ .start = start, .len = (*iovs)->iov_len };
	}
	return nr;
}

/* Of a task's memory, or of shared memory: @adopt_fn says what @from is. */
static int adopt_ranges(int fd, int from, const struct iovec *iovs, unsigned int nr_iovs,
			int (*adopt_fn)(int stream, int from, const struct pram_range *ranges,
					size_t nr_ranges, uint64_t *pages))
{
	const unsigned int size = nr_iovs < RANGES_MAX ? nr_iovs : RANGES_MAX;
	const struct iovec *end = iovs + nr_iovs;
	struct pram_range *ranges;
	int ret = 0;

	ranges = malloc(size * sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	while (iovs < end && !ret) {
		unsigned int nr = next_ranges(ranges, &iovs, end);

		ret = adopt_fn(fd, from, ranges, nr, NULL);
	}
	free(ranges);
	return ret;
}

static int open_process(int pid)
{
	const int pidfd = pidfd_open(pid, 0);
	int ret;

	if (pidfd >= 0)
		return pidfd;
	ret = -errno;
	pr_err("can't open process %d: %s\n", pid, strerror(-ret));
	return ret;
}

static void adopt_error(int pid, int error)
{
	pr_err("can't take over the pages of process %d: %s; the tasks run on%s\n", pid,
	       error == -ENOSPC ? "the limit is reached" : strerror(-error),
	       error == -ENOSPC ? "" : ", see the kernel's log");
	if (error == -ENOSPC)
		log_limit();
}

int pram_dump_pages(int fd, int pid, const struct iovec *iovs, unsigned int nr_iovs)
{
	int pidfd, ret;

	if (adopt != PRAM_ADOPT_RANGE)
		return -ENOTSUP;
	if (!nr_iovs)
		return 0;

	pidfd = open_process(pid);
	if (pidfd < 0)
		return pidfd;
	ret = adopt_ranges(fd, pidfd, iovs, nr_iovs, pram_adopt);
	close(pidfd);
	if (ret)
		adopt_error(pid, ret);
	return ret;
}

int pram_dump_present_pages(int fd, int pid, struct iovec *range, struct iovec *taken,
			    unsigned int *nr_taken)
{
	struct pram_range left, *found;
	uint32_t nr;
	int pidfd, ret;

	if (!adopt_present)
		return -ENOTSUP;
	if (!range)
		return 0;

	left = (struct pram_range){ .start = (uintptr_t)range->iov_base, .len = range->iov_len };
	nr = *nr_taken < RANGES_MAX ? *nr_taken : RANGES_MAX;
	pidfd = open_process(pid);
	if (pidfd < 0)
		return pidfd;
	found = malloc(nr * sizeof(*found));
	ret = found ? pram_adopt_present(fd, pidfd, &left, found, &nr) : -ENOMEM;
	close(pidfd);
	if (ret == -EOPNOTSUPP && left.len == range->iov_len) {
		ret = -ENOTSUP;
	} else if (ret) {
		adopt_error(pid, ret);
	} else {
		for (uint32_t i = 0; i < nr; i++)
			taken[i] = (struct iovec){ (void *)(uintptr_t)found[i].start, found[i].len };
		*nr_taken = nr;
		*range = (struct iovec){ (void *)(uintptr_t)left.start, left.len };
	}
	free(found);
	return ret;
}

int pram_dump_shared_pages(int fd, int shared, const struct iovec *iovs, unsigned int nr_iovs)
{
	int ret;

	if (!(features & PRAM_FEATURE_ADOPT_FILE))
		return -ENOTSUP;
	if (!nr_iovs) {
		/* It may be hugetlb, and the kernel an older one, that leaves that to CRIU. */
		ret = pram_adopt_file(fd, shared, NULL, 0, NULL);
		return ret == -EINVAL ? -ENOTSUP : ret;
	}
	ret = adopt_ranges(fd, shared, iovs, nr_iovs, pram_adopt_file);
	if (ret)
		pr_err("can't take over shared memory: %s; the tasks run on%s\n",
		       ret == -ENOSPC ? "the limit is reached" : strerror(-ret),
		       ret == -ENOSPC ? "" : ", see the kernel's log");
	if (ret == -ENOSPC)
		log_limit();
	return ret;
}

int pram_dump_unlink(const char *image)
{
	int ret;

	ret = pram_writer_unlink(writer, image);
	if (ret)
		pr_err("can't drop %s from checkpoint \"%s\": %s\n", image, session.name,
		       strerror(-ret));
	return ret;
}

static void log_committed(void)
{
	const PramCheckpoint *index = pram_writer_index(writer);
	uint64_t images = 0, pages = 0;

	for (size_t i = 0; i < index->n_image; i++)
		images += index->image[i]->size;
	for (size_t i = 0; i < index->n_pages; i++)
		pages += index->pages[i]->bytes;
	pr_info("checkpoint \"%s\" is committed: %zu images of %" PRIu64 " bytes, "
		"%zu pages images of %" PRIu64 " bytes\n", session.name, index->n_image, images,
		index->n_pages, pages);
}

int pram_dump_commit(void)
{
	int ret;

	ret = pram_writer_seal(writer);
	if (ret) {
		pr_err("can't complete checkpoint \"%s\": %s; %s\n", session.name, strerror(-ret),
		       ret == -EMFILE ? "raise the limit of open files (ulimit -n)" :
					"the tasks run on, see the kernel's log");
		if (ret == -ENOSPC)
			log_limit();
		return ret;
	}
	/* Sealing takes its time, in which criu may have been told to end. */
	ret = criu_dump_aborted();
	if (ret) {
		pr_err("checkpoint \"%s\" is given up before its commit; the tasks run on\n",
		       session.name);
		return ret;
	}
	/* All of it that can fail; the rest is its place, when there is what it marks. */
	if (session.settings.marker) {
		ret = pram_marker_write(criu_get_image_dir(), inventory);
		if (ret)
			return ret;
	}
	ret = pram_writer_commit(writer);
	if (ret && session.settings.marker)
		pram_marker_discard(criu_get_image_dir());
	if (ret) {
		pr_err("can't commit checkpoint \"%s\": %s; the tasks run on, see the kernel's log\n",
		       session.name, strerror(-ret));
		return ret;
	}
	/*
	 * A criu that is killed from here on takes the tasks with it, and its guard knows. A
	 * kernel with PRAM_FEATURE_EXITKILL has bound the tasks by the commit. Without, it is
	 * not done before the commit: a criu that is killed between the two leaves both the
	 * tasks and the checkpoint, which is a nuisance. Neither would be a loss.
	 */
	if (criu_point_of_no_return())
		pr_warn("can't bind the tasks to criu: if it is killed now they run on\n");
	/* It syncs a directory, which takes its time. */
	if (session.settings.marker && pram_marker_show(criu_get_image_dir()))
		pr_warn("can't put " PRAM_MARKER_NAME " into its place: programs that look for it "
			"won't find this checkpoint\n");
	log_committed();
	/* Tasks are killed when this is left: criu's end closes the device. */
	if (tasks_die)
		session.dev = -1;
	pram_dump_end();
	return 0;
}

void pram_dump_end(void)
{
	pram_writer_close(writer);
	writer = NULL;
	if (inventory >= 0)
		close(inventory);
	inventory = -1;
	pram_session_end(&session);
}
