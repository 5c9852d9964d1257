#include "manifest/clip.h"

#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/json.h"

#define VERSION   1
#define SHA_BLOCK 64

bool
clip_is(const json_t *manifest)
{
	const char *kind = json_text(manifest, "kind");

	return kind != NULL && strcmp(kind, "clip") == 0;
}

/* ---- the manifest ---- */

static const char *
take_text(const json_t *j, const char *name, size_t min, size_t max)
{
	const json_t *v = json_object_get(j, name);
	size_t len = json_string_length(v);

	if (!json_is_string(v) || len < min || len > max ||
	    strlen(json_string_value(v)) != len)
		return NULL;
	return json_string_value(v);
}

static const char *
take_id(const json_t *j, const char *name)
{
	const char *s = take_text(j, name, 36, 36);

	return s != NULL && strspn(s, "0123456789abcdef-") == 36 ? s : NULL;
}

static bool
take_number(const json_t *j, const char *name, int64_t max, int64_t *out)
{
	const json_t *v = json_object_get(j, name);

	*out = json_integer_value(v);
	return json_is_integer(v) && *out >= 0 && *out <= max;
}

static bool
take_bytes(const json_t *j, const char *name, uint64_t *out)
{
	int64_t n;
	bool is_good = take_number(j, name, INT64_C(1) << 50, &n);

	*out = (uint64_t)n;
	return is_good;
}

/* len bytes as hex. */
static bool
take_hex(const json_t *j, const char *name, uint8_t *out, size_t len)
{
	const char *s = take_text(j, name, 2 * len, 2 * len);
	size_t n = 0;

	return s != NULL &&
	    sodium_hex2bin(out, len, s, 2 * len, NULL, &n, NULL) == 0 &&
	    n == len;
}

/*
 * SHA-256 between two blocks of 64 bytes: its eight words, and the bytes of
 * the next block that came already (FIPS 180-4 section 6.2). libsodium keeps
 * both in its public struct, and counts bits.
 */
static bool
take_before(struct clip_facts *c, const json_t *j)
{
	uint64_t n;
	uint8_t words[32];

	if (j == NULL)
		return true;
	if (!take_bytes(j, "bytes", &n) || n == 0 || n > c->from ||
	    !take_hex(j, "state", words, sizeof(words)) ||
	    !take_hex(j, "rest", c->before.buf, n % SHA_BLOCK))
		return false;
	for (size_t i = 0; i < 8; i++)
		c->before.state[i] = load_be32(words + 4 * i);
	c->before.count = 8 * n;
	return true;
}

static bool
take_original(struct clip_facts *c, const json_t *j)
{
	c->segment = take_id(j, "segment");
	return c->segment != NULL &&
	    take_hex(j, "root", c->root, sizeof(c->root)) &&
	    take_bytes(j, "bytes", &c->original_bytes) &&
	    take_bytes(j, "from", &c->from) && take_bytes(j, "to", &c->to) &&
	    c->from < c->to && c->to <= c->original_bytes &&
	    take_before(c, json_object_get(j, "before"));
}

static bool
take_range(struct clip_facts *c, const json_t *j)
{
	return take_number(
		   j, "asked_from_ms", CLIP_DAY_MS, &c->asked_from_ms) &&
	    take_number(j, "asked_to_ms", CLIP_DAY_MS, &c->asked_to_ms) &&
	    take_number(j, "from_ms", CLIP_DAY_MS, &c->from_ms) &&
	    take_number(j, "to_ms", 2 * CLIP_DAY_MS, &c->to_ms);
}

int
clip_read(struct clip_facts *c, const json_t *manifest, const char **why)
{
	memset(c, 0, sizeof(*c));
	*why = "the manifest of the clip has an unknown format";
	if (!clip_is(manifest) || json_int(manifest, "version") != VERSION)
		return ERR_CORRUPT;
	*why = "the manifest of the clip lacks what a clip's has";
	c->id = take_id(manifest, "clip");
	c->person = take_text(manifest, "person", 1, 255);
	c->reason = take_text(manifest, "reason", 1, CLIP_REASON_MAX);
	c->made_at = take_text(manifest, "made_at", 1, 40);
	if (c->id == NULL || c->person == NULL || c->reason == NULL ||
	    c->made_at == NULL || !take_range(c, manifest) ||
	    !take_original(c, json_object_get(manifest, "original")))
		return ERR_CORRUPT;
	*why = "the range of the clip is none";
	return c->from_ms <= c->asked_from_ms &&
		c->asked_from_ms < c->asked_to_ms && c->asked_from_ms < c->to_ms
	    ? 0
	    : ERR_CORRUPT;
}

