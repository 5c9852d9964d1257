#include "recorder/frame/encoder.h"

#include <stdlib.h>
#include <string.h>
#include <vpx/vp8cx.h>
#include <vpx/vpx_encoder.h>

#include "common/err.h"
#include "recorder/frame/zero_pages.h"

#define PIXELS_1080P (1920u * 1080u)
#define KBITS_1080P  4500u
#define KBITS_MIN    200u
#define KEY_NEVER    (1u << 24) /* frames */
/* libvpx makes its tables with the first packets: then, and once more when each
 * has been used, pages that it only cleared are given back. */
#define FIRST_PACKET 1
#define LAST_EARLY   16

struct quality_row {
	unsigned cq_level, q_min, q_max;
	unsigned q_fine;  /* the most that is as sharp as it gets */
	unsigned percent; /* of the bit rate */
	int speed;        /* of VP9: 9 is the fastest */
};

static const struct quality_row qualities[] = {
	[ENCODER_TEXT] = { 21, 12, 44, 24, 100, 9 },
	/* never finer than its level; smaller blocks, for more CPU */
	[ENCODER_SMALL] = { 36, 36, 46, 36, 60, 8 },
	[ENCODER_LOSSLESS] = { 0, 0, 0, 0, 1000, 9 },
};

struct encoder {
	vpx_codec_ctx_t ctx;
	vpx_codec_enc_cfg_t cfg;
	const struct quality_row *quality;
	enum encoder_codec codec;
	bool is_open;
	bool all_active;  /* what the encoder was told last */
	unsigned n_early; /* packets, until its memory is what it will be */
	uint8_t *no_tile; /* an active map with nothing in it */
};

static unsigned
target_kbits(const struct quality_row *q, unsigned width, unsigned height)
{
	uint64_t kbits = (uint64_t)width * height * KBITS_1080P / PIXELS_1080P;

	if (kbits < KBITS_MIN)
		kbits = KBITS_MIN;
	return (unsigned)(kbits * q->percent / 100);
}

/* What both codecs share; see encoder.h for why. */
static int
configure(struct encoder *e, vpx_codec_iface_t *iface, unsigned width,
    unsigned height)
{
	vpx_codec_enc_cfg_t *cfg = &e->cfg;

	if (vpx_codec_enc_config_default(iface, cfg, 0) != VPX_CODEC_OK)
		return ERR_UNSUPPORTED;
	cfg->g_w = width;
	cfg->g_h = height;
	cfg->g_timebase.num = 1;
	cfg->g_timebase.den = 1000;
	cfg->g_threads = 1;
	cfg->g_lag_in_frames = 0;
	cfg->g_pass = VPX_RC_ONE_PASS;
	cfg->rc_end_usage = VPX_CQ;
	cfg->rc_min_quantizer = e->quality->q_min;
	cfg->rc_max_quantizer = e->quality->q_max;
	cfg->rc_target_bitrate = target_kbits(e->quality, width, height);
	cfg->rc_dropframe_thresh = 0;
	cfg->rc_resize_allowed = 0;
	/* key frames come when the session asks for them, never else */
	cfg->kf_mode = VPX_KF_DISABLED;
	cfg->kf_max_dist = KEY_NEVER;
	return 0;
}

static bool
control_vp9(struct encoder *e, bool lossless)
{
	vpx_codec_ctx_t *c = &e->ctx;

	return vpx_codec_control(c, VP8E_SET_CPUUSED, e->quality->speed) == 0 &&
	    vpx_codec_control(c, VP8E_SET_CQ_LEVEL, e->quality->cq_level) ==
	    0 &&
	    vpx_codec_control(c, VP9E_SET_TUNE_CONTENT, VP9E_CONTENT_SCREEN) ==
	    0 &&
	    vpx_codec_control(c, VP9E_SET_AQ_MODE, 0) == 0 &&
	    vpx_codec_control(c, VP9E_SET_NOISE_SENSITIVITY, 0) == 0 &&
	    vpx_codec_control(c, VP9E_SET_ROW_MT, 0) == 0 &&
	    vpx_codec_control(c, VP9E_SET_TILE_COLUMNS, 0) == 0 &&
	    vpx_codec_control(c, VP9E_SET_COLOR_SPACE, VPX_CS_BT_601) == 0 &&
	    vpx_codec_control(c, VP9E_SET_COLOR_RANGE, VPX_CR_STUDIO_RANGE) ==
	    0 &&
	    (!lossless || vpx_codec_control(c, VP9E_SET_LOSSLESS, 1) == 0);
}

