// SPDX-License-Identifier: GPL-2.0-only
/*
 * LD_PRELOADed into criu: fails at one step of a dump to PRAM or of a restore from it.
 *
 * A step is a call of libc that the plugin makes, or that criu makes on what the
 * plugin has given it: a stream of PRAM, the memfd of an image. It is named by
 * the process that makes it (criu; on a dump a helper that it forks; on a restore the
 * root of the tasks, or a child of that), by the call, by what it is done to, and by how many times this
 * has been done: "criu ioctl SAVE pages-1.img #1".
 *
 * FAULT_LIST=FILE	append the name of each step to FILE, when it is reached
 * FAULT=STEP:ACTION	do ACTION at STEP
 * FAULT_HIT=FILE	what has been done, one line
 * FAULT_FREEZER=DIR	a control group of version 2
 *
 *	kill-before	the process is killed before the step is done
 *	kill-after	or after it
 *	kill-both	of a dump: before it, and the criu that was started at the same moment
 *	kill-frozen	as kill-before, when the tasks have been frozen by the control group of FAULT_FREEZER
 *	ENOMEM, ...	the step is not done, but returns this error
 *	short		a read or write does half of what it was asked for
 *	nth-N		the kernel's N-th allocation of memory in the step fails
 *	arm-N		as nth-N, but from after the step until it has happened
 *
 * Programs that criu starts have none of this.
 */
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <linux/pram.h>

#include "pram.h"

/* Declared by headers that not every libc has, or that call them something else. */
int memfd_create(const char *name, unsigned int flags);
ssize_t sendfile64(int out, int in, off64_t *offset, size_t size);
int pidfd_open(pid_t pid, unsigned int flags);

#define PLUGIN	"/pram_plugin.so"
#define CALLER	__builtin_return_address(0)

/* What libc's own are called where they can be had by another name. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t nr, size_t size);
extern void *__libc_realloc(void *p, size_t size);

enum action { NO_STEP, GO_ON, KILL_BEFORE, KILL_AFTER, KILL_BOTH, KILL_FROZEN, FAIL, SHORT, NTH, ARM };

static const struct {
	const char *name;
	int number;
} errors[] = {
	{ "EACCES", EACCES }, { "EBADMSG", EBADMSG }, { "EINTR", EINTR }, { "EIO", EIO },
	{ "EMFILE", EMFILE }, { "ENOENT", ENOENT }, { "ENOMEM", ENOMEM }, { "ENOSPC", ENOSPC },
	{ "EINVAL", EINVAL }, { "EPERM", EPERM }, { "EAGAIN", EAGAIN },
};

static const char *list, *hit, *action_name, *freezer;
static char at[256];		/* the step of FAULT, or empty */
static enum action action;
static int error;
static long nth;
static pid_t main_pid;
static bool dumps;
static bool active;		/* in criu, and wanted */
static bool committed;		/* the dump is, so each call of ptrace() is a step */

/* Every name so far, without its number. */
static struct counted {
	char		name[96];
	unsigned int	nr;
} counted[512];

/* Streams, by their inode. */
static struct {
	ino_t	inode;
	char	name[64];
} streams[64];
static unsigned int nr_streams;

static void die(const char *text)
{
	syscall(SYS_write, 2, text, strlen(text));
	syscall(SYS_kill, syscall(SYS_getpid), SIGABRT);
}

/* Not by libc: that would be us. */
static void append(const char *path, const char *text)
{
	int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0 || syscall(SYS_write, fd, text, strlen(text)) < 0)
		die("fault_steps: can't write its file\n");
	syscall(SYS_close, fd);
}

