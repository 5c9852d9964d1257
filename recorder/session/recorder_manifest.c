#include "recorder/session/recorder_manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/json.h"
#include "common/write_all.h"

#define VERSION 1

/* A json_t under a name of our own, so that callers need no jansson. */
struct recorder_manifest;

static json_t *
as_json(const struct recorder_manifest *mf)
{
	return (json_t *)(uintptr_t)mf;
}

char *
recorder_manifest_name(const char *segment, const char *suffix,
    char out[RECORDER_MANIFEST_NAME_MAX])
{
	snprintf(out, RECORDER_MANIFEST_NAME_MAX, "%s%s", segment, suffix);
	return out;
}

static json_t *
pack_names(const struct meta *m, const struct recorder_manifest_open *o)
{
	return json_pack("{s:i, s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:I, "
			 "s:s, s:s, s:I}",
	    "version", VERSION, "segment", o->segment, "session", m->session,
	    "seq", (json_int_t)o->seq, "team", m->team, "endpoint", m->endpoint,
	    "technician", m->technician, "endpoint_id",
	    (json_int_t)m->endpoint_id, "team_id", (json_int_t)m->team_id,
	    "person_id", (json_int_t)m->person_id, "access", m->access,
	    "time_zone", m->time_zone, "retention_days",
	    (json_int_t)m->retention_days);
}

static json_t *
pack_media(const struct meta *m, const struct recorder_manifest_open *o)
{
	return json_pack("{s:s, s:s, s:i, s:s, s:i, s:i, s:i, s:s, s:I, s:I, "
			 "s:I}",
	    "object_key", o->object_key, "split_reason", o->split_reason,
	    "monitor", (int)o->monitor, "monitor_name", o->monitor_name,
	    "frame_rate", (int)o->frame_rate, "width", (int)o->width, "height",
	    (int)o->height, "codec", meta_codec_name(m->codec), "start_mono_ns",
	    (json_int_t)o->start_mono_ns, "start_wall_ns",
	    (json_int_t)o->start_wall_ns, "first_frame",
	    (json_int_t)o->first_frame);
}

/* What nobody saw, between a dead recorder and its successor. */
static int
add_gap(json_t *j, const struct recorder_manifest_open *o)
{
	if (o->gap_start_ns == 0)
		return 0;
	if (json_object_set_new(j, "gap_start_mono_ns",
		json_integer((json_int_t)o->gap_start_ns)) != 0)
		return -1;
	return json_object_set_new(
	    j, "gap_end_mono_ns", json_integer((json_int_t)o->start_mono_ns));
}

struct recorder_manifest *
recorder_manifest_new(
    const struct meta *m, const struct recorder_manifest_open *o)
{
	json_t *j = pack_names(m, o), *media = pack_media(m, o);
	int rc = j == NULL || media == NULL ? -1 : json_object_update(j, media);

	json_decref(media);
	if (rc == 0)
		rc = add_gap(j, o);
	if (rc == 0)
		return (struct recorder_manifest *)j;
	json_decref(j);
	return NULL;
}

void
recorder_manifest_free(struct recorder_manifest *mf)
{
	json_decref(as_json(mf));
}

uint64_t
recorder_manifest_get_int(const struct recorder_manifest *mf, const char *field)
{
	json_int_t v = json_int(as_json(mf), field);

	return v > 0 ? (uint64_t)v : 0;
}

const char *
recorder_manifest_get_str(const struct recorder_manifest *mf, const char *field)
{
	return json_text_or_empty(as_json(mf), field);
}

/* Adds the closing half. */
static int
finish(struct recorder_manifest *mf, const struct recorder_manifest_end *e)
{
	uint64_t first = recorder_manifest_get_int(mf, "first_frame");
	json_t *end = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:s}",
	    "end_mono_ns", (json_int_t)e->end_mono_ns, "end_wall_ns",
	    (json_int_t)e->end_wall_ns, "last_frame",
	    (json_int_t)(first + e->frames - 1), "frames",
	    (json_int_t)e->frames, "duration_ms", (json_int_t)e->duration_ms,
	    "bytes", (json_int_t)e->bytes, "recovered", (int)e->recovered,
	    "end", e->end);
	int rc = end == NULL ? -1 : json_object_update(as_json(mf), end);

	json_decref(end);
	if (rc == 0)
		rc = json_object_set_new(
		    as_json(mf), "evidence", evidence_to_json(e->evidence));
	if (rc == 0 && e->has_poster)
		rc = json_object_set_new(as_json(mf), "poster",
		    json_sprintf(
			"%s.jpg", recorder_manifest_get_str(mf, "segment")));
	return rc == 0 ? 0 : ERR_NOMEM;
}

