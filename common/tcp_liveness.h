/*
 * A TCP peer that vanishes (power, cable, a closed laptop) sends neither FIN
 * nor RST. The kernel finds out, by keep-alive probes where nothing is on
 * its way and by TCP_USER_TIMEOUT where something is. By itself that timeout
 * also ends a connection whose peer answers but does not read (window zero),
 * so tcp_liveness_look moves it on while the peer answers: the kernel gives
 * up this long after the last answer, and probes at least that often.
 * Linux tcp(7); no threads, one owner per connection.
 */
#ifndef COMMON_TCP_LIVENESS_H
#define COMMON_TCP_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

/* How often to look, seconds: this part of lost_seconds, at least. */
#define TCP_LIVENESS_LOOKS 12

struct tcp_liveness {
	uint64_t moved_ns; /* the last look that saw output move on, or none */
	uint64_t acked;    /* bytes until then */
	unsigned timeout_ms; /* TCP_USER_TIMEOUT as it is; 0: as it was set */
};

/* What a look saw. */
struct tcp_liveness_state {
	bool is_lost;   /* the kernel gave the connection up */
	bool is_closed; /* the peer sent its last byte: FIN */
	bool is_unread; /* output waits in the kernel */
	bool has_moved; /* the peer took some since the last look */
};

/* Prepares a connected or connecting TCP socket; others are left alone.
 * lost_seconds: a vanished peer is noticed within them, if tcp_liveness_look is
 * called. */
void tcp_liveness_start(int fd, unsigned lost_seconds);

/*
 * Looks at the socket of l (zeroed at first), every lost_seconds /
 * TCP_LIVENESS_LOOKS or at least every 2 s. Sockets without TCP are alive.
 */
struct tcp_liveness_state tcp_liveness_look(
    struct tcp_liveness *l, int fd, unsigned lost_seconds, uint64_t now_ns);

/* How long the peer has sent neither bytes nor acknowledgements, ms; 0 for
 * sockets without TCP. With tcp_liveness_probe it answers once in that time. */
unsigned tcp_liveness_silent_ms(int fd);

/* After tcp_liveness_start: probes an idle connection this often, and gives it
 * up no sooner. */
void tcp_liveness_probe(int fd, unsigned seconds);

/*
 * The decision alone, ms: TCP_USER_TIMEOUT for a connection whose output has
 * not moved for stuck_ms, and whose peer answered answer_ms ago. That one
 * counts from when output began to stand still.
 */
unsigned tcp_liveness_timeout(
    unsigned lost_seconds, uint64_t stuck_ms, unsigned answer_ms);

/* Does this errno of a socket mean that the peer's network is silent? */
bool tcp_liveness_is_lost(int error);

#endif
