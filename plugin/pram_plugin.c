// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CRIU plugin that keeps images in PRAM, memory that survives kexec.
 *
 * A dump creates every image in one checkpoint, which is committed, all or
 * nothing, when CRIU can no longer let the tasks run on. A restore reads from it
 * and frees it right before the tasks run. See criu-pram-plugin(7).
 */
#include <errno.h>
#include <fcntl.h>

#include "criu.h"
#include "criu_build.h"
#include "dump.h"
#include "luo/luo.h"
#include "restore.h"
#include "session.h"

/* Where checkpoints are kept. */
static const struct backend {
	int	(*dump_begin)(void);
	bool	(*dump_active)(void);
	int	(*dump_create)(const char *image);
	int	(*dump_unlink)(const char *image);
	int	(*dump_commit)(void);
	void	(*dump_end)(void);
	int	(*restore_open)(const char *image, int flags);
	int	(*restore_share)(void);
	bool	(*restore_active)(void);
	void	(*restore_failed)(void);
	int	(*restore_finish)(void);
	void	(*restore_end)(void);
} pram_backend = {
	pram_dump_begin, pram_dump_active, pram_dump_create, pram_dump_unlink, pram_dump_commit,
	pram_dump_end, pram_restore_open, pram_restore_share, pram_restore_active,
	pram_restore_failed, pram_restore_finish, pram_restore_end,
}, luo_backend = {
	luo_dump_begin, luo_dump_active, luo_dump_create, luo_dump_unlink, luo_dump_commit,
	luo_dump_end, luo_restore_open, luo_restore_share, luo_restore_active,
	luo_restore_failed, luo_restore_finish, luo_restore_end,
};

static const struct backend *chosen;

/* As soon as anything is asked for, which on restore is before plugin_init(). */
static const struct backend *backend(void)
{
	if (!chosen)
		chosen = pram_session_wants_luo() ? &luo_backend : &pram_backend;
	return chosen;
}

static int plugin_init(int stage)
{
	/* Before anything of CRIU's is looked at. */
	if (!pram_criu_is_ours())
		return -ENOEXEC;

	switch (stage) {
	case CR_PLUGIN_STAGE__DUMP:
		return backend()->dump_begin();
	case CR_PLUGIN_STAGE__PRE_DUMP:
		pr_err("PRAM does not support pre-dump: dump at once, or pre-dump to files, without the "
		       "plugin\n");
		return -EOPNOTSUPP;
	default:
		return backend()->restore_share();
	}
}

/* Images of a parent directory are files; so are all if PRAM has no part in this. */
static int plugin_open_image(int dfd, const char *path, int flags)
{
	int fd;

	/* On restore this is the first call; in another criu it may be another hook. */
	if (!chosen && !pram_criu_is_ours())
		return -ENOEXEC;
	if (!pram_session_is_images_dir(dfd))
		return -ENOTSUP;

	if (!backend()->dump_active())
		fd = backend()->restore_open(path, flags);
	else
		fd = flags & O_CREAT ? backend()->dump_create(path) : -ENOENT;

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
	if (!backend()->dump_active() || !pram_session_is_images_dir(dfd))
		return -ENOTSUP;
	return backend()->dump_unlink(path);
}

static int plugin_dump_pages(int fd, int pid, const struct iovec *iovs, unsigned int nr_iovs)
{
	return pram_dump_active() ? pram_dump_pages(fd, pid, iovs, nr_iovs) : -ENOTSUP;
}

static int plugin_dump_shared_pages(int fd, int shared, const struct iovec *iovs,
				    unsigned int nr_iovs)
{
	return pram_dump_active() ? pram_dump_shared_pages(fd, shared, iovs, nr_iovs) : -ENOTSUP;
}

static int plugin_images_done(int stage, int ret)
{
	if (stage == CR_PLUGIN_STAGE__DUMP && backend()->dump_active()) {
		if (!ret)
			return backend()->dump_commit();
		pr_info("the dump has failed or was refused: its checkpoint is discarded\n");
		backend()->dump_end();
		return 0;
	}
	if (stage == CR_PLUGIN_STAGE__RESTORE && backend()->restore_active()) {
		if (!ret)
			return backend()->restore_finish();
		backend()->restore_failed();
		backend()->restore_end();
		return 0;
	}
	return -ENOTSUP;
}

static int plugin_share_pages(void)
{
	return pram_restore_shares_pages() ? 0 : -ENOTSUP;
}

/* After an error that CRIU met without IMAGES_DONE, or that was ours. */
static void plugin_exit(int stage, int ret)
{
	(void)stage;
	(void)ret;
	backend()->dump_end();
	backend()->restore_end();
	chosen = NULL;
}

__attribute__((visibility("default")))
CR_PLUGIN_REGISTER("pram_plugin", plugin_init, plugin_exit)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__OPEN_IMAGE, plugin_open_image)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__UNLINK_IMAGE, plugin_unlink_image)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__IMAGES_DONE, plugin_images_done)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__DUMP_PAGES, plugin_dump_pages)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__SHARE_PAGES, plugin_share_pages)
CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__DUMP_SHARED_PAGES, plugin_dump_shared_pages)
