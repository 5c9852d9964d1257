/*
 * The first bytes of a VNC server that dials out. Two conventions share a
 * port: plain reverse connections begin with the server's RFB version; a
 * server that looks for an UltraVNC repeater (mode II) first sends 250 bytes,
 * "ID:", the text that names it, and NULs, and its RFB version right after
 * them, without waiting.
 *
 * Sources: UltraVNC repeater; libvncserver, x11vnc, winvnc and droidVNC-NG as
 * seen on the wire or read. winvnc turns the text into upper case; some
 * senders leave garbage after its first NUL. Pure, thread-safe.
 */
#ifndef RFB_REPEATER_H
#define RFB_REPEATER_H

#include <stddef.h>
#include <stdint.h>

#define RFB_REPEATER_LEN      250 /* bytes, "ID:" included */
#define RFB_REPEATER_TEXT_MAX 246 /* characters of the text */
/* Characters of base32, 80 bits; fewer are taken for a part of the name. */
#define RFB_REPEATER_SECRET_MIN 16

enum rfb_repeater_event {
	RFB_REPEATER_MORE = 0, /* send more input */
	RFB_REPEATER_PLAIN,    /* no hello: the server's version stands there */
	RFB_REPEATER_ID,       /* *hello was filled in */
};

/* NUL-terminated, printable ASCII. Holds a secret: wipe it after use. */
struct rfb_repeater_hello {
	char text[RFB_REPEATER_TEXT_MAX + 1];     /* as it came */
	char endpoint[RFB_REPEATER_TEXT_MAX + 1]; /* in lower case */
	char secret[RFB_REPEATER_TEXT_MAX + 1];   /* upper case; "": none */
};

/*
 * data: all input so far, len bytes, borrowed. *used: bytes to drop from it,
 * 0 but for ID. What follows them is the server's version.
 *
 * "desk1-MFRGGZDFMZTWQ2LK" is endpoint desk1 with a secret: what stands behind
 * the last '-', if it is base32 (RFC 4648: A-Z and 2-7, in either case, no
 * padding) of RFB_REPEATER_SECRET_MIN characters or more. Without such a tail
 * the whole text is the endpoint's name, as for one that is known by its TLS
 * certificate.
 *
 * Returns an enum rfb_repeater_event, or ERR_PROTOCOL: neither convention, no
 * name, or characters that are not printable ASCII; ERR_LIMIT: the text is
 * longer than RFB_REPEATER_TEXT_MAX. *hello is undefined then.
 */
int rfb_repeater_parse(struct rfb_repeater_hello *hello, const uint8_t *data,
    size_t len, size_t *used);

#endif
