// SPDX-License-Identifier: GPL-2.0-only
/*
 * Can this system save tasks in PRAM? Goes by files alone (and by what criu says of
 * its version), needs no privileges, and so can judge a copy of a system, too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "checkpoint_format.h"
#include "elf_file.h"
#include "kho.h"
#include "output.h"
#include "pramctl.h"
#include "sysfile.h"
#include "util.h"

/* The oldest criu that criu-hooks/ was made for, and that runs on these kernels. */
#define CRIU_VERSION_MIN	"4.2.1"
/*
 * criu exports all its functions to plugins. This one is the last that criu-hooks/
 * adds, by patch 0049, and exists in no other criu. Whether criu and plugin were built
 * for each other only the plugin knows, by their build ids.
 */
#define CRIU_HOOK_SYMBOL	"guard_committing"

/* Like root's PATH, whoever asks: criu and kexec lie where users do not look. */
#define PROGRAM_DIRS	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Where criu is told to look for it: as configured, and criu's own default. */
static const char *const plugin_paths[] = {
	PRAM_PLUGIN_PATH,
	"/usr/lib/criu/pram_plugin/pram_plugin.so",
};

/* ---- the kernel -------------------------------------------------------- */

static bool config_is_set(const struct check *check, const char *option)
{
	_cleanup_free_ char *line = output_format("%s=y", option);
	const size_t len = strlen(line);

	for (const char *p = strstr(check->config, line); p; p = strstr(p + 1, line)) {
		if ((p == check->config || p[-1] == '\n') && (!p[len] || p[len] == '\n'))
			return true;
	}
	return false;
}

static void check_config(struct check *check)
{
	static const char *const options[] = {
		"CONFIG_KEXEC_HANDOVER",
		"CONFIG_PRAM",
		"CONFIG_KEXEC_FILE",
		"CONFIG_RELOCATABLE",
		"CONFIG_CHECKPOINT_RESTORE",
	};
	const char *root = check->args->root;
	_cleanup_free_ char *release = sysfile_read(root, "/proc/sys/kernel/osrelease");
	_cleanup_free_ char *path = output_format("/boot/config-%s", release ? release : "");

	if (release)
		check_add(check, "kernel", CHECK_OK, release, "");
	else
		check_add(check, "kernel", CHECK_MISSING, "/proc can't be read", "mount /proc");

	check->config = sysfile_read(root, "/proc/config.gz");
	if (!check->config)
		check->config = sysfile_read(root, path);
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		_cleanup_free_ char *remedy =
			output_format("boot a kernel built with %s=y", options[i]);

		if (!check->config)
			check_add(check, options[i], CHECK_UNKNOWN,
				  "there is neither /proc/config.gz nor a configuration in /boot",
				  remedy);
		else if (config_is_set(check, options[i]))
			check_add(check, options[i], CHECK_OK, "y", "");
		else
			check_add(check, options[i], CHECK_MISSING, "not set", remedy);
	}
}

static void check_command_line(struct check *check)
{
	_cleanup_free_ char *cmdline = sysfile_read(check->args->root, "/proc/cmdline");
	const bool by_default =
		check->config && config_is_set(check, "CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT");

	if (!cmdline)
		check_add(check, "command line", CHECK_UNKNOWN, "/proc can't be read",
			  "mount /proc");
	else if (pram_kho_asked(cmdline, by_default))
		check_add(check, "command line", CHECK_OK, by_default ? "kho is on" : "kho=on", "");
	else
		check_add(check, "command line", CHECK_MISSING, "kho is off",
			  "add kho=on to the command line of this kernel and the next, and reboot");
}

/* Is there anything to be seen in debugfs? */
static bool debugfs_is_mounted(const char *root)
{
	_cleanup_free_ char *path = output_format("%s/sys/kernel/debug", root);
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool any = false;

	while (dir && !any && (entry = readdir(dir)))
		any = *entry->d_name != '.';
	if (dir)
		closedir(dir);
	return any;
}

