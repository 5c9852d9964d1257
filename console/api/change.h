/*
 * Changes that a function of the schema makes: f(who, origin, body), which
 * writes the audit entries too and answers with console_result. who is the
 * person's number, NULL while nobody has logged in; origin says from where and
 * by which door.
 */
#ifndef CONSOLE_API_CHANGE_H
#define CONSOLE_API_CHANGE_H

#include <libpq-fe.h>

struct request;

/*
 * Calls the function with the request's body and answers. status: when it is
 * done; 204 has no body. The number that {id} of the path stands for is the
 * body's member "id".
 */
void change_run(struct request *r, const char *function, unsigned status);

/*
 * The same, for handlers with something to add: on_done is called with the
 * answer (JSON text) once the change is made, and answers the request.
 */
void change_then(struct request *r, const char *function,
    void (*on_done)(struct request *r, const char *answer));

/* Answers with the JSON of a single row's first column; no row: 404. */
void change_show(struct request *r, PGresult *res);

#endif
