// SPDX-License-Identifier: GPL-2.0-only
/*
 * Containers of podman go over a kexec: those that no unit runs, and those of a unit that has them
 * started by "podman start", as "podman generate systemd" makes it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "containers.h"
#include "drop_in.h"
#include "output.h"
#include "services.h"
#include "sysfile.h"
#include "tasks.h"
#include "util.h"

char *containers_path(const char *root, const char *name)
{
	return output_format("%s" CONTAINERS_DIR "/%s" CONTAINERS_SUFFIX, root, name);
}

/* Whose drop-in is this? In it is a line with a name and an id, which is cut in two. */
static char *split_line(const char *text, char **id)
{
	const char *line = text ? strstr(text, DROP_IN_CONTAINER_LINE) : NULL;
	char *name;

	if (!line)
		return NULL;
	line += strlen(DROP_IN_CONTAINER_LINE);
	name = output_format("%.*s", (int)strcspn(line, "\n"), line);
	*id = strchr(name, ' ');
	if (*id)
		*(*id)++ = 0;
	else
		*id = name + strlen(name);
	return name;
}

static enum pramctl_exit load(const char *operand, struct container *c)
{
	char error[CONTAINER_ERROR_MAX];
	int ret = container_load(operand, c, error);

	if (!ret)
		return PRAMCTL_OK;
	pramctl_error(CONTAINER_PREFIX "%s: %s", operand, error);
	return ret == -ENOENT ? PRAMCTL_NOT_FOUND : PRAMCTL_FAILED;
}

/* ---- those that no unit runs ---------------------------------------------- */

static char *drop_in_of_all(const struct container *c)
{
	return output_format(
		"# SPDX-License-Identifier: GPL-2.0-only\n"
		"# Written by 'pramctl enable': the container is kept across a kexec. 'pramctl disable' removes it.\n"
		DROP_IN_CONTAINER_LINE "%s %s\n", c->name, c->id);
}

enum pramctl_exit containers_enable(const struct pramctl_args *args, const char *key)
{
	_cleanup_free_ char *path = NULL, *old = NULL, *name = NULL, *text = NULL;
	enum pramctl_exit status;
	struct container c;
	char *id;

	status = load(container_name(key), &c);
	if (status)
		goto out;
	/* It may have been named by its id. */
	path = containers_path(args->root, c.name);
	old = sysfile_read("", path);
	name = split_line(old, &id);
	if (name && !strcmp(id, c.id)) {
		printf(CONTAINER_PREFIX "%s is already enabled\n", c.name);
		goto out;
	}
	/* One of the same name that is gone has no part in it. */
	status = services_refuse(key, container_obstacles(&c, NULL));
	if (status)
		goto out;
	text = drop_in_of_all(&c);
	status = services_install(CONTAINERS_UNIT, path, text);
	if (!status)
		printf(CONTAINER_PREFIX "%s will be kept across the next kexec\n", c.name);
out:
	container_free(&c);
	return status;
}

/* ---- those of units ------------------------------------------------------- */

bool containers_runs(const char *root, const struct unit *unit)
{
	const char *path = unit->start.nr ? unit->start.all->path : "", *program = strrchr(path, '/');
	_cleanup_free_ char *drop_in = drop_in_container_path(root, unit->id ?: "");

	/* With the drop-in it runs another program. */
	return !strcmp(program ? program + 1 : path, "podman") || sysfile_exists("", drop_in);
}

/* The container of "podman start ... NAME", or NULL after having said why it can't be served. */
static const char *started_by(const struct unit *unit)
{
	char **argv = unit->start.all->argv;
	const char *last = NULL;
	bool starts = false;

	for (char **arg = argv && *argv ? argv + 1 : NULL; arg && *arg; arg++) {
		starts |= !last && !strcmp(*arg, "start");
		/* "podman pod start" is another. */
		if (**arg != '-')
			last = *arg;
	}
	if (unit->start.nr != 1 || !starts || !strcmp(last, "start"))
		pramctl_error("%s: podman makes its container anew at each start (as quadlets do, and 'podman generate systemd --new'), so it can't be restored: make it once by 'podman create' and have the unit say 'podman start', as 'podman generate systemd' writes it",
			      unit->id);
	else if (!unit->type || strcmp(unit->type, "forking") || !unit->pid_file || !*unit->pid_file)
		pramctl_error("%s: it runs podman, and is not Type=forking with PIDFile=, as 'podman generate systemd' writes it",
			      unit->id);
	else
		return last;
	return NULL;
}

