/* The tee ring: wrap-around, marks, back-pressure, hostile reader pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/tee.h"

#define RING TEE_DATA_MIN

struct pair {
	struct tee_writer *w;
	struct tee_reader *r;
};

static void
open_pair(struct pair *p)
{
	assert_int_equal(tee_writer_new(&p->w, RING), 0);
	tee_writer_set_attached(p->w, true);
	assert_int_equal(tee_reader_new(&p->r, tee_writer_fd(p->w, TEE_FD_DATA),
			     tee_writer_fd(p->w, TEE_FD_CTL),
			     tee_writer_fd(p->w, TEE_FD_READER),
			     tee_writer_fd(p->w, TEE_FD_DATA_EVENT),
			     tee_writer_fd(p->w, TEE_FD_SPACE_EVENT)),
	    0);
}

static void
close_pair(struct pair *p)
{
	tee_reader_free(p->r);
	tee_writer_free(p->w);
}

/* The byte that stands at a stream offset in these tests. */
static uint8_t
byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 31 + (offset >> 13));
}

/* Writes up to n bytes, as many as there is room for; returns how many. */
static size_t
write_stream(struct tee_writer *w, size_t n)
{
	uint64_t at = tee_writer_get_received(w);
	size_t room;
	uint8_t *p = tee_writer_room(w, &room);

	n = min_size(n, room);
	for (size_t i = 0; i < n; i++)
		p[i] = byte_at(at + i);
	tee_writer_received(w, n);
	tee_writer_publish(w, at + n);
	tee_writer_forwarded(w, at + n);
	return n;
}

/* Reads and checks everything there is; returns how many bytes. */
static size_t
read_stream(struct tee_reader *r)
{
	struct tee_mark mark;
	const uint8_t *data;
	size_t len, total = 0;
	int rc;

	while ((rc = tee_reader_next(r, &mark, &data, &len)) != 0) {
		assert_int_equal(rc, 2);
		for (size_t i = 0; i < len; i++)
			assert_int_equal(
			    data[i], byte_at(tee_reader_offset(r) + i));
		tee_reader_consume(r, len);
		total += len;
	}
	return total;
}

static int
is_signalled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void
wraps_around_at_every_phase(void **state)
{
	struct pair p;
	uint64_t total = 0;

	open_pair(&p);
	/* 997 is prime: pieces end at every place relative to the ring's end */
	while (total < 12 * RING) {
		size_t n = write_stream(p.w, 997 * (1 + total % 7));

		assert_int_equal(read_stream(p.r), n);
		total += n;
	}
	assert_true(tee_writer_get_recorded(p.w) == total);
	close_pair(&p);
}

static void
full_ring_stops_the_writer(void **state)
{
	struct pair p;
	size_t room;

	open_pair(&p);
	assert_int_equal(write_stream(p.w, 2 * RING), RING);
	tee_writer_room(p.w, &room);
	assert_int_equal(room, 0);
	assert_int_equal(tee_reader_backlog(p.r), RING);

	tee_writer_want_room(p.w, 4096);
	assert_false(is_signalled(tee_writer_fd(p.w, TEE_FD_SPACE_EVENT)));
	tee_reader_consume(p.r, 4095);
	assert_false(is_signalled(tee_writer_fd(p.w, TEE_FD_SPACE_EVENT)));
	tee_reader_consume(p.r, 1);
	assert_true(is_signalled(tee_writer_fd(p.w, TEE_FD_SPACE_EVENT)));
	tee_writer_room(p.w, &room);
	assert_int_equal(room, 4096);
	close_pair(&p);
}

static void
slow_technician_holds_bytes_too(void **state)
{
	struct pair p;
	size_t room;

	open_pair(&p);
	write_stream(p.w, RING);
	tee_writer_forwarded(p.w, 100);
	assert_int_equal(read_stream(p.r), RING);
	tee_writer_room(p.w, &room);
	assert_int_equal(room, 100);
	close_pair(&p);
}

static void
without_recorder_only_forwarding_frees(void **state)
{
	struct tee_writer *w;
	size_t room;

	assert_int_equal(tee_writer_new(&w, RING), 0);
	for (int i = 0; i < 40; i++)
		assert_int_equal(write_stream(w, RING / 3), RING / 3);
	tee_writer_room(w, &room);
	assert_int_equal(room, RING);
	tee_writer_free(w);
}

static void
marks_come_exactly_at_their_offset(void **state)
{
	struct tee_mark m = { .offset = 500, .kind = TEE_MARK_PIXEL_FORMAT };
	struct tee_mark got;
	const uint8_t *data;
	struct pair p;
	size_t len;

	open_pair(&p);
	assert_int_equal(tee_writer_mark(p.w, &m), 0);
	write_stream(p.w, 1000);
	assert_int_equal(tee_reader_next(p.r, &got, &data, &len), 2);
	assert_int_equal(len, 500);
	tee_reader_consume(p.r, len);
	assert_int_equal(tee_reader_next(p.r, &got, &data, &len), 1);
	assert_int_equal(got.kind, TEE_MARK_PIXEL_FORMAT);
	assert_true(got.offset == 500);
	assert_int_equal(tee_reader_next(p.r, &got, &data, &len), 2);
	assert_int_equal(len, 500);
	close_pair(&p);
}

