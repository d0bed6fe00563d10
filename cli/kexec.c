// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one command for a new kernel: chooses it, sees whether it can take over what is in PRAM,
 * loads it, and has systemd go down for it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "check.h"
#include "kernel_image.h"
#include "kho.h"
#include "output.h"
#include "pramctl.h"
#include "services.h"
#include "sysfile.h"
#include "unit.h"
#include "util.h"

#define BOOT		"/boot"
#define KERNEL_PREFIX	"vmlinuz-"
#define CMDLINE_MAX	2048	/* COMMAND_LINE_SIZE of x86 */

/**
 * struct next - the kernel to be loaded
 * @kernel: its path
 * @initrd: its path, or %NULL if it has none
 * @cmdline: its command line
 */
struct next {
	char	*kernel;
	char	*initrd;
	char	*cmdline;
};

static char *initrd_of(const char *kernel)
{
	const char *name = strrchr(kernel, '/');
	char *path;

	name = name ? name + 1 : kernel;
	if (strncmp(name, KERNEL_PREFIX, strlen(KERNEL_PREFIX)))
		return NULL;
	path = output_format("%.*sinitrd.img-%s", (int)(name - kernel), kernel,
			     name + strlen(KERNEL_PREFIX));
	if (!access(path, R_OK))
		return path;
	free(path);
	return NULL;
}

/*
 * Does an initrd seem to be missing? The kernel that runs has one, and this one is installed as distributions
 * do it. Without its initrd it may not find its root file system.
 */
static bool lacks_initrd(const struct next *next, const char *root)
{
	const char *name = strrchr(next->kernel, '/');
	_cleanup_free_ char *path = NULL;
	struct utsname uts;

	if (next->initrd || !name || strncmp(name + 1, KERNEL_PREFIX, strlen(KERNEL_PREFIX)) || uname(&uts))
		return false;
	path = output_format("%s" BOOT "/initrd.img-%s", root, uts.release);
	return !access(path, F_OK);
}

/* Not one that dpkg is just about to unpack. */
static int is_kernel(const struct dirent *entry)
{
	return !strncmp(entry->d_name, KERNEL_PREFIX, strlen(KERNEL_PREFIX)) &&
	       !strstr(entry->d_name, ".dpkg-");
}

