// SPDX-License-Identifier: GPL-2.0-only
/* Services go over a kexec, or no longer. */
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
	"pram-services.service", NULL,
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
static enum pramctl_exit refuse(const char *name, struct json_object *obstacles)
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

static enum pramctl_exit write_drop_in(const struct pramctl_args *args, const struct unit *unit,
				       const char *path)
{
	_cleanup_free_ char *text = drop_in_text(unit, args->root, args->no_private_users);
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
	ret = unit_load(unit->id, &again, error);
	if (!ret && !strcmp(again.load_state, "loaded")) {
		unit_free(&again);
		if (!unit_files_enable(boot_units, true, error) &&
		    !unit_start("pram-netlock-stop.service", "fail", error))
			return PRAMCTL_OK;
		pramctl_error("%s: %s; install pram-services, the units and programs of services/", unit->id, error);
	} else {
		pramctl_error("%s: systemd does not load it with %s: %s", unit->id, path,
			      ret ? error : again.load_state);
		unit_free(&again);
	}
	remove_drop_in(path);
	unit_reload_all(error);
	return PRAMCTL_FAILED;
}

static enum pramctl_exit enable(const struct pramctl_args *args, const char *name)
{
	_cleanup_free_ char *path = NULL, *old = NULL;
	enum pramctl_exit status;
	struct unit unit;

	status = load(name, &unit);
	if (status)
		goto out;
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
	status = refuse(unit.id, drop_in_obstacles(&unit, args->no_private_users));
	if (!status)
		status = write_drop_in(args, &unit, path);
	if (!status) {
		printf("%s will be kept across the next kexec\n", unit.id);
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
		_cleanup_free_ char *name = services_unit_name(args->operands[i]);
		enum pramctl_exit status = name ? enable(args, name) : PRAMCTL_USAGE;

		worst = worst ?: status;
	}
	return worst;
}

void services_for_each(const char *root, void (*call)(const char *unit, void *arg), void *arg)
{
	_cleanup_free_ char *dir = output_format("%s" DROP_IN_DIR, root);
	struct dirent **entries;
	int nr = scandir(dir, &entries, NULL, alphasort);

	for (int i = 0; i < nr; i++) {
		const char *name = entries[i]->d_name;
		const size_t len = strlen(name);
		_cleanup_free_ char *unit = NULL, *path = NULL;

		if (len > 10 && !strcmp(name + len - 10, ".service.d")) {
			unit = output_format("%.*s", (int)len - 2, name);
			path = drop_in_path(root, unit);
			if (!access(path, F_OK))
				call(unit, arg);
		}
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
}

static void count(const char *unit, void *arg)
{
	(void)unit;
	++*(size_t *)arg;
}

/*
 * A kexec that was called off may have left it dumped. Whatever starts it now does not ask for
 * that: so it must not be restored later, and its connections must not stay locked.
 */
static enum pramctl_exit forget(const struct pramctl_args *args, const char *unit)
{
	_cleanup_free_ char *lock = output_format("%s" LOCK_DIR "/%s", args->root, unit);
	char *argv[] = { SERVICE_PROGRAM, "unlock", (char *)unit, NULL };
	_cleanup_close_ int dev = pram_open();
	int status, ret = dev < 0 ? 0 : record_remove(dev, unit);
	pid_t pid;

	if (ret) {
		pramctl_error("%s: its record in PRAM can't be removed, and it may be restored if it is enabled again: %s; 'pramctl list --nodes' shows it, 'pramctl rm --id' removes it",
			      unit, strerror(-ret));
		return PRAMCTL_FAILED;
	}
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

	/* A unit that is not there any more can be disabled, too. */
	known = !unit_load(name, &unit, error) && *unit.id;
	id = output_format("%s", known ? unit.id : name);
	path = drop_in_path(args->root, id);
	unit_free(&unit);
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
		_cleanup_free_ char *name = services_unit_name(args->operands[i]);
		enum pramctl_exit status = name ? disable(args, name) : PRAMCTL_USAGE;

		worst = worst ?: status;
	}
	return worst;
}
