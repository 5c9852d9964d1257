/*
 * Asks a VNC server what it offers, up to and including TLS, and may then log
 * in. Blocking, bounded by the socket's time limit. Server bytes are
 * untrusted: counts and lengths are bounded here.
 * Sources: RFC 6143 section 7.1; VeNCrypt as in the community specification
 * of RFB (rfbproto.rst, security type 19).
 */
#ifndef CTL_ENDPOINT_RFB_PROBE_H
#define CTL_ENDPOINT_RFB_PROBE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#define RFB_PROBE_TYPES_MAX 64
#define RFB_PROBE_TEXT_MAX  1024

enum rfb_security {
	RFB_SEC_NONE = 1,
	RFB_SEC_VNC = 2,
	RFB_SEC_VENCRYPT = 19,
	RFB_SEC_X509_NONE = 260,
	RFB_SEC_X509_VNC = 261,
	RFB_SEC_X509_PLAIN = 262,
};

struct rfb_probe {
	int fd;
	SSL *ssl;         /* after rfb_probe_tls */
	char version[12]; /* "003.008" */
	int minor;        /* that was agreed on: 3, 7 or 8 */
	uint8_t types[255];
	int n_types;
	uint32_t subtypes[RFB_PROBE_TYPES_MAX];
	int n_subtypes;
	char why[512]; /* what went wrong, a sentence */
};

/*
 * Takes a connected socket; reads version and security types.
 * Returns 0, ERR_PROTOCOL, ERR_UNAVAILABLE (it says no) or ERR_TIMEOUT; why
 * is filled then. Call rfb_probe_release in either case.
 */
int rfb_probe_start(struct rfb_probe *p, int fd);

/* Chooses VeNCrypt, which must be offered, and reads its subtypes. */
int rfb_probe_vencrypt(struct rfb_probe *p);

/*
 * Chooses an X509 subtype, which must be offered, and makes the TLS
 * connection with ssl (taken), whose checks decide. ERR_DENIED: refused by
 * those checks.
 */
int rfb_probe_tls(struct rfb_probe *p, uint32_t subtype, SSL *ssl);

/*
 * Logs in with what was chosen (type: one of enum rfb_security, without TLS
 * chosen by this call) up to ServerInit, as a shared session. user, password:
 * at most RFB_PROBE_TEXT_MAX bytes, "" where the type needs none. Returns 0,
 * ERR_DENIED (refused), or ERR_PROTOCOL, ERR_IO, ERR_LIMIT, ERR_UNSUPPORTED.
 */
int rfb_probe_login(
    struct rfb_probe *p, uint32_t type, const char *user, const char *password);

void rfb_probe_release(struct rfb_probe *p);

bool rfb_probe_offers(const struct rfb_probe *p, uint8_t type);
bool rfb_probe_offers_subtype(const struct rfb_probe *p, uint32_t subtype);

/* Name of a security type or VeNCrypt subtype; "unknown". Static. */
const char *rfb_security_name(uint32_t type);

#endif
