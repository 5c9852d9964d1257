/*
 * One technician connected to one endpoint: from accept to the last byte.
 * The states and who moves them are in session.c; everything of a session
 * happens on its loop.
 */
#ifndef RELAY_SESSION_H
#define RELAY_SESSION_H

struct loop;
struct session;
struct sockaddr;

/* Takes fd. On failure the connection is closed and logged. */
void session_start(struct loop *l, int fd, const struct sockaddr *addr);

/* Ends it whatever it is doing; reason: for people. */
void session_end_by_command(struct session *s, const char *reason);

struct session *session_next(struct session *s);

#endif
