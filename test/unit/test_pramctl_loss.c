// SPDX-License-Identifier: GPL-2.0-only
/* pramctl check --kexec, check --reboot: what would be lost, and the next kernel */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoint.h"
#include "pramctl_harness.h"
#include "tasks.h"

/* It must exit so and say that. */
static void expect_verdict(const char *option, int status, const char *what)
{
	char line[600];

	snprintf(line, sizeof(line), "check %s --root ", option);
	assert_int_equal(run(in_scratch(line, "")), status);
	assert_string_equal(last.err, "");
	if (!strstr(last.out, what))
		fail_msg("no '%s' in: %s", what, last.out);
}

static void test_check_loss(void **state)
{
	int fd;

	(void)state;
	make_system("0\n", "0\n", "");
	expect_verdict("--kexec", PRAMCTL_OK, "A kexec would lose nothing in PRAM now.\n");
	expect_verdict("--reboot", PRAMCTL_OK, "A reboot would lose nothing in PRAM.\n");

	add_golden_checkpoint();
	expect_verdict("--reboot", PRAMCTL_FAILED, "lost     nodes                      3, with ");
	expect_verdict("--reboot", PRAMCTL_FAILED, "A reboot would lose data; a kexec need not.\n");
	expect_verdict("--kexec", PRAMCTL_FAILED, "none is loaded; load one with: kexec -s -l");
	expect_verdict("--kexec", PRAMCTL_FAILED, "A kexec would lose data now.\n");
	expect_verdict("--kexec --json", PRAMCTL_FAILED, "\"safe\": false");
	make_system("1\n", "0\n", "");
	expect_verdict("--kexec", PRAMCTL_FAILED, "it will get no nodes; load one with: kexec -s -l");
	make_system("1\n", "1\n", "");
	expect_verdict("--kexec", PRAMCTL_OK, "loaded, it will get the nodes\n");
	expect_verdict("--kexec --json", PRAMCTL_OK, "\"safe\": true");
	/* What cannot be seen is not safe. */
	unlink(in_scratch("", "sys/kernel/pram/kexec_ready"));
	expect_verdict("--kexec", PRAMCTL_FAILED, "kexec_ready can't be read");
	make_system("1\n", "1\n", "");
	unlink(in_scratch("", "proc/self/mountinfo"));
	expect_verdict("--kexec", PRAMCTL_FAILED, "mountinfo can't be read");

	make_system("1\n", "1\n", "");
	fd = pram_save(test_dev(), "half", PRAM_BYTE_STREAM, 0);
	expect_verdict("--kexec", PRAMCTL_FAILED, "1 are not committed; wait");
	expect_verdict("--reboot", PRAMCTL_FAILED, "1 are not committed; wait");
	close(fd);
	expect_verdict("--kexec", PRAMCTL_OK, "");

	/* What is broken is lost already. */
	fake_pram_break("criu:" NAME, false);
	fake_pram_break("criu:" NAME ":pages-1.img", false);
	fake_pram_break("criu:" NAME ":pages-2.img", false);
	expect_verdict("--reboot", PRAMCTL_OK, "nodes                      none\n");
}

static void test_check_loss_of_mounts(void **state)
{
	static const char rest[] =
		"24 1 0:22 / /a\\040b rw,relatime shared:2 - tmpfs none rw,size=4k,pram=x,nr_inodes=5\n";
	static const char *const no_loss[] = {
		/* Saved; no name; another file system; not a word of it. */
		"24 1 0:22 / /a ro,relatime - tmpfs none ro,pram=x\n",
		"24 1 0:22 / /a rw,relatime - tmpfs none rw,nopram=x\n",
		"24 1 0:22 / /a rw,relatime - ext4 none rw,pram=x\n",
		"24 1 0:22 / /a\n - tmpfs \n\n- tmpfs\n",
		"24 - tmpfs rw,pram=x\n",
	};

	(void)state;
	make_system("1\n", "1\n", rest);
	expect_verdict("--kexec", PRAMCTL_FAILED,
		       "tmpfs pram=x               mounted for writing, so it is not saved; umount /a");
	expect_verdict("--reboot", PRAMCTL_FAILED, "mount -o remount,ro /a");
	/* A mount that cannot be written to, of a file system that can. */
	make_system("1\n", "1\n", "24 1 0:22 / /a ro - tmpfs none rw,pram=x");
	expect_verdict("--kexec", PRAMCTL_FAILED, "tmpfs pram=x ");
	for (size_t i = 0; i < sizeof(no_loss) / sizeof(*no_loss); i++) {
		make_system("0\n", "0\n", no_loss[i]);
		expect_verdict("--kexec", PRAMCTL_OK, "nothing");
	}
}

