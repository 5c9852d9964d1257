/*
 * Which capture is encoded next, and for how long. Places are shared between
 * teams: a team with fewer encoders goes first; of equals the one that began
 * longest ago. No I/O; one loop.
 */
#ifndef STORAGE_ENCODE_ENCODE_TURNS_H
#define STORAGE_ENCODE_ENCODE_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#define ENCODE_TEAMS 64 /* whose turns are remembered */

struct capture;
struct encode_queue;

/* When teams had their turns; all zeros is a new one. */
struct encode_turns {
	struct {
		int64_t team_id;
		uint64_t turn; /* 0: the place is free */
	} teams[ENCODE_TEAMS];
	uint64_t n; /* turns so far */
};

/* Whether c goes before all others that could begin now. */
bool encode_turns_is_next(
    const struct encode_queue *q, const struct capture *c);
/* Its team has its turn. */
void encode_turns_note(struct encode_turns *t, int64_t team_id);

/*
 * Seconds of processor time that encoding may take: min_s, and 3 for each
 * second of the capture, which is a day long at most (T9).
 */
int64_t encode_limit_s(uint64_t start_ns, uint64_t last_ns, int64_t min_s);

#endif
