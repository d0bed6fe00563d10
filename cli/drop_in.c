// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the drop-in is made of: the unit as systemd has loaded it, so that the drop-ins of
 * others and specifiers are in it. Commands are copied, which is why it has a sum of the files
 * that they come from.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "drop_in.h"
#include "output.h"
#include "paths.h"
#include "podman.h"
#include "podman_line.h"
#include "sysfile.h"
#include "util.h"

#define SUM_LINE	"# sum of the unit's files: "
/* For pram-service to tell systemd that a dump, or a restore, takes longer. */
#define START_SECONDS	90U
/* podman is given 150 s to say what a container is, 300 s to checkpoint or to restore it; and then is to stop or start it. */
#define CONTAINER_SECONDS 600U

char *drop_in_path(const char *root, const char *unit)
{
	return output_format("%s" DROP_IN_DIR "/%s.d/" DROP_IN_NAME, root, unit);
}

char *drop_in_container_path(const char *root, const char *unit)
{
	return output_format("%s" DROP_IN_DIR "/%s.d/" DROP_IN_CONTAINER_NAME, root, unit);
}

/* ---- what is in the way ------------------------------------------------ */

static void add(struct json_object *obstacles, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void add(struct json_object *obstacles, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	output_append(obstacles, json_object_new_string(text));
}

static bool is_set(const char *text)
{
	return text && *text;
}

static void check_type(struct json_object *obstacles, const struct unit *unit)
{
	static const char *const served[] = { "simple", "exec", "notify", "notify-reload", "forking" };
	const char *type = unit->type ?: "";

	for (size_t i = 0; i < sizeof(served) / sizeof(*served); i++) {
		if (strcmp(type, served[i]))
			continue;
		if (!strcmp(type, "forking") && !is_set(unit->pid_file))
			add(obstacles, "Type=forking without PIDFile=: systemd only guesses its main process; set PIDFile=, or run the service in the foreground");
		return;
	}
	add(obstacles, "Type=%s: only simple, exec, notify and forking are supported%s", type,
	    !strcmp(type, "dbus") ? "; a connection to the bus can't be kept" : "");
}

/*
 * Without PrivateUsers= a service has the capabilities over the machine that it had over its user
 * namespace alone. One that has none loses nothing but that: with these two lines it can't come by any.
 */
static const char no_capabilities[] = "CapabilityBoundingSet=\nNoNewPrivileges=yes\n";

static bool starts_as_root(const struct unit *unit)
{
	for (size_t i = 0; i < unit->start.nr; i++) {
		for (char **flag = unit->start.all[i].flags; flag && *flag; flag++) {
			if (!strcmp(*flag, "no-setuid"))
				return true;
		}
	}
	return !is_set(unit->user) || !strcmp(unit->user, "root") || !strcmp(unit->user, "0");
}

bool drop_in_needs_private_users(const struct unit *unit)
{
	return unit->private_users && (starts_as_root(unit) || unit->ambient_capabilities);
}

static void check_sandbox(struct json_object *obstacles, const struct unit *unit,
			  bool no_private_users)
{
	if (unit->dynamic_user)
		add(obstacles, "DynamicUser=yes: its user may have another UID in the next boot; set DynamicUser=no and User=");
	if (drop_in_needs_private_users(unit) && !no_private_users)
		add(obstacles, "PrivateUsers=yes: tasks can't be restored into that user namespace, and without it this service would have capabilities over the whole machine; set User= without AmbientCapabilities=, or give --no-private-users");
	if (is_set(unit->root_directory))
		add(obstacles, "RootDirectory=%s: criu and its plugin are not in it", unit->root_directory);
	if (is_set(unit->root_image))
		add(obstacles, "RootImage=%s: criu and its plugin are not in it", unit->root_image);
	if (is_set(unit->proc_subset) && strcmp(unit->proc_subset, "all"))
		add(obstacles, "ProcSubset=%s: criu needs /proc/sys; set ProcSubset=all", unit->proc_subset);
	if (is_set(unit->private_pids) && strcmp(unit->private_pids, "no"))
		add(obstacles, "PrivatePIDs=%s: its pids are not the machine's", unit->private_pids);
	if (unit->delegate)
		add(obstacles, "Delegate=yes: it creates its own control groups, which are not kept");
}

static bool has_drop_in(const struct unit *unit)
{
	for (char **path = unit->drop_in_paths; path && *path; path++) {
		const char *name = strrchr(*path, '/');

		if (name && !strcmp(name + 1, DROP_IN_NAME))
			return true;
	}
	return false;
}

/* The drop-in sets it, and another one may set it again. */
static void check_notify(struct json_object *obstacles, const struct unit *unit)
{
	const char *access = unit->notify_access ?: "";
	const bool forking = unit->type && !strcmp(unit->type, "forking");
	const bool control = !strcmp(access, "exec") || !strcmp(access, "all");

	if (!control && (forking || strcmp(access, "main")))
		add(obstacles, "NotifyAccess=%s, which another drop-in sets: systemd can't be told of the restored process, nor asked for time; set NotifyAccess=%s there",
		    access, forking ? "exec" : "main");
}

/* Commands whose prefixes a copy cannot have. */
static void check_commands(struct json_object *obstacles, const struct unit *unit)
{
	/* systemd resolves what is not a path when it reads the unit. */
	if (unit->start.nr != 1)
		add(obstacles, "it has %zu ExecStart= commands: there must be one, that of the main process",
		    unit->start.nr);
	for (size_t i = 0; i < unit->start.nr; i++) {
		for (char **flag = unit->start.all[i].flags; flag && *flag; flag++) {
			if (!strcmp(*flag, "privileged"))
				add(obstacles, "ExecStart=+%s: it runs outside the unit's sandbox, but would be restored inside",
				    unit->start.all[i].path);
		}
	}
}

/* Can systemd lend it to the restored service? */
static bool is_lent(const char *socket)
{
	const char *type = strstr(socket, " (");

	return type && (!strncmp(type, " (Stream ", 9) || !strncmp(type, " (Datagram ", 11) ||
			!strncmp(type, " (SequentialPacket ", 19));
}

struct json_object *drop_in_obstacles(const struct unit *unit, bool no_private_users)
{
	struct json_object *obstacles = output_new_array();

	if (unit->transient)
		add(obstacles, "it is transient: the next boot will not know it");
	if (unit->need_daemon_reload)
		add(obstacles, "its files have changed since systemd read them: run 'systemctl daemon-reload' first");
	check_type(obstacles, unit);
	check_sandbox(obstacles, unit, no_private_users);
	if (has_drop_in(unit))
		check_notify(obstacles, unit);
	else
		check_commands(obstacles, unit);
	for (char **socket = unit->sockets; socket && *socket; socket++) {
		if (!is_lent(*socket))
			add(obstacles, "%s: systemd listens there for it, and only sockets of the types Stream, Datagram and SequentialPacket are kept, without Accept=yes",
			    *socket);
	}
	if (unit->fd_store_max)
		add(obstacles, "FileDescriptorStoreMax=%" PRIu32 ": descriptors that it has stored in systemd would be lost",
		    unit->fd_store_max);
	return obstacles;
}

/* ---- the text ---------------------------------------------------------- */

/*
 * A word of a command line: quoted, as systemd.syntax(7) has it. Specifiers have been
 * resolved; variables have not, and will be.
 */
static void put_word(FILE *out, const char *word)
{
	fputc('"', out);
	for (const unsigned char *c = (const unsigned char *)word; *c; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c == '%')
			fputs("%%", out);
		else if (*c < ' ' || *c == 127)
			fprintf(out, "\\x%02x", *c);
		else
			fputc(*c, out);
	}
	fputc('"', out);
}

