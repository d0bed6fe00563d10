// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include <json-c/json.h>

#include "check_list.h"
#include "output.h"

void check_add(struct check *check, const char *item, enum check_status status,
	       const char *found, const char *remedy)
{
	static const char *const words[] = { "ok", "missing", "unknown", "lost" };
	struct json_object *object = output_new_object();

	output_add_string(object, "item", item);
	output_add_string(object, "status", words[status]);
	output_add_string(object, "found", found);
	if (status != CHECK_OK)
		output_add_string(object, "remedy", remedy);
	output_append(check->items, object);
	check->failed |= status == CHECK_MISSING || status == CHECK_LOST;
}

static void print(struct json_object *items, const char *verdict)
{
	for (size_t i = 0; i < json_object_array_length(items); i++) {
		struct json_object *item = json_object_array_get_idx(items, i), *remedy;

		printf("%-7s  %-25s  ",
		       json_object_get_string(json_object_object_get(item, "status")),
		       json_object_get_string(json_object_object_get(item, "item")));
		output_print(json_object_get_string(json_object_object_get(item, "found")));
		if (json_object_object_get_ex(item, "remedy", &remedy)) {
			fputs("; ", stdout);
			output_print(json_object_get_string(remedy));
		}
		putchar('\n');
	}
	puts(verdict);
}

enum pramctl_exit check_end(struct check *check, const char *key, const char *verdict)
{
	struct json_object *object;

	if (check->args->json) {
		object = output_new_object();
		output_add_bool(object, key, !check->failed);
		output_add(object, "items", check->items);
		output_json(object);
	} else {
		print(check->items, verdict);
		json_object_put(check->items);
	}
	return check->failed ? PRAMCTL_FAILED : PRAMCTL_OK;
}
