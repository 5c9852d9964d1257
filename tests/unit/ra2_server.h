/*
 * For tests and fuzzing: the endpoint's side of RA2, made of the relay's own
 * pieces. It shows what cut, changed and hostile bytes do; that the bytes are
 * right is shown by tests/integration/security_peer.py.
 */
#ifndef TESTS_RA2_SERVER_H
#define TESTS_RA2_SERVER_H

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "rfb/ra2_key.h"
#include "rfb/ra2_stream.h"

struct ra2_server {
	const struct rfb_ra2_key *key;
	struct rfb_ra2_key peer;
	bool is_256;
	uint8_t random[32];
	struct rfb_ra2_stream *stream;
	uint8_t out[4096]; /* to be sent */
	size_t n_out;
};

static inline void
ra2_must(bool condition)
{
	if (!condition)
		abort();
}

static inline void
ra2_put(struct ra2_server *s, const void *data, size_t n)
{
	ra2_must(n <= sizeof(s->out) - s->n_out);
	memcpy(s->out + s->n_out, data, n);
	s->n_out += n;
}

static inline void
ra2_put_sealed(struct ra2_server *s, const void *data, size_t n)
{
	ssize_t len;

	ra2_must(n + RFB_RA2_OVERHEAD <= sizeof(s->out) - s->n_out);
	len = rfb_ra2_seal(s->stream, data, n, s->out + s->n_out);
	ra2_must(len > 0);
	s->n_out += (size_t)len;
}

static inline size_t
ra2_digest(const struct ra2_server *s, const uint8_t *a, size_t na,
    const uint8_t *b, size_t nb, uint8_t to[EVP_MAX_MD_SIZE])
{
	uint8_t both[2 * RFB_RA2_WIRE_MAX];
	unsigned n = 0;

	memcpy(both, a, na);
	memcpy(both + na, b, nb);
	ra2_must(EVP_Digest(both, na + nb, to, &n,
		     s->is_256 ? EVP_sha256() : EVP_sha1(), NULL) == 1);
	return n;
}

/* One's own key first. Returns the hash's length. */
static inline size_t
ra2_server_hash(const struct ra2_server *s, uint8_t to[EVP_MAX_MD_SIZE])
{
	return ra2_digest(s, s->key->wire, s->key->wire_len, s->peer.wire,
	    s->peer.wire_len, to);
}

/* The client's key and random number came: answers with its own, and makes
 * the ciphers. opening: as the client sent it. */
static inline void
ra2_server_open(struct ra2_server *s, const uint8_t *opening, size_t len)
{
	uint8_t in[EVP_MAX_MD_SIZE], out[EVP_MAX_MD_SIZE], sealed[2 + 1024];
	uint8_t client[32];
	size_t n = s->is_256 ? 32 : 16;
	ssize_t used = rfb_ra2_key_read(&s->peer, opening, len);

	ra2_must(used > 0 && len == (size_t)used + 2 + s->key->size);
	ra2_must(load_be16(opening + used) == s->key->size);
	ra2_must(rfb_ra2_decrypt(s->key, opening + used + 2, client, n));
	memset(s->random, 0x5a, sizeof(s->random));
	store_be16(sealed, (uint16_t)s->peer.size);
	ra2_must(rfb_ra2_encrypt(&s->peer, s->random, n, sealed + 2));
	ra2_put(s, sealed, 2 + s->peer.size);
	ra2_digest(s, s->random, n, client, n, in);
	ra2_digest(s, client, n, s->random, n, out);
	s->stream = rfb_ra2_stream_new(in, out, n);
	ra2_must(s->stream != NULL);
}

static inline void
ra2_server_release(struct ra2_server *s)
{
	rfb_ra2_key_release(&s->peer);
	rfb_ra2_stream_free(s->stream);
	s->stream = NULL;
}

#endif
