/*
 * How often somebody guessed wrong: by address, by name and by who tries
 * session codes, so that tries made at the same time are counted and slowed
 * together. While nothing failed a few are checked at a time; afterwards one,
 * and each only when the wait after the failure before it is over.
 *
 * A stranger cannot lock anybody out. A name that logged in from an address
 * before (a known pair) waits there for its own failures only. Elsewhere an
 * address that has not failed waits at most LOGIN_NEW_MAX_MS for the failures
 * of a name, and of those that wait for a name the address with the fewest
 * failures is next.
 *
 * A table of fixed size in memory: entries are forgotten LOGIN_FORGET_S after
 * the last failure, or when others need the place. Names that nobody has are
 * counted as those of people are. Thread-safe; no I/O.
 */
#ifndef COMMON_LOGIN_LOGIN_THROTTLE_H
#define COMMON_LOGIN_LOGIN_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#define LOGIN_THROTTLE_MAX 8192
#define LOGIN_PREFIX_LEN   64

enum login_key {
	LOGIN_KEY_ADDRESS,
	LOGIN_KEY_NAME,
	LOGIN_KEY_CODES,
	LOGIN_KEYS
};

/* Checked at a time while nothing failed. */
#define LOGIN_AT_A_TIME 4
/* The longest wait for the failures of a name, which others may have made. */
#define LOGIN_NAME_MAX_MS 4000

/* The same, from an address that has not failed. */
#define LOGIN_NEW_MAX_MS 1000

/* Which tries go first when there is a queue. */
enum login_lane {
	LOGIN_LANE_KNOWN,  /* this name logged in from this address before */
	LOGIN_LANE_NEW,    /* the address has not failed */
	LOGIN_LANE_FAILED, /* the address has failed */
	LOGIN_LANES,
};

/* What a try is counted by; 0: not by that. */
struct login_keys {
	uint64_t keys[LOGIN_KEYS];
	uint64_t pair;        /* this name from this address */
	enum login_lane lane; /* set by login_throttle_ask */
};

/* ABANDONED: for a reason of ours, it does not count. LEFT: the client went
 * before it was told; that counts as WRONG. */
enum login_result { LOGIN_RIGHT, LOGIN_WRONG, LOGIN_LEFT, LOGIN_ABANDONED };

struct login_throttle;

/* NULL only for memory. */
struct login_throttle *login_throttle_new(void);
void login_throttle_free(struct login_throttle *g);

/*
 * client_addr: "203.0.113.7" or an IPv6 address, of which the first 64 bits
 * count: "2001:db8:0:1::/64". Anything else is taken as it is.
 */
void login_prefix(char out[LOGIN_PREFIX_LEN], const char *client_addr);

/*
 * Whom a try is counted by. what: kind of name, so that a person and an
 * endpoint of the same name are two; name: "" is a name as well, NULL is
 * none; codes: counted as a try of session codes too.
 */
void login_keys_set(const struct login_throttle *g, struct login_keys *who,
    const char *client_addr, const char *what, const char *name, bool codes);

/*
 * May it be checked now? Returns 0: yes, login_throttle_done has to follow.
 * Otherwise milliseconds until it may ask again.
 */
uint32_t login_throttle_ask(
    struct login_throttle *g, struct login_keys *who, uint64_t now_ns);
/* What came of it. RIGHT takes back the failures of that name from that
 * address, not those that others made; never those of codes. */
void login_throttle_done(struct login_throttle *g, const struct login_keys *who,
    enum login_result result, uint64_t now_ns);

/* The client left while its try waited: its address has one failure more, and
 * the pair; the name has none, because nothing was tried on it. */
void login_throttle_left(
    struct login_throttle *g, const struct login_keys *who, uint64_t now_ns);

/* The pair logged in before, as the database says. */
void login_throttle_know(
    struct login_throttle *g, const struct login_keys *who, uint64_t now_ns);

/* What others know of a key: failures, the last one age_s ago. The higher
 * count holds. */
void login_throttle_learn(struct login_throttle *g,
    const struct login_keys *who, enum login_key key, uint64_t failures,
    double age_s, uint64_t now_ns);

#endif
