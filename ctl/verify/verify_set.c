/* The recordings of a folder, and whether they are all of their sessions. */
#define _XOPEN_SOURCE 700
#include <ftw.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/json.h"
#include "ctl/file.h"
#include "ctl/verify/verify_file.h"
#include "ctl/table.h"

#define PROBLEMS_MAX 100 /* told of one session */

struct verify_file *
verify_set_add(struct verify_set *s)
{
	size_t cap = s->cap > 0 ? 2 * s->cap : 8;
	struct verify_file *list;

	if (s->n == s->cap) {
		if (s->n >= VERIFY_FILES_MAX ||
		    (list = realloc(s->list, cap * sizeof(*list))) == NULL) {
			ctl_error("too many files");
			return NULL;
		}
		s->list = list;
		s->cap = cap;
	}
	memset(&s->list[s->n], 0, sizeof(s->list[0]));
	s->list[s->n].from_ms = s->list[s->n].to_ms = -1;
	return &s->list[s->n++];
}

/* ---- a folder ---- */

static struct verify_set *walked; /* nftw has no argument for its caller */

static bool
ends_with(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);

	return n > k && strcmp(s + n - k, suffix) == 0;
}

/* Whether NAME.json, or NAME.webm.json, belongs to a recording beside it. */
static bool
has_media(const char *json, char media[VERIFY_PATH_MAX])
{
	int n = (int)strlen(json) - 5;

	snprintf(media, VERIFY_PATH_MAX, "%.*s", n, json);
	if (ends_with(media, ".webm"))
		return access(media, F_OK) == 0;
	snprintf(media, VERIFY_PATH_MAX, "%.*s.webm", n, json);
	return access(media, F_OK) == 0;
}

static int
on_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	char media[VERIFY_PATH_MAX];
	struct verify_file *p;

	(void)st;
	(void)where;
	if (type != FTW_F || strlen(path) >= VERIFY_PATH_MAX - 8)
		return 0;
	if (!ends_with(path, ".webm") &&
	    (!ends_with(path, ".json") || has_media(path, media)))
		return 0;
	p = verify_set_add(walked);
	if (p == NULL)
		return -1;
	if (ends_with(path, ".webm"))
		strcpy(p->path, path);
	else {
		strcpy(p->path, media);
		strcpy(p->manifest, path);
	}
	return 0;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct verify_file *)a)->path,
	    ((const struct verify_file *)b)->path);
}

int
verify_set_read_folder(struct verify_set *s, const char *folder)
{
	int rc;

	walked = s;
	rc = nftw(folder, on_entry, 16, FTW_PHYS);
	walked = NULL;
	if (rc != 0)
		return ctl_failed(errno, "cannot read %s", folder);
	if (s->n == 0)
		return ctl_error("there are no recordings in %s", folder);
	qsort(s->list, s->n, sizeof(*s->list), by_path);
	return 0;
}

/* ---- together ---- */

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static void
is_swapped(struct verify_file *p, const struct verify_file *with)
{
	p->kind = VERIFY_SWAPPED;
	snprintf(p->text, sizeof(p->text),
	    "it was swapped: it is file %lld of session %s",
	    (long long)with->facts.seq, with->facts.session);
}

/* A bad file may be another one's, whole; a good one under a wrong name. */
static void
look_for_swaps(struct verify_set *s, struct verify_file *p)
{
	uint8_t sum[32];
	int64_t bytes;
	bool is_other;

	if (p->is_clip)
		return;
	is_other = p->kind == VERIFY_CHANGED || p->kind == VERIFY_MISSING ||
	    p->kind == VERIFY_ADDED;
	if (is_other && file_sha256(p->path, sum, &bytes) != 0)
		return;
	for (size_t i = 0; i < s->n; i++) {
		const struct verify_file *o = &s->list[i];

		if (o == p || !o->has_facts)
			continue;
		if (is_other && o->facts.has_sha256 &&
		    o->facts.bytes == bytes &&
		    memcmp(o->facts.sha256, sum, 32) == 0)
			is_swapped(p, o);
		else if (p->kind == VERIFY_GOOD &&
		    strcmp(p->facts.segment, o->facts.segment) != 0 &&
		    strcmp(p->facts.name, o->facts.name) != 0 &&
		    strcmp(base_name(p->path), o->facts.name) == 0)
			is_swapped(p, p);
	}
}

