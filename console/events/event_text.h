/*
 * Texts of an event stream: what is sent, and what a client says about where
 * it was. Source: HTML Living Standard, section 9.2 "Server-sent events". No
 * I/O.
 */
#ifndef CONSOLE_EVENTS_EVENT_TEXT_H
#define CONSOLE_EVENTS_EVENT_TEXT_H

#include <stdbool.h>
#include <stdint.h>

struct evbuffer;

/* The number of an event as clients send it back: 1 to 18 digits. False: it
 * is none, and *id is left alone. */
bool event_id_parse(const char *text, int64_t *id);

/* Appends an event. data: a line. */
void event_text_add(
    struct evbuffer *out, int64_t id, const char *name, const char *data);

/* The next number of an array as PostgreSQL prints it, "{1,12}"; *at is moved
 * behind it. 0: there is none left. */
unsigned event_array_next(const char **at);

#endif