static bool
control_vp8(struct encoder *e)
{
	vpx_codec_ctx_t *c = &e->ctx;

	/* negative: a fixed speed, not one that follows the clock */
	return vpx_codec_control(c, VP8E_SET_CPUUSED, -9) == 0 &&
	    vpx_codec_control(c, VP8E_SET_CQ_LEVEL, e->quality->cq_level) ==
	    0 &&
	    vpx_codec_control(c, VP8E_SET_SCREEN_CONTENT_MODE, 1) == 0 &&
	    vpx_codec_control(c, VP8E_SET_NOISE_SENSITIVITY, 0) == 0;
}

struct encoder *
encoder_new(enum encoder_codec codec, enum encoder_quality quality,
    unsigned width, unsigned height)
{
	vpx_codec_iface_t *iface =
	    codec == ENCODER_VP8 ? vpx_codec_vp8_cx() : vpx_codec_vp9_cx();
	struct encoder *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->codec = codec;
	e->quality = &qualities[quality];
	e->all_active = true;
	e->no_tile = calloc((size_t)canvas_tiles(width), canvas_tiles(height));
	if (e->no_tile == NULL || configure(e, iface, width, height) != 0 ||
	    vpx_codec_enc_init(&e->ctx, iface, &e->cfg, 0) != VPX_CODEC_OK)
		goto fail;
	e->is_open = true;
	if (codec == ENCODER_VP8 ? !control_vp8(e)
				 : !control_vp9(e, quality == ENCODER_LOSSLESS))
		goto fail;
	return e;
fail:
	encoder_free(e);
	return NULL;
}

void
encoder_free(struct encoder *e)
{
	if (e == NULL)
		return;
	if (e->is_open)
		vpx_codec_destroy(&e->ctx);
	free(e->no_tile);
	free(e);
}

static int
set_active(struct encoder *e, const struct canvas *c, const uint8_t *active)
{
	vpx_active_map_t map = {
		.active_map = (unsigned char *)(uintptr_t)active,
		.rows = c->rows,
		.cols = c->cols,
	};

	if (active == NULL && e->all_active)
		return 0;
	if (vpx_codec_control(&e->ctx, VP8E_SET_ACTIVEMAP, &map) != 0)
		return ERR_NOMEM;
	e->all_active = active == NULL;
	return 0;
}

/* The canvas as libvpx sees it; nothing is copied. */
static void
wrap_canvas(const struct canvas *c, vpx_image_t *img)
{
	memset(img, 0, sizeof(*img));
	img->fmt = VPX_IMG_FMT_I420;
	img->cs = VPX_CS_BT_601;
	img->range = VPX_CR_STUDIO_RANGE;
	img->w = c->cols * CANVAS_TILE;
	img->h = c->rows * CANVAS_TILE;
	img->d_w = c->width;
	img->d_h = c->height;
	img->bit_depth = 8;
	img->x_chroma_shift = 1;
	img->y_chroma_shift = 1;
	img->bps = 12;
	img->planes[VPX_PLANE_Y] = c->y;
	img->planes[VPX_PLANE_U] = c->u;
	img->planes[VPX_PLANE_V] = c->v;
	img->stride[VPX_PLANE_Y] = (int)c->stride_y;
	img->stride[VPX_PLANE_U] = (int)c->stride_uv;
	img->stride[VPX_PLANE_V] = (int)c->stride_uv;
}

static int
take_packet(struct encoder *e, struct encoder_packet *out)
{
	const vpx_codec_cx_pkt_t *pkt;
	vpx_codec_iter_t iter = NULL;

	while ((pkt = vpx_codec_get_cx_data(&e->ctx, &iter)) != NULL) {
		if (pkt->kind != VPX_CODEC_CX_FRAME_PKT)
			continue;
		out->data = pkt->data.frame.buf;
		out->len = pkt->data.frame.sz;
		out->is_key = (pkt->data.frame.flags & VPX_FRAME_IS_KEY) != 0;
		out->quantizer = 0;
		vpx_codec_control(
		    &e->ctx, VP8E_GET_LAST_QUANTIZER_64, &out->quantizer);
		return out->len > 0 ? 0 : ERR_NOMEM;
	}
	/* lag 0 and no dropping: one frame in, one packet out */
	return ERR_NOMEM;
}

