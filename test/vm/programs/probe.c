// SPDX-License-Identifier: GPL-2.0-only
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

unsigned int nr_failed;
char probe_what[128] = "setup";
int dev = -1;

const char *const kind_names[NR_KINDS] = { "4K", "64K", "2M" };
const size_t kind_pages[NR_KINDS] = { 1, MID_PAGES, HUGE_PAGES };

/* --- files --- */

static int file_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s: cannot open %s", probe_what, path);
	return fd;
}

long read_number(const char *path)
{
	char text[32] = "";
	int fd = file_open(path, O_RDONLY);

	if (read(fd, text, sizeof(text) - 1) <= 0)
		err(1, "%s: cannot read %s", probe_what, path);
	close(fd);
	return strtol(text, NULL, 0);
}

void write_text(const char *path, const char *text)
{
	int fd = file_open(path, O_WRONLY);

	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err(1, "%s: cannot write '%s' to %s", probe_what, text, path);
	close(fd);
}

static long field_of(FILE *file, const char *name)
{
	char line[512];

	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			return strtol(line + strlen(name), NULL, 0);
	return -1;
}

long field(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	long n;

	if (!file)
		err(1, "%s: cannot open %s", probe_what, path);
	n = field_of(file, name);
	fclose(file);
	return n;
}

long smaps_field(pid_t pid, const void *mem, const char *name)
{
	char path[64], line[512];
	FILE *file;
	long n = -1;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid ?: getpid());
	file = fopen(path, "re");
	if (!file)
		err(1, "%s: cannot open %s", probe_what, path);
	while (n < 0 && fgets(line, sizeof(line), file)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2 &&
		    start == (uintptr_t)mem)
			n = field_of(file, name);
	}
	fclose(file);
	if (n < 0)
		errx(1, "%s: no %s of a mapping at %p", probe_what, name, mem);
	return n;
}

/* --- memory --- */

void fill(void *mem, size_t nr, uint64_t seed)
{
	uint64_t *word = mem, x = seed << 56;

	for (size_t i = 0; i < nr * PAGE / sizeof(*word); i++)
		word[i] = x += FILL_STEP;
}

bool filled(const void *mem, size_t nr, uint64_t seed)
{
	const uint64_t *word = mem;
	uint64_t x = seed << 56;

	for (size_t i = 0; i < nr * PAGE / sizeof(*word); i++) {
		if (word[i] != (x += FILL_STEP)) {
			printf("%s: page %zu is not what seed %llu gives\n",
			       probe_what, i * sizeof(*word) / PAGE,
			       (unsigned long long)seed);
			return false;
		}
	}
	return true;
}

static void advise(void *mem, size_t nr, int advice)
{
	if (madvise(mem, nr * PAGE, advice))
		err(1, "%s: madvise %d", probe_what, advice);
}

