#include "manifest/evidence.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/json.h"
#include "manifest/evidence_clusters.h"

#define VERSION   1
#define SEED      "relaycam evidence 1\n"
#define CLIP_SEED "relaycam clip 1\n"
#define PIECE     (64 * 1024)
#define HEX_LEN   (2 * EVIDENCE_HASH_LEN)
#define ENTRY_MAX (2 * 21 + HEX_LEN + 1)

void
evidence_init(struct evidence *e)
{
	memset(e, 0, sizeof(*e));
}

void
evidence_release(struct evidence *e)
{
	sha256_free(e->open);
	evidence_clusters_release(e);
	free(e->blocks);
	memset(e, 0, sizeof(*e));
}

/* ---- making ---- */

static int
grow(struct evidence *e)
{
	struct evidence_block *p;

	if (e->n == EVIDENCE_BLOCKS)
		return ERR_LIMIT;
	if ((e->n & (e->n - 1)) != 0)
		return 0; /* full only at powers of two */
	p = realloc(e->blocks, (e->n == 0 ? 1 : 2 * e->n) * sizeof(*p));
	if (p == NULL)
		return ERR_NOMEM;
	e->blocks = p;
	return 0;
}

static void
close_block(struct evidence *e)
{
	if (e->is_open) {
		e->error = sha256_end(e->open, e->blocks[e->n - 1].hash);
		evidence_clusters_end_block(e);
	}
	e->is_open = false;
}

static void
open_block(struct evidence *e, uint64_t offset)
{
	if (e->open == NULL && (e->open = sha256_new()) == NULL)
		e->error = ERR_NOMEM;
	if (e->error == 0)
		e->error = grow(e);
	if (e->error != 0)
		return;
	e->blocks[e->n++] = (struct evidence_block){ .offset = offset };
	e->is_open = true;
}

void
evidence_add(struct evidence *e, uint64_t offset, const uint8_t *data,
    size_t len, bool is_alone)
{
	struct evidence_block *b = e->is_open ? &e->blocks[e->n - 1] : NULL;

	if (e->error != 0)
		return;
	if (b == NULL || is_alone || offset != b->offset + b->len) {
		close_block(e);
		open_block(e, offset);
		if (e->error != 0)
			return;
		b = &e->blocks[e->n - 1];
	}
	sha256_add(e->open, data, len);
	b->len += len;
	if (!is_alone)
		e->error = evidence_clusters_add(e, data, len);
	if (e->error == 0 && (is_alone || b->len >= EVIDENCE_BLOCK_MIN))
		close_block(e);
}

/* Whose chain it is: a recording's; or a clip's of the one with the root. */
struct owner {
	const char *id;
	const uint8_t *original; /* NULL: it is a recording */
};

/* Each link holds all before it: no block can be changed, moved or left out.
 * Returns 0 or ERR_NOMEM. */
static int
chain(const struct evidence *e, const struct owner *o, uint8_t *root)
{
	const char *seed = o->original != NULL ? CLIP_SEED : SEED;
	struct sha256 *sum = sha256_new();
	uint8_t place[16];
	int rc;

	if (sum == NULL)
		return ERR_NOMEM;
	sha256_add(sum, seed, strlen(seed));
	sha256_add(sum, o->id, strlen(o->id));
	if (o->original != NULL)
		sha256_add(sum, o->original, EVIDENCE_HASH_LEN);
	rc = sha256_end(sum, root);
	for (size_t i = 0; rc == 0 && i < e->n; i++) {
		const struct evidence_block *b = &e->blocks[i];

		store_be64(place, b->offset);
		store_be64(place + 8, b->len);
		sha256_add(sum, root, EVIDENCE_HASH_LEN);
		sha256_add(sum, place, sizeof(place));
		sha256_add(sum, b->hash, EVIDENCE_HASH_LEN);
		rc = sha256_end(sum, root);
	}
	sha256_free(sum);
	return rc;
}

static int
finish(struct evidence *e, const struct owner *o)
{
	if (e->error == 0)
		close_block(e);
	return e->error != 0 ? e->error : chain(e, o, e->root);
}

