/* endpoint test for endpoints that dial in: are they there? */
#ifndef CTL_ENDPOINT_ENDPOINT_DIALIN_H
#define CTL_ENDPOINT_ENDPOINT_DIALIN_H

#include <jansson.h>

#include "ctl/ctl.h"

/*
 * What the database knows of the connection of an endpoint of kind agent,
 * reverse or attended, in the form of endpoint_probe (endpoint_test.h), or
 * NULL after a message.
 */
json_t *endpoint_dialin_probe(struct ctl *c, const char *id);

#endif
