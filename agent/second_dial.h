/*
 * A second control channel while the first one is silent. A machine that is
 * gone sends no word, and the pings of the relay are far apart; so the kernel
 * probes the first channel each second, and when the probes of 2.5 s were not
 * answered, the agent greets a relay at another address, too. Which of the two
 * answers first is the channel: a network that only was silent for a while
 * keeps the first one. One loop owns it.
 */
#ifndef AGENT_SECOND_DIAL_H
#define AGENT_SECOND_DIAL_H

#include <event2/event.h>

#include "agent/control.h"

#define SECOND_DIAL_SILENT_MS 2500
/* Agents that lost the same relay do not all dial at once. */
#define SECOND_DIAL_JITTER_MS 1000

struct bufferevent;
struct second_dial;

/*
 * Another relay has answered the greeting with first, its WELCOME; bev is
 * yours, with the owner's callbacks to be set. The watch has ended.
 */
typedef void second_dial_cb(
    void *arg, struct bufferevent *bev, const struct agent_msg *first);

/* to: borrowed. Returns NULL for memory. */
struct second_dial *second_dial_new(struct event_base *base,
    const struct control_to *to, second_dial_cb *cb, void *arg);
/* Watches the channel bev, borrowed until second_dial_stop. Does nothing for a
 * channel through a proxy, whose probes the proxy answers. */
void second_dial_watch(struct second_dial *d, struct bufferevent *bev);
/* Ends the watch, and a dial that is under way. */
void second_dial_stop(struct second_dial *d);
void second_dial_free(struct second_dial *d);

#endif
