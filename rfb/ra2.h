/*
 * The login of RealVNC's security types RA2 (5), RA2ne (6), RA2_256 (129) and
 * RA2ne_256 (130), towards an endpoint: both sides send an RSA key and a
 * random number under the other's, which make the two keys of rfb/ra2_stream.
 *
 *   S key                         key: U32 bits, modulus, exponent, each of
 *   C key, random                 (bits + 7) / 8 bytes
 *   S random                      random: U16 length, PKCS#1 v1.5 of 16 or
 *                                 32 bytes
 *   C hash    S hash              sealed: SHA-1 (256: SHA-256) over the
 *                                 sender's key, then the receiver's
 *   S U8                          sealed: 1 user name and password, 2 password
 *   C U8 length user U8 length password, sealed
 *
 *   key of what the client reads: hash of its random, then the server's; of
 *   what it writes: the other way round; the first 16 bytes for AES-128
 *
 * Sources: rfbproto (RSA-AES), TigerVNC's CSecurityRSAAES. No I/O; random
 * bytes come from libcrypto. One owner, but for keys, which are constant.
 */
#ifndef RFB_RA2_H
#define RFB_RA2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct rfb_ra2;
struct rfb_ra2_key;
struct rfb_ra2_stream;

#define RFB_RA2_BITS_MIN       1024 /* of an endpoint's key */
#define RFB_RA2_BITS_MAX       8192
#define RFB_RA2_OWN_BITS       2048 /* what servers take, and take fast */
#define RFB_RA2_CREDENTIAL_MAX 255  /* bytes of user name and of password */
#define RFB_RA2_TEXT_LEN       23   /* of a fingerprint, without the NUL */

/* What the endpoint asks for. */
enum rfb_ra2_subtype {
	RFB_RA2_USER_AND_PASSWORD = 1,
	RFB_RA2_PASSWORD = 2,
};

/*
 * Makes the relay's own RSA key of RFB_RA2_BITS_MIN to RFB_RA2_BITS_MAX bits.
 * Takes a good part of a second: once a process, not in a loop. Any number of
 * handshakes on any threads may use it. NULL when memory or libcrypto fails.
 */
struct rfb_ra2_key *rfb_ra2_key_new(unsigned bits);
void rfb_ra2_key_free(struct rfb_ra2_key *key);

/* own: borrowed for the lifetime. is_256: types 129 and 130. NULL only for
 * memory. */
struct rfb_ra2 *rfb_ra2_new(const struct rfb_ra2_key *own, bool is_256);
/* Wipes what is secret. */
void rfb_ra2_free(struct rfb_ra2 *r);

/*
 * The steps, in this order. Readers return the bytes they used, 0: send more,
 * or an error; writers 0 or an error. Errors: ERR_LIMIT (a length that is too
 * short or too long; of the output), ERR_PROTOCOL, ERR_CORRUPT (a message was
 * not sealed by the endpoint, or its hash is another), ERR_NOMEM,
 * ERR_UNAVAILABLE when libcrypto fails. After one, only free is allowed.
 */
ssize_t rfb_ra2_read_key(struct rfb_ra2 *r, const uint8_t *data, size_t len);
/* Fingerprints of the endpoint's key as it came: SHA-256, and the first 8
 * bytes of SHA-1 for people, "01-23-45-67-89-ab-cd-ef". */
int rfb_ra2_key_sha256(const struct rfb_ra2 *r, uint8_t to[32]);
int rfb_ra2_key_text(const struct rfb_ra2 *r, char to[RFB_RA2_TEXT_LEN + 1]);
/* The relay's key and random number. */
int rfb_ra2_write_opening(struct rfb_ra2 *r, struct buf *out);
ssize_t rfb_ra2_read_random(struct rfb_ra2 *r, const uint8_t *data, size_t len);
int rfb_ra2_write_hash(struct rfb_ra2 *r, struct buf *out);
/* Opens one message and keeps what is in it for the next two. */
ssize_t rfb_ra2_read_message(
    struct rfb_ra2 *r, const uint8_t *data, size_t len);
/* 1: the hash is right; 0: not all of it came, read another message. */
int rfb_ra2_check_hash(struct rfb_ra2 *r);
/* An enum rfb_ra2_subtype, or 0: it did not come, read another message. */
int rfb_ra2_take_subtype(struct rfb_ra2 *r);
/* user: "" where only a password was asked for. */
int rfb_ra2_write_credentials(
    struct rfb_ra2 *r, const char *user, const char *password, struct buf *out);
/* For what follows in types 5 and 129; ownership moves to the caller, the
 * second time it is NULL. */
struct rfb_ra2_stream *rfb_ra2_take_stream(struct rfb_ra2 *r);

#endif
