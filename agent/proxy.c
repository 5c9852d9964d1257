#include "agent/proxy.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"

#define DEFAULT_PORT 3128

/* name:password, len bytes, as the header carries it. */
static int
set_auth(struct proxy *p, const char *s, size_t len)
{
	char plain[PROXY_AUTH_MAX / 4 * 3 - 3];
	long n = http_decode(s, len, plain, sizeof(plain));

	if (n >= 0)
		EVP_EncodeBlock((unsigned char *)p->auth,
		    (const unsigned char *)plain, (int)n);
	wipe(plain, sizeof(plain));
	return n >= 0 ? 0 : ERR_CONFIG;
}

int
proxy_parse(const char *url, struct proxy *out)
{
	char host[HOSTPORT_TEXT_MAX];
	const char *at;
	size_t len;

	*out = (struct proxy){ 0 };
	if (*url == '\0' || strcmp(url, "none") == 0)
		return 0;
	if (strncasecmp(url, "http://", 7) == 0)
		url += 7;
	else if (strstr(url, "://") != NULL)
		return ERR_CONFIG;
	at = strrchr(url, '@');
	if (at != NULL) {
		if (set_auth(out, url, (size_t)(at - url)) != 0)
			return ERR_CONFIG;
		url = at + 1;
	}
	len = strcspn(url, "/");
	if (len >= sizeof(host) || (url[len] == '/' && url[len + 1] != '\0'))
		return ERR_CONFIG;
	memcpy(host, url, len);
	host[len] = '\0';
	out->is_used = true;
	return hostport_parse(host, DEFAULT_PORT, &out->at);
}

static const char *
env_of(const char *upper, const char *lower)
{
	const char *s = getenv(upper);

	return s != NULL ? s : getenv(lower);
}

/* One entry of NO_PROXY: "*", a host, or the end of its name. */
static bool
is_covered(const char *entry, size_t len, const char *host)
{
	size_t host_len = strlen(host);

	if (len == 1 && *entry == '*')
		return true;
	if (len > 0 && *entry == '.') {
		entry++;
		len--;
	}
	if (len == 0 || len > host_len ||
	    strncasecmp(host + host_len - len, entry, len) != 0)
		return false;
	return len == host_len || host[host_len - len - 1] == '.';
}

static bool
is_exempt(const char *list, const char *host)
{
	while (list != NULL && *list != '\0') {
		size_t len;

		list += strspn(list, ", ");
		len = strcspn(list, ", ");
		if (is_covered(list, len, host))
			return true;
		list += len;
	}
	return false;
}

int
proxy_choose(const char *setting, const char *host, struct proxy *out)
{
	const char *url = setting;

	*out = (struct proxy){ 0 };
	if (setting == NULL) {
		url = env_of("HTTPS_PROXY", "https_proxy");
		if (is_exempt(env_of("NO_PROXY", "no_proxy"), host))
			url = NULL;
	}
	return url != NULL ? proxy_parse(url, out) : 0;
}

size_t
proxy_request(
    const struct proxy *p, const struct hostport *to, char out[PROXY_ASK_MAX])
{
	char target[HOSTPORT_TEXT_MAX];
	bool has_auth = p->auth[0] != '\0';

	hostport_format(to, target);
	return (size_t)snprintf(out, PROXY_ASK_MAX,
	    "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n", target, target,
	    has_auth ? "Proxy-Authorization: Basic " : "", p->auth,
	    has_auth ? "\r\n" : "");
}

/* "HTTP/1.x NNN" and a blank or the end of the line. */
static int
status_of(const char *line, size_t len)
{
	int status = 0;

	if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ')
		return ERR_PROTOCOL;
	for (size_t i = 9; i < 12; i++) {
		if (line[i] < '0' || line[i] > '9')
			return ERR_PROTOCOL;
		status = status * 10 + (line[i] - '0');
	}
	if (status < 100 || (len > 12 && line[12] != ' ' && line[12] != '\r'))
		return ERR_PROTOCOL;
	return status;
}

int
proxy_answer(const char *data, size_t len, size_t *used)
{
	static const char start[] = "HTTP/1.";
	const char *end = memmem(data, len, "\r\n\r\n", 4);

	*used = 0;
	if (memcmp(data, start, min_size(len, sizeof(start) - 1)) != 0)
		return ERR_PROTOCOL;
	if (end == NULL)
		return len < PROXY_ANSWER_MAX ? 0 : ERR_LIMIT;
	*used = (size_t)(end - data) + 4;
	return status_of(data, *used - 4);
}
