#include "console/oidc/discovery.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/json.h"
#include "console/oidc/url.h"

#define WELL_KNOWN "/.well-known/openid-configuration"

int
discovery_url(const char *issuer, char *out)
{
	size_t n = strlen(issuer);
	int len;

	if (n > 0 && issuer[n - 1] == '/')
		n--;
	len = snprintf(out, OIDC_URL_MAX, "%.*s" WELL_KNOWN, (int)n, issuer);
	return len > 0 && len < OIDC_URL_MAX ? 0 : ERR_LIMIT;
}

static int __attribute__((format(printf, 2, 3)))
wrong(char why[OIDC_WHY_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, OIDC_WHY_MAX, fmt, ap);
	va_end(ap);
	return ERR_PROTOCOL;
}

static bool
lists(const json_t *list, const char *word)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v) {
		const char *s = json_string_value(v);

		if (s != NULL && strcmp(s, word) == 0)
			return true;
	}
	return false;
}

/* An endpoint; one that is not needed may be missing. */
static int
take_url(const struct discovery *d, const char *name, bool is_needed,
    const char **out, char why[OIDC_WHY_MAX])
{
	const json_t *v = json_object_get(d->root, name);

	*out = json_string_value(v);
	if (v == NULL && !is_needed)
		return 0;
	if (!oidc_url_is_right(*out))
		return wrong(why, "its %s is no https URL", name);
	return 0;
}

/* Without the list it is client_secret_basic (Discovery section 3). */
static int
take_auth(struct discovery *d, char why[OIDC_WHY_MAX])
{
	const json_t *list =
	    json_object_get(d->root, "token_endpoint_auth_methods_supported");

	if (list == NULL || lists(list, "client_secret_basic"))
		d->auth = CLIENT_AUTH_BASIC;
	else if (lists(list, "client_secret_post"))
		d->auth = CLIENT_AUTH_POST;
	else if (lists(list, "none"))
		d->auth = CLIENT_AUTH_BASIC; /* for public clients alone */
	else
		return wrong(why,
		    "its token endpoint takes neither client_secret_basic nor "
		    "client_secret_post");
	return 0;
}

static int
take_abilities(
    struct discovery *d, const char *algorithm, char why[OIDC_WHY_MAX])
{
	const json_t *algorithms =
	    json_object_get(d->root, "id_token_signing_alg_values_supported");
	const json_t *types =
	    json_object_get(d->root, "response_types_supported");

	if (json_is_array(algorithms) && !lists(algorithms, algorithm))
		return wrong(why, "it does not sign with %s", algorithm);
	if (json_is_array(types) && !lists(types, "code"))
		return wrong(why, "it does not do the code flow");
	d->sends_iss = json_is_true(json_object_get(
	    d->root, "authorization_response_iss_parameter_supported"));
	return take_auth(d, why);
}

int
discovery_read(struct discovery *d, const char *text, size_t len,
    const char *issuer, const char *algorithm, char why[OIDC_WHY_MAX])
{
	json_error_t error;
	int rc = 0;

	memset(d, 0, sizeof(*d));
	if (len > OIDC_DISCOVERY_MAX)
		return wrong(why, "its discovery document is too long");
	d->root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(d->root))
		return wrong(why, "its discovery document is no JSON object");
	d->issuer = json_text(d->root, "issuer");
	if (d->issuer == NULL || strcmp(d->issuer, issuer) != 0)
		return wrong(why,
		    "its discovery document names another issuer: %.100s",
		    d->issuer != NULL ? d->issuer : "none");
	rc = take_url(
	    d, "authorization_endpoint", true, &d->authorization_endpoint, why);
	if (rc == 0)
		rc = take_url(
		    d, "token_endpoint", true, &d->token_endpoint, why);
	if (rc == 0)
		rc = take_url(d, "jwks_uri", true, &d->jwks_uri, why);
	if (rc == 0)
		rc = take_url(
		    d, "userinfo_endpoint", false, &d->userinfo_endpoint, why);
	return rc == 0 ? take_abilities(d, algorithm, why) : rc;
}

void
discovery_release(struct discovery *d)
{
	json_decref(d->root);
	memset(d, 0, sizeof(*d));
}
