/*
 * URLs of an OpenID provider, and texts in the requests to it. No I/O,
 * thread-safe; all input is hostile.
 */
#ifndef CONSOLE_OIDC_URL_H
#define CONSOLE_OIDC_URL_H

#include <stdbool.h>
#include <stddef.h>

#define OIDC_URL_MAX 2048 /* with the NUL */

/*
 * Is it an absolute https URL with a host and nothing odd: printable ASCII,
 * no user name, no fragment, shorter than OIDC_URL_MAX? NULL is none.
 */
bool oidc_url_is_right(const char *url);

/* Is it an issuer: such a URL without a query (OpenID Connect Core 1.0,
 * section 2)? */
bool oidc_issuer_is_right(const char *url);

/* Is it "https://host" or "https://host:port", without a path? */
bool oidc_origin_is_right(const char *url);

/*
 * Where a person may be sent after the login: a path of this server, which
 * begins with one slash. "//host" and "/\host" are other servers to browsers.
 */
bool oidc_return_is_right(const char *path);

#endif
