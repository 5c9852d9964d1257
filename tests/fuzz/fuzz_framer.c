/*
 * The framer on any bytes: in one piece and in pieces it must report the
 * same, and neither may read outside its piece.
 *
 * Input: 16 bytes pixel format, width, height (16 bits each), one byte for
 * the size of the pieces; then what the server sends.
 */
#include <stdlib.h>

#include "tests/unit/rfb_bytes.h"

#define HEAD (RFB_PIXEL_FORMAT_LEN + 5)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct trace whole, cut;

static int
run(struct trace *tr, const struct rfb_pixel_format *pf, const uint8_t *head,
    const uint8_t *data, size_t len, size_t piece_max)
{
	uint16_t w = load_be16(head + 16) % RFB_MAX_SIDE + 1;
	uint16_t h = load_be16(head + 18) % RFB_MAX_SIDE + 1;
	struct rfb_framer *f;
	int rc;

	tr->n = 0;
	tr->stop_at = -1;
	f = rfb_framer_new(w, h, pf, trace_event, tr);
	if (f == NULL)
		abort();
	rc = feed_pieces(f, data, len, piece_max, head[20]);
	if (rc == 0 && rfb_framer_offset(f) != len)
		abort();
	if (rfb_framer_checked_offset(f) > rfb_framer_offset(f))
		abort();
	rfb_framer_free(f);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rfb_pixel_format pf = usual_format();
	int rc, rc_cut;

	if (len < HEAD)
		return 0;
	rfb_pixel_format_parse(&pf, data);
	rc = run(&whole, &pf, data, data + HEAD, len - HEAD, 0);
	rc_cut =
	    run(&cut, &pf, data, data + HEAD, len - HEAD, 1 + data[20] % 16);
	if (rc != rc_cut || !is_same_trace(&whole, &cut))
		abort();
	return 0;
}
