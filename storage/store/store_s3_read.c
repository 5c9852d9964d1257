/* Bytes of a stored object, as they are asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "storage/counters.h"
#include "manifest/object_key.h"
#include "storage/store/store_s3.h"

struct reading {
	struct s3_store *s;
	struct s3_request rq;
	char key[OBJECT_KEY_MAX + 1], range[64], etag[110];
	store_data_cb *cb;
	void *arg;
};

static void
on_answer(void *arg, const struct s3_response *r)
{
	struct reading *g = arg;
	struct store_data data = { .err = r->err, .detail = r->detail };

	g->s->env.counters->store_jobs--;
	if (r->err == 0) {
		data.bytes = r->body;
		data.len = r->body_len;
		data.size = r->size;
		snprintf(data.etag, sizeof(data.etag), "%s", r->etag);
	}
	g->cb(g->arg, &data);
	free(g);
}

/* A server that holds another object by now says so (412). */
static void
add_if_match(struct reading *g, const char *etag)
{
	if (etag[0] == '\0')
		return;
	snprintf(g->etag, sizeof(g->etag), "\"%s\"", etag);
	g->rq.headers[g->rq.n_headers++] =
	    (struct sigv4_pair){ "if-match", g->etag };
}

int
s3_read_start(struct s3_store *s, const struct store_read *read)
{
	struct reading *g;
	int rc;

	if (!object_key_is_safe(read->key) || read->len == 0 ||
	    read->len > STORE_READ_MAX)
		return ERR_PROTOCOL;
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return ERR_NOMEM;
	g->s = s;
	g->cb = read->on_data;
	g->arg = read->arg;
	strcpy(g->key, read->key);
	snprintf(g->range, sizeof(g->range), "bytes=%llu-%llu",
	    (unsigned long long)read->offset,
	    (unsigned long long)(read->offset + read->len - 1));
	g->rq.method = "GET";
	g->rq.key = g->key;
	g->rq.headers[g->rq.n_headers++] =
	    (struct sigv4_pair){ "range", g->range };
	add_if_match(g, read->etag);
	rc = s3_send(s->client, &g->rq, on_answer, g);
	if (rc != 0)
		free(g);
	else
		s->env.counters->store_jobs++;
	return rc;
}
