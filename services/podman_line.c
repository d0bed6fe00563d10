// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>
#include <string.h>

#include "podman_line.h"

/**
 * struct grammar - options that podman, or a verb of it, has
 * @letters: short ones that have no value
 * @valued_letters: short ones that have one
 * @flags: long ones that have no value
 * @valued: long ones that have one
 */
struct grammar {
	const char		*letters;
	const char		*valued_letters;
	const char *const	*flags;
	const char *const	*valued;
};

/* podman(1), and what its manual does not have. They may be behind the verb as well. */
static const char *const podman_flags[] = {
	"--debug", "--help", "--noout", "--remote", "--syslog", "--trace", "--transient-store",
	"--version", NULL,
};

static const char *const podman_valued[] = {
	"--cdi-spec-dir", "--cgroup-manager", "--cni-config-dir", "--config", "--conmon",
	"--connection", "--context", "--cpu-profile", "--default-mounts-file", "--events-backend",
	"--hooks-dir", "--host", "--identity", "--imagestore", "--log-level", "--max-workers",
	"--memory-profile", "--module", "--network-backend", "--network-cmd-path",
	"--network-config-dir", "--out", "--pull-option", "--registries-conf", "--root", "--runroot",
	"--runtime", "--runtime-flag", "--ssh", "--storage-driver", "--storage-opt", "--tls-ca",
	"--tls-cert", "--tls-details", "--tls-key", "--tmpdir", "--url", "--volumepath", NULL,
};

static const struct grammar podman = { "Drv", "Hc", podman_flags, podman_valued };

/* podman-run(1), from version 4 to 6. */
static const char *const run_flags[] = {
	"--detach", "--disable-content-trust", "--env-host", "--http-proxy", "--init",
	"--interactive", "--no-healthcheck", "--no-hostname", "--no-hosts", "--oom-kill-disable",
	"--passwd", "--privileged", "--publish-all", "--quiet", "--read-only", "--read-only-tmpfs",
	"--replace", "--rm", "--rmi", "--rootfs", "--sig-proxy", "--tls-verify", "--tty",
	"--unsetenv-all", NULL,
};

static const char *const run_valued[] = {
	"--add-host", "--annotation", "--arch", "--attach", "--authfile", "--blkio-weight",
	"--blkio-weight-device", "--cap-add", "--cap-drop", "--cert-dir", "--cgroup-conf",
	"--cgroup-parent", "--cgroupns", "--cgroups", "--chrootdirs", "--cidfile",
	"--conmon-pidfile", "--cpu-period", "--cpu-quota", "--cpu-rt-period", "--cpu-rt-runtime",
	"--cpu-shares", "--cpus", "--cpuset-cpus", "--cpuset-mems", "--creds", "--decryption-key",
	"--detach-keys", "--device", "--device-cgroup-rule", "--device-read-bps",
	"--device-read-iops", "--device-write-bps", "--device-write-iops", "--dns", "--dns-opt",
	"--dns-option", "--dns-search", "--entrypoint", "--env", "--env-file", "--env-merge",
	"--expose", "--gidmap", "--gpus", "--group-add", "--group-entry", "--health-cmd",
	"--health-interval", "--health-log-destination", "--health-max-log-count",
	"--health-max-log-size", "--health-on-failure", "--health-retries", "--health-start-period",
	"--health-startup-cmd", "--health-startup-interval", "--health-startup-retries",
	"--health-startup-success", "--health-startup-timeout", "--health-timeout",
	"--healthcheck-command", "--healthcheck-interval", "--healthcheck-retries",
	"--healthcheck-start-period", "--healthcheck-timeout", "--hostname", "--hosts-file",
	"--hostuser", "--image-volume", "--init-path", "--ip", "--ip6", "--ipc", "--kernel-memory",
	"--label", "--label-file", "--log-driver", "--log-opt", "--mac-address", "--memory",
	"--memory-reservation", "--memory-swap", "--memory-swappiness", "--mount", "--name", "--net",
	"--network", "--network-alias", "--oom-score-adj", "--os", "--passwd-entry", "--personality",
	"--pid", "--pidfile", "--pids-limit", "--platform", "--pod", "--pod-id-file",
	"--preserve-fd", "--preserve-fds", "--publish", "--pull", "--rdt-class", "--requires",
	"--restart", "--retry", "--retry-delay", "--sdnotify", "--seccomp-policy", "--secret",
	"--security-opt", "--shm-size", "--shm-size-systemd", "--signature-policy", "--stop-signal",
	"--stop-timeout", "--subgidname", "--subuidname", "--sysctl", "--systemd", "--timeout",
	"--tmpfs", "--tz", "--uidmap", "--ulimit", "--umask", "--unsetenv", "--user", "--userns",
	"--uts", "--variant", "--volume", "--volumes-from", "--workdir", NULL,
};

