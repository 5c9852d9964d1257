#include "storage/upload/capture_order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "capture/capture.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/json.h"
#include "manifest/manifest.h"

/* ---- the manifest ---- */

/* As object keys have it, in UTC: the threads of storage share one TZ. The
 * first digits of id tell captures of the same second apart. */
static void
print_key(const json_t *order, const char *id, const char *session,
    char out[OBJECT_KEY_MAX + 1])
{
	const char *team = json_text(order, "team");
	const char *endpoint = json_text(order, "endpoint");
	time_t s =
	    (time_t)(json_int(order, "start_wall_ns") / (json_int_t)NS_PER_S);
	char when[32] = "";
	struct tm tm;

	if (gmtime_r(&s, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%dT%H-%M-%S+0000", &tm);
	snprintf(out, OBJECT_KEY_MAX + 1, "%s/%s/%s/monitor-1/%s-%.8s.webm",
	    team != NULL ? team : "", endpoint != NULL ? endpoint : "", session,
	    when, id);
}

/* Of the order, or what stands for it until the video is there. */
static int
set_or(json_t *m, const char *name, const json_t *order, json_t *preset)
{
	json_t *v = json_object_get(order, name);

	if (v == NULL)
		return json_object_set_new(m, name, preset);
	json_decref(preset);
	return json_object_set(m, name, v);
}

static int
copy_fields(json_t *m, const json_t *order)
{
	static const char *const names[] = { "session", "team", "endpoint",
		"technician", "team_id", "endpoint_id", "person_id", "access",
		"time_zone", "retention_days", "start_mono_ns", "start_wall_ns",
		"codec", "frame_rate", "split_reason" };

	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		json_t *v = json_object_get(order, names[i]);

		/* what is missing, manifest_parse names */
		if (v != NULL && json_object_set(m, names[i], v) != 0)
			return ERR_NOMEM;
	}
	return set_or(m, "width", order, json_integer(1)) == 0 &&
		set_or(m, "height", order, json_integer(1)) == 0
	    ? 0
	    : ERR_NOMEM;
}

static int
check(const json_t *m, const char *id, const char *session, char *err,
    size_t err_len)
{
	char *text = json_dumps(m, JSON_COMPACT);
	struct manifest parsed = { 0 };
	int rc;

	if (text == NULL) {
		snprintf(err, err_len, "%s", err_text(ERR_NOMEM));
		return ERR_NOMEM;
	}
	rc = manifest_parse(
	    &parsed, text, strlen(text), id, false, err, err_len);
	free(text);
	if (rc != 0)
		return rc;
	if (strcmp(parsed.session, session) != 0) {
		snprintf(err, err_len, "the order names another session");
		rc = ERR_PROTOCOL;
	}
	manifest_release(&parsed);
	return rc;
}

json_t *
capture_order_manifest(const json_t *order, const char *id, const char *session,
    char *err, size_t err_len)
{
	char key[OBJECT_KEY_MAX + 1];
	json_t *m;

	print_key(order, id, session, key);
	m = json_pack("{s:i s:s s:i s:s s:i s:s s:i}", "version", 1, "segment",
	    id, "seq", 1, "object_key", key, "monitor", 1, "monitor_name", "",
	    "first_frame", 1);
	if (m == NULL || copy_fields(m, order) != 0) {
		snprintf(err, err_len, "%s", err_text(ERR_NOMEM));
		json_decref(m);
		return NULL;
	}
	if (check(m, id, session, err, err_len) != 0) {
		json_decref(m);
		return NULL;
	}
	return m;
}

/* ---- the first block ---- */

int
capture_order_matches(const json_t *order, int fd, char *err, size_t err_len)
{
	struct capture_reader *reader = NULL;
	struct capture_start start;
	const char *name, *text;
	json_t *meta, *v;
	size_t len = 0;
	int rc = lseek(fd, 0, SEEK_SET) == 0
	    ? capture_reader_new_fd(&reader, fd)
	    : ERR_IO;

	if (rc != 0) {
		snprintf(err, err_len, "it does not begin as a capture");
		return rc;
	}
	text = capture_reader_meta(reader, &len, &start);
	meta = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	capture_reader_free(reader);
	if (meta == NULL) {
		snprintf(err, err_len, "its first block is no JSON");
		return ERR_CORRUPT;
	}
	json_object_foreach((json_t *)(uintptr_t)order, name, v)
		if (rc == 0 && !json_equal(v, json_object_get(meta, name))) {
			snprintf(err, err_len, "%.40s is not what was ordered",
			    name);
			rc = ERR_CORRUPT;
		}
	json_decref(meta);
	return rc;
}
