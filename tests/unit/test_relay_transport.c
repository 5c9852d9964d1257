/* A transport over a socketpair against OpenSSL's own socket BIO as the peer.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "common/err.h"
#include "relay/wire/transport.h"
#include "tests/unit/tls_pair.h"

#define BIG (4 << 20)

static SSL_CTX *server_ctx, *client_ctx;
static struct transport_batch *batch;

/* One connection: the transport is the server, the peer plain OpenSSL. */
struct link {
	struct transport transport;
	int peer_fd;
	SSL *peer;
};

static void
set_nonblocking(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static void
link_open(struct link *k)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	set_nonblocking(pair[0]);
	set_nonblocking(pair[1]);
	transport_init(&k->transport, pair[0], batch);
	k->peer_fd = pair[1];
	k->peer = NULL;
}

static void
link_start_tls(struct link *k)
{
	int mine = ERR_AGAIN, theirs = 0;

	assert_int_equal(
	    transport_start_tls(&k->transport, server_ctx, true), 0);
	k->peer = SSL_new(client_ctx);
	assert_int_equal(SSL_set_fd(k->peer, k->peer_fd), 1);
	SSL_set_connect_state(k->peer);
	for (int i = 0; i < 20 && (mine != 0 || theirs != 1); i++) {
		theirs = SSL_do_handshake(k->peer);
		mine = transport_handshake(&k->transport);
	}
	assert_int_equal(mine, 0);
	assert_int_equal(theirs, 1);
}

static void
link_close(struct link *k)
{
	SSL_free(k->peer);
	close(k->peer_fd);
	transport_release(&k->transport);
}

static void
fill(uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 31 + (i >> 11));
}

/* What the peer can read now; -1 when nothing. */
static ssize_t
peer_read(struct link *k, uint8_t *data, size_t len)
{
	return k->peer != NULL ? SSL_read(k->peer, data, (int)len)
			       : recv(k->peer_fd, data, len, 0);
}

/* Writes BIG bytes to a peer that reads in pieces; all of it must arrive. */
static void
carry(struct link *k)
{
	uint8_t *sent = malloc(BIG), *got = malloc(BIG);
	size_t done = 0, arrived = 0;
	unsigned n_short = 0;
	ssize_t n;

	fill(sent, BIG);
	while (arrived < BIG) {
		assert_in_range(transport_flush(&k->transport) + 32, 0, 32);
		n = transport_write(&k->transport, sent + done, BIG - done);
		assert_true(n >= 0);
		done += (size_t)n;
		n_short += done < BIG; /* the socket took less than there was */
		/* nothing of a transport may stay in what all transports share
		 */
		assert_int_equal(batch->len, 0);
		for (int i = 0; i < 3; i++) {
			n = peer_read(k, got + arrived,
			    BIG - arrived < 50000 ? BIG - arrived : 50000);
			if (n > 0)
				arrived += (size_t)n;
		}
	}
	assert_int_equal(done, BIG);
	assert_memory_equal(sent, got, BIG);
	assert_true(n_short > 0); /* the hard case was there */
	assert_int_equal(transport_flush(&k->transport), 0);
	assert_false(transport_wants_write(&k->transport));
	free(sent);
	free(got);
}

static void
test_clear_with_partial_writes(void **state)
{
	struct link k;

	link_open(&k);
	carry(&k);
	link_close(&k);
}

static void
test_tls_with_partial_writes(void **state)
{
	struct link k;

	link_open(&k);
	link_start_tls(&k);
	carry(&k);
	link_close(&k);
}

/*
 * Reads as an event loop makes it happen: again as long as the socket is
 * readable or the transport holds bytes. A transport may answer ERR_AGAIN once
 * too often.
 */
static ssize_t
read_as_a_loop(struct transport *l, uint8_t *data, size_t len)
{
	struct pollfd p = { l->fd, POLLIN, 0 };
	ssize_t n = transport_read(l, data, len);

	while (n == ERR_AGAIN &&
	    (transport_has_buffered(l) || poll(&p, 1, 0) == 1))
		n = transport_read(l, data, len);
	return n;
}

