#include "console/http/accept_encoding.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define SPACE " \t"

static bool
is_word(const char *at, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(at, word, len) == 0;
}

/* The parameters of one element of the list, as far as end, give it a weight
 * of 0: q=0, q=0.0 and so on. */
static bool
is_refused(const char *at, const char *end)
{
	while (at < end && *at == ';') {
		at++;
		at += strspn(at, SPACE);
		if (end - at >= 3 && strncasecmp(at, "q=0", 3) == 0) {
			at += 3;
			at += strspn(at, ".0");
			at += strspn(at, SPACE);
			return at >= end || *at == ';';
		}
		while (at < end && *at != ';')
			at++;
	}
	return false;
}

bool
accepts_gzip(const char *field)
{
	bool any = false;

	for (const char *at = field; at != NULL && *at != '\0';) {
		const char *end = at + strcspn(at, ",");
		const char *name = at + strspn(at, SPACE);
		size_t len = strcspn(name, SPACE ";,");
		const char *rest = name + len + strspn(name + len, SPACE);

		if (is_word(name, len, "gzip") || is_word(name, len, "x-gzip"))
			return !is_refused(rest, end);
		if (is_word(name, len, "*"))
			any = !is_refused(rest, end);
		at = *end == ',' ? end + 1 : end;
	}
	return any;
}
