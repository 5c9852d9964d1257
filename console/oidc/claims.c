#include "console/oidc/claims.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/json.h"

#define TEXT_MAX  512 /* bytes of a claim that is used */
#define GROUP_MAX 512

static int
refuse(char why[OIDC_WHY_MAX], int rc, const char *sentence)
{
	snprintf(why, OIDC_WHY_MAX, "%s", sentence);
	return rc;
}

static json_t *
load(const char *text, size_t len)
{
	json_error_t error;
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

	if (json_is_object(o))
		return o;
	json_decref(o);
	return NULL;
}

/* ---- the token endpoint ---- */

/* As a field of HTTP has it: RFC 6750 section 2.1, b64token. */
static bool
is_bearer(const char *s)
{
	size_t n = s != NULL ? strlen(s) : 0;

	if (n == 0 || n > OIDC_ACCESS_MAX)
		return false;
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s >= 0x7f)
			return false;
	return true;
}

int
oidc_tokens_read(
    struct oidc_tokens *t, const char *text, size_t len, char why[OIDC_WHY_MAX])
{
	const char *type;

	memset(t, 0, sizeof(*t));
	t->root = len <= OIDC_TOKENS_MAX ? load(text, len) : NULL;
	t->id_token = json_text(t->root, "id_token");
	t->access_token = json_text(t->root, "access_token");
	type = json_text(t->root, "token_type");
	if (t->root == NULL)
		return refuse(why, ERR_PROTOCOL,
		    "its token endpoint does not answer with a JSON object");
	if (t->id_token == NULL)
		return refuse(why, ERR_PROTOCOL,
		    "its token endpoint gives no ID token; does the scope have "
		    "openid?");
	if (!is_bearer(t->access_token) || type == NULL ||
	    strcasecmp(type, "Bearer") != 0)
		return refuse(why, ERR_PROTOCOL,
		    "its token endpoint gives no bearer token");
	return 0;
}

/* jansson gives its own bytes, which are ours to change. */
static void
wipe_text(const char *s)
{
	if (s != NULL)
		wipe((void *)(uintptr_t)s, strlen(s));
}

void
oidc_tokens_release(struct oidc_tokens *t)
{
	wipe_text(t->id_token);
	wipe_text(t->access_token);
	json_decref(t->root);
	memset(t, 0, sizeof(*t));
}

void
oidc_error_read(const char *text, size_t len, char *out, size_t out_len)
{
	json_t *o = len <= OIDC_TOKENS_MAX ? load(text, len) : NULL;
	const char *s = json_text(o, "error");
	size_t n = s != NULL ? strlen(s) : 0;
	bool is_plain = n > 0 && n < out_len;

	for (size_t i = 0; is_plain && i < n; i++)
		is_plain = isalnum((unsigned char)s[i]) || s[i] == '_' ||
		    s[i] == '-' || s[i] == '.';
	snprintf(out, out_len, "%s", is_plain ? s : "");
	json_decref(o);
}

/* ---- claims ---- */

bool
oidc_claims_lack(const json_t *claims, const struct claim_names *names)
{
	return json_object_get(claims, names->name) == NULL ||
	    (names->needs_groups &&
		json_object_get(claims, names->groups) == NULL) ||
	    (names->needs_email &&
		(json_object_get(claims, "email") == NULL ||
		    json_object_get(claims, "email_verified") == NULL));
}

int
oidc_claims_add(
    json_t *claims, const char *text, size_t len, char why[OIDC_WHY_MAX])
{
	json_t *info = len <= OIDC_USERINFO_MAX ? load(text, len) : NULL;
	const char *sub = json_text(info, "sub");
	const char *mine = json_text(claims, "sub");
	int rc = 0;

	if (info == NULL)
		rc =
		    refuse(why, ERR_PROTOCOL, "its userinfo is no JSON object");
	else if (sub == NULL || mine == NULL || strcmp(sub, mine) != 0)
		rc = refuse(why, ERR_DENIED,
		    "its userinfo is of another person than the ID token");
	else if (json_object_update_missing(claims, info) != 0)
		rc = ERR_NOMEM;
	json_decref(info);
	return rc;
}

static void
take_text(json_t *out, const char *name, const json_t *v)
{
	const char *s = json_string_value(v);

	if (s != NULL && *s != '\0' && strlen(s) <= TEXT_MAX)
		json_object_set_new(out, name, json_string(s));
}

/* A list of names, or one name. */
static json_t *
take_groups(const json_t *v)
{
	json_t *list = json_array();
	const json_t *g;
	size_t i;

	if (json_is_string(v) && json_string_length(v) <= GROUP_MAX)
		json_array_append_new(list, json_copy((json_t *)(uintptr_t)v));
	json_array_foreach(v, i, g) {
		if (i >= OIDC_GROUPS_MAX)
			break;
		if (json_is_string(g) && json_string_length(g) <= GROUP_MAX)
			json_array_append_new(
			    list, json_copy((json_t *)(uintptr_t)g));
	}
	return list;
}

/* Some providers write it as text. */
static bool
is_verified(const json_t *v)
{
	const char *s = json_string_value(v);

	return json_is_true(v) || (s != NULL && strcmp(s, "true") == 0);
}

json_t *
oidc_claims_person(const json_t *claims, const struct claim_names *names)
{
	json_t *p = json_object();
	const json_t *email = json_object_get(claims, "email");
	bool verified = is_verified(json_object_get(claims, "email_verified"));

	if (p == NULL)
		return NULL;
	take_text(p, "subject", json_object_get(claims, "sub"));
	/* an address that nobody checked names nobody */
	if (strcmp(names->name, "email") != 0 || verified)
		take_text(p, "name", json_object_get(claims, names->name));
	take_text(p, "title", json_object_get(claims, "name"));
	take_text(p, "email", email);
	json_object_set_new(p, "email_verified", json_boolean(verified));
	json_object_set_new(
	    p, "groups", take_groups(json_object_get(claims, names->groups)));
	return p;
}
