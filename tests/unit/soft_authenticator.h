/*
 * An authenticator in software, for tests: makes keys, attestation objects
 * and signatures as Web Authentication and CTAP2 have them. Fields of it can
 * be set to what a hostile one would say.
 */
#ifndef SOFT_AUTHENTICATOR_H
#define SOFT_AUTHENTICATOR_H

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOFT_MAX 8192

struct soft_bytes {
	uint8_t data[SOFT_MAX];
	size_t len;
};

struct soft_authenticator {
	EVP_PKEY *key;
	int algorithm; /* COSE */
	const char *rp_id;
	uint8_t flags; /* 0x45: user present and verified, a credential */
	uint32_t sign_count;
	uint8_t id[32];
};

static void
soft_put(struct soft_bytes *b, const void *data, size_t len)
{
	if (b->len + len > SOFT_MAX)
		abort();
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static void
soft_byte(struct soft_bytes *b, uint8_t byte)
{
	soft_put(b, &byte, 1);
}

/* The head of a CBOR item, in its shortest form. */
static void
soft_head(struct soft_bytes *b, unsigned major, uint32_t value)
{
	if (value < 24) {
		soft_byte(b, (uint8_t)(major << 5 | value));
	} else if (value < 256) {
		soft_byte(b, (uint8_t)(major << 5 | 24));
		soft_byte(b, (uint8_t)value);
	} else {
		soft_byte(b, (uint8_t)(major << 5 | 25));
		soft_byte(b, (uint8_t)(value >> 8));
		soft_byte(b, (uint8_t)value);
	}
}

static void
soft_int(struct soft_bytes *b, int value)
{
	if (value >= 0)
		soft_head(b, 0, (uint32_t)value);
	else
		soft_head(b, 1, (uint32_t)(-1 - value));
}

static void
soft_text(struct soft_bytes *b, const char *text)
{
	soft_head(b, 3, (uint32_t)strlen(text));
	soft_put(b, text, strlen(text));
}

static void
soft_data(struct soft_bytes *b, const void *data, size_t len)
{
	soft_head(b, 2, (uint32_t)len);
	soft_put(b, data, len);
}

static EVP_PKEY *
soft_key(int algorithm)
{
	return algorithm == -7 ? EVP_EC_gen("P-256")
	    : algorithm == -8  ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
			       : EVP_RSA_gen(2048);
}

static void
soft_new(struct soft_authenticator *a, int algorithm)
{
	memset(a, 0, sizeof(*a));
	a->algorithm = algorithm;
	a->key = soft_key(algorithm);
	a->rp_id = "console.example";
	a->flags = 0x45;
	for (size_t i = 0; i < sizeof(a->id); i++)
		a->id[i] = (uint8_t)(i * 7 + 1);
}

static void
soft_free(struct soft_authenticator *a)
{
	EVP_PKEY_free(a->key);
}

static void
soft_bignum(struct soft_bytes *b, EVP_PKEY *key, const char *name, int len)
{
	uint8_t raw[512];
	BIGNUM *n = NULL;

	if (EVP_PKEY_get_bn_param(key, name, &n) != 1 ||
	    BN_bn2binpad(n, raw, len) != len)
		abort();
	soft_data(b, raw, (size_t)len);
	BN_free(n);
}

/* RFC 9053: the public key. */
static void
soft_cose_key(struct soft_bytes *b, const struct soft_authenticator *a)
{
	uint8_t raw[32];
	size_t len = sizeof(raw);

	soft_head(b, 5, a->algorithm == -7 ? 5 : 4);
	soft_int(b, 1);
	soft_int(b, a->algorithm == -7 ? 2 : a->algorithm == -8 ? 1 : 3);
	soft_int(b, 3);
	soft_int(b, a->algorithm);
	soft_int(b, -1);
	if (a->algorithm == -257) {
		soft_bignum(b, a->key, "n", 256);
		soft_int(b, -2);
		soft_bignum(b, a->key, "e", 3);
		return;
	}
	soft_int(b, a->algorithm == -7 ? 1 : 6);
	soft_int(b, -2);
	if (a->algorithm == -7) {
		soft_bignum(b, a->key, "qx", 32);
		soft_int(b, -3);
		soft_bignum(b, a->key, "qy", 32);
	} else {
		if (EVP_PKEY_get_raw_public_key(a->key, raw, &len) != 1)
			abort();
		soft_data(b, raw, len);
	}
}

/* Web Authentication section 6.1. */
static void
soft_authenticator_data(struct soft_bytes *b,
    const struct soft_authenticator *a, uint8_t flags, bool with_key)
{
	uint8_t hash[32];

	SHA256((const uint8_t *)a->rp_id, strlen(a->rp_id), hash);
	soft_put(b, hash, sizeof(hash));
	soft_byte(b, flags);
	for (int i = 24; i >= 0; i -= 8)
		soft_byte(b, (uint8_t)(a->sign_count >> i));
	if (!with_key)
		return;
	for (int i = 0; i < 16; i++) /* AAGUID */
		soft_byte(b, 0);
	soft_byte(b, 0);
	soft_byte(b, sizeof(a->id));
	soft_put(b, a->id, sizeof(a->id));
	soft_cose_key(b, a);
}

static void
soft_sign(struct soft_bytes *out, const struct soft_authenticator *a,
    const void *authenticator_data, size_t data_len, const char *client_data)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const EVP_MD *md = a->algorithm == -8 ? NULL : EVP_sha256();
	struct soft_bytes text = { .len = 0 };
	uint8_t hash[32];

	SHA256((const uint8_t *)client_data, strlen(client_data), hash);
	soft_put(&text, authenticator_data, data_len);
	soft_put(&text, hash, sizeof(hash));
	out->len = SOFT_MAX;
	if (EVP_DigestSignInit(ctx, NULL, md, NULL, a->key) != 1 ||
	    EVP_DigestSign(ctx, out->data, &out->len, text.data, text.len) != 1)
		abort();
	EVP_MD_CTX_free(ctx);
}

/* format: "none", or "packed": signed by the key itself. */
static void
soft_attestation(struct soft_bytes *b, const struct soft_authenticator *a,
    const char *format, const char *client_data)
{
	struct soft_bytes data = { .len = 0 }, signature = { .len = 0 };

	b->len = 0;
	soft_authenticator_data(&data, a, a->flags, true);
	soft_head(b, 5, 3);
	soft_text(b, "fmt");
	soft_text(b, format);
	soft_text(b, "attStmt");
	if (strcmp(format, "packed") == 0) {
		soft_sign(&signature, a, data.data, data.len, client_data);
		soft_head(b, 5, 2);
		soft_text(b, "alg");
		soft_int(b, a->algorithm);
		soft_text(b, "sig");
		soft_data(b, signature.data, signature.len);
	} else {
		soft_head(b, 5, 0);
	}
	soft_text(b, "authData");
	soft_data(b, data.data, data.len);
}

#endif
