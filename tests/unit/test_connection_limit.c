/* Bounds on connections: a pool each, a share per address, eviction of the
 * oldest connection of the largest holder, and a whole-life limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "common/clock.h"
#include "common/connection_limit.h"

#define T0   (1000 * NS_PER_S)
#define MAX  100
#define EACH 20
#define LIFE (60 * NS_PER_S)

enum { LOGIN, OTHER_LOGIN, SESSION, CODE, ANY, N_POOLS };

static const struct connection_pool pools[N_POOLS] = {
	[LOGIN] = { "max_logins", "max_logins_per_address", MAX, EACH, true,
	    LIFE },
	[OTHER_LOGIN] = { "max_logins", "max_logins_per_address", MAX, EACH,
	    true, LIFE },
	[SESSION] = { "max_sessions", NULL, 2, 0, false, 0 },
	[CODE] = { "max_codes", "max_codes_per_address", 10, 3, false, 0 },
	[ANY] = { "max_any", NULL, 10, 0, true, 0 },
};

/* A connection as its owner sees it. */
struct peer {
	struct connection_slot slot;
	struct connection_limit *limit;
	unsigned n_evictions;
	enum connection_eviction why;
};

struct rig {
	struct connection_limit *limit;
	struct connection_home home, other_home;
	unsigned n_wakes;
	struct peer peers[MAX * 9];
	unsigned n;
};

static void
on_wake(void *arg)
{
	++*(unsigned *)arg;
}

static void
on_evict(void *owner, enum connection_eviction why)
{
	struct peer *p = owner;

	p->n_evictions++;
	p->why = why;
	connection_limit_leave(p->limit, &p->slot);
}

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	r->limit = connection_limit_new(pools, N_POOLS);
	connection_home_init(&r->home, on_wake, &r->n_wakes);
	connection_home_init(&r->other_home, on_wake, &r->n_wakes);
	*state = r;
	return r->limit == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	connection_limit_free(r->limit);
	free(r);
	return 0;
}

static struct connection_address
address(const char *text)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };

	if (inet_pton(AF_INET6, text, &six.sin6_addr) == 1)
		return connection_address_of((struct sockaddr *)&six);
	assert_int_equal(inet_pton(AF_INET, text, &four.sin_addr), 1);
	return connection_address_of((struct sockaddr *)&four);
}

static struct connection_address
numbered(unsigned n)
{
	struct sockaddr_in four = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0x0a000000 + n) };

	return connection_address_of((struct sockaddr *)&four);
}

/* Returns the peer, NULL when it was refused. */
static struct peer *
come(struct rig *r, unsigned pool, struct connection_address a, uint64_t now)
{
	struct peer *p = &r->peers[r->n++];

	assert_true(r->n <= MAX * 9);
	p->limit = r->limit;
	if (connection_limit_enter(
		r->limit, &p->slot, pool, &a, &r->home, now) != NULL) {
		assert_false(p->slot.is_taken);
		return NULL;
	}
	connection_limit_own(&p->slot, on_evict, p);
	return p;
}

static void
test_the_largest_holder_makes_room(void **state)
{
	struct rig *r = *state;
	struct peer *first[10], *good;
	unsigned i, n_gone = 0;

	/* ten addresses fill the pool, with 11 to 9 connections each */
	for (i = 0; i < MAX; i++) {
		unsigned who = i < 99 ? i % 10 : 3;
		struct peer *p = come(r, LOGIN, numbered(who), T0 + i);

		assert_non_null(p);
		if (i < 10)
			first[i] = p;
	}
	/* a newcomer from elsewhere: the oldest of the one with 11 goes */
	good = come(r, LOGIN, address("203.0.113.7"), T0 + MAX);
	assert_non_null(good);
	assert_int_equal(r->n_wakes, 1);
	connection_limit_run_evictions(r->limit, &r->home);
	assert_int_equal(first[3]->n_evictions, 1);
	assert_int_equal(first[3]->why, CONNECTION_DISPLACED);
	assert_int_equal(connection_limit_count(r->limit, LOGIN), MAX);
	/* and it stays while any number of those come again */
	for (i = 0; i < 4 * MAX; i++)
		come(r, LOGIN, numbered(i % 10), T0 + i * NS_PER_MS);
	connection_limit_run_evictions(r->limit, &r->home);
	assert_int_equal(good->n_evictions, 0);
	for (i = 0; i < r->n; i++)
		n_gone += r->peers[i].n_evictions;
	assert_int_equal(n_gone, connection_limit_evicted(r->limit));
}

