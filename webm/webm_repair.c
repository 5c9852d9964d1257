#include "webm/webm_repair.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "webm/ebml.h"
#include "webm/webm_layout.h"
#include "webm/webm_reader.h"

struct repair {
	int fd;
	struct webm_reader *reader;
	struct webm_cues cues;
	struct webm_cluster_head *clusters; /* offset, data_offset; size: the
					     * right one, of what is kept */
	size_t n_clusters, cap_clusters;
	uint32_t last_duration_ms;
	bool is_changed; /* a cluster's size was patched */
	webm_block_cb *on_block;
	void *arg;
};

static int
add_cluster(struct repair *r, const struct webm_cluster_head *c)
{
	size_t cap = r->cap_clusters != 0 ? r->cap_clusters * 2 : 64;
	struct webm_cluster_head *v;

	if (r->n_clusters == r->cap_clusters) {
		v = reallocarray(r->clusters, cap, sizeof(*v));
		if (v == NULL)
			return ERR_NOMEM;
		r->clusters = v;
		r->cap_clusters = cap;
	}
	r->clusters[r->n_clusters++] = *c;
	return 0;
}

/* The cluster that ends at `end` gets its size, where it has another one. */
static int
close_cluster(struct repair *r, uint64_t end)
{
	struct webm_cluster_head *c;
	uint8_t size[WEBM_SIZE_LEN];
	uint64_t right;

	if (r->n_clusters == 0)
		return 0;
	c = &r->clusters[r->n_clusters - 1];
	right = end - c->data_offset;
	if (c->size == right)
		return 0;
	c->size = right;
	r->is_changed = true;
	ebml_store_size(size, right, WEBM_SIZE_LEN);
	return webm_file_write(
	    r->fd, c->data_offset - WEBM_SIZE_LEN, size, sizeof(size));
}

/* One complete frame: its cluster, and its cue as the writer would. */
static int
take_block(struct repair *r, const struct webm_block *b, uint64_t previous_end)
{
	struct webm_cue_point cue = { .time_ms = b->time_ms,
		.position = b->cluster.offset -
		    webm_reader_info(r->reader)->segment_data };
	int rc = 0;

	if (r->n_clusters == 0 ||
	    r->clusters[r->n_clusters - 1].offset != b->cluster.offset) {
		rc = close_cluster(r, previous_end);
		if (rc == 0)
			rc = add_cluster(r, &b->cluster);
	}
	if (rc == 0 && b->is_key && webm_cues_wants(&r->cues, b->time_ms)) {
		rc = webm_cues_reserve(&r->cues);
		if (rc == 0)
			webm_cues_add(&r->cues, &cue);
	}
	return rc;
}

static int
read_all(struct repair *r, struct webm_repair_result *res)
{
	struct webm_block b;
	uint64_t end = 0;
	int rc;

	while ((rc = webm_reader_next(r->reader, &b)) == 1) {
		rc = take_block(r, &b, end);
		if (rc != 0)
			return rc;
		if (res->frames++ == 0) {
			res->first_ms = b.time_ms;
			res->first_is_key = b.is_key;
		}
		res->last_ms = b.time_ms;
		r->last_duration_ms = b.duration_ms;
		end = b.end;
	}
	if (rc < 0)
		return rc;
	if (res->frames != 0)
		return close_cluster(r, end);
	return webm_reader_end(r->reader) == WEBM_END_CUT ? ERR_NOTFOUND
							  : ERR_CORRUPT;
}

/* Reports len bytes of the file at offset. */
static int
report(
    struct repair *r, enum webm_block_kind kind, uint64_t offset, uint64_t len)
{
	uint8_t *p = malloc((size_t)len + 1);
	int rc = ERR_NOMEM;

	if (p != NULL)
		rc = webm_reader_copy(r->reader, offset, p, (size_t)len);
	if (rc == 0)
		r->on_block(r->arg, kind, offset, p, (size_t)len);
	free(p);
	return rc;
}

static int
report_clusters(struct repair *r)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->n_clusters; i++) {
		const struct webm_cluster_head *c = &r->clusters[i];

		rc = report(r, WEBM_BLOCK_CLUSTER, c->offset,
		    c->data_offset - c->offset + c->size);
	}
	return rc;
}

static int
report_finished(struct repair *r)
{
	uint64_t clusters_end = webm_reader_valid_end(r->reader);
	uint64_t size = webm_reader_size(r->reader);
	int rc = report_clusters(r);

	if (rc == 0 && size > clusters_end)
		rc = report(
		    r, WEBM_BLOCK_CUES, clusters_end, size - clusters_end);
	return rc != 0 ? rc
		       : report(r, WEBM_BLOCK_HEADER, 0,
			     webm_reader_info(r->reader)->header_len);
}

static int
end_file(struct repair *r, struct webm_repair_result *res)
{
	const struct webm_info *info = webm_reader_info(r->reader);
	uint8_t header[WEBM_HEADER_MAX];
	struct webm_ending e = {
		.fd = r->fd,
		.header = header,
		.header_len = (size_t)info->header_len,
		.slots = { .size_at = info->size_at,
		    .cues_at = info->cues_slot_at,
		    .duration_at = info->duration_slot_at,
		    .segment_data = info->segment_data },
		.cues = &r->cues,
		.clusters_end = webm_reader_valid_end(r->reader),
		.duration_ms = res->duration_ms,
		.on_block = r->on_block,
		.arg = r->arg,
	};
	int rc;

	if (info->header_len > sizeof(header))
		return ERR_LIMIT;
	rc = webm_reader_copy(r->reader, 0, header, e.header_len);
	if (rc == 0 && r->on_block != NULL)
		rc = report_clusters(r);
	if (rc == 0)
		rc = webm_file_end(&e, &res->bytes);
	return rc;
}

static int
run(struct repair *r, struct webm_repair_result *res)
{
	const struct webm_info *info = webm_reader_info(r->reader);
	int rc = read_all(r, res);

	if (rc != 0)
		return rc;
	res->was_finished =
	    !r->is_changed && webm_reader_end(r->reader) == WEBM_END_FINISHED;
	if (res->was_finished) {
		res->duration_ms = info->duration_ms;
		res->bytes = webm_reader_size(r->reader);
		return r->on_block != NULL ? report_finished(r) : 0;
	}
	res->duration_ms = res->last_ms +
	    (r->last_duration_ms != 0 ? r->last_duration_ms
				      : WEBM_REPAIR_LAST_MS);
	res->dropped_bytes =
	    webm_reader_size(r->reader) - webm_reader_valid_end(r->reader);
	return end_file(r, res);
}

int
webm_repair(int fd, webm_block_cb *on_block, void *arg,
    struct webm_repair_result *result)
{
	struct repair r = { .fd = fd, .on_block = on_block, .arg = arg };
	int rc;

	memset(result, 0, sizeof(*result));
	rc = webm_reader_new_fd(&r.reader, fd);
	if (rc == 0)
		rc = run(&r, result);
	webm_reader_free(r.reader);
	webm_cues_release(&r.cues);
	free(r.clusters);
	return rc;
}
