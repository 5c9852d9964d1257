#include "common/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

int
s3_xml_element(
    const char **at, const char *name, const char **start, const char **end)
{
	char open[48], close[48];
	size_t len = strlen(name);
	const char *p, *q;

	if (len + 4 > sizeof(open))
		return ERR_NOTFOUND;
	snprintf(open, sizeof(open), "<%s", name);
	snprintf(close, sizeof(close), "</%s>", name);
	for (p = strstr(*at, open); p != NULL; p = strstr(p + 1, open)) {
		q = p + len + 1;
		if (*q != '>' && *q != ' ') /* a longer name */
			continue;
		q = strchr(q, '>');
		if (q == NULL || q[-1] == '/')
			continue;
		*end = strstr(q + 1, close);
		if (*end == NULL)
			return ERR_NOTFOUND;
		*start = q + 1;
		*at = *end + len + 3;
		return 0;
	}
	return ERR_NOTFOUND;
}

/* The character of an entity at p (after '&'), and its length; 0: none. */
static size_t
entity(const char *p, size_t len, char *out)
{
	static const struct {
		const char *name;
		char c;
	} known[] = { { "quot;", '"' }, { "amp;", '&' }, { "lt;", '<' },
		{ "gt;", '>' }, { "apos;", '\'' }, { "#34;", '"' },
		{ "#39;", '\'' }, { "#38;", '&' } };

	for (size_t i = 0; i < N_ELEMENTS(known); i++) {
		size_t n = strlen(known[i].name);

		if (len >= n && memcmp(p, known[i].name, n) == 0) {
			*out = known[i].c;
			return n;
		}
	}
	return 0;
}

int
s3_xml_text(const char **at, const char *name, char *out, size_t out_len)
{
	const char *p, *end;
	size_t n = 0;

	if (s3_xml_element(at, name, &p, &end) != 0)
		return ERR_NOTFOUND;
	while (p < end && n + 1 < out_len) {
		char c = *p++;

		if (c == '&')
			p += entity(p, (size_t)(end - p), &c);
		out[n++] = c;
	}
	out[n] = '\0';
	return 0;
}