__attribute__((constructor))
static void set_up(int argc, char **argv)
{
	const char *fault = getenv("FAULT"), *colon;

	if (strcmp(program_invocation_short_name, "criu"))
		return;
	unsetenv("LD_PRELOAD");
	main_pid = getpid();
	dumps = argc > 1 && !strcmp(argv[1], "dump");
	list = getenv("FAULT_LIST");
	hit = getenv("FAULT_HIT");
	freezer = getenv("FAULT_FREEZER");
	active = list || fault;
	if (!fault)
		return;

	colon = strrchr(fault, ':');
	if (!colon || (size_t)(colon - fault) >= sizeof(at) || !hit)
		die("fault_steps: FAULT is no STEP:ACTION, or there is no FAULT_HIT\n");
	memcpy(at, fault, colon - fault);
	action_name = colon + 1;
	if (!strcmp(action_name, "kill-before"))
		action = KILL_BEFORE;
	else if (!strcmp(action_name, "kill-after"))
		action = KILL_AFTER;
	else if (!strcmp(action_name, "kill-both"))
		action = KILL_BOTH;
	else if (!strcmp(action_name, "kill-frozen") && freezer)
		action = KILL_FROZEN;
	else if (!strcmp(action_name, "short"))
		action = SHORT;
	else if (sscanf(action_name, "nth-%ld", &nth) == 1)
		action = NTH;
	else if (sscanf(action_name, "arm-%ld", &nth) == 1)
		action = ARM;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		if (!strcmp(action_name, errors[i].name)) {
			action = FAIL;
			error = errors[i].number;
		}
	}
	if (!action)
		die("fault_steps: FAULT has no such action\n");
}

/* ---- whether it is a step ----------------------------------------------- */

static uintptr_t plugin_start, plugin_end;

static int find_plugin(struct dl_phdr_info *info, size_t size, void *data)
{
	const size_t len = strlen(info->dlpi_name);

	(void)size;
	(void)data;
	if (len < strlen(PLUGIN) || strcmp(info->dlpi_name + len - strlen(PLUGIN), PLUGIN))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD && segment->p_flags & PF_X) {
			plugin_start = info->dlpi_addr + segment->p_vaddr;
			plugin_end = plugin_start + segment->p_memsz;
		}
	}
	return 1;
}

static bool in_plugin(const void *caller)
{
	if (!plugin_end)
		dl_iterate_phdr(find_plugin, NULL);
	return (uintptr_t)caller >= plugin_start && (uintptr_t)caller < plugin_end;
}

static ino_t inode_of(int fd)
{
	struct stat st;

	return syscall(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH) ? 0 : st.st_ino;
}

/* "criu:CHECKPOINT:IMAGE", where the node of the index has no image. */
static const char *image_of(const __u8 *node)
{
	const char *colon = strrchr((const char *)node, ':');

	return colon && strstr(colon, ".img") ? colon + 1 : "index";
}

static void stream_add(int fd, const __u8 *node)
{
	if (nr_streams == sizeof(streams) / sizeof(*streams))
		die("fault_steps: too many streams\n");
	streams[nr_streams].inode = inode_of(fd);
	snprintf(streams[nr_streams++].name, sizeof(streams->name), "%s", image_of(node));
}

/* What @fd is if it comes from the plugin, or NULL; "" is neither. */
static const char *object_of(int fd, char *buf, size_t size)
{
	static const char memfd[] = "/memfd:", stream[] = "anon_inode:[pram-stream]";
	char path[64], link[256];
	ino_t inode;
	long len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = syscall(SYS_readlink, path, link, sizeof(link) - 1);
	if (len < 0)
		return NULL;
	link[len] = '\0';
	if (!strcmp(link, PRAM_DEVICE_PATH))
		return "device";
	if (!strncmp(link, memfd, strlen(memfd)) && strstr(link, ".img")) {
		snprintf(buf, size, "%.*s", (int)strcspn(link + strlen(memfd), " "),
			 link + strlen(memfd));
		return buf;
	}
	if (strcmp(link, stream))
		return NULL;
	inode = inode_of(fd);
	for (unsigned int i = nr_streams; i-- > 0; )
		if (streams[i].inode == inode)
			return streams[i].name;
	return "stream";
}

