/*
 * The viewer's messages on any bytes: in one piece and in pieces they must
 * be the same messages. Each SetEncodings is narrowed in every way; what is
 * left must be allowed and in order.
 *
 * Input: one byte for the size of the pieces and, with bit 7, a server that
 * has not confirmed extended mouse buttons; then what the viewer sends.
 */
#include <stdlib.h>

#include "common/bytes.h"
#include "rfb/client_messages.h"
#include "rfb/set_encodings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct seen {
	size_t n, len;
	uint32_t sum;
};

static void
narrow(const struct rfb_client_event *ev, unsigned bits)
{
	static uint8_t out[4 + 4 * RFB_MAX_ENCODINGS];
	struct rfb_encodings_policy policy = {
		.drop_copyrect = (bits & 1) != 0,
		.stateless_only = (bits & 2) != 0,
		.is_ultravnc = (bits & 4) != 0,
		.is_format_unclear = (bits & 8) != 0,
	};
	struct rfb_encodings_offer offer;
	ssize_t n = rfb_set_encodings_narrow(
	    ev->bytes, ev->len, &policy, out, sizeof(out), &offer);

	if (n != 4 + 4 * (ssize_t)offer.n || n > (ssize_t)ev->len)
		abort();
	for (size_t i = 4; i < (size_t)n; i += 4) {
		if (!rfb_is_encoding_allowed((int32_t)load_be32(out + i)))
			abort();
	}
}

static int
on_message(void *arg, const struct rfb_client_event *ev)
{
	struct seen *s = arg;

	s->n++;
	s->len += ev->len;
	for (size_t i = 0; i < ev->len; i++)
		s->sum = s->sum * 31 + ev->bytes[i] + (uint32_t)s->n;
	if (ev->type == RFB_SET_ENCODINGS) {
		for (unsigned bits = 0; bits < 16; bits++)
			narrow(ev, bits);
	}
	if (ev->type == RFB_CLIENT_CUT_TEXT &&
	    ev->cut_text.data + ev->cut_text.len != ev->bytes + ev->len)
		abort();
	return 0;
}

static int
run(struct seen *s, const uint8_t *data, size_t len, size_t piece,
    bool has_confirmed)
{
	struct rfb_client_messages *m = rfb_client_messages_new(on_message, s);
	uint8_t *copy;
	size_t n;
	int rc = 0;

	if (m == NULL)
		abort();
	if (has_confirmed)
		rfb_client_messages_allow_ext_buttons(m);
	for (size_t done = 0; done < len && rc == 0; done += n) {
		n = min_size(piece, len - done);
		copy = malloc(n);
		if (copy == NULL)
			abort();
		memcpy(copy, data + done, n);
		rc = rfb_client_messages_feed(m, copy, n);
		free(copy);
	}
	if (rc == 0 && rfb_client_messages_is_between(m) != (s->len == len))
		abort();
	rfb_client_messages_free(m);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct seen whole = { 0 }, cut = { 0 };
	int rc, rc_cut;

	if (len < 2)
		return 0;
	rc = run(&whole, data + 1, len - 1, len, data[0] < 128);
	rc_cut = run(&cut, data + 1, len - 1, 1 + data[0] % 16, data[0] < 128);
	if (rc != rc_cut || whole.n != cut.n || whole.len != cut.len ||
	    whole.sum != cut.sum)
		abort();
	return 0;
}
