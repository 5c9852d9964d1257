/*
 * Segments that are being recorded are sent to the store while they grow,
 * every storage.early_upload_seconds, where the store can take parts of a file
 * (store_ops.early). What was sent is an upload that is not complete: the
 * transfer of the closed segment goes on with it, and lost_nodes.h makes a
 * recording of it when the node is lost. One loop.
 */
#ifndef STORAGE_SPOOL_EARLY_H
#define STORAGE_SPOOL_EARLY_H

#include <stdbool.h>

struct daemon;
struct early;
struct spool_segment;

/* Into d->early; NULL there: the store takes no parts, or the setting is 0.
 * 0 or ERR_NOMEM. */
int early_new(struct daemon *d);
/* Nothing may be under way in the store. */
void early_free(struct early *e);

/* Parts of it are being sent: its transfer has to wait. Its files are looked
 * at again when that ends. e may be NULL. */
bool early_is_busy(const struct early *e, const char *segment);
/* Some of that closed segment may have been sent, by whatever process. */
bool early_may_have_begun(const struct spool_segment *sg);

#endif
