// SPDX-License-Identifier: GPL-2.0-only
/* What pramctl check looks for in criu: a version, and maybe the hooks' symbol. */
#include <stdio.h>

#ifdef FAKE_CRIU_HOOKS
int guard_committing(void);
int guard_committing(void)
{
	return 0;
}

static int use_hooks(void)
{
	return guard_committing();
}
#else
/* To want the symbol is not to have it. */
int guard_committing(void) __attribute__((weak));

static int use_hooks(void)
{
	return guard_committing ? guard_committing() : 0;
}
#endif

int main(void)
{
	puts("Version: " FAKE_CRIU_VERSION "\nGitID: none");
	return use_hooks();
}
