/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of pram-service share. */
#ifndef PRAM_SERVICES_SERVICE_H
#define PRAM_SERVICES_SERVICE_H

#include <dirent.h>
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
/* Most sockets that systemd listens on for a service. */
#define LENT_MAX	16

/* ---- messages ---------------------------------------------------------- */

/* To the journal, so that "journalctl -u UNIT" shows it; to stderr if there is none. */
void say(int priority, const char *unit, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

uint64_t now_ns(void);

/*
 * On behalf of a unit's process: from now on, systemd waits so long for what it waits for at this moment,
 * TimeoutStartSec= or TimeoutStopSec= notwithstanding. It heeds that unless NotifyAccess= forbids it.
 */
void ask_for_time(const char *unit, pid_t pid, unsigned int seconds);

/* For "pramctl services": how it went. @record is that of the dump, @start when the restore began. */
void history_restored(const char *unit, struct json_object *record, uint64_t start, uint64_t restored,
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

/* criu is told to give up after so long, if not before; and killed so much later. */
#define CRIU_SECONDS		600U
#define CRIU_GRACE_SECONDS	60U

/**
 * struct criu_run - a criu that is to run in the namespaces of a task
 * @unit: the service
 * @task: the task whose namespaces it enters
 * @cgroup: the unit's, to be entered as well; or %NULL
 * @dev: /dev/pram
 * @log: the log's name in the unit's directory of logs
 * @streams: where a restore stores the streams of the checkpoint, to be committed or closed; or %NULL
 * @nr_streams: their number
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
	int		**streams;
	size_t		*nr_streams;
	const char	*name;
	char		**args;
	int		*fds;
	size_t		nr_fds;
};

/*
 * 0 if it has succeeded. Otherwise -errno, or 1 if criu has failed; with @why, to be freed:
 * the first error in its log. -ECANCELED: a signal that stop_catch() catches has come before it was
 * ready, and it was told to give up.
 */
int criu_run(const struct criu_run *run, char **why);

/* The first error in a log of criu's, in the directory @logs: to be freed, or NULL. */
char *criu_first_error(int logs, const char *name);

/* ---- sockets of tasks -------------------------------------------------- */

/* The descriptors of a task, for fds_next_socket(); NULL if they cannot be looked at. */
DIR *fds_open(pid_t pid);

/* The next one that is a socket. Return: false if there is none; then @dir is closed, too. */
bool fds_next_socket(DIR *dir, int *fd, unsigned long *inode);

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

/*
 * Is anybody connecting to these ports, an array of numbers (%NULL: to any), in the network of the task @pid: in the
 * middle of a handshake, or not accepted yet?
 */
bool sockets_connect(pid_t pid, struct json_object *ports);

/* Can sockets be bound to all of these addresses by now? The first one that cannot, or NULL. */
const char *sockets_missing_address(struct json_object *addresses);

/* ---- connections between services -------------------------------------- */

/**
 * struct unit_tasks - an enabled service that runs
 * @unit: its name
 * @pids: all of its control group, ended by 0
 */
struct unit_tasks {
	char	*unit;
	pid_t	*pids;
};

/**
 * struct links - connections by unix sockets that could not be kept at this moment
 * @own: this service has one with a process that is not of it
 * @others: other enabled services have one with another enabled service
 * @pid: of @own: its process
 * @peer: of @own: the inode of the other end; 0 if that was not accepted yet
 * @name: of @own: the socket's name
 */
struct links {
	bool		own;
	bool		others;
	pid_t		pid;
	unsigned long	peer;
	char		name[112];
};

/*
 * Looks for them: @units, of which @self is the one that is asked for; @external: what is known of
 * descriptors whose other end need not be a service's, or %NULL. The journal's never counts. What
 * cannot be seen is not there.
 */
void links_look(struct unit_tasks *units, size_t nr, size_t self, struct json_object *external,
		struct links *links);
/* For messages, to be freed; or NULL. */
char *links_text(const struct links *links);

/* Enabled services that run, to be ended by enabled_free(): their number. */
size_t enabled_look(struct unit_tasks **units);
void enabled_free(struct unit_tasks *units, size_t nr);

/*
 * What a socket is bound to, and its type, as text to be freed: two sockets of socket activation are the
 * same if it is. NULL if it is not bound, or is a connection.
 */
char *socket_text(int fd);

/* ---- the lock of connections ------------------------------------------- */

/* Runs commands of nft(8): 0 or -EIO; @output (may be NULL) is to be freed, also after an error. */
int nft_run(const char *commands, char **output);

/* The name of the table that criu has made for this checkpoint, to be freed; or NULL. */
char *lock_table_of(int dev, const char *checkpoint);

/*
 * From now on nobody can connect to these ports, an array of numbers: who tries is not refused, but tries
 * again. Returns when those who were about to connect have done so, or after a second; 0 or -errno.
 */
int lock_new(const char *unit, struct json_object *ports);
/* The rules that it has made, as text to be freed; or NULL if there are none. */
char *lock_of_new(const char *unit);

/*
 * As lock_new(), for what has a network of its own, that of the task @pid: @ports are rules of nftables for these, an array
 * of text. What comes for them when that network is gone is not answered, either. Those of the host's network have no
 * other: @host.
 */
int lock_new_by_rules(const char *unit, struct json_object *ports, pid_t pid, bool host);
/*
 * From now on nothing arrives that one of these rules holds for: 0 or -errno. The lock is noted in the
 * record as well, for the next kernel.
 */
int lock_arriving(const char *unit, struct json_object *rules, struct json_object *record);

/*
 * From now on no request comes from elsewhere to these ports, an array of numbers: to those of all services, so
 * that none has one half done at another when that is dumped; and after the kexec until all are
 * restored. Who is about to connect is waited for, up to three seconds: the last packet of a handshake must not be
 * lost, as the client has a connection then that the service has not. It ends by itself after some
 * minutes. 0 or -errno.
 */
int hold_add(struct json_object *ports);
/* It ends for these ports, %NULL for none. */
void hold_remove(struct json_object *ports);
/* It ends for all. */
void hold_end(void);
/* Is it over? */
bool hold_is_over(void);

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
