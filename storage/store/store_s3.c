/* The S3 store: object store operations on an S3 server. */
#include "storage/store/store_s3.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/http.h"
#include "storage/counters.h"
#include "manifest/object_key.h"
#include "storage/store/s3_backoff.h"

struct simple {
	struct s3_store *s;
	struct s3_request rq;
	char key[OBJECT_KEY_MAX + 1];
	struct store_object object;
	store_done_cb *cb;
	void *arg;
};

void
s3_stat_request(struct s3_request *rq, const char *key)
{
	memset(rq, 0, sizeof(*rq));
	rq->method = "GET";
	rq->key = key;
	rq->headers[0] = (struct sigv4_pair){ "range", "bytes=0-0" };
	rq->n_headers = 1;
}

static int
simple_start(struct store *s, const char *key, struct simple **out,
    store_done_cb *cb, void *arg)
{
	if (!object_key_is_safe(key))
		return ERR_PROTOCOL;
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return ERR_NOMEM;
	(*out)->s = (struct s3_store *)s;
	strcpy((*out)->key, key);
	(*out)->cb = cb;
	(*out)->arg = arg;
	return 0;
}

static int
simple_send(struct store *s, struct simple *o, s3_cb *cb)
{
	int rc = s3_send(((struct s3_store *)s)->client, &o->rq, cb, o);

	if (rc != 0)
		free(o);
	else
		((struct s3_store *)s)->env.counters->store_jobs++;
	return rc;
}

static void
on_removed(void *arg, const struct s3_response *r)
{
	struct simple *o = arg;
	struct store_result result = { 0 };

	if (r->err != 0 && strcmp(r->code, "NoSuchKey") != 0)
		store_fail(&result, r->err, "%s", r->detail);
	o->s->env.counters->store_jobs--;
	o->cb(o->arg, &result);
	free(o);
}

static int
s3_remove(struct store *s, const char *key, store_done_cb *cb, void *arg)
{
	struct simple *o;
	int rc = simple_start(s, key, &o, cb, arg);

	if (rc != 0)
		return rc;
	o->rq.method = "DELETE";
	o->rq.key = o->key;
	return simple_send(s, o, on_removed);
}

/*
 * Proves size and the SHA-256 noted at upload, not the bytes themselves. An
 * object that was sent while it grew has none noted: its bytes have to tell.
 */
static void
on_checked(void *arg, const struct s3_response *r)
{
	struct simple *o = arg;
	struct store_result result = { 0 };
	char hex[65];

	http_hex(o->object.sha256, 32, hex);
	if (r->err != 0 && strcmp(r->code, "NoSuchKey") == 0)
		store_fail(&result, ERR_NOTFOUND, "the stored object is gone");
	else if (!o->object.is_known && (r->err == 0 || r->status == 416))
		result.err = 0; /* it is there; nobody noted what it was */
	else if (r->status == 416 ||
	    (r->err == 0 && r->size != o->object.bytes))
		store_fail(&result, ERR_CORRUPT,
		    "size differs: %llu stored, %llu recorded",
		    (unsigned long long)(r->err == 0 ? r->size : 0),
		    (unsigned long long)o->object.bytes);
	else if (r->err != 0)
		store_fail(&result,
		    r->err == ERR_NOTFOUND ? ERR_UNAVAILABLE : r->err, "%s",
		    r->detail);
	else if (r->sha256[0] != '\0' && strcmp(r->sha256, hex) != 0)
		store_fail(&result, ERR_CORRUPT,
		    "SHA-256 noted with the stored object differs");
	o->s->env.counters->store_jobs--;
	o->cb(o->arg, &result);
	free(o);
}

static int
s3_check(struct store *s, const struct store_object *object, store_done_cb *cb,
    void *arg)
{
	struct simple *o;
	int rc = simple_start(s, object->key, &o, cb, arg);

	if (rc != 0)
		return rc;
	o->object = *object;
	s3_stat_request(&o->rq, o->key);
	return simple_send(s, o, on_checked);
}

static int
s3_put(struct store *s, const struct store_put *put)
{
	if (!object_key_is_safe(put->key))
		return ERR_PROTOCOL;
	return s3_upload_start((struct s3_store *)s, put);
}

static uint64_t
s3_part_bytes_of(const struct store *store, uint64_t bytes)
{
	const struct s3_store *s = (const struct s3_store *)store;

	return s3_part_bytes(bytes, (uint64_t)s->env.conf->s3_part_bytes,
	    s->part_bytes_per_second);
}

static int
s3_read(struct store *s, const struct store_read *read)
{
	return s3_read_start((struct s3_store *)s, read);
}

static int
s3_list(struct store *s, const char *after, store_list_cb *cb, void *arg)
{
	return s3_list_start((struct s3_store *)s, after, cb, arg);
}

static int
s3_hold(struct store *s, const char *key, bool is_on, store_done_cb *cb,
    void *arg)
{
	return s3_hold_start((struct s3_store *)s, key, is_on, cb, arg);
}

static int
s3_early(struct store *s, const struct store_early *early)
{
	if (!object_key_is_safe(early->key))
		return ERR_PROTOCOL;
	return s3_early_start((struct s3_store *)s, early);
}

static int
s3_early_end(struct store *s, const char *segment, const char *key,
    store_done_cb *cb, void *arg)
{
	if (!object_key_is_safe(key))
		return ERR_PROTOCOL;
	return s3_early_end_start((struct s3_store *)s, segment, key, cb, arg);
}

static void
s3_stop(struct store *s)
{
	atomic_store(&((struct s3_store *)s)->stopping, true);
}

static void
s3_free(struct store *s)
{
	s3_client_free(((struct s3_store *)s)->client);
	free(s);
}

static const struct store_ops s3_ops = { "s3", s3_put, s3_part_bytes_of,
	s3_remove, s3_check, s3_read, s3_list, s3_stop, s3_free, s3_hold,
	s3_early, S3_PART_LEAST, s3_early_end };

int
store_s3_new(
    struct store **out, const struct store_env *env, char *err, size_t err_len)
{
	struct s3_store *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return ERR_NOMEM;
	s->store.ops = &s3_ops;
	s->env = *env;
	rc = s3_client_new(&s->client, env, err, err_len);
	if (rc != 0)
		free(s);
	else
		*out = &s->store;
	return rc;
}
