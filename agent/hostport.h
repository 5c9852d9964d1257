/*
 * "host:port", "[2001:db8::1]:port" or a host alone. Pure, thread-safe.
 */
#ifndef AGENT_HOSTPORT_H
#define AGENT_HOSTPORT_H

#include <stddef.h>
#include <stdint.h>

#define HOSTPORT_HOST_MAX 256
#define HOSTPORT_TEXT_MAX (HOSTPORT_HOST_MAX + 8)

struct hostport {
	char host[HOSTPORT_HOST_MAX]; /* without brackets */
	uint16_t port;
};

/*
 * Reads text; preset is the port when it names none, 0 makes that an error.
 * Only characters of names and addresses are taken. Returns 0 or ERR_CONFIG.
 */
int hostport_parse(const char *text, uint16_t preset, struct hostport *out);

/* The text again, with brackets where they are needed. Returns out. */
char *hostport_format(const struct hostport *h, char out[HOSTPORT_TEXT_MAX]);

#endif