int
evidence_finish(struct evidence *e, const char *segment)
{
	return finish(e, &(struct owner){ .id = segment });
}

int
evidence_finish_clip(struct evidence *e, const char *clip,
    const uint8_t original[EVIDENCE_HASH_LEN])
{
	return finish(e, &(struct owner){ clip, original });
}

/* ---- JSON ---- */

/* "offset length hash" */
static void
print_block(const struct evidence_block *b, char out[ENTRY_MAX])
{
	int n = snprintf(
	    out, ENTRY_MAX, "%" PRIu64 " %" PRIu64 " ", b->offset, b->len);

	sodium_bin2hex(out + n, HEX_LEN + 1, b->hash, EVIDENCE_HASH_LEN);
}

json_t *
evidence_to_json(const struct evidence *e)
{
	char root[HEX_LEN + 1], line[ENTRY_MAX];
	json_t *blocks = json_array(), *out;

	for (size_t i = 0; blocks != NULL && i < e->n; i++) {
		print_block(&e->blocks[i], line);
		if (json_array_append_new(blocks, json_string(line)) != 0) {
			json_decref(blocks);
			blocks = NULL;
		}
	}
	sodium_bin2hex(root, sizeof(root), e->root, EVIDENCE_HASH_LEN);
	/* takes blocks, also on failure */
	out = json_pack("{s:i, s:s, s:o}", "version", VERSION, "root", root,
	    "blocks", blocks);
	if (out != NULL && e->clusters.n > 0 &&
	    json_object_set_new(
		out, "clusters", evidence_clusters_to_json(e)) != 0) {
		json_decref(out);
		out = NULL;
	}
	return out;
}

static bool
parse_hash(const char *s, uint8_t out[EVIDENCE_HASH_LEN])
{
	size_t len;

	return s != NULL && strlen(s) == HEX_LEN &&
	    sodium_hex2bin(
		out, EVIDENCE_HASH_LEN, s, HEX_LEN, NULL, &len, NULL) == 0 &&
	    len == EVIDENCE_HASH_LEN;
}

/* A number in digits and the space behind it; NULL when it is none. */
static const char *
parse_number(const char *s, uint64_t *out)
{
	size_t n = 0;

	*out = 0;
	while (n < 18 && s[n] >= '0' && s[n] <= '9')
		*out = *out * 10 + (uint64_t)(s[n++] - '0');
	return n > 0 && s[n] == ' ' ? s + n + 1 : NULL;
}

static bool
parse_block(const char *s, struct evidence_block *b)
{
	if (s == NULL || (s = parse_number(s, &b->offset)) == NULL ||
	    (s = parse_number(s, &b->len)) == NULL)
		return false;
	return b->len > 0 && parse_hash(s, b->hash);
}

static int
parse_blocks(struct evidence *e, const json_t *list)
{
	size_t n = json_array_size(list);

	if (n < 1 || n > EVIDENCE_BLOCKS)
		return ERR_CORRUPT;
	e->blocks = calloc(n, sizeof(*e->blocks));
	if (e->blocks == NULL)
		return ERR_NOMEM;
	for (e->n = 0; e->n < n; e->n++)
		if (!parse_block(json_string_value(json_array_get(list, e->n)),
			&e->blocks[e->n]))
			return ERR_CORRUPT;
	return 0;
}

/* Every byte of a file once: the header in front, the others in a row. */
static bool
is_whole(const struct evidence *e)
{
	const struct evidence_block *header = &e->blocks[e->n - 1];
	uint64_t at = header->len;

	if (header->offset != 0)
		return false;
	for (size_t i = 0; i + 1 < e->n; i++) {
		if (e->blocks[i].offset != at)
			return false;
		at += e->blocks[i].len;
	}
	return true;
}

