#include "manifest/evidence_clusters.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/json.h"

#define VERSION   1
#define SEED      "relaycam clusters 1\n"
#define PIECE     (64 * 1024)
#define HEX_LEN   (2 * EVIDENCE_CLUSTER_HASH_LEN)
#define ENTRY_MAX (11 + HEX_LEN + 2)
#define ROOT_HEX  (2 * EVIDENCE_HASH_LEN)

/* ---- making ---- */

static int
grow(struct evidence_clusters *c)
{
	size_t room = c->room == 0 ? 64 : 2 * c->room;
	struct evidence_cluster *p;

	if (c->n < c->room)
		return 0;
	p = realloc(c->list, room * sizeof(*p));
	if (p == NULL)
		return ERR_NOMEM;
	c->list = p;
	c->room = room;
	return 0;
}

/* The last block has no list. */
static void
drop_block(struct evidence *e)
{
	struct evidence_block *b = &e->blocks[e->n - 1];

	e->clusters.n -= b->n_clusters;
	b->n_clusters = 0;
}

static int
hash_cluster(struct evidence_clusters *c, const uint8_t *data, size_t len)
{
	uint8_t hash[EVIDENCE_HASH_LEN];
	int rc;

	if (c->sum == NULL && (c->sum = sha256_new()) == NULL)
		return ERR_NOMEM;
	sha256_add(c->sum, data, len);
	rc = sha256_end(c->sum, hash);
	if (rc == 0)
		memcpy(c->list[c->n].hash, hash, EVIDENCE_CLUSTER_HASH_LEN);
	return rc;
}

int
evidence_clusters_add(struct evidence *e, const uint8_t *data, size_t len)
{
	struct evidence_clusters *c = &e->clusters;
	struct evidence_block *b = &e->blocks[e->n - 1];
	int rc;

	if (c->n == EVIDENCE_CLUSTERS || len > UINT32_MAX)
		c->is_full = true;
	if (c->is_full) {
		drop_block(e);
		return 0;
	}
	rc = grow(c);
	if (rc == 0)
		rc = hash_cluster(c, data, len);
	if (rc != 0)
		return rc;
	if (b->n_clusters++ == 0)
		b->first_cluster = c->n;
	c->list[c->n++].len = (uint32_t)len;
	return 0;
}

void
evidence_clusters_end_block(struct evidence *e)
{
	if (e->blocks[e->n - 1].n_clusters == 1)
		drop_block(e);
}

void
evidence_without_clusters(struct evidence *e)
{
	e->clusters.is_full = true;
}

void
evidence_clusters_release(struct evidence *e)
{
	sha256_free(e->clusters.sum);
	free(e->clusters.list);
}

/* Over the root of the blocks and all clusters: the list belongs to this chain
 * only. Returns 0 or ERR_NOMEM. */
static int
clusters_root(const struct evidence *e, uint8_t root[EVIDENCE_HASH_LEN])
{
	struct sha256 *sum = sha256_new();
	uint8_t number[8];
	int rc;

	if (sum == NULL)
		return ERR_NOMEM;
	sha256_add(sum, SEED, strlen(SEED));
	sha256_add(sum, e->root, sizeof(e->root));
	for (size_t i = 0; i < e->n; i++) {
		const struct evidence_block *b = &e->blocks[i];

		store_be64(number, b->n_clusters);
		sha256_add(sum, number, sizeof(number));
		for (size_t k = 0; k < b->n_clusters; k++) {
			const struct evidence_cluster *c =
			    &e->clusters.list[b->first_cluster + k];

			store_be64(number, c->len);
			sha256_add(sum, number, sizeof(number));
			sha256_add(sum, c->hash, sizeof(c->hash));
		}
	}
	rc = sha256_end(sum, root);
	sha256_free(sum);
	return rc;
}

/* ---- JSON ---- */

/* "length hash length hash"; "": the block has no list. */
static json_t *
block_to_json(const struct evidence *e, const struct evidence_block *b)
{
	char *text = malloc(b->n_clusters * ENTRY_MAX + 1), *at = text;
	json_t *out;

	if (text == NULL)
		return NULL;
	*at = '\0';
	for (size_t k = 0; k < b->n_clusters; k++) {
		const struct evidence_cluster *c =
		    &e->clusters.list[b->first_cluster + k];

		at += sprintf(at, "%s%" PRIu32 " ", k > 0 ? " " : "", c->len);
		sodium_bin2hex(at, HEX_LEN + 1, c->hash, sizeof(c->hash));
		at += HEX_LEN;
	}
	out = json_string(text);
	free(text);
	return out;
}

json_t *
evidence_clusters_to_json(const struct evidence *e)
{
	uint8_t root[EVIDENCE_HASH_LEN];
	char hex[ROOT_HEX + 1];
	json_t *blocks = json_array();

	for (size_t i = 0; blocks != NULL && i < e->n; i++)
		if (json_array_append_new(
			blocks, block_to_json(e, &e->blocks[i])) != 0) {
			json_decref(blocks);
			blocks = NULL;
		}
	if (clusters_root(e, root) != 0) {
		json_decref(blocks);
		return NULL;
	}
	sodium_bin2hex(hex, sizeof(hex), root, sizeof(root));
	/* takes blocks, also on failure */
	return json_pack("{s:i, s:s, s:o}", "version", VERSION, "root", hex,
	    "blocks", blocks);
}

