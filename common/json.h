/*
 * Members of JSON objects that others wrote; o may be NULL or no object.
 * Texts are borrowed from o. No I/O.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* NULL: there is no such member, or it is no text. */
static inline const char *
json_text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

/* The same, "" in place of NULL. */
static inline const char *
json_text_or_empty(const json_t *o, const char *name)
{
	const char *s = json_text(o, name);

	return s != NULL ? s : "";
}

/* 0: there is no such member, or it is no whole number. */
static inline json_int_t
json_int(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

/* A whole number min..max into *out; false, and *out stays, otherwise. */
static inline bool
json_int_within(
    const json_t *o, const char *name, int64_t min, int64_t max, int64_t *out)
{
	const json_t *v = json_object_get(o, name);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < min || n > max)
		return false;
	*out = n;
	return true;
}

#endif
