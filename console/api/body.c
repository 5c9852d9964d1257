#include "console/api/body.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/http.h"
#include "common/password.h"
#include "console/api/request.h"
#include "console/worker.h"

#define DETAIL_MAX  160
#define POINTER_MAX 128
#define HOST_MAX    253
#define TEXTS_MAX   200
#define NAME_SET                                                               \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"

void
body_wrong(json_t *errors, const char *pointer, const char *detail)
{
	json_array_append_new(errors,
	    json_pack("{s:s,s:s}", "pointer", pointer, "detail", detail));
}

/* ---- one value ---- */

static bool
has_length(const struct member *m, const char *s)
{
	int64_t n = s != NULL ? (int64_t)strlen(s) : -1;

	return n >= m->lo && n <= m->hi;
}

static bool
has_control(const char *s)
{
	for (; *s != '\0'; s++)
		if (iscntrl((unsigned char)*s))
			return true;
	return false;
}

/* As the CHECK constraints of the schema have it. */
static bool
is_name(const char *s)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = s != NULL ? strlen(s) : 0;

	return n >= 1 && n <= 63 && strspn(s, set) == n &&
	    strchr("._-", s[0]) == NULL;
}

static bool
is_of(const char *s, const char *set)
{
	size_t n = s != NULL ? strspn(s, set) : 0;

	return n >= 1 && n <= HOST_MAX && s[n] == '\0';
}

/* An IPv6 address may have a zone ("fe80::1%eth0"). */
static bool
is_host(const char *s)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr any;
	size_t n = s != NULL ? strcspn(s, "%") : 0;

	if (s == NULL || strchr(s, ':') == NULL)
		return is_of(s, NAME_SET "_");
	if (n >= sizeof(address) ||
	    (s[n] == '%' && !is_of(s + n + 1, NAME_SET "_")))
		return false;
	memcpy(address, s, n);
	address[n] = '\0';
	return inet_pton(AF_INET6, address, &any) == 1;
}

static bool
is_choice(const char *choices, const char *s)
{
	size_t n = s != NULL ? strlen(s) : 0;

	while (n > 0 && *choices != '\0') {
		size_t len = strcspn(choices, "|");

		if (len == n && strncmp(choices, s, n) == 0)
			return true;
		choices += len + (choices[len] == '|');
	}
	return false;
}

/* Without its colons, as openssl prints them. */
static bool
take_sha256(json_t *v)
{
	const char *s = json_string_value(v);
	char hex[65];
	size_t n = 0;

	for (; s != NULL && *s != '\0'; s++) {
		if (*s == ':')
			continue;
		if (!isxdigit((unsigned char)*s) || n == 64)
			return false;
		hex[n++] = *s;
	}
	hex[n] = '\0';
	return n == 64 && json_string_set(v, hex) == 0;
}

/* Texts without control characters. */
static bool
is_texts(const struct member *m, const json_t *list)
{
	const json_t *v;
	size_t i;

	if (!json_is_array(list) || (int64_t)json_array_size(list) > m->hi)
		return false;
	json_array_foreach(list, i, v) {
		const char *s = json_string_value(v);

		if (s == NULL || *s == '\0' || strlen(s) > TEXTS_MAX ||
		    has_control(s))
			return false;
	}
	return true;
}

static bool
is_right(const struct member *m, json_t *v)
{
	const char *s = json_string_value(v);

	switch (m->kind) {
	case MEMBER_BOOL:
		return json_is_boolean(v);
	case MEMBER_INT:
		return json_is_integer(v) && json_integer_value(v) >= m->lo &&
		    json_integer_value(v) <= m->hi;
	case MEMBER_TEXT:
		return has_length(m, s) && !has_control(s);
	case MEMBER_LINES:
		return has_length(m, s);
	case MEMBER_NAME:
		return is_name(s);
	case MEMBER_CHOICE:
		return is_choice(m->choices, s);
	case MEMBER_HOST:
		return is_host(s);
	case MEMBER_TLS_NAME:
		return is_of(s, NAME_SET "_:");
	case MEMBER_TEXTS:
		return is_texts(m, v);
	case MEMBER_SHA256:
		return take_sha256(v);
	default:
		return false;
	}
}

/* ---- what would be right ---- */

