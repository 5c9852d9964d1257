#include "rfb/ra2.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/ra2_key.h"
#include "rfb/ra2_stream.h"

#define RANDOM_MAX 32
#define PLAIN_MAX  256 /* bytes of messages in the login */

struct rfb_ra2 {
	const struct rfb_ra2_key *own;
	bool is_256;
	size_t random_len; /* also of an AES key */
	struct rfb_ra2_key peer;
	uint8_t own_random[RANDOM_MAX], peer_random[RANDOM_MAX];
	struct rfb_ra2_stream *stream;
	uint8_t plain[PLAIN_MAX];
	size_t n_plain;
};

/* Some bytes. */
struct bytes {
	const uint8_t *data;
	size_t len;
};

struct rfb_ra2 *
rfb_ra2_new(const struct rfb_ra2_key *own, bool is_256)
{
	struct rfb_ra2 *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->own = own;
	r->is_256 = is_256;
	r->random_len = is_256 ? 32 : 16;
	return r;
}

void
rfb_ra2_free(struct rfb_ra2 *r)
{
	if (r == NULL)
		return;
	rfb_ra2_key_release(&r->peer);
	rfb_ra2_stream_free(r->stream);
	wipe(r, sizeof(*r));
	free(r);
}

static int
digest(const EVP_MD *md, struct bytes a, struct bytes b,
    uint8_t to[EVP_MAX_MD_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool is_done = ctx != NULL && EVP_DigestInit_ex(ctx, md, NULL) == 1 &&
	    EVP_DigestUpdate(ctx, a.data, a.len) == 1 &&
	    (b.len == 0 || EVP_DigestUpdate(ctx, b.data, b.len) == 1) &&
	    EVP_DigestFinal_ex(ctx, to, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	if (is_done)
		return 0;
	ERR_clear_error();
	return ERR_UNAVAILABLE;
}

static const EVP_MD *
hash_of(const struct rfb_ra2 *r)
{
	return r->is_256 ? EVP_sha256() : EVP_sha1();
}

static size_t
hash_len(const struct rfb_ra2 *r)
{
	return r->is_256 ? 32 : 20;
}

ssize_t
rfb_ra2_read_key(struct rfb_ra2 *r, const uint8_t *data, size_t len)
{
	return rfb_ra2_key_read(&r->peer, data, len);
}

int
rfb_ra2_key_sha256(const struct rfb_ra2 *r, uint8_t to[32])
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	int rc = digest(EVP_sha256(),
	    (struct bytes){ r->peer.wire, r->peer.wire_len },
	    (struct bytes){ 0 }, hash);

	if (rc == 0)
		memcpy(to, hash, 32);
	return rc;
}

int
rfb_ra2_key_text(const struct rfb_ra2 *r, char to[RFB_RA2_TEXT_LEN + 1])
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	int rc =
	    digest(EVP_sha1(), (struct bytes){ r->peer.wire, r->peer.wire_len },
		(struct bytes){ 0 }, hash);

	if (rc == 0)
		snprintf(to, RFB_RA2_TEXT_LEN + 1,
		    "%02x-%02x-%02x-%02x-%02x-%02x-%02x-%02x", hash[0], hash[1],
		    hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]);
	return rc;
}

int
rfb_ra2_write_opening(struct rfb_ra2 *r, struct buf *out)
{
	uint8_t random[2 + RFB_RA2_NUMBER_MAX];
	int rc;

	if (RAND_bytes(r->own_random, (int)r->random_len) != 1 ||
	    !rfb_ra2_encrypt(
		&r->peer, r->own_random, r->random_len, random + 2))
		return ERR_UNAVAILABLE;
	store_be16(random, (uint16_t)r->peer.size);
	rc = buf_append(out, r->own->wire, r->own->wire_len);
	return rc != 0 ? rc : buf_append(out, random, 2 + r->peer.size);
}

/* The hash of two random numbers, as an AES key. */
static int
make_key(struct rfb_ra2 *r, const uint8_t *first, const uint8_t *second,
    uint8_t to[EVP_MAX_MD_SIZE])
{
	return digest(hash_of(r), (struct bytes){ first, r->random_len },
	    (struct bytes){ second, r->random_len }, to);
}

static int
start_stream(struct rfb_ra2 *r)
{
	uint8_t in[EVP_MAX_MD_SIZE], out[EVP_MAX_MD_SIZE];
	int rc = make_key(r, r->own_random, r->peer_random, in);

	if (rc == 0)
		rc = make_key(r, r->peer_random, r->own_random, out);
	if (rc == 0) {
		r->stream = rfb_ra2_stream_new(in, out, r->random_len);
		rc = r->stream != NULL ? 0 : ERR_NOMEM;
	}
	wipe(in, sizeof(in));
	wipe(out, sizeof(out));
	wipe(r->own_random, sizeof(r->own_random));
	wipe(r->peer_random, sizeof(r->peer_random));
	return rc;
}

