#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/set_encodings.h"

/* Pictures, in no order of preference; the stateless ones first. */
static const int32_t stateless[] = { RFB_ENC_RAW, RFB_ENC_COPYRECT, RFB_ENC_RRE,
	RFB_ENC_HEXTILE };
static const int32_t stateful[] = { RFB_ENC_CORRE, RFB_ENC_ZLIB, RFB_ENC_TIGHT,
	RFB_ENC_ZRLE };

/* Pseudo-encodings that the framer knows, or that enable known messages. */
static const int32_t pseudo[] = { RFB_ENC_CURSOR, RFB_ENC_XCURSOR,
	RFB_ENC_CURSOR_ALPHA, RFB_ENC_VMWARE_CURSOR, RFB_ENC_DESKTOP_NAME,
	RFB_ENC_EXT_DESKTOP_SIZE, RFB_ENC_QEMU_LED, RFB_ENC_VMWARE_LED,
	RFB_ENC_DESKTOP_SIZE, RFB_ENC_LAST_RECT, RFB_ENC_POINTER_POS,
	RFB_ENC_VMWARE_CURSOR_POS, RFB_ENC_QEMU_POINTER_CHANGE,
	RFB_ENC_QEMU_EXT_KEY, RFB_ENC_EXT_MOUSE_BUTTONS, RFB_ENC_FENCE,
	RFB_ENC_CONTINUOUS_UPDATES, RFB_ENC_EXT_CLIPBOARD };

/* Wishes for quality and compression: the decoder knows all that may come. */
static const struct {
	int32_t first, last;
} hints[] = {
	{ -32, -23 },   /* JPEG quality */
	{ -256, -247 }, /* compression */
	{ RFB_ENC_TIGHT_PLAIN, RFB_ENC_TIGHT_PLAIN },
	{ -512, -412 }, /* fine-grained quality */
	{ -768, -763 }, /* subsampling */
};

static bool
is_in(int32_t encoding, const int32_t *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i] == encoding)
			return true;
	}
	return false;
}

static bool
is_stateless(int32_t encoding)
{
	return is_in(encoding, stateless, N_ELEMENTS(stateless));
}

static bool
is_stateful(int32_t encoding)
{
	return is_in(encoding, stateful, N_ELEMENTS(stateful));
}

static bool
is_hint(int32_t encoding)
{
	for (size_t i = 0; i < N_ELEMENTS(hints); i++) {
		if (encoding >= hints[i].first && encoding <= hints[i].last)
			return true;
	}
	return false;
}

bool
rfb_is_encoding_allowed(int32_t encoding)
{
	return is_stateless(encoding) || is_stateful(encoding) ||
	    is_in(encoding, pseudo, N_ELEMENTS(pseudo)) || is_hint(encoding);
}

static bool
is_kept(
    int32_t encoding, const struct rfb_encodings_policy *policy, bool has_both)
{
	switch (encoding) {
	case RFB_ENC_COPYRECT:
		return !policy->drop_copyrect && !policy->raw_only;
	case RFB_ENC_TIGHT:
	case RFB_ENC_ZRLE:
		return !policy->is_format_unclear && !policy->stateless_only &&
		    !policy->raw_only;
	case RFB_ENC_DESKTOP_NAME:
		return !policy->is_ultravnc;
	case RFB_ENC_FENCE:
	case RFB_ENC_CONTINUOUS_UPDATES:
		return has_both;
	default:
		if (policy->stateless_only && is_stateful(encoding))
			return false;
		if (policy->raw_only && encoding != RFB_ENC_RAW &&
		    (is_stateless(encoding) || is_stateful(encoding)))
			return false;
		return rfb_is_encoding_allowed(encoding);
	}
}

static void
note(struct rfb_encodings_offer *offer, int32_t encoding)
{
	offer->n++;
	if (is_stateless(encoding) || is_stateful(encoding))
		offer->is_recordable = true;
	switch (encoding) {
	case RFB_ENC_COPYRECT:
		offer->has_copyrect = true;
		break;
	case RFB_ENC_LAST_RECT:
		offer->has_last_rect = true;
		break;
	case RFB_ENC_DESKTOP_SIZE:
	case RFB_ENC_EXT_DESKTOP_SIZE:
		offer->has_resize = true;
		break;
	case RFB_ENC_FENCE:
		offer->has_fence_and_continuous = true;
		break;
	case RFB_ENC_EXT_CLIPBOARD:
		offer->has_ext_clipboard = true;
		break;
	case RFB_ENC_EXT_MOUSE_BUTTONS:
		offer->has_ext_buttons = true;
		break;
	default:
		break;
	}
}

/*
 * Servers on libvncserver answer level 0 in forms of Tight that few viewers
 * know: those that did not say so get level 1.
 */
static int32_t
replace(int32_t encoding, bool knows_plain)
{
	return encoding == RFB_ENC_COMPRESS_0 && !knows_plain
	    ? RFB_ENC_COMPRESS_1
	    : encoding;
}

static bool
has_encoding(const uint8_t *msg, size_t n, int32_t encoding)
{
	for (size_t i = 0; i < n; i++) {
		if ((int32_t)load_be32(msg + 4 + 4 * i) == encoding)
			return true;
	}
	return false;
}

ssize_t
rfb_set_encodings_narrow(const uint8_t *msg, size_t len,
    const struct rfb_encodings_policy *policy, uint8_t *out, size_t cap,
    struct rfb_encodings_offer *offer)
{
	size_t n, done = 4;
	bool has_both, knows_plain;
	int32_t encoding;

	memset(offer, 0, sizeof(*offer));
	if (len < 4 || msg[0] != RFB_SET_ENCODINGS ||
	    len != 4 + 4 * (size_t)load_be16(msg + 2))
		return ERR_PROTOCOL;
	if (cap < 4)
		return ERR_LIMIT;
	n = load_be16(msg + 2);
	has_both = has_encoding(msg, n, RFB_ENC_FENCE) &&
	    has_encoding(msg, n, RFB_ENC_CONTINUOUS_UPDATES);
	knows_plain = has_encoding(msg, n, RFB_ENC_TIGHT_PLAIN);
	for (size_t i = 0; i < n; i++) {
		encoding = (int32_t)load_be32(msg + 4 + 4 * i);
		if (!is_kept(encoding, policy, has_both))
			continue;
		encoding = replace(encoding, knows_plain);
		if (cap - done < 4)
			return ERR_LIMIT;
		note(offer, encoding);
		store_be32(out + done, (uint32_t)encoding);
		done += 4;
	}
	out[0] = RFB_SET_ENCODINGS;
	out[1] = 0;
	store_be16(out + 2, offer->n);
	return (ssize_t)done;
}
