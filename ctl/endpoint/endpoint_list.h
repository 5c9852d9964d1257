/* relaycam endpoint list and show. */
#ifndef CTL_ENDPOINT_ENDPOINT_LIST_H
#define CTL_ENDPOINT_ENDPOINT_LIST_H

#include "ctl/args.h"
#include "ctl/ctl.h"

int endpoint_run_list(struct ctl *c, const struct args *a);
int endpoint_run_show(struct ctl *c, const struct args *a);

#endif