static json_t *
before_to_json(const struct clip_facts *c)
{
	char state[65], rest[2 * SHA_BLOCK + 1];
	uint64_t n = c->before.count / 8;
	uint8_t words[32];

	for (size_t i = 0; i < 8; i++)
		store_be32(words + 4 * i, c->before.state[i]);
	sodium_bin2hex(state, sizeof(state), words, sizeof(words));
	sodium_bin2hex(rest, sizeof(rest), c->before.buf, n % SHA_BLOCK);
	return json_pack("{s:I,s:s,s:s}", "bytes", (json_int_t)n, "state",
	    state, "rest", rest);
}

json_t *
clip_to_json(const struct clip_facts *c)
{
	char root[65];
	json_t *original;

	sodium_bin2hex(root, sizeof(root), c->root, sizeof(c->root));
	original = json_pack("{s:s,s:s,s:I,s:I,s:I}", "segment", c->segment,
	    "root", root, "bytes", (json_int_t)c->original_bytes, "from",
	    (json_int_t)c->from, "to", (json_int_t)c->to);
	if (original != NULL && c->before.count != 0 &&
	    json_object_set_new(original, "before", before_to_json(c)) != 0) {
		json_decref(original);
		original = NULL;
	}
	/* takes original, also on failure */
	return json_pack("{s:s,s:i,s:s,s:o,s:I,s:I,s:I,s:I,s:s,s:s,s:s}",
	    "kind", "clip", "version", VERSION, "clip", c->id, "original",
	    original, "asked_from_ms", (json_int_t)c->asked_from_ms,
	    "asked_to_ms", (json_int_t)c->asked_to_ms, "from_ms",
	    (json_int_t)c->from_ms, "to_ms", (json_int_t)c->to_ms, "person",
	    c->person, "reason", c->reason, "made_at", c->made_at);
}

/* ---- the comparison ---- */

#define PIECE (64 * 1024)

/*
 * The bytes of the original that a clip has, put through the original's
 * blocks: block i, of which `st` has hashed all before `at`.
 */
struct pass {
	const struct evidence *original;
	crypto_hash_sha256_state st;
	size_t i;
	uint64_t at;      /* in the original */
	uint64_t checked; /* up to here it is the original's */
};

static uint64_t
end_of(const struct evidence_block *b)
{
	return b->offset + b->len;
}

/* Bytes of a file; its blocks are in order, the header last. */
static uint64_t
total(const struct evidence *e)
{
	return end_of(&e->blocks[e->n > 1 ? e->n - 2 : 0]);
}

/* Where the header ends and the clusters begin. */
static uint64_t
header_len(const struct evidence *e)
{
	return e->blocks[e->n - 1].len;
}

static bool
pass_begin(struct pass *p, const struct clip_facts *c)
{
	const struct evidence *e = p->original;

	while (p->i + 1 < e->n && end_of(&e->blocks[p->i]) <= c->from)
		p->i++;
	p->at = p->checked = c->from;
	if (p->i + 1 >= e->n || c->from < header_len(e) ||
	    c->before.count != 8 * (c->from - e->blocks[p->i].offset))
		return false;
	p->st = c->before;
	if (c->before.count == 0)
		crypto_hash_sha256_init(&p->st);
	return true;
}

/* False: a block ended, and these were not its bytes. */
static bool
pass_add(struct pass *p, const uint8_t *data, size_t len)
{
	uint8_t hash[EVIDENCE_HASH_LEN];

	while (len > 0) {
		const struct evidence_block *b = &p->original->blocks[p->i];
		size_t n;

		if (p->i + 1 >= p->original->n)
			return false; /* the header is no block of clusters */
		n = (size_t)min_u64(len, end_of(b) - p->at);
		crypto_hash_sha256_update(&p->st, data, n);
		data += n;
		len -= n;
		p->at += n;
		if (p->at < end_of(b))
			continue;
		crypto_hash_sha256_final(&p->st, hash);
		if (memcmp(hash, b->hash, sizeof(hash)) != 0)
			return false;
		p->checked = p->at;
		crypto_hash_sha256_init(&p->st);
		p->i++;
	}
	return true;
}

