/* The invariants of schema/check.sql, for check and doctor. */
#ifndef CTL_SCHEMA_SCHEMA_CHECK_H
#define CTL_SCHEMA_SCHEMA_CHECK_H

#include <jansson.h>

#include "ctl/ctl.h"

/*
 * Runs all rules in one snapshot. found: array that gets an object
 * { name, object, detail } for each violation. *n_rules: how many were
 * checked. Returns 0 or STATUS_FAILED after a message.
 */
int check_collect(struct ctl *c, json_t *found, int *n_rules);

#endif
