/*
 * The HTTPS server of a worker: evhttp behind the guard of http/guard.h, with
 * the bounds of common/tls_connections.h. Its port is shared with the other
 * workers (SO_REUSEPORT).
 */
#ifndef CONSOLE_SERVER_H
#define CONSOLE_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct evhttp_request;
struct server;
struct worker;

/* Returns 0, ERR_CONFIG with a sentence in err, or ERR_NOMEM. */
int server_new(
    struct server **out, struct worker *w, char *err, size_t err_len);
/* Reads the certificate again; when that fails the old one stays. */
void server_reload(struct server *s);
/* Accepts no further connection. */
void server_stop(struct server *s);
void server_free(struct server *s);

/* Somebody logged in on the connection of this request. False: there are too
 * many such connections. */
bool server_promote(struct server *s, struct evhttp_request *http);

#endif
