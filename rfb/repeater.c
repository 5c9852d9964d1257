#include "rfb/repeater.h"

#include <stdbool.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

#define PEEK_LEN   4
#define PREFIX_LEN 3 /* of "ID:" */

/* Locale does not matter here: both are ASCII by definition. */
static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static char
upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool
is_base32(const char *text)
{
	for (; *text != '\0'; text++) {
		char c = upper(*text);

		if (!(c >= 'A' && c <= 'Z') && !(c >= '2' && c <= '7'))
			return false;
	}
	return true;
}

/* The text up to its first NUL; what lies behind that is of no matter. */
static int
take_text(char to[RFB_REPEATER_TEXT_MAX + 1], const uint8_t *from, size_t cap)
{
	const uint8_t *end = memchr(from, '\0', cap);
	size_t n = end != NULL ? (size_t)(end - from) : cap;

	if (n > RFB_REPEATER_TEXT_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < n; i++)
		if (from[i] < 0x20 || from[i] > 0x7e)
			return ERR_PROTOCOL;
	memcpy(to, from, n);
	to[n] = '\0';
	return 0;
}

/* Splits hello->text into name and secret. */
static int
split(struct rfb_repeater_hello *hello)
{
	const char *dash = strrchr(hello->text, '-');
	size_t n = strlen(hello->text), k = 0;

	if (dash != NULL && strlen(dash + 1) >= RFB_REPEATER_SECRET_MIN &&
	    is_base32(dash + 1)) {
		n = (size_t)(dash - hello->text);
		for (dash++; *dash != '\0'; dash++)
			hello->secret[k++] = upper(*dash);
	}
	hello->secret[k] = '\0';
	for (size_t i = 0; i < n; i++)
		hello->endpoint[i] = lower(hello->text[i]);
	hello->endpoint[n] = '\0';
	return n != 0 ? 0 : ERR_PROTOCOL;
}

int
rfb_repeater_parse(struct rfb_repeater_hello *hello, const uint8_t *data,
    size_t len, size_t *used)
{
	int rc;

	*used = 0;
	if (len == 0)
		return RFB_REPEATER_MORE;
	if (memcmp(data, "RFB ", min_size(len, PEEK_LEN)) == 0)
		return len < PEEK_LEN ? RFB_REPEATER_MORE : RFB_REPEATER_PLAIN;
	if (memcmp(data, "ID:", min_size(len, PREFIX_LEN)) != 0)
		return ERR_PROTOCOL;
	if (len < RFB_REPEATER_LEN)
		return RFB_REPEATER_MORE;
	rc = take_text(
	    hello->text, data + PREFIX_LEN, RFB_REPEATER_LEN - PREFIX_LEN);
	if (rc == 0)
		rc = split(hello);
	if (rc != 0)
		return rc;
	*used = RFB_REPEATER_LEN;
	return RFB_REPEATER_ID;
}
