/*
 * A manifest's evidence over any bytes, and a file of what follows its first
 * zero byte: a list that is taken covers the file from 0 on, a fault lies
 * where the list or the file's end says, and what it is narrowed to lies in it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "manifest/evidence.h"
#include "tests/fuzz/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
narrow(const struct evidence *e, struct span *file, struct evidence_fault fault)
{
	struct evidence_fault to = fault;

	if (evidence_locate(e, read_span, file, &to) != 0 ||
	    to.kind != fault.kind || to.len == 0 || to.offset < fault.offset ||
	    to.offset + to.len > fault.offset + fault.len)
		abort();
}

static void
check(const struct evidence *e, struct span *file)
{
	struct evidence_fault fault;
	uint64_t total = 0;
	int rc = evidence_verify(e, read_span, file, &fault);

	for (size_t i = 0; i < e->n; i++)
		total += e->blocks[i].len;
	if (rc == 0 && total != file->len)
		abort();
	if (rc != 0 && rc != ERR_CORRUPT)
		abort();
	if (rc != 0 && fault.kind == EVIDENCE_ADDED &&
	    fault.offset + fault.len != file->len)
		abort();
	if (rc != 0)
		narrow(e, file, fault);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *zero = len > 0 ? memchr(data, 0, len) : NULL;
	size_t json_len = zero != NULL ? (size_t)(zero - data) : len;
	struct span file = { zero != NULL ? zero + 1 : data + len,
		zero != NULL ? len - json_len - 1 : 0 };
	json_t *j = json_loadb((const char *)data, json_len, 0, NULL);
	struct evidence e;
	const char *why;

	if (evidence_parse(&e, j, &why) == 0)
		check(&e, &file);
	evidence_release(&e);
	json_decref(j);
	return 0;
}
