#include "ctl/s3_probe.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/http.h"
#include "common/s3_endpoint.h"
#include "common/sigv4.h"

#define TIMEOUT_S  10
#define ANSWER_MAX 16384
#define BODY       "relaycam doctor looks at what this key may do\n"

struct probe {
	const struct conf_store *conf;
	struct s3_endpoint endpoint;
	struct sigv4_key sign;
	char key[64];
	char upload_id[1025];
	char answer[ANSWER_MAX];
};

struct step {
	const char *method, *right, *without;
	bool is_needed;
	bool on_bucket, has_body;
	const char *query[2][2]; /* value "ID", "KEY": the probe's */
};

static const struct step steps[] = {
	{ "PUT", "s3:PutObject", "no recording can be stored", true, false,
	    true, { { NULL } } },
	{ "GET", "s3:GetObject",
	    "stored recordings can be neither verified nor played", true, false,
	    false, { { NULL } } },
	{ "GET", "s3:ListBucket",
	    "a recording that is gone from the bucket is not noticed (M4)",
	    false, true, false, { { "list-type", "2" }, { "prefix", "KEY" } } },
	{ "POST", "s3:PutObject",
	    "recordings over s3_part_bytes cannot be stored", true, false,
	    false, { { "uploads", "" } } },
	{ "PUT", "s3:PutObject",
	    "recordings over s3_part_bytes cannot be stored", true, false, true,
	    { { "partNumber", "1" }, { "uploadId", "ID" } } },
	{ "GET", "s3:ListMultipartUploadParts",
	    "a restart cannot ask which parts were stored, and goes by its own "
	    "notes",
	    false, false, false, { { "uploadId", "ID" } } },
	{ "GET", "s3:ListBucketMultipartUploads",
	    "uploads that were given up stay in the bucket and take space",
	    false, true, false, { { "uploads", "" }, { "prefix", "KEY" } } },
	{ "DELETE", "s3:AbortMultipartUpload",
	    "uploads that were given up stay in the bucket and take space",
	    false, false, false, { { "uploadId", "ID" } } },
	{ "DELETE", "s3:DeleteObject",
	    "recordings stay in the bucket when they expire (M12)", true, false,
	    false, { { NULL } } },
};

/* Text of the first element of this name; "" when there is none. */
static void
element(const char *xml, const char *name, char *out, size_t out_len)
{
	char open[32];
	const char *at;

	snprintf(open, sizeof(open), "<%s>", name);
	at = strstr(xml, open);
	at = at != NULL ? at + strlen(open) : "";
	snprintf(out, out_len, "%.*s", (int)strcspn(at, "<"), at);
}

static size_t
fill_query(
    const struct probe *p, const struct step *s, struct sigv4_pair query[2])
{
	size_t n = 0;

	for (; n < 2 && s->query[n][0] != NULL; n++) {
		const char *value = s->query[n][1];

		if (strcmp(value, "ID") == 0)
			value = p->upload_id;
		else if (strcmp(value, "KEY") == 0)
			value = p->key;
		query[n] = (struct sigv4_pair){ s->query[n][0], value };
	}
	return n;
}

/* The step as an HTTP request: address and headers, signed as of now. */
static int
sign(const struct probe *p, const struct step *s, char *url, size_t url_len,
    char headers[3][1100])
{
	struct sigv4_pair query[2], hash = { "x-amz-content-sha256", NULL };
	char path[256], target[SIGV4_TEXT_MAX], auth[1000], hex[65];
	char date[SIGV4_DATE_MAX];
	uint8_t digest[32];
	struct sigv4_request rq = { .method = s->method,
		.host = p->endpoint.host,
		.path = path,
		.query = query,
		.headers = &hash,
		.n_headers = 1,
		.payload = SIGV4_EMPTY,
		.time_s = clock_wall_ns() / NS_PER_S };

	if (s->has_body) {
		if (EVP_Digest(BODY, strlen(BODY), digest, NULL, EVP_sha256(),
			NULL) != 1)
			return -1;
		rq.payload = http_hex(digest, 32, hex);
	}
	hash.value = rq.payload;
	rq.n_query = fill_query(p, s, query);
	if (s3_endpoint_path(&p->endpoint, s->on_bucket ? "" : p->key, path,
		sizeof(path)) != 0 ||
	    sigv4_target(&rq, target, sizeof(target)) != 0 ||
	    sigv4_authorization(&p->sign, &rq, auth, sizeof(auth)) != 0)
		return -1;
	snprintf(
	    url, url_len, "%s://%s%s", p->endpoint.scheme, rq.host, target);
	snprintf(headers[0], 1100, "x-amz-content-sha256: %s", rq.payload);
	snprintf(
	    headers[1], 1100, "x-amz-date: %s", sigv4_date(rq.time_s, date));
	snprintf(headers[2], 1100, "Authorization: %s", auth);
	return 0;
}

