// SPDX-License-Identifier: GPL-2.0-only
/* What pramctl check looks for in criu: a version, and maybe the hooks' symbol. */
#include <stdio.h>

#ifdef FAKE_CRIU_HOOKS
int criu_dump_aborted(void);
int criu_dump_aborted(void)
{
	return 0;
}

static int use_hooks(void)
{
	return criu_dump_aborted();
}
#else
/* To want the symbol is not to have it. */
int criu_dump_aborted(void) __attribute__((weak));

static int use_hooks(void)
{
	return criu_dump_aborted ? criu_dump_aborted() : 0;
}
#endif

int main(void)
{
	puts("Version: " FAKE_CRIU_VERSION "\nGitID: none");
	return use_hooks();
}
