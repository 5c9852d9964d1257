/* "address:port" to a listening socket. */
#ifndef STORAGE_STORAGE_LISTENER_H
#define STORAGE_STORAGE_LISTENER_H

#include <stddef.h>

struct evhttp;
struct evhttp_bound_socket;

/*
 * Binds http to spec: "127.0.0.1:9091", "[::]:8444" or ":8444". setting:
 * its name, for err. Returns the socket or NULL and a sentence in err.
 */
struct evhttp_bound_socket *storage_listener_bind(struct evhttp *http,
    const char *setting, const char *spec, char *err, size_t err_len);

#endif
