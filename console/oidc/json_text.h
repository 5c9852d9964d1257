/* Texts in the JSON of OpenID providers. No I/O. */
#ifndef CONSOLE_OIDC_JSON_TEXT_H
#define CONSOLE_OIDC_JSON_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

/* The text of a member, borrowed; NULL: there is none, or it is no text. */
static inline const char *
json_text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

/* s may be NULL, which is no word. */
static inline bool
text_is(const char *s, const char *word)
{
	return s != NULL && strcmp(s, word) == 0;
}

#endif
