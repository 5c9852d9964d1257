/*
 * DES as VNC uses it: the bits of each key byte are reversed, nothing is
 * padded. Weak by today's measure; where a protocol asks for it, it is used
 * for that alone. Sources: RFC 6143 section 7.2.2; libvncserver. Pure,
 * thread-safe.
 */
#ifndef RFB_DES_H
#define RFB_DES_H

#include <stddef.h>
#include <stdint.h>

#define RFB_DES_LEN 8 /* of a key, an initial vector and a block */

/*
 * Encrypts n bytes, a multiple of RFB_DES_LEN up to 64 KiB, from `from` to
 * `to`, which may be the same memory. iv: NULL for ECB, else CBC begins with
 * it. Returns 0, or ERR_UNSUPPORTED when libcrypto refuses DES.
 */
int rfb_des_encrypt(const uint8_t key[RFB_DES_LEN], const uint8_t *iv,
    const uint8_t *from, uint8_t *to, size_t n);

#endif
