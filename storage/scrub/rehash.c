#include "storage/scrub/rehash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/sha256.h"
#include "manifest/object_key.h"

struct rehash {
	struct store *store;
	char key[OBJECT_KEY_MAX + 1], etag[100];
	uint64_t bytes, at;
	uint8_t sha256[32];
	struct sha256 *sum;
	store_done_cb *cb;
	void *arg;
};

static int ask(struct rehash *h);

static void
release(struct rehash *h)
{
	sha256_free(h->sum);
	free(h);
}

static void
finish(struct rehash *h, struct store_result *r)
{
	uint8_t have[32];

	if (r->err == 0 && sha256_end(h->sum, have) != 0)
		store_fail(r, ERR_NOMEM, "out of memory");
	else if (r->err == 0 && memcmp(have, h->sha256, 32) != 0)
		store_fail(
		    r, ERR_CORRUPT, "SHA-256 of the stored bytes differs");
	h->cb(h->arg, r);
	release(h);
}

static void
on_data(void *arg, const struct store_data *data)
{
	struct rehash *h = arg;
	struct store_result r = { 0 };
	int rc;

	if (data->err != 0)
		store_fail(&r, data->err, "%s", data->detail);
	else if (data->size != h->bytes)
		store_fail(&r, ERR_CORRUPT,
		    "size differs: %llu stored, %llu recorded",
		    (unsigned long long)data->size,
		    (unsigned long long)h->bytes);
	else if (data->len == 0 || data->len > h->bytes - h->at)
		store_fail(&r, ERR_UNAVAILABLE,
		    "the store sent other bytes than those asked for");
	if (r.err != 0) {
		finish(h, &r);
		return;
	}
	sha256_add(h->sum, data->bytes, data->len);
	h->at += data->len;
	snprintf(h->etag, sizeof(h->etag), "%s", data->etag);
	if (h->at == h->bytes) {
		finish(h, &r);
		return;
	}
	rc = ask(h);
	if (rc != 0) {
		store_fail(&r, ERR_UNAVAILABLE, "%s", err_text(rc));
		finish(h, &r);
	}
}

static int
ask(struct rehash *h)
{
	uint64_t left = h->bytes - h->at;
	struct store_read read = { .key = h->key,
		.etag = h->etag,
		.offset = h->at,
		.len = left < STORE_READ_MAX ? left : STORE_READ_MAX,
		.on_data = on_data,
		.arg = h };

	return h->store->ops->read(h->store, &read);
}

int
rehash(struct store *s, const struct store_object *object,
    store_done_cb *on_done, void *arg)
{
	struct rehash *h = calloc(1, sizeof(*h));
	int rc = ERR_NOMEM;

	if (h == NULL)
		return ERR_NOMEM;
	h->store = s;
	h->cb = on_done;
	h->arg = arg;
	h->bytes = object->bytes;
	snprintf(h->key, sizeof(h->key), "%s", object->key);
	memcpy(h->sha256, object->sha256, 32);
	h->sum = sha256_new();
	if (h->sum != NULL)
		rc = h->bytes == 0 ? ERR_PROTOCOL : ask(h);
	if (rc != 0)
		release(h);
	return rc;
}
