#include "console/login/totp.h"

#include <liboath/oath.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/http.h"

void
totp_secret_new(uint8_t secret[TOTP_SECRET_LEN])
{
	randombytes_buf(secret, TOTP_SECRET_LEN);
}

int
totp_secret_text(const uint8_t secret[TOTP_SECRET_LEN], char out[TOTP_TEXT_MAX])
{
	char *text = NULL;
	size_t len = 0;

	if (oath_base32_encode(
		(const char *)secret, TOTP_SECRET_LEN, &text, &len) != OATH_OK)
		return ERR_NOMEM;
	/* 20 bytes are 32 characters, without padding */
	memcpy(out, text, TOTP_TEXT_MAX - 1);
	out[TOTP_TEXT_MAX - 1] = '\0';
	sodium_memzero(text, len);
	free(text);
	return 0;
}

/* Percent-encodes all but unreserved characters (RFC 3986 section 2.3). */
static int
add_encoded(char *out, size_t *at, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
				    "QRSTUVWXYZ0123456789-._~";

	for (; *text != '\0'; text++) {
		if (*at + 4 > TOTP_URL_MAX)
			return ERR_LIMIT;
		if (strchr(plain, *text) != NULL)
			out[(*at)++] = *text;
		else
			*at += (size_t)snprintf(out + *at, TOTP_URL_MAX - *at,
			    "%%%02X", (unsigned char)*text);
	}
	return 0;
}

static int
add_plain(char *out, size_t *at, const char *text)
{
	size_t n = strlen(text);

	if (*at + n + 1 > TOTP_URL_MAX)
		return ERR_LIMIT;
	memcpy(out + *at, text, n + 1);
	*at += n;
	return 0;
}

int
totp_url(char out[TOTP_URL_MAX], const char *issuer, const char *account,
    const char *secret_text)
{
	size_t at = 0;

	return add_plain(out, &at, "otpauth://totp/") == 0 &&
		add_encoded(out, &at, issuer) == 0 &&
		add_plain(out, &at, ":") == 0 &&
		add_encoded(out, &at, account) == 0 &&
		add_plain(out, &at, "?secret=") == 0 &&
		add_plain(out, &at, secret_text) == 0 &&
		add_plain(out, &at, "&issuer=") == 0 &&
		add_encoded(out, &at, issuer) == 0 &&
		add_plain(out, &at, "&algorithm=SHA1&digits=6&period=30") == 0
	    ? 0
	    : ERR_LIMIT;
}

bool
totp_is_code(const char *code)
{
	return strlen(code) == TOTP_DIGITS &&
	    strspn(code, "0123456789") == TOTP_DIGITS;
}

int64_t
totp_check(const uint8_t secret[TOTP_SECRET_LEN], const char *code,
    int64_t now_s, int64_t last_step)
{
	uint64_t step = 0;
	int rc;

	if (!totp_is_code(code))
		return ERR_DENIED;
	rc = oath_totp_validate3((const char *)secret, TOTP_SECRET_LEN,
	    (time_t)now_s, TOTP_STEP_S, OATH_TOTP_DEFAULT_START_TIME,
	    TOTP_WINDOW, NULL, &step, code);
	return rc >= 0 && (int64_t)step > last_step ? (int64_t)step
						    : ERR_DENIED;
}
