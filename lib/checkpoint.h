/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checkpoints in PRAM: a metadata node with all small images and one page node
 * per pages image. proto/pram_image.proto describes the format.
 *
 * Nothing here logs. Functions return 0 or a file descriptor, or a negative
 * errno; those of /dev/pram are passed on with the meanings of <linux/pram.h>.
 */
#ifndef PRAM_LIB_CHECKPOINT_H
#define PRAM_LIB_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/pram.h>

#include "place.h"
#include "pram_image.pb-c.h"

struct pram_tasks;

/* ---- names ------------------------------------------------------------- */

#define PRAM_CHECKPOINT_PREFIX	"criu:"

/**
 * pram_checkpoint_node_name() - the name of a checkpoint's node
 * @out: where to store the node's name
 * @name: the checkpoint's name, not empty
 * @image: a pages image, or %NULL for the metadata node
 *
 * Return: 0, -ENAMETOOLONG if the node's name does not fit, -EINVAL if @name is
 * empty or @image is not a file name or holds a colon.
 */
int pram_checkpoint_node_name(char out[PRAM_NAME_MAX], const char *name, const char *image);

/**
 * struct pram_checkpoint_node - what a node's name and type say
 * @name: the checkpoint's name
 * @image: the pages image, empty for the metadata node
 */
struct pram_checkpoint_node {
	char	name[PRAM_NAME_MAX];
	char	image[PRAM_NAME_MAX];
};

/**
 * pram_checkpoint_node_parse() - which checkpoint does a node belong to?
 * @node: from pram_stat() or pram_list_next()
 * @out: filled if it belongs to one
 *
 * Return: whether it is a checkpoint's node, going by its name and type alone.
 */
bool pram_checkpoint_node_parse(const struct pram_node_stat *node,
				struct pram_checkpoint_node *out);

/**
 * pram_checkpoint_is_pages_image() - is this a pages image?
 * @image: file name of an image
 *
 * Return: true for pages-*.img, that is all images that consist of whole pages
 * and go to page streams; false for the rest.
 */
bool pram_checkpoint_is_pages_image(const char *image);

/* ---- writing ----------------------------------------------------------- */

/**
 * struct pram_writer_options - how to write a checkpoint
 * @replace: replace a committed checkpoint of that name, atomically, at commit
 * @checksums: keep checksums of the pages, too (the metadata always has them)
 * @copy: never take over pages, always copy
 * @commit_flags: what the commit does to the tasks, see pram_commit_flags()
 * @evacuate: have memory moved now that would have to be moved when it is taken over;
 *	only where pram_info() reports %PRAM_FEATURE_EVACUATE
 * @final: the tasks do not run again after the commit; only where pram_info() reports
 *	%PRAM_FEATURE_FINAL
 * @images_dir: CRIU's images directory for the index, or %NULL
 * @criu_version: CRIU's version for the index, or %NULL
 *
 * The strings are copied.
 */
struct pram_writer_options {
	bool		replace;
	bool		checksums;
	bool		copy;
	bool		evacuate;
	bool		final;
	uint32_t	commit_flags;
	const char	*images_dir;
	const char	*criu_version;
};

/* A checkpoint being written. Owned by the process that created it. */
struct pram_checkpoint_writer;

/**
 * pram_writer_create() - claim a name and begin a checkpoint
 * @dev: from pram_open(); borrowed, must stay open as long as the writer exists
 * @name: the checkpoint's name
 * @options: see there; all zero is fine
 * @w: where to store the writer; the caller ends it with pram_writer_close()
 *
 * The metadata node is created here, so everything that is wrong with the name
 * shows before any task is touched.
 *
 * When replacing, the old checkpoint's nodes are held for loading from here to
 * the end: nobody can restore or remove it meanwhile. Closing the writer without
 * a commit lets go of them and leaves the old checkpoint as it was.
 *
 * Return: 0. -EEXIST: a checkpoint of that name, or page nodes left of one,
 * exists and @options->replace is not set; or another dump to that name is
 * under way. -EBUSY: the old checkpoint is being restored. -EBADMSG: a node of
 * the old checkpoint is damaged and has to be removed first. -ENAMETOOLONG:
 * not even the metadata node's name fits.
 */
int pram_writer_create(int dev, const char *name, const struct pram_writer_options *options,
		       struct pram_checkpoint_writer **w);

/**
 * pram_writer_set_root() - say which task the checkpoint is of
 * @w: the writer
 * @pid: the root task's pid
 * @comm: its name, copied; or %NULL
 * @cgroup: its control group, copied; or %NULL
 *
 * For the index only, and only before pram_writer_seal(), in the process that
 * created the writer.
 *
 * Return: 0 or -ENOMEM.
 */
