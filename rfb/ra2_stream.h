/*
 * The encryption of security types RA2 (5, AES-128) and RA2_256 (129): both
 * directions are cut into messages, each sealed with AES in EAX mode.
 *
 *   U16 length  ciphertext[length]  MAC[16]
 *
 * The length is authenticated as the header; the nonce is a counter of 128
 * bits, little-endian, from 0, one a direction. Keys: see rfb/ra2.h.
 * Sources: TigerVNC's AESInStream and AESOutStream; Bellare, Rogaway, Wagner,
 * "The EAX mode of operation". Pure, no allocation after new. One owner.
 */
#ifndef RFB_RA2_STREAM_H
#define RFB_RA2_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RFB_RA2_KEY_MAX   32
#define RFB_RA2_OVERHEAD  18    /* bytes that sealing adds */
#define RFB_RA2_SEAL_MAX  8192  /* plain bytes in a message of ours */
#define RFB_RA2_PLAIN_MAX 65535 /* in a message of the endpoint */

struct rfb_ra2_stream;

/*
 * Keys of key_len bytes, 16 or 32, for what is read and what is written;
 * copied. NULL when memory or libcrypto fails.
 */
struct rfb_ra2_stream *rfb_ra2_stream_new(
    const uint8_t *read_key, const uint8_t *write_key, size_t key_len);
/* Wipes the keys. */
void rfb_ra2_stream_free(struct rfb_ra2_stream *s);

/*
 * Makes one message of n plain bytes, 1 to RFB_RA2_SEAL_MAX, at `to`, where
 * n + RFB_RA2_OVERHEAD bytes have room; no overlap. Returns the message's
 * length, or ERR_LIMIT (of n), or ERR_UNAVAILABLE when libcrypto fails; the
 * stream is of no use then.
 */
ssize_t rfb_ra2_seal(
    struct rfb_ra2_stream *s, const uint8_t *from, size_t n, uint8_t *to);

/*
 * Opens the message at `from` of which len bytes are there. to: room for
 * room bytes; no overlap. *n: plain bytes written, RFB_RA2_PLAIN_MAX at most,
 * 0 too. Returns the message's length, 0: not all of it is there; ERR_LIMIT:
 * it holds more than room; ERR_CORRUPT: it was not sealed by the endpoint, and
 * nothing of it may be used; ERR_UNAVAILABLE when libcrypto fails. After
 * ERR_CORRUPT or ERR_UNAVAILABLE the stream is of no use.
 */
ssize_t rfb_ra2_open(struct rfb_ra2_stream *s, const uint8_t *from, size_t len,
    uint8_t *to, size_t room, size_t *n);

#endif