static void
full_ring_of_marks_is_told(void **state)
{
	struct tee_mark m = { .kind = TEE_MARK_TIME }, got;
	const uint8_t *data;
	struct pair p;
	size_t len;

	open_pair(&p);
	for (int i = 0; i < TEE_MARKS; i++)
		assert_int_equal(tee_writer_mark(p.w, &m), 0);
	assert_int_equal(tee_writer_marks_free(p.w), 0);
	assert_int_equal(tee_writer_mark(p.w, &m), ERR_AGAIN);
	assert_int_equal(tee_reader_next(p.r, &got, &data, &len), 1);
	assert_int_equal(tee_writer_mark(p.w, &m), 0);
	close_pair(&p);
}

/* Bytes that cannot get a time are not taken; the wish is granted when the
 * recorder has read a quarter of the marks. */
static void
short_of_marks_is_no_room(void **state)
{
	struct tee_mark m = { .kind = TEE_MARK_TIME }, got;
	const uint8_t *data;
	size_t len, room;
	struct pair p;
	int fd, n = 0;

	open_pair(&p);
	fd = tee_writer_fd(p.w, TEE_FD_SPACE_EVENT);
	for (; tee_writer_marks_free(p.w) >= TEE_MARKS_RESERVED; n++) {
		assert_false(tee_writer_is_short_of_marks(p.w));
		m.offset = (uint64_t)n;
		assert_int_equal(tee_writer_mark(p.w, &m), 0);
		write_stream(p.w, 1);
	}
	assert_true(tee_writer_is_short_of_marks(p.w));
	tee_writer_room(p.w, &room);
	assert_int_equal(room, 0);
	tee_writer_want_room(p.w, 1);
	for (int i = 0; i < TEE_MARKS / 4; i++) {
		assert_int_equal(tee_reader_next(p.r, &got, &data, &len), 1);
		assert_int_equal(tee_reader_next(p.r, &got, &data, &len), 2);
		assert_int_equal(len, 1);
		tee_reader_consume(p.r, len);
		assert_false(is_signalled(fd));
	}
	assert_int_equal(tee_reader_next(p.r, &got, &data, &len), 1);
	assert_int_equal(tee_reader_next(p.r, &got, &data, &len), 2);
	tee_reader_consume(p.r, len);
	assert_true(is_signalled(fd));
	tee_writer_room(p.w, &room);
	assert_int_equal(
	    room, RING - tee_writer_get_received(p.w) + TEE_MARKS / 4 + 1);
	/* nobody reads them: nobody can be short of them */
	tee_writer_set_attached(p.w, false);
	assert_false(tee_writer_is_short_of_marks(p.w));
	close_pair(&p);
}

static void
wakes_only_when_asked(void **state)
{
	struct pair p;
	int fd;

	open_pair(&p);
	fd = tee_writer_fd(p.w, TEE_FD_DATA_EVENT);
	tee_reader_want_data(p.r, 1000);
	write_stream(p.w, 999);
	assert_false(is_signalled(fd));
	write_stream(p.w, 1);
	assert_true(is_signalled(fd));
	/* the wish was granted once: more data stay silent until renewed */
	read_stream(p.r);
	tee_reader_want_data(p.r, 1);
	assert_false(is_signalled(fd));
	tee_reader_sleepless(p.r);
	write_stream(p.w, 5000);
	assert_false(is_signalled(fd));
	close_pair(&p);
}

/* The recorder is not trusted: no value in its page gives the relay room it
 * does not have, or takes back what it had. */
static void
hostile_reader_page_is_clamped(void **state)
{
	struct pair p;
	size_t room;
	_Atomic uint64_t *page;

	open_pair(&p);
	write_stream(p.w, 1000);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
	    tee_writer_fd(p.w, TEE_FD_READER), 0);
	assert_true(page != MAP_FAILED);
	page[0] = UINT64_MAX;
	assert_true(tee_writer_get_recorded(p.w) == 0);
	page[0] = 1001; /* above published */
	assert_true(tee_writer_get_recorded(p.w) == 0);
	page[0] = 600;
	assert_true(tee_writer_get_recorded(p.w) == 600);
	page[0] = 10; /* never back */
	tee_writer_room(p.w, &room);
	assert_int_equal(room, RING - 1000 + 600);
	munmap((void *)page, 4096);
	close_pair(&p);
}

/* Sealed: a descriptor that was handed over cannot be mapped for writing. */
static void
recorder_cannot_write_the_stream(void **state)
{
	struct pair p;
	uint8_t byte = 1;

	open_pair(&p);
	for (int which = TEE_FD_DATA; which <= TEE_FD_CTL; which++) {
		int fd = tee_writer_fd(p.w, (enum tee_fd)which);

		assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
				fd, 0) == MAP_FAILED);
		assert_int_equal(pwrite(fd, &byte, 1, 0), -1);
		assert_int_equal(ftruncate(fd, 0), -1);
	}
	close_pair(&p);
}