/* The newest of those in /boot that have PRAM, to be freed; or NULL after having complained. */
static char *newest_kernel(const char *root)
{
	_cleanup_free_ char *dir = output_format("%s" BOOT, root);
	struct dirent **entries;
	char *found = NULL;
	int nr = scandir(dir, &entries, is_kernel, versionsort);

	for (int i = nr - 1; i >= 0; i--) {
		if (!found) {
			char *path = output_format("%s/%s", dir, entries[i]->d_name);
			struct kernel_image image;

			/* One that reads another format is found, and refused. */
			if (!kernel_image_read(path, &image) && image.format)
				found = path;
			else
				free(path);
		}
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
	if (!found)
		pramctl_error("no kernel in %s (vmlinuz-VERSION) has PRAM: install a kernel with CONFIG_PRAM=y, or name the file of one",
			      dir);
	return found;
}

static enum pramctl_exit choose(const struct pramctl_args *args, struct next *next)
{
	const char *operand = args->nr ? args->operands[0] : NULL;

	if (!operand)
		next->kernel = newest_kernel(args->root);
	else if (strchr(operand, '/'))
		next->kernel = output_format("%s", operand);
	else
		next->kernel = output_format("%s" BOOT "/" KERNEL_PREFIX "%s", args->root, operand);
	if (!next->kernel)
		return PRAMCTL_NOT_FOUND;
	if (access(next->kernel, R_OK)) {
		pramctl_error("%s: %s; name one of the versions in " BOOT ", or a file", next->kernel,
			      strerror(errno));
		return PRAMCTL_NOT_FOUND;
	}
	next->initrd = args->initrd ? output_format("%s", args->initrd) : initrd_of(next->kernel);
	if (lacks_initrd(next, args->root)) {
		pramctl_error("%s has no initrd, but the running kernel has one: run 'update-initramfs -c -k VERSION', or name it by --initrd",
			      next->kernel);
		return PRAMCTL_NOT_FOUND;
	}
	return PRAMCTL_OK;
}

/* That of this kernel, without what the boot loader has put before it. */
static char *command_line(const struct pramctl_args *args)
{
	_cleanup_free_ char *now = sysfile_read(args->root, "/proc/cmdline");
	char *rest = now, *word, *line = output_format("%s", "");

	while (now && (word = strsep(&rest, " "))) {
		char *longer;

		if (!*word || !strncmp(word, "BOOT_IMAGE=", 11) || !strncmp(word, "initrd=", 7))
			continue;
		longer = output_format("%s%s%s", line, *line ? " " : "", word);
		free(line);
		line = longer;
	}
	if (args->append) {
		char *longer = output_format("%s %s", line, args->append);

		free(line);
		line = longer;
	}
	/* It may be on by default there; to say so does no harm. */
	if (!pram_kho_asked(line, false)) {
		char *longer = output_format("%s kho=on", line);

		free(line);
		line = longer;
	}
	return line;
}

static void check_next(struct check *check, const struct next *next)
{
	check_add(check, "kernel", CHECK_OK, next->kernel, "");
	check_add(check, "initrd", CHECK_OK, next->initrd ?: "none", "");
	check_add(check, "command line", strlen(next->cmdline) < CMDLINE_MAX ? CHECK_OK : CHECK_MISSING,
		  next->cmdline, "it is too long");
	check_add_images(check, next->kernel, next->initrd, true);
}

static enum pramctl_exit load(const struct next *next)
{
	_cleanup_close_ int kernel = open(next->kernel, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int initrd = next->initrd ? open(next->initrd, O_RDONLY | O_CLOEXEC) : -1;
	_cleanup_free_ char *ready = NULL;

	if (kernel < 0 || (next->initrd && initrd < 0)) {
		pramctl_error("%s: %s", kernel < 0 ? next->kernel : next->initrd, strerror(errno));
		return PRAMCTL_FAILED;
	}
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(next->cmdline) + 1, next->cmdline,
		    next->initrd ? 0UL : (unsigned long)KEXEC_FILE_NO_INITRAMFS)) {
		const int error = errno;

		pramctl_error("%s: the kernel can't be loaded: %s%s", next->kernel, strerror(error),
			      error == EADDRNOTAVAIL ? "; there is no room in the scratch areas, boot with larger ones (kho_scratch=)" :
			      error == EPERM ? "; run as root, and see /proc/sys/kernel/kexec_load_disabled" :
			      error == ENOEXEC ? "; it is not a kernel" :
			      "; see the kernel's log");
		return error == EPERM ? PRAMCTL_UNAVAILABLE : PRAMCTL_FAILED;
	}
	ready = sysfile_read("", "/sys/kernel/pram/kexec_ready");
	if (ready && !strcmp(ready, "1"))
		return PRAMCTL_OK;
	pramctl_error("%s: it is loaded, but will not get what is in PRAM: run 'pramctl check'",
		      next->kernel);
	return PRAMCTL_FAILED;
}

/* As systemctl does it. */
static enum pramctl_exit go(void)
{
	char error[UNIT_ERROR_MAX];

	sync();
	if (!unit_start("kexec.target", "replace-irreversibly", error))
		return PRAMCTL_OK;
	pramctl_error("the kernel is loaded, but systemd does not shut down for it: %s; try 'systemctl kexec'",
		      error);
	return PRAMCTL_FAILED;
}

enum pramctl_exit pramctl_kexec(const struct pramctl_args *args)
{
	struct check check = { .args = args };
	struct next next = { .kernel = NULL };
	enum pramctl_exit status = choose(args, &next);

	if (!status) {
		next.cmdline = command_line(args);
		check.items = output_new_array();
		check_next(&check, &next);
		/* One that is in trouble is started as ever; that does not keep others from going on. */
		services_check(&check, CHECK_UNKNOWN);
		status = check_end(&check, "ready",
				   check.failed ? "This kernel can't take over." :
				   args->dry_run ? "Everything is ready; nothing was done." :
						   "The machine goes down for the new kernel.");
		if (!status && !args->dry_run)
			status = load(&next);
		if (!status && !args->dry_run)
			status = go();
	}
	free(next.kernel);
	free(next.initrd);
	free(next.cmdline);
	return status;
}