enum pramctl_exit containers_enable_unit(const struct pramctl_args *args, const struct unit *unit)
{
	_cleanup_free_ char *path = drop_in_container_path(args->root, unit->id);
	_cleanup_free_ char *old = sysfile_read("", path), *text = NULL;
	const char *operand;
	enum pramctl_exit status;
	struct container c;

	if (old) {
		if (!drop_in_is_stale(unit, args->root, old)) {
			printf("%s is already enabled\n", unit->id);
			return PRAMCTL_OK;
		}
		pramctl_error("%s: it is enabled, but its files have changed since: run 'pramctl disable %s', then enable it again",
			      unit->id, unit->id);
		return PRAMCTL_FAILED;
	}
	operand = started_by(unit);
	if (!operand)
		return PRAMCTL_FAILED;
	status = load(operand, &c);
	if (status)
		goto out;
	status = services_refuse(unit->id, container_obstacles(&c, unit->id));
	if (status)
		goto out;
	text = drop_in_container_text(unit, args->root, c.name, c.id);
	status = services_install(unit->id, path, text);
	if (!status)
		printf("%s will be kept across the next kexec, with its container %s\n", unit->id, c.name);
out:
	container_free(&c);
	return status;
}

/* ---- how they are --------------------------------------------------------- */

static void add_obstacle(struct json_object *obstacles, const char *text)
{
	output_append(obstacles, json_object_new_string(text));
}

static void describe_tasks(const struct container *c, struct json_object *service)
{
	struct pram_tasks tasks;
	uint64_t least;

	output_add_number(service, "pid", c->pid);
	if (pram_tasks_look(c->pid, &tasks))
		return;
	output_add_number(service, "tasks", tasks.nr);
	output_add_number(service, "copied",
			  pram_tasks_copied(&tasks, false, check_features(), &least));
	pram_tasks_free(&tasks);
}

/* The unit's files have changed since? */
static void describe_unit(const char *root, const char *key, const char *text,
			  struct json_object *obstacles)
{
	char error[UNIT_ERROR_MAX];
	struct unit unit;

	if (unit_load(key, &unit, error)) {
		add_obstacle(obstacles, error);
	} else if (strcmp(unit.load_state, "loaded")) {
		add_obstacle(obstacles, "systemd can't load it: 'systemctl status' says why; 'pramctl disable' forgets it");
	} else if (drop_in_is_stale(&unit, root, text)) {
		_cleanup_free_ char *stale =
			output_format("its files have changed since it was enabled: run 'pramctl disable %s', then enable it again",
				      key);

		add_obstacle(obstacles, stale);
	}
	unit_free(&unit);
}

bool containers_describe(const char *root, const char *key, struct json_object *service,
			 struct json_object *obstacles)
{
	const char *plain = container_name(key);
	_cleanup_free_ char *path = plain ? containers_path(root, plain) :
					    drop_in_container_path(root, key);
	_cleanup_free_ char *text = sysfile_read("", path), *name = NULL;
	char error[CONTAINER_ERROR_MAX], *id;
	struct json_object *more;
	struct container c;

	name = split_line(text, &id);
	if (!name)
		return false;
	output_add_string(service, "container", name);
	if (container_load(name, &c, error)) {
		output_add_string(service, "state", "unknown");
		add_obstacle(obstacles, error);
		container_free(&c);
		return true;
	}
	output_add_string(service, "state", c.state);
	if (c.running)
		describe_tasks(&c, service);
	if (strcmp(id, c.id)) {
		_cleanup_free_ char *other =
			output_format("it was made anew since it was enabled: run 'pramctl disable %s', then enable it again",
				      key);

		add_obstacle(obstacles, other);
	}
	if (!plain)
		describe_unit(root, key, text, obstacles);
	more = container_obstacles(&c, plain ? NULL : key);
	for (size_t i = 0; i < json_object_array_length(more); i++)
		output_append(obstacles, json_object_get(json_object_array_get_idx(more, i)));
	json_object_put(more);
	container_free(&c);
	return true;
}
