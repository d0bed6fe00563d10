// SPDX-License-Identifier: GPL-2.0-only
/* What pramctl check looks for in criu: a version, and maybe the hooks' symbol. */
#include <stdio.h>

#ifdef FAKE_CRIU_HOOKS
int cr_plugin_images_done(int stage, int ret);
int cr_plugin_images_done(int stage, int ret)
{
	return stage + ret;
}

static int use_hooks(void)
{
	return cr_plugin_images_done(0, 0);
}
#else
/* To want the symbol is not to have it. */
int cr_plugin_images_done(int stage, int ret) __attribute__((weak));

static int use_hooks(void)
{
	return cr_plugin_images_done ? cr_plugin_images_done(0, 0) : 0;
}
#endif

int main(void)
{
	puts("Version: " FAKE_CRIU_VERSION "\nGitID: none");
	return use_hooks();
}
