// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "pram.h"
#include "tasks.h"
#include "util.h"

/* Inodes that were looked at: those of a family are the same for all of it. */
struct inode {
	dev_t	dev;
	ino_t	ino;
};

/* CRIU's default for deleted files that it puts into its images. */
#define GHOST_MAX	((uint64_t)1 << 20)

struct look {
	struct pram_tasks	*tasks;
	int			pidfd;		/* of the task that is looked at */
	struct inode		*seen;
	size_t			nr_seen;
	struct inode		namespace;	/* our mount namespace */
	bool			same_namespace;	/* as the task that is looked at */
	bool			all_namespaces;	/* no mount namespace is dumped */
	dev_t			shmem_dev;	/* of shared memory that has no file system */
	bool			failed;		/* out of memory */
};

/* Appends one element: a pointer to it, cleared, or NULL. */
static void *append(void *array, size_t *nr, size_t size)
{
	void **p = array;
	char *more = *p;

	/* Doubled each time that it is full. */
	if (!(*nr & (*nr - 1)) || !*nr) {
		more = reallocarray(*p, *nr ? 2 * *nr : 1, size);
		if (!more)
			return NULL;
		*p = more;
	}
	return memset(more + (*nr)++ * size, 0, size);
}

/* Each once; linear, as there are few: files of one kind that tasks have open. */
static bool is_new(struct look *look, const struct stat *st)
{
	struct inode *inode;

	for (size_t i = 0; i < look->nr_seen; i++) {
		if (look->seen[i].dev == st->st_dev && look->seen[i].ino == st->st_ino)
			return false;
	}
	inode = append(&look->seen, &look->nr_seen, sizeof(*inode));
	if (!inode) {
		look->failed = true;
		return false;
	}
	*inode = (struct inode){ st->st_dev, st->st_ino };
	return true;
}

/* The options of a line of mountinfo that is of that device, or NULL. */
static const char *options_of(const char *line, dev_t dev)
{
	unsigned int major, minor;
	const char *rest = strstr(line, " - ");

	if (!rest || sscanf(line, "%*d %*d %u:%u", &major, &minor) != 2 ||
	    makedev(major, minor) != dev)
		return NULL;
	/* Type, source, options of the file system. */
	rest = strchr(rest + 3, ' ');
	return rest ? strchr(rest + 1, ' ') : NULL;
}

/* Is the file system one that is saved for the next kernel? */
static bool is_kept(pid_t pid, dev_t dev)
{
	char path[64], *line = NULL;
	size_t size = 0;
	bool kept = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	file = fopen(path, "re");
	while (file && !kept && getline(&line, &size, file) > 0) {
		const char *options = options_of(line, dev);

		kept = options && (strstr(options, ",pram=") || strstr(options, " pram="));
	}
	free(line);
	if (file)
		fclose(file);
	return kept;
}

/* ---- what criu refuses ------------------------------------------------- */

