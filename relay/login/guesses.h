/*
 * How often somebody guessed wrong: by address, by name and by who tries
 * session codes, so that tries made at the same time are counted and slowed
 * together. While nothing failed a few are checked at a time; afterwards one,
 * and each only when the wait after the failure before it is over. Who got
 * in before from the same address does not wait for the failures of others:
 * a stranger cannot lock anybody out.
 *
 * A table of fixed size in memory: entries are forgotten LOGIN_FORGET_S after
 * the last failure, or when others need the place. Names that nobody has are
 * counted as those of people are. Thread-safe; no I/O.
 */
#ifndef RELAY_LOGIN_GUESSES_H
#define RELAY_LOGIN_GUESSES_H

#include <stdbool.h>
#include <stdint.h>

#define GUESSES_MAX      8192
#define GUESS_PREFIX_LEN 64

enum guess_key { GUESS_ADDRESS, GUESS_NAME, GUESS_CODES, GUESS_KEYS };

/* Checked at a time while nothing failed. */
#define GUESS_AT_A_TIME 4
/* The longest wait for the failures of a name, which others may have made. */
#define GUESS_NAME_MAX_MS 4000

/* What a try is counted by; 0: not by that. */
struct guess_who {
	uint64_t keys[GUESS_KEYS];
	uint64_t pair; /* this name from this address */
};

enum guess_result { GUESS_RIGHT, GUESS_WRONG, GUESS_ABANDONED };

struct guesses;

/* NULL only for memory. */
struct guesses *guesses_new(void);
void guesses_free(struct guesses *g);

/*
 * client_addr: "203.0.113.7" or an IPv6 address, of which the first 64 bits
 * count: "2001:db8:0:1::/64". Anything else is taken as it is.
 */
void guess_prefix(char out[GUESS_PREFIX_LEN], const char *client_addr);

/*
 * Whom a try is counted by. what: kind of name, so that a person and an
 * endpoint of the same name are two; name: "" is a name as well, NULL is
 * none; codes: counted as a try of session codes too.
 */
void guess_who_set(const struct guesses *g, struct guess_who *who,
    const char *client_addr, const char *what, const char *name, bool codes);

/*
 * May it be checked now? Returns 0: yes, guesses_done has to follow.
 * Otherwise milliseconds until it may ask again.
 */
uint32_t guesses_ask(
    struct guesses *g, const struct guess_who *who, uint64_t now_ns);
/* What came of it. RIGHT takes back the failures of that name from that
 * address, not those that others made; never those of codes. */
void guesses_done(struct guesses *g, const struct guess_who *who,
    enum guess_result result, uint64_t now_ns);

/* What others know of a key: failures, the last one age_s ago. The higher
 * count holds. */
void guesses_learn(struct guesses *g, const struct guess_who *who,
    enum guess_key key, uint64_t failures, double age_s, uint64_t now_ns);

#endif
