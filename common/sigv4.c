#include "common/sigv4.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "common/keyfile.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

/* Text that grows in a fixed room; overflow is remembered. */
struct text {
	char *s;
	size_t len, cap;
	int err;
};

struct encoded {
	char *name, *value; /* inside the arena */
	size_t order;       /* keeps the sort of equal names stable */
};

__attribute__((format(printf, 2, 3))) static void
add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->err != 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->s + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->cap - t->len)
		t->err = ERR_LIMIT;
	else
		t->len += (size_t)n;
}

static void
add_encoded(struct text *t, const char *s, int keep_slash)
{
	long n;

	if (t->err != 0)
		return;
	n = http_encode(s, keep_slash, t->s + t->len, t->cap - t->len);
	if (n < 0)
		t->err = ERR_LIMIT;
	else
		t->len += (size_t)n;
}

/* Starts a NUL-terminated string of its own in an arena. */
static char *
next_string(struct text *t)
{
	if (t->len + 1 >= t->cap)
		t->err = ERR_LIMIT;
	else
		t->s[++t->len] = '\0';
	return t->s + t->len;
}

static int
by_name_and_value(const void *a, const void *b)
{
	const struct encoded *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : strcmp(x->value, y->value);
}

static int
by_name_and_order(const void *a, const void *b)
{
	const struct encoded *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : (x->order > y->order) - (x->order < y->order);
}

/* Encoded and sorted "a=1&b=2". */
static void
add_query(struct text *t, const struct sigv4_pair *query, size_t n)
{
	struct encoded pairs[SIGV4_PAIRS_MAX];
	char room[SIGV4_TEXT_MAX];
	struct text arena = { room, 0, sizeof(room), 0 };

	if (n > SIGV4_PAIRS_MAX) {
		t->err = ERR_LIMIT;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		pairs[i].name = next_string(&arena);
		add_encoded(&arena, query[i].name, 0);
		pairs[i].value = next_string(&arena);
		add_encoded(
		    &arena, query[i].value != NULL ? query[i].value : "", 0);
	}
	if (arena.err != 0) {
		t->err = arena.err;
		return;
	}
	qsort(pairs, n, sizeof(pairs[0]), by_name_and_value);
	for (size_t i = 0; i < n; i++)
		add(t, "%s%s=%s", i > 0 ? "&" : "", pairs[i].name,
		    pairs[i].value);
}

static void
add_lower(struct text *t, const char *s)
{
	for (; *s != '\0'; s++)
		add(t, "%c", tolower((unsigned char)*s));
}

/* Without outer blanks, inner runs of blanks as one. */
static void
add_trimmed(struct text *t, const char *s)
{
	int gap = 0;

	s += strspn(s, " \t\r\n");
	for (; *s != '\0'; s++) {
		if (strchr(" \t\r\n", *s) != NULL) {
			gap = 1;
			continue;
		}
		add(t, gap ? " %c" : "%c", *s);
		gap = 0;
	}
}

/* Canonical headers into t, the list of their names into names. */
static void
add_headers(struct text *t, struct text *names,
    const struct sigv4_pair *headers, size_t n)
{
	struct encoded pairs[SIGV4_PAIRS_MAX + 2];
	char room[SIGV4_TEXT_MAX];
	struct text arena = { room, 0, sizeof(room), 0 };

	for (size_t i = 0; i < n; i++) {
		pairs[i].order = i;
		pairs[i].name = next_string(&arena);
		add_lower(&arena, headers[i].name);
		pairs[i].value = next_string(&arena);
		add_trimmed(
		    &arena, headers[i].value != NULL ? headers[i].value : "");
	}
	if (arena.err != 0) {
		t->err = arena.err;
		return;
	}
	qsort(pairs, n, sizeof(pairs[0]), by_name_and_order);
	for (size_t i = 0; i < n; i++) {
		bool same =
		    i > 0 && strcmp(pairs[i].name, pairs[i - 1].name) == 0;

		if (same)
			add(t, ",%s", pairs[i].value);
		else
			add(t, "%s%s:%s", i > 0 ? "\n" : "", pairs[i].name,
			    pairs[i].value);
		if (!same)
			add(names, "%s%s", i > 0 ? ";" : "", pairs[i].name);
	}
	add(t, "\n");
}

