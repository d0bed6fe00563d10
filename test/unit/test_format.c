// SPDX-License-Identifier: GPL-2.0-only
/*
 * lib/checkpoint_index.c: what was once written is read for ever, and nothing
 * else is.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "checkpoint_index.h"
#include "crc32c.h"
#include "test_util.h"

#define NAME	"/images"
#define DATA	"core-1inventory"

/* ---- building ---------------------------------------------------------- */

/* A file's contents, to be damaged. */
struct blob {
	size_t	size;
	uint8_t	bytes[4096];
};

static struct pram_checkpoint_header *header_of(struct blob *blob)
{
	return (struct pram_checkpoint_header *)blob->bytes;
}

static int read_blob(const struct blob *blob, PramCheckpoint **index, uint64_t *data_offset)
{
	int fd = memfd_create("blob", MFD_CLOEXEC), ret;

	assert_int_equal(write(fd, blob->bytes, blob->size), blob->size);
	ret = pram_index_read(fd, NAME, index, data_offset);
	close(fd);
	return ret;
}

static void expect_refused(const struct blob *blob, int error)
{
	PramCheckpoint *index;
	uint64_t data_offset;

	assert_int_equal(read_blob(blob, &index, &data_offset), error);
}

static void fix_header_crc(struct blob *blob)
{
	header_of(blob)->header_crc32c = htole32(
		pram_crc32c(blob->bytes, offsetof(struct pram_checkpoint_header, header_crc32c)));
}

/* An index of two images and two pages images; each test bends what it is about. */
struct parts {
	PramImage	image[2];
	PramImage	*images[2];
	PramPages	page[2];
	PramPages	*pages[2];
	PramCheckpoint	index;
};

static void init_parts(struct parts *parts)
{
	pram_checkpoint__init(&parts->index);
	for (size_t i = 0; i < 2; i++) {
		pram_image__init(&parts->image[i]);
		pram_pages__init(&parts->page[i]);
		parts->images[i] = &parts->image[i];
		parts->pages[i] = &parts->page[i];
	}
	parts->image[0].name = "core-1.img";
	parts->image[0].size = 6;
	parts->image[1].name = "inventory.img";
	parts->image[1].offset = 6;
	parts->image[1].size = 9;
	parts->page[0].image = "pages-1.img";
	parts->page[0].node = "criu:" NAME ":pages-1.img";
	parts->page[0].bytes = 2 * TEST_PAGE_SIZE;
	parts->page[1].image = "pages-2.img";
	parts->page[1].node = "criu:" NAME ":pages-2.img";
	parts->index.name = NAME;
	parts->index.created_ns = 1;
	parts->index.page_size = TEST_PAGE_SIZE;
	parts->index.n_image = 2;
	parts->index.image = parts->images;
	parts->index.n_pages = 2;
	parts->index.pages = parts->pages;
}

static struct blob pack(const struct parts *parts)
{
	struct blob blob = { 0 };
	int fd = memfd_create("blob", MFD_CLOEXEC);
	ssize_t size;

	assert_int_equal(pram_index_write(fd, &parts->index, strlen(DATA)), 0);
	test_write(fd, DATA);
	size = pread(fd, blob.bytes, sizeof(blob.bytes), 0);
	assert_true(size > 0 && (size_t)size < sizeof(blob.bytes));
	blob.size = size;
	close(fd);
	return blob;
}

static struct blob good_blob(void)
{
	struct parts parts;

	init_parts(&parts);
	return pack(&parts);
}

/* ---- what is read ------------------------------------------------------ */

static void test_crc32c(void **state)
{
	(void)state;
	/* The check value of the catalogue of CRCs, and that of nothing. */
	assert_int_equal(pram_crc32c("123456789", 9), 0xe3069283);
	assert_int_equal(pram_crc32c("", 0), 0);
	/* RFC 3720, B.4: 32 bytes of zeroes. */
	assert_int_equal(pram_crc32c((uint8_t[32]){ 0 }, 32), 0x8a9136aa);
}

static void test_round_trip(void **state)
{
	struct blob blob = good_blob();
	PramCheckpoint *index;
	uint64_t data_offset;

	(void)state;
	assert_int_equal(read_blob(&blob, &index, &data_offset), 0);
	assert_int_equal(data_offset % PRAM_CHECKPOINT_DATA_ALIGN, 0);
	assert_int_equal(data_offset + strlen(DATA), blob.size);
	assert_int_equal(index->n_image, 2);
	assert_int_equal(index->image[1]->offset, 6);
	assert_int_equal(index->n_pages, 2);
	pram_checkpoint__free_unpacked(index, NULL);
}