int pram_writer_set_root(struct pram_checkpoint_writer *w, pid_t pid, const char *comm,
			 const char *cgroup);

/* At most so many files that a kexec destroys are noted. */
#define PRAM_WRITER_LOST_FILES_MAX	256

/**
 * pram_writer_set_lost_files() - note which files of the tasks a kexec destroys
 * @w: the writer, before pram_writer_seal()
 * @tasks: of whom they are
 * @root: where their paths begin, %NULL if that is where those of process 1 do; all 0 if it is not known
 *
 * Return: 0 or -ENOMEM.
 */
int pram_writer_set_lost_files(struct pram_checkpoint_writer *w, const struct pram_tasks *tasks,
			       const struct pram_place_root *root);

/**
 * pram_writer_image() - create a small image
 * @w: the writer
 * @image: its file name
 *
 * Works in the process that created the writer and in processes that it forked,
 * in whatever namespaces and with whatever capabilities: the writer gets its own
 * reference by a socket. An image of that name that was created before is
 * dropped, as with O_TRUNC. All that is written to the descriptor until
 * pram_writer_seal() belongs to the image.
 *
 * Return: a new empty memfd, close-on-exec, open for reading and writing, that
 * the caller closes. -EINVAL: not a file name. -ENOBUFS: too many images.
 */
int pram_writer_image(struct pram_checkpoint_writer *w, const char *image);

/**
 * pram_writer_pages() - create a pages image
 * @w: the writer
 * @image: its file name
 *
 * As pram_writer_image(), but the caller needs CAP_SYS_ADMIN in the initial user
 * namespace, and each pages image can be created only once.
 *
 * Return: a page stream, close-on-exec, that the caller closes. -EEXIST: the
 * pages image was created before. -ENAMETOOLONG: the page node's name does not
 * fit, choose a shorter name for the checkpoint.
 */
int pram_writer_pages(struct pram_checkpoint_writer *w, const char *image);

/**
 * pram_writer_unlink() - drop an image, small or pages
 * @w: the writer
 * @image: its file name
 *
 * Works where pram_writer_image() does. Whether there is such an image is not
 * known here: dropping one that does not exist is no error.
 *
 * Return: 0, -EINVAL, -ENOBUFS.
 */
int pram_writer_unlink(struct pram_checkpoint_writer *w, const char *image);

/**
 * pram_writer_seal() - end the writing and do everything that can fail
 * @w: the writer
 *
 * To be called in the process that created the writer, when all others are done
 * writing. Packs the small images behind the index. Sealing again is no error.
 *
 * Return: 0; -EFBIG if the index gets longer than %PRAM_CHECKPOINT_INDEX_MAX;
 * -EMFILE if the limit of open files is lower than the number of images; any
 * error of writing. After an error the writer can only be closed.
 */
int pram_writer_seal(struct pram_checkpoint_writer *w);

/**
 * pram_writer_index() - the index as it was written
 * @w: the writer
 *
 * Return: the index, borrowed from the writer, or %NULL before pram_writer_seal()
 * has succeeded.
 */
const PramCheckpoint *pram_writer_index(const struct pram_checkpoint_writer *w);

/**
 * pram_writer_commit() - make the checkpoint loadable, all of it or nothing
 * @w: the writer; sealed here if it is not yet
 *
 * Frees the checkpoint that is replaced in the same step. pram_writer_close() is
 * still to be called.
 *
 * Return: 0 or -errno; after an error nothing has been committed.
 */
int pram_writer_commit(struct pram_checkpoint_writer *w);

/**
 * pram_writer_close() - end a writer
 * @w: the writer, freed here; may be %NULL
 *
 * Unless it was committed the new checkpoint is discarded, as soon as the last
 * process that has inherited its streams has closed them, too, and the old one is
 * put back. Another process than the creator must not call it, nor needs to.
 */
void pram_writer_close(struct pram_checkpoint_writer *w);

/* ---- reading ----------------------------------------------------------- */

/* A checkpoint being read. */
struct pram_checkpoint_reader;

/**
 * pram_reader_open() - open a checkpoint and check its index
 * @dev: from pram_open(); borrowed, must stay open as long as the reader exists
 * @name: the checkpoint's name
 * @load_flags: PRAM_LOAD_* bits; %PRAM_LOAD_MAP only takes effect for pages,
 *	with %PRAM_LOAD_PEEK the checkpoint stays loadable by others and cannot
 *	be finished
 * @r: where to store the reader; the caller ends it with pram_reader_close()
 *
 * Return: 0. -ENOENT: no such checkpoint. -EBUSY: it is not committed yet or
 * somebody is restoring it. -EBADMSG: it is damaged. -EPROTONOSUPPORT: it has a
 * version that this reader does not know.
 */
