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

#define RFB_VERSION_LEN 12

/* A caller that buffers this much input never blocks a legal handshake. */
#define RFB_HANDSHAKE_INPUT_MAX 8192

enum rfb_handshake_event {
	RFB_HANDSHAKE_MORE = 0, /* nothing happened: send more input */
	RFB_HANDSHAKE_STEP,	/* a phase passed: send the output, call again */
	RFB_HANDSHAKE_START_TLS, /* send the output, then start TLS and say so
				  * with ..._tls_started; every input byte was
				  * used, or it would have been an error */
	RFB_HANDSHAKE_CREDENTIALS, /* server side: check them, then accept or
				    * reject */
	RFB_HANDSHAKE_READY, /* server side: ClientInit came; client side:
			      * ServerInit came */
};

enum rfb_security_type {
	RFB_SEC_INVALID = 0,
	RFB_SEC_NONE = 1,
	RFB_SEC_VNC = 2,
	RFB_SEC_VENCRYPT = 19,
};

enum rfb_vencrypt_type {
	RFB_VENCRYPT_X509_NONE = 260,
	RFB_VENCRYPT_X509_VNC = 261,
	RFB_VENCRYPT_X509_PLAIN = 262,
};

#endif