char *
sigv4_date(uint64_t time_s, char out[SIGV4_DATE_MAX])
{
	time_t t = (time_t)time_s;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(out, SIGV4_DATE_MAX, "%Y%m%dT%H%M%SZ", &tm) == 0)
		strcpy(out, "19700101T000000Z");
	return out;
}

static void
hmac(const void *key, size_t key_len, const char *text, uint8_t out[32])
{
	unsigned len = 32;

	HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text,
	    strlen(text), out, &len);
}

/* The signature over a canonical request, as hex. */
static void
sign(const struct sigv4_key *key, const char *date, const char *scope,
    const struct text *canonical, char out[65])
{
	char first[160], day[9], hash[65], to_sign[512];
	uint8_t k[32], digest[32];

	snprintf(first, sizeof(first), "AWS4%s", key->secret);
	snprintf(day, sizeof(day), "%.8s", date);
	hmac(first, strlen(first), day, k);
	hmac(k, 32, key->region, k);
	hmac(k, 32, key->service, k);
	hmac(k, 32, "aws4_request", k);
	SHA256((const uint8_t *)canonical->s, canonical->len, digest);
	snprintf(to_sign, sizeof(to_sign), ALGORITHM "\n%s\n%s\n%s", date,
	    scope, http_hex(digest, 32, hash));
	hmac(k, 32, to_sign, digest);
	http_hex(digest, 32, out);
	wipe(k, sizeof(k));
	wipe(first, sizeof(first));
}

static void
make_scope(const struct sigv4_key *key, const char *date, char out[256])
{
	snprintf(out, 256, "%.8s/%.80s/%.32s/aws4_request", date, key->region,
	    key->service);
}

static int
signature_of(const struct sigv4_key *key, const struct sigv4_request *rq,
    const struct sigv4_pair *query, size_t n_query,
    const struct sigv4_pair *headers, size_t n_headers, struct text *names,
    char out[65])
{
	char room[SIGV4_TEXT_MAX], date[SIGV4_DATE_MAX], scope[256];
	struct text t = { room, 0, sizeof(room), 0 };

	add(&t, "%s\n", rq->method);
	add_encoded(&t, rq->path, 1);
	add(&t, "\n");
	add_query(&t, query, n_query);
	add(&t, "\n");
	add_headers(&t, names, headers, n_headers);
	add(&t, "\n%s\n%s", names->s, rq->payload);
	if (t.err != 0 || names->err != 0)
		return ERR_LIMIT;
	sigv4_date(rq->time_s, date);
	make_scope(key, date, scope);
	sign(key, date, scope, &t, out);
	return 0;
}

int
sigv4_target(const struct sigv4_request *rq, char *out, size_t out_len)
{
	struct text t = { out, 0, out_len, 0 };

	add_encoded(&t, rq->path, 1);
	if (rq->n_query > 0)
		add(&t, "?");
	add_query(&t, rq->query, rq->n_query);
	return t.err;
}

int
sigv4_authorization(const struct sigv4_key *key, const struct sigv4_request *rq,
    char *out, size_t out_len)
{
	struct sigv4_pair headers[SIGV4_PAIRS_MAX + 2];
	char list[1024], date[SIGV4_DATE_MAX], scope[256], hex[65];
	struct text names = { list, 0, sizeof(list), 0 };
	struct text t = { out, 0, out_len, 0 };
	int rc;

	if (rq->n_headers > SIGV4_PAIRS_MAX)
		return ERR_LIMIT;
	if (rq->n_headers > 0)
		memcpy(
		    headers, rq->headers, rq->n_headers * sizeof(headers[0]));
	sigv4_date(rq->time_s, date);
	headers[rq->n_headers] = (struct sigv4_pair){ "host", rq->host };
	headers[rq->n_headers + 1] = (struct sigv4_pair){ "x-amz-date", date };
	rc = signature_of(key, rq, rq->query, rq->n_query, headers,
	    rq->n_headers + 2, &names, hex);
	if (rc != 0)
		return rc;
	make_scope(key, date, scope);
	add(&t, ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s",
	    key->access_key, scope, list, hex);
	return t.err;
}

