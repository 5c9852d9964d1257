/*
 * Stands in for common/db.h: what a daemon asks waits until the test lets the
 * database answer, by a script. Any number of struct db are one database.
 */
#ifndef TESTS_UNIT_SCRIPTED_DB_H
#define TESTS_UNIT_SCRIPTED_DB_H

#include "common/db.h"
#include "scripted_rows.h"

/* The answers from here on; ends with a row without `has`. BEGIN, COMMIT and
 * ROLLBACK are answered without a row. */
void db_script(const struct db_ask *asks);

/* The database comes or goes: every db_state_cb is called. */
void db_script_connect(bool connected);

/* Answers the oldest statement; false: none waits. An unexpected one fails
 * the test. */
bool db_script_step(void);

/* Answers until none waits. Fails the test where the script has rows left. */
void db_script_run(void);

/* Statements that wait. */
size_t db_script_waiting(void);

/* "BEGIN COMMIT": transactions since db_script. */
extern char db_script_transactions[256];

#endif
