#include "ctl/endpoint/relay_address.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "ctl/endpoint/certificate.h"

/* Host and port of a "host:port" setting; unset: "" both. */
static int
take_listen(
    const char *setting, const char *listen, char host[HOST_MAX], char port[8])
{
	char text[HOST_MAX + 16];

	host[0] = port[0] = '\0';
	if (listen == NULL || *listen == '\0')
		return 0;
	/* ":5900" is every address of this machine */
	snprintf(text, sizeof(text), "%s%s", *listen == ':' ? "*" : "", listen);
	if (hostport_split(text, host, port) == 0 && port[0] != '\0')
		return 0;
	return ctl_config(
	    "[relay] %s = %s: expected host:port", setting, listen);
}

/* Where the relay listens says where it is, unless that is everywhere. */
static void
default_host(const char *listens, char host[HOST_MAX])
{
	if (strncmp(listens, "127.", 4) == 0 || strcmp(listens, "::1") == 0) {
		strcpy(host, "localhost");
	} else if (*listens != '\0' && strcmp(listens, "*") != 0 &&
	    strcmp(listens, "0.0.0.0") != 0 && strcmp(listens, "::") != 0) {
		snprintf(host, HOST_MAX, "%s", listens);
	} else {
		strcpy(host, "localhost");
		gethostname(host, HOST_MAX - 1);
	}
}

static int
take_host(const struct ctl *c, const char *listens, struct relay_address *r)
{
	const char *host = c->relay.public_host;
	char port[8];

	if (host == NULL || *host == '\0')
		default_host(listens, r->host);
	else if (hostport_split(host, r->host, port) != 0 || port[0] != '\0')
		return ctl_config("[relay] public_host = %s: expected a name "
				  "or an address, without a port",
		    host);
	return 0;
}

static bool
is_self_signed(X509 *x)
{
	return X509_NAME_cmp(
		   X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
}

/* A certificate that no public CA signed has to be named to everybody who
 * dials. */
static void
note_certificate(const struct ctl *c, struct relay_address *r)
{
	const char *path = c->relay.cert_file;
	const char *ca = c->relay.public_ca_file;
	FILE *f = path != NULL ? fopen(path, "re") : NULL;
	struct certificate_info info;
	X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

	if (ca != NULL && *ca != '\0')
		snprintf(r->ca_file, sizeof(r->ca_file), "%s", ca);
	else if (x != NULL && is_self_signed(x))
		snprintf(r->ca_file, sizeof(r->ca_file), "%s", path);
	if (x != NULL && r->ca_file[0] != '\0') {
		certificate_describe(x, &info);
		snprintf(r->pin, sizeof(r->pin), "%s", info.sha256);
	}
	X509_free(x);
	if (f != NULL)
		fclose(f);
}

int
relay_address_read(const struct ctl *c, struct relay_address *r)
{
	char host[HOST_MAX], other[HOST_MAX];
	int rc;

	memset(r, 0, sizeof(*r));
	rc = take_listen("listen", c->relay.listen, host, r->vnc_port);
	if (rc == 0)
		rc = take_listen(
		    "web_listen", c->relay.web_listen, other, r->web_port);
	if (rc == 0)
		rc = take_listen("reverse_listen", c->relay.reverse_listen,
		    other, r->reverse_port);
	if (rc == 0)
		rc = take_host(c, host, r);
	note_certificate(c, r);
	return rc;
}

void
relay_address_print(const char *host, const char *port, char *out, size_t len)
{
	bool v6 = strchr(host, ':') != NULL;

	snprintf(
	    out, len, "%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

void
relay_address_url(const struct relay_address *r, char out[URL_MAX])
{
	char authority[HOST_MAX + 16];

	out[0] = '\0';
	if (r->web_port[0] == '\0')
		return;
	relay_address_print(r->host, r->web_port, authority, sizeof(authority));
	if (strcmp(r->web_port, "443") == 0)
		*strrchr(authority, ':') = '\0';
	snprintf(out, URL_MAX, "https://%s", authority);
}

int
session_ports_read(const struct ctl *c, struct session_ports *p)
{
	const char *text = c->relay.session_ports;
	const char *colon = text != NULL ? strrchr(text, ':') : NULL;
	char *end;
	long first, last;
	size_t len;

	memset(p, 0, sizeof(*p));
	if (text == NULL || *text == '\0')
		return 0;
	len = colon != NULL ? (size_t)(colon - text) : 0;
	if (colon == NULL || len >= sizeof(p->host))
		return ERR_CONFIG;
	first = last = strtol(colon + 1, &end, 10);
	if (end == colon + 1)
		return ERR_CONFIG;
	if (*end == '-')
		last = strtol(end + 1, &end, 10);
	if (*end != '\0' || first < 1 || last > 65535 || last < first ||
	    last - first >= SESSION_PORTS_MAX)
		return ERR_CONFIG;
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	memcpy(p->host, text, len);
	p->first = (int)first;
	p->n = (int)(last - first + 1);
	return 0;
}

char *
session_ports_array(const struct session_ports *p)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	for (int i = 0; i < p->n; i++)
		fprintf(f, "%c%d", i == 0 ? '{' : ',', p->first + i);
	fputs(p->n > 0 ? "}" : "{}", f);
	fclose(f);
	return text;
}
