/*
 * For tests and fuzzing: plays a peer's bytes into one side of a handshake,
 * in one piece or cut, and keeps what can be compared: the events that
 * matter, the answer and the error.
 *
 * A play has two flights: what the peer sends before TLS, and after it.
 */
#ifndef TESTS_HANDSHAKE_PLAY_H
#define TESTS_HANDSHAKE_PLAY_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/handshake_client.h"
#include "rfb/handshake_server.h"
#include "rfb/protocol.h"

struct flight {
	uint8_t data[70000];
	size_t len;
};

enum play_mode {
	PLAY_X509_PLAIN,
	PLAY_PLAIN,
	PLAY_AUTHENTICATED,
	PLAY_VNC_AUTH,
	PLAY_N_MODES,
};

/* What the server sends as challenge, and the password it then checks. */
#define PLAY_CHALLENGE "0123456789abcdef"
#define PLAY_PASSWORD  "geheim12"

struct play {
	/* the side under test: one of them */
	struct rfb_handshake_server *server;
	struct rfb_handshake_client *client;
	enum play_mode mode; /* server side */
	const char *reject;  /* server side: NULL accepts */
	struct buf out;
	bool wants_tls;
	/* what happened */
	int rc;          /* of the last feed */
	char events[16]; /* T: TLS, C: credentials, A: answered without
			  * them, D: not the password, K: key, S: cipher,
			  * R: ready */
	char user[RFB_MAX_CREDENTIAL + 1];
	char password[RFB_MAX_CREDENTIAL + 1];
	char why[1024];
	size_t n_unread; /* of the last flight */
};

static inline void
must(bool condition)
{
	if (!condition)
		abort();
}

static inline void
fly(struct flight *f, const void *data, size_t n)
{
	must(n <= sizeof(f->data) - f->len);
	memcpy(f->data + f->len, data, n);
	f->len += n;
}

static inline void
fly8(struct flight *f, unsigned v)
{
	uint8_t b = (uint8_t)v;

	fly(f, &b, 1);
}

static inline void
fly32(struct flight *f, uint32_t v)
{
	uint8_t b[4];

	store_be32(b, v);
	fly(f, b, sizeof(b));
}

/* A 32-bit length and the text. */
static inline void
fly_text(struct flight *f, const char *text)
{
	fly32(f, (uint32_t)strlen(text));
	fly(f, text, strlen(text));
}

static inline void
note(struct play *p, char event)
{
	size_t n = strlen(p->events);

	must(n + 1 < sizeof(p->events));
	p->events[n] = event;
}

static inline void
answer(struct play *p)
{
	if (p->reject != NULL)
		must(rfb_handshake_server_reject(p->server, p->reject) == 0);
	else
		must(rfb_handshake_server_accept(p->server) == 0);
}

/* Who is authenticated already is answered when it is time. */
static inline void
on_step(struct play *p)
{
	if (p->mode != PLAY_AUTHENTICATED ||
	    rfb_handshake_server_phase(p->server) != RFB_SERVER_ANSWER)
		return;
	note(p, 'A');
	answer(p);
}

static inline void
on_credentials(struct play *p)
{
	note(p, 'C');
	strcpy(p->user, rfb_handshake_server_user(p->server));
	strcpy(p->password, rfb_handshake_server_password(p->server));
	if (p->mode == PLAY_VNC_AUTH &&
	    rfb_handshake_server_check_vnc(p->server, PLAY_PASSWORD) != 0) {
		note(p, 'D');
		must(rfb_handshake_server_reject(p->server, "wrong") == 0);
	} else {
		answer(p);
	}
	must(rfb_handshake_server_user(p->server)[0] == '\0');
	must(rfb_handshake_server_password(p->server)[0] == '\0');
}

static inline void
on_key(struct play *p)
{
	note(p, 'K');
	must(rfb_handshake_client_key_sha256(p->client) != NULL);
	must(strlen(rfb_handshake_client_key_text(p->client)) == 23);
	must(rfb_handshake_client_key_checked(p->client) == 0);
}

/*
 * One call with n bytes, in a block of exactly that size so that a sanitizer
 * sees a read beyond it. Returns the bytes used.
 */
