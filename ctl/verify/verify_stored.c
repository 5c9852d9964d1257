/*
 * relaycam recordings verify: size and SHA-256 of a file, or of the stored
 * object, against the row.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/sha256.h"
#include "ctl/file.h"
#include "ctl/ctl_http.h"
#include "ctl/recordings/link.h"
#include "ctl/recordings/ctl_recordings.h"
#include "ctl/table.h"

struct found {
	char source[2048]; /* file or link that was read */
	int64_t bytes;
	uint8_t sha256[32];
};

struct stream {
	struct sha256 *hash;
	int64_t bytes;
};

static int
on_data(void *arg, int64_t at, const void *data, size_t len)
{
	struct stream *s = arg;

	sha256_add(s->hash, data, len);
	s->bytes += (int64_t)len;
	return 0;
}

static int
hash_link(struct ctl *c, const struct recording *r, const char *ca_file,
    struct found *f)
{
	struct stream s = { .hash = sha256_new() };
	struct ctl_http_get g = { .ca_file = ca_file,
		.total = r->bytes,
		.progress = true,
		.on_data = on_data,
		.arg = &s };
	struct signed_link link;
	int rc = s.hash != NULL ? link_new(c, r, NULL, "verify", &link)
				: ctl_error("out of memory");

	if (rc != 0)
		goto out;
	g.url = link.url;
	rc = ctl_http_get(&g);
	if (rc == ERR_NOTFOUND)
		rc = ctl_error("recording %s is gone from the store: %s", r->id,
		    r->object_key);
	else if (rc != 0)
		rc = ctl_error("cannot read the stored file: %s%s", g.why,
		    rc == ERR_CONFIG ? "; give its CA with --ca FILE" : "");
	else if (sha256_end(s.hash, f->sha256) != 0)
		rc = ctl_error("out of memory");
	f->bytes = s.bytes;
	snprintf(f->source, sizeof(f->source), "%s", r->object_key);
out:
	sha256_free(s.hash);
	return rc;
}

static int
hash_file(const char *path, struct found *f)
{
	int rc = file_sha256(path, f->sha256, &f->bytes);

	snprintf(f->source, sizeof(f->source), "%s", path);
	if (rc == 0)
		return 0;
	return ctl_failed(errno, "cannot read %s", path);
}

/* The folder store's own file when this account can read it. */
static int
hash_stored(struct ctl *c, const struct recording *r, const char *ca_file,
    struct found *f)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", c->store.folder, r->object_key);
	if (strcmp(r->store, "folder") == 0 && access(path, R_OK) == 0)
		return hash_file(path, f);
	return hash_link(c, r, ca_file, f);
}

/* The sentence that says what differs; "" when nothing does. */
static void
judge(const struct recording *r, const struct found *f, char *out, size_t len)
{
	out[0] = '\0';
	if (f->bytes < r->bytes)
		snprintf(out, len,
		    "it has %lld bytes instead of %lld: %lld are missing",
		    (long long)f->bytes, (long long)r->bytes,
		    (long long)(r->bytes - f->bytes));
	else if (f->bytes > r->bytes)
		snprintf(out, len,
		    "it has %lld bytes instead of %lld: %lld too many",
		    (long long)f->bytes, (long long)r->bytes,
		    (long long)(f->bytes - r->bytes));
	else if (memcmp(f->sha256, r->sha256, 32) != 0)
		snprintf(out, len,
		    "it has the right %lld bytes but another SHA-256: its "
		    "content was changed",
		    (long long)r->bytes);
}

static int
print(const struct recording *r, const struct found *f, bool json)
{
	char why[256], have[65], want[65];
	int rc = 0;

	judge(r, f, why, sizeof(why));
	sodium_bin2hex(have, sizeof(have), f->sha256, 32);
	sodium_bin2hex(want, sizeof(want), r->sha256, 32);
	if (json)
		rc = print_json(
		    json_pack("{s:s,s:s,s:b,s:s,s:I,s:I,s:s,s:s}", "recording",
			r->id, "source", f->source, "ok", why[0] == '\0',
			"problem", why, "bytes", (json_int_t)f->bytes,
			"expected_bytes", (json_int_t)r->bytes, "sha256", have,
			"expected_sha256", want));
	else if (why[0] == '\0')
		printf("%s: %lld bytes, SHA-256 %s: as stored\n", f->source,
		    (long long)f->bytes, have);
	else
		ctl_error("%s: %s", f->source, why);
	return why[0] != '\0' ? STATUS_FAILED : rc;
}

int
recordings_run_verify(struct ctl *c, const struct args *a)
{
	const char *path = args_get(a, "file");
	struct found f;
	struct recording r;
	int rc = recording_find(c, a->words[0], &r);

	/* a downloaded file may outlive the stored one (T12) */
	if (rc == 0 && path == NULL)
		rc = recording_must_be_stored(&r);
	if (rc == 0 && (r.bytes < 0 || !r.has_sha256))
		rc = ctl_error("recording %s is %s: there is no size and "
			       "SHA-256 to compare with",
		    r.id, r.status);
	if (rc != 0)
		return rc;
	rc = path != NULL
	    ? hash_file(path, &f)
	    : hash_stored(c, &r, link_ca_file(c, &r, args_get(a, "ca")), &f);
	return rc != 0 ? rc : print(&r, &f, args_has(a, "json"));
}
