/*
 * Captures that an agent writes: marks stand in the file where the relay put
 * them in the stream, however the bytes came; a lost message, lies about
 * offsets, too little space and a session that is over end it, and what was
 * written until then is a capture.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/capture/captures.h"
#include "common/bytes.h"
#include "capture/capture.h"
#include "common/err.h"
#include "common/http.h"
#include "common/sealed_file.h"
#include "common/tee.h"

#define SESSION "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
#define ID      "11111111-2222-3333-4444-555555555555"
#define JSON    "{\"session\":\"x\"}"
#define BASE    7 /* bytes before the stream */

static uint8_t public_key[SEALED_KEY_LEN], secret_key[SEALED_KEY_LEN];
static const uint8_t id_bytes[SEALED_ID_LEN] = { 0x11, 0x11, 0x11, 0x11, 0x22,
	0x22, 0x33, 0x33, 0x44, 0x44, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55 };

struct fixture {
	char folder[64];
	struct settings settings;
	struct event_base *base;
	struct outbox *outbox;
	struct captures *captures;
	struct capture_job *job;
	struct evbuffer *in;
	unsigned n_writing, n_failed, n_told;
	uint32_t number;
};

static void
on_said(void *arg, const char *session, enum agent_capture_state st,
    const char *why)
{
	struct fixture *f = arg;

	assert_string_equal(session, SESSION);
	f->n_writing += st == AGENT_CAPTURE_WRITING;
	f->n_failed += st == AGENT_CAPTURE_FAILED;
}