/* Addresses that hold a pool between them do not displace each other in turns
 * as fast as they can connect. */
static void
test_a_flood_is_refused_the_cheap_way(void **state)
{
	struct rig *r = *state;
	unsigned i;

	for (i = 0; i < MAX; i++)
		assert_non_null(come(r, LOGIN, numbered(i % 7), T0));
	for (i = 0; i < 6 * MAX; i++)
		come(r, LOGIN, numbered(i % 7), T0 + i);
	connection_limit_run_evictions(r->limit, &r->home);
	assert_int_equal(connection_limit_evicted(r->limit), 0);
	/* once they are old enough, one for one */
	for (i = 0; i < MAX; i++)
		come(r, LOGIN, numbered(i % 7), T0 + CONNECTION_MIN_AGE_NS);
	connection_limit_run_evictions(r->limit, &r->home);
	assert_in_range(connection_limit_evicted(r->limit), MAX - 7, MAX);
}

static void
test_a_flooding_address_displaces_only_itself(void **state)
{
	struct rig *r = *state;
	struct peer *other = come(r, LOGIN, address("203.0.113.7"), T0);
	struct peer *oldest = come(r, LOGIN, address("203.0.113.8"), T0);
	unsigned i;

	for (i = 1; i < EACH; i++)
		assert_non_null(come(r, LOGIN, address("203.0.113.8"), T0));
	/* its share is taken, and all of it is young: the cheap way */
	assert_null(come(r, LOGIN, address("203.0.113.8"), T0));
	assert_int_equal(r->n_wakes, 0);
	/* later its oldest one makes room */
	assert_non_null(come(r, LOGIN, address("203.0.113.8"),
	    T0 + CONNECTION_MIN_AGE_NS));
	connection_limit_run_evictions(r->limit, &r->home);
	assert_int_equal(oldest->n_evictions, 1);
	assert_int_equal(other->n_evictions, 0);
	assert_int_equal(connection_limit_count(r->limit, LOGIN), EACH + 1);
}

static void
test_listeners_have_pools_of_their_own(void **state)
{
	struct rig *r = *state;

	for (unsigned i = 0; i < 2 * MAX; i++)
		come(r, LOGIN, numbered(i), T0);
	assert_int_equal(connection_limit_count(r->limit, LOGIN), MAX);
	assert_non_null(come(r, OTHER_LOGIN, numbered(1), T0));
	assert_int_equal(connection_limit_count(r->limit, OTHER_LOGIN), 1);
	connection_limit_run_evictions(r->limit, &r->home);
}

static void
test_an_ipv6_network_is_one_address(void **state)
{
	struct rig *r = *state;
	char text[40];

	for (unsigned i = 0; i < EACH; i++) {
		snprintf(text, sizeof(text), "2001:db8::%x", i);
		assert_non_null(come(r, LOGIN, address(text), T0));
	}
	assert_null(come(r, LOGIN, address("2001:db8::ffff:0:0:1"), T0));
	assert_non_null(come(r, LOGIN, address("2001:db8:0:1::1"), T0));
	/* IPv4 in IPv6 is IPv4 */
	for (unsigned i = 0; i < EACH; i++)
		assert_non_null(
		    come(r, LOGIN, address("::ffff:203.0.113.7"), T0));
	assert_null(come(r, LOGIN, address("203.0.113.7"), T0));
	assert_non_null(come(r, LOGIN, address("::ffff:203.0.113.8"), T0));
}

