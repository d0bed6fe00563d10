// SPDX-License-Identifier: GPL-2.0-only
/* Services go over a kexec, or no longer. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "containers.h"
#include "drop_in.h"
#include "output.h"
#include "paths.h"
#include "pramctl.h"
#include "record.h"
#include "services.h"
#include "sysfile.h"
#include "util.h"

/* What a machine with enabled services needs at each boot. */
static char *boot_units[] = {
	"pram-pids.service", "pram-netlock.service", "pram-netlock-stop.service",
	"pram-services.service", CONTAINERS_UNIT, NULL,
};

char *services_unit_name(const char *operand)
{
	static const char *const others[] = {
		".socket", ".target", ".timer", ".mount", ".automount", ".path", ".slice", ".scope",
		".swap", ".device",
	};
	const char *dot = strrchr(operand, '.');

	if (!*operand || strchr(operand, '/') || strlen(operand) > 200) {
		pramctl_error("%s: is not a unit name", operand);
		return NULL;
	}
	/* systemd takes the path of EnvironmentFile= in the drop-in for a pattern. */
	if (strpbrk(operand, "\\*?[")) {
		pramctl_error("%s: a unit whose name has one of \\*?[ can't be kept", operand);
		return NULL;
	}
	for (size_t i = 0; dot && i < sizeof(others) / sizeof(*others); i++) {
		if (!strcmp(dot, others[i])) {
			pramctl_error("%s: only .service units can be dumped", operand);
			return NULL;
		}
	}
	/* A name may have dots: php8.2-fpm. */
	if (!dot || strcmp(dot, ".service"))
		dot = operand + strlen(operand);
	if (dot > operand && dot[-1] == '@') {
		pramctl_error("%s: is a template; name one of its instances", operand);
		return NULL;
	}
	return output_format("%.*s.service", (int)(dot - operand), operand);
}

