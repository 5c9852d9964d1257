#include "storage/upload/upload_offset.h"

#include "common/bytes.h"
#include "common/err.h"

int
upload_offset_init(struct upload_offset *u, uint64_t length, uint64_t have)
{
	if (length == 0 || length > UPLOAD_LENGTH_MAX || have > length)
		return ERR_LIMIT;
	*u = (struct upload_offset){
		.length = length, .have = have, .floor = have
	};
	return 0;
}

int
upload_offset_begin(
    struct upload_offset *u, uint64_t at, uint64_t n, bool is_checked)
{
	if (u->end != 0)
		return ERR_EXISTS;
	if (at != u->have)
		return ERR_PROTOCOL;
	if (n > u->length - u->have)
		return ERR_LIMIT;
	u->end = u->have + n;
	/* what is not checked counts as it comes */
	u->floor = is_checked ? u->have : u->end;
	return 0;
}

void
upload_offset_add(struct upload_offset *u, uint64_t n)
{
	u->have += min_u64(n, upload_offset_rest(u));
}

uint64_t
upload_offset_rest(const struct upload_offset *u)
{
	return u->end > u->have ? u->end - u->have : 0;
}

uint64_t
upload_offset_end(struct upload_offset *u, bool is_right)
{
	bool is_checked = u->end != 0 && u->floor < u->end;

	if (is_checked && (!is_right || u->have < u->end))
		u->have = u->floor;
	u->floor = u->have;
	u->end = 0;
	return u->have;
}

bool
upload_offset_is_whole(const struct upload_offset *u)
{
	return u->end == 0 && u->have == u->length;
}

int
upload_offset_percent(const struct upload_offset *u)
{
	if (upload_offset_is_whole(u))
		return 100;
	/* the length is at most 2^42 */
	return (int)min_u64(u->have * 100 / u->length, 99);
}

enum upload_verdict
upload_may_begin(const struct upload_limits *limits,
    const struct upload_use *use, uint64_t length, uint64_t room)
{
	uint64_t taken = limits->min_free + use->outstanding;

	if (length > limits->length)
		return UPLOAD_TOO_LARGE;
	if (use->of_peer >= limits->per_peer)
		return UPLOAD_TOO_MANY;
	if (use->in_total >= limits->in_total)
		return UPLOAD_TOO_MANY_ALL;
	if (taken < limits->min_free || use->free < taken ||
	    use->free - taken < room)
		return UPLOAD_NO_ROOM;
	return UPLOAD_MAY;
}

uint64_t
upload_expires_s(uint64_t last_s, uint64_t expiry_s)
{
	return last_s > UINT64_MAX - expiry_s ? UINT64_MAX : last_s + expiry_s;
}
