#include "common/db_query.h"

#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 sequence at p, 0: it is none. RFC 3629 section 4. */
static size_t
sequence(const unsigned char *p)
{
	size_t n = p[0] < 0x80 ? 1
	    : p[0] < 0xc2      ? 0
	    : p[0] < 0xe0      ? 2
	    : p[0] < 0xf0      ? 3
	    : p[0] < 0xf5      ? 4
			       : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* Replaces, in place, each byte that is not part of UTF-8 (RFC 3629). */
static void
clean_text(char *text)
{
	size_t n;

	for (; *text != '\0'; text += n) {
		n = sequence((const unsigned char *)text);
		if (n == 0) {
			*text = '?';
			n = 1;
		}
	}
}

struct db_query *
db_query_new(const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg)
{
	size_t len = (size_t)n * sizeof(char *);
	struct db_query *q = calloc(1, sizeof(*q));
	char *text;

	if (q == NULL)
		return NULL;
	for (int i = 0; i < n; i++)
		len += params[i] != NULL ? strlen(params[i]) + 1 : 0;
	q->sql = strdup(sql);
	q->params = malloc(len + 1);
	if (q->sql == NULL || q->params == NULL) {
		db_query_free(q);
		return NULL;
	}
	text = (char *)(q->params + n);
	for (int i = 0; i < n; i++) {
		q->params[i] = params[i] != NULL ? text : NULL;
		if (params[i] == NULL)
			continue;
		text = stpcpy(text, params[i]) + 1;
		clean_text(q->params[i]);
	}
	q->n = n;
	q->cb = cb;
	q->arg = arg;
	return q;
}

void
db_query_free(struct db_query *q)
{
	free(q->sql);
	free(q->params);
	free(q);
}

void
db_query_done(struct db_query *q, PGresult *res)
{
	if (q->cb != NULL)
		q->cb(q->arg, res);
	db_query_free(q);
}
