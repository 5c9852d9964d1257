/*
 * Secrets of webhooks, as the specification "Standard Webhooks" 1.0 has them:
 * "whsec_" and a key in base64. No I/O.
 */
#ifndef COMMON_WEBHOOK_SECRET_H
#define COMMON_WEBHOOK_SECRET_H

#define WEBHOOK_SECRET_PREFIX "whsec_"
#define WEBHOOK_SECRET_MAX    64 /* of a new one, with the NUL */

/* A new one, of 32 random bytes. The caller wipes it. */
void webhook_secret_new(char out[WEBHOOK_SECRET_MAX]);

#endif
