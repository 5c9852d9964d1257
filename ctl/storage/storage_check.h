/* relaycam storage: what is kept, and whether it is as it should be. */
#ifndef CTL_STORAGE_STORAGE_CHECK_H
#define CTL_STORAGE_STORAGE_CHECK_H

struct args;
struct ctl;

/* Something differs: the exit status of "storage check" then. */
#define STATUS_DIFFERS 3

int storage_run_check(struct ctl *c, const struct args *a);

#endif
