/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that the plugin uses of CRIU. Of what is included here only criu-plugin.h
 * is meant for plugins; the rest is exported by the criu binary without a promise,
 * so the plugin belongs to the criu that it was built with, see criu_build.h.
 *
 *   opts                     the options, to refuse what PRAM cannot serve
 *   root_item                the root of the tasks to dump
 *   current                  the task being restored, NULL in CRIU itself
 *   fdstore_add(), _get()    descriptors that restored tasks can get at
 *   print_on_level()         the log, by pr_info() and so on
 */
#ifndef PRAM_PLUGIN_CRIU_H
#define PRAM_PLUGIN_CRIU_H

#define LOG_PREFIX "pram: "

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include "cr_options.h"
#include "criu-plugin.h"
#include "fdstore.h"
#include "log.h"
#include "pstree.h"
#include "version.h"
#pragma GCC diagnostic pop

#endif /* PRAM_PLUGIN_CRIU_H */
