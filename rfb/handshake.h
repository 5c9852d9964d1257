/*
 * What both handshakes share: events, limits and wire numbers.
 * Source: RFC 6143 sections 7.1 to 7.3; VeNCrypt: the community RFB
 * specification. Pure state machines: bytes in, bytes out through a struct
 * buf; no I/O, no TLS.
 *
 * Call pattern: the caller keeps unread input and calls feed with all of it
 * each time some arrives; feed handles at most one event, says how many
 * bytes it used, and appends to the output, which the caller sends.
 */
#ifndef RFB_HANDSHAKE_H
#define RFB_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

#define RFB_VERSION_LEN 12

/* A caller that buffers this much input never blocks a legal handshake. */
#define RFB_HANDSHAKE_INPUT_MAX 8192

enum rfb_handshake_event {
	RFB_HANDSHAKE_MORE = 0, /* nothing happened: send more input */
	RFB_HANDSHAKE_STEP, /* a phase passed: send the output, call again */
	RFB_HANDSHAKE_START_TLS,   /* send the output, then start TLS and say so
				    * with ..._tls_started; every input byte was
				    * used, or it would have been an error */
	RFB_HANDSHAKE_CREDENTIALS, /* server side: check them, then accept or
				    * reject */
	RFB_HANDSHAKE_READY,       /* server side: ClientInit came; client side:
				    * ServerInit came */
	RFB_HANDSHAKE_CHECK_KEY, /* client side: compare the endpoint's RSA key
				  * with its pin, then ..._key_checked */
	RFB_HANDSHAKE_START_CIPHER, /* client side: send the output; whatever
				     * comes and goes from here on passes
				     * through ..._take_cipher */
};

enum rfb_security_type {
	RFB_SEC_INVALID = 0,
	RFB_SEC_NONE = 1,
	RFB_SEC_VNC = 2,
	RFB_SEC_RA2 = 5,
	RFB_SEC_RA2NE = 6, /* the login is encrypted, the session is not */
	RFB_SEC_VENCRYPT = 19,
	RFB_SEC_ARD = 30,
	RFB_SEC_MSLOGON = 113,
	RFB_SEC_RA2_256 = 129,
	RFB_SEC_RA2NE_256 = 130,
};

enum rfb_vencrypt_type {
	RFB_VENCRYPT_PLAIN = 256,
	RFB_VENCRYPT_X509_NONE = 260,
	RFB_VENCRYPT_X509_VNC = 261,
	RFB_VENCRYPT_X509_PLAIN = 262,
};

/*
 * Reads "RFB xxx.yyy\n", RFB_VERSION_LEN bytes at p, digits only. Returns
 * the version of RFC 6143 to speak with that peer: 3, 7 or 8 for 3.3, 3.7
 * and 3.8 (what lies beyond 3.8, such as 3.889, 4.1, 5.0, also does 3.8),
 * or 0: no RFB version, or below 3.3.
 */
unsigned rfb_version_parse(const uint8_t *p);

/*
 * Makes text from a peer fit for people and logs: valid UTF-8 stays, other
 * bytes are taken as Latin-1, runs of blanks and
 * control characters become one space, none at either end.
 * to: cap bytes (1 or more), NUL-terminated, cut between characters.
 * Returns the bytes written, without the NUL.
 */
size_t rfb_printable(char *to, size_t cap, const uint8_t *from, size_t len);

#endif
