/* Codes of people: one-time passwords of an authenticator, and recovery
 * codes. Each is good once. */
#ifndef CONSOLE_API_SECOND_FACTOR_H
#define CONSOLE_API_SECOND_FACTOR_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "console/login/totp.h"

struct request;

/*
 * Is it a code of r->person (id_text)? When it is, it is used up. Calls then,
 * unless the database is away: then the request is answered. code: borrowed.
 */
void second_factor_check(struct request *r, const char *code,
    void (*then)(struct request *r, bool is_right));

/* Opens a sealed secret (bytea text) of a result. 0, or ERR_CORRUPT. */
int second_factor_open(const struct request *r, const PGresult *res, int col,
    uint8_t secret[TOTP_SECRET_LEN]);

/*
 * For handlers of people who are logged in: goes on with then when the body's
 * member "code" is right; a wrong one counts as a wrong login does, and is
 * answered with 403. Uses r->state.
 */
void second_factor_ask(struct request *r, void (*then)(struct request *r));

#endif
