/*
 * Which viewer a program is, whatever it is called: "vncviewer" may be any of
 * four. A program's file is searched for what only this viewer contains; a
 * wrapper, such as a script, is asked for its version.
 */
#ifndef CTL_CONNECT_VIEWER_KIND_H
#define CTL_CONNECT_VIEWER_KIND_H

/* How it logs in. */
enum viewer_login {
	VIEWER_ENVIRONMENT,  /* VNC_USERNAME and VNC_PASSWORD */
	VIEWER_ASKS,         /* a person types user name and password */
	VIEWER_VNC_PASSWORD, /* no more than 8 characters, over no TLS that
				the relay accepts: a one-time VNC password */
};

/* What it takes on its command line. */
enum viewer_words {
	VIEWER_TIGERVNC, /* options, "host::port" */
	VIEWER_DISPLAY,  /* "host:display" */
	VIEWER_PORT,     /* "host::port" */
	VIEWER_URI,      /* "vnc://host:port" */
	VIEWER_PROFILE,  /* "-c FILE": a profile of Remmina's */
};

struct viewer_kind {
	const char *name;
	const char *mark; /* bytes that only its program file has */
	const char *says; /* to --version without a screen */
	enum viewer_login login;
	enum viewer_words words;
};

/* path: absolute, executable. NULL: no viewer that is known. */
const struct viewer_kind *viewer_kind_of(const char *path);

/* "TigerVNC, gvncviewer, ..." */
const char *viewer_kind_names(void);

#endif
