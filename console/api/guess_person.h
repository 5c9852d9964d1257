/* What all doors know of failures of a name and of an address, so that guesses
 * at one count at the others. */
#ifndef CONSOLE_API_GUESS_PERSON_H
#define CONSOLE_API_GUESS_PERSON_H

#include <libpq-fe.h>

#include "common/login/guess.h"
#include "common/login/known_login.h"

struct request;

/* In a statement whose $1 is the name, $2 the prefix of the address and $3 the
 * id of a known login. */
#define GUESS_COLUMNS                                                          \
	"f.n[1], f.age[1], f.n[2], f.age[2], EXISTS (SELECT FROM "             \
	"known_logins WHERE id = decode($3, 'hex') AND last_at > now() - "     \
	"interval '30 days')"
#define GUESS_N_COLUMNS 5
#define GUESS_FROM                                                             \
	"(SELECT array_agg(l.failed ORDER BY k.at) AS n, array_agg(extract("   \
	"epoch FROM now() - l.last_at) ORDER BY k.at) AS age FROM unnest("     \
	"ARRAY[$2, 'name tried: ' || $1]) WITH ORDINALITY k(what, at) LEFT "   \
	"JOIN login_failures l ON l.client_addr = k.what) f"

/* A try of a person; all zeros is none. */
struct guess_person {
	struct guess guess;
	char prefix[GUESS_PREFIX_LEN], known[KNOWN_LOGIN_ID_LEN];
};

/* Fills prefix and known, the statement's parameters, for r->person.name. */
void guess_person_set(struct guess_person *g, const struct request *r);

/* Takes GUESS_COLUMNS, from col on; guess_wait() may follow. */
void guess_person_learn(struct guess_person *g, const struct request *r,
    const PGresult *res, int col);

/* It was right: failures are forgotten, the pair is known. */
void guess_person_right(struct guess_person *g, struct request *r);

/* It was wrong: it counts for all doors, and is in the audit log. */
void guess_person_wrong(struct guess_person *g, struct request *r);

#endif
