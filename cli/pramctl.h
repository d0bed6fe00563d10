/* SPDX-License-Identifier: GPL-2.0-only */
/* What pramctl's verbs share. */
#ifndef PRAM_CLI_PRAMCTL_H
#define PRAM_CLI_PRAMCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "checkpoint.h"
#include "pram.h"

/* Documented in pramctl(8) and never changed. */
enum pramctl_exit {
	PRAMCTL_OK		= 0,
	PRAMCTL_FAILED		= 1,	/* it was tried and did not work */
	PRAMCTL_USAGE		= 2,	/* the command line is wrong */
	PRAMCTL_NOT_FOUND	= 3,	/* no such checkpoint or node */
	PRAMCTL_UNAVAILABLE	= 4,	/* no PRAM here, or not for this user */
};

/**
 * struct pramctl_args - the command line, taken apart
 * @verb: the verb's name
 * @json: --json
 * @all: --all
 * @force: --force
 * @orphans: --orphans
 * @by_id: --id
 * @nodes: --nodes
 * @replace: --replace
 * @checksums: --checksums
 * @kexec: --kexec
 * @reboot: --reboot
 * @services: --services
 * @try_dump: --try
 * @no_private_users: --no-private-users
 * @dry_run: --dry-run
 * @svg: --svg
 * @initrd: --initrd or %NULL
 * @append: --append or %NULL
 * @root: --root or ""; to be put before absolute paths
 * @criu: --criu or %NULL
 * @plugin: --plugin or %NULL
 * @task: --task or %NULL
 * @nr: number of operands
 * @operands: what is neither verb nor option
 */
struct pramctl_args {
	const char	*verb;
	bool		json;
	bool		all;
	bool		force;
	bool		orphans;
	bool		by_id;
	bool		nodes;
	bool		replace;
	bool		checksums;
	bool		kexec;
	bool		reboot;
	bool		services;
	bool		try_dump;
	bool		no_private_users;
	bool		dry_run;
	bool		svg;
	const char	*root;
	const char	*initrd;
	const char	*append;
	const char	*criu;
	const char	*plugin;
	const char	*task;
	size_t		nr;
	char		**operands;
};

/**
 * struct pramctl_option - an option of a verb
 * @name: without the dashes
 * @argument: what its argument is called, or %NULL if it has none
 * @help: one line
 * @member: offset of its member in struct pramctl_args: a bool or a string
 */
struct pramctl_option {
	const char	*name;
	const char	*argument;
	const char	*help;
	size_t		member;
};

#define PRAMCTL_OPTIONS_MAX	10

/**
 * struct pramctl_command - a verb; the table of them drives everything
 * @name: the verb
 * @operands: what follows it, for the help
 * @help: one line
 * @min_operands: at least so many
 * @max_operands: at most so many
 * @options: ended by one without a name
 * @run: does it
 */
struct pramctl_command {
	const char		*name;
	const char		*operands;
	const char		*help;
	size_t			min_operands;
	size_t			max_operands;
	struct pramctl_option	options[PRAMCTL_OPTIONS_MAX];
	enum pramctl_exit	(*run)(const struct pramctl_args *args);
};

/* The verbs, ended by one without a name. */
extern const struct pramctl_command pramctl_commands[];

/* main() of pramctl; may be called more than once. */
int pramctl_main(int argc, char **argv);

enum pramctl_exit pramctl_list(const struct pramctl_args *args);
enum pramctl_exit pramctl_show(const struct pramctl_args *args);
enum pramctl_exit pramctl_rm(const struct pramctl_args *args);
enum pramctl_exit pramctl_check(const struct pramctl_args *args);
enum pramctl_exit pramctl_export(const struct pramctl_args *args);
enum pramctl_exit pramctl_import(const struct pramctl_args *args);
enum pramctl_exit pramctl_stats(const struct pramctl_args *args);
enum pramctl_exit pramctl_enable(const struct pramctl_args *args);
enum pramctl_exit pramctl_disable(const struct pramctl_args *args);
enum pramctl_exit pramctl_services(const struct pramctl_args *args);
enum pramctl_exit pramctl_timeline(const struct pramctl_args *args);
enum pramctl_exit pramctl_kexec(const struct pramctl_args *args);

/* ---- messages ---------------------------------------------------------- */

/* "pramctl: ..." and a newline, to stderr. */
void pramctl_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- the device -------------------------------------------------------- */

/*
 * Opens /dev/pram: a descriptor, or -1 after having said what is wrong; the exit
 * status is PRAMCTL_UNAVAILABLE then.
 */
int pramctl_open(void);

enum pramctl_target_kind {
	PRAMCTL_CHECKPOINT,
	PRAMCTL_NODE,
};

/**
 * struct pramctl_target - what an operand means
 * @kind: a checkpoint or a single node
 * @name: the checkpoint's name, or the node's
 */
struct pramctl_target {
	enum pramctl_target_kind	kind;
	char				name[PRAM_NAME_MAX];
};

/*
 * A checkpoint's name, an images directory that resolves to one, or a node's name.
 * Complains if it is none of them.
 */
enum pramctl_exit pramctl_resolve(int dev, const char *operand, struct pramctl_target *target);

/*
 * Opens a checkpoint to look at it: 0, or -errno after having said what is wrong.
 * It stays where it is and loadable by others.
 */
int pramctl_open_checkpoint(int dev, const char *name, struct pram_checkpoint_reader **r);

/*
 * The unit or container that a checkpoint belongs to, by its name and by the control group
 * that its index has, or %NULL: to be freed; or %NULL if neither tells.
 */
char *pramctl_owner(const char *name, const char *cgroup);

/* Words for PRAM_NODE_* states and PRAM_*_STREAM types. */
const char *pramctl_state_word(uint32_t state);
const char *pramctl_type_word(uint32_t type);

/* All of a node's members but the name, added to @object. */
void pramctl_add_node(struct json_object *object, const struct pram_node_stat *node);

#endif /* PRAM_CLI_PRAMCTL_H */
