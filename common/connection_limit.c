#include "common/connection_limit.h"

#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Connections of an address in a pool. */
struct connection_holder {
	TAILQ_ENTRY(connection_holder) by_count; /* or of the unused ones */
	struct connection_holder *next;          /* in its chain */
	struct connection_address address;
	unsigned n;
	struct connection_list slots; /* the oldest first */
};
TAILQ_HEAD(holder_list, connection_holder);

struct pool {
	struct connection_pool conf;
	unsigned n, n_holders;
	unsigned most; /* that a holder has */
	unsigned n_chains;
	struct connection_list by_age; /* the oldest first */
	struct connection_holder **chains;
	struct holder_list *by_count; /* max + 1 */
	struct holder_list unused;
	struct connection_holder *holders; /* max */
};

struct connection_limit {
	pthread_mutex_t lock;
	/* outside nobody can choose addresses that share a chain */
	uint8_t hash_key[crypto_shorthash_KEYBYTES];
	uint64_t n_evicted;
	unsigned n_pools;
	struct pool pools[CONNECTION_POOLS_MAX];
};

uint64_t
connection_limit_descriptors(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0)
		return 1024;
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	return getrlimit(RLIMIT_NOFILE, &rl) == 0 ? rl.rlim_cur : 1024;
}

/* ---- life ---- */

static bool
pool_init(struct pool *p, const struct connection_pool *conf)
{
	size_t max = conf->max;

	p->conf = *conf;
	TAILQ_INIT(&p->by_age);
	TAILQ_INIT(&p->unused);
	for (p->n_chains = 16; p->n_chains < max;)
		p->n_chains *= 2;
	p->chains = calloc(p->n_chains, sizeof(*p->chains));
	p->by_count = calloc(max + 1, sizeof(*p->by_count));
	p->holders = calloc(max + 1, sizeof(*p->holders));
	if (p->chains == NULL || p->by_count == NULL || p->holders == NULL)
		return false;
	for (size_t i = 0; i <= max; i++)
		TAILQ_INIT(&p->by_count[i]);
	for (size_t i = 0; i < max; i++)
		TAILQ_INSERT_TAIL(&p->unused, &p->holders[i], by_count);
	return true;
}

struct connection_limit *
connection_limit_new(const struct connection_pool *pools, unsigned n_pools)
{
	struct connection_limit *l = calloc(1, sizeof(*l));

	assert(n_pools <= CONNECTION_POOLS_MAX);
	if (l == NULL)
		return NULL;
	pthread_mutex_init(&l->lock, NULL);
	randombytes_buf(l->hash_key, sizeof(l->hash_key));
	for (; l->n_pools < n_pools; l->n_pools++)
		if (!pool_init(&l->pools[l->n_pools], &pools[l->n_pools])) {
			l->n_pools++;
			connection_limit_free(l);
			return NULL;
		}
	return l;
}

