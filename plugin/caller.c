// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caller.h"

/* Runtimes are called by few others, which are found soon or not at all. */
#define ANCESTORS_MAX	16
/* A command line may be longer, but not up to its options. */
#define ARGS_MAX	16384

/* They call criu, for others that may pack what it has written. */
static const char *const runtimes[] = { "crun", "runc" };

/* They pack what runc has written, always; what is cut off is what comm has room for. */
static const char *const packers[] = {
	"buildkitd", "containerd", "containerd-shim", "crio", "dockerd",
};

/* Options of podman container checkpoint: those with an archive, and letters without a value. */
static const char *const archive_options[] = { "--export", "--create-image" };
static const char flags[] = "aklPR";

static bool is_one_of(const char *name, const char *const *names, size_t nr)
{
	while (nr && strcmp(name, names[nr - 1]))
		nr--;
	return nr;
}

static bool is_option(const char *arg, const char *option)
{
	const size_t len = strlen(option);

	return !strncmp(arg, option, len) && (!arg[len] || arg[len] == '=');
}

static bool wants_archive(const char *arg)
{
	if (arg[0] != '-')
		return false;
	if (arg[1] != '-')
		/* Letters in one word, the last of which may have its value there. */
		return arg[1 + strspn(arg + 1, flags)] == 'e';
	for (size_t i = 0; i < sizeof(archive_options) / sizeof(*archive_options); i++) {
		if (is_option(arg, archive_options[i]))
			return true;
	}
	return false;
}

static bool podman_packs(const char *args, size_t size, char *reason)
{
	bool checkpoint = false, system = false;

	for (const char *arg = args; arg < args + size; arg += strlen(arg) + 1) {
		if (system && !strcmp(arg, "service")) {
			snprintf(reason, PRAM_CALLER_REASON_MAX,
				 "podman's service does not say whether an archive was requested, which would contain no images: call podman container checkpoint without --remote");
			return true;
		}
		if (checkpoint && wants_archive(arg)) {
			snprintf(reason, PRAM_CALLER_REASON_MAX,
				 "podman was called with %.32s, and would make an archive without images: leave that option out",
				 arg);
			return true;
		}
		checkpoint = checkpoint || !strcmp(arg, "checkpoint");
		system = !strcmp(arg, "system");
	}
	return false;
}

bool pram_program_packs(const char *comm, const char *args, size_t size,
			char reason[PRAM_CALLER_REASON_MAX])
{
	if (!strcmp(comm, "podman"))
		return podman_packs(args, size, reason);
	if (!is_one_of(comm, packers, sizeof(packers) / sizeof(*packers)))
		return false;
	snprintf(reason, PRAM_CALLER_REASON_MAX,
		 "%s packs the images directory into an archive, which would contain no images",
		 comm);
	return true;
}

/* What a file of /proc/@pid has, with a nul behind it: its size, or 0. */
static size_t read_file(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t len = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, text, size - 1);
		close(fd);
	}
	text[len > 0 ? len : 0] = '\0';
	return len > 0 ? len : 0;
}

/* Who has called the container runtime that has called criu. */
struct caller {
	char	comm[32];
	char	args[ARGS_MAX];
	size_t	size;		/* of the arguments */
};

static bool find_caller(struct caller *caller)
{
	bool by_runtime = false;
	pid_t pid = getppid();
	char stat[512];

	for (unsigned int i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
		const char *end;

		read_file(pid, "comm", caller->comm, sizeof(caller->comm));
		caller->comm[strcspn(caller->comm, "\n")] = '\0';
		if (by_runtime) {
			caller->size = read_file(pid, "cmdline", caller->args, sizeof(caller->args));
			return true;
		}
		by_runtime = is_one_of(caller->comm, runtimes, sizeof(runtimes) / sizeof(*runtimes));
		read_file(pid, "stat", stat, sizeof(stat));
		/* PID (COMM) STATE PPID, and COMM may have anything in it. */
		end = strrchr(stat, ')');
		if (!end || sscanf(end, ") %*c %d", &pid) != 1)
			break;
	}
	return false;
}

bool pram_caller_packs(char reason[PRAM_CALLER_REASON_MAX])
{
	struct caller caller;

	return find_caller(&caller) &&
	       pram_program_packs(caller.comm, caller.args, caller.size, reason);
}

/* Letters of podman container restore without a value. */
static const char restore_flags[] = "aklR";

static bool has_letter(const char *arg, char letter)
{
	return arg[0] == '-' && arg[1] != '-' &&
	       memchr(arg + 1, letter, strspn(arg + 1, restore_flags));
}

bool pram_podman_keeps(const char *args, size_t size, const char *id, const char *name)
{
	bool restores = false, keeps = false, this_one = false;

	for (const char *arg = args; arg < args + size; arg += strlen(arg) + 1) {
		if (!restores) {
			restores = !strcmp(arg, "restore");
			continue;
		}
		keeps = keeps || !strcmp(arg, "--keep") || !strcmp(arg, "--keep=true") ||
			has_letter(arg, 'k');
		this_one = this_one || !strcmp(arg, "--all") || !strcmp(arg, "--latest") ||
			   has_letter(arg, 'a') || has_letter(arg, 'l') || (name && !strcmp(arg, name)) ||
			   (*arg && !strncmp(arg, id, strlen(arg)));
	}
	return keeps && this_one;
}

/* The value of an option of conmon's. */
static const char *option_of(const struct caller *caller, const char *option)
{
	for (const char *arg = caller->args; arg < caller->args + caller->size; arg += strlen(arg) + 1) {
		if (!strcmp(arg, option))
			return arg + strlen(arg) + 1;
	}
	return NULL;
}

/* podman waits meanwhile, but is no ancestor: between them is conmon, which has left it. */
bool pram_caller_keeps(void)
{
	struct caller caller, podman;
	const char *id, *name;
	struct dirent *entry;
	bool keeps = false;
	DIR *proc;

	if (!find_caller(&caller) || strcmp(caller.comm, "conmon"))
		return false;
	id = option_of(&caller, "-c");
	name = option_of(&caller, "-n");
	proc = id ? opendir("/proc") : NULL;
	while (proc && !keeps && (entry = readdir(proc))) {
		const pid_t pid = atoi(entry->d_name);

		if (pid <= 0)
			continue;
		read_file(pid, "comm", podman.comm, sizeof(podman.comm));
		if (strcmp(podman.comm, "podman\n"))
			continue;
		podman.size = read_file(pid, "cmdline", podman.args, sizeof(podman.args));
		keeps = pram_podman_keeps(podman.args, podman.size, id, name);
	}
	if (proc)
		closedir(proc);
	return keeps;
}

bool pram_caller_will_fail(pid_t task)
{
	struct stat ours, theirs;
	struct caller caller;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", task);
	return !stat("/proc/self/ns/user", &ours) && !stat(path, &theirs) &&
	       ours.st_ino != theirs.st_ino && find_caller(&caller) &&
	       !strcmp(caller.comm, "podman");
}
