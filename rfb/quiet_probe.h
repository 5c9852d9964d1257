/*
 * Shows that an endpoint has answered all that it was asked, whatever server
 * it is. The caller sends nothing else that makes it draw, and asks for one
 * pixel at a random place, the spot, not incrementally:
 *
 *   an update with that pixel alone .... answers this question, and with it
 *                                        everything asked before: quiet
 *   an update with the pixel and more .. answers an earlier request too, or
 *                                        instead: another question, elsewhere
 *   an update without a picture ........ Xvnc's screens have used the question
 *                                        up: the same again, incrementally
 *   as many updates as requests ........ quiet (servers that always draw all)
 *
 * Servers with one requested region (Xvnc, libvncserver, QEMU) end by the
 * first rule, those that answer each request (neatvnc) by either. QEMU may
 * take 3 s to answer. Why the spot is random: a viewer must not be able to
 * have its own requests taken for the question. Why there is one question at
 * a time: nothing may be under way when it is answered.
 * Source: docs/rfb.md. Embedded, no I/O, not thread-safe.
 */
#ifndef RFB_QUIET_PROBE_H
#define RFB_QUIET_PROBE_H

#include <stdbool.h>
#include <stdint.h>

struct rfb_rect;

/* QEMU's pixels come in groups of so many, in one row. */
#define RFB_QUIET_PROBE_WIDTH 16

struct rfb_quiet_probe {
	uint16_t x, y;    /* the spot */
	unsigned n_asked; /* for this spot; 0: none yet */
	bool has_picture; /* the update under way */
	bool has_spot;    /* in it */
	bool has_more;    /* more than the spot, or it began too early */
	bool is_spoilt;   /* some update had the spot and more */
};

/* Forgets what was seen before. */
void rfb_quiet_probe_init(struct rfb_quiet_probe *p);

/*
 * The next question, not incremental, for one pixel at p->x, p->y inside an
 * area of the framebuffer, not empty; random: 32 bits that no peer can know.
 */
void rfb_quiet_probe_ask(
    struct rfb_quiet_probe *p, const struct rfb_rect *area, uint32_t random);

/* An update begins. */
void rfb_quiet_probe_update(struct rfb_quiet_probe *p);

/* A rectangle of it that draws, in whatever encoding. Returns whether the
 * update may still be an answer to the question alone. */
bool rfb_quiet_probe_rect(struct rfb_quiet_probe *p, const struct rfb_rect *r);

enum rfb_quiet_probe_result {
	RFB_QUIET_WAIT,
	RFB_QUIET_ASK_AGAIN, /* the same pixel, incrementally; once a spot */
	RFB_QUIET_ASK_OTHER, /* another one, when no more is on its way */
	RFB_QUIET_ANSWERED,
};

/* The update ended; call it once for each. */
enum rfb_quiet_probe_result rfb_quiet_probe_end(struct rfb_quiet_probe *p);

#endif
