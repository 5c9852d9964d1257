/* Texts of JSON objects that others wrote. */
#ifndef RELAY_SESSION_JSON_TEXT_H
#define RELAY_SESSION_JSON_TEXT_H

#include <jansson.h>

/* The text under key, borrowed; "" where there is none, or o is NULL. */
static inline const char *
json_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

#endif
