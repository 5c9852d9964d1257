/* Texts in the JSON of OpenID providers. No I/O. */
#ifndef CONSOLE_OIDC_JSON_TEXT_H
#define CONSOLE_OIDC_JSON_TEXT_H

#include <stdbool.h>
#include <string.h>

#include "common/json.h"

/* s may be NULL, which is no word. */
static inline bool
text_is(const char *s, const char *word)
{
	return s != NULL && strcmp(s, word) == 0;
}

#endif
