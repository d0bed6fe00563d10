// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "unit.h"

/* A reload of all units may take its time on a busy machine. */
#define TIMEOUT_US	UINT64_C(300000000)

#define SYSTEMD		"org.freedesktop.systemd1"
#define MANAGER_PATH	"/org/freedesktop/systemd1"
#define MANAGER		"org.freedesktop.systemd1.Manager"
#define UNIT		"org.freedesktop.systemd1.Unit"
#define SERVICE		"org.freedesktop.systemd1.Service"
#define SOCKET		"org.freedesktop.systemd1.Socket"

/*
 * systemd's own end of its bus, as systemctl uses it: that is there while the machine goes
 * down, too, and needs no bus daemon.
 */
static int open_bus(sd_bus **bus, char *error)
{
	int ret = sd_bus_new(bus);

	if (ret >= 0)
		ret = sd_bus_set_address(*bus, "unix:path=/run/systemd/private");
	if (ret >= 0)
		ret = sd_bus_set_method_call_timeout(*bus, TIMEOUT_US);
	if (ret >= 0)
		ret = sd_bus_start(*bus);
	if (ret < 0) {
		*bus = sd_bus_unref(*bus);
		snprintf(error, UNIT_ERROR_MAX,
			 ret == -ENOENT ? "systemd is not this machine's init" :
			 ret == -EACCES || ret == -EPERM ? "only root can ask systemd" :
			 "systemd can't be asked: %s", strerror(-ret));
	}
	return ret;
}

static int bus_failed(int ret, sd_bus_error *bus_error, const char *what, char *error)
{
	if (ret >= 0)
		ret = 0;
	else
		snprintf(error, UNIT_ERROR_MAX, "%s: %s", what,
			 bus_error->message ?: strerror(-ret));
	sd_bus_error_free(bus_error);
	return ret;
}

/* A property that an older systemd does not have is left as it is. */
static char *get_string(sd_bus *bus, const char *path, const char *interface, const char *property)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	char *text = NULL;

	sd_bus_get_property_string(bus, SYSTEMD, path, interface, property, &error, &text);
	sd_bus_error_free(&error);
	return text ?: strdup("");
}

static char **get_strings(sd_bus *bus, const char *path, const char *interface,
			  const char *property)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	char **strings = NULL;

	sd_bus_get_property_strv(bus, SYSTEMD, path, interface, property, &error, &strings);
	sd_bus_error_free(&error);
	return strings;
}

static bool get_bool(sd_bus *bus, const char *path, const char *interface, const char *property)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int value = 0;

	sd_bus_get_property_trivial(bus, SYSTEMD, path, interface, property, &error, 'b', &value);
	sd_bus_error_free(&error);
	return value;
}

static void get_number(sd_bus *bus, const char *path, const char *interface, const char *property,
		       char type, void *value)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;

	sd_bus_get_property_trivial(bus, SYSTEMD, path, interface, property, &error, type, value);
	sd_bus_error_free(&error);
}

static int read_command(sd_bus_message *m, struct unit_command *command)
{
	const char *path;
	int ret;

	ret = sd_bus_message_read(m, "s", &path);
	if (ret < 0)
		return ret;
	command->path = strdup(path);
	if (!command->path)
		return -ENOMEM;
	ret = sd_bus_message_read_strv(m, &command->argv);
	if (ret >= 0)
		ret = sd_bus_message_read_strv(m, &command->flags);
	/* When it was run last. */
	return ret < 0 ? ret : sd_bus_message_skip(m, "ttttuii");
}

