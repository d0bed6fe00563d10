// SPDX-License-Identifier: GPL-2.0-only
/* What is charged and counted: map's cases. */
#include <err.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "map.h"
#include "probe.h"

#define CGROUPS	"/sys/fs/cgroup"

static void cgroup_enter(const char *name)
{
	char path[64], pid[16];

	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.procs", name);
	snprintf(pid, sizeof(pid), "%d", getpid());
	write_text(path, pid);
}

/* In kilobytes. */
static long cgroup_anon(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), CGROUPS "/%s/memory.stat", name);
	return field(path, "anon ") / 1024;
}

static long cgroup_current(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), CGROUPS "/%s/memory.current", name);
	return read_number(path) / 1024;
}

static void child_charged(void *arg)
{
	enum kind kind = *(enum kind *)arg;
	long current, anon;
	char *mem;
	int stream;

	cgroup_enter("target");
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	current = cgroup_current("target");
	anon = cgroup_anon("target");
	mem = load_in(stream, NR, kind);
	expect(labs(cgroup_current("target") - current - (long)NR * 4) <= 1024);
	commit(stream);
	expect(labs(cgroup_current("target") - current - (long)NR * 4) <= 1024);
	expect(labs(cgroup_anon("target") - anon - (long)NR * 4) <= 512);
	munmap(mem, NR * PAGE);
	expect(labs(cgroup_current("target") - current) <= 1024);
}

static void child_source(void *arg)
{
	cgroup_enter("source");
	make_node(NODE, NR, *(enum kind *)arg);
}

static void child_fresh(void *arg)
{
	(void)arg;
	cgroup_enter("source");
	make_fresh(NODE, NR);
}

/* Killed, or gone, before the load was finished: also of that nothing stays. */
static void child_given_up(void *arg)
{
	int stream;

	cgroup_enter("target");
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	load_in(stream, NR, *(enum kind *)arg);
	expect(cgroup_current("target") >= (long)NR * 4);
	fflush(stdout);
	kill(getpid(), SIGKILL);
}

/* NR pages are 4 MiB. */
static void child_too_much(void *arg)
{
	char *mem;
	int stream;
	ssize_t n;

	cgroup_enter("small");
	stream = load_pages(NODE, PRAM_LOAD_MAP);
	mem = address_space(NR, *(enum kind *)arg);
	n = pread(stream, mem, NR * PAGE, 0);
	/* It is killed, or gets no more than what it may have. */
	if (n == (ssize_t)(NR * PAGE))
		_exit(3);
	_exit(0);
}

void case_memcg(void)
{
	static const char *const names[] = { "source", "target", "small" };
	char path[64];

	write_text(CGROUPS "/cgroup.subtree_control", "+memory");
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), CGROUPS "/%s", names[i]);
		if (mkdir(path, 0755))
			err(1, "mkdir %s", path);
	}
	write_text(CGROUPS "/small/memory.max", "3M");
	/* The last time with fresh pages. */
	for (int i = SMALL; i <= NR_KINDS; i++) {
		void (*const source)(void *arg) = i < NR_KINDS ? child_source : child_fresh;
		enum kind kind = i < NR_KINDS ? (enum kind)i : SMALL;
		int status;

		expect(in_child(source, &kind) == 0);
		expect(in_child(child_charged, &kind) == 0);
		/* What was the source's is no longer charged to it. */
		expect(cgroup_current("source") <= 1024);

		expect(in_child(source, &kind) == 0);
		expect(in_child(child_given_up, &kind) == SIGKILL);
		expect(cgroup_current("target") <= 1024);
		node_free(NODE);

		expect(in_child(source, &kind) == 0);
		status = in_child(child_too_much, &kind);
		expect(status == 0 || status == SIGKILL);
		expect(node_filled(NODE, NR, 1));
		expect_maps(kind, NULL);
	}
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), CGROUPS "/%s", names[i]);
		if (rmdir(path))
			err(1, "rmdir %s", path);
	}
}

/* These are counted on each processor, and added up now and then. */
#define ABOUT(kb, want)	(labs((kb) - (want)) <= 1024)

static long rss_kb(void)
{
	return field("/proc/self/status", "RssAnon:") - memory_kept_kb;
}

void case_rss(void)
{
	for (enum kind kind = SMALL; kind < NR_KINDS; kind++) {
		long before = rss_kb();
		long anon = anon_kb();
		long thp = field("/proc/meminfo", "AnonHugePages:");
		char *mem;
		int stream;

		make_node(NODE, NR, kind);
		expect(ABOUT(rss_kb(), before));
		stream = load_pages(NODE, PRAM_LOAD_MAP);
		mem = load_in(stream, NR, kind);
		expect(ABOUT(rss_kb(), before + (long)NR * 4));
		commit(stream);
		expect(ABOUT(rss_kb(), before + (long)NR * 4));
		expect(ABOUT(anon_kb(), anon + (long)NR * 4));
		if (kind == HUGE)
			expect(field("/proc/meminfo", "AnonHugePages:") >= thp + (long)NR * 4);
		fill(mem, NR, 2);
		expect(ABOUT(rss_kb(), before + (long)NR * 4));
		munmap(mem, NR * PAGE);
		expect(ABOUT(rss_kb(), before));
		expect(ABOUT(anon_kb(), anon));
	}
}

static int inherited;

/* In a user namespace, by a stream that was opened outside. */
static void child_namespace(void *arg)
{
	char *mem;

	(void)arg;
	if (unshare(CLONE_NEWUSER))
		err(1, "unshare");
	mem = load_in(inherited, NR, SMALL);
	expect(filled(mem, NR, 1));
	fill(mem, NR, 2);
	expect(filled(mem, NR, 2));
}

void case_namespace(void)
{
	struct counters before;

	make_node(NODE, NR, SMALL);
	before = counters_now();
	inherited = load_pages(NODE, PRAM_LOAD_MAP);
	expect(in_child(child_namespace, NULL) == 0);
	counted(&before, { "mapped", NR });
	close(inherited);
	expect(node_filled(NODE, NR, 1));
	node_free(NODE);
}
