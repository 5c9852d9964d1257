#include "ctl/endpoint/endpoint_test.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/json.h"
#include "common/tls.h"
#include "ctl/endpoint/certificate.h"
#include "ctl/endpoint/endpoint_dialin.h"
#include "ctl/ctl_hostport.h"
#include "ctl/names.h"
#include "ctl/pg.h"
#include "ctl/endpoint/rfb_probe.h"
#include "ctl/team/secret.h"
#include "ctl/table.h"

/* What is stored about the endpoint; borrowed from the query's result. */
struct target {
	const char *host, *port, *username, *ca_pem, *pin;
	const char *tls_name; /* NULL: as host */
	bool has_password, allow_clear;
	const struct secret *secret; /* NULL: it cannot be opened here */
};

/* What was found; printed at the end. */
struct report {
	json_t *facts;      /* object */
	json_t *problems;   /* array of sentences */
	const char *choice; /* what the relay would use; NULL: nothing */
	uint32_t type;      /* the same */
};

__attribute__((format(printf, 2, 3))) static void
problem(struct report *r, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(r->problems, json_string(text));
}

static json_t *
type_json(uint32_t type)
{
	return json_pack(
	    "{s:i,s:s}", "number", (int)type, "name", rfb_security_name(type));
}

static void
note_offers(const struct rfb_probe *p, struct report *r)
{
	json_t *types = json_array(), *subtypes = json_array();

	for (int i = 0; i < p->n_types; i++)
		json_array_append_new(types, type_json(p->types[i]));
	for (int i = 0; i < p->n_subtypes; i++)
		json_array_append_new(subtypes, type_json(p->subtypes[i]));
	json_object_set_new(r->facts, "version", json_string(p->version));
	json_object_set_new(r->facts, "security_types", types);
	json_object_set_new(r->facts, "vencrypt_types", subtypes);
}

/* --- TLS ----------------------------------------------------------------- */

/* The endpoint's own CA in the context's store. */
static SSL_CTX *
make_ctx(const struct target *t, char *why, size_t why_len)
{
	SSL_CTX *ctx = tls_client_new(NULL, why, why_len);
	BIO *bio;
	X509 *x;

	if (ctx == NULL || t->ca_pem == NULL)
		return ctx;
	SSL_CTX_set_cert_store(ctx, X509_STORE_new());
	bio = BIO_new_mem_buf(t->ca_pem, -1);
	while (bio != NULL &&
	    (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x);
		X509_free(x);
	}
	BIO_free(bio);
	return ctx;
}

static void
note_certificate(const SSL *ssl, struct report *r)
{
	X509 *x = SSL_get0_peer_certificate(ssl);
	struct certificate_info info;

	json_object_set_new(
	    r->facts, "tls_version", json_string(SSL_get_version(ssl)));
	if (x == NULL)
		return;
	certificate_describe(x, &info);
	json_object_set_new(r->facts, "certificate",
	    json_pack("{s:s,s:s,s:s}", "subject", info.subject, "sha256",
		info.sha256, "expires_at", info.expires_at));
}

static void
check_pin(const SSL *ssl, const struct target *t, struct report *r)
{
	unsigned char digest[32];
	char hex[65];

	if (t->pin == NULL || tls_peer_sha256(ssl, digest) != 0)
		return;
	sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
	if (strcmp(hex, t->pin) != 0)
		problem(r,
		    "its certificate is not the pinned one: it has "
		    "SHA-256 %s; when that is right, \"relaycam "
		    "endpoint set NAME --pin %s\"",
		    hex, hex);
}

/*
 * As the relay does: a CA must be chained to; without one the pin decides,
 * and without either the first session pins what it meets. The handshake
 * goes through without checks first, so that the certificate can be shown,
 * and the verdict is asked for afterwards.
 */
static void
check_chain(SSL *ssl, const struct target *t, struct report *r)
{
	long rc = SSL_get_verify_result(ssl);

	if (t->ca_pem == NULL) {
		json_object_set_new(r->facts, "trust",
		    json_string(t->pin != NULL ? "pin" : "first use"));
		return;
	}
	json_object_set_new(r->facts, "trust", json_string("CA"));
	if (rc != X509_V_OK)
		problem(r,
		    "its certificate is refused: %s; give the right CA "
		    "with \"relaycam endpoint set NAME --ca FILE\"",
		    X509_verify_cert_error_string(rc));
}

static void
try_tls(struct rfb_probe *p, uint32_t subtype, const struct target *t,
    struct report *r)
{
	char why[256] = "out of memory";
	SSL_CTX *ctx = make_ctx(t, why, sizeof(why));
	SSL *ssl = ctx != NULL ? SSL_new(ctx) : NULL;