static void put_prefixes(FILE *out, char **flags)
{
	static const struct {
		const char *flag, *prefix;
	} prefixes[] = {
		{ "ignore-failure", "-" }, { "no-env-expand", ":" }, { "privileged", "+" },
		{ "no-setuid", "!" }, { "ambient", "!!" },
	};

	for (char **flag = flags; flag && *flag; flag++) {
		for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
			if (!strcmp(*flag, prefixes[i].flag))
				fputs(prefixes[i].prefix, out);
		}
	}
}

static void put_command(FILE *out, const char *key, const struct unit_command *command,
			const char *options)
{
	const char *name = command->argv && *command->argv ? *command->argv : command->path;

	fprintf(out, "%s=", key);
	put_prefixes(out, command->flags);
	fprintf(out, EXEC_PROGRAM "%s", options);
	if (strcmp(name, command->path)) {
		fputs(" --argv0 ", out);
		put_word(out, name);
	}
	fputs(" -- ", out);
	put_word(out, command->path);
	for (char **arg = command->argv ? command->argv + 1 : NULL; arg && *arg; arg++) {
		fputc(' ', out);
		put_word(out, *arg);
	}
	fputc('\n', out);
}

/* Of all files but the drop-in itself. */
static uint32_t sum_files(const struct unit *unit, const char *root)
{
	_cleanup_free_ char *all = NULL;
	size_t size;
	FILE *out = open_memstream(&all, &size);
	uint32_t sum;

	if (!out)
		return 0;
	for (char **path = unit->drop_in_paths; path && *path; path++) {
		const char *name = strrchr(*path, '/');
		_cleanup_free_ char *text = NULL;

		if (name && (!strcmp(name + 1, DROP_IN_NAME) ||
			     !strcmp(name + 1, DROP_IN_CONTAINER_NAME)))
			continue;
		text = sysfile_read(root, *path);
		fprintf(out, "%s\n%s\n", *path, text ?: "");
	}
	if (is_set(unit->fragment_path)) {
		_cleanup_free_ char *text = sysfile_read(root, unit->fragment_path);

		fprintf(out, "%s\n%s\n", unit->fragment_path, text ?: "");
	}
	fclose(out);
	sum = pram_crc32c(all, size);
	return sum;
}

