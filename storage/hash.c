#include "storage/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "storage/md5_lanes.h"

#define CHUNK (256 * 1024)
#define PIECE (64 * 1024)

/* ---- made of bytes that somebody reads ---- */

/* A file of one part has one SHA-256, and its MD5 has no other beside it. */
static bool
has_own_sums(const struct file_hash *h)
{
	return h->n_parts > 1;
}

static void
begin_part(struct file_hash *h)
{
	if (EVP_DigestInit_ex(h->md5, EVP_md5(), NULL) != 1)
		h->err = ERR_NOMEM;
}

int
file_hash_init(struct file_hash *h, uint64_t bytes, uint64_t part_bytes)
{
	memset(h, 0, sizeof(*h));
	h->bytes = bytes;
	h->part_bytes = part_bytes;
	h->whole = sha256_new();
	if (h->whole == NULL)
		return ERR_NOMEM;
	if (part_bytes == 0)
		return 0;
	h->n_parts = (size_t)((bytes + part_bytes - 1) / part_bytes);
	h->parts = calloc(h->n_parts, sizeof(*h->parts));
	h->part = sha256_new();
	h->md5 = EVP_MD_CTX_new();
	if (h->parts == NULL || h->part == NULL || h->md5 == NULL)
		return ERR_NOMEM;
	begin_part(h);
	return h->err;
}

static void
end_part(struct file_hash *h)
{
	struct part_hash *p = &h->parts[(h->at - 1) / h->part_bytes];

	if (has_own_sums(h) ? sha256_end(h->part, p->sha256) != 0
			    : EVP_DigestFinal_ex(h->md5, p->md5, NULL) != 1)
		h->err = ERR_NOMEM;
	begin_part(h);
}

/* Bytes of one part. */
static void
add_to_part(struct file_hash *h, const uint8_t *data, size_t len)
{
	if (has_own_sums(h))
		sha256_add(h->part, data, len);
	else if (EVP_DigestUpdate(h->md5, data, len) != 1)
		h->err = ERR_NOMEM;
}

void
file_hash_add(struct file_hash *h, const uint8_t *data, size_t len)
{
	if (h->err == 0 && len > h->bytes - h->at)
		h->err = ERR_LIMIT;
	if (h->err != 0)
		return;
	sha256_add(h->whole, data, len);
	if (h->part_bytes == 0) {
		h->at += len;
		return;
	}
	while (len > 0 && h->err == 0) {
		uint64_t left = h->part_bytes - h->at % h->part_bytes;
		size_t n = (size_t)min_u64(len, left);

		add_to_part(h, data, n);
		h->at += n;
		if (n == left || h->at == h->bytes)
			end_part(h);
		data += n;
		len -= n;
	}
}

int
file_hash_end(struct file_hash *h)
{
	if (h->err == 0 && h->at != h->bytes)
		h->err = ERR_LIMIT;
	if (h->err == 0)
		h->err = sha256_end(h->whole, h->sha256);
	if (h->err == 0 && h->n_parts == 1)
		memcpy(h->parts[0].sha256, h->sha256, SHA256_LEN);
	return h->err;
}

int
file_hash_md5s(
    struct file_hash *h, int fd, uint64_t offset, const atomic_bool *stopping)
{
	struct md5_range *ranges;
	int rc;

	if (!has_own_sums(h))
		return 0;
	ranges = calloc(h->n_parts, sizeof(*ranges));
	if (ranges == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < h->n_parts; i++) {
		uint64_t at = i * h->part_bytes;

		ranges[i] = (struct md5_range){ offset + at,
			min_u64(h->part_bytes, h->bytes - at),
			h->parts[i].md5 };
	}
	rc = md5_ranges(fd, ranges, h->n_parts, stopping);
	free(ranges);
	return rc;
}

void
file_hash_release(struct file_hash *h)
{
	sha256_free(h->whole);
	sha256_free(h->part);
	EVP_MD_CTX_free(h->md5);
	free(h->parts);
	memset(h, 0, sizeof(*h));
}

/* ---- on a thread ---- */

/* Up to CHUNK bytes more. */
static int
read_more(struct hash_job *j, uint8_t *chunk)
{
	struct file_hash *h = &j->hash;
	ssize_t n;

	if (atomic_load(j->stopping))
		return ERR_CANCELLED;
	do
		n = pread(j->fd, chunk,
		    (size_t)min_u64(CHUNK, h->bytes - h->at),
		    (off_t)(j->offset + h->at));
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		j->saved_errno = n == 0 ? EIO : errno;
		return ERR_IO;
	}
	file_hash_add(h, chunk, (size_t)n);
	return h->err;
}

void
hash_run(struct worker_job *work)
{
	struct hash_job *j = (struct hash_job *)work;
	uint8_t *chunk = malloc(CHUNK);

	j->err = chunk != NULL ? 0 : ERR_NOMEM;
	while (j->err == 0 && j->hash.at < j->hash.bytes)
		j->err = read_more(j, chunk);
	if (j->err == 0)
		j->err = file_hash_end(&j->hash);
	if (j->err == 0)
		j->err =
		    file_hash_md5s(&j->hash, j->fd, j->offset, j->stopping);
	if (j->err == ERR_IO && j->saved_errno == 0)
		j->saved_errno = errno;
	free(chunk);
}

int
hash_bytes(int fd, uint64_t *at, uint64_t to, struct sha256 *sum,
    const atomic_bool *stopping)
{
	uint8_t buf[PIECE];

	while (*at < to) {
		ssize_t n = pread(fd, buf,
		    (size_t)min_u64(sizeof(buf), to - *at), (off_t)*at);

		if (stopping != NULL && atomic_load(stopping))
			return ERR_CANCELLED;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? ERR_EOF : ERR_IO;
		sha256_add(sum, buf, (size_t)n);
		*at += (uint64_t)n;
	}
	return 0;
}
