// SPDX-License-Identifier: GPL-2.0-only
/*
 * LD_PRELOADed: a process is killed when its first PRAM_IOCTL_COMMIT has succeeded,
 * or, if DIE_AFTER is "exitkill", when it has then bound a tracee's life to its own.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/types.h>

#include <linux/pram.h>

static int after_exitkill(void)
{
	const char *when = getenv("DIE_AFTER");

	return when && !strcmp(when, "exitkill");
}

long ptrace(enum __ptrace_request request, ...)
{
	long (*real)(int request, pid_t pid, void *addr, void *data) = dlsym(RTLD_NEXT, "ptrace");
	va_list args;
	pid_t pid;
	void *addr, *data;
	long ret;

	va_start(args, request);
	pid = va_arg(args, pid_t);
	addr = va_arg(args, void *);
	data = va_arg(args, void *);
	va_end(args);

	ret = real(request, pid, addr, data);
	if (after_exitkill() && request == PTRACE_SETOPTIONS && !ret &&
	    (unsigned long)data & PTRACE_O_EXITKILL)
		raise(SIGKILL);
	return ret;
}

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
	if (request == PRAM_IOCTL_COMMIT && !ret && !after_exitkill())
		raise(SIGKILL);
	return ret;
}