/*
 * Is KHO off though this kernel has it and was asked for it? It is if it could not reserve
 * its scratch areas; the command line shows nothing of that.
 */
static bool kho_has_failed(const struct check *check)
{
	const char *root = check->args->root;
	_cleanup_free_ char *cmdline = sysfile_read(root, "/proc/cmdline");
	const bool by_default =
		check->config && config_is_set(check, "CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT");

	return cmdline && pram_kho_asked(cmdline, by_default) && check->config &&
	       config_is_set(check, "CONFIG_KEXEC_HANDOVER") && debugfs_is_mounted(root) &&
	       !sysfile_exists(root, CHECK_KHO_DIR);
}

static void check_scratch(struct check *check)
{
	_cleanup_free_ char *text = sysfile_read(check->args->root, CHECK_KHO_DIR "/scratch_len");
	_cleanup_free_ char *found = NULL;
	char *rest = text, *line;

	while (text && (line = strsep(&rest, "\n"))) {
		_cleanup_free_ char *bytes = output_bytes(strtoull(line, NULL, 0));
		char *longer;

		if (!*line)
			continue;
		longer = output_format("%s%s%s", found ? found : "", found ? ", " : "", bytes);
		free(found);
		found = longer;
	}
	if (found)
		check_add(check, "scratch areas", CHECK_OK, found, "");
	else if (kho_has_failed(check))
		check_add(check, "scratch areas", CHECK_MISSING,
			  "KHO is off although it was requested: it could not reserve them",
			  "boot with areas that fit into each NUMA node's memory, "
			  "kho_scratch=LOWMEM,GLOBAL,PERNODE on the command line; 'dmesg | grep KHO' "
			  "says which one did not");
	else if (debugfs_is_mounted(check->args->root))
		check_add(check, "scratch areas", CHECK_UNKNOWN, "KHO is off", "boot with kho=on");
	else
		check_add(check, "scratch areas", CHECK_UNKNOWN, "debugfs can't be read",
			  "as root, mount -t debugfs debugfs /sys/kernel/debug");
}

static void check_device(struct check *check)
{
	const char *root = check->args->root;
	_cleanup_free_ char *text = sysfile_read(root, "/sys/kernel/pram/abi_version");
	_cleanup_free_ char *found = NULL, *remedy = NULL;
	const char *boot = kho_has_failed(check) ?
		"see the scratch areas above" :
		"boot a kernel that has PRAM with kho=on; its log says what is wrong then";

	if (sysfile_exists(root, PRAM_DEVICE_PATH))
		check_add(check, PRAM_DEVICE_PATH, CHECK_OK, "present", "");
	else
		check_add(check, PRAM_DEVICE_PATH, CHECK_MISSING, "not present", boot);

	if (!text) {
		check_add(check, "interface", CHECK_MISSING, "/sys/kernel/pram can't be read",
			  kho_has_failed(check) ? boot :
			  "boot a kernel that has PRAM with kho=on and mount /sys");
		return;
	}
	found = output_format("version %s", text);
	remedy = output_format("install the pramctl and plugin for version %s, or boot a kernel with version %d",
			       text, PRAM_ABI_VERSION);
	check_add(check, "interface",
		  strtoul(text, NULL, 10) == PRAM_ABI_VERSION ? CHECK_OK : CHECK_MISSING,
		  found, remedy);
}

static void check_kexec(struct check *check)
{
	_cleanup_free_ char *path = sysfile_find_program(check->args->root, PROGRAM_DIRS, "kexec");

	if (path)
		check_add(check, "kexec", CHECK_OK, path, "");
	else
		check_add(check, "kexec", CHECK_MISSING, "no such program", "install kexec-tools");
}

/* ---- criu -------------------------------------------------------------- */

