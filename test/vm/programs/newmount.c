// SPDX-License-Identifier: GPL-2.0-only
/*
 * tmpfs by the newer system calls, fsopen(2) and so on, and by mount(2) as it is,
 * without the options that mount(8) adds of its own.
 *
 *	newmount mount DIR [OPTION]...
 *	newmount remount DIR [OPTION]...
 *	newmount old-remount DIR OPTIONS
 *
 * Prints what the kernel has to say about the mount, and the errno if it fails.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* <sys/mount.h> has a part of <linux/mount.h> of its own. */
int mount(const char *source, const char *target, const char *type,
	  unsigned long flags, const void *data);

static void failed(int fs, const char *what)
{
	int errnum = errno;
	char message[512];
	ssize_t n;

	while ((n = read(fs, message, sizeof(message))) > 0)
		printf("%.*s\n", (int)n, message);
	printf("%s: %s (%s)\n", what, strerrorname_np(errnum), strerror(errnum));
	fflush(stdout);
	_exit(1);
}

static void configure(int fs, char **options)
{
	char *option, *value;
	int ret;

	for (; *options; options++) {
		option = *options;
		value = strchr(option, '=');
		if (value) {
			*value++ = 0;
			ret = syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, option, value, 0);
		} else {
			ret = syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, option, NULL, 0);
		}
		if (ret)
			failed(fs, option);
	}
}

int main(int argc, char **argv)
{
	int fs, mnt;

	if (argc >= 3 && !strcmp(argv[1], "mount")) {
		fs = syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
		if (fs < 0)
			err(1, "fsopen");
		configure(fs, argv + 3);
		if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
			failed(fs, "create");
		mnt = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
		if (mnt < 0)
			failed(fs, "fsmount");
		if (syscall(SYS_move_mount, mnt, "", AT_FDCWD, argv[2], MOVE_MOUNT_F_EMPTY_PATH))
			failed(fs, "move_mount");
		return 0;
	}
	if (argc >= 3 && !strcmp(argv[1], "remount")) {
		fs = syscall(SYS_fspick, AT_FDCWD, argv[2], FSPICK_CLOEXEC);
		if (fs < 0)
			err(1, "fspick");
		configure(fs, argv + 3);
		if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0))
			failed(fs, "reconfigure");
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "old-remount")) {
		/* MS_REMOUNT */
		if (mount("none", argv[2], "tmpfs", 32, argv[3])) {
			printf("%s: %s\n", argv[3], strerrorname_np(errno));
			return 1;
		}
		return 0;
	}
	errx(2, "usage: newmount mount|remount DIR [OPTION]..., or old-remount DIR OPTIONS");
}
