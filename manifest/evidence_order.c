#include "manifest/evidence_order.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/json.h"

/* Ends of a file that another one always follows, and those of a session. */
static const char *const splits[] = { "size", "monitor", "frame_rate",
	"orientation", "resolution", "recorder_restart", "overload" };
static const char *const ends[] = { "normal", "endpoint", "max_duration",
	"command", "error" };

static bool
is_in(const char *const *list, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], s) == 0)
			return true;
	return false;
}

static bool
take_text(const json_t *j, const char *name, char *out, size_t size)
{
	const json_t *v = json_object_get(j, name);
	size_t len = json_string_length(v);

	if (!json_is_string(v) || len >= size ||
	    strlen(json_string_value(v)) != len)
		return false;
	memcpy(out, json_string_value(v), len + 1);
	return true;
}

static bool
take_int(const json_t *j, const char *name, int64_t min, int64_t *out)
{
	const json_t *v = json_object_get(j, name);

	*out = json_integer_value(v);
	return json_is_integer(v) && *out >= min;
}

static bool
take_hash(const json_t *v, uint8_t out[EVIDENCE_HASH_LEN])
{
	const char *s = json_string_value(v);
	size_t len = 0;

	return s != NULL && strlen(s) == 2 * EVIDENCE_HASH_LEN &&
	    sodium_hex2bin(
		out, EVIDENCE_HASH_LEN, s, strlen(s), NULL, &len, NULL) == 0 &&
	    len == EVIDENCE_HASH_LEN;
}

/* Printable ASCII only: it is shown to people, and a file name. */
static bool
take_name(const json_t *manifest, char out[256])
{
	const char *key = json_text(manifest, "object_key");
	const char *slash = key != NULL ? strrchr(key, '/') : NULL;
	const char *name = slash != NULL ? slash + 1 : key;
	size_t len = name != NULL ? strlen(name) : 0;

	if (len == 0 || len >= 256)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	memcpy(out, name, len + 1);
	return true;
}

static bool
is_id(const char *s)
{
	return strlen(s) == 36 && strspn(s, "0123456789abcdef-") == 36;
}

int
evidence_facts_read(
    struct evidence_facts *f, const json_t *manifest, const char **why)
{
	const json_t *v;

	memset(f, 0, sizeof(*f));
	*why = "it is not the manifest of a closed recording";
	if (!take_text(manifest, "session", f->session, sizeof(f->session)) ||
	    !take_text(manifest, "segment", f->segment, sizeof(f->segment)) ||
	    !is_id(f->session) || !is_id(f->segment) ||
	    !take_text(manifest, "end", f->end, sizeof(f->end)) ||
	    !take_name(manifest, f->name) ||
	    !take_int(manifest, "seq", 1, &f->seq) ||
	    !take_int(manifest, "monitor", 0, &f->monitor) ||
	    !take_int(manifest, "bytes", 1, &f->bytes) ||
	    !take_int(manifest, "frames", 0, &f->frames) ||
	    !take_int(manifest, "first_frame", 0, &f->first_frame) ||
	    !take_int(manifest, "last_frame", 0, &f->last_frame) ||
	    !take_hash(
		json_object_get(json_object_get(manifest, "evidence"), "root"),
		f->root))
		return ERR_CORRUPT;
	v = json_object_get(manifest, "sha256");
	f->has_sha256 = v != NULL;
	if (v != NULL && !take_hash(v, f->sha256))
		return ERR_CORRUPT;
	v = json_object_get(manifest, "previous_root");
	f->has_previous = v != NULL;
	return v == NULL || take_hash(v, f->previous) ? 0 : ERR_CORRUPT;
}

static int
by_seq(const void *a, const void *b)
{
	const struct evidence_facts *x = a, *y = b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

struct report {
	struct evidence_order *out;
	size_t n, max;
};

static void
add(struct report *r, enum evidence_order_kind kind, int64_t from, int64_t to)
{
	if (r->n < r->max)
		r->out[r->n] = (struct evidence_order){ kind, from, to };
	r->n++;
}

static void
check_pair(struct report *r, const struct evidence_facts *a,
    const struct evidence_facts *b)
{
	if (a->seq == b->seq) {
		add(r, EVIDENCE_TWICE, a->seq, a->seq);
		return;
	}
	if (b->seq - a->seq > 1) {
		add(r, EVIDENCE_REMOVED, a->seq + 1, b->seq - 1);
		return;
	}
	if (a->frames > 0 && b->frames > 0 &&
	    b->first_frame - a->last_frame != 1)
		add(r, EVIDENCE_FRAMES, a->seq, b->seq);
	if (b->has_previous &&
	    memcmp(b->previous, a->root, sizeof(a->root)) != 0)
		add(r, EVIDENCE_REPLACED, a->seq, b->seq);
}

size_t
evidence_order_check(struct evidence_facts *facts, size_t n,
    struct evidence_order *out, size_t max)
{
	struct report r = { out, 0, max };

	if (n == 0)
		return 0;
	qsort(facts, n, sizeof(*facts), by_seq);
	if (facts[0].seq > 1)
		add(&r, EVIDENCE_REMOVED, 1, facts[0].seq - 1);
	for (size_t i = 0; i + 1 < n; i++)
		check_pair(&r, &facts[i], &facts[i + 1]);
	if (is_in(splits, N_ELEMENTS(splits), facts[n - 1].end))
		add(&r, EVIDENCE_MORE, facts[n - 1].seq, facts[n - 1].seq);
	return r.n;
}

bool
evidence_order_is_end(const struct evidence_facts *last)
{
	return is_in(ends, N_ELEMENTS(ends), last->end);
}