static int get_commands(sd_bus *bus, const char *path, const char *property,
			struct unit_commands *commands)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	int ret;

	ret = sd_bus_get_property(bus, SYSTEMD, path, SERVICE, property, &error, &m,
				  "a(sasasttttuii)");
	if (ret >= 0)
		ret = sd_bus_message_enter_container(m, 'a', "(sasasttttuii)");
	while (ret >= 0 &&
	       (ret = sd_bus_message_enter_container(m, 'r', "sasasttttuii")) > 0) {
		struct unit_command *more =
			reallocarray(commands->all, commands->nr + 1, sizeof(*more));

		if (!more) {
			ret = -ENOMEM;
			break;
		}
		commands->all = more;
		more += commands->nr++;
		*more = (struct unit_command){ .path = NULL };
		ret = read_command(m, more);
		if (ret >= 0)
			ret = sd_bus_message_exit_container(m);
	}
	sd_bus_message_unref(m);
	sd_bus_error_free(&error);
	return ret < 0 ? ret : 0;
}

static int object_of(sd_bus *bus, const char *name, char **path, char *error)
{
	sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	const char *object;
	int ret;

	ret = sd_bus_call_method(bus, SYSTEMD, MANAGER_PATH, MANAGER, "LoadUnit", &bus_error,
				 &reply, "s", name);
	if (ret >= 0)
		ret = sd_bus_message_read(reply, "o", &object);
	if (ret >= 0) {
		*path = strdup(object);
		ret = *path ? 0 : -ENOMEM;
	}
	sd_bus_message_unref(reply);
	return bus_failed(ret, &bus_error, name, error);
}

/* Appends "UNIT (ADDRESS)" for each address of a socket unit. */
static int add_listening(sd_bus *bus, const char *socket, char ***all, size_t *nr, char *error)
{
	sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	const char *type, *address;
	sd_bus_message *m = NULL;
	char *path = NULL;
	bool accepts;
	int ret;

	ret = object_of(bus, socket, &path, error);
	if (ret < 0)
		return ret;
	ret = sd_bus_get_property(bus, SYSTEMD, path, SOCKET, "Listen", &bus_error, &m, "a(ss)");
	if (ret >= 0)
		ret = sd_bus_message_enter_container(m, 'a', "(ss)");
	/* It has systemd accept them. */
	accepts = get_bool(bus, path, SOCKET, "Accept");
	while (ret >= 0 && (ret = sd_bus_message_read(m, "(ss)", &type, &address)) > 0) {
		char **more = reallocarray(*all, *nr + 2, sizeof(*more));

		if (!more) {
			ret = -ENOMEM;
			break;
		}
		*all = more;
		more[*nr + 1] = NULL;
		if (asprintf(&more[*nr], "%s (%s %s)", socket,
			     accepts ? "Connection" : type, address) < 0) {
			more[*nr] = NULL;
			ret = -ENOMEM;
			break;
		}
		++*nr;
	}
	sd_bus_message_unref(m);
	free(path);
	return bus_failed(ret, &bus_error, socket, error);
}

static void free_strings(char **strings)
{
	for (char **s = strings; s && *s; s++)
		free(*s);
	free(strings);
}

static int get_sockets(sd_bus *bus, const char *path, char ***sockets, char *error)
{
	char **by = get_strings(bus, path, UNIT, "TriggeredBy");
	size_t nr = 0;
	int ret = 0;

	for (char **s = by; s && *s && !ret; s++) {
		const char *suffix = strrchr(*s, '.');

		if (suffix && !strcmp(suffix, ".socket"))
			ret = add_listening(bus, *s, sockets, &nr, error);
	}
	free_strings(by);
	return ret;
}

static int get_all_commands(sd_bus *bus, const char *path, struct unit *unit)
{
	int ret;

	ret = get_commands(bus, path, "ExecStartEx", &unit->start);
	ret = ret ?: get_commands(bus, path, "ExecStartPreEx", &unit->start_pre);
	ret = ret ?: get_commands(bus, path, "ExecStopEx", &unit->stop);
	return ret ?: get_commands(bus, path, "ExecStopPostEx", &unit->stop_post);
}

