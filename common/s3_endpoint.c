#include "common/s3_endpoint.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/err.h"

#define DIGITS            "0123456789"
#define HOST_NAME_LEN_MAX 253 /* bytes of a host name, RFC 1035 */

struct reading {
	const struct conf_store *conf;
	char *why;
	size_t why_len;
};

static int
refuse(const struct reading *r, const char *remedy)
{
	snprintf(r->why, r->why_len, "store.s3_endpoint = %.200s: %s",
	    r->conf->s3_endpoint, remedy);
	return ERR_CONFIG;
}

/* "https" or "http", and what follows "://"; NULL: another scheme. */
static const char *
read_scheme(const char *url, char scheme[8])
{
	if (strncasecmp(url, "https://", 8) == 0) {
		strcpy(scheme, "https");
		return url + 8;
	}
	if (strncasecmp(url, "http://", 7) == 0) {
		strcpy(scheme, "http");
		return url + 7;
	}
	return NULL;
}

/* [IPv6] in its shortest spelling. */
static int
read_ipv6(const char *s, size_t len, char *out, size_t out_len)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (len < 2 || len - 2 >= sizeof(text) || s[len - 1] != ']')
		return -1;
	memcpy(text, s + 1, len - 2);
	text[len - 2] = '\0';
	if (inet_pton(AF_INET6, text, &address) != 1)
		return -1;
	inet_ntop(AF_INET6, &address, text, sizeof(text));
	snprintf(out, out_len, "[%s]", text);
	return 0;
}

/* Its last label begins with a digit: no top-level domain does. */
static bool
is_numeric(const char *host)
{
	const char *dot = strrchr(host, '.');

	return isdigit((unsigned char)(dot != NULL ? dot[1] : host[0])) != 0;
}

/* A name, or four decimal numbers: other spellings of an address are read
 * differently by different clients. */
static int
read_name(const char *s, size_t len, char *out, size_t out_len)
{
	struct in_addr address;

	if (len == 0 || len > HOST_NAME_LEN_MAX || len >= out_len)
		return -1;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x80 || (!isalnum(c) && strchr("-._", c) == NULL))
			return -1;
		out[i] = (char)tolower(c);
	}
	out[len] = '\0';
	return is_numeric(out) && inet_pton(AF_INET, out, &address) != 1 ? -1
									 : 0;
}

/* ":443" and "" are the same for https: such a port is not written. */
static int
read_port(const char *s, size_t len, const char *scheme, unsigned *port)
{
	unsigned usual = strcmp(scheme, "https") == 0 ? 443 : 80;

	*port = 0;
	if (len > 5 || strspn(s, DIGITS) < len)
		return -1;
	for (size_t i = 0; i < len; i++)
		*port = *port * 10 + (unsigned)(s[i] - '0');
	if (len > 0 && (*port == 0 || *port > 65535))
		return -1;
	if (*port == usual)
		*port = 0;
	return 0;
}

/* "host[:port]", len bytes at s, into out->host. */
static int
read_authority(
    struct s3_endpoint *out, const char *s, size_t len, const struct reading *r)
{
	char host[256];
	size_t host_len = *s == '[' ? strcspn(s, "]") + 1 : strcspn(s, ":");
	unsigned port = 0;
	bool is_address;
	int rc;

	if (memchr(s, '@', len) != NULL)
		return refuse(r,
		    "the key belongs into s3_access_key_file, not into the "
		    "address");
	if (host_len > len)
		host_len = len;
	rc = *s == '[' ? read_ipv6(s, host_len, host, sizeof(host))
		       : read_name(s, host_len, host, sizeof(host));
	if (rc != 0)
		return refuse(r,
		    "expected https://host[:port] with a host name in ASCII, "
		    "an IPv4 address or an [IPv6] address");
	if (host_len < len &&
	    (s[host_len] != ':' ||
		read_port(s + host_len + 1, len - host_len - 1, out->scheme,
		    &port) != 0))
		return refuse(r, "the port is no number from 1 to 65535");
	is_address = host[0] == '[' || is_numeric(host);
	if (!out->path_style && is_address)
		return refuse(r,
		    "an address cannot have the bucket's name in front: give a "
		    "host name, or set s3_path_style = on");
	rc = snprintf(out->host, sizeof(out->host), "%s%s%s",
	    out->path_style ? "" : out->bucket, out->path_style ? "" : ".",
	    host);
	if (port != 0 && rc > 0 && (size_t)rc < sizeof(out->host))
		rc += snprintf(out->host + rc, sizeof(out->host) - (size_t)rc,
		    ":%u", port);
	return rc > 0 && (size_t)rc < sizeof(out->host)
	    ? 0
	    : refuse(r, "bucket and host are too long together");
}

int
s3_endpoint_read(struct s3_endpoint *out, const struct conf_store *conf,
    char *why, size_t why_len)
{
	const struct reading r = { conf, why, why_len };
	const char *authority;
	size_t len;

	if (conf->s3_endpoint == NULL || conf->s3_bucket == NULL) {
		snprintf(why, why_len,
		    "store.kind = s3 needs s3_endpoint and s3_bucket");
		return ERR_CONFIG;
	}
	memset(out, 0, sizeof(*out));
	out->bucket = conf->s3_bucket;
	out->path_style = conf->s3_path_style;
	authority = read_scheme(conf->s3_endpoint, out->scheme);
	if (authority == NULL)
		return refuse(&r, "expected https://host[:port]");
	if (conf->s3_bucket[0] == '\0' ||
	    strchr(conf->s3_bucket, '/') != NULL) {
		snprintf(why, why_len,
		    "store.s3_bucket = %.100s: expected the name of a bucket, "
		    "without a path",
		    conf->s3_bucket);
		return ERR_CONFIG;
	}
	len = strcspn(authority, "/?#");
	if (authority[len] != '\0' && strcmp(authority + len, "/") != 0)
		return refuse(&r,
		    "a path is not supported: give https://host[:port], and "
		    "the bucket as s3_bucket");
	return read_authority(out, authority, len, &r);
}

int
s3_endpoint_path(
    const struct s3_endpoint *e, const char *key, char *out, size_t len)
{
	int n = e->path_style ? snprintf(out, len, "/%s%s%s", e->bucket,
				    *key != '\0' ? "/" : "", key)
			      : snprintf(out, len, "/%s", key);

	return n >= 0 && (size_t)n < len ? 0 : ERR_LIMIT;
}