char *drop_in_text(const struct unit *unit, const char *root)
{
	const bool notifies = unit->type && !strncmp(unit->type, "notify", 6);
	const bool forking = unit->type && !strcmp(unit->type, "forking");
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out,
		"# SPDX-License-Identifier: GPL-2.0-only\n"
		"# Written by 'pramctl enable': the service is kept across a kexec. 'pramctl disable' removes it.\n"
		SUM_LINE "%08" PRIx32 "\n"
		"[Service]\n"
		"EnvironmentFile=-" ENV_DIR "/%%n\n"
		"ExecStartPre=\n"
		"ExecStartPre=+" SERVICE_PROGRAM " prepare %%n\n",
		sum_files(unit, root));
	for (size_t i = 0; i < unit->start_pre.nr; i++) {
		const struct unit_command *command = &unit->start_pre.all[i];

		put_command(out, "ExecStartPre", command, " --unless-dumped");
	}
	fputs("ExecStart=\n", out);
	put_command(out, "ExecStart", unit->start.all, notifies ? "" : " --no-notify");
	fputs("ExecStop=\nExecStop=+" SERVICE_PROGRAM " dump %n\n", out);
	for (size_t i = 0; i < unit->stop.nr; i++)
		put_command(out, "ExecStop", &unit->stop.all[i], " --unless-dumped");
	if (unit->stop_post.nr)
		fputs("ExecStopPost=\n", out);
	for (size_t i = 0; i < unit->stop_post.nr; i++)
		put_command(out, "ExecStopPost", &unit->stop_post.all[i], " --unless-dumped");
	/* How systemd hears of the restored main process; and that it has to wait. */
	if (forking && (!is_set(unit->notify_access) || strcmp(unit->notify_access, "all")))
		fputs("NotifyAccess=exec\n", out);
	else if (!is_set(unit->notify_access) || !strcmp(unit->notify_access, "none"))
		fputs("NotifyAccess=main\n", out);
	if (unit->timeout_stop_us < START_SECONDS * UINT64_C(1000000))
		fprintf(out, "TimeoutStopSec=%us\n", START_SECONDS);
	if (unit->timeout_start_us < START_SECONDS * UINT64_C(1000000))
		fprintf(out, "TimeoutStartSec=%us\n", START_SECONDS);
	if (unit->private_users)
		fprintf(out, "PrivateUsers=no\n%s",
			drop_in_needs_private_users(unit) ? "" : no_capabilities);
	/* criu's libraries have to be among ExecPaths= already, as the service's own are. */
	if (unit->no_exec_paths && *unit->no_exec_paths)
		fputs("ExecPaths=/usr/lib/pram -/usr/lib/criu\n", out);
	fclose(out);
	return text;
}

/*
 * podman checkpoints no container with --rm to be restored where it is: the unit removes it. --replace is given in
 * any case: one that is left, as nothing removes it, would be in the way.
 */
static bool is_left_out(const char *word)
{
	const size_t len = strcspn(word, "=");

	return (len == 4 && !strncmp(word, "--rm", len)) || (len == 9 && !strncmp(word, "--replace", len));
}

