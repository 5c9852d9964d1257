#include "recorder/meta.h"

#include <jansson.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "common/json.h"
#include "rfb/protocol.h"

#define NS_MAX      INT64_MAX
#define SEGMENT_MIN (1024 * 1024)
#define SEGMENT_MAX (512 * 1024 * 1024)

struct str_field {
	const char *name;
	size_t offset, size;
};

struct int_field {
	const char *name;
	size_t offset;
	int64_t min, max;
};

#define STR(f)                                                                 \
	{                                                                      \
#f, offsetof(struct meta, f), sizeof(((struct meta *)0)->f)    \
	}
#define INT(f, lo, hi)                                                         \
	{                                                                      \
#f, offsetof(struct meta, f), (lo), (hi)                       \
	}

static const struct str_field str_fields[] = {
	STR(session),
	STR(team),
	STR(endpoint),
	STR(technician),
	STR(access),
	STR(time_zone),
	STR(split_reason),
};

/* 64-bit fields only; smaller ones are read one by one below. */
static const struct int_field int_fields[] = {
	INT(team_id, 0, INT64_MAX),
	INT(endpoint_id, 0, INT64_MAX),
	INT(person_id, 0, INT64_MAX),
	INT(retention_days, 1, 36500),
	INT(start_mono_ns, 0, NS_MAX),
	INT(start_wall_ns, 0, NS_MAX),
	INT(first_seq, 1, INT32_MAX),
	INT(first_frame, 1, META_FRAME_MAX),
	INT(segment_bytes, SEGMENT_MIN, SEGMENT_MAX),
	INT(min_free_bytes, 0, INT64_MAX),
};

static int
parse_strings(struct meta *m, const json_t *o, const char **why)
{
	for (size_t i = 0; i < N_ELEMENTS(str_fields); i++) {
		const struct str_field *f = &str_fields[i];
		const char *s = json_text_or_empty(o, f->name);

		*why = f->name;
		if (s[0] == '\0' || strlen(s) >= f->size)
			return ERR_CONFIG;
		strcpy((char *)m + f->offset, s);
	}
	return 0;
}

static int
parse_ints(struct meta *m, const json_t *o, const char **why)
{
	int64_t v;

	for (size_t i = 0; i < N_ELEMENTS(int_fields); i++) {
		const struct int_field *f = &int_fields[i];

		*why = f->name;
		if (!json_int_within(o, f->name, f->min, f->max, &v))
			return ERR_CONFIG;
		memcpy((char *)m + f->offset, &v, sizeof(v));
	}
	*why = "width";
	if (!json_int_within(o, "width", 1, RFB_MAX_SIDE, &v))
		return ERR_CONFIG;
	m->width = (uint16_t)v;
	*why = "height";
	if (!json_int_within(o, "height", 1, RFB_MAX_SIDE, &v))
		return ERR_CONFIG;
	m->height = (uint16_t)v;
	*why = "frame_rate";
	if (!json_int_within(o, "frame_rate", 1, META_FRAME_RATE_MAX, &v))
		return ERR_CONFIG;
	m->frame_rate = (unsigned)v;
	return 0;
}

/* Which of the names, or -1. */
static int
pick(const char *s, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(s, names[i]) == 0)
			return i;
	return -1;
}

static const char *const codec_names[] = { "vp9", "vp8" };
static const char *const quality_names[] = { "text", "small", "lossless" };

static int
parse_choices(struct meta *m, const json_t *o, const char **why)
{
	int codec = pick(json_text_or_empty(o, "codec"), codec_names, 2);
	int quality = pick(json_text_or_empty(o, "quality"), quality_names, 3);

	*why = "codec";
	if (codec < 0)
		return ERR_CONFIG;
	*why = "quality";
	if (quality < 0)
		return ERR_CONFIG;
	m->codec = (enum encoder_codec)codec;
	m->quality = (enum encoder_quality)quality;
	return 0;
}

static int
parse_format(struct meta *m, const json_t *o, const char **why)
{
	const char *s = json_text_or_empty(o, "pixel_format");
	uint8_t wire[RFB_PIXEL_FORMAT_LEN];

	*why = "pixel_format";
	/* lower case only: that is how the relay writes it */
	if (strspn(s, "0123456789abcdef") != strlen(s) ||
	    http_unhex(s, wire, sizeof(wire)) != 0)
		return ERR_CONFIG;
	return rfb_pixel_format_parse(&m->pixel_format, wire) == 0 ? 0
								   : ERR_CONFIG;
}

