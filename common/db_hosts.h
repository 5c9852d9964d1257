/*
 * The hosts of a libpq connection string, one at a time. libpq by itself goes
 * on to the next host only when one refuses in words: without blocking, a
 * silent host is waited for without end, and a full one (SQLSTATE 53300) ends
 * the attempt. So each attempt names one host, and the next attempt begins
 * one host further. Source: libpq 34.1.1.3, "Specifying Multiple Hosts".
 *
 * Reads the environment and service files as libpq does; no network. Not
 * thread-safe.
 */
#ifndef COMMON_DB_HOSTS_H
#define COMMON_DB_HOSTS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#define DB_HOSTS_MAX 64 /* more are not tried */

struct db_hosts;

/*
 * url: a connection string, URI or name of a database, copied. A string that
 * libpq does not understand counts as one host, so that the attempt says what
 * is wrong. program: application_name unless url has one, static.
 * NULL only for memory.
 */
struct db_hosts *db_hosts_new(const char *url, const char *program);
void db_hosts_free(struct db_hosts *h);

/* Attempts that make a round: the hosts, twice with prefer-standby. 1 or
 * more. */
size_t db_hosts_count(const struct db_hosts *h);
/* Goes to the next host, after the last one to the first. */
void db_hosts_next(struct db_hosts *h);

/* The host that is tried now, for logs: name, address, folder of a socket, or
 * "" for libpq's default. Borrowed until db_hosts_next. */
const char *db_hosts_name(const struct db_hosts *h);
/* Its name when it has to be looked up before connecting; NULL: a socket, an
 * address, or unknown. Borrowed until db_hosts_next. */
const char *db_hosts_to_resolve(const struct db_hosts *h);
/* connect_timeout of url or PGCONNECT_TIMEOUT in seconds; preset when unset
 * or zero. At least 1. */
unsigned db_hosts_timeout(const struct db_hosts *h, unsigned preset);

/*
 * Begins to connect to that host (PQconnectStart). address: what its name was
 * resolved to; NULL: libpq resolves it. user_timeout_ms: tcp_user_timeout
 * unless url has one. As PQconnectStart: NULL for memory, else PQfinish.
 */
PGconn *db_hosts_start(
    const struct db_hosts *h, const char *address, unsigned user_timeout_ms);

/*
 * For programs that may block: tries each host once, for timeout seconds
 * each unless url says how long. Returns the first that answers, or the last
 * failure; NULL for memory. why: then what each host said, at most why_len
 * bytes with the NUL.
 */
PGconn *db_hosts_connect(
    struct db_hosts *h, unsigned timeout, char *why, size_t why_len);

#endif
