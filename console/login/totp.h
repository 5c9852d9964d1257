/*
 * Time-based one-time passwords (RFC 6238) by liboath: SHA-1, six digits,
 * steps of 30 seconds, as all authenticator programs have them. No I/O.
 */
#ifndef CONSOLE_LOGIN_TOTP_H
#define CONSOLE_LOGIN_TOTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOTP_SECRET_LEN 20 /* of SHA-1, RFC 4226 section 4 */
#define TOTP_TEXT_MAX   33 /* base32, with the NUL */
#define TOTP_URL_MAX    512
#define TOTP_DIGITS     6
#define TOTP_STEP_S     30
#define TOTP_WINDOW     1 /* steps before and after the clock's */

/* Random bytes. */
void totp_secret_new(uint8_t secret[TOTP_SECRET_LEN]);

/* As people type it: base32 (RFC 4648). Returns 0 or ERR_NOMEM. */
int totp_secret_text(
    const uint8_t secret[TOTP_SECRET_LEN], char out[TOTP_TEXT_MAX]);

/*
 * What an authenticator reads from a QR code: otpauth://totp/..., by the "Key
 * Uri Format" of Google Authenticator. issuer, account: without a colon;
 * percent-encoded here. Returns 0, or ERR_LIMIT when it is too long.
 */
int totp_url(char out[TOTP_URL_MAX], const char *issuer, const char *account,
    const char *secret_text);

/* Is it of the form: six digits? */
bool totp_is_code(const char *code);

/*
 * The step that the code is of, which has to be after last_step (that of the
 * last code that was used, RFC 6238 section 5.2) and within TOTP_WINDOW of
 * now_s (Unix time). Returns it, or ERR_DENIED.
 */
int64_t totp_check(const uint8_t secret[TOTP_SECRET_LEN], const char *code,
    int64_t now_s, int64_t last_step);

#endif
