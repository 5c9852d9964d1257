#include "ctl/endpoint/endpoint_args.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/endpoint/certificate.h"
#include "ctl/file.h"
#include "ctl/ctl_hostport.h"

#define CA_MAX       (256u << 10)
#define USERNAME_MAX 1024
#define TLS_NAME_MAX 253

static int
read_host(const struct args *a, struct endpoint_args *e)
{
	const char *host = args_get(a, "host"), *port = args_get(a, "port");
	char name[HOST_MAX], number[8] = "";
	int64_t n;
	int rc = args_number(a, "port", 1, 65535, 0, &n);

	if (rc == 0 && host != NULL && hostport_split(host, name, number) != 0)
		rc = ctl_usage("--host %s: expected HOST or HOST:PORT; an "
			       "IPv6 address with a port as [ADDRESS]:PORT",
		    host);
	if (rc == 0 && number[0] != '\0' && port != NULL)
		rc = ctl_usage("the port is given twice: --host %s and "
			       "--port %s",
		    host, port);
	if (rc != 0)
		return rc;
	if (host != NULL)
		e->host = strdup(name);
	if (port != NULL || number[0] != '\0')
		e->port = strdup(port != NULL ? port : number);
	return 0;
}

/* At least one certificate, and nothing that OpenSSL cannot read. */
static int
count_certificates(const char *pem, size_t len)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	int n = 0;
	X509 *x;

	while (bio != NULL &&
	    (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		X509_free(x);
		n++;
	}
	/* the end of the text is "no start line", anything else is damage */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		n = 0;
	ERR_clear_error();
	BIO_free(bio);
	return n;
}

static int
read_ca(const struct args *a, struct endpoint_args *e)
{
	const char *path = args_get(a, "ca");
	size_t len;

	if (path == NULL)
		return 0;
	if (file_read(path, CA_MAX, &e->ca_pem, &len) != 0)
		return STATUS_FAILED;
	if (strlen(e->ca_pem) == len && count_certificates(e->ca_pem, len) > 0)
		return 0;
	return ctl_error("--ca %s: expected certificates in PEM form", path);
}

/* 64 hex digits; colons between bytes are what openssl prints. */
static int
read_sha256(const struct args *a, const char *option, char **out)
{
	const char *s = args_get(a, option);
	char hex[67] = "\\x";
	size_t n = 2;

	if (s == NULL)
		return 0;
	for (const char *p = s; *p != '\0'; p++) {
		if (*p == ':')
			continue;
		if (strchr("0123456789abcdefABCDEF", *p) == NULL || n == 66)
			n = 67; /* wrong */
		if (n == 67)
			break;
		hex[n++] = *p;
	}
	if (n != 66)
		return ctl_usage("--%s %s: expected the SHA-256 of the "
				 "certificate, 64 hex digits (openssl x509 "
				 "-noout -fingerprint -sha256)",
		    option, s);
	*out = strdup(hex);
	return 0;
}

/* The certificate that a server dialling in shows, from a file or by its
 * hash. */
static int
read_client_cert(const struct args *a, struct endpoint_args *e)
{
	const char *path = args_get(a, "client-cert");
	struct certificate_info info;
	char hex[67];
	char *pem;
	size_t len;
	X509 *x;
	BIO *bio;

	if (path == NULL)
		return read_sha256(a, "client-cert-sha256", &e->client_cert);
	if (args_has(a, "client-cert-sha256"))
		return ctl_usage("give one of --client-cert and "
				 "--client-cert-sha256");
	if (file_read(path, CA_MAX, &pem, &len) != 0)
		return STATUS_FAILED;
	bio = BIO_new_mem_buf(pem, (int)len);
	x = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	free(pem);
	ERR_clear_error();
	if (x == NULL)
		return ctl_error(
		    "--client-cert %s: expected a certificate in PEM form",
		    path);
	certificate_describe(x, &info);
	X509_free(x);
	snprintf(hex, sizeof(hex), "\\x%s", info.sha256);
	e->client_cert = strdup(hex);
	return 0;
}

static int
read_password(struct ctl *c, const struct args *a, struct endpoint_args *e)
{
	struct secret s;
	int rc;

	if (!secret_is_given(a))
		return 0;
	rc = secret_read(a, a->words[0], 1, &s);
	if (rc == 0) {
		e->sealed = secret_seal(c, &s);
		if (e->sealed == NULL)
			rc = STATUS_CONFIG;
	}
	secret_wipe(&s);
	return rc;
}

static bool
has_no(const struct args *a, const char *name)
{
	for (size_t i = 0; i < a->n_opts; i++)
		if (strcmp(a->opts[i].name, name) == 0)
			return a->values[i] != NULL;
	return false; /* "add" has no such option */
}

static int
read_kind(const struct args *a, struct endpoint_args *e)
{
	static const char *const kinds[] = { "direct", "agent", "reverse" };
	const char *s = args_get(a, "kind");

	for (size_t i = 0; s != NULL && i < 3; i++)
		if (strcmp(s, kinds[i]) == 0)
			e->kind = kinds[i];
	if (s != NULL && e->kind == NULL)
		return ctl_usage(
		    "--kind %s: expected direct, agent or reverse", s);
	return 0;
}

static int
read_consent(const struct args *a, struct endpoint_args *e)
{
	const char *s = args_get(a, "consent");

	if (s == NULL)
		return 0;
	if (strcmp(s, "team") == 0)
		e->team_consent = true;
	else if (strcmp(s, "off") == 0 || strcmp(s, "ask") == 0)
		e->consent = s;
	else
		return ctl_usage("--consent %s: expected off, ask, or team "
				 "for the team's setting",
		    s);
	return 0;
}

