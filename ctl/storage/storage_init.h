/*
 * relaycam storage init: looks once at what the S3 server can do, and notes it
 * in store_abilities, so that storage uses it (M8). Blocking.
 */
#ifndef CTL_STORAGE_STORAGE_INIT_H
#define CTL_STORAGE_STORAGE_INIT_H

#include "ctl/args.h"
#include "ctl/ctl.h"

/* The command; its exit status. */
int storage_run_init(struct ctl *c, const struct args *a);

#endif
