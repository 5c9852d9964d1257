/*
 * relaycam recordings clip: a range of a recording as a small file with a
 * signed manifest (M5, X3), which the storage daemon makes. docs/clips.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "manifest/clip.h"
#include "common/err.h"
#include "common/json.h"
#include "ctl/ctl_http.h"
#include "ctl/recordings/link.h"
#include "ctl/pg.h"
#include "ctl/verify/verify_file.h"
#include "ctl/recordings/ctl_recordings.h"
#include "ctl/table.h"

#define MANIFEST_MAX (256 * 1024)
#define MAKE_SECONDS 300 /* for the storage daemon to make it */

struct clip_order {
	struct recording r; /* object_key: of the clip, once it is known */
	int64_t from_ms, to_ms;
	const char *reason;
	char id[UUID_TEXT_MAX], files_url[512];
	char path[VERIFY_PATH_MAX], manifest[VERIFY_PATH_MAX];
	const char *ca;
};

/* "1:02:03.5", "2:03" or "63.25": seconds, and minutes and hours before. */
static int
read_position(const struct args *a, const char *name, int64_t *ms)
{
	const char *s = args_get(a, name);
	double part = 0, total = 0;
	int parts = 0;
	char *end = NULL;

	for (; s != NULL && parts < 3; parts++) {
		if (*s < '0' || *s > '9')
			break;
		part = strtod(s, &end);
		if (end == s || part >= 1e6)
			break;
		total = total * 60 + part;
		if (*end == '\0') {
			*ms = (int64_t)(total * 1000 + 0.5);
			return 0;
		}
		if (*end != ':' || memchr(s, '.', (size_t)(end - s)) != NULL)
			break;
		s = end + 1;
	}
	return ctl_usage("--%s: expected a position in the recording such as "
			 "1:02:03.5, 2:03 or 63",
	    name);
}

static int
read_args(const struct args *a, struct clip_order *o)
{
	const char *output = args_get(a, "output");
	size_t len = output != NULL ? strlen(output) : 0;
	int rc = read_position(a, "from", &o->from_ms);

	if (rc == 0)
		rc = read_position(a, "to", &o->to_ms);
	if (rc != 0)
		return rc;
	if (o->to_ms <= o->from_ms || o->to_ms > CLIP_DAY_MS)
		return ctl_usage("--to: expected a position behind --from");
	o->reason = args_get(a, "reason");
	if (o->reason == NULL || o->reason[0] == '\0' ||
	    strlen(o->reason) > CLIP_REASON_MAX)
		return ctl_usage("--reason: expected 1 to %d bytes that say "
				 "what the clip is for",
		    CLIP_REASON_MAX);
	if (len < 6 || len >= sizeof(o->path) ||
	    strcmp(output + len - 5, ".webm") != 0)
		return ctl_usage("--output: expected a file name that ends in "
				 ".webm; the manifest is put beside it");
	memcpy(o->path, output, len + 1);
	snprintf(o->manifest, sizeof(o->manifest), "%.*s.json", (int)len - 5,
	    output);
	if (access(o->path, F_OK) == 0 || access(o->manifest, F_OK) == 0)
		return ctl_error(
		    "%s or %s is there already", o->path, o->manifest);
	o->ca = args_get(a, "ca");
	return 0;
}

/* Notes in the database, and in the audit log, who wants it. */
static int
order(struct ctl *c, struct clip_order *o)
{
	char from[24], to[24];
	PGresult *res;
	int rc = pg_introduce(c);

	if (rc != 0)
		return rc;
	snprintf(from, sizeof(from), "%lld", (long long)o->from_ms);
	snprintf(to, sizeof(to), "%lld", (long long)o->to_ms);
	res = PG_QUERY(c,
	    "SELECT coalesce(detail, problem), answer->>'id', answer->>'key', "
	    "coalesce(answer->>'files_url', ''), problem IS NULL "
	    "FROM clip_new($1::uuid, current_setting('relaycam.actor'), "
	    "jsonb_build_object('system_account', "
	    "current_setting('relaycam.system_account')), $2::integer, "
	    "$3::integer, $4)",
	    o->r.id, from, to, o->reason);
	if (res == NULL)
		return STATUS_FAILED;
	if (PQgetvalue(res, 0, 4)[0] != 't')
		rc = ctl_error("%s", PQgetvalue(res, 0, 0));
	snprintf(o->id, sizeof(o->id), "%s", PQgetvalue(res, 0, 1));
	snprintf(o->r.object_key, sizeof(o->r.object_key), "%s",
	    PQgetvalue(res, 0, 2));
	snprintf(
	    o->files_url, sizeof(o->files_url), "%s", PQgetvalue(res, 0, 3));
	PQclear(res);
	return rc;
}

