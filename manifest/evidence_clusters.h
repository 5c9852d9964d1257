/*
 * The clusters within the blocks of a file's evidence: where in a changed block
 * the change is. Whether a block was changed is decided by the block's own hash
 * alone, so a list needs no more of each hash than tells clusters apart.
 * docs/evidence.md has the format. No I/O but by the reader; one owner.
 */
#ifndef MANIFEST_EVIDENCE_CLUSTERS_H
#define MANIFEST_EVIDENCE_CLUSTERS_H

#include "manifest/evidence.h"

/*
 * data is one cluster, len bytes, of the last block of e. When the list is full
 * that block and those behind it get none. Returns 0 or ERR_NOMEM.
 */
int evidence_clusters_add(struct evidence *e, const uint8_t *data, size_t len);
/* The last block of e is complete: a list of one cluster says nothing and goes.
 */
void evidence_clusters_end_block(struct evidence *e);
void evidence_clusters_release(struct evidence *e);

/* The value of "clusters" in a manifest's evidence; NULL for memory. */
json_t *evidence_clusters_to_json(const struct evidence *e);

/*
 * Reads that value into e, whose blocks and root are read already; what is NULL
 * or of another version leaves e without clusters. Returns 0; ERR_CORRUPT: it
 * is not of this format, does not make up the blocks, or its root is not
 * theirs; ERR_NOMEM.
 */
int evidence_clusters_parse(struct evidence *e, const json_t *j);

#endif
