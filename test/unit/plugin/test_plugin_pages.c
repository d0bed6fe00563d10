// SPDX-License-Identifier: GPL-2.0-only
/* plugin/: pages that are taken over from tasks, copied or shared */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

/* Memory of pages that can be told apart, and ranges of it for CRIU's list. */
#define PAGE		4096U
#define NR_PAGES	((size_t)33000)

static unsigned char *make_memory(size_t nr_pages)
{
	unsigned char *memory = mmap(NULL, nr_pages * PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	return memory;
}

static uint64_t adopted_pages(const char *image)
{
	char node[PRAM_NAME_MAX];
	struct pram_node_stat stat;

	snprintf(node, sizeof(node), "criu:%s:%s", criu_stub_images_dir(), image);
	assert_int_equal(pram_stat(test_dev(), node, &stat), 0);
	return stat.adopted_pages;
}

/* Scattered pages, more than one call takes, in the right order. */
static void test_dump_pages(void **state)
{
	const unsigned int nr = NR_PAGES / 2;
	struct iovec *iovs = calloc(nr + 1, sizeof(*iovs));
	unsigned char *memory = make_memory(NR_PAGES), *page = malloc(PAGE);
	int fd;

	(void)state;
	assert_non_null(iovs);
	for (uint32_t i = 0; i < nr; i++) {
		/* Every other page; the last two are neighbours. */
		iovs[i] = (struct iovec){ memory + 2 * i * PAGE, PAGE };
		memcpy(iovs[i].iov_base, &i, sizeof(i));
	}
	iovs[nr] = (struct iovec){ memory + (2 * nr - 1) * PAGE, PAGE };
	memcpy(iovs[nr].iov_base, &nr, sizeof(nr));

	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_true(criu_stub_logged("taken over from the tasks"));
	write_image("inventory.img", "inventory");
	fd = create_image("pages-1.img");
	assert_int_equal(hook_dump_pages(fd, getpid(), NULL, 0), 0);
	assert_int_equal(hook_dump_pages(fd, getpid(), iovs, nr + 1), 0);
	close(fd);
	assert_int_equal(adopted_pages("pages-1.img"), nr + 1);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	assert_int_equal(hook_dump_pages(0, getpid(), NULL, 0), -ENOTSUP);
	criu_stub_new_process();

	expect_image("inventory.img", "inventory");
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
	fd = open_image_file("pages-1.img");
	for (uint32_t i = 0; i <= nr; i++) {
		assert_int_equal(pread(fd, page, PAGE, (off_t)i * PAGE), PAGE);
		assert_memory_equal(page, &i, sizeof(i));
	}
	assert_int_equal(pread(fd, page, PAGE, (off_t)(nr + 1) * PAGE), 0);
	close(fd);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
	munmap(memory, NR_PAGES * PAGE);
	free(page);
	free(iovs);
}

/* By pipes if that is set, or if the kernel knows no better. */
static void test_dump_pages_not(void **state)
{
	(void)state;
	setenv("CRIU_PRAM_ADOPT", "no", 1);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_true(criu_stub_logged("copied\n"));
	assert_int_equal(hook_dump_pages(0, getpid(), NULL, 0), -ENOTSUP);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);

	unsetenv("CRIU_PRAM_ADOPT");
	fake_pram_set_features(0);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_true(criu_stub_logged("copied, as this kernel"));
	assert_int_equal(hook_dump_pages(0, getpid(), NULL, 0), -ENOTSUP);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

/* What there is of memory is found and taken over, if the kernel can, with little room, too. */
static void test_dump_present_pages(void **state)
{
	const uint64_t can = PRAM_FEATURE_ADOPT | PRAM_FEATURE_ADOPT_PRESENT;
	unsigned char *memory = make_memory(20), *page = malloc(PAGE);
	static const uint32_t there[] = { 1, 2, 3, 7, 11, 12, 19 };
	struct iovec range = { memory, (size_t)20 * PAGE }, taken[2];
	unsigned int nr, found = 0, calls = 0;
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		memcpy(memory + (size_t)there[i] * PAGE, &there[i], sizeof(there[i]));

	fake_pram_set_features(PRAM_FEATURE_ADOPT);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_int_equal(hook_dump_present_pages(0, getpid(), NULL, NULL, NULL), -ENOTSUP);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	fake_pram_set_features(can);
	setenv("CRIU_PRAM_ADOPT", "no", 1);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_int_equal(hook_dump_present_pages(0, getpid(), NULL, NULL, NULL), -ENOTSUP);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	unsetenv("CRIU_PRAM_ADOPT");

	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	write_image("inventory.img", "inventory");
	fd = create_image("pages-1.img");
	assert_int_equal(hook_dump_present_pages(fd, getpid(), NULL, NULL, NULL), 0);
	/* Memory that the kernel leaves to CRIU, and errors. */
	nr = 2;
	fake_pram_fail(PRAM_IOCTL_ADOPT_PRESENT, EOPNOTSUPP, 0);
	assert_int_equal(hook_dump_present_pages(fd, getpid(), &range, taken, &nr), -ENOTSUP);
	fake_pram_fail(PRAM_IOCTL_ADOPT_PRESENT, EFAULT, 0);
	assert_int_equal(hook_dump_present_pages(fd, getpid(), &range, taken, &nr), -EFAULT);
	assert_true(criu_stub_logged("the tasks run on, see the kernel's log"));
	assert_true(range.iov_base == memory && range.iov_len == (size_t)20 * PAGE);
	while (range.iov_len) {
		nr = 2;
		assert_int_equal(hook_dump_present_pages(fd, getpid(), &range, taken, &nr), 0);
		assert_true(nr <= 2);
		for (unsigned int i = 0; i < nr; i++) {
			const unsigned char *start = taken[i].iov_base;

			for (size_t n = 0; n < taken[i].iov_len / PAGE; n++)
				assert_true(start + n * PAGE == memory + (size_t)there[found++] * PAGE);
		}
		calls++;
	}
	assert_int_equal(found, sizeof(there) / sizeof(there[0]));
	assert_int_equal(calls, 2);
	close(fd);
	assert_int_equal(adopted_pages("pages-1.img"), found);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	assert_int_equal(hook_dump_present_pages(0, getpid(), NULL, NULL, NULL), -ENOTSUP);
	criu_stub_new_process();

	expect_image("inventory.img", "inventory");
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
	fd = open_image_file("pages-1.img");
	for (unsigned int i = 0; i < found; i++) {
		assert_int_equal(pread(fd, page, PAGE, (off_t)i * PAGE), PAGE);
		assert_memory_equal(page, &there[i], sizeof(there[i]));
	}
	assert_int_equal(pread(fd, page, PAGE, (off_t)found * PAGE), 0);
	close(fd);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
	munmap(memory, (size_t)20 * PAGE);
	free(page);
}

/* Shared memory is taken over by its file, if the kernel can, and then needs no room. */
static void test_dump_shared_pages(void **state)
{
	const uint64_t can = PRAM_FEATURE_ADOPT | PRAM_FEATURE_ADOPT_FILE;
	const int shared = memfd_create("shared", MFD_CLOEXEC);
	const struct iovec iovs[] = {
		{ NULL, 2 * PAGE }, { (void *)(5 * PAGE), PAGE }, { (void *)(6 * PAGE), PAGE },
	};
	char *page = malloc(PAGE), *big;
	int fd, other;

	(void)state;
	assert_int_equal(ftruncate(shared, 6 * PAGE + 10), 0);
	for (uint32_t i = 0; i < 7; i++)
		assert_int_equal(pwrite(shared, &i, sizeof(i), (off_t)i * PAGE), sizeof(i));

	fake_pram_set_features(PRAM_FEATURE_ADOPT);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_int_equal(hook_dump_shared_pages(0, shared, NULL, 0), -ENOTSUP);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	fake_pram_set_features(can);
	setenv("CRIU_PRAM_ADOPT", "no", 1);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_int_equal(hook_dump_shared_pages(0, shared, NULL, 0), -ENOTSUP);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	unsetenv("CRIU_PRAM_ADOPT");

	big = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(big != MAP_FAILED);
	memset(big, 1, 8 << 20);
	criu_stub_set_room(2 << 20);
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	assert_true(criu_stub_logged("of their memory is copied (shared 0, "));
	munmap(big, 8 << 20);
	write_image("inventory.img", "inventory");
	fd = create_image("pages-1.img");
	/* A file of another kind, as hugetlb's is. */
	other = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_int_equal(hook_dump_shared_pages(fd, other, NULL, 0), -ENOTSUP);
	close(other);
	assert_int_equal(hook_dump_shared_pages(fd, shared, NULL, 0), 0);
	fake_pram_fail(PRAM_IOCTL_ADOPT_FILE, ENOSPC, 0);
	assert_int_equal(hook_dump_shared_pages(fd, shared, iovs, 3), -ENOSPC);
	assert_true(criu_stub_logged("can't take over shared memory: the limit is reached"));
	assert_int_equal(hook_dump_shared_pages(fd, shared, iovs, 3), 0);
	close(fd);
	assert_int_equal(adopted_pages("pages-1.img"), 4);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, 0), 0);
	assert_int_equal(hook_dump_shared_pages(0, shared, NULL, 0), -ENOTSUP);
	criu_stub_new_process();

	expect_image("inventory.img", "inventory");
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
	fd = open_image_file("pages-1.img");
	for (uint32_t i = 0; i < 4; i++) {
		const uint32_t is = i < 2 ? i : i + 3;

		assert_int_equal(pread(fd, page, PAGE, (off_t)i * PAGE), PAGE);
		assert_memory_equal(page, &is, sizeof(is));
	}
	close(fd);
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__RESTORE, -1), 0);
	close(shared);
	free(page);
}

