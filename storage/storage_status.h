/* /metrics (Prometheus text), /healthz and /readyz over clear HTTP. */
#ifndef STORAGE_STORAGE_STATUS_H
#define STORAGE_STORAGE_STATUS_H

#include <stddef.h>

struct daemon;
struct status;

/* Sets d->status. 0, ERR_NOMEM or ERR_CONFIG with err. */
int status_new(struct daemon *d, char *err, size_t err_len);
void status_free(struct status *s);

#endif
