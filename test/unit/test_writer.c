// SPDX-License-Identifier: GPL-2.0-only
/* lib/checkpoint_writer.c, lib/writer_queue.c */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checkpoint_format.h"
#include "test_util.h"
#include "writer_queue.h"

#define NAME "/images"

static struct pram_checkpoint_writer *create(const struct pram_writer_options *options)
{
	static const struct pram_writer_options none;
	struct pram_checkpoint_writer *w;

	assert_int_equal(pram_writer_create(test_dev(), NAME, options ? options : &none, &w), 0);
	return w;
}

static void add_image(struct pram_checkpoint_writer *w, const char *image, const char *text)
{
	int fd = pram_writer_image(w, image);

	assert_true(fd >= 0);
	test_write(fd, text);
	close(fd);
}

static void add_pages(struct pram_checkpoint_writer *w, const char *image, unsigned char byte,
		      size_t nr)
{
	int fd = pram_writer_pages(w, image);

	assert_true(fd >= 0);
	test_write_pages(fd, byte, nr);
	close(fd);
}

static void test_round_trip(void **state)
{
	const struct pram_writer_options options = {
		.checksums = true,
		.images_dir = "/some/where",
		.criu_version = "4.2.1",
	};
	struct pram_checkpoint_writer *w = create(&options);
	struct pram_checkpoint_reader *r;
	const PramCheckpoint *index;
	struct pram_node_stat node;

	(void)state;
	assert_null(pram_writer_index(w));
	assert_int_equal(pram_writer_set_root(w, 77, "redis-server", "/a.slice/b.service"),
			 0);
	add_image(w, "inventory.img", "inventory");
	add_image(w, "core-77.img", "");
	add_pages(w, "pages-1.img", 1, 3);
	add_pages(w, "pages-2.img", 2, 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
	assert_int_equal(pram_writer_seal(w), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
	assert_int_equal(pram_writer_index(w)->n_image, 2);
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);

	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 3);
	assert_int_equal(pram_stat(test_dev(), "criu:" NAME, &node), 0);
	assert_int_equal(node.type, PRAM_BYTE_STREAM);
	assert_int_equal(node.flags, PRAM_NODE_CHECKSUM);
	assert_int_equal(pram_stat(test_dev(), "criu:" NAME ":pages-1.img", &node), 0);
	assert_int_equal(node.type, PRAM_PAGE_STREAM);
	assert_int_equal(node.flags, PRAM_NODE_CHECKSUM);

	fake_pram_kexec();
	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &r), 0);
	index = pram_reader_index(r);
	assert_string_equal(index->name, NAME);
	assert_string_equal(index->images_dir, "/some/where");
	assert_string_equal(index->criu_version, "4.2.1");
	assert_int_equal(index->root_pid, 77);
	assert_string_equal(index->root_comm, "redis-server");
	assert_string_equal(index->cgroup, "/a.slice/b.service");
	assert_int_equal(index->page_size, TEST_PAGE_SIZE);
	assert_true(index->created_ns > UINT64_C(1700000000000000000));
	assert_non_null(index->kernel_release);
	assert_non_null(index->hostname);
	assert_true(index->settings->checksums);
	assert_false(index->settings->replace);
	assert_int_equal(index->n_image, 2);
	assert_string_equal(index->image[0]->name, "core-77.img");
	assert_string_equal(index->image[1]->name, "inventory.img");
	assert_int_equal(index->image[1]->size, strlen("inventory"));
	assert_int_equal(index->n_pages, 2);
	assert_string_equal(index->pages[0]->image, "pages-1.img");
	assert_string_equal(index->pages[0]->node, "criu:" NAME ":pages-1.img");
	assert_int_equal(index->pages[0]->bytes, 3 * TEST_PAGE_SIZE);
	assert_int_equal(index->pages[1]->bytes, 0);
	pram_reader_close(r);
}

