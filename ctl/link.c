#include "ctl/link.h"

#include <stdio.h>
#include <string.h>

#include "common/links.h"
#include "common/sigv4.h"
#include "ctl/pg.h"
#include "ctl/table.h"

/* Stored files are where the store is, others at their node (X1). */
static int
make(struct ctl *c, const struct recording *r, struct signed_link *out)
{
	struct conf_store node = c->store;
	struct link_signer *signer;
	uint64_t now_s = clock_wall_ns() / NS_PER_S;
	uint64_t expires_s;
	char err[512] = "out of memory";
	int rc;

	if (recording_is_on_node(r)) {
		node.kind = "folder";
		node.public_url = (char *)(uintptr_t)r->node_url;
	}
	rc = link_signer_new(&signer, &node, err, sizeof(err));
	if (rc != 0)
		return ctl_config(
		    "%s; the storage daemon must use the same", err);
	rc = link_make(signer, r->object_key, now_s, out->url, sizeof(out->url),
	    &expires_s);
	link_signer_free(signer);
	if (rc != 0)
		return ctl_error("no link can be made to %s: the key is too "
				 "long",
		    r->object_key);
	out->expires_ns = expires_s * NS_PER_S;
	clock_format_utc(out->expires_ns, out->expires_at);
	return 0;
}

int
link_new(struct ctl *c, const struct recording *r, const char *action,
    struct signed_link *out)
{
	int rc;

	if (!recording_is_on_node(r) && strcmp(r->store, c->store.kind) != 0)
		return ctl_config("recording %s is kept in the store \"%s\", "
				  "[store] kind is %s",
		    r->id, r->store, c->store.kind);
	rc = make(c, r, out);
	if (rc != 0)
		return rc;
	return pg_audit(c, r->team_id, action, r->id,
	    json_pack("{s:s,s:s}", "object_key", r->object_key, "expires_at",
		out->expires_at));
}

const char *
link_ca_file(const struct ctl *c, const struct recording *r, const char *given)
{
	if (given != NULL)
		return given;
	return strcmp(r->store, "s3") == 0 ? c->store.s3_ca_file : NULL;
}

int
recordings_run_link(struct ctl *c, const struct args *a)
{
	struct signed_link link;
	struct recording r;
	int rc = recording_find(c, a->words[0], &r);

	if (rc == 0 && !recording_is_on_node(&r))
		rc = recording_must_be_stored(&r);
	if (rc == 0)
		rc = link_new(c, &r, "link", &link);
	if (rc != 0)
		return rc;
	if (args_has(a, "json"))
		return print_json(json_pack("{s:s,s:s,s:s}", "recording", r.id,
		    "url", link.url, "expires_at", link.expires_at));
	printf("%s\n", link.url);
	fprintf(stderr, "dies at %s\n", link.expires_at);
	return STATUS_OK;
}

/* --- S3 ------------------------------------------------------------------ */

/* Where the bucket is, by path or by host name. */
struct bucket {
	char host[512], path[256], url[1024];
};

static int
locate(const struct conf_store *s, struct bucket *b, char *why)
{
	const char *host;
	int scheme;

	if (s->s3_endpoint == NULL || s->s3_bucket == NULL ||
	    s->s3_access_key_file == NULL) {
		snprintf(why, HTTP_WHY_MAX,
		    "[store] kind = s3 needs s3_endpoint, s3_bucket and "
		    "s3_access_key_file");
		return -1;
	}
	host = strstr(s->s3_endpoint, "://");
	if (host == NULL) {
		snprintf(why, HTTP_WHY_MAX,
		    "s3_endpoint = %s: expected https://host[:port]",
		    s->s3_endpoint);
		return -1;
	}
	scheme = (int)(host - s->s3_endpoint) + 3;
	host += 3;
	snprintf(b->host, sizeof(b->host), "%s%s%.*s",
	    s->s3_path_style ? "" : s->s3_bucket, s->s3_path_style ? "" : ".",
	    (int)strcspn(host, "/"), host);
	snprintf(b->path, sizeof(b->path), "/%s",
	    s->s3_path_style ? s->s3_bucket : "");
	snprintf(b->url, sizeof(b->url), "%.*s%s%s", scheme, s->s3_endpoint,
	    b->host, b->path);
	return 0;
}

long
link_probe_bucket(struct ctl *c, char why[HTTP_WHY_MAX])
{
	const struct sigv4_pair signed_headers[] = {
		{ "x-amz-content-sha256", SIGV4_EMPTY },
	};
	char date[SIGV4_DATE_MAX], auth[1024];
	char date_line[64], auth_line[1100];
	const char *const headers[] = {
		"x-amz-content-sha256: " SIGV4_EMPTY,
		date_line,
		auth_line,
	};
	struct sigv4_key key = { .region = c->store.s3_region,
		.service = "s3" };
	struct bucket b;
	struct sigv4_request rq = { .method = "HEAD",
		.host = b.host,
		.path = b.path,
		.headers = signed_headers,
		.n_headers = 1,
		.payload = SIGV4_EMPTY,
		.time_s = clock_wall_ns() / NS_PER_S };
	long status = -1;

	if (locate(&c->store, &b, why) != 0)
		return -1;
	if (sigv4_key_read(
		&key, c->store.s3_access_key_file, why, HTTP_WHY_MAX) != 0)
		return -1;
	key.region = c->store.s3_region;
	key.service = "s3";
	if (sigv4_authorization(&key, &rq, auth, sizeof(auth)) == 0) {
		snprintf(date_line, sizeof(date_line), "x-amz-date: %s",
		    sigv4_date(rq.time_s, date));
		snprintf(
		    auth_line, sizeof(auth_line), "Authorization: %s", auth);
		status = http_probe(
		    "HEAD", b.url, c->store.s3_ca_file, headers, 3, 10, why);
	} else {
		snprintf(why, HTTP_WHY_MAX, "the request cannot be signed");
	}
	sigv4_key_wipe(&key);
	return status;
}
