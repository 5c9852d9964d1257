/* /metrics, /healthz and /readyz, for all workers together. On the
 * supervisor's loop. */
#ifndef CONSOLE_STATUS_H
#define CONSOLE_STATUS_H

#include <stddef.h>

struct console_conf;
struct event_base;
struct shared;
struct status;

/* n: workers. Returns 0, ERR_CONFIG with a sentence in err, or ERR_NOMEM. */
int status_new(struct status **out, struct event_base *base,
    const struct console_conf *conf, struct shared *shared, unsigned n,
    char *err, size_t err_len);
/* It is not ready any more. */
void status_stopping(struct status *s);
void status_free(struct status *s);

#endif
