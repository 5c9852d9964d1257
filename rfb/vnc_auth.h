/*
 * VNC authentication: a 16-byte challenge encrypted with DES, the password
 * (its first 8 bytes, zero padded) as key with the bits of each byte
 * reversed. Source: RFC 6143 section 7.2.2. Pure, thread-safe.
 */
#ifndef RFB_VNC_AUTH_H
#define RFB_VNC_AUTH_H

#include <stdint.h>

#define RFB_VNC_CHALLENGE_LEN 16

/*
 * out: the response to challenge (may be the same memory); password is
 * NUL-terminated. Returns 0, or ERR_UNSUPPORTED when libcrypto refuses DES.
 */
int rfb_vnc_auth_response(const char *password,
    const uint8_t challenge[RFB_VNC_CHALLENGE_LEN],
    uint8_t out[RFB_VNC_CHALLENGE_LEN]);

#endif
