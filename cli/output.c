// SPDX-License-Identifier: GPL-2.0-only
#include <err.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

#include "output.h"
#include "util.h"

static void *must(void *p)
{
	if (!p)
		errx(PRAMCTL_FAILED, "out of memory");
	return p;
}

char *output_format(const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	return must(len < 0 ? NULL : text);
}

char *output_bytes(uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = bytes / 1024.0;
	size_t unit = 0;

	if (bytes < 1024)
		return output_format("%" PRIu64 " B", bytes);
	/* From there on the one decimal would round up to 1024. */
	while (value >= 1023.95) {
		value /= 1024;
		unit++;
	}
	return output_format("%.1f %s", value, units[unit]);
}

static char *format_time(uint64_t ns)
{
	const time_t seconds = ns / 1000000000;
	struct tm tm;
	char text[32];

	if (!ns || !localtime_r(&seconds, &tm) ||
	    !strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		return output_format("-");
	return output_format("%s", text);
}

static char *format_value(struct json_object *object, const struct output_column *column)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, column->key, &value))
		return output_format("-");
	switch (column->kind) {
	case OUTPUT_BYTES:
		return output_bytes(json_object_get_uint64(value));
	case OUTPUT_TIME:
		return format_time(json_object_get_uint64(value));
	case OUTPUT_YES_NO:
		return output_format(json_object_get_boolean(value) ? "yes" : "no");
	case OUTPUT_NUMBER:
	case OUTPUT_TEXT:
		break;
	}
	return output_format("%s", json_object_get_string(value));
}

void output_table(struct json_object *rows, const struct output_column *columns, size_t nr)
{
	struct libscols_table *table = must(scols_new_table());

	for (size_t i = 0; i < nr; i++) {
		const bool right = columns[i].kind == OUTPUT_NUMBER ||
				   columns[i].kind == OUTPUT_BYTES;

		must(scols_table_new_column(table, columns[i].title, 0,
					    right ? SCOLS_FL_RIGHT : 0));
	}
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		struct libscols_line *line = must(scols_table_new_line(table, NULL));

		for (size_t j = 0; j < nr; j++) {
			/* The line takes the text over. */
			if (scols_line_refer_data(line, j, format_value(row, &columns[j])))
				must(NULL);
		}
	}
	if (scols_print_table(table) < 0)
		errx(PRAMCTL_FAILED, "the table can't be printed");
	scols_unref_table(table);
}

void output_print(const char *text)
{
	const char *end = text + strlen(text);
	mbstate_t state = { 0 };
	wchar_t c;

	while (text < end) {
		size_t n = mbrtowc(&c, text, end - text, &state);
		const bool valid = n <= (size_t)(end - text);

		/* No character: its first byte, and then try again. */
		if (!valid) {
			memset(&state, 0, sizeof(state));
			n = 1;
		}
		if (valid && iswprint(c))
			fwrite(text, 1, n, stdout);
		else
			for (size_t i = 0; i < n; i++)
				printf("\\x%02x", (unsigned char)text[i]);
		text += n;
	}
}

void output_members(struct json_object *object, const struct output_column *columns, size_t nr)
{
	int width = 0;

	for (size_t i = 0; i < nr; i++) {
		if (json_object_object_get_ex(object, columns[i].key, NULL) &&
		    (int)strlen(columns[i].title) > width)
			width = strlen(columns[i].title);
	}
	for (size_t i = 0; i < nr; i++) {
		_cleanup_free_ char *value = NULL;

		if (!json_object_object_get_ex(object, columns[i].key, NULL))
			continue;
		value = format_value(object, &columns[i]);
		printf("%s:%*s ", columns[i].title, width - (int)strlen(columns[i].title), "");
		output_print(value);
		putchar('\n');
	}
}

void output_json(struct json_object *object)
{
	puts(must((void *)json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
				JSON_C_TO_STRING_NOSLASHESCAPE)));
	json_object_put(object);
}

struct json_object *output_new_object(void)
{
	return must(json_object_new_object());
}

struct json_object *output_new_array(void)
{
	return must(json_object_new_array());
}

void output_add(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add(object, key, must(value)))
		must(NULL);
}

void output_add_string(struct json_object *object, const char *key, const char *value)
{
	output_add(object, key, json_object_new_string(value));
}

void output_add_number(struct json_object *object, const char *key, uint64_t value)
{
	output_add(object, key, json_object_new_uint64(value));
}

void output_add_bool(struct json_object *object, const char *key, bool value)
{
	output_add(object, key, json_object_new_boolean(value));
}

void output_add_null(struct json_object *object, const char *key)
{
	/* What json-c takes for null is no object. */
	if (json_object_object_add(object, key, NULL))
		must(NULL);
}

void output_append(struct json_object *array, struct json_object *value)
{
	if (json_object_array_add(array, must(value)))
		must(NULL);
}