/* Once for each task: it may have thousands of a kind. */
static void refuse(struct look *look, pid_t pid, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void refuse(struct look *look, pid_t pid, const char *format, ...)
{
	struct pram_tasks *tasks = look->tasks;
	struct pram_task_refused *refused;
	va_list args;
	char *what;
	int ret;

	va_start(args, format);
	ret = vasprintf(&what, format, args);
	va_end(args);
	if (ret < 0) {
		look->failed = true;
		return;
	}
	for (size_t i = 0; i < tasks->nr_refused; i++) {
		if (tasks->refused[i].pid == pid && !strcmp(tasks->refused[i].what, what)) {
			free(what);
			return;
		}
	}
	refused = append(&tasks->refused, &tasks->nr_refused, sizeof(*refused));
	if (!refused) {
		free(what);
		look->failed = true;
		return;
	}
	*refused = (struct pram_task_refused){ pid, what };
}

static void look_at_anon_inode(struct look *look, pid_t pid, const char *name)
{
	/* bpf-map: as criu was built. */
	static const char *const served[] = {
		"[eventfd]", "[eventpoll]", "inotify", "[fanotify]", "[signalfd]", "[timerfd]",
		"[pidfd]", "bpf-map",
	};

	for (size_t i = 0; i < sizeof(served) / sizeof(*served); i++) {
		if (!strcmp(name, served[i]))
			return;
	}
	if (!strcmp(name, "[io_uring]"))
		refuse(look, pid, "an io_uring: make it use epoll, or see kernel.io_uring_disabled");
	else
		refuse(look, pid, "%.64s open, which criu does not dump", name);
}

static void look_at_socket(struct look *look, pid_t pid, const char *number)
{
	socklen_t len = sizeof(int);
	_cleanup_close_ int fd = -1;
	int domain, protocol = 0;

	if (look->pidfd >= 0)
		fd = pidfd_getfd(look->pidfd, atoi(number), 0);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len))
		return;
	len = sizeof(protocol);
	getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);
	switch (domain) {
	case AF_UNIX:
	case AF_PACKET:
	case AF_NETLINK:
		return;
	case AF_INET:
	case AF_INET6:
		if (protocol == IPPROTO_MPTCP)
			refuse(look, pid, "an MPTCP socket: make it use TCP, or set net.mptcp.enabled=0");
		else if (protocol == IPPROTO_SCTP)
			refuse(look, pid, "an SCTP socket, which criu does not dump");
		return;
	default:
		refuse(look, pid, "a socket of family %d, which criu does not dump", domain);
	}
}

/* A file that has no name any more, which criu has to keep. */
static void look_at_deleted(struct look *look, pid_t pid, const char *link, const char *path,
			    const struct stat *st, unsigned long fs_type)
{
	const uint64_t bytes = (uint64_t)st->st_blocks * 512;
	struct statvfs fs;

	if (st->st_nlink) {
		refuse(look, pid, "%.200s, which has another name: make it close the file", path);
		return;
	}
	if (bytes > GHOST_MAX)
		refuse(look, pid, "%.200s, of %" PRIu64 " MiB, which is more than criu keeps of a deleted file: restart it",
		       path, bytes >> 20);
	else if (fs_type != TMPFS_MAGIC && !statvfs(link, &fs) && fs.f_flag & ST_RDONLY)
		refuse(look, pid, "%.200s, which can't be created again on its read-only file system: restart it",
		       path);
}

static void look_at_refused(struct look *look, pid_t pid, const char *link, bool mapped)
{
	static const char anon[] = "anon_inode:", deleted[] = " (deleted)";
	const char *number = strrchr(link, '/') + 1;
	struct statfs fs;
	struct stat st;
	char path[4096];
	ssize_t len = readlink(link, path, sizeof(path) - 1);

	if (len <= 0 || stat(link, &st))
		return;
	path[len] = 0;
	if (!strncmp(path, "/secretmem", 10)) {
		refuse(look, pid, "memory of memfd_secret(2), which no other process can read");
	} else if (!strncmp(path, anon, strlen(anon))) {
		look_at_anon_inode(look, pid, path + strlen(anon));
	} else if (S_ISSOCK(st.st_mode)) {
		look_at_socket(look, pid, number);
	} else if (S_ISBLK(st.st_mode)) {
		refuse(look, pid, "%.200s open, a device, which criu does not dump", path);
	} else if (S_ISREG(st.st_mode) && len > (ssize_t)strlen(deleted) &&
		   !strcmp(path + len - strlen(deleted), deleted) && !statfs(link, &fs)) {
		/* Memory that is shared looks so, too. */
		if (fs.f_type == HUGETLBFS_MAGIC || !strncmp(path, "/memfd:", 7) ||
		    (mapped && fs.f_type == TMPFS_MAGIC))
			return;
		look_at_deleted(look, pid, link, path, &st, fs.f_type);
	}
}

/* ---- what a kexec destroys --------------------------------------------- */

static bool is_in_memory(const struct statfs *fs)
{
	return fs->f_type == TMPFS_MAGIC || fs->f_type == RAMFS_MAGIC;
}

