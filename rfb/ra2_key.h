/*
 * RSA for rfb/ra2.c: keys in the form that goes over the wire, U32 bits,
 * modulus, exponent. Shared by the files of RA2, nobody else.
 */
#ifndef RFB_RA2_KEY_H
#define RFB_RA2_KEY_H

#include "rfb/ra2.h"

#define RFB_RA2_NUMBER_MAX (RFB_RA2_BITS_MAX / 8)
#define RFB_RA2_WIRE_MAX   (4 + 2 * RFB_RA2_NUMBER_MAX)

struct evp_pkey_st;

struct rfb_ra2_key {
	struct evp_pkey_st *pkey;
	size_t size; /* bytes of a number */
	size_t wire_len;
	uint8_t wire[RFB_RA2_WIRE_MAX];
};

/* Reads a public key; as rfb_ra2_read_key. */
ssize_t rfb_ra2_key_read(
    struct rfb_ra2_key *key, const uint8_t *data, size_t len);

/* Frees what key holds, not key itself. */
void rfb_ra2_key_release(struct rfb_ra2_key *key);

/* PKCS#1 v1.5 of n bytes; to: key->size bytes. False when libcrypto fails. */
bool rfb_ra2_encrypt(
    const struct rfb_ra2_key *key, const uint8_t *from, size_t n, uint8_t *to);

/* The n plain bytes in key->size bytes; false when that is not what is in
 * them. */
bool rfb_ra2_decrypt(
    const struct rfb_ra2_key *key, const uint8_t *from, uint8_t *to, size_t n);

#endif
