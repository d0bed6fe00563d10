// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "criu.h"
#include "pram.h"
#include "session.h"

static int resolve_images_dir(char **path)
{
	const int dfd = criu_get_image_dir();
	char link[PATH_MAX], self[64];
	struct stat st;
	ssize_t len;
	int ret;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", dfd);
	len = readlink(self, link, sizeof(link));
	if (len < 0 || fstat(dfd, &st)) {
		ret = -errno;
		pr_err("can't resolve the images directory by %s: %s; is /proc mounted?\n", self,
		       strerror(-ret));
		return ret;
	}
	if (!st.st_nlink) {
		pr_err("the images directory has been removed: make it anew\n");
		return -ENOENT;
	}
	if ((size_t)len == sizeof(link)) {
		pr_err("the images directory's path is too long: set CRIU_PRAM_NAME\n");
		return -ENAMETOOLONG;
	}

	*path = strndup(link, len);
	return *path ? 0 : -ENOMEM;
}

int pram_session_begin(struct pram_session *session)
{
	char line[PATH_MAX], error[PRAM_SETTINGS_ERROR_MAX];
	int ret;

	*session = (struct pram_session){ .dev = -1 };

	ret = pram_settings_load(&session->settings, environ, error);
	if (ret) {
		pr_err("%s\n", error);
		return ret;
	}
	pram_settings_print(&session->settings, line, sizeof(line));
	pr_info("settings: %s\n", line);

	ret = resolve_images_dir(&session->images_dir);
	if (ret)
		return ret;
	session->name = session->settings.name ?: session->images_dir;
	return 0;
}

bool pram_session_wants_luo(void)
{
	char error[PRAM_SETTINGS_ERROR_MAX];
	struct pram_settings settings;
	bool luo;

	luo = !pram_settings_load(&settings, environ, error) && settings.luo;
	pram_settings_free(&settings);
	return luo;
}

int pram_session_open(struct pram_session *session)
{
	int dev = pram_open();

	if (dev < 0)
		return dev;
	session->dev = dev;
	return 0;
}

void pram_session_open_error(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		pr_err("there is no " PRAM_DEVICE_PATH ": boot a kernel that has PRAM with kho=on; "
		       "\"pramctl check\" says what is missing\n");
		break;
	case -EACCES:
	case -EPERM:
		pr_err("may not open " PRAM_DEVICE_PATH ": run criu as root, with CAP_SYS_ADMIN in "
		       "the initial user namespace\n");
		break;
	case -EPROTO:
		pr_err("this plugin speaks version %d of " PRAM_DEVICE_PATH ", but not the kernel, "
		       "see /sys/kernel/pram/abi_version: install the plugin that came with the "
		       "kernel\n", PRAM_ABI_VERSION);
		break;
	default:
		pr_err("can't open " PRAM_DEVICE_PATH ": %s; run \"pramctl check\"\n",
		       strerror(-error));
	}
}

void pram_session_end(struct pram_session *session)
{
	if (session->dev >= 0)
		close(session->dev);
	free(session->images_dir);
	pram_settings_free(&session->settings);
	*session = (struct pram_session){ .dev = -1 };
}

bool pram_session_is_images_dir(int dfd)
{
	const int own = criu_get_image_dir();
	struct stat a, b;

	if (dfd == own)
		return true;
	return !fstat(dfd, &a) && !fstat(own, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool pram_session_has_ordinary_images(void)
{
	return !faccessat(criu_get_image_dir(), "inventory.img", F_OK, 0);
}
