/*
 * The HTTP server of a daemon's /metrics, /healthz and /readyz: clear text,
 * one request per connection. Everything is bounded: the head of a request,
 * no body, connections in total and per address (the oldest of the address
 * that holds most is closed, common/connection_limit.h), and the life of a
 * connection from accepting to closing. On the loop of its base.
 */
#ifndef COMMON_METRICS_SERVER_H
#define COMMON_METRICS_SERVER_H

#include <stddef.h>

#define METRICS_CONNECTIONS             64
#define METRICS_CONNECTIONS_PER_ADDRESS 32
#define METRICS_LIFE_SECONDS            10

struct event_base;
struct metrics_out;
struct metrics_server;

struct metrics_page {
	const char *path; /* "/metrics"; static */
	/* Prints metrics (common/metrics_print.h) or writes text into
	 * out->body, and returns the status: 200 or 503. */
	unsigned (*print)(void *arg, struct metrics_out *out);
};

/* The page of /healthz: the loop turns, which is all that a probe for restarts
 * should ask. */
unsigned metrics_print_healthz(void *arg, struct metrics_out *out);

struct metrics_server_conf {
	const char *setting; /* static; its name, for err and the log */
	const char *listen;  /* "127.0.0.1:9091", "[::]:9091" or ":9091" */
	const struct metrics_page *pages; /* static */
	size_t n_pages;
	void *arg; /* of print */
};

/* Returns 0, ERR_CONFIG with a sentence in err, or ERR_NOMEM (the same). */
int metrics_server_new(struct metrics_server **out, struct event_base *base,
    const struct metrics_server_conf *conf, char *err, size_t err_len);
/* Closes all connections. Accepts NULL. */
void metrics_server_free(struct metrics_server *s);

#endif
