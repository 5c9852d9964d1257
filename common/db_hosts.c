#include "common/db_hosts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMS_MAX 20
/* What an empty element of a list means to libpq, as Debian builds it. */
#define DEFAULT_HOST "/var/run/postgresql"
#define DEFAULT_PORT "5432"

struct host {
	char *name, *address, *port; /* heap; one of the first two is there */
};

struct db_hosts {
	char *url, *attrs; /* attrs: target_session_attrs as it was given */
	const char *program;
	struct host list[DB_HOSTS_MAX];
	size_t n; /* in list; 0: libpq's default, or not understood */
	size_t at;
	bool is_second; /* prefer-standby: any host will do now */
	bool has_keepalives, has_user_timeout;
	unsigned timeout;
};

/* NULL when s is NULL or empty, and for memory. */
static char *
copy(const char *s)
{
	return s != NULL && *s != '\0' ? strdup(s) : NULL;
}

/* Element i of a list "a,b,c"; heap; NULL: it is empty or not there. */
static char *
element(const char *list, size_t i)
{
	const char *end;

	for (; list != NULL && i > 0; i--) {
		list = strchr(list, ',');
		list += list != NULL;
	}
	if (list == NULL)
		return NULL;
	end = strchrnul(list, ',');
	return end > list ? strndup(list, (size_t)(end - list)) : NULL;
}

static size_t
n_elements(const char *list)
{
	size_t n = 1;

	if (list == NULL || *list == '\0')
		return 0;
	for (; *list != '\0'; list++)
		n += *list == ',';
	return n;
}

