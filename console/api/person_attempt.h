/* What all doors know of failures of a name and of an address, so that guesses
 * at one count at the others. */
#ifndef CONSOLE_API_PERSON_ATTEMPT_H
#define CONSOLE_API_PERSON_ATTEMPT_H

#include <libpq-fe.h>

#include "common/login/login_attempt.h"
#include "common/login/known_login.h"

struct request;

/* In a statement whose $1 is the name, $2 the prefix of the address and $3 the
 * id of a known login. */
#define ATTEMPT_COLUMNS                                                        \
	"f.n[1], f.age[1], f.n[2], f.age[2], EXISTS (SELECT FROM "             \
	"known_logins WHERE id = decode($3, 'hex') AND last_at > now() - "     \
	"interval '30 days')"
#define ATTEMPT_N_COLUMNS 5
#define ATTEMPT_FROM                                                           \
	"(SELECT array_agg(l.failed ORDER BY k.at) AS n, array_agg(extract("   \
	"epoch FROM now() - l.last_at) ORDER BY k.at) AS age FROM unnest("     \
	"ARRAY[$2, 'name tried: ' || $1]) WITH ORDINALITY k(what, at) LEFT "   \
	"JOIN login_failures l ON l.client_addr = k.what) f"

/* A try of a person; all zeros is none. */
struct person_attempt {
	struct login_attempt attempt;
	char prefix[LOGIN_PREFIX_LEN], known[KNOWN_LOGIN_ID_LEN];
};

/* Fills prefix and known, the statement's parameters, for r->person.name. */
void person_attempt_set(struct person_attempt *g, const struct request *r);

/* Takes ATTEMPT_COLUMNS, from col on; login_attempt_wait() may follow. */
void person_attempt_learn(struct person_attempt *g, const struct request *r,
    const PGresult *res, int col);

/* It was right: failures are forgotten, the pair is known. */
void person_attempt_right(struct person_attempt *g, struct request *r);

/* It was wrong: it counts for all doors, and is in the audit log. */
void person_attempt_wrong(struct person_attempt *g, struct request *r);

#endif
