// SPDX-License-Identifier: GPL-2.0-only
/*
 * pramctl: what it prints and how it exits. Output is compared with the files of
 * golden/pramctl/; PRAM_TEST_UPDATE=1 in the environment writes them anew, to be
 * read before they are committed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build_id.h"
#include "elf_file.h"
#include "pramctl.h"
#include "test_util.h"

#define NAME	"/var/lib/criu/redis"

static bool elsewhere;

bool __wrap_pram_place_is_first_mount_namespace(void);
bool __wrap_pram_place_is_first_mount_namespace(void)
{
	return !elsewhere;
}

#define SYSTEMS	TEST_GOLDEN_DIR "/systems/"

/* ---- running it -------------------------------------------------------- */

static struct {
	char	*out, *err;
} last;

static char *take_output(int memfd)
{
	const off_t size = lseek(memfd, 0, SEEK_END);
	char *text = calloc(1, size + 1);

	assert_non_null(text);
	assert_int_equal(pread(memfd, text, size, 0), size);
	close(memfd);
	return text;
}

/* Runs pramctl with the words of @line, and keeps what it printed in @last. */
static int run(const char *line)
{
	int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
	int saved_out = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO), status, argc = 0;
	char *copy = strdup(line), *rest = copy, *argv[16] = { NULL };

	argv[argc++] = "pramctl";
	while ((argv[argc] = strsep(&rest, " ")) && argc < 15)
		argc += *argv[argc] != 0;

	fflush(NULL);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	status = pramctl_main(argc, argv);
	fflush(NULL);
	dup2(saved_out, STDOUT_FILENO);
	dup2(saved_err, STDERR_FILENO);
	close(saved_out);
	close(saved_err);
	free(copy);

	free(last.out);
	free(last.err);
	last.out = take_output(out);
	last.err = take_output(err);
	return status;
}

/* Where things lie on this machine is nobody's business. */
static char *without_paths(const char *text)
{
	static const struct {
		const char *path, *name;
	} paths[] = {
		{ TEST_GOLDEN_DIR, "GOLDEN" },
		{ TEST_BUILD_DIR, "BUILD" },
	};
	char *result;
	size_t size;
	FILE *file = open_memstream(&result, &size);

	assert_non_null(file);
	while (*text) {
		size_t i = 0;

		while (i < 2 && strncmp(text, paths[i].path, strlen(paths[i].path)))
			i++;
		if (i < 2) {
			fputs(paths[i].name, file);
			text += strlen(paths[i].path);
		} else {
			fputc(*text++, file);
		}
	}
	fclose(file);
	return result;
}

static void expect_golden(const char *name, const char *text)
{
	char path[512], *clean = without_paths(text), *golden;

	snprintf(path, sizeof(path), TEST_GOLDEN_DIR "/pramctl/%s", name);
	if (getenv("PRAM_TEST_UPDATE")) {
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		fputs(clean, file);
		fclose(file);
	}
	golden = test_read_file(path, NULL);
	assert_string_equal(clean, golden);
	free(golden);
	free(clean);
}

/* It must succeed quietly and print what golden file @name says. */
static void expect_prints(const char *line, const char *name)
{
	assert_int_equal(run(line), PRAMCTL_OK);
	assert_string_equal(last.err, "");
	expect_golden(name, last.out);
}

/* It must fail so, print nothing but an error, and that must speak of @what. */
static void expect_fails(const char *line, int status, const char *what)
{
	assert_int_equal(run(line), status);
	assert_string_equal(last.out, "");
	if (strncmp(last.err, "pramctl: ", 9) || !strstr(last.err, what))
		fail_msg("'pramctl %s' says: %s", line, last.err);
}

/* ---- files ------------------------------------------------------------- */

static char scratch[] = "/tmp/pramctl-test-XXXXXX";

static int scratch_setup(void **state)
{
	strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
	if (!mkdtemp(scratch))
		return -1;
	return test_setup(state);
}

static int scratch_teardown(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", scratch);
	return system(command) | test_teardown(state);
}

/* "verb operand... SCRATCH/path" */
static const char *in_scratch(const char *before, const char *path)
{
	static char line[512];

	if (snprintf(line, sizeof(line), "%s%s/%s", before, scratch, path) >=
	    (int)sizeof(line))
		fail_msg("a command of more than %zu bytes", sizeof(line));
	return line;
}

/* ---- what there is to see ---------------------------------------------- */

/* The checkpoint of golden/checkpoint-v1.bin with its pages. */
static void add_golden_checkpoint(void)
{
	size_t size;
	char *bytes = test_read_file(TEST_GOLDEN_DIR "/checkpoint-v1.bin", &size);
	char *pages = malloc(2 * TEST_PAGE_SIZE);

	assert_non_null(pages);
	memset(pages, 'p', 2 * TEST_PAGE_SIZE);
	fake_pram_set_time(UINT64_C(1795294801987654321));
	fake_pram_add("criu:" NAME, PRAM_BYTE_STREAM, PRAM_NODE_CHECKSUM, bytes, size);
	fake_pram_add("criu:" NAME ":pages-1.img", PRAM_PAGE_STREAM, PRAM_NODE_CHECKSUM, pages,
		      2 * TEST_PAGE_SIZE);
	fake_pram_add("criu:" NAME ":pages-2.img", PRAM_PAGE_STREAM, PRAM_NODE_CHECKSUM, NULL, 0);
	free(bytes);
	free(pages);
}