void *address_space(size_t nr, enum kind kind)
{
	size_t bytes = (nr * PAGE + HUGE_SIZE - 1) / HUGE_SIZE * HUGE_SIZE;
	char *mem = mmap(NULL, bytes + 2 * HUGE_SIZE, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *start;

	if (mem == MAP_FAILED)
		err(1, "%s: no addresses", probe_what);
	/*
	 * A huge page in front stays what it is, so that the mapping never grows
	 * together with another one.
	 */
	start = (char *)(((uintptr_t)mem + 2 * HUGE_SIZE - 1) / HUGE_SIZE * HUGE_SIZE);
	if (mmap(start, nr * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != start)
		err(1, "%s: no memory", probe_what);
	advise(start, nr, kind == SMALL ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	return start;
}

/* Are all folios at @mem of that many pages, and whole? */
static bool made_of(const char *mem, size_t nr, size_t folio_pages)
{
	uint64_t *pfns = calloc(nr, sizeof(*pfns));
	bool good = true;

	frames(0, mem, nr, pfns);
	for (size_t i = 0; i < nr && good; i++) {
		uint64_t want = folio_pages == 1 ? 0 : 1ULL << KPF_COMPOUND_HEAD;

		if (i % folio_pages)
			want = 1ULL << KPF_COMPOUND_TAIL;
		good = pfns[i] && (!(i % folio_pages) || pfns[i] == pfns[i - 1] + 1) &&
		       (page_flags(pfns[i]) & (1ULL << KPF_COMPOUND_HEAD |
					       1ULL << KPF_COMPOUND_TAIL)) == want;
	}
	free(pfns);
	return good;
}

static bool any_in_scratch(const char *mem, size_t nr)
{
	uint64_t *pfns = calloc(nr, sizeof(*pfns));
	bool any = false;

	frames(0, mem, nr, pfns);
	for (size_t i = 0; i < nr; i++)
		any |= in_scratch(pfns[i]);
	free(pfns);
	return any;
}

void *any_memory(size_t nr, enum kind kind, uint64_t seed)
{
	const char *const mid = "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled";
	const char *const huge = "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled";
	char *mem = address_space(nr, kind);

	if (kind == MID) {
		write_text(mid, "always");
		write_text(huge, "never");
	}
	fill(mem, nr, seed);
	if (kind == MID) {
		write_text(mid, "never");
		write_text(huge, "inherit");
	}
	if (!made_of(mem, nr, kind_pages[kind]))
		errx(1, "%s: memory is not made of folios of %s", probe_what,
		     kind_names[kind]);
	return mem;
}

long memory_kept_kb;

void *memory(size_t nr, enum kind kind, uint64_t seed)
{
	/*
	 * What is in the scratch areas is kept, so that it does not come again, and
	 * more and more is taken beside it: a CPU's lists of free pages, one for small
	 * and one for huge ones, can hold tens of MiB that are in there.
	 */
	for (size_t more = kind_pages[kind] < 64 ? 64 : kind_pages[kind], attempt = 0;
	     attempt < 32; attempt++) {
		char *mem = any_memory(nr, kind, seed);

		if (!any_in_scratch(mem, nr))
			return mem;
		any_memory(more, kind, seed);
		memory_kept_kb += (nr + more) * (PAGE / 1024);
		if (more < 4096)
			more *= 2;
	}
	errx(1, "%s: all memory is in the scratch areas", probe_what);
}

/* --- frames --- */

void pagemap(pid_t pid, const void *mem, size_t nr, uint64_t *entries)
{
	size_t bytes = nr * sizeof(*entries);
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid ?: getpid());
	fd = file_open(path, O_RDONLY);
	if (pread(fd, entries, bytes, (uintptr_t)mem / PAGE * sizeof(*entries)) !=
	    (ssize_t)bytes)
		err(1, "%s: cannot read %s", probe_what, path);
	close(fd);
}

void swap_out(void *mem, size_t nr, size_t want)
{
	uint64_t *entries = calloc(nr, sizeof(*entries));
	size_t out = 0;

	for (int tries = 0; tries < 50 && out < want; tries++) {
		if (tries)
			usleep(20000);
		if (madvise(mem, nr * PAGE, MADV_PAGEOUT))
			err(1, "MADV_PAGEOUT");
		pagemap(0, mem, nr, entries);
		out = 0;
		for (size_t i = 0; i < nr; i++)
			out += (entries[i] & PM_SWAP) != 0;
	}
	expect(out == want);
	free(entries);
}

void frames(pid_t pid, const void *mem, size_t nr, uint64_t *pfns)
{
	pagemap(pid, mem, nr, pfns);
	for (size_t i = 0; i < nr; i++)
		pfns[i] = pfns[i] & PM_PRESENT ? pfns[i] & PM_FRAME : 0;
}

size_t same_frames(pid_t pid, const void *mem, size_t nr, const uint64_t *pfns)
{
	uint64_t *now = calloc(nr, sizeof(*now));
	size_t same = 0;

	frames(pid, mem, nr, now);
	for (size_t i = 0; i < nr; i++)
		same += now[i] && now[i] == pfns[i];
	free(now);
	return same;
}

uint64_t page_flags(uint64_t pfn)
{
	static int fd = -1;
	uint64_t flags;

	if (fd < 0)
		fd = file_open("/proc/kpageflags", O_RDONLY);
	if (pread(fd, &flags, sizeof(flags), pfn * sizeof(flags)) != sizeof(flags))
		err(1, "%s: no flags of frame %#llx", probe_what,
		    (unsigned long long)pfn);
	return flags;
}

bool in_movable(uint64_t pfn)
{
	static uint64_t start, spanned;
	char line[128], zone[32];
	bool movable = false;
	FILE *file;

	if (!spanned) {
		file = fopen("/proc/zoneinfo", "re");
		while (file && fgets(line, sizeof(line), file)) {
			if (sscanf(line, "Node %*d, zone %31s", zone) == 1)
				movable = !strcmp(zone, "Movable");
			if (movable && sscanf(line, " spanned %lu", &spanned) != 1)
				sscanf(line, " start_pfn: %lu", &start);
		}
		if (!spanned)
			errx(1, "there is no memory in ZONE_MOVABLE");
		fclose(file);
	}
	return pfn >= start && pfn < start + spanned;
}

bool in_scratch(uint64_t pfn)
{
	static uint64_t start[16], len[16];
	static size_t nr;

	if (!nr) {
		FILE *starts = fopen("/sys/kernel/debug/kho/out/scratch_phys", "re");
		FILE *lens = fopen("/sys/kernel/debug/kho/out/scratch_len", "re");

		while (starts && lens && nr < 16 &&
		       fscanf(starts, "%lx", &start[nr]) == 1 &&
		       fscanf(lens, "%lx", &len[nr]) == 1)
			nr++;
		if (!nr)
			errx(1, "no scratch areas in /sys/kernel/debug/kho/out");
		fclose(starts);
		fclose(lens);
	}
	for (size_t i = 0; i < nr; i++)
		if (pfn * PAGE >= start[i] && pfn * PAGE < start[i] + len[i])
			return true;
	return false;
}

/* --- counters --- */

static const char *const counter_names[NR_COUNTERS] = {
	"adopted", "shared", "migrated", "mapped", "same", "reused",
	"split", "copied_on_load", "copied_on_touch", "inserted", "copied",
	"copied_written", "copied_asked", "copied_scratch", "copied_partial",
	"copied_file", "copied_shmem", "copied_hugetlb", "copied_ksm",
	"copied_pinned", "copied_swapped", "copied_special",
};

long counter(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/kernel/pram/%s", name);
	return read_number(path);
}

struct counters counters_now(void)
{
	struct counters now;
	char name[32];

	for (size_t i = 0; i < NR_COUNTERS; i++) {
		snprintf(name, sizeof(name), "pages_%s", counter_names[i]);
		now.value[i] = counter(name);
	}
	return now;
}

void counted_at(int line, const struct counters *before,
		const struct count *expected)
{
	struct counters now = counters_now();
	int64_t want[NR_COUNTERS] = {};

	for (; expected->name; expected++) {
		size_t i;

		for (i = 0; i < NR_COUNTERS; i++)
			if (!strcmp(expected->name, counter_names[i]) ||
			    (i > COPIED && !strcmp(expected->name,
						   counter_names[i] + strlen("copied_"))))
				break;
		if (i == NR_COUNTERS)
			errx(1, "line %d: there is no counter '%s'", line, expected->name);
		want[i] = expected->n;
		if (i > COPIED)
			want[COPIED] += expected->n;
	}
	for (size_t i = 0; i < NR_COUNTERS; i++) {
		if (now.value[i] - before->value[i] == want[i])
			continue;
		printf("%s: line %d: pages_%s: %lld, should be %lld\n", probe_what, line,
		       counter_names[i],
		       (long long)(now.value[i] - before->value[i]),
		       (long long)want[i]);
		nr_failed++;
	}
}

/* --- streams --- */

void dev_open(void)
{
	dev = pram_open();
	if (dev < 0)
		errx(1, "cannot open /dev/pram: %s", strerror(-dev));
}

int save_pages(const char *name, uint32_t flags)
{
	int stream = pram_save(dev, name, PRAM_PAGE_STREAM, flags);

	if (stream < 0)
		errx(1, "%s: cannot save '%s': %s", probe_what, name, strerror(-stream));
	return stream;
}

int load_pages(const char *name, uint32_t flags)
{
	int stream = pram_load(dev, name, PRAM_PAGE_STREAM, flags);

	if (stream < 0)
		errx(1, "%s: cannot load '%s': %s", probe_what, name, strerror(-stream));
	return stream;
}

void commit_all(const int *streams, size_t nr)
{
	int ret = pram_commit(dev, streams, nr);

	if (ret)
		errx(1, "%s: cannot commit: %s", probe_what, strerror(-ret));
	for (size_t i = 0; i < nr; i++)
		close(streams[i]);
}

void commit(int stream)
{
	commit_all(&stream, 1);
}

int adopt(int stream, int pidfd, const struct pram_range *ranges, size_t nr,
	  uint64_t *pages)
{
	struct pram_ioctl_adopt arg = {
		.size = sizeof(arg),
		.pidfd = pidfd,
		.nr_ranges = nr,
		.ranges = (uintptr_t)ranges,
		.pages = ~0ULL,
	};
	int ret = ioctl(stream, PRAM_IOCTL_ADOPT, &arg) ? -errno : 0;

	if (pages)
		*pages = arg.pages;
	return ret;
}

int adopt_range(int stream, int pidfd, const void *mem, size_t nr)
{
	struct pram_range range = { (uintptr_t)mem, nr * PAGE };
	uint64_t pages;
	int ret = adopt(stream, pidfd, &range, 1, &pages);

	if (!ret && pages != nr)
		errx(1, "%s: %llu pages adopted of %zu", probe_what,
		     (unsigned long long)pages, nr);
	return ret;
}

int adopt_file(int stream, int fd, const struct pram_range *ranges, size_t nr,
	       uint64_t *pages)
{
	struct pram_ioctl_adopt_file arg = {
		.size = sizeof(arg),
		.fd = fd,
		.nr_ranges = nr,
		.ranges = (uintptr_t)ranges,
		.pages = ~0ULL,
	};
	int ret = ioctl(stream, PRAM_IOCTL_ADOPT_FILE, &arg) ? -errno : 0;

	if (pages)
		*pages = arg.pages;
	return ret;
}

int self_pidfd(void)
{
	int fd = syscall(SYS_pidfd_open, getpid(), 0);

	if (fd < 0)
		err(1, "pidfd_open");
	return fd;
}

void append(int stream, const void *mem, size_t nr)
{
	int pidfd = self_pidfd(), ret = adopt_range(stream, pidfd, mem, nr);

	if (ret)
		errx(1, "%s: cannot adopt: %s", probe_what, strerror(-ret));
	close(pidfd);
}

void save(const char *name, const void *mem, size_t nr)
{
	int stream = save_pages(name, 0);

	append(stream, mem, nr);
	commit(stream);
}

int map_range(int stream, void *mem, uint64_t first, size_t nr, uint64_t *same)
{
	struct pram_ioctl_map arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)mem,
		.offset = first * PAGE,
		.nr_pages = nr,
		.same = ~0ULL,
	};
	int ret = ioctl(stream, PRAM_IOCTL_MAP, &arg) ? -errno : 0;

	if (same)
		*same = arg.same;
	return ret;
}

