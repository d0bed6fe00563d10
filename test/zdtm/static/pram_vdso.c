// SPDX-License-Identifier: GPL-2.0-only
/*
 * The functions of the vDSO, called at the addresses that they had before the dump,
 * tell what the system calls tell: in the kernel that restores, which may have another
 * vDSO. In pram_vdso01 there is a thread that is in one of them nearly all the time,
 * so that the dump finds it there.
 */
#include <elf.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "pram.h"

const char *test_doc = "The vDSO is right where it was before";
const char *test_author = "The PRAM authors";

#define SEC    1000000000LL
#define ROUNDS 300

static struct {
	long (*clock_gettime)(clockid_t id, struct timespec *ts);
	long (*clock_getres)(clockid_t id, struct timespec *ts);
	long (*gettimeofday)(struct timeval *tv, void *tz);
	time_t (*time)(time_t *t);
	long (*getcpu)(unsigned int *cpu, unsigned int *node, void *unused);
} vdso;

static const struct {
	const char *name;
	void *function;
} symbols[] = {
	{"__vdso_clock_gettime", &vdso.clock_gettime},
	{"__vdso_clock_getres", &vdso.clock_getres},
	{"__vdso_gettimeofday", &vdso.gettimeofday},
	{"__vdso_time", &vdso.time},
	{"__vdso_getcpu", &vdso.getcpu},
};

static const clockid_t clocks[] = {
	CLOCK_REALTIME,	     CLOCK_MONOTONIC,	    CLOCK_BOOTTIME,	    CLOCK_TAI,
	CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
};

/* How many symbols there are stands in the hash tables only, one of which is there. */
static unsigned int symbol_count(const uint32_t *hash, const uint32_t *gnu)
{
	unsigned int i, last = 0;
	const uint32_t *buckets, *chain;

	if (hash)
		return hash[1];
	buckets = gnu + 4 + gnu[2] * 2; /* the words of the filter have 64 bits */
	chain = buckets + gnu[0];
	for (i = 0; i < gnu[0]; i++)
		if (buckets[i] > last)
			last = buckets[i];
	while (last >= gnu[1] && !(chain[last - gnu[1]] & 1))
		last++;
	return last + 1;
}

static int find_functions(void)
{
	char *base = (char *)getauxval(AT_SYSINFO_EHDR), *load = NULL;
	const char *names = NULL;
	const Elf64_Ehdr *elf = (void *)base;
	const Elf64_Phdr *ph;
	const Elf64_Dyn *dyn = NULL;
	const Elf64_Sym *sym = NULL;
	const uint32_t *hash = NULL, *gnu = NULL;
	unsigned int i, nr, count;

	if (!base) {
		pr_err("this kernel gives no vDSO\n");
		return 1;
	}
	ph = (void *)(base + elf->e_phoff);
	for (i = 0; i < elf->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD)
			load = base + ph[i].p_offset - ph[i].p_vaddr;
		else if (ph[i].p_type == PT_DYNAMIC)
			dyn = (void *)(base + ph[i].p_offset);
	}
	for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
		void *at = load + dyn->d_un.d_ptr;

		if (dyn->d_tag == DT_STRTAB)
			names = at;
		else if (dyn->d_tag == DT_SYMTAB)
			sym = at;
		else if (dyn->d_tag == DT_HASH)
			hash = at;
		else if (dyn->d_tag == DT_GNU_HASH)
			gnu = at;
	}
	if (!names || !sym || (!hash && !gnu)) {
		pr_err("the vDSO at %p has no symbols\n", base);
		return 1;
	}
	count = symbol_count(hash, gnu);
	for (nr = 0; nr < ARRAY_SIZE(symbols); nr++) {
		void *at = NULL;

		for (i = 0; i < count; i++)
			if (sym[i].st_shndx != SHN_UNDEF &&
			    !strcmp(names + sym[i].st_name, symbols[nr].name))
				at = load + sym[i].st_value;
		if (!at) {
			pr_err("the vDSO at %p has no %s\n", base, symbols[nr].name);
			return 1;
		}
		memcpy(symbols[nr].function, &at, sizeof(at));
		test_msg("%s is at %p\n", symbols[nr].name, at);
	}
	return 0;
}

static long long ns(const struct timespec *ts)
{
	return ts->tv_sec * SEC + ts->tv_nsec;
}

