#include "relay/login.h"

#include <ctype.h>
#include <string.h>

#include "common/err.h"

static int
take_part(char *to, const char *from, size_t len)
{
	if (len == 0 || len > LOGIN_PART_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)from[i];

		if (!isalnum(c) && c != '.' && c != '_' && c != '-')
			return ERR_LIMIT;
		to[i] = (char)tolower(c);
	}
	to[len] = '\0';
	return 0;
}

int
login_name_parse(struct login_name *n, const char *text)
{
	const char *sign = strpbrk(text, "@:#");
	int rc;

	memset(n, 0, sizeof(*n));
	if (sign == NULL)
		return ERR_NOTFOUND;
	rc = take_part(n->person, text, (size_t)(sign - text));
	if (rc == 0)
		rc = take_part(n->endpoint, sign + 1, strlen(sign + 1));
	if (rc != 0)
		memset(n, 0, sizeof(*n)); /* half a name may be somebody's */
	return rc;
}

uint32_t
login_delay_ms(uint64_t failures, double age_s)
{
	uint32_t ms = 500;

	if (failures == 0 || age_s > LOGIN_FORGET_S)
		return 0;
	for (uint64_t i = 1; i < failures && ms < LOGIN_DELAY_MAX_MS; i++)
		ms *= 2;
	return ms;
}