static const char *
value(const PQconninfoOption *o, const char *keyword)
{
	for (; o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val;
	return NULL;
}

/*
 * All settings as libpq resolves them, from url, environment and service
 * file: read from a connection that cannot begin, as it has a setting that
 * libpq refuses first.
 */
static PQconninfoOption *
resolved(const char *url)
{
	const char *const keys[] = { "dbname", "sslmode", NULL };
	const char *const values[] = { url, "unset", NULL };
	PGconn *c = PQconnectStartParams(keys, values, 1);
	PQconninfoOption *o = c != NULL ? PQconninfo(c) : NULL;

	PQfinish(c);
	return o;
}

static void
take_hosts(struct db_hosts *h, const PQconninfoOption *o)
{
	const char *hosts = value(o, "host"), *ports = value(o, "port");
	const char *addresses = value(o, "hostaddr");
	size_t n = n_elements(addresses), n_ports = n_elements(ports);

	if (n == 0)
		n = n_elements(hosts);
	/* libpq says what is wrong with lists that do not match */
	if ((n_elements(hosts) != 0 && n_elements(hosts) != n) ||
	    (n_ports > 1 && n_ports != n) || n > DB_HOSTS_MAX)
		return;
	for (size_t i = 0; i < n; i++) {
		h->list[i].name = element(hosts, i);
		h->list[i].address = element(addresses, i);
		h->list[i].port = element(ports, n_ports > 1 ? i : 0);
		if (h->list[i].name == NULL && h->list[i].address == NULL)
			h->list[i].name = strdup(DEFAULT_HOST);
		if (h->list[i].port == NULL)
			h->list[i].port = strdup(DEFAULT_PORT);
	}
	h->n = n;
}

/* What servers may be used: every program writes, so with several hosts one
 * that only reads is passed over unless somebody said otherwise. */
static char *
attrs_of(const struct db_hosts *h, const PQconninfoOption *o)
{
	const char *attrs = value(o, "target_session_attrs");
	PQconninfoOption *given;
	bool is_said;

	if (attrs == NULL || strcmp(attrs, "any") != 0)
		return copy(attrs);
	given = PQconninfoParse(h->url, NULL);
	is_said = value(given, "target_session_attrs") != NULL;
	PQconninfoFree(given);
	return strdup(is_said || h->n < 2 ? "any" : "read-write");
}

struct db_hosts *
db_hosts_new(const char *url, const char *program)
{
	struct db_hosts *h = calloc(1, sizeof(*h));
	PQconninfoOption *o;
	const char *timeout;

	if (h == NULL)
		return NULL;
	h->program = program;
	h->url = strdup(url);
	if (h->url == NULL) {
		free(h);
		return NULL;
	}
	o = resolved(url);
	take_hosts(h, o);
	h->attrs = attrs_of(h, o);
	timeout = value(o, "connect_timeout");
	h->timeout =
	    timeout != NULL && atoi(timeout) > 0 ? (unsigned)atoi(timeout) : 0;
	h->has_keepalives = value(o, "keepalives") != NULL ||
	    value(o, "keepalives_idle") != NULL;
	h->has_user_timeout = value(o, "tcp_user_timeout") != NULL;
	PQconninfoFree(o);
	return h;
}

void
db_hosts_free(struct db_hosts *h)
{
	if (h == NULL)
		return;
	for (size_t i = 0; i < h->n; i++) {
		free(h->list[i].name);
		free(h->list[i].address);
		free(h->list[i].port);
	}
	free(h->url);
	free(h->attrs);
	free(h);
}

static bool
prefers_standby(const struct db_hosts *h)
{
	return h->n > 1 && h->attrs != NULL &&
	    strcmp(h->attrs, "prefer-standby") == 0;
}

size_t
db_hosts_count(const struct db_hosts *h)
{
	return prefers_standby(h) ? 2 * h->n : h->n > 1 ? h->n : 1;
}

void
db_hosts_next(struct db_hosts *h)
{
	if (++h->at < h->n)
		return;
	h->at = 0;
	h->is_second = !h->is_second;
}

const char *
db_hosts_name(const struct db_hosts *h)
{
	const struct host *t = &h->list[h->at];

	return t->name != NULL ? t->name : t->address != NULL ? t->address : "";
}

const char *
db_hosts_to_resolve(const struct db_hosts *h)
{
	const char *name = h->list[h->at].name;
	struct in6_addr a;

	if (name == NULL || h->list[h->at].address != NULL || *name == '/' ||
	    *name == '@' || inet_pton(AF_INET, name, &a) == 1 ||
	    inet_pton(AF_INET6, name, &a) == 1)
		return NULL;
	return name;
}

unsigned
db_hosts_timeout(const struct db_hosts *h, unsigned preset)
{
	unsigned s = h->timeout != 0 ? h->timeout : preset;

	return s != 0 ? s : 1;
}

struct params {
	const char *keys[PARAMS_MAX], *values[PARAMS_MAX];
	size_t n;
};

/* libpq takes NULL and "" for not given. */
static void
add(struct params *p, const char *key, const char *value)
{
	p->keys[p->n] = key;
	p->values[p->n++] = value;
}

static const char *
attrs_now(const struct db_hosts *h)
{
	if (!prefers_standby(h))
		return h->attrs;
	return h->is_second ? "any" : "standby";
}

/* Keywords after dbname replace what url says of them. */
static void
fill(struct params *p, const struct db_hosts *h, const char *address,
    const char *user_timeout)
{
	const struct host *t = &h->list[h->at];

	add(p, "fallback_application_name", h->program);
	add(p, "dbname", h->url);
	add(p, "host", t->name);
	add(p, "hostaddr", address != NULL ? address : t->address);
	add(p, "port", t->port);
	add(p, "target_session_attrs", attrs_now(h));
	add(p, "client_encoding", "UTF8");
	if (!h->has_keepalives) {
		add(p, "keepalives_idle", "30");
		add(p, "keepalives_interval", "10");
		add(p, "keepalives_count", "3");
	}
	if (!h->has_user_timeout)
		add(p, "tcp_user_timeout", user_timeout);
}

PGconn *
db_hosts_start(
    const struct db_hosts *h, const char *address, unsigned user_timeout_ms)
{
	struct params p = { .n = 0 };
	char user_timeout[16];

	snprintf(user_timeout, sizeof(user_timeout), "%u", user_timeout_ms);
	fill(&p, h, address, user_timeout);
	add(&p, NULL, NULL);
	return PQconnectStartParams(p.keys, p.values, 1);
}

/* libpq ends its sentences with a line feed and may have several. */
static size_t
append(char *out, size_t len, size_t at, const char *text)
{
	if (at > 0 && at + 2 < len)
		at += (size_t)sprintf(out + at, "; ");
	for (; *text != '\0' && at + 1 < len; text++)
		if (*text != '\n' || text[1] != '\0')
			out[at++] =
			    *text == '\n' || *text == '\t' ? ' ' : *text;
	out[at] = '\0';
	return at;
}

PGconn *
db_hosts_connect(
    struct db_hosts *h, unsigned timeout, char *why, size_t why_len)
{
	char seconds[16];
	size_t at = 0;
	PGconn *c = NULL;

	snprintf(seconds, sizeof(seconds), "%u", db_hosts_timeout(h, timeout));
	why[0] = '\0';
	for (size_t i = 0; i < db_hosts_count(h); i++) {
		struct params p = { .n = 0 };

		PQfinish(c);
		fill(&p, h, NULL, NULL);
		add(&p, "connect_timeout", seconds);
		add(&p, NULL, NULL);
		c = PQconnectdbParams(p.keys, p.values, 1);
		if (c == NULL || PQstatus(c) == CONNECTION_OK)
			return c;
		at = append(why, why_len, at, PQerrorMessage(c));
		db_hosts_next(h);
	}
	return c;
}
