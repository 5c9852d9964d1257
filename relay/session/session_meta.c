/* What a recorder is told about its session: JSON in a memfd, docs/tee.md. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/err.h"
#include "common/http.h"
#include "relay/session/session_internal.h"
#include "rfb/framer.h"

/* The screen as it is at the offset where the recorder begins. */
struct screen {
	uint16_t width, height;
	struct rfb_pixel_format format;
};

static struct screen
screen_of(const struct relay_session *s)
{
	const struct rfb_server_init *init;
	struct screen n;

	if (s->pump.framer != NULL) {
		rfb_framer_size(s->pump.framer, &n.width, &n.height);
		n.format = s->pump.pixel_format.current;
		return n;
	}
	init = rfb_handshake_client_init(s->endpoint_handshake);
	return (struct screen){ init->width, init->height, init->pf };
}

static json_t *
monitor_of(const struct relay_session *s)
{
	const struct view_monitor *m =
	    view_find(&s->pump.view, pump_monitor(&s->pump));

	if (m == NULL)
		return NULL;
	return json_pack("{s:i s:i s:i s:i s:i s:s}", "index", (int)m->index,
	    "x", (int)m->x, "y", (int)m->y, "w", (int)m->w, "h", (int)m->h,
	    "name", m->name);
}

static json_t *
make(const struct relay_session *s, bool is_resume)
{
	const struct authorization *a = &s->authorization;
	struct screen n = screen_of(s);
	uint8_t pf[RFB_PIXEL_FORMAT_LEN];
	char hex[2 * RFB_PIXEL_FORMAT_LEN + 1];

	rfb_pixel_format_write(&n.format, pf);
	http_hex(pf, sizeof(pf), hex);
	return json_pack(
	    "{s:s s:s s:s s:s s:I s:I s:I s:s s:s s:I s:i s:i s:s s:s s:I s:I "
	    "s:i s:i s:I s:s s:I s:I s:I s:I s:s s:s s:s}",
	    "session", s->id, "team", a->team, "endpoint", a->endpoint,
	    "technician", s->name.person, "team_id", (json_int_t)a->team_id,
	    "endpoint_id", (json_int_t)a->endpoint_id, "person_id",
	    (json_int_t)a->person_id, "access", a->access, "time_zone",
	    a->time_zone, "retention_days", (json_int_t)a->retention_days,
	    "width", (int)n.width, "height", (int)n.height, "pixel_format", hex,
	    "desktop_name", s->desktop_name, "start_mono_ns",
	    (json_int_t)s->start_mono_ns, "start_wall_ns",
	    (json_int_t)s->start_wall_ns, "first_seq", 1, "first_frame", 1,
	    "max_pixels", (json_int_t)s->loop->relay->conf.max_pixels,
	    "split_reason", is_resume ? "recorder_restart" : "start",
	    "frame_rate",
	    (json_int_t)(s->pump.rate != 0 ? s->pump.rate : a->frame_rate),
	    "min_visible_ms", (json_int_t)a->min_visible_ms, "segment_bytes",
	    (json_int_t)a->segment_bytes, "min_free_bytes",
	    (json_int_t)s->loop->relay->spool.min_free_bytes, "codec", "vp9",
	    "quality", a->quality, "recording", s->is_recorded ? "on" : "off");
}

/* The text, on the heap. NULL for memory. */
static char *
make_text(const struct relay_session *s, bool is_resume)
{
	json_t *doc = make(s, is_resume), *monitor = NULL;
	char *text;

	if (doc == NULL)
		return NULL;
	if (s->is_captured)
		json_object_set_new(doc, "mode", json_string("capture"));
	else if (s->is_recorded)
		json_object_set_new(doc, "behind_seconds",
		    json_integer(s->loop->relay->conf.behind_seconds));
	if (is_resume) {
		json_object_set_new(doc, "resume", json_true());
		monitor = monitor_of(s);
	}
	if (monitor != NULL)
		json_object_set_new(doc, "monitor", monitor);
	text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	return text;
}

/* A desktop's name may be of any length; an order has bounds. */
#define CAPTURE_META_MAX 3000

char *
session_meta_of_capture(const struct relay_session *s)
{
	json_t *doc = make(s, false);
	char *text = NULL;

	if (doc != NULL &&
	    json_object_set_new(doc, "mode", json_string("capture")) == 0)
		text = json_dumps(doc, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (text != NULL && strlen(text) > CAPTURE_META_MAX) {
		free(text);
		json_object_set_new(doc, "desktop_name", json_string(""));
		text = json_dumps(doc, JSON_COMPACT | JSON_ENSURE_ASCII);
	}
	json_decref(doc);
	return text;
}

int
session_meta_memfd(const struct relay_session *s, bool is_resume)
{
	char *text = make_text(s, is_resume);
	int fd = memfd_create("relaycam-meta", MFD_CLOEXEC);
	size_t len = text != NULL ? strlen(text) : 0;

	if (fd >= 0 &&
	    (text == NULL || write(fd, text, len) != (ssize_t)len ||
		lseek(fd, 0, SEEK_SET) != 0)) {
		close(fd);
		fd = -1;
	}
	free(text);
	return fd;
}
