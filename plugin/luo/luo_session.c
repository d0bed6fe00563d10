// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../criu.h"
#include "luo_kernel.h"
#include "luo_session.h"

#define NAME_PREFIX	"criu:"
#define NAME_MAX_BYTES	(LUO_SESSION_NAME_MAX - sizeof(NAME_PREFIX))

#define KEEPER_NAME	"criu-luo-keeper"

/* The device can be opened by one process at a time, which is soon done with it. */
static int open_device(void)
{
	for (int tries = 0; ; tries++) {
		int fd = open(LUO_DEVICE_PATH, O_RDWR | O_CLOEXEC);

		if (fd >= 0 || errno != EBUSY || tries == 50)
			return fd < 0 ? -errno : fd;
		usleep(100 * 1000);
	}
}

static int device_ioctl(const struct pram_session *session, unsigned long request)
{
	struct luo_ioctl_session arg = { .size = sizeof(arg) };
	int device, ret;

	if (strlen(session->name) > NAME_MAX_BYTES)
		return -ENAMETOOLONG;
	snprintf((char *)arg.name, sizeof(arg.name), NAME_PREFIX "%s", session->name);

	device = open_device();
	if (device < 0)
		return device;
	ret = ioctl(device, request, &arg) ? -errno : arg.fd;
	close(device);
	return ret;
}

int luo_session_create(const struct pram_session *session)
{
	return device_ioctl(session, LUO_IOCTL_CREATE);
}

int luo_session_retrieve(const struct pram_session *session)
{
	return device_ioctl(session, LUO_IOCTL_RETRIEVE);
}

void luo_session_error(const struct pram_session *session, int error)
{
	if (error == -ENAMETOOLONG) {
		pr_err("the checkpoint's name \"%s\" is too long for LUO: set CRIU_PRAM_NAME to one "
		       "of at most %zu bytes\n", session->name, NAME_MAX_BYTES);
		return;
	}
	if (access(LUO_DEVICE_PATH, F_OK)) {
		pr_err("there is no " LUO_DEVICE_PATH ": boot a kernel >= 6.19 that has "
		       "CONFIG_LIVEUPDATE_MEMFD with kho=on liveupdate=on\n");
		return;
	}
	switch (error) {
	case -EACCES:
	case -EPERM:
		pr_err("may not open " LUO_DEVICE_PATH ": run criu as root\n");
		break;
	case -EBUSY:
		pr_err(LUO_DEVICE_PATH " is in use: end the program that has it open\n");
		break;
	case -EEXIST:
		pr_err("there is a LUO session \"" NAME_PREFIX "%s\": kexec and restore it, end the "
		       "process " KEEPER_NAME " that holds it, or set CRIU_PRAM_NAME to another "
		       "name\n", session->name);
		break;
	case -ENOENT:
		pr_err("the previous kernel has left no LUO session \"" NAME_PREFIX "%s\": give the "
		       "images directory it was dumped to, or set CRIU_PRAM_NAME\n",
		       session->name);
		break;
	case -EINVAL:
		pr_err("LUO session \"" NAME_PREFIX "%s\" was already retrieved: LUO gives it out "
		       "once, a restore can't be retried\n", session->name);
		break;
	default:
		pr_err("LUO session \"" NAME_PREFIX "%s\": %s; see the kernel's log\n",
		       session->name, strerror(-error));
	}
}

int luo_session_preserve_fd(int luo, int fd, uint64_t token)
{
	struct luo_ioctl_file arg = { .size = sizeof(arg), .fd = fd, .token = token };

	return ioctl(luo, LUO_IOCTL_PRESERVE_FD, &arg) ? -errno : 0;
}

int luo_session_retrieve_fd(int luo, uint64_t token)
{
	struct luo_ioctl_file arg = { .size = sizeof(arg), .fd = -1, .token = token };

	return ioctl(luo, LUO_IOCTL_RETRIEVE_FD, &arg) ? -errno : arg.fd;
}

int luo_session_finish(int luo)
{
	struct luo_ioctl_finish arg = { .size = sizeof(arg) };

	return ioctl(luo, LUO_IOCTL_FINISH, &arg) ? -errno : 0;
}

/* Descriptors 0 to 2 are /dev/null and 3 is the session: nobody waits for us. */
__attribute__((noreturn))
static void keeper(int luo)
{
	sigset_t none;
	int null;

	luo = fcntl(luo, F_DUPFD, 3);
	null = open("/dev/null", O_RDWR);
	if (luo < 0 || null < 0 || chdir("/") || setsid() < 0)
		_exit(1);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	luo = dup2(luo, 3);
	if (luo < 0 || close_range(4, UINT_MAX, 0))
		_exit(1);

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_NAME, KEEPER_NAME);
	for (;;)
		pause();
}

/*
 * A child's child: CRIU counts its own children and does not expect another. The
 * one in between tells the pid through a pipe.
 */
int luo_session_keep(int luo)
{
	pid_t child, pid = -1;
	int ends[2], ret;
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	child = fork();
	if (!child) {
		pid = fork();
		if (!pid)
			keeper(luo);
		_exit(pid < 0 || write(ends[1], &pid, sizeof(pid)) != sizeof(pid));
	}
	ret = child < 0 ? -errno : 0;
	close(ends[1]);
	if (!ret) {
		do {
			n = read(ends[0], &pid, sizeof(pid));
		} while (n < 0 && errno == EINTR);
		while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
			;
		ret = n == sizeof(pid) ? pid : -EAGAIN;
	}
	close(ends[0]);
	return ret;
}