static int
read_capture(const struct args *a, struct endpoint_args *e)
{
	const char *s = args_get(a, "capture");

	if (s != NULL && strcmp(s, "relay") != 0 && strcmp(s, "device") != 0 &&
	    strcmp(s, "both") != 0)
		return ctl_usage(
		    "--capture %s: expected relay, device or both", s);
	e->capture = s;
	return 0;
}

/* As the database demands it of endpoints.tls_name. */
static bool
is_tls_name(const char *s)
{
	size_t n = strspn(s,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	    "._:-");

	return n >= 1 && n <= TLS_NAME_MAX && s[n] == '\0';
}

static int
read_words(const struct args *a, struct endpoint_args *e)
{
	e->title = args_get(a, "title");
	e->access = args_get(a, "access");
	e->username = args_get(a, "username");
	e->no_username = has_no(a, "no-username");
	e->no_password = has_no(a, "no-password");
	e->no_ca = has_no(a, "no-ca");
	e->no_pin = has_no(a, "no-pin");
	e->tls_name = args_get(a, "tls-name");
	e->no_tls_name = has_no(a, "no-tls-name");
	if (e->tls_name != NULL && !is_tls_name(e->tls_name))
		return ctl_usage("--tls-name %s: expected the DNS name or IP "
				 "address in its certificate",
		    e->tls_name);
	if (args_has(a, "allow-clear"))
		e->allow_clear = "t";
	else if (has_no(a, "no-allow-clear"))
		e->allow_clear = "f";
	if (e->access != NULL && strcmp(e->access, "attended") != 0 &&
	    strcmp(e->access, "unattended") != 0)
		return ctl_usage("--access %s: expected attended or "
				 "unattended",
		    e->access);
	if (e->username != NULL && strlen(e->username) > USERNAME_MAX)
		return ctl_usage("--username: at most %d bytes", USERNAME_MAX);
	return 0;
}

int
endpoint_args_read(struct ctl *c, const struct args *a, struct endpoint_args *e)
{
	int rc = read_words(a, e);

	if (rc == 0)
		rc = read_host(a, e);
	if (rc == 0)
		rc = read_sha256(a, "pin", &e->pin);
	if (rc == 0)
		rc = read_kind(a, e);
	if (rc == 0)
		rc = read_consent(a, e);
	if (rc == 0)
		rc = read_capture(a, e);
	if (rc == 0)
		rc = read_client_cert(a, e);
	if (rc == 0)
		rc = read_ca(a, e);
	if (rc == 0)
		rc = read_password(c, a, e);
	return rc;
}

json_t *
endpoint_args_detail(const struct endpoint_args *e)
{
	return json_pack("{s:s?,s:s?,s:s?,s:b,s:b,s:s?,s:b,s:b,s:s?}", "kind",
	    e->kind, "host", e->host, "port", e->port, "password",
	    e->sealed != NULL, "ca", e->ca_pem != NULL, "tls_name", e->tls_name,
	    "pin", e->pin != NULL, "client_cert", e->client_cert != NULL,
	    "capture", e->capture);
}

/*
 * An attacker between relay and endpoint offers no TLS, and a relay that
 * accepts that never looks at a certificate: a CA or pin would only look
 * like protection.
 */
static int
check_clear(const struct endpoint_args *e, const struct endpoint_had *had)
{
	bool has_ca = e->ca_pem != NULL || (had->ca && !e->no_ca);
	bool has_pin = e->pin != NULL || (had->pin && !e->no_pin);
	bool is_clear =
	    e->allow_clear != NULL ? *e->allow_clear == 't' : had->allow_clear;

	if (!is_clear || (!has_ca && !has_pin))
		return 0;
	return ctl_usage("this endpoint %s --allow-clear beside %s, and "
			 "without TLS no certificate is checked; %s",
	    had->allow_clear && e->allow_clear == NULL ? "has" : "would have",
	    has_ca && has_pin ? "a CA and a pin"
		: has_ca      ? "a CA"
			      : "a pin",
	    e->allow_clear != NULL && (had->ca || had->pin)
		? "add --no-ca --no-pin, or leave --allow-clear out"
		: "leave one of them out (set: --no-allow-clear, or --no-ca "
		  "--no-pin)");
}

int
endpoint_args_check(const struct endpoint_args *e, const char *kind,
    const struct endpoint_had *had)
{
	bool is_direct = strcmp(kind, "direct") == 0;

	if (is_direct && e->host == NULL && !had->host)
		return ctl_usage("say where it is: --host HOST[:PORT]");
	if (!is_direct && (e->host != NULL || e->port != NULL))
		return ctl_usage("an endpoint of kind %s dials in and has no "
				 "--host and --port",
		    kind);
	if (e->client_cert != NULL && strcmp(kind, "reverse") != 0)
		return ctl_usage("--client-cert goes with --kind reverse");
	if (e->capture != NULL && strcmp(e->capture, "relay") != 0 &&
	    strcmp(kind, "agent") != 0)
		return ctl_usage("--capture %s needs relaycam-agent there: "
				 "--kind agent",
		    e->capture);
	return check_clear(e, had);
}

void
endpoint_args_release(struct endpoint_args *e)
{
	free(e->host);
	free(e->port);
	free(e->sealed);
	free(e->ca_pem);
	free(e->pin);
	free(e->client_cert);
	memset(e, 0, sizeof(*e));
}
