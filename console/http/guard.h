/*
 * Puts the check of head_check.h in front of evhttp on one connection: bytes
 * that it refuses never reach evhttp's parser; the client gets the status and
 * the connection closes. For tls_connections_conf.opened and closed.
 */
#ifndef CONSOLE_HTTP_GUARD_H
#define CONSOLE_HTTP_GUARD_H

struct bufferevent;

/* counters: struct worker_counters, which counts the refusals as answers.
 * bev: before evhttp reads from it, and it outlives the guard's use of it.
 * NULL only for memory. */
void *guard_new(void *counters, struct bufferevent *bev);
/* After bev was freed. */
void guard_free(void *guard);

#endif
