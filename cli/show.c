// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "output.h"
#include "pramctl.h"
#include "util.h"

static void add_optional(struct json_object *object, const char *key, const char *value)
{
	if (value)
		output_add_string(object, key, value);
}

static struct json_object *images_to_json(const PramCheckpoint *index)
{
	struct json_object *array = output_new_array();

	for (size_t i = 0; i < index->n_image; i++) {
		struct json_object *image = output_new_object();

		output_add_string(image, "name", index->image[i]->name);
		output_add_number(image, "offset", index->image[i]->offset);
		output_add_number(image, "bytes", index->image[i]->size);
		output_append(array, image);
	}
	return array;
}

/* The page nodes, with what the kernel says of them. */
static struct json_object *pages_to_json(int dev, const PramCheckpoint *index)
{
	struct json_object *array = output_new_array();

	for (size_t i = 0; i < index->n_pages; i++) {
		struct json_object *pages = output_new_object();
		struct pram_node_stat node;

		output_add_string(pages, "name", index->pages[i]->image);
		output_add_string(pages, "node", index->pages[i]->node);
		if (!pram_stat(dev, index->pages[i]->node, &node))
			pramctl_add_node(pages, &node);
		else
			output_add_string(pages, "state", "missing");
		/* As it was saved: that is what counts if the two differ. */
		output_add_number(pages, "bytes", index->pages[i]->bytes);
		output_append(array, pages);
	}
	return array;
}

static struct json_object *settings_to_json(const PramSettings *settings)
{
	struct json_object *object = output_new_object();

	if (!settings)
		return object;
	if (settings->has_replace)
		output_add_bool(object, "replace", settings->replace);
	if (settings->has_checksums)
		output_add_bool(object, "checksums", settings->checksums);
	if (settings->has_copy)
		output_add_bool(object, "copy", settings->copy);
	return object;
}

static struct json_object *checkpoint_to_json(int dev, const PramCheckpoint *index)
{
	struct json_object *object = output_new_object();
	_cleanup_free_ char *owner = NULL;
	char node_name[PRAM_NAME_MAX];
	struct pram_node_stat node;
	uint64_t bytes = 0;

	output_add_string(object, "name", index->name);
	output_add_string(object, "type", "checkpoint");
	output_add_number(object, "created_ns", index->created_ns);
	output_add_number(object, "page_size", index->page_size);
	add_optional(object, "kernel_release", index->kernel_release);
	add_optional(object, "kernel_version", index->kernel_version);
	add_optional(object, "machine", index->machine);
	add_optional(object, "hostname", index->hostname);
	add_optional(object, "criu_version", index->criu_version);
	add_optional(object, "images_dir", index->images_dir);
	if (index->has_root_pid)
		output_add_number(object, "root_pid", index->root_pid);
	add_optional(object, "root_comm", index->root_comm);
	add_optional(object, "cgroup", index->cgroup);
	owner = pramctl_owner(index->name, index->cgroup);
	add_optional(object, "owner", owner);
	output_add(object, "settings", settings_to_json(index->settings));

	for (size_t i = 0; i < index->n_image; i++)
		bytes += index->image[i]->size;
	output_add_number(object, "image_bytes", bytes);
	bytes = 0;
	for (size_t i = 0; i < index->n_pages; i++)
		bytes += index->pages[i]->bytes;
	output_add_number(object, "pages_bytes", bytes);

	if (!pram_checkpoint_node_name(node_name, index->name, NULL) &&
	    !pram_stat(dev, node_name, &node)) {
		struct json_object *metadata = output_new_object();

		output_add_string(metadata, "node", node_name);
		pramctl_add_node(metadata, &node);
		output_add(object, "metadata", metadata);
		output_add_number(object, "kexecs", node.kexec_count);
	}
	output_add(object, "images", images_to_json(index));
	output_add(object, "pages", pages_to_json(dev, index));
	return object;
}