ssize_t
rfb_ra2_read_random(struct rfb_ra2 *r, const uint8_t *data, size_t len)
{
	int rc;

	if (len < 2)
		return 0;
	if (load_be16(data) != r->own->size)
		return ERR_PROTOCOL;
	if (len < 2 + r->own->size)
		return 0;
	/* What is not under the relay's key shows when the hash does not fit.
	 * Saying so at once would tell an endpoint, of numbers that it made
	 * up, which of them are padded right: the key is used again. */
	if (!rfb_ra2_decrypt(r->own, data + 2, r->peer_random, r->random_len) &&
	    RAND_bytes(r->peer_random, (int)r->random_len) != 1)
		return ERR_UNAVAILABLE;
	rc = start_stream(r);
	return rc != 0 ? rc : (ssize_t)(2 + r->own->size);
}

/* Seals n bytes, at most PLAIN_MAX * 2 + 2, into the output. */
static int
put_sealed(struct rfb_ra2 *r, const uint8_t *data, size_t n, struct buf *out)
{
	uint8_t message[2 * PLAIN_MAX + 2 + RFB_RA2_OVERHEAD];
	ssize_t len = rfb_ra2_seal(r->stream, data, n, message);

	return len < 0 ? (int)len : buf_append(out, message, (size_t)len);
}

/* Over one's own key, then the other's. */
static int
hash_keys(struct rfb_ra2 *r, const struct rfb_ra2_key *first,
    const struct rfb_ra2_key *second, uint8_t to[EVP_MAX_MD_SIZE])
{
	return digest(hash_of(r),
	    (struct bytes){ first->wire, first->wire_len },
	    (struct bytes){ second->wire, second->wire_len }, to);
}

int
rfb_ra2_write_hash(struct rfb_ra2 *r, struct buf *out)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	int rc = hash_keys(r, r->own, &r->peer, hash);

	return rc != 0 ? rc : put_sealed(r, hash, hash_len(r), out);
}

ssize_t
rfb_ra2_read_message(struct rfb_ra2 *r, const uint8_t *data, size_t len)
{
	size_t n;
	ssize_t used = rfb_ra2_open(r->stream, data, len, r->plain + r->n_plain,
	    sizeof(r->plain) - r->n_plain, &n);

	r->n_plain += n;
	return used;
}

static void
drop_plain(struct rfb_ra2 *r, size_t n)
{
	r->n_plain -= n;
	memmove(r->plain, r->plain + n, r->n_plain);
}

int
rfb_ra2_check_hash(struct rfb_ra2 *r)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	int rc;

	if (r->n_plain < hash_len(r))
		return 0;
	rc = hash_keys(r, &r->peer, r->own, hash);
	if (rc != 0)
		return rc;
	if (!equal_constant_time(hash, r->plain, hash_len(r)))
		return ERR_CORRUPT;
	drop_plain(r, hash_len(r));
	return 1;
}

int
rfb_ra2_take_subtype(struct rfb_ra2 *r)
{
	if (r->n_plain == 0)
		return 0;
	/* the endpoint has nothing to say before it has the password */
	if (r->n_plain > 1 ||
	    (r->plain[0] != RFB_RA2_USER_AND_PASSWORD &&
		r->plain[0] != RFB_RA2_PASSWORD))
		return ERR_PROTOCOL;
	r->n_plain = 0;
	return r->plain[0];
}

/* U8 length and the text; returns where it ends. */
static uint8_t *
put_text(uint8_t *to, const char *text)
{
	size_t n = strlen(text);

	*to++ = (uint8_t)n;
	memcpy(to, text, n);
	return to + n;
}

int
rfb_ra2_write_credentials(
    struct rfb_ra2 *r, const char *user, const char *password, struct buf *out)
{
	uint8_t plain[2 * (1 + RFB_RA2_CREDENTIAL_MAX)], *end;
	int rc;

	if (strlen(user) > RFB_RA2_CREDENTIAL_MAX ||
	    strlen(password) > RFB_RA2_CREDENTIAL_MAX)
		return ERR_LIMIT;
	end = put_text(put_text(plain, user), password);
	rc = put_sealed(r, plain, (size_t)(end - plain), out);
	wipe(plain, sizeof(plain));
	return rc;
}

struct rfb_ra2_stream *
rfb_ra2_take_stream(struct rfb_ra2 *r)
{
	struct rfb_ra2_stream *stream = r->stream;

	r->stream = NULL;
	return stream;
}