static void test_empty_images(void **state)
{
	struct parts parts;
	PramCheckpoint *index;
	uint64_t data_offset;
	struct blob blob;

	(void)state;
	/* Both of no bytes and at the very end, which is no overlap. */
	init_parts(&parts);
	parts.image[0].offset = parts.image[1].offset = strlen(DATA);
	parts.image[0].size = parts.image[1].size = 0;
	blob = pack(&parts);
	assert_int_equal(read_blob(&blob, &index, &data_offset), 0);
	pram_checkpoint__free_unpacked(index, NULL);
}

/* A later writer's additions are passed over. */
static void test_unknown_field(void **state)
{
	static const uint8_t value[] = { 1 };
	ProtobufCMessageUnknownField field = {
		.tag = 1000,
		.wire_type = PROTOBUF_C_WIRE_TYPE_VARINT,
		.len = sizeof(value),
		.data = (uint8_t *)value,
	};
	PramCheckpoint *index;
	uint64_t data_offset;
	struct parts parts;
	struct blob blob;

	(void)state;
	init_parts(&parts);
	parts.index.base.n_unknown_fields = 1;
	parts.index.base.unknown_fields = &field;
	blob = pack(&parts);
	assert_int_equal(read_blob(&blob, &index, &data_offset), 0);
	assert_int_equal(index->base.n_unknown_fields, 1);
	pram_checkpoint__free_unpacked(index, NULL);
}

/* golden/checkpoint-v1.bin was written once, by the first writer, and stays. */
static void test_golden_v1(void **state)
{
	struct pram_checkpoint_reader *r;
	const PramCheckpoint *index;
	size_t size;
	char *bytes = test_read_file(TEST_GOLDEN_DIR "/checkpoint-v1.bin", &size);
	int fd;

	(void)state;
	fake_pram_add("criu:/var/lib/criu/redis", PRAM_BYTE_STREAM, PRAM_NODE_CHECKSUM, bytes, size);
	free(bytes);
	assert_int_equal(pram_reader_open(test_dev(), "/var/lib/criu/redis", 0, &r), 0);
	index = pram_reader_index(r);
	assert_string_equal(index->name, "/var/lib/criu/redis");
	assert_true(index->created_ns == UINT64_C(1795294800123456789));
	assert_int_equal(index->page_size, 4096);
	assert_string_equal(index->kernel_release, "7.2.13-pram");
	assert_string_equal(index->kernel_version, "#1 SMP");
	assert_string_equal(index->machine, "x86_64");
	assert_string_equal(index->hostname, "guest");
	assert_string_equal(index->criu_version, "4.2.1");
	assert_string_equal(index->images_dir, "/var/lib/criu/redis");
	assert_int_equal(index->root_pid, 77);
	assert_string_equal(index->root_comm, "redis-server");
	assert_true(index->settings->has_replace && !index->settings->replace);
	assert_true(index->settings->has_checksums && index->settings->checksums);
	assert_true(index->settings->has_copy && !index->settings->copy);
	assert_int_equal(index->n_image, 3);
	assert_string_equal(index->image[0]->name, "core-77.img");
	assert_string_equal(index->image[1]->name, "empty.img");
	assert_string_equal(index->image[2]->name, "inventory.img");
	assert_int_equal(index->n_pages, 2);
	assert_string_equal(index->pages[0]->image, "pages-1.img");
	assert_string_equal(index->pages[0]->node, "criu:/var/lib/criu/redis:pages-1.img");
	assert_int_equal(index->pages[0]->bytes, 8192);
	assert_string_equal(index->pages[1]->image, "pages-2.img");
	assert_int_equal(index->pages[1]->bytes, 0);
	fd = pram_reader_image(r, -1, "core-77.img");
	test_expect_text(fd, "the core image\n");
	close(fd);
	fd = pram_reader_image(r, -1, "empty.img");
	test_expect_text(fd, "");
	close(fd);
	fd = pram_reader_image(r, -1, "inventory.img");
	test_expect_text(fd, "the inventory image\n");
	close(fd);
	pram_reader_close(r);
}

/* ---- what is refused --------------------------------------------------- */

static void test_every_length(void **state)
{
	struct blob blob = good_blob();

	(void)state;
	blob.size++;
	expect_refused(&blob, -EBADMSG);
	blob.size--;
	while (blob.size--)
		expect_refused(&blob, -EBADMSG);
}

