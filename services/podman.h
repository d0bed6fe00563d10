/* SPDX-License-Identifier: GPL-2.0-only */
/* What podman says of a container; asked by its own command, so root is needed. */
#ifndef PRAM_SERVICES_PODMAN_H
#define PRAM_SERVICES_PODMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <json-c/json.h>

/*
 * Where a unit's name is asked for, a container that no unit runs has this and its name. No unit
 * has a name with a colon that is not quoted.
 */
#define CONTAINER_PREFIX	"container:"

/* The name of the container in "container:NAME"; NULL if it is a unit. */
const char *container_name(const char *unit);

/* The unit that has it restored: of "container:NAME" pram-container@NAME.service. To be freed. */
char *container_starter(const char *unit);

/* Which of these are enabled: a file for each, a drop-in of the unit that has them dumped. */
#define CONTAINERS_UNIT		"pram-containers.service"
#define CONTAINERS_DIR		"/etc/systemd/system/" CONTAINERS_UNIT ".d"
#define CONTAINERS_SUFFIX	".container.conf"

/* Which file of criu's options is a container's, and the one that has criu take PRAM's plugin. */
#define CONTAINER_ANNOTATION	"org.criu.config"
#define CONTAINER_CONFIG	"/etc/criu/pram-container.conf"

/* A runtime that does so without that annotation, by crun. */
#define CONTAINER_CRUN		"/usr/lib/pram/crun"

/* Is this runtime, which may be a path, crun; and not the one above? */
bool container_is_crun(const char *runtime);

/* Is that what podman takes if it is told nothing else? */
bool container_default_is_crun(void);

/* A word for what is wrong, for messages. */
#define CONTAINER_ERROR_MAX	512

/**
 * struct container - a container of podman's
 * @name: podman's name for it
 * @config: the file that the annotation org.criu.config names, or ""
 * @state: "running", "exited", ...
 * @network: "host", "none", "bridge", "container:ID", ...
 * @userns: "" if it has none of its own
 * @pidns: "host" if it has none of its own
 * @pod: the id of its pod, or ""
 * @runtime: "runc", "crun", or the path of such a program
 * @images: where podman has it checkpointed, which is the checkpoint's name
 * @logs: where criu's logs are then
 * @conmon: the process of podman that watches it, or 0
 * @unit: the unit that conmon runs in, or "" if podman has made it one of its own
 * @published: rules of nftables for what arrives at its published ports, an array of text
 */
struct container {
	char	*id;
	char	*name;
	char	*config;
	char	*state;
	char	*network;
	char	*userns;
	char	*pidns;
	char	*pod;
	char	*runtime;
	char	*images;
	char	*logs;
	char	*unit;
	bool	infra;
	bool	auto_remove;
	bool	running;
	pid_t	pid;
	pid_t	conmon;
	struct json_object *published;
};

/**
 * container_load() - ask podman for a container
 * @name: its name or id
 * @c: filled; ended by container_free(), also after an error
 * @error: what is wrong, if anything is
 *
 * Return: 0; -ENOENT if there is no such container, or no podman; -errno.
 */
int container_load(const char *name, struct container *c, char error[CONTAINER_ERROR_MAX]);

void container_free(struct container *c);

/* The id of the container of its pod that has the network, or NULL. */
const char *container_infra(const struct container *c);

/*
 * What keeps a container from going over a kexec: an array of text, empty if there is nothing.
 * @unit: the unit that is to run it, or NULL.
 */
struct json_object *container_obstacles(const struct container *c, const char *unit);

/**
 * podman_run() - run podman
 * @argv: what follows "podman", ended by %NULL
 * @seconds: after that it is ended
 * @output: where to store what it has printed, to be freed; or %NULL
 * @error: the last line of what it has complained of
 *
 * Return: 0 if it has succeeded; 1 if not; -errno.
 */
int podman_run(const char *const *argv, unsigned int seconds, char **output,
	       char error[CONTAINER_ERROR_MAX]);

#endif /* PRAM_SERVICES_PODMAN_H */