/* The same of a container, which is "container:NAME". */
static char *operand_name(const char *operand)
{
	const char *name = container_name(operand);

	if (!name)
		return services_unit_name(operand);
	/* As podman has them; none of these is an option of podman's, or a path. */
	if (isalnum((unsigned char)*name) &&
	    !name[strspn(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-")])
		return output_format("%s", operand);
	pramctl_error("%s: is no name of a container", operand);
	return NULL;
}

/* Loads a unit that must be there. */
static enum pramctl_exit load(const char *name, struct unit *unit)
{
	char error[UNIT_ERROR_MAX];
	int ret = unit_load(name, unit, error);

	if (ret) {
		pramctl_error("%s", error);
		return ret == -EACCES || ret == -EPERM || ret == -ENOENT ? PRAMCTL_UNAVAILABLE :
									   PRAMCTL_FAILED;
	}
	if (!strcmp(unit->load_state, "loaded"))
		return PRAMCTL_OK;
	if (!strcmp(unit->load_state, "not-found")) {
		pramctl_error("%s: there is no such unit; 'systemctl list-units --type=service' lists them",
			      name);
		return PRAMCTL_NOT_FOUND;
	}
	pramctl_error("%s: systemd can't load it (%s); 'systemctl status %s' says why", name,
		      unit->load_state, name);
	return PRAMCTL_FAILED;
}

static int write_file(const char *path, const char *text)
{
	_cleanup_free_ char *dir = output_format("%.*s", (int)(strrchr(path, '/') - path), path);
	_cleanup_free_ char *new = output_format("%s.new", path);
	_cleanup_close_ int fd = -1;
	int ret;

	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	ret = pram_write_full(fd, text, strlen(text));
	if (!ret && (fsync(fd) || rename(new, path)))
		ret = -errno;
	if (ret)
		unlink(new);
	return ret;
}

static void remove_drop_in(const char *path)
{
	_cleanup_free_ char *dir = output_format("%.*s", (int)(strrchr(path, '/') - path), path);

	unlink(path);
	/* If it has nothing else in it. */
	rmdir(dir);
}

/* Nothing is written before it is clear that it can work. */
enum pramctl_exit services_refuse(const char *name, struct json_object *obstacles)
{
	const size_t nr = json_object_array_length(obstacles);

	for (size_t i = 0; i < nr; i++)
		pramctl_error("%s: %s", name,
			      json_object_get_string(json_object_array_get_idx(obstacles, i)));
	json_object_put(obstacles);
	return nr ? PRAMCTL_FAILED : PRAMCTL_OK;
}

static enum pramctl_exit reload(const char *path)
{
	char error[UNIT_ERROR_MAX];

	if (!unit_reload_all(error))
		return PRAMCTL_OK;
	pramctl_error("%s: %s; run 'systemctl daemon-reload'", path, error);
	return PRAMCTL_FAILED;
}

/* What has to be there when the machine goes down. */
static int start_boot_units(char error[UNIT_ERROR_MAX])
{
	int ret = unit_files_enable(boot_units, true, error);

	ret = ret ?: unit_start("pram-netlock-stop.service", "fail", error);
	return ret ?: unit_start(CONTAINERS_UNIT, "fail", error);
}

enum pramctl_exit services_install(const char *name, const char *path, const char *text)
{
	enum pramctl_exit status;
	char error[UNIT_ERROR_MAX];
	struct unit again;
	int ret = text ? write_file(path, text) : -ENOMEM;

	if (ret) {
		pramctl_error("%s: can't be written: %s", path, strerror(-ret));
		return PRAMCTL_FAILED;
	}
	status = reload(path);
	if (status)
		return status;
	/* systemd must have taken it as it was meant. */
	ret = unit_load(name, &again, error);
	if (!ret && !strcmp(again.load_state, "loaded")) {
		unit_free(&again);
		if (!start_boot_units(error))
			return PRAMCTL_OK;
		pramctl_error("%s: %s; install pram-services, the units and programs of services/", name, error);
	} else {
		pramctl_error("%s: systemd does not load it with %s: %s", name, path,
			      ret ? error : again.load_state);
		unit_free(&again);
	}
	remove_drop_in(path);
	unit_reload_all(error);
	return PRAMCTL_FAILED;
}

static enum pramctl_exit enable(const struct pramctl_args *args, const char *name)
{
	_cleanup_free_ char *path = NULL, *old = NULL, *text = NULL;
	enum pramctl_exit status;
	struct unit unit;

	status = load(name, &unit);
	if (status)
		goto out;
	if (containers_runs(args->root, &unit)) {
		status = containers_enable_unit(args, &unit);
		goto out;
	}
	/* It may have been named by an alias. */
	path = drop_in_path(args->root, unit.id);
	old = sysfile_read("", path);
	if (old) {
		if (drop_in_is_stale(&unit, args->root, old)) {
			pramctl_error("%s: it is enabled, but its files have changed since: run 'pramctl disable %s', then enable it again",
				      unit.id, unit.id);
			status = PRAMCTL_FAILED;
		} else {
			printf("%s is already enabled\n", unit.id);
		}
		goto out;
	}
	status = services_refuse(unit.id, drop_in_obstacles(&unit, args->no_private_users));
	if (status)
		goto out;
	text = drop_in_text(&unit, args->root);
	status = services_install(unit.id, path, text);
	if (!status) {
		printf("%s will be kept across the next kexec\n", unit.id);
		if (unit.private_users)
			printf("PrivateUsers= is turned off, as tasks can't be restored into that user namespace%s\n",
			       drop_in_needs_private_users(&unit) ? "" :
			       "; without capabilities, and without new privileges, the service can do no more than before");
		/* Nothing tells those that make a directory from those that write to what the service has open. */
		for (size_t i = 0; i < unit.start_pre.nr; i++)
			printf("Its ExecStartPre=%s runs before a restore, too, as before any start: it must not change what the service works on\n",
			       unit.start_pre.all[i].path);
		/* Its pid may be one that the next boot uses itself. */
		if (unit.main_pid && unit.main_pid < SERVICES_LOW_PID)
			printf("The next boot may also use the pid of its process %u: reboot once, or restart the service after 'systemctl start pram-pids.service'\n",
			       unit.main_pid);
	}
out:
	unit_free(&unit);
	return status;
}

enum pramctl_exit pramctl_enable(const struct pramctl_args *args)
{
	enum pramctl_exit worst = PRAMCTL_OK;

	for (size_t i = 0; i < args->nr; i++) {
		_cleanup_free_ char *name = operand_name(args->operands[i]);
		enum pramctl_exit status = !name ? PRAMCTL_USAGE :
					   container_name(name) ? containers_enable(args, name) :
								  enable(args, name);

		worst = worst ?: status;
	}
	return worst;
}

/* Each entry of a directory that ends so: called for with what is before that, and @prefix before it. */
static void for_each_entry(const char *dir, const char *end, const char *prefix,
			   void (*call)(const char *name, void *arg), void *arg)
{
	struct dirent **entries;
	int nr = scandir(dir, &entries, NULL, alphasort);

	for (int i = 0; i < nr; i++) {
		const char *name = entries[i]->d_name;
		const size_t len = strlen(name);

		if (len > strlen(end) && !strcmp(name + len - strlen(end), end)) {
			_cleanup_free_ char *whole =
				output_format("%s%.*s", prefix, (int)(len - strlen(end)), name);

			call(whole, arg);
		}
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
}

struct for_each {
	const char	*root;
	void		(*call)(const char *unit, void *arg);
	void		*arg;
};

static void call_if_enabled(const char *name, void *arg)
{
	_cleanup_free_ char *unit = output_format("%s.service", name);
	const struct for_each *each = arg;
	_cleanup_free_ char *path = drop_in_path(each->root, unit);
	_cleanup_free_ char *container = drop_in_container_path(each->root, unit);

	if (!access(path, F_OK) || !access(container, F_OK))
		each->call(unit, each->arg);
}

void services_for_each(const char *root, void (*call)(const char *unit, void *arg), void *arg)
{
	struct for_each each = { .root = root, .call = call, .arg = arg };
	_cleanup_free_ char *dir = output_format("%s" DROP_IN_DIR, root);
	_cleanup_free_ char *containers = output_format("%s" CONTAINERS_DIR, root);

	for_each_entry(dir, ".service.d", "", call_if_enabled, &each);
	for_each_entry(containers, CONTAINERS_SUFFIX, CONTAINER_PREFIX, call, arg);
}

static void count(const char *unit, void *arg)
{
	(void)unit;
	++*(size_t *)arg;
}

/*
 * Removes a service's record and the checkpoint that is to be restored by it. That of a container stays:
 * podman has it, and can restore it.
 */
static enum pramctl_exit forget_checkpoint(const char *unit)
{
	_cleanup_close_ int dev = pram_open();
	struct json_object *record;
	char name[PRAM_NAME_MAX];
	uint64_t kexecs;
	bool is_service;
	int ret;

	if (dev < 0 || record_load(dev, unit, &record, &kexecs) == -ENOENT)
		return PRAMCTL_OK;
	is_service = !*record_text(record, "checkpoint");
	json_object_put(record);
	ret = record_remove(dev, unit);
	if (ret) {
		pramctl_error("%s: its record in PRAM can't be removed, and it may be restored if it is enabled again: %s; 'pramctl list --nodes' shows it, 'pramctl rm --id' removes it",
			      unit, strerror(-ret));
		return PRAMCTL_FAILED;
	}
	ret = is_service ? record_name(unit, name) : -ENOENT;
	ret = ret ?: pram_checkpoint_remove(dev, name, NULL);
	if (!ret || ret == -ENOENT)
		return PRAMCTL_OK;
	pramctl_error("%s: its checkpoint can't be removed: %s; try 'pramctl rm %s'", unit, strerror(-ret), name);
	return PRAMCTL_FAILED;
}

/*
 * A kexec that was called off may have left it dumped. Whatever starts it now does not ask for
 * that: so it must not be restored later, and its connections must not stay locked.
 */
static enum pramctl_exit forget(const struct pramctl_args *args, const char *unit)
{
	_cleanup_free_ char *lock = output_format("%s" LOCK_DIR "/%s", args->root, unit);
	char *argv[] = { SERVICE_PROGRAM, "unlock", (char *)unit, NULL };
	enum pramctl_exit forgotten = forget_checkpoint(unit);
	int status, ret;
	pid_t pid;

	if (forgotten)
		return forgotten;
	if (access(lock, F_OK))
		return PRAMCTL_OK;
	ret = posix_spawn(&pid, SERVICE_PROGRAM, NULL, NULL, argv, environ);
	if (!ret && waitpid(pid, &status, 0) == pid && !status)
		return PRAMCTL_OK;
	pramctl_error("%s: the lock of its connections can't be removed: run '" SERVICE_PROGRAM " unlock %s'",
		      unit, unit);
	return PRAMCTL_FAILED;
}

static enum pramctl_exit disable(const struct pramctl_args *args, const char *name)
{
	_cleanup_free_ char *id = NULL;
	_cleanup_free_ char *path = NULL;
	char error[UNIT_ERROR_MAX];
	enum pramctl_exit status;
	struct unit unit;
	size_t left = 0;
	bool known;

	if (container_name(name)) {
		id = output_format("%s", name);
		path = containers_path(args->root, container_name(name));
	} else {
		/* A unit that is not there any more can be disabled, too. */
		known = !unit_load(name, &unit, error) && *unit.id;
		id = output_format("%s", known ? unit.id : name);
		path = drop_in_path(args->root, id);
		unit_free(&unit);
		if (access(path, F_OK)) {
			free(path);
			path = drop_in_container_path(args->root, id);
		}
	}
	if (access(path, F_OK)) {
		pramctl_error("%s: is not enabled; 'pramctl services' lists those that are", name);
		return PRAMCTL_NOT_FOUND;
	}
	if (unlink(path)) {
		pramctl_error("%s: can't be removed: %s", path, strerror(errno));
		return PRAMCTL_FAILED;
	}
	remove_drop_in(path);
	status = reload(path);
	status = status ?: forget(args, id);
	services_for_each(args->root, count, &left);
	if (!left && unit_files_enable(boot_units, false, error)) {
		pramctl_error("%s", error);
		status = status ?: PRAMCTL_FAILED;
	}
	return status;
}

enum pramctl_exit pramctl_disable(const struct pramctl_args *args)
{
	enum pramctl_exit worst = PRAMCTL_OK;

	for (size_t i = 0; i < args->nr; i++) {
		_cleanup_free_ char *name = operand_name(args->operands[i]);
		enum pramctl_exit status = name ? disable(args, name) : PRAMCTL_USAGE;

		worst = worst ?: status;
	}
	return worst;
}