/* A bit of everything, after one kexec. Returns a stream that is being saved. */
static int add_everything(void)
{
	int fd;

	add_golden_checkpoint();
	fake_pram_add("criu:/gone:pages-1.img", PRAM_PAGE_STREAM, 0, NULL, 0);
	fake_pram_add("shmem-1-home", PRAM_BYTE_STREAM, 0, "12345", 5);
	fake_pram_add("nameless", PRAM_BYTE_STREAM, 0, "1", 1);
	fake_pram_break("nameless", true);
	fake_pram_add("criu:/damaged", PRAM_BYTE_STREAM, 0, "nonsense", 8);
	fake_pram_add("criu:/damaged:pages-1.img", PRAM_PAGE_STREAM, 0, NULL, 0);
	fake_pram_break("criu:/damaged:pages-1.img", false);
	fake_pram_kexec();
	fd = pram_save(test_dev(), "criu:/under/way", PRAM_BYTE_STREAM, PRAM_SAVE_CHECKSUM);
	assert_true(fd >= 0);
	return fd;
}

/* ---- command line ------------------------------------------------------ */

static void test_help(void **state)
{
	char line[64];

	(void)state;
	expect_prints("--help", "help");
	assert_int_equal(run("--version"), PRAMCTL_OK);
	assert_string_equal(last.out, "pramctl " PRAM_VERSION " (interface 1)\n");
	for (const struct pramctl_command *c = pramctl_commands; c->name; c++) {
		snprintf(line, sizeof(line), "%s --help", c->name);
		assert_int_equal(run(line), PRAMCTL_OK);
		/* But for the first letter, which is a capital here. */
		assert_non_null(strstr(last.out, c->help + 1));
		for (const struct pramctl_option *o = c->options; o->name; o++)
			assert_non_null(strstr(last.out, o->name));
	}
	expect_prints("rm --help", "help-rm");
}

/* What the words so far are completed to, by a bash that knows of pramctl alone. */
static void expect_completion(const char *words, int nr, const char *expected)
{
	char command[1024], line[256] = "";
	FILE *file;

	snprintf(command, sizeof(command),
		 "bash -c '. %s; COMP_WORDS=(%s) COMP_CWORD=%d; _pramctl; echo ${COMPREPLY[*]}'",
		 in_scratch("", "completion"), words, nr);
	file = popen(command, "r");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	pclose(file);
	line[strcspn(line, "\n")] = 0;
	assert_string_equal(line, expected);
}

static void test_completion(void **state)
{
	FILE *file;

	(void)state;
	assert_int_equal(run("--bash-completion"), PRAMCTL_OK);
	file = fopen(in_scratch("", "completion"), "w");
	assert_non_null(file);
	fputs(last.out, file);
	fclose(file);
	expect_completion("pramctl s", 1, "show stats services");
	expect_completion("pramctl rm --", 2, "--help --json --all --force --orphans --id");
	expect_completion("pramctl frobnicate --", 2, "");
}

static void test_usage(void **state)
{
	(void)state;
	assert_int_equal(run(""), PRAMCTL_USAGE);
	assert_non_null(strstr(last.err, "Usage: "));
	expect_fails("frobnicate", PRAMCTL_USAGE, "'frobnicate'");
	expect_fails("list --frobnicate", PRAMCTL_USAGE, "'--frobnicate'");
	expect_fails("list -x", PRAMCTL_USAGE, "'-x'");
	expect_fails("list --json=yes", PRAMCTL_USAGE, "--json=yes");
	expect_fails("list operand", PRAMCTL_USAGE, "list takes no operands");
	expect_fails("show", PRAMCTL_USAGE, "show takes NAME");
	expect_fails("show a b", PRAMCTL_USAGE, "show takes NAME");
	expect_fails("check --kexec --reboot", PRAMCTL_USAGE, "one of --kexec, --reboot, --services and --task");
	expect_fails("check --kexec --task 1", PRAMCTL_USAGE, "one of --kexec, --reboot, --services and --task");
	expect_fails("check vmlinuz", PRAMCTL_USAGE, "with --kexec only");
	expect_fails("check --task x", PRAMCTL_USAGE, "'x' is no pid");
	expect_fails("check --task 0", PRAMCTL_USAGE, "'0' is no pid");
	expect_fails("check --task 2000000000", PRAMCTL_NOT_FOUND, "no process 2000000000");
	expect_fails("check --kexec --criu x", PRAMCTL_USAGE, "takes neither --criu nor --plugin");
	expect_fails("check --reboot --plugin x", PRAMCTL_USAGE, "check --reboot takes neither");
	expect_fails("check --criu", PRAMCTL_USAGE, "'--criu' needs an argument");
	expect_fails("rm", PRAMCTL_USAGE, "either NAMEs, --all or --orphans");
	expect_fails("rm --all x", PRAMCTL_USAGE, "either NAMEs, --all or");
	expect_fails("rm --id", PRAMCTL_USAGE, "either NAMEs, --all or");
	expect_fails("rm --orphans x", PRAMCTL_USAGE, "either NAMEs, --all or");
	expect_fails("rm --all --orphans", PRAMCTL_USAGE, "either NAMEs, --all or");
	expect_fails("rm --force x", PRAMCTL_USAGE, "--force with --all only");
	expect_fails("export a", PRAMCTL_USAGE, "export takes NAME DIR");
	expect_fails("import", PRAMCTL_USAGE, "import takes DIR [NAME]");
}

