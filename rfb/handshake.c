#include "rfb/handshake.h"

#include <stdbool.h>
#include <string.h>

#include "common/bytes.h"

/* Three digits at p, or 1000 when they are none. */
static unsigned
three_digits(const uint8_t *p)
{
	unsigned value = 0;

	for (int i = 0; i < 3; i++) {
		if (p[i] < '0' || p[i] > '9')
			return 1000;
		value = value * 10 + (p[i] - '0');
	}
	return value;
}

unsigned
rfb_version_parse(const uint8_t *p)
{
	unsigned major = three_digits(p + 4), minor = three_digits(p + 8);

	if (memcmp(p, "RFB ", 4) != 0 || p[7] != '.' || p[11] != '\n' ||
	    major == 1000 || minor == 1000 || major < 3)
		return 0;
	if (major > 3 || minor >= 8)
		return 8;
	if (minor == 7)
		return 7;
	return minor >= 3 ? 3 : 0;
}

/*
 * Length of the UTF-8 character at p, 2 to 4; 0: ASCII, or none that is
 * valid (RFC 3629: no overlong form, no surrogate, at most 10FFFF), or a
 * control character of the second block (80 to 9F).
 */
static size_t
utf8_len(const uint8_t *p, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0xa0, 0x800, 0x10000 };
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	uint32_t c;

	if (p[0] < 0xc2 || p[0] > 0xf4 || n > len)
		return 0;
	c = p[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return n;
}

/* True for what would be written by itself, as one or two bytes. */
static bool
is_control(uint8_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/*
 * The first character of the len bytes at p, len not 0, in printable form:
 * *n bytes at *from, which is p or one. Returns the bytes of p it stands for.
 */
static size_t
next_printable(const uint8_t *p, size_t len, uint8_t one[2],
    const uint8_t **from, size_t *n)
{
	*from = p;
	*n = utf8_len(p, len);
	if (*n != 0)
		return *n;
	*from = one;
	*n = 1;
	one[0] = is_control(*p) ? ' ' : *p;
	if (one[0] >= 0x80) { /* Latin-1 */
		*n = 2;
		one[1] = 0x80 | (one[0] & 0x3f);
		one[0] = 0xc0 | one[0] >> 6;
	}
	return 1;
}

size_t
rfb_printable(char *to, size_t cap, const uint8_t *from, size_t len)
{
	uint8_t one[2];
	const uint8_t *p;
	size_t k = 0, n;

	while (len > 0) {
		size_t taken = next_printable(from, len, one, &p, &n);

		from += taken;
		len -= taken;
		if (*p == ' ' && (k == 0 || to[k - 1] == ' '))
			continue;
		if (k + n >= cap)
			break;
		memcpy(to + k, p, n);
		k += n;
	}
	while (k > 0 && to[k - 1] == ' ')
		k--;
	to[k] = '\0';
	return k;
}
