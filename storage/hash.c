#include "storage/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"

#define CHUNK (256 * 1024)
#define PIECE (64 * 1024)

static int
hash_part(struct hash_job *j, EVP_MD_CTX *md[3], uint8_t *chunk, uint64_t *at,
    struct part_hash *out)
{
	uint64_t end = min_u64(*at + j->part_bytes, j->bytes);

	bool is_whole = j->part_bytes >= j->bytes; /* its sum is the file's */

	if ((!is_whole && EVP_DigestInit_ex(md[1], EVP_sha256(), NULL) != 1) ||
	    EVP_DigestInit_ex(md[2], EVP_md5(), NULL) != 1)
		return ERR_NOMEM;
	while (*at < end) {
		ssize_t n = pread(j->fd, chunk,
		    (size_t)min_u64(CHUNK, end - *at), (off_t)*at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			j->saved_errno = n == 0 ? EIO : errno;
			return ERR_IO;
		}
		if (atomic_load(j->stopping))
			return ERR_CANCELLED;
		for (int i = 0; i < 3; i++)
			if (i != 1 || !is_whole)
				EVP_DigestUpdate(md[i], chunk, (size_t)n);
		*at += (uint64_t)n;
	}
	if (!is_whole)
		EVP_DigestFinal_ex(md[1], out->sha256, NULL);
	EVP_DigestFinal_ex(md[2], out->md5, NULL);
	return 0;
}

void
hash_run(struct worker_job *work)
{
	struct hash_job *j = (struct hash_job *)work;
	EVP_MD_CTX *md[3] = { EVP_MD_CTX_new(), EVP_MD_CTX_new(),
		EVP_MD_CTX_new() };
	uint8_t *chunk = malloc(CHUNK);
	uint64_t at = 0;

	j->err = 0;
	if (md[0] == NULL || md[1] == NULL || md[2] == NULL || chunk == NULL ||
	    EVP_DigestInit_ex(md[0], EVP_sha256(), NULL) != 1)
		j->err = ERR_NOMEM;
	for (size_t i = 0; j->err == 0 && at < j->bytes; i++)
		j->err = hash_part(j, md, chunk, &at, &j->parts[i]);
	if (j->err == 0)
		EVP_DigestFinal_ex(md[0], j->sha256, NULL);
	if (j->err == 0 && j->part_bytes >= j->bytes && j->bytes > 0)
		memcpy(j->parts[0].sha256, j->sha256, 32);
	for (int i = 0; i < 3; i++)
		EVP_MD_CTX_free(md[i]);
	free(chunk);
}

int
hash_bytes(int fd, uint64_t *at, uint64_t to, crypto_hash_sha256_state *sum,
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
		crypto_hash_sha256_update(sum, buf, (size_t)n);
		*at += (uint64_t)n;
	}
	return 0;
}
