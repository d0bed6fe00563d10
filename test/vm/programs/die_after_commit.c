// SPDX-License-Identifier: GPL-2.0-only
/* LD_PRELOADed: a process is killed when its first PRAM_IOCTL_COMMIT has succeeded. */
#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include <linux/pram.h>

int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int fd, unsigned long request, void *arg) = dlsym(RTLD_NEXT, "ioctl");
	va_list args;
	void *arg;
	int ret;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);

	ret = real(fd, request, arg);
	if (request == PRAM_IOCTL_COMMIT && !ret)
		raise(SIGKILL);
	return ret;
}
