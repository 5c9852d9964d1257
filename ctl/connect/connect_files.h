/*
 * Files that `relaycam connect` hands to a viewer or browser. Nobody else on
 * this machine can read them at any moment.
 */
#ifndef CTL_CONNECT_CONNECT_FILES_H
#define CTL_CONNECT_CONNECT_FILES_H

#include <stddef.h>

#include "ctl/endpoint/relay_address.h"

/* ca_file "": the system's CAs. All return 0 or STATUS_FAILED after a
 * message. */

/* TigerVNC's own kind of file, at path. */
int connect_write_vnc(
    const char *path, const struct relay_address *r, const char *ca_file);

/* A page that leads to the browser viewer and logs in; its path goes into
 * path, which is len bytes long. */
int connect_write_page(
    const struct relay_address *r, const char *ticket, char *path, size_t len);

/* A profile of Remmina's with all but the password. */
int connect_write_profile(const struct relay_address *r, const char *user,
    const char *ca_file, char *path, size_t len);

#endif
