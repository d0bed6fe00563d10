// SPDX-License-Identifier: GPL-2.0-only
/*
 * Would what PRAM holds survive a kexec at this moment? And is there anything that a
 * reboot of any other kind would lose? For scripts that are about to do one of them: what
 * cannot be seen is held against it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "checkpoint.h"
#include "output.h"
#include "place.h"
#include "sysfile.h"
#include "tasks.h"
#include "util.h"

#define LOAD_IT	"load one with: kexec -s -l VMLINUZ --initrd=INITRD --reuse-cmdline"

/**
 * struct held - what there is to be lost
 * @nodes: committed nodes, those that are being loaded among them
 * @bytes: what they hold
 * @saving: nodes that are being saved
 */
struct held {
	uint64_t	nodes;
	uint64_t	bytes;
	uint64_t	saving;
};

static enum pramctl_exit count_nodes(struct held *held)
{
	_cleanup_close_ int dev = pram_open();
	struct pram_node_stat node = { .id = 0 };
	int ret;

	/* Where there is no PRAM there is nothing to be lost. */
	if (dev == -ENOENT || dev == -ENODEV || dev == -ENXIO)
		return PRAMCTL_OK;
	if (dev < 0) {
		dev = pramctl_open();
		if (dev < 0)
			return PRAMCTL_UNAVAILABLE;
	}
	while ((ret = pram_list_next(dev, &node)) > 0) {
		switch (node.state) {
		case PRAM_NODE_SAVING:
			held->saving++;
			break;
		case PRAM_NODE_BROKEN:
			/* It is lost already. */
			break;
		default:
			held->nodes++;
			held->bytes += node.bytes;
		}
	}
	if (!ret)
		return PRAMCTL_OK;
	pramctl_error("the nodes can't be listed: %s; see the kernel's log", strerror(-ret));
	return PRAMCTL_FAILED;
}

static void add_nodes(struct check *check, const struct held *held)
{
	_cleanup_free_ char *bytes = output_bytes(held->bytes);
	_cleanup_free_ char *found = output_format("%" PRIu64 ", with %s", held->nodes, bytes);
	_cleanup_free_ char *saving =
		output_format("%" PRIu64 " are not committed", held->saving);

	if (!held->nodes)
		check_add(check, "nodes", CHECK_OK, "none", "");
	else if (check->args->kexec)
		check_add(check, "nodes", CHECK_OK, found, "");
	else
		check_add(check, "nodes", CHECK_LOST, found,
			  "kexec instead, after 'pramctl check --kexec'; or restore, export or remove them");
	if (held->saving)
		check_add(check, "nodes being saved", CHECK_LOST, saving,
			  "wait until criu dump has ended");
}

/* A process that sees the files of a checkpoint, which may be of another mount namespace; 0 if there is none. */
static pid_t who_sees(const PramCheckpoint *index, uint64_t kexecs)
{
	const struct pram_place_root root = { index->lost_file_mount, index->lost_file_inode };

	if (!index->has_lost_file_mount)
		return pram_place_is_first_mount_namespace() ? getpid() : pram_place_init();
	/* Mounts are numbered anew in each boot. */
	return kexecs || !root.mount ? 0 : pram_place_find(&root);
}

/* Of one checkpoint, by what its index says; how damage of that is told is another's business. */
static void add_files_of(struct check *check, int dev, const char *name, uint64_t kexecs)
{
	_cleanup_free_ char *item = output_format("file of %s", name);
	struct pram_checkpoint_reader *r;
	const PramCheckpoint *index;
	pid_t seer;

	if (pram_reader_open(dev, name, PRAM_LOAD_PEEK, &r))
		return;
	index = pram_reader_index(r);
	seer = index->n_lost_file ? who_sees(index, kexecs) : 0;
	for (size_t i = 0; i < index->n_lost_file; i++) {
		_cleanup_free_ char *found =
			output_format("%s, in memory that a kexec destroys%s", index->lost_file[i],
				      seer ? "" : "; its mount namespace is gone or not visible");

		if (!seer || pram_file_is_lost(seer, index->lost_file[i]))
			check_add(check, item, CHECK_LOST, found,
				  "copy it to a disk, and back before the restore, which needs it there");
	}
	pram_reader_close(r);
}

/* Files without which a restore fails, on file systems in memory that nobody saves. */
static void add_files(struct check *check)
{
	_cleanup_close_ int dev = pram_open();
	struct pram_checkpoint_node belongs;
	struct pram_node_stat node = { .id = 0 };

	while (dev >= 0 && pram_list_next(dev, &node) > 0) {
		if (pram_checkpoint_node_parse(&node, &belongs) && !*belongs.image &&
		    node.state != PRAM_NODE_SAVING && node.state != PRAM_NODE_BROKEN)
			add_files_of(check, dev, belongs.name, node.kexec_count);
	}
}