/* The first line that "PATH --version" prints, to be freed; or NULL. */
static char *ask_version(const char *path)
{
	char *const argv[] = { (char *)path, "--version", NULL };
	posix_spawn_file_actions_t actions;
	char line[128] = "";
	int fds[2], error, status;
	FILE *file;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return NULL;
	if (posix_spawn_file_actions_init(&actions)) {
		close(fds[0]);
		close(fds[1]);
		return NULL;
	}
	error = posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	if (!error)
		error = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null",
							 O_WRONLY, 0);
	if (!error)
		error = posix_spawn(&pid, path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	file = error ? NULL : fdopen(fds[0], "r");
	if (file) {
		if (!fgets(line, sizeof(line), file))
			*line = 0;
		fclose(file);
	} else {
		close(fds[0]);
	}
	if (!error)
		waitpid(pid, &status, 0);
	line[strcspn(line, "\n")] = 0;
	return *line ? output_format("%s", line) : NULL;
}

/* At least CRIU_VERSION_MIN, compared number by number. */
static bool version_is_enough(const char *version)
{
	int have[3] = { 0 }, want[3] = { 0 };

	if (sscanf(version, "%d.%d.%d", &have[0], &have[1], &have[2]) < 1)
		return false;
	sscanf(CRIU_VERSION_MIN, "%d.%d.%d", &want[0], &want[1], &want[2]);
	for (int i = 0; i < 3; i++) {
		if (have[i] != want[i])
			return have[i] > want[i];
	}
	return true;
}

static void check_criu_hooks(struct check *check, const char *path)
{
	static const char remedy[] =
		"install a criu " CRIU_VERSION_MIN " or later with the patches of criu-hooks/";
	_cleanup_free_ char *line = ask_version(path);
	const char *version = line ? line + strcspn(line, "0123456789") : "";
	int ret;

	if (!*version)
		check_add(check, "criu's version", CHECK_MISSING, "it states none", remedy);
	else
		check_add(check, "criu's version",
			  version_is_enough(version) ? CHECK_OK : CHECK_MISSING, version, remedy);

	ret = elf_exports(path, CRIU_HOOK_SYMBOL);
	if (ret > 0)
		check_add(check, "criu's image hooks", CHECK_OK, "present", "");
	else
		check_add(check, "criu's image hooks", CHECK_MISSING,
			  ret == -ENOEXEC ? "it is a script" : ret ? strerror(-ret) : "not present",
			  ret == -ENOEXEC ? "name the program itself with --criu" : remedy);
}

/* Where the criu is that is to be looked at, to be freed; or NULL. */
static char *find_criu(const struct check *check)
{
	if (check->args->criu)
		return output_format("%s", check->args->criu);
	return sysfile_find_program(check->args->root, PROGRAM_DIRS, "criu");
}

static void check_criu(struct check *check, const char *path)
{
	if (!path || !sysfile_exists("", path)) {
		check_add(check, "criu", CHECK_MISSING, path ? path : "no such program",
			  "install a criu with the patches of criu-hooks/, or name it with --criu");
		return;
	}
	check_add(check, "criu", CHECK_OK, path, "");
	check_criu_hooks(check, path);
}

static void check_plugin_note(struct check *check, const char *path)
{
	static const char remedy[] = "install the plugin that belongs to this pramctl";
	_cleanup_free_ char *found = NULL;
	struct pram_note_desc desc;
	int ret = elf_read_note(path, &desc);

	if (ret <= 0) {
		check_add(check, "plugin's interface", CHECK_MISSING,
			  ret ? strerror(-ret) : "it states none", remedy);
		return;
	}
	found = output_format("version %u, checkpoint format %u", desc.abi_version,
			      desc.checkpoint_version);
	check_add(check, "plugin's interface",
		  desc.abi_version == PRAM_ABI_VERSION &&
				  desc.checkpoint_version == PRAM_CHECKPOINT_VERSION ?
			  CHECK_OK :
			  CHECK_MISSING,
		  found, remedy);
}