/* active NULL: all tiles are. flags: of vpx_codec_encode. */
static int
encode(struct encoder *e, const struct canvas *c, uint64_t pts_ms,
    uint64_t duration_ms, vpx_enc_frame_flags_t flags, const uint8_t *active,
    struct encoder_packet *out)
{
	vpx_image_t img;
	int rc;

	rc = set_active(e, c, active);
	if (rc != 0)
		return rc;
	wrap_canvas(c, &img);
	if (vpx_codec_encode(&e->ctx, &img, (vpx_codec_pts_t)pts_ms,
		(unsigned long)duration_ms, flags,
		VPX_DL_REALTIME) != VPX_CODEC_OK)
		return ERR_NOMEM;
	if (e->n_early < LAST_EARLY &&
	    (++e->n_early == FIRST_PACKET || e->n_early == LAST_EARLY))
		zero_pages_release();
	return take_packet(e, out);
}

int
encoder_encode(struct encoder *e, const struct canvas *c, uint64_t pts_ms,
    uint64_t duration_ms, bool key, const uint8_t *active,
    struct encoder_packet *out)
{
	return encode(e, c, pts_ms, duration_ms, key ? VPX_EFLAG_FORCE_KF : 0,
	    key ? NULL : active, out);
}

int
encoder_encode_still(struct encoder *e, const struct canvas *c, uint64_t pts_ms,
    uint64_t duration_ms, struct encoder_packet *out)
{
	return encode(e, c, pts_ms, duration_ms,
	    VP8_EFLAG_NO_UPD_LAST | VP8_EFLAG_NO_UPD_GF | VP8_EFLAG_NO_UPD_ARF |
		VP8_EFLAG_NO_UPD_ENTROPY,
	    e->no_tile, out);
}

int
encoder_fine_quantizer(enum encoder_quality quality)
{
	return (int)qualities[quality].q_fine;
}

int
encoder_set_range(struct encoder *e, enum encoder_range range)
{
	bool coarse = range == RANGE_COARSE, fine = range == RANGE_FINE;

	e->cfg.rc_min_quantizer = coarse ? 63 : e->quality->q_min;
	e->cfg.rc_max_quantizer = coarse ? 63
	    : fine                       ? e->quality->q_fine
					 : e->quality->q_max;
	return vpx_codec_enc_config_set(&e->ctx, &e->cfg) == VPX_CODEC_OK
	    ? 0
	    : ERR_NOMEM;
}

/*
 * Which of the eight reference slots hold the frame of a shown VP9
 * profile 0 frame. After the first byte (marker, profile, show_existing,
 * type, show, resilient) an inter frame has two bits reset_frame_context
 * unless it is resilient, then the eight bits refresh_frame_flags.
 */
static unsigned
vp9_refreshed(const uint8_t *p, size_t len)
{
	unsigned bits;

	if (len < 3 || (p[0] & 0xf8) != 0x80 || (p[0] & 0x02) == 0)
		return 0;
	if ((p[0] & 0x04) == 0)
		return 0xff; /* a key frame goes everywhere */
	bits = (unsigned)p[1] << 8 | p[2];
	return (p[0] & 0x01) != 0 ? p[1] : bits >> 6 & 0xff;
}

bool
encoder_is_repeat(const uint8_t *data, size_t len)
{
	bool is_existing = len > 0 && (data[0] & 0xf8) == 0x88;
	bool is_inter = len >= 3 && (data[0] & 0xfe) == 0x86;

	return is_existing || (is_inter && vp9_refreshed(data, len) == 0);
}

size_t
encoder_repeat(enum encoder_codec codec, const uint8_t *last, size_t len,
    uint8_t out[ENCODER_REPEAT_MAX])
{
	unsigned slots;

	if (codec != ENCODER_VP9)
		return 0;
	slots = vp9_refreshed(last, len);
	if (slots == 0)
		return 0;
	/* slot of the lowest set bit; bit 0 of the flags is slot 0 */
	out[0] = (uint8_t)(0x88 | __builtin_ctz(slots));
	return 1;
}