/* Files on a tmpfs that nobody saves, which tasks in a checkpoint had open. */
static void test_check_loss_of_files(void **state)
{
	const struct pram_writer_options options = { .checksums = true };
	char in_memory[] = "/dev/shm/pram-test-XXXXXX", on_disk[] = "/proc/version";
	struct pram_task_file files[] = { { .path = in_memory }, { .path = on_disk } };
	const struct pram_tasks tasks = { .lost = files, .nr_lost = 2 };
	struct pram_checkpoint_writer *w;
	struct statfs fs;
	int fd;

	(void)state;
	if (statfs("/dev/shm", &fs) || fs.f_type != TMPFS_MAGIC)
		skip();
	fd = mkstemp(in_memory);
	assert_true(fd >= 0);
	close(fd);
	make_system("1\n", "1\n", "");
	assert_int_equal(pram_writer_create(test_dev(), "/files", &options, &w), 0);
	assert_int_equal(pram_writer_set_lost_files(w, &tasks, NULL), 0);
	expect_verdict("--kexec", PRAMCTL_FAILED, "are not committed");
	assert_int_equal(pram_writer_seal(w), 0);
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);
	expect_verdict("--kexec", PRAMCTL_FAILED, "lost     file of /files             /dev/shm/pram-test-");
	assert_non_null(strstr(last.out, ", in memory that a kexec destroys; copy it to a disk, and back"));
	assert_null(strstr(last.out, on_disk));
	/* A file that is gone already is not there for a restore, either. */
	unlink(in_memory);
	expect_verdict("--kexec", PRAMCTL_FAILED, "file of /files             /dev/shm/pram-test-");
	fake_pram_break("criu:/files", false);
	expect_verdict("--kexec", PRAMCTL_OK, "nothing");
}

/* The checkpoint "/files" of a task that had this file, seen from there. */
static void put_checkpoint_with(char *path, const struct pram_place_root *root)
{
	const struct pram_writer_options options = { .checksums = true };
	struct pram_task_file file = { .path = path };
	const struct pram_tasks tasks = { .lost = &file, .nr_lost = 1 };
	struct pram_checkpoint_writer *w;

	assert_int_equal(pram_writer_create(test_dev(), "/files", &options, &w), 0);
	assert_int_equal(pram_writer_set_lost_files(w, &tasks, root), 0);
	assert_int_equal(pram_writer_seal(w), 0);
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);
}

static char on_disk[64], in_memory[64], link_there[64];	/* here */

static int write_map(const char *path, const char *format, unsigned int id)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return -1;
	fprintf(file, format, id);
	return fclose(file);
}

/* Into a mount namespace of our own, with a user namespace where we may mount. */
static int go_elsewhere(void)
{
	const unsigned int uid = getuid(), gid = getgid();

	return unshare(CLONE_NEWUSER | CLONE_NEWNS) || write_map("/proc/self/setgroups", "deny", 0) ||
	       write_map("/proc/self/uid_map", "0 %u 1", uid) || write_map("/proc/self/gid_map", "0 %u 1", gid);
}

/* A process of another mount namespace, where it is the other way round, and a symlink: its pid, or 0 if there can be none. */
static pid_t start_elsewhere(const char *dir, struct pram_place_root *root)
{
	int ready[2];
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		if (go_elsewhere() || mount(on_disk, in_memory, NULL, MS_BIND, NULL) ||
		    mount("none", dir, "tmpfs", 0, NULL) || creat(on_disk, 0600) < 0 ||
		    symlink(in_memory, link_there) || pram_place_root(root) ||
		    write(ready[1], root, sizeof(*root)) != sizeof(*root))
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], root, sizeof(*root)) != sizeof(*root)) {
		waitpid(pid, NULL, 0);
		pid = 0;
	}
	close(ready[0]);
	return pid;
}

/* Of a checkpoint with this file, seen from there. */
static void expect_file(char *path, const struct pram_place_root *root, int status, const char *what)
{
	put_checkpoint_with(path, root);
	expect_verdict("--kexec", status, what);
	assert_int_equal(pram_checkpoint_remove(test_dev(), "/files", NULL), 0);
}

