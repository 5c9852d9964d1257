/*
 * store_ops.list of the folder store: a walk through the folders in the order
 * of the keys, which begins anew for each page, so that nothing has to be kept
 * between two of them. Reads on a worker thread; memory for one page in each
 * folder on the way.
 */
#ifndef STORAGE_STORE_FOLDER_LIST_H
#define STORAGE_STORE_FOLDER_LIST_H

#include "storage/store/store.h"

/* root: borrowed until the answer. n_jobs counts it while it is under way. */
int folder_list_start(int root, struct workers *workers, int64_t *n_jobs,
    const char *after, store_list_cb *cb, void *arg);

#endif
