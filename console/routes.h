/*
 * The one table of what can be asked for: method, path, the right it needs,
 * and the scope that a bearer token needs besides. docs/rights.md is printed
 * from it.
 */
#ifndef CONSOLE_ROUTES_H
#define CONSOLE_ROUTES_H

#include <event2/http.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct deprecation;
struct request;

enum right {
	RIGHT_ANYBODY,  /* without a login */
	RIGHT_PERSON,   /* anybody who logged in */
	RIGHT_VISIBLE,  /* control of the endpoint, or the session is one's own
			 */
	RIGHT_CONTROL,  /* control of the endpoint */
	RIGHT_PLAYBACK, /* control, and the playback role (T3) */
	RIGHT_KEEP,     /* playback, and manage (M7) */
	RIGHT_MANAGE,   /* manage of the endpoint */
	RIGHT_COMMAND,  /* manage, or control of one's own session */
	RIGHT_ADMIN,    /* admins and owners of the team */
	RIGHT_OWNER,    /* owners of the team */
	N_RIGHTS,
};

/* What {id} in a path names, as console_enter() of the schema knows it. */
enum object { OBJECT_NONE, OBJECT_SESSION, OBJECT_RECORDING, OBJECT_ENDPOINT };

struct route {
	enum evhttp_cmd_type method;
	const char *path; /* "/api/v1/sessions/{id}" */
	enum right right;
	enum object object;
	const char *scope; /* NULL: none, or no bearer token at all */
	bool cookie_only;  /* bearer tokens are refused */
	void (*run)(struct request *r);
	const char *what;                     /* for people */
	const struct deprecation *deprecated; /* NULL: it stays */
	/* It changes credentials: a cookie's login was confirmed lately
	 * (reauthentication_seconds), or the person is asked to. */
	bool needs_confirmed;
};

extern const struct route routes[];
extern const size_t n_routes;

/*
 * Finds the route of a method and a decoded path; {id} goes into id
 * (REQUEST_ID_MAX bytes), a {user} behind it into user (REQUEST_USER_MAX).
 * NULL: there is none; *has_path says whether another method would do.
 */
const struct route *route_find(enum evhttp_cmd_type method, const char *path,
    char *id, char *user, bool *has_path);

/* The methods that a path takes, as the field Allow has them (RFC 9110 section
 * 10.2.1). */
void route_methods(const char *path, char *out, size_t len);

/* Of object, as the schema names it; "" is none. */
const char *object_name(enum object o);

/* Markdown for docs/rights.md. */
void routes_print(FILE *f);

#endif
