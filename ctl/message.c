/* What relaycam says on standard error, and with which exit status. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/doctor/remedy.h"

static void
say(const char *fmt, va_list ap)
{
	fflush(stdout);
	fputs("relaycam: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

#define SAY_AND_RETURN(status)                                                 \
	do {                                                                   \
		va_list ap;                                                    \
                                                                               \
		va_start(ap, fmt);                                             \
		say(fmt, ap);                                                  \
		va_end(ap);                                                    \
		return (status);                                               \
	} while (0)

int
ctl_error(const char *fmt, ...)
{
	SAY_AND_RETURN(STATUS_FAILED);
}

int
ctl_failed(int error, const char *fmt, ...)
{
	char what[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return ctl_error(
	    "%s: %s; %s", what, strerror(error), remedy_of_errno(error));
}

int
ctl_usage(const char *fmt, ...)
{
	SAY_AND_RETURN(STATUS_USAGE);
}

int
ctl_config(const char *fmt, ...)
{
	SAY_AND_RETURN(STATUS_CONFIG);
}