static const char *process(void)
{
	static pid_t known;
	static const char *name;
	const pid_t pid = syscall(SYS_getpid);

	if (pid != known) {
		const bool first = syscall(SYS_getppid) == main_pid;

		/* A dump is made by a child of the criu that was started. */
		if (dumps)
			name = first ? "criu" : "helper";
		else
			name = pid == main_pid ? "criu" : first ? "root" : "child";
		known = pid;
	}
	return name;
}

/* ---- what is done at a step --------------------------------------------- */

static void mark(const char *what)
{
	char line[400];

	snprintf(line, sizeof(line), "%s:%s %s\n", at, action_name, what);
	append(hit, line);
}

static void kill_self(void)
{
	mark("done");
	syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
}

/* Those that are in criu's parasite stay in there, until somebody thaws them. */
static void freeze(void)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	char path[128], events[128];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.freeze", freezer);
	fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_write, fd, "1", 1) != 1)
		die("fault_steps: can't freeze the tasks\n");
	syscall(SYS_close, fd);
	snprintf(path, sizeof(path), "%s/cgroup.events", freezer);
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 1000; i++) {
		long len = syscall(SYS_pread64, fd, events, sizeof(events) - 1, 0);

		events[len > 0 ? len : 0] = '\0';
		if (strstr(events, "frozen 1"))
			return;
		syscall(SYS_nanosleep, &pause, NULL);
	}
	die("fault_steps: the tasks don't freeze\n");
}

/* Opened before it is armed: to open it takes memory, too. */
static int nth_fd = -1;

static void write_nth(long n)
{
	char text[24];
	long len = snprintf(text, sizeof(text), "%ld", n);

	if (syscall(SYS_pwrite64, nth_fd, text, len, 0) != len)
		die("fault_steps: can't write fail-nth\n");
}

static void arm(void)
{
	nth_fd = syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		die("fault_steps: can't open fail-nth\n");
	write_nth(nth);
}

/* Returns whether it has happened. */
static bool disarm(void)
{
	char text[24] = "";
	bool happened;

	if (syscall(SYS_pread64, nth_fd, text, sizeof(text) - 1, 0) <= 0)
		die("fault_steps: can't read fail-nth\n");
	happened = !strtol(text, NULL, 10);
	write_nth(0);
	syscall(SYS_close, nth_fd);
	return happened;
}

static void numbers_out(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (!isdigit((unsigned char)*s))
			*to++ = *s;
		else if (!isdigit((unsigned char)s[1]))
			*to++ = 'N';
	}
	*to = '\0';
}

static enum action reached(const char *call, const char *object)
{
	char name[sizeof(counted->name)], step[sizeof(name) + 16];
	struct counted *c = counted;
	int len;

	len = snprintf(name, sizeof(name), "%s %s%s", process(), call, object ? " " : "");
	if (object)
		snprintf(name + len, sizeof(name) - len, "%s", object);
	numbers_out(name + len);
	while (*c->name && strcmp(c->name, name))
		if (++c == counted + sizeof(counted) / sizeof(*counted))
			die("fault_steps: too many names\n");
	strcpy(c->name, name);
	snprintf(step, sizeof(step), "%s #%u", name, ++c->nr);

	if (list) {
		strcat(step, "\n");
		append(list, step);
	}
	if (!*at || strcmp(step, at))
		return GO_ON;
	switch (action) {
	case KILL_BOTH:
		syscall(SYS_kill, main_pid, SIGKILL);
		kill_self();
		break;
	case KILL_FROZEN:
		freeze();
		kill_self();
		break;
	case KILL_BEFORE:
		kill_self();
		break;
	case NTH:
		arm();
		break;
	case FAIL:
	case SHORT:
		mark("done");
		errno = error;
		break;
	default:
		break;
	}
	return action;
}

