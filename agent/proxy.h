/*
 * The way out through an HTTP proxy: which one, and what is said to it
 * (RFC 9110 section 9.3.6, CONNECT; RFC 7617, Basic). Pure except for
 * reading the environment; not thread-safe.
 */
#ifndef AGENT_PROXY_H
#define AGENT_PROXY_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/hostport.h"

#define PROXY_AUTH_MAX   512
#define PROXY_ANSWER_MAX 8192
#define PROXY_ASK_MAX    (PROXY_AUTH_MAX + 3 * HOSTPORT_TEXT_MAX)

struct proxy {
	bool is_used;
	struct hostport at;
	char auth[PROXY_AUTH_MAX]; /* base64 of name:password, or "" */
};

/*
 * Reads http://[name:password@]host[:port], port 3128 when left out; name
 * and password may be percent-encoded. "" and "none": no proxy. Returns 0
 * or ERR_CONFIG.
 */
int proxy_parse(const char *url, struct proxy *out);

/*
 * The proxy for host: setting, or HTTPS_PROXY (https_proxy) of the
 * environment unless NO_PROXY (no_proxy) names the host. setting may be
 * NULL. Returns 0 or ERR_CONFIG.
 */
int proxy_choose(const char *setting, const char *host, struct proxy *out);

/* Writes the request for a tunnel to `to`; returns its length. */
size_t proxy_request(
    const struct proxy *p, const struct hostport *to, char out[PROXY_ASK_MAX]);

/*
 * Reads the answer's head in len bytes. Returns its status (100 to 999)
 * with the head's bytes in *used, 0 for more, or ERR_PROTOCOL, ERR_LIMIT.
 */
int proxy_answer(const char *data, size_t len, size_t *used);

#endif
