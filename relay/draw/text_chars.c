#include <stdbool.h>

#include "common/bytes.h"
#include "relay/draw/text_chars.h"

/* Characters without a shape. Direction overrides are among them: they could
 * make a name read as another. */
static const struct {
	uint32_t first, last;
} invisible[] = {
	{ 0x00, 0x09 },
	{ 0x0b, 0x1f },
	{ 0x7f, 0x9f },
	{ 0xad, 0xad },
	{ 0x200b, 0x200f },
	{ 0x2028, 0x202e },
	{ 0x2060, 0x206f },
	{ 0xfe00, 0xfe0f },
	{ 0xfeff, 0xfeff },
	{ 0xfff0, 0xfffb },
	{ 0xe0000, 0xe0fff },
};

static bool
is_invisible(uint32_t c)
{
	for (size_t i = 0; i < N_ELEMENTS(invisible); i++) {
		if (c >= invisible[i].first && c <= invisible[i].last)
			return true;
	}
	return false;
}

/* Bytes of the sequence that lead begins; 0 if it begins none. */
static size_t
sequence_len(uint8_t lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/* Overlong forms, surrogates, and what is above U+10FFFF. */
static bool
is_legal(uint32_t c, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	return c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

/* Decodes one character of len bytes or more at p; returns bytes taken. */
static size_t
decode(const uint8_t *p, size_t len, uint32_t *c)
{
	size_t n = sequence_len(p[0]);

	*c = TEXT_REPLACEMENT;
	if (n == 0 || n > len)
		return 1;
	if (n == 1) {
		*c = p[0];
		return 1;
	}
	uint32_t v = p[0] & (0x7fu >> n);

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 1;
		v = v << 6 | (p[i] & 0x3f);
	}
	if (!is_legal(v, n))
		return 1;
	*c = v;
	return n;
}

size_t
text_chars(const char *utf8, size_t len, uint32_t *chars)
{
	const uint8_t *p = (const uint8_t *)utf8;
	size_t n = 0;
	uint32_t c;

	for (size_t at = 0; at < len;) {
		at += decode(p + at, len - at, &c);
		if (c == '\t')
			c = ' ';
		if (!is_invisible(c))
			chars[n++] = c;
	}
	return n;
}
