/* An agent's data channel: its ticket says which loop waits for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/agent_proto.h"
#include "common/bytes.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/relay.h"
#include "relay/session/session.h"

/* A channel on its way to another loop. */
struct delivery {
	struct job job;
	struct loop *to;
	struct channel channel;
	char ticket[AGENT_TICKET_MAX];
	char client_addr[CLIENT_ADDR_LEN];
};

static void
refuse(struct delivery *d)
{
	struct agent_msg m = { .type = AGENT_REFUSED };

	log_info("connection_closed", LOG_S("client", d->client_addr),
	    LOG_S("door", "web_listen"),
	    LOG_S("why", "no session waits for this ticket"));
	strcpy(m.refused.reason, "no session waits for this ticket");
	d->channel.transport.batch = &d->to->batch; /* it is this loop's now */
	if (agent_proto_encode(&d->channel.out, &m) == 0)
		transport_write(&d->channel.transport,
		    buf_head(&d->channel.out), buf_len(&d->channel.out));
}

static void
delivered(struct job *j)
{
	struct delivery *d = (struct delivery *)j;

	if (!session_adopt_agent(d->to, d->ticket, &d->channel))
		refuse(d);
	wipe(d->ticket, sizeof(d->ticket));
	channel_release(&d->channel);
	free(d);
}

/* The ticket's first two digits are the loop's number (session_agent.c). */
static struct loop *
loop_of(struct relay *r, const char *ticket)
{
	char digits[3] = { ticket[0], ticket[1], '\0' };
	unsigned long index = strtoul(digits, NULL, 16);

	return &r->loops[index < r->n_loops ? index : 0];
}

static void
deliver(struct conn *c, const char *ticket)
{
	struct delivery *d = calloc(1, sizeof(*d));

	if (d == NULL || channel_detach(&d->channel, &c->channel) != 0) {
		free(d);
		conn_close(c, "out of memory");
		return;
	}
	d->job.done = delivered;
	d->to = loop_of(c->loop->relay, ticket);
	memcpy(d->client_addr, c->client_addr, sizeof(d->client_addr));
	snprintf(d->ticket, sizeof(d->ticket), "%s", ticket);
	buf_init(&d->channel.out, AGENT_FRAME_MAX);
	conn_given_away(c);
	loop_post(d->to, &d->job);
}

void
conn_feed_data(struct conn *c)
{
	struct agent_msg m;
	size_t used;
	int rc = agent_proto_parse(
	    buf_head(&c->channel.in), buf_len(&c->channel.in), &used, &m);

	if (rc == 0)
		return;
	if (rc < 0 || m.type != AGENT_TICKET) {
		conn_close(c, "that is not an agent's data channel");
		return;
	}
	buf_consume(&c->channel.in, used);
	deliver(c, m.ticket.ticket);
	wipe(&m, sizeof(m));
}