static void
on_failed(void *arg, const char *why)
{
	struct fixture *f = arg;

	f->n_told++;
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct captures_to to = { .said = on_said, .arg = f };
	char why[256];

	strcpy(f->folder, "/tmp/relaycam-captures-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->settings.conf.state_dir = f->folder;
	f->settings.conf.uploads = 1;
	f->base = event_base_new();
	f->outbox = outbox_new(f->base, &f->settings, NULL, why, sizeof(why));
	assert_non_null(f->outbox);
	to.base = f->base;
	to.settings = &f->settings;
	to.outbox = f->outbox;
	f->captures = captures_new(&to);
	f->job = capture_job_new(f->captures, SESSION, on_failed, f);
	f->in = evbuffer_new();
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	capture_job_leave(f->job);
	captures_free(f->captures);
	outbox_free(f->outbox);
	event_base_free(f->base);
	evbuffer_free(f->in);
	snprintf(command, sizeof(command), "rm -r %s", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* What the server sends, in pieces of at most `piece` bytes. */
static void
send_bytes(struct fixture *f, const char *data, size_t len, size_t piece)
{
	while (len > 0) {
		size_t n = min_size(len, piece);

		evbuffer_add(f->in, data, n);
		capture_job_bytes(f->job, f->in, n);
		evbuffer_drain(f->in, n);
		data += n;
		len -= n;
	}
}

static void
begin(struct fixture *f, uint64_t offset)
{
	struct agent_msg m = { .type = AGENT_CAPTURE };

	strcpy(m.capture.session, SESSION);
	strcpy(m.capture.id, ID);
	m.capture.offset = offset;
	m.capture.now_ns = UINT64_C(1000000000000);
	strcpy(m.capture.storage, "127.0.0.1:1");
	http_hex(public_key, sizeof(public_key), m.capture.key);
	strcpy(m.capture.meta, JSON);
	captures_begin(f->captures, &m);
}

/* n marks (offset, kind) and how far it may be written. */
static void
say(struct fixture *f, uint64_t until, size_t n, const uint64_t marks[][2])
{
	struct agent_msg m = { .type = AGENT_CAPTURE_MARKS };
	uint8_t b[AGENT_MARK_LEN] = { 0 };

	strcpy(m.marks.session, SESSION);
	m.marks.number = f->number++;
	m.marks.until = until;
	for (size_t i = 0; i < n; i++) {
		store_be64(b, marks[i][0]);
		store_be64(b + 8, UINT64_C(1000000000000));
		store_be32(b + 16, (uint32_t)marks[i][1]);
		http_hex(b, sizeof(b), m.marks.marks + i * 2 * sizeof(b));
	}
	captures_marks(f->captures, &m);
}

static int
open_in(struct fixture *f, const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/captures/" ID "%s", f->folder, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The closed file, unsealed. */
static int
unsealed(struct fixture *f, enum sealed_end *end)
{
	int from = open_in(f, OUTBOX_SEALED),
	    to = memfd_create("c", MFD_CLOEXEC);
	struct sealed_reader *r;
	const uint8_t *data;
	size_t len;

	assert_true(from >= 0);
	assert_int_equal(
	    sealed_reader_new(&r, from, public_key, secret_key, id_bytes), 0);
	while (sealed_reader_next(r, &data, &len) == 1)
		assert_int_equal(write(to, data, len), (ssize_t)len);
	*end = sealed_reader_end(r);
	sealed_reader_free(r);
	close(from);
	return to;
}

/* What the capture says, as text: bytes as they are, "<kind>" for marks but
 * TIME, "(word)" for its end. */
static void
read_back(struct fixture *f, char *out, size_t out_len)
{
	struct capture_reader *r;
	struct capture_record rec;
	uint64_t last = UINT64_C(1000000000000);
	enum sealed_end end;
	size_t at = 0;
	int fd = unsealed(f, &end);

	assert_int_equal(end, SEALED_END_CLOSED);
	assert_int_equal(capture_reader_new_fd(&r, fd), 0);
	while (capture_reader_next(r, &rec) == 1) {
		if (rec.kind == CAPTURE_BYTES) {
			assert_true(at + rec.len < out_len);
			memcpy(out + at, rec.data, rec.len);
			at += rec.len;
			continue;
		}
		assert_true(rec.mark.mono_ns >= last);
		last = rec.mark.mono_ns;
		if (rec.kind == CAPTURE_ENDED)
			at += (size_t)snprintf(
			    out + at, out_len - at, "(%s)", rec.word);
		else if (rec.mark.kind != TEE_MARK_TIME)
			at += (size_t)snprintf(out + at, out_len - at, "<%u>",
			    (unsigned)rec.mark.kind);
	}
	out[at] = '\0';
	assert_int_equal(capture_reader_end(r), CAPTURE_END_CLOSED);
	capture_reader_free(r);
	close(fd);
}

static void
marks_stand_in_the_stream(void **state)
{
	static const uint64_t marks[][2] = { { 0, 4 }, { 3, 2 }, { 3, 7 },
		{ 6, 4 } };
	static const uint64_t end[][2] = { { 10, TEE_MARK_END } };
	static const size_t pieces[] = { 1000, 1 };
	struct fixture *f = *state;
	char text[200];

	for (size_t i = 0; i < N_ELEMENTS(pieces); i++) {
		if (i > 0) {
			tear_down(state);
			set_up(state);
			f = *state;
		}
		send_bytes(f, "1234567abcde", 12, pieces[i]);
		begin(f, BASE);
		assert_int_equal(f->n_writing, 1);
		send_bytes(f, "fghijklm", 8, pieces[i]);
		say(f, 4, 3, marks);
		say(f, 6, 1, marks + 3);
		say(f, 10, 1, end);
		assert_int_equal(f->n_failed, 0);
		/* what the relay did not have is not recorded */
		read_back(f, text, sizeof(text));
		assert_string_equal(text, "<4>abc<2><7>def<4>ghij<8>()");
	}
}

static void
the_last_marks_come_later(void **state)
{
	static const uint64_t end[][2] = { { 3, TEE_MARK_END } };
	struct fixture *f = *state;
	char text[200];

	send_bytes(f, "1234567abc", 10, 100);
	begin(f, BASE);
	capture_job_leave(f->job);
	f->job = NULL;
	say(f, 3, 1, end);
	read_back(f, text, sizeof(text));
	assert_string_equal(text, "abc<8>()");
}

static void
one_that_stops_is_closed(void **state)
{
	struct fixture *f = *state;
	char text[200];

	send_bytes(f, "1234567abc", 10, 100);
	begin(f, BASE);
	say(f, 2, 0, NULL);
	capture_job_leave(f->job);
	f->job = NULL;
	captures_free(f->captures);
	f->captures = NULL;
	read_back(f, text, sizeof(text));
	assert_string_equal(text, "ab(command)");
}

/* Ends as a failure, with what was written before. */
static void
check_failed(struct fixture *f, const char *kept)
{
	char text[200];

	assert_int_equal(f->n_failed, 1);
	assert_int_equal(f->n_told, 1);
	read_back(f, text, sizeof(text));
	assert_string_equal(text, kept);
	/* the session goes on without it */
	send_bytes(f, "more", 4, 4);
	assert_true(capture_job_has_room(f->job));
	say(f, 100, 0, NULL);
	assert_int_equal(f->n_failed, 1);
}

static void
a_lost_message_ends_it(void **state)
{
	struct fixture *f = *state;

	send_bytes(f, "1234567abc", 10, 100);
	begin(f, BASE);
	say(f, 2, 0, NULL);
	f->number++;
	say(f, 3, 0, NULL);
	check_failed(f, "ab(error)");
}

static void
an_offset_that_never_came(void **state)
{
	static const uint64_t marks[][2] = { { 4, 4 } };
	struct fixture *f = *state;

	send_bytes(f, "1234567abc", 10, 100);
	begin(f, BASE);
	say(f, 1, 1, marks);
	check_failed(f, "(error)");
}

static void
more_than_came(void **state)
{
	struct fixture *f = *state;

	send_bytes(f, "1234567abc", 10, 100);
	begin(f, BASE);
	say(f, UINT64_MAX, 0, NULL);
	check_failed(f, "(error)");
}

static void
a_begin_that_never_came(void **state)
{
	struct fixture *f = *state;

	send_bytes(f, "123", 3, 100);
	begin(f, BASE);
	assert_int_equal(f->n_failed, 1);
	assert_int_equal(f->n_writing, 0);
	assert_true(open_in(f, OUTBOX_ORDER) < 0);
}

static void
too_little_space(void **state)
{
	struct fixture *f = *state;

	f->settings.conf.capture_min_free = INT64_MAX;
	assert_non_null(strstr(captures_refusal(f->captures), "disk space"));
	send_bytes(f, "1234567abc", 10, 100);
	begin(f, BASE);
	assert_int_equal(f->n_failed, 1);
	assert_true(open_in(f, OUTBOX_PART) < 0);
}

static void
space_that_runs_out(void **state)
{
	static const struct timeval enough = { .tv_sec = 30 };
	struct fixture *f = *state;

	send_bytes(f, "1234567abc", 10, 100);
	begin(f, BASE);
	say(f, 3, 0, NULL);
	f->settings.conf.capture_min_free = INT64_MAX;
	event_base_loopexit(f->base, &enough);
	while (f->n_failed == 0 && !event_base_got_exit(f->base))
		event_base_loop(f->base, EVLOOP_ONCE);
	check_failed(f, "abc(nospace)");
}

static void
held_until_it_may_be_written(void **state)
{
	struct fixture *f = *state;
	size_t len = CAPTURES_HELD_MAX / 4;
	char *data = calloc(1, len);

	begin(f, 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(capture_job_has_room(f->job));
		send_bytes(f, data, len, len);
	}
	assert_false(capture_job_has_room(f->job));
	say(f, len, 0, NULL);
	assert_true(capture_job_has_room(f->job));
	free(data);
}

/* The relay wants none: its team's quota is used up, say. */
static void
not_held_without_an_order(void **state)
{
	struct fixture *f = *state;
	size_t len = CAPTURES_HELD_MAX / 4;
	char *data = calloc(1, len);

	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(f->n_failed, i < 4 ? 0 : 1);
		assert_true(capture_job_has_room(f->job));
		send_bytes(f, data, len, len);
	}
	assert_int_equal(f->n_told, 1);
	begin(f, 0); /* too late */
	assert_int_equal(f->n_writing, 0);
	assert_int_equal(f->n_failed, 1);
	free(data);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(marks_stand_in_the_stream),
		TEST(the_last_marks_come_later),
		TEST(one_that_stops_is_closed),
		TEST(a_lost_message_ends_it),
		TEST(an_offset_that_never_came),
		TEST(more_than_came),
		TEST(a_begin_that_never_came),
		TEST(too_little_space),
		TEST(space_that_runs_out),
		TEST(held_until_it_may_be_written),
		TEST(not_held_without_an_order),
	};

	if (sodium_init() < 0)
		return 1;
	crypto_box_keypair(public_key, secret_key);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
