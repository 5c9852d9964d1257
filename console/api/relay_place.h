/* Where the relay's doors for people are: the browser viewer, and the port of
 * VNC viewers. By the settings, or on the host that the browser asked, at
 * their usual ports. */
#ifndef CONSOLE_API_RELAY_PLACE_H
#define CONSOLE_API_RELAY_PLACE_H

#define PLACE_MAX 300

struct request;

/* "https://host[:port]" of the browser viewer; "" when it cannot be said.
 * Returns out. */
const char *relay_viewer_url(const struct request *r, char out[PLACE_MAX]);

/* "host[:port]" that VNC viewers are given; "" when it cannot be said. */
const char *relay_vnc_address(const struct request *r, char out[PLACE_MAX]);

#endif