static void
send_step(struct probe *p, const struct step *s, struct s3_probe_result *r)
{
	char url[SIGV4_TEXT_MAX + 512], lines[3][1100];
	const char *const headers[] = { lines[0], lines[1], lines[2] };
	struct http_request rq = { .method = s->method,
		.url = url,
		.ca_file = p->conf->s3_ca_file,
		.headers = headers,
		.n_headers = 3,
		.body = s->has_body ? BODY : NULL,
		.timeout_s = TIMEOUT_S,
		.answer = p->answer,
		.answer_len = sizeof(p->answer) };

	p->answer[0] = '\0';
	r->status = -1;
	if (sign(p, s, url, sizeof(url), lines) != 0) {
		snprintf(r->why, sizeof(r->why),
		    "the request cannot be signed: bucket, region or key are "
		    "too long");
		return;
	}
	r->status = http_request(&rq);
	snprintf(r->why, sizeof(r->why), "%s", rq.why);
	r->works = r->status >= 200 && r->status < 300;
	if (r->works && strcmp(s->right, "s3:GetObject") == 0 &&
	    strcmp(p->answer, BODY) != 0) {
		r->works = false;
		snprintf(r->code, sizeof(r->code), "other bytes come back");
	} else if (!r->works)
		element(p->answer, "Code", r->code, sizeof(r->code));
}

/* Steps of an upload that was not made have nothing to say. */
static bool
is_possible(const struct probe *p, const struct step *s)
{
	return p->upload_id[0] != '\0' ||
	    (strcmp(s->query[0][0] != NULL ? s->query[0][0] : "", "uploadId") !=
		    0 &&
		strcmp(s->query[1][0] != NULL ? s->query[1][0] : "",
		    "uploadId") != 0);
}

static void
run_steps(struct probe *p, s3_probe_cb *on_result, void *arg)
{
	for (size_t i = 0; i < N_ELEMENTS(steps); i++) {
		const struct step *s = &steps[i];
		struct s3_probe_result r = { .key = p->key,
			.right = s->right,
			.without = s->without,
			.is_needed = s->is_needed };

		if (!is_possible(p, s))
			continue;
		send_step(p, s, &r);
		if (r.works && strcmp(s->method, "POST") == 0)
			element(p->answer, "UploadId", p->upload_id,
			    sizeof(p->upload_id));
		on_result(arg, &r);
		if (i == 0 && !r.works)
			return;
	}
}

int
s3_probe(const struct conf_store *conf, s3_probe_cb *on_result, void *arg,
    char why[HTTP_WHY_MAX])
{
	struct probe p = { .conf = conf };
	uint8_t random[12];
	char hex[25];

	if (s3_endpoint_read(&p.endpoint, conf, why, HTTP_WHY_MAX) != 0 ||
	    sigv4_key_read(
		&p.sign, conf->s3_access_key_file, why, HTTP_WHY_MAX) != 0)
		return -1;
	p.sign.region = conf->s3_region;
	p.sign.service = "s3";
	if (RAND_bytes(random, sizeof(random)) != 1) {
		sigv4_key_wipe(&p.sign);
		snprintf(why, HTTP_WHY_MAX, "no random numbers");
		return -1;
	}
	snprintf(p.key, sizeof(p.key), "relaycam-doctor/%s",
	    http_hex(random, sizeof(random), hex));
	run_steps(&p, on_result, arg);
	sigv4_key_wipe(&p.sign);
	return 0;
}
