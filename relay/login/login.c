#include "relay/login/login.h"

#include <ctype.h>
#include <stdlib.h>
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

static int
take_monitor(unsigned *monitor, const char *text)
{
	char *end;
	unsigned long n;

	if (text[0] < '0' || text[0] > '9')
		return ERR_LIMIT;
	n = strtoul(text, &end, 10);
	if (*end != '\0' || n > LOGIN_MONITOR_MAX)
		return ERR_LIMIT;
	*monitor = (unsigned)n;
	return 0;
}

int
login_target_parse(struct login_name *n, const char *text)
{
	const char *plus = strchr(text, '+');
	const char *slash = strchr(text, '/');
	const char *end = plus != NULL ? plus : text + strlen(text);
	const char *name_end = slash != NULL && slash < end ? slash : end;
	int rc = take_part(n->endpoint, text, (size_t)(name_end - text));

	n->display[0] = '\0';
	n->monitor = 0;
	if (rc == 0 && name_end != end)
		rc =
		    take_part(n->display, slash + 1, (size_t)(end - slash - 1));
	if (rc == 0 && plus != NULL)
		rc = take_monitor(&n->monitor, plus + 1);
	return rc;
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
		rc = login_target_parse(n, sign + 1);
	if (rc != 0)
		memset(n, 0, sizeof(*n)); /* half a name may be somebody's */
	return rc;
}

bool
login_is_code(const char *endpoint)
{
	return strlen(endpoint) == 9 && strspn(endpoint, "0123456789") == 9;
}
