/*
 * Passwords from people: typed without echo, from a file, from standard
 * input, or made up here. Never from the command line, which everybody on
 * the machine can read.
 */
#ifndef CTL_TEAM_SECRET_H
#define CTL_TEAM_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "ctl/args.h"
#include "ctl/ctl.h"

#define SECRET_MAX 1024 /* bytes; what VeNCrypt Plain allows, docs/rfb.md */

struct secret {
	char text[SECRET_MAX + 1];
	size_t len;
};

/* Rows for the option table of a command that takes a password. */
#define OPTS_SECRET                                                            \
	{ "password-file", "FILE", "password: the first line of this file" },  \
	{                                                                      \
		"password-stdin", NULL, "password: a line of standard input"   \
	}

/* True when one of the options of OPTS_SECRET was given. */
bool secret_is_given(const struct args *a);

/*
 * The password by these options, or typed (twice) when none is given.
 * min: the least number of characters. Returns 0 or a status after a
 * message. Wipe with secret_wipe in either case.
 */
int secret_read(
    const struct args *a, const char *whose, size_t min, struct secret *s);

/* A random password of 20 letters and digits (119 bits). */
void secret_generate(struct secret *s);

void secret_wipe(struct secret *s);

/* Opens one that was sealed, hex of it, into s. Returns 0; ERR_CORRUPT, or an
 * error of keyfile_read, without a message. */
int secret_open(const struct ctl *c, const char *hex, struct secret *s);

/* The password sealed with the installation's key (common/password.h), as
 * bytea text ("\x..."), heap. NULL after a message. */
char *secret_seal(const struct ctl *c, const struct secret *s);

#endif
