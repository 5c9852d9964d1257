#include "rfb/ra2_stream.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

#define BLOCK_LEN 16
#define HEAD_LEN  2

/* One direction. */
struct direction {
	EVP_MAC_CTX *mac; /* CMAC, in EAX called OMAC */
	EVP_CIPHER_CTX *ctr;
	uint8_t key[RFB_RA2_KEY_MAX];
	size_t key_len;
	uint8_t nonce[BLOCK_LEN];
};

struct rfb_ra2_stream {
	struct direction in, out;
	bool has_failed;
};

static bool
init(struct direction *d, const uint8_t *key, size_t key_len)
{
	bool is_128 = key_len == 16;
	OSSL_PARAM params[2] = { OSSL_PARAM_construct_utf8_string(
				     OSSL_MAC_PARAM_CIPHER,
				     is_128 ? "AES-128-CBC" : "AES-256-CBC", 0),
		OSSL_PARAM_construct_end() };
	EVP_MAC *cmac = EVP_MAC_fetch(NULL, "CMAC", NULL);

	memcpy(d->key, key, key_len);
	d->key_len = key_len;
	d->mac = cmac != NULL ? EVP_MAC_CTX_new(cmac) : NULL;
	EVP_MAC_free(cmac);
	d->ctr = EVP_CIPHER_CTX_new();
	return d->mac != NULL && d->ctr != NULL &&
	    EVP_MAC_init(d->mac, key, key_len, params) == 1 &&
	    EVP_EncryptInit_ex(d->ctr,
		is_128 ? EVP_aes_128_ctr() : EVP_aes_256_ctr(), NULL, key,
		NULL) == 1;
}

static void
release(struct direction *d)
{
	EVP_MAC_CTX_free(d->mac);
	EVP_CIPHER_CTX_free(d->ctr);
}

struct rfb_ra2_stream *
rfb_ra2_stream_new(
    const uint8_t *read_key, const uint8_t *write_key, size_t key_len)
{
	struct rfb_ra2_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (init(&s->in, read_key, key_len) &&
	    init(&s->out, write_key, key_len))
		return s;
	ERR_clear_error();
	rfb_ra2_stream_free(s);
	return NULL;
}

void
rfb_ra2_stream_free(struct rfb_ra2_stream *s)
{
	if (s == NULL)
		return;
	release(&s->in);
	release(&s->out);
	wipe(s, sizeof(*s));
	free(s);
}

/*
 * OMAC of a block that holds `what` (0 nonce, 1 header, 2 ciphertext) and n
 * bytes. The key is given again each time: not every OpenSSL 3.0 starts over
 * without it.
 */
static bool
omac(struct direction *d, uint8_t what, const uint8_t *data, size_t n,
    uint8_t to[BLOCK_LEN])
{
	uint8_t block[BLOCK_LEN] = { [BLOCK_LEN - 1] = what };
	size_t len;

	return EVP_MAC_init(d->mac, d->key, d->key_len, NULL) == 1 &&
	    EVP_MAC_update(d->mac, block, sizeof(block)) == 1 &&
	    (n == 0 || EVP_MAC_update(d->mac, data, n) == 1) &&
	    EVP_MAC_final(d->mac, to, &len, BLOCK_LEN) == 1 && len == BLOCK_LEN;
}

/* The MAC over length and ciphertext of a message; *start: where the
 * counter of its cipher begins. */
static bool
authenticate(struct direction *d, const uint8_t *message, size_t n,
    uint8_t start[BLOCK_LEN], uint8_t mac[BLOCK_LEN])
{
	uint8_t head[BLOCK_LEN];

	if (!omac(d, 0, d->nonce, sizeof(d->nonce), start) ||
	    !omac(d, 1, message, HEAD_LEN, head) ||
	    !omac(d, 2, message + HEAD_LEN, n, mac))
		return false;
	for (size_t i = 0; i < BLOCK_LEN; i++)
		mac[i] ^= start[i] ^ head[i];
	return true;
}

/* The cipher is its own inverse. */
static bool
apply(struct direction *d, const uint8_t start[BLOCK_LEN], const uint8_t *from,
    size_t n, uint8_t *to)
{
	int done = 0;

	return EVP_EncryptInit_ex(d->ctr, NULL, NULL, NULL, start) == 1 &&
	    (n == 0 ||
		EVP_EncryptUpdate(d->ctr, to, &done, from, (int)n) == 1) &&
	    (size_t)done == n;
}

static void
count(struct direction *d)
{
	for (size_t i = 0; i < sizeof(d->nonce) && ++d->nonce[i] == 0; i++)
		;
}

static int
fail(struct rfb_ra2_stream *s, int err)
{
	s->has_failed = true;
	ERR_clear_error();
	return err;
}

ssize_t
rfb_ra2_seal(
    struct rfb_ra2_stream *s, const uint8_t *from, size_t n, uint8_t *to)
{
	uint8_t start[BLOCK_LEN];
	struct direction *d = &s->out;

	if (s->has_failed)
		return ERR_UNAVAILABLE;
	if (n == 0 || n > RFB_RA2_SEAL_MAX)
		return ERR_LIMIT;
	store_be16(to, (uint16_t)n);
	if (!omac(d, 0, d->nonce, sizeof(d->nonce), start) ||
	    !apply(d, start, from, n, to + HEAD_LEN) ||
	    !authenticate(d, to, n, start, to + HEAD_LEN + n))
		return fail(s, ERR_UNAVAILABLE);
	count(d);
	return (ssize_t)(n + RFB_RA2_OVERHEAD);
}

ssize_t
rfb_ra2_open(struct rfb_ra2_stream *s, const uint8_t *from, size_t len,
    uint8_t *to, size_t room, size_t *n)
{
	uint8_t start[BLOCK_LEN], mac[BLOCK_LEN];
	struct direction *d = &s->in;
	size_t plain;

	*n = 0;
	if (s->has_failed)
		return ERR_UNAVAILABLE;
	if (len < HEAD_LEN)
		return 0;
	plain = load_be16(from);
	if (plain > room)
		return ERR_LIMIT;
	if (len < plain + RFB_RA2_OVERHEAD)
		return 0;
	if (!authenticate(d, from, plain, start, mac))
		return fail(s, ERR_UNAVAILABLE);
	if (!equal_constant_time(mac, from + HEAD_LEN + plain, BLOCK_LEN))
		return fail(s, ERR_CORRUPT);
	if (!apply(d, start, from + HEAD_LEN, plain, to))
		return fail(s, ERR_UNAVAILABLE);
	count(d);
	*n = plain;
	return (ssize_t)(plain + RFB_RA2_OVERHEAD);
}
