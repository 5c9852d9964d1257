/*
 * Files in a session's folder whose manifest names another session: a
 * recorder that was taken over wrote it, or somebody put it there by hand.
 * They are set aside in SPOOL/quarantine/SESSION/ for somebody to look at, and
 * the audit log says so first (X4, X7). One loop.
 */
#ifndef STORAGE_SPOOL_QUARANTINE_H
#define STORAGE_SPOOL_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>

#include "storage/spool/spool_folder.h"

struct daemon;

/* What is set aside; strings are copied, kinds is static. */
struct quarantine {
	const char *folder, *id;
	const char *named; /* the session in its manifest */
	const struct spool_suffix *kinds;
	size_t n_kinds;
	const char *manifest; /* the suffix that is moved last */
	/* once: whether it was moved; false also when the daemon exits */
	void (*done)(void *arg, bool is_moved);
	void *arg;
};

/*
 * Whether a manifest's session is wrong there. folder "": any is right, as
 * older versions had one folder for all.
 */
bool quarantine_is_due(const char *folder, const char *session);

/*
 * Writes the audit row; a row in segments that says it is still to come says
 * `missing`. Then moves the files. When it died in between, what is left is
 * found and moved again. Returns 0, or an error of db_query_now; then done is
 * not called.
 */
int quarantine_start(struct daemon *d, const struct quarantine *q);

#endif