int pram_reader_open(int dev, const char *name, uint32_t load_flags,
		     struct pram_checkpoint_reader **r);

/**
 * pram_reader_index() - what the checkpoint holds
 * @r: the reader
 *
 * Return: the index, checked, borrowed from the reader.
 */
const PramCheckpoint *pram_reader_index(const struct pram_checkpoint_reader *r);

/**
 * pram_reader_stream() - the metadata node's stream
 * @r: the reader
 *
 * Return: a descriptor that is borrowed from the reader. It is only ever used
 * with explicit offsets, so it can be shared between processes.
 */
int pram_reader_stream(const struct pram_checkpoint_reader *r);

/**
 * pram_reader_image() - open a small image
 * @r: the reader, or a copy of it in a forked process
 * @stream: the metadata node's stream in this process, or -1 to use the
 *	reader's own: for processes in which that was closed
 * @image: its file name
 *
 * Return: a new memfd, close-on-exec, with the bytes of the image and at position
 * 0, that the caller closes. -ENOENT: no such image; also for pages images.
 */
int pram_reader_image(const struct pram_checkpoint_reader *r, int stream, const char *image);

/**
 * pram_reader_open_pages() - open all page nodes
 * @r: the reader
 *
 * Return: 0, also if they were open already. -EBADMSG if a node is missing or
 * has another size than the index says; after an error none is open.
 */
int pram_reader_open_pages(struct pram_checkpoint_reader *r);

/**
 * pram_reader_pages() - the stream of a pages image
 * @r: the reader, after pram_reader_open_pages()
 * @image: its file name
 *
 * Return: a descriptor that is borrowed from the reader; -ENOENT: no such pages
 * image, or not open.
 */
int pram_reader_pages(const struct pram_checkpoint_reader *r, const char *image);

/**
 * pram_reader_finish() - the checkpoint was restored: free it, all nodes at once
 * @r: the reader; page nodes are opened here if they are not yet
 *
 * pram_reader_close() is still to be called. Descriptors of pram_reader_image()
 * stay valid.
 *
 * Return: 0 or -errno; after an error the checkpoint is whole.
 */
int pram_reader_finish(struct pram_checkpoint_reader *r);

/**
 * pram_reader_send() - have another process finish it
 * @r: the reader; page nodes are opened here if they are not yet
 * @socket: see pram_streams_send()
 *
 * The receiver frees the checkpoint by pram_commit() of all streams, or puts it back by
 * closing them. pram_reader_close() is still to be called.
 *
 * Return: 0 or -errno.
 */
int pram_reader_send(struct pram_checkpoint_reader *r, int socket);

/**
 * pram_reader_close() - end a reader
 * @r: the reader, freed here; may be %NULL
 *
 * Unless it was finished the checkpoint is put back, as soon as the last process
 * that has inherited its streams has closed them, too.
 */
void pram_reader_close(struct pram_checkpoint_reader *r);

/* ---- damage ------------------------------------------------------------ */

/**
 * struct pram_damage - where a checkpoint is damaged
 * @node: the node's name
 * @broken: it is the node's metadata, which the kernel has found to be damaged; the
 *	other members say nothing
 * @offset: otherwise, where the folio begins whose checksum is wrong, in bytes
 */
struct pram_damage {
	char		node[PRAM_NAME_MAX];
	bool		broken;
	uint64_t	offset;
};

/**
 * pram_checkpoint_find_damage() - look for damage in a checkpoint, as far as it shows
 * @dev: from pram_open()
 * @name: the checkpoint's name
 * @damage: the first that was found
 *
 * Has the kernel verify all checksums that the nodes have, by reading a byte of each
 * page; the kernel's log has what is found, too.
 *
 * Return: 1 if @damage was filled, 0 if there is none, or -errno.
 */
int pram_checkpoint_find_damage(int dev, const char *name, struct pram_damage *damage);

/* ---- removing ---------------------------------------------------------- */

/**
 * pram_checkpoint_remove() - free all nodes of a checkpoint, whatever their state
 * @dev: from pram_open()
 * @name: the checkpoint's name
 * @nr_freed: where to store the number of nodes that were freed, or %NULL
 *
 * Goes by the nodes' names and never reads the metadata, so it also removes
 * checkpoints that are damaged or of another version, and page nodes whose
 * metadata node is gone. All nodes are freed at once, except for broken ones,
 * which can only be freed one by one.
 *
 * Return: 0. -ENOENT: there is no node of that checkpoint. -EBUSY: it is being
 * dumped or restored; nothing was freed then.
 */
int pram_checkpoint_remove(int dev, const char *name, uint64_t *nr_freed);

#endif /* PRAM_LIB_CHECKPOINT_H */
