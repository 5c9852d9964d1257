#include "common/uuid.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

bool
is_uuid(const char *s)
{
	for (size_t i = 0; i < UUID_LEN; i++) {
		bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
		bool digit = (s[i] >= '0' && s[i] <= '9') ||
		    (s[i] >= 'a' && s[i] <= 'f');

		if (hyphen ? s[i] != '-' : !digit)
			return false;
	}
	return s[UUID_LEN] == '\0';
}

static uint8_t
digit_value(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

void
uuid_bytes(const char *s, uint8_t out[UUID_BYTES])
{
	for (size_t i = 0; i < UUID_BYTES; i++, s += 2) {
		if (*s == '-')
			s++;
		out[i] = (uint8_t)(digit_value(s[0]) << 4 | digit_value(s[1]));
	}
}

char *
uuid_of_hash(const uint8_t hash[16], char out[UUID_TEXT_MAX])
{
	uint8_t b[16];

	memcpy(b, hash, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x80); /* version 8 */
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80); /* variant */
	snprintf(out, UUID_TEXT_MAX,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x%02x%02x%02x%02x",
	    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
	    b[11], b[12], b[13], b[14], b[15]);
	return out;
}
