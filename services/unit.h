/* SPDX-License-Identifier: GPL-2.0-only */
/* What systemd knows of a unit, over its own bus socket: so root is needed. */
#ifndef PRAM_SERVICES_UNIT_H
#define PRAM_SERVICES_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct unit_command - a line ExecStart= or the like, as systemd has read it
 * @path: the program
 * @argv: with its name as the first, ended by %NULL
 * @flags: as in the property ExecStartEx, such as "ignore-failure"; ended by %NULL
 */
struct unit_command {
	char	*path;
	char	**argv;
	char	**flags;
};

struct unit_commands {
	struct unit_command	*all;
	size_t			nr;
};

/**
 * struct unit - a loaded unit; members are called as systemd's properties
 * @sockets: what its socket units listen on, in the form "UNIT (TYPE ADDRESS)", or %NULL; a connection that
 *	systemd has accepted is of the type Connection
 */
struct unit {
	char	*id;
	char	*load_state;
	char	*active_state;
	char	*result;
	char	*unit_file_state;
	char	*fragment_path;
	char	**drop_in_paths;
	bool	need_daemon_reload;
	bool	transient;
	char	**sockets;

	char	*type;
	char	*pid_file;
	char	*notify_access;
	char	*root_directory;
	char	*root_image;
	char	*proc_subset;
	char	*private_pids;
	char	*control_group;
	char	*user;
	char	**no_exec_paths;
	bool	dynamic_user;
	bool	private_users;
	bool	private_tmp;
	bool	delegate;
	uint32_t main_pid;
	uint32_t control_pid;
	uint32_t fd_store_max;
	uint64_t ambient_capabilities;
	uint64_t timeout_start_us;
	uint64_t timeout_stop_us;
	struct unit_commands start, start_pre, stop, stop_post;
};

/* The drop-in of an enabled service, UNIT.d/NAME. */
#define DROP_IN_DIR	"/etc/systemd/system"
#define DROP_IN_NAME	"50-pram.conf"
/* That of a unit that runs a container of podman's, which podman checkpoints. */
#define DROP_IN_CONTAINER_NAME	"50-pram-container.conf"

/* Calls @call for each enabled service of the system that lies in @root, by its name; for no container. */
void enabled_for_each(const char *root, void (*call)(const char *unit, void *arg), void *arg);

/* Is this one, of the system that runs, or this container? */
bool enabled_is(const char *unit);

/* A word for what is wrong, for messages. */
#define UNIT_ERROR_MAX	256

/**
 * unit_load() - ask systemd for a unit
 * @name: its name, with ".service"
 * @unit: filled; ended by unit_free(), also after an error
 * @error: what is wrong, if anything is
 *
 * A unit that does not exist is no error: its @load_state says so.
 *
 * Return: 0 or -errno.
 */
int unit_load(const char *name, struct unit *unit, char error[UNIT_ERROR_MAX]);

void unit_free(struct unit *unit);

/* systemctl daemon-reload: 0 or -errno, with @error set. */
int unit_reload_all(char error[UNIT_ERROR_MAX]);

/* Queues a job that starts a unit: 0 or -errno, with @error set. @mode: "replace", "fail", ... */
int unit_start(const char *name, const char *mode, char error[UNIT_ERROR_MAX]);

/*
 * systemctl enable, or disable, of unit files: 0 or -errno, with @error set. @names: ended by
 * %NULL.
 */
int unit_files_enable(char **names, bool enable, char error[UNIT_ERROR_MAX]);

/* Is there a job of that type ("start") for that unit? 1, 0 or -errno, with @error set. */
int unit_has_job(const char *name, const char *type, char error[UNIT_ERROR_MAX]);

/* Its control group, to be freed; empty, or NULL, if it has none. */
char *unit_control_group(const char *name);

/* Is this process @root, or descended from it? One that has ended is no matter, and is. */
bool is_descendant(pid_t pid, pid_t root);

/* All that is in a unit's control group and below, ended by 0: to be freed, or NULL. */
pid_t *cgroup_pids(const char *control_group);

#endif /* PRAM_SERVICES_UNIT_H */
