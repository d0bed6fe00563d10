// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "caller.h"
#include "checkpoint.h"
#include "criu.h"
#include "marker.h"
#include "pram.h"
#include "restore.h"
#include "session.h"

enum source {
	SOURCE_UNKNOWN,		/* no image has been asked for */
	SOURCE_FILES,
	SOURCE_PRAM,
	SOURCE_FAILED,
};

/*
 * The restore that this criu makes. It is frozen at the first fork: begin() and
 * pram_restore_share() set it before CRIU forks tasks, each task has a copy, and none of the
 * descriptors in it: these it gets from CRIU's fdstore.
 */
static struct {
	enum source		source;
	int			error;		/* of SOURCE_FAILED */
	struct pram_session	session;
	struct pram_checkpoint_reader *reader;
	uint64_t		checksum_errors;	/* before anything was read */
	bool			can_map;	/* the kernel can, and is to */
	bool			can_share;	/* and what is mapped is shared as it was */

	/* In the fdstore: the metadata stream; page streams in the order of the index. */
	int			stream_id;
	int			*pages_ids;
} restore = {
	.session.dev = -1,
	.stream_id = -1,
};

/* How often the kernel has found data damaged, in this boot. */
static uint64_t count_checksum_errors(void)
{
	char text[32] = "";
	ssize_t len = 0;
	int fd;

	fd = open("/sys/kernel/pram/checksum_errors", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[len > 0 ? len : 0] = '\0';
	return strtoull(text, NULL, 10);
}

/* What the last kexec has lost may have been what is looked for. */
static void log_lost(void)
{
	struct pram_ioctl_info info;

	if (!pram_info(restore.session.dev, &info) && info.lost_pages)
		pr_err("PRAM has lost at least %" PRIu64 " pages in the last kexec, which "
		       "arrived damaged: see the kernel's log\n", (uint64_t)info.lost_pages);
}

static void log_found(const struct pram_damage *damage)
{
	if (damage->broken)
		pr_err("node \"%s\" is damaged: see the kernel's log\n", damage->node);
	else
		pr_err("node \"%s\" is damaged: the checksum of its data at offset %" PRIu64
		       " is wrong\n", damage->node, damage->offset);
}

/* Says where a checkpoint is damaged that is known to be. */
static void log_damage(void)
{
	struct pram_damage damage;

	if (pram_checkpoint_find_damage(restore.session.dev, restore.session.name, &damage) > 0)
		log_found(&damage);
	else
		log_lost();
}

/* They may be of any age, so only if that was asked for. */
static int use_files(const char *reason)
{
	pr_warn("%s: restoring from the ordinary images in %s\n", reason, restore.session.images_dir);
	pram_session_end(&restore.session);
	restore.source = SOURCE_FILES;
	return 0;
}

const char *pram_restore_refused_option(void)
{
	if (opts.stream)
		return "--stream";
	if (opts.lazy_pages)
		return "--lazy-pages";
	if (opts.auto_dedup)
		return "--auto-dedup";
	return NULL;
}

/* Why the images that are there are not restored. */
static void log_files(void)
{
	if (pram_session_has_ordinary_images())
		pr_err("the ordinary images in %s may be older and are not restored instead; "
		       "to restore them, %s\n", restore.session.images_dir,
		       restore.session.settings.files ? "restore without the plugin" :
						"set CRIU_PRAM_FILES=yes");
}

/* Files in place of what the last kexec has lost would be the past, without a word. */
static bool files_will_do(void)
{
	struct pram_ioctl_info info;

	if (!restore.session.settings.files || !pram_session_has_ordinary_images())
		return false;
	return restore.session.dev < 0 || (!pram_info(restore.session.dev, &info) && !info.lost_pages);
}

static void open_error(int error)
{
	switch (error) {
	case -ENOENT:
		pr_err("there is no checkpoint \"%s\" in PRAM: \"pramctl list\" shows which there "
		       "are; give the images directory it was dumped to, or set CRIU_PRAM_NAME\n",
		       restore.session.name);
		log_lost();
		log_files();
		break;
	case -EBUSY:
		pr_err("checkpoint \"%s\" is being dumped or restored by another process, or tasks "
		       "of a restore that has failed are still ending: wait for them\n",
		       restore.session.name);
		break;
	case -EBADMSG:
		pr_err("checkpoint \"%s\" is damaged: remove it by \"pramctl rm '%s'\"\n",
		       restore.session.name, restore.session.name);
		log_damage();
		break;
	case -EPROTONOSUPPORT:
		pr_err("checkpoint \"%s\" has a format that this plugin does not know: restore it "
		       "with a newer plugin\n", restore.session.name);
		break;
	case -ENAMETOOLONG:
		pr_err("\"%s\" is too long for a checkpoint's name, so nothing was dumped to it: "
		       "set CRIU_PRAM_NAME\n", restore.session.name);
		break;
	default:
		pr_err("can't open checkpoint \"%s\": %s; see the kernel's log\n", restore.session.name,
		       strerror(-error));
	}
}

static int check_index(const PramCheckpoint *index)
{
	const char *refused = pram_restore_refused_option();

	if (refused) {
		pr_err("PRAM does not support %s: restore without it\n", refused);
		return -EOPNOTSUPP;
	}
	if (index->page_size != sysconf(_SC_PAGESIZE)) {
		pr_err("checkpoint \"%s\" has pages of %u bytes, this kernel of %ld: boot a kernel "
		       "with the same page size\n", restore.session.name, index->page_size,
		       sysconf(_SC_PAGESIZE));
		return -EINVAL;
	}
	return 0;
}

static uint32_t load_flags(void)
{
	/*
	 * A checkpoint that is to be kept is only looked at: what is in the fdstore
	 * holds it until CRIU exits, which may be long after the restore.
	 */
	return (restore.session.settings.map ? PRAM_LOAD_MAP : 0) |
	       (restore.session.settings.keep ? PRAM_LOAD_PEEK : 0);
}

static int begin(void)
{
	struct pram_ioctl_info info;
	const PramCheckpoint *index;
	unsigned int waited_ms = 0;
	int ret;

	ret = pram_session_begin(&restore.session);
	if (ret)
		return ret;
	if (pram_caller_keeps())
		restore.session.settings.keep = true;

	ret = pram_session_open(&restore.session);
	if (ret) {
		const bool no_pram = ret == -ENOENT || ret == -ENODEV || ret == -ENXIO;

		if (no_pram && files_will_do())
			return use_files("this kernel has no PRAM");
		pram_session_open_error(&restore.session, ret);
		if (no_pram)
			log_files();
		return ret;
	}

	ret = pram_info(restore.session.dev, &info);
	if (ret) {
		pr_err("can't ask " PRAM_DEVICE_PATH " what it can do: %s\n", strerror(-ret));
		return ret;
	}
	restore.can_map = restore.session.settings.map && (info.features & PRAM_FEATURE_MAP);
	restore.can_share = restore.can_map && (info.features & PRAM_FEATURE_SHARE);

	restore.checksum_errors = count_checksum_errors();

	do {
		ret = pram_reader_open(restore.session.dev, restore.session.name, load_flags(), &restore.reader);
	} while (pram_session_wait(ret, &waited_ms));
	if (ret) {
		restore.reader = NULL;
		if ((ret == -ENOENT || ret == -ENAMETOOLONG) && files_will_do())
			return use_files("PRAM has no such checkpoint");
		open_error(ret);
		return ret;
	}

	index = pram_reader_index(restore.reader);
	ret = check_index(index);
	if (ret)
		return ret;
	if (pram_session_has_ordinary_images())
		pr_warn("%s has ordinary images, too: they are ignored\n", restore.session.images_dir);
	pr_info("restoring from checkpoint \"%s\": %zu images, %zu pages images, dumped on Linux %s, "
		"pages are %s\n", restore.session.name, index->n_image, index->n_pages,
		index->kernel_release ?: "(unknown)", restore.can_map ? "mapped" : "copied");
	restore.source = SOURCE_PRAM;
	return 0;
}

static int find_pages(const char *image)
{
	const PramCheckpoint *index = pram_reader_index(restore.reader);

	for (size_t i = 0; i < index->n_pages; i++)
		if (!strcmp(index->pages[i]->image, image))
			return i;
	return -ENOENT;
}

static int open_pages(const char *image)
{
	int fd, i;

	i = find_pages(image);
	if (i < 0) {
		/* CRIU would go on with an image that is absent, and crash. */
		pr_err("checkpoint \"%s\" has no %s\n", restore.session.name, image);
		return -ENODATA;
	}
	if (!restore.pages_ids) {
		pr_err("%s is needed before the plugin was initialised\n", image);
		return -EPROTO;
	}
	fd = fdstore_get(restore.pages_ids[i]);
	return fd < 0 ? -EIO : fd;
}

static int open_small(const char *image)
{
	int fd, stream = -1;

	if (current) {
		stream = fdstore_get(restore.stream_id);
		if (stream < 0)
			return -EIO;
	}
	fd = pram_reader_image(restore.reader, stream, image);
	if (stream >= 0)
		close(stream);
	if (fd < 0 && fd != -ENOENT)
		pr_err("can't read %s of checkpoint \"%s\": %s\n", image, restore.session.name,
		       strerror(-fd));
	return fd;
}

int pram_restore_open(const char *image, int flags)
{
	if (restore.source == SOURCE_UNKNOWN) {
		restore.error = begin();
		if (restore.error) {
			pram_restore_end();
			restore.source = SOURCE_FAILED;
		}
	}
	/* -ENOENT would read as "there is no such image". */
	if (restore.source == SOURCE_FAILED)
		return restore.error == -ENOENT ? -ENODATA : restore.error;
	if (restore.source == SOURCE_FILES)
		return -ENOTSUP;

	if ((flags & O_ACCMODE) != O_RDONLY) {
		pr_err("can't open %s for writing: checkpoints don't change\n", image);
		return -EROFS;
	}
	return pram_checkpoint_is_pages_image(image) ? open_pages(image) : open_small(image);
}

bool pram_restore_shares_pages(void)
{
	return restore.can_share;
}

int pram_restore_share(void)
{
	const PramCheckpoint *index;
	unsigned int waited_ms = 0;
	int ret;

	if (restore.source != SOURCE_PRAM)
		return 0;

	do {
		ret = pram_reader_open_pages(restore.reader);
	} while (pram_session_wait(ret, &waited_ms));
	if (ret) {
		pr_err("can't open the pages of checkpoint \"%s\": %s; \"pramctl show '%s'\" lists "
		       "them\n", restore.session.name, strerror(-ret), restore.session.name);
		if (ret == -EBADMSG)
			log_damage();
		return ret;
	}

	index = pram_reader_index(restore.reader);
	restore.pages_ids = calloc(index->n_pages + 1, sizeof(*restore.pages_ids));
	if (!restore.pages_ids)
		return -ENOMEM;
	restore.stream_id = fdstore_add(pram_reader_stream(restore.reader));
	if (restore.stream_id < 0)
		return -EIO;
	for (size_t i = 0; i < index->n_pages; i++) {
		restore.pages_ids[i] = fdstore_add(pram_reader_pages(restore.reader, index->pages[i]->image));
		if (restore.pages_ids[i] < 0)
			return -EIO;
	}
	return 0;
}

bool pram_restore_active(void)
{
	return restore.source == SOURCE_PRAM;
}

void pram_restore_failed(void)
{
	struct pram_damage damage;

	pr_info("the restore has failed: the checkpoint stays in PRAM\n");
	/* It is the tasks that meet what is damaged of their memory: they have no words for it. */
	if (count_checksum_errors() == restore.checksum_errors ||
	    pram_checkpoint_find_damage(restore.session.dev, restore.session.name, &damage) <= 0)
		return;
	pr_err("checkpoint \"%s\" is damaged: remove it by \"pramctl rm '%s'\"\n", restore.session.name,
	       restore.session.name);
	log_found(&damage);
}

int pram_restore_finish(void)
{
	int ret = 0;

	if (restore.session.settings.keep) {
		pr_info("checkpoint \"%s\" is kept\n", restore.session.name);
	} else if (restore.session.settings.streams >= 0) {
		ret = pram_reader_send(restore.reader, restore.session.settings.streams);
		if (ret)
			pr_err("checkpoint \"%s\" can't be sent to the program that is to free it: %s\n",
			       restore.session.name, strerror(-ret));
		else
			pr_info("checkpoint \"%s\" is restored, and freed by the program that got its streams\n",
				restore.session.name);
	} else {
		ret = pram_reader_finish(restore.reader);
		if (ret)
			pr_err("the tasks run, but checkpoint \"%s\" can't be freed: %s; remove it "
			       "by \"pramctl rm '%s'\" when criu has exited\n", restore.session.name,
			       strerror(-ret), restore.session.name);
		else
			pr_info("checkpoint \"%s\" is restored and freed\n", restore.session.name);
		if (!ret)
			pram_marker_remove(criu_get_image_dir());
	}
	pram_restore_end();
	return ret;
}

void pram_restore_end(void)
{
	pram_reader_close(restore.reader);
	restore.reader = NULL;
	free(restore.pages_ids);
	restore.pages_ids = NULL;
	restore.stream_id = -1;
	restore.can_map = false;
	restore.can_share = false;
	pram_session_end(&restore.session);
	restore.source = SOURCE_UNKNOWN;
}
