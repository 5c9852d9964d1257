#include "console/oidc/url.h"

#include <ctype.h>
#include <string.h>

#define SCHEME     "https://"
#define SCHEME_LEN (sizeof(SCHEME) - 1)

/* What RFC 3986 has no place for, though it is printable. */
#define ODD "\"<>\\^`{|}#"

static bool
is_plain(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s >= 0x7f || strchr(ODD, *s) != NULL)
			return false;
	return true;
}

/* "host", "host:port", "[address]:port". */
static bool
is_authority(const char *s, size_t n)
{
	const char *end = s + n;

	if (n > 0 && *s == '[') {
		s = memchr(s, ']', n);
		if (s == NULL || ++s == end)
			return s != NULL;
	} else {
		const char *host = s;

		while (s < end &&
		    (isalnum((unsigned char)*s) || *s == '.' || *s == '-' ||
			*s == '_'))
			s++;
		if (s == host)
			return false;
	}
	if (s == end)
		return true;
	if (*s++ != ':' || s == end || end - s > 5)
		return false;
	while (s < end && isdigit((unsigned char)*s))
		s++;
	return s == end;
}

bool
oidc_url_is_right(const char *url)
{
	if (url == NULL || strlen(url) >= OIDC_URL_MAX ||
	    strncmp(url, SCHEME, SCHEME_LEN) != 0 || !is_plain(url))
		return false;
	url += SCHEME_LEN;
	return is_authority(url, strcspn(url, "/?"));
}

bool
oidc_issuer_is_right(const char *url)
{
	return oidc_url_is_right(url) && strchr(url, '?') == NULL;
}

bool
oidc_origin_is_right(const char *url)
{
	return oidc_url_is_right(url) &&
	    url[SCHEME_LEN + strcspn(url + SCHEME_LEN, "/?")] == '\0';
}

bool
oidc_return_is_right(const char *path)
{
	if (path[0] != '/' || path[1] == '/')
		return false;
	for (; *path != '\0'; path++)
		if (*path <= ' ' || *path >= 0x7f ||
		    strchr("\"<>\\", *path) != NULL)
			return false;
	return true;
}