static void test_no_device(void **state)
{
	static const char *const lines[] = {
		"list", "list --json", "show x", "rm x", "rm --all", "export x /nowhere",
		"import /nowhere",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		fake_pram_fail_open(ENOENT);
		expect_fails(lines[i], PRAMCTL_UNAVAILABLE, "kho=on");
		fake_pram_fail_open(EACCES);
		expect_fails(lines[i], PRAMCTL_UNAVAILABLE, "as root");
		fake_pram_fail_open(EIO);
		expect_fails(lines[i], PRAMCTL_UNAVAILABLE, "Input/output error");
		fake_pram_fail_open(0);
		fake_pram_set_abi(PRAM_ABI_VERSION + 1);
		expect_fails(lines[i], PRAMCTL_UNAVAILABLE, "interface is not version");
		fake_pram_set_abi(PRAM_ABI_VERSION);
	}
}

/* A full disk, or a pipe that nobody reads. */
static void test_output_lost(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), saved = dup(STDOUT_FILENO), status;
	char *argv[] = { "pramctl", "list", "--json", NULL };

	(void)state;
	assert_true(full >= 0);
	fflush(NULL);
	dup2(full, STDOUT_FILENO);
	status = pramctl_main(3, argv);
	clearerr(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(full);
	assert_int_equal(status, PRAMCTL_FAILED);
}

/* ---- list, show -------------------------------------------------------- */

static void test_list(void **state)
{
	int fd;

	(void)state;
	expect_prints("list", "list-empty");
	expect_prints("list --json", "list-empty.json");
	fd = add_everything();
	expect_prints("list", "list");
	expect_prints("list --json", "list.json");
	expect_prints("list --nodes", "list-nodes");
	expect_prints("list --json --nodes", "list-nodes.json");
	fake_pram_set_totals(64 << 20, 3);
	expect_prints("list", "list-totals");
	expect_prints("list --json", "list-totals.json");
	fake_pram_fail(PRAM_IOCTL_INFO, ENOMEM, 1);
	expect_fails("list", PRAMCTL_FAILED, "can't be listed");
	close(fd);
	fake_pram_fail(PRAM_IOCTL_LIST, ENOMEM, 2);
	expect_fails("list", PRAMCTL_FAILED, "can't be listed");
}

static void test_list_loading(void **state)
{
	struct pram_checkpoint_reader *r;

	(void)state;
	add_golden_checkpoint();
	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &r), 0);
	assert_int_equal(run("list"), PRAMCTL_OK);
	assert_non_null(strstr(last.out, "loading"));
	/* To look at it hurts nobody. */
	assert_int_equal(run("show " NAME), PRAMCTL_OK);
	pram_reader_close(r);
}

/* A checkpoint of a task in @cgroup is shown as @owner's; NULL: as nobody's. */
static void expect_owner(const char *name, const char *cgroup, const char *owner)
{
	const struct pram_writer_options none = { .replace = false };
	struct pram_checkpoint_writer *w;
	char expected[128] = "\"owner\"";

	assert_int_equal(pram_writer_create(test_dev(), name, &none, &w), 0);
	assert_int_equal(pram_writer_set_root(w, 77, "task", cgroup), 0);
	assert_int_equal(pram_writer_seal(w, 0), 0);
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);
	if (owner)
		snprintf(expected, sizeof(expected), "\"owner\": \"%s\"", owner);
	for (int i = 0; i < 2; i++) {
		char command[128];

		snprintf(command, sizeof(command), i ? "show --json %s" : "list --json", name);
		assert_int_equal(run(command), PRAMCTL_OK);
		if (!strstr(last.out, expected) == !!owner)
			fail_msg("%s, in %s: not %s in %s", name, cgroup, expected, last.out);
	}
	assert_int_equal(run("rm --all"), PRAMCTL_OK);
}

