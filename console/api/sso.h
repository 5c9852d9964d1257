/*
 * A login by single sign-on that is under way: the team's settings, what was
 * read from its provider, and how it ends when it fails. Each step ends with
 * the next one or with an answer to the request. On the worker's loop.
 *
 *   start:    settings -> discovery -> the browser goes to the provider
 *   callback: settings -> discovery -> tokens -> keys -> ID token ->
 *             userinfo, where it is needed -> person -> login
 */
#ifndef CONSOLE_API_SSO_H
#define CONSOLE_API_SSO_H

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "console/http/fetch.h"
#include "console/oidc/authorize.h"
#include "console/oidc/claims.h"
#include "console/oidc/discovery.h"
#include "console/oidc/login_state.h"

#define SSO_PATH     "/api/v1/login/single-sign-on"
#define SSO_CALLBACK SSO_PATH "/callback"
#define SSO_COOKIE   "__Host-relaycam-login"
#define SSO_EXPIRED                                                            \
	"This login is too old, was used already, or began in another "        \
	"browser. Begin again."

struct request;
struct sso;
struct worker;

typedef void sso_step(struct sso *s);

struct sso {
	struct request *request;
	json_t *settings; /* the row of single_sign_on */
	char *secret;     /* of the client, in clear; NULL: none */
	struct discovery discovery;
	json_t *keys; /* oidc_keys_read; NULL: not read yet */
	sso_step *next;
	/* callback */
	struct login_state state;
	char code[OIDC_CODE_MAX], iss[OIDC_URL_MAX];
	struct oidc_tokens tokens;
	json_t *claims;
	uint64_t wait_until_ns; /* for keys that somebody else asks for */
};

/* Where the provider sends the browser back to; out: OIDC_URL_MAX bytes.
 * False: console.public_url is not set. */
bool sso_redirect_uri(const struct worker *w, char *out);

/* Begins one; it is the request's state. False: the request has been
 * answered. */
bool sso_new(struct request *r);

/* The columns and tables of a query whose rows sso_load takes; WHERE follows.
 */
extern const char sso_columns[], sso_tables[];

/* Takes the first row: the first columns are sso_columns. False: the request
 * has been answered, because there is none. */
bool sso_load(struct sso *s, PGresult *res);

/* A text of the settings; "" when there is none. */
const char *sso_text(const struct sso *s, const char *name);

/* Asks the provider; cb is called with an answer of status 200. Everything
 * else ends the login. what: names what is asked for, in the log. */
void sso_fetch(
    struct sso *s, const struct fetch *rq, const char *what, fetch_cb *cb);

/* ---- sso_documents.c ---- */

/* Reads the discovery document unless it is there, then goes on with next. */
void sso_discover(struct sso *s, sso_step *next);
/* The same with the keys. */
void sso_read_keys(struct sso *s, sso_step *next);
/*
 * Reads the keys again, because none has signed the ID token, and goes on with
 * next when there may be others now. At most once a minute and team the
 * provider is asked for that, by one of all processes; else the request is
 * answered.
 */
void sso_read_new_keys(struct sso *s, sso_step *next);

/* ---- ends ---- */

/* The login failed: a page for people, a problem document for programs. why:
 * for the log; NULL: nothing to log. */
void sso_fail(struct request *r, unsigned status, const char *type,
    const char *sentence, const char *why);
/* The provider answers in a way that it should not. */
void sso_fail_provider(struct sso *s, const char *why);

/* Sends the browser to a path of this server by a page, so that the request
 * for it is one of this site and has all cookies. */
void sso_go_to(struct request *r, const char *path);

#endif