/* A file by its link in /proc. */
static void look_at_file(struct look *look, pid_t pid, const char *link)
{
	struct pram_task_file *lost;
	struct statfs fs;
	struct stat st;
	char path[4096];
	ssize_t len;

	if (stat(link, &st) || !S_ISREG(st.st_mode) || statfs(link, &fs) || !is_in_memory(&fs))
		return;
	if (!is_new(look, &st))
		return;
	if (!st.st_nlink) {
		uint64_t *bytes = st.st_dev == look->shmem_dev ? &look->tasks->shared_bytes :
								 &look->tasks->ghost_bytes;

		*bytes += (uint64_t)st.st_blocks * 512;
		return;
	}
	if ((!look->same_namespace && !look->all_namespaces) || is_kept(pid, st.st_dev))
		return;
	len = readlink(link, path, sizeof(path) - 1);
	path[len > 0 ? len : 0] = 0;
	lost = append(&look->tasks->lost, &look->tasks->nr_lost, sizeof(*lost));
	if (lost)
		*lost = (struct pram_task_file){ st.st_dev, st.st_ino, pid, strdup(path) };
	look->failed |= !lost || !lost->path;
}

bool pram_file_is_lost(pid_t pid, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	_cleanup_close_ int root = -1, fd = -1;
	struct statfs fs;
	char link[64];
	struct stat st;

	snprintf(link, sizeof(link), "/proc/%d/root", pid);
	root = open(link, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return true;
	/* A symlink leads there where it leads that process. */
	fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
	if (fd < 0 || fstat(fd, &st) || fstatfs(fd, &fs))
		return true;
	return is_in_memory(&fs) && !is_kept(pid, st.st_dev);
}

static void look_at_fds(struct look *look, pid_t pid)
{
	char path[64], link[64 + 256];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir && errno == EACCES && !look->tasks->unseen)
		look->tasks->unseen = pid;
	while (dir && (entry = readdir(dir))) {
		snprintf(link, sizeof(link), "%s/%s", path, entry->d_name);
		if (*entry->d_name == '.')
			continue;
		look_at_file(look, pid, link);
		look_at_refused(look, pid, link, false);
	}
	if (dir)
		closedir(dir);
}

static void look_at_maps(struct look *look, pid_t pid)
{
	unsigned long start, end, ino;
	char path[64], *line = NULL;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "re");
	while (file && getline(&line, &size, file) > 0) {
		if (sscanf(line, "%lx-%lx %*s %*s %*s %lu", &start, &end, &ino) != 3 || !ino)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", pid, start, end);
		look_at_file(look, pid, path);
		look_at_refused(look, pid, path, true);
	}
	free(line);
	if (file)
		fclose(file);
}

/* A number behind @key at the begin of a line of a file in /proc; 0 if there is none. */
static uint64_t number_in(const char *path, const char *key)
{
	uint64_t number = 0;
	char *line = NULL;
	size_t size = 0;
	FILE *file = fopen(path, "re");

	while (file && getline(&line, &size, file) > 0) {
		if (strncmp(line, key, strlen(key)))
			continue;
		number = strtoull(line + strlen(key), NULL, 10);
		break;
	}
	free(line);
	if (file)
		fclose(file);
	return number;
}

static void look_at_task(struct look *look, pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	look->same_namespace = !stat(path, &st) && st.st_dev == look->namespace.dev &&
			       st.st_ino == look->namespace.ino;
	look->pidfd = pidfd_open(pid, 0);
	look_at_fds(look, pid);
	look_at_maps(look, pid);
	if (look->pidfd >= 0)
		close(look->pidfd);
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	look->tasks->hugetlb_bytes += number_in(path, "HugetlbPages:") * 1024;
	look->tasks->anon_bytes += number_in(path, "RssAnon:") * 1024;
	snprintf(path, sizeof(path), "/proc/%d/ksm_stat", pid);
	look->tasks->ksm_bytes += number_in(path, "ksm_merging_pages ") * sysconf(_SC_PAGESIZE);
}

