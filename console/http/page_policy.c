#include "console/http/page_policy.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"

/* What a host with its port is written with: names, IPv4, [IPv6]. */
static const char host_chars[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]";

int
page_origin(const char *url, char out[ORIGIN_MAX])
{
	size_t scheme, host;

	out[0] = '\0';
	if (strncmp(url, "https://", 8) == 0)
		scheme = 8;
	else if (strncmp(url, "http://", 7) == 0)
		scheme = 7;
	else
		return ERR_PROTOCOL;
	host = strcspn(url + scheme, "/?#");
	if (host == 0 || host != strspn(url + scheme, host_chars) ||
	    scheme + host >= ORIGIN_MAX)
		return ERR_PROTOCOL;
	memcpy(out, url, scheme + host);
	out[scheme + host] = '\0';
	return 0;
}

static int
has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; (at = strstr(at, word)) != NULL; at++)
		if ((at == list || at[-1] == ' ') &&
		    (at[len] == ' ' || at[len] == '\0'))
			return 1;
	return 0;
}

void
page_origins_add(char *list, const char *url)
{
	char origin[ORIGIN_MAX];
	size_t used = strlen(list);

	if (url == NULL || page_origin(url, origin) != 0 ||
	    has_word(list, origin) || used + 1 + strlen(origin) >= ORIGINS_MAX)
		return;
	snprintf(list + used, ORIGINS_MAX - used, "%s%s", used > 0 ? " " : "",
	    origin);
}

const char *
page_policy(
    const char *script_hash, const char *media, const char *frames, char *out)
{
	const char *gap = media[0] != '\0' ? " " : "";

	snprintf(out, PAGE_POLICY_MAX,
	    "default-src 'self'; script-src 'self' 'sha256-%s'; "
	    "img-src 'self' data: blob:%s%s; media-src 'self' blob:%s%s; "
	    "connect-src 'self'%s%s; frame-src %s; base-uri 'none'; "
	    "form-action 'self'; frame-ancestors 'none'; object-src 'none'",
	    script_hash, gap, media, gap, media, gap, media,
	    frames[0] != '\0' ? frames : "'none'");
	return out;
}
