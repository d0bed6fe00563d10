// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "podman.h"
#include "stop.h"
#include "util.h"

/* All of them may ask at once, on a machine that is busy. */
#define INSPECT_SECONDS	150U
#define ARGS_MAX	16
#define OUTPUT_MAX	(16U << 20)
/* Until what was told to end has done so. */
#define GRACE_MS	20000

const char *container_name(const char *unit)
{
	const size_t len = strlen(CONTAINER_PREFIX);

	return strncmp(unit, CONTAINER_PREFIX, len) ? NULL : unit + len;
}

char *container_starter(const char *unit)
{
	const char *name = container_name(unit);
	char *starter;

	if (!name)
		return strdup(unit);
	return asprintf(&starter, "pram-container@%s.service", name) < 0 ? NULL : starter;
}

/* ---- running it ---------------------------------------------------------- */

/* All that is in a file in memory, to be freed; or NULL. */
static char *read_memfd(int fd)
{
	const off_t size = lseek(fd, 0, SEEK_END);
	char *text;

	if (size < 0 || size > OUTPUT_MAX)
		return NULL;
	text = calloc(1, size + 1);
	if (text && pram_pread_full(fd, text, size, 0)) {
		free(text);
		return NULL;
	}
	return text;
}

/*
 * podman has "Error: " before what it says last. Where its runtime has failed that is only the command, in
 * backticks: why is what the runtime said just before.
 */
static void take_error(int fd, char error[CONTAINER_ERROR_MAX])
{
	_cleanup_free_ char *text = read_memfd(fd);
	char *last = NULL, *before = NULL, *line;

	for (char *rest = text; text && (line = strsep(&rest, "\n")); ) {
		if (!*line)
			continue;
		before = last;
		last = line;
	}
	if (last && before && !strncmp(last, "Error: `", 8))
		last = before;
	if (last && !strncmp(last, "Error: ", 7))
		last += 7;
	snprintf(error, CONTAINER_ERROR_MAX, "%s", last ?: "podman does not say why");
}

/* 0, -ETIMEDOUT, or -ECANCELED if we were told to end. What it has started is in its process group. */
static int wait_for(pid_t pid, unsigned int seconds, int *status)
{
	_cleanup_close_ int pidfd = pidfd_open(pid, 0);
	struct pollfd ends[] = {
		{ .fd = pidfd, .events = POLLIN },
		{ .fd = stop_fd(), .events = POLLIN },
	};
	int ret = 0;

	if (pidfd >= 0) {
		do
			ret = poll(ends, 2, seconds * 1000);
		while (ret < 0 && errno == EINTR);
		ret = ends[0].revents ? 0 : ret ? -ECANCELED : -ETIMEDOUT;
	}
	if (ret) {
		kill(-pid, SIGTERM);
		if (!poll(ends, 1, GRACE_MS))
			kill(-pid, SIGKILL);
	}
	if (waitpid(pid, status, 0) < 0)
		return -errno;
	/* It may have been ready by then. */
	return WIFEXITED(*status) && !WEXITSTATUS(*status) ? 0 : ret;
}

int podman_run(const char *const *argv, unsigned int seconds, char **output,
	       char error[CONTAINER_ERROR_MAX])
{
	_cleanup_close_ int out = memfd_create("output", MFD_CLOEXEC);
	_cleanup_close_ int err = memfd_create("errors", MFD_CLOEXEC);
	char *args[ARGS_MAX] = { "podman", "--log-level", "error" };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int status, ret, nr = 3;
	sigset_t none;
	pid_t pid;

	if (output)
		*output = NULL;
	*error = 0;
	for (const char *const *arg = argv; *arg && nr < ARGS_MAX - 1; arg++)
		args[nr++] = (char *)*arg;
	if (out < 0 || err < 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_adddup2(&actions, err, 2);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attributes, &none);
	ret = posix_spawnp(&pid, *args, &actions, &attributes, args, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (ret) {
		snprintf(error, CONTAINER_ERROR_MAX, "podman can't be run: %s", strerror(ret));
		return -ret;
	}
	ret = wait_for(pid, seconds, &status);
	if (ret == -ETIMEDOUT)
		snprintf(error, CONTAINER_ERROR_MAX, "podman was not ready after %u s", seconds);
	else if (ret == -ECANCELED)
		snprintf(error, CONTAINER_ERROR_MAX, "pram-service was told to end before podman was ready, as systemd does when TimeoutStopSec= is over");
	if (ret)
		return ret;
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		take_error(err, error);
		return 1;
	}
	if (output)
		*output = read_memfd(out);
	return output && !*output ? -ENOMEM : 0;
}

