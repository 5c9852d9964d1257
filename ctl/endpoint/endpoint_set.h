/* relaycam endpoint set: changes of a row, its kind included. */
#ifndef CTL_ENDPOINT_ENDPOINT_SET_H
#define CTL_ENDPOINT_ENDPOINT_SET_H

#include "ctl/args.h"
#include "ctl/ctl.h"

/*
 * Call in the transaction that changed the row: a CA alone, without a host, a
 * name or a pin, would let in every certificate of that CA. Returns 0,
 * STATUS_USAGE after a message that names the remedy, or STATUS_FAILED.
 */
int endpoint_check_trust(struct ctl *c, const char *id);

int endpoint_run_set(struct ctl *c, const struct args *a);

#endif