static const struct grammar run = { "diPqt", "acehlmpuvw", run_flags, run_valued };

/* podman-start(1) */
static const char *const start_flags[] = {
	"--all", "--attach", "--interactive", "--latest", "--sig-proxy", NULL,
};

static const char *const start_valued[] = { "--detach-keys", "--filter", "--pidfile", NULL };

static const struct grammar start = { "ail", "f", start_flags, start_valued };

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1];
}

/* Of a word "--name" or "--name=value", whose name has this length. */
static bool is_among(const char *const *names, const char *word, size_t len)
{
	for (; *names; names++) {
		if (!strncmp(word, *names, len) && !(*names)[len])
			return true;
	}
	return false;
}

static const struct grammar *grammar_at(const struct podman_line *line, char *const *word)
{
	if (!line->verb || word < line->verb)
		return &podman;
	return strcmp(*line->verb, "start") ? &run : &start;
}

/* How many words an option is, of which nothing follows if there is no @next one. */
static unsigned int option_words(const struct grammar *grammar, const char *word, const char *next,
				 bool *known)
{
	const size_t len = strcspn(word, "=");

	*known = true;
	if (word[1] == '-') {
		if (word[len] || is_among(grammar->flags, word, len) ||
		    is_among(podman.flags, word, len))
			return 1;
		*known = is_among(grammar->valued, word, len) || is_among(podman.valued, word, len);
		return *known && next ? 2 : 1;
	}
	/* Letters in one word, of which one with a value is the last. */
	for (const char *letter = word + 1; *letter && *letter != '='; letter++) {
		if (strchr(grammar->letters, *letter))
			continue;
		*known = strchr(grammar->valued_letters, *letter) || letter[1] == '=';
		return *known && next && !letter[1] ? 2 : 1;
	}
	return 1;
}

unsigned int podman_line_step(const struct podman_line *line, char *const *word)
{
	bool known;

	if (word == line->verb || (line->operands && word >= line->operands) || !is_option(*word))
		return 1;
	return option_words(grammar_at(line, word), *word, word[1], &known);
}

/* A variable that systemd makes any number of words of, options maybe. "${NAME}" is one word, "$$" is none. */
static bool is_variable(const char *word)
{
	return word[0] == '$' && word[1] != '{' && word[1] != '$';
}

void podman_line_take(char **argv, struct podman_line *line)
{
	static char *none[] = { NULL };
	char **word = argv && *argv ? argv + 1 : none;

	*line = (struct podman_line){ .words = word };
	while (*word) {
		bool known = true;

		if (line->verb && !strcmp(*word, "--")) {
			word++;
			break;
		}
		if (is_option(*word)) {
			word += option_words(grammar_at(line, word), *word, word[1], &known);
			if (!known)
				line->unknown = line->unknown ?: word[-1];
		} else if (is_variable(*word)) {
			line->unknown = line->unknown ?: *word;
			word++;
		} else if (!line->verb) {
			line->verb = word++;
		} else {
			break;
		}
	}
	line->operands = word;
}

const char *podman_line_value(char *const *word, const char *option)
{
	const size_t len = strlen(option);

	if (strncmp(*word, option, len))
		return NULL;
	if ((*word)[len] == '=')
		return *word + len + 1;
	return (*word)[len] ? NULL : word[1];
}

const char *podman_line_option(const struct podman_line *line, const char *option)
{
	const char *value = NULL;

	for (char **word = line->words; word < line->operands; word += podman_line_step(line, word))
		value = podman_line_value(word, option) ?: value;
	return value;
}

/* As podman reads what may be behind the name of an option that has no value. */
static bool is_true(const char *value)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++) {
		if (!strcmp(value, yes[i]))
			return true;
	}
	return false;
}

/* What follows it in a word of letters; or NULL if it is not among them. */
static const char *behind_letter(const struct grammar *grammar, const char *word, char letter)
{
	for (word++; *word && strchr(grammar->letters, *word); word++) {
		if (*word == letter)
			return word + 1;
	}
	return NULL;
}

bool podman_line_is(const struct podman_line *line, const char *option, char letter)
{
	const size_t len = strlen(option);
	bool is = false;

	for (char **word = line->words; word < line->operands; word += podman_line_step(line, word)) {
		const char *behind = NULL;

		if (!strncmp(*word, option, len) && (!(*word)[len] || (*word)[len] == '='))
			behind = *word + len;
		else if (letter && is_option(*word) && (*word)[1] != '-')
			behind = behind_letter(grammar_at(line, word), *word, letter);
		if (behind)
			is = *behind != '=' || is_true(behind + 1);
	}
	return is;
}