static void test_no_image_at_all(void **state)
{
	struct pram_checkpoint_writer *w = create(NULL);
	struct pram_checkpoint_reader *r;

	(void)state;
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);
	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &r), 0);
	assert_int_equal(pram_reader_image(r, -1, "core-1.img"), -ENOENT);
	assert_int_equal(pram_reader_pages(r, "pages-1.img"), -ENOENT);
	assert_int_equal(pram_reader_finish(r), 0);
	pram_reader_close(r);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
}

static void test_discard(void **state)
{
	struct pram_checkpoint_writer *w = create(NULL);

	(void)state;
	add_image(w, "core-1.img", "core");
	add_pages(w, "pages-1.img", 1, 1);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 2);
	pram_writer_close(w);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);

	w = create(NULL);
	add_pages(w, "pages-1.img", 1, 1);
	assert_int_equal(pram_writer_seal(w), 0);
	assert_int_equal(pram_writer_seal(w), 0);
	pram_writer_close(w);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
	pram_writer_close(NULL);
}

static void child_creates(void *arg)
{
	struct pram_checkpoint_writer *w = arg;

	add_image(w, "utsns-1.img", "from a child");
	add_pages(w, "pages-3.img", 3, 1);
	/* Comes later than the parent's, so it is the one that counts. */
	add_image(w, "inventory.img", "again");
	if (pram_writer_unlink(w, "rule-1.img"))
		_exit(1);
}

static void test_across_fork(void **state)
{
	struct pram_checkpoint_writer *w = create(NULL);
	struct pram_checkpoint_reader *r;
	int fd;

	(void)state;
	add_image(w, "inventory.img", "a much longer first try");
	add_image(w, "rule-1.img", "to be dropped");
	test_in_child(child_creates, w);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 2);
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);

	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &r), 0);
	assert_int_equal(pram_reader_index(r)->n_image, 2);
	fd = pram_reader_image(r, -1, "utsns-1.img");
	test_expect_text(fd, "from a child");
	close(fd);
	fd = pram_reader_image(r, -1, "inventory.img");
	test_expect_text(fd, "again");
	close(fd);
	assert_int_equal(pram_reader_image(r, -1, "rule-1.img"), -ENOENT);
	assert_int_equal(pram_reader_open_pages(r), 0);
	test_expect_pages(pram_reader_pages(r, "pages-3.img"), 3, 1);
	pram_reader_close(r);
}

static void test_unlink(void **state)
{
	struct pram_checkpoint_writer *w = create(NULL);
	struct pram_checkpoint_reader *r;
	int fd;

	(void)state;
	/* While it is open, as CRIU does it: what is written later must vanish, too. */
	fd = pram_writer_image(w, "rule-1.img");
	assert_int_equal(pram_writer_unlink(w, "rule-1.img"), 0);
	test_write(fd, "too late");
	close(fd);
	add_pages(w, "pages-1.img", 1, 1);
	assert_int_equal(pram_writer_unlink(w, "pages-1.img"), 0);
	assert_int_equal(pram_writer_unlink(w, "never-was.img"), 0);
	assert_int_equal(pram_writer_unlink(w, "a/b"), -EINVAL);
	add_image(w, "back.img", "1");
	assert_int_equal(pram_writer_unlink(w, "back.img"), 0);
	add_image(w, "back.img", "2");
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);

	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 1);
	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &r), 0);
	assert_int_equal(pram_reader_index(r)->n_image, 1);
	assert_int_equal(pram_reader_index(r)->n_pages, 0);
	fd = pram_reader_image(r, -1, "back.img");
	test_expect_text(fd, "2");
	close(fd);
	pram_reader_close(r);
}

static void test_taken(void **state)
{
	const struct pram_writer_options options = { 0 };
	struct pram_checkpoint_writer *w, *other;

	(void)state;
	w = create(NULL);
	assert_int_equal(pram_writer_create(test_dev(), NAME, &options, &other), -EEXIST);
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);
	assert_int_equal(pram_writer_create(test_dev(), NAME, &options, &other), -EEXIST);
	assert_int_equal(pram_writer_create(test_dev(), "", &options, &other), -EINVAL);
}

