/* A legal hold on an object (object lock of S3): PUT ?legal-hold. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/http.h"
#include "storage/counters.h"
#include "manifest/object_key.h"
#include "storage/store/store_s3.h"

#define BODY(status)                                                           \
	"<LegalHold xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"        \
	"<Status>" status "</Status></LegalHold>"

static const char on_body[] = BODY("ON"), off_body[] = BODY("OFF");

struct holding {
	struct s3_store *s;
	struct s3_request rq;
	char key[OBJECT_KEY_MAX + 1];
	char hex[65], md5[32];
	store_done_cb *cb;
	void *arg;
};

static void
on_answer(void *arg, const struct s3_response *r)
{
	struct holding *h = arg;
	struct store_result result = { 0 };

	if (r->err != 0)
		store_fail(&result,
		    strcmp(r->code, "NoSuchKey") == 0 ? ERR_NOTFOUND
			: r->err == ERR_NOTFOUND      ? ERR_UNAVAILABLE
						      : r->err,
		    "%s", r->detail);
	h->s->env.counters->store_jobs--;
	h->cb(h->arg, &result);
	free(h);
}

/* S3 demands Content-MD5 here. */
static int
sum(struct holding *h, const char *body, size_t len)
{
	uint8_t digest[32];

	if (EVP_Digest(body, len, digest, NULL, EVP_md5(), NULL) != 1)
		return ERR_NOMEM;
	EVP_EncodeBlock((uint8_t *)h->md5, digest, 16);
	if (EVP_Digest(body, len, digest, NULL, EVP_sha256(), NULL) != 1)
		return ERR_NOMEM;
	http_hex(digest, sizeof(digest), h->hex);
	return 0;
}

int
s3_hold_start(struct s3_store *s, const char *key, bool is_on,
    store_done_cb *cb, void *arg)
{
	const char *body = is_on ? on_body : off_body;
	struct holding *h;
	int rc;

	if (!object_key_is_safe(key))
		return ERR_PROTOCOL;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return ERR_NOMEM;
	h->s = s;
	h->cb = cb;
	h->arg = arg;
	strcpy(h->key, key);
	rc = sum(h, body, strlen(body));
	h->rq.method = "PUT";
	h->rq.key = h->key;
	h->rq.query[0] = (struct sigv4_pair){ "legal-hold", "" };
	h->rq.n_query = 1;
	h->rq.headers[0] = (struct sigv4_pair){ "content-md5", h->md5 };
	h->rq.n_headers = 1;
	h->rq.mem = body;
	h->rq.len = strlen(body);
	h->rq.sha256 = h->hex;
	if (rc == 0)
		rc = s3_send(s->client, &h->rq, on_answer, h);
	if (rc != 0)
		free(h);
	else
		s->env.counters->store_jobs++;
	return rc;
}
