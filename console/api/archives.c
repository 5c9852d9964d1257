/* archives: several recordings as one ZIP (M6), which a storage daemon makes
 * while it is sent. The audit entries are there before the link is (X7). */
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/file_link.h"
#include "console/api/handlers.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/worker.h"

#define FILES_MAX 1000 /* archive_files.position */

static const struct member members[] = {
	{ "recordings", .kind = MEMBER_TEXTS, .hi = FILES_MAX },
	{ "session", .kind = MEMBER_TEXT, .lo = 1, .hi = REQUEST_ID_MAX },
};

/* Where a daemon makes it: the one that has some of it in its spool, or any
 * one; NULL: by the settings. */
static const char *
maker_url(const struct request *r, const json_t *archive)
{
	const char *node =
	    json_string_value(json_object_get(archive, "node_url"));

	if (node != NULL || !link_is_direct(&r->worker->conf->store))
		return node;
	return json_string_value(json_object_get(archive, "files_url"));
}

static int
add_link(struct request *r, json_t *archive)
{
	char key[80], url[LINK_URL_MAX], at[CLOCK_TEXT_MAX];
	uint64_t expires_s;
	int rc;

	snprintf(key, sizeof(key), "archive/%.40s.zip",
	    json_string_value(json_object_get(archive, "id")));
	rc = file_link_make(
	    r, key, maker_url(r, archive), true, url, &expires_s);
	if (rc != 0)
		return rc;
	clock_format_utc(expires_s * NS_PER_S, at);
	json_object_set_new(archive, "url", json_string(url));
	json_object_set_new(archive, "expires_at", json_string(at));
	return 0;
}

static void
on_archive(struct request *r, const char *answer)
{
	json_t *archive = json_loads(answer, 0, NULL);

	if (archive != NULL && link_is_direct(&r->worker->conf->store) &&
	    maker_url(r, archive) == NULL) {
		json_decref(archive);
		request_problem(r, 503, "unavailable",
		    "No storage daemon runs that makes ZIPs.");
		return;
	}
	if (archive == NULL || add_link(r, archive) != 0) {
		json_decref(archive);
		request_problem(r, 500, "internal",
		    "No link can be made; the console's log says why.");
		return;
	}
	json_object_del(archive, "node_url");
	json_object_del(archive, "files_url");
	request_json(r, 201, archive);
}

void
archives_new_run(struct request *r)
{
	if (body_is_right(r, members, N_ELEMENTS(members)))
		change_then(r, "console_archive_new", on_archive);
}
