/*
 * For viewers that ask for a colour map. An endpoint is asked for true
 * colour always, rfb_pixel_format_bgr233 here; the viewer gets a map in which
 * each of its 256 values has the colour that it has in that format.
 * Source: RFC 6143 section 7.6.2. Pure, thread-safe.
 */
#ifndef RFB_COLOUR_MAP_H
#define RFB_COLOUR_MAP_H

#include <stdint.h>

#define RFB_COLOUR_MAP_LEN (6 + 256 * 6)

/* Writes the SetColourMapEntries message. */
void rfb_colour_map_write(uint8_t out[RFB_COLOUR_MAP_LEN]);

#endif