static void test_every_bit(void **state)
{
	struct blob blob = good_blob();
	const size_t version = offsetof(struct pram_checkpoint_header, version);

	(void)state;
	/* Images have no checksum here: the metadata node's pages have. */
	for (size_t bit = 0; bit < 8 * (blob.size - strlen(DATA)); bit++) {
		const bool in_version = bit / 8 >= version && bit / 8 < version + 4;

		blob.bytes[bit / 8] ^= 1 << bit % 8;
		expect_refused(&blob, in_version ? -EPROTONOSUPPORT : -EBADMSG);
		blob.bytes[bit / 8] ^= 1 << bit % 8;
	}
}

static void test_next_version(void **state)
{
	struct blob blob = good_blob();

	(void)state;
	header_of(&blob)->version = htole32(PRAM_CHECKPOINT_VERSION + 1);
	fix_header_crc(&blob);
	expect_refused(&blob, -EPROTONOSUPPORT);
}

/* Impossible lengths under a header whose checksum is right. */
static void test_lengths(void **state)
{
	static const uint64_t lengths[] = {
		0, 1, PRAM_CHECKPOINT_INDEX_MAX, PRAM_CHECKPOINT_INDEX_MAX + UINT64_C(1),
		INT64_MAX, UINT64_MAX - 48, UINT64_MAX - 7, UINT64_MAX,
	};
	const struct blob good = good_blob();
	struct blob blob;

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		blob = good;
		header_of(&blob)->index_size = htole64(lengths[i]);
		fix_header_crc(&blob);
		expect_refused(&blob, -EBADMSG);

		blob = good;
		header_of(&blob)->data_offset = htole64(lengths[i]);
		fix_header_crc(&blob);
		expect_refused(&blob, -EBADMSG);

		blob = good;
		header_of(&blob)->data_size = htole64(lengths[i]);
		fix_header_crc(&blob);
		expect_refused(&blob, -EBADMSG);

		blob = good;
		header_of(&blob)->header_size = htole32(lengths[i]);
		fix_header_crc(&blob);
		expect_refused(&blob, -EBADMSG);

		/* So that the sum is right again, if nobody minds the carry. */
		blob = good;
		header_of(&blob)->data_size = htole64(good.size - lengths[i]);
		header_of(&blob)->data_offset = htole64(lengths[i]);
		fix_header_crc(&blob);
		expect_refused(&blob, -EBADMSG);
	}
}

/* An index that does not parse, with all checksums right. */
static void test_nonsense(void **state)
{
	struct blob blob = good_blob();
	const size_t size = le64toh(header_of(&blob)->index_size);

	(void)state;
	memset(blob.bytes + sizeof(struct pram_checkpoint_header), 0xff, size);
	header_of(&blob)->index_crc32c =
		htole32(pram_crc32c(blob.bytes + sizeof(struct pram_checkpoint_header), size));
	fix_header_crc(&blob);
	expect_refused(&blob, -EBADMSG);
}

/* Well-formed messages that say what cannot be. */
static void test_contents(void **state)
{
	char long_name[257] = { 0 };

	memset(long_name, 'n', sizeof(long_name) - 1);
	(void)state;
#define EXPECT_REFUSED(bend)					\
	do {							\
		struct parts parts;				\
		struct blob blob;				\
								\
		init_parts(&parts);				\
		parts.bend;					\
		blob = pack(&parts);				\
		expect_refused(&blob, -EBADMSG);		\
	} while (0)

	EXPECT_REFUSED(index.name = "/other");
	EXPECT_REFUSED(index.name = "");
	EXPECT_REFUSED(index.page_size = 0);

	EXPECT_REFUSED(image[0].name = "");
	EXPECT_REFUSED(image[0].name = ".");
	EXPECT_REFUSED(image[0].name = "..");
	EXPECT_REFUSED(image[0].name = "../passwd");
	EXPECT_REFUSED(image[0].name = "/etc/passwd");
	EXPECT_REFUSED(image[0].name = long_name);
	EXPECT_REFUSED(image[0].name = "inventory.img");
	EXPECT_REFUSED(image[0].name = "pages-1.img");
	/* Overlapping, backwards, behind the end, around it. */
	EXPECT_REFUSED(image[0].size = 7);
	EXPECT_REFUSED(image[1].offset = 5);
	EXPECT_REFUSED(image[0].offset = 7);
	EXPECT_REFUSED(image[1].size = 10);
	EXPECT_REFUSED(image[1].offset = UINT64_MAX);
	EXPECT_REFUSED(image[1].size = UINT64_MAX);
	EXPECT_REFUSED(image[0].size = UINT64_MAX);
	EXPECT_REFUSED(image[1].size = UINT64_MAX - 5);

	EXPECT_REFUSED(page[0].image = "");
	EXPECT_REFUSED(page[0].image = "a/b");
	EXPECT_REFUSED(page[0].image = "pages-2.img");
	EXPECT_REFUSED(page[0].node = "criu:" NAME ":pages-2.img");
	EXPECT_REFUSED(page[0].node = "criu:/other:pages-1.img");
	EXPECT_REFUSED(page[0].node = "criu:" NAME);
	EXPECT_REFUSED(page[0].node = "");
	EXPECT_REFUSED(page[0].bytes = 1);
	EXPECT_REFUSED(page[0].bytes = UINT64_MAX);
#undef EXPECT_REFUSED
}

