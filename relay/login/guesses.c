#include "relay/login/guesses.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "relay/login/login.h"

#define WAYS    8  /* places that a key may be at */
#define POLL_MS 50 /* another one is being checked */

struct entry {
	uint64_t key; /* 0: free */
	uint64_t last_ns, next_ns;
	uint32_t failures;
	uint16_t checking;
	bool is_good; /* a pair: it got in, and has not failed since */
};

struct guesses {
	pthread_mutex_t lock;
	uint8_t hash_key[crypto_shorthash_KEYBYTES];
	struct entry entries[GUESSES_MAX];
};

struct guesses *
guesses_new(void)
{
	struct guesses *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	pthread_mutex_init(&g->lock, NULL);
	/* nobody outside can choose names that share a place */
	randombytes_buf(g->hash_key, sizeof(g->hash_key));
	return g;
}

void
guesses_free(struct guesses *g)
{
	if (g != NULL)
		pthread_mutex_destroy(&g->lock);
	free(g);
}

/* ---- who ---- */

void
guess_prefix(char out[GUESS_PREFIX_LEN], const char *client_addr)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a;

	if (inet_pton(AF_INET6, client_addr, &a) != 1) {
		snprintf(out, GUESS_PREFIX_LEN, "%s", client_addr);
	} else if (memcmp(&a, mapped, sizeof(mapped)) == 0) {
		inet_ntop(AF_INET, &a.s6_addr[12], out, GUESS_PREFIX_LEN);
	} else {
		memset(&a.s6_addr[8], 0, 8);
		inet_ntop(AF_INET6, &a, text, sizeof(text));
		snprintf(out, GUESS_PREFIX_LEN, "%s/64", text);
	}
}

static uint64_t
hash(const struct guesses *g, const char *kind, const char *a, const char *b)
{
	uint8_t out[crypto_shorthash_BYTES];
	char text[512];
	uint64_t key;
	int n = snprintf(text, sizeof(text), "%s|%s|%s", kind, a, b);

	if (n >= (int)sizeof(text))
		n = sizeof(text) - 1;
	crypto_shorthash(
	    out, (const uint8_t *)text, (unsigned long long)n, g->hash_key);
	memcpy(&key, out, sizeof(key));
	return key != 0 ? key : 1;
}

void
guess_who_set(const struct guesses *g, struct guess_who *who,
    const char *client_addr, const char *what, const char *name, bool codes)
{
	char prefix[GUESS_PREFIX_LEN];

	*who = (struct guess_who){ .pair = 0 };
	guess_prefix(prefix, client_addr);
	who->keys[GUESS_ADDRESS] = hash(g, "address", prefix, "");
	if (name == NULL)
		return;
	who->keys[GUESS_NAME] = hash(g, what, name, "");
	if (codes)
		who->keys[GUESS_CODES] = hash(g, "codes", name, "");
	else
		who->pair = hash(g, what, name, prefix);
}

/* ---- the table, under its lock ---- */

static void
forget_old(struct entry *e, uint64_t now_ns)
{
	if (e->checking == 0 && now_ns > e->last_ns &&
	    now_ns - e->last_ns > LOGIN_FORGET_S * NS_PER_S) {
		e->failures = 0;
		e->next_ns = 0;
	}
}

/* The place of a key's that is missed least: lower is less. */
static bool
is_missed_less(const struct entry *a, const struct entry *b)
{
	return a->failures != b->failures ? a->failures < b->failures
					  : a->last_ns < b->last_ns;
}

