/*
 * The transport to one peer of a session: a non-blocking socket, in clear or in
 * TLS.
 *
 * All transports of a loop share one batch. TLS records are written into it and
 * leave with one send(2) for up to 16 records; one recv(2) fills it with as
 * many records as the caller has room for. Only what the socket did not take,
 * or what was received and not read before another transport's turn, is kept in
 * memory the transport owns until it is gone. Why: docs/performance.md.
 *
 * libevent tells readiness and nothing else. One loop owns a transport.
 */
#ifndef RELAY_WIRE_TRANSPORT_H
#define RELAY_WIRE_TRANSPORT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TRANSPORT_RECORD_LEN 16384
#define TRANSPORT_RECORDS    16
/* 5 header, 16 IV, 48 MAC, 16 padding: TLS 1.2 with CBC is the worst */
#define TRANSPORT_OVERHEAD 128
#define TRANSPORT_BATCH_LEN                                                    \
	(TRANSPORT_RECORDS * (TRANSPORT_RECORD_LEN + TRANSPORT_OVERHEAD))
#define TRANSPORT_INPUT_LEN (8 * (TRANSPORT_RECORD_LEN + TRANSPORT_OVERHEAD))

struct transport;

/*
 * Scratch of a loop. data: records on their way out, within one call only.
 * input: received for `reader` and not yet read, from input_off to input_len;
 * it stays there until another transport needs the place.
 */
struct transport_batch {
	size_t len;
	uint8_t data[TRANSPORT_BATCH_LEN];
	struct transport *reader; /* NULL: input is empty */
	size_t input_off, input_len;
	uint8_t input[TRANSPORT_INPUT_LEN];
};

struct transport {
	int fd;
	SSL *ssl;
	struct transport_batch *batch;
	uint8_t *unsent; /* records the socket did not take */
	size_t unsent_off, unsent_len;
	uint8_t *unread; /* input that had to leave the batch */
	size_t unread_off, unread_len;
	size_t wanted;   /* bytes the caller has room for */
	bool is_drained; /* the socket had less than was asked for */
	bool is_eof;
	int error;                    /* errno of what broke the socket, or 0 */
	uint64_t bytes_in, bytes_out; /* of the stream, not of the wire */
};

/* Takes fd (non-blocking). batch: borrowed for the transport's lifetime. The
 * transport must not move while it is in use. */
void transport_init(struct transport *l, int fd, struct transport_batch *batch);
/* Sends close_notify where it can. transport_release does it too. */
void transport_say_goodbye(struct transport *l);
/* Says goodbye, closes and frees. Safe to repeat. */
void transport_release(struct transport *l);

/*
 * Moves a transport: `to` gets the socket, TLS and all that was received and
 * not read; `from` is empty afterwards. batch: of the loop it now lives on; if
 * that is another one, transport_detach comes first, on the old loop.
 */
void transport_move(struct transport *to, struct transport *from,
    struct transport_batch *batch);

/* Takes what the loop's batch holds for it into memory of its own. Returns
 * 0 or ERR_NOMEM. */
int transport_detach(struct transport *l);

/* Puts TLS on the socket; the transport keeps its own reference of nothing:
 * ctx may go. host: name for SNI and checking on the client side, or NULL.
 * Returns 0 or ERR_NOMEM. */
int transport_start_tls(struct transport *l, SSL_CTX *ctx, bool is_server);

/*
 * Goes on with the TLS handshake. Returns 0 when done, ERR_AGAIN (wait for
 * input, or for output when transport_wants_write), ERR_PROTOCOL or ERR_EOF.
 */
int transport_handshake(struct transport *l);

/*
 * Reads up to len bytes. Returns their number, ERR_AGAIN, ERR_EOF (orderly)
 * or ERR_IO.
 */
ssize_t transport_read(struct transport *l, uint8_t *data, size_t len);

/* True while bytes wait that were received already: libevent will not report
 * those. */
bool transport_has_buffered(const struct transport *l);

/*
 * Writes as much as the socket takes. Returns bytes accepted (they will be
 * sent; at least the last may wait in `unsent`), 0 when none was, or ERR_IO.
 */
ssize_t transport_write(struct transport *l, const uint8_t *data, size_t len);

/* Sends what waits. Returns 0 when nothing waits any more, ERR_AGAIN or
 * ERR_IO. */
int transport_flush(struct transport *l);

bool transport_wants_write(const struct transport *l);

#endif
