/* relaycam endpoint test: what the relay would do with an endpoint. */
#ifndef CTL_ENDPOINT_ENDPOINT_TEST_H
#define CTL_ENDPOINT_ENDPOINT_TEST_H

#include <jansson.h>

#include "ctl/args.h"
#include "ctl/ctl.h"

/*
 * Connects to the endpoint with this id. Returns what was found (an object
 * with "ok", "choice" and "problems", an array of sentences), or NULL after a
 * message.
 */
json_t *endpoint_probe(struct ctl *c, const char *id, int timeout_s);

int endpoint_run_test(struct ctl *c, const struct args *a);

#endif