/* ---- what it says -------------------------------------------------------- */

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, key, &value))
		return NULL;
	return value;
}

static char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key);

	return strdup(value ? json_object_get_string(value) : "");
}

static bool is_true(struct json_object *object, const char *key)
{
	return json_object_get_boolean(member(object, key));
}

/* "6379/tcp": [ { "HostIp": "", "HostPort": "6379" } ] */
static void add_ports(struct json_object *published, const char *key, struct json_object *hosts)
{
	const char *protocol = strchr(key, '/');

	protocol = protocol ? protocol + 1 : "tcp";
	for (size_t i = 0; json_object_is_type(hosts, json_type_array) &&
			   i < json_object_array_length(hosts); i++) {
		struct json_object *host = json_object_array_get_idx(hosts, i);
		_cleanup_free_ char *address = text_of(host, "HostIp"), *port = text_of(host, "HostPort");
		const bool v6 = address && strchr(address, ':');
		const bool any = !address || !*address || !strcmp(address, "0.0.0.0") ||
				 !strcmp(address, "::");
		char rule[128];

		if (!port || !*port)
			continue;
		if (any)
			snprintf(rule, sizeof(rule), "%s dport %s", protocol, port);
		else
			snprintf(rule, sizeof(rule), "%s daddr %s %s dport %s", v6 ? "ip6" : "ip",
				 address, protocol, port);
		json_object_array_add(published, json_object_new_string(rule));
	}
}

/*
 * The service whose control group a process is in; "" if that is a scope, as podman makes it for
 * conmon.
 */
static char *service_of(pid_t pid)
{
	char path[64], line[4096] = "", *name, *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	file = pid > 0 ? fopen(path, "re") : NULL;
	while (file && fgets(line, sizeof(line), file) && strncmp(line, "0::", 3))
		*line = 0;
	if (file)
		fclose(file);
	line[strcspn(line, "\n")] = 0;
	/* It may be in a group below that of the service. */
	end = strstr(line, ".service");
	if (!end)
		return strdup("");
	end[strlen(".service")] = 0;
	name = strrchr(line, '/');
	return strdup(name ? name + 1 : "");
}

bool container_is_crun(const char *runtime)
{
	const char *name = strrchr(runtime, '/');

	return strcmp(runtime, CONTAINER_CRUN) && !strcmp(name ? name + 1 : runtime, "crun");
}

bool container_default_is_crun(void)
{
	const char *const argv[] = { "info", "--format", "{{.Host.OCIRuntime.Path}}", NULL };
	_cleanup_free_ char *output = NULL;
	char error[CONTAINER_ERROR_MAX];

	if (podman_run(argv, INSPECT_SECONDS, &output, error))
		return false;
	output[strcspn(output, "\n")] = 0;
	return container_is_crun(output);
}

static int take(struct container *c, struct json_object *said)
{
	struct json_object *state = member(said, "State"), *host = member(said, "HostConfig");
	struct json_object *ports = member(host, "PortBindings");

	c->id = text_of(said, "Id");
	c->name = text_of(said, "Name");
	c->config = text_of(member(member(said, "Config"), "Annotations"), CONTAINER_ANNOTATION);
	c->state = text_of(state, "Status");
	c->network = text_of(host, "NetworkMode");
	c->userns = text_of(host, "UsernsMode");
	c->pidns = text_of(host, "PidMode");
	c->pod = text_of(said, "Pod");
	c->runtime = text_of(said, "OCIRuntime");
	if (c->runtime && !strcmp(c->runtime, CONTAINER_CRUN)) {
		free(c->config);
		c->config = strdup(CONTAINER_CONFIG);
	}
	c->logs = text_of(said, "StaticDir");
	c->infra = is_true(said, "IsInfra");
	c->auto_remove = is_true(host, "AutoRemove");
	c->running = is_true(state, "Running");
	c->pid = json_object_get_int(member(state, "Pid"));
	c->conmon = json_object_get_int(member(state, "ConmonPid"));
	c->unit = service_of(c->conmon);
	c->published = json_object_new_array();
	if (json_object_is_type(ports, json_type_object)) {
		json_object_object_foreach(ports, key, hosts)
			add_ports(c->published, key, hosts);
	}
	if (!c->logs || asprintf(&c->images, "%s/checkpoint", c->logs) < 0)
		c->images = NULL;
	return c->id && c->name && c->config && c->state && c->network && c->userns && c->pidns && c->pod &&
	       c->runtime && c->unit && c->images ? 0 : -ENOMEM;
}