/* ---- OpenSSL's allocations, counted ---- */

static unsigned n_allocations;

static void *
counted_malloc(size_t len, const char *file, int line)
{
	n_allocations++;
	return malloc(len);
}

static void *
counted_realloc(void *old, size_t len, const char *file, int line)
{
	n_allocations++;
	return realloc(old, len);
}

static void
counted_free(void *p, const char *file, int line)
{
	free(p);
}

/* Where all that the socket had was read, TLS is not asked for more: it would
 * take a buffer to find that there is nothing. */
static void
test_nothing_more_costs_no_buffer(void **state)
{
	uint8_t data[64];
	struct link k;

	link_open(&k);
	link_start_tls(&k);
	assert_int_equal(SSL_write(k.peer, "hello", 5), 5);
	assert_int_equal(read_as_a_loop(&k.transport, data, sizeof(data)), 5);
	n_allocations = 0;
	assert_int_equal(
	    transport_read(&k.transport, data, sizeof(data)), ERR_AGAIN);
	assert_int_equal(n_allocations, 0);
	/* once: then the socket is asked */
	assert_int_equal(SSL_write(k.peer, "again", 5), 5);
	assert_int_equal(transport_read(&k.transport, data, sizeof(data)), 5);
	assert_memory_equal(data, "again", 5);
	link_close(&k);
}

static void
test_reads_and_ends(void **state)
{
	uint8_t data[64];
	struct link k;

	link_open(&k);
	link_start_tls(&k);
	assert_int_equal(
	    transport_read(&k.transport, data, sizeof(data)), ERR_AGAIN);
	assert_int_equal(SSL_write(k.peer, "hello", 5), 5);
	assert_int_equal(read_as_a_loop(&k.transport, data, 2), 2);
	/* the socket is empty now, TLS is not */
	assert_true(transport_has_buffered(&k.transport));
	assert_int_equal(transport_read(&k.transport, data + 2, 62), 3);
	assert_memory_equal(data, "hello", 5);
	assert_int_equal(
	    transport_read(&k.transport, data, sizeof(data)), ERR_AGAIN);
	SSL_shutdown(k.peer);
	assert_int_equal(
	    read_as_a_loop(&k.transport, data, sizeof(data)), ERR_EOF);
	link_close(&k);
}

/*
 * A peer that asks for new keys: the answer must leave on this transport, never
 * stay in the batch for the next transport that writes.
 */
static void
test_key_update_stays_on_its_leg(void **state)
{
	uint8_t data[64];
	struct link a, b;

	link_open(&a);
	link_open(&b);
	link_start_tls(&a);
	link_start_tls(&b);
	assert_int_equal(SSL_key_update(a.peer, SSL_KEY_UPDATE_REQUESTED), 1);
	assert_int_equal(SSL_write(a.peer, "data", 4), 4);
	assert_int_equal(read_as_a_loop(&a.transport, data, sizeof(data)), 4);
	assert_int_equal(batch->len, 0);
	assert_int_equal(
	    transport_write(&b.transport, (const uint8_t *)"other", 5), 5);
	assert_int_equal(SSL_read(b.peer, data, sizeof(data)), 5);
	assert_memory_equal(data, "other", 5);
	assert_int_equal(
	    transport_write(&a.transport, (const uint8_t *)"again", 5), 5);
	assert_int_equal(SSL_read(a.peer, data, sizeof(data)), 5);
	assert_memory_equal(data, "again", 5);
	link_close(&a);
	link_close(&b);
}

/*
 * One receive takes several records; what a transport has not read when another
 * one's turn comes must neither be lost nor reach the other.
 */