/* criu has run in another mount namespace: of a service's sandbox, say. Its paths mean something else here. */
static void test_check_loss_of_files_elsewhere(void **state)
{
	static const char gone[] = ", in memory that a kexec destroys; its mount namespace is gone or not visible";
	char dir[] = "/var/tmp/pram-test-XXXXXX";
	struct pram_place_root root, unknown = { 0 };
	struct statfs fs;
	pid_t pid;
	int fd;

	(void)state;
	if (statfs("/var/tmp", &fs) || fs.f_type == TMPFS_MAGIC || statfs("/dev/shm", &fs) ||
	    fs.f_type != TMPFS_MAGIC)
		skip();
	assert_non_null(mkdtemp(dir));
	snprintf(on_disk, sizeof(on_disk), "%s/file", dir);
	snprintf(link_there, sizeof(link_there), "%s/link", dir);
	strcpy(in_memory, "/dev/shm/pram-test-XXXXXX");
	fd = mkstemp(in_memory);
	assert_true(fd >= 0);
	close(fd);
	fd = creat(on_disk, 0600);
	assert_true(fd >= 0);
	close(fd);
	make_system("1\n", "1\n", "");
	pid = start_elsewhere(dir, &root);
	if (pid) {
		expect_file(on_disk, NULL, PRAMCTL_OK, "nothing");
		expect_file(on_disk, &root, PRAMCTL_FAILED, "lost     file of /files             /var/tmp/pram-test-");
		assert_null(strstr(last.out, "mount namespace"));
		expect_file(in_memory, NULL, PRAMCTL_FAILED, "/dev/shm/pram-test-");
		expect_file(in_memory, &root, PRAMCTL_OK, "nothing");
		expect_file(link_there, &root, PRAMCTL_OK, "nothing");
		/* When the last process of it has gone, nobody can tell any more. */
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		expect_file(in_memory, &root, PRAMCTL_FAILED, gone);
	}
	expect_file(on_disk, &unknown, PRAMCTL_FAILED, gone);
	/* Numbers of the last boot mean nothing. */
	if (!pram_place_root(&root)) {
		expect_file(on_disk, &root, PRAMCTL_OK, "nothing");
		put_checkpoint_with(on_disk, &root);
		fake_pram_kexec();
		expect_verdict("--kexec", PRAMCTL_FAILED, gone);
	}
	unlink(in_memory);
	unlink(on_disk);
	rmdir(dir);
	if (!pid)
		skip();
}

/* Other mount namespaces are seen by the kernel alone. */
static void test_check_loss_elsewhere(void **state)
{
	static const char two_mounts[] =
		"24 1 0:22 / /a rw - tmpfs none rw,pram=x\n25 1 0:22 / /b rw - tmpfs none rw,pram=x\n";

	(void)state;
	make_system("1\n", "1\n", "");
	put_file("sys/kernel/pram/tmpfs_writable", "0\n");
	expect_verdict("--kexec", PRAMCTL_OK, "nothing");
	put_file("sys/kernel/pram/tmpfs_writable", "2\n");
	expect_verdict("--kexec", PRAMCTL_FAILED, "2 more, mounted for writing in other mount namespaces");
	expect_verdict("--reboot", PRAMCTL_FAILED, "2 more, ");
	/* A file system, however often it is mounted here. */
	make_system("1\n", "1\n", two_mounts);
	expect_verdict("--kexec", PRAMCTL_FAILED, "1 more, ");
	put_file("sys/kernel/pram/tmpfs_writable", "1\n");
	expect_verdict("--kexec", PRAMCTL_FAILED, "umount /b");
	assert_null(strstr(last.out, "more, mounted"));
}

/* Without PRAM there is nothing to lose; where one may not look there may be. */
static void test_check_loss_no_device(void **state)
{
	(void)state;
	make_system("0\n", "0\n", "");
	fake_pram_fail_open(ENOENT);
	expect_verdict("--kexec", PRAMCTL_OK, "nothing");
	expect_verdict("--reboot", PRAMCTL_OK, "nothing");
	fake_pram_fail_open(EACCES);
	expect_fails("check --kexec", PRAMCTL_UNAVAILABLE, "as root");
	expect_fails("check --reboot", PRAMCTL_UNAVAILABLE, "as root");
	fake_pram_fail_open(0);
	fake_pram_fail(PRAM_IOCTL_LIST, EIO, 0);
	expect_fails("check --reboot", PRAMCTL_FAILED, "can't be listed");
}

static void expect_images(uint32_t kernel_mib, unsigned int initrd_mib, int status, const char *what)
{
	const struct test_kernel image = { .size = kernel_mib << 20, .silent = true };
	char line[1200], kernel[512], initrd[512];

	test_put_kernel(in_scratch("", "vmlinuz"), &image);
	put_file("initrd", "");
	assert_int_equal(truncate(in_scratch("", "initrd"), (off_t)initrd_mib << 20), 0);
	snprintf(kernel, sizeof(kernel), "%s", in_scratch("", "vmlinuz"));
	snprintf(initrd, sizeof(initrd), "%s", in_scratch("", "initrd"));
	snprintf(line, sizeof(line), "--kexec %s %s", kernel, initrd);
	expect_verdict(line, status, what);
}

