/*
 * relaycam's commands over a scripted database, in this process: what a
 * command asks is compared, what it is told is made up, and what it prints is
 * kept. Stands in for ctl/pg_connection.c.
 */
#ifndef TESTS_UNIT_SCRIPTED_CTL_H
#define TESTS_UNIT_SCRIPTED_CTL_H

#include "ctl/ctl.h"
#include "scripted_rows.h"

#define CTL_ASKS_MAX 10

/* BEGIN, COMMIT and ROLLBACK are answered without a row of asks. */
struct ctl_case {
	const char *command; /* words as for a shell without quotes */
	int status;
	const char *says; /* part of standard output and error together */
	struct db_ask asks[CTL_ASKS_MAX];
};

/* The settings of the commands; empty at first. */
extern struct ctl scripted_ctl;

/* What was printed last, both streams, up to some 16 KB. */
extern char ctl_said[16384];

/* "BEGIN COMMIT": what was answered without a row. */
extern char ctl_transactions[64];

/* Runs a command and fails the test where it is not as k says. */
void ctl_run_case(const struct ctl_case *k);
void ctl_run_cases(const struct ctl_case *cases, size_t n);

#endif
