/* The ZIP of several recordings: read back by libarchive, and its structure
 * where that decides whether other readers take it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "storage/files/zip_stream.h"

#define END_LEN 22    /* the end record without a comment */
#define MANY    65537 /* more than a ZIP without ZIP64 has */
#define LARGE   ((uint64_t)5 << 30)
#define TIME    1790000000

static struct evbuffer *out;
static struct zip_stream *zip;

static int
setup(void **state)
{
	out = evbuffer_new();
	zip = zip_stream_new(out);
	assert_non_null(zip);
	return 0;
}

static int
teardown(void **state)
{
	zip_stream_free(zip);
	evbuffer_free(out);
	return 0;
}

static const uint8_t *
bytes_of(size_t *len)
{
	*len = evbuffer_get_length(out);
	return evbuffer_pullup(out, -1);
}

static void
add(const char *name, const char *text)
{
	assert_int_equal(zip_stream_begin(zip, name, strlen(text), TIME), 0);
	for (size_t i = 0; i < strlen(text); i++)
		assert_int_equal(zip_stream_write(zip, text + i, 1), 0);
}

static void
test_entries_are_read_back(void **state)
{
	static const char *const names[] = { "desk1/a/monitor-1/1.webm",
		"desk1/a/monitor-2/1.webm", "desk1/empty.webm" };
	static const char *const texts[] = { "first", "the second one", "" };
	struct archive *in = archive_read_new();
	struct archive_entry *entry;
	const uint8_t *data;
	char text[64];
	size_t len;

	for (int i = 0; i < 3; i++)
		add(names[i], texts[i]);
	assert_int_equal(zip_stream_end(zip), 0);
	data = bytes_of(&len);
	archive_read_support_format_zip(in);
	assert_int_equal(archive_read_open_memory(in, data, len), ARCHIVE_OK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
		    archive_read_next_header(in, &entry), ARCHIVE_OK);
		assert_string_equal(archive_entry_pathname(entry), names[i]);
		assert_int_equal(archive_entry_size(entry), strlen(texts[i]));
		assert_int_equal(archive_entry_mtime(entry), TIME);
		assert_int_equal(archive_read_data(in, text, sizeof(text)),
		    strlen(texts[i]));
		assert_memory_equal(text, texts[i], strlen(texts[i]));
	}
	assert_int_equal(archive_read_next_header(in, &entry), ARCHIVE_EOF);
	archive_read_free(in);
}

/* Readers look for the directory from the end. */
static void
test_nothing_is_behind_the_directory(void **state)
{
	const uint8_t *data;
	size_t len;

	add("a.webm", "abc");
	assert_int_equal(zip_stream_end(zip), 0);
	data = bytes_of(&len);
	assert_true(len > END_LEN);
	assert_memory_equal(data + len - END_LEN, "PK\5\6", 4);
}

static void
test_an_entry_has_the_size_that_was_said(void **state)
{
	assert_int_equal(zip_stream_begin(zip, "a.webm", 3, TIME), 0);
	assert_int_equal(zip_stream_write(zip, "abcd", 4), ERR_CORRUPT);
	assert_int_equal(zip_stream_write(zip, "ab", 2), 0);
	assert_int_equal(zip_stream_begin(zip, "b.webm", 3, TIME), ERR_CORRUPT);
	assert_int_equal(zip_stream_end(zip), ERR_CORRUPT);
	assert_int_equal(zip_stream_write(zip, "c", 1), 0);
	assert_int_equal(zip_stream_end(zip), 0);
}

static void
test_more_entries_than_16_bits(void **state)
{
	const uint8_t *data;
	char name[32];
	size_t len;

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%d.webm", i);
		assert_int_equal(zip_stream_begin(zip, name, 0, TIME), 0);
	}
	assert_int_equal(zip_stream_end(zip), 0);
	data = bytes_of(&len);
	/* 20 bytes of locator and 56 of the ZIP64 end record come before */
	assert_memory_equal(data + len - END_LEN - 20, "PK\6\7", 4);
	assert_memory_equal(data + len - END_LEN - 76, "PK\6\6", 4);
	assert_int_equal(data[len - END_LEN - 76 + 24] |
		data[len - END_LEN - 76 + 25] << 8 |
		data[len - END_LEN - 76 + 26] << 16,
	    MANY);
}

/* The local header of a large entry has its size in the ZIP64 field. */
static void
test_a_size_of_more_than_32_bits(void **state)
{
	static const uint8_t field[] = { 1, 0, 16, 0 };
	uint8_t size[8];
	const uint8_t *data, *at;
	size_t len;

	for (int i = 0; i < 8; i++)
		size[i] = (uint8_t)(LARGE >> (8 * i));
	assert_int_equal(zip_stream_begin(zip, "a.webm", LARGE, TIME), 0);
	assert_int_equal(zip_stream_write(zip, "a", 1), 0);
	data = bytes_of(&len);
	at = memmem(data, len, field, sizeof(field));
	assert_non_null(at);
	assert_memory_equal(at + sizeof(field), size, sizeof(size));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_entries_are_read_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_nothing_is_behind_the_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_an_entry_has_the_size_that_was_said, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_more_entries_than_16_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_size_of_more_than_32_bits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