/* Is it one, and what is to be done with it? */
static enum action step(const void *caller, const char *call, int fd, const char *object)
{
	const int saved_errno = errno;
	enum action what = NO_STEP;
	char buf[64];

	if (!active || (fd < 0 && !in_plugin(caller)))
		return NO_STEP;
	if (!object && fd >= 0)
		object = object_of(fd, buf, sizeof(buf));
	if ((fd >= 0 && object) || in_plugin(caller))
		what = reached(call, object);
	if (what != FAIL)
		errno = saved_errno;
	return what;
}

static void done(enum action what)
{
	const int saved_errno = errno;

	switch (what) {
	case KILL_AFTER:
		kill_self();
		break;
	case NTH:
		mark(disarm() ? "done" : "not reached");
		break;
	case ARM:
		mark("done");
		arm();
		syscall(SYS_close, nth_fd);
		break;
	default:
		break;
	}
	errno = saved_errno;
}

#define REAL(name) ({						\
	static __typeof__(&name) real_##name;			\
	if (!real_##name)					\
		real_##name = dlsym(RTLD_NEXT, #name);		\
	real_##name;						\
})

#define STEP(failed, call, fd, object, real) ({				\
	const enum action what = step(CALLER, call, fd, object);	\
	__typeof__(real) result = failed;				\
	if (what != FAIL) {						\
		result = real;						\
		done(what);						\
	}								\
	result;								\
})

/* The same with a length, @size, that may be cut. */
#define STEP_SIZE(call, fd, object, size, real) ({			\
	const enum action what = step(CALLER, call, fd, object);	\
	ssize_t result = -1;						\
	if (what == SHORT)						\
		size = (size + 1) / 2;					\
	if (what != FAIL) {						\
		result = real;						\
		done(what);						\
	}								\
	result;								\
})

/* ---- memory -------------------------------------------------------------- */

void *malloc(size_t size)
{
	return STEP(NULL, "malloc", -1, NULL, __libc_malloc(size));
}

void *calloc(size_t nr, size_t size)
{
	return STEP(NULL, "calloc", -1, NULL, __libc_calloc(nr, size));
}

void *reallocarray(void *p, size_t nr, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(nr, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return STEP(NULL, "reallocarray", -1, NULL, __libc_realloc(p, bytes));
}

static char *copy(const char *s, size_t len)
{
	char *new = __libc_malloc(len + 1);

	if (new) {
		memcpy(new, s, len);
		new[len] = '\0';
	}
	return new;
}

char *strdup(const char *s)
{
	return STEP(NULL, "strdup", -1, NULL, copy(s, strlen(s)));
}

char *strndup(const char *s, size_t n)
{
	return STEP(NULL, "strndup", -1, NULL, copy(s, strnlen(s, n)));
}

int asprintf(char **s, const char *format, ...)
{
	va_list args;
	int ret;

	va_start(args, format);
	ret = STEP(-1, "asprintf", -1, NULL, vasprintf(s, format, args));
	va_end(args);
	return ret;
}

/* ---- files --------------------------------------------------------------- */

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return STEP(-1, "open", -1, !strcmp(path, PRAM_DEVICE_PATH) ? "device" : "file",
		    REAL(open64)(path, flags, mode));
}

FILE *fopen64(const char *path, const char *mode)
{
	return STEP(NULL, "fopen", -1, NULL, REAL(fopen64)(path, mode));
}

ssize_t __getdelim(char **line, size_t *size, int delimiter, FILE *file)
{
	return STEP(-1, "getdelim", -1, NULL, REAL(__getdelim)(line, size, delimiter, file));
}

int faccessat(int dfd, const char *path, int mode, int flags)
{
	return STEP(-1, "faccessat", -1, NULL, REAL(faccessat)(dfd, path, mode, flags));
}

ssize_t readlink(const char *path, char *buf, size_t size)
{
	return STEP(-1, "readlink", -1, NULL, REAL(readlink)(path, buf, size));
}