static inline size_t
play_once(struct play *p, const uint8_t *data, size_t n)
{
	uint8_t *piece = malloc(n + (n == 0));
	size_t used = 0;

	must(piece != NULL);
	if (n != 0)
		memcpy(piece, data, n);
	p->rc = p->server != NULL
	    ? rfb_handshake_server_feed(p->server, piece, n, &used)
	    : rfb_handshake_client_feed(p->client, piece, n, &used);
	free(piece);
	must(used <= n);
	must(p->rc < 0 || (p->rc == RFB_HANDSHAKE_MORE) == (used == 0));
	if (p->rc == RFB_HANDSHAKE_START_TLS)
		note(p, 'T');
	else if (p->rc == RFB_HANDSHAKE_CREDENTIALS)
		on_credentials(p);
	else if (p->rc == RFB_HANDSHAKE_READY)
		note(p, 'R');
	else if (p->rc == RFB_HANDSHAKE_CHECK_KEY)
		on_key(p);
	else if (p->rc == RFB_HANDSHAKE_START_CIPHER)
		note(p, 'S');
	else if (p->rc == RFB_HANDSHAKE_STEP && p->server != NULL)
		on_step(p);
	p->wants_tls |= p->rc == RFB_HANDSHAKE_START_TLS;
	return used;
}

/* piece: bytes that arrive at a time; 0: all at once. */
static inline void
play_flight(struct play *p, const struct flight *f, size_t piece)
{
	size_t came = 0, done = 0;

	while (came < f->len && p->rc >= 0) {
		came += min_size(piece != 0 ? piece : f->len, f->len - came);
		do
			done += play_once(p, f->data + done, came - done);
		while (p->rc > 0);
	}
	p->n_unread = f->len - done;
}

static inline void
play_both(struct play *p, const struct flight *clear, const struct flight *tls,
    size_t piece)
{
	play_flight(p, clear, piece);
	if (p->rc >= 0 && p->wants_tls) {
		if (p->server != NULL)
			rfb_handshake_server_tls_started(p->server);
		else
			must(rfb_handshake_client_tls_started(p->client) == 0);
		play_flight(p, tls, piece);
	}
	snprintf(p->why, sizeof(p->why), "%s",
	    p->server != NULL ? rfb_handshake_server_why(p->server)
			      : rfb_handshake_client_why(p->client));
}

static inline struct rfb_handshake_server *
play_server_new(struct buf *out, enum play_mode mode)
{
	struct rfb_handshake_server *h;

	switch (mode) {
	case PLAY_AUTHENTICATED:
		return rfb_handshake_server_new_authenticated(out);
	case PLAY_VNC_AUTH:
		h = rfb_handshake_server_new_vnc_auth(out);
		if (h != NULL)
			rfb_handshake_server_set_challenge(
			    h, (const uint8_t *)PLAY_CHALLENGE);
		return h;
	case PLAY_PLAIN:
		return rfb_handshake_server_new_in_tls(out);
	case PLAY_N_MODES:
	case PLAY_X509_PLAIN:
	default:
		return rfb_handshake_server_new(out);
	}
}

static inline void
play_server_start_as(struct play *p, enum play_mode mode, const char *reject)
{
	memset(p, 0, sizeof(*p));
	buf_init(&p->out, 8192);
	p->mode = mode;
	p->reject = reject;
	p->server = play_server_new(&p->out, mode);
	must(p->server != NULL);
}

static inline void
play_server_start(struct play *p, bool is_in_tls, const char *reject)
{
	play_server_start_as(
	    p, is_in_tls ? PLAY_PLAIN : PLAY_X509_PLAIN, reject);
}

static inline void
play_client_start(struct play *p, const struct rfb_client_params *params)
{
	memset(p, 0, sizeof(*p));
	buf_init(&p->out, 8192);
	p->client = rfb_handshake_client_new(&p->out, params);
	must(p->client != NULL);
}

static inline void
play_end(struct play *p)
{
	rfb_handshake_server_free(p->server);
	rfb_handshake_client_free(p->client);
	buf_release(&p->out);
}

/* True when both ended alike, and said as much: pieces may not matter. */
static inline bool
is_alike_play(const struct play *a, const struct play *b)
{
	return a->rc == b->rc && strcmp(a->events, b->events) == 0 &&
	    strcmp(a->why, b->why) == 0 && strcmp(a->user, b->user) == 0 &&
	    strcmp(a->password, b->password) == 0 &&
	    a->n_unread == b->n_unread && buf_len(&a->out) == buf_len(&b->out);
}

/* The same for dialogues without random numbers: to the byte. */
static inline bool
is_same_play(const struct play *a, const struct play *b)
{
	return is_alike_play(a, b) &&
	    (buf_len(&a->out) == 0 ||
		memcmp(buf_head(&a->out), buf_head(&b->out),
		    buf_len(&a->out)) == 0);
}

#endif
