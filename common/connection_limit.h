/*
 * Bounds on connections, in pools: one per listener for connections that have
 * not logged in, others for what they become. A pool has a bound and a share
 * of it per address; of IPv6 the first 64 bits are the address.
 *
 * A pool that evicts makes room for a newcomer when it is full: the oldest
 * connection of the address that holds most goes. An address that holds its
 * share already, or about as much as any, loses its own oldest one, and none
 * that is younger than CONNECTION_MIN_AGE_NS: then the newcomer is refused,
 * which costs least. Other pools refuse newcomers. A pool may also limit the whole life of its
 * connections.
 *
 * Thread-safe. A connection belongs to one thread (its home); an evicted one
 * is put on its home's list, the home is woken, and calls the owner from
 * there. No I/O. The terms follow sshd_config(5) MaxStartups and nginx's
 * limit_conn.
 */
#ifndef COMMON_CONNECTION_LIMIT_H
#define COMMON_CONNECTION_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define CONNECTION_POOLS_MAX  16
#define CONNECTION_MIN_AGE_NS UINT64_C(5000000000)

struct sockaddr;

struct connection_pool {
	const char *setting, *address_setting; /* static: their names */
	unsigned max;
	/* 0: no share, addresses are not told apart */
	unsigned per_address;
	bool evicts;
	uint64_t life_ns; /* 0: unlimited */
};

enum connection_eviction {
	CONNECTION_DISPLACED, /* by another connection */
	CONNECTION_EXPIRED,   /* its life is over */
};

struct connection_address {
	uint8_t prefix[16];
};

struct connection_holder;
TAILQ_HEAD(connection_list, connection_slot);

/* A thread that connections belong to; embedded. wake: from any thread,
 * under the limiter's lock, it must not call the limiter. */
struct connection_home {
	struct connection_list evicted;
	void (*wake)(void *arg);
	void *arg;
};

/* One connection's slot; embedded in its owner. All zeros: none. */
struct connection_slot {
	bool is_taken;   /* it is in a pool */
	bool is_evicted; /* it is on its home's list */
	unsigned pool;
	enum connection_eviction why;
	uint64_t since_ns;
	struct connection_home *home;
	struct connection_holder *holder;
	TAILQ_ENTRY(connection_slot) by_address, by_age;
	struct connection_address address;
	void (*evict)(void *owner, enum connection_eviction why);
	void *owner;
};

struct connection_limit;

/* Raises this process's limit of descriptors to the hard one. Returns it. */
uint64_t connection_limit_descriptors(void);

/* n_pools: at most CONNECTION_POOLS_MAX; copied. NULL only for memory. */
struct connection_limit *connection_limit_new(
    const struct connection_pool *pools, unsigned n_pools);
/* No slot may be taken any more. */
void connection_limit_free(struct connection_limit *l);

void connection_home_init(
    struct connection_home *h, void (*wake)(void *arg), void *arg);

/* Of an IPv4 address all bits, of an IPv6 one the first 64; IPv4 in IPv6 is
 * IPv4. What is neither shares one address. */
struct connection_address connection_address_of(const struct sockaddr *sa);

/*
 * Takes a slot in a pool for a new connection, perhaps by evicting another.
 * Returns NULL, or the setting that is reached (static); then nothing was
 * taken. connection_limit_own must follow before the home's thread waits for
 * events again.
 */
const char *connection_limit_enter(struct connection_limit *l,
    struct connection_slot *p, unsigned pool,
    const struct connection_address *address, struct connection_home *home,
    uint64_t now_ns);

/* Called once when the slot is evicted, on its home. The owner then closes
 * the connection, and calls connection_limit_leave as always. */
void connection_limit_own(struct connection_slot *p,
    void (*evict)(void *owner, enum connection_eviction why), void *owner);

/*
 * The connection belongs to another pool from now on. Never evicts; a
 * connection whose eviction is pending is not evicted any more. Returns NULL,
 * or the setting that is reached: it keeps the slot it had.
 */
const char *connection_limit_move(
    struct connection_limit *l, struct connection_slot *p, unsigned pool);

/* The slot, also an evicted one, has another owner; *from is empty then. */
void connection_limit_hand_over(struct connection_limit *l,
    struct connection_slot *from, struct connection_slot *to);

/* Gives the slot back, if there is one. */
void connection_limit_leave(
    struct connection_limit *l, struct connection_slot *p);

/* Evicts what is older than its pool's life_ns; call it about once a
 * second. */
void connection_limit_expire(struct connection_limit *l, uint64_t now_ns);

/* Calls the owners of a home's evicted connections; on that home. */
void connection_limit_run_evictions(
    struct connection_limit *l, struct connection_home *h);

/* Places taken in a pool now, and evictions so far in all of them. */
unsigned connection_limit_count(struct connection_limit *l, unsigned pool);
uint64_t connection_limit_evicted(struct connection_limit *l);

#endif