static void test_orphans_are_in_the_way(void **state)
{
	const struct pram_writer_options keep = { 0 }, replace = { .replace = true };
	struct pram_checkpoint_writer *w;

	(void)state;
	fake_pram_add("criu:" NAME ":pages-9.img", PRAM_PAGE_STREAM, 0, NULL, 0);
	fake_pram_add("criu:" NAME "2:pages-9.img", PRAM_PAGE_STREAM, 0, NULL, 0);
	assert_int_equal(pram_writer_create(test_dev(), NAME, &keep, &w), -EEXIST);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);

	w = create(&replace);
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);
	/* Ours is gone, that of the other checkpoint is not. */
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 2);
}

static void test_pages_of_another_dump(void **state)
{
	const struct pram_writer_options replace = { .replace = true };
	struct pram_checkpoint_writer *w;
	int fd = pram_save(test_dev(), "criu:" NAME ":pages-1.img", PRAM_PAGE_STREAM, 0);

	(void)state;
	assert_int_equal(pram_writer_create(test_dev(), NAME, &replace, &w), -EEXIST);
	close(fd);
}

/* All that test_expect_checkpoint() expects, not yet committed. */
static struct pram_checkpoint_writer *create_whole(const struct pram_writer_options *options, unsigned char byte)
{
	struct pram_checkpoint_writer *w = create(options);

	add_image(w, "core-1.img", "core");
	add_image(w, "empty.img", "");
	add_pages(w, "pages-1.img", byte, 2);
	return w;
}

static void test_replace(void **state)
{
	const struct pram_writer_options replace = { .replace = true };
	struct pram_checkpoint_writer *w;
	struct pram_checkpoint_reader *r;

	(void)state;
	test_save_checkpoint(NAME, 1);
	fake_pram_add("criu:" NAME ":pages-9.img", PRAM_PAGE_STREAM, 0, NULL, 0);

	w = create(&replace);
	/* Nobody restores or removes it meanwhile. */
	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &r), -EBUSY);
	assert_int_equal(pram_checkpoint_remove(test_dev(), NAME, NULL), -EBUSY);
	add_pages(w, "pages-1.img", 2, 2);
	pram_writer_close(w);
	test_expect_checkpoint(NAME, 1);

	w = create_whole(&replace, 2);
	fake_pram_fail(PRAM_IOCTL_COMMIT, ENOMEM, 0);
	assert_int_equal(pram_writer_commit(w), -ENOMEM);
	pram_writer_close(w);
	test_expect_checkpoint(NAME, 1);

	w = create_whole(&replace, 2);
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);
	test_expect_checkpoint(NAME, 2);
	assert_int_equal(fake_pram_count(PRAM_NODE_READY), 2);
	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &r), 0);
	assert_true(pram_reader_index(r)->settings->replace);
	pram_reader_close(r);
}

static void test_replace_in_use_or_broken(void **state)
{
	const struct pram_writer_options replace = { .replace = true };
	struct pram_checkpoint_writer *w;
	struct pram_checkpoint_reader *r;

	(void)state;
	test_save_checkpoint(NAME, 1);
	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &r), 0);
	assert_int_equal(pram_writer_create(test_dev(), NAME, &replace, &w), -EBUSY);
	pram_reader_close(r);
	test_expect_checkpoint(NAME, 1);

	fake_pram_break("criu:" NAME, false);
	assert_int_equal(pram_writer_create(test_dev(), NAME, &replace, &w), -EBADMSG);
}

static void test_names(void **state)
{
	const struct pram_writer_options options = { 0 };
	char name[PRAM_NAME_MAX] = { 0 };
	struct pram_checkpoint_writer *w;
	int fd;

	(void)state;
	memset(name, 'n', PRAM_NAME_MAX - 1);
	assert_int_equal(pram_writer_create(test_dev(), name, &options, &w), -ENAMETOOLONG);
	/* Room for the metadata node and "pages-1.img", but for no more. */
	name[PRAM_NAME_MAX - 1 - strlen("criu::pages-1.img")] = 0;
	assert_int_equal(pram_writer_create(test_dev(), name, &options, &w), 0);
	fd = pram_writer_pages(w, "pages-1.img");
	assert_true(fd >= 0);
	assert_int_equal(pram_writer_pages(w, "pages-1.img"), -EEXIST);
	close(fd);
	assert_int_equal(pram_writer_pages(w, "pages-10.img"), -ENAMETOOLONG);
	assert_int_equal(pram_writer_pages(w, "pages:1.img"), -EINVAL);
	assert_int_equal(pram_writer_image(w, ""), -EINVAL);
	assert_int_equal(pram_writer_image(w, "a/b"), -EINVAL);
	memset(name, 'n', PRAM_NAME_MAX - 1);
	fd = pram_writer_image(w, name);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);
}

