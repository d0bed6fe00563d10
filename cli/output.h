/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Output. Every verb builds JSON objects, and says by a list of columns how they
 * look to people: so both always tell the same.
 */
#ifndef PRAM_CLI_OUTPUT_H
#define PRAM_CLI_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "pramctl.h"

enum output_kind {
	OUTPUT_TEXT,
	OUTPUT_NUMBER,
	OUTPUT_BYTES,	/* in units that suit people; exact in JSON */
	OUTPUT_TIME,	/* ns since 1970; local time for people */
	OUTPUT_YES_NO,
};

/**
 * struct output_column - how a member of an object is shown
 * @title: heading
 * @key: the member; one that an object does not have is shown as "-"
 * @kind: how to format it
 */
struct output_column {
	const char		*title;
	const char		*key;
	enum output_kind	kind;
};

/* A long word for a short call. */
#define OUTPUT_COLUMNS(columns)	(columns), sizeof(columns) / sizeof(*(columns))

/* A table with headings of an array of objects. */
void output_table(struct json_object *rows, const struct output_column *columns, size_t nr);

/* One line "title: value" for each member that @object has. */
void output_members(struct json_object *object, const struct output_column *columns, size_t nr);

/*
 * Prints a text that others have written, to which a terminal should not listen: what is
 * not printable as \xNN, as tables have it.
 */
void output_print(const char *text);

/* The object as JSON; takes over the caller's reference. */
void output_json(struct json_object *object);

/* "0 B", "4.0 KiB", "1.5 GiB": to be freed. */
char *output_bytes(uint64_t bytes);

/* Makes and adds members; out of memory ends the program. */
struct json_object *output_new_object(void);
struct json_object *output_new_array(void);
void output_add(struct json_object *object, const char *key, struct json_object *value);
void output_add_string(struct json_object *object, const char *key, const char *value);
void output_add_number(struct json_object *object, const char *key, uint64_t value);
void output_add_bool(struct json_object *object, const char *key, bool value);
void output_add_null(struct json_object *object, const char *key);
void output_append(struct json_object *array, struct json_object *value);

/* A string, to be freed; out of memory ends the program. */
char *output_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* PRAM_CLI_OUTPUT_H */
