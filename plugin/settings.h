/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The plugin's settings: files and the environment, since CRIU passes no
 * options to plugins.
 */
#ifndef PRAM_PLUGIN_SETTINGS_H
#define PRAM_PLUGIN_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#define PRAM_SETTINGS_FILE	"/etc/criu/pram.conf"

/* In the directory of criu's --libdir: settings of whoever gives that. */
#define PRAM_SETTINGS_LIBDIR_FILE "pram.conf"

/* Names another file than PRAM_SETTINGS_FILE, which must then exist. */
#define PRAM_SETTINGS_FILE_ENV	"CRIU_PRAM_CONFIG"

/* Long enough for each message of pram_settings_load(). */
#define PRAM_SETTINGS_ERROR_MAX	512

/* How pages get into PRAM; the words are in settings.c, the first is the default. */
enum pram_adopt {
	PRAM_ADOPT_RANGE,	/* taken over in ranges of the task's memory */
	PRAM_ADOPT_NO,		/* copied out of the pipes that CRIU fills */
};

/**
 * struct pram_settings - what can be set
 * @name: the checkpoint's name, or %NULL for the path of the images directory
 * @replace: replace a checkpoint of that name
 * @checksums: keep checksums of the pages
 * @adopt: how to take pages over
 * @map: map pages instead of copying them
 * @keep: keep a checkpoint that was restored
 * @files: restore ordinary images if there is no checkpoint
 * @marker: dump: leave an inventory in the images directory
 * @fd: a descriptor of /dev/pram that criu has inherited, or -1 to open it
 * @streams: restore: a socket to whom the checkpoint's streams are sent, who finishes it; or -1
 * @luo: keep checkpoints in memfds that LUO preserves, not in PRAM
 */
struct pram_settings {
	char		*name;
	bool		replace;
	bool		checksums;
	enum pram_adopt	adopt;
	bool		map;
	bool		keep;
	bool		files;
	bool		marker;
	int		fd;
	int		streams;
	bool		luo;
};

/**
 * pram_settings_load() - read the settings
 * @settings: filled; ended by pram_settings_free(), also after an error
 * @environment: as environ(7); a variable wins over the files
 * @libdir: the directory that criu loads plugins from, or %NULL; its file wins over the other
 * @error: what is wrong and where, without a newline; set on error only
 *
 * Return: 0; -EINVAL for a setting or a value that does not exist, in a file or
 * in a variable CRIU_PRAM_*; or an error of reading the file.
 */
int pram_settings_load(struct pram_settings *settings, char *const *environment,
		       const char *libdir, char error[PRAM_SETTINGS_ERROR_MAX]);

/**
 * pram_settings_print() - write all settings into one line
 * @settings: from pram_settings_load()
 * @line: where to; cut off if it does not fit
 * @size: of @line in bytes
 */
void pram_settings_print(const struct pram_settings *settings, char *line, size_t size);

void pram_settings_free(struct pram_settings *settings);

#endif /* PRAM_PLUGIN_SETTINGS_H */
