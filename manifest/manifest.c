#include "manifest/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "common/json.h"
#include "common/uuid.h"

#define WALL_MAX INT64_C(9000000000000000000) /* year 2255 in ns */

struct field {
	const char *name;
	enum { TEXT, CHOICE, NUMBER, FLAG } kind;
	enum { OPEN, CLOSED, OPTIONAL } where; /* OPEN: in both */
	size_t offset, size;
	int64_t min, max;
	const char *choices; /* " a b c " */
};

#define STR(f, s)                                                              \
	{                                                                      \
#f, TEXT, OPEN, offsetof(struct manifest, f), s, 0, 0, 0       \
	}
#define ONE(f, s, where, c)                                                    \
	{                                                                      \
#f, CHOICE, where, offsetof(struct manifest, f), s, 0, 0, c    \
	}
#define NUM(f, where, lo, hi)                                                  \
	{                                                                      \
#f, NUMBER, where, offsetof(struct manifest, f), 0, lo, hi, 0  \
	}

static const struct field fields[] = {
	STR(segment, 37),
	STR(session, 37),
	STR(team, 64),
	STR(endpoint, 64),
	STR(technician, 64),
	STR(time_zone, 64),
	STR(object_key, OBJECT_KEY_MAX + 1),
	STR(monitor_name, 256),
	ONE(access, 12, OPEN, " attended unattended "),
	ONE(split_reason, 24, OPEN,
	    " start size monitor frame_rate orientation resolution manual "
	    "recorder_restart overload "),
	ONE(codec, 8, OPEN, " vp9 vp8 "),
	ONE(end, 24, CLOSED,
	    " start size monitor frame_rate orientation resolution manual "
	    "recorder_restart overload normal endpoint max_duration command "
	    "error "
	    "nospace crash "),
	NUM(team_id, OPEN, 1, INT64_MAX),
	NUM(endpoint_id, OPEN, 1, INT64_MAX),
	NUM(person_id, OPEN, 1, INT64_MAX),
	NUM(seq, OPEN, 1, INT32_MAX),
	NUM(monitor, OPEN, 0, 1000),
	NUM(frame_rate, OPEN, 1, 1000),
	NUM(width, OPEN, 1, 16384),
	NUM(height, OPEN, 1, 16384),
	NUM(start_mono_ns, OPEN, 0, INT64_MAX),
	NUM(start_wall_ns, OPEN, 0, WALL_MAX),
	NUM(gap_start_mono_ns, OPTIONAL, 0, INT64_MAX),
	NUM(end_mono_ns, CLOSED, 0, INT64_MAX),
	NUM(end_wall_ns, CLOSED, 0, WALL_MAX),
	NUM(first_frame, CLOSED, 0, INT64_MAX),
	NUM(last_frame, CLOSED, 0, INT64_MAX),
	NUM(frames, CLOSED, 0, INT64_MAX),
	NUM(duration_ms, CLOSED, 0, INT64_MAX),
	NUM(bytes, CLOSED, 1, INT64_C(1) << 42),
	NUM(retention_days, CLOSED, 1, 36500),
	{ "recovered", FLAG, CLOSED, offsetof(struct manifest, recovered) },
};

__attribute__((format(printf, 3, 4))) static int
bad(char *err, size_t err_len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_len, fmt, ap);
	va_end(ap);
	return ERR_PROTOCOL;
}

