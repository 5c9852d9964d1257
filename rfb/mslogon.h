/*
 * UltraVNC's login with a Windows account, MS-Logon II, security type 113:
 * Diffie-Hellman with 64-bit numbers, then user name and password under
 * DES-CBC. That is next to clear text, and so is the session that follows.
 *
 *   S U64 generator  U64 modulus  U64 public key
 *   C U64 public key  user[256]  password[64], each under the shared secret
 *
 * Sources: TigerVNC's CSecurityMSLogonII, libvncclient. Thread-safe; random
 * bytes come from libcrypto.
 */
#ifndef RFB_MSLOGON_H
#define RFB_MSLOGON_H

#include <stdint.h>

#define RFB_MSLOGON_MESSAGE_LEN  24
#define RFB_MSLOGON_USER_LEN     256
#define RFB_MSLOGON_PASSWORD_LEN 64
#define RFB_MSLOGON_ANSWER_LEN                                                 \
	(8 + RFB_MSLOGON_USER_LEN + RFB_MSLOGON_PASSWORD_LEN)

/*
 * message: RFB_MSLOGON_MESSAGE_LEN bytes. to: RFB_MSLOGON_ANSWER_LEN bytes.
 * user, password: NUL-terminated, shorter than their fields. Returns 0,
 * ERR_LIMIT: user or password are too long; ERR_PROTOCOL: the numbers cannot
 * be right; ERR_NOMEM or ERR_UNSUPPORTED when libcrypto fails.
 */
int rfb_mslogon_answer(const uint8_t *message, const char *user,
    const char *password, uint8_t *to);

#endif