static int
write_file(const char *path, const char *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n = fd >= 0 ? write(fd, data, len) : -1;

	if (n != (ssize_t)len) {
		ctl_failed(errno, "cannot write %s", path);
		if (fd >= 0) {
			close(fd);
			unlink(path);
		}
		return STATUS_FAILED;
	}
	return close(fd) == 0 ? 0 : ctl_failed(errno, "cannot write %s", path);
}

static int
link_to(struct ctl *c, const struct clip_order *o, const char *suffix,
    struct signed_link *out)
{
	struct recording r = o->r;
	size_t len = strlen(r.object_key);

	snprintf(r.object_key + len - strlen(".webm"), 6, "%s", suffix);
	return link_to_daemon(c, &r, o->files_url, out);
}

/* The daemon makes the clip now, so this is what says why it cannot. */
static int
fetch_manifest(struct ctl *c, const struct clip_order *o)
{
	struct signed_link link;
	char *text = calloc(1, MANIFEST_MAX);
	struct ctl_http_request rq = { .method = "GET",
		.url = link.url,
		.ca_file = o->ca,
		.timeout_s = MAKE_SECONDS,
		.answer = text,
		.answer_len = MANIFEST_MAX };
	int rc = text != NULL ? link_to(c, o, ".json", &link)
			      : ctl_error("out of memory");
	long status;

	if (rc != 0) {
		free(text);
		return rc;
	}
	status = ctl_http_request(&rq);
	text[strcspn(text, status == 200 ? "" : "\n")] = '\0';
	if (status == 200)
		rc = write_file(o->manifest, text, strlen(text));
	else if (status > 0)
		rc = ctl_error("the clip cannot be made: %.400s", text);
	else
		rc = ctl_error("cannot reach the storage daemon: %s%s", rq.why,
		    o->ca == NULL ? "; give its CA with --ca FILE" : "");
	free(text);
	return rc;
}

static int
fetch_media(struct ctl *c, const struct clip_order *o)
{
	struct signed_link link;
	int rc = link_to(c, o, ".webm", &link);

	return rc != 0 ? rc : link_save(&link, o->ca, o->path, "the clip");
}

/* Came all of it? Who signed it, "relaycam verify" says. */
static int
check(const struct clip_order *o, bool json)
{
	static const struct verify_keys none;
	struct verify_file p = { .kind = VERIFY_GOOD };
	int rc = 0;

	snprintf(p.path, sizeof(p.path), "%s", o->path);
	snprintf(p.manifest, sizeof(p.manifest), "%s", o->manifest);
	verify_file_check(&p, &none);
	if (p.clip == NULL ||
	    (p.kind != VERIFY_UNKNOWN_KEY && p.kind != VERIFY_UNSIGNED))
		rc = ctl_error("%s is not right: %s", o->path, p.text);
	else if (json) {
		json_object_set_new(p.clip, "file", json_string(o->path));
		json_object_set_new(
		    p.clip, "manifest", json_string(o->manifest));
		rc = print_json(json_incref(p.clip));
	} else
		printf("%s: %.3f to %.3f s of recording %s; its manifest is "
		       "%s\n",
		    o->path, (double)json_int(p.clip, "from_ms") / 1000,
		    (double)json_int(p.clip, "to_ms") / 1000, o->r.id,
		    o->manifest);
	json_decref(p.clip);
	return rc;
}

int
recordings_run_clip(struct ctl *c, const struct args *a)
{
	struct clip_order o = { .reason = NULL };
	int rc = read_args(a, &o);

	if (rc == 0)
		rc = recording_find(c, a->words[0], &o.r);
	if (rc == 0)
		rc = recording_must_be_stored(&o.r);
	if (rc == 0)
		rc = order(c, &o);
	if (rc == 0)
		rc = fetch_manifest(c, &o);
	if (rc == 0) {
		rc = fetch_media(c, &o);
		if (rc != 0)
			unlink(o.manifest);
	}
	return rc != 0 ? rc : check(&o, args_has(a, "json"));
}