int
recorder_manifest_write_file(int dir_fd, const char *segment,
    const char *suffix, const void *data, size_t len)
{
	char tmp[RECORDER_MANIFEST_NAME_MAX], name[RECORDER_MANIFEST_NAME_MAX];
	int fd, rc;

	/* whatever it becomes: storage knows this name and removes it. One
	 * that is there was left by a writer that died; the sandbox opens no
	 * file that exists */
	unlinkat(dir_fd, recorder_manifest_name(segment, ".json.tmp", tmp), 0);
	fd = openat(dir_fd, tmp,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return ERR_IO;
	rc = write_all(fd, data, len);
	if (rc == 0 && fsync(fd) != 0)
		rc = ERR_IO;
	if (rc == 0 &&
	    renameat(dir_fd, tmp, dir_fd,
		recorder_manifest_name(segment, suffix, name)) != 0)
		rc = ERR_IO;
	if (rc != 0)
		unlinkat(dir_fd, tmp, 0);
	close(fd);
	return rc;
}

/*
 * The object, with activity as its last field in one line: a day's has
 * 86400 pairs, too many for a json_t and a line each.
 */
static char *
dump(const struct recorder_manifest *mf, const char *activity)
{
	char *text = json_dumps(as_json(mf), JSON_INDENT(1)), *all = NULL;

	if (text == NULL || activity == NULL)
		return text;
	text[strlen(text) - strlen("\n}")] = '\0';
	if (asprintf(&all, "%s,\n \"activity\": %s\n}", text, activity) < 0)
		all = NULL;
	free(text);
	return all;
}

static int
write_dump(int dir_fd, const struct recorder_manifest *mf, const char *activity,
    const char *segment, const char *suffix)
{
	char *text = dump(mf, activity);
	int rc = ERR_NOMEM;

	if (text != NULL)
		rc = recorder_manifest_write_file(
		    dir_fd, segment, suffix, text, strlen(text));
	free(text);
	return rc;
}

int
recorder_manifest_write(int dir_fd, const struct recorder_manifest *mf,
    const char *segment, const char *suffix)
{
	return write_dump(dir_fd, mf, NULL, segment, suffix);
}

int
recorder_manifest_publish(int dir_fd, struct recorder_manifest *mf,
    const char *segment, const struct recorder_manifest_end *e)
{
	char part[RECORDER_MANIFEST_NAME_MAX], name[RECORDER_MANIFEST_NAME_MAX];
	char *activity = e->activity != NULL
	    ? activity_text(e->activity, e->duration_ms)
	    : NULL;
	int rc = finish(mf, e);

	if (rc == 0)
		rc = write_dump(dir_fd, mf, activity, segment, ".json");
	free(activity);
	if (rc != 0)
		return rc;
	if (renameat(dir_fd,
		recorder_manifest_name(segment, ".webm.part", part), dir_fd,
		recorder_manifest_name(segment, ".webm", name)) != 0 ||
	    fsync(dir_fd) != 0)
		return ERR_IO;
	/* one that is left behind does no harm: storage removes it */
	unlinkat(
	    dir_fd, recorder_manifest_name(segment, ".json.open", name), 0);
	return 0;
}

/* The whole file into a fresh block; *len bytes. NULL with errno. */
static char *
read_file(int dir_fd, const char *name, size_t *len)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char *text = fd >= 0 ? malloc(MANIFEST_MAX) : NULL;

	*len = 0;
	while (text != NULL && *len < MANIFEST_MAX) {
		ssize_t n = read(fd, text + *len, MANIFEST_MAX - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(text);
			text = NULL;
		}
		if (n <= 0)
			break;
		*len += (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static bool
is_manifest(const json_t *j, const char *segment)
{
	const char *id = json_text(j, "segment");

	return json_int(j, "version") == VERSION && id != NULL &&
	    strcmp(id, segment) == 0 && json_int(j, "first_frame") >= 1 &&
	    json_int(j, "start_wall_ns") >= 0;
}

static int
load(int dir_fd, const char *segment, const char *suffix,
    struct recorder_manifest **out)
{
	char name[RECORDER_MANIFEST_NAME_MAX];
	size_t len;
	char *text = read_file(
	    dir_fd, recorder_manifest_name(segment, suffix, name), &len);
	json_t *j;

	if (text == NULL)
		return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
	j = json_loadb(text, len, 0, NULL);
	free(text);
	if (!is_manifest(j, segment)) {
		json_decref(j);
		return ERR_CORRUPT;
	}
	*out = (struct recorder_manifest *)j;
	return 0;
}

int
recorder_manifest_load(
    int dir_fd, const char *segment, struct recorder_manifest **out)
{
	return load(dir_fd, segment, ".json.open", out);
}

int
recorder_manifest_load_closed(
    int dir_fd, const char *segment, struct recorder_manifest **out)
{
	return load(dir_fd, segment, ".json", out);
}
