/* What a person is told about themselves. */
#ifndef CONSOLE_API_ME_H
#define CONSOLE_API_ME_H

#include <jansson.h>

struct request;

/* NULL only for memory. */
json_t *me_json(const struct request *r);

#endif
