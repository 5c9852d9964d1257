#include "common/login/login_throttle.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/login/login_delay.h"

#define WAYS    8  /* places that a key may be at */
#define POLL_MS 50 /* another one is being checked */

struct entry {
	uint64_t key; /* 0: free */
	uint64_t last_ns, next_ns;
	uint32_t failures;
	uint16_t checking;
	uint16_t checking_failed; /* of these, from addresses that failed */
	bool is_known;            /* a pair: it logged in before */
	/* a name: an address with so many failures is next, until then */
	uint32_t turn_failures;
	uint64_t turn_until_ns;
};

struct login_throttle {
	pthread_mutex_t lock;
	uint8_t hash_key[crypto_shorthash_KEYBYTES];
	struct entry entries[LOGIN_THROTTLE_MAX];
};

struct login_throttle *
login_throttle_new(void)
{
	struct login_throttle *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	pthread_mutex_init(&g->lock, NULL);
	/* nobody outside can choose names that share a place */
	randombytes_buf(g->hash_key, sizeof(g->hash_key));
	return g;
}

void
login_throttle_free(struct login_throttle *g)
{
	if (g != NULL)
		pthread_mutex_destroy(&g->lock);
	free(g);
}

/* ---- who ---- */

void
login_prefix(char out[LOGIN_PREFIX_LEN], const char *client_addr)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a;

	if (inet_pton(AF_INET6, client_addr, &a) != 1) {
		snprintf(out, LOGIN_PREFIX_LEN, "%s", client_addr);
	} else if (memcmp(&a, mapped, sizeof(mapped)) == 0) {
		inet_ntop(AF_INET, &a.s6_addr[12], out, LOGIN_PREFIX_LEN);
	} else {
		memset(&a.s6_addr[8], 0, 8);
		inet_ntop(AF_INET6, &a, text, sizeof(text));
		snprintf(out, LOGIN_PREFIX_LEN, "%s/64", text);
	}
}