int
sigv4_presign(const struct sigv4_key *key, const struct sigv4_request *rq,
    uint32_t expires_s, char *out, size_t out_len)
{
	struct sigv4_pair query[SIGV4_PAIRS_MAX];
	const struct sigv4_pair host = { "host", rq->host };
	char date[SIGV4_DATE_MAX], scope[256], hex[65], credential[400];
	char expires[16], list[64];
	struct text names = { list, 0, sizeof(list), 0 };
	struct text t = { out, 0, out_len, 0 };
	size_t n = rq->n_query;
	int rc;

	if (n + 6 > SIGV4_PAIRS_MAX)
		return ERR_LIMIT;
	if (n > 0)
		memcpy(query, rq->query, n * sizeof(query[0]));
	sigv4_date(rq->time_s, date);
	make_scope(key, date, scope);
	snprintf(
	    credential, sizeof(credential), "%s/%s", key->access_key, scope);
	snprintf(expires, sizeof(expires), "%u", expires_s);
	query[n++] = (struct sigv4_pair){ "X-Amz-Algorithm", ALGORITHM };
	query[n++] = (struct sigv4_pair){ "X-Amz-Credential", credential };
	query[n++] = (struct sigv4_pair){ "X-Amz-Date", date };
	query[n++] = (struct sigv4_pair){ "X-Amz-Expires", expires };
	query[n++] = (struct sigv4_pair){ "X-Amz-SignedHeaders", "host" };
	if (key->token[0] != '\0')
		query[n++] = (struct sigv4_pair){ "X-Amz-Security-Token",
			key->token };
	rc = signature_of(key, rq, query, n, &host, 1, &names, hex);
	if (rc != 0)
		return rc;
	add_encoded(&t, rq->path, 1);
	add(&t, "?");
	add_query(&t, query, n);
	add(&t, "&X-Amz-Signature=%s", hex);
	return t.err;
}

static int
read_line(FILE *f, char *out, size_t out_len)
{
	if (fgets(out, (int)out_len, f) == NULL)
		return ERR_CONFIG;
	out[strcspn(out, " \t\r\n")] = '\0';
	return out[0] != '\0' && strlen(out) < out_len - 1 ? 0 : ERR_CONFIG;
}

/* Two lines; key changes only when both are right. Takes f. */
static int
read_lines(FILE *f, struct sigv4_key *key)
{
	char access_key[129], secret[129], token[SIGV4_TOKEN_MAX + 2];
	int rc = 0;

	setvbuf(f, NULL, _IONBF, 0); /* no copy of the secret stays behind */
	if (read_line(f, access_key, sizeof(access_key)) != 0 ||
	    read_line(f, secret, sizeof(secret)) != 0)
		rc = ERR_CONFIG;
	token[0] = '\0';
	if (rc == 0 && read_line(f, token, sizeof(token)) != 0 &&
	    token[0] != '\0')
		rc = ERR_CONFIG; /* too long */
	fclose(f);
	if (rc == 0) {
		memcpy(key->access_key, access_key, sizeof(access_key));
		memcpy(key->secret, secret, sizeof(secret));
		memcpy(key->token, token, sizeof(key->token));
	}
	wipe(secret, sizeof(secret));
	wipe(token, sizeof(token));
	return rc;
}

int
sigv4_key_read(
    struct sigv4_key *key, const char *path, char *why, size_t why_len)
{
	int fd = keyfile_open("S3 access key file", path, why, why_len);
	FILE *f;
	int rc;

	if (fd < 0)
		return fd;
	f = fdopen(fd, "r");
	if (f == NULL) {
		close(fd);
		snprintf(why, why_len, "out of memory");
		return ERR_NOMEM;
	}
	rc = read_lines(f, key);
	if (rc != 0)
		snprintf(why, why_len,
		    "S3 access key file %s: expected two lines, access key "
		    "and secret key, and a session token in a third one if "
		    "there is one",
		    path);
	return rc;
}

void
sigv4_key_wipe(struct sigv4_key *key)
{
	wipe(key->access_key, sizeof(key->access_key));
	wipe(key->secret, sizeof(key->secret));
	wipe(key->token, sizeof(key->token));
}
