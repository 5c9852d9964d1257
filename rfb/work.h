/*
 * What drawing costs beside the bytes that order it. A CopyRect of 16 bytes
 * moves a whole screen, a fill or a solid tile paints one for a few: so the
 * cost of a stream is counted in pixels, and bounded in three places:
 *
 *   an update   may draw RFB_WORK_PER_UPDATE screens (rfb/decoder); servers
 *               draw one, or two where something moved
 *   a second    of an endpoint's stream may draw RFB_WORK_PER_S pixels: the
 *               relay reads on later (relay/pump/meter)
 *   a capture   may draw twice that a second, and RFB_WORK_BURST beside it:
 *               recorder/replay stops there
 *
 * 10^9 pixels are 40 full screens of 24.9 million a second, or 480 of
 * 1920x1080. Raw does not count: it has its bytes.
 */
#ifndef RFB_WORK_H
#define RFB_WORK_H

#include <stdint.h>

struct rfb_rect;

#define RFB_WORK_PER_UPDATE 64
#define RFB_WORK_PER_S      UINT64_C(1000000000)
#define RFB_WORK_BURST      (512 * RFB_WORK_PER_S)

/* Pixels that a rectangle draws, or moves when it changes the screen's size.
 * Subrectangles of RRE and Hextile draw at most eight times as many. */
uint64_t rfb_rect_work(const struct rfb_rect *r);

/*
 * Whether a capture that drew so many pixels in ns of its time is more than a
 * relay lets through, with a margin for pieces that are read at once.
 */
static inline int
rfb_work_is_too_much(uint64_t pixels, uint64_t ns)
{
	return pixels > RFB_WORK_BURST + ns / 1000000 * (RFB_WORK_PER_S / 500);
}

#endif
