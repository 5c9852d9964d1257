/*
 * Stands in for a recorder where only the ring is of interest: takes marks
 * and bytes, frames the stream again as a recorder has to (pixel formats at
 * their marks), and ends with END or the relay. One line at the end.
 */
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/tee.h"
#include "rfb/framer.h"

static struct {
	uint64_t updates, times, formats, inputs, keys, pointers;
	int end, rc;
} seen = { .end = -1 };

static int
on_event(void *arg, const struct rfb_framer_event *ev)
{
	seen.updates += ev->kind == RFB_FRAMER_MESSAGE && ev->type == 0;
	return 0;
}

static struct rfb_framer *
framer_of_meta(void)
{
	static char text[65536];
	struct rfb_pixel_format pf;
	uint8_t wire[16];
	ssize_t n = pread(TEE_FD_META, text, sizeof(text), 0);
	json_t *o = json_loadb(text, n > 0 ? (size_t)n : 0, 0, NULL);
	const char *hex = json_string_value(json_object_get(o, "pixel_format"));
	struct rfb_framer *f = NULL;
	unsigned b;

	for (int i = 0; hex != NULL && i < 16; i++) {
		if (sscanf(hex + 2 * i, "%2x", &b) != 1)
			return NULL;
		wire[i] = (uint8_t)b;
	}
	if (hex != NULL && rfb_pixel_format_parse(&pf, wire) == 0)
		f = rfb_framer_new(
		    (uint16_t)json_integer_value(json_object_get(o, "width")),
		    (uint16_t)json_integer_value(json_object_get(o, "height")),
		    &pf, on_event, NULL);
	json_decref(o);
	return f;
}

static void
on_mark(struct rfb_framer *f, const struct tee_mark *m)
{
	struct rfb_pixel_format pf;

	switch (m->kind) {
	case TEE_MARK_TIME:
		seen.times++;
		break;
	case TEE_MARK_PIXEL_FORMAT:
		seen.formats++;
		if (rfb_pixel_format_parse(&pf, m->value) != 0 ||
		    rfb_framer_set_pixel_format(f, &pf) != 0)
			seen.rc = -100;
		break;
	case TEE_MARK_INPUT:
		seen.inputs++;
		seen.keys += load_be32(m->value);
		seen.pointers += load_be32(m->value + 4);
		break;
	case TEE_MARK_END:
		seen.end = (int)load_be32(m->value);
		break;
	default:
		break;
	}
}

/* Takes all there is. */
static void
drain(struct tee_reader *t, struct rfb_framer *f)
{
	struct tee_mark m;
	const uint8_t *data;
	size_t len;
	int got;

	while (seen.rc == 0 && seen.end < 0 &&
	    (got = tee_reader_next(t, &m, &data, &len)) != 0) {
		if (got < 0) {
			seen.rc = got;
		} else if (got == 1) {
			on_mark(f, &m);
		} else {
			seen.rc = rfb_framer_feed(f, data, len);
			tee_reader_consume(t, len);
		}
	}
}

int
main(void)
{
	struct tee_status st = { .kind = TEE_STATUS_READY };
	struct pollfd fds[] = { { TEE_FD_DATA_EVENT, POLLIN, 0 },
		{ TEE_FD_STATUS, POLLRDHUP, 0 } };
	struct rfb_framer *f = framer_of_meta();
	struct tee_reader *t;
	int gone = 0;

	if (f == NULL ||
	    tee_reader_new(&t, TEE_FD_DATA, TEE_FD_CTL, TEE_FD_READER,
		TEE_FD_DATA_EVENT, TEE_FD_SPACE_EVENT) != 0)
		return 1;
	send(TEE_FD_STATUS, &st, sizeof(st), MSG_NOSIGNAL);
	while (seen.rc == 0 && seen.end < 0 && !gone) {
		tee_reader_want_data(t, 1);
		drain(t, f);
		if (seen.end >= 0 || seen.rc != 0)
			break;
		poll(fds, 2, -1);
		gone = (fds[1].revents & (POLLRDHUP | POLLHUP)) != 0;
	}
	drain(t, f);
	fprintf(stderr,
	    "tee_drain: bytes=%llu updates=%llu times=%llu formats=%llu "
	    "keys=%llu pointers=%llu between=%d end=%d rc=%d why=%s\n",
	    (unsigned long long)tee_reader_offset(t),
	    (unsigned long long)seen.updates, (unsigned long long)seen.times,
	    (unsigned long long)seen.formats, (unsigned long long)seen.keys,
	    (unsigned long long)seen.pointers,
	    rfb_framer_is_between_messages(f), seen.end, seen.rc,
	    seen.rc != 0 ? rfb_framer_why(f) : "-");
	st.kind = TEE_STATUS_DONE;
	send(TEE_FD_STATUS, &st, sizeof(st), MSG_NOSIGNAL);
	tee_reader_free(t);
	rfb_framer_free(f);
	return seen.rc != 0;
}
