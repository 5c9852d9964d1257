/*
 * For tests/integration/test_evidence.py: every byte of a real recording is
 * changed, one at a time, and must be found in the block that has it, and there
 * in the cluster.
 * usage: evidence_flips FILE MANIFEST; prints how many bytes were tried.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "manifest/evidence.h"

struct span {
	uint8_t *data;
	size_t len;
};

static int64_t
read_span(void *arg, uint64_t offset, uint8_t *buf, size_t len)
{
	const struct span *s = arg;
	size_t n = offset < s->len ? s->len - (size_t)offset : 0;

	n = min_size(n, len);
	if (n > 0)
		memcpy(buf, s->data + offset, n);
	return (int64_t)n;
}

static int
load(const char *path, struct span *s)
{
	FILE *f = fopen(path, "rb");
	long len;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (len = ftell(f)) <= 0)
		return -1;
	rewind(f);
	s->len = (size_t)len;
	s->data = malloc(s->len);
	if (s->data == NULL || fread(s->data, 1, s->len, f) != s->len)
		return -1;
	fclose(f);
	return 0;
}

static bool
has(const struct evidence_fault *f, size_t i)
{
	return f->offset <= i && i < f->offset + f->len;
}

/* The block with byte i is the one that is named, and then its cluster. */
static int
is_found(const struct evidence *e, struct span *s, size_t i)
{
	struct evidence_fault f;
	bool has_it;
	int rc;

	s->data[i] ^= (uint8_t)(1u << (i % 8));
	rc = evidence_verify(e, read_span, s, &f);
	has_it = rc == ERR_CORRUPT && f.kind == EVIDENCE_CHANGED && has(&f, i);
	rc = evidence_locate(e, read_span, s, &f);
	s->data[i] ^= (uint8_t)(1u << (i % 8));
	return has_it && rc == 0 && has(&f, i);
}

int
main(int argc, char **argv)
{
	struct evidence_fault fault;
	struct evidence e;
	struct span s;
	const char *why;
	json_t *j;

	if (argc != 3 || load(argv[1], &s) != 0 ||
	    (j = json_load_file(argv[2], 0, NULL)) == NULL ||
	    evidence_parse(&e, j, &why) != 0 ||
	    evidence_verify(&e, read_span, &s, &fault) != 0) {
		fprintf(stderr, "evidence_flips: not a good recording\n");
		return 1;
	}
	for (size_t i = 0; i < s.len; i++)
		if (!is_found(&e, &s, i)) {
			fprintf(stderr, "byte %zu was not found\n", i);
			return 1;
		}
	printf("%zu\n", s.len);
	evidence_release(&e);
	json_decref(j);
	free(s.data);
	return 0;
}