static void
test_a_whole_life_is_limited(void **state)
{
	struct rig *r = *state;
	struct peer *a = come(r, LOGIN, numbered(1), T0);
	struct peer *b = come(r, LOGIN, numbered(2), T0 + NS_PER_S);
	struct peer *c = come(r, SESSION, numbered(3), T0);

	connection_limit_expire(r->limit, T0 + LIFE - 1);
	connection_limit_run_evictions(r->limit, &r->home);
	assert_int_equal(a->n_evictions, 0);
	connection_limit_expire(r->limit, T0 + LIFE);
	connection_limit_run_evictions(r->limit, &r->home);
	assert_int_equal(a->n_evictions, 1);
	assert_int_equal(a->why, CONNECTION_EXPIRED);
	assert_int_equal(b->n_evictions, 0);
	/* a clock that was read before the connection came */
	connection_limit_expire(r->limit, T0);
	/* sessions have another limit */
	connection_limit_expire(r->limit, T0 + 100 * LIFE);
	connection_limit_run_evictions(r->limit, &r->home);
	assert_int_equal(b->n_evictions, 1);
	assert_int_equal(c->n_evictions, 0);
}

static void
test_other_pools_refuse(void **state)
{
	struct rig *r = *state;
	struct peer *p[4];
	unsigned i;

	for (i = 0; i < 4; i++)
		p[i] = come(r, LOGIN, numbered(i), T0);
	assert_null(connection_limit_move(r->limit, &p[0]->slot, SESSION));
	assert_null(connection_limit_move(r->limit, &p[1]->slot, SESSION));
	assert_string_equal(
	    connection_limit_move(r->limit, &p[2]->slot, SESSION),
	    "max_sessions");
	/* it keeps the slot it had; again what it is */
	assert_int_equal(p[2]->slot.pool, LOGIN);
	assert_null(connection_limit_move(r->limit, &p[1]->slot, SESSION));
	assert_int_equal(connection_limit_count(r->limit, LOGIN), 2);
	assert_int_equal(connection_limit_count(r->limit, SESSION), 2);
	for (i = 0; i < 4; i++) {
		struct peer *q = come(r, LOGIN, numbered(9), T0);
		const char *why =
		    connection_limit_move(r->limit, &q->slot, CODE);

		if (i < 3)
			assert_null(why);
		else
			assert_string_equal(why, "max_codes_per_address");
	}
	assert_int_equal(r->n_wakes, 0);
}

static void
test_a_login_is_faster_than_its_eviction(void **state)
{
	struct rig *r = *state;
	struct peer *p = come(r, LOGIN, numbered(1), T0);

	connection_limit_expire(r->limit, T0 + LIFE);
	assert_int_equal(connection_limit_count(r->limit, LOGIN), 0);
	assert_null(connection_limit_move(r->limit, &p->slot, SESSION));
	connection_limit_run_evictions(r->limit, &r->home);
	assert_int_equal(p->n_evictions, 0);
	connection_limit_leave(r->limit, &p->slot);
	assert_int_equal(connection_limit_count(r->limit, SESSION), 0);
}

static void
test_a_place_is_handed_over(void **state)
{
	struct rig *r = *state;
	struct peer *a = come(r, LOGIN, numbered(1), T0);
	struct peer b = { .limit = r->limit }, c = { .limit = r->limit };

	connection_limit_hand_over(r->limit, &a->slot, &b.slot);
	connection_limit_own(&b.slot, on_evict, &b);
	connection_limit_leave(r->limit, &a->slot);
	assert_int_equal(connection_limit_count(r->limit, LOGIN), 1);
	/* also one that is to go */
	connection_limit_expire(r->limit, T0 + LIFE);
	connection_limit_hand_over(r->limit, &b.slot, &c.slot);
	connection_limit_own(&c.slot, on_evict, &c);
	connection_limit_run_evictions(r->limit, &r->home);
	assert_int_equal(a->n_evictions + b.n_evictions, 0);
	assert_int_equal(c.n_evictions, 1);
	connection_limit_leave(r->limit, &c.slot);
	/* one that left by itself is not called */
	a = come(r, LOGIN, numbered(1), T0);
	connection_limit_expire(r->limit, T0 + LIFE);
	connection_limit_leave(r->limit, &a->slot);
	connection_limit_run_evictions(r->limit, &r->home);
	assert_int_equal(a->n_evictions, 0);
}