int fstat64(int fd, struct stat64 *st)
{
	return STEP(-1, "fstat", fd, NULL, REAL(fstat64)(fd, st));
}

/* The descriptor is closed all the same, as close(2) does. */
int close(int fd)
{
	const enum action what = step(CALLER, "close", fd, NULL);
	const int saved_errno = errno;
	const int ret = syscall(SYS_close, fd);

	if (what == FAIL) {
		errno = saved_errno;
		return -1;
	}
	done(what);
	return ret;
}

int fcntl64(int fd, int command, ...)
{
	va_list args;
	long arg;

	va_start(args, command);
	arg = va_arg(args, long);
	va_end(args);
	return STEP(-1, "fcntl", fd, NULL, REAL(fcntl64)(fd, command, arg));
}

int dup(int fd)
{
	return STEP(-1, "dup", fd, NULL, REAL(dup)(fd));
}

int dup2(int fd, int to)
{
	return STEP(-1, "dup2", fd, NULL, REAL(dup2)(fd, to));
}

int dup3(int fd, int to, int flags)
{
	return STEP(-1, "dup3", fd, NULL, REAL(dup3)(fd, to, flags));
}

off64_t lseek64(int fd, off64_t offset, int whence)
{
	return STEP(-1, "lseek", fd, NULL, REAL(lseek64)(fd, offset, whence));
}

int ftruncate64(int fd, off64_t size)
{
	return STEP(-1, "ftruncate", fd, NULL, REAL(ftruncate64)(fd, size));
}

int memfd_create(const char *name, unsigned int flags)
{
	return STEP(-1, "memfd_create", -1, name,
		    REAL(memfd_create)(name, flags));
}

ssize_t read(int fd, void *buf, size_t size)
{
	return STEP_SIZE("read", fd, NULL, size, REAL(read)(fd, buf, size));
}

ssize_t write(int fd, const void *buf, size_t size)
{
	return STEP_SIZE("write", fd, NULL, size, REAL(write)(fd, buf, size));
}

ssize_t pread64(int fd, void *buf, size_t size, off64_t offset)
{
	return STEP_SIZE("pread", fd, NULL, size, REAL(pread64)(fd, buf, size, offset));
}

ssize_t preadv64(int fd, const struct iovec *iov, int nr, off64_t offset)
{
	return STEP_SIZE("preadv", fd, NULL, nr, REAL(preadv64)(fd, iov, nr, offset));
}

ssize_t writev(int fd, const struct iovec *iov, int nr)
{
	return STEP_SIZE("writev", fd, NULL, nr, REAL(writev)(fd, iov, nr));
}

/* Into what comes from the plugin, or out of it. */
static int of_plugin(int out, int in)
{
	char buf[64];

	return active && object_of(out, buf, sizeof(buf)) ? out : in;
}

ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t size,
	       unsigned int flags)
{
	return STEP_SIZE("splice", of_plugin(out, in), NULL, size,
			 REAL(splice)(in, in_offset, out, out_offset, size, flags));
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t size)
{
	return STEP_SIZE("sendfile", of_plugin(out, in), NULL, size,
			 REAL(sendfile64)(out, in, offset, size));
}