/* Text is cut at a character boundary where it is only shown to people. */
static int
take_text(const struct field *f, const json_t *v, char *out)
{
	size_t len = json_string_length(v);

	if (!json_is_string(v))
		return ERR_PROTOCOL;
	if (len >= f->size) {
		if (strcmp(f->name, "monitor_name") != 0)
			return ERR_PROTOCOL;
		len = f->size - 1;
		while (len > 0 &&
		    ((unsigned char)json_string_value(v)[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(out, json_string_value(v), len);
	out[len] = '\0';
	return 0;
}

static int
take_choice(const struct field *f, const json_t *v, char *out)
{
	char padded[40];
	const char *s = json_string_value(v);

	if (s == NULL || strchr(s, ' ') != NULL || strlen(s) >= f->size)
		return ERR_PROTOCOL;
	snprintf(padded, sizeof(padded), " %s ", s);
	if (s[0] == '\0' || strstr(f->choices, padded) == NULL)
		return ERR_PROTOCOL;
	strcpy(out, s);
	return 0;
}

static int
take_number(const struct field *f, const json_t *v, int64_t *out)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < f->min || n > f->max)
		return ERR_PROTOCOL;
	*out = n;
	return 0;
}

static int
take(struct manifest *m, const struct field *f, const json_t *v)
{
	char *at = (char *)m + f->offset;

	switch (f->kind) {
	case TEXT:
		return take_text(f, v, at);
	case CHOICE:
		return take_choice(f, v, at);
	case NUMBER:
		return take_number(f, v, (int64_t *)(void *)at);
	case FLAG:
		if (!json_is_boolean(v))
			return ERR_PROTOCOL;
		*(bool *)at = json_is_true(v);
		return 0;
	}
	return ERR_PROTOCOL;
}

/* A number of 0 or more as 16 bits, big-endian; it stops at the top. */
static int
take_count(const json_t *v, uint8_t out[2])
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0)
		return ERR_PROTOCOL;
	store_be16(out, n < UINT16_MAX ? (uint16_t)n : UINT16_MAX);
	return 0;
}

/*
 * [changed permille, input events, changes without a frame] of one second;
 * recorders of before say nothing of the last.
 */
static int
take_second(struct manifest *m, const json_t *v, size_t i)
{
	uint8_t *activity = m->activity + i * ACTIVITY_BYTES;
	uint8_t *merged = m->merged + i * MERGED_BYTES;
	size_t n = json_array_size(v);

	if (n != 2 && n != 3)
		return ERR_PROTOCOL;
	if (take_count(json_array_get(v, 0), activity) != 0 ||
	    load_be16(activity) > 1000 ||
	    take_count(json_array_get(v, 1), activity + 2) != 0)
		return ERR_PROTOCOL;
	if (n == 2) {
		m->n_merged = -1;
		return 0;
	}
	if (take_count(json_array_get(v, 2), merged) != 0)
		return ERR_PROTOCOL;
	if (m->n_merged >= 0)
		m->n_merged += load_be16(merged);
	return 0;
}

static void
drop_merged(struct manifest *m)
{
	free(m->merged);
	m->merged = NULL;
	m->merged_len = 0;
}

static void
take_activity(struct manifest *m, const json_t *v)
{
	size_t n = json_array_size(v);
	int rc = 0;

	if (v == NULL || (json_is_array(v) && n == 0))
		return;
	m->refused = "activity";
	if (!json_is_array(v) || n > ACTIVITY_MAX ||
	    n > (uint64_t)m->duration_ms / 1000 + 1)
		return;
	m->activity = malloc(n * ACTIVITY_BYTES);
	m->merged = calloc(n, MERGED_BYTES);
	if (m->activity == NULL || m->merged == NULL)
		rc = ERR_NOMEM;
	m->n_merged = 0;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = take_second(m, json_array_get(v, i), i);
	if (rc != 0) {
		manifest_release(m);
		return;
	}
	m->activity_len = n * ACTIVITY_BYTES;
	m->merged_len = n * MERGED_BYTES;
	if (m->n_merged <= 0)
		drop_merged(m);
	m->refused = NULL;
}

/* Its name can be only one; anything else is not opened. */
static void
take_poster(struct manifest *m, const json_t *v)
{
	const char *name = json_string_value(v);
	char want[MANIFEST_POSTER_MAX];

	if (v == NULL || json_is_null(v))
		return;
	snprintf(want, sizeof(want), "%s.jpg", m->segment);
	if (name != NULL && strcmp(name, want) == 0)
		strcpy(m->poster, want);
	else
		m->refused = "poster";
}

/* Only what the next segment's evidence refers to; the rest when it is used. */
static void
take_root(struct manifest *m, const json_t *v)
{
	const char *hex = json_text(v, "root");

	m->has_root = hex != NULL && strlen(hex) == 64 &&
	    http_unhex(hex, m->root, sizeof(m->root)) == 0;
}

