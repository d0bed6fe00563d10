// SPDX-License-Identifier: GPL-2.0-only
/*
 * pram-service VERB [UNIT]: what the units of this directory, and the drop-ins of "pramctl
 * enable", call. For nobody else; docs/services.md says how it all fits together.
 */
#include <stdio.h>
#include <string.h>

#include "pram.h"
#include "service.h"
#include "util.h"

static int lock(void)
{
	_cleanup_close_ int dev = pram_open();

	/* Without PRAM there is nothing to be locked. */
	return dev < 0 ? 0 : lock_all(dev);
}

static int relock(void)
{
	_cleanup_close_ int dev = pram_open();

	return dev < 0 ? 0 : lock_again(dev);
}

static int unlock(void)
{
	lock_remove(NULL);
	return 0;
}

static int unlock_unit(const char *unit)
{
	/* Nobody restores it: nothing of others is to wait for it. */
	hold_end();
	lock_remove(unit);
	return 0;
}

static const struct {
	const char	*name;
	int		(*run)(void);
	int		(*run_unit)(const char *unit);
} verbs[] = {
	{ "pids", service_pids, NULL },
	{ "down", service_down, NULL },
	{ "lock", lock, NULL },
	{ "relock", relock, NULL },
	{ "unlock", unlock, unlock_unit },
	{ "start", service_start_all, NULL },
	{ "dump", NULL, service_dump },
	{ "try", NULL, service_try },
	{ "prepare", NULL, service_prepare },
	{ "restore", NULL, service_restore },
	{ "release", NULL, service_release },
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strncmp(argv[1], "container", strlen("container")))
		return container_main(argc, argv);
	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (strcmp(argv[1], verbs[i].name))
			continue;
		if (verbs[i].run && argc == 2)
			return verbs[i].run();
		if (verbs[i].run_unit && argc == 3)
			return verbs[i].run_unit(argv[2]);
	}
	fputs("usage: pram-service pids|down|lock|relock|unlock|start\n"
	      "       pram-service unlock|dump|try|prepare|restore|release UNIT\n"
	      "       pram-service container...\n"
	      "Only PRAM's units call it; users have pramctl(8).\n", stderr);
	return 2;
}