/* Does it name a file of criu's options by itself? */
static bool has_annotation(const struct podman_line *line)
{
	for (char **word = line->words; word < line->operands; word += podman_line_step(line, word)) {
		const char *value = podman_line_value(word, "--annotation");

		if (value && !strncmp(value, CONTAINER_ANNOTATION "=", strlen(CONTAINER_ANNOTATION "=")))
			return true;
	}
	return false;
}

static void put_plain(FILE *out, const struct unit_command *command)
{
	put_word(out, command->path);
	for (char **arg = command->argv && *command->argv ? command->argv + 1 : NULL; arg && *arg; arg++) {
		fputc(' ', out);
		put_word(out, *arg);
	}
	fputc('\n', out);
}

/* "podman run" as the unit has it, but for what its container needs; @runtime is NULL if that stays, too. */
static void put_run(FILE *out, const struct unit_command *command, const char *runtime)
{
	struct podman_line line;
	unsigned int words;

	podman_line_take(command->argv, &line);
	put_word(out, command->path);
	for (char **word = line.words; *word; word += words) {
		words = podman_line_step(&line, word);
		if (word < line.operands && is_left_out(*word))
			continue;
		for (unsigned int i = 0; i < words; i++) {
			fputc(' ', out);
			put_word(out, word[i]);
		}
		if (word != line.verb)
			continue;
		if (!has_annotation(&line))
			fputs(" \"--annotation\" \"" CONTAINER_ANNOTATION "=" CONTAINER_CONFIG "\"", out);
		if (runtime)
			fprintf(out, " \"--runtime\" \"%s\"", runtime);
		fputs(" \"--replace\"", out);
	}
	fputc('\n', out);
}

/* What the unit stops its container by: nothing is to be done by that when it is dumped, if it @removes it. */
static void put_stop(FILE *out, const char *key, const struct unit_commands *commands, bool removes)
{
	for (size_t i = 0; i < commands->nr; i++) {
		if (removes) {
			put_command(out, key, &commands->all[i], " --unless-dumped");
			continue;
		}
		fprintf(out, "%s=", key);
		put_prefixes(out, commands->all[i].flags);
		put_plain(out, &commands->all[i]);
	}
}

char *drop_in_container_text(const struct unit *unit, const char *root, const char *name,
			     const char *id, const char *runtime)
{
	const bool anew = !id;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out,
		"# SPDX-License-Identifier: GPL-2.0-only\n"
		"# Written by 'pramctl enable': the container is kept across a kexec. 'pramctl disable' removes it.\n"
		DROP_IN_CONTAINER_LINE "%s%s%s\n"
		SUM_LINE "%08" PRIx32 "\n"
		"[Unit]\n"
		"Wants=pram-containers.target\n"
		"After=pram-containers.target\n"
		"[Service]\n"
		"%s"
		"ExecStart=\n"
		"ExecStart=",
		name, anew ? "" : " ", anew ? "" : id, sum_files(unit, root),
		anew ? "EnvironmentFile=-" ENV_DIR "/%n\n" : "");
	put_prefixes(out, unit->start.all->flags);
	fprintf(out, SERVICE_PROGRAM " container-start %%n %s -- ", name);
	if (anew)
		put_run(out, unit->start.all, runtime);
	else
		put_plain(out, unit->start.all);
	fprintf(out, "ExecStop=\nExecStop=-" SERVICE_PROGRAM " container-dump %%n %s\n", name);
	put_stop(out, "ExecStop", &unit->stop, anew);
	if (anew && unit->stop_post.nr) {
		fputs("ExecStopPost=\n", out);
		put_stop(out, "ExecStopPost", &unit->stop_post, true);
	}
	if (unit->timeout_stop_us < CONTAINER_SECONDS * UINT64_C(1000000))
		fprintf(out, "TimeoutStopSec=%us\n", CONTAINER_SECONDS);
	if (unit->timeout_start_us < CONTAINER_SECONDS * UINT64_C(1000000))
		fprintf(out, "TimeoutStartSec=%us\n", CONTAINER_SECONDS);
	fclose(out);
	return text;
}

bool drop_in_is_stale(const struct unit *unit, const char *root, const char *text)
{
	const char *line = strstr(text, SUM_LINE);

	return !line || strtoul(line + strlen(SUM_LINE), NULL, 16) != sum_files(unit, root);
}