	if (ssl == NULL ||
	    tls_client_verify(
		ssl, t->tls_name != NULL ? t->tls_name : t->host) != 0) {
		problem(r, "TLS: %s", why);
		SSL_free(ssl);
		SSL_CTX_free(ctx);
		return;
	}
	SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	if (rfb_probe_tls(p, subtype, ssl) != 0) {
		problem(r, "%s", p->why);
	} else {
		note_certificate(ssl, r);
		check_pin(ssl, t, r);
		check_chain(ssl, t, r);
	}
	SSL_CTX_free(ctx);
}

/* --- what the relay would choose ----------------------------------------- */

/* The strongest that fits what is stored; 0: none. */
static uint32_t
choose_subtype(
    const struct rfb_probe *p, const struct target *t, struct report *r)
{
	if (rfb_probe_offers_subtype(p, RFB_SEC_X509_PLAIN) &&
	    t->username != NULL && t->has_password)
		return RFB_SEC_X509_PLAIN;
	if (rfb_probe_offers_subtype(p, RFB_SEC_X509_VNC) && t->has_password)
		return RFB_SEC_X509_VNC;
	if (rfb_probe_offers_subtype(p, RFB_SEC_X509_NONE))
		return RFB_SEC_X509_NONE;
	if (rfb_probe_offers_subtype(p, RFB_SEC_X509_VNC))
		problem(r,
		    "it asks for a password and none is stored: "
		    "\"relaycam endpoint set NAME --password-file "
		    "FILE\"");
	else if (rfb_probe_offers_subtype(p, RFB_SEC_X509_PLAIN))
		problem(r,
		    "it asks for user name and password: \"relaycam "
		    "endpoint set NAME --username NAME "
		    "--password-file FILE\"");
	return 0;
}

static void
choose_clear(
    const struct rfb_probe *p, const struct target *t, struct report *r)
{
	bool vnc = rfb_probe_offers(p, RFB_SEC_VNC);
	bool none = rfb_probe_offers(p, RFB_SEC_NONE);

	if (!vnc && !none)
		problem(r,
		    "it offers nothing that the relay speaks: VeNCrypt "
		    "with X509, VNC authentication or None");
	else if (!t->allow_clear)
		problem(r,
		    "it offers no TLS with a certificate, so the relay "
		    "refuses it; switch X509 on in the VNC server, or, "
		    "on a private network only, \"relaycam endpoint "
		    "set NAME --allow-clear\"");
	else if (vnc && t->has_password) {
		r->choice = "VNC authentication in clear";
		r->type = RFB_SEC_VNC;
	} else if (none) {
		r->choice = "no authentication, in clear";
		r->type = RFB_SEC_NONE;
	} else
		problem(r,
		    "it asks for a password and none is stored: "
		    "\"relaycam endpoint set NAME --password-file "
		    "FILE\"");
}

/* To the end, where everything else is right: an Xvnc counts logins that are
 * not finished, and shuts their address out, which may be the relay's. */
static void
try_login(struct rfb_probe *p, const struct target *t, struct report *r)
{
	bool needs_password =
	    r->type != RFB_SEC_NONE && r->type != RFB_SEC_X509_NONE;
	int rc;

	if (needs_password && t->secret == NULL) {
		json_object_set_new(r->facts, "login",
		    json_string("not tried: the seal key, which opens its "
				"password, cannot be read here"));
		return;
	}
	rc = rfb_probe_login(p, r->type, t->username != NULL ? t->username : "",
	    needs_password ? t->secret->text : "");
	if (rc == ERR_DENIED)
		problem(r,
		    "it refuses the stored password: \"relaycam endpoint set "
		    "NAME --password-file FILE\"");
	else if (rc != 0)
		problem(r, "it does not finish the login");
	else
		json_object_set_new(r->facts, "login", json_string("right"));
}

static void
try_security(struct rfb_probe *p, const struct target *t, struct report *r)
{
	uint32_t subtype = 0;

	if (rfb_probe_offers(p, RFB_SEC_VENCRYPT)) {
		if (rfb_probe_vencrypt(p) != 0)
			problem(r, "%s", p->why);
		else
			subtype = choose_subtype(p, t, r);
	}
	note_offers(p, r);
	if (subtype != 0) {
		r->choice = rfb_security_name(subtype);
		r->type = subtype;
		try_tls(p, subtype, t, r);
	} else if (json_array_size(r->problems) == 0) {
		choose_clear(p, t, r);
	}
	if (r->choice != NULL && json_array_size(r->problems) == 0)
		try_login(p, t, r);
}

static void
try_endpoint(const struct target *t, int timeout_s, struct report *r)
{
	char why[300];
	int fd = tcp_connect(t->host, t->port, timeout_s, why, sizeof(why));
	struct rfb_probe p;

	json_object_set_new(r->facts, "reachable", json_boolean(fd >= 0));
	if (fd < 0) {
		problem(r,
		    "%s; is the VNC server running, and does a "
		    "firewall let this machine through?",
		    why);
		return;
	}
	if (rfb_probe_start(&p, fd) == 0)
		try_security(&p, t, r);
	else
		problem(r, "%s", p.why);
	rfb_probe_release(&p);
}

