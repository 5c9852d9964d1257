/*
 * Numbers of the RFB protocol: message types, encodings, limits.
 * Source: RFC 6143, the community specification, docs/rfb.md.
 */
#ifndef RFB_PROTOCOL_H
#define RFB_PROTOCOL_H

#include <stdint.h>

/* Limits that every parser enforces. */
#define RFB_MAX_SIDE        16384     /* framebuffer width and height */
#define RFB_MAX_CURSOR      1024      /* cursor width and height */
#define RFB_MAX_CUT_TEXT    (1 << 24) /* bytes, clear or extended */
#define RFB_MAX_NAME        4096      /* desktop name */
#define RFB_MAX_REASON      4096      /* refusal text */
#define RFB_MAX_FENCE       64
#define RFB_MAX_CREDENTIAL  1024 /* user name, password */
#define RFB_MAX_SCREENS     64
#define RFB_MAX_JPEG_PIXELS (1 << 25) /* one rectangle; 8K has fewer */

/* Server messages. */
enum rfb_server_message {
	RFB_FRAMEBUFFER_UPDATE = 0,
	RFB_SET_COLOUR_MAP = 1,
	RFB_BELL = 2,
	RFB_SERVER_CUT_TEXT = 3,
	RFB_END_OF_CONTINUOUS_UPDATES = 150,
	RFB_SERVER_FENCE = 248,
};

/* Client messages. */
enum rfb_client_message {
	RFB_SET_PIXEL_FORMAT = 0,
	RFB_SET_ENCODINGS = 2,
	RFB_FRAMEBUFFER_UPDATE_REQUEST = 3,
	RFB_KEY_EVENT = 4,
	RFB_POINTER_EVENT = 5,
	RFB_CLIENT_CUT_TEXT = 6,
	RFB_ULTRA_SET_SCALE = 8,
	RFB_ULTRA_SET_SERVER_INPUT = 9,
	RFB_ULTRA_SET_WINDOW = 10,
	RFB_ULTRA_KEEP_ALIVE = 13,
	RFB_ULTRA_SET_PALM_SCALE = 15,
	RFB_ENABLE_CONTINUOUS_UPDATES = 150,
	RFB_CLIENT_FENCE = 248,
	RFB_XVP = 250,
	RFB_SET_DESKTOP_SIZE = 251,
	RFB_QEMU = 255,
};

/* Encodings that carry pictures. */
#define RFB_ENC_RAW      0
#define RFB_ENC_COPYRECT 1
#define RFB_ENC_RRE      2
#define RFB_ENC_CORRE    4
#define RFB_ENC_HEXTILE  5
#define RFB_ENC_ZLIB     6
#define RFB_ENC_TIGHT    7
#define RFB_ENC_ZRLE     16

/* Wishes for a compression level. */
#define RFB_ENC_COMPRESS_0 (-256)
#define RFB_ENC_COMPRESS_1 (-255)

/* Pseudo-encodings with or without a payload. */
#define RFB_ENC_LAST_RECT           (-224)
#define RFB_ENC_DESKTOP_SIZE        (-223)
#define RFB_ENC_POINTER_POS         (-232)
#define RFB_ENC_CURSOR              (-239)
#define RFB_ENC_XCURSOR             (-240)
#define RFB_ENC_QEMU_POINTER_CHANGE (-257)
#define RFB_ENC_QEMU_EXT_KEY        (-258)
#define RFB_ENC_QEMU_LED            (-261)
#define RFB_ENC_DESKTOP_NAME        (-307)
#define RFB_ENC_EXT_DESKTOP_SIZE    (-308)
#define RFB_ENC_FENCE               (-312)
#define RFB_ENC_CONTINUOUS_UPDATES  (-313)
#define RFB_ENC_CURSOR_ALPHA        (-314)
#define RFB_ENC_EXT_MOUSE_BUTTONS   (-316)
#define RFB_ENC_TIGHT_PLAIN         (-317) /* "Tight encoding without zlib" */
#define RFB_ENC_EXT_CLIPBOARD       ((int32_t)0xC0A1E5CE)
#define RFB_ENC_VMWARE_CURSOR       0x574d5664
#define RFB_ENC_VMWARE_CURSOR_POS   0x574d5666
#define RFB_ENC_VMWARE_LED          0x574d5668

#endif
