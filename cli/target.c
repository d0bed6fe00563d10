// SPDX-License-Identifier: GPL-2.0-only
/* The device, and what the names on the command line mean. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "kho.h"
#include "pramctl.h"
#include "util.h"

int pramctl_open(void)
{
	int dev = pram_open();

	switch (dev) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		pramctl_error("there is no " PRAM_DEVICE_PATH ": %s", pram_absent_remedy());
		return -1;
	case -EACCES:
	case -EPERM:
		pramctl_error(PRAM_DEVICE_PATH ": permission denied; run pramctl as root");
		return -1;
	case -EPROTO:
		pramctl_error(PRAM_DEVICE_PATH
			      ": this kernel's interface is not version %d; install the pramctl that belongs to the kernel",
			      PRAM_ABI_VERSION);
		return -1;
	}
	if (dev < 0) {
		pramctl_error(PRAM_DEVICE_PATH ": %s; see the kernel's log", strerror(-dev));
		return -1;
	}
	return dev;
}

/* Is there any node of that checkpoint? 1, 0, -errno. */
static int checkpoint_exists(int dev, const char *name)
{
	struct pram_node_stat node = { .id = 0 };
	struct pram_checkpoint_node belongs;
	int ret;

	while ((ret = pram_list_next(dev, &node)) > 0) {
		if (pram_checkpoint_node_parse(&node, &belongs) && !strcmp(belongs.name, name))
			return 1;
	}
	return ret;
}

static int resolve(int dev, const char *operand, struct pramctl_target *target)
{
	_cleanup_free_ char *path = NULL;
	struct pram_checkpoint_node belongs;
	struct pram_node_stat node;
	int ret;

	target->kind = PRAMCTL_CHECKPOINT;
	snprintf(target->name, sizeof(target->name), "%s", operand);
	if (strlen(operand) >= PRAM_NAME_MAX)
		return -ENOENT;
	ret = checkpoint_exists(dev, operand);
	if (ret)
		return ret < 0 ? ret : 0;

	/* The way there, or with a slash at the end: CRIU resolves it, too. */
	path = realpath(operand, NULL);
	if (path && strlen(path) < PRAM_NAME_MAX) {
		ret = checkpoint_exists(dev, path);
		if (ret > 0)
			strcpy(target->name, path);
		if (ret)
			return ret < 0 ? ret : 0;
	}

	ret = pram_stat(dev, operand, &node);
	if (ret)
		return ret == -EINVAL ? -ENOENT : ret;
	if (pram_checkpoint_node_parse(&node, &belongs) && !*belongs.image)
		memcpy(target->name, belongs.name, sizeof(target->name));
	else
		target->kind = PRAMCTL_NODE;
	return 0;
}

enum pramctl_exit pramctl_resolve(int dev, const char *operand, struct pramctl_target *target)
{
	int ret = resolve(dev, operand, target);

	if (!ret)
		return PRAMCTL_OK;
	if (ret == -ENOENT) {
		pramctl_error("%s: no checkpoint or node of that name; 'pramctl list' shows what there is",
			      operand);
		return PRAMCTL_NOT_FOUND;
	}
	pramctl_error("%s: can't be looked up: %s; see the kernel's log", operand, strerror(-ret));
	return PRAMCTL_FAILED;
}

int pramctl_open_checkpoint(int dev, const char *name, struct pram_checkpoint_reader **r)
{
	int ret = pram_reader_open(dev, name, PRAM_LOAD_PEEK, r);

	switch (ret) {
	case 0:
		break;
	case -ENOENT:
		pramctl_error("%s: only page nodes are left, without their metadata; remove them with 'pramctl rm'",
			      name);
		break;
	case -EBUSY:
		pramctl_error("%s: is being dumped or restored; try again when that is over", name);
		break;
	case -EBADMSG:
		pramctl_error("%s: its metadata is damaged, it can't be restored; remove it with 'pramctl rm'",
			      name);
		break;
	case -EPROTONOSUPPORT:
		pramctl_error("%s: has a format that this pramctl does not know; use the pramctl that belongs to the criu that dumped it",
			      name);
		break;
	default:
		pramctl_error("%s: can't be opened: %s; see the kernel's log", name,
			      strerror(-ret));
	}
	return ret;
}

const char *pramctl_state_word(uint32_t state)
{
	switch (state) {
	case PRAM_NODE_SAVING:
		return "saving";
	case PRAM_NODE_READY:
		return "ready";
	case PRAM_NODE_LOADING:
		return "loading";
	case PRAM_NODE_BROKEN:
		return "broken";
	}
	return "unknown";
}

const char *pramctl_type_word(uint32_t type)
{
	switch (type) {
	case PRAM_PAGE_STREAM:
		return "pages";
	case PRAM_BYTE_STREAM:
		return "bytes";
	}
	return "unknown";
}

void pramctl_add_node(struct json_object *object, const struct pram_node_stat *node)
{
	output_add_number(object, "id", node->id);
	output_add_string(object, "type", pramctl_type_word(node->type));
	output_add_string(object, "state", pramctl_state_word(node->state));
	output_add_bool(object, "checksum", node->flags & PRAM_NODE_CHECKSUM);
	output_add_number(object, "bytes", node->bytes);
	output_add_number(object, "data_pages", node->data_pages);
	output_add_number(object, "meta_pages", node->meta_pages);
	output_add_number(object, "folios", node->nr_folios);
	output_add_number(object, "adopted_pages", node->adopted_pages);
	output_add_number(object, "saved_ns", node->saved_at_ns);
	output_add_number(object, "kexecs", node->kexec_count);
}
