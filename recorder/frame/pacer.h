/*
 * When a frame is taken. Damage is shown at once after a quiet moment;
 * while it goes on, so many times a second:
 *
 *	motion          the session's rate: much changed, three times in a row
 *	anything else   10
 *	next to nothing 2: a clock or a blinking cursor, unless there is input
 *
 * and never more often than the session's rate, but for what is about to be
 * replaced (recorder/session/recorder_session_replace.c). What the encoder had
 * to code coarsely is taken again when the screen is quiet; the first damage
 * ten seconds after a key frame makes another one, so that players can seek.
 * All times are clock_mono_ns() of the stream (marks), given by the caller.
 * Pure arithmetic: no clock, no I/O.
 */
#ifndef RECORDER_FRAME_PACER_H
#define RECORDER_FRAME_PACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"

#define PACER_NEVER     UINT64_MAX
#define PACER_KEY_NS    (10 * NS_PER_S)
#define PACER_QUIET_NS  (400 * NS_PER_MS) /* doubles with each try */
#define PACER_QUIET_MAX 5                 /* tries after one damage */
/* Not more: what was on the screen for a moment has to be seen. Who cannot
 * keep up with that goes on as a capture, recorder/lag.h. */
#define PACER_SLOWDOWN_MAX 2

#define PACER_USUAL_RATE 10 /* frames a second */
#define PACER_TINY_RATE  2
/* Next to nothing: so many tiles, and a small screen's share. */
#define PACER_TINY_TILES 24
#define PACER_TINY_SHARE 64
/* Much: this share of the tiles; in so many frames, none far apart. */
#define PACER_MOTION_SHARE 32
#define PACER_MOTION_N     2
#define PACER_MOTION_NS    (300 * NS_PER_MS)
/* Input is told about once a second: what it did shows so long after. */
#define PACER_INPUT_NS (2 * NS_PER_S)

struct pacer {
	unsigned rate;        /* frames a second, the most */
	unsigned slowdown;    /* times that, when the encoder is behind */
	uint64_t last_ns;     /* time of the last frame, 0: none */
	uint64_t last_key_ns; /* of the last key frame */
	uint64_t looked_ns;   /* when damage was none in the end, 0: never */
	uint64_t damage_ns;   /* oldest damage not shown, PACER_NEVER: none */
	size_t n_dirty;       /* tiles of it */
	size_t n_tiles;       /* of all */
	unsigned n_motion;    /* last frames in which much changed */
	uint64_t input_ns;    /* last input, 0: none */
	bool is_coarse;       /* something waits for a quiet moment */
	unsigned tries;       /* quiet frames since the last other one */
};

/* frame_rate: frames a second, 1 or more. */
void pacer_init(struct pacer *p, unsigned frame_rate);
void pacer_set_rate(struct pacer *p, unsigned frame_rate);

/* 1: full pace; n: n times the interval (PACER_SLOWDOWN_MAX at most). */
void pacer_set_slowdown(struct pacer *p, unsigned n);

/*
 * An update was complete at now; n_dirty of n_tiles are said to be different
 * from the last frame.
 */
void pacer_damage(
    struct pacer *p, uint64_t now_ns, size_t n_dirty, size_t n_tiles);

/* A frame is about to be taken, and so many tiles are. */
void pacer_found(struct pacer *p, size_t n_dirty);

/* Keys or pointer events came, up to a second before now. */
void pacer_input(struct pacer *p, uint64_t now_ns);

/* Between two frames while what changes now continues; without slowdown. */
uint64_t pacer_interval_ns(const struct pacer *p);

/* When the frame with the damage so far is due, or PACER_NEVER. */
uint64_t pacer_due(const struct pacer *p);

/* When a quiet frame is due, or PACER_NEVER; none while damage waits. */
uint64_t pacer_quiet_due(const struct pacer *p);

/* Whether a frame with damage at t should be a key frame. */
bool pacer_is_key_due(const struct pacer *p, uint64_t t_ns);

/*
 * A frame was taken at t. was_quiet: it was a second helping for coarse
 * tiles; is_coarse: some tiles still are.
 */
void pacer_taken(struct pacer *p, uint64_t t_ns, bool was_key, bool was_quiet,
    bool is_coarse);

/*
 * What was due at t turned out to be nothing: no tile is coarse any more
 * (was_quiet), or none is different. The next look is not before the
 * session's rate allows a frame.
 */
void pacer_nothing(struct pacer *p, uint64_t t_ns, bool was_quiet);

#endif
