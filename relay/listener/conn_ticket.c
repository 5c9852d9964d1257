/* An agent's data channel: it brings the ticket of the session that asked for
 * it (docs/agent-protocol.md). */
#include "common/agent_proto.h"
#include "common/bytes.h"
#include "relay/listener/conn.h"
#include "relay/relay.h"

void
conn_feed_ticket(struct conn *c)
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
	c->loop->conn_ops->on_agent_data(
	    c->loop, &c->peer, m.ticket.ticket, &c->channel, &c->slot);
	wipe(&m, sizeof(m));
	conn_handed_over(c);
}
