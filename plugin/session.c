// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "criu.h"
#include "device.h"
#include "kho.h"
#include "place.h"
#include "pram.h"
#include "session.h"

/* How long a checkpoint may be busy, see pram_session_wait(). */
#define BUSY_MS		2000U
#define BUSY_PAUSE_MS	20U

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
		pr_err("the images directory has been removed: create it again\n");
		return -ENOENT;
	}
	if ((size_t)len == sizeof(link)) {
		pr_err("the images directory's path is too long: set CRIU_PRAM_NAME\n");
		return -ENAMETOOLONG;
	}

	*path = strndup(link, len);
	return *path ? 0 : -ENOMEM;
}

/* One line of a small file, without its newline; "" if it can't be read. */
static void read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = 0;

	if (fd >= 0) {
		len = read(fd, line, size - 1);
		close(fd);
	}
	line[len > 0 ? len : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

static bool is_images_dir(const struct stat *st)
{
	struct stat own;

	return !fstat(criu_get_image_dir(), &own) && st->st_dev == own.st_dev &&
	       st->st_ino == own.st_ino;
}

static int set_name(struct pram_session *session)
{
	struct pram_place_root root;
	char boot[64];
	struct stat st;
	int ret;

	session->name = session->settings.name ?: session->images_dir;
	if (session->settings.name)
		return 0;
	if (pram_place_leads_init_to(session->images_dir, criu_get_image_dir()))
		return 0;
	/* Whoever has opened it may have been anywhere. */
	if (stat(session->images_dir, &st) || !is_images_dir(&st)) {
		pr_err("in criu's mount namespace %s is not the directory given by -D or by RPC: "
		       "set CRIU_PRAM_NAME for the dump and the restore\n", session->images_dir);
		return -EINVAL;
	}
	read_line("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
	ret = pram_place_root(&root);
	if (ret || !*boot) {
		pr_err("can't find out the mount namespace, on which the checkpoint's name depends: "
		       "mount /proc, or set CRIU_PRAM_NAME\n");
		return ret ?: -ENOENT;
	}
	if (asprintf(&session->own_name, "%s@mnt-%" PRIu64 ".%" PRIu64 "-%.8s",
		     session->images_dir, root.mount, root.inode, boot) < 0) {
		session->own_name = NULL;
		return -ENOMEM;
	}
	session->name = session->own_name;
	pr_warn("%s is another directory in the machine's first mount namespace: the checkpoint is "
		"called \"%s\"; to restore it elsewhere, or after a kexec, set CRIU_PRAM_NAME to "
		"this, or better set a name for the dump\n",
		session->images_dir, session->name);
	return 0;
}

int pram_session_begin(struct pram_session *session)
{
	char line[PATH_MAX], error[PRAM_SETTINGS_ERROR_MAX];
	int ret;

	*session = (struct pram_session){ .dev = -1 };

	ret = pram_settings_load(&session->settings, environ, opts.libdir, error);
	if (ret) {
		pr_err("%s\n", error);
		return ret;
	}
	pram_settings_print(&session->settings, line, sizeof(line));
	pr_info("settings: %s\n", line);

	ret = resolve_images_dir(&session->images_dir);
	if (ret)
		return ret;
	return set_name(session);
}

bool pram_session_wants_luo(void)
{
	char error[PRAM_SETTINGS_ERROR_MAX];
	struct pram_settings settings;
	bool luo;

	luo = !pram_settings_load(&settings, environ, opts.libdir, error) && settings.luo;
	pram_settings_free(&settings);
	return luo;
}

int pram_session_open(struct pram_session *session)
{
	int dev = session->settings.fd >= 0 ? pram_open_fd(session->settings.fd) :
					      pram_device_open(&session->outside);

	if (dev < 0)
		return dev;
	session->dev = dev;
	return 0;
}

bool pram_session_wait(int error, unsigned int *waited_ms)
{
	if (error != -EBUSY || *waited_ms >= BUSY_MS)
		return false;
	usleep(BUSY_PAUSE_MS * 1000);
	*waited_ms += BUSY_PAUSE_MS;
	return true;
}

/* Who is root is told what else may forbid it. */
static void forbidden(const struct pram_session *session, int error)
{
	if (!pram_place_is_privileged())
		pr_err("may not open " PRAM_DEVICE_PATH ": run criu as root, with CAP_SYS_ADMIN in "
		       "the initial user namespace\n");
	else if (error == -EACCES)
		pr_err("may not open " PRAM_DEVICE_PATH " although criu is root: it is on a mount "
		       "without devices, or a security module forbids it; open it in criu's parent "
		       "and set CRIU_PRAM_FD\n");
	else
		pr_err("may not open " PRAM_DEVICE_PATH " although criu is root: the device filter "
		       "of its control group forbids it, as that of a container does, and from the "
		       "root of the control groups, /sys/fs/cgroup, it can't be opened either: %s; "
		       "open it in criu's parent and set CRIU_PRAM_FD, or allow the group character "
		       "devices of major 10\n", strerror(-session->outside));
}

void pram_session_open_error(const struct pram_session *session, int error)
{
	switch (error) {
	case -EBADF:
	case -ENOTTY:
		pr_err("CRIU_PRAM_FD names no descriptor of " PRAM_DEVICE_PATH " that criu has "
		       "inherited: open it for reading and writing in criu's parent, without "
		       "O_CLOEXEC\n");
		break;
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		pr_err("there is no " PRAM_DEVICE_PATH ": %s\n", pram_absent_remedy());
		break;
	case -EACCES:
	case -EPERM:
		forbidden(session, error);
		break;
	case -EPROTO:
		pr_err("this plugin uses version %d of " PRAM_DEVICE_PATH ", the kernel another, "
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
	free(session->own_name);
	pram_settings_free(&session->settings);
	*session = (struct pram_session){ .dev = -1 };
}

bool pram_session_is_images_dir(int dfd)
{
	struct stat st;

	return dfd == criu_get_image_dir() || (!fstat(dfd, &st) && is_images_dir(&st));
}

bool pram_session_has_ordinary_images(void)
{
	return !faccessat(criu_get_image_dir(), "pstree.img", F_OK, 0);
}
