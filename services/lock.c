// SPDX-License-Identifier: GPL-2.0-only
/*
 * CRIU locks the connections of what it dumps by a table of nftables, so that nobody answers
 * for tasks that are not there, and a restore removes it. The kexec takes the table away; it
 * goes along in the service's record, as text, and is put up before the network comes up. So does a
 * table of our own, by which nobody can connect meanwhile. A third one, of all services together, keeps
 * requests from elsewhere out from before the first dump until the last restore.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint.h"
#include "crc32c.h"
#include "record.h"
#include "service.h"
#include "unit.h"
#include "util.h"

/* CRIU has a buffer of 32 bytes for "inet CRIU-ID", and so cuts the id off. */
#define TABLE_MAX	32
#define RUN_ID_LEN	36

int nft_run(const char *commands, char **output)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	const char *text;
	int ret;

	if (output)
		*output = NULL;
	if (!nft)
		return -EIO;
	nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_NUMERIC_ALL);
	nft_ctx_buffer_output(nft);
	nft_ctx_buffer_error(nft);
	ret = nft_run_cmd_from_buffer(nft, commands) ? -EIO : 0;
	text = ret ? nft_ctx_get_error_buffer(nft) : nft_ctx_get_output_buffer(nft);
	if (output)
		*output = strdup(text ?: "");
	nft_ctx_free(nft);
	return ret;
}

/* ---- new connections ---------------------------------------------------- */

/* CRIU's table is removed by CRIU. This one is ours, and there before CRIU begins. */
#define NEW_TABLE_MAX	sizeof("inet PRAM-01234567")
/* How long to wait for handshakes that have begun, and accept(2): a packet that was lost comes again after a second. */
#define HANDSHAKE_MS	1000
/* Before all services' requests are held off those who have a connection are served meanwhile. */
#define HOLD_HANDSHAKE_MS	3000
#define PAUSE_US	10000

static int64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Those who were about to connect to @ports (%NULL: to any) do so, when no others can begin. */
static void wait_for_handshakes(pid_t pid, struct json_object *ports, unsigned int ms)
{
	const int64_t end = monotonic_ms() + ms;

	/* A packet may have passed the rules, and not be in a table yet. */
	do
		usleep(PAUSE_US);
	while (sockets_connect(pid, ports) && monotonic_ms() < end);
}

static void new_table_name(const char *unit, char name[NEW_TABLE_MAX])
{
	/* A unit may have a name that no table can have. */
	snprintf(name, NEW_TABLE_MAX, "inet PRAM-%08" PRIx32, pram_crc32c(unit, strlen(unit)));
}

/* Commands that make a table for this unit, instead of what it had before. */
static FILE *open_table(const char *unit, char table[NEW_TABLE_MAX], char **commands, size_t *size)
{
	FILE *out = open_memstream(commands, size);

	new_table_name(unit, table);
	if (out)
		fprintf(out, "add table %s\ndelete table %s\nadd table %s\n", table, table, table);
	return out;
}

int lock_new(const char *unit, struct json_object *ports)
{
	_cleanup_free_ char *commands = NULL;
	char table[NEW_TABLE_MAX];
	size_t size;
	FILE *out;
	int ret;

	if (!json_object_array_length(ports))
		return 0;
	out = open_table(unit, table, &commands, &size);
	if (!out)
		return -ENOMEM;
	fprintf(out, "add chain %s input { type filter hook input priority -200; }\n", table);
	for (size_t i = 0; i < json_object_array_length(ports); i++)
		fprintf(out, "add rule %s input tcp dport %d tcp flags & (syn | ack) == syn drop\n",
			table, json_object_get_int(json_object_array_get_idx(ports, i)));
	if (fclose(out))
		return -ENOMEM;
	ret = nft_run(commands, NULL);
	if (!ret)
		wait_for_handshakes(getpid(), ports, HANDSHAKE_MS);
	return ret;
}

char *lock_of_new(const char *unit)
{
	char table[NEW_TABLE_MAX], command[NEW_TABLE_MAX + 16], *text;

	new_table_name(unit, table);
	snprintf(command, sizeof(command), "list table %s", table);
	if (!nft_run(command, &text))
		return text;
	free(text);
	return NULL;
}