static void test_errors_leave_nothing(void **state)
{
	const struct pram_writer_options options = { 0 };
	static const struct {
		unsigned long	request;
		unsigned int	skip;
	} at[] = {
		{ PRAM_IOCTL_SEAL, 0 },		/* the page stream */
		{ PRAM_IOCTL_SEAL, 1 },		/* the metadata */
		{ PRAM_IOCTL_LIST, 0 },
		{ PRAM_IOCTL_COMMIT, 0 },
	};
	struct pram_checkpoint_writer *w;

	(void)state;
	fake_pram_fail(PRAM_IOCTL_SAVE, ENOMEM, 0);
	assert_int_equal(pram_writer_create(test_dev(), NAME, &options, &w), -ENOMEM);
	fake_pram_fail(PRAM_IOCTL_LIST, ENOMEM, 0);
	assert_int_equal(pram_writer_create(test_dev(), NAME, &options, &w), -ENOMEM);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);

	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		w = create(NULL);
		add_image(w, "core-1.img", "core");
		add_pages(w, "pages-1.img", 1, 1);
		fake_pram_fail(at[i].request, ENOMEM, at[i].skip);
		assert_int_equal(pram_writer_commit(w), -ENOMEM);
		assert_int_equal(fake_pram_count(PRAM_NODE_READY), 0);
		/* What has failed half-way cannot be sealed after all. */
		if (at[i].request != PRAM_IOCTL_COMMIT) {
			assert_null(pram_writer_index(w));
			assert_int_equal(pram_writer_seal(w), -ESTALE);
			assert_int_equal(pram_writer_commit(w), -ESTALE);
		}
		pram_writer_close(w);
		assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);
	}
}

static void test_half_a_page_fails(void **state)
{
	struct pram_checkpoint_writer *w = create(NULL);
	int fd = pram_writer_pages(w, "pages-1.img");

	(void)state;
	test_write(fd, "x");
	close(fd);
	assert_int_equal(pram_writer_seal(w), -EINVAL);
	pram_writer_close(w);
}

/* More than a socket's default buffer or a usual limit of queued messages takes. */
static void test_many_images(void **state)
{
	struct pram_checkpoint_writer *w = create(NULL);
	struct pram_checkpoint_reader *r;
	char image[32];
	/* Only root gets more than a default buffer, and only root dumps tasks. */
	const int nr = geteuid() ? 100 : 4000;
	struct rlimit limit, more;
	int fd;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	more = limit;
	more.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &more), 0);
	for (int i = 0; i < nr; i++) {
		snprintf(image, sizeof(image), "core-%d.img", i);
		add_image(w, image, image);
	}
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);
	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &r), 0);
	assert_int_equal(pram_reader_index(r)->n_image, nr);
	for (int i = 0; i < nr; i++) {
		snprintf(image, sizeof(image), "core-%d.img", i);
		fd = pram_reader_image(r, -1, image);
		assert_true(fd >= 0);
		test_expect_text(fd, image);
		close(fd);
	}
	pram_reader_close(r);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* More images than descriptors: an error, and nothing is left. */
