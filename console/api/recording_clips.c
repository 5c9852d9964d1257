/* recordings/{id}/clips: a range of a recording as a small file with a signed
 * manifest (M5, X3), docs/clips.md. The storage daemon makes both when their
 * links are opened. */
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "manifest/clip.h"
#include "common/clock.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/file_link.h"
#include "console/api/handlers.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/worker.h"

static const struct member members[] = {
	{ "from_ms", .kind = MEMBER_INT, .lo = 0, .hi = CLIP_DAY_MS - 1,
	    .is_needed = true },
	{ "to_ms", .kind = MEMBER_INT, .lo = 1, .hi = CLIP_DAY_MS,
	    .is_needed = true },
	{ "reason", .kind = MEMBER_LINES, .lo = 1, .hi = CLIP_REASON_MAX,
	    .is_needed = true },
};

/* Links to recordings may lead to the S3 server; a clip is not there. */
static const char *
maker_url(const struct request *r, const json_t *clip)
{
	const json_t *url = json_object_get(clip, "files_url");

	return link_is_direct(&r->worker->conf->store) ? json_string_value(url)
						       : NULL;
}

static int
add_links(struct request *r, json_t *clip)
{
	const char *key = json_string_value(json_object_get(clip, "key"));
	const char *node_url = maker_url(r, clip);
	char url[LINK_URL_MAX], name[LINK_OBJECT_MAX + 1];
	char at[CLOCK_TEXT_MAX];
	size_t len = strlen(key) - strlen(".webm");
	uint64_t expires_s;
	int rc = file_link_make(r, key, node_url, true, url, &expires_s);

	if (rc != 0)
		return rc;
	json_object_set_new(clip, "url", json_string(url));
	snprintf(name, sizeof(name), "%.*s.json", (int)len, key);
	rc = file_link_make(r, name, node_url, true, url, &expires_s);
	if (rc != 0)
		return rc;
	json_object_set_new(clip, "manifest_url", json_string(url));
	clock_format_utc(expires_s * NS_PER_S, at);
	json_object_set_new(clip, "expires_at", json_string(at));
	return 0;
}

static void
on_clip(struct request *r, const char *answer)
{
	json_t *clip = json_loads(answer, 0, NULL);

	if (link_is_direct(&r->worker->conf->store) &&
	    maker_url(r, clip) == NULL) {
		json_decref(clip);
		request_problem(r, 503, "unavailable",
		    "No storage daemon runs that makes clips.");
		return;
	}
	if (clip == NULL || add_links(r, clip) != 0) {
		json_decref(clip);
		request_problem(r, 500, "internal",
		    "No link can be made; the console's log says why.");
		return;
	}
	json_object_del(clip, "key");
	json_object_del(clip, "files_url");
	request_json(r, 201, clip);
}

void
recordings_clip_run(struct request *r)
{
	if (body_is_right(r, members, N_ELEMENTS(members)))
		change_then(r, "console_clip_new", on_clip);
}
