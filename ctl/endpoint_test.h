/* relaycam endpoint test: what the relay would do with an endpoint. */
#ifndef CTL_ENDPOINT_TEST_H
#define CTL_ENDPOINT_TEST_H

#include "ctl/args.h"
#include "ctl/ctl.h"

int endpoint_run_test(struct ctl *c, const struct args *a);

#endif
