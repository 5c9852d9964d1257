/*
 * VNC viewers of this machine, and how each is told where to connect.
 * Nothing secret goes on a command line, which everybody on the machine can
 * read. Order: viewer_find, viewer_fill, then viewer_print or viewer_run.
 */
#ifndef CTL_CONNECT_VIEWER_H
#define CTL_CONNECT_VIEWER_H

#include <stdbool.h>
#include <stdio.h>

#include "ctl/endpoint/relay_address.h"
#include "ctl/connect/viewer_kind.h"

#define VIEWER_ARGS_MAX  32
#define VIEWER_TEXT_MAX  16384 /* bytes of all words together */
#define VIEWER_PLACE_MAX (HOST_MAX + 16)

struct viewer {
	char path[4096];
	const struct viewer_kind *kind; /* NULL: args_template says all */
	const char *args_template;      /* --viewer-args, or NULL; borrowed */
	enum viewer_login login;
	char text[VIEWER_TEXT_MAX];
	size_t text_len;
	const char *argv[VIEWER_ARGS_MAX + 1]; /* ends with NULL */
};

/* Where it goes and what it checks; everything is borrowed. */
struct viewer_place {
	const char *host, *port;
	const char *user;
	const char *ca_file; /* "": the system's CAs */
	const char *profile; /* of VIEWER_PROFILE */
};

/* "host::port", as VNC viewers read it. */
void viewer_address(
    const char *host, const char *port, char out[VIEWER_PLACE_MAX]);

/*
 * The viewer to use: by name or path (what it is decides the rest), or the
 * first that is there of xtigervncviewer, vncviewer, gvncviewer,
 * remote-viewer and remmina and can do VeNCrypt. args_template: its words, as
 * --viewer-args has them; then any program will do. Returns 0 or
 * STATUS_FAILED after a message.
 */
int viewer_find(const char *name, const char *args_template, struct viewer *v);

/* Its command line. Returns 0 or STATUS_USAGE after a message. */
int viewer_fill(struct viewer *v, const struct viewer_place *place);

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