static char *
order_text(const struct evidence_order *o, char out[160])
{
	long long from = (long long)o->from, to = (long long)o->to;

	switch (o->kind) {
	case EVIDENCE_REMOVED:
		if (from == to)
			snprintf(out, 160, "file %lld is not there", from);
		else
			snprintf(out, 160, "files %lld to %lld are not there",
			    from, to);
		break;
	case EVIDENCE_MORE:
		snprintf(out, 160, "more files followed file %lld", from);
		break;
	case EVIDENCE_TWICE:
		snprintf(out, 160, "file %lld is there more than once", from);
		break;
	case EVIDENCE_FRAMES:
		snprintf(out, 160,
		    "the frames of file %lld do not go on where those of file "
		    "%lld end",
		    to, from);
		break;
	case EVIDENCE_REPLACED:
		snprintf(out, 160,
		    "file %lld is not the one that file %lld followed", from,
		    to);
		break;
	}
	return out;
}

/* The result of one session's files, sorted; NULL for memory. */
static json_t *
check_session(struct evidence_facts *facts, size_t n)
{
	struct evidence_order found[PROBLEMS_MAX];
	size_t wrong = evidence_order_check(facts, n, found, PROBLEMS_MAX);
	json_t *problems = json_array();
	char text[160];

	for (size_t i = 0; i < wrong && i < PROBLEMS_MAX; i++)
		json_array_append_new(
		    problems, json_string(order_text(&found[i], text)));
	return json_pack("{s:s,s:b,s:I,s:I,s:I,s:b,s:o}", "session",
	    facts[0].session, "ok", wrong == 0, "files", (json_int_t)n, "first",
	    (json_int_t)facts[0].seq, "last", (json_int_t)facts[n - 1].seq,
	    "is_end", evidence_order_is_end(&facts[n - 1]), "problems",
	    problems);
}

/* Takes the facts of the session of entry `first` out of all. */
static size_t
collect(const struct verify_set *s, size_t first, bool *done,
    struct evidence_facts *out)
{
	size_t n = 0;

	for (size_t i = first; i < s->n; i++)
		if (!done[i] && s->list[i].has_facts &&
		    strcmp(s->list[i].facts.session,
			s->list[first].facts.session) == 0) {
			out[n++] = s->list[i].facts;
			done[i] = true;
		}
	return n;
}

static int
check_sessions(struct verify_set *s)
{
	struct evidence_facts *facts = calloc(s->n, sizeof(*facts));
	bool *done = calloc(s->n, sizeof(*done));
	int rc = facts == NULL || done == NULL ? -1 : 0;

	for (size_t i = 0; rc == 0 && i < s->n; i++) {
		json_t *one;
		size_t n = 0;

		if (!done[i] && s->list[i].has_facts)
			n = collect(s, i, done, facts);
		if (n == 0)
			continue;
		one = check_session(facts, n);
		if (!json_is_true(json_object_get(one, "ok")))
			s->is_good = false;
		rc = json_array_append_new(s->sessions, one);
	}
	free(facts);
	free(done);
	return rc == 0 ? 0 : ctl_error("out of memory");
}

/* A clip is checked again with its original's manifest, if that is here. */
static void
look_for_original(const struct verify_set *s, struct verify_file *p,
    const struct verify_keys *keys)
{
	for (size_t i = 0; p->kind == VERIFY_NO_ORIGINAL && i < s->n; i++) {
		const struct verify_file *o = &s->list[i];

		if (!o->has_facts || strcmp(o->facts.segment, p->clip_of) != 0)
			continue;
		memcpy(p->original, o->manifest, sizeof(p->original));
		p->kind = VERIFY_GOOD;
		verify_file_check(p, keys);
	}
}

