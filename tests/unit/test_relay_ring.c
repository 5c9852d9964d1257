/* The ring between receiving and forwarding, private and as a tee. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/tee.h"
#include "relay/pump/ring.h"

/* The buffer that the rings of a loop share. */
static uint8_t *spare;

/* The byte that belongs at a stream offset. */
static uint8_t
byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 7 + (offset >> 13));
}

/* Receives up to n bytes; returns how many there was room for. */
static size_t
receive(struct ring *r, size_t n)
{
	size_t room;
	uint8_t *p = ring_room(r, &room);

	assert_non_null(p);
	if (n > room)
		n = room;
	for (size_t i = 0; i < n; i++)
		p[i] = byte_at(r->received + i);
	ring_received(r, n);
	return n;
}

/* Forwards up to n framed bytes and checks each. */
static void
forward(struct ring *r, size_t n)
{
	size_t len;
	const uint8_t *p = ring_span(r, &len);

	if (n > len)
		n = len;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], byte_at(r->forwarded + i));
	ring_forwarded(r, n);
}

/* Uneven pieces, so that wrapping and compacting happen everywhere. */
static void
carry(struct ring *r, size_t total)
{
	unsigned seed = 1;

	while (r->forwarded < total) {
		seed = seed * 1103515245 + 12345;
		receive(r, (seed >> 8) % 20000 + 1);
		/* the last bytes may be a header that is not complete */
		if (r->received > r->framed + 12)
			ring_framed(r, r->received - (seed >> 20) % 12);
		forward(r, (seed >> 4) % 24000);
	}
}

static void
test_private_carries_all(void **state)
{
	struct ring r;

	assert_int_equal(ring_init(&r, 0, &spare), 0);
	carry(&r, 3 << 20);
	ring_release(&r);
}

static void
test_tee_carries_all(void **state)
{
	struct ring r;

	/* no recorder is attached: what is forwarded is free */
	assert_int_equal(ring_init(&r, TEE_DATA_MIN, NULL), 0);
	carry(&r, 3 << 20);
	ring_release(&r);
}

static void
test_full_gives_no_room(void **state)
{
	struct ring r;
	size_t room;

	assert_int_equal(ring_init(&r, 0, &spare), 0);
	while (receive(&r, 10000) == 10000)
		;
	assert_int_equal(r.received, RING_PRIVATE_LEN);
	ring_room(&r, &room);
	assert_int_equal(room, 0);
	ring_framed(&r, r.received);
	forward(&r, 20000);
	ring_room(&r, &room);
	assert_int_equal(room, 20000);
	ring_release(&r);
}

/* An attached recorder that has not read keeps every byte. */
static void
test_recorder_holds_the_ring(void **state)
{
	struct ring r;
	size_t room;

	assert_int_equal(ring_init(&r, TEE_DATA_MIN, NULL), 0);
	tee_writer_set_attached(r.tee, true);
	receive(&r, TEE_DATA_MIN);
	ring_framed(&r, r.received);
	forward(&r, TEE_DATA_MIN);
	assert_int_equal(r.forwarded, TEE_DATA_MIN);
	ring_room(&r, &room);
	assert_int_equal(room, 0);
	tee_writer_set_attached(r.tee, false);
	ring_room(&r, &room);
	assert_int_equal(room, TEE_DATA_MIN);
	ring_release(&r);
}

/* What is not framed is never offered for forwarding. */
static void
test_only_framed_is_forwarded(void **state)
{
	struct ring r;
	size_t len;

	assert_int_equal(ring_init(&r, 0, &spare), 0);
	receive(&r, 100);
	ring_span(&r, &len);
	assert_int_equal(len, 0);
	ring_framed(&r, 60);
	ring_span(&r, &len);
	assert_int_equal(len, 60);
	forward(&r, 60);
	ring_idle(&r);
	/* 40 bytes are left, so the memory is, too */
	assert_non_null(r.data);
	ring_framed(&r, 100);
	forward(&r, 40);
	ring_idle(&r);
	assert_null(r.data);
	receive(&r, 10);
	ring_framed(&r, 110);
	forward(&r, 10);
	ring_release(&r);
}

/* A buffer that nobody uses is taken again; two rings never share one. */
static void
test_spare_has_one_user(void **state)
{
	struct ring a, b;

	assert_int_equal(ring_init(&a, 0, &spare), 0);
	assert_int_equal(ring_init(&b, 0, &spare), 0);
	receive(&a, 100);
	receive(&b, 50);
	assert_ptr_not_equal(a.data, b.data);
	ring_framed(&a, 100);
	ring_framed(&b, 50);
	forward(&a, 100);
	forward(&b, 50);
	ring_idle(&a);
	ring_idle(&b);
	assert_null(a.data);
	assert_null(b.data);
	assert_non_null(spare);
	ring_release(&a);
	ring_release(&b);
}

static int
free_spare(void **state)
{
	free(spare);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_private_carries_all),
		cmocka_unit_test(test_tee_carries_all),
		cmocka_unit_test(test_full_gives_no_room),
		cmocka_unit_test(test_recorder_holds_the_ring),
		cmocka_unit_test(test_only_framed_is_forwarded),
		cmocka_unit_test(test_spare_has_one_user),
	};

	return cmocka_run_group_tests(tests, NULL, free_spare);
}
