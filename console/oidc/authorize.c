#include "console/oidc/authorize.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <jose/b64.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"

char *
oidc_base64_32(const void *bytes, char out[OIDC_BASE64_32])
{
	size_t n = jose_b64_enc_buf(bytes, 32, out, OIDC_BASE64_32 - 1);

	out[n < OIDC_BASE64_32 ? n : 0] = '\0';
	return out;
}

char *
oidc_challenge(const char *verifier, char out[OIDC_BASE64_32])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	SHA256((const uint8_t *)verifier, strlen(verifier), hash);
	return oidc_base64_32(hash, out);
}

/* ---- a query or form that is written ---- */

struct form {
	char *out;
	size_t len, max;
	int rc; /* the first error */
};

static void
add_raw(struct form *f, const char *s)
{
	size_t n = strlen(s);

	if (f->rc != 0 || n >= f->max - f->len) {
		f->rc = ERR_LIMIT;
		return;
	}
	memcpy(f->out + f->len, s, n + 1);
	f->len += n;
}

static void
add_encoded(struct form *f, const char *s)
{
	long n = f->rc == 0
	    ? http_encode(s, 0, f->out + f->len, f->max - f->len)
	    : ERR_LIMIT;

	if (n < 0)
		f->rc = ERR_LIMIT;
	else
		f->len += (size_t)n;
}

static void
add(struct form *f, const char *before, const char *name, const char *value)
{
	add_raw(f, before);
	add_raw(f, name);
	add_raw(f, "=");
	add_encoded(f, value);
}

int
oidc_authorize_url(const struct discovery *d, const struct oidc_client *c,
    const char *state, const char *nonce, const char *verifier, bool is_again,
    char *out, size_t out_len)
{
	struct form f = { .out = out, .max = out_len };
	char challenge[OIDC_BASE64_32];
	bool has_query = strchr(d->authorization_endpoint, '?') != NULL;

	out[0] = '\0';
	add_raw(&f, d->authorization_endpoint);
	add(&f, has_query ? "&" : "?", "response_type", "code");
	add(&f, "&", "client_id", c->id);
	add(&f, "&", "redirect_uri", c->redirect_uri);
	add(&f, "&", "scope", c->scopes);
	add(&f, "&", "state", state);
	add(&f, "&", "nonce", nonce);
	add(&f, "&", "code_challenge", oidc_challenge(verifier, challenge));
	add(&f, "&", "code_challenge_method", "S256");
	if (is_again) {
		add(&f, "&", "prompt", "login");
		add(&f, "&", "max_age", "0");
	}
	return f.rc;
}

/* "Basic " and id:secret, each form-encoded, in base64. */
static int
basic(const struct oidc_client *c, char *out, size_t out_len)
{
	char pair[6 * OIDC_SECRET_MAX + 8];
	struct form f = { .out = pair, .max = sizeof(pair) };

	add_encoded(&f, c->id);
	add_raw(&f, ":");
	add_encoded(&f, c->secret);
	if (f.rc == 0 && 6 + 4 * ((f.len + 2) / 3) < out_len) {
		memcpy(out, "Basic ", 6);
		EVP_EncodeBlock(
		    (uint8_t *)out + 6, (const uint8_t *)pair, (int)f.len);
	} else {
		f.rc = ERR_LIMIT;
	}
	wipe(pair, sizeof(pair));
	return f.rc;
}

int
oidc_token_request(const struct discovery *d, const struct oidc_client *c,
    const char *code, const char *verifier, char *form, size_t form_len,
    char *authorization, size_t authorization_len)
{
	struct form f = { .out = form, .max = form_len };
	bool is_basic = c->secret != NULL && d->auth == CLIENT_AUTH_BASIC;

	form[0] = authorization[0] = '\0';
	add(&f, "", "grant_type", "authorization_code");
	add(&f, "&", "code", code);
	add(&f, "&", "redirect_uri", c->redirect_uri);
	add(&f, "&", "code_verifier", verifier);
	if (!is_basic)
		add(&f, "&", "client_id", c->id);
	if (!is_basic && c->secret != NULL)
		add(&f, "&", "client_secret", c->secret);
	if (f.rc == 0 && is_basic)
		f.rc = basic(c, authorization, authorization_len);
	return f.rc;
}
