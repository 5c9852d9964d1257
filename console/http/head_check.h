/*
 * Checks the bytes of an HTTP/1.1 connection before evhttp reads them, so that
 * no two readers can see different requests in them (RFC 9112 sections 2.2,
 * 5.2, 6.1 to 6.3, 11.2). It follows the framing itself: heads, bodies by
 * length, chunked bodies. Refused are bare CR or LF, NUL and other control
 * characters, obs-fold, white space before a colon, a Content-Length twice or
 * beside Transfer-Encoding, a Transfer-Encoding other than exactly "chunked",
 * a missing or second Host, bodies with methods that evhttp reads none of,
 * chunk extensions, trailers, targets that are no path or begin with two
 * slashes, methods that are not known, and expectations other than
 * 100-continue.
 *
 * No I/O, no allocation; all input is hostile.
 */
#ifndef CONSOLE_HTTP_HEAD_CHECK_H
#define CONSOLE_HTTP_HEAD_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD_CHECK_HEAD_MAX   16384 /* bytes of a head */
#define HEAD_CHECK_FIELDS_MAX 100
#define HEAD_CHECK_BODY_MAX   (1u << 20)
#define HEAD_CHECK_WORD_MAX   32

/* Embedded; all zeros is the start of a connection. */
struct head_check {
	int state;
	unsigned status; /* 0: nothing is wrong yet */
	unsigned head_len, n_fields;
	uint32_t body_left;      /* of the body, or of its chunk */
	uint32_t body_len;       /* of all chunks so far */
	bool takes_body, is_old; /* is_old: HTTP/1.0 */
	bool has_length, has_chunked, has_host;
	/* the method, the name of a field, or the value of one that counts */
	unsigned n_word;
	char word[HEAD_CHECK_WORD_MAX];
	int field; /* which one word is the value of */
	/* of a value: a space was seen, which may be trailing */
	bool has_space;
};

/*
 * Takes the next len bytes of the connection. Returns 0, or the status that
 * it is to be refused with and closed: 400, 413 (body over
 * HEAD_CHECK_BODY_MAX), 417 (Expect), 431 (head over its limits) or 501
 * (method). The first refusal stays, whatever follows.
 */
unsigned head_check_feed(struct head_check *h, const uint8_t *data, size_t len);

#endif