bool node_filled(const char *name, size_t nr, uint64_t seed)
{
	int stream = load_pages(name, PRAM_LOAD_PEEK);
	char *copy = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t done = 0;
	ssize_t n;
	bool good;

	if (copy == MAP_FAILED)
		err(1, "%s: no memory", probe_what);
	while (done < nr * PAGE) {
		n = pread(stream, copy + done, nr * PAGE - done, done);
		if (n <= 0)
			break;
		done += n;
	}
	good = done == nr * PAGE && lseek(stream, 0, SEEK_END) == (off_t)done &&
	       filled(copy, nr, seed);
	munmap(copy, nr * PAGE);
	close(stream);
	return good;
}

void node_free(const char *name)
{
	int ret = pram_free(dev, name);

	if (ret)
		errx(1, "%s: cannot free '%s': %s", probe_what, name, strerror(-ret));
}

/* --- other processes --- */

struct message {
	enum order	order;
	void		*mem;
	size_t		nr;
	uint64_t	seed;
};

static void other_main(int sock)
{
	struct message message;
	bool good = true;

	while (read(sock, &message, sizeof(message)) == sizeof(message) &&
	       message.order != DO_END) {
		if (message.order == DO_FILL)
			fill(message.mem, message.nr, message.seed);
		else
			good = filled(message.mem, message.nr, message.seed);
		fflush(stdout);
		if (write(sock, &good, sizeof(good)) != sizeof(good))
			break;
	}
	_exit(0);
}

