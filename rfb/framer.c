#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/framer_internal.h"

int
rfb_framer_fail(struct rfb_framer *f, int err, const char *why)
{
	f->why = why;
	return err;
}

/*
 * A callback's own refusal is the stream's end too. Its number goes to the
 * caller of feed as it is; inside it is a negative one, as any error.
 */
static int
call(struct rfb_framer *f, const struct rfb_framer_event *ev)
{
	int rc = f->cb(f->arg, ev);

	if (rc == 0)
		return 0;
	f->error = rc;
	return rfb_framer_fail(f, ERR_CANCELLED, "stopped by the receiver");
}

static int
emit_payload(
    struct rfb_framer *f, uint64_t offset, const uint8_t *data, size_t len)
{
	struct rfb_framer_event ev = {
		.kind = RFB_FRAMER_PAYLOAD,
		.type = f->type,
		.rect = f->rect,
		.offset = offset,
		.data = data,
		.len = len,
	};

	return call(f, &ev);
}

/* The collected span ends at f->offset. */
static int
flush_span(struct rfb_framer *f)
{
	size_t len = f->span_len;

	if (len == 0)
		return 0;
	f->span_len = 0;
	return emit_payload(f, f->offset - len, f->span, len);
}

int
rfb_framer_emit(
    struct rfb_framer *f, enum rfb_framer_event_kind kind, uint16_t n_rects)
{
	struct rfb_framer_event ev = {
		.kind = kind,
		.type = f->type,
		.n_rects = n_rects,
		.rect = f->rect,
		.offset = f->offset,
	};
	int rc = flush_span(f);

	return rc != 0 ? rc : call(f, &ev);
}

/* n payload bytes at p, next to what was collected before. */
static void
collect(struct rfb_framer *f, const uint8_t *p, size_t n)
{
	if (f->span_len == 0)
		f->span = p;
	f->span_len += n;
	f->offset += n;
}

static int
end_message(struct rfb_framer *f)
{
	framer_next(f, 0, 1, rfb_framer_message_type);
	f->is_payload = false;
	f->may_switch = true;
	return rfb_framer_emit(f, RFB_FRAMER_MESSAGE_END, 0);
}

/* After a rectangle, or an update's header: the next one, or the end. */
static int
next_rect(struct rfb_framer *f)
{
	if (f->rects_left == 0)
		return end_message(f);
	f->is_payload = false;
	framer_next(f, 0, 12, rfb_framer_rect_header);
	return 0;
}

static int
end_rect(struct rfb_framer *f)
{
	int rc = rfb_framer_emit(f, RFB_FRAMER_RECT_END, 0);

	f->in_rect = false;
	memset(&f->rect, 0, sizeof(f->rect));
	return rc != 0 ? rc : next_rect(f);
}

static int
end_unit(struct rfb_framer *f)
{
	if (f->in_rect)
		return end_rect(f);
	if (f->type == RFB_FRAMEBUFFER_UPDATE)
		return next_rect(f);
	return end_message(f);
}

static bool
is_unit_complete(const struct rfb_framer *f)
{
	return f->skip == 0 && f->need == 0;
}

/* Collects what may be passed on unread; returns how many bytes. */
static size_t
take_skip(struct rfb_framer *f, const uint8_t *p, size_t left)
{
	size_t n = f->skip < left ? (size_t)f->skip : left;

	collect(f, p, n);
	f->skip -= n;
	return n;
}

/* The whole header lies in the caller's piece: nothing is copied. */
static ssize_t
step_in_place(struct rfb_framer *f, const uint8_t *p)
{
	size_t n = f->need;
	bool is_payload = f->is_payload;
	int rc = f->step(f, p);

	if (rc != 0)
		return rc == FRAMER_MORE ? 0 : rc;
	if (is_payload)
		collect(f, p, n);
	else
		f->offset += n;
	return (ssize_t)n;
}

