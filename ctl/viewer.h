/*
 * VNC viewers of this machine, and how each is told where to connect.
 * Nothing secret goes on a command line, which everybody on the machine can
 * read.
 */
#ifndef CTL_VIEWER_H
#define CTL_VIEWER_H

#include <stdbool.h>
#include <stdio.h>

#include "ctl/relay_address.h"

#define VIEWER_ARGS_MAX  8
#define VIEWER_PLACE_MAX (HOST_MAX + 16)

struct viewer {
	char path[4096];
	bool takes_environment; /* VNC_USERNAME, VNC_PASSWORD: TigerVNC */
	char place[VIEWER_PLACE_MAX];
	const char *argv[VIEWER_ARGS_MAX]; /* ends with NULL; borrowed */
};

/* "host::port", as VNC viewers read it. */
void viewer_place(const struct relay_address *r, char out[VIEWER_PLACE_MAX]);

/*
 * The viewer to use: by name or path, or the first that is there of
 * xtigervncviewer, vncviewer, gvncviewer. ca_file: NULL or "": the system's
 * CAs. r and ca_file are borrowed until the viewer is started.
 * Returns 0 or STATUS_FAILED after a message.
 */
int viewer_find(const char *name, const struct relay_address *r,
    const char *ca_file, struct viewer *v);

/* The browser, or rather what opens one: xdg-open. Same returns. */
int viewer_find_browser(struct viewer *v, const char *what);

/* Prints the command line, quoted for a shell. */
void viewer_print(const struct viewer *v, FILE *f);

/*
 * Becomes the viewer. Returns only when that fails: STATUS_FAILED after a
 * message.
 */
int viewer_run(struct viewer *v, const char *user, const char *password);

/* text as one word of a shell. */
void viewer_quote(FILE *f, const char *text);

#endif