static void test_owner(void **state)
{
#define ID	"0123456789ab0123456789ab0123456789ab0123456789ab0123456789ab0123"
	(void)state;
	expect_owner("/images", NULL, NULL);
	expect_owner("/images", "/", NULL);
	expect_owner("/images", "/system.slice/redis-server.service", "redis-server.service");
	expect_owner("/images", "/user.slice/user-0.slice/session-3.scope", "session-3.scope");
	/* A service may have control groups of its own. */
	expect_owner("/images", "/system.slice/php.service/worker", "php.service");
	expect_owner("/images", "/machine.slice/libpod-" ID ".scope", "podman 0123456789ab");
	expect_owner("/images", "/machine.slice/libpod-" ID ".scope/container", "podman 0123456789ab");
	expect_owner("/images", "/system.slice/docker-" ID ".scope", "docker 0123456789ab");
	expect_owner("/images", "/system.slice/runc-web.scope", "runc web");
	expect_owner("/images", "/web", "web");
	expect_owner("/images", "/system.slice/runc-.scope", "runc-.scope");
	expect_owner("service:nginx.service", "/init.scope", "nginx.service");
	expect_owner("service:nginx.service", NULL, "nginx.service");
}

static void test_show(void **state)
{
	int fd = add_everything();

	(void)state;
	expect_prints("show " NAME, "show");
	expect_prints("show --json " NAME, "show.json");
	/* By its metadata node's name, too. */
	expect_prints("show criu:" NAME, "show");
	expect_prints("show shmem-1-home", "show-node");
	expect_prints("show --json criu:" NAME ":pages-1.img", "show-node.json");
	/* A look takes nothing away. */
	assert_int_equal(fake_pram_count(PRAM_NODE_LOADING), 0);

	expect_fails("show /nowhere", PRAMCTL_NOT_FOUND, "/nowhere: no checkpoint or node");
	expect_fails("show /gone", PRAMCTL_FAILED, "only page nodes are left");
	expect_fails("show /damaged", PRAMCTL_FAILED, "damaged");
	expect_fails("show /under/way", PRAMCTL_FAILED, "is being dumped");
	close(fd);

	assert_int_equal(pram_free(test_dev(), "criu:" NAME ":pages-1.img"), 0);
	assert_int_equal(run("show " NAME), PRAMCTL_OK);
	assert_non_null(strstr(last.out, "missing"));
}

/* A name longer than any node's, which must not be cut and found. */
static void test_long_name(void **state)
{
	char line[PRAM_NAME_MAX + 64] = "show /";

	(void)state;
	memset(line + 6, 'n', PRAM_NAME_MAX + 1);
	expect_fails(line, PRAMCTL_NOT_FOUND, "no checkpoint or node");
}

/* ---- rm ---------------------------------------------------------------- */

static void test_rm(void **state)
{
	int fd = add_everything();

	(void)state;
	expect_prints("rm " NAME " shmem-1-home", "rm");
	expect_prints("rm --json /gone /damaged", "rm.json");
	expect_fails("rm " NAME, PRAMCTL_NOT_FOUND, "no checkpoint or node");
	expect_fails("rm /under/way", PRAMCTL_FAILED, "is being saved or loaded");
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_BROKEN), 1);

	expect_fails("rm --id 99", PRAMCTL_NOT_FOUND, "no node 99");
	expect_fails("rm --id 0", PRAMCTL_USAGE, "'0'");
	expect_fails("rm --id 6x", PRAMCTL_USAGE, "'6x'");
	expect_fails("rm --id 99999999999999999999", PRAMCTL_USAGE, "'9999");
	assert_int_equal(run("rm --id 6"), PRAMCTL_OK);
	assert_string_equal(last.out, "removed node 6\n");
	assert_int_equal(fake_pram_count(PRAM_NODE_BROKEN), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 1);
	close(fd);
}

static void test_rm_goes_on(void **state)
{
	(void)state;
	add_golden_checkpoint();
	assert_int_equal(run("rm /nowhere " NAME), PRAMCTL_NOT_FOUND);
	assert_non_null(strstr(last.err, "/nowhere"));
	assert_string_equal(last.out, "removed checkpoint " NAME " (3 nodes)\n");
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

static void test_rm_part_of_a_checkpoint(void **state)
{
	(void)state;
	add_golden_checkpoint();
	expect_fails("rm criu:" NAME ":pages-1.img", PRAMCTL_FAILED, "could not be restored");
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);
	assert_int_equal(run("rm criu:" NAME), PRAMCTL_OK);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

static void test_rm_all(void **state)
{
	int fd = add_everything();

	(void)state;
	/* Not what others keep their files in, unless that is said. */
	expect_fails("rm --all", PRAMCTL_FAILED, "--all would remove the file system pram=home\n");
	assert_non_null(strstr(last.err, "nothing was removed"));
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 6);
	assert_int_equal(run("rm --all --force"), PRAMCTL_FAILED);
	assert_string_equal(last.out, "removed 8 nodes\n");
	assert_non_null(strstr(last.err, "1 nodes are being saved or loaded"));
	close(fd);
	assert_int_equal(run("rm --all --json"), PRAMCTL_OK);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_BROKEN), 0);
}

/* ---- export, import ---------------------------------------------------- */

static void expect_file(const char *path, const char *text)
{
	char *is = test_read_file(in_scratch("", path), NULL);

	assert_string_equal(is, text);
	free(is);
}

static void expect_listing(const char *dir, const char *listing)
{
	char command[512], line[512] = "";
	FILE *file;

	snprintf(command, sizeof(command), "ls -A %s/%s 2>&1 | tr '\\n' ' '", scratch, dir);
	file = popen(command, "r");
	assert_non_null(file);
	assert_true(fgets(line, sizeof(line), file) || !*listing);
	pclose(file);
	assert_string_equal(line, listing);
}

