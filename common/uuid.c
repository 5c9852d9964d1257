#include "common/uuid.h"

#include <stddef.h>

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
