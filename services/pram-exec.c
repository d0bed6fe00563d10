// SPDX-License-Identifier: GPL-2.0-only
/*
 * pram-exec [--unless-dumped] [--no-notify] [--argv0 NAME] -- PROGRAM [ARGUMENT]...
 *
 * What the drop-in of "pramctl enable" has systemd start instead of a service's own
 * programs, in the sandbox that systemd has made for these. As a rule it becomes PROGRAM at
 * once. If the service is to be restored from PRAM (PRAM_SERVICE=restore, which
 * pram-service has put into the unit's environment), it waits: criu restores the tasks in
 * this sandbox meanwhile. Then it ends; or becomes PROGRAM after all, if that has failed.
 *
 * With --unless-dumped it is a command that stops the service: there is nothing to be
 * done if that was dumped (PRAM_SERVICE=dumped).
 *
 * It runs below the service's filters of system calls: the fewer it makes, the better.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "pram-exec.h"

/* As systemd's own. */
#define EXIT_USAGE	2
#define EXIT_EXEC	203

/* Has the service been restored, rather than to be started? */
static bool wait_for_restore(void)
{
	sigset_t set, before;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, PRAM_EXEC_START);
	sigaddset(&set, PRAM_EXEC_END);
	/* Meant for the service, by "systemctl reload" and the like: whoever sends one does not want its end. */
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, &before);
	/* Who sends the signals waits for this name. */
	prctl(PR_SET_NAME, PRAM_EXEC_WAITS);
	do {
		sig = sigwaitinfo(&set, NULL);
	} while (sig != PRAM_EXEC_START && sig != PRAM_EXEC_END && (sig >= 0 || errno == EINTR));
	sigprocmask(SIG_SETMASK, &before, NULL);
	return sig == PRAM_EXEC_END;
}

static int usage(void)
{
	fputs("usage: pram-exec [--unless-dumped] [--no-notify] [--argv0 NAME] -- PROGRAM [ARGUMENT]...\n"
	      "Only the drop-in of 'pramctl enable' calls it.\n", stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	const char *word = getenv(PRAM_EXEC_VARIABLE), *program;
	bool unless_dumped = false, notify = true;
	const bool dumped = word && !strcmp(word, "dumped");
	const bool restore = word && !strcmp(word, "restore");
	char *name = NULL;
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (!strcmp(argv[i], "--unless-dumped"))
			unless_dumped = true;
		else if (!strcmp(argv[i], "--no-notify"))
			notify = false;
		else if (!strcmp(argv[i], "--argv0") && i + 1 < argc)
			name = argv[++i];
		else
			return usage();
	}
	if (i + 1 >= argc)
		return usage();
	argv += i + 1;

	unsetenv(PRAM_EXEC_VARIABLE);
	if (unless_dumped && dumped)
		return 0;
	if (!unless_dumped && restore && wait_for_restore())
		return 0;
	if (!notify)
		unsetenv("NOTIFY_SOCKET");
	program = argv[0];
	if (name)
		argv[0] = name;
	execv(program, argv);
	fprintf(stderr, "pram-exec: can't execute %s: %s\n", program, strerror(errno));
	return EXIT_EXEC;
}