static void test_check_images(void **state)
{
	char line[600];

	(void)state;
	make_system("0\n", "0\n", "");
	expect_images(48, 30, PRAMCTL_OK, "the scratch areas can't be seen");
	mkdir(in_scratch("", "sys/kernel/debug"), 0700);
	mkdir(in_scratch("", "sys/kernel/debug/kho"), 0700);
	mkdir(in_scratch("", "sys/kernel/debug/kho/out"), 0700);
	/* 8 MiB too low for anything large, twice 64 MiB. */
	put_file("sys/kernel/debug/kho/out/scratch_phys", "0x100000\n0x10000000\n0x20000000\n");
	put_file("sys/kernel/debug/kho/out/scratch_len", "0x800000\n0x4000000\n0x4000000\n");
	expect_images(48, 64, PRAMCTL_OK, "there is room in the scratch areas");
	expect_images(64, 64, PRAMCTL_OK, "kernel 64.0 MiB, initrd 64.0 MiB: there is room");
	/* What is above the kernel, which has to be aligned, is not lost. */
	expect_images(33, 31, PRAMCTL_OK, "there is room");
	expect_images(66, 1, PRAMCTL_FAILED,
		      "the kernel needs 66.0 MiB in one scratch area, the largest has 64.0 MiB; "
		      "boot with larger areas, kho_scratch=");
	expect_images(48, 65, PRAMCTL_FAILED, "no scratch area has room for the initrd, 65.0 MiB");
	snprintf(line, sizeof(line), "--kexec %s", in_scratch("", "initrd"));
	expect_verdict(line, PRAMCTL_FAILED, "is no bzImage; name the kernel");
	expect_verdict("--kexec /nowhere", PRAMCTL_FAILED, "/nowhere: No such file");
}

static void expect_next(const struct test_kernel *kernel, int status, const char *what)
{
	char line[600];

	test_put_kernel(in_scratch("", "vmlinuz"), kernel);
	snprintf(line, sizeof(line), "--kexec %s", in_scratch("", "vmlinuz"));
	expect_verdict(line, status, what);
}

/* Does the next kernel read what this one hands over? */
static void test_check_next(void **state)
{
	static const struct test_kernel same = { .release = "7.4.1-a", .format = 1, .kho = "kho-v4" };
	static const struct test_kernel newer = { .format = 2, .kho = "kho-v4" };
	static const struct test_kernel other_kho = { .format = 1, .kho = "kho-v5" };
	static const struct test_kernel none = { .release = "6.1.0-9-amd64" };
	static const struct test_kernel silent = { .silent = true, .format = 1, .kho = "kho-v4" };
	char path[600];

	(void)state;
	make_system("1\n", "1\n", "24 1 0:22 / /a ro - tmpfs none rw,pram=x");
	/* A kernel without PRAM has nothing that could be lost. */
	expect_next(&newer, PRAMCTL_FAILED, "ok       next kernel's PRAM         7.3, format 2, kho-v4\n");
	put_file("sys/kernel/pram/format_version", "1\n");
	put_file("sys/kernel/pram/kho_version", "kho-v4\n");
	expect_next(&same, PRAMCTL_FAILED, "ok       next kernel's PRAM         7.4.1-a, format 1, kho-v4\n");
	expect_next(&newer, PRAMCTL_FAILED,
		    "missing  next kernel's PRAM         7.3 reads format 2, this kernel hands over format 1; what is in PRAM would be lost: take a kernel with the same format");
	expect_next(&other_kho, PRAMCTL_FAILED, "7.3 reads KHO's format kho-v5, this kernel hands over kho-v4; ");
	expect_next(&none, PRAMCTL_FAILED, "missing  next kernel's PRAM         6.1.0-9-amd64 has no PRAM, or one too old to name its format; take a kernel");
	expect_next(&silent, PRAMCTL_FAILED, "unknown  next kernel's PRAM         7.3 does not say whether it has PRAM; ");
	/* If nothing is to be handed over, a kernel without PRAM is as good as any. */
	make_system("1\n", "1\n", "");
	expect_next(&none, PRAMCTL_OK, "unknown  next kernel's PRAM         6.1.0-9-amd64 has no PRAM, or one too old to name its format; ");
	/* One that ends in the middle of what it says. */
	test_put_kernel(in_scratch("", "vmlinuz"), &same);
	assert_int_equal(truncate(in_scratch("", "vmlinuz"), 1024 + 256 + 20), 0);
	snprintf(path, sizeof(path), "--kexec %s", in_scratch("", "vmlinuz"));
	expect_verdict(path, PRAMCTL_OK, "does not say whether it has PRAM");
}

int test_pramctl_loss(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_check_loss),
		scratch_test(test_check_loss_of_mounts),
		scratch_test(test_check_loss_of_files),
		scratch_test(test_check_loss_of_files_elsewhere),
		scratch_test(test_check_loss_elsewhere),
		scratch_test(test_check_loss_no_device),
		scratch_test(test_check_images),
		scratch_test(test_check_next),
	};

	return cmocka_run_group_tests_name("pramctl loss", tests, NULL, NULL);
}
