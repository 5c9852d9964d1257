/* The end of a request: its answer is sent and it is freed. */
#ifndef CONSOLE_API_ANSWER_H
#define CONSOLE_API_ANSWER_H

struct request;

/* Frees without an answer: it was sent, or the client went away. */
void request_free(struct request *r);

#endif
