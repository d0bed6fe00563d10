/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of pram-service share. */
#ifndef PRAM_SERVICES_SERVICE_H
#define PRAM_SERVICES_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <syslog.h>

#include <json-c/json.h>

#include "paths.h"

/* Unit tests have another. */
#ifndef JOURNAL_STDOUT
#define JOURNAL_STDOUT	"/run/systemd/journal/stdout"
#endif
/* Most descriptors whose other end is not a service's. */
#define EXTERNAL_MAX	8

/* ---- messages ---------------------------------------------------------- */

/* To the journal, so that "journalctl -u UNIT" shows it; to stderr if there is none. */
void say(int priority, const char *unit, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

uint64_t now_ns(void);

/* For "pramctl services": how it went. @record is that of the dump, @start when the restore began. */
void history_restored(const char *unit, struct json_object *record, uint64_t start,
		      const char *result, const char *reason);
void history_not_dumped(const char *unit, const char *reason);

/* ---- small files ------------------------------------------------------- */

/* Makes DIR/UNIT with this text, and DIR: 0 or -errno. */
int mark_write(const char *dir, const char *unit, const char *text);
/* Its text, to be freed, or NULL. */
char *mark_read(const char *dir, const char *unit);
void mark_remove(const char *dir, const char *unit);

/* ---- processes --------------------------------------------------------- */

/* Leaves the cgroup of the unit, whose device filter may forbid /dev/pram. */
int leave_cgroup(void);

bool process_has_name(pid_t pid, const char *comm);

/* Is it a connection to the journal, as systemd makes it for stdout and stderr? */
bool is_journal(int fd);

/**
 * struct criu_run - a criu that is to run in the namespaces of a task
 * @unit: the service
 * @task: the task whose namespaces it enters
 * @cgroup: the unit's, to be entered as well; or %NULL
 * @dev: /dev/pram
 * @log: the log's name in the unit's directory of logs
 * @seconds: after that it is told to give up
 * @keep: a restore leaves the checkpoint where it is
 * @name: the checkpoint's name, or %NULL for that of the service's
 * @args: what follows "criu", options of every run excepted; ended by %NULL
 * @fds: descriptors that it is to inherit, by their numbers
 * @nr_fds: number of these
 */
struct criu_run {
	const char	*unit;
	pid_t		task;
	const char	*cgroup;
	int		dev;
	const char	*log;
	unsigned int	seconds;
	bool		keep;
	const char	*name;
	char		**args;
	int		*fds;
	size_t		nr_fds;
};

/*
 * 0 if it has succeeded. Otherwise -errno, or 1 if criu has failed; with @why, to be freed:
 * the first error in its log.
 */
int criu_run(const struct criu_run *run, char **why);

/* The first error in a log of criu's, in the directory @logs: to be freed, or NULL. */
char *criu_first_error(int logs, const char *name);

/* ---- sockets of tasks -------------------------------------------------- */

/**
 * sockets_look() - which TCP sockets have these tasks?
 * @pids: the tasks, ended by 0
 * @addresses: an array of text: local addresses, each once, without loopback and wildcards
 * @ports: an array of numbers: those that they listen on, each once
 * @rules: an array of text: a rule of nftables for what arrives for each connection
 *
 * Any array may be %NULL.
 */
void sockets_look(const pid_t *pids, struct json_object *addresses, struct json_object *ports,
		  struct json_object *rules);

/* Can sockets be bound to all of these addresses by now? The first one that cannot, or NULL. */
const char *sockets_missing_address(struct json_object *addresses);

/* ---- the lock of connections ------------------------------------------- */

/* Runs commands of nft(8): 0 or -EIO; @output (may be NULL) is to be freed, also after an error. */
int nft_run(const char *commands, char **output);

/* The name of the table that criu has made for this checkpoint, to be freed; or NULL. */
char *lock_table_of(int dev, const char *checkpoint);

/*
 * From now on nobody can connect to these ports, an array of numbers: who tries is not refused, but tries
 * again. Returns when those who were about to connect have done so; 0 or -errno.
 */
int lock_new(const char *unit, struct json_object *ports);
/* The rules that it has made, as text to be freed; or NULL if there are none. */
char *lock_of_new(const char *unit);

/*
 * The same for what has a network of its own: @ports are rules of nftables for these, an array of text. What comes
 * for them when that network is gone is not answered, either. Those of the host's network have no other: @host.
 */
int lock_new_by_rules(const char *unit, struct json_object *ports, bool host);
/*
 * From now on nothing arrives that one of these rules holds for: 0 or -errno. The lock is noted in the
 * record as well, for the next kernel.
 */
int lock_arriving(const char *unit, struct json_object *rules, struct json_object *record);

/* Puts up the locks of all services that come out of a kexec: at boot. */
int lock_all(int dev);
/* Puts up again, on the way down, those of services that were just dumped, if they are gone. */
int lock_again(int dev);
/* Removes what is left of them: of one service, or of all that nobody restores (NULL). */
void lock_remove(const char *unit);

/* ---- once only --------------------------------------------------------- */

/* Is the machine going down for a kexec that keeps what is in PRAM? */
bool is_kexec(const char *unit);

/* Is there something to be restored? If not, @why says so where it is worth saying. */
bool is_due(int dev, const char *unit, uint64_t kexecs, const char **why);

/* It runs, and its record must never be used again: nor its lock, nor its marks. */
void service_forget(int dev, const char *unit);

/* ---- the verbs --------------------------------------------------------- */

int service_dump(const char *unit);
int service_try(const char *unit);
int service_prepare(const char *unit);
int service_restore(const char *unit);
int service_release(const char *unit);
int service_pids(void);
int service_down(void);
int service_start_all(void);
/* Those of containers, with their arguments. */
int container_main(int argc, char **argv);

#endif /* PRAM_SERVICES_SERVICE_H */