#define ALL_IMAGES "core-77.img empty.img inventory.img pages-1.img pages-2.img "

static void test_export(void **state)
{
	struct stat st;

	(void)state;
	add_golden_checkpoint();
	assert_int_equal(run(in_scratch("export " NAME " ", "new")), PRAMCTL_OK);
	assert_non_null(strstr(last.out, "5 images, 8.0 KiB"));
	expect_listing("new", ALL_IMAGES);
	expect_file("new/core-77.img", "the core image\n");
	expect_file("new/empty.img", "");
	assert_int_equal(stat(in_scratch("", "new/pages-1.img"), &st), 0);
	assert_int_equal(st.st_size, 2 * TEST_PAGE_SIZE);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(in_scratch("", "new"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	/* Still there, and nobody holds it. */
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);

	expect_fails(in_scratch("export " NAME " ", "new"), PRAMCTL_FAILED, "is not empty");
	expect_listing("new", ALL_IMAGES);

	assert_int_equal(mkdir(in_scratch("", "empty"), 0755), 0);
	assert_int_equal(run(in_scratch("export --json " NAME " ", "empty")), PRAMCTL_OK);
	assert_non_null(strstr(last.out, "\"files\": 5"));
	expect_listing("empty", ALL_IMAGES);
}

static void test_export_refused(void **state)
{
	int fd;

	(void)state;
	add_golden_checkpoint();
	fake_pram_add("shmem-1-home", PRAM_BYTE_STREAM, 0, "12345", 5);
	expect_fails(in_scratch("export /nowhere ", "x"), PRAMCTL_NOT_FOUND, "/nowhere");
	expect_fails(in_scratch("export shmem-1-home ", "x"), PRAMCTL_NOT_FOUND,
		     "is not a checkpoint");
	expect_fails(in_scratch("export " NAME " ", "no/such/place"), PRAMCTL_FAILED,
		     "No such file");
	fd = open(in_scratch("", "file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	expect_fails(in_scratch("export " NAME " ", "file"), PRAMCTL_FAILED, "name a directory");
	expect_listing("", "file ");
}

static void test_export_leaves_no_half(void **state)
{
	struct rlimit limit, small;

	(void)state;
	add_golden_checkpoint();
	assert_int_equal(mkdir(in_scratch("", "empty"), 0755), 0);
	/* The files get no longer than a page, so the first pages image fails. */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = TEST_PAGE_SIZE;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	expect_fails(in_scratch("export " NAME " ", "empty"), PRAMCTL_FAILED, "pages-1.img");
	expect_fails(in_scratch("export " NAME " ", "new"), PRAMCTL_FAILED, "File too large");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	expect_listing("", "empty ");
	expect_listing("empty", "");

	assert_int_equal(pram_free(test_dev(), "criu:" NAME ":pages-2.img"), 0);
	expect_fails(in_scratch("export " NAME " ", "new"), PRAMCTL_FAILED, "can't be opened");
	expect_listing("", "empty ");
}

/* Checkpoints whose directory is gone, and pages that nothing leads to. */
static void test_rm_orphans(void **state)
{
	char line[640];

	(void)state;
	add_golden_checkpoint();
	assert_int_equal(run(in_scratch("export " NAME " ", "a")), PRAMCTL_OK);
	snprintf(line, sizeof(line), "cp -r %s/a %s/b", scratch, scratch);
	assert_int_equal(system(line), 0);
	assert_int_equal(run(in_scratch("import ", "a")), PRAMCTL_OK);
	assert_int_equal(run(in_scratch("import ", "b")), PRAMCTL_OK);
	/* What may have to be mounted. */
	snprintf(line, sizeof(line), "mkdir %s/m && cp -r %s/b %s/m/x", scratch, scratch, scratch);
	assert_int_equal(system(line), 0);
	assert_int_equal(run(in_scratch("import ", "m/x")), PRAMCTL_OK);
	snprintf(line, sizeof(line), "rm -r %s/m/x", scratch);
	assert_int_equal(system(line), 0);
	snprintf(line, sizeof(line), "%s other-name", in_scratch("import ", "a"));
	assert_int_equal(run(line), PRAMCTL_OK);
	assert_int_equal(run("rm " NAME), PRAMCTL_OK);
	fake_pram_add("criu:/gone:pages-1.img", PRAM_PAGE_STREAM, 0, NULL, 0);
	fake_pram_add("criu:/gone:pages-2.img", PRAM_PAGE_STREAM, 0, NULL, 0);
	snprintf(line, sizeof(line), "rm -r %s/a", scratch);
	assert_int_equal(system(line), 0);

	elsewhere = true;
	expect_fails("rm --orphans", PRAMCTL_FAILED, "mount namespace");
	elsewhere = false;
	assert_int_equal(run("rm --orphans"), PRAMCTL_OK);
	assert_non_null(strstr(last.err, "/m/x: is kept"));
	assert_non_null(strstr(last.err, "not mounted"));
	snprintf(line, sizeof(line), "removed checkpoint %s/a (3 nodes)\n"
		 "removed checkpoint /gone (2 nodes)\n", scratch);
	assert_string_equal(last.out, line);
	/* Another name is no path, and what has its directory is needed. */
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 9);
	assert_int_equal(run("rm --orphans"), PRAMCTL_OK);
	assert_string_equal(last.out, "");
}

static void test_import(void **state)
{
	char line[640], resolved[512];

	(void)state;
	add_golden_checkpoint();
	assert_int_equal(run(in_scratch("export " NAME " ", "a")), PRAMCTL_OK);
	/* What is no image stays where it is. */
	close(open(in_scratch("", "a/dump.log"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));

	assert_int_equal(run(in_scratch("import ", "a/../a")), PRAMCTL_OK);
	assert_non_null(strstr(last.out, "5 images, 8.0 KiB"));
	snprintf(resolved, sizeof(resolved), "%s", in_scratch("", "a"));
	snprintf(line, sizeof(line), "show --json %s", resolved);
	assert_int_equal(run(line), PRAMCTL_OK);
	assert_non_null(strstr(last.out, "\"copy\": true"));
	/* The directory leads to the checkpoint, however it is written. */
	assert_int_equal(run(in_scratch("show ", "./a/")), PRAMCTL_OK);

	expect_fails(in_scratch("import ", "a"), PRAMCTL_FAILED, "use --replace");
	assert_int_equal(run(in_scratch("import --replace --checksums ", "a")), PRAMCTL_OK);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 6);

	/* There and back again is where we were. */
	snprintf(line, sizeof(line), "import --json %s other-name", resolved);
	assert_int_equal(run(line), PRAMCTL_OK);
	assert_int_equal(run(in_scratch("export other-name ", "b")), PRAMCTL_OK);
	expect_listing("b", ALL_IMAGES);
	snprintf(line, sizeof(line), "diff -r -x dump.log %s/a %s/b", scratch, scratch);
	assert_int_equal(system(line), 0);
}

static void test_import_refused(void **state)
{
	char line[PRAM_NAME_MAX + 512], name[PRAM_NAME_MAX] = { 0 };

	(void)state;
	add_golden_checkpoint();
	expect_fails(in_scratch("import ", "nowhere"), PRAMCTL_NOT_FOUND, "No such file");
	expect_fails(in_scratch("import ", ""), PRAMCTL_FAILED, "no inventory.img");
	assert_int_equal(run(in_scratch("export " NAME " ", "a")), PRAMCTL_OK);

	/* Too long as such, and too long with the pages images' names. */
	memset(name, 'n', sizeof(name) - 1);
	snprintf(line, sizeof(line), "%s %s", in_scratch("import ", "a"), name);
	expect_fails(line, PRAMCTL_FAILED, "too long");
	name[sizeof(name) - 10] = 0;
	snprintf(line, sizeof(line), "%s %s", in_scratch("import ", "a"), name);
	expect_fails(line, PRAMCTL_FAILED, "pages-1.img");

	fake_pram_fail(PRAM_IOCTL_COMMIT, ENOMEM, 0);
	expect_fails(in_scratch("import ", "a"), PRAMCTL_FAILED, "can't be committed");

	assert_int_equal(truncate(in_scratch("", "a/pages-1.img"), 100), 0);
	expect_fails(in_scratch("import ", "a"), PRAMCTL_FAILED, "can't be committed");
	assert_int_equal(symlink("inventory.img", in_scratch("", "a/x.img")), 0);
	expect_fails(in_scratch("import ", "a"), PRAMCTL_FAILED, "x.img");
	assert_int_equal(symlink("..", in_scratch("", "a/parent")), 0);
	expect_fails(in_scratch("import ", "a"), PRAMCTL_FAILED, "incremental");
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);
}

/* ---- check, stats ------------------------------------------------------ */

#define GOOD	"check --root " SYSTEMS "good --criu " TEST_BUILD_DIR "/fake-criu --plugin " \
		TEST_BUILD_DIR "/fake-plugin.so"
#define BAD	"check --root " SYSTEMS "bad --criu " TEST_BUILD_DIR "/fake-criu-old --plugin " \
		TEST_BUILD_DIR "/fake-plugin-old.so"

static void test_check(void **state)
{
	(void)state;
	expect_prints(GOOD, "check-good");
	expect_prints(GOOD " --json", "check-good.json");
	assert_int_equal(run(BAD), PRAMCTL_FAILED);
	expect_golden("check-bad", last.out);
	assert_int_equal(run(BAD " --json"), PRAMCTL_FAILED);
	expect_golden("check-bad.json", last.out);
	/* Nothing at all, and criu and plugin looked for in there. */
	assert_int_equal(run("check --root " SYSTEMS "empty"), PRAMCTL_FAILED);
	expect_golden("check-empty", last.out);
	assert_string_equal(last.err, "");
}

/* A script in criu's place is not criu; a text is no plugin. */
static void test_check_no_elf(void **state)
{
	(void)state;
	assert_int_equal(run("check --root " SYSTEMS "good --criu " SYSTEMS
			     "good/usr/sbin/kexec --plugin " SYSTEMS "good/proc/cmdline"),
			 PRAMCTL_FAILED);
	assert_non_null(strstr(last.out, "it is a script"));
	assert_non_null(strstr(last.out, "Exec format error"));
	assert_int_equal(run("check --root " SYSTEMS "good --criu /nowhere --plugin /nowhere"),
			 PRAMCTL_FAILED);
	assert_non_null(strstr(last.out, "criu                       /nowhere"));
}

/* Both ways to a build id lead to the same one. */
static void test_build_id(void **state)
{
	uint8_t program[PRAM_BUILD_ID_MAX], file[PRAM_BUILD_ID_MAX];
	char text[PRAM_BUILD_ID_TEXT_MAX];
	int size = pram_program_build_id(program);

	(void)state;
	assert_true(size > 0);
	assert_int_equal(elf_read_build_id("/proc/self/exe", file), size);
	assert_memory_equal(program, file, size);
	pram_build_id_text(text, program, 0);
	assert_string_equal(text, "(none)");
	pram_build_id_text(text, (const uint8_t[]){ 0, 0x1f, 0xff }, 3);
	assert_string_equal(text, "001fff");
}

/* A plugin and a criu that were not built together. */
static void test_check_pair(void **state)
{
	(void)state;
	assert_int_equal(run("check --root " SYSTEMS "good --criu " TEST_BUILD_DIR
			     "/fake-criu-old --plugin " TEST_BUILD_DIR "/fake-plugin.so"),
			 PRAMCTL_FAILED);
	assert_non_null(strstr(last.out, "built for 4.2.1 with build id c0ffee0000000001, not for this "
					 "criu with c0ffee0000000002; install"));
}

static void expect_kho(const char *cmdline, bool on)
{
	FILE *file = fopen(in_scratch("", "proc/cmdline"), "w");

	assert_non_null(file);
	fprintf(file, "%s\n", cmdline);
	fclose(file);
	run(in_scratch("check --root ", ""));
	if (!strstr(last.out, on ? "kho=on\n" : "kho is off"))
		fail_msg("'%s': %s", cmdline, last.out);
}

static void test_check_command_line(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in_scratch("", "proc"), 0700), 0);
	expect_kho("quiet kho=on", true);
	expect_kho("kho=1", true);
	expect_kho("kho=y panic=1", true);
	expect_kho("kho=off kho=on", true);
	expect_kho("", false);
	expect_kho("kho=", false);
	expect_kho("kho=0", false);
	expect_kho("kho=on kho=off", false);
	expect_kho("nokho=on", false);
	expect_kho("kho_scratch=1M", false);
	expect_kho("init=/x -- kho=on", false);
}