static void
test_evictions_are_of_their_own_thread(void **state)
{
	struct rig *r = *state;
	struct peer p = { .limit = r->limit };
	struct connection_address a = numbered(1);

	assert_null(connection_limit_enter(
	    r->limit, &p.slot, LOGIN, &a, &r->other_home, T0));
	connection_limit_own(&p.slot, on_evict, &p);
	connection_limit_expire(r->limit, T0 + LIFE);
	assert_int_equal(r->n_wakes, 1);
	connection_limit_run_evictions(r->limit, &r->home);
	assert_int_equal(p.n_evictions, 0);
	connection_limit_run_evictions(r->limit, &r->other_home);
	assert_int_equal(p.n_evictions, 1);
}

/* Behind a proxy that hides addresses: the oldest goes, whoever it is. */
static void
test_addresses_need_not_be_told_apart(void **state)
{
	struct rig *r = *state;
	struct peer *first = come(r, ANY, numbered(1), T0);

	for (unsigned i = 1; i < 10; i++)
		assert_non_null(come(r, ANY, numbered(2), T0));
	assert_non_null(come(r, ANY, numbered(2), T0));
	connection_limit_run_evictions(r->limit, &r->home);
	assert_int_equal(first->n_evictions, 1);
	assert_int_equal(connection_limit_count(r->limit, ANY), 10);
}

/* Whatever comes and goes in whatever order, the counts stay right. */
static void
test_any_order(void **state)
{
	struct rig *r = *state;
	unsigned seed = 7, n = 0;

	for (unsigned i = 0; i < 200000; i++) {
		struct peer *p = &r->peers[rand_r(&seed) % 300];
		struct connection_address a = numbered(rand_r(&seed) % 40);
		uint64_t now = T0 + i * 10 * NS_PER_MS;

		if (p->slot.home != NULL) {
			if (rand_r(&seed) % 4 == 0)
				connection_limit_move(r->limit, &p->slot,
				    rand_r(&seed) % 2 ? SESSION : CODE);
			else
				connection_limit_leave(r->limit, &p->slot);
		} else {
			p->limit = r->limit;
			if (connection_limit_enter(r->limit, &p->slot, LOGIN,
				&a, &r->home, now) == NULL)
				connection_limit_own(&p->slot, on_evict, p);
			else
				memset(&p->slot, 0, sizeof(p->slot));
		}
		if (i % 16 == 0) {
			connection_limit_expire(r->limit, now);
			connection_limit_run_evictions(r->limit, &r->home);
		}
	}
	for (unsigned i = 0; i < 300; i++)
		connection_limit_leave(r->limit, &r->peers[i].slot);
	for (unsigned i = 0; i < N_POOLS; i++)
		n += connection_limit_count(r->limit, i);
	assert_int_equal(n, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_largest_holder_makes_room),
		TEST(test_a_flood_is_refused_the_cheap_way),
		TEST(test_a_flooding_address_displaces_only_itself),
		TEST(test_listeners_have_pools_of_their_own),
		TEST(test_an_ipv6_network_is_one_address),
		TEST(test_a_whole_life_is_limited),
		TEST(test_other_pools_refuse),
		TEST(test_a_login_is_faster_than_its_eviction),
		TEST(test_a_place_is_handed_over),
		TEST(test_evictions_are_of_their_own_thread),
		TEST(test_addresses_need_not_be_told_apart),
		TEST(test_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
