/*
 * The commands that hold a control channel: what run and attend share.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "agent/identity.h"
#include "agent/settings.h"
#include "common/agent_proto.h"

/* Exit statuses, docs/relaycam-agent.md; sysexits(3). */
enum {
	AGENT_EXIT_OK = 0,
	AGENT_EXIT_USAGE = 2,
	AGENT_EXIT_UNAVAILABLE = 69, /* enroll: the relay cannot be reached */
	AGENT_EXIT_SYSTEM = 71,
	AGENT_EXIT_REFUSED = 77,
	AGENT_EXIT_CONFIG = 78,
};

/*
 * Holds the channel until a signal, a final refusal or, attended, until the
 * user closes the window. secret: attended; may be NULL. Returns the exit
 * status.
 */
int agent_run(const struct settings *s, const struct identity *id,
    enum agent_mode mode, const char *secret);

/* One conversation: HELLO, ENROL, WELCOME. On success welcome is filled; else
 * why. Returns the exit status. */
int agent_enrol(const struct settings *s, const struct identity *id,
    const char *token, struct agent_msg *welcome, char *why, size_t why_len);

#endif