/* The header has begun in an earlier piece, or goes on in a later one. */
static ssize_t
step_kept(struct rfb_framer *f, const uint8_t *p, size_t left)
{
	size_t n = min_size(f->need - f->n_kept, left);
	bool is_payload = f->is_payload;
	int rc;

	memcpy(f->kept + f->n_kept, p, n);
	f->n_kept += n;
	if (f->n_kept < f->need)
		return (ssize_t)n;
	rc = f->step(f, f->kept);
	if (rc == FRAMER_MORE)
		return (ssize_t)n;
	if (rc == 0 && is_payload)
		rc = emit_payload(f, f->offset, f->kept, f->n_kept);
	if (rc != 0)
		return rc; /* what is wrong counts as not checked */
	f->offset += f->n_kept;
	f->n_kept = 0;
	return (ssize_t)n;
}

/* Bytes taken of the left ones at p; 0 when a step asks for more. */
static ssize_t
advance(struct rfb_framer *f, const uint8_t *p, size_t left)
{
	size_t n;

	if (f->skip > 0)
		return (ssize_t)take_skip(f, p, left);
	if (f->n_kept > 0)
		return step_kept(f, p, left);
	if (f->step == rfb_framer_hextile_tile) {
		n = rfb_framer_hextile_scan(f, p, left);
		if (n > 0) {
			collect(f, p, n);
			return (ssize_t)n;
		}
	}
	return left >= f->need ? step_in_place(f, p) : step_kept(f, p, left);
}

static int
feed(struct rfb_framer *f, const uint8_t *p, size_t len, size_t *used)
{
	ssize_t n;
	int rc = 0;

	while (*used < len && rc == 0 && !f->is_paused) {
		n = advance(f, p + *used, len - *used);
		if (n < 0)
			return (int)n;
		*used += (size_t)n;
		if (is_unit_complete(f))
			rc = end_unit(f);
	}
	return rc;
}

void
rfb_framer_pause(struct rfb_framer *f)
{
	f->is_paused = true;
}

int
rfb_framer_feed_some(
    struct rfb_framer *f, const uint8_t *data, size_t len, size_t *used)
{
	int rc;

	*used = 0;
	if (f->error != 0 || len == 0)
		return f->error;
	f->is_paused = false;
	rc = feed(f, data, len, used);
	/* What was checked before a later byte failed is still reported:
	 * events do not depend on how the stream was cut. */
	if (f->error == 0)
		flush_span(f);
	f->span = NULL;
	if (f->error == 0)
		f->error = rc;
	return f->error;
}

int
rfb_framer_feed(struct rfb_framer *f, const uint8_t *data, size_t len)
{
	size_t used;
	int rc;

	do {
		rc = rfb_framer_feed_some(f, data, len, &used);
		data += used;
		len -= used;
	} while (rc == 0 && len > 0);
	return rc;
}

struct rfb_framer *
rfb_framer_new(uint16_t width, uint16_t height,
    const struct rfb_pixel_format *pf, rfb_framer_cb *cb, void *arg)
{
	struct rfb_framer *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->cb = cb;
	f->arg = arg;
	f->pf = *pf;
	f->width = width;
	f->height = height;
	f->may_switch = true;
	f->why = "no error";
	framer_next(f, 0, 1, rfb_framer_message_type);
	return f;
}

void
rfb_framer_free(struct rfb_framer *f)
{
	if (f == NULL)
		return;
	wipe(f->kept, sizeof(f->kept));
	free(f);
}

int
rfb_framer_set_pixel_format(
    struct rfb_framer *f, const struct rfb_pixel_format *pf)
{
	if (!f->may_switch)
		return ERR_PROTOCOL;
	f->pf = *pf;
	return 0;
}

uint64_t
rfb_framer_wanted(const struct rfb_framer *f)
{
	return f->skip > 0 ? f->skip : f->need - f->n_kept;
}

bool
rfb_framer_is_between_messages(const struct rfb_framer *f)
{
	return f->step == rfb_framer_message_type && f->n_kept == 0;
}

void
rfb_framer_size(const struct rfb_framer *f, uint16_t *w, uint16_t *h)
{
	*w = f->width;
	*h = f->height;
}

uint64_t
rfb_framer_offset(const struct rfb_framer *f)
{
	return f->offset + f->n_kept;
}

uint64_t
rfb_framer_checked_offset(const struct rfb_framer *f)
{
	return f->offset;
}

const char *
rfb_framer_why(const struct rfb_framer *f)
{
	return f->why;
}