int ioctl(int fd, unsigned long request, ...)
{
	static const struct {
		unsigned long request;
		const char *name;
	} names[] = {
		{ PRAM_IOCTL_INFO, "ioctl INFO" }, { PRAM_IOCTL_SAVE, "ioctl SAVE" },
		{ PRAM_IOCTL_LOAD, "ioctl LOAD" }, { PRAM_IOCTL_COMMIT, "ioctl COMMIT" },
		{ PRAM_IOCTL_STAT, "ioctl STAT" }, { PRAM_IOCTL_LIST, "ioctl LIST" },
		{ PRAM_IOCTL_FREE, "ioctl FREE" }, { PRAM_IOCTL_SEAL, "ioctl SEAL" },
		{ PRAM_IOCTL_ADOPT, "ioctl ADOPT" }, { PRAM_IOCTL_MAP, "ioctl MAP" },
		{ PRAM_IOCTL_ADOPT_PRESENT, "ioctl PRESENT" },
		{ PRAM_IOCTL_ADOPT_FILE, "ioctl FILE" },
	};
	const char *call = "ioctl", *node = NULL;
	struct pram_ioctl_save *save;
	enum action what;
	va_list args;
	void *arg;
	int ret;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);

	if (!in_plugin(CALLER))
		return REAL(ioctl)(fd, request, arg);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].request == request)
			call = names[i].name;
	/* Both structs are the same as far as that goes. */
	save = request == PRAM_IOCTL_SAVE || request == PRAM_IOCTL_LOAD ? arg : NULL;
	if (save)
		node = image_of(save->name);
	what = step(CALLER, call, fd, node);
	if (what == FAIL)
		return -1;
	ret = REAL(ioctl)(fd, request, arg);
	if (!ret && save)
		stream_add(save->fd, save->name);
	committed |= dumps && !ret && request == PRAM_IOCTL_COMMIT;
	done(what);
	return ret;
}

/* ---- other calls --------------------------------------------------------- */

int socketpair(int domain, int type, int protocol, int fds[2])
{
	return STEP(-1, "socketpair", -1, NULL, REAL(socketpair)(domain, type, protocol, fds));
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	return STEP(-1, "setsockopt", -1, NULL, REAL(setsockopt)(fd, level, option, value, len));
}

static int passed_fd(const struct msghdr *msg)
{
	const struct cmsghdr *c = msg->msg_control ? CMSG_FIRSTHDR(msg) : NULL;
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len >= CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* By the plugin, to its queue; by criu, what is from the plugin, to its fdstore. */
ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return STEP(-1, "sendmsg", passed_fd(msg), NULL, REAL(sendmsg)(fd, msg, flags));
}

/* What is received can be seen only then: "before" is no different from "after". */
ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	const ssize_t n = REAL(recvmsg)(fd, msg, flags);
	int saved_errno = errno, passed = n < 0 ? -1 : passed_fd(msg);
	enum action what;

	what = step(CALLER, "recvmsg", passed, NULL);
	if (what == FAIL) {
		saved_errno = errno;
		if (passed >= 0)
			syscall(SYS_close, passed);
		errno = saved_errno;
		return -1;
	}
	done(what);
	errno = saved_errno;
	return n;
}

int pidfd_open(pid_t pid, unsigned int flags)
{
	return STEP(-1, "pidfd_open", -1, NULL, REAL(pidfd_open)(pid, flags));
}

int uname(struct utsname *uts)
{
	return STEP(-1, "uname", -1, NULL, REAL(uname)(uts));
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	return STEP(-1, "clock_gettime", -1, NULL, REAL(clock_gettime)(clock, ts));
}

/* What decides on whether tasks outlive criu: the last steps of either way. */
long ptrace(enum __ptrace_request request, ...)
{
	long (*real)(int request, pid_t pid, void *addr, void *data) = dlsym(RTLD_NEXT, "ptrace");
	enum action what = NO_STEP;
	va_list args;
	void *addr, *data;
	pid_t pid;
	long ret;

	va_start(args, request);
	pid = va_arg(args, pid_t);
	addr = va_arg(args, void *);
	data = va_arg(args, void *);
	va_end(args);

	if (active && request == PTRACE_SETOPTIONS && (unsigned long)data == PTRACE_O_EXITKILL)
		what = reached("ptrace", "EXITKILL");
	else if (active && request == PTRACE_DETACH)
		what = reached("ptrace", "DETACH");
	else if (active && committed)
		what = reached("ptrace", "call");
	if (what == FAIL)
		return -1;
	ret = real(request, pid, addr, data);
	done(what);
	return ret;
}
