/*
 * Wrong tries from an address at other relays and the console, for what is
 * tried without a person's name: tickets, keys of agents, IDs of servers that
 * dial in. In the database, so that a guess at one node counts at the others.
 */
#ifndef RELAY_LOGIN_ADDRESS_FAILURES_H
#define RELAY_LOGIN_ADDRESS_FAILURES_H

#include "common/db.h"
#include "common/login/login_attempt.h"

/* Asks for them; address_failures_learn follows in cb. Returns as
 * db_query_now. */
int address_failures_ask(
    struct db *db, const char *client_addr, db_result_cb *cb, void *arg);
/* Whether res was an answer; then t waits as it says. */
bool address_failures_learn(struct login_attempt *t, PGresult *res);

/* One more. */
void address_failures_add(struct db *db, const char *client_addr);

#endif
