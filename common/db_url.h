/*
 * What a libpq connection string says, and the same for another user. No
 * network; reads the environment and service files where that is said.
 * Source: libpq chapter 34.1.1 and 34.19 (SSL support).
 */
#ifndef COMMON_DB_URL_H
#define COMMON_DB_URL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The connection string for user instead of its own. url: a string or URI.
 * user: NULL or "" leaves it as it is, and so does a url that libpq does not
 * understand, because connecting says what is wrong with it. Heap; NULL only
 * for memory. It may hold a password.
 */
char *db_url_as(const char *url, const char *user);

/* The same in place: *url is heap and replaced. 0 or ERR_NOMEM. */
int db_url_set_user(char **url, const char *user);

/* The user of url, or of the environment; heap, NULL: none is named. */
char *db_url_user(const char *url);

/*
 * The connection that url and user (as db_url_as) describe as the section
 * [name] of a service file (libpq chapter 34.17), for programs that are to
 * have no password among their arguments. Looks up a service that url names,
 * since a section cannot name another one; that sets PGSERVICE of this
 * process. Heap, wiped by the owner, it may hold a password. NULL: libpq
 * does not understand url, no service file defines the service, a value has a
 * line feed or a space at its end, or there is no memory; *why: a static
 * sentence.
 */
char *db_url_service(
    const char *url, const char *user, const char *name, const char **why);

enum db_url_tls {
	DB_URL_LOCAL,      /* Unix sockets only: nothing passes a network */
	DB_URL_VERIFIED,   /* over TCP, sslmode=verify-full */
	DB_URL_UNVERIFIED, /* over TCP, anything less */
};

/*
 * How connections by url are protected, with what the environment adds.
 * mode: receives the sslmode in force. A url that libpq does not understand
 * counts as local.
 */
enum db_url_tls db_url_judge(const char *url, char *mode, size_t mode_len);

#endif