int container_load(const char *name, struct container *c, char error[CONTAINER_ERROR_MAX])
{
	const char *const argv[] = { "container", "inspect", name, NULL };
	_cleanup_free_ char *output = NULL;
	struct json_object *list, *said;
	int ret;

	*c = (struct container){ .id = NULL };
	ret = podman_run(argv, INSPECT_SECONDS, &output, error);
	if (ret == 1)
		return strstr(error, "no such") ? -ENOENT : -EIO;
	if (ret)
		return ret;
	list = json_tokener_parse(output);
	said = json_object_is_type(list, json_type_array) ? json_object_array_get_idx(list, 0) : NULL;
	if (said) {
		ret = take(c, said);
	} else {
		snprintf(error, CONTAINER_ERROR_MAX, "what podman says of it can't be read");
		ret = -EBADMSG;
	}
	json_object_put(list);
	return ret;
}

void container_free(struct container *c)
{
	char *all[] = {
		c->id, c->name, c->config, c->state, c->network, c->userns, c->pidns, c->pod, c->runtime,
		c->images, c->logs, c->unit,
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		free(all[i]);
	json_object_put(c->published);
	*c = (struct container){ .id = NULL };
}

const char *container_infra(const struct container *c)
{
	const size_t len = strlen("container:");

	return *c->pod && !c->infra && !strncmp(c->network, "container:", len) ? c->network + len :
										 NULL;
}

/* ---- what is in the way -------------------------------------------------- */

static void add(struct json_object *obstacles, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void add(struct json_object *obstacles, const char *format, ...)
{
	char text[CONTAINER_ERROR_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_object_array_add(obstacles, json_object_new_string(text));
}

/* Has a file of criu's options a directory of plugins with PRAM's in it? */
static bool has_plugin(const char *config)
{
	char line[1024], dir[900], path[1024];
	bool found = false;
	FILE *file = fopen(config, "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " libdir %899s", dir) != 1 && sscanf(line, " lib %899s", dir) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/pram_plugin.so", dir);
		found = !access(path, R_OK);
	}
	if (file)
		fclose(file);
	return found;
}

struct json_object *container_obstacles(const struct container *c, const char *unit)
{
	struct json_object *obstacles = json_object_new_array();

	if (c->infra) {
		add(obstacles, "it is a pod's own container, which goes along with the others of that pod: enable these");
		return obstacles;
	}
	if (!*c->config)
		add(obstacles, "it has no annotation " CONTAINER_ANNOTATION ": podman can't add that to an existing container; create it again, by 'podman rm' and 'podman run --annotation " CONTAINER_ANNOTATION "=" CONTAINER_CONFIG " ...'");
	else if (access(c->config, R_OK))
		add(obstacles, "its annotation " CONTAINER_ANNOTATION " names %s: %s", c->config, strerror(errno));
	else if (!has_plugin(c->config))
		add(obstacles, "its annotation " CONTAINER_ANNOTATION " names %s, with which criu does not load PRAM's plugin: " CONTAINER_CONFIG " has the lines for that",
		    c->config);
	if (container_is_crun(c->runtime))
		add(obstacles, "its runtime is crun, which ignores the annotation " CONTAINER_ANNOTATION ": create it again with --runtime " CONTAINER_CRUN ", or --runtime runc");
	if (c->auto_remove)
		add(obstacles, "it was made with --rm: podman checkpoints such a container to an archive only; create it again without --rm");
	if (*c->pod && unit)
		add(obstacles, "it belongs to a pod, and unit %s can't restore that: enable it as " CONTAINER_PREFIX "%s, and disable the pod's units",
		    unit, c->name);
	if (!container_infra(c) && (!strncmp(c->network, "container:", 10) || !strncmp(c->network, "ns:", 3)))
		add(obstacles, "--network %s: podman does not set up that network again; create the container again with its own network",
		    c->network);
	if (*c->userns)
		add(obstacles, "it has a user namespace: criu can't restore one of podman's; create it again without --userns");
	if (strcmp(c->pidns, "private"))
		add(obstacles, "--pid %s: its pids may be taken in the next boot; create it again without --pid", c->pidns);
	if (*c->unit && (!unit || strcmp(c->unit, unit)))
		add(obstacles, "%s runs it: enable that unit instead", c->unit);
	return obstacles;
}