int
verify_set_check(struct verify_set *s, const struct verify_keys *keys)
{
	s->is_good = true;
	s->sessions = json_array();
	for (size_t i = 0; i < s->n; i++)
		verify_file_check(&s->list[i], keys);
	for (size_t i = 0; i < s->n; i++)
		look_for_original(s, &s->list[i], keys);
	for (size_t i = 0; i < s->n; i++) {
		look_for_swaps(s, &s->list[i]);
		s->is_good = s->is_good && s->list[i].kind == VERIFY_GOOD;
	}
	return check_sessions(s);
}

/* ---- results ---- */

/* Milliseconds; null: not known. */
static json_t *
time_json(int64_t ms)
{
	return ms >= 0 ? json_integer(ms) : json_null();
}

static json_t *
verify_file_json(const struct verify_file *p)
{
	bool range = p->kind == VERIFY_CHANGED || p->kind == VERIFY_MISSING ||
	    p->kind == VERIFY_ADDED;
	json_t *j = json_pack("{s:s,s:b,s:s,s:s,s:s}", "file", p->shown, "ok",
	    p->kind == VERIFY_GOOD, "result", verify_result_name(p->kind),
	    "text", p->text, "key", p->key_id);

	if (p->clip != NULL)
		json_object_set(j, "clip", p->clip);
	if (range)
		json_object_update_new(j,
		    json_pack("{s:I,s:I}", "offset",
			(json_int_t)p->fault.offset, "length",
			(json_int_t)p->fault.len));
	if (p->kind == VERIFY_CHANGED)
		json_object_update_new(j,
		    json_pack("{s:o,s:o}", "from_ms", time_json(p->from_ms),
			"to_ms", time_json(p->to_ms)));
	if (p->has_facts)
		json_object_update_new(j,
		    json_pack("{s:s,s:s,s:I,s:I,s:I,s:I}", "session",
			p->facts.session, "segment", p->facts.segment, "seq",
			(json_int_t)p->facts.seq, "bytes",
			(json_int_t)p->facts.bytes, "first_frame",
			(json_int_t)p->facts.first_frame, "last_frame",
			(json_int_t)p->facts.last_frame));
	return j;
}

static int
print_all_json(const struct verify_set *s)
{
	json_t *files = json_array();

	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(files, verify_file_json(&s->list[i]));
	return print_json(json_pack("{s:b,s:o,s:O}", "ok", s->is_good, "files",
	    files, "sessions", s->sessions));
}

static void
print_session(const json_t *one)
{
	const char *id = json_text(one, "session");
	const json_t *problems = json_object_get(one, "problems");
	long long last = json_int(one, "last");
	const json_t *text;
	size_t i;

	json_array_foreach(problems, i, text)
		printf("session %s: BAD: %s\n", id, json_string_value(text));
	if (json_array_size(problems) > 0)
		return;
	printf("session %s: all files from 1 to %lld%s\n", id, last,
	    json_is_true(json_object_get(one, "is_end"))
		? ", with which it ended"
		: "; whether more followed, the last one does not say");
}

int
verify_set_print(const struct verify_set *s, bool json)
{
	const json_t *one;
	size_t i;
	int rc = 0;

	if (json)
		rc = print_all_json(s);
	for (i = 0; !json && i < s->n; i++)
		printf("%s: %s: %s\n", s->list[i].shown,
		    s->list[i].kind == VERIFY_GOOD ? "good" : "BAD",
		    s->list[i].text);
	if (!json)
		json_array_foreach(s->sessions, i, one)
			print_session(one);
	return rc != 0 || s->is_good ? rc : STATUS_FAILED;
}

void
verify_set_release(struct verify_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		json_decref(s->list[i].clip);
	free(s->list);
	json_decref(s->sessions);
	memset(s, 0, sizeof(*s));
}
