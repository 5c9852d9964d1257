#include <stdio.h>

#include "common/bytes.h"
#include "relay/session/session_states.h"

enum outcome {
	NO_DEADLINE,
	REFUSED,       /* with the words */
	WITH_DATABASE, /* the same, unless the database is the reason */
	NO_ENDPOINT,   /* "endpoint NAME cannot be reached: WORDS" */
	ENDED,
};

static const struct {
	enum outcome outcome;
	const char *words, *code; /* code NULL: "error" */
} timeouts[] = {
	[SESSION_HELLO] = { REFUSED, "the viewer was silent", NULL },
	[SESSION_VIEWER_TLS] = { REFUSED,
	    "the viewer did not finish the TLS handshake", NULL },
	[SESSION_LOGIN] = { REFUSED, "no user name and password came", NULL },
	[SESSION_CHECK] = { WITH_DATABASE, "the login took too long", NULL },
	[SESSION_DIAL] = { NO_ENDPOINT, "it did not answer", NULL },
	[SESSION_AGENT] = { NO_ENDPOINT, "its agent did not answer", NULL },
	[SESSION_CLAIM] = { NO_ENDPOINT, "its connection was not handed over",
	    NULL },
	[SESSION_ENDPOINT] = { NO_ENDPOINT,
	    "it did not finish the VNC handshake", NULL },
	[SESSION_ENDPOINT_TLS] = { NO_ENDPOINT,
	    "it did not finish the TLS handshake", NULL },
	[SESSION_OPEN] = { WITH_DATABASE,
	    "the recording could not be started in time", NULL },
	[SESSION_CLIENT_INIT] = { REFUSED,
	    "the viewer did not go on after its login", NULL },
	[SESSION_PARKED] = { NO_DEADLINE, NULL, NULL },
	[SESSION_RUNNING] = { ENDED, "the session reached its maximum duration",
	    "max_duration" },
	[SESSION_CLOSING] = { ENDED, "the refusal could not be delivered",
	    NULL },
	[SESSION_ENDING] = { NO_DEADLINE, NULL, NULL },
	[SESSION_DEAD] = { NO_DEADLINE, NULL, NULL },
};
_Static_assert(N_ELEMENTS(timeouts) == SESSION_DEAD + 1, "one for each state");

bool
session_timeout_of(enum session_state state, bool is_database_slow,
    const char *endpoint, struct session_timeout *out)
{
	enum outcome outcome = timeouts[state].outcome;
	const char *words = timeouts[state].words;

	if (outcome == NO_DEADLINE)
		return false;
	if (outcome == WITH_DATABASE && is_database_slow)
		words = "the relay's database does not answer; new sessions "
			"are refused until it does";
	out->is_refusal = outcome != ENDED;
	out->code =
	    timeouts[state].code != NULL ? timeouts[state].code : "error";
	if (outcome == NO_ENDPOINT)
		snprintf(out->why, sizeof(out->why),
		    "endpoint %s cannot be reached: %s", endpoint, words);
	else
		snprintf(out->why, sizeof(out->why), "%s", words);
	return true;
}