/* Two processes, several times around, with sleeping on both sides. */
static void
two_processes(void **state)
{
	const uint64_t total = 40 * RING + 12345;
	struct pair p;
	pid_t child;
	int status;

	open_pair(&p);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct pollfd pfd = { .events = POLLIN,
			.fd = tee_writer_fd(p.w, TEE_FD_DATA_EVENT) };
		alarm(60);
		while (tee_reader_offset(p.r) < total) {
			if (read_stream(p.r) != 0)
				continue;
			tee_reader_want_data(p.r, 1);
			if (tee_reader_backlog(p.r) == 0)
				poll(&pfd, 1, -1);
		}
		_exit(0);
	}
	alarm(60);
	while (tee_writer_get_received(p.w) < total) {
		struct pollfd pfd = { .events = POLLIN,
			.fd = tee_writer_fd(p.w, TEE_FD_SPACE_EVENT) };
		uint64_t n, left = total - tee_writer_get_received(p.w);
		size_t room;

		if (write_stream(p.w, min_u64(left, 3001)) != 0)
			continue;
		tee_writer_want_room(p.w, RING / 4);
		tee_writer_room(p.w, &room);
		if (room == 0 && poll(&pfd, 1, -1) == 1)
			assert_int_equal(read(pfd.fd, &n, 8), 8);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	alarm(0);
	close_pair(&p);
}

/* A second reader, after the first one died with things unread. */
static void
second_reader_begins_where_told(void **state)
{
	const struct tee_checkpoint left = { 3, 77, 5, "abc" };
	struct tee_mark mark = { .kind = TEE_MARK_START, .mono_ns = 1 };
	const uint8_t *data;
	struct tee_checkpoint checkpoint;
	struct pair p;
	size_t len;

	open_pair(&p);
	assert_int_equal(write_stream(p.w, 1000), 1000);
	assert_int_equal(read_stream(p.r), 1000);
	tee_reader_write_checkpoint(p.r, &left);
	/* neither of these is for the next one */
	mark.offset = 1000;
	assert_int_equal(tee_writer_mark(p.w, &mark), 0);
	assert_int_equal(write_stream(p.w, 500), 500);
	tee_reader_free(p.r);
	tee_writer_set_attached(p.w, false);
	assert_int_equal(write_stream(p.w, RING), RING);

	assert_int_equal(tee_writer_reattach(p.w, 42), 0);
	assert_int_equal(write_stream(p.w, 2 * RING), RING);
	assert_int_equal(tee_reader_new(&p.r, tee_writer_fd(p.w, TEE_FD_DATA),
			     tee_writer_fd(p.w, TEE_FD_CTL),
			     tee_writer_fd(p.w, TEE_FD_READER),
			     tee_writer_fd(p.w, TEE_FD_DATA_EVENT),
			     tee_writer_fd(p.w, TEE_FD_SPACE_EVENT)),
	    0);
	assert_int_equal(tee_reader_offset(p.r), 1500 + RING);
	tee_reader_read_checkpoint(p.r, &checkpoint);
	assert_int_equal(checkpoint.seq, 3);
	assert_int_equal(checkpoint.next_frame, 77);
	assert_int_equal(checkpoint.last_ns, 5);
	assert_string_equal(checkpoint.segment, "abc");
	assert_int_equal(tee_reader_next(p.r, &mark, &data, &len), 1);
	assert_int_equal(mark.kind, TEE_MARK_TIME);
	assert_int_equal(mark.mono_ns, 42);
	assert_int_equal(mark.offset, 1500 + RING);
	assert_int_equal(read_stream(p.r), RING);
	assert_int_equal(tee_writer_get_recorded(p.w), 1500 + 2 * RING);
	assert_int_equal(write_stream(p.w, 10), 10);
	assert_int_equal(read_stream(p.r), 10);
	close_pair(&p);
}

static void
wrong_sizes_are_refused(void **state)
{
	struct tee_writer *w;

	assert_int_equal(tee_writer_new(&w, 0), ERR_LIMIT);
	assert_int_equal(tee_writer_new(&w, RING + 4096), ERR_LIMIT);
	assert_int_equal(tee_writer_new(&w, RING / 2), ERR_LIMIT);
	assert_int_equal(tee_writer_new(&w, 2ul * TEE_DATA_MAX), ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wraps_around_at_every_phase),
		cmocka_unit_test(full_ring_stops_the_writer),
		cmocka_unit_test(slow_technician_holds_bytes_too),
		cmocka_unit_test(without_recorder_only_forwarding_frees),
		cmocka_unit_test(marks_come_exactly_at_their_offset),
		cmocka_unit_test(full_ring_of_marks_is_told),
		cmocka_unit_test(short_of_marks_is_no_room),
		cmocka_unit_test(wakes_only_when_asked),
		cmocka_unit_test(hostile_reader_page_is_clamped),
		cmocka_unit_test(recorder_cannot_write_the_stream),
		cmocka_unit_test(two_processes),
		cmocka_unit_test(second_reader_begins_where_told),
		cmocka_unit_test(wrong_sizes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
