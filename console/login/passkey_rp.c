#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "console/login/passkey.h"

/* Host and port of an origin, "" without one; lower case. */
static int
split(const char *at, char host[254], char port[8])
{
	size_t n = strcspn(at, ":/");

	port[0] = '\0';
	if (n == 0 || n >= 254)
		return ERR_CONFIG;
	for (size_t i = 0; i < n; i++) {
		host[i] = (char)tolower((unsigned char)at[i]);
		if (!isalnum((unsigned char)host[i]) &&
		    strchr(".-", host[i]) == NULL)
			return ERR_CONFIG;
	}
	host[n] = '\0';
	at += n;
	if (*at == ':') {
		n = strspn(++at, "0123456789");
		if (n == 0 || n > 5)
			return ERR_CONFIG;
		memcpy(port, at, n);
		port[n] = '\0';
		at += n;
	}
	return strspn(at, "/") == strlen(at) ? 0 : ERR_CONFIG;
}

int
passkey_rp_set(struct passkey_rp *rp, const char *url)
{
	struct in_addr any;
	char port[8];

	memset(rp, 0, sizeof(*rp));
	if (url == NULL || strncasecmp(url, "https://", 8) != 0)
		return ERR_CONFIG;
	if (url[8] == '[') /* IPv6 */
		return 0;
	if (split(url + 8, rp->id, port) != 0)
		return ERR_CONFIG;
	rp->is_usable = inet_pton(AF_INET, rp->id, &any) != 1;
	if (port[0] == '\0' || strcmp(port, "443") == 0)
		snprintf(rp->origin, sizeof(rp->origin), "https://%s", rp->id);
	else
		snprintf(rp->origin, sizeof(rp->origin), "https://%s:%s",
		    rp->id, port);
	return 0;
}
