/*
 * Clips of any bytes whose evidence fits (a recorder may have written
 * anything): what is cut is the original's, whatever else is wrong with it; and
 * the same bytes as a clip, or as a clip's manifest, by a verifier.
 *
 * Input: '{' begins a manifest. Else two bytes each, the low one first: length
 * of the header, of the cues, of a block of clusters, and from and to in units
 * of 10 ms; then the file.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "storage/clips/clip_cut.h"
#include "tests/fuzz/span.h"

#define ID   "11111111-2222-4333-8444-555555555555"
#define HEAD 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_manifest(const uint8_t *data, size_t size)
{
	json_t *j = json_loadb((const char *)data, size, 0, NULL);
	struct clip_facts f;
	struct evidence e;
	const char *why;

	if (clip_read(&f, j, &why) == 0) {
		assert(f.from < f.to && f.to <= f.original_bytes);
		assert(f.before.count / 8 <= f.from);
		evidence_parse_clip(&e, j, f.id, f.root, &why);
		evidence_release(&e);
		json_decref(clip_to_json(&f));
	}
	json_decref(j);
}

/* Blocks of a length, as many as there may be; cues; header. */
static int
make_evidence(struct evidence *e, const struct span *s, size_t header,
    size_t cues, size_t block)
{
	size_t at = header, end = s->len - cues;

	evidence_init(e);
	while (at < end) {
		size_t n = min_size(block, end - at);

		evidence_add(e, at, s->data + at, n, true);
		at += n;
	}
	evidence_add(e, end, s->data + end, cues, true);
	evidence_add(e, 0, s->data, header, true);
	return evidence_finish(e, ID);
}

/* As the manifest would say it, and back. */
static void
state(struct clip_facts *f, const struct clip_made *made, int64_t from_ms)
{
	*f = made->facts;
	f->id = f->segment = ID;
	f->person = f->reason = f->made_at = "x";
	f->asked_from_ms = from_ms;
}

static void
compare(const struct clip_made *made, const struct evidence *original, int fd,
    int64_t from_ms)
{
	struct clip_fault fault;
	struct clip_facts f;
	uint64_t tail;
	int rc;

	state(&f, made, from_ms);
	rc = clip_compare(
	    &f, &made->evidence, original, webm_read_file, &fd, &tail, &fault);
	/* times that go backwards are told; content is always right */
	assert(rc == 0 ||
	    (rc == ERR_CORRUPT &&
		(fault.kind == CLIP_SHAPE || fault.kind == CLIP_RANGE)));
	assert(rc != 0 || tail <= f.to - f.from);
}

/* The file as a clip of itself. */
static void
compare_raw(const struct evidence *e, struct span *s, int64_t from_ms)
{
	struct clip_facts f = { .original_bytes = s->len,
		.from = e->blocks[0].offset,
		.to = e->blocks[e->n - 2].offset,
		.from_ms = from_ms,
		.to_ms = from_ms + 60000 };
	struct clip_fault fault;
	uint64_t tail;

	memcpy(f.root, e->root, sizeof(f.root));
	clip_compare(&f, e, e, read_span, s, &tail, &fault);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n[HEAD / 2];
	struct span s = { data + HEAD, size - HEAD };
	struct webm_view v = { read_span, &s, s.len };
	struct clip_made made = { 0 };
	struct clip_plan p;
	struct evidence e;
	const char *why;

	if (size > 0 && data[0] == '{')
		read_manifest(data, size);
	if (size < HEAD)
		return 0;
	for (size_t i = 0; i < HEAD / 2; i++)
		n[i] = data[2 * i] | (size_t)data[2 * i + 1] << 8;
	if (n[0] == 0 || n[1] == 0 || n[2] == 0 || n[0] + n[1] >= s.len)
		return 0;
	if (make_evidence(&e, &s, n[0], n[1], n[2]) == 0) {
		int fd = memfd_create("clip", MFD_CLOEXEC);

		compare_raw(&e, &s, (int64_t)n[3] * 10);
		if (clip_plan(&p, &v, &e, n[3] * 10, n[4] * 10, &why) == 0 &&
		    clip_cut(&made, &p, &v, &e, ID, n[4] * 10, fd, &why) == 0)
			compare(&made, &e, fd, (int64_t)n[3] * 10);
		evidence_release(&made.evidence);
		close(fd);
	}
	evidence_release(&e);
	return 0;
}
