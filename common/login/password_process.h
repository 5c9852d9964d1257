/*
 * Password hashes are made and checked in child processes. Argon2id maps and
 * fills 64 MB for each, and meanwhile whoever maps or unmaps memory of the same
 * process waits for the kernel's lock on its address space: an event loop
 * waited for most of a second for a thread of low priority. A child has an
 * address space of its own, holds no key, and ends with its parent.
 */
#ifndef COMMON_LOGIN_PASSWORD_PROCESS_H
#define COMMON_LOGIN_PASSWORD_PROCESS_H

#include <stddef.h>

#include "common/password.h"

#define PASSWORD_PROCESSES_MAX 64

/*
 * Starts n_known + n_strangers processes, at most PASSWORD_PROCESSES_MAX, that
 * run as the account user (NULL: as this one); the last n_strangers have a
 * lower priority. Before any thread or key exists. Returns 0, or ERR_IO: then
 * fewer were started, and password_process_check works all the same.
 */
int password_processes_start(
    unsigned n_known, unsigned n_strangers, const char *user);

/* Ends them all; no check may be under way. */
void password_processes_stop(void);

/*
 * password_check in process i; for each i one call at a time, from any thread.
 * Checks in this process where there is no process i, or no longer.
 */
int password_process_check(
    unsigned i, const char *hash, const char *password, size_t len);

/* password_hash, in the same way. */
int password_process_hash(
    unsigned i, const char *password, size_t len, char out[PASSWORD_HASH_MAX]);

#endif