struct other other_start(void)
{
	struct other other;
	int socks[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks))
		err(1, "socketpair");
	fflush(stdout);
	other.pid = fork();
	if (other.pid < 0)
		err(1, "fork");
	if (!other.pid) {
		/* So that it ends when this process does. */
		close(socks[0]);
		other_main(socks[1]);
	}
	close(socks[1]);
	other.to = socks[0];
	return other;
}

bool other_do(const struct other *other, enum order order, void *mem, size_t nr,
	      uint64_t seed)
{
	struct message message = { order, mem, nr, seed };
	bool good;

	if (write(other->to, &message, sizeof(message)) != sizeof(message) ||
	    read(other->to, &good, sizeof(good)) != sizeof(good))
		errx(1, "%s: the other process is gone", probe_what);
	return good;
}

void other_end(struct other *other)
{
	int status;

	close(other->to);
	if (waitpid(other->pid, &status, 0) != other->pid || status)
		errx(1, "%s: the other process ended with status %#x", probe_what, status);
}

int in_child(void (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		nr_failed = 0;
		fn(arg);
		fflush(stdout);
		_exit(nr_failed != 0);
	}
	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	return status;
}

/* --- cases --- */

static void run_case(void *arg)
{
	const struct probe_case *test = arg;

	test->run();
}

static void run(const struct probe_case *test)
{
	long data = counter("data_pages"), meta = counter("meta_pages");
	int status;

	snprintf(probe_what, sizeof(probe_what), "%s", test->name);
	status = in_child(run_case, (void *)test);
	if (status) {
		printf("%s: status %#x\n", probe_what, status);
		nr_failed++;
		/* What a case that failed has left would make all others fail. */
		pram_free_all(dev, NULL);
	}
	expect(counter("data_pages") == data);
	expect(counter("meta_pages") == meta);
}

void run_cases(const struct probe_case *cases, size_t nr, char *const *names)
{
	/* PRAM's directory stays once there was a node. */
	close(save_pages("probe", 0));
	for (size_t i = 0; i < nr && !*names; i++)
		if (!cases[i].special)
			run(&cases[i]);
	for (; *names; names++) {
		size_t i;

		for (i = 0; i < nr && strcmp(*names, cases[i].name); i++)
			;
		if (i == nr)
			errx(2, "there is no case '%s'", *names);
		run(&cases[i]);
	}
}

int probe_result(void)
{
	if (nr_failed)
		printf("%u expectations were not met\n", nr_failed);
	return nr_failed != 0;
}