/* --- output -------------------------------------------------------------- */

static void
print_types(const json_t *facts, const char *key, const char *title)
{
	const json_t *list = json_object_get(facts, key);
	size_t i;
	json_t *v;

	if (json_array_size(list) == 0)
		return;
	printf("%-16s", title);
	json_array_foreach(list, i, v)
		printf("%s%s (%d)", i > 0 ? ", " : " ", json_text(v, "name"),
		    (int)json_int(v, "number"));
	putchar('\n');
}

static void
print_fact(const json_t *o, const char *key, const char *title)
{
	const char *s = json_text(o, key);

	if (s != NULL)
		printf("%-16s %s\n", title, s);
}

static void
print_people(const json_t *facts)
{
	const json_t *cert = json_object_get(facts, "certificate");
	const json_t *problems = json_object_get(facts, "problems");
	size_t i;
	json_t *v;

	print_fact(facts, "kind", "kind");
	print_fact(facts, "agent_version", "agent");
	print_fact(facts, "address", "address");
	print_fact(facts, "version", "RFB version");
	print_types(facts, "security_types", "security");
	print_types(facts, "vencrypt_types", "VeNCrypt");
	print_fact(facts, "tls_version", "TLS");
	print_fact(cert, "subject", "certificate");
	print_fact(cert, "sha256", "SHA-256");
	print_fact(cert, "expires_at", "valid until");
	print_fact(facts, "trust", "trusted by");
	print_fact(facts, "login", "login");
	if (json_array_size(problems) == 0)
		printf("The relay would connect with: %s.\n",
		    json_text(facts, "choice"));
	else
		printf("The relay would not connect:\n");
	json_array_foreach(problems, i, v)
		printf("  - %s\n", json_string_value(v));
}

/* --- entry points -------------------------------------------------------- */

static json_t *
probe_row(const struct ctl *c, const PGresult *res, int timeout_s)
{
	struct secret secret = { .len = 0 };
	struct target t = { pg_text(res, 0, 0), pg_text(res, 0, 1),
		pg_text(res, 0, 2), pg_text(res, 0, 3), pg_text(res, 0, 4),
		pg_text(res, 0, 9), *PQgetvalue(res, 0, 5) == 't',
		*PQgetvalue(res, 0, 6) == 't', NULL };
	struct report r = { json_object(), json_array(), NULL, 0 };
	char address[HOST_MAX + 16];

	snprintf(address, sizeof(address), "%s port %s", t.host, t.port);
	json_object_set_new(
	    r.facts, "endpoint", json_string(PQgetvalue(res, 0, 7)));
	json_object_set_new(r.facts, "address", json_string(address));
	if (t.has_password &&
	    secret_open(c, PQgetvalue(res, 0, 10), &secret) == 0)
		t.secret = &secret;
	try_endpoint(&t, timeout_s, &r);
	secret_wipe(&secret);
	json_object_set_new(
	    r.facts, "ok", json_boolean(json_array_size(r.problems) == 0));
	json_object_set_new(r.facts, "choice",
	    r.choice != NULL ? json_string(r.choice) : json_null());
	json_object_set_new(r.facts, "problems", r.problems);
	return r.facts;
}

json_t *
endpoint_probe(struct ctl *c, const char *id, int timeout_s)
{
	json_t *facts;
	PGresult *res = PG_QUERY(c,
	    "SELECT host, port, username, tls_ca_pem, "
	    "encode(tls_pin_sha256, 'hex'), secret_sealed IS NOT NULL, "
	    "allow_clear, name, kind, tls_name, "
	    "encode(secret_sealed, 'hex') FROM endpoints WHERE id = $1",
	    id);

	if (res == NULL || PQntuples(res) != 1)
		facts = NULL;
	else if (strcmp(PQgetvalue(res, 0, 8), "direct") == 0)
		facts = probe_row(c, res, timeout_s);
	else
		facts = endpoint_dialin_probe(c, id);
	PQclear(res);
	return facts;
}

int
endpoint_run_test(struct ctl *c, const struct args *a)
{
	char id[ID_TEXT_MAX], team[ID_TEXT_MAX];
	int64_t timeout_s;
	json_t *facts;
	int rc = args_number(a, "timeout", 1, 300, 10, &timeout_s);

	if (rc == 0)
		rc = endpoint_find(c, a, a->words[0], id, team);
	if (rc != 0)
		return rc;
	facts = endpoint_probe(c, id, (int)timeout_s);
	if (facts == NULL)
		return STATUS_FAILED;
	rc = json_is_true(json_object_get(facts, "ok")) ? STATUS_OK
							: STATUS_FAILED;
	if (!args_has(a, "json"))
		print_people(facts);
	else if (print_json(json_incref(facts)) != 0)
		rc = STATUS_FAILED;
	json_decref(facts);
	return rc;
}