struct comparison {
	const struct clip_facts *c;
	struct webm_view clip;
	struct pass pass;
	struct clip_fault *fault;
	uint64_t header; /* bytes, of the clip */
};

static int
fault(struct comparison *x, enum clip_fault_kind kind, uint64_t offset,
    uint64_t len)
{
	*x->fault = (struct clip_fault){ kind, offset, len };
	return ERR_CORRUPT;
}

/* The bytes since the last block that was right. */
static int
content_fault(struct comparison *x)
{
	uint64_t from = x->pass.checked - x->c->from + x->header;

	return fault(
	    x, CLIP_CONTENT, from, x->pass.at - x->c->from + x->header - from);
}

/* A cluster as the original has it: by its own time (docs/clips.md). */
static int
compare_cluster(struct comparison *x, const struct webm_cluster *k)
{
	uint64_t at = k->at, time_ms = k->time_ms + (uint64_t)x->c->from_ms;
	uint8_t buf[PIECE], time[8];
	int rc;

	if (k->time_len < 8 && time_ms >> (8 * k->time_len) != 0)
		return fault(x, CLIP_RANGE, at, 0);
	store_be64(time, time_ms);
	while (at < k->end) {
		/* the time's bytes lie within the first piece */
		size_t n = (size_t)min_u64(sizeof(buf), k->end - at);

		rc = webm_get(&x->clip, at, buf, n);
		if (rc != 1)
			return rc < 0 ? rc : fault(x, CLIP_SHAPE, at, 0);
		if (at == k->at)
			memcpy(buf + (k->time_at - at),
			    time + (sizeof(time) - k->time_len), k->time_len);
		if (!pass_add(&x->pass, buf, n))
			return content_fault(x);
		at += n;
	}
	return 0;
}

/* Of the first cluster, and of each one by the time of the one before. */
static bool
is_in_order(
    const struct comparison *x, const struct webm_cluster *k, uint64_t last_ms)
{
	if (k->at == x->header)
		return k->is_key && k->time_ms == 0;
	return k->time_ms >= last_ms;
}

static int
compare_clusters(struct comparison *x, uint64_t end)
{
	uint64_t length_ms = (uint64_t)(x->c->to_ms - x->c->from_ms);
	uint64_t last_ms = 0, at = x->header;
	struct webm_cluster k;
	int rc;

	while (at < end) {
		rc = webm_get_cluster(&x->clip, at, &k);
		if (rc == 1)
			rc = webm_get_frames(&x->clip, &k, WEBM_FRAMES_MAX);
		if (rc != 1 || k.end > end || !is_in_order(x, &k, last_ms))
			return rc < 0 && rc != ERR_CORRUPT && rc != ERR_EOF
			    ? rc
			    : fault(x, CLIP_SHAPE, at, 0);
		if (k.last_ms >= length_ms)
			return fault(x, CLIP_RANGE, at, 0);
		rc = compare_cluster(x, &k);
		if (rc != 0)
			return rc;
		last_ms = k.time_ms;
		at = k.end;
	}
	return 0;
}

int
clip_compare(const struct clip_facts *c, const struct evidence *clip,
    const struct evidence *original, webm_read_fn *read, void *arg,
    uint64_t *tail, struct clip_fault *fault_out)
{
	struct comparison x = { .c = c,
		.clip = { read, arg, total(clip) },
		.pass = { .original = original },
		.fault = fault_out,
		.header = header_len(clip) };
	uint64_t end = x.header + (c->to - c->from);
	int rc;

	if (memcmp(c->root, original->root, sizeof(c->root)) != 0 ||
	    c->original_bytes != total(original))
		return fault(&x, CLIP_OTHER_ORIGINAL, 0, 0);
	if (end > x.clip.size || !pass_begin(&x.pass, c))
		return fault(&x, CLIP_SHAPE, x.header, 0);
	rc = compare_clusters(&x, end);
	*tail = c->to - x.pass.checked;
	return rc;
}