static int get_unit(sd_bus *bus, const char *path, struct unit *unit, char *error)
{
	int ret;

	unit->id = get_string(bus, path, UNIT, "Id");
	unit->load_state = get_string(bus, path, UNIT, "LoadState");
	unit->active_state = get_string(bus, path, UNIT, "ActiveState");
	unit->unit_file_state = get_string(bus, path, UNIT, "UnitFileState");
	unit->fragment_path = get_string(bus, path, UNIT, "FragmentPath");
	unit->drop_in_paths = get_strings(bus, path, UNIT, "DropInPaths");
	unit->need_daemon_reload = get_bool(bus, path, UNIT, "NeedDaemonReload");
	unit->transient = get_bool(bus, path, UNIT, "Transient");
	if (unit->load_state && strcmp(unit->load_state, "loaded"))
		return 0;
	ret = get_sockets(bus, path, &unit->sockets, error);
	if (ret)
		return ret;

	unit->type = get_string(bus, path, SERVICE, "Type");
	unit->result = get_string(bus, path, SERVICE, "Result");
	unit->pid_file = get_string(bus, path, SERVICE, "PIDFile");
	unit->notify_access = get_string(bus, path, SERVICE, "NotifyAccess");
	unit->root_directory = get_string(bus, path, SERVICE, "RootDirectory");
	unit->root_image = get_string(bus, path, SERVICE, "RootImage");
	unit->proc_subset = get_string(bus, path, SERVICE, "ProcSubset");
	unit->private_pids = get_string(bus, path, SERVICE, "PrivatePIDs");
	unit->control_group = get_string(bus, path, SERVICE, "ControlGroup");
	unit->user = get_string(bus, path, SERVICE, "User");
	unit->no_exec_paths = get_strings(bus, path, SERVICE, "NoExecPaths");
	unit->dynamic_user = get_bool(bus, path, SERVICE, "DynamicUser");
	unit->private_users = get_bool(bus, path, SERVICE, "PrivateUsers");
	unit->private_tmp = get_bool(bus, path, SERVICE, "PrivateTmp");
	unit->delegate = get_bool(bus, path, SERVICE, "Delegate");
	get_number(bus, path, SERVICE, "MainPID", 'u', &unit->main_pid);
	get_number(bus, path, SERVICE, "ControlPID", 'u', &unit->control_pid);
	get_number(bus, path, SERVICE, "FileDescriptorStoreMax", 'u', &unit->fd_store_max);
	get_number(bus, path, SERVICE, "AmbientCapabilities", 't', &unit->ambient_capabilities);
	get_number(bus, path, SERVICE, "TimeoutStartUSec", 't', &unit->timeout_start_us);
	get_number(bus, path, SERVICE, "TimeoutStopUSec", 't', &unit->timeout_stop_us);
	ret = get_all_commands(bus, path, unit);
	if (ret)
		snprintf(error, UNIT_ERROR_MAX, "%s: its commands can't be read: %s", unit->id,
			 strerror(-ret));
	return ret;
}

int unit_load(const char *name, struct unit *unit, char error[UNIT_ERROR_MAX])
{
	char *path = NULL;
	sd_bus *bus;
	int ret;

	*unit = (struct unit){ .id = NULL };
	ret = open_bus(&bus, error);
	if (ret < 0)
		return ret;
	ret = object_of(bus, name, &path, error);
	if (!ret)
		ret = get_unit(bus, path, unit, error);
	if (!ret && (!unit->id || !unit->load_state || !unit->active_state)) {
		snprintf(error, UNIT_ERROR_MAX, "%s: out of memory", name);
		ret = -ENOMEM;
	}
	free(path);
	sd_bus_flush_close_unref(bus);
	return ret;
}

static void free_commands(struct unit_commands *commands)
{
	for (size_t i = 0; i < commands->nr; i++) {
		free(commands->all[i].path);
		free_strings(commands->all[i].argv);
		free_strings(commands->all[i].flags);
	}
	free(commands->all);
}

