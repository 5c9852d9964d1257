/* A file of nine clusters between header and cues, as tests of the evidence
 * chain read it, and its blocks as the WebM writer reports them. */
#ifndef TESTS_UNIT_EVIDENCE_CASE_H
#define TESTS_UNIT_EVIDENCE_CASE_H

#include <stdint.h>
#include <string.h>

#include "common/bytes.h"
#include "manifest/evidence.h"

#define SEGMENT  "6d8f2a54-30cb-4d0e-9f6e-0a4b8c1d2e3f"
#define HEADER   1000
#define CLUSTER  (300 * 1024)
#define CLUSTERS 9
#define CUES     70
#define LEN      ((size_t)HEADER + CLUSTERS * CLUSTER + CUES)

static uint8_t file[LEN + 100];
static size_t file_len; /* what read_file has of it */

static int64_t
read_file(void *arg, uint64_t offset, uint8_t *buf, size_t len)
{
	size_t n = offset < file_len ? file_len - (size_t)offset : 0;

	(void)arg;
	n = min_size(n, len);
	if (n > 0)
		memcpy(buf, file + offset, n);
	return (int64_t)n;
}

/* Fills the file, whose cues end with last; e then has its blocks of four,
 * four and one cluster, cues and header, finished. */
static void
case_begin(struct evidence *e, uint8_t last)
{
	file_len = LEN;
	for (size_t i = 0; i < sizeof(file); i++)
		file[i] = (uint8_t)(i * 31 + (i >> 9));
	file[LEN - 1] = last;
	evidence_init(e);
	for (size_t i = 0; i < CLUSTERS; i++)
		evidence_add(e, HEADER + i * CLUSTER,
		    file + HEADER + i * CLUSTER, CLUSTER, false);
	evidence_add(e, LEN - CUES, file + LEN - CUES, CUES, true);
	evidence_add(e, 0, file, HEADER, true);
	assert_int_equal(evidence_finish(e, SEGMENT), 0);
}

#endif
