#include "agent/hostport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

static const char name_chars[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

static int
parse_port(const char *s, uint16_t *out)
{
	char *end;
	unsigned long n;

	if (*s < '0' || *s > '9')
		return ERR_CONFIG;
	n = strtoul(s, &end, 10);
	if (*end != '\0' || n == 0 || n > UINT16_MAX)
		return ERR_CONFIG;
	*out = (uint16_t)n;
	return 0;
}

static int
take_host(struct hostport *out, const char *s, size_t len, const char *more)
{
	if (len == 0 || len >= sizeof(out->host))
		return ERR_CONFIG;
	memcpy(out->host, s, len);
	out->host[len] = '\0';
	for (const char *c = out->host; *c != '\0'; c++)
		if (strchr(name_chars, *c) == NULL && strchr(more, *c) == NULL)
			return ERR_CONFIG;
	return 0;
}

/* [address] or [address]:port */
static int
parse_bracketed(const char *text, uint16_t preset, struct hostport *out)
{
	const char *end = strchr(text, ']');

	if (end == NULL || take_host(out, text + 1, end - text - 1, ":%") != 0)
		return ERR_CONFIG;
	if (end[1] == ':')
		return parse_port(end + 2, &out->port);
	out->port = preset;
	return end[1] == '\0' && preset != 0 ? 0 : ERR_CONFIG;
}

int
hostport_parse(const char *text, uint16_t preset, struct hostport *out)
{
	const char *colon = strchr(text, ':');

	if (*text == '[')
		return parse_bracketed(text, preset, out);
	/* two colons and no brackets: an IPv6 address alone */
	if (colon != NULL && strchr(colon + 1, ':') != NULL) {
		out->port = preset;
		return preset != 0 ? take_host(out, text, strlen(text), ":%")
				   : ERR_CONFIG;
	}
	if (colon != NULL) {
		if (take_host(out, text, (size_t)(colon - text), "") != 0)
			return ERR_CONFIG;
		return parse_port(colon + 1, &out->port);
	}
	out->port = preset;
	return preset != 0 ? take_host(out, text, strlen(text), "")
			   : ERR_CONFIG;
}

char *
hostport_format(const struct hostport *h, char out[HOSTPORT_TEXT_MAX])
{
	const char *form = strchr(h->host, ':') != NULL ? "[%s]:%u" : "%s:%u";

	snprintf(out, HOSTPORT_TEXT_MAX, form, h->host, h->port);
	return out;
}
