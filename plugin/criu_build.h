/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The plugin reads structures of CRIU (criu.h), which say nothing of their layout. So it
 * knows the criu that it was compiled for, and refuses every other.
 */
#ifndef PRAM_PLUGIN_CRIU_BUILD_H
#define PRAM_PLUGIN_CRIU_BUILD_H

#include <stdbool.h>

/* Is this process the criu that the plugin was built for? If not, says so in the log. */
bool pram_criu_is_ours(void);

#endif /* PRAM_PLUGIN_CRIU_BUILD_H */