/* ---- check --kexec, check --reboot ------------------------------------- */

static void put_file(const char *path, const char *text)
{
	FILE *file = fopen(in_scratch("", path), "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* The system in scratch: is a kernel loaded, for kexec and with the nodes, and what is mounted. */
static void make_system(const char *loaded, const char *ready, const char *mounts)
{
	static const char *const dirs[] = {
		"proc", "proc/self", "sys", "sys/kernel", "sys/kernel/pram",
	};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		mkdir(in_scratch("", dirs[i]), 0700);
	put_file("proc/self/mountinfo", mounts);
	put_file("sys/kernel/kexec_loaded", loaded);
	put_file("sys/kernel/pram/kexec_ready", ready);
}

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
		    "missing  next kernel's PRAM         7.3 reads format 2, this kernel hands over format 1; what is in PRAM would be lost: ");
	expect_next(&other_kho, PRAMCTL_FAILED, "7.3 reads KHO's format kho-v5, this kernel hands over kho-v4; ");
	expect_next(&none, PRAMCTL_FAILED, "missing  next kernel's PRAM         6.1.0-9-amd64 does not say that it has PRAM; take a kernel");
	expect_next(&silent, PRAMCTL_FAILED, "unknown  next kernel's PRAM         7.3 does not say whether it has PRAM; ");
	/* If nothing is to be handed over, a kernel without PRAM is as good as any. */
	make_system("1\n", "1\n", "");
	expect_next(&none, PRAMCTL_OK, "unknown  next kernel's PRAM         6.1.0-9-amd64 does not say that it has PRAM; ");
	/* One that ends in the middle of what it says. */
	test_put_kernel(in_scratch("", "vmlinuz"), &same);
	assert_int_equal(truncate(in_scratch("", "vmlinuz"), 1024 + 256 + 20), 0);
	snprintf(path, sizeof(path), "--kexec %s", in_scratch("", "vmlinuz"));
	expect_verdict(path, PRAMCTL_OK, "does not say whether it has PRAM");
}