/* "on" unless said. */
static int
parse_recording(struct meta *m, const json_t *o, const char **why)
{
	static const char *const names[] = { "on", "off" };
	int i = 0;

	*why = "recording";
	if (json_object_get(o, "recording") != NULL)
		i = pick(json_text_or_empty(o, "recording"), names, 2);
	m->is_manual = i == 1;
	return i < 0 ? ERR_CONFIG : 0;
}

/* "live" unless said. What is not recorded is never kept, so no captures. */
static int
parse_mode(struct meta *m, const json_t *o, const char **why)
{
	static const char *const names[] = { "live", "capture" };
	int i = 0;

	*why = "mode";
	if (json_object_get(o, "mode") != NULL)
		i = pick(json_text_or_empty(o, "mode"), names, 2);
	m->is_capture = i == 1;
	return i < 0 || (m->is_capture && m->is_manual) ? ERR_CONFIG : 0;
}

/* What may be left out: *out stays as it is then. */
static int
parse_optional(
    const json_t *o, const char *name, int64_t min, int64_t max, unsigned *out)
{
	int64_t v = *out;

	if (json_object_get(o, name) != NULL &&
	    !json_int_within(o, name, min, max, &v))
		return ERR_CONFIG;
	*out = (unsigned)v;
	return 0;
}

/* What the site allows; else what the protocol does. */
static int
parse_max_pixels(struct meta *m, const json_t *o, const char **why)
{
	int64_t v = (int64_t)RFB_MAX_SIDE * RFB_MAX_SIDE;

	*why = "max_pixels";
	if (json_object_get(o, *why) != NULL &&
	    !json_int_within(o, *why, 1, v, &v))
		return ERR_CONFIG;
	m->max_pixels = (uint64_t)v;
	*why = "width and height are above max_pixels";
	return (uint64_t)m->width * m->height <= m->max_pixels ? 0 : ERR_CONFIG;
}

static int
parse_optionals(struct meta *m, const json_t *o, const char **why)
{
	*why = "behind_seconds";
	m->behind_seconds = 0;
	if (parse_optional(o, *why, 0, META_BEHIND_MAX, &m->behind_seconds) !=
	    0)
		return ERR_CONFIG;
	*why = "min_visible_ms";
	m->min_visible_ms = META_VISIBLE_MAX;
	return parse_optional(
	    o, *why, META_VISIBLE_MIN, META_VISIBLE_MAX, &m->min_visible_ms);
}

static int
parse_resume(struct meta *m, const json_t *o, const char **why)
{
	const json_t *v = json_object_get(o, "resume");

	*why = "resume";
	m->is_resumed = json_is_true(v);
	return v == NULL || json_is_boolean(v) ? 0 : ERR_CONFIG;
}

static int
parse_side(const json_t *o, const char *name, unsigned *out)
{
	int64_t v;

	if (!json_int_within(o, name, 0, UINT16_MAX, &v))
		return ERR_CONFIG;
	*out = (unsigned)v;
	return 0;
}

/* The monitor in force at the first byte, if the relay names one. */
static int
parse_monitor(struct meta *m, const json_t *o, const char **why)
{
	const json_t *v = json_object_get(o, "monitor");
	const char *name = json_text_or_empty(v, "name");
	struct monitor *mon = &m->monitor;

	*why = "monitor";
	if (v == NULL)
		return 0;
	if (parse_side(v, "index", &mon->index) != 0 ||
	    parse_side(v, "x", &mon->area.x) != 0 ||
	    parse_side(v, "y", &mon->area.y) != 0 ||
	    parse_side(v, "w", &mon->area.w) != 0 ||
	    parse_side(v, "h", &mon->area.h) != 0)
		return ERR_CONFIG;
	monitor_set_name(mon, name, strlen(name));
	return 0;
}

int
meta_parse(struct meta *m, const char *json, size_t len, const char **why)
{
	json_t *o = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	int rc = ERR_CONFIG;

	memset(m, 0, sizeof(*m));
	*why = "not a JSON object";
	if (!json_is_object(o))
		goto out;
	rc = parse_strings(m, o, why);
	if (rc == 0)
		rc = parse_ints(m, o, why);
	if (rc == 0)
		rc = parse_choices(m, o, why);
	if (rc == 0)
		rc = parse_format(m, o, why);
	if (rc == 0)
		rc = parse_recording(m, o, why);
	if (rc == 0)
		rc = parse_monitor(m, o, why);
	if (rc == 0)
		rc = parse_resume(m, o, why);
	if (rc == 0)
		rc = parse_mode(m, o, why);
	if (rc == 0)
		rc = parse_optionals(m, o, why);
	if (rc == 0)
		rc = parse_max_pixels(m, o, why);
out:
	json_decref(o);
	return rc;
}

const char *
meta_codec_name(enum encoder_codec codec)
{
	return codec_names[codec];
}