void unit_free(struct unit *unit)
{
	free(unit->id);
	free(unit->load_state);
	free(unit->active_state);
	free(unit->result);
	free(unit->unit_file_state);
	free(unit->fragment_path);
	free_strings(unit->drop_in_paths);
	free_strings(unit->sockets);
	free(unit->type);
	free(unit->pid_file);
	free(unit->notify_access);
	free(unit->root_directory);
	free(unit->root_image);
	free(unit->proc_subset);
	free(unit->private_pids);
	free(unit->control_group);
	free(unit->user);
	free_strings(unit->no_exec_paths);
	free_commands(&unit->start);
	free_commands(&unit->start_pre);
	free_commands(&unit->stop);
	free_commands(&unit->stop_post);
	*unit = (struct unit){ .id = NULL };
}

char *unit_control_group(const char *name)
{
	char error[UNIT_ERROR_MAX], *path = NULL, *group = NULL;
	sd_bus *bus;

	if (open_bus(&bus, error) < 0)
		return NULL;
	if (!object_of(bus, name, &path, error))
		group = get_string(bus, path, SERVICE, "ControlGroup");
	free(path);
	sd_bus_flush_close_unref(bus);
	return group;
}

int unit_reload_all(char error[UNIT_ERROR_MAX])
{
	sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	sd_bus *bus;
	int ret = open_bus(&bus, error);

	if (ret < 0)
		return ret;
	ret = sd_bus_call_method(bus, SYSTEMD, MANAGER_PATH, MANAGER, "Reload", &bus_error, NULL,
				 NULL);
	ret = bus_failed(ret, &bus_error, "daemon-reload", error);
	sd_bus_flush_close_unref(bus);
	return ret;
}

int unit_start(const char *name, const char *mode, char error[UNIT_ERROR_MAX])
{
	sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	sd_bus *bus;
	int ret = open_bus(&bus, error);

	if (ret < 0)
		return ret;
	ret = sd_bus_call_method(bus, SYSTEMD, MANAGER_PATH, MANAGER, "StartUnit", &bus_error,
				 NULL, "ss", name, mode);
	ret = bus_failed(ret, &bus_error, name, error);
	sd_bus_flush_close_unref(bus);
	return ret;
}

int unit_files_enable(char **names, bool enable, char error[UNIT_ERROR_MAX])
{
	sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	sd_bus *bus;
	int ret = open_bus(&bus, error);

	if (ret < 0)
		return ret;
	ret = sd_bus_message_new_method_call(bus, &m, SYSTEMD, MANAGER_PATH, MANAGER,
					     enable ? "EnableUnitFiles" : "DisableUnitFiles");
	if (ret >= 0)
		ret = sd_bus_message_append_strv(m, names);
	/* For good; and whatever is in the way of the links. */
	if (ret >= 0)
		ret = enable ? sd_bus_message_append(m, "bb", false, true) :
			       sd_bus_message_append(m, "b", false);
	if (ret >= 0)
		ret = sd_bus_call(bus, m, 0, &bus_error, NULL);
	sd_bus_message_unref(m);
	ret = bus_failed(ret, &bus_error, *names, error);
	sd_bus_flush_close_unref(bus);
	return ret;
}

int unit_has_job(const char *name, const char *type, char error[UNIT_ERROR_MAX])
{
	sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	const char *unit, *job_type, *state, *job, *path;
	sd_bus_message *reply = NULL;
	bool found = false;
	uint32_t id;
	sd_bus *bus;
	int ret = open_bus(&bus, error);

	if (ret < 0)
		return ret;
	ret = sd_bus_call_method(bus, SYSTEMD, MANAGER_PATH, MANAGER, "ListJobs", &bus_error,
				 &reply, NULL);
	if (ret >= 0)
		ret = sd_bus_message_enter_container(reply, 'a', "(usssoo)");
	while (ret >= 0 && (ret = sd_bus_message_read(reply, "(usssoo)", &id, &unit, &job_type,
						      &state, &job, &path)) > 0)
		found |= !strcmp(unit, name) && !strcmp(job_type, type);
	sd_bus_message_unref(reply);
	ret = bus_failed(ret, &bus_error, "systemd's jobs", error);
	sd_bus_flush_close_unref(bus);
	return ret ?: found;
}