/* A message without fields that are required. */
static void test_missing_fields(void **state)
{
	struct blob blob = { .size = sizeof(struct pram_checkpoint_header) };
	struct pram_checkpoint_header *header = header_of(&blob);

	(void)state;
	memcpy(header->magic, PRAM_CHECKPOINT_MAGIC, PRAM_CHECKPOINT_MAGIC_SIZE);
	header->version = htole32(PRAM_CHECKPOINT_VERSION);
	header->header_size = htole32(sizeof(*header));
	header->data_offset = htole64(sizeof(*header));
	header->index_crc32c = htole32(pram_crc32c("", 0));
	fix_header_crc(&blob);
	expect_refused(&blob, -EBADMSG);
}

/* Right in every respect but its length, which nobody would have written. */
static void test_too_long_to_read(void **state)
{
	struct pram_checkpoint_header header = {
		.version = htole32(PRAM_CHECKPOINT_VERSION),
		.header_size = htole32(sizeof(header)),
	};
	char *huge = calloc(1, PRAM_CHECKPOINT_INDEX_MAX + 1);
	int fd = memfd_create("blob", MFD_CLOEXEC);
	PramCheckpoint *index;
	uint64_t data_offset;
	struct parts parts;
	uint8_t *packed;
	size_t size;

	(void)state;
	memset(huge, 'n', PRAM_CHECKPOINT_INDEX_MAX);
	init_parts(&parts);
	parts.index.images_dir = huge;
	parts.index.n_image = 0;
	size = pram_checkpoint__get_packed_size(&parts.index);
	/* With room for what pads it. */
	packed = calloc(1, size + PRAM_CHECKPOINT_DATA_ALIGN);
	pram_checkpoint__pack(&parts.index, packed);
	memcpy(header.magic, PRAM_CHECKPOINT_MAGIC, PRAM_CHECKPOINT_MAGIC_SIZE);
	header.index_size = htole64(size);
	size = (size + PRAM_CHECKPOINT_DATA_ALIGN - 1) & ~(PRAM_CHECKPOINT_DATA_ALIGN - 1ULL);
	header.data_offset = htole64(sizeof(header) + size);
	header.index_crc32c = htole32(pram_crc32c(packed, le64toh(header.index_size)));
	header.header_crc32c = htole32(
		pram_crc32c(&header, offsetof(struct pram_checkpoint_header, header_crc32c)));
	assert_int_equal(write(fd, &header, sizeof(header)), sizeof(header));
	assert_int_equal(write(fd, packed, size), size);
	assert_int_equal(pram_index_read(fd, NAME, &index, &data_offset), -EBADMSG);
	free(packed);
	free(huge);
	close(fd);
}

static void test_too_long_to_write(void **state)
{
	struct parts parts;
	char *huge = malloc(PRAM_CHECKPOINT_INDEX_MAX + 1);
	int fd = memfd_create("blob", MFD_CLOEXEC);

	(void)state;
	assert_non_null(huge);
	memset(huge, 'n', PRAM_CHECKPOINT_INDEX_MAX);
	huge[PRAM_CHECKPOINT_INDEX_MAX] = 0;
	init_parts(&parts);
	parts.index.images_dir = huge;
	assert_int_equal(pram_index_write(fd, &parts.index, 0), -EFBIG);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	free(huge);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc32c),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_empty_images),
		cmocka_unit_test(test_unknown_field),
		pram_unit_test(test_golden_v1),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_next_version),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_contents),
		cmocka_unit_test(test_missing_fields),
		cmocka_unit_test(test_too_long_to_write),
		cmocka_unit_test(test_too_long_to_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