/* The plugin reads structures of its criu's, and refuses to run in another. */
static void check_plugin_criu(struct check *check, const char *plugin, const char *criu)
{
	static const char remedy[] = "install the plugin and the criu that were built together";
	char ours[PRAM_BUILD_ID_TEXT_MAX], theirs[PRAM_BUILD_ID_TEXT_MAX];
	_cleanup_free_ char *found = NULL;
	struct pram_note_criu desc;
	uint8_t id[PRAM_BUILD_ID_MAX];
	int size;

	if (!criu || !sysfile_exists("", criu))
		return;
	if (elf_read_criu_note(plugin, &desc) <= 0) {
		check_add(check, "plugin's criu", CHECK_MISSING, "it states none", remedy);
		return;
	}
	size = elf_read_build_id(criu, id);
	pram_build_id_text(ours, desc.build_id, desc.build_id_size);
	pram_build_id_text(theirs, id, size < 0 ? 0 : size);
	if (size == (int)desc.build_id_size && !memcmp(id, desc.build_id, size)) {
		found = output_format("%s, build id %.16s", desc.version, ours);
		check_add(check, "plugin's criu", CHECK_OK, found, "");
		return;
	}
	found = output_format("built for %s with build id %.16s, not for this criu with %.16s",
			      desc.version, ours, theirs);
	check_add(check, "plugin's criu", CHECK_MISSING, found, remedy);
}

static void check_plugin(struct check *check, const char *criu)
{
	_cleanup_free_ char *path = NULL;

	if (check->args->plugin)
		path = output_format("%s", check->args->plugin);
	for (size_t i = 0; !path && i < sizeof(plugin_paths) / sizeof(*plugin_paths); i++) {
		if (sysfile_exists(check->args->root, plugin_paths[i]))
			path = output_format("%s%s", check->args->root, plugin_paths[i]);
	}
	if (!path || !sysfile_exists("", path)) {
		check_add(check, "plugin", CHECK_MISSING,
			  path ? path : "there is no pram_plugin.so",
			  "install it, or name it with --plugin");
		return;
	}
	check_add(check, "plugin", CHECK_OK, path, "");
	check_plugin_note(check, path);
	check_plugin_criu(check, path, criu);
}

/* ---- the verb ---------------------------------------------------------- */

enum pramctl_exit pramctl_check(const struct pramctl_args *args)
{
	struct check check = { .args = args };
	_cleanup_free_ char *criu = NULL;

	if (args->kexec + args->reboot + args->services + !!args->task > 1) {
		pramctl_error("check takes one of --kexec, --reboot, --services and --task");
		return PRAMCTL_USAGE;
	}
	if (args->try_dump && !args->services) {
		pramctl_error("check takes --try with --services only");
		return PRAMCTL_USAGE;
	}
	if (args->nr && !args->kexec) {
		pramctl_error("check takes KERNEL and INITRD with --kexec only");
		return PRAMCTL_USAGE;
	}
	if (args->kexec || args->reboot || args->services || args->task) {
		if (!args->criu && !args->plugin)
			return args->task ? pramctl_check_task(args) :
			       args->services ? pramctl_check_services(args) :
						pramctl_check_loss(args);
		pramctl_error("check --%s takes neither --criu nor --plugin",
			      args->task ? "task" : args->services ? "services" :
			      args->kexec ? "kexec" : "reboot");
		return PRAMCTL_USAGE;
	}
	check.items = output_new_array();
	check_config(&check);
	check_command_line(&check);
	check_scratch(&check);
	check_device(&check);
	check_kexec(&check);
	criu = find_criu(&check);
	check_criu(&check, criu);
	check_plugin(&check, criu);
	free(check.config);
	return check_end(&check, "able",
			 check.failed ? "This system can't save tasks in PRAM." :
					"This system can save tasks in PRAM.");
}