/* What this test is, and has. */
static void test_check_task(void **state)
{
	const size_t size = 3 << 20;
	char line[64], *mem;

	(void)state;
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(mem != MAP_FAILED);
	memset(mem, 1, size);
	snprintf(line, sizeof(line), "check --task %d", getpid());
	run(line);
	assert_string_equal(last.err, "");
	assert_non_null(strstr(last.out, "ok       tasks                      1\n"));
	assert_non_null(strstr(last.out, "copied: shared memory"));
	assert_non_null(strstr(last.out, "is copied, "));
	munmap(mem, size);
}

/* KHO off though kho=on is there: what the command line doesn't show. */
static void test_check_kho_failed(void **state)
{
	(void)state;
	make_system("0\n", "0\n", "");
	mkdir(in_scratch("", "proc/sys"), 0700);
	mkdir(in_scratch("", "proc/sys/kernel"), 0700);
	put_file("proc/sys/kernel/osrelease", "7.3.4\n");
	put_file("proc/cmdline", "kho=on kho_scratch=16M,64G,64M\n");
	put_file("proc/config.gz", "CONFIG_KEXEC_HANDOVER=y\nCONFIG_PRAM=y\n");
	unlink(in_scratch("", "sys/kernel/pram/abi_version"));
	run(in_scratch("check --root ", ""));
	assert_non_null(strstr(last.out, "debugfs can't be read; as root, mount"));
	/* It is mounted, and KHO has nothing there. */
	mkdir(in_scratch("", "sys/kernel/debug"), 0700);
	mkdir(in_scratch("", "sys/kernel/debug/x86"), 0700);
	run(in_scratch("check --root ", ""));
	assert_non_null(strstr(last.out, "missing  scratch areas              KHO is off although it was "
					 "requested: it could not reserve them; boot with areas"));
	assert_non_null(strstr(last.out, "not present; see the scratch areas above"));
	put_file("proc/cmdline", "kho=off\n");
	run(in_scratch("check --root ", ""));
	assert_non_null(strstr(last.out, "unknown  scratch areas              KHO is off; boot with"));
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

static void test_stats(void **state)
{
	(void)state;
	expect_prints("stats --root " SYSTEMS "good", "stats");
	expect_prints("stats --json --root " SYSTEMS "good", "stats.json");
	expect_fails("stats --root " SYSTEMS "empty", PRAMCTL_UNAVAILABLE, "/sys/kernel/pram");
}

/* ---- the manual -------------------------------------------------------- */

static void test_man_page(void **state)
{
	char *page = test_read_file(TEST_MAN_DIR "/pramctl.8.scd", NULL), word[64];

	(void)state;
	for (const struct pramctl_command *c = pramctl_commands; c->name; c++) {
		/* In the synopsis and as a heading. */
		snprintf(word, sizeof(word), "*pramctl* *%s* ", c->name);
		if (!strstr(page, word))
			fail_msg("pramctl(8) has no synopsis of %s", c->name);
		snprintf(word, sizeof(word), "\n*%s*\n", c->name);
		if (!strstr(page, word))
			fail_msg("pramctl(8) does not describe %s", c->name);
		for (const struct pramctl_option *o = c->options; o->name; o++) {
			snprintf(word, sizeof(word), "\n*--%s*%s%s%s\n", o->name,
				 o->argument ? " _" : "", o->argument ? o->argument : "",
				 o->argument ? "_" : "");
			if (!strstr(page, word))
				fail_msg("pramctl(8) does not describe --%s", o->name);
		}
	}
	for (int status = PRAMCTL_OK; status <= PRAMCTL_UNAVAILABLE; status++) {
		snprintf(word, sizeof(word), "\n*%d*\n", status);
		if (!strstr(page, word))
			fail_msg("pramctl(8) does not describe exit status %d", status);
	}
	free(page);
}

#define scratch_test(f)	cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		pram_unit_test(test_help),
		scratch_test(test_completion),
		pram_unit_test(test_usage),
		pram_unit_test(test_no_device),
		pram_unit_test(test_output_lost),
		pram_unit_test(test_list),
		pram_unit_test(test_list_loading),
		pram_unit_test(test_owner),
		pram_unit_test(test_show),
		pram_unit_test(test_long_name),
		pram_unit_test(test_rm),
		pram_unit_test(test_rm_goes_on),
		pram_unit_test(test_rm_part_of_a_checkpoint),
		pram_unit_test(test_rm_all),
		scratch_test(test_rm_orphans),
		scratch_test(test_export),
		scratch_test(test_export_refused),
		scratch_test(test_export_leaves_no_half),
		scratch_test(test_import),
		scratch_test(test_import_refused),
		pram_unit_test(test_check),
		pram_unit_test(test_check_no_elf),
		pram_unit_test(test_build_id),
		pram_unit_test(test_check_pair),
		scratch_test(test_check_command_line),
		scratch_test(test_check_loss),
		scratch_test(test_check_loss_of_mounts),
		scratch_test(test_check_loss_elsewhere),
		scratch_test(test_check_images),
		scratch_test(test_check_next),
		pram_unit_test(test_check_task),
		scratch_test(test_check_kho_failed),
		scratch_test(test_check_loss_no_device),
		pram_unit_test(test_stats),
		cmocka_unit_test(test_man_page),
	};
	int status;

	/* Times and words do not depend on where the test runs. */
	setenv("TZ", "UTC", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	free(last.out);
	free(last.err);
	return status;
}