void
manifest_release(struct manifest *m)
{
	free(m->activity);
	m->activity = NULL;
	m->activity_len = 0;
	drop_merged(m);
	m->n_merged = -1;
}

/* What single fields cannot say. */
static int
check_whole(const struct manifest *m, const char *id, char *err, size_t err_len)
{
	char prefix[200];
	int n = snprintf(prefix, sizeof(prefix), "%s/%s/%s/", m->team,
	    m->endpoint, m->session);

	if (strcmp(m->segment, id) != 0 || !is_uuid(m->segment))
		return bad(err, err_len, "segment is not the file's name");
	if (!is_uuid(m->session))
		return bad(err, err_len, "session is not a UUID");
	if (!object_key_is_valid(m->object_key))
		return bad(err, err_len, "object_key is not allowed");
	if ((size_t)n >= sizeof(prefix) ||
	    strncmp(m->object_key, prefix, (size_t)n) != 0)
		return bad(err, err_len,
		    "object_key is not below team/endpoint/session");
	if (m->gap_start_mono_ns > m->start_mono_ns)
		return bad(err, err_len, "the gap begins after the segment");
	if (m->is_closed && m->end_mono_ns < m->start_mono_ns)
		return bad(err, err_len, "it ends before it starts");
	if (m->is_closed && m->frames > 0 &&
	    (m->last_frame < m->first_frame ||
		m->last_frame - m->first_frame != m->frames - 1))
		return bad(err, err_len, "frame numbers do not add up");
	return 0;
}

static int
read_object(struct manifest *m, const json_t *root, const char *id, bool closed,
    char *err, size_t err_len)
{
	if (!json_is_object(root))
		return bad(err, err_len, "not a JSON object");
	if (json_int(root, "version") != 1)
		return bad(err, err_len, "version is not 1");
	for (size_t i = 0; i < N_ELEMENTS(fields); i++) {
		const json_t *v = json_object_get(root, fields[i].name);

		if ((fields[i].where == CLOSED && !closed) ||
		    (fields[i].where == OPTIONAL && v == NULL))
			continue;
		if (v == NULL)
			return bad(
			    err, err_len, "%s is missing", fields[i].name);
		if (take(m, &fields[i], v) != 0)
			return bad(
			    err, err_len, "%s is out of range", fields[i].name);
	}
	m->is_closed = closed;
	return check_whole(m, id, err, err_len);
}

int
manifest_parse(struct manifest *m, const char *json, size_t len, const char *id,
    bool closed, char *err, size_t err_len)
{
	json_error_t why;
	json_t *root;
	int rc;

	memset(m, 0, sizeof(*m));
	m->n_merged = -1;
	if (len > MANIFEST_MAX)
		return bad(err, err_len, "too long");
	root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &why);
	if (root == NULL)
		return bad(err, err_len, "line %d: %.100s", why.line, why.text);
	rc = read_object(m, root, id, closed, err, err_len);
	if (rc == 0 && closed) {
		take_activity(m, json_object_get(root, "activity"));
		take_poster(m, json_object_get(root, "poster"));
		take_root(m, json_object_get(root, "evidence"));
	}
	json_decref(root);
	return rc;
}

int
manifest_load(struct manifest *m, int dir, const char *name, const char *id,
    bool closed, char *err, size_t err_len)
{
	int fd =
	    openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char *json = NULL;
	size_t len = 0, room;
	struct stat st;
	ssize_t n = 0;
	int rc = ERR_IO;

	if (fd < 0) {
		rc = errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
		snprintf(err, err_len, "%s", strerror(errno));
		goto out;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		snprintf(err, err_len, "not a regular file");
		goto out;
	}
	room = min_u64((uint64_t)st.st_size, MANIFEST_MAX) + 1;
	json = malloc(room);
	if (json == NULL)
		goto out;
	while (len < room && (n = read(fd, json + len, room - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		snprintf(err, err_len, "%s", strerror(errno));
	else
		rc = manifest_parse(m, json, len, id, closed, err, err_len);
out:
	free(json);
	if (fd >= 0)
		close(fd);
	return rc;
}
