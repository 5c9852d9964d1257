#include "relay/wire/ra2_transport.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"
#include "relay/wire/transport.h"
#include "rfb/ra2_stream.h"

#define MESSAGE_MAX (RFB_RA2_PLAIN_MAX + RFB_RA2_OVERHEAD)
#define READ_LEN    16384
/* sealed and not sent; more is not taken */
#define OUT_HIGH 65536

struct ra2_transport {
	struct rfb_ra2_stream *stream;
	struct buf in;  /* sealed */
	struct buf out; /* sealed */
	uint8_t *plain; /* of a message that the caller had no room for */
	size_t plain_off, plain_len;
	int error; /* stays */
};

struct ra2_transport *
ra2_transport_new(
    struct rfb_ra2_stream *stream, const uint8_t *early, size_t len)
{
	struct ra2_transport *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		rfb_ra2_stream_free(stream);
		return NULL;
	}
	s->stream = stream;
	buf_init(&s->in, 2 * MESSAGE_MAX + READ_LEN);
	buf_init(&s->out, OUT_HIGH + RFB_RA2_SEAL_MAX + RFB_RA2_OVERHEAD);
	if (buf_append(&s->in, early, len) != 0) {
		ra2_transport_free(s);
		return NULL;
	}
	return s;
}

static void
drop_plain(struct ra2_transport *s)
{
	if (s->plain != NULL)
		wipe(s->plain, s->plain_len);
	free(s->plain);
	s->plain = NULL;
}

void
ra2_transport_free(struct ra2_transport *s)
{
	if (s == NULL)
		return;
	rfb_ra2_stream_free(s->stream);
	drop_plain(s);
	buf_release(&s->in);
	buf_release(&s->out);
	free(s);
}

static bool
has_message(const struct ra2_transport *s)
{
	return buf_len(&s->in) >= 2 &&
	    buf_len(&s->in) >=
	    (size_t)load_be16(buf_head(&s->in)) + RFB_RA2_OVERHEAD;
}

static size_t
take_plain(struct ra2_transport *s, uint8_t *data, size_t len)
{
	len = min_size(len, s->plain_len - s->plain_off);
	memcpy(data, s->plain + s->plain_off, len);
	s->plain_off += len;
	if (s->plain_off == s->plain_len)
		drop_plain(s);
	return len;
}

/* Opens the first message, into data where it fits. Returns bytes for the
 * caller, 0 too, or an error. */
static ssize_t
open_message(struct ra2_transport *s, uint8_t *data, size_t len)
{
	size_t size = load_be16(buf_head(&s->in)), n;
	bool fits = size <= len;
	uint8_t *to = data;
	ssize_t rc;

	if (!fits) {
		s->plain = to = malloc(size);
		if (to == NULL)
			return ERR_NOMEM;
	}
	rc = rfb_ra2_open(
	    s->stream, buf_head(&s->in), buf_len(&s->in), to, size, &n);
	if (rc <= 0) {
		if (!fits)
			free(s->plain);
		s->plain = NULL;
		return ERR_IO;
	}
	buf_consume(&s->in, (size_t)rc);
	if (buf_len(&s->in) == 0)
		buf_release(&s->in);
	if (fits)
		return (ssize_t)n;
	s->plain_off = 0;
	s->plain_len = n;
	return (ssize_t)take_plain(s, data, len);
}

static ssize_t
receive(struct ra2_transport *s, struct transport *transport)
{
	uint8_t *p = buf_reserve(&s->in, READ_LEN);
	ssize_t n;

	if (p == NULL)
		return ERR_NOMEM;
	n = transport_read(transport, p, READ_LEN);
	if (n > 0)
		buf_commit(&s->in, (size_t)n);
	return n;
}

ssize_t
ra2_transport_recv(struct ra2_transport *s, struct transport *transport,
    uint8_t *data, size_t len)
{
	ssize_t n = 0;

	if (len == 0)
		return 0;
	if (s->plain != NULL)
		return (ssize_t)take_plain(s, data, len);
	while (n == 0 && s->error == 0) {
		if (has_message(s)) {
			n = open_message(s, data, len);
			if (n < 0)
				s->error = (int)n;
		} else {
			n = receive(s, transport);
			if (n < 0)
				return n;
			n = 0;
		}
	}
	return s->error != 0 ? s->error : n;
}

int
ra2_transport_flush(struct ra2_transport *s, struct transport *transport)
{
	int rc = transport_flush(transport);
	ssize_t n;

	if (rc != 0 || buf_len(&s->out) == 0)
		return rc;
	n = transport_write(transport, buf_head(&s->out), buf_len(&s->out));
	if (n < 0)
		return (int)n;
	buf_consume(&s->out, (size_t)n);
	if (buf_len(&s->out) > 0 || transport_wants_write(transport))
		return ERR_AGAIN;
	buf_release(&s->out);
	return 0;
}

ssize_t
ra2_transport_send(struct ra2_transport *s, struct transport *transport,
    const uint8_t *data, size_t len)
{
	size_t done = 0;
	int rc;

	while (done < len && buf_len(&s->out) < OUT_HIGH) {
		size_t n = min_size(len - done, RFB_RA2_SEAL_MAX);
		uint8_t *p = buf_reserve(&s->out, n + RFB_RA2_OVERHEAD);
		ssize_t m;

		if (p == NULL)
			return ERR_NOMEM;
		m = rfb_ra2_seal(s->stream, data + done, n, p);
		if (m < 0)
			return ERR_IO;
		buf_commit(&s->out, (size_t)m);
		done += n;
	}
	rc = ra2_transport_flush(s, transport);
	return rc == 0 || rc == ERR_AGAIN ? (ssize_t)done : rc;
}

bool
ra2_transport_has_buffered(const struct ra2_transport *s)
{
	return s->plain != NULL || has_message(s);
}
