#ifndef RELAY_VIEW_H
#define RELAY_VIEW_H
#include <stdint.h>
struct view_monitor { uint16_t x, y, w, h; };
#endif
