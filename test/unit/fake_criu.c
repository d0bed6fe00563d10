// SPDX-License-Identifier: GPL-2.0-only
/* What pramctl check looks for in criu: a version, and maybe the hooks' symbol. */
#include <stdio.h>

#ifdef FAKE_CRIU_HOOKS
int criu_point_of_no_return(void);
int criu_point_of_no_return(void)
{
	return 0;
}

static int use_hooks(void)
{
	return criu_point_of_no_return();
}
#else
/* To want the symbol is not to have it. */
int criu_point_of_no_return(void) __attribute__((weak));

static int use_hooks(void)
{
	return criu_point_of_no_return ? criu_point_of_no_return() : 0;
}
#endif

int main(void)
{
	puts("Version: " FAKE_CRIU_VERSION "\nGitID: none");
	return use_hooks();
}
