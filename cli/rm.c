// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "output.h"
#include "place.h"
#include "pram_marker.h"
#include "pramctl.h"
#include "util.h"

/* How the kernel calls the first node of a file system, linux/kho/abi/pram_tmpfs.h. */
#define FILE_SYSTEM_PREFIX	"shmem-1-"

static void report(struct json_object *removed, const char *kind, const char *name,
		   uint64_t nr_nodes)
{
	struct json_object *object = output_new_object();

	output_add_string(object, "type", kind);
	output_add_string(object, "name", name);
	output_add_number(object, "nodes", nr_nodes);
	output_append(removed, object);
}

static enum pramctl_exit complain(const char *name, int ret)
{
	switch (ret) {
	case -ENOENT:
		pramctl_error("%s: is already gone", name);
		return PRAMCTL_NOT_FOUND;
	case -EBUSY:
		pramctl_error("%s: is being saved or loaded; try again when that is over", name);
		return PRAMCTL_FAILED;
	}
	pramctl_error("%s: can't be removed: %s; see the kernel's log", name, strerror(-ret));
	return PRAMCTL_FAILED;
}

/* What the plugin has left in its images directory, if that can be found: -1 if not. */
static int open_images_dir(const char *name)
{
	/* Another name may be that of a directory in another mount namespace. */
	if (*name != '/' || !pram_place_is_first_mount_namespace())
		return -1;
	return open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static enum pramctl_exit rm_checkpoint(int dev, const char *name, struct json_object *removed)
{
	_cleanup_close_ int dir = open_images_dir(name);
	uint64_t nr_freed;
	int ret = pram_checkpoint_remove(dev, name, &nr_freed);

	if (!ret && dir >= 0 && pram_marker_is(dir))
		unlinkat(dir, PRAM_MARKER_NAME, 0);

	/* Also after an error: some broken nodes may be gone, and that is final. */
	if (nr_freed)
		report(removed, "checkpoint", name, nr_freed);
	return ret ? complain(name, ret) : PRAMCTL_OK;
}

static enum pramctl_exit rm_node(int dev, const char *name, struct json_object *removed)
{
	struct pram_checkpoint_node belongs;
	struct pram_node_stat node;
	int ret = pram_stat(dev, name, &node);

	if (!ret && pram_checkpoint_node_parse(&node, &belongs)) {
		pramctl_error("%s: without it checkpoint %s could not be restored; remove that, or this one with --id %" PRIu64,
			      name, belongs.name, (uint64_t)node.id);
		return PRAMCTL_FAILED;
	}
	if (!ret)
		ret = pram_free(dev, name);
	if (ret)
		return complain(name, ret);
	report(removed, "node", name, 1);
	return PRAMCTL_OK;
}

static enum pramctl_exit rm_operand(int dev, const char *operand, struct json_object *removed)
{
	struct pramctl_target target;
	enum pramctl_exit status = pramctl_resolve(dev, operand, &target);

	if (status)
		return status;
	return target.kind == PRAMCTL_CHECKPOINT ? rm_checkpoint(dev, target.name, removed) :
						   rm_node(dev, target.name, removed);
}

static enum pramctl_exit rm_id(int dev, const char *operand, struct json_object *removed)
{
	_cleanup_free_ char *name = output_format("node %s", operand);
	uint64_t id;
	char *end;
	int ret;

	errno = 0;
	id = strtoull(operand, &end, 10);
	if (errno || *end || *operand < '0' || *operand > '9' || !id) {
		pramctl_error("'%s' is not a node's id; 'pramctl list --nodes' shows them", operand);
		return PRAMCTL_USAGE;
	}
	ret = pram_free_id(dev, id);
	if (ret == -ENOENT) {
		pramctl_error("there is no node %s; 'pramctl list --nodes' shows what there is",
			      operand);
		return PRAMCTL_NOT_FOUND;
	}
	if (ret)
		return complain(name, ret);
	report(removed, "node", operand, 1);
	return PRAMCTL_OK;
}

/*
 * A file system with pram= that is not mounted: "all checkpoints" is what people have in
 * mind who say --all, and these are files.
 */
static enum pramctl_exit refuse_file_systems(int dev)
{
	struct pram_node_stat node = { .id = 0 };
	uint64_t nr = 0;
	int ret;

	while ((ret = pram_list_next(dev, &node)) > 0) {
		const char *name = (const char *)node.name;

		if (strncmp(name, FILE_SYSTEM_PREFIX, strlen(FILE_SYSTEM_PREFIX)))
			continue;
		pramctl_error("--all would remove the file system pram=%s",
			      name + strlen(FILE_SYSTEM_PREFIX));
		nr++;
	}
	if (ret)
		return complain("all nodes", ret);
	if (!nr)
		return PRAMCTL_OK;
	pramctl_error("nothing was removed; name what to remove, or add --force");
	return PRAMCTL_FAILED;
}

static enum pramctl_exit rm_all(int dev, bool force, struct json_object *removed)
{
	struct pram_ioctl_info info;
	uint64_t nr_freed;
	int ret;

	if (!force) {
		enum pramctl_exit status = refuse_file_systems(dev);

		if (status)
			return status;
	}
	ret = pram_free_all(dev, &nr_freed);
	if (ret)
		return complain("all nodes", ret);
	report(removed, "all", "", nr_freed);
	ret = pram_info(dev, &info);
	if (ret)
		return complain("all nodes", ret);
	if (info.nr_nodes) {
		pramctl_error("%" PRIu64 " nodes are being saved or loaded and were left; try again when that is over",
			      (uint64_t)info.nr_nodes);
		return PRAMCTL_FAILED;
	}
	return PRAMCTL_OK;
}

/* ---- orphans ----------------------------------------------------------- */

static bool is_empty(const char *path)
{
	struct dirent *entry;
	bool empty = true;
	DIR *dir = opendir(path);

	while (dir && empty && (entry = readdir(dir)))
		empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
	if (dir)
		closedir(dir);
	return empty;
}

/*
 * Might a directory that is not there be there again? By what is left of its path: that is
 * memory, or lies over it, which is empty after a kexec; or an empty directory, on which
 * a file system may have to be mounted.
 */
static bool may_return(const char *path, bool after_kexec)
{
	_cleanup_free_ char *above = strdup(path);
	struct statfs fs;
	char *slash;

	while (above && (slash = strrchr(above, '/'))) {
		slash[slash == above] = 0;
		if (!statfs(above, &fs))
			return is_empty(above) ||
			       (after_kexec &&
				(fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC ||
				 fs.f_type == OVERLAYFS_SUPER_MAGIC));
		if (slash == above)
			break;
	}
	return true;
}

/*
 * Is its images directory gone, so that nobody will give it to criu? Only where the name is
 * the path: what has another name may have been made in another mount namespace.
 */
static bool is_orphan(int dev, const char *name, uint64_t kexecs)
{
	struct pram_checkpoint_reader *r;
	bool orphan = false;
	const char *dir;

	if (*name != '/' || pram_reader_open(dev, name, PRAM_LOAD_PEEK, &r))
		return false;
	dir = pram_reader_index(r)->images_dir;
	if (dir && !strcmp(dir, name) && access(dir, F_OK) && errno == ENOENT) {
		orphan = !may_return(dir, kexecs);
		if (!orphan)
			pramctl_error("%s: is kept, as its directory may have been lost in the kexec, or be on a file system that is not mounted; create the directory to restore the checkpoint, or remove the checkpoint by its name",
				      name);
	}
	pram_reader_close(r);
	return orphan;
}

/* A checkpoint whose metadata is gone can be restored by nobody. */
static bool has_metadata(int dev, const char *name)
{
	char node_name[PRAM_NAME_MAX];
	struct pram_node_stat node;

	return pram_checkpoint_node_name(node_name, name, NULL) ||
	       pram_stat(dev, node_name, &node) != -ENOENT;
}

static enum pramctl_exit rm_orphans(int dev, struct json_object *removed)
{
	struct pram_checkpoint_node belongs;
	struct pram_node_stat node = { .id = 0 };
	enum pramctl_exit status = PRAMCTL_OK;
	int ret;

	if (!pram_place_is_first_mount_namespace()) {
		pramctl_error("--orphans compares paths: call it in the mount namespace of the machine's init, where a path means the same as for criu");
		return PRAMCTL_FAILED;
	}
	/* Removing does not disturb the list: it goes on with the next higher id. */
	while ((ret = pram_list_next(dev, &node)) > 0) {
		enum pramctl_exit one;

		if (!pram_checkpoint_node_parse(&node, &belongs) || node.state != PRAM_NODE_READY)
			continue;
		if (*belongs.image ? has_metadata(dev, belongs.name) :
				     !is_orphan(dev, belongs.name, node.kexec_count))
			continue;
		one = rm_checkpoint(dev, belongs.name, removed);
		if (one)
			status = one;
	}
	return ret ? complain("orphans", ret) : status;
}

static void print(struct json_object *removed)
{
	for (size_t i = 0; i < json_object_array_length(removed); i++) {
		struct json_object *row = json_object_array_get_idx(removed, i);
		const char *type = json_object_get_string(json_object_object_get(row, "type"));
		const char *name = json_object_get_string(json_object_object_get(row, "name"));
		const uint64_t nr = json_object_get_uint64(json_object_object_get(row, "nodes"));

		if (!strcmp(type, "all")) {
			printf("removed %" PRIu64 " nodes\n", nr);
			continue;
		}
		printf("removed %s ", type);
		output_print(name);
		if (!strcmp(type, "node"))
			putchar('\n');
		else
			printf(" (%" PRIu64 " nodes)\n", nr);
	}
}

enum pramctl_exit pramctl_rm(const struct pramctl_args *args)
{
	enum pramctl_exit status = PRAMCTL_OK;
	struct json_object *object, *removed;
	_cleanup_close_ int dev = -1;

	if (args->all || args->orphans ? args->nr || args->by_id || (args->all && args->orphans) :
					 !args->nr) {
		pramctl_error("rm takes either NAMEs, --all or --orphans");
		return PRAMCTL_USAGE;
	}
	if (args->force && !args->all) {
		pramctl_error("rm takes --force with --all only");
		return PRAMCTL_USAGE;
	}
	dev = pramctl_open();
	if (dev < 0)
		return PRAMCTL_UNAVAILABLE;

	object = output_new_object();
	removed = output_new_array();
	output_add(object, "removed", removed);
	if (args->all)
		status = rm_all(dev, args->force, removed);
	if (args->orphans)
		status = rm_orphans(dev, removed);
	/* One that fails is no reason to keep the others; its status is the last word. */
	for (size_t i = 0; i < args->nr; i++) {
		enum pramctl_exit one = args->by_id ? rm_id(dev, args->operands[i], removed) :
						      rm_operand(dev, args->operands[i], removed);

		if (one)
			status = one;
	}
	if (args->json) {
		output_json(object);
		return status;
	}
	print(removed);
	json_object_put(object);
	return status;
}