static void test_too_many_images(void **state)
{
	struct pram_checkpoint_writer *w = create(NULL);
	struct rlimit limit, less;
	char image[32];

	(void)state;
	for (int i = 0; i < 50; i++) {
		snprintf(image, sizeof(image), "core-%d.img", i);
		add_image(w, image, image);
	}
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	less = limit;
	less.rlim_cur = 40;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
	assert_int_equal(pram_writer_seal(w), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(pram_writer_commit(w), -ESTALE);
	pram_writer_close(w);
	assert_int_equal(fake_pram_count(PRAM_NODE_SAVING), 0);
}

/* lib/writer_queue.c: what comes out is what went in, and does not leak to exec(). */
static void test_queue(void **state)
{
	struct pram_queue_message message;
	struct pram_queue queue;
	char name[PRAM_IMAGE_NAME_MAX + 1] = { 0 };
	int fd = memfd_create("x", 0), nr, ret = 0;

	(void)state;
	memset(name, 'n', PRAM_IMAGE_NAME_MAX);
	assert_int_equal(pram_queue_open(&queue), 0);
	assert_int_equal(pram_queue_receive(&queue, &message), 0);
	assert_int_equal(pram_queue_send(&queue, PRAM_QUEUE_PAGES, name, fd), 0);
	assert_int_equal(pram_queue_send(&queue, PRAM_QUEUE_UNLINK, "a", -1), 0);
	test_write(fd, "text");
	close(fd);
	assert_int_equal(pram_queue_receive(&queue, &message), 1);
	assert_int_equal(message.kind, PRAM_QUEUE_PAGES);
	assert_string_equal(message.image, name);
	assert_int_equal(fcntl(message.fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(lseek(message.fd, 0, SEEK_SET), 0);
	test_expect_text(message.fd, "text");
	close(message.fd);
	assert_int_equal(pram_queue_receive(&queue, &message), 1);
	assert_int_equal(message.kind, PRAM_QUEUE_UNLINK);
	assert_string_equal(message.image, "a");
	assert_int_equal(message.fd, -1);
	assert_int_equal(pram_queue_receive(&queue, &message), 0);

	/* Full is an error, where to wait would be for ever. */
	assert_int_equal(setsockopt(queue.send, SOL_SOCKET, SO_SNDBUF, &fd, sizeof(fd)), 0);
	for (nr = 0; nr < 100000 && !ret; nr++)
		ret = pram_queue_send(&queue, PRAM_QUEUE_UNLINK, "a", -1);
	assert_int_equal(ret, -ENOBUFS);
	assert_int_equal(pram_queue_receive(&queue, &message), 1);
	assert_int_equal(pram_queue_send(&queue, PRAM_QUEUE_UNLINK, "a", -1), 0);
	pram_queue_close(&queue);
}

static void test_big_image(void **state)
{
	struct pram_checkpoint_writer *w = create(NULL);
	struct pram_checkpoint_reader *r;
	int fd = pram_writer_image(w, "tcp-stream-1.img");

	(void)state;
	/* Longer than one copy, and not a multiple of anything. */
	assert_int_equal(ftruncate(fd, (70 << 20) + 1), 0);
	assert_int_equal(pwrite(fd, "!", 1, 70 << 20), 1);
	close(fd);
	assert_int_equal(pram_writer_commit(w), 0);
	pram_writer_close(w);
	assert_int_equal(pram_reader_open(test_dev(), NAME, 0, &r), 0);
	fd = pram_reader_image(r, -1, "tcp-stream-1.img");
	assert_int_equal(lseek(fd, 0, SEEK_END), (70 << 20) + 1);
	assert_int_equal(lseek(fd, 70 << 20, SEEK_SET), 70 << 20);
	test_expect_text(fd, "!");
	close(fd);
	pram_reader_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		pram_unit_test(test_round_trip),
		pram_unit_test(test_no_image_at_all),
		pram_unit_test(test_discard),
		pram_unit_test(test_across_fork),
		pram_unit_test(test_unlink),
		pram_unit_test(test_taken),
		pram_unit_test(test_orphans_are_in_the_way),
		pram_unit_test(test_pages_of_another_dump),
		pram_unit_test(test_replace),
		pram_unit_test(test_replace_in_use_or_broken),
		pram_unit_test(test_names),
		pram_unit_test(test_errors_leave_nothing),
		pram_unit_test(test_half_a_page_fails),
		pram_unit_test(test_many_images),
		pram_unit_test(test_too_many_images),
		pram_unit_test(test_queue),
		pram_unit_test(test_big_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
