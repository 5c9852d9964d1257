/* Pages of what is in the bucket (ListObjectsV2). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "storage/counters.h"
#include "common/s3_xml.h"
#include "storage/store/store_s3.h"

/* A page with the longest keys, each byte as three, is below S3_BODY_MAX. */
#define ENCODED_MAX (3 * STORE_LIST_KEY_MAX + 1)

struct s3_list {
	struct s3_store *s;
	struct s3_request rq;
	char after[STORE_LIST_KEY_MAX + 1];
	struct store_entry entries[STORE_LIST_MAX];
	size_t n;
	store_list_cb *cb;
	void *arg;
};

/* encoding-type=url: keys may hold what XML cannot. */
static void
decode(const char *in, char *out, size_t out_len)
{
	size_t n = 0;
	uint8_t c;

	for (; *in != '\0' && n + 1 < out_len; in++) {
		char two[3] = "";

		if (in[0] == '%' && in[1] != '\0' && in[2] != '\0')
			snprintf(two, sizeof(two), "%.2s", in + 1);
		if (two[0] != '\0' && http_unhex(two, &c, 1) == 0) {
			out[n++] = (char)c;
			in += 2;
		} else {
			out[n++] = *in == '+' ? ' ' : *in;
		}
	}
	out[n] = '\0';
}

static void
take_entry(struct s3_list *l, const char *inside)
{
	char text[ENCODED_MAX], size[24];
	const char *at = inside;
	struct store_entry *e = &l->entries[l->n];

	if (s3_xml_text(&at, "Key", text, sizeof(text)) != 0)
		return;
	at = inside;
	if (s3_xml_text(&at, "Size", size, sizeof(size)) != 0)
		return;
	decode(text, e->key, sizeof(e->key));
	e->bytes = strtoull(size, NULL, 10);
	l->n++;
}

/* Keys rise, or the walk would not end. *at: behind what was taken. */
static bool
take_page(struct s3_list *l, const char **at)
{
	const char *before = l->after, *start, *end;

	while (l->n < STORE_LIST_MAX &&
	    s3_xml_element(at, "Contents", &start, &end) == 0) {
		char *inside = strndup(start, (size_t)(end - start));
		size_t n = l->n;

		if (inside == NULL)
			return false;
		take_entry(l, inside);
		free(inside);
		if (l->n > n) {
			if (strcmp(l->entries[n].key, before) <= 0)
				return false;
			before = l->entries[n].key;
		}
	}
	return true;
}

/*
 * Nothing is behind what was taken: the server says so, and sent no more keys
 * than it was asked for. Else it is asked again, until nothing comes.
 */
static bool
is_end(const struct s3_list *l, const char *body, const char *behind)
{
	const char *start, *end;
	char truncated[8] = "";

	s3_xml_text(&body, "IsTruncated", truncated, sizeof(truncated));
	return l->n == 0 ||
	    (strcmp(truncated, "false") == 0 &&
		s3_xml_element(&behind, "Contents", &start, &end) != 0);
}

static void
on_answer(void *arg, const struct s3_response *r)
{
	struct s3_list *l = arg;
	struct store_listing page = { .err = r->err, .detail = r->detail };
	const char *at = r->body;

	l->s->env.counters->store_jobs--;
	if (r->err == 0 && take_page(l, &at)) {
		page.entries = l->entries;
		page.n = l->n;
		page.is_end = is_end(l, r->body, at);
	} else if (r->err == 0) {
		page.err = ERR_PROTOCOL;
		page.detail = "the S3 server's list is out of order";
	}
	l->cb(l->arg, &page);
	free(l);
}

int
s3_list_start(
    struct s3_store *s, const char *after, store_list_cb *cb, void *arg)
{
	struct s3_list *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return ERR_NOMEM;
	l->s = s;
	l->cb = cb;
	l->arg = arg;
	snprintf(l->after, sizeof(l->after), "%s", after);
	l->rq.method = "GET";
	l->rq.key = "";
	l->rq.query[0] = (struct sigv4_pair){ "encoding-type", "url" };
	l->rq.query[1] = (struct sigv4_pair){ "list-type", "2" };
	l->rq.query[2] = (struct sigv4_pair){ "max-keys", "250" };
	l->rq.n_query = 3;
	if (after[0] != '\0')
		l->rq.query[l->rq.n_query++] =
		    (struct sigv4_pair){ "start-after", l->after };
	rc = s3_send(s->client, &l->rq, on_answer, l);
	if (rc != 0)
		free(l);
	else
		s->env.counters->store_jobs++;
	return rc;
}
