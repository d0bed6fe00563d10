// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program to be checkpointed that has a bit of everything in use that a file
 * system has, all of it below one directory.
 *
 *	fileuser DIR READY RESULT
 *
 * It writes its pid to the file READY once everything is set up. On SIGUSR1 it
 * verifies everything, goes on using it (writes through its mappings, appends to
 * its log, reads its directory again), and writes "PASS", or what is wrong, to the
 * file RESULT, which it replaces in one step; it can be asked again.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tell.h"

#include "verify.h"

#define PAGE		4096UL
#define SHARED_PAGES	2048UL
#define PRIVATE_PAGES	1024UL
#define NR_ENTRIES	600U

/* In setup, nothing may go wrong. */
#define must(cond)                                                         \
	do {                                                               \
		if (!(cond))                                               \
			err(1, "line %d: %s", __LINE__, #cond);            \
	} while (0)

static char top[PATH_MAX];

/* A name in our directory, valid until four more were asked for. */
static const char *in_top(const char *name)
{
	static char paths[4][PATH_MAX + 64];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", top, name);
	return path;
}

static int open_in(const char *name, int flags)
{
	return open(in_top(name), flags | O_CLOEXEC, 0600);
}

/* --- mappings --- */

static uint64_t *shared, *private;
static int shared_fd;
/* How often the shared mapping was written. */
static uint64_t generation;

static uint64_t word_of(uint64_t what, size_t page)
{
	return (what << 32 | (page + 1)) * UINT64_C(0x9e3779b97f4a7c15);
}

static void shared_write(void)
{
	generation++;
	for (size_t page = 0; page < SHARED_PAGES; page++)
		shared[page * PAGE / 8 + page % 512] = word_of(generation, page);
}

/* The mapping and the file are one. */
static void shared_verify(void)
{
	for (size_t page = 0; page < SHARED_PAGES; page++) {
		const off_t at = page * PAGE + page % 512 * 8;
		uint64_t word = 0;

		check(pread(shared_fd, &word, sizeof(word), at) == sizeof(word));
		if (word != word_of(generation, page) || shared[at / 8] != word)
			fail("shared page %zu: %llx mapped, %llx read, should be %llx", page,
			     (unsigned long long)shared[at / 8], (unsigned long long)word,
			     (unsigned long long)word_of(generation, page));
	}
}

/* Every second page is our own, the others are still the file's. */
static void private_verify(void)
{
	int fd = open_in("private", O_RDONLY);

	check(fd >= 0);
	for (size_t page = 0; page < PRIVATE_PAGES; page++) {
		uint64_t word = 0;

		check(pread(fd, &word, sizeof(word), page * PAGE) == sizeof(word));
		check(word == word_of(1000, page));
		if (private[page * PAGE / 8] != word_of(page % 2 ? 1000 : 2000, page))
			fail("private page %zu has changed", page);
	}
	close(fd);
}

static void mappings_setup(void)
{
	int fd;

	shared_fd = open_in("shared", O_RDWR | O_CREAT);
	must(shared_fd >= 0 && !ftruncate(shared_fd, SHARED_PAGES * PAGE));
	shared = mmap(NULL, SHARED_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
	must(shared != MAP_FAILED);
	shared_write();

	fd = open_in("private", O_RDWR | O_CREAT);
	must(fd >= 0);
	for (size_t page = 0; page < PRIVATE_PAGES; page++) {
		uint64_t words[PAGE / 8] = { word_of(1000, page) };

		must(write(fd, words, PAGE) == PAGE);
	}
	private = mmap(NULL, PRIVATE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	must(private != MAP_FAILED);
	close(fd);
	for (size_t page = 0; page < PRIVATE_PAGES; page += 2)
		private[page * PAGE / 8] = word_of(2000, page);
}

/* --- a directory in the middle of being read --- */

static int entries_fd;
static bool seen[NR_ENTRIES];
static unsigned int nr_seen;

/* Read on, some entries at a time, until LEAST were seen or none is left. */
static void entries_read(unsigned int least)
{
	struct {
		uint64_t	ino;
		int64_t		off;
		unsigned short	len;
		unsigned char	type;
		char		name[];
	} *entry;
	_Alignas(8) char buf[512];
	unsigned int nr;
	long n;

	while (nr_seen < least && (n = syscall(SYS_getdents64, entries_fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n; at += entry->len) {
			entry = (void *)(buf + at);
			if (sscanf(entry->name, "entry-%u", &nr) != 1)
				continue;
			if (nr >= NR_ENTRIES || seen[nr])
				fail("the directory has shown \"%s\" before", entry->name);
			else
				seen[nr] = true;
			nr_seen++;
		}
	}
}

static void entries_begin(void)
{
	memset(seen, 0, sizeof(seen));
	nr_seen = 0;
	if (lseek(entries_fd, 0, SEEK_SET))
		fail("cannot rewind the directory");
	entries_read(NR_ENTRIES / 2);
}

static void entries_setup(void)
{
	char name[64];
	int fd;

	must(!mkdir(in_top("entries"), 0700));
	for (unsigned int i = 0; i < NR_ENTRIES; i++) {
		snprintf(name, sizeof(name), "entries/entry-%u", i);
		fd = open_in(name, O_WRONLY | O_CREAT | O_EXCL);
		must(fd >= 0);
		close(fd);
	}
	entries_fd = open_in("entries", O_RDONLY | O_DIRECTORY);
	must(entries_fd >= 0);
	entries_begin();
}

static void entries_verify(void)
{
	entries_read(UINT_MAX);
	if (nr_seen != NR_ENTRIES)
		fail("the directory has shown %u of %u entries", nr_seen, NR_ENTRIES);
	entries_begin();
}

/* --- open files --- */

static int append_fd, read_fd, deleted_fd, renamed_fd, fifo_fd, path_fd;
static unsigned int nr_lines;

static void append(void)
{
	char line[32];
	int len = snprintf(line, sizeof(line), "line %08u\n", ++nr_lines);

	check(write(append_fd, line, len) == len);
}

static void append_verify(void)
{
	const off_t len = strlen("line 00000000\n");
	char line[32] = "";
	struct stat st;
	unsigned int nr;

	check(!fstat(append_fd, &st) && st.st_size == nr_lines * len);
	/* The reader is always one line behind the writer. */
	check(lseek(read_fd, 0, SEEK_CUR) == (nr_lines - 1) * len);
	check(read(read_fd, line, len) == len);
	check(sscanf(line, "line %u", &nr) == 1 && nr == nr_lines);
	check(fcntl(append_fd, F_GETFL) & O_APPEND);
	append();
}

static void put(int fd, const char *text)
{
	must(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void expect(const char *what, int fd, const char *text)
{
	char buf[64] = "";
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	if (n != (ssize_t)strlen(text) || strcmp(buf, text))
		fail("%s: read \"%s\", should be \"%s\"", what, buf, text);
}

static void files_setup(void)
{
	append_fd = open_in("log", O_WRONLY | O_CREAT | O_APPEND);
	read_fd = open_in("log", O_RDONLY);
	must(append_fd >= 0 && read_fd >= 0);
	append();

	/* One without a name, and one that has only another name than it was opened by. */
	deleted_fd = open_in("deleted", O_RDWR | O_CREAT);
	must(deleted_fd >= 0);
	put(deleted_fd, "deleted");
	must(!unlink(in_top("deleted")));
	renamed_fd = open_in("first-name", O_RDWR | O_CREAT);
	must(renamed_fd >= 0);
	put(renamed_fd, "renamed");
	must(!link(in_top("first-name"), in_top("second-name")) && !unlink(in_top("first-name")));

	must(!mkfifo(in_top("fifo"), 0600));
	fifo_fd = open_in("fifo", O_RDWR);
	must(fifo_fd >= 0);
	put(fifo_fd, "in the fifo");

	path_fd = open_in("log", O_PATH);
	must(path_fd >= 0);

	must(!mkdir(in_top("cwd"), 0700) && !chdir(in_top("cwd")));
}

static void files_verify(void)
{
	struct stat st, other;
	char path[PATH_MAX];

	append_verify();
	check(!fstat(deleted_fd, &st) && st.st_nlink == 0);
	check(lseek(deleted_fd, 0, SEEK_SET) == 0);
	expect("deleted file", deleted_fd, "deleted");

	check(!fstat(renamed_fd, &st));
	check(!stat(in_top("second-name"), &other) && st.st_ino == other.st_ino && st.st_dev == other.st_dev);
	check(lseek(renamed_fd, 0, SEEK_SET) == 0);
	expect("renamed file", renamed_fd, "renamed");

	expect("fifo", fifo_fd, "in the fifo");
	put(fifo_fd, "in the fifo");

	check(!fstat(path_fd, &st) && !fstat(append_fd, &other) && st.st_ino == other.st_ino);

	check(getcwd(path, sizeof(path)) && !strcmp(path, in_top("cwd")));
	check(!mkdir("here", 0700) && !stat("../cwd/here", &st) && !rmdir("here"));
}

/* --- locks --- */

static int flock_fd, posix_fd, ofd_fd;

static struct flock range_of(short type)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20 };
}

static void locks_setup(void)
{
	struct flock range = range_of(F_WRLCK);

	flock_fd = open_in("flock", O_RDWR | O_CREAT);
	posix_fd = open_in("posix-lock", O_RDWR | O_CREAT);
	ofd_fd = open_in("ofd-lock", O_RDWR | O_CREAT);
	must(flock_fd >= 0 && posix_fd >= 0 && ofd_fd >= 0);
	must(!flock(flock_fd, LOCK_EX));
	must(!fcntl(posix_fd, F_SETLK, &range));
	must(!fcntl(ofd_fd, F_OFD_SETLK, &range));
}

/* Locks are there if somebody else can't have them. */
static void locks_verify(void)
{
	struct flock range = range_of(F_WRLCK);
	pid_t owner = getpid(), child;
	int fd = open_in("flock", O_RDWR), status = -1;

	check(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK);
	close(fd);
	fd = open_in("ofd-lock", O_RDWR);
	check(fd >= 0 && fcntl(fd, F_OFD_SETLK, &range) && errno == EAGAIN);
	close(fd);
	child = fork();
	if (!child) {
		range = range_of(F_WRLCK);
		_exit(fcntl(posix_fd, F_GETLK, &range) || range.l_type != F_WRLCK ||
		      range.l_pid != owner || range.l_start != 10 || range.l_len != 20);
	}
	check(waitpid(child, &status, 0) == child && status == 0);
}

/* --- sockets, watches --- */

static int listener, watch_fd;

static struct sockaddr_un address(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (strlen(in_top("socket")) >= sizeof(addr.sun_path))
		errx(2, "the name of the directory is too long");
	strcpy(addr.sun_path, in_top("socket"));
	return addr;
}

static void socket_setup(void)
{
	const struct sockaddr_un addr = address();

	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(listener >= 0 && !bind(listener, (void *)&addr, sizeof(addr)) && !listen(listener, 5));

	must(!mkdir(in_top("watched"), 0700));
	watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	must(watch_fd >= 0 && inotify_add_watch(watch_fd, in_top("watched"), IN_CREATE) >= 0);
}

static void socket_verify(void)
{
	const struct sockaddr_un addr = address();
	_Alignas(8) char buf[1024] = "";
	const struct inotify_event *event = (void *)buf;
	int fd, other;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(fd >= 0 && !connect(fd, (void *)&addr, sizeof(addr)));
	if (failure[0])
		return;
	other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	check(other >= 0);
	put(fd, "through the socket");
	expect("socket", other, "through the socket");
	close(fd);
	close(other);

	fd = open_in("watched/new", O_WRONLY | O_CREAT | O_EXCL);
	check(fd >= 0);
	close(fd);
	check(read(watch_fd, buf, sizeof(buf)) > 0);
	check(event->mask == IN_CREATE && !strcmp(event->name, "new"));
	check(!unlink(in_top("watched/new")));
}

int main(int argc, char **argv)
{
	sigset_t set;

	if (argc != 4 || !realpath(argv[1], top))
		errx(2, "usage: fileuser DIR READY RESULT");
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);

	mappings_setup();
	entries_setup();
	files_setup();
	locks_setup();
	socket_setup();
	tell_pid(argv[2]);

	for (;;) {
		if (sigwaitinfo(&set, NULL) != SIGUSR1)
			continue;
		failure[0] = '\0';
		shared_verify();
		shared_write();
		private_verify();
		entries_verify();
		files_verify();
		locks_verify();
		socket_verify();
		tell(argv[3], failure[0] ? failure : "PASS");
	}
}
