// SPDX-License-Identifier: GPL-2.0-only
/*
 * Containers of podman go over a kexec: those that no unit runs; those of a unit that has them started by
 * "podman start", as "podman generate systemd" makes it; and those of a unit that makes one at each start by
 * "podman run", as quadlets do.
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
#include "podman_line.h"
#include "services.h"
#include "sysfile.h"
#include "tasks.h"
#include "util.h"

char *containers_path(const char *root, const char *name)
{
	return output_format("%s" CONTAINERS_DIR "/%s" CONTAINERS_SUFFIX, root, name);
}

/*
 * Whose drop-in is this? In it is a line with a name and an id, which is cut in two. There is no id of a container that
 * is made at each start.
 */
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

/* Does it have a command of podman's before it starts? What that does to a container that waits is unknown. */
static bool prepares_by_podman(const struct unit *unit)
{
	for (size_t i = 0; i < unit->start_pre.nr; i++) {
		const char *path = unit->start_pre.all[i].path, *program = strrchr(path, '/');

		if (!strcmp(program ? program + 1 : path, "podman"))
			return true;
	}
	return false;
}

/*
 * The container of "podman start ... NAME", or of "podman run --name NAME ...", which makes it @anew at each
 * start; or NULL after having said why it can't be served.
 */
static const char *started_by(const struct unit *unit, bool *anew)
{
	const bool forking = unit->type && !strcmp(unit->type, "forking") && unit->pid_file && *unit->pid_file;
	const char *verb, *name, *sdnotify;
	struct podman_line line;
	bool notifies;

	podman_line_take(unit->start.all->argv, &line);
	verb = line.verb ? *line.verb : "";
	*anew = !strcmp(verb, "run");
	name = *anew ? podman_line_option(&line, "--name") : *line.operands;
	sdnotify = podman_line_option(&line, "--sdnotify");
	notifies = unit->type && !strcmp(unit->type, "notify") && sdnotify && !strcmp(sdnotify, "conmon");
	/* "podman pod start" is another. */
	if (unit->start.nr != 1 || !(*anew || (!strcmp(verb, "start") && name && !line.operands[1])))
		pramctl_error("%s: a unit that runs podman must have one ExecStart=, 'podman start NAME' or 'podman run'",
			      unit->id);
	else if (line.unknown)
		pramctl_error("%s: its 'podman %s' has the unknown option %s: write it as --option=VALUE, a variable as ${NAME}",
			      unit->id, verb, line.unknown);
	else if (!*anew && !forking)
		pramctl_error("%s: it runs 'podman start', and is not Type=forking with PIDFile=, as 'podman generate systemd' writes it",
			      unit->id);
	else if (*anew && !(podman_line_is(&line, "--detach", 'd') && name && (forking || notifies)))
		pramctl_error("%s: its 'podman run' needs --detach, --name, and --sdnotify=conmon in a unit of Type=notify or a PIDFile= in one of Type=forking, as quadlets and 'podman generate systemd --new' have it",
			      unit->id);
	else if (*anew && podman_line_is(&line, "--rmi", 0))
		pramctl_error("%s: podman can checkpoint a container with --rmi to an archive only: remove --rmi from its 'podman run'",
			      unit->id);
	else if (*anew && prepares_by_podman(unit))
		pramctl_error("%s: its ExecStartPre= calls podman, which might remove the container that is to be restored: let 'podman run --replace' do that",
			      unit->id);
	else
		return name;
	return NULL;
}

/* The runtime that is to make it, if it is to be another than by default; or NULL. */
static const char *other_runtime(const struct unit *unit)
{
	struct podman_line line;

	podman_line_take(unit->start.all->argv, &line);
	return !podman_line_option(&line, "--runtime") && container_default_is_crun() ? CONTAINER_CRUN : NULL;
}

/* Can it not be kept as it is? Then its unit has to make it anew with the drop-in. */
static bool is_made_before(const struct container *c)
{
	return !*c->config || c->auto_remove || container_is_crun(c->runtime);
}

/* Its container as "podman run" makes it with the drop-in: with the annotation, without --rm, and not by crun alone. */
static void as_made_anew(struct container *c)
{
	if (container_is_crun(c->runtime)) {
		free(c->runtime);
		c->runtime = output_format("%s", CONTAINER_CRUN);
	}
	if (!*c->config) {
		free(c->config);
		c->config = output_format("%s", CONTAINER_CONFIG);
	}
	c->auto_remove = false;
}

/* Is there one that is to be looked at? One that is made anew at each start may not be there. */
static enum pramctl_exit load_of_unit(const char *name, bool anew, struct container *c, bool *there)
{
	char error[CONTAINER_ERROR_MAX];
	int ret;

	*there = true;
	if (!anew)
		return load(name, c);
	ret = container_load(name, c, error);
	*there = !ret;
	if (!ret || ret == -ENOENT)
		return PRAMCTL_OK;
	pramctl_error(CONTAINER_PREFIX "%s: %s", name, error);
	return PRAMCTL_FAILED;
}

enum pramctl_exit containers_enable_unit(const struct pramctl_args *args, const struct unit *unit)
{
	_cleanup_free_ char *path = drop_in_container_path(args->root, unit->id);
	_cleanup_free_ char *old = sysfile_read("", path), *text = NULL;
	bool anew, there, restart;
	enum pramctl_exit status;
	const char *operand;
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
	operand = started_by(unit, &anew);
	if (!operand)
		return PRAMCTL_FAILED;
	status = load_of_unit(operand, anew, &c, &there);
	if (status)
		goto out;
	restart = anew && there && is_made_before(&c);
	if (anew && there)
		as_made_anew(&c);
	if (there)
		status = services_refuse(unit->id, container_obstacles(&c, unit->id));
	if (status)
		goto out;
	text = drop_in_container_text(unit, args->root, anew ? operand : c.name, anew ? NULL : c.id,
				      anew ? other_runtime(unit) : NULL);
	status = services_install(unit->id, path, text);
	if (!status)
		printf("%s will be kept across the next kexec, with its container %s\n", unit->id,
		       anew ? operand : c.name);
	if (!status && restart)
		printf("The running container cannot be kept: run 'systemctl restart %s'\n", unit->id);
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
	int ret;

	name = split_line(text, &id);
	if (!name)
		return false;
	output_add_string(service, "container", name);
	ret = container_load(name, &c, error);
	/* One that is made anew at each start is not there if it does not run. */
	if (ret) {
		output_add_string(service, "state", ret == -ENOENT && !*id ? "none" : "unknown");
		if (ret != -ENOENT || *id)
			add_obstacle(obstacles, error);
		if (!plain)
			describe_unit(root, key, text, obstacles);
		container_free(&c);
		return true;
	}
	output_add_string(service, "state", c.state);
	if (c.running)
		describe_tasks(&c, service);
	if (!*id && is_made_before(&c)) {
		_cleanup_free_ char *older =
			output_format("its container was made before it was enabled: run 'systemctl restart %s'", key);

		add_obstacle(obstacles, older);
		as_made_anew(&c);
	} else if (*id && strcmp(id, c.id)) {
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
