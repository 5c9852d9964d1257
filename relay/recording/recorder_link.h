/*
 * A loop's end of one session's recorders: the status socket, the ring's
 * event for freed space, and the timer for what a recorder must do in time.
 * One recorder at a time; the next one opens the link again. On the loop.
 */
#ifndef RELAY_RECORDING_RECORDER_LINK_H
#define RELAY_RECORDING_RECORDER_LINK_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/tee.h"

/* Called from the loop. said may call recorder_link_ready, _wait and
 * _stop_timer; closed, late and space may also open the link again. */
struct recorder_link_ops {
	/* The recorder's words; text is printable ASCII, the rest is
	 * untrusted. Of many, a few each time that the loop comes by. */
	void (*said)(void *arg, const struct tee_status *st);
	/* The recorder closed its end; so has the link. */
	void (*closed)(void *arg);
	/* The time of recorder_link_wait is over. */
	void (*late)(void *arg);
	/* The recorder freed space in the ring. */
	void (*space)(void *arg);
};

struct recorder_link {
	struct event_base *base;
	const struct recorder_link_ops *ops;
	void *arg;
	int fd; /* of the status socket; -1: closed */
	struct event *status, *space, *timer;
	bool is_ready; /* this recorder said READY */
};

/* base, ops and arg: borrowed until recorder_link_release. */
void recorder_link_init(struct recorder_link *k, struct event_base *base,
    const struct recorder_link_ops *ops, void *arg);

/*
 * For the next recorder; the link must be closed. space_fd: the ring's event,
 * borrowed, the same one each time. Returns the socket for the recorder,
 * which the caller closes, or ERR_IO or ERR_NOMEM.
 */
int recorder_link_open(struct recorder_link *k, int space_fd);

/* It is ready; false: it said so before. Stops the timer. */
bool recorder_link_ready(struct recorder_link *k);

/* Calls late after so many ns, unless it is stopped. After the first
 * recorder_link_open. */
void recorder_link_wait(struct recorder_link *k, uint64_t ns);
void recorder_link_stop_timer(struct recorder_link *k);

/* Closes it for good; may be called twice. */
void recorder_link_release(struct recorder_link *k);

#endif
