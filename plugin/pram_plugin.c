// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CRIU plugin that keeps images in PRAM, memory that survives kexec.
 *
 * A dump creates every image in one checkpoint, which is committed, all or
 * nothing, when CRIU can no longer let the tasks run on. A restore reads from it
 * and frees it when the tasks run. See criu-pram-plugin(7).
 */
#include <errno.h>
#include <fcntl.h>

#include "criu.h"
#include "dump.h"
#include "restore.h"
#include "session.h"

static int plugin_init(int stage)
{
	switch (stage) {
	case CR_PLUGIN_STAGE__DUMP:
		return pram_dump_begin();
	case CR_PLUGIN_STAGE__PRE_DUMP:
		pr_err("PRAM can't serve pre-dump: dump at once, or pre-dump to files, without the "
		       "plugin\n");
		return -EOPNOTSUPP;
	default:
		return pram_restore_share();
	}
}

/* Images of a parent directory are files; so are all if PRAM has no part in this. */
static int plugin_open_image(int dfd, const char *path, int flags)
{
	int fd;

	if (!pram_session_is_images_dir(dfd))
		return -ENOTSUP;

	if (!pram_dump_active())
		fd = pram_restore_open(path, flags);
	else
		fd = flags & O_CREAT ? pram_dump_create(path) : -ENOENT;

	/*
	 * CRIU makes some images a child's stdin or stdout by dup2(), which does
	 * nothing if they are that already: restored tasks have 0 to 2 free.
	 */
	if (fd >= 0)
		fcntl(fd, F_SETFD, 0);
	return fd;
}

static int plugin_unlink_image(int dfd, const char *path)
{
	if (!pram_dump_active() || !pram_session_is_images_dir(dfd))
		return -ENOTSUP;
	return pram_dump_unlink(path);
}

static int plugin_images_done(int stage, int ret)
{
	if (stage == CR_PLUGIN_STAGE__DUMP && pram_dump_active()) {
		if (!ret)
			return pram_dump_commit();
		pr_info("the dump has failed or was refused: its checkpoint is discarded\n");
		pram_dump_end();
		return 0;
	}
	if (stage == CR_PLUGIN_STAGE__RESTORE && pram_restore_active()) {
		if (!ret)
			return pram_restore_finish();
		pr_info("the restore has failed: the checkpoint stays in PRAM\n");
		pram_restore_end();
		return 0;
	}
	return -ENOTSUP;
}

/* After an error that CRIU met without IMAGES_DONE, or that was ours. */
static void plugin_exit(int stage, int ret)
{
	(void)stage;
	(void)ret;
	pram_dump_end();
	pram_restore_end();
}

__attribute__((visibility("default")))
CR_PLUGIN_REGISTER("pram_plugin", plugin_init, plugin_exit)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__OPEN_IMAGE, plugin_open_image)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__UNLINK_IMAGE, plugin_unlink_image)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__IMAGES_DONE, plugin_images_done)
