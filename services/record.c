// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint.h"
#include "record.h"
#include "util.h"

/* No record is longer: it has a rule for each connection. */
#define RECORD_MAX	(64U << 20)

int record_name(const char *unit, char name[PRAM_NAME_MAX])
{
	int len = snprintf(name, PRAM_NAME_MAX, RECORD_PREFIX "%s", unit);

	return len < PRAM_NAME_MAX ? 0 : -ENAMETOOLONG;
}

int record_save(int dev, const char *unit, struct json_object *record)
{
	const char *text = json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN);
	_cleanup_close_ int stream = -1, old = -1;
	char name[PRAM_NAME_MAX];
	int ret = record_name(unit, name);

	if (ret)
		return ret;
	/* It goes when the new one comes, in one step. */
	old = pram_load(dev, name, PRAM_BYTE_STREAM, 0);
	if (old < 0 && old != -ENOENT)
		return old;
	stream = pram_save(dev, name, PRAM_BYTE_STREAM, PRAM_SAVE_REPLACE | PRAM_SAVE_CHECKSUM);
	if (stream < 0)
		return stream;
	ret = pram_write_full(stream, text, strlen(text));
	return ret ?: pram_commit(dev, (int[]){ stream, old }, old < 0 ? 1 : 2);
}

static int read_json(int fd, uint64_t size, struct json_object **object)
{
	_cleanup_free_ char *text = NULL;
	int ret;

	if (size > RECORD_MAX)
		return -EBADMSG;
	text = calloc(1, size + 1);
	if (!text)
		return -ENOMEM;
	ret = pram_pread_full(fd, text, size, 0);
	if (ret)
		return ret;
	*object = json_tokener_parse(text);
	if (*object && json_object_is_type(*object, json_type_object))
		return 0;
	json_object_put(*object);
	*object = NULL;
	return -EBADMSG;
}

int record_load(int dev, const char *unit, struct json_object **record, uint64_t *kexecs)
{
	_cleanup_close_ int stream = -1;
	struct pram_node_stat node;
	char name[PRAM_NAME_MAX];
	int ret = record_name(unit, name);

	*record = NULL;
	ret = ret ?: pram_stat(dev, name, &node);
	if (ret)
		return ret;
	*kexecs = node.kexec_count;
	stream = pram_load(dev, name, PRAM_BYTE_STREAM, PRAM_LOAD_PEEK);
	if (stream < 0)
		return stream;
	return read_json(stream, node.bytes, record);
}

int record_remove(int dev, const char *unit)
{
	char name[PRAM_NAME_MAX];
	int ret = record_name(unit, name);

	ret = ret ?: pram_free(dev, name);
	return ret == -ENOENT ? 0 : ret;
}

const char *record_next(int dev, struct pram_node_stat *node)
{
	const size_t len = strlen(RECORD_PREFIX);

	while (pram_list_next(dev, node) > 0) {
		if (node->type == PRAM_BYTE_STREAM && node->state == PRAM_NODE_READY &&
		    !strncmp((char *)node->name, RECORD_PREFIX, len))
			return (char *)node->name + len;
	}
	return NULL;
}

/* A container's is called as podman has it. */
static int checkpoint_name(int dev, const char *unit, char name[PRAM_NAME_MAX])
{
	struct json_object *record = NULL;
	const char *named = "";
	uint64_t kexecs;
	int ret;

	if (!record_load(dev, unit, &record, &kexecs))
		named = record_text(record, "checkpoint");
	if (*named)
		ret = snprintf(name, PRAM_NAME_MAX, "%s", named) < PRAM_NAME_MAX ? 0 : -ENAMETOOLONG;
	else
		ret = record_name(unit, name);
	json_object_put(record);
	return ret;
}

bool record_has_checkpoint(int dev, const char *unit)
{
	char name[PRAM_NAME_MAX], node_name[PRAM_NAME_MAX];
	struct pram_node_stat node;

	return !checkpoint_name(dev, unit, name) &&
	       !pram_checkpoint_node_name(node_name, name, NULL) &&
	       !pram_stat(dev, node_name, &node) && node.state == PRAM_NODE_READY;
}

const char *record_text(struct json_object *record, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(record, key, &value))
		return "";
	return json_object_get_string(value) ?: "";
}

uint64_t record_number(struct json_object *record, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(record, key, &value) ? json_object_get_uint64(value) : 0;
}

struct json_object *record_history_load(const char *root, const char *unit)
{
	struct json_object *history = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (asprintf(&path, "%s" RECORD_HISTORY_DIR "/%s.json", root, unit) < 0) {
		path = NULL;
		return NULL;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || read_json(fd, st.st_size, &history))
		return NULL;
	return history;
}

int record_history_save(const char *unit, struct json_object *history)
{
	const char *text = json_object_to_json_string_ext(history, JSON_C_TO_STRING_PRETTY);
	_cleanup_free_ char *path = NULL, *new = NULL;
	_cleanup_close_ int fd = -1;
	int ret;

	mkdir("/var/lib/pram", 0755);
	mkdir(RECORD_HISTORY_DIR, 0755);
	if (asprintf(&path, RECORD_HISTORY_DIR "/%s.json", unit) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (asprintf(&new, "%s.new", path) < 0) {
		new = NULL;
		return -ENOMEM;
	}
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	ret = pram_write_full(fd, text, strlen(text));
	ret = ret ?: pram_write_full(fd, "\n", 1);
	if (!ret && rename(new, path))
		ret = -errno;
	return ret;
}
