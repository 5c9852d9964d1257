#include "common/db_url.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

/* Options of url, or of nothing where it is not understood. */
static PQconninfoOption *
parse(const char *url)
{
	char *why = NULL;
	PQconninfoOption *list = PQconninfoParse(url != NULL ? url : "", &why);

	PQfreemem(why);
	return list;
}

static const PQconninfoOption *
find(const PQconninfoOption *list, const char *key)
{
	for (const PQconninfoOption *o = list; o != NULL && o->keyword; o++)
		if (strcmp(o->keyword, key) == 0)
			return o;
	return NULL;
}

static const char *
value_of(const PQconninfoOption *list, const char *key)
{
	const PQconninfoOption *o = find(list, key);

	return o != NULL && o->val != NULL && *o->val != '\0' ? o->val : NULL;
}

/* Appends key='value' with what libpq wants escaped; returns the new end. */
static char *
put(char *at, const char *key, const char *value)
{
	at += sprintf(at, "%s='", key);
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '\'' || *p == '\\')
			*at++ = '\\';
		*at++ = *p;
	}
	*at++ = '\'';
	*at++ = ' ';
	*at = '\0';
	return at;
}

static char *
join(const PQconninfoOption *list, const char *user)
{
	size_t len = sizeof("user='' ") + 2 * strlen(user);
	char *text, *at;

	for (const PQconninfoOption *o = list; o->keyword != NULL; o++)
		if (o->val != NULL)
			len += strlen(o->keyword) + 2 * strlen(o->val) + 4;
	text = malloc(len);
	if (text == NULL)
		return NULL;
	at = put(text, "user", user);
	for (const PQconninfoOption *o = list; o->keyword != NULL; o++)
		if (o->val != NULL && strcmp(o->keyword, "user") != 0)
			at = put(at, o->keyword, o->val);
	return text;
}

char *
db_url_as(const char *url, const char *user)
{
	PQconninfoOption *list = NULL;
	char *text;

	if (user != NULL && *user != '\0' && strchr(url, '=') == NULL &&
	    strstr(url, "://") == NULL)
		return join(
		    (PQconninfoOption[]){
			{ .keyword = "dbname", .val = (char *)(uintptr_t)url },
			{ 0 } },
		    user); /* a bare name is a database's */
	if (user != NULL && *user != '\0')
		list = parse(url);
	text = list != NULL ? join(list, user) : strdup(url);
	PQconninfoFree(list);
	return text;
}

int
db_url_set_user(char **url, const char *user)
{
	char *text;

	if (*url == NULL || user == NULL || *user == '\0')
		return 0;
	text = db_url_as(*url, user);
	if (text == NULL)
		return ERR_NOMEM;
	wipe(*url, strlen(*url));
	free(*url);
	*url = text;
	return 0;
}

char *
db_url_user(const char *url)
{
	PQconninfoOption *list = parse(url);
	const char *env = getenv("PGUSER");
	const char *user = value_of(list, "user");
	char *copy = NULL;

	if (user == NULL && env != NULL && *env != '\0')
		user = env;
	if (user != NULL)
		copy = strdup(user);
	PQconninfoFree(list);
	return copy;
}

/* libpq reads a line of a service file without the space at its end. */
static bool
fits_line(const char *value)
{
	size_t len = strlen(value);

	return strchr(value, '\n') == NULL &&
	    !isspace((unsigned char)value[len - 1]);
}

/* Appends the options of list, but for those that over has. False: a value
 * cannot be said in a service file. */
static bool
print_options(
    FILE *f, const PQconninfoOption *list, const PQconninfoOption *over)
{
	for (const PQconninfoOption *o = list; o->keyword != NULL; o++) {
		const char *value = value_of(list, o->keyword);

		if (value == NULL || value_of(over, o->keyword) != NULL ||
		    strcmp(o->keyword, "service") == 0)
			continue;
		if (!fits_line(value))
			return false;
		fprintf(f, "%s=%s\n", o->keyword, value);
	}
	return true;
}

/*
 * Does a service file define it? PQconndefaults leaves out what it cannot find
 * without a word. A connection that has no valid sslmode ends before libpq
 * opens a socket; it has a user only when its service was found.
 */
static bool
is_defined(const char *service)
{
	const char *const keys[] = { "service", "user", "sslmode", NULL };
	const char *const values[] = { service, "nobody", "none", NULL };
	PGconn *c = PQconnectStartParams(keys, values, 0);
	bool is_found = c != NULL && PQuser(c) != NULL;

	PQfinish(c);
	return is_found;
}

/* What service says, and the environment; NULL for memory. */
static PQconninfoOption *
options_of_service(const char *service)
{
	return setenv("PGSERVICE", service, 1) == 0 ? PQconndefaults() : NULL;
}

char *
db_url_service(
    const char *url, const char *user, const char *name, const char **why)
{
	char *conninfo = db_url_as(url, user), *text = NULL;
	PQconninfoOption *list = NULL, *more = NULL;
	const char *service;
	size_t len = 0;
	FILE *f = NULL;
	bool ok = false;

	*why = "out of memory";
	if (conninfo == NULL)
		goto out;
	list = parse(conninfo);
	*why = "libpq does not understand it";
	if (list == NULL)
		goto out;
	service = value_of(list, "service");
	*why = "no service file that libpq reads defines its service "
	       "(PGSERVICEFILE, ~/.pg_service.conf, pg_service.conf)";
	if (service != NULL && !is_defined(service))
		goto out;
	*why = "out of memory";
	if (service != NULL)
		more = options_of_service(service);
	f = open_memstream(&text, &len);
	if (f == NULL || (service != NULL && more == NULL))
		goto out;
	fprintf(f, "[%s]\n", name);
	*why = "a value of it has a line feed or ends with a space";
	ok = print_options(f, list, NULL) &&
	    (more == NULL || print_options(f, more, list));
out:
	if (f != NULL && (fclose(f) != 0 || !ok)) {
		if (text != NULL)
			wipe(text, strlen(text));
		free(text);
		text = NULL;
	}
	if (conninfo != NULL)
		wipe(conninfo, strlen(conninfo));
	free(conninfo);
	PQconninfoFree(list);
	PQconninfoFree(more);
	return text;
}

/* A list of hosts with at least one that is no folder of a socket. */
static bool
has_tcp(const char *hosts)
{
	size_t len;

	for (const char *p = hosts; p != NULL && *p != '\0'; p += len) {
		p += *p == ',';
		len = strcspn(p, ",");
		if (len > 0 && *p != '/' && *p != '@')
			return true;
	}
	return false;
}

enum db_url_tls
db_url_judge(const char *url, char *mode, size_t mode_len)
{
	PQconninfoOption *list = parse(url);
	PQconninfoOption *preset = PQconndefaults(); /* environment, service */
	const char *sslmode = value_of(list, "sslmode");
	const char *host = value_of(list, "host");
	bool is_tcp = has_tcp(value_of(list, "hostaddr"));

	if (host == NULL)
		host = value_of(preset, "host");
	if (sslmode == NULL)
		sslmode = value_of(preset, "sslmode");
	is_tcp |= has_tcp(host) || has_tcp(value_of(preset, "hostaddr"));
	snprintf(mode, mode_len, "%s", sslmode != NULL ? sslmode : "prefer");
	PQconninfoFree(list);
	PQconninfoFree(preset);
	if (!is_tcp)
		return DB_URL_LOCAL;
	return strcmp(mode, "verify-full") == 0 ? DB_URL_VERIFIED
						: DB_URL_UNVERIFIED;
}