/* What has to be copied, and whether there is room for it, is said before the freeze. */
static void test_room(void **state)
{
	const size_t size = 8 << 20;
	char *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(shared != MAP_FAILED);
	memset(shared, 1, size);
	criu_stub_set_room(2 << 20);
	expect_refused("MiB of the tasks' memory must be copied, and there is not more than 4 MiB");
	criu_stub_set_room(7 << 20);
	dump_images("core", 1);
	assert_true(criu_stub_logged("the dump may fail for lack of it"));
	give_up_dump();
	dump_images("core", 1);
	assert_true(criu_stub_logged("of their memory is copied (shared "));
	assert_int_equal(hook_done(CR_PLUGIN_STAGE__DUMP, -1), 0);
	munmap(shared, size);
}

static void test_failing_dump_pages(void **state)
{
	unsigned char *memory = make_memory(1);
	const struct iovec iov = { memory, PAGE };
	int fd, pid;

	(void)state;
	assert_int_equal(plugin_init(CR_PLUGIN_STAGE__DUMP), 0);
	fd = create_image("pages-1.img");
	fake_pram_fail(PRAM_IOCTL_ADOPT, EACCES, 0);
	assert_int_equal(hook_dump_pages(fd, getpid(), &iov, 1), -EACCES);
	assert_true(criu_stub_logged("the tasks run on, see the kernel's log"));
	fake_pram_set_totals(1 << 20, 0);
	fake_pram_fail(PRAM_IOCTL_ADOPT, ENOSPC, 0);
	assert_int_equal(hook_dump_pages(fd, getpid(), &iov, 1), -ENOSPC);
	assert_true(criu_stub_logged("of at most 1048576 bytes: raise /sys/kernel/pram/max_bytes"));

	pid = fork();
	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(hook_dump_pages(fd, pid, &iov, 1), -ESRCH);
	assert_true(criu_stub_logged("can't open process"));
	close(fd);
	plugin_exit(CR_PLUGIN_STAGE__DUMP, -1);
	munmap(memory, PAGE);
}

