/*
 * A decoder that goes on from a state of any bytes: it is refused, or what
 * follows is decoded or refused as ever, and a state that was taken is saved
 * as it was.
 *
 * Input: length of the state (16 bits), the state, what the server sends.
 */
#include <stdlib.h>
#include <string.h>

#include "rfb/decoder.h"
#include "tests/unit/rfb_bytes.h"

#define SIDE 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
on_event(void *arg, const struct rfb_decoder_event *ev)
{
	(void)arg;
	if (ev->kind == RFB_DECODER_DAMAGE && (ev->w == 0 || ev->h == 0))
		abort();
}

static void
check_saved(const struct rfb_decoder *d, const uint8_t *p, size_t len)
{
	static uint8_t saved[RFB_DECODER_STATE_MAX];

	if (rfb_decoder_save(d, saved) != (ssize_t)len ||
	    memcmp(saved, p, len) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rfb_pixel_format pf = usual_format();
	static uint8_t out[RFB_DECODER_STATE_MAX];
	struct rfb_decoder *d;
	size_t n;

	if (len < 2)
		return 0;
	n = load_be16(data);
	data += 2;
	len -= 2;
	if (n > len)
		return 0;
	d = rfb_decoder_new(SIDE, SIDE, &pf, on_event, NULL);
	if (d == NULL)
		abort();
	if (rfb_decoder_restore(d, data, n) == 0) {
		check_saved(d, data, n);
		rfb_decoder_feed(d, data + n, len - n);
		if (rfb_decoder_is_between_messages(d))
			rfb_decoder_save(d, out);
	}
	rfb_decoder_free(d);
	return 0;
}