static int
parse(struct evidence *e, const json_t *manifest, const struct owner *o,
    const char **why)
{
	const json_t *j = json_object_get(manifest, "evidence");
	uint8_t root[EVIDENCE_HASH_LEN];
	int rc;

	evidence_init(e);
	*why = "the manifest has no evidence";
	if (j == NULL)
		return ERR_NOTFOUND;
	*why = "the evidence has an unknown format";
	if (o->id == NULL || json_int(j, "version") != VERSION ||
	    !parse_hash(json_text(j, "root"), e->root))
		return ERR_CORRUPT;
	rc = parse_blocks(e, json_object_get(j, "blocks"));
	if (rc != 0)
		return rc;
	*why = "the blocks of the evidence do not make a file";
	if (!is_whole(e))
		return ERR_CORRUPT;
	*why = "the root of the evidence is not that of its blocks";
	rc = chain(e, o, root);
	if (rc != 0)
		return rc;
	if (memcmp(root, e->root, sizeof(root)) != 0)
		return ERR_CORRUPT;
	*why = "the list of clusters of the evidence is not that of its blocks";
	return evidence_clusters_parse(e, json_object_get(j, "clusters"));
}

int
evidence_parse(struct evidence *e, const json_t *manifest, const char **why)
{
	const json_t *segment = json_object_get(manifest, "segment");

	return parse(e, manifest,
	    &(struct owner){ .id = json_string_value(segment) }, why);
}

int
evidence_parse_clip(struct evidence *e, const json_t *manifest,
    const char *clip, const uint8_t original[EVIDENCE_HASH_LEN],
    const char **why)
{
	return parse(e, manifest, &(struct owner){ clip, original }, why);
}

/* ---- verifying ---- */

/* A file, and what its blocks are hashed with. */
struct check {
	evidence_read_fn *read;
	void *arg;
	struct sha256 *sum;
};

static int
check_block(const struct evidence_block *b, const struct check *c,
    struct evidence_fault *fault)
{
	uint8_t buf[PIECE], hash[EVIDENCE_HASH_LEN];
	uint64_t done = 0;
	int rc;

	*fault = (struct evidence_fault){ EVIDENCE_MISSING, b->offset, b->len };
	sha256_begin(c->sum);
	while (done < b->len) {
		size_t want = min_size(sizeof(buf), (size_t)(b->len - done));
		int64_t n = c->read(c->arg, b->offset + done, buf, want);

		if (n < 0)
			return (int)n;
		if ((size_t)n < want)
			return ERR_CORRUPT;
		sha256_add(c->sum, buf, want);
		done += want;
	}
	rc = sha256_end(c->sum, hash);
	if (rc != 0)
		return rc;
	fault->kind = EVIDENCE_CHANGED;
	return memcmp(hash, b->hash, sizeof(hash)) == 0 ? 0 : ERR_CORRUPT;
}

/* Bytes of the file from at on, which nobody wrote. */
static int
check_end(uint64_t at, const struct check *c, struct evidence_fault *fault)
{
	uint8_t buf[PIECE];
	int64_t n;

	*fault = (struct evidence_fault){ EVIDENCE_ADDED, at, 0 };
	while ((n = c->read(c->arg, at + fault->len, buf, sizeof(buf))) > 0)
		fault->len += (uint64_t)n;
	if (n < 0)
		return (int)n;
	return fault->len == 0 ? 0 : ERR_CORRUPT;
}

int
evidence_verify_block(const struct evidence *e, size_t i,
    evidence_read_fn *read, void *arg, struct evidence_fault *fault)
{
	struct check c = { read, arg, sha256_new() };
	int rc =
	    c.sum != NULL ? check_block(&e->blocks[i], &c, fault) : ERR_NOMEM;

	sha256_free(c.sum);
	return rc;
}

int
evidence_verify(const struct evidence *e, evidence_read_fn *read, void *arg,
    struct evidence_fault *fault)
{
	const struct evidence_block *b = &e->blocks[e->n - 1];
	struct check c = { read, arg, sha256_new() };
	/* the header comes first */
	int rc = c.sum != NULL ? check_block(b, &c, fault) : ERR_NOMEM;

	for (size_t i = 0; rc == 0 && i + 1 < e->n; i++) {
		b = &e->blocks[i];
		rc = check_block(b, &c, fault);
	}
	sha256_free(c.sum);
	return rc != 0 ? rc : check_end(b->offset + b->len, &c, fault);
}
