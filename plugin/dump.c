// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint.h"
#include "criu.h"
#include "dump.h"
#include "session.h"

/* Of all pages images the one with the longest name, see image-desc.c of CRIU. */
#define LONGEST_PAGES_IMAGE	"pages-4294967295.img"

static struct pram_session session = { .dev = -1 };
static struct pram_checkpoint_writer *writer;

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

static void create_error(int error)
{
	switch (error) {
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

static void set_root(void)
{
	const pid_t pid = root_item->pid->real;
	char path[64], comm[32] = "";
	ssize_t len = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, comm, sizeof(comm) - 1);
		close(fd);
	}
	comm[len > 0 ? strcspn(comm, "\n") : 0] = '\0';
	if (pram_writer_set_root(writer, pid, *comm ? comm : NULL))
		pr_warn("out of memory: the index won't say which task was dumped\n");
}

int pram_dump_begin(void)
{
	const char *refused = pram_dump_refused_option();
	struct pram_writer_options options;
	int ret;

	if (refused) {
		pr_err("PRAM can't serve %s: dump without it, or to files, without the plugin\n",
		       refused);
		return -EOPNOTSUPP;
	}

	ret = pram_session_begin(&session);
	if (ret)
		goto err;
	ret = pram_session_open(&session);
	if (ret) {
		pram_session_open_error(ret);
		goto err;
	}
	ret = check_name();
	if (ret)
		goto err;

	options = (struct pram_writer_options){
		.replace = session.settings.replace,
		.checksums = session.settings.checksums,
		/* Tasks that run on would write to the pages that we took over. */
		.copy = opts.final_state != TASK_DEAD,
		.images_dir = session.images_dir,
		.criu_version = CRIU_VERSION,
	};
	ret = pram_writer_create(session.dev, session.name, &options, &writer);
	if (ret) {
		writer = NULL;
		create_error(ret);
		goto err;
	}
	set_root();

	if (pram_session_has_ordinary_images())
		pr_warn("%s holds ordinary images, too: a restore without the checkpoint in PRAM "
			"would take those\n", session.images_dir);
	pr_info("dumping to checkpoint \"%s\", pages are %s\n", session.name,
		options.copy ? "copied, as tasks run on" : "taken over where the kernel can");
	return 0;
err:
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
	return fd;
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

	ret = pram_writer_seal(writer, 0);
	if (ret) {
		pr_err("can't complete checkpoint \"%s\": %s; %s\n", session.name, strerror(-ret),
		       ret == -EMFILE ? "raise the limit of open files (ulimit -n)" :
					"the tasks run on, see the kernel's log");
		return ret;
	}
	ret = pram_writer_commit(writer);
	if (ret) {
		pr_err("can't commit checkpoint \"%s\": %s; the tasks run on, see the kernel's log\n",
		       session.name, strerror(-ret));
		return ret;
	}
	log_committed();
	pram_dump_end();
	return 0;
}

void pram_dump_end(void)
{
	pram_writer_close(writer);
	writer = NULL;
	pram_session_end(&session);
}
