/* Recovery codes: one-time replacements of a second factor that was lost.
 * Shown once, stored as their SHA-256. No I/O. */
#ifndef CONSOLE_LOGIN_RECOVERY_CODE_H
#define CONSOLE_LOGIN_RECOVERY_CODE_H

#include <stdbool.h>

#define RECOVERY_CODES    10 /* of a person */
#define RECOVERY_CODE_MAX 20 /* with the NUL */
#define RECOVERY_HASH_MAX 65 /* hex, with the NUL */

/* "xxxx-xxxx-xxxx-xxxx" of a-z and 2-7: 80 random bits. */
void recovery_code_new(char out[RECOVERY_CODE_MAX]);

/* The hash of a code as people type it: dashes, spaces and the case do not
 * matter. False: it has not the form of one. */
bool recovery_code_hash(const char *text, char out[RECOVERY_HASH_MAX]);

#endif
