/*
 * Where an agent and the session that asked for it meet. A session issues a
 * ticket, the agent (or another relay, docs/agent-protocol.md) brings it on a
 * data channel, and the channel goes to whoever waits for that ticket. One
 * table per loop, on its loop; tickets_loop() may be called anywhere.
 */
#ifndef RELAY_BASE_TICKETS_H
#define RELAY_BASE_TICKETS_H

#include <stdbool.h>
#include <sys/queue.h>

#include "common/agent_proto.h"

#define TICKETS_LOOPS_MAX 256 /* a ticket's first two digits name its loop */

struct channel;
struct ticket;
struct ticket_table;
TAILQ_HEAD(ticket_list, ticket);

/*
 * A channel came. It is detached; what the callee does not adopt is closed.
 * Returns false when it is not wanted any more.
 */
typedef bool ticket_cb(void *arg, struct channel *channel);

/* Embedded in its owner. All zeros: none was issued. */
struct ticket {
	TAILQ_ENTRY(ticket) link;
	struct ticket_table *table; /* NULL: it does not wait */
	char text[AGENT_TICKET_MAX];
	ticket_cb *on_channel;
	void *arg;
};

struct ticket_table {
	struct ticket_list waiting;
	unsigned loop; /* index of its loop, below TICKETS_LOOPS_MAX */
};

void tickets_init(struct ticket_table *t, unsigned loop);

/*
 * Writes a new random ticket into k->text and waits for a channel that brings
 * it. One that k waited for is withdrawn.
 */
void ticket_issue(
    struct ticket *k, struct ticket_table *t, ticket_cb *on_channel, void *arg);

/* Waits no more, and wipes the text. Safe to repeat. */
void ticket_withdraw(struct ticket *k);

/*
 * A channel brought text: withdraws the ticket and calls its on_channel.
 * Returns false when no ticket has this text, or the callee does not want the
 * channel. Compares in constant time.
 */
bool tickets_redeem(struct ticket_table *t, const char text[AGENT_TICKET_MAX],
    struct channel *channel);

/* The loop whose table may have this ticket; any text of a peer. */
unsigned tickets_loop(const char *text);

#endif
