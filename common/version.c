#include "common/version.h"

#include <stdlib.h>

int
version_compare(const char *a, const char *b)
{
	for (;;) {
		char *end_a, *end_b;
		unsigned long x = strtoul(a, &end_a, 10);
		unsigned long y = strtoul(b, &end_b, 10);

		if (x != y)
			return x < y ? -1 : 1;
		a = end_a;
		b = end_b;
		if (*a != '.' && *b != '.')
			return 0;
		/* 0.1 is 0.1.0 */
		a += *a == '.';
		b += *b == '.';
	}
}