/* ---- requests from elsewhere -------------------------------------------- */

/*
 * One for all services, over all connections to their ports. What is on this machine still
 * comes through: services finish by that what they have begun.
 */
#define HOLD_TABLE	"inet PRAM-hold"
/* The kernel forgets a port then, whatever has become of who should have done so. */
#define HOLD_TIMEOUT	"15m"
#define HOLD_LOCK	RUN_DIR "/hold"

/* Whoever is second finds a whole table. */
static int hold_begin(void)
{
	int fd;

	mkdir(RUN_DIR, 0755);
	fd = open(HOLD_LOCK, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

bool hold_is_over(void)
{
	return nft_run("list table " HOLD_TABLE, NULL);
}

/* Adds them to one of the table's sets, in one step; if they are there, their time begins anew. */
static int hold_add_to(const char *set, struct json_object *ports)
{
	_cleanup_free_ char *commands = NULL;
	size_t size;
	FILE *out;

	out = open_memstream(&commands, &size);
	if (!out)
		return -ENOMEM;
	/* In the second step, too: somebody may have flushed all rules meanwhile. */
	if (hold_is_over())
		fputs("add table " HOLD_TABLE "\n"
		      "add set " HOLD_TABLE " connecting { type inet_service; flags timeout; }\n"
		      "add set " HOLD_TABLE " ports { type inet_service; flags timeout; }\n"
		      "add chain " HOLD_TABLE " input { type filter hook input priority -200; }\n"
		      "add rule " HOLD_TABLE " input iifname != \"lo\" tcp dport @connecting tcp flags & (syn | ack) == syn drop\n"
		      "add rule " HOLD_TABLE " input iifname != \"lo\" tcp dport @ports drop\n", out);
	for (size_t i = 0; i < json_object_array_length(ports); i++) {
		const int port = json_object_get_int(json_object_array_get_idx(ports, i));

		fprintf(out, "add element " HOLD_TABLE " %s { %d }\n"
			"delete element " HOLD_TABLE " %s { %d }\n"
			"add element " HOLD_TABLE " %s { %d timeout " HOLD_TIMEOUT " }\n",
			set, port, set, port, set, port);
	}
	if (fclose(out))
		return -ENOMEM;
	return nft_run(commands, NULL);
}

int hold_add(struct json_object *ports)
{
	_cleanup_close_ int fd = -1;

	if (!json_object_array_length(ports))
		return 0;
	fd = hold_begin();
	/*
	 * First nobody begins to connect, then nothing comes. Who finds the table has no handshake to wait
	 * for: its last packet would not come through.
	 */
	if (hold_is_over() && !hold_add_to("connecting", ports))
		wait_for_handshakes(getpid(), ports, HOLD_HANDSHAKE_MS);
	return hold_add_to("ports", ports);
}

void hold_end(void)
{
	_cleanup_close_ int fd = -1;

	fd = hold_begin();
	if (!hold_is_over())
		nft_run("delete table " HOLD_TABLE, NULL);
}

void hold_remove(struct json_object *ports)
{
	_cleanup_close_ int fd = -1;

	if (!ports || !json_object_array_length(ports))
		return;
	fd = hold_begin();
	if (hold_is_over())
		return;
	/* One by one: what is not there, as its time was over, is no reason to leave the others. */
	for (size_t i = 0; i < json_object_array_length(ports); i++) {
		const int port = json_object_get_int(json_object_array_get_idx(ports, i));
		char command[64];

		snprintf(command, sizeof(command), "delete element " HOLD_TABLE " ports { %d }", port);
		nft_run(command, NULL);
		snprintf(command, sizeof(command), "delete element " HOLD_TABLE " connecting { %d }", port);
		nft_run(command, NULL);
	}
}

/* ---- all that arrives --------------------------------------------------- */

static void put_rules(FILE *out, const char *table, const char *chain, struct json_object *rules,
		      const char *more)
{
	for (size_t i = 0; i < json_object_array_length(rules); i++) {
		const char *rule = json_object_get_string(json_object_array_get_idx(rules, i));

		/* What more there is, is of TCP. */
		if (!*more || strstr(rule, "tcp "))
			fprintf(out, "add rule %s %s iifname != \"lo\" %s %sdrop\n", table, chain,
				rule, more);
	}
}

int lock_new_by_rules(const char *unit, struct json_object *ports, pid_t pid, bool host)
{
	_cleanup_free_ char *commands = NULL;
	char table[NEW_TABLE_MAX];
	size_t size;
	FILE *out;
	int ret;

	if (!json_object_array_length(ports))
		return 0;
	out = open_table(unit, table, &commands, &size);
	if (!out)
		return -ENOMEM;
	fprintf(out, "add chain %s new { type filter hook prerouting priority raw; }\n", table);
	put_rules(out, table, "new", ports, "tcp flags & (syn | ack) == syn ");
	/* What comes here is not for that network any more, which would have taken it. */
	if (!host) {
		fprintf(out, "add chain %s gone { type filter hook input priority -200; }\n", table);
		put_rules(out, table, "gone", ports, "");
	}
	if (fclose(out))
		return -ENOMEM;
	ret = nft_run(commands, NULL);
	if (!ret)
		wait_for_handshakes(pid, NULL, HANDSHAKE_MS);
	return ret;
}

int lock_arriving(const char *unit, struct json_object *rules, struct json_object *record)
{
	_cleanup_free_ char *commands = NULL;
	char table[NEW_TABLE_MAX];
	size_t size;
	FILE *out;

	if (!json_object_array_length(rules))
		return 0;
	out = open_table(unit, table, &commands, &size);
	if (!out)
		return -ENOMEM;
	/* Before connection tracking, which is not to know of any of it, and before destinations are changed. */
	fprintf(out, "add chain %s arriving { type filter hook prerouting priority raw; }\n", table);
	put_rules(out, table, "arriving", rules, "");
	if (fclose(out))
		return -ENOMEM;
	mark_write(LOCK_DIR, unit, table);
	json_object_object_add(record, "table", json_object_new_string(table));
	json_object_object_add(record, "lock", json_object_new_string(commands));
	return nft_run(commands, NULL);
}

/* ---- those that are there ----------------------------------------------- */

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", in hex. */
static bool is_run_id(const char *text)
{
	for (int i = 0; i < RUN_ID_LEN; i++) {
		const bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
	}
	return true;
}

/* The id of the criu that has dumped stands in its inventory, and nothing else that looks so. */
static char *find_run_id(const char *data, size_t size)
{
	for (size_t i = 0; i + RUN_ID_LEN <= size; i++) {
		if (is_run_id(data + i))
			return strndup(data + i, RUN_ID_LEN);
	}
	return NULL;
}

char *lock_table_of(int dev, const char *checkpoint)
{
	_cleanup_free_ char *id = NULL;
	struct pram_checkpoint_reader *r;
	char data[4096], *table;
	ssize_t len = 0;
	int image;

	if (pram_reader_open(dev, checkpoint, PRAM_LOAD_PEEK, &r))
		return NULL;
	image = pram_reader_image(r, -1, "inventory.img");
	if (image >= 0) {
		len = pread(image, data, sizeof(data), 0);
		close(image);
	}
	pram_reader_close(r);
	id = find_run_id(data, len > 0 ? len : 0);
	if (!id)
		return NULL;
	table = malloc(TABLE_MAX);
	if (table && snprintf(table, TABLE_MAX, "inet CRIU-%s", id) < 0) {
		free(table);
		return NULL;
	}
	return table;
}

/* Appends to @ports those that it listens on. */
static void lock_service(int dev, const char *unit, struct json_object *ports)
{
	struct json_object *record, *own;
	_cleanup_free_ char *error = NULL;
	const char *table, *rules;
	uint64_t kexecs;

	/* Nobody will restore it. */
	if (!enabled_is(unit))
		return;
	if (record_load(dev, unit, &record, &kexecs)) {
		say(LOG_ERR, unit, "its record in PRAM can't be read: connections are not kept; see the kernel's log");
		return;
	}
	table = record_text(record, "table");
	rules = record_text(record, "lock");
	if (kexecs == 1 && *table && record_has_checkpoint(dev, unit)) {
		if (nft_run(rules, &error))
			say(LOG_ERR, unit, "its connections can't be locked, peers may be reset: %s",
			    error);
		else if (mark_write(LOCK_DIR, unit, table))
			say(LOG_ERR, unit, LOCK_DIR "/%s can't be written: remove the lock of its connections by 'nft delete table %s' if it stays",
			    unit, table);
		else
			say(LOG_INFO, unit, "its connections are locked until it is restored");
		own = json_object_object_get(record, "ports");
		for (size_t i = 0; own && i < json_object_array_length(own); i++)
			json_object_array_add(ports, json_object_get(json_object_array_get_idx(own, i)));
	}
	json_object_put(record);
}

int lock_all(int dev)
{
	struct json_object *ports = json_object_new_array();
	struct pram_node_stat node = { .id = 0 };
	const char *unit;

	while ((unit = record_next(dev, &node)))
		lock_service(dev, unit, ports);
	if (hold_add(ports))
		say(LOG_WARNING, NULL, "requests can't be held off: one may arrive before a service that it needs is restored");
	json_object_put(ports);
	return 0;
}

static void lock_service_again(int dev, const char *unit)
{
	_cleanup_free_ char *list = NULL, *error = NULL;
	struct json_object *record;
	uint64_t kexecs;

	if (record_load(dev, unit, &record, &kexecs))
		return;
	if (*record_text(record, "table") &&
	    asprintf(&list, "list table %s", record_text(record, "table")) < 0)
		list = NULL;
	if (list && nft_run(list, NULL)) {
		if (nft_run(record_text(record, "lock"), &error))
			say(LOG_ERR, unit, "the lock of its connections was flushed, and can't be set again: %s",
			    error);
		else
			say(LOG_WARNING, unit, "the lock of its connections was flushed, and is set again");
	}
	json_object_put(record);
}

int lock_again(int dev)
{
	struct pram_node_stat node = { .id = 0 };
	const char *unit;

	while ((unit = record_next(dev, &node))) {
		if (!node.kexec_count)
			lock_service_again(dev, unit);
	}
	return 0;
}

/* Was it there? */
static bool remove_table(const char *unit, const char *table)
{
	_cleanup_free_ char *list = NULL, *commands = NULL;

	if (asprintf(&list, "list table %s", table) < 0) {
		list = NULL;
		return false;
	}
	if (nft_run(list, NULL))
		return false;
	if (asprintf(&commands, "delete table %s", table) < 0) {
		commands = NULL;
		return false;
	}
	if (!nft_run(commands, NULL))
		return true;
	say(LOG_ERR, unit, "the lock of its connections can't be removed: try 'nft %s'", commands);
	return false;
}

static void remove_one(const char *unit, bool late)
{
	_cleanup_free_ char *table = mark_read(LOCK_DIR, unit);
	char of_new[NEW_TABLE_MAX];
	bool there;

	mark_remove(LOCK_DIR, unit);
	new_table_name(unit, of_new);
	there = remove_table(unit, of_new);
	/* As a rule CRIU has removed it. */
	if (table && remove_table(unit, table))
		there = true;
	if (there && late)
		say(LOG_WARNING, unit, "was not restored in time: its connections are not locked any more, peers will be reset");
}

void lock_remove(const char *unit)
{
	struct dirent *entry;
	DIR *dir;

	if (unit) {
		remove_one(unit, false);
		return;
	}
	hold_end();
	dir = opendir(LOCK_DIR);
	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *starting = NULL;

		if (*entry->d_name == '.')
			continue;
		/* Whoever restores it at this moment removes its lock, one way or the other. */
		starting = mark_read(ENV_DIR, entry->d_name);
		if (!starting)
			remove_one(entry->d_name, true);
	}
	if (dir)
		closedir(dir);
}
