#include "rfb/work.h"

#include "rfb/framer.h"
#include "rfb/protocol.h"

uint64_t
rfb_rect_work(const struct rfb_rect *r)
{
	switch (r->encoding) {
	case RFB_ENC_COPYRECT:
	case RFB_ENC_RRE:
	case RFB_ENC_CORRE:
	case RFB_ENC_HEXTILE:
	case RFB_ENC_ZLIB:
	case RFB_ENC_TIGHT:
	case RFB_ENC_ZRLE:
	case RFB_ENC_CURSOR_ALPHA:
	case RFB_ENC_DESKTOP_SIZE:
	case RFB_ENC_EXT_DESKTOP_SIZE:
		return (uint64_t)r->w * r->h;
	default:
		return 0;
	}
}
