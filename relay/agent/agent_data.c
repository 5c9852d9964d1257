/* An agent's data channel: its ticket says which loop waits for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/agent_proto.h"
#include "common/bytes.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/agent/agent_internal.h"
#include "relay/base/loop_ref.h"

/* A channel on its way to another loop. */
struct delivery {
	struct job job;
	struct loop *to;
	struct channel channel;
	char ticket[AGENT_TICKET_MAX];
	char client_addr[CLIENT_ADDR_LEN];
};

void
agent_log_closed(const char *client_addr, const char *why)
{
	log_info("connection_closed", LOG_S("client", client_addr),
	    LOG_S("door", "web_listen"), LOG_S("why", why));
}

static void
refuse(struct delivery *d)
{
	struct agent_msg m = { .type = AGENT_REFUSED };

	agent_log_closed(d->client_addr, "no session waits for this ticket");
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

	if (!tickets_redeem(&d->to->tickets, d->ticket, &d->channel))
		refuse(d);
	wipe(d->ticket, sizeof(d->ticket));
	channel_release(&d->channel);
	free(d);
}

static struct loop *
loop_of(struct relay *r, const char *ticket)
{
	unsigned index = tickets_loop(ticket);

	return &r->loops[index < r->n_loops ? index : 0];
}

void
agent_data_arrived(struct loop *l, const struct conn_peer *peer,
    const char *ticket, struct channel *channel, struct connection_slot *slot)
{
	struct delivery *d = calloc(1, sizeof(*d));

	if (d == NULL || channel_detach(&d->channel, channel) != 0) {
		free(d);
		agent_log_closed(peer->client_addr, "out of memory");
		return;
	}
	d->job.done = delivered;
	d->to = loop_of(l->relay, ticket);
	memcpy(d->client_addr, peer->client_addr, sizeof(d->client_addr));
	snprintf(d->ticket, sizeof(d->ticket), "%s", ticket);
	buf_init(&d->channel.out, AGENT_FRAME_MAX);
	loop_post(d->to, &d->job);
}