static void add_next_kernel(struct check *check)
{
	const char *root = check->args->root;
	_cleanup_free_ char *ready = sysfile_read(root, "/sys/kernel/pram/kexec_ready");
	const int error = errno;
	_cleanup_free_ char *loaded = sysfile_read(root, "/sys/kernel/kexec_loaded");

	if (!ready && error == EBUSY)
		check_add(check, "next kernel", CHECK_LOST, "is being loaded right now",
			  "try again");
	else if (!ready)
		check_add(check, "next kernel", CHECK_MISSING,
			  "/sys/kernel/pram/kexec_ready can't be read", "as root, mount /sys");
	else if (!strcmp(ready, "1"))
		check_add(check, "next kernel", CHECK_OK, "loaded, it will get the nodes",
			  "");
	else if (loaded && !strcmp(loaded, "1"))
		check_add(check, "next kernel", CHECK_LOST,
			  "loaded by kexec_load(2), it will get no nodes", LOAD_IT);
	else
		check_add(check, "next kernel", CHECK_LOST, "none is loaded", LOAD_IT);
}

/* The option pram=NAME among those of a super block: NAME, to be freed, or NULL. */
static char *pram_option(const char *options)
{
	for (const char *p = options; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (!strncmp(p, "pram=", 5))
			return output_format("%.*s", (int)strcspn(p + 5, ","), p + 5);
	}
	return NULL;
}

/* File systems by their devices, which have many mounts. */
struct seen {
	char	(*devices)[16];
	size_t	nr;
};

static void see(struct seen *seen, const char *line)
{
	char device[16] = "", (*more)[16];

	if (sscanf(line, "%*d %*d %15s", device) != 1)
		return;
	for (size_t i = 0; i < seen->nr; i++) {
		if (!strcmp(seen->devices[i], device))
			return;
	}
	more = reallocarray(seen->devices, seen->nr + 1, sizeof(*more));
	if (!more)
		return;
	seen->devices = more;
	memcpy(seen->devices[seen->nr++], device, sizeof(device));
}

/*
 * A line of /proc/self/mountinfo: number, parent, device, root, place and options of the
 * mount, more of them up to a dash, then type, source, and options of the super block. One
 * file system may have many mounts.
 */
static bool add_mount(struct check *check, char *line, struct seen *seen)
{
	char *rest = strstr(line, " - tmpfs "), *place = line;
	_cleanup_free_ char *name = NULL, *item = NULL, *remedy = NULL;
	const char *options;

	for (int i = 0; i < 4 && place; i++) {
		place = strchr(place, ' ');
		place += !!place;
	}
	if (!rest || !place || place > rest)
		return false;
	options = strrchr(rest, ' ') + 1;
	name = pram_option(options);
	if (!name || strncmp(options, "rw", 2))
		return false;
	see(seen, line);
	place[strcspn(place, " ")] = 0;
	item = output_format("tmpfs pram=%s", name);
	remedy = output_format("umount %s, or mount -o remount,ro %s", place, place);
	check_add(check, item, CHECK_LOST, "mounted for writing, so it is not saved", remedy);
	return true;
}

/*
 * The kernel counts those of all mount namespaces: in containers, in units of systemd.
 * Where it doesn't yet, only what is mounted here is seen.
 */
static bool add_mounts_elsewhere(struct check *check, uint64_t here)
{
	_cleanup_free_ char *text =
		sysfile_read(check->args->root, "/sys/kernel/pram/tmpfs_writable");
	const uint64_t all = text ? strtoull(text, NULL, 10) : 0;
	_cleanup_free_ char *found = NULL;

	if (all <= here)
		return false;
	found = output_format("%" PRIu64 " more, mounted for writing in other mount namespaces",
			      all - here);
	check_add(check, "tmpfs pram=", CHECK_LOST, found,
		  "stop the containers and units that have them; 'grep pram= /proc/*/mountinfo' finds them");
	return true;
}

static bool add_mounts(struct check *check)
{
	_cleanup_free_ char *text = sysfile_read(check->args->root, "/proc/self/mountinfo");
	struct seen seen = { .nr = 0 };
	char *rest = text, *line;
	bool any = false;

	while (text && (line = strsep(&rest, "\n")))
		any |= add_mount(check, line, &seen);
	any |= add_mounts_elsewhere(check, seen.nr);
	free(seen.devices);
	if (!text)
		check_add(check, "file systems", CHECK_MISSING,
			  "/proc/self/mountinfo can't be read", "mount /proc");
	return any;
}

enum pramctl_exit pramctl_check_loss(const struct pramctl_args *args)
{
	struct check check = { .args = args };
	struct held held = { 0 };
	enum pramctl_exit status = count_nodes(&held);
	const char *verdict;
	bool mounted;

	if (status)
		return status;
	check.items = output_new_array();
	add_nodes(&check, &held);
	if (args->kexec)
		add_files(&check);
	mounted = add_mounts(&check);
	if (args->nr)
		check_add_images(&check, args->operands[0], args->nr > 1 ? args->operands[1] : NULL,
				 held.nodes || mounted);
	if (args->kexec && (held.nodes || mounted))
		add_next_kernel(&check);
	if (args->kexec)
		verdict = check.failed ? "A kexec would lose data now." :
					 "A kexec would lose nothing in PRAM now.";
	else
		verdict = check.failed ? "A reboot would lose data; a kexec need not." :
					 "A reboot would lose nothing in PRAM.";
	return check_end(&check, "safe", verdict);
}
