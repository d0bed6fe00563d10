// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings.h"

#define ENV_PREFIX	"CRIU_PRAM_"

enum setting_type {
	SETTING_STRING,
	SETTING_BOOL,
	SETTING_BACKEND,
	SETTING_ADOPT,
	SETTING_FD,
};

/* By enum pram_adopt. */
static const char *const adopt_words[] = { "range", "no" };

/* The one list of settings: parsing, messages and the log go by it. */
static const struct setting {
	const char		*key;
	const char		*variable;
	enum setting_type	type;
	size_t			offset;
} settings_table[] = {
#define SETTING(key, VARIABLE, TYPE) \
	{ #key, ENV_PREFIX VARIABLE, SETTING_##TYPE, offsetof(struct pram_settings, key) }
	SETTING(name,      "NAME",      STRING),
	SETTING(replace,   "REPLACE",   BOOL),
	SETTING(checksums, "CHECKSUMS", BOOL),
	SETTING(adopt,     "ADOPT",     ADOPT),
	SETTING(map,       "MAP",       BOOL),
	SETTING(keep,      "KEEP",      BOOL),
	SETTING(files,     "FILES",     BOOL),
	SETTING(marker,    "MARKER",    BOOL),
	SETTING(fd,        "FD",        FD),
	SETTING(streams,   "STREAMS",   FD),
	{ "backend", ENV_PREFIX "BACKEND", SETTING_BACKEND, offsetof(struct pram_settings, luo) },
#undef SETTING
};

#define NR_SETTINGS	(sizeof(settings_table) / sizeof(settings_table[0]))
#define NR_ADOPT_WORDS	(sizeof(adopt_words) / sizeof(adopt_words[0]))

static void *setting_member(struct pram_settings *settings, const struct setting *setting)
{
	return (char *)settings + setting->offset;
}

__attribute__((format(printf, 2, 3)))
static int refuse(char *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, PRAM_SETTINGS_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

/* "name, replace, ..." or "CRIU_PRAM_NAME, CRIU_PRAM_REPLACE, ..." */
static const char *list_settings(char *list, size_t size, bool variables)
{
	size_t used = 0;

	for (size_t i = 0; i < NR_SETTINGS && used < size; i++)
		used += snprintf(list + used, size - used, "%s%s", i ? ", " : "",
				 variables ? settings_table[i].variable : settings_table[i].key);
	return list;
}

/* @where and @what name the place and the setting as the user wrote them. */
static int set(struct pram_settings *settings, const struct setting *setting, const char *value,
	       const char *where, const char *what, char *error)
{
	if (setting->type == SETTING_ADOPT) {
		enum pram_adopt *member = setting_member(settings, setting);
		size_t i;

		for (i = 0; i < NR_ADOPT_WORDS && strcmp(value, adopt_words[i]); i++)
			;
		if (i == NR_ADOPT_WORDS)
			return refuse(error, "%s: %s is \"%.64s\": it must be range or no",
				      where, what, value);
		*member = i;
	} else if (setting->type == SETTING_FD) {
		int *member = setting_member(settings, setting);
		char *end;
		unsigned long long fd;

		fd = strtoull(value, &end, 10);
		if (!isdigit((unsigned char)*value) || *end || fd > INT_MAX)
			return refuse(error, "%s: %s is \"%.64s\": it must be the number of a descriptor",
				      where, what, value);
		*member = fd;
	} else if (setting->type == SETTING_BOOL) {
		bool *member = setting_member(settings, setting);

		if (strcmp(value, "yes") && strcmp(value, "no"))
			return refuse(error, "%s: %s is \"%.64s\": it must be yes or no",
				      where, what, value);
		*member = !strcmp(value, "yes");
	} else if (setting->type == SETTING_BACKEND) {
		bool *luo = setting_member(settings, setting);

		if (strcmp(value, "pram") && strcmp(value, "luo"))
			return refuse(error, "%s: %s is \"%.64s\": it must be pram or luo",
				      where, what, value);
		*luo = !strcmp(value, "luo");
	} else {
		char **member = setting_member(settings, setting);
		char *copy;

		if (!*value)
			return refuse(error, "%s: %s is empty: leave it out for the default",
				      where, what);
		copy = strdup(value);
		if (!copy) {
			refuse(error, "%s: out of memory", where);
			return -ENOMEM;
		}
		free(*member);
		*member = copy;
	}
	return 0;
}

static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	return text;
}

static int parse_line(struct pram_settings *settings, char *line, const char *where, char *error)
{
	char list[256];
	char *key, *value;

	key = trim(line);
	if (!*key || *key == '#')
		return 0;

	value = strchr(key, '=');
	if (!value)
		return refuse(error, "%s: \"%.64s\" is not a line of the form SETTING = VALUE",
			      where, key);
	*value++ = '\0';
	key = trim(key);
	value = trim(value);

	for (size_t i = 0; i < NR_SETTINGS; i++)
		if (!strcmp(key, settings_table[i].key))
			return set(settings, &settings_table[i], value, where, key, error);

	return refuse(error, "%s: there is no setting \"%.64s\", only %s", where, key,
		      list_settings(list, sizeof(list), false));
}

static int parse_file(struct pram_settings *settings, const char *path, bool must_exist,
		      char *error)
{
	char *line = NULL, *where = NULL;
	size_t size = 0;
	int ret = 0;
	FILE *file;

	file = fopen(path, "re");
	if (!file) {
		ret = -errno;
		if (ret == -ENOENT && !must_exist)
			return 0;
		refuse(error, "can't open %s: %s", path, strerror(-ret));
		return ret;
	}

	for (unsigned int number = 1; !ret; number++) {
		errno = 0;
		if (getline(&line, &size, file) < 0) {
			ret = -errno;
			if (ret)
				refuse(error, "can't read %s: %s", path, strerror(-ret));
			break;
		}
		free(where);
		if (asprintf(&where, "%s:%u", path, number) < 0) {
			where = NULL;
			refuse(error, "%s: out of memory", path);
			ret = -ENOMEM;
			break;
		}
		ret = parse_line(settings, line, where, error);
	}

	free(where);
	free(line);
	fclose(file);
	return ret;
}

/* The value if @variable, of the form NAME=VALUE, is called @name; or NULL. */
static const char *variable_value(const char *variable, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(variable, name, len) && variable[len] == '=' ? variable + len + 1 : NULL;
}

static int parse_variable(struct pram_settings *settings, const char *variable, char *error)
{
	char list[256];

	if (strncmp(variable, ENV_PREFIX, strlen(ENV_PREFIX)) ||
	    variable_value(variable, PRAM_SETTINGS_FILE_ENV))
		return 0;

	for (size_t i = 0; i < NR_SETTINGS; i++) {
		const struct setting *setting = &settings_table[i];
		const char *value = variable_value(variable, setting->variable);

		if (value)
			return set(settings, setting, value, "environment", setting->variable,
				   error);
	}

	/* A name that is mistyped would otherwise be a setting that is lost. */
	return refuse(error, "environment: there is no variable %.*s, only %s and %s",
		      (int)(strcspn(variable, "=") > 64 ? 64 : strcspn(variable, "=")), variable,
		      list_settings(list, sizeof(list), true), PRAM_SETTINGS_FILE_ENV);
}

/* That of @libdir: 0 if there is none. */
static int parse_libdir(struct pram_settings *settings, const char *libdir, char *error)
{
	char *path;
	int ret;

	if (asprintf(&path, "%s/" PRAM_SETTINGS_LIBDIR_FILE, libdir) < 0) {
		refuse(error, "%s: out of memory", libdir);
		return -ENOMEM;
	}
	ret = parse_file(settings, path, false, error);
	free(path);
	return ret;
}

int pram_settings_load(struct pram_settings *settings, char *const *environment,
		       const char *libdir, char error[PRAM_SETTINGS_ERROR_MAX])
{
	const char *file = NULL;
	int ret;

	*settings = (struct pram_settings){ .map = true, .fd = -1, .streams = -1 };

	for (char *const *v = environment; *v && !file; v++)
		file = variable_value(*v, PRAM_SETTINGS_FILE_ENV);

	ret = parse_file(settings, file ?: PRAM_SETTINGS_FILE, file, error);
	if (!ret && libdir)
		ret = parse_libdir(settings, libdir, error);
	for (char *const *v = environment; *v && !ret; v++)
		ret = parse_variable(settings, *v, error);
	return ret;
}

static const char *yes_no(bool value)
{
	return value ? "yes" : "no";
}

void pram_settings_print(const struct pram_settings *settings, char *line, size_t size)
{
	snprintf(line, size, "name=%s replace=%s checksums=%s adopt=%s map=%s keep=%s files=%s "
		 "marker=%s fd=%d streams=%d backend=%s",
		 settings->name ?: "(images directory)", yes_no(settings->replace),
		 yes_no(settings->checksums), adopt_words[settings->adopt],
		 yes_no(settings->map), yes_no(settings->keep), yes_no(settings->files),
		 yes_no(settings->marker), settings->fd, settings->streams,
		 settings->luo ? "luo" : "pram");
}

void pram_settings_free(struct pram_settings *settings)
{
	free(settings->name);
	*settings = (struct pram_settings){ .fd = -1, .streams = -1 };
}
