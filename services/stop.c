// SPDX-License-Identifier: GPL-2.0-only
/*
 * A dump takes its time, and systemd may lose patience. Who is ended half way in a dump could not say so, nor
 * have the tasks run on in good order.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>

#include "stop.h"

static int told = -1;

int stop_catch(void)
{
	/* What is ignored by itself tells nothing; the others are not sent by anybody. */
	static const int others[] = {
		SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGTSTP, SIGTTIN, SIGTTOU,
		SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP,
	};
	sigset_t ends;

	sigfillset(&ends);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		sigdelset(&ends, others[i]);
	if (told < 0)
		told = signalfd(-1, &ends, SFD_CLOEXEC);
	return told < 0 || sigprocmask(SIG_BLOCK, &ends, NULL) ? -errno : 0;
}

int stop_fd(void)
{
	return told;
}

bool stop_told(void)
{
	struct pollfd poll_told = { .fd = told, .events = POLLIN };

	return poll(&poll_told, 1, 0) > 0;
}