static void print_checkpoint(struct json_object *object)
{
	static const struct output_column members[] = {
		{ "Name", "name", OUTPUT_TEXT },
		{ "Created", "created_ns", OUTPUT_TIME },
		{ "Kexecs since", "kexecs", OUTPUT_NUMBER },
		{ "Root task", "root_comm", OUTPUT_TEXT },
		{ "Its pid", "root_pid", OUTPUT_NUMBER },
		{ "Owner", "owner", OUTPUT_TEXT },
		{ "Control group", "cgroup", OUTPUT_TEXT },
		{ "Host", "hostname", OUTPUT_TEXT },
		{ "Kernel", "kernel_release", OUTPUT_TEXT },
		{ "Machine", "machine", OUTPUT_TEXT },
		{ "CRIU", "criu_version", OUTPUT_TEXT },
		{ "Images directory", "images_dir", OUTPUT_TEXT },
		{ "Small images", "image_bytes", OUTPUT_BYTES },
		{ "Pages", "pages_bytes", OUTPUT_BYTES },
	};
	static const struct output_column settings[] = {
		{ "Replaced another", "replace", OUTPUT_YES_NO },
		{ "Page checksums", "checksums", OUTPUT_YES_NO },
		{ "Pages copied", "copy", OUTPUT_YES_NO },
	};
	static const struct output_column images[] = {
		{ "IMAGE", "name", OUTPUT_TEXT },
		{ "OFFSET", "offset", OUTPUT_NUMBER },
		{ "SIZE", "bytes", OUTPUT_BYTES },
	};
	static const struct output_column pages[] = {
		{ "PAGES IMAGE", "name", OUTPUT_TEXT },
		{ "STATE", "state", OUTPUT_TEXT },
		{ "CHECKSUM", "checksum", OUTPUT_YES_NO },
		{ "SIZE", "bytes", OUTPUT_BYTES },
		{ "PAGES", "data_pages", OUTPUT_NUMBER },
		{ "FOLIOS", "folios", OUTPUT_NUMBER },
		{ "ADOPTED", "adopted_pages", OUTPUT_NUMBER },
	};

	output_members(object, OUTPUT_COLUMNS(members));
	output_members(json_object_object_get(object, "settings"), OUTPUT_COLUMNS(settings));
	putchar('\n');
	output_table(json_object_object_get(object, "images"), OUTPUT_COLUMNS(images));
	putchar('\n');
	output_table(json_object_object_get(object, "pages"), OUTPUT_COLUMNS(pages));
}

static enum pramctl_exit show_checkpoint(int dev, const char *name, bool json)
{
	struct pram_checkpoint_reader *r;
	struct json_object *object;
	int ret = pramctl_open_checkpoint(dev, name, &r);

	if (ret)
		return PRAMCTL_FAILED;
	object = checkpoint_to_json(dev, pram_reader_index(r));
	pram_reader_close(r);
	if (json) {
		output_json(object);
	} else {
		print_checkpoint(object);
		json_object_put(object);
	}
	return PRAMCTL_OK;
}

static enum pramctl_exit show_node(int dev, const char *name, bool json)
{
	static const struct output_column members[] = {
		{ "Name", "name", OUTPUT_TEXT },
		{ "Id", "id", OUTPUT_NUMBER },
		{ "Type", "type", OUTPUT_TEXT },
		{ "State", "state", OUTPUT_TEXT },
		{ "Checksum", "checksum", OUTPUT_YES_NO },
		{ "Size", "bytes", OUTPUT_BYTES },
		{ "Pages of data", "data_pages", OUTPUT_NUMBER },
		{ "Pages of metadata", "meta_pages", OUTPUT_NUMBER },
		{ "Folios", "folios", OUTPUT_NUMBER },
		{ "Adopted pages", "adopted_pages", OUTPUT_NUMBER },
		{ "Saved", "saved_ns", OUTPUT_TIME },
		{ "Kexecs since", "kexecs", OUTPUT_NUMBER },
	};
	struct json_object *object;
	struct pram_node_stat node;
	int ret = pram_stat(dev, name, &node);

	if (ret) {
		pramctl_error("%s: %s; 'pramctl list' shows what there is", name, strerror(-ret));
		return PRAMCTL_FAILED;
	}
	object = output_new_object();
	output_add_string(object, "name", name);
	pramctl_add_node(object, &node);
	if (json) {
		output_json(object);
	} else {
		output_members(object, OUTPUT_COLUMNS(members));
		json_object_put(object);
	}
	return PRAMCTL_OK;
}

enum pramctl_exit pramctl_show(const struct pramctl_args *args)
{
	_cleanup_close_ int dev = pramctl_open();
	struct pramctl_target target;
	enum pramctl_exit status;

	if (dev < 0)
		return PRAMCTL_UNAVAILABLE;
	status = pramctl_resolve(dev, args->operands[0], &target);
	if (status)
		return status;
	return target.kind == PRAMCTL_CHECKPOINT ? show_checkpoint(dev, target.name, args->json) :
						   show_node(dev, target.name, args->json);
}
