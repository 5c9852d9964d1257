/*
 * store_ops.list of the folder store: a walk through the folders in the order
 * of the keys, which begins anew for each page, so that nothing has to be kept
 * between two of them. Reads on a worker thread; memory for one page in each
 * folder on the way.
 */
#ifndef STORAGE_STORE_FOLDER_LIST_H
#define STORAGE_STORE_FOLDER_LIST_H

#include "storage/store/store.h"

struct folder_mark;

/* mark: whose folder; the answer is ERR_UNAVAILABLE where that is not there.
 * n_jobs counts it while it is under way. */
int folder_list_start(const struct folder_mark *mark, struct workers *workers,
    int64_t *n_jobs, const char *after, store_list_cb *cb, void *arg);

#endif
