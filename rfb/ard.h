/*
 * Apple Remote Desktop's login, security type 30: Diffie-Hellman, then user
 * name and password under AES-128-ECB. It hides them from those who only
 * listen; the session that follows is in clear.
 *
 *   S U16 generator  U16 length  prime[length]  public key[length]
 *   C credentials[128] under MD5(shared secret)  public key[length]
 *
 * Sources: rfbproto (Apple Diffie-Hellman), TigerVNC's CSecurityDH,
 * libvncclient. Thread-safe; random bytes come from libcrypto.
 */
#ifndef RFB_ARD_H
#define RFB_ARD_H

#include <stddef.h>
#include <stdint.h>

#define RFB_ARD_HEAD_LEN        4
#define RFB_ARD_KEY_MIN         128 /* bytes of the prime */
#define RFB_ARD_KEY_MAX         1024
#define RFB_ARD_CREDENTIALS_LEN 128
#define RFB_ARD_CREDENTIAL_MAX  63 /* bytes of user name and of password */
#define RFB_ARD_ANSWER_MAX      (RFB_ARD_CREDENTIALS_LEN + RFB_ARD_KEY_MAX)

/*
 * The length of the server's message, from its head of RFB_ARD_HEAD_LEN
 * bytes; 0: the key is too short or too long.
 */
size_t rfb_ard_message_len(const uint8_t *head);

/*
 * message: whole. Writes the answer, at most RFB_ARD_ANSWER_MAX bytes, to
 * `to`, its length to *n. user, password: NUL-terminated. Returns 0,
 * ERR_LIMIT: user or password are too long; ERR_PROTOCOL: the numbers cannot
 * be right; ERR_NOMEM when libcrypto fails.
 */
int rfb_ard_answer(const uint8_t *message, const char *user,
    const char *password, uint8_t *to, size_t *n);

#endif
