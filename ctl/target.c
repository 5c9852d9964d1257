#include "ctl/target.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/pg.h"

/* A name of 1 to 63 characters; capitals are made small. */
static bool
take_name(char out[NAME_TEXT_MAX], const char *from, size_t len)
{
	if (len == 0 || len >= NAME_TEXT_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char ch = (unsigned char)from[i];

		if (!isalnum(ch) && strchr("._-", ch) == NULL)
			return false;
		out[i] = (char)tolower(ch);
	}
	out[len] = '\0';
	return true;
}

/* "+2"; 0 is all monitors. */
static bool
is_monitor(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n >= 1 && n <= 2 && s[n] == '\0' && atoi(s) <= MONITOR_MAX;
}

static bool
take_rest(struct target *t, const char *s)
{
	char display[NAME_TEXT_MAX] = "";
	const char *plus = strchr(s, '+');
	size_t len = plus != NULL ? (size_t)(plus - s) : strlen(s);

	if (len > 0 && !take_name(display, s + 1, len - 1))
		return false;
	if (plus != NULL && !is_monitor(plus + 1))
		return false;
	snprintf(t->rest, sizeof(t->rest), "%s%s%s", len > 0 ? "/" : "",
	    display, plus != NULL ? plus : "");
	return true;
}

static bool
parse(struct target *t, char person[NAME_TEXT_MAX], const char *text)
{
	size_t sign = strcspn(text, "@:#");
	const char *name = text + sign + (text[sign] != '\0');
	size_t len = strcspn(name, "/+");

	return text[sign] != '\0' && take_name(person, text, sign) &&
	    take_name(t->endpoint, name, len) && take_rest(t, name + len);
}

static int
find_endpoint(struct ctl *c, struct target *t)
{
	PGresult *res = PG_QUERY(c,
	    "SELECT id FROM endpoints WHERE team_id = $1 AND name = $2 "
	    "AND deleted_at IS NULL",
	    t->person.team_id, t->endpoint);
	int rc = 0;

	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) == 1)
		snprintf(t->endpoint_id, sizeof(t->endpoint_id), "%s",
		    PQgetvalue(res, 0, 0));
	else if (name_is_code(t->endpoint))
		rc = ctl_error("%s looks like a session code: those are used "
			       "with the person's own password, in any viewer",
		    t->endpoint);
	else
		rc = ctl_error("the team of %s has no endpoint \"%s\"; "
			       "\"relaycam endpoint list\" lists them",
		    t->person.name, t->endpoint);
	PQclear(res);
	return rc;
}

int
target_find(struct ctl *c, const char *text, struct target *t)
{
	char person[NAME_TEXT_MAX];
	int rc;

	memset(t, 0, sizeof(*t));
	if (!parse(t, person, text))
		return ctl_usage("\"%s\": expected PERSON@ENDPOINT, with "
				 "/DISPLAY and +MONITOR (0 to 64) as in "
				 "alice@desk1/second+2",
		    text);
	rc = person_find(c, person, &t->person);
	if (rc == 0)
		rc = find_endpoint(c, t);
	snprintf(
	    t->user, sizeof(t->user), "%s@%s%s", person, t->endpoint, t->rest);
	return rc;
}
