/*
 * How often somebody guessed wrong: by address, by name and by who tries
 * session codes, so that tries made at the same time are counted and slowed
 * together. While nothing failed a few are checked at a time; afterwards one,
 * and each only when the wait after the failure before it is over.
 *
 * A stranger cannot lock anybody out. A name that logged in from an address
 * before (a known pair) waits there for its own failures only. Elsewhere an
 * address that has not failed waits at most GUESS_NEW_MAX_MS for the failures
 * of a name, and of those that wait for a name the address with the fewest
 * failures is next.
 *
 * A table of fixed size in memory: entries are forgotten LOGIN_FORGET_S after
 * the last failure, or when others need the place. Names that nobody has are
 * counted as those of people are. Thread-safe; no I/O.
 */
#ifndef COMMON_LOGIN_GUESSES_H
#define COMMON_LOGIN_GUESSES_H

#include <stdbool.h>
#include <stdint.h>

#define GUESSES_MAX      8192
#define GUESS_PREFIX_LEN 64

enum guess_key { GUESS_ADDRESS, GUESS_NAME, GUESS_CODES, GUESS_KEYS };

/* Checked at a time while nothing failed. */
#define GUESS_AT_A_TIME 4
/* The longest wait for the failures of a name, which others may have made. */
#define GUESS_NAME_MAX_MS 4000

/* The same, from an address that has not failed. */
#define GUESS_NEW_MAX_MS 1000

/* Which tries go first when there is a queue. */
enum guess_lane {
	GUESS_KNOWN,  /* this name logged in from this address before */
	GUESS_NEW,    /* the address has not failed */
	GUESS_FAILED, /* the address has failed */
	GUESS_LANES,
};

/* What a try is counted by; 0: not by that. */
struct guess_who {
	uint64_t keys[GUESS_KEYS];
	uint64_t pair;        /* this name from this address */
	enum guess_lane lane; /* set by guesses_ask */
};

/* ABANDONED: for a reason of ours, it does not count. LEFT: the client went
 * before it was told; that counts as WRONG. */
enum guess_result { GUESS_RIGHT, GUESS_WRONG, GUESS_LEFT, GUESS_ABANDONED };

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
uint32_t guesses_ask(struct guesses *g, struct guess_who *who, uint64_t now_ns);
/* What came of it. RIGHT takes back the failures of that name from that
 * address, not those that others made; never those of codes. */
void guesses_done(struct guesses *g, const struct guess_who *who,
    enum guess_result result, uint64_t now_ns);

/* The client left while its try waited: its address has one failure more, and
 * the pair; the name has none, because nothing was tried on it. */
void guesses_left(
    struct guesses *g, const struct guess_who *who, uint64_t now_ns);

/* The pair logged in before, as the database says. */
void guesses_know(
    struct guesses *g, const struct guess_who *who, uint64_t now_ns);

/* What others know of a key: failures, the last one age_s ago. The higher
 * count holds. */
void guesses_learn(struct guesses *g, const struct guess_who *who,
    enum guess_key key, uint64_t failures, double age_s, uint64_t now_ns);

#endif
