#include "ctl/doctor/remedy.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "common/bytes.h"

const char *
remedy_of_errno(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return "run relaycam as the account that may (usually that of "
		       "the daemons), or change owner and mode";
	case ENOENT:
		return "give a path that exists";
	case ENOTDIR:
	case EISDIR:
		return "give a file where a file is meant, a folder where a "
		       "folder is";
	case ENOSPC:
	case EDQUOT:
		return "free disk space";
	case EROFS:
		return "give a path on a file system that can be written";
	case ELOOP:
	case ENAMETOOLONG:
		return "give another path";
	case EMFILE:
	case ENFILE:
		return "raise the limit of open files (ulimit -n)";
	case ENOMEM:
	case EAGAIN:
		return "try again when the machine has memory";
	case ETXTBSY:
	case EBUSY:
		return "try again when it is not in use";
	case EEXIST:
		return "remove it, or give another path";
	case ENOEXEC:
		return "give a program of this machine";
	default:
		return "look at the disk and at the system's log";
	}
}

const char *
remedy_of_connection(const char *why)
{
	static const struct {
		const char *text, *remedy;
	} known[] = {
		{ "Peer authentication failed",
		    "run relaycam as the account of the daemons, or let this "
		    "account in (pg_hba.conf, pg_ident.conf)" },
		{ "no pg_hba.conf entry",
		    "let this machine and role in (pg_hba.conf)" },
		{ "password authentication failed",
		    "correct the password in [database] url or ~/.pgpass" },
		{ "no password supplied",
		    "give the password in [database] url or ~/.pgpass" },
		{ "role \"",
		    "run relaycam as the account of the daemons, or make the "
		    "roles: relaycam migrate --roles | psql" },
		{ "database \"",
		    "make it (createdb), or correct [database] url" },
		{ "could not translate host name",
		    "correct the host in [database] url, or look at DNS" },
		{ "certificate verify failed",
		    "name the CA of PostgreSQL's certificate: sslrootcert in "
		    "[database] url" },
		{ "server certificate for",
		    "name the host in [database] url as the certificate "
		    "does" },
		{ "too many clients", "raise max_connections of PostgreSQL" },
		{ "remaining connection slots",
		    "raise max_connections of PostgreSQL" },
		{ "starting up", "try again in a moment" },
		{ "shutting down", "start PostgreSQL again" },
		{ "Permission denied",
		    "run relaycam as the account of the daemons" },
	};

	for (size_t i = 0; i < N_ELEMENTS(known); i++)
		if (strstr(why, known[i].text) != NULL)
			return known[i].remedy;
	return "start PostgreSQL, or correct [database] url";
}

const char *
remedy_of_sqlstate(const char *sqlstate)
{
	static const struct {
		const char *state, *remedy;
	} known[] = {
		{ "42501",
		    "the role that relaycam logs in as lacks a right: run "
		    "\"relaycam migrate\", which gives them" },
		{ "42P01", "run \"relaycam migrate\"" },
		{ "42703", "run \"relaycam migrate\"" },
		{ "42883", "run \"relaycam migrate\"" },
		{ "25006",
		    "this host is a standby: add "
		    "target_session_attrs=read-write to [database] url" },
		{ "53100", "free disk space on the database's machine" },
		{ "53200", "give PostgreSQL more memory" },
		{ "57014", "it took too long or was cancelled: try again" },
		{ "57P01", "PostgreSQL is being stopped: try again" },
		{ "40001", "try again" },
		{ "40P01", "try again" },
	};

	for (size_t i = 0; i < N_ELEMENTS(known); i++)
		if (strcmp(sqlstate, known[i].state) == 0)
			return known[i].remedy;
	return NULL;
}