void
connection_limit_free(struct connection_limit *l)
{
	if (l == NULL)
		return;
	for (unsigned i = 0; i < l->n_pools; i++) {
		free(l->pools[i].chains);
		free(l->pools[i].by_count);
		free(l->pools[i].holders);
	}
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void
connection_home_init(
    struct connection_home *h, void (*wake)(void *arg), void *arg)
{
	TAILQ_INIT(&h->evicted);
	h->wake = wake;
	h->arg = arg;
}

struct connection_address
connection_address_of(const struct sockaddr *sa)
{
	struct connection_address a = { .prefix = { 0 } };
	const struct in6_addr *six;

	if (sa->sa_family == AF_INET) {
		memset(&a.prefix[10], 0xff, 2);
		memcpy(&a.prefix[12],
		    &((const struct sockaddr_in *)sa)->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		six = &((const struct sockaddr_in6 *)sa)->sin6_addr;
		memcpy(a.prefix, six->s6_addr,
		    IN6_IS_ADDR_V4MAPPED(six) ? 16 : 8);
	}
	return a;
}

/* ---- holders, under the lock ---- */

static struct connection_holder **
find(struct connection_limit *l, struct pool *p,
    const struct connection_address *a)
{
	uint8_t out[crypto_shorthash_BYTES];
	struct connection_holder **h;
	uint64_t key;

	crypto_shorthash(out, a->prefix, sizeof(a->prefix), l->hash_key);
	memcpy(&key, out, sizeof(key));
	h = &p->chains[key % p->n_chains];
	while (*h != NULL && memcmp(&(*h)->address, a, sizeof(*a)) != 0)
		h = &(*h)->next;
	return h;
}

/* The holder has another number of slots: it changes lists. */
static void
set_count(struct pool *p, struct connection_holder *h, unsigned n)
{
	TAILQ_REMOVE(&p->by_count[h->n], h, by_count);
	h->n = n;
	TAILQ_INSERT_TAIL(&p->by_count[n], h, by_count);
	if (n > p->most)
		p->most = n;
	while (p->most > 0 && TAILQ_EMPTY(&p->by_count[p->most]))
		p->most--;
}

static struct connection_holder *
holder_get(struct connection_limit *l, struct pool *p,
    const struct connection_address *a)
{
	struct connection_holder **at = find(l, p, a), *h = *at;

	if (h != NULL)
		return h;
	h = TAILQ_FIRST(&p->unused);
	assert(h != NULL); /* there is one per slot */
	TAILQ_REMOVE(&p->unused, h, by_count);
	*h = (struct connection_holder){ .address = *a };
	TAILQ_INIT(&h->slots);
	TAILQ_INSERT_TAIL(&p->by_count[0], h, by_count);
	p->n_holders++;
	*at = h;
	return h;
}

static void
holder_drop(struct connection_limit *l, struct pool *p,
    struct connection_holder *h)
{
	*find(l, p, &h->address) = h->next;
	TAILQ_REMOVE(&p->by_count[0], h, by_count);
	TAILQ_INSERT_TAIL(&p->unused, h, by_count);
	p->n_holders--;
}

/* ---- slots, under the lock ---- */

static void
insert(struct connection_limit *l, struct connection_slot *c, unsigned pool)
{
	struct pool *p = &l->pools[pool];
	const struct connection_address none = { .prefix = { 0 } };

	c->pool = pool;
	c->is_taken = true;
	c->holder = holder_get(
	    l, p, p->conf.per_address != 0 ? &c->address : &none);
	TAILQ_INSERT_TAIL(&c->holder->slots, c, by_address);
	TAILQ_INSERT_TAIL(&p->by_age, c, by_age);
	set_count(p, c->holder, c->holder->n + 1);
	p->n++;
}

static void
take_out(struct connection_limit *l, struct connection_slot *c)
{
	struct pool *p = &l->pools[c->pool];

	TAILQ_REMOVE(&c->holder->slots, c, by_address);
	TAILQ_REMOVE(&p->by_age, c, by_age);
	set_count(p, c->holder, c->holder->n - 1);
	if (c->holder->n == 0)
		holder_drop(l, p, c->holder);
	c->holder = NULL;
	c->is_taken = false;
	p->n--;
}

static void
evict(struct connection_limit *l, struct connection_slot *c,
    enum connection_eviction why)
{
	take_out(l, c);
	c->is_evicted = true;
	c->why = why;
	l->n_evicted++;
	TAILQ_INSERT_TAIL(&c->home->evicted, c, by_age);
	c->home->wake(c->home->arg);
}

/* The setting that leaves no room for one more of this address. */
static const char *
full_by(const struct pool *p, const struct connection_holder *h)
{
	if (p->conf.per_address != 0 && h != NULL &&
	    h->n >= p->conf.per_address)
		return p->conf.address_setting;
	return p->n >= p->conf.max ? p->conf.setting : NULL;
}

/* Has this address as much of the pool as is due to it, or would it have as
 * much as any with one more? Then addresses that flood a pool do not displace
 * each other in turns. */
static bool
is_large(const struct pool *p, const struct connection_holder *h)
{
	return h != NULL &&
	    (h->n + 1 >= p->most || h->n >= p->conf.per_address ||
		(uint64_t)h->n * p->n_holders >= p->conf.max);
}

/* Which connection makes room for one of this address; NULL: none may. */
static struct connection_slot *
choose_victim(
    const struct pool *p, const struct connection_holder *own, uint64_t now_ns)
{
	struct connection_slot *c;

	if (p->conf.per_address == 0)
		return TAILQ_FIRST(&p->by_age);
	if (!is_large(p, own)) {
		own = TAILQ_FIRST(&p->by_count[p->most]);
		return own != NULL ? TAILQ_FIRST(&own->slots) : NULL;
	}
	c = TAILQ_FIRST(&own->slots);
	return c->since_ns + CONNECTION_MIN_AGE_NS <= now_ns ? c : NULL;
}

static const char *
enter(struct connection_limit *l, struct connection_slot *c, unsigned pool)
{
	struct pool *p = &l->pools[pool];
	struct connection_holder *own = *find(l, p, &c->address);
	const char *setting = full_by(p, own);
	struct connection_slot *victim;

	if (setting != NULL) {
		victim = p->conf.evicts && p->conf.max > 0
		    ? choose_victim(p, own, c->since_ns)
		    : NULL;
		if (victim == NULL)
			return setting;
		evict(l, victim, CONNECTION_DISPLACED);
	}
	insert(l, c, pool);
	return NULL;
}

const char *
connection_limit_enter(struct connection_limit *l, struct connection_slot *c,
    unsigned pool, const struct connection_address *address,
    struct connection_home *home, uint64_t now_ns)
{
	const char *setting;

	*c = (struct connection_slot){
		.address = *address, .home = home, .since_ns = now_ns
	};
	pthread_mutex_lock(&l->lock);
	setting = enter(l, c, pool);
	pthread_mutex_unlock(&l->lock);
	return setting;
}

void
connection_limit_own(struct connection_slot *p,
    void (*evict_cb)(void *owner, enum connection_eviction why), void *owner)
{
	p->evict = evict_cb;
	p->owner = owner;
}

const char *
connection_limit_move(
    struct connection_limit *l, struct connection_slot *c, unsigned pool)
{
	struct pool *p = &l->pools[pool];
	const char *setting = NULL;

	pthread_mutex_lock(&l->lock);
	if (!c->is_taken || c->pool != pool)
		setting = full_by(p, *find(l, p, &c->address));
	if (setting == NULL && c->is_taken && c->pool != pool)
		take_out(l, c);
	if (setting == NULL && c->is_evicted) { /* it was just in time */
		TAILQ_REMOVE(&c->home->evicted, c, by_age);
		c->is_evicted = false;
	}
	if (setting == NULL && !c->is_taken)
		insert(l, c, pool);
	pthread_mutex_unlock(&l->lock);
	return setting;
}

static void
hand_over(struct connection_limit *l, struct connection_slot *from,
    struct connection_slot *to)
{
	struct connection_list *by_age =
	    from->is_evicted ? &from->home->evicted : NULL;

	if (from->is_taken) {
		by_age = &l->pools[from->pool].by_age;
		TAILQ_INSERT_AFTER(
		    &from->holder->slots, from, to, by_address);
		TAILQ_REMOVE(&from->holder->slots, from, by_address);
	}
	if (by_age != NULL) {
		TAILQ_INSERT_AFTER(by_age, from, to, by_age);
		TAILQ_REMOVE(by_age, from, by_age);
	}
}

void
connection_limit_hand_over(struct connection_limit *l,
    struct connection_slot *from, struct connection_slot *to)
{
	pthread_mutex_lock(&l->lock);
	*to = *from;
	hand_over(l, from, to);
	pthread_mutex_unlock(&l->lock);
	*from = (struct connection_slot){ .is_taken = false };
}

void
connection_limit_leave(struct connection_limit *l, struct connection_slot *c)
{
	if (c->home == NULL)
		return;
	pthread_mutex_lock(&l->lock);
	if (c->is_taken)
		take_out(l, c);
	if (c->is_evicted)
		TAILQ_REMOVE(&c->home->evicted, c, by_age);
	pthread_mutex_unlock(&l->lock);
	*c = (struct connection_slot){ .is_taken = false };
}

/* ---- evictions ---- */

void
connection_limit_expire(struct connection_limit *l, uint64_t now_ns)
{
	struct connection_slot *c;

	pthread_mutex_lock(&l->lock);
	for (unsigned i = 0; i < l->n_pools; i++) {
		struct pool *p = &l->pools[i];

		while (p->conf.life_ns != 0 &&
		    (c = TAILQ_FIRST(&p->by_age)) != NULL &&
		    c->since_ns + p->conf.life_ns <= now_ns)
			evict(l, c, CONNECTION_EXPIRED);
	}
	pthread_mutex_unlock(&l->lock);
}

static struct connection_slot *
next_evicted(struct connection_limit *l, struct connection_home *h)
{
	struct connection_slot *c;

	pthread_mutex_lock(&l->lock);
	c = TAILQ_FIRST(&h->evicted);
	if (c != NULL) {
		TAILQ_REMOVE(&h->evicted, c, by_age);
		c->is_evicted = false;
	}
	pthread_mutex_unlock(&l->lock);
	return c;
}

/* Only the home's thread frees what is on its list, so the slot is valid
 * without the lock. */
void
connection_limit_run_evictions(
    struct connection_limit *l, struct connection_home *h)
{
	struct connection_slot *c;

	while ((c = next_evicted(l, h)) != NULL)
		if (c->evict != NULL)
			c->evict(c->owner, c->why);
}

unsigned
connection_limit_count(struct connection_limit *l, unsigned pool)
{
	unsigned n;

	pthread_mutex_lock(&l->lock);
	n = l->pools[pool].n;
	pthread_mutex_unlock(&l->lock);
	return n;
}

uint64_t
connection_limit_evicted(struct connection_limit *l)
{
	uint64_t n;

	pthread_mutex_lock(&l->lock);
	n = l->n_evicted;
	pthread_mutex_unlock(&l->lock);
	return n;
}
