// SPDX-License-Identifier: GPL-2.0-only
/* To which unit or container a checkpoint belongs. */
#include <string.h>

#include "output.h"
#include "pramctl.h"
#include "record.h"
#include "util.h"

/* Container runtimes name their scopes PREFIX-ID.scope; people know an ID by its beginning. */
#define SHORT_ID	12

static const struct runtime {
	const char	*prefix;
	const char	*name;
} runtimes[] = {
	{ "libpod-", "podman" },
	{ "docker-", "docker" },
	{ "crio-", "cri-o" },
	{ "cri-containerd-", "containerd" },
	{ "runc-", "runc" },
	{ "crun-", "crun" },
};

static bool ends_in(const char *text, size_t len, const char *end)
{
	return len > strlen(end) && !memcmp(text + len - strlen(end), end, strlen(end));
}

/* A part of a path that stands for a unit: its name, or that of the container in it. */
static char *owner_of_unit(const char *unit, size_t len)
{
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(*runtimes); i++) {
		const struct runtime *runtime = &runtimes[i];
		const size_t prefix = strlen(runtime->prefix), around = prefix + strlen(".scope");
		size_t id;

		if (len <= around || !ends_in(unit, len, ".scope") ||
		    strncmp(unit, runtime->prefix, prefix))
			continue;
		id = len - around;
		/* Such an ID has 64 digits; a name that somebody has given is shown whole. */
		if (id == 64)
			id = SHORT_ID;
		return output_format("%s %.*s", runtime->name, (int)id, unit + prefix);
	}
	return output_format("%.*s", (int)len, unit);
}

char *pramctl_owner(const char *name, const char *cgroup)
{
	const char *end = cgroup ? cgroup + strlen(cgroup) : NULL, *start;

	if (!strncmp(name, RECORD_PREFIX, strlen(RECORD_PREFIX)))
		return output_format("%s", name + strlen(RECORD_PREFIX));
	/* The innermost unit; control groups below it are its own business. */
	for (; end && end > cgroup; end = start - 1) {
		for (start = end; start > cgroup && start[-1] != '/'; start--)
			;
		if (ends_in(start, end - start, ".service") || ends_in(start, end - start, ".scope"))
			return owner_of_unit(start, end - start);
		if (start == cgroup)
			break;
	}
	/* Without systemd, runtimes make a control group of the container's name. */
	start = cgroup ? strrchr(cgroup, '/') : NULL;
	return start && start[1] ? output_format("%s", start + 1) : NULL;
}
