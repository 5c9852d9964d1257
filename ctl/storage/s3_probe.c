#include "ctl/storage/s3_probe.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/http.h"
#include "common/s3_xml.h"
#include "ctl/storage/s3_request.h"

#define BODY "relaycam doctor looks at what this key may do\n"

struct probe {
	struct s3_server server;
	struct s3_command command; /* the last one */
	char key[64];
	char upload_id[1025];
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

/* What makes an object, and so takes the headers of its encryption. */
static bool
makes_object(const struct step *s)
{
	return strcmp(s->method, "POST") == 0 ||
	    (strcmp(s->method, "PUT") == 0 && s->query[0][0] == NULL);
}

static void
send_step(struct probe *p, const struct step *s, struct s3_probe_result *r)
{
	struct s3_command *c = &p->command;

	memset(c, 0, sizeof(*c));
	c->method = s->method;
	c->key = s->on_bucket ? "" : p->key;
	c->body = s->has_body ? BODY : NULL;
	c->n_query = fill_query(p, s, c->query);
	if (makes_object(s))
		s3_command_encrypt(&p->server, c);
	r->works = s3_command_send(&p->server, c);
	r->status = c->status;
	snprintf(r->why, sizeof(r->why), "%s", c->why);
	snprintf(r->code, sizeof(r->code), "%s", c->code);
	if (r->works && strcmp(s->right, "s3:GetObject") == 0 &&
	    strcmp(c->answer, BODY) != 0) {
		r->works = false;
		snprintf(r->code, sizeof(r->code), "other bytes come back");
	}
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
		if (r.works && strcmp(s->method, "POST") == 0) {
			const char *at = p->command.answer;

			s3_xml_text(&at, "UploadId", p->upload_id,
			    sizeof(p->upload_id));
		}
		on_result(arg, &r);
		if (i == 0 && !r.works)
			return;
	}
}

int
s3_probe(const struct conf_store *conf, s3_probe_cb *on_result, void *arg,
    char why[CTL_HTTP_WHY_MAX])
{
	struct probe p = { 0 };
	uint8_t random[12];
	char hex[25];

	if (s3_server_open(&p.server, conf, why) != 0)
		return -1;
	if (RAND_bytes(random, sizeof(random)) != 1) {
		s3_server_close(&p.server);
		snprintf(why, CTL_HTTP_WHY_MAX, "no random numbers");
		return -1;
	}
	snprintf(p.key, sizeof(p.key), "relaycam-doctor/%s",
	    http_hex(random, sizeof(random), hex));
	run_steps(&p, on_result, arg);
	s3_server_close(&p.server);
	return 0;
}
