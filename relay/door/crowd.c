#include "relay/door/crowd.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "relay/login/guesses.h"

#define N_CHAINS 1024

/* Connections of an address; as many as unknown ones may be. */
struct address {
	uint64_t key;
	unsigned n;
	struct address *next; /* in its chain, or of the free ones */
};

struct crowd {
	pthread_mutex_t lock;
	struct crowd_limits limits;
	unsigned counts[CROWD_KINDS];
	uint8_t hash_key[crypto_shorthash_KEYBYTES];
	struct address *chains[N_CHAINS];
	struct address *unused;
	struct address addresses[];
};

static const char *const settings[CROWD_KINDS] = { "max_logins", "max_sessions",
	"max_agents", "max_parked" };

struct crowd *
crowd_new(const struct crowd_limits *limits)
{
	unsigned n = limits->kinds[CROWD_UNKNOWN];
	struct crowd *c = calloc(1, sizeof(*c) + n * sizeof(c->addresses[0]));

	if (c == NULL)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	c->limits = *limits;
	randombytes_buf(c->hash_key, sizeof(c->hash_key));
	for (unsigned i = 0; i < n; i++) {
		c->addresses[i].next = c->unused;
		c->unused = &c->addresses[i];
	}
	return c;
}

void
crowd_free(struct crowd *c)
{
	if (c != NULL)
		pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- addresses, under the lock ---- */

static uint64_t
hash(const struct crowd *c, const char *client_addr)
{
	char prefix[GUESS_PREFIX_LEN];
	uint8_t out[crypto_shorthash_BYTES];
	uint64_t key;

	guess_prefix(prefix, client_addr);
	crypto_shorthash(
	    out, (const uint8_t *)prefix, strlen(prefix), c->hash_key);
	memcpy(&key, out, sizeof(key));
	return key;
}

/* Where its entry hangs, or would. */
static struct address **
find(struct crowd *c, uint64_t key)
{
	struct address **a = &c->chains[key % N_CHAINS];

	while (*a != NULL && (*a)->key != key)
		a = &(*a)->next;
	return a;
}

static void
address_add(struct crowd *c, uint64_t key)
{
	struct address **a = find(c, key);

	if (*a == NULL) {
		assert(c->unused != NULL); /* one for each connection */
		*a = c->unused;
		c->unused = (*a)->next;
		**a = (struct address){ .key = key };
	}
	(*a)->n++;
}

static void
address_drop(struct crowd *c, uint64_t key)
{
	struct address **at = find(c, key), *a = *at;

	if (--a->n > 0)
		return;
	*at = a->next;
	a->next = c->unused;
	c->unused = a;
}

/* ---- places ---- */

static const char *
enter(struct crowd *c, struct crowd_place *p)
{
	const struct address *a = *find(c, p->address);
	unsigned most = c->limits.per_address;

	if (c->counts[CROWD_UNKNOWN] >= c->limits.kinds[CROWD_UNKNOWN])
		return settings[CROWD_UNKNOWN];
	if (most != 0 && a != NULL && a->n >= most)
		return "max_logins_per_address";
	c->counts[CROWD_UNKNOWN]++;
	address_add(c, p->address);
	p->is_taken = true;
	return NULL;
}

const char *
crowd_enter(struct crowd *c, struct crowd_place *p, const char *client_addr)
{
	const char *setting;

	*p = (struct crowd_place){ .kind = CROWD_UNKNOWN,
		.address = hash(c, client_addr) };
	pthread_mutex_lock(&c->lock);
	setting = enter(c, p);
	pthread_mutex_unlock(&c->lock);
	return setting;
}

static void
leave(struct crowd *c, const struct crowd_place *p)
{
	c->counts[p->kind]--;
	if (p->kind == CROWD_UNKNOWN)
		address_drop(c, p->address);
}

const char *
crowd_become(struct crowd *c, struct crowd_place *p, enum crowd_kind kind)
{
	const char *setting = NULL;

	assert(kind != CROWD_UNKNOWN);
	pthread_mutex_lock(&c->lock);
	if (c->counts[kind] >= c->limits.kinds[kind] &&
	    !(p->is_taken && p->kind == kind)) {
		setting = settings[kind];
	} else {
		if (p->is_taken)
			leave(c, p);
		c->counts[kind]++;
		p->kind = kind;
		p->is_taken = true;
	}
	pthread_mutex_unlock(&c->lock);
	return setting;
}

void
crowd_leave(struct crowd *c, struct crowd_place *p)
{
	if (!p->is_taken)
		return;
	pthread_mutex_lock(&c->lock);
	leave(c, p);
	pthread_mutex_unlock(&c->lock);
	*p = (struct crowd_place){ .is_taken = false };
}

struct crowd_place
crowd_hand_over(struct crowd_place *from)
{
	struct crowd_place p = *from;

	*from = (struct crowd_place){ .is_taken = false };
	return p;
}

unsigned
crowd_count(struct crowd *c, enum crowd_kind kind)
{
	unsigned n;

	pthread_mutex_lock(&c->lock);
	n = c->counts[kind];
	pthread_mutex_unlock(&c->lock);
	return n;
}