/* Its entry, NULL: there is none. */
static struct entry *
find(struct guesses *g, uint64_t key)
{
	struct entry *set = &g->entries[key % (GUESSES_MAX / WAYS) * WAYS];

	for (unsigned i = 0; key != 0 && i < WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

/* The same, made where there is none; NULL: all places are in use. */
static struct entry *
get(struct guesses *g, uint64_t key, uint64_t now_ns)
{
	struct entry *set = &g->entries[key % (GUESSES_MAX / WAYS) * WAYS];
	struct entry *e = find(g, key), *place = NULL;

	for (unsigned i = 0; e == NULL && i < WAYS; i++) {
		forget_old(&set[i], now_ns);
		if (set[i].checking == 0 &&
		    (place == NULL || is_missed_less(&set[i], place)))
			place = &set[i];
	}
	if (e == NULL && place != NULL) {
		*place = (struct entry){ .key = key, .last_ns = now_ns };
		e = place;
	}
	return e;
}

static uint32_t
wait_ms(struct entry *e, uint64_t now_ns)
{
	forget_old(e, now_ns);
	if (now_ns < e->next_ns)
		return (uint32_t)((e->next_ns - now_ns) / NS_PER_MS + 1);
	return e->checking >= (e->failures == 0 ? GUESS_AT_A_TIME : 1) ? POLL_MS
								       : 0;
}

/* Who got in before does not wait, once. */
static bool
use_good(struct guesses *g, const struct guess_who *who)
{
	struct entry *e = find(g, who->pair);

	if (e == NULL || !e->is_good)
		return false;
	e->is_good = false;
	return true;
}

static uint32_t
ask(struct guesses *g, const struct guess_who *who, uint64_t now_ns)
{
	struct entry *entries[GUESS_KEYS] = { NULL };
	uint32_t ms, longest = 0;

	for (unsigned i = 0; i < GUESS_KEYS; i++) {
		if (who->keys[i] == 0)
			continue;
		entries[i] = get(g, who->keys[i], now_ns);
		ms = entries[i] != NULL ? wait_ms(entries[i], now_ns) : POLL_MS;
		if (ms > longest)
			longest = ms;
		/* the place is kept while the others are looked for */
		if (entries[i] != NULL)
			entries[i]->checking++;
	}
	if (longest != 0 && use_good(g, who))
		longest = 0;
	for (unsigned i = 0; longest != 0 && i < GUESS_KEYS; i++)
		if (entries[i] != NULL)
			entries[i]->checking--;
	return longest;
}

uint32_t
guesses_ask(struct guesses *g, const struct guess_who *who, uint64_t now_ns)
{
	uint32_t ms;

	pthread_mutex_lock(&g->lock);
	ms = ask(g, who, now_ns);
	pthread_mutex_unlock(&g->lock);
	return ms;
}

/* ---- what came of it ---- */

static void
set_next(struct entry *e, enum guess_key key)
{
	uint32_t ms = login_delay_ms(e->failures, 0);

	if (key == GUESS_NAME && ms > GUESS_NAME_MAX_MS)
		ms = GUESS_NAME_MAX_MS;
	e->next_ns = e->last_ns + ms * NS_PER_MS;
}

static void
fail(struct entry *e, enum guess_key key, uint64_t now_ns)
{
	e->failures += e->failures < UINT32_MAX;
	e->last_ns = now_ns;
	set_next(e, key);
}

static void
wrong(struct guesses *g, const struct guess_who *who, uint64_t now_ns)
{
	struct entry *e;

	for (unsigned i = 0; i < GUESS_KEYS; i++)
		if ((e = find(g, who->keys[i])) != NULL)
			fail(e, i, now_ns);
	if (who->pair != 0 && (e = get(g, who->pair, now_ns)) != NULL) {
		fail(e, GUESS_ADDRESS, now_ns);
		e->is_good = false;
	}
}

/* Takes back what this name from this address had added. */
static void
forgive(struct entry *e, enum guess_key key, uint32_t own)
{
	if (e == NULL || own == 0)
		return;
	e->failures -= own < e->failures ? own : e->failures;
	if (e->failures != 0)
		set_next(e, key);
	else
		e->next_ns = 0;
}

static void
right(struct guesses *g, const struct guess_who *who, uint64_t now_ns)
{
	struct entry *pair = who->pair != 0 ? get(g, who->pair, now_ns) : NULL;

	if (pair == NULL)
		return;
	forgive(
	    find(g, who->keys[GUESS_ADDRESS]), GUESS_ADDRESS, pair->failures);
	forgive(find(g, who->keys[GUESS_NAME]), GUESS_NAME, pair->failures);
	*pair = (struct entry){
		.key = who->pair, .last_ns = now_ns, .is_good = true
	};
}

void
guesses_done(struct guesses *g, const struct guess_who *who,
    enum guess_result result, uint64_t now_ns)
{
	struct entry *e;

	pthread_mutex_lock(&g->lock);
	for (unsigned i = 0; i < GUESS_KEYS; i++)
		if ((e = find(g, who->keys[i])) != NULL && e->checking > 0)
			e->checking--;
	if (result == GUESS_WRONG)
		wrong(g, who, now_ns);
	else if (result == GUESS_RIGHT)
		right(g, who, now_ns);
	pthread_mutex_unlock(&g->lock);
}

void
guesses_learn(struct guesses *g, const struct guess_who *who,
    enum guess_key key, uint64_t failures, double age_s, uint64_t now_ns)
{
	struct entry *e;
	uint64_t age_ns;

	if (who->keys[key] == 0 || failures == 0 || age_s < 0 ||
	    age_s > LOGIN_FORGET_S)
		return;
	age_ns = (uint64_t)(age_s * (double)NS_PER_S);
	pthread_mutex_lock(&g->lock);
	e = get(g, who->keys[key], now_ns);
	if (e != NULL && e->failures < failures) {
		e->failures =
		    failures < UINT32_MAX ? (uint32_t)failures : UINT32_MAX;
		/* the machine may have been started since */
		e->last_ns = now_ns > age_ns ? now_ns - age_ns : 0;
		set_next(e, key);
	}
	pthread_mutex_unlock(&g->lock);
}
