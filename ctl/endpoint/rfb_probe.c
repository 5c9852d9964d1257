#include "ctl/endpoint/rfb_probe.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/tls.h"

#define REASON_MAX 300

__attribute__((format(printf, 3, 4))) static int
fail(struct rfb_probe *p, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
	return rc;
}

/* Exactly n bytes; what: for the message. */
static int
get(struct rfb_probe *p, void *out, size_t n, const char *what)
{
	uint8_t *at = out;
	ssize_t got;

	while (n > 0) {
		got = recv(p->fd, at, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			return fail(p, ERR_PROTOCOL,
			    "it closed the connection instead of sending %s",
			    what);
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return fail(p, ERR_TIMEOUT,
			    "it accepts connections but does not send %s",
			    what);
		if (got < 0)
			return fail(p, ERR_PROTOCOL, "waiting for %s: %s", what,
			    strerror(errno));
		at += got;
		n -= (size_t)got;
	}
	return 0;
}

static int
put(struct rfb_probe *p, const void *data, size_t n)
{
	if (send(p->fd, data, n, MSG_NOSIGNAL) == (ssize_t)n)
		return 0;
	return fail(p, ERR_PROTOCOL, "sending to it: %s", strerror(errno));
}

/* "RFB 003.008\n" -> minor version we answer with: 3, 7 or 8. */
static int
read_version(struct rfb_probe *p, int *minor)
{
	char line[13] = "";
	int major, theirs;
	int rc = get(p, line, 12, "the RFB version");

	if (rc != 0)
		return rc;
	if (sscanf(line, "RFB %3d.%3d", &major, &theirs) != 2 ||
	    line[11] != '\n')
		return fail(p, ERR_PROTOCOL,
		    "what answers there is no VNC server (no RFB version)");
	snprintf(p->version, sizeof(p->version), "%.7s", line + 4);
	if (major < 3)
		return fail(
		    p, ERR_PROTOCOL, "RFB version %s is too old", p->version);
	/* 3.889, 4.1 and 5.0 all understand 3.8; 3.5 and 3.6 are 3.3 */
	*minor = major > 3 || theirs >= 8 ? 8 : theirs == 7 ? 7 : 3;
	snprintf(line, sizeof(line), "RFB 003.%03d\n", *minor);
	return put(p, line, 12);
}

/* A refusal: length and text, from outside. */
static int
read_reason(struct rfb_probe *p)
{
	char text[REASON_MAX + 1] = "";
	uint8_t len_bytes[4];
	uint32_t len;

	if (get(p, len_bytes, 4, "its reason") != 0)
		return fail(p, ERR_UNAVAILABLE, "it refuses connections");
	len = load_be32(len_bytes);
	if (len > REASON_MAX || get(p, text, len, "its reason") != 0)
		len = 0;
	text[len] = '\0';
	for (char *s = text; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
	return fail(p, ERR_UNAVAILABLE, "it refuses connections: %s",
	    len > 0 ? text : "no reason given");
}

/* RFB 3.3: the server chooses, one number of four bytes. */
static int
read_types_33(struct rfb_probe *p)
{
	uint8_t type[4];
	int rc = get(p, type, 4, "its security type");

	if (rc != 0)
		return rc;
	if (load_be32(type) == 0)
		return read_reason(p);
	if (load_be32(type) > 255)
		return fail(p, ERR_PROTOCOL, "security type %u is none",
		    load_be32(type));
	p->types[0] = type[3];
	p->n_types = 1;
	return 0;
}

static int
read_types(struct rfb_probe *p)
{
	uint8_t n;
	int rc = get(p, &n, 1, "its security types");

	if (rc != 0)
		return rc;
	if (n == 0)
		return read_reason(p);
	p->n_types = n;
	return get(p, p->types, n, "its security types");
}

int
rfb_probe_start(struct rfb_probe *p, int fd)
{
	int rc;

	memset(p, 0, sizeof(*p));
	p->fd = fd;
	rc = read_version(p, &p->minor);
	if (rc != 0)
		return rc;
	return p->minor == 3 ? read_types_33(p) : read_types(p);
}

int
rfb_probe_vencrypt(struct rfb_probe *p)
{
	static const uint8_t choice = RFB_SEC_VENCRYPT, v02[2] = { 0, 2 };
	uint8_t version[2], answer[2] = { 0 }, types[4 * RFB_PROBE_TYPES_MAX];
	int rc = put(p, &choice, 1);

	if (rc == 0)
		rc = get(p, version, 2, "the VeNCrypt version");
	if (rc == 0 && version[0] == 0 && version[1] < 2)
		rc = fail(p, ERR_UNSUPPORTED, "VeNCrypt %d.%d is too old",
		    version[0], version[1]);
	if (rc == 0)
		rc = put(p, v02, 2);
	if (rc == 0)
		rc = get(p, answer, 2, "the VeNCrypt types");
	if (rc == 0 && answer[0] != 0)
		rc = fail(p, ERR_UNSUPPORTED, "it refuses VeNCrypt 0.2");
	if (rc == 0 && (answer[1] == 0 || answer[1] > RFB_PROBE_TYPES_MAX))
		rc = fail(
		    p, ERR_PROTOCOL, "it offers %d VeNCrypt types", answer[1]);
	if (rc == 0)
		rc = get(p, types, 4 * (size_t)answer[1], "the VeNCrypt types");
	if (rc != 0)
		return rc;
	p->n_subtypes = answer[1];
	for (int i = 0; i < p->n_subtypes; i++)
		p->subtypes[i] = load_be32(types + 4 * (size_t)i);
	return 0;
}

/* Why a handshake failed: the certificate's check, or the protocol. */
static int
explain_tls(struct rfb_probe *p, SSL *ssl)
{
	long verify = SSL_get_verify_result(ssl);
	char text[128];

	if (verify != X509_V_OK)
		return fail(p, ERR_DENIED, "its certificate is refused: %s",
		    X509_verify_cert_error_string(verify));
	return fail(p, ERR_PROTOCOL, "TLS: %s", tls_error(text, sizeof(text)));
}

int
rfb_probe_tls(struct rfb_probe *p, uint32_t subtype, SSL *ssl)
{
	uint8_t choice[4], answer;
	int rc;

	p->ssl = ssl;
	store_be32(choice, subtype);
	rc = put(p, choice, 4);
	if (rc == 0)
		rc = get(p, &answer, 1, "its answer to the VeNCrypt type");
	if (rc == 0 && answer != 1)
		rc = fail(p, ERR_UNSUPPORTED,
		    "it refuses a VeNCrypt type that it offered (%s)",
		    rfb_security_name(subtype));
	if (rc != 0)
		return rc;
	if (SSL_set_fd(ssl, p->fd) != 1)
		return fail(p, ERR_NOMEM, "out of memory");
	return SSL_connect(ssl) == 1 ? 0 : explain_tls(p, ssl);
}

void
rfb_probe_release(struct rfb_probe *p)
{
	SSL_free(p->ssl);
	if (p->fd >= 0)
		close(p->fd);
	p->ssl = NULL;
	p->fd = -1;
}

bool
rfb_probe_offers(const struct rfb_probe *p, uint8_t type)
{
	return p->n_types > 0 &&
	    memchr(p->types, type, (size_t)p->n_types) != NULL;
}

bool
rfb_probe_offers_subtype(const struct rfb_probe *p, uint32_t subtype)
{
	for (int i = 0; i < p->n_subtypes; i++)
		if (p->subtypes[i] == subtype)
			return true;
	return false;
}

const char *
rfb_security_name(uint32_t type)
{
	static const struct {
		uint32_t type;
		const char *name;
	} names[] = {
		{ 1, "None" },
		{ 2, "VNC authentication" },
		{ 5, "RA2" },
		{ 6, "RA2ne" },
		{ 16, "Tight" },
		{ 17, "Ultra" },
		{ 18, "TLS" },
		{ 19, "VeNCrypt" },
		{ 20, "SASL" },
		{ 22, "XVP" },
		{ 30, "Apple Remote Desktop" },
		{ 113, "MSLogonII" },
		{ 129, "RA2_256" },
		{ 256, "Plain" },
		{ 257, "TLSNone" },
		{ 258, "TLSVnc" },
		{ 259, "TLSPlain" },
		{ 260, "X509None" },
		{ 261, "X509Vnc" },
		{ 262, "X509Plain" },
		{ 263, "TLSSASL" },
		{ 264, "X509SASL" },
	};

	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (names[i].type == type)
			return names[i].name;
	return "unknown";
}
