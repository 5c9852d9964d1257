/* relaycam endpoint set: changes of a row, its kind included. */
#ifndef CTL_ENDPOINT_SET_H
#define CTL_ENDPOINT_SET_H

#include "ctl/args.h"
#include "ctl/ctl.h"

int endpoint_run_set(struct ctl *c, const struct args *a);

#endif