static int check_clock(clockid_t id)
{
	struct timespec before, here, after;
	struct timespec res, sys_res;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		if (syscall(SYS_clock_gettime, id, &before) || vdso.clock_gettime(id, &here) ||
		    syscall(SYS_clock_gettime, id, &after))
			return pram_fail("clock %d cannot be read", id);
		if (ns(&here) < ns(&before) || ns(&here) > ns(&after))
			return pram_fail("clock %d is %lld ns, by system calls it is %lld to %lld",
					 id, ns(&here), ns(&before), ns(&after));
		if (here.tv_nsec < 0 || here.tv_nsec >= SEC)
			return pram_fail("clock %d has %ld ns", id, here.tv_nsec);
	}
	if (vdso.clock_getres(id, &res) || syscall(SYS_clock_getres, id, &sys_res) ||
	    ns(&res) != ns(&sys_res))
		return pram_fail("clock %d goes in steps of %lld ns, not %lld", id, ns(&sys_res),
				 ns(&res));
	return 0;
}

static int check_time(void)
{
	struct timeval before, here, after;
	time_t sec_before, sec, sec_after, stored;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		if (syscall(SYS_gettimeofday, &before, NULL) || vdso.gettimeofday(&here, NULL) ||
		    syscall(SYS_gettimeofday, &after, NULL))
			return pram_fail("gettimeofday fails");
		if (timercmp(&here, &before, <) || timercmp(&here, &after, >))
			return pram_fail(
				"gettimeofday is %ld.%06ld, by system calls it is %ld.%06ld to %ld.%06ld",
				here.tv_sec, here.tv_usec, before.tv_sec, before.tv_usec,
				after.tv_sec, after.tv_usec);
		sec_before = syscall(SYS_time, NULL);
		sec = vdso.time(&stored);
		sec_after = syscall(SYS_time, NULL);
		if (sec < sec_before || sec > sec_after || stored != sec)
			return pram_fail("time is %ld and %ld, by system calls it is %ld to %ld",
					 sec, stored, sec_before, sec_after);
	}
	return 0;
}

/* On each processor that there is. */
static int check_cpu(void)
{
	unsigned int cpu, node, sys_cpu, sys_node;
	cpu_set_t all, one;
	int i, found = 0;

	if (sched_getaffinity(0, sizeof(all), &all))
		return fail("sched_getaffinity");
	for (i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			return fail("sched_setaffinity(%d)", i);
		if (vdso.getcpu(&cpu, &node, NULL) ||
		    syscall(SYS_getcpu, &sys_cpu, &sys_node, NULL))
			return pram_fail("getcpu fails");
		if (cpu != i || cpu != sys_cpu || node != sys_node)
			return pram_fail("it is processor %u of node %u, not %u of %u", cpu, node,
					 sys_cpu, sys_node);
		found++;
	}
	if (sched_setaffinity(0, sizeof(all), &all))
		return fail("sched_setaffinity");
	return found ? 0 : pram_fail("no processor to run on");
}

static int check(const char *when)
{
	int ret = 0, i;

	for (i = 0; i < ARRAY_SIZE(clocks); i++)
		ret |= check_clock(clocks[i]);
	ret |= check_time();
	ret |= check_cpu();
	test_msg("%s: %s\n", when, ret ? "wrong" : "right");
	return ret;
}

#ifdef INSIDE
static volatile int stop;
static int thread_failed;
static pthread_t thread;

static void *all_the_time(void *unused)
{
	struct timespec last = {}, here;

	while (!stop) {
		if (vdso.clock_gettime(CLOCK_MONOTONIC, &here) || ns(&here) < ns(&last)) {
			thread_failed |= pram_fail("CLOCK_MONOTONIC went from %lld to %lld",
						   ns(&last), ns(&here));
			break;
		}
		last = here;
	}
	return unused;
}

static void go_inside(void)
{
	int err = pthread_create(&thread, NULL, all_the_time, NULL);

	if (err) {
		errno = err;
		pr_perror("pthread_create");
		exit(1);
	}
}

static int come_out(void)
{
	stop = 1;
	pthread_join(thread, NULL);
	return thread_failed;
}
#else
static void go_inside(void)
{
}

static int come_out(void)
{
	return 0;
}
#endif

int main(int argc, char **argv)
{
	int ret, status;
	pid_t child;

	test_init(argc, argv);

	if (find_functions() || check("before the dump"))
		return 1;
	go_inside();

	test_daemon();
	test_waitsig();

	ret = check("after the restore");
	ret |= come_out();
	child = test_fork();
	if (!child)
		exit(check("in a child"));
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		ret |= fail("a child that was born after the restore");
	if (ret)
		return 1;
	pass();
	return 0;
}