static const char *
expected(const struct member *m, char out[DETAIL_MAX])
{
	long long lo = m->lo, hi = m->hi;

	switch (m->kind) {
	case MEMBER_BOOL:
		return "true or false is expected.";
	case MEMBER_INT:
		snprintf(out, DETAIL_MAX,
		    "A whole number from %lld to %lld is expected.", lo, hi);
		return out;
	case MEMBER_TEXT:
		snprintf(out, DETAIL_MAX,
		    "A text of %lld to %lld bytes without control characters "
		    "is expected.",
		    lo, hi);
		return out;
	case MEMBER_LINES:
		snprintf(out, DETAIL_MAX,
		    "A text of %lld to %lld bytes is expected.", lo, hi);
		return out;
	case MEMBER_TEXTS:
		snprintf(out, DETAIL_MAX,
		    "A list of at most %lld texts of 1 to %d bytes is "
		    "expected.",
		    hi, TEXTS_MAX);
		return out;
	case MEMBER_NAME:
		return "1 to 63 of a-z 0-9 . _ - are expected, beginning with "
		       "a letter or digit.";
	case MEMBER_CHOICE:
		snprintf(out, DETAIL_MAX, "One of %s is expected.", m->choices);
		return out;
	case MEMBER_HOST:
		return "A DNS name or an IP address is expected, without a "
		       "port.";
	case MEMBER_TLS_NAME:
		return "The DNS name or IP address in its certificate is "
		       "expected.";
	case MEMBER_SHA256:
	default:
		return "A SHA-256 is expected, 64 hex digits.";
	}
}

/* "at/name", escaped as RFC 6901 has it; a long name is cut. */
static const char *
pointer_of(const char *at, const char *name, char out[POINTER_MAX])
{
	size_t n = (size_t)snprintf(out, POINTER_MAX, "%s/", at);

	for (; *name != '\0' && n + 3 < POINTER_MAX; name++) {
		unsigned char ch = (unsigned char)*name;

		if (ch >= 0x80 || iscntrl(ch)) {
			out[n++] = '?';
		} else if (ch == '~' || ch == '/') {
			out[n++] = '~';
			out[n++] = ch == '~' ? '0' : '1';
		} else {
			out[n++] = (char)ch;
		}
	}
	out[n] = '\0';
	return out;
}

static const struct member *
find(const struct member *members, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(members[i].name, name) == 0)
			return &members[i];
	return NULL;
}

void
body_check(json_t *object, const char *at, const struct member *members,
    size_t n, json_t *errors)
{
	char pointer[POINTER_MAX], detail[DETAIL_MAX];
	const char *name;
	json_t *v;

	json_object_foreach(object, name, v) {
		const struct member *m = find(members, n, name);

		pointer_of(at, name, pointer);
		if (m == NULL)
			body_wrong(errors, pointer, "There is no such member.");
		else if (!(json_is_null(v) && m->may_be_null) &&
		    !is_right(m, v))
			body_wrong(errors, pointer, expected(m, detail));
	}
	for (size_t i = 0; i < n; i++)
		if (members[i].is_needed &&
		    json_object_get(object, members[i].name) == NULL)
			body_wrong(errors,
			    pointer_of(at, members[i].name, pointer),
			    "It is needed.");
}

bool
body_is_right(struct request *r, const struct member *members, size_t n)
{
	json_t *errors = json_array();

	body_check(r->body, "", members, n, errors);
	if (json_object_size(r->body) == 0)
		body_wrong(errors, "", "The body has nothing in it.");
	if (json_array_size(errors) == 0) {
		json_decref(errors);
		return true;
	}
	request_invalid_all(r, errors);
	return false;
}

void
body_wipe(json_t *object, const char *name)
{
	json_t *v = json_object_get(object, name);

	/* jansson gives its own bytes, which are ours to change */
	if (json_is_string(v))
		wipe((void *)(uintptr_t)json_string_value(v),
		    json_string_length(v));
	json_object_del(object, name);
}

bool
body_seal(struct request *r, const char *name, const char *sealed)
{
	json_t *v = json_object_get(r->body, name);
	uint8_t box[BODY_SECRET_MAX + SEAL_OVERHEAD];
	char hex[2 * sizeof(box) + 1];
	size_t len = json_string_length(v);
	int rc;

	if (v == NULL)
		return true;
	if (len > BODY_SECRET_MAX)
		return false; /* its row of the members forgot to say so */
	if (json_is_null(v)) {
		rc = json_object_set_new(r->body, sealed, json_null());
	} else {
		seal(r->worker->seal_key, json_string_value(v), len, box);
		http_hex(box, len + SEAL_OVERHEAD, hex);
		rc = json_object_set_new(r->body, sealed, json_string(hex));
	}
	body_wipe(r->body, name);
	return rc == 0;
}