/* Whether tasks are to inherit memory is asked when the first image was read. */
static void test_share_pages(void **state)
{
	static const struct {
		const char	*map;
		uint64_t	features;
		int		answer;
	} cases[] = {
		{ "yes", PRAM_FEATURE_ADOPT | PRAM_FEATURE_MAP | PRAM_FEATURE_SHARE, 0 },
		{ "no", PRAM_FEATURE_ADOPT | PRAM_FEATURE_MAP | PRAM_FEATURE_SHARE, -ENOTSUP },
		{ "yes", PRAM_FEATURE_ADOPT | PRAM_FEATURE_MAP, -ENOTSUP },
		{ "yes", PRAM_FEATURE_ADOPT, -ENOTSUP },
	};

	(void)state;
	dump("core", 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(hook_share_pages(), -ENOTSUP);
		setenv("CRIU_PRAM_MAP", cases[i].map, 1);
		fake_pram_set_features(cases[i].features);
		expect_image("inventory.img", "inventory");
		assert_true(criu_stub_logged(i && i != 2 ? "pages are copied" :
							   "pages are mapped"));
		assert_int_equal(plugin_init(CR_PLUGIN_STAGE__RESTORE), 0);
		assert_int_equal(hook_share_pages(), cases[i].answer);
		end_restore(-1);
	}
}

int plugin_test_pages(void)
{
	const struct CMUnitTest tests[] = {
		plugin_test(test_dump_pages),
		plugin_test(test_dump_pages_not),
		plugin_test(test_dump_present_pages),
		plugin_test(test_dump_shared_pages),
		plugin_test(test_room),
		plugin_test(test_failing_dump_pages),
		plugin_test(test_share_pages),
	};

	return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