/* "length hash" at s, of at most left bytes; the end of it, or NULL. */
static const char *
parse_cluster(const char *s, uint64_t left, struct evidence_cluster *c)
{
	uint64_t len = 0;
	size_t n = 0, got;

	while (n < 10 && s[n] >= '0' && s[n] <= '9')
		len = len * 10 + (uint64_t)(s[n++] - '0');
	if (n == 0 || s[n] != ' ' || len == 0 || len > left || len > UINT32_MAX)
		return NULL;
	s += n + 1;
	if (strnlen(s, HEX_LEN) < HEX_LEN ||
	    sodium_hex2bin(
		c->hash, sizeof(c->hash), s, HEX_LEN, NULL, &got, NULL) != 0 ||
	    got != sizeof(c->hash))
		return NULL;
	c->len = (uint32_t)len;
	return s + HEX_LEN;
}

/* The clusters of one block, which make it up. */
static int
parse_block(struct evidence *e, struct evidence_block *b, const char *s)
{
	struct evidence_clusters *c = &e->clusters;
	uint64_t left = b->len;

	if (s == NULL)
		return ERR_CORRUPT;
	b->first_cluster = c->n;
	while (*s != '\0') {
		if (b->n_clusters > 0 && *s++ != ' ')
			return ERR_CORRUPT;
		if (c->n == EVIDENCE_CLUSTERS)
			return ERR_CORRUPT;
		if (grow(c) != 0)
			return ERR_NOMEM;
		s = parse_cluster(s, left, &c->list[c->n]);
		if (s == NULL)
			return ERR_CORRUPT;
		left -= c->list[c->n++].len;
		b->n_clusters++;
	}
	return b->n_clusters == 0 || (left == 0 && b->n_clusters > 1)
	    ? 0
	    : ERR_CORRUPT;
}

int
evidence_clusters_parse(struct evidence *e, const json_t *j)
{
	const json_t *blocks = json_object_get(j, "blocks");
	const json_t *root = json_object_get(j, "root");
	uint8_t is[EVIDENCE_HASH_LEN];
	char hex[ROOT_HEX + 1];
	int rc = 0;

	if (j == NULL || json_int(j, "version") > VERSION)
		return 0;
	if (json_int(j, "version") != VERSION ||
	    json_string_value(root) == NULL || json_array_size(blocks) != e->n)
		return ERR_CORRUPT;
	for (size_t i = 0; rc == 0 && i < e->n; i++)
		rc = parse_block(e, &e->blocks[i],
		    json_string_value(json_array_get(blocks, i)));
	if (rc == 0)
		rc = clusters_root(e, is);
	if (rc != 0)
		return rc;
	sodium_bin2hex(hex, sizeof(hex), is, sizeof(is));
	return strcmp(hex, json_string_value(root)) == 0 ? 0 : ERR_CORRUPT;
}

/* ---- locating ---- */

/* Whether bytes of the file are this cluster: 0, ERR_CORRUPT, or read's error.
 */
static int
check_cluster(const struct evidence_cluster *c, uint64_t at,
    evidence_read_fn *read, void *arg, struct sha256 *sum)
{
	uint8_t buf[PIECE], hash[EVIDENCE_HASH_LEN];
	uint64_t done = 0;
	int rc;

	sha256_begin(sum);
	while (done < c->len) {
		size_t want = min_size(sizeof(buf), (size_t)(c->len - done));
		int64_t n = read(arg, at + done, buf, want);

		if (n < 0)
			return (int)n;
		if ((size_t)n < want)
			return ERR_CORRUPT;
		sha256_add(sum, buf, want);
		done += want;
	}
	rc = sha256_end(sum, hash);
	if (rc != 0)
		return rc;
	return memcmp(hash, c->hash, sizeof(c->hash)) == 0 ? 0 : ERR_CORRUPT;
}

static int
locate(const struct evidence *e, const struct evidence_block *b,
    evidence_read_fn *read, void *arg, struct evidence_fault *f)
{
	struct sha256 *sum = sha256_new();
	uint64_t at = b->offset;
	int rc = sum != NULL ? 0 : ERR_NOMEM;

	for (size_t k = 0; rc == 0 && k < b->n_clusters; k++) {
		const struct evidence_cluster *c =
		    &e->clusters.list[b->first_cluster + k];

		rc = check_cluster(c, at, read, arg, sum);
		if (rc == ERR_CORRUPT) {
			f->offset = at;
			f->len = c->len;
		}
		at += c->len;
	}
	sha256_free(sum);
	return rc == ERR_CORRUPT ? 0 : rc;
}

int
evidence_locate(const struct evidence *e, evidence_read_fn *read, void *arg,
    struct evidence_fault *fault)
{
	if (fault->kind != EVIDENCE_CHANGED)
		return 0;
	for (size_t i = 0; i < e->n; i++)
		if (e->blocks[i].offset == fault->offset)
			return locate(e, &e->blocks[i], read, arg, fault);
	return 0;
}