static void
test_input_survives_another_leg(void **state)
{
	const size_t len = 5 * TRANSPORT_RECORD_LEN;
	uint8_t *sent = malloc(len), *got = malloc(len), other[8];
	struct link a, b;
	size_t n = 0;
	ssize_t rc;

	fill(sent, len);
	link_open(&a);
	link_open(&b);
	link_start_tls(&a);
	link_start_tls(&b);
	assert_int_equal(SSL_write(a.peer, sent, (int)len), (int)len);
	assert_int_equal(SSL_write(b.peer, "other", 5), 5);
	rc = read_as_a_loop(&a.transport, got, len);
	assert_int_equal(rc, TRANSPORT_RECORD_LEN);
	n += (size_t)rc;
	assert_ptr_equal(
	    batch->reader, &a.transport); /* the hard case is there */
	assert_int_equal(read_as_a_loop(&b.transport, other, sizeof(other)), 5);
	assert_memory_equal(other, "other", 5);
	assert_ptr_not_equal(batch->reader, &a.transport);
	assert_true(transport_has_buffered(&a.transport));
	for (int i = 0; i < 100 && n < len; i++) {
		rc = transport_read(&a.transport, got + n, len - n);
		assert_true(rc > 0 || rc == ERR_AGAIN);
		n += rc > 0 ? (size_t)rc : 0;
	}
	assert_int_equal(n, len);
	assert_memory_equal(sent, got, len);
	assert_false(transport_has_buffered(&a.transport));
	link_close(&a);
	link_close(&b);
	free(sent);
	free(got);
}

/* A transport that goes while its input is in the batch, or was moved out. */
static void
test_release_with_unread_input(void **state)
{
	const size_t len = 5 * TRANSPORT_RECORD_LEN;
	uint8_t *data = calloc(1, len);
	struct link a, b;

	for (int moved = 0; moved < 2; moved++) {
		link_open(&a);
		link_open(&b);
		link_start_tls(&a);
		link_start_tls(&b);
		assert_int_equal(SSL_write(a.peer, data, (int)len), (int)len);
		assert_int_equal(SSL_write(b.peer, "other", 5), 5);
		assert_true(read_as_a_loop(&a.transport, data, len) > 0);
		if (moved)
			assert_int_equal(
			    read_as_a_loop(&b.transport, data, len), 5);
		link_close(&a);
		assert_true(batch->reader == NULL);
		if (!moved)
			assert_int_equal(
			    read_as_a_loop(&b.transport, data, len), 5);
		link_close(&b);
	}
	free(data);
}

static void
test_garbage_instead_of_tls(void **state)
{
	struct link k;

	link_open(&k);
	assert_int_equal(
	    transport_start_tls(&k.transport, server_ctx, true), 0);
	assert_int_equal(send(k.peer_fd, "GET / HTTP/1.0\r\n\r\n", 18, 0), 18);
	assert_int_equal(transport_handshake(&k.transport), ERR_PROTOCOL);
	assert_int_equal(batch->len, 0);
	link_close(&k);
}

static void
test_peer_that_vanished(void **state)
{
	uint8_t data[1000] = { 0 };
	struct link k;
	ssize_t n;

	link_open(&k);
	link_start_tls(&k);
	close(k.peer_fd);
	k.peer_fd = -1;
	n = transport_write(&k.transport, data, sizeof(data));
	assert_int_equal(n, ERR_IO);
	assert_int_equal(batch->len, 0);
	link_close(&k);
}

/* ---- a certificate of the moment ---- */

static int
set_up(void **state)
{
	tls_pair_new(&server_ctx, &client_ctx);
	batch = calloc(1, sizeof(*batch));
	return batch != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	free(batch);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clear_with_partial_writes),
		cmocka_unit_test(test_tls_with_partial_writes),
		cmocka_unit_test(test_nothing_more_costs_no_buffer),
		cmocka_unit_test(test_reads_and_ends),
		cmocka_unit_test(test_key_update_stays_on_its_leg),
		cmocka_unit_test(test_input_survives_another_leg),
		cmocka_unit_test(test_release_with_unread_input),
		cmocka_unit_test(test_garbage_instead_of_tls),
		cmocka_unit_test(test_peer_that_vanished),
	};

	/* before OpenSSL has taken any */
	if (CRYPTO_set_mem_functions(
		counted_malloc, counted_realloc, counted_free) != 1)
		return 1;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