/* Appends the children of all threads of a task. */
static int add_children(struct pram_tasks *tasks, pid_t pid)
{
	char path[64], file_path[64 + 256 + 16];
	struct dirent *entry;
	int child, ret = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && !ret && (entry = readdir(dir))) {
		FILE *file;

		if (*entry->d_name == '.')
			continue;
		snprintf(file_path, sizeof(file_path), "%s/%s/children", path, entry->d_name);
		file = fopen(file_path, "re");
		while (file && !ret && fscanf(file, "%d", &child) == 1) {
			pid_t *place = append(&tasks->pids, &tasks->nr, sizeof(*place));

			if (place)
				*place = child;
			else
				ret = -ENOMEM;
		}
		if (file)
			fclose(file);
	}
	if (dir)
		closedir(dir);
	return ret;
}

/* The device of memfds, and so of all shared memory that is not a file of a tmpfs. */
static dev_t find_shmem_dev(void)
{
	const int fd = memfd_create("pram", MFD_CLOEXEC);
	struct stat st = { 0 };

	if (fd < 0)
		return 0;
	fstat(fd, &st);
	close(fd);
	return st.st_dev;
}

static int look_at_family(pid_t root, struct pram_tasks *tasks, bool all_namespaces)
{
	struct look look = { .tasks = tasks, .all_namespaces = all_namespaces };
	struct stat st;
	char path[64];
	pid_t *place;
	int ret = 0;

	*tasks = (struct pram_tasks){ 0 };
	snprintf(path, sizeof(path), "/proc/%d", root);
	if (root <= 0 || access(path, F_OK))
		return -ESRCH;
	place = append(&tasks->pids, &tasks->nr, sizeof(*place));
	if (!place)
		return -ENOMEM;
	*place = root;
	look.shmem_dev = find_shmem_dev();
	if (!stat("/proc/self/ns/mnt", &st))
		look.namespace = (struct inode){ st.st_dev, st.st_ino };

	/* The list grows while it is read: breadth first. */
	for (size_t i = 0; i < tasks->nr && !ret; i++) {
		const pid_t pid = tasks->pids[i];

		look_at_task(&look, pid);
		ret = look.failed ? -ENOMEM : add_children(tasks, pid);
	}
	free(look.seen);
	return ret;
}

int pram_tasks_look(pid_t root, struct pram_tasks *tasks)
{
	return look_at_family(root, tasks, false);
}

int pram_tasks_look_service(pid_t root, struct pram_tasks *tasks)
{
	return look_at_family(root, tasks, true);
}

uint64_t pram_tasks_copied(const struct pram_tasks *tasks, bool all, uint64_t features,
			   uint64_t *least)
{
	const bool files = features & PRAM_FEATURE_ADOPT_FILE;
	const uint64_t sure = tasks->ghost_bytes + tasks->ksm_bytes +
			      (all ? tasks->anon_bytes : 0) +
			      (all || !files ? tasks->shared_bytes : 0);

	/* All tasks may have the same huge pages. */
	*least = sure + (tasks->nr ? tasks->hugetlb_bytes / tasks->nr : 0);
	return sure + tasks->hugetlb_bytes;
}

void pram_tasks_free(struct pram_tasks *tasks)
{
	for (size_t i = 0; i < tasks->nr_lost; i++)
		free(tasks->lost[i].path);
	free(tasks->lost);
	for (size_t i = 0; i < tasks->nr_refused; i++)
		free(tasks->refused[i].what);
	free(tasks->refused);
	free(tasks->pids);
	*tasks = (struct pram_tasks){ 0 };
}

int pram_room_get(struct pram_room *room)
{
	static const char meminfo[] = "/proc/meminfo";
	static const char *const droppable[] = {
		"MemFree:", "Buffers:", "Cached:", "SReclaimable:", "SwapFree:",
	};
	uint64_t shmem;

	*room = (struct pram_room){ 0 };
	if (access(meminfo, R_OK))
		return -errno;
	room->available = number_in(meminfo, "MemAvailable:") * 1024;
	for (size_t i = 0; i < sizeof(droppable) / sizeof(*droppable); i++)
		room->most += number_in(meminfo, droppable[i]) * 1024;
	/* It is counted as cached, but can only be swapped out. */
	shmem = number_in(meminfo, "Shmem:") * 1024;
	room->most -= shmem < room->most ? shmem : room->most;
	if (room->most < room->available)
		room->most = room->available;
	return 0;
}