static uint64_t
hash(const struct login_throttle *g, const char *kind, const char *a,
    const char *b)
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
login_keys_set(const struct login_throttle *g, struct login_keys *who,
    const char *client_addr, const char *what, const char *name, bool codes)
{
	char prefix[LOGIN_PREFIX_LEN];

	*who = (struct login_keys){ .pair = 0 };
	login_prefix(prefix, client_addr);
	who->keys[LOGIN_KEY_ADDRESS] = hash(g, "address", prefix, "");
	if (name == NULL)
		return;
	who->keys[LOGIN_KEY_NAME] = hash(g, what, name, "");
	if (codes)
		who->keys[LOGIN_KEY_CODES] = hash(g, "codes", name, "");
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
find(struct login_throttle *g, uint64_t key)
{
	struct entry *set =
	    &g->entries[key % (LOGIN_THROTTLE_MAX / WAYS) * WAYS];

	for (unsigned i = 0; key != 0 && i < WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

/* The same, made where there is none; NULL: all places are in use. */
static struct entry *
get(struct login_throttle *g, uint64_t key, uint64_t now_ns)
{
	struct entry *set =
	    &g->entries[key % (LOGIN_THROTTLE_MAX / WAYS) * WAYS];
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
ms_until(uint64_t when_ns, uint64_t now_ns)
{
	return now_ns < when_ns ? (uint32_t)((when_ns - now_ns) / NS_PER_MS + 1)
				: 0;
}

static int
at_a_time(const struct entry *e)
{
	return e->failures == 0 ? LOGIN_AT_A_TIME : 1;
}

static uint32_t
wait_ms(struct entry *e, uint64_t now_ns)
{
	uint32_t ms;

	forget_old(e, now_ns);
	ms = ms_until(e->next_ns, now_ns);
	return ms == 0 && e->checking >= at_a_time(e) ? POLL_MS : ms;
}

/* The same for a name that is tried from an address without failures. */
static uint32_t
new_wait_ms(struct entry *e, uint64_t now_ns)
{
	uint64_t next = e->last_ns + LOGIN_NEW_MAX_MS * NS_PER_MS;
	uint32_t ms = ms_until(next < e->next_ns ? next : e->next_ns, now_ns);

	return ms == 0 && e->checking - e->checking_failed >= at_a_time(e)
	    ? POLL_MS
	    : ms;
}

/* The same, from an address with `own` failures. */
static uint32_t
name_wait_ms(struct entry *e, uint32_t own, uint64_t now_ns)
{
	uint32_t ms = wait_ms(e, now_ns);

	if (own == 0)
		return new_wait_ms(e, now_ns);
	if (ms == 0 && now_ns < e->turn_until_ns && own > e->turn_failures)
		return POLL_MS;
	return ms;
}

/* It waits for the name: its turn comes before those with more failures. A
 * turn lapses when its holder does not ask in time. */
static void
wait_for_turn(struct entry *e, uint32_t own, uint32_t ms, uint64_t now_ns)
{
	if (own > e->turn_failures && now_ns < e->turn_until_ns)
		return;
	e->turn_failures = own;
	e->turn_until_ns = now_ns + (ms + 2 * POLL_MS) * NS_PER_MS;
}

static uint32_t
ask_known(struct entry *pair, struct login_keys *who, uint64_t now_ns)
{
	uint32_t ms = wait_ms(pair, now_ns);

	who->lane = LOGIN_LANE_KNOWN;
	if (ms == 0)
		pair->checking++;
	return ms;
}

/* What a try is counted by, while it asks. */
struct asking {
	struct entry *entries[LOGIN_KEYS]; /* NULL: not by that */
	uint32_t ms[LOGIN_KEYS];           /* that they let it wait */
	uint32_t longest;
	uint32_t own; /* failures of its address */
};

/* Finds or makes the entries, which are pinned: none of them takes the place
 * of another. */
static void
look_at_keys(struct login_throttle *g, const struct login_keys *who,
    struct asking *a, uint64_t now_ns)
{
	for (unsigned i = 0; i < LOGIN_KEYS; i++) {
		struct entry *e;

		if (who->keys[i] == 0)
			continue;
		e = a->entries[i] = get(g, who->keys[i], now_ns);
		a->ms[i] = e == NULL      ? POLL_MS
		    : i == LOGIN_KEY_NAME ? name_wait_ms(e, a->own, now_ns)
					  : wait_ms(e, now_ns);
		if (a->ms[i] > a->longest)
			a->longest = a->ms[i];
		if (e == NULL)
			continue;
		if (i == LOGIN_KEY_ADDRESS)
			a->own = e->failures;
		e->checking++;
	}
}

static uint32_t
ask(struct login_throttle *g, struct login_keys *who, uint64_t now_ns)
{
	struct entry *pair = find(g, who->pair), *name;
	struct asking a = { .own = 1 };

	if (pair != NULL && pair->is_known)
		return ask_known(pair, who, now_ns);
	look_at_keys(g, who, &a, now_ns);
	name = a.entries[LOGIN_KEY_NAME];
	who->lane = a.own == 0 ? LOGIN_LANE_NEW : LOGIN_LANE_FAILED;
	if (a.longest == 0) {
		if (name != NULL && who->lane == LOGIN_LANE_FAILED)
			name->checking_failed++;
		if (name != NULL && a.own <= name->turn_failures)
			name->turn_until_ns = 0;
		return 0;
	}
	for (unsigned i = 0; i < LOGIN_KEYS; i++)
		if (a.entries[i] != NULL)
			a.entries[i]->checking--;
	if (name != NULL && a.ms[LOGIN_KEY_NAME] >= a.ms[LOGIN_KEY_ADDRESS])
		wait_for_turn(name, a.own, a.ms[LOGIN_KEY_NAME], now_ns);
	return a.longest;
}

uint32_t
login_throttle_ask(
    struct login_throttle *g, struct login_keys *who, uint64_t now_ns)
{
	uint32_t ms;

	pthread_mutex_lock(&g->lock);
	ms = ask(g, who, now_ns);
	pthread_mutex_unlock(&g->lock);
	return ms;
}

/* ---- what came of it ---- */

static void
set_next(struct entry *e, enum login_key key)
{
	uint32_t ms = login_delay_ms(e->failures, 0);

	if (key == LOGIN_KEY_NAME && ms > LOGIN_NAME_MAX_MS)
		ms = LOGIN_NAME_MAX_MS;
	e->next_ns = e->last_ns + ms * NS_PER_MS;
}

static void
fail(struct entry *e, enum login_key key, uint64_t now_ns)
{
	e->failures += e->failures < UINT32_MAX;
	e->last_ns = now_ns;
	set_next(e, key);
}

static void
fail_key(struct login_throttle *g, uint64_t key, enum login_key kind,
    uint64_t now_ns)
{
	struct entry *e = key != 0 ? get(g, key, now_ns) : NULL;

	if (e != NULL)
		fail(e, kind, now_ns);
}

static void
wrong(struct login_throttle *g, const struct login_keys *who, uint64_t now_ns)
{
	for (unsigned i = 0; i < LOGIN_KEYS; i++)
		fail_key(g, who->keys[i], i, now_ns);
	fail_key(g, who->pair, LOGIN_KEY_ADDRESS, now_ns);
}

/* Takes back what this name from this address had added. */
static void
forgive(struct entry *e, enum login_key key, uint32_t own)
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
right(struct login_throttle *g, const struct login_keys *who, uint64_t now_ns)
{
	struct entry *pair = who->pair != 0 ? get(g, who->pair, now_ns) : NULL;

	if (pair == NULL)
		return;
	forgive(find(g, who->keys[LOGIN_KEY_ADDRESS]), LOGIN_KEY_ADDRESS,
	    pair->failures);
	forgive(
	    find(g, who->keys[LOGIN_KEY_NAME]), LOGIN_KEY_NAME, pair->failures);
	pair->failures = 0;
	pair->next_ns = 0;
	pair->last_ns = now_ns;
	pair->is_known = true;
}

/* It is not being checked any more. */
static void
unpin(struct login_throttle *g, const struct login_keys *who)
{
	struct entry *e = find(g, who->pair);

	if (who->lane == LOGIN_LANE_KNOWN) {
		if (e != NULL && e->checking > 0)
			e->checking--;
		return;
	}
	for (unsigned i = 0; i < LOGIN_KEYS; i++)
		if ((e = find(g, who->keys[i])) != NULL && e->checking > 0)
			e->checking--;
	e = find(g, who->keys[LOGIN_KEY_NAME]);
	if (who->lane == LOGIN_LANE_FAILED && e != NULL &&
	    e->checking_failed > 0)
		e->checking_failed--;
}

void
login_throttle_done(struct login_throttle *g, const struct login_keys *who,
    enum login_result result, uint64_t now_ns)
{
	pthread_mutex_lock(&g->lock);
	unpin(g, who);
	if (result == LOGIN_WRONG || result == LOGIN_LEFT)
		wrong(g, who, now_ns);
	else if (result == LOGIN_RIGHT)
		right(g, who, now_ns);
	pthread_mutex_unlock(&g->lock);
}

void
login_throttle_left(
    struct login_throttle *g, const struct login_keys *who, uint64_t now_ns)
{
	pthread_mutex_lock(&g->lock);
	fail_key(g, who->keys[LOGIN_KEY_ADDRESS], LOGIN_KEY_ADDRESS, now_ns);
	fail_key(g, who->pair, LOGIN_KEY_ADDRESS, now_ns);
	pthread_mutex_unlock(&g->lock);
}

void
login_throttle_know(
    struct login_throttle *g, const struct login_keys *who, uint64_t now_ns)
{
	struct entry *e;

	pthread_mutex_lock(&g->lock);
	e = who->pair != 0 ? get(g, who->pair, now_ns) : NULL;
	if (e != NULL)
		e->is_known = true;
	pthread_mutex_unlock(&g->lock);
}

void
login_throttle_learn(struct login_throttle *g, const struct login_keys *who,
    enum login_key key, uint64_t failures, double age_s, uint64_t now_ns)
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
