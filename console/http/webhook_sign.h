/*
 * The signature of a webhook's delivery, as the specification "Standard
 * Webhooks" 1.0 has it: HMAC-SHA256 over "ID.TIMESTAMP.BODY". No I/O.
 */
#ifndef CONSOLE_HTTP_WEBHOOK_SIGN_H
#define CONSOLE_HTTP_WEBHOOK_SIGN_H

#include <stdint.h>

#define WEBHOOK_KEY_MAX       64
#define WEBHOOK_SIGNATURE_MAX 64

/*
 * secret: text as of common/webhook_secret.h. out: "v1,BASE64". Returns 0, ERR_PROTOCOL (it is no
 * such secret) or ERR_NOMEM.
 */
int webhook_sign(const char *secret, const char *id, uint64_t timestamp,
    const char *body, char out[WEBHOOK_SIGNATURE_MAX]);

#endif
